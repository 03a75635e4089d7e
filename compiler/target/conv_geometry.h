/* SPDX-License-Identifier: MIT */
/* What the attributes and shapes of a convolution node say of its windows, and who of several tiles makes what of it. */
#ifndef COMPILER_TARGET_CONV_GEOMETRY_H
#define COMPILER_TARGET_CONV_GEOMETRY_H

#include "compiler/target/cut_grid.h"
#include "compiler/target/matrix_work.h"

#define CONV_MAX_SPATIAL 2

/* Where a node keeps what the lowering needs: indices of inputs, -1 where it has none. */
struct conv_form {
	const char *op_type;
	int x, w, bias, residual;
	int x_scale, x_zero, w_scale, w_zero, y_scale, y_zero;
	bool transposed;
};

/*
 * The geometry of a convolution node, 1-D ones as W rows of one column. @pool: rows and columns of the windows whose maximum the
 * drain takes.
 */
struct conv_geometry {
	int spatial;
	int64_t pool[CONV_MAX_SPATIAL];
	int64_t kernel[CONV_MAX_SPATIAL], stride[CONV_MAX_SPATIAL], dilation[CONV_MAX_SPATIAL];
	int64_t begin[CONV_MAX_SPATIAL], end[CONV_MAX_SPATIAL];
	int64_t in[CONV_MAX_SPATIAL], out[CONV_MAX_SPATIAL], out_pad[CONV_MAX_SPATIAL];
	int64_t groups, batch, channels, out_channels;
	bool transposed;
};

/* NULL: @node is no convolution. */
const struct conv_form *conv_form_find(const struct graph_node *node);
/* Input @index of @node, or NULL: also for index -1. */
const struct graph_value *conv_input(const struct graph_node *node, int index);

/* 0, or -ENOTSUP with @reason: the device does not do it. */
int conv_geometry_read(const struct graph_node *node, const struct conv_form *form, struct conv_geometry *geo,
		       char *reason, size_t size);
/* As @work has it, with the weights @w; a transposed convolution becomes one over the dilated input. */
void conv_geometry_set(struct matrix_work *work, const struct conv_geometry *geo, const struct tensor *w);

/* Do the tiles of @target make parts of the result? */
bool conv_geometry_cuts(const struct conv_geometry *geo, const struct target *target);
struct cut_grid conv_geometry_grid(const struct conv_geometry *geo, const struct target *target);
/* The positions of the sums that @tile makes. */
struct cut_box conv_geometry_owned(const struct conv_geometry *geo, const struct target *target, unsigned int tile);
/* Does it need every stride'th row and column of its input only, those from the first? */
bool conv_geometry_steps(const struct conv_geometry *geo);

#endif
