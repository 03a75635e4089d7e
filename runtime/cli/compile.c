/* SPDX-License-Identifier: MIT */
/* accel compile: ONNX to .axm; --explain says for each region, and each node on the CPU, why. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "runtime/cli/compile_report.h"
#include "runtime/cli/json_file.h"

static int write_package(const char *path, const struct compile_result *result)
{
	FILE *file = fopen(path, "wb");
	int failed;

	if (!file)
		return complain(EXIT_USAGE, "%s: %s", path, strerror(errno));
	failed = fwrite(result->bytes, 1, result->size, file) != result->size;
	failed |= fclose(file) != 0;
	if (failed) {
		remove(path); /* no half-written package */
		return complain(EXIT_USAGE, "%s: can not be written", path);
	}
	return EXIT_GOOD;
}

static void print_regions(const struct axm *axm)
{
	printf("%-6s %-4s %6s %14s %12s %12s %12s\n", "region", "on", "nodes", "estimate", "code", "weights", "arena");
	for (uint32_t r = 0; r < axm->num_regions; r++) {
		const struct axm_region *region = &axm->regions[r];

		if (region->device)
			printf("%-6u %-4s %6u %14" PRIu64 " %12" PRIu64 " %12" PRIu64 " %12" PRIu64 "\n", r, "NPU",
			       region->num_nodes, region->cycles, region->code_bytes, region->weight_bytes,
			       region->arena_bytes);
		else
			printf("%-6u %-4s %6u\n", r, "CPU", region->num_nodes);
	}
}

/* Bytes that cross the border of a region. */
static uint64_t list_bytes(const struct axm *axm, uint32_t first, uint32_t count)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < count; i++)
		bytes += axm_value_bytes(&axm->values[axm->ids[first + i]]);
	return bytes;
}

/* On the device: what it costs there, and what brings it there and back. */
static void explain_device(const struct axm *axm, uint32_t r)
{
	const struct axm_region *region = &axm->regions[r];
	uint64_t in = list_bytes(axm, region->inputs_first, region->num_inputs);
	uint64_t out = list_bytes(axm, region->outputs_first, region->num_outputs);
	struct roofline total;
	enum roofline_bound bound;
	double least;

	roofline_of_nodes(axm, region->first_node, region->num_nodes, &total);
	least = roofline_cycles(&total, &bound);
	printf("region %u: NPU: the device has code for all of its %u nodes; %" PRIu64
	       " cycles by the estimate, %.1f %% of its roofline (%s)\n",
	       r, region->num_nodes, region->cycles, region->cycles ? 100 * least / (double)region->cycles : 0,
	       roofline_bound_name(bound));
	printf("          %" PRIu64 " bytes in and %" PRIu64 " out between CPU and device, %" PRIu64
	       " cycles at the rate of PCIe\n",
	       in, out, axm->model->host_rate ? (in + out) / axm->model->host_rate : 0);
	printf("          %s\n", axm_string(axm, axm->nodes[region->first_node].reason));
}

/* On the CPU: each reason once, with the nodes that have it. */
static void explain_cpu(const struct axm *axm, uint32_t r)
{
	const struct axm_region *region = &axm->regions[r];
	uint32_t end = region->first_node + region->num_nodes;

	printf("region %u: CPU: %u node%s\n", r, region->num_nodes, region->num_nodes == 1 ? "" : "s");
	for (uint32_t n = region->first_node; n < end; n++) {
		uint32_t reason = axm->nodes[n].reason, count = 0, first = n;

		for (uint32_t k = region->first_node; k < end; k++)
			if (axm->nodes[k].reason == reason) { /* equal strings share an offset */
				first = k < first ? k : first;
				count++;
			}
		if (first == n)
			printf("          %u: %s\n", count, axm_string(axm, reason));
	}
}

/* What a run is expected to take, and what it would with everything on one side. */
static void print_costs(const struct compile_result *result)
{
	printf("expected: %.1f us; all on the CPU %.1f us, all on the device that it can do %.1f us\n",
	       (double)result->ns / 1e3, (double)result->ns_cpu / 1e3, (double)result->ns_device / 1e3);
}

static void print_reasons(const struct axm *axm)
{
	for (uint32_t r = 0; r < axm->num_regions; r++) {
		if (axm->regions[r].device)
			explain_device(axm, r);
		else
			explain_cpu(axm, r);
	}
	for (uint32_t n = 0; n < axm->num_nodes; n++)
		if (!axm->regions[axm->nodes[n].region].device)
			printf("CPU: %s (%s): %s\n", axm_string(axm, axm->nodes[n].name),
			       axm_string(axm, axm->nodes[n].op_type), axm_string(axm, axm->nodes[n].reason));
}

static int write_json(const struct options *options, const struct package_input *input)
{
	const struct axm *axm = &input->axm;
	struct json json;

	if (json_open(&json, options->json))
		return EXIT_USAGE;
	json_text(&json, "model", options->model);
	json_text(&json, "target", axm_string(axm, axm->model->target_name));
	json_text(&json, "precision", options->precision);
	json_unsigned(&json, "package_bytes", axm->size);
	if (input->compiled.bytes) {
		json_number(&json, "seconds", input->compiled.seconds);
		json_unsigned(&json, "macs", input->compiled.macs);
		json_unsigned(&json, "macs_on_device", input->compiled.macs_npu);
		json_text(&json, "note", input->compiled.notes.precision);
		json_text(&json, "opset_note", input->compiled.notes.opset);
	}
	json_array(&json, "regions");
	for (uint32_t r = 0; r < axm->num_regions; r++) {
		const struct axm_region *region = &axm->regions[r];

		json_object(&json, NULL);
		json_text(&json, "on", region->device ? "npu" : "cpu");
		json_unsigned(&json, "nodes", region->num_nodes);
		json_unsigned(&json, "estimated_cycles", region->cycles);
		json_unsigned(&json, "code_bytes", region->code_bytes);
		json_unsigned(&json, "weight_bytes", region->weight_bytes);
		json_unsigned(&json, "arena_bytes", region->arena_bytes);
		json_close(&json);
	}
	json_close(&json);
	json_array(&json, "nodes");
	for (uint32_t n = 0; n < axm->num_nodes; n++) {
		json_object(&json, NULL);
		json_text(&json, "name", axm_string(axm, axm->nodes[n].name));
		json_text(&json, "op_type", axm_string(axm, axm->nodes[n].op_type));
		json_unsigned(&json, "region", axm->nodes[n].region);
		if (!axm->regions[axm->nodes[n].region].device)
			json_text(&json, "reason", axm_string(axm, axm->nodes[n].reason));
		json_close(&json);
	}
	json_close(&json);
	return json_finish(&json, options->json) ? EXIT_USAGE : EXIT_GOOD;
}

int command_compile(int argc, char **argv)
{
	struct package_input input;
	struct options options;
	int code;

	if (options_parse(argc, argv, "compile", "Compile an ONNX model to an .axm package.", "ptmcMszoAenGjq",
			  &options))
		return EXIT_USAGE;
	if (options.help)
		return EXIT_GOOD;
	code = package_input_open(&options, &input);
	if (code != EXIT_GOOD)
		return code;
	if (!options.quiet && !options.print_after) {
		printf("%s for %s in %s: %zu nodes, %zu on the CPU, %.2f s\n", options.model, options.target,
		       options.precision, input.compiled.nodes, input.compiled.cpu_nodes, input.compiled.seconds);
		print_regions(&input.axm);
	}
	if (options.explain && input.compiled.bytes)
		print_costs(&input.compiled);
	if (options.explain)
		print_reasons(&input.axm);
	if (options.output)
		code = input.compiled.bytes ? write_package(options.output, &input.compiled)
					    : complain(EXIT_USAGE, "%s: is compiled already", options.model);
	if (options.json && code == EXIT_GOOD)
		code = write_json(&options, &input);
	if (options.report && code == EXIT_GOOD)
		code = compile_report(&options, &input);
	package_input_close(&input);
	return code;
}
