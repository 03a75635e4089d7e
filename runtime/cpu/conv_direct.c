// SPDX-License-Identifier: MIT
/*
 * Convolutions that read the image in place: see conv_direct.h.
 */
#include "runtime/cpu/conv_direct.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "runtime/cpu/conv_depthwise.h"
#include "runtime/cpu/pool.h"
#include "runtime/cpu/scratch.h"
#include "runtime/cpu/sgemm.h"
#include "runtime/cpu/sgemm_tile.h"

/* Columns of a block at most; its inputs and sums are in the second-level cache. */
#define BLOCK_COLUMNS 512

/* One image of the batch at a time. */
struct job {
	const struct conv_direct *conv;
	struct depthwise layout;
	int64_t n; /* the image's number */
	int64_t in_count, out_count, depth;
	float *image;     /* [group * inputs][layout.image], behind the offsets */
	int64_t *offsets; /* by row of the product: from the group's first channel */
	int64_t block_rows, block_columns, row_blocks, column_blocks;
	atomic_int err;
};

static int64_t smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/*
 * Both forms cost a cycle for every 32 channels and column of their tiles (two vector multiply-adds a cycle). Reading in
 * place computes columns in vain at the ends of rows; gathering costs about 0.6 cycles an element, and a dozen for each
 * piece of a row that goes to a panel.
 */
bool conv_direct_pays(const struct window *w, int64_t channels)
{
	const struct sgemm_tile *tile = sgemm_tile();
	int64_t sizes[WINDOW_AXES], beyond, row = smaller(w->out[2], tile->columns);
	double outputs = (double)w->out[0] * (double)w->out[1] * (double)w->out[2], span, vain;

	if (window_taps(w) < 2 || !depthwise_sizes(w, sizes, &beyond))
		return false;
	span = (((double)w->out[0] - 1) * (double)sizes[1] + (double)w->out[1] - 1) * (double)sizes[2] +
	       (double)w->out[2];
	if (span > 1e15)
		return false;
	vain = (double)(sgemm_columns_price((int64_t)span) - sgemm_columns_price((int64_t)outputs)) *
	       (double)tile->columns / 24;
	return vain * (double)channels / 32 < outputs * (0.6 + 12 / (double)row);
}

static void load_channel(void *arg, size_t index)
{
	struct job *job = arg;
	const struct conv_direct *conv = job->conv;
	int64_t channel = (int64_t)index, channels = conv->group * conv->inputs;
	float *image = job->image + channel * job->layout.image;

	depthwise_clear(&job->layout, 0, image);
	depthwise_load(&job->layout, DTYPE_F32, conv->x + (job->n * channels + channel) * job->in_count, 0, image);
}

/*
 * Take the outputs among pitched columns [column, column + columns) of a row of sums to @y, the plane of channel @channel,
 * through the epilogue.
 */
static void store_row(const struct depthwise *d, const struct epilogue *e, int64_t channel, int64_t column,
		      int64_t columns, const float *sums, float *y)
{
	const struct window *w = d->window;
	int64_t pitch = d->sizes[2], at = column, end = column + columns;

	while (at < end) {
		int64_t line = at / pitch, x = at % pitch, z = line / d->sizes[1], row = line % d->sizes[1];
		int64_t out = (z * w->out[1] + row) * w->out[2] + x, length = smaller(w->out[2] - x, end - at);

		if (length > 0 && row < w->out[1] && z < w->out[0])
			epilogue_store(e, channel, out, length, sums + (at - column), y + out);
		at += pitch - x;
	}
}

/*
 * One panel of A over @columns columns of the image from @image on, into @sums. Blocks of columns have room for a whole
 * number of tiles, and behind the image there is as much: the last tile may compute too many.
 */
static void multiply_panel(const struct sgemm_functions *functions, int64_t height, int64_t depth, const float *packed,
			   const float *image, const int64_t *offsets, int64_t columns, bool accumulate, float *sums,
			   int64_t stride)
{
	const struct sgemm_tile *tile = sgemm_tile();
	int64_t along = sgemm_tile_along(tile, columns), whole = columns - along, half = tile->columns / 2;
	float column[SGEMM_TILE_MAX_ROWS];

	for (int64_t j = 0; j < whole; j += tile->columns) {
		int64_t extra = whole + j / tile->columns; /* the column that this tile takes along */

		if (whole - j <= half) {
			functions->scattered_narrow(depth, packed, image + j, offsets, sums + j, stride, accumulate,
						    NULL);
			continue;
		}
		if (extra >= columns) {
			functions->scattered(depth, packed, image + j, offsets, sums + j, stride, accumulate, NULL);
			continue;
		}
		functions->scattered_plus(depth, packed, image + j, image + extra, offsets, sums + j, stride,
					  accumulate, NULL, column);
		for (int64_t i = 0; i < height; i++)
			sums[i * stride + extra] = accumulate ? sums[i * stride + extra] + column[i] : column[i];
	}
}

/* Sums of rows [row, row + rows) over columns [column, column + columns) in @sums, stride @stride. */
static void multiply(const struct job *job, const float *packed, const float *image, int64_t row, int64_t rows,
		     int64_t column, int64_t columns, float *sums, int64_t stride)
{
	const struct sgemm_tile *tile = sgemm_tile();
	int64_t padded_m = sgemm_tile_padded(tile, job->conv->channels);

	for (int64_t k = 0; k < job->depth; k += SGEMM_DEPTH) {
		int64_t depth = smaller(job->depth - k, SGEMM_DEPTH);

		for (int64_t i = 0; i < rows; i += tile->rows) {
			int64_t height = sgemm_tile_height(tile, job->conv->channels - row - i);

			multiply_panel(sgemm_tile_functions(tile, height), height, depth,
				       packed + k * padded_m + (row + i) * depth, image + column, job->offsets + k,
				       columns, k > 0, sums + i * stride, stride);
		}
	}
}

static void convolve_block(void *arg, size_t index)
{
	struct job *job = arg;
	const struct conv_direct *conv = job->conv;
	const struct sgemm_tile *tile = sgemm_tile();
	int64_t i = (int64_t)index, column = i % job->column_blocks * job->block_columns, row, group, rows, columns;
	int64_t stride = (job->block_columns + tile->columns - 1) / tile->columns * tile->columns;
	int64_t padded_rows = (job->block_rows + tile->rows - 1) / tile->rows * tile->rows;
	float *sums = scratch_get((size_t)(padded_rows * stride) * sizeof(float));

	if (!sums) {
		atomic_store_explicit(&job->err, -ENOMEM, memory_order_relaxed);
		return;
	}
	i /= job->column_blocks;
	row = i % job->row_blocks * job->block_rows;
	group = i / job->row_blocks;
	rows = smaller(conv->channels - row, job->block_rows);
	columns = smaller(job->layout.span - column, job->block_columns);
	multiply(job, conv->packed + (size_t)group * conv->group_stride,
		 job->image + group * conv->inputs * job->layout.image, row, rows, column, columns, sums, stride);
	for (int64_t r = 0; r < rows; r++) {
		int64_t channel = group * conv->channels + row + r, image = job->n * conv->group * conv->channels;
		struct epilogue e = conv->epilogue;

		if (e.residual)
			e.residual += image * job->out_count;
		store_row(&job->layout, &e, channel, column, columns, sums + r * stride,
			  conv->y + (image + channel) * job->out_count);
	}
}

static int prepare(struct op_call *call, struct job *job)
{
	const struct conv_direct *conv = job->conv;
	int64_t taps = window_taps(conv->window), channels = conv->group * conv->inputs, count;
	int err = depthwise_init(&job->layout, call, conv->window);

	if (err)
		return err;
	/* The last tile of columns may reach beyond the last channel. */
	if (__builtin_mul_overflow(job->layout.image, channels, &count) ||
	    __builtin_add_overflow(count, SGEMM_TILE_MAX_COLUMNS, &count) ||
	    count > PTRDIFF_MAX / (int64_t)sizeof(float))
		return op_fail(call, -EOVERFLOW, "%s: the padded image is too large", call->node->op_type);
	job->offsets = scratch_get_for(SCRATCH_IMAGE,
				       (size_t)job->depth * sizeof(*job->offsets) + (size_t)count * sizeof(float));
	if (!job->offsets)
		return -ENOMEM;
	job->image = (float *)(job->offsets + job->depth);
	memset(job->image + count - SGEMM_TILE_MAX_COLUMNS, 0, SGEMM_TILE_MAX_COLUMNS * sizeof(float));
	for (int64_t k = 0; k < job->depth; k++)
		job->offsets[k] = k / taps * job->layout.image + depthwise_tap(&job->layout, k % taps);
	sgemm_split(conv->channels, job->layout.span, conv->group, cpu_pool_threads(call->pool), &job->block_rows,
		    &job->block_columns);
	job->block_columns = sgemm_even_columns(job->layout.span, smaller(job->block_columns, BLOCK_COLUMNS));
	job->row_blocks = (conv->channels + job->block_rows - 1) / job->block_rows;
	job->column_blocks = (job->layout.span + job->block_columns - 1) / job->block_columns;
	return 0;
}

int conv_direct(struct op_call *call, const struct conv_direct *conv)
{
	struct job job = {
		.conv = conv,
		.in_count = window_in_count(conv->window),
		.out_count = window_out_count(conv->window),
		.depth = conv->inputs * window_taps(conv->window),
	};
	int err = prepare(call, &job);

	for (job.n = 0; !err && job.n < conv->batch; job.n++) {
		cpu_pool_for(call->pool, (size_t)(conv->group * conv->inputs), load_channel, &job);
		cpu_pool_for(call->pool, (size_t)(conv->group * job.row_blocks * job.column_blocks), convolve_block,
			     &job);
		err = atomic_load(&job.err);
	}
	return err;
}
