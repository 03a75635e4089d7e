/* SPDX-License-Identifier: MIT */
/* accel graph: pictures of a compiled model. */
#include <errno.h>
#include <string.h>

#include "runtime/cli/draw.h"
#include "runtime/cli/json_file.h"
#include "runtime/cli/package_input.h"

static const struct {
	const char *name, *suffix;
	int (*draw)(const struct axm *axm, FILE *out);
} formats[] = {{"svg", ".svg", draw_svg}, {"dot", ".dot", draw_dot}, {"mermaid", ".mmd", draw_mermaid}};

static bool ends_with(const char *text, const char *suffix)
{
	return text && strlen(text) >= strlen(suffix) && !strcmp(text + strlen(text) - strlen(suffix), suffix);
}

static void put_ids(struct json *json, const char *key, const struct axm *axm, uint32_t first, uint32_t count)
{
	json_array(json, key);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t id = axm->ids[first + i];

		/* An input that is left out has no value. */
		json_text(json, NULL, id < axm->num_values ? axm_string(axm, axm->values[id].name) : "");
	}
	json_close(json);
}

/* The nodes, where they run, and the names of the values between them. */
static int write_json(const struct axm *axm, const char *path)
{
	struct json json;

	if (json_open(&json, path))
		return EXIT_USAGE;
	put_ids(&json, "inputs", axm, axm->model->inputs_first, axm->model->num_inputs);
	put_ids(&json, "outputs", axm, axm->model->outputs_first, axm->model->num_outputs);
	json_array(&json, "nodes");
	for (uint32_t n = 0; n < axm->num_nodes; n++) {
		const struct axm_node *node = &axm->nodes[n];

		json_object(&json, NULL);
		json_text(&json, "name", axm_string(axm, node->name));
		json_text(&json, "op_type", axm_string(axm, node->op_type));
		json_unsigned(&json, "region", node->region);
		json_text(&json, "on", axm->regions[node->region].device ? "npu" : "cpu");
		put_ids(&json, "inputs", axm, node->inputs_first, node->num_inputs);
		put_ids(&json, "outputs", axm, node->outputs_first, node->num_outputs);
		json_close(&json);
	}
	json_close(&json);
	return json_finish(&json, path) ? EXIT_USAGE : EXIT_GOOD;
}

int command_graph(int argc, char **argv)
{
	struct package_input input;
	struct options options;
	FILE *out = stdout;
	int format = -1, code, err;

	if (options_parse(argc, argv, "graph", "Draw a compiled model, device and CPU regions coloured.", "ptmcMszofjq",
			  &options))
		return EXIT_USAGE;
	if (options.help)
		return EXIT_GOOD;
	for (int i = 0; i < (int)(sizeof(formats) / sizeof(formats[0])); i++)
		if (options.format ? !strcmp(options.format, formats[i].name)
				   : ends_with(options.output, formats[i].suffix))
			format = i;
	if (options.format && format < 0)
		return complain(EXIT_USAGE, "--format: '%s' is not svg, dot or mermaid", options.format);
	code = package_input_open(&options, &input);
	if (code != EXIT_GOOD)
		return code;
	if (options.json)
		code = write_json(&input.axm, options.json);
	if (code != EXIT_GOOD || (options.json && !options.output)) {
		package_input_close(&input);
		return code;
	}
	if (options.output)
		out = fopen(options.output, "w");
	if (!out) {
		code = complain(EXIT_USAGE, "%s: %s", options.output, strerror(errno));
	} else {
		err = formats[format < 0 ? 0 : format].draw(&input.axm, out);
		if (fflush(out) || ferror(out) || err)
			code = complain(EXIT_USAGE, "the picture can not be written");
		if (out != stdout)
			fclose(out);
	}
	package_input_close(&input);
	return code;
}
