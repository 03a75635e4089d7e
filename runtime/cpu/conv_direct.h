/* SPDX-License-Identifier: MIT */
/*
 * Convolutions as a product that reads the image in place.
 *
 * In the layout of conv_depthwise.h, row (channel, tap) of the product's right operand is a contiguous piece of the
 * image, so that nothing has to be gathered. The price: columns between the output rows are computed in vain. It pays
 * where there are few output channels to spread the gathering over.
 */
#ifndef RUNTIME_CPU_CONV_DIRECT_H
#define RUNTIME_CPU_CONV_DIRECT_H

#include "runtime/cpu/epilogue.h"
#include "runtime/cpu/window.h"

/*
 * struct conv_direct - one operation
 * @inputs, @channels: of one group
 * @packed: the weight, one matrix [channels, inputs * taps] a group, packed by sgemm_pack()
 * @group_stride: floats from one group's packed weight to the next
 * @epilogue: rows are output channels of all groups; the residual is shaped like @y
 */
struct conv_direct {
	const struct window *window;
	int64_t batch, group, inputs, channels;
	const float *x, *packed;
	size_t group_stride;
	float *y;
	struct epilogue epilogue;
};

/* True when this way is expected to be faster than gathering. */
bool conv_direct_pays(const struct window *window, int64_t channels);

/* -ENOMEM, -EOVERFLOW (padding beyond memory). */
int conv_direct(struct op_call *call, const struct conv_direct *conv);

#endif
