/* SPDX-License-Identifier: MIT */
/* The stages in order; see compiler.h. */
#include "compiler/compiler.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "compiler/fuse/fuse.h"
#include "compiler/graph/passes.h"
#include "compiler/onnx/import.h"
#include "compiler/package/axm.h"
#include "compiler/partition/partition.h"
#include "compiler/quant/quantize.h"
#include "compiler/region.h"

/* A device region below this many cycles is not worth its transfers (unless it is the only one). */
#define MIN_REGION_CYCLES 2000
#define MAX_REFUSALS 256
#define CALIBRATION_SAMPLES 2

const char *const compile_stages[] = {"import", "graph",    "fuse", "quantize", "partition",
				      "lower",  "schedule", "emit", NULL};

/*
 * One compilation.
 * @images: by region, of the device regions
 */
struct compilation {
	const struct compile_options *options;
	struct graph *graph;
	const struct target *target;
	struct partition_refusal refusals[MAX_REFUSALS];
	size_t num_refusals;
	struct region *regions;
	int num_regions;
	struct program_image *images;
	char *error;
	size_t error_size;
};

static int __attribute__((format(printf, 3, 4))) fail(struct compilation *c, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(c->error, c->error_size, format, args);
	va_end(args);
	return err;
}

static FILE *print_to(const struct compilation *c, const char *stage)
{
	return c->options->print && c->options->print_after && !strcmp(c->options->print_after, stage)
		       ? c->options->print
		       : NULL;
}

static void print_stage(const struct compilation *c, const char *stage)
{
	if (print_to(c, stage))
		graph_print(c->graph, print_to(c, stage));
}

static bool disabled(const struct compilation *c, const char *pass)
{
	for (size_t i = 0; c->options->disable && c->options->disable[i]; i++)
		if (!strcmp(c->options->disable[i], pass))
			return true;
	return false;
}

/* ---- import, graph, fuse ---- */

static int check_graph(struct compilation *c, const char *stage)
{
	char text[256];
	int err = graph_validate(c->graph, text, sizeof(text));

	return err ? fail(c, err, "compiler error after %s: %s", stage, text) : 0;
}

/* What is imported and can not run: bodies of branches and loops. */
static int refuse_control_flow(struct compilation *c)
{
	for (size_t n = 0; n < c->graph->num_nodes; n++)
		for (size_t i = 0; i < c->graph->nodes[n]->num_attrs; i++)
			if (c->graph->nodes[n]->attrs[i].type == ATTR_GRAPH)
				return fail(c, -ENOTSUP, "node %s (%s): control flow does not run yet",
					    c->graph->nodes[n]->name, c->graph->nodes[n]->op_type);
	return 0;
}

static int run_graph(struct compilation *c)
{
	int err = refuse_control_flow(c);

	if (err)
		return err;
	for (size_t i = 0; i < c->options->num_dims; i++)
		if (graph_bind_symbol(c->graph, c->options->dims[i].name, c->options->dims[i].size))
			return fail(c, -EINVAL, "the model has no dimension '%s'", c->options->dims[i].name);
	graph_bind_rest(c->graph, 1);
	err = graph_infer(c->graph, 0, c->error, c->error_size);
	if (!err && graph_simplify(c->graph))
		err = fail(c, -ENOMEM, "out of memory");
	return err ? err : check_graph(c, "graph");
}

static int run_fuse(struct compilation *c)
{
	for (const struct fuse_pass *pass = fuse_passes; pass->name; pass++)
		if (!disabled(c, pass->name) && pass->run(c->graph))
			return fail(c, -ENOMEM, "fusion %s: out of memory", pass->name);
	if (graph_simplify(c->graph))
		return fail(c, -ENOMEM, "out of memory");
	return check_graph(c, "fuse");
}

static int run_quantize(struct compilation *c)
{
	struct quant_sample *samples = NULL;
	size_t count = CALIBRATION_SAMPLES;
	int err = quant_split_residuals(c->graph);

	if (c->options->calibration)
		err = quant_load_samples(c->graph, c->options->calibration, &samples, &count, c->error, c->error_size);
	else if (!err)
		err = quant_make_samples(c->graph, c->options->seed, count, &samples);
	if (!err) {
		err = quant_calibrate(c->graph, samples, count, c->error, c->error_size);
		quant_samples_free(samples, count, c->graph->num_inputs);
	}
	if (!err)
		err = quant_rewrite(c->graph, c->error, c->error_size);
	if (!err && graph_simplify(c->graph))
		err = fail(c, -ENOMEM, "out of memory");
	return err ? err : check_graph(c, "quantize");
}

/* ---- partition and code ---- */

static int refuse_node(struct compilation *c, const struct graph_node *node, const char *reason)
{
	struct partition_refusal *refusal = &c->refusals[c->num_refusals];

	if (c->num_refusals == MAX_REFUSALS)
		return fail(c, -ENOTSUP, "more than %d nodes were refused while lowering; the last: %s", MAX_REFUSALS,
			    reason);
	refusal->output = node->outputs[0]->name;
	refusal->reason = graph_intern(c->graph, reason);
	if (!refusal->reason)
		return fail(c, -ENOMEM, "out of memory");
	c->num_refusals++;
	return 0;
}

static void drop_regions(struct compilation *c)
{
	for (int r = 0; c->images && r < c->num_regions; r++)
		program_image_finish(&c->images[r]);
	free(c->images);
	regions_finish(c->regions, c->num_regions);
	c->images = NULL;
	c->regions = NULL;
	c->num_regions = 0;
}

/* A node that can not be lowered after all moves to the CPU; everything is partitioned again. 1: again. */
static int compile_regions(struct compilation *c)
{
	static const enum lower_precision held[] = {LOWER_F32, LOWER_F16, LOWER_BF16, LOWER_F16};

	for (int r = 0; r < c->num_regions; r++) {
		struct region_build build = {.target = c->target, .precision = held[c->options->precision]};
		int err;

		if (!c->regions[r].device)
			continue;
		build.print_lowered = print_to(c, "lower");
		build.print_scheduled = print_to(c, "schedule");
		err = region_compile(c->graph, &c->regions[r], &build);
		if (err && build.failed)
			return refuse_node(c, build.failed, build.error) ? -ENOTSUP : 1;
		if (err)
			return fail(c, err, "region %d: %s", r, build.error);
		c->images[r] = build.image;
	}
	return 0;
}

static int run_partition(struct compilation *c)
{
	static const enum lower_precision held[] = {LOWER_F32, LOWER_F16, LOWER_BF16, LOWER_F16};
	struct partition_options options = {
		.target = c->target, .precision = held[c->options->precision], .min_cycles = MIN_REGION_CYCLES};
	int err;

	do {
		bool *device = NULL;

		drop_regions(c);
		err = partition_graph(c->graph, &options, c->refusals, c->num_refusals, &c->num_regions, &device);
		if (!err)
			err = regions_find(c->graph, c->num_regions, device, &c->regions);
		free(device);
		if (err)
			return fail(c, err, "partition: %s", strerror(-err));
		c->images = calloc((size_t)c->num_regions + 1, sizeof(*c->images));
		if (!c->images)
			return fail(c, -ENOMEM, "out of memory");
		err = compile_regions(c);
	} while (err == 1);
	return err;
}

/* ---- package ---- */

/* Ids in the package: values that the CPU reads or writes, or that pass between regions. */
static bool value_in_package(const struct compilation *c, const struct graph_value *value)
{
	if (value->is_input || value->is_output)
		return true;
	if (value->producer && !c->regions[value->producer->region].device)
		return true;
	for (size_t i = 0; i < value->num_uses; i++) {
		int region = value->uses[i]->region;

		if (!c->regions[region].device || (value->producer && value->producer->region != region))
			return true;
	}
	return false;
}

static uint32_t add_tensor_value(struct axm_builder *builder, const char *name, const struct tensor *tensor)
{
	struct axm_value entry = {.name = axm_add_string(builder, name),
				  .dtype = tensor->dtype,
				  .rank = (uint32_t)tensor->rank,
				  .flags = AXM_VALUE_CONSTANT};

	memcpy(entry.dims, tensor->dims, sizeof(entry.dims));
	entry.size = tensor_bytes(tensor);
	entry.data = axm_borrow_data(builder, tensor->data, entry.size);
	return axm_add_value(builder, &entry);
}

static void add_values(struct compilation *c, struct axm_builder *builder)
{
	for (size_t i = 0; i < c->graph->num_values; i++) {
		struct graph_value *value = c->graph->values[i];
		struct axm_value entry = {.name = axm_add_string(builder, value->name), .dtype = value->dtype};

		value->data = AXM_NO_ID;
		if (!value_in_package(c, value))
			continue;
		if (value->constant) {
			value->data = add_tensor_value(builder, value->name, value->constant);
			continue;
		}
		entry.rank = value->rank < 0 ? 0 : (uint32_t)value->rank;
		for (int d = 0; d < value->rank; d++)
			entry.dims[d] = value->dims[d] < 0 ? -1 : value->dims[d];
		entry.flags = (value->is_input ? AXM_VALUE_INPUT : 0) | (value->is_output ? AXM_VALUE_OUTPUT : 0);
		value->data = axm_add_value(builder, &entry);
	}
}

static uint32_t id_of(const struct graph_value *value)
{
	return value ? (uint32_t)value->data : AXM_NO_ID;
}

/* The ids of @count values; those that are no part of the package are left as omitted. */
static uint32_t add_ids(struct axm_builder *builder, struct graph_value *const *values, size_t count)
{
	uint32_t first = AXM_NO_ID;

	for (size_t i = 0; i < count; i++) {
		uint32_t id = id_of(values[i]), at = axm_add_ids(builder, &id, 1);

		first = i ? first : at;
	}
	return count ? first : 0;
}

static uint32_t add_attrs(struct axm_builder *builder, const struct graph_node *node, uint32_t *count)
{
	uint32_t first = 0;

	*count = 0;
	for (size_t i = 0; i < node->num_attrs; i++) {
		const struct attr *attr = &node->attrs[i];
		struct axm_attr entry = {.name = axm_add_string(builder, attr->name),
					 .type = attr->type,
					 .i = attr->i,
					 .f = attr->f,
					 .count = (uint32_t)attr->count};
		uint32_t at;

		switch (attr->type) {
		case ATTR_STRING:
			entry.count = (uint32_t)attr->s.size;
			entry.data = axm_add_data(builder, attr->s.data, attr->s.size);
			break;
		case ATTR_INTS:
			entry.data = axm_add_data(builder, attr->ints, attr->count * sizeof(int64_t));
			break;
		case ATTR_FLOATS:
			entry.data = axm_add_data(builder, attr->floats, attr->count * sizeof(float));
			break;
		case ATTR_TENSOR:
			entry.i = add_tensor_value(builder, attr->name, attr->tensor);
			break;
		default:
			break;
		}
		at = axm_add_attr(builder, &entry);
		first = *count ? first : at;
		(*count)++;
	}
	return first;
}

static void add_nodes(struct compilation *c, struct axm_builder *builder, struct compile_result *result)
{
	for (size_t n = 0; n < c->graph->num_nodes; n++) {
		const struct graph_node *node = c->graph->nodes[n];
		const struct lower_op *op = lower_find(node);
		bool device = c->regions[node->region].device;
		struct axm_node entry = {
			.name = axm_add_string(builder, node->name),
			.op_type = axm_add_string(builder, node->op_type),
			.domain = axm_add_string(builder, node->domain),
			.origin = axm_add_string(builder, node->origin),
			.reason = axm_add_string(builder, device ? "" : node->reason),
			.opset = (uint32_t)node->opset,
			.region = (uint32_t)node->region,
			.num_inputs = (uint32_t)node->num_inputs,
			.num_outputs = (uint32_t)node->num_outputs,
			.macs = graph_node_macs(node),
		};

		entry.inputs_first = add_ids(builder, node->inputs, node->num_inputs);
		entry.outputs_first = add_ids(builder, node->outputs, node->num_outputs);
		if (!device)
			entry.attrs_first = add_attrs(builder, node, &entry.num_attrs);
		if (device && op && op->cycles)
			entry.cycles = op->cycles(node, c->target,
						  c->options->precision == COMPILE_F32 ? LOWER_F32 : LOWER_F16);
		axm_add_node(builder, &entry);
		result->nodes++;
		result->cpu_nodes += !device;
		result->macs += entry.macs;
		result->macs_npu += device ? entry.macs : 0;
	}
}

static void add_regions(struct compilation *c, struct axm_builder *builder)
{
	for (int r = 0; r < c->num_regions; r++) {
		const struct region *region = &c->regions[r];
		const struct program_image *image = &c->images[r];
		struct axm_region entry = {.device = region->device,
					   .first_node = (uint32_t)region->first,
					   .num_nodes = (uint32_t)region->count,
					   .num_inputs = region->inputs.count,
					   .num_outputs = region->outputs.count};

		entry.inputs_first = add_ids(builder, region->inputs.values, region->inputs.count);
		entry.outputs_first = add_ids(builder, region->outputs.values, region->outputs.count);
		if (region->device) {
			entry.code = axm_borrow_data(builder, image->code, image->code_bytes);
			entry.code_bytes = image->code_bytes;
			entry.weights = axm_borrow_data(builder, image->weights, image->weight_bytes);
			entry.weight_bytes = image->weight_bytes;
			entry.arena_bytes = image->arena_bytes;
			for (size_t n = region->first; n < region->first + region->count; n++) {
				const struct lower_op *op = lower_find(c->graph->nodes[n]);

				if (op && op->cycles)
					entry.cycles += op->cycles(c->graph->nodes[n], c->target,
								   c->options->precision == COMPILE_F32 ? LOWER_F32
													: LOWER_F16);
			}
		}
		axm_add_region(builder, &entry);
	}
}

/* Weights that are in the device's image are not needed as tensors any more: let go of them before the file is put
 * together. */
static void drop_constants(struct compilation *c)
{
	for (size_t i = 0; i < c->graph->num_values; i++) {
		struct graph_value *value = c->graph->values[i];

		if (value->constant && (uint32_t)value->data == AXM_NO_ID)
			tensor_finish(value->constant);
	}
}

static int run_package(struct compilation *c, struct compile_result *result)
{
	struct axm_builder *builder;
	struct axm_model model = {.precision = (uint32_t)c->options->precision,
				  .num_inputs = (uint32_t)c->graph->num_inputs,
				  .num_outputs = (uint32_t)c->graph->num_outputs};
	int err = axm_builder_create(&builder);

	if (err)
		return fail(c, err, "out of memory");
	add_values(c, builder);
	model.name = axm_add_string(builder, c->graph->name);
	model.inputs_first = add_ids(builder, c->graph->inputs, c->graph->num_inputs);
	model.outputs_first = add_ids(builder, c->graph->outputs, c->graph->num_outputs);
	if (c->target) {
		model.target_name = axm_add_string(builder, c->target->name);
		model.tiles = c->target->tiles;
		model.spad_bytes = c->target->spad_bytes;
		model.acc_bytes = c->target->acc_bytes;
		model.spad_banks = c->target->spad_banks;
		model.clock_khz = c->target->clock_khz;
		model.mem_bytes = c->target->mem_bytes;
		model.dram_rate = c->target->dram_rate;
		model.dram_latency = c->target->dram_latency;
		model.host_rate = c->target->host_rate;
		model.host_latency = c->target->host_latency;
	}
	axm_set_model(builder, &model);
	add_nodes(c, builder, result);
	add_regions(c, builder);
	drop_constants(c);
	err = axm_builder_finish(builder, &result->bytes, &result->size);
	axm_builder_destroy(builder);
	return err ? fail(c, err, "out of memory for the package") : 0;
}

/* ---- the whole ---- */

static int run_stages(struct compilation *c, const char *path, struct compile_result *result)
{
	int err = onnx_import_file(path, &c->graph, c->error, c->error_size);

	if (err)
		return err;
	print_stage(c, "import");
	err = run_graph(c);
	if (err)
		return err;
	print_stage(c, "graph");
	err = run_fuse(c);
	if (err)
		return err;
	print_stage(c, "fuse");
	if (c->options->precision == COMPILE_INT8) {
		err = run_quantize(c);
		if (err)
			return err;
	}
	print_stage(c, "quantize");
	err = run_partition(c);
	if (err)
		return err;
	print_stage(c, "partition");
	return run_package(c, result);
}

int compile_file(const char *path, const struct compile_options *options, struct compile_result *result, char *error,
		 size_t error_size)
{
	const char *name = options->target ? options->target : "axl-edge";
	struct compilation c = {.options = options, .error = error, .error_size = error_size};
	struct timespec start, end;
	char reason[512] = "";
	int err;

	memset(result, 0, sizeof(*result));
	if (strcmp(name, "cpu")) {
		c.target = target_find(name);
		if (!c.target)
			return fail(&c, -EINVAL, "no target '%s'", name);
	}
	c.error = reason;
	c.error_size = sizeof(reason);
	clock_gettime(CLOCK_MONOTONIC, &start);
	err = run_stages(&c, path, result);
	clock_gettime(CLOCK_MONOTONIC, &end);
	result->seconds = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
	drop_regions(&c);
	graph_destroy(c.graph);
	if (err)
		snprintf(error, error_size, "%s%s%s", strncmp(reason, path, strlen(path)) ? path : "",
			 strncmp(reason, path, strlen(path)) ? ": " : "", reason);
	return err;
}

void compile_result_finish(struct compile_result *result)
{
	free(result->bytes);
	result->bytes = NULL;
}
