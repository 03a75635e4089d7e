/* SPDX-License-Identifier: MIT */
/* See region.h. */
#include "compiler/region.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <axl/axl_timing.h>

#include "compiler/report/node_cycles.h"
#include "compiler/target/cut.h"
#include "compiler/target/estimate.h"
#include "compiler/target/images.h"
#include "compiler/target/lower_matrix.h"
#include "compiler/target/resident.h"
#include "compiler/target/stripes.h"
#include "compiler/target/verify.h"

/* Bytes of a value as a region input or output: dense, ONNX's own type. */
static uint64_t value_bytes(const struct graph_value *value)
{
	int64_t count = dims_count(value->rank, value->dims);

	return count < 0 ? 0 : (uint64_t)count * dtype_size(value->dtype);
}

/* How often a region is compiled again because its preemption points are too far apart. */
#define DISTANCE_ATTEMPTS 4
/* The share of a region's cycles that sharing loads may cost. */
#define SHARING_COST 130
/* The share of a region's traffic that halos have to be for another grid to be tried, and of its cycles that it may cost. */
#define GRID_HALOS 50
#define GRID_COST 60

/* ---- finding regions ---- */

static int list_add(struct value_list *list, struct graph_value *value)
{
	struct graph_value **grown;

	for (uint32_t i = 0; i < list->count; i++)
		if (list->values[i] == value)
			return 0;
	grown = realloc(list->values, (list->count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	list->values = grown;
	list->values[list->count++] = value;
	return 0;
}

static bool read_outside(const struct graph_value *value, int region)
{
	for (size_t i = 0; i < value->num_uses; i++)
		if (value->uses[i]->region != region)
			return true;
	return value->is_output;
}

static int find_borders(const struct graph *graph, struct region *region, int index)
{
	for (size_t n = region->first; n < region->first + region->count; n++) {
		const struct graph_node *node = graph->nodes[n];

		for (size_t i = 0; i < node->num_inputs; i++) {
			struct graph_value *value = node->inputs[i];

			if (value && !value->constant && (!value->producer || value->producer->region != index) &&
			    list_add(&region->inputs, value))
				return -ENOMEM;
		}
		for (size_t i = 0; i < node->num_outputs; i++)
			if (node->outputs[i] && read_outside(node->outputs[i], index) &&
			    list_add(&region->outputs, node->outputs[i]))
				return -ENOMEM;
	}
	return 0;
}

int regions_find(const struct graph *graph, int count, const bool *device, struct region **regions)
{
	struct region *found = calloc((size_t)count + 1, sizeof(*found));

	if (!found)
		return -ENOMEM;
	for (size_t n = graph->num_nodes; n-- > 0;) {
		found[graph->nodes[n]->region].first = n;
		found[graph->nodes[n]->region].count++;
	}
	for (int r = 0; r < count; r++) {
		found[r].device = device[r];
		if (find_borders(graph, &found[r], r)) {
			regions_finish(found, count);
			return -ENOMEM;
		}
	}
	*regions = found;
	return 0;
}

void regions_finish(struct region *regions, int count)
{
	for (int r = 0; regions && r < count; r++) {
		free(regions[r].inputs.values);
		free(regions[r].outputs.values);
	}
	free(regions);
}

/* ---- compiling ---- */

/* Bind a border value to an INPUT or OUTPUT buffer: dense, row-major, ONNX's type. */
static int bind_border(struct lower *lower, const struct graph_value *value, program_buf buf)
{
	struct dev_tensor *tensor = &lower->tensors[value->id];
	int64_t stride = (int64_t)dtype_size(value->dtype);
	static const enum axl_type types[] = {
		[DTYPE_F32] = AXL_TYPE_F32,   [DTYPE_U8] = AXL_TYPE_U8,   [DTYPE_S8] = AXL_TYPE_S8,
		[DTYPE_S16] = AXL_TYPE_S16,   [DTYPE_S32] = AXL_TYPE_S32, [DTYPE_S64] = AXL_TYPE_S64,
		[DTYPE_BOOL] = AXL_TYPE_BOOL, [DTYPE_F16] = AXL_TYPE_F16, [DTYPE_BF16] = AXL_TYPE_BF16,
	};

	if (!buf)
		return -ENOMEM;
	tensor->type = types[value->dtype];
	tensor->rank = value->rank;
	tensor->place = (struct program_place){buf, 0};
	for (int d = value->rank - 1; d >= 0; d--) {
		tensor->dims[d] = value->dims[d];
		tensor->stride[d] = stride;
		stride *= value->dims[d];
	}
	return 0;
}

static int bind_borders(struct lower *lower, const struct region *region)
{
	for (uint32_t i = 0; i < region->inputs.count; i++) {
		const struct graph_value *value = region->inputs.values[i];

		if (bind_border(lower, value, program_input(lower->program, i, value_bytes(value), value->name)))
			return -ENOMEM;
	}
	for (uint32_t i = 0; i < region->outputs.count; i++) {
		const struct graph_value *value = region->outputs.values[i];

		if (bind_border(lower, value, program_output(lower->program, i, value_bytes(value), value->name)))
			return -ENOMEM;
	}
	return 0;
}

/* Of an attempt, for who watches; the rest is for ways to interleave. Then parts of each way: where its steps end. */
#define LOWERING_SHARE 0.15
#define FIRST_CODE_SHARE 0.4
#define PLACED_SHARE 0.4
#define EMITTED_SHARE 0.5
#define VERIFIED_SHARE 0.6

/* What @node and later ones read of memory, and may share. */
static int bring_inputs(struct lower *lower, const struct graph_node *node)
{
	int err = 0;

	for (size_t i = 0; i < node->num_inputs && !err; i++)
		if (node->inputs[i] && lower->shares)
			err = (lower->target->tiles > 1 ? cut_bring : resident_bring)(lower, node->inputs[i]);
	return err;
}

static int lower_node(struct lower *lower, size_t n, struct region_build *build)
{
	struct graph_node *node = lower->graph->nodes[n];
	int err = 0;

	lower->at = n;
	if (node->data == LOWER_DONE) {
		lower->estimates[n] = 0; /* its work was that of an earlier node */
	} else {
		program_set_tag(lower->program, (uint16_t)n);
		err = bring_inputs(lower, node);
		err = err ? err : lower_find(node)->lower(lower, node);
	}
	if (!err && resident_end_node(lower, n))
		err = program_yield(lower->program);
	if (err) {
		snprintf(build->error, sizeof(build->error), "%s: %.200s", node->name,
			 lower->error[0] ? lower->error : program_error(lower->program));
		build->failed = err == -ENOTSUP || err == -ENOSPC ? node : NULL;
	}
	return err;
}

/* The run of nodes that begins with number *@n, image by image; *@n becomes its last one. */
static int lower_images(struct lower *lower, size_t *n, struct region_build *build)
{
	struct images images;
	int err = images_begin(lower, *n, &images);

	if (err)
		snprintf(build->error, sizeof(build->error), "%s", lower->error);
	for (int64_t i = 0; i < images.batch && !err; i++) {
		images_select(lower, &images, i);
		for (size_t at = images.first; at <= images.last && !err; at++)
			err = lower_node(lower, at, build);
	}
	*n = images.last;
	images_end(lower, &images);
	return err;
}

/* The run of nodes that begins with number *@n, stripe by stripe; *@n becomes its last one. */
static int lower_stripes(struct lower *lower, size_t *n, struct region_build *build)
{
	struct stripes stripes;
	int err = stripes_begin(lower, *n, &stripes);

	if (err)
		snprintf(build->error, sizeof(build->error), "%s", lower->error);
	for (int64_t i = 0; i < stripes.count && !err; i++) {
		stripes_select(lower, &stripes, i);
		for (size_t at = 0; at < stripes.num_nodes && !err; at++)
			err = lower_node(lower, stripes.first + at, build);
	}
	*n = stripes.first + stripes.num_nodes - 1;
	stripes_end(lower, &stripes);
	return err;
}

/* @known: cycles of the nodes, or NULL: what their lowerings expect. @by_image: runs of them may go image by image. */
static int lower_nodes(struct lower *lower, const struct graph *graph, const struct region *region,
		       const uint64_t *known, bool by_image, struct region_build *build, const struct work_share *share)
{
	for (size_t n = region->first; n < region->first + region->count; n++) {
		const struct lower_op *op = lower_find(graph->nodes[n]);

		graph->nodes[n]->data = 0;
		if (known)
			lower->estimates[n] = known[n - region->first];
		else if (!lower_conv_does(lower, graph->nodes[n]))
			lower->estimates[n] = op->cycles(graph->nodes[n], lower->target, lower->precision);
	}
	build->by_image = by_image && images_find(lower, region->first, region->count);
	if (!build->by_image && pass_runs(lower->disabled, PASS_STRIPES))
		stripes_find(lower, region->first, region->count);
	for (size_t n = region->first; n < region->first + region->count; n++) {
		int err = lower->stripes[n] ? lower_stripes(lower, &n, build)
			  : lower->runs[n]  ? lower_images(lower, &n, build)
					    : lower_node(lower, n, build);

		if (err)
			return err;
		work_share_done(share, LOWERING_SHARE * (double)(n + 1 - region->first) / (double)region->count);
	}
	return 0;
}

/* What is behind the base registers; their number. */
static unsigned int region_spaces(const struct region *region, const struct program_image *image,
				  struct verify_region *spaces)
{
	unsigned int count = 0;

	spaces[count++] = (struct verify_region){image->weight_bytes, false};
	spaces[count++] = (struct verify_region){image->arena_bytes, true};
	for (uint32_t i = 0; i < region->inputs.count; i++)
		spaces[count++] = (struct verify_region){value_bytes(region->inputs.values[i]), false};
	for (uint32_t i = 0; i < region->outputs.count; i++)
		spaces[count++] = (struct verify_region){value_bytes(region->outputs.values[i]), true};
	return count;
}

static int verify_image(const struct region *region, struct region_build *build, const struct program_image *image)
{
	struct verify_region spaces[AXL_NUM_BASES];
	struct verify_limits limits = {0};
	struct verify_report report;
	unsigned int count = region_spaces(region, image, spaces);
	int err = verify_command_buffer(image->code, image->code_bytes, build->target, count, spaces, &limits, &report);

	if (err)
		snprintf(build->error, sizeof(build->error),
			 "compiler error: the verifier refuses the code at offset %u: %s", report.offset, report.text);
	return err;
}

static uint64_t longest_stretch(const struct program_image *image)
{
	uint64_t longest = 0;

	for (size_t s = 0; s < image->num_stretches; s++)
		longest = image->stretches[s].cycles > longest ? image->stretches[s].cycles : longest;
	return longest;
}

/* How long the verified code will take, and each of its nodes. */
static int estimate_image(const struct region *region, struct region_build *build, struct program_image *image)
{
	struct verify_region spaces[AXL_NUM_BASES];
	uint64_t bases[AXL_NUM_BASES];
	struct estimate_job job = {.target = build->target,
				   .code = image->code,
				   .code_bytes = image->code_bytes,
				   .bases = bases,
				   .num_bases = region_spaces(region, image, spaces)};
	struct estimate estimate;
	int err;

	for (unsigned int i = 0; i < job.num_bases; i++)
		bases[i] = spaces[i].bytes;
	image->node_cycles = calloc(region->count + 1, sizeof(*image->node_cycles));
	err = image->node_cycles ? estimate_run(&job, &estimate) : -ENOMEM;
	if (err) {
		snprintf(build->error, sizeof(build->error), "the estimate: %s", strerror(-err));
		return err;
	}
	image->cycles = estimate.cycles;
	image->lines = estimate.lines;
	image->stretches = estimate.stretches;
	image->num_stretches = estimate.num_stretches;
	image->longest = longest_stretch(image);
	estimate.stretches = NULL;
	node_cycles_attribute(estimate.records, estimate.num_records, estimate.cycles, (uint32_t)region->first,
			      (uint32_t)region->count, image->node_cycles);
	estimate_finish(&estimate);
	return 0;
}

/* Addresses and semaphores. A node whose buffers do not fit is named, so that it can move to the CPU. */
static int place_and_order(struct program *program, const struct graph *graph, struct region_build *build)
{
	int err = program_allocate(program);

	if (err == -ENOSPC && program_failed_tag(program) < graph->num_nodes)
		build->failed = graph->nodes[program_failed_tag(program)];
	if (!err)
		err = program_order(program);
	if (err == -ENOSPC && !build->failed) { /* semaphores ran out: fewer dependences for more memory */
		program_spread(program);
		err = program_allocate(program);
		if (!err)
			err = program_order(program);
	}
	return err;
}

/* To verified code, and how long it takes. */
static int finish_code(struct program *program, const struct graph *graph, const struct region *region,
		       struct region_build *build, const struct work_share *share, struct program_image *image)
{
	int err = place_and_order(program, graph, build);

	work_share_done(share, PLACED_SHARE);
	if (!err)
		err = program_emit(program, image);
	work_share_done(share, EMITTED_SHARE);
	if (err) {
		snprintf(build->error, sizeof(build->error), "%.300s", program_error(program));
		return err;
	}
	err = verify_image(region, build, image);
	work_share_done(share, VERIFIED_SHARE);
	if (!err)
		err = estimate_image(region, build, image);
	work_share_done(share, 1);
	if (err)
		program_image_finish(image);
	return err;
}

#define INTERLEAVE_TRIES 6
#define INTERLEAVE_STRETCHES 64

/* Ask for less of every stretch of @image that is longer than @bound. False: none is. */
static bool shorten(const struct program_image *image, uint64_t bound, uint64_t *most)
{
	bool any = false;

	for (size_t s = 0; s < image->num_stretches; s++) {
		uint64_t *cycles = &most[s < INTERLEAVE_STRETCHES ? s : INTERLEAVE_STRETCHES - 1];

		if (image->stretches[s].cycles <= bound)
			continue;
		*cycles -= *cycles / 32;
		any = true;
	}
	return any;
}

/*
 * The same with the nodes' instructions interleaved, which is kept where it is faster and no stretch between two preemption
 * points gets too long, nor longer than the longest was. It needs more room: that it does not fit is no error.
 */
static int try_interleaved(struct program *program, const struct graph *graph, const struct region *region,
			   struct region_build *build, const struct work_share *share)
{
	uint64_t most[INTERLEAVE_STRETCHES], bound = build->image.longest;
	bool again = true;

	bound = bound > RESIDENT_MAX_CYCLES ? bound : RESIDENT_MAX_CYCLES;
	for (size_t s = 0; s < INTERLEAVE_STRETCHES; s++)
		most[s] = RESIDENT_MAX_CYCLES;
	for (unsigned int i = 0; i < INTERLEAVE_TRIES && again; i++) {
		const struct work_share way = work_share_next(share, i, 0.5);
		struct program_image image;
		int err = program_interleave(program, most, INTERLEAVE_STRETCHES);

		if (err)
			return err;
		err = finish_code(program, graph, region, build, &way, &image);
		if (err && err != -ENOSPC)
			return err;
		again = !err && image.cycles < build->image.cycles;
		if (again && !shorten(&image, bound, most)) {
			program_image_finish(&build->image);
			build->image = image;
			return 0;
		}
		if (!err)
			program_image_finish(&image);
		program_restore(program);
	}
	build->failed = NULL;
	build->error[0] = '\0';
	return place_and_order(program, graph, build); /* for the prints and statistics */
}

static int schedule(struct program *program, const struct graph *graph, const struct region *region,
		    struct region_build *build, const struct work_share *share)
{
	const struct work_share first = work_share_part(share, LOWERING_SHARE, FIRST_CODE_SHARE);
	const struct work_share ways = work_share_part(share, FIRST_CODE_SHARE, 1);
	int err = finish_code(program, graph, region, build, &first, &build->image);

	if (!err && pass_runs(build->disabled, PASS_INTERLEAVE))
		err = try_interleaved(program, graph, region, build, &ways);
	if (!err && build->print_scheduled)
		program_print(program, build->print_scheduled);
	if (!err)
		err = program_emit_weights(program, &build->image);
	if (err)
		program_image_finish(&build->image);
	program_get_stats(program, &build->stats);
	return err;
}

/*
 * What one attempt goes by.
 * @resident: bytes that may stay in the scratchpad between nodes
 * @most:     cycles that may pass between two preemption points, by the estimates
 * @known:    estimates of the nodes, or NULL: those of their lowerings
 * @by_image: images of a batch may be lowered one after another
 * @shares:   what several nodes read of memory is loaded once for them
 */
struct attempt {
	uint64_t resident, most;
	const uint64_t *known;
	bool by_image, shares;
};

static void take_choices(struct lower *lower, struct program_image *image)
{
	image->choices = lower->choices;
	image->kept_until = lower->kept_until;
	lower->choices = (struct matrix_choices){0};
	lower->kept_until = NULL;
}

static int compile_with(const struct graph *graph, const struct region *region, struct region_build *build,
			const struct attempt *attempt)
{
	const struct work_share share = work_share_next(&build->share, (*build->attempts)++, 0.8);
	struct program *program = NULL;
	struct lower *lower = NULL;
	int err;

	build->failed = NULL;
	build->error[0] = '\0';
	if (region->inputs.count + region->outputs.count > AXL_NUM_BASES - PROGRAM_BASE_INPUT) {
		snprintf(build->error, sizeof(build->error),
			 "a device region has %u inputs and outputs, at most %d are possible",
			 region->inputs.count + region->outputs.count, AXL_NUM_BASES - PROGRAM_BASE_INPUT);
		build->failed = graph->nodes[region->first + region->count - 1];
		return -ENOTSUP;
	}
	err = program_create(build->target, &program);
	if (!err)
		err = lower_create(program, graph, build->precision, &lower);
	if (!err) {
		lower->disabled = build->disabled;
		lower->resident.budget = pass_runs(build->disabled, PASS_RESIDENT) ? attempt->resident : 0;
		lower->resident.most = attempt->most;
		lower->resident.exact = attempt->known;
		lower->shares = attempt->shares;
		err = bind_borders(lower, region);
	}
	if (err)
		snprintf(build->error, sizeof(build->error), "out of memory");
	else
		err = lower_nodes(lower, graph, region, attempt->known, attempt->by_image, build, &share);
	build->saved = lower ? lower->saved : 0;
	build->halos = lower ? lower->halos : 0;
	if (!err && build->print_lowered)
		program_print(program, build->print_lowered);
	if (!err)
		err = schedule(program, graph, region, build, &share);
	if (!err)
		take_choices(lower, &build->image);
	work_share_done(&share, 1);
	lower_destroy(lower);
	program_destroy(program);
	return err;
}

/*
 * What the nodes took in @image is what the next attempt goes by. Where @known, by which it was made, had told that (within a tenth)
 * and nodes nevertheless are in a stretch that is too long, what it told was too little: they count for more, by @weight.
 */
static void learn(const struct region *region, const struct program_image *image, uint64_t *known, double *weight)
{
	for (size_t s = 0; s < image->num_stretches; s++) {
		const struct estimate_stretch *stretch = &image->stretches[s];

		if (stretch->cycles <= RESIDENT_MAX_CYCLES)
			continue;
		for (size_t n = stretch->first; n <= stretch->last; n++) {
			size_t i = (uint16_t)(n - region->first);

			if (i < region->count && (double)image->node_cycles[i] * weight[i] <= (double)known[i] * 1.1)
				weight[i] *= (double)stretch->cycles / (RESIDENT_MAX_CYCLES / 100 * 96);
		}
	}
	for (size_t n = 0; n < region->count; n++)
		known[n] = (uint64_t)((double)image->node_cycles[n] * weight[n]);
}

/*
 * The code's own cycles say how far apart its preemption points are. Where that is too far, again with the cycles of the nodes as they
 * turned out. The attempt with the least distance is kept.
 */
static int mend_distance(const struct graph *graph, const struct region *region, struct region_build *build,
			 struct attempt attempt)
{
	struct region_build best = *build, other = *build;
	uint64_t *known = calloc(region->count + 1, sizeof(*known));
	double *weight = malloc((region->count + 1) * sizeof(*weight));
	int err = known && weight ? 0 : -ENOMEM;

	for (size_t n = 0; n < region->count && !err; n++)
		weight[n] = 1;
	attempt.most = attempt.most / 100 * 96;
	attempt.known = known;
	for (int i = 0; i < DISTANCE_ATTEMPTS && !err && best.image.longest > RESIDENT_MAX_CYCLES; i++) {
		learn(region, &other.image, known, weight);
		if (other.image.code != best.image.code)
			program_image_finish(&other.image);
		memset(&other.image, 0, sizeof(other.image));
		err = compile_with(graph, region, &other, &attempt);
		if (!err && other.image.longest < best.image.longest) {
			program_image_finish(&best.image);
			best = other;
		}
	}
	if (other.image.code != best.image.code)
		program_image_finish(&other.image);
	free(known);
	free(weight);
	if (err == -ENOMEM)
		program_image_finish(&best.image);
	*build = best;
	return err == -ENOMEM ? err : 0;
}

static int compile_for(const struct graph *graph, const struct region *region, bool by_image, bool shares,
		       struct region_build *build)
{
	/* Eighths of the scratchpad that may stay occupied: less where too little room is left, before a node is given
	 * up. */
	static const unsigned int eighths[] = {4, 2, 0};
	struct attempt attempt = {.most = RESIDENT_MAX_CYCLES, .by_image = by_image, .shares = shares};
	int err = -ENOSPC;

	for (size_t i = 0; i < sizeof(eighths) / sizeof(eighths[0]) && err == -ENOSPC; i++) {
		attempt.resident = build->target->spad_bytes * (uint64_t)eighths[i] / 8;
		err = compile_with(graph, region, build, &attempt);
	}
	return err ? err : mend_distance(graph, region, build, attempt);
}

/* What a caller may have: bounded distances first, then fewer cycles, by more than @grace. */
static bool is_better(const struct program_image *image, const struct program_image *than, uint64_t grace)
{
	bool late = image->longest > RESIDENT_MAX_CYCLES, other_late = than->longest > RESIDENT_MAX_CYCLES;

	return late != other_late ? other_late : image->cycles + grace < than->cycles;
}

/* @build, whose compilation ended with @err, becomes @other where that is better; the worse one is freed. */
static int keep_better(struct region_build *build, int err, struct region_build *other, int other_err, uint64_t grace)
{
	if (err || (!other_err && is_better(&other->image, &build->image, grace))) {
		if (!err)
			program_image_finish(&build->image);
		*build = *other;
		return other_err;
	}
	if (!other_err)
		program_image_finish(&other->image);
	return 0;
}

/* Cycles that @build may take more than another way that moves @bytes more: what these take, at most one in @cost. */
static uint64_t grace_for(const struct region_build *build, uint64_t bytes, uint64_t cost)
{
	uint64_t moving = bytes / build->target->dram_rate, most = build->image.cycles / cost;

	return moving < most ? moving : most;
}

/*
 * Where nodes share what they read, both ways are tried: less room is left meanwhile. Sharing is kept where it costs at most one
 * cycle in SHARING_COST for the memory that it leaves to others.
 */
static int compile_sharing(const struct graph *graph, const struct region *region, bool by_image,
			   struct region_build *build)
{
	struct region_build apart = *build;
	int err = compile_for(graph, region, by_image, pass_runs(build->disabled, PASS_SHARE), build), apart_err;

	if ((!err && !build->saved) || err == -ENOMEM)
		return err;
	apart_err = compile_for(graph, region, by_image, false, &apart);
	return keep_better(build, err, &apart, apart_err, err ? 0 : grace_for(build, build->saved, SHARING_COST));
}

/* Where images of a batch can go one after another both ways are tried. */
static int compile_best(const struct graph *graph, const struct region *region, struct region_build *build)
{
	struct region_build batch = *build;
	int err = compile_sharing(graph, region, pass_runs(build->disabled, PASS_IMAGES), build), batch_err;

	if (!build->by_image || err == -ENOMEM)
		return err;
	batch_err = compile_sharing(graph, region, false, &batch);
	return keep_better(build, err, &batch, batch_err, 0);
}

/*
 * Images in strips of rows wait least for halos; all in blocks, of a network whose small images are in blocks anyway, move less where one
 * kind meets the other. That may cost what it saves takes to move.
 */
static int compile_grids(const struct graph *graph, const struct region *region, struct region_build *build)
{
	const struct target *target = build->target;
	struct target in_blocks = *target;
	struct region_build strips, blocks = *build;
	int err = compile_best(graph, region, build), blocks_err;
	uint64_t saved;

	if (err || !pass_runs(build->disabled, PASS_GRIDS) ||
	    build->halos * GRID_HALOS < build->image.lines * AXL_T_LINE)
		return err;
	in_blocks.blocks = true;
	blocks.target = &in_blocks;
	blocks_err = compile_best(graph, region, &blocks);
	blocks.target = target;
	if (blocks_err || blocks.image.lines >= build->image.lines)
		return keep_better(build, 0, &blocks, blocks_err, 0);
	strips = *build;
	*build = blocks;
	saved = (strips.image.lines - build->image.lines) * AXL_T_LINE;
	return keep_better(build, 0, &strips, 0, grace_for(build, saved, GRID_COST));
}

int region_compile(const struct graph *graph, const struct region *region, struct region_build *build)
{
	const struct target *target = build->target;
	struct target one_tile = *target;
	unsigned int attempts = 0;
	int err;

	build->attempts = &attempts;
	err = compile_grids(graph, region, build);
	/* The semaphores that tiles share ran out: no node is to blame, and one tile needs none of them. */
	if (err == -ENOSPC && !build->failed && target->tiles > 1) {
		one_tile.tiles = 1;
		build->target = &one_tile;
		err = compile_best(graph, region, build);
		build->target = target;
	}
	build->attempts = NULL;
	return err;
}
