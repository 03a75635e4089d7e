/* SPDX-License-Identifier: MIT */
/* accel graph: pictures of a compiled model. */
#include <errno.h>
#include <string.h>

#include "runtime/cli/draw.h"
#include "runtime/cli/package_input.h"

static const struct {
	const char *name, *suffix;
	int (*draw)(const struct axm *axm, FILE *out);
} formats[] = {{"svg", ".svg", draw_svg}, {"dot", ".dot", draw_dot}, {"mermaid", ".mmd", draw_mermaid}};

static bool ends_with(const char *text, const char *suffix)
{
	return text && strlen(text) >= strlen(suffix) && !strcmp(text + strlen(text) - strlen(suffix), suffix);
}

int command_graph(int argc, char **argv)
{
	struct package_input input;
	struct options options;
	FILE *out = stdout;
	int format = -1, code, err;

	if (options_parse(argc, argv, "graph", "Draw a compiled model, device and CPU regions coloured.", "ptmcMszofq",
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
