/* SPDX-License-Identifier: MIT */
/*
 * The shape formulas that several parts of the project need to agree on.
 *
 * The CPU kernels use them to size their outputs and the compiler's shape inference to predict those sizes, so that the
 * two cannot differ. Plain integers in, plain integers out: no tensors, no text, no allocation, safe from any thread.
 * Every function checks for overflow, because dimensions come from files.
 */
#ifndef RUNTIME_CPU_SHAPE_RULES_H
#define RUNTIME_CPU_SHAPE_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The values of the attribute auto_pad of Conv, ConvTranspose and the pools. */
enum auto_pad { AUTO_PAD_NOTSET, AUTO_PAD_VALID, AUTO_PAD_SAME_UPPER, AUTO_PAD_SAME_LOWER };

/*
 * *axis in [-rank, rank) to [0, rank). -ERANGE when it lies outside, *axis is then untouched.
 * (For Unsqueeze and for ConcatFromSequence's new axis, pass the rank of the output.)
 */
int normalize_axis(int64_t *axis, int rank);

/*
 * Mark in @selected (rank entries, all written) the axes named in @axes, each in [-rank, rank).
 * -ERANGE outside, -EEXIST for an axis named twice.
 */
int normalize_axes(const int64_t *axes, size_t count, int rank, bool *selected);

/*
 * NumPy's multidirectional broadcast (ONNX, docs/Broadcasting.md): align at the right, 1 stretches to the other size.
 * *out_rank = max of the ranks. @out may be the same array as @a or @b. -EINVAL when a pair of sizes differs and
 * neither is 1.
 */
int broadcast_dims(int rank_a, const int64_t *a, int rank_b, const int64_t *b, int *out_rank, int64_t *out);

/*
 * Spatial size of a convolution's output, and of a pool's (ONNX, Conv and MaxPool):
 *	floor((in + pad_lo + pad_hi - ((kernel - 1) * dilation + 1)) / stride) + 1,
 * with @ceil rounded up instead, less the last window when that would start beyond the input and its left padding
 * (onnx issue 5711; what PyTorch and ONNX Runtime do). Returns the size, 0 when the kernel does not fit, -EINVAL for
 * kernel, stride or dilation below 1 or a negative input, -EOVERFLOW.
 * Negative pads crop, as in ConvTranspose's exports.
 */
int64_t conv_output_dim(int64_t in, int64_t kernel, int64_t stride, int64_t dilation, int64_t pad_lo, int64_t pad_hi,
			bool ceil);

/*
 * Spatial size of a transposed convolution's output (ONNX, ConvTranspose):
 *	stride * (in - 1) + output_padding + ((kernel - 1) * dilation + 1) - pad_lo - pad_hi.
 * Errors as conv_output_dim(); never below 0.
 */
int64_t conv_transpose_output_dim(int64_t in, int64_t kernel, int64_t stride, int64_t dilation, int64_t pad_lo,
				  int64_t pad_hi, int64_t output_padding);

/* NOTSET, VALID, SAME_UPPER or SAME_LOWER from @text of @size bytes (no NUL needed). -EINVAL for anything else. */
int auto_pad_parse(const char *text, size_t size, enum auto_pad *mode);

/*
 * Pads of one spatial axis of Conv or a pool for an auto_pad mode. NOTSET leaves both as they are; VALID makes them 0;
 * SAME pads so that the output has ceil(in / stride) elements, the odd element at the end (UPPER) or the beginning
 * (LOWER).
 */
int auto_pad_resolve(enum auto_pad mode, int64_t in, int64_t kernel, int64_t stride, int64_t dilation, int64_t *pad_lo,
		     int64_t *pad_hi);

/*
 * Pads of one spatial axis of ConvTranspose so that the output has @out elements, *or* for SAME modes in * stride when
 * @out is negative. The odd element goes to the end (UPPER) or the beginning (LOWER, and an explicit output_shape with
 * NOTSET), ONNX's ConvTranspose: "if auto_pad == SAME_UPPER: pads[start] = total / 2" and the other way round else.
 */
int auto_pad_resolve_transpose(enum auto_pad mode, int64_t in, int64_t kernel, int64_t stride, int64_t dilation,
			       int64_t output_padding, int64_t out, int64_t *pad_lo, int64_t *pad_hi);

/*
 * Reshape (ONNX): @spec of @spec_count entries applied to the input dims; 0 copies the input's dimension unless
 * @allow_zero, one -1 is computed. @out holds spec_count entries. -EINVAL (element counts differ, two -1, below -1, 0
 * past the rank, or -1 together with a 0 under @allow_zero), -EOVERFLOW.
 */
int reshape_dims(int rank, const int64_t *dims, size_t spec_count, const int64_t *spec, bool allow_zero, int64_t *out);

/*
 * Slice (ONNX, opset 10 up): clamp start and end for a dimension of @dim elements and return how many are taken.
 * *start is the first element taken, valid when the result is above 0. -EINVAL for step 0.
 */
int64_t slice_dim(int64_t dim, int64_t *start, int64_t end, int64_t step);

/*
 * Sizes of the parts when @dim is split evenly into @parts (Split with num_outputs, opset 18): all ceil(dim / parts),
 * the last one smaller. Before opset 18 the division had to be exact; pass @exact then. Writes @parts entries. -EINVAL.
 */
int split_even(int64_t dim, size_t parts, bool exact, int64_t *out);

#endif
