/* SPDX-License-Identifier: MIT */
/* Geometry of pools, and the averages that the matrix unit makes. */
#ifndef COMPILER_TARGET_LOWER_POOL_H
#define COMPILER_TARGET_LOWER_POOL_H

#include "compiler/target/cut.h"
#include "compiler/target/lower.h"

/*
 * 2-D geometry, by axis (rows, columns); 1-D pools have one column.
 * @include_pad: padding counts in an average's divisor
 */
struct pool {
	int spatial;
	int64_t kernel[2], stride[2], dilation[2], begin[2], end[2], in[2], out[2];
	bool average, include_pad;
};

/* 0, or -ENOTSUP with the reason. */
int pool_read(const struct graph_node *node, struct pool *pool, char *reason, size_t size);
/* QLinearAveragePool or QLinearGlobalAveragePool. */
bool pool_is_quantized(const struct graph_node *node);
/* Elements along @axis that an average at output @at counts; at least 1. */
int64_t pool_count(const struct pool *pool, int axis, int64_t at);

/* Dimensions of images. */
enum { N, H, W, C };

/*
 * What one node does.
 * @x, @y:	 as [N][H][W][C]
 * @x_cut, @y_cut: how they are cut over tiles, or NULL
 * @table:	 of an average: what positions are divided by
 * @type, @fill: of the input in the scratchpad, and what pads it
 */
struct pool_run {
	const struct graph_node *node;
	struct pool pool;
	struct dev_tensor x, y, table;
	const struct cut *x_cut, *y_cut;
	enum axl_type type;
	uint32_t fill;
};

/* An [1][rows][ow][channels] view as the five dimensions of windows, [rows][ow][kh][kw][channels], with kernels of 1. */
struct spad_view pool_flat_view(const struct spad_view *out);

/* Is the maximum taken in parts of the image (cut.h)? */
bool max_cuts(const struct pool *pool, const struct target *target);
/* The same of @node; *@box: the positions that @tile then reads. */
bool max_reads_part(const struct graph_node *node, const struct target *target, unsigned int tile, struct cut_box *box);
/* All of it, where the input or the output is cut. 0 or negative errno with lower->error. */
int max_parts(struct lower *lower, const struct pool_run *run);
/* Rows [h0, h0 + rows) of the output for an image that is resident in the one tile's scratchpad (resident.h). */
int max_in_place(struct lower *lower, const struct pool_run *run, int64_t image, int64_t h0, int64_t rows);

/* Average pools as depthwise convolutions with weights of one, divided in the drain. */
bool average_fits_matrix(const struct graph_node *node, const struct pool *pool);
/* The same for GlobalAveragePool and its quantized form, whatever the reason against it. */
bool average_takes(const struct lower *lower, const struct graph_node *node);
int average_lower(struct lower *lower, struct graph_node *node);
uint64_t average_cycles(const struct graph_node *node, const struct target *target, enum lower_precision precision);

#endif
