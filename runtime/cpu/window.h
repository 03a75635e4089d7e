/* SPDX-License-Identifier: MIT */
/*
 * The sliding window that convolutions and pools share: attributes and shapes in, one checked geometry out.
 *
 * Every geometry has three spatial axes; inputs with fewer get leading ones of size 1, so that a kernel is written once
 * for 1-D, 2-D and 3-D.
 */
#ifndef RUNTIME_CPU_WINDOW_H
#define RUNTIME_CPU_WINDOW_H

#include "runtime/cpu/op.h"

#define WINDOW_AXES 3

/*
 * struct window - per spatial axis: the input position under tap k of output o is o * stride + k * dilation - pad_lo
 * @rank: spatial axes that the tensor has; they are the last @rank of the three
 */
struct window {
	int rank;
	int64_t in[WINDOW_AXES];
	int64_t kernel[WINDOW_AXES];
	int64_t stride[WINDOW_AXES];
	int64_t dilation[WINDOW_AXES];
	int64_t pad_lo[WINDOW_AXES];
	int64_t pad_hi[WINDOW_AXES];
	int64_t out[WINDOW_AXES];
};

/*
 * Read kernel_shape, strides, pads, dilations and auto_pad of the call's node for an input @x of shape [N, C,
 * spatial…].
 * @kernel: sizes of the weight's spatial axes, or NULL when kernel_shape is the only source (pools)
 * @ceil:   the attribute ceil_mode
 * 0, or a negative errno with the call's error set.
 */
int window_read(struct op_call *call, const struct tensor *x, const int64_t *kernel, bool ceil, struct window *w);

/* As window_read() for ConvTranspose: output_padding and output_shape too; @w->out is the larger, transposed output. */
int window_read_transpose(struct op_call *call, const struct tensor *x, const int64_t *kernel, struct window *w);

/* A window that covers the whole input: what the global pools use. */
int window_global(struct op_call *call, const struct tensor *x, struct window *w);

/* Elements of the spatial axes of input, output and kernel. */
int64_t window_in_count(const struct window *w);
int64_t window_out_count(const struct window *w);
int64_t window_taps(const struct window *w);

/* [N, channels, out…] into @dims for op_output(); returns the rank. */
int window_output_dims(const struct window *w, int64_t batch, int64_t channels, int64_t *dims);

/*
 * Taps [*first, *last) of @axis that fall inside the input at output position @o; empty (*first >= *last) when none do.
 */
static inline void window_tap_range(const struct window *w, int axis, int64_t o, int64_t *first, int64_t *last)
{
	int64_t origin = o * w->stride[axis] - w->pad_lo[axis], dilation = w->dilation[axis];
	int64_t room = w->in[axis] - origin;

	*first = origin < 0 ? (-origin + dilation - 1) / dilation : 0;
	*last = room <= 0 ? 0 : (room + dilation - 1) / dilation;
	if (*last > w->kernel[axis])
		*last = w->kernel[axis];
}

/*
 * Outputs [*first, *last) of @axis for which tap @k falls inside the input; empty when none do.
 */
static inline void window_output_range(const struct window *w, int axis, int64_t k, int64_t *first, int64_t *last)
{
	int64_t offset = k * w->dilation[axis] - w->pad_lo[axis], stride = w->stride[axis];
	int64_t room = w->in[axis] - offset;

	*first = offset < 0 ? (-offset + stride - 1) / stride : 0;
	*last = room <= 0 ? 0 : (room + stride - 1) / stride;
	if (*last > w->out[axis])
		*last = w->out[axis];
}

#endif
