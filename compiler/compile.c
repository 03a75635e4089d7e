/* SPDX-License-Identifier: MIT */
/* The stages in order; see compiler.h. */
#include "compiler/compiler.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "compiler/assemble.h"
#include "compiler/fuse/fuse.h"
#include "compiler/graph/passes.h"
#include "compiler/onnx/import.h"
#include "compiler/onnx/schema/schema.h"
#include "compiler/partition/partition.h"
#include "compiler/pass.h"
#include "compiler/quant/quantize.h"
#include "compiler/quant/wide.h"
#include "compiler/region.h"
#include "compiler/work_share.h"

/* How often a placement is chosen again because compiled code takes another time than was expected. */
#define PLACEMENT_ROUNDS 3
#define MAX_REFUSALS 256
#define CALIBRATION_SAMPLES 2

const char *const compile_stages[] = {"import", "graph",    "quantize", "fuse", "partition",
				      "lower",  "schedule", "emit",     NULL};

/*
 * One compilation.
 * @images: by region, of the device regions
 * @share:  of the stage that runs; @builds: how often regions were compiled in it
 * @known:  device cycles of nodes plus one, by value (struct partition_options)
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
	uint64_t *known;
	struct partition partition;      /* but for @device, which is gone */
	struct assembly_symbol *symbols; /* symbolic dimensions of the inputs and outputs */
	size_t num_symbols;
	uint32_t disabled; /* passes */
	struct quant_wide wide;
	struct work_share share;
	unsigned int builds;
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

/* ---- import, graph, fuse ---- */

static int check_graph(struct compilation *c, const char *stage)
{
	char text[256];
	int err = graph_validate(c->graph, text, sizeof(text));

	return err ? fail(c, err, "compiler error after %s: %s", stage, text) : 0;
}

/* Which of @dims, of input or output @index, have a name, before they get a size. */
static int note_dims(struct compilation *c, int rank, const int64_t *dims, bool output, size_t index)
{
	for (int d = 0; d < rank; d++) {
		struct assembly_symbol *grown;

		if (dims[d] >= GRAPH_DIM_UNKNOWN)
			continue;
		grown = realloc(c->symbols, (c->num_symbols + 1) * sizeof(*grown));
		if (!grown)
			return fail(c, -ENOMEM, "out of memory");
		c->symbols = grown;
		c->symbols[c->num_symbols++] =
			(struct assembly_symbol){output, index, d, c->graph->symbols[-2 - dims[d]]};
	}
	return 0;
}

static int note_symbols(struct compilation *c)
{
	const struct graph *graph = c->graph;
	int err = 0;

	for (size_t i = 0; i < graph->num_inputs && !err; i++)
		err = note_dims(c, graph->inputs[i]->rank, graph->inputs[i]->dims, false, i);
	for (size_t i = 0; graph->stated && i < graph->num_outputs && !err; i++)
		err = note_dims(c, graph->stated[i].rank, graph->stated[i].dims, true, i);
	return err;
}

static int run_graph(struct compilation *c)
{
	int err = note_symbols(c);

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

/* In bodies, too: their nodes run on the CPU, which knows the fused operators. */
static int fuse_graph(struct compilation *c, struct graph *graph)
{
	int err = 0;

	for (const struct fuse_pass *pass = fuse_passes; pass->name; pass++)
		if (pass_runs(c->disabled, pass->pass) && pass->run(graph))
			return fail(c, -ENOMEM, "fusion %s: out of memory", pass->name);
	for (size_t n = 0; n < graph->num_nodes; n++)
		for (size_t i = 0; i < graph->nodes[n]->num_attrs && !err; i++)
			if (graph_node_body(graph->nodes[n], i))
				err = fuse_graph(c, graph_node_body(graph->nodes[n], i));
	return err;
}

static int run_fuse(struct compilation *c)
{
	int err = fuse_graph(c, c->graph);

	if (err)
		return err;
	if (graph_simplify(c->graph))
		return fail(c, -ENOMEM, "out of memory");
	return check_graph(c, "fuse");
}

/* Of inputs of fixed shape only: what a sequence may hold, nobody says. */
static int make_samples(struct compilation *c, size_t count, struct quant_sample **samples)
{
	char type[256];
	int err;

	for (size_t i = 0; i < c->graph->num_inputs; i++) {
		const struct graph_value *value = c->graph->inputs[i];

		if (!value->dtype || !graph_value_is_static(value))
			return fail(c, -ENOTSUP,
				    "int8: no samples can be made for input %s, %s; give some, or another precision",
				    value->name, graph_value_type(c->graph, value, type, sizeof(type)));
	}
	err = quant_make_samples(c->graph, c->options->seed, count, samples);
	return err ? fail(c, err, "int8: samples can not be made: %s", strerror(-err)) : 0;
}

/* Of a float model; one that came quantized says itself what it computes in integers. */
static int run_quantize(struct compilation *c)
{
	struct quant_options options = {0};
	struct quant_sample *samples = NULL;
	size_t count = CALIBRATION_SAMPLES;
	int method = c->options->method ? quant_method_find(c->options->method) : QUANT_MINMAX;
	int err;

	if (method < 0)
		return fail(c, -EINVAL, "no calibration method '%s'", c->options->method);
	if (quant_find_quantized(c->graph))
		return 0;
	options.method = (enum quant_method)method;
	options.own_ranges = !pass_runs(c->disabled, PASS_CONCAT_SCALES);
	options.share = c->share;
	/* The patterns of transformers are of float operators: first. */
	if (fuse_run_early(c->graph, FUSE_CHANNELS | FUSE_FLOATS, c->disabled) || graph_simplify(c->graph))
		return fail(c, -ENOMEM, "out of memory");
	if (c->options->calibration)
		err = quant_load_samples(c->graph, c->options->calibration, &samples, &count, c->error, c->error_size);
	else
		err = make_samples(c, count, &samples);
	if (!err)
		err = quant_graph(c->graph, samples, count, &options, NULL, &c->wide, c->error, c->error_size);
	quant_samples_free(samples, count, c->graph->num_inputs);
	if (!err && graph_simplify(c->graph))
		err = fail(c, -ENOMEM, "out of memory");
	return err ? err : check_graph(c, "quantize");
}

/* Which layers the samples drive beyond binary16. */
static int run_ranges(struct compilation *c)
{
	struct quant_sample *samples = NULL;
	struct quant_stats *stats = NULL;
	size_t count = 0;
	int err = quant_load_samples(c->graph, c->options->calibration, &samples, &count, c->error, c->error_size);

	if (!err)
		err = quant_calibrate(c->graph, samples, count, QUANT_MINMAX, &c->share, &stats, c->error,
				      c->error_size);
	if (!err) {
		quant_find_wide(c->graph, stats, NULL, &c->wide);
		quant_stats_free(stats, c->graph->num_values);
	}
	quant_samples_free(samples, count, c->graph->num_inputs);
	return err;
}

/*
 * How the device holds floats: of int8 the parts that stay float. Samples that were made up decide nothing, those that were given
 * do.
 */
static enum lower_precision float_precision(const struct compilation *c)
{
	static const enum lower_precision held[] = {LOWER_F32, LOWER_F16, LOWER_BF16, LOWER_F16};
	bool int8 = c->options->precision == COMPILE_INT8;

	return int8 && c->wide.count && c->options->calibration ? LOWER_BF16 : held[c->options->precision];
}

static void note_opset(const struct compilation *c, struct compile_notes *notes)
{
	for (size_t i = 0; i < c->graph->num_opsets; i++) {
		const char *domain = c->graph->opsets[i].domain;
		int newest = schema_newest(domain), version = c->graph->opsets[i].version;

		if (newest && version > newest)
			snprintf(notes->opset, sizeof(notes->opset),
				 "opset %d of %s is imported; its operators are taken as in opset %d, the newest that "
				 "is known",
				 version, *domain ? domain : "ai.onnx", newest);
	}
}

static void note_precision(const struct compilation *c, struct compile_notes *notes)
{
	char text[200];

	if (!c->wide.count || !c->target)
		return;
	quant_wide_text(&c->wide, text, sizeof(text));
	snprintf(notes->precision, sizeof(notes->precision), "%s: %s", text,
		 float_precision(c) == LOWER_BF16        ? "the float parts are in bf16"
		 : c->options->precision == COMPILE_INT8 ? "give --calibration, or use bf16"
							 : "use bf16");
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
	const struct work_share all = work_share_next(&c->share, c->builds++, 0.8);
	double nodes = (double)c->graph->num_nodes;

	for (int r = 0; r < c->num_regions; r++) {
		struct region_build build = {
			.target = c->target, .precision = float_precision(c), .disabled = c->disabled};
		int err;

		if (!c->regions[r].device)
			continue;
		build.share = work_share_part(&all, (double)c->regions[r].first / nodes,
					      (double)(c->regions[r].first + c->regions[r].count) / nodes);
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

/* Where the nodes go, by what is known of them; @all: to the device, if it can do them. */
static int place_nodes(struct compilation *c, bool all)
{
	struct partition_options options = {
		.target = c->target,
		.precision = float_precision(c),
		.threads = c->options->threads,
		.all = all,
		.known = c->known,
		.num_known = c->graph->num_values,
	};
	int err;

	free(c->partition.device);
	err = partition_graph(c->graph, &options, c->refusals, c->num_refusals, &c->partition);
	return err ? fail(c, err, "partition: %s", strerror(-err)) : 0;
}

static int make_regions(struct compilation *c)
{
	int err;

	drop_regions(c);
	c->num_regions = c->partition.num_regions;
	err = regions_find(c->graph, c->num_regions, c->partition.device, &c->regions);
	c->images = calloc((size_t)c->num_regions + 1, sizeof(*c->images));
	if (err || !c->images)
		return fail(c, -ENOMEM, "out of memory");
	return compile_regions(c);
}

/* What the nodes take in the code that was made. Nodes that left the device keep what they took there. */
static void learn_cycles(struct compilation *c)
{
	for (int r = 0; r < c->num_regions; r++)
		for (size_t n = 0; n < c->regions[r].count && c->regions[r].device; n++) {
			const struct graph_node *node = c->graph->nodes[c->regions[r].first + n];

			if (node->num_outputs && node->outputs[0])
				c->known[node->outputs[0]->id] = c->images[r].node_cycles[n] + 1;
		}
}

/*
 * Compiled code says better than the lowerings expect what its nodes take. So all that the device can do is compiled for it first; then the
 * choice is made by the cycles of that code, and as long as it changes, again by those of the code that it led to, a few times.
 */
static int run_partition(struct compilation *c)
{
	bool all = !pass_runs(c->disabled, PASS_PLACEMENT);
	int rounds = 0, err;

	c->known = calloc(c->graph->num_values + 1, sizeof(*c->known));
	if (!c->known)
		return fail(c, -ENOMEM, "out of memory");
	do {
		err = place_nodes(c, all || !rounds);
		if (err || !c->partition.changed)
			return err;
		err = make_regions(c);
		if (!err) {
			learn_cycles(c);
			rounds++;
		}
	} while (err == 1 || (!err && rounds < PLACEMENT_ROUNDS));
	return err;
}

/* ---- package ---- */

static int run_package(struct compilation *c, struct compile_result *result)
{
	struct assembly assembly = {
		.graph = c->graph,
		.target = c->target,
		.precision = (uint32_t)c->options->precision,
		.regions = c->regions,
		.num_regions = c->num_regions,
		.images = c->images,
		.symbols = c->symbols,
		.num_symbols = c->num_symbols,
	};
	int err = assemble_package(&assembly, result);

	return err ? fail(c, err, "out of memory for the package") : 0;
}

/* ---- the whole ---- */

/* Where stages begin, for who watches: import and graph before, the package behind them. */
static const double share_quantize = 0.1, share_partition_float = 0.1, share_partition_int8 = 0.4, share_package = 0.98;

/* The stage that begins goes from @from to @to of the whole. */
static void begin_share(struct compilation *c, double from, double to)
{
	const struct work_share all = {c->options->progress, c->options->progress_context, 0, 1};

	c->share = work_share_part(&all, from, to);
	work_share_done(&c->share, 0);
}

static int run_stages(struct compilation *c, const char *path, struct compile_result *result)
{
	bool samples = c->options->precision == COMPILE_INT8 ||
		       (c->options->precision == COMPILE_F16 && c->options->calibration);
	double partition = samples ? share_partition_int8 : share_partition_float;
	int err;

	begin_share(c, 0, share_quantize);
	err = onnx_import_file(path, &c->graph, c->error, c->error_size);
	if (err)
		return err;
	print_stage(c, "import");
	err = run_graph(c);
	if (err)
		return err;
	print_stage(c, "graph");
	begin_share(c, share_quantize, partition);
	if (c->options->precision == COMPILE_INT8)
		err = run_quantize(c);
	else if (c->options->precision == COMPILE_F16 && c->options->calibration)
		err = run_ranges(c);
	if (err)
		return err;
	print_stage(c, "quantize");
	begin_share(c, partition, share_package);
	err = run_fuse(c);
	if (err)
		return err;
	print_stage(c, "fuse");
	err = run_partition(c);
	if (err)
		return err;
	print_stage(c, "partition");
	result->ns = partition_cost_ns(&c->partition.chosen);
	result->ns_cpu = partition_cost_ns(&c->partition.cpu_only);
	result->ns_device = partition_cost_ns(&c->partition.all_able);
	begin_share(c, share_package, 1);
	err = run_package(c, result);
	if (!err)
		work_share_done(&c->share, 1);
	return err;
}

int compile_file(const char *path, const struct compile_options *options, struct compile_result *result, char *error,
		 size_t error_size)
{
	const char *name = options->target ? options->target : "axl-edge";
	struct compilation c = {.options = options, .error = error, .error_size = error_size};
	struct timespec start, end;
	char reason[512] = "";
	const char *bad;
	size_t length;
	int err;

	memset(result, 0, sizeof(*result));
	if (strcmp(name, "cpu")) {
		c.target = target_find(name);
		if (!c.target)
			return fail(&c, -EINVAL, "no target '%s'", name);
	}
	if (compile_pass_set(options->disable, &c.disabled, &bad, &length))
		return fail(&c, -EINVAL, "no pass '%.*s' to disable", (int)length, bad);
	c.error = reason;
	c.error_size = sizeof(reason);
	clock_gettime(CLOCK_MONOTONIC, &start);
	err = run_stages(&c, path, result);
	clock_gettime(CLOCK_MONOTONIC, &end);
	if (!err) {
		note_opset(&c, &result->notes);
		note_precision(&c, &result->notes);
	}
	result->seconds = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
	drop_regions(&c);
	free(c.partition.device);
	free(c.known);
	free(c.symbols);
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
