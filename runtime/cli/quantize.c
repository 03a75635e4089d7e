/* SPDX-License-Identifier: MIT */
/* accel quantize: a float model to one of 8 bits, with what each layer loses. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "compiler/quantize_file.h"
#include "runtime/cli/json_file.h"
#include "runtime/cli/progress.h"
#include "runtime/cli/session_options.h"

static void print_db(double db)
{
	if (isinf(db))
		printf(" %9s", "-");
	else
		printf(" %9.1f", db);
}

static void print_layers(const struct quant_report *report)
{
	printf("%-32s %-18s %-5s %9s %9s\n", "layer", "operator", "in", "own dB", "dB");
	for (size_t i = 0; i < report->num_layers; i++) {
		const struct quant_layer *layer = &report->layers[i];

		printf("%-32.32s %-18.18s %-5s", layer->name, layer->op_type, layer->integer ? "int8" : "float");
		print_db(layer->own_db);
		print_db(layer->db);
		printf("%s%s\n", *layer->reason ? "  " : "", layer->reason);
	}
}

static void print_summary(const struct options *options, const struct quantize_result *result)
{
	const struct quant_report *report = &result->report;

	printf("%s: %zu of %zu layers in int8, %zu kept float for the target, %zu pairs equalized; %s on %zu samples\n",
	       options->model, report->integer, report->num_layers, report->kept_float, report->equalized,
	       options->method ? options->method : quant_methods[0], report->num_samples);
	printf("outputs: loss %.4g (%.1f dB)", report->loss, report->db);
	if (report->agreement >= 0)
		printf(", the largest element is the same in %.2f %% of the samples", 100 * report->agreement);
	printf("\n");
	if (result->fixed)
		printf("the model computes with sizes that have a name: the output has those of the samples\n");
}

static int write_json(const struct options *options, const struct quantize_result *result)
{
	const struct quant_report *report = &result->report;
	struct json json;

	if (json_open(&json, options->json))
		return EXIT_USAGE;
	json_text(&json, "model", options->model);
	json_text(&json, "method", options->method ? options->method : quant_methods[0]);
	json_unsigned(&json, "samples", report->num_samples);
	json_number(&json, "loss", report->loss);
	json_number(&json, "db", report->db);
	if (report->agreement >= 0)
		json_number(&json, "agreement", report->agreement);
	json_unsigned(&json, "integer", report->integer);
	json_unsigned(&json, "kept_float", report->kept_float);
	json_unsigned(&json, "equalized", report->equalized);
	json_bool(&json, "fixed", result->fixed);
	json_array(&json, "layers");
	for (size_t i = 0; i < report->num_layers; i++) {
		const struct quant_layer *layer = &report->layers[i];

		json_object(&json, NULL);
		json_text(&json, "name", layer->name);
		json_text(&json, "operator", layer->op_type);
		json_bool(&json, "integer", layer->integer);
		json_text(&json, "reason", layer->reason);
		json_number(&json, "own_db", layer->own_db);
		json_number(&json, "db", layer->db);
		json_close(&json);
	}
	json_close(&json);
	return json_finish(&json, options->json) ? EXIT_USAGE : EXIT_GOOD;
}

static int read_request(const struct options *options, struct session_setup *setup, struct quantize_request *request)
{
	int method = options->method ? quant_method_find(options->method) : QUANT_MINMAX;

	if (session_setup(options, setup))
		return EXIT_USAGE;
	if (method < 0)
		return complain(EXIT_USAGE, "--method: '%s' is not minmax, percentile, entropy or mse",
				options->method);
	if (!options->calibration)
		return complain(EXIT_USAGE, "quantize: --calibration DIR is missing: what the model is made for");
	if (strcmp(options->activations, "uint8") && strcmp(options->activations, "int8"))
		return complain(EXIT_USAGE, "--activations: '%s' is not uint8 or int8", options->activations);
	*request = (struct quantize_request){
		.calibration = options->calibration,
		.num_dims = setup->compile.num_dims,
		.dims = setup->compile.dims,
		.output = options->output,
		.quant = {.method = (enum quant_method)method,
			  .is_signed = !strcmp(options->activations, "int8"),
			  .plain = options->plain,
			  .target_loss = options->target_loss},
	};
	return EXIT_GOOD;
}

int command_quantize(int argc, char **argv)
{
	struct quantize_request request;
	struct quantize_result result;
	struct session_setup setup;
	struct options options;
	struct progress *progress;
	char error[512] = "";
	int code, err;

	if (options_parse(
		    argc, argv, "quantize",
		    "Quantize a float model to 8-bit integers and write it as standard ONNX with QuantizeLinear and\n"
		    "DequantizeLinear nodes. Prints for each layer the ratio of signal to noise, by itself and with "
		    "all\n"
		    "before it, against the float model on the samples.",
		    "cMTBEmojq", &options))
		return EXIT_USAGE;
	if (options.help)
		return EXIT_GOOD;
	code = read_request(&options, &setup, &request);
	if (code)
		return code;
	progress = progress_of(&options, "quantizing");
	request.quant.share = (struct work_share){progress_share, progress, 0, 1};
	err = quantize_file(options.model, &request, &result, error, sizeof(error));
	progress_stop(progress);
	if (err)
		code = complain(exit_code(err), "%s", error);
	else if (!options.quiet) {
		print_layers(&result.report);
		print_summary(&options, &result);
	}
	if (!code && options.json)
		code = write_json(&options, &result);
	quantize_result_finish(&result);
	return code;
}
