/* SPDX-License-Identifier: MIT */
/*
 * accel compare: one model in two ways, on other devices or in other precisions; its outputs, and layer by layer where they part.
 *
 * The outputs are those of the model as it is. For the layers it runs again with every inner value as an output
 * (compiler/probe_file.h), so that nothing is fused across what is looked at: the numbers of a layer there can differ in their last
 * bits from those of the run proper.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <accel/runtime.h>

#include "compiler/probe_file.h"
#include "runtime/cli/colour.h"
#include "runtime/cli/inputs.h"
#include "runtime/cli/json_file.h"
#include "runtime/cli/progress.h"
#include "runtime/cli/session_options.h"
#include "runtime/fail.h"
#include "runtime/value.h"

/* One of the two. @text: as it was given; @device: into @memory or the options */
struct side {
	const char *text;
	char memory[256];
	struct options options;
	struct session_setup setup;
	struct accel_session *session;
	const struct accel_value **outputs;
};

/* How two tensors differ. @relative: root of the squared differences over that of the first's squares */
struct row {
	struct difference difference;
	double relative;
};

/* ---- sides ---- */

static bool is_precision(const char *text)
{
	return !strcmp(text, "fp32") || !strcmp(text, "fp16") || !strcmp(text, "bf16") || !strcmp(text, "int8");
}

/* DEVICE, PRECISION or DEVICE@PRECISION; what it does not say is as in @options. 0, or -EINVAL after a complaint. */
static int side_init(struct side *side, const char *text, const struct options *options)
{
	const char *at = strrchr(text, '@');

	*side = (struct side){.text = text, .options = *options};
	if (is_precision(text)) {
		side->options.precision = text;
	} else if (at && is_precision(at + 1)) {
		if ((size_t)(at - text) >= sizeof(side->memory))
			return complain(-EINVAL, "'%s' is too long for a device", text);
		memcpy(side->memory, text, (size_t)(at - text));
		side->options.device = side->memory;
		side->options.precision = at + 1;
	} else {
		side->options.device = text;
	}
	return session_setup(&side->options, &side->setup);
}

/* Start @path on @side. */
static int side_open(struct side *side, const char *path, char *error, size_t error_size)
{
	char reason[400];
	int err = accel_session_create(path, &side->setup.options, &side->session, reason, sizeof(reason));

	if (err)
		return fail(error, error_size, err, "%s: %s", side->text, reason);
	side->outputs = calloc(accel_session_num_outputs(side->session) + 1, sizeof(*side->outputs));
	return side->outputs ? 0 : fail(error, error_size, -ENOMEM, "out of memory");
}

static int side_run(struct side *side, const struct inputs *inputs, char *error, size_t error_size)
{
	char reason[400];
	int err = accel_session_run_values(side->session, inputs->values, inputs->count, side->outputs,
					   accel_session_num_outputs(side->session), reason, sizeof(reason));

	return err ? fail(error, error_size, err, "%s: %s", side->text, reason) : 0;
}

static void side_close(struct side *side)
{
	accel_session_destroy(side->session);
	free(side->outputs);
	side->session = NULL;
	side->outputs = NULL;
}

/* Both sides on the same inputs; the outputs stay until side_close(). */
static int run_both(struct side *sides, const char *path, const struct options *options)
{
	struct progress *progress = progress_of(options, "comparing");
	struct inputs inputs = {0};
	char error[512] = "";
	int err = side_open(&sides[0], path, error, sizeof(error));

	progress_step(progress, 1, 4);
	if (!err)
		err = side_open(&sides[1], path, error, sizeof(error));
	progress_step(progress, 2, 4);
	if (!err)
		err = inputs_load(sides[0].session, options, &inputs);
	if (!err)
		err = side_run(&sides[0], &inputs, error, sizeof(error));
	progress_step(progress, 3, 4);
	if (!err)
		err = side_run(&sides[1], &inputs, error, sizeof(error));
	progress_stop(progress);
	if (err && *error)
		complain(0, "%s", error);
	inputs_finish(&inputs);
	return err;
}

/* ---- rows ---- */

static double relative_error(const struct tensor *a, const struct tensor *b)
{
	double signal = 0, noise = 0;

	if (dtype_is_nested(a->dtype) || a->dtype == DTYPE_STRING || a->dtype != b->dtype || !tensor_same_shape(a, b))
		return NAN;
	for (int64_t i = 0; i < tensor_count(a); i++) {
		double x = tensor_get_f64(a, i), d = x - tensor_get_f64(b, i);

		if (isfinite(d)) {
			signal += x * x;
			noise += d * d;
		}
	}
	return noise == 0 ? 0 : signal == 0 ? INFINITY : sqrt(noise / signal);
}

static struct row compare_row(const struct side *sides, size_t index, const struct options *options)
{
	const struct tensor *a = &sides[0].outputs[index]->tensor, *b = &sides[1].outputs[index]->tensor;
	struct row row = {.relative = relative_error(a, b)};

	inputs_compare(b, a, options->rtol, options->atol, &row.difference);
	return row;
}

static void print_row(const struct row *row, const char *name, const char *op_type)
{
	const struct difference *d = &row->difference;

	printf("%s%c%s %-36.36s %-18.18s", d->count ? colour(stdout, COLOUR_BAD) : "", d->count ? '*' : ' ',
	       d->count ? colour(stdout, COLOUR_NONE) : "", name, op_type);
	if (d->what)
		printf(" the %s differs\n", d->what);
	else
		printf(" %10lld %10lld %12.3g %12.3g\n", (long long)d->total, (long long)d->count,
		       d->largest < 0 ? 0 : d->largest, row->relative);
}

static void put_row(struct json *json, const struct row *row, const char *name)
{
	const struct difference *d = &row->difference;

	json_text(json, "name", name);
	json_bool(json, "differs", d->count);
	if (d->what)
		json_text(json, "other", d->what);
	json_unsigned(json, "elements", (uint64_t)d->total);
	json_unsigned(json, "elements_outside", (uint64_t)d->count);
	json_number(json, "largest_difference", d->largest < 0 ? 0 : d->largest);
	json_number(json, "relative_error", row->relative);
}

/* ---- the comparison ---- */

/* The outputs of the model as it is. EXIT_GOOD, EXIT_DIFFERS, or another code after a complaint. */
static int compare_outputs(struct side *sides, const struct options *options, struct json *json)
{
	int err = run_both(sides, options->model, options), code = EXIT_GOOD;

	if (json)
		json_array(json, "outputs");
	for (size_t i = 0; !err && i < accel_session_num_outputs(sides[0].session); i++) {
		struct row row = compare_row(sides, i, options);
		struct accel_value_info info;

		accel_session_output(sides[0].session, i, &info);
		if (row.difference.count)
			code = EXIT_DIFFERS;
		if (!options->quiet)
			print_row(&row, info.name, "(output)");
		if (json) {
			json_object(json, NULL);
			put_row(json, &row, info.name);
			json_close(json);
		}
	}
	if (json)
		json_close(json);
	side_close(&sides[0]);
	side_close(&sides[1]);
	return err ? exit_code(err) : code;
}

static void print_first(const struct row *row, const struct probe_value *layer, const struct side *sides)
{
	const struct difference *d = &row->difference;

	printf("first layer that differs: %s (%s), value %s: ", layer->node, layer->op_type, layer->value);
	if (d->what)
		printf("the %s\n", d->what);
	else
		printf("element %lld is %.9g on %s, %.9g on %s\n", (long long)d->index, d->expected, sides[0].text,
		       d->actual, sides[1].text);
}

/* Every layer of the probed model, which is at @path. */
static int compare_rows(struct side *sides, const char *path, const struct probe_result *probe,
			const struct options *options, struct json *json)
{
	int err = run_both(sides, path, options), code = EXIT_GOOD;
	const struct probe_value *first = NULL;
	struct row row, first_row = {0};

	if (json)
		json_array(json, "layers");
	for (size_t i = 0; !err && i < probe->num_values; i++) {
		const struct probe_value *layer = &probe->values[i];

		row = compare_row(sides, i, options);
		if (row.difference.count && !first) {
			first = layer;
			first_row = row;
			code = EXIT_DIFFERS;
		}
		if (!options->quiet)
			print_row(&row, layer->value, layer->op_type);
		if (json) {
			json_object(json, NULL);
			json_text(json, "node", layer->node);
			json_text(json, "operator", layer->op_type);
			put_row(json, &row, layer->value);
			json_close(json);
		}
	}
	if (json)
		json_close(json);
	if (json && first)
		json_text(json, "first_difference", first->value);
	if (!err && first && !options->quiet)
		print_first(&first_row, first, sides);
	else if (!err && !options->quiet)
		printf("no layer differs by more than rtol %g, atol %g\n", options->rtol, options->atol);
	side_close(&sides[0]);
	side_close(&sides[1]);
	return err ? exit_code(err) : code;
}

static int compare_layers(struct side *sides, const struct options *options, struct json *json)
{
	char folder[] = "/tmp/accel-compare-XXXXXX", path[64], error[512];
	struct probe_result probe;
	int err, code;

	/* Of a model that goes away with its folder nothing is worth keeping. */
	sides[0].setup.options.cache = sides[1].setup.options.cache = "off";
	if (!mkdtemp(folder))
		return complain(EXIT_USAGE, "%s: %s", folder, strerror(errno));
	snprintf(path, sizeof(path), "%s/layers.onnx", folder);
	err = probe_file(options->model, sides[0].setup.compile.num_dims, sides[0].setup.compile.dims, path, &probe,
			 error, sizeof(error));
	code = err ? complain(exit_code(err), "layers: %s", error) : compare_rows(sides, path, &probe, options, json);
	probe_result_finish(&probe);
	unlink(path);
	rmdir(folder);
	return code;
}

static int compare(struct side *sides, const struct options *options, struct json *json)
{
	int outputs, layers;

	if (!options->quiet)
		printf("  %-36s %-18s %10s %10s %12s %12s\n", "value", "operator", "elements", "outside",
		       "largest diff", "relative");
	outputs = compare_outputs(sides, options, json);
	if (outputs != EXIT_GOOD && outputs != EXIT_DIFFERS)
		return outputs;
	layers = compare_layers(sides, options, json);
	return layers == EXIT_GOOD ? outputs : layers;
}

int command_compare(int argc, char **argv)
{
	struct options options;
	struct side *sides;
	struct json json;
	int code = EXIT_USAGE;

	if (options_parse(
		    argc, argv, "compare",
		    "Run a model in two ways, each DEVICE, PRECISION or DEVICE@PRECISION, and show where they part:\n"
		    "accel compare cpu sim: MODEL, accel compare fp32 int8 MODEL, accel compare cpu sim:@fp16 MODEL",
		    "dpiDransmcMzjKNq3", &options))
		return EXIT_USAGE;
	if (options.help)
		return EXIT_GOOD;
	sides = calloc(2, sizeof(*sides));
	if (!sides)
		return complain(EXIT_USAGE, "out of memory");
	if (side_init(&sides[0], options.operands[0], &options) || side_init(&sides[1], options.operands[1], &options))
		goto out;
	if (options.json && json_open(&json, options.json))
		goto out;
	if (options.json) {
		json_text(&json, "model", options.model);
		json_text(&json, "a", sides[0].text);
		json_text(&json, "b", sides[1].text);
		json_number(&json, "rtol", options.rtol);
		json_number(&json, "atol", options.atol);
	}
	code = compare(sides, &options, options.json ? &json : NULL);
	if (options.json && json_finish(&json, options.json))
		code = EXIT_USAGE;
out:
	free(sides);
	return code;
}
