/* SPDX-License-Identifier: MIT */
/*
 * Convolutions in which every output channel reads one input channel.
 *
 * An image plane is copied with its padding and sorted by the remainder of its coordinates by the stride:
 *
 *	columns 0 1 2 3 4 5 6, stride 2  ->  0 2 4 6 | 1 3 5 .
 *
 * and rows and slices likewise. In that layout the inputs that one tap contributes to all outputs lie one behind the
 * other, whatever stride and dilation are, with the same pitch for every tap: the whole plane is one long vector loop.
 */
#ifndef RUNTIME_CPU_CONV_DEPTHWISE_H
#define RUNTIME_CPU_CONV_DEPTHWISE_H

#include "runtime/cpu/epilogue.h"
#include "runtime/cpu/window.h"

/* Taps above which integers held as floats would no longer add up exactly: 255 * 255 * 256 < 2^24. */
#define DEPTHWISE_EXACT_TAPS 256

#define DEPTHWISE_KEPT_TAPS 64

/*
 * struct depthwise - the layout
 * @sizes:   rows, columns… of one remainder's part
 * @part:    elements of one part
 * @image:   elements of all parts, and what is read beyond the last
 * @span:    elements from the first to the last output in the layout's pitch
 * @offsets: depthwise_tap() of the first taps, which costs a dozen divisions otherwise
 */
struct depthwise {
	const struct window *window;
	int64_t sizes[WINDOW_AXES];
	int64_t part, image, span;
	int64_t offsets[DEPTHWISE_KEPT_TAPS];
};

/*
 * The layout's @sizes for a window, and how many elements @beyond the last row are read (padding that rows share has
 * nobody there to share it with). False on overflow.
 */
bool depthwise_sizes(const struct window *w, int64_t *sizes, int64_t *beyond);

/* -EOVERFLOW with the call's error set when the padded image is too large; @window must outlive the layout. */
int depthwise_init(struct depthwise *d, struct op_call *call, const struct window *window);

/* Floats of working memory for depthwise_load() and depthwise_convolve(). */
size_t depthwise_memory(const struct depthwise *d);

/* Fill the image with @value once; loading a plane overwrites everything but the padding. */
void depthwise_clear(const struct depthwise *d, float value, float *memory);

/* Copy a plane into @memory: float32 as it is; uint8 and int8 as value - @zero. */
void depthwise_load(const struct depthwise *d, enum dtype dtype, const void *plane, int32_t zero, float *memory);

/* Convolve what was loaded with one kernel, @weight[taps], to @out[out…] = max(sum + @bias, @floor). */
void depthwise_convolve(const struct depthwise *d, float *memory, const float *weight, float bias, float floor,
			float *out);

/* Maximum, or sum, over the window's taps instead of a convolution. */
void depthwise_max(const struct depthwise *d, float *memory, float *out);
void depthwise_sum(const struct depthwise *d, float *memory, float *out);

/* Where the inputs of tap @t begin in a loaded image: those of output o (in the layout's pitch) are @o further. */
int64_t depthwise_tap(const struct depthwise *d, int64_t t);

/*
 * The whole float operation.
 * @planes: images * input channels; @groups: input channels; @channels: output channels of each
 * @x: [planes, in…], @w: [groups * channels, taps], @y: [planes, channels, out…]
 * The rows of @e are output channels; its residual is shaped like @y. -ENOMEM, -EOVERFLOW.
 */
int conv_depthwise(struct op_call *call, const struct window *window, int64_t planes, int64_t groups, int64_t channels,
		   const float *x, const float *w, const struct epilogue *e, float *y);

#endif
