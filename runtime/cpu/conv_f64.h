/* SPDX-License-Identifier: MIT */
/*
 * Convolutions of doubles, by their definition: rare enough that exactness and shortness win over speed. Inner loops run
 * along output rows.
 */
#ifndef RUNTIME_CPU_CONV_F64_H
#define RUNTIME_CPU_CONV_F64_H

#include "runtime/cpu/window.h"

/*
 * struct conv_f64 - one call; x [batch, group * inputs, in…], y [batch, group * channels, out…]
 * @w:    Conv: [group * channels, inputs, taps]; ConvTranspose: [group * inputs, channels, taps]
 * @bias: [group * channels] or NULL
 */
struct conv_f64 {
	const struct window *window;
	int64_t batch, group, inputs, channels;
	const double *x, *w, *bias;
	double *y;
};

/* Neither can fail. They run on the threads of @pool (NULL: on this one). */
void conv_f64(const struct conv_f64 *conv, struct cpu_pool *pool);
void conv_transpose_f64(const struct conv_f64 *conv, struct cpu_pool *pool);

#endif
