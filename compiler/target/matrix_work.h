/* SPDX-License-Identifier: MIT */
/*
 * Matrix work: one shape for everything the matrix pipe does.
 *
 * Convolution, transposed convolution, Gemm and MatMul all become: for each image, out[h][w][oc] = post(sum over (ky,
 * kx, c) of x[y][x][c] * w[oc][ky][kx][c]). A matrix product is a 1x1 convolution over an image of M rows and one
 * column; a 1-D convolution one of W rows and one column. The operators' lowerings fill this struct; matrix_plan()
 * decides the tiling and matrix_lower() writes the instructions.
 */
#ifndef COMPILER_TARGET_MATRIX_WORK_H
#define COMPILER_TARGET_MATRIX_WORK_H

#include "compiler/target/cut.h"
#include "compiler/target/lower.h"
#include "compiler/target/matrix_choice.h"

/* Dimensions of x, y and z (struct dev_tensor of rank 4). */
enum { WORK_N, WORK_H, WORK_W, WORK_C, WORK_RANK };

/*
 * Constant weights, addressed as data[oc * so + group * sg + c * sc + ky * sy + kx * sx] (strides in elements; c counts
 * inside its group, oc over all groups). Flipped kernels have negative strides and @data at the last tap.
 */
struct work_weight {
	const void *data;
	enum dtype dtype;
	int64_t so, sg, sc, sy, sx;
};

/*
 * struct matrix_work
 * @x, @y, @z: input, output and residual (z.rank 0: none) as [N][H][W][C] views
 * @dynamic:   the weight matrix is a device tensor [K][N] (rank 2); then kernel 1x1, one group
 * @ic, @oc:   channels of one group / of all groups
 * @in_dil:    input dilation (transposed convolution)
 * @group_channel: NULL, or by group the first channel it reads (else group * ic: groups may overlap)
 * @depthwise: groups == channels, one output each
 * @bias:      per output channel or NULL: f32, or s32 where the accumulators are s32
 * @scale:     per output channel or NULL (f32), applied after the bias
 * @uniform:   all weights are one number, the first of @weight: one is kept, and read with strides of zero
 * @count_h, @count_w: NULL, or by output row and column how many elements were summed: the sum is multiplied by
 *	       mean_scale / (mean_divisor * count), in binary32
 * @reader_cycles: of the vector unit's operator that reads the output, which should start while rows are still being made; 0: none
 * @x_resident, @y_resident, @z_resident: they lie in the scratchpad already and cost no transfer and no room
 * @x_brought: bytes of the input that are loaded for this and later readers (resident.h), 0: it was there before
 * @y_part:    the output is part of a concatenation: who reads that waits for the other parts, too
 * @x_cut, @y_cut, @z_cut: how they are cut over tiles (cut.h), or NULL
 * @source, @result, @residual: the values of x, y and z where tiles may keep channels of them (cut_take_channels()), or NULL
 * @row_reader: the vector unit reads whole rows of the output: it should start while others are still being made
 * @spad_taken: scratchpad that is not to be had
 * @pool_h, @pool_w: the drain takes the maximum of so many rows and columns, windows side by side that cover the image; 0: of one.
 *	       oh and ow count what is summed: y has fewer. Then there is no residual
 * @post:      the DRAIN operands that do not depend on the tile: flags, activations, zero points, types
 */
struct matrix_work {
	const struct graph_node *node;
	struct dev_tensor x, y, z;
	const struct dev_tensor *dynamic;
	struct work_weight weight;
	int64_t groups, ic, oc;
	int64_t *group_channel;
	int64_t ih, iw, oh, ow;
	int64_t kh, kw, sh, sw, dh, dw, pt, pl, in_dil_h, in_dil_w;
	bool depthwise;
	enum axl_type a_type, w_type;
	int a_zero, w_zero;
	const void *bias;
	const float *scale;
	bool uniform;
	const int64_t *count_h, *count_w;
	float mean_scale, mean_divisor;
	uint64_t reader_cycles;
	bool x_resident, y_resident, z_resident, y_part;
	bool row_reader;
	const struct graph_value *source, *result, *residual;
	const struct cut *x_cut, *y_cut, *z_cut;
	uint64_t spad_taken, x_brought;
	int64_t pool_h, pool_w;
	struct axl_drain post;
};

/* Rows of what is summed that make one row of the output, and columns. */
static inline int64_t matrix_pool_h(const struct matrix_work *work)
{
	return work->pool_h ? work->pool_h : 1;
}

static inline int64_t matrix_pool_w(const struct matrix_work *work)
{
	return work->pool_w ? work->pool_w : 1;
}

/* @total rows in @parts: those of the largest, whole rows of the output. */
static inline int64_t matrix_rows(const struct matrix_work *work, int64_t total, int64_t parts)
{
	int64_t pool = matrix_pool_h(work), rows = total / pool;

	return (rows + parts - 1) / parts * pool;
}

/* The best tiling for @target, or -ENOSPC. @choice: NULL, or what it was compared with (all but the node). Pure. */
int matrix_plan(const struct matrix_work *work, const struct target *target, struct matrix_plan *plan,
		struct matrix_choice *choice);
/* The cost model's cycles of the matrix pipe for one chunk (one block of K), and of the drain pipe for one. */
uint64_t matrix_conv_cycles(const struct matrix_work *work, const struct matrix_plan *plan);
uint64_t matrix_drain_cycles(const struct matrix_work *work, const struct matrix_plan *plan);
int matrix_lower(struct lower *lower, const struct matrix_work *work);

/* The same with the image cut over tiles by cut_grid(): what matrix_lower() does not know how to read or write. */
int matrix_lower_parts(struct lower *lower, const struct matrix_work *work);

/* First input row and number of rows that output rows [first, first + count) read (at least one). */
void matrix_input_rows(const struct matrix_work *work, int64_t first, int64_t count, int64_t *row, int64_t *rows);

#endif
