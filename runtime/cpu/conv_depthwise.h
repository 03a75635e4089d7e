/* SPDX-License-Identifier: MIT */
/*
 * Convolutions in which every output channel reads one input channel.
 */
#ifndef RUNTIME_CPU_CONV_DEPTHWISE_H
#define RUNTIME_CPU_CONV_DEPTHWISE_H

#include "runtime/cpu/epilogue.h"
#include "runtime/cpu/window.h"

/*
 * @planes: images * input channels; @groups: input channels; @channels: output channels of each
 * @x: [planes, in…], @w: [groups * channels, taps], @y: [planes, channels, out…]
 * The rows of @e are output channels; its residual is shaped like @y. -ENOMEM, -EOVERFLOW (padding beyond memory).
 */
int conv_depthwise(struct op_call *call, const struct window *window, int64_t planes, int64_t groups, int64_t channels,
		   const float *x, const float *w, const struct epilogue *e, float *y);

#endif
