/* SPDX-License-Identifier: MIT */
/*
 * Tile search for matrix work: every sensible (stripe height, channel block, K block, weights kept or streamed, split
 * over tiles) is priced by the cost model; the cheapest that fits is taken, less memory traffic winning among near
 * equals. At most a few thousand points whatever the shape, no allocation: the time per operator is bounded.
 */
#include <errno.h>
#include <string.h>

#include <axl/axl_timing.h>

#include "compiler/target/arith.h"
#include "compiler/target/cost.h"
#include "compiler/target/matrix_work.h"
#include "compiler/target/resident.h"

/* Cycles from one instruction to the next in a pipe that no other work hides: semaphore, dispatch, start-up. */
#define INSN_OVERHEAD 24

struct search {
	const struct matrix_work *work;
	const struct target *target;
	uint64_t a_size, w_size, out_size, res_size;
	uint64_t spad, acc;   /* bytes to use */
	unsigned int buffers; /* copies of what streams: 2, or 1 when nothing else fits */
	uint64_t block;       /* most cycles of one block over one stripe, between which a YIELD may stand */
	struct matrix_plan best;
	bool found;
	struct matrix_choice *choice; /* or NULL */
};

static uint64_t type_bytes(unsigned int type)
{
	return type == AXL_TYPE_F32 || type == AXL_TYPE_S32 ? 4 : type == AXL_TYPE_F16 || type == AXL_TYPE_BF16 ? 2 : 1;
}

/* Cut a stripe of @rows into chunks of at most @positions output positions, evenly. False: not even one window fits. */
static bool choose_chunk(const struct matrix_work *work, int64_t rows, int64_t positions, struct matrix_plan *plan)
{
	int64_t pool_h = matrix_pool_h(work), pool_w = matrix_pool_w(work), row = work->ow * pool_h;
	int64_t columns = work->ow / pool_w;

	if (positions < pool_h * pool_w)
		return false;
	if (row > positions) {
		plan->chunk_h = pool_h;
		plan->chunk_w = (int64_t)ceil_div_u64(
					(uint64_t)columns,
					ceil_div_u64((uint64_t)columns, (uint64_t)(positions / (pool_h * pool_w)))) *
				pool_w;
		return true;
	}
	plan->chunk_w = work->ow;
	plan->chunk_h = MIN(rows, positions / row * pool_h);
	plan->chunk_h = MIN(plan->chunk_h, 65535 / pool_h * pool_h);
	plan->chunk_h = matrix_rows(work, rows, (int64_t)ceil_div_u64((uint64_t)rows, (uint64_t)plan->chunk_h));
	return true;
}

uint64_t matrix_conv_cycles(const struct matrix_work *work, const struct matrix_plan *plan)
{
	uint64_t m = (uint64_t)(plan->chunk_h * plan->chunk_w), taps = (uint64_t)(work->kh * work->kw);
	uint64_t per_group = (uint64_t)(work->oc / work->groups), k = taps * (uint64_t)plan->k;
	uint64_t n = (uint64_t)MIN(plan->n, work->oc), pieces;

	if (work->depthwise)
		return cost_dwconv(m, taps, n, work->a_type) + INSN_OVERHEAD;
	pieces = ceil_div_u64(n, per_group);
	n = MIN(n, per_group);
	return pieces * (cost_conv(m, k, n, work->a_type, cost_best_split(m, k, n, work->a_type)) + INSN_OVERHEAD);
}

uint64_t matrix_drain_cycles(const struct matrix_work *work, const struct matrix_plan *plan)
{
	return cost_drain((uint64_t)(plan->chunk_h * plan->chunk_w), (uint64_t)plan->n,
			  MAX(work->post.act1, work->post.act2)) +
	       INSN_OVERHEAD;
}

/*
 * Cycles by which rows of memory take longer to open than their data to move, where the output is written (and a residual
 * read) in blocks of channels: every block opens all rows that the image covers.
 */
static uint64_t row_cycles(const struct search *search, const struct matrix_plan *plan)
{
	const struct matrix_work *work = search->work;
	uint64_t pixel = (uint64_t)work->oc * (search->out_size + search->res_size), run, rows, open, data;
	uint64_t positions = (uint64_t)(work->oh * work->ow * work->x.dims[WORK_N]);

	if ((work->ow == 1 && search->target->tiles == 1) || plan->split_rows || plan->n >= work->oc)
		return 0;
	run = (uint64_t)plan->n * (search->out_size + search->res_size);
	rows = ceil_div_u64(positions * pixel, AXL_T_ROW_BYTES);
	open = axl_div_up(rows * AXL_T_ROW * AXL_T_CHANNEL, search->target->dram_rate);
	data = cost_dma(search->target, positions * run, 256);
	return open > data ? (open - data) * ceil_div_u64((uint64_t)work->oc, (uint64_t)plan->n) : 0;
}

/*
 * Cycles from one chunk to the next where @flight chunks have room in the accumulators. Where draining takes longer the array
 * stands idle, and fills anew for a chunk that waited for a buffer: its sums and those that drain share the buffers' time.
 */
static uint64_t chunk_cycles(uint64_t sums, uint64_t drain, unsigned int flight)
{
	return sums >= drain ? sums : MAX(drain, (sums + drain + AXL_T_ARRAY_LATENCY) / flight);
}

/*
 * Cycles in which the array waits between this work and its neighbours in the scratchpad: who makes or reads the image in one
 * piece waits for the last drain. In two pieces the rows around a kernel's window may still be missing.
 */
static uint64_t border_cycles(const struct matrix_work *work, uint64_t pieces, uint64_t drain)
{
	uint64_t wait = (work->x_resident + work->y_resident) * (drain + AXL_T_ARRAY_LATENCY);

	return pieces == 1 ? wait : pieces == 2 ? wait : 0;
}

/* Cycles for @bytes of weights of a block, and of those of the tiles that have theirs at the same time. */
static uint64_t block_fetch(const struct search *search, const struct matrix_plan *plan, uint64_t bytes,
			    uint64_t blocks)
{
	return cost_dma(search->target, bytes * (plan->split_rows ? 1 : MIN(blocks, search->target->tiles)), 256);
}

/*
 * Bytes that are fetched again behind the preemption points inside the node, @pauses of them: nothing stays over one. A stripe
 * that ends before the next point is not cut; weights that are kept come again for the stripes behind it. @stripe: of all tiles.
 */
static uint64_t fetched_again(uint64_t pauses, uint64_t stripe_cycles, uint64_t stripe, uint64_t kept)
{
	return pauses * ((stripe_cycles > RESIDENT_PAUSE_CYCLES ? stripe : 0) + kept);
}

/*
 * One in so many cycles is given for fewer bytes; and of a convolution for at most five eighths of them. Of integers: another
 * tiling of K is another order of sums, which floats have the bits of.
 */
#define NEAR 64
#define NEAR_MUCH_LESS 40

/* Is @plan about as fast as @other? */
static bool is_near(const struct matrix_work *work, const struct matrix_plan *plan, const struct matrix_plan *other)
{
	bool much_less = work->ow > 1 && type_bytes(work->a_type) == 1 && plan->bytes * 8 <= other->bytes * 5;

	return plan->cycles <= other->cycles + other->cycles / (much_less ? NEAR_MUCH_LESS : NEAR);
}

/* Price one tiling, with @flight chunks in the accumulators, and keep it when it is better. */
static void consider_chunks(struct search *search, struct matrix_plan plan, unsigned int flight)
{
	const struct matrix_work *work = search->work;
	const struct target *target = search->target;
	uint64_t tiles = target->tiles, channels = (uint64_t)(work->depthwise ? plan.n : work->ic * work->groups);
	uint64_t share = (uint64_t)matrix_rows(work, work->oh, plan.split_rows ? (int64_t)tiles : 1);
	uint64_t window = (uint64_t)(matrix_pool_h(work) * matrix_pool_w(work));
	uint64_t used = plan.split_rows ? ceil_div_u64((uint64_t)work->oh, share) : 1;
	uint64_t n_blocks = ceil_div_u64((uint64_t)work->oc, (uint64_t)plan.n);
	uint64_t k_blocks = work->depthwise ? 1 : ceil_div_u64((uint64_t)work->ic, (uint64_t)plan.k);
	uint64_t stripes = ceil_div_u64(share, (uint64_t)plan.rows), chunks, w_block, w_total, a_stripe, a_total, chunk,
		 need, cycles;
	uint64_t work_cycles, sums, drain, dram, first, y_bytes, pauses, opening,
		images = (uint64_t)work->x.dims[WORK_N];
	int64_t row, rows;

	if (target->acc_bytes / flight / 4 < (uint64_t)plan.n)
		return;
	if (!choose_chunk(work, plan.rows, (int64_t)(target->acc_bytes / flight / 4 / (uint64_t)plan.n), &plan))
		return;
	chunks = ceil_div_u64((uint64_t)plan.rows, (uint64_t)plan.chunk_h) *
		 ceil_div_u64((uint64_t)work->ow, (uint64_t)plan.chunk_w);
	matrix_input_rows(work, 0, MIN(plan.rows + work->kh, work->oh), &row, &rows);
	rows = MIN(work->ih, ((plan.rows - 1) * work->sh + (work->kh - 1) * work->dh) / work->in_dil_h + 1);
	a_stripe = (uint64_t)(rows * work->iw) * channels * search->a_size;
	w_block = (uint64_t)(work->kh * work->kw * (work->depthwise ? 1 : plan.k) * plan.n) * search->w_size +
		  8 * (uint64_t)plan.n;
	if (work->uniform)
		w_block = 64;
	w_total = w_block * n_blocks * k_blocks;
	if (!plan.split_rows) /* each tile holds its own blocks only */
		w_total = ceil_div_u64(n_blocks, tiles) * k_blocks * w_block;
	if (work->x_resident)
		a_stripe = 0;
	chunk = (uint64_t)(plan.chunk_h * plan.chunk_w * plan.n) * (search->out_size + search->res_size) / window;
	need = a_stripe * (stripes * images > 1 || work->depthwise ? search->buffers : 1) + chunk * search->buffers;
	need += plan.keep_weights ? w_total : w_block * search->buffers;
	/* Blocks of a product's K stream without a pause: where two lie at the ends, the third needs a place between. */
	if (work->ow == 1 && k_blocks > 1 && search->buffers > 1)
		need += w_block;
	if (need > search->spad)
		return;
	if (chunks * MAX(k_blocks * matrix_conv_cycles(work, &plan), matrix_drain_cycles(work, &plan)) >
		    search->block ||
	    block_fetch(search, &plan, w_block * k_blocks, n_blocks) > search->block)
		return;

	sums = k_blocks * matrix_conv_cycles(work, &plan);
	drain = matrix_drain_cycles(work, &plan);
	work_cycles = stripes * (plan.split_rows ? n_blocks : ceil_div_u64(n_blocks, tiles)) * chunks *
		      chunk_cycles(sums, drain, flight);
	a_total = a_stripe * stripes * used * (work->depthwise ? n_blocks : 1);
	w_total = w_block * n_blocks * k_blocks;
	if (plan.k < work->ic && !work->depthwise)
		w_total *= stripes * chunks * used; /* streamed for each chunk */
	else if (!plan.keep_weights)
		w_total *= stripes;
	y_bytes = (uint64_t)(work->oh * work->ow * work->oc) * (search->out_size + search->res_size) / window;
	pauses = work_cycles * images / RESIDENT_PAUSE_CYCLES;
	plan.bytes = images * (a_total + y_bytes) + (plan.keep_weights ? w_total : w_total * images) +
		     fetched_again(pauses, work_cycles / stripes, a_stripe * used,
				   plan.keep_weights && stripes * images > 1 ? w_total : 0);
	opening = row_cycles(search, &plan);
	dram = cost_dma(target, plan.bytes, 256) + opening;
	cycles = MAX(work_cycles * images, dram);
	/* What opens rows keeps the neighbours' weights waiting, too. */
	if (target->tiles == 1 && !work->y_part)
		cycles += opening / 2;
	/* What nothing hides: the first input and weights (of a product: those of all tiles), the last output. */
	first = w_block * (work->ow == 1 && !plan.split_rows ? MIN(n_blocks, tiles) : 1);
	cycles += cost_dma(target, MIN(a_stripe, a_total) + first, 256) / (search->buffers > 1 ? 2 : 1) +
		  cost_dma(target, chunk, 256) + 2 * target->dram_latency;
	/* Who reads the output from memory waits for the last stripe to be stored and loaded, as this does for its first chunk. */
	if (target->tiles == 1 && !work->y_resident && !work->y_part)
		cycles += cost_dma(target, y_bytes / stripes, 256);
	if (work->x_brought)
		cycles += cost_dma(target, work->x_brought * (uint64_t)plan.chunk_h / (uint64_t)work->oh, 256);
	/* A reader on another pipe still has the last stripe to work on; of all channels, whatever the order of the blocks. */
	if (n_blocks > 1)
		cycles += MIN(work_cycles / 2, work->reader_cycles) / stripes;
	/* A reader of whole rows waits for the first stripe; with two it works on one while the other is made. */
	if (work->row_reader && n_blocks > 1)
		cycles += work_cycles / MIN(stripes, 2) / 2;
	cycles += border_cycles(work, stripes * ceil_div_u64((uint64_t)plan.rows, (uint64_t)plan.chunk_h), drain);
	if (search->buffers == 1)
		cycles += dram / 2;
	/* A stripe that preemption points cut is fetched again behind each: ahead, if there is room for it twice. */
	if (work_cycles / stripes > RESIDENT_PAUSE_CYCLES &&
	    (work->ow == 1 || need + (stripes * images > 1 ? 0 : a_stripe) > search->spad))
		cycles += cost_dma(target, a_stripe, 256) * pauses;
	plan.cycles = cycles;
	if (search->choice)
		matrix_choice_add(search->choice, &plan);
	/* A product's K in blocks: all move nearly the same bytes, and smaller ones let the array start earlier. */
	if (!search->found || (cycles < search->best.cycles && !is_near(work, &search->best, &plan)) ||
	    (work->ow == 1 && plan.k < search->best.k && plan.n == search->best.n &&
	     plan.bytes <= search->best.bytes + search->best.bytes / 64 && cycles < search->best.cycles) ||
	    (is_near(work, &plan, &search->best) && plan.bytes < search->best.bytes)) {
		search->best = plan;
		search->found = true;
	}
}

/* The same for every number of chunks that may pay: more of them where the drain is what takes time. */
static void consider(struct search *search, struct matrix_plan plan)
{
	consider_chunks(search, plan, search->buffers);
	for (unsigned int flight = search->buffers + 1; search->buffers > 1 && flight <= 4; flight++)
		consider_chunks(search, plan, flight);
}

static void try_rows(struct search *search, struct matrix_plan plan, int64_t share)
{
	for (int64_t parts = 1; parts <= share; parts = parts < 8 ? parts + 1 : parts * 5 / 4) {
		plan.rows = matrix_rows(search->work, share, parts);
		plan.keep_weights = true;
		consider(search, plan);
		plan.keep_weights = false;
		consider(search, plan);
	}
	plan.rows = matrix_pool_h(search->work);
	plan.keep_weights = true;
	consider(search, plan);
	plan.keep_weights = false;
	consider(search, plan);
}

static void try_channels(struct search *search, struct matrix_plan plan, int64_t share)
{
	const struct matrix_work *work = search->work;
	int64_t limit = MIN(work->oc, (int64_t)(search->acc / 4));

	for (int64_t n = MIN(64, limit); n <= limit;
	     n = n == limit ? limit + 1 : MIN(n < 512 ? n + 64 : n * 2, limit)) {
		if (work->dynamic && n > 512)
			break;
		plan.n = n;
		plan.k = work->ic;
		try_rows(search, plan, share);
	}
	/* K in blocks: only where a whole column block does not fit, weights then stream. */
	if (work->depthwise || work->groups > 1)
		return;
	for (int64_t k = work->ic; k > 64;) {
		k = MAX(64, (int64_t)ceil_div_u64((uint64_t)k / 2, 64) * 64);
		plan.k = k;
		for (int64_t n = MIN(64, limit); n <= MIN(limit, 512); n *= 2) {
			plan.n = n;
			plan.keep_weights = false;
			for (int64_t parts = 1; parts <= share; parts *= 2) {
				plan.rows = matrix_rows(work, share, parts);
				consider(search, plan);
			}
		}
	}
}

/* With two copies of what streams, or where that does not fit with one. */
static void search_tilings(struct search *search)
{
	const struct matrix_work *work = search->work;
	uint64_t tiles = search->target->tiles;

	for (search->buffers = 2; search->buffers >= 1 && !search->found; search->buffers--) {
		struct matrix_plan start;

		search->acc = search->target->acc_bytes / search->buffers;
		memset(&start, 0, sizeof(start));
		try_channels(search, start, work->oh);
		if (tiles > 1 && work->oh > 1) {
			start.split_rows = true;
			try_channels(search, start, matrix_rows(work, work->oh, (int64_t)tiles));
		}
	}
}

int matrix_plan(const struct matrix_work *work, const struct target *target, struct matrix_plan *plan,
		struct matrix_choice *choice)
{
	struct search search = {
		.work = work,
		.target = target,
		.a_size = type_bytes(work->a_type),
		.w_size = type_bytes(work->w_type),
		.out_size = work->y_resident ? 0 : type_bytes(work->post.out_type),
		.res_size = work->z.rank && !work->z_resident ? type_bytes(work->post.res_type) : 0,
		.spad = target->spad_bytes - target->spad_bytes / 32,
		.block = RESIDENT_MAX_CYCLES / 10 * 8,
		.choice = choice,
	};

	if (work->spad_taken >= search.spad)
		return -ENOSPC;
	search.spad -= work->spad_taken;
	search_tilings(&search);
	if (!search.found) {
		search.block = UINT64_MAX; /* late preemption rather than none on the device */
		search_tilings(&search);
	}
	if (!search.found)
		return -ENOSPC;
	*plan = search.best;
	if (choice)
		matrix_choice_close(choice, plan);
	return 0;
}
