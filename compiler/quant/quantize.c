/* SPDX-License-Identifier: MIT */
/* The parts in order; see quantize.h. */
#include "compiler/quant/quantize.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/quant/plan.h"
#include "compiler/quant/share.h"
#include "compiler/quant/wide.h"
#include "runtime/fail.h"

const char *const quant_methods[] = {[QUANT_MINMAX] = "minmax",
				     [QUANT_PERCENTILE] = "percentile",
				     [QUANT_ENTROPY] = "entropy",
				     [QUANT_MSE] = "mse",
				     NULL};

int quant_method_find(const char *name)
{
	for (int i = 0; quant_methods[i]; i++)
		if (!strcmp(quant_methods[i], name))
			return i;
	return -1;
}

const struct graph_node *quant_find_quantized(const struct graph *graph)
{
	static const char *const names[] = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear",
					    "ConvInteger",    "MatMulInteger",    "QGemm"};

	for (size_t n = 0; n < graph->num_nodes; n++) {
		const struct graph_node *node = graph->nodes[n];

		if (!strncmp(node->op_type, "QLinear", 7) || GRAPH_NODE_IS(node, names))
			return node;
	}
	return NULL;
}

/*
 * One quantization at work.
 * @done, @ahead: runs of the network on all samples so far, and how many there will be, or so
 * @before: statistics of the graph as it came, when channels have been scaled since; else NULL
 */
struct work {
	struct graph *graph;
	const struct quant_sample *samples;
	size_t count;
	const struct quant_options *options;
	struct quant_plan plan;
	struct quant_stats *stats, *before;
	size_t num_values; /* that the statistics are of */
	struct quant_loss loss;
	size_t equalized;
	double done, ahead;
	char *error;
	size_t error_size;
};

static double relative(double noise, double signal)
{
	return signal > 0 ? sqrt(noise / signal) : noise > 0 ? INFINITY : 0;
}

static double decibels(double signal, double noise)
{
	return noise > 0 ? 10 * log10(signal / noise) : INFINITY;
}

/* ---- how far it is ---- */

/* What a calibration and a measurement take, in runs of the network on all samples; those of a search for layers to keep float. */
#define CALIBRATE_RUNS(method) ((method) == QUANT_MINMAX ? 1.0 : 2.0)
#define MEASURE_RUNS 3.0
#define SEARCH_RUNS (16 * MEASURE_RUNS)

static double expected_runs(const struct quant_options *options, bool measures)
{
	double calibrations = options->plain ? 1 : 2, measurements = options->plain ? 1 : 3;

	return calibrations * CALIBRATE_RUNS(options->method) + (measures ? measurements * MEASURE_RUNS : 0) +
	       (measures && options->target_loss > 0 ? SEARCH_RUNS : 0);
}

/* The share of the next @runs. More than were expected have none. */
static struct work_share next_share(struct work *work, double runs)
{
	double from = work->done / work->ahead, to = (work->done + runs) / work->ahead;

	work->done += runs;
	return work_share_part(&work->options->share, from < 1 ? from : 1, to < 1 ? to : 1);
}

/* ---- calibration and measurement ---- */

static int calibrate(struct work *work, struct quant_stats **stats)
{
	struct work_share share = next_share(work, CALIBRATE_RUNS(work->options->method));
	int err = quant_calibrate(work->graph, work->samples, work->count, work->options->method, &share, stats,
				  work->error, work->error_size);

	return err || work->options->own_ranges ? err : quant_share_ranges(work->graph, *stats);
}

static int make_plan(struct work *work)
{
	int err = quant_plan_make(&work->plan, work->stats);

	return err ? fail(work->error, work->error_size, err, "out of memory") : 0;
}

static int measure(struct work *work)
{
	struct work_share share = next_share(work, MEASURE_RUNS);
	int err = make_plan(work);

	return err ? err
		   : quant_measure(&work->plan, work->samples, work->count, &share, &work->loss, work->error,
				   work->error_size);
}

/* Scale channels, and see again what the samples give. Ids of values stay; copies of weights are new ones. */
static int equalize(struct work *work)
{
	struct quant_stats *after;
	int err = quant_equalize(work->graph, work->stats, false, &work->equalized);

	if (err)
		return fail(work->error, work->error_size, err, "out of memory");
	if (!work->equalized)
		return 0;
	err = calibrate(work, &after);
	if (err)
		return err;
	work->before = work->stats;
	work->stats = after;
	return 0;
}

/* Measured with scaled channels; take that back when it is not better. */
static int choose_equalized(struct work *work)
{
	double scaled = relative(work->loss.noise, work->loss.signal);
	struct quant_stats *after = work->stats;
	size_t pairs;
	int err = quant_equalize(work->graph, work->before, true, &pairs);

	work->stats = work->before;
	if (!err)
		err = measure(work);
	if (!err && scaled < relative(work->loss.noise, work->loss.signal)) {
		err = quant_equalize(work->graph, work->before, false, &pairs);
		work->stats = after;
		if (!err)
			err = measure(work);
	} else {
		work->equalized = 0;
		work->before = after; /* to be freed */
	}
	return err;
}

/* ---- mixed precision ---- */

/* Layers whose effect is measured, and samples that it is measured on: a run of the network for each pair. */
#define MOST_RANKED 64
#define RANK_SAMPLES 8

static double loss_of(const struct work *work)
{
	return relative(work->loss.noise, work->loss.signal);
}

static int by_noise(const void *a, const void *b)
{
	const struct quant_node *x = *(struct quant_node *const *)a, *y = *(struct quant_node *const *)b;
	double p = relative(x->own_noise, x->own_signal), q = relative(y->own_noise, y->own_signal);

	return p != q ? (p < q) - (p > q) : (x > y) - (x < y);
}

static int by_effect(const void *a, const void *b)
{
	const struct quant_node *x = *(struct quant_node *const *)a, *y = *(struct quant_node *const *)b;

	return x->noise_without != y->noise_without
		       ? (x->noise_without > y->noise_without) - (x->noise_without < y->noise_without)
		       : (x > y) - (x < y);
}

/* The first @kept of @order stay float. */
static int measure_with(struct work *work, struct quant_node **order, size_t count, size_t kept)
{
	for (size_t i = 0; i < count; i++)
		order[i]->keep_float = i < kept;
	return measure(work);
}

/*
 * Order the layers by the noise of the outputs that is left when one alone stays float, least first: a layer's own noise says nothing of
 * what the network makes of it. @order comes sorted by that, the rest of it behind MOST_RANKED stays.
 */
static int rank(struct work *work, struct quant_node **order, size_t count)
{
	size_t ranked = count < MOST_RANKED ? count : MOST_RANKED, all = work->count;
	int err = 0;

	work->count = all < RANK_SAMPLES ? all : RANK_SAMPLES;
	for (size_t i = 0; i < ranked && !err; i++) {
		order[i]->keep_float = true;
		err = measure(work);
		order[i]->noise_without = work->loss.noise;
		order[i]->keep_float = false;
	}
	work->count = all;
	qsort(order, ranked, sizeof(*order), by_effect);
	return err;
}

/*
 * How few of the first of @order have to stay float, at most *@kept, which is left as it was when those do not do. More of them is
 * not worse, as good as always.
 */
static int search(struct work *work, struct quant_node **order, size_t count, size_t *kept)
{
	double target = work->options->target_loss;
	size_t low = 0, high = 1;
	int err = measure_with(work, order, count, high < *kept ? high : *kept);

	/* low: too few; high: enough, or all that may be. */
	while (!err && loss_of(work) > target && high < *kept) {
		low = high;
		high = 2 * high < *kept ? 2 * high : *kept;
		err = measure_with(work, order, count, high);
	}
	if (err || loss_of(work) > target)
		return err;
	while (!err && high - low > 1) {
		size_t middle = low + (high - low) / 2;

		err = measure_with(work, order, count, middle);
		if (loss_of(work) > target)
			low = middle;
		else
			high = middle;
	}
	*kept = high;
	return err;
}

/* The fewest layers that have to stay float, of two orders: by effect, and by own noise where that takes fewer. */
static int meet_target(struct work *work)
{
	struct quant_node **order = malloc(2 * (work->plan.num_nodes + 1) * sizeof(*order)), **best;
	size_t count = 0, kept, fewer;
	int err;

	if (loss_of(work) <= work->options->target_loss) {
		free(order);
		return 0;
	}
	if (!order)
		return fail(work->error, work->error_size, -ENOMEM, "out of memory");
	for (size_t n = 0; n < work->plan.num_nodes; n++)
		if (work->plan.nodes[n].integer && work->plan.nodes[n].kind != QUANT_MOVING)
			order[count++] = &work->plan.nodes[n];
	qsort(order, count, sizeof(*order), by_noise);
	best = order + count;
	memcpy(best, order, count * sizeof(*order));
	kept = count;
	err = rank(work, best, count);
	if (!err)
		err = search(work, best, count, &kept);
	fewer = kept > 1 ? kept - 1 : 0;
	if (!err && fewer) {
		size_t most = fewer;

		err = measure_with(work, order, count, fewer);
		if (!err && loss_of(work) <= work->options->target_loss) {
			err = search(work, order, count, &most);
			best = order;
			kept = most;
		}
	}
	if (!err)
		err = measure_with(work, best, count, kept);
	if (!err && loss_of(work) > work->options->target_loss)
		err = fail(work->error, work->error_size, -ENOTSUP,
			   "the loss of %.3g can not be met: with all layers float it is %.3g",
			   work->options->target_loss, loss_of(work));
	free(order);
	return err;
}

/* ---- report ---- */

static int make_report(const struct work *work, struct quant_report *report)
{
	const struct quant_plan *plan = &work->plan;

	*report = (struct quant_report){
		.layers = calloc(plan->num_nodes + 1, sizeof(*report->layers)),
		.num_samples = work->count,
		.loss = relative(work->loss.noise, work->loss.signal),
		.db = decibels(work->loss.signal, work->loss.noise),
		.agreement = work->loss.compared ? (double)work->loss.same / (double)work->loss.compared : -1,
		.equalized = work->equalized,
	};
	if (!report->layers)
		return -ENOMEM;
	for (size_t n = 0; n < plan->num_nodes; n++) {
		const struct quant_node *node = &plan->nodes[n];

		if (node->kind == QUANT_FLOAT || node->kind == QUANT_MOVING)
			continue;
		report->layers[report->num_layers++] = (struct quant_layer){
			.name = work->graph->nodes[n]->name,
			.op_type = work->graph->nodes[n]->op_type,
			.reason = node->integer ? "" : node->reason,
			.integer = node->integer,
			.own_db = node->integer ? decibels(node->own_signal, node->own_noise) : INFINITY,
			.db = decibels(node->signal, node->noise),
		};
		report->integer += node->integer;
		report->kept_float += node->keep_float;
	}
	return 0;
}

void quant_report_finish(struct quant_report *report)
{
	free(report->layers);
	*report = (struct quant_report){0};
}

/* ---- the whole ---- */

static int run(struct work *work, struct quant_report *report, struct quant_wide *wide)
{
	int err = calibrate(work, &work->stats);

	if (!err && !work->options->plain)
		err = equalize(work);
	if (err)
		return err;
	if (quant_plan_init(&work->plan, work->graph, work->options))
		return fail(work->error, work->error_size, -ENOMEM, "out of memory");
	err = report ? measure(work) : make_plan(work);
	if (!err && report && work->before)
		err = choose_equalized(work);
	if (!err && report && work->options->target_loss > 0)
		err = meet_target(work);
	if (!err && report && make_report(work, report))
		err = fail(work->error, work->error_size, -ENOMEM, "out of memory");
	if (!err && wide)
		quant_find_wide(work->graph, work->stats, &work->plan, wide);
	if (!err && quant_insert(&work->plan))
		err = fail(work->error, work->error_size, -ENOMEM, "out of memory");
	return err;
}

int quant_graph(struct graph *graph, const struct quant_sample *samples, size_t count,
		const struct quant_options *options, struct quant_report *report, struct quant_wide *wide, char *error,
		size_t error_size)
{
	struct work work = {.graph = graph,
			    .samples = samples,
			    .count = count,
			    .options = options,
			    .num_values = graph->num_values,
			    .ahead = expected_runs(options, report),
			    .error = error,
			    .error_size = error_size};
	int err;

	if (report)
		*report = (struct quant_report){0};
	err = run(&work, report, wide);
	if (err && report)
		quant_report_finish(report);
	quant_plan_finish(&work.plan);
	quant_stats_free(work.stats, work.num_values);
	quant_stats_free(work.before, work.num_values);
	return err;
}
