// SPDX-License-Identifier: MIT
/*
 * Shape formulas: see shape_rules.h. Knows numbers only.
 */
#include "runtime/cpu/shape_rules.h"

#include <errno.h>
#include <string.h>

int normalize_axis(int64_t *axis, int rank)
{
	if (*axis < -(int64_t)rank || *axis >= rank)
		return -ERANGE;
	if (*axis < 0)
		*axis += rank;
	return 0;
}

int normalize_axes(const int64_t *axes, size_t count, int rank, bool *selected)
{
	for (int i = 0; i < rank; i++)
		selected[i] = false;
	for (size_t i = 0; i < count; i++) {
		int64_t axis = axes[i];
		int err = normalize_axis(&axis, rank);

		if (err)
			return err;
		if (selected[axis])
			return -EEXIST;
		selected[axis] = true;
	}
	return 0;
}

int broadcast_dims(int rank_a, const int64_t *a, int rank_b, const int64_t *b, int *out_rank, int64_t *out)
{
	int rank = rank_a > rank_b ? rank_a : rank_b;

	/* From the left, @out may be @a only when that one is the longer: so walk from the right, reading before
	 * writing. */
	for (int i = rank - 1; i >= 0; i--) {
		int ia = i - (rank - rank_a), ib = i - (rank - rank_b);
		int64_t da = ia >= 0 ? a[ia] : 1;
		int64_t db = ib >= 0 ? b[ib] : 1;

		if (da != db && da != 1 && db != 1)
			return -EINVAL;
		out[i] = da == 1 ? db : da;
	}
	*out_rank = rank;
	return 0;
}

/* (kernel - 1) * dilation + 1, the elements that a dilated kernel spans. */
static int64_t kernel_extent(int64_t kernel, int64_t dilation)
{
	int64_t extent;

	if (kernel < 1 || dilation < 1)
		return -EINVAL;
	if (__builtin_mul_overflow(kernel - 1, dilation, &extent) || __builtin_add_overflow(extent, 1, &extent))
		return -EOVERFLOW;
	return extent;
}

int64_t conv_output_dim(int64_t in, int64_t kernel, int64_t stride, int64_t dilation, int64_t pad_lo, int64_t pad_hi,
			bool ceil)
{
	int64_t extent = kernel_extent(kernel, dilation), padded, room, out;

	if (extent < 0)
		return extent;
	if (stride < 1 || in < 0)
		return -EINVAL;
	if (__builtin_add_overflow(in, pad_lo, &padded) || __builtin_add_overflow(padded, pad_hi, &padded) ||
	    __builtin_sub_overflow(padded, extent, &room))
		return -EOVERFLOW;
	if (room < 0)
		return 0;
	out = room / stride + 1;
	/* out * stride is the start of the window that rounding up would add. */
	if (ceil && room % stride != 0) {
		int64_t start;

		if (!__builtin_mul_overflow(out, stride, &start) && start < in + pad_lo)
			out++;
	}
	return out;
}

int64_t conv_transpose_output_dim(int64_t in, int64_t kernel, int64_t stride, int64_t dilation, int64_t pad_lo,
				  int64_t pad_hi, int64_t output_padding)
{
	int64_t extent = kernel_extent(kernel, dilation), out;

	if (extent < 0)
		return extent;
	if (stride < 1 || in < 0)
		return -EINVAL;
	if (in == 0)
		return 0;
	if (__builtin_mul_overflow(in - 1, stride, &out) || __builtin_add_overflow(out, extent, &out) ||
	    __builtin_add_overflow(out, output_padding, &out) || __builtin_sub_overflow(out, pad_lo, &out) ||
	    __builtin_sub_overflow(out, pad_hi, &out))
		return -EOVERFLOW;
	return out < 0 ? 0 : out;
}

int auto_pad_parse(const char *text, size_t size, enum auto_pad *mode)
{
	static const char *const names[] = {
		[AUTO_PAD_NOTSET] = "NOTSET",
		[AUTO_PAD_VALID] = "VALID",
		[AUTO_PAD_SAME_UPPER] = "SAME_UPPER",
		[AUTO_PAD_SAME_LOWER] = "SAME_LOWER",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strlen(names[i]) == size && !memcmp(names[i], text, size)) {
			*mode = i;
			return 0;
		}
	}
	return -EINVAL;
}

/* Split @total over both ends; a SAME pad is never negative. */
static void share_pad(int64_t total, bool odd_at_end, int64_t *pad_lo, int64_t *pad_hi)
{
	int64_t half;

	if (total < 0)
		total = 0;
	half = total / 2;
	*pad_lo = odd_at_end ? half : total - half;
	*pad_hi = total - *pad_lo;
}

int auto_pad_resolve(enum auto_pad mode, int64_t in, int64_t kernel, int64_t stride, int64_t dilation, int64_t *pad_lo,
		     int64_t *pad_hi)
{
	int64_t extent = kernel_extent(kernel, dilation), out, total;

	if (extent < 0)
		return extent;
	if (stride < 1 || in < 0)
		return -EINVAL;
	if (mode == AUTO_PAD_NOTSET)
		return 0;
	*pad_lo = *pad_hi = 0;
	if (mode == AUTO_PAD_VALID || in == 0)
		return 0;
	out = (in - 1) / stride + 1;
	if (__builtin_mul_overflow(out - 1, stride, &total) || __builtin_add_overflow(total, extent, &total))
		return -EOVERFLOW;
	share_pad(total - in, mode == AUTO_PAD_SAME_UPPER, pad_lo, pad_hi);
	return 0;
}

int auto_pad_resolve_transpose(enum auto_pad mode, int64_t in, int64_t kernel, int64_t stride, int64_t dilation,
			       int64_t output_padding, int64_t out, int64_t *pad_lo, int64_t *pad_hi)
{
	int64_t full = conv_transpose_output_dim(in, kernel, stride, dilation, 0, 0, output_padding);

	if (full < 0)
		return full;
	if (out < 0) {
		if (mode == AUTO_PAD_NOTSET)
			return 0;
		if (mode == AUTO_PAD_VALID) {
			*pad_lo = *pad_hi = 0;
			return 0;
		}
		if (__builtin_mul_overflow(in, stride, &out))
			return -EOVERFLOW;
	}
	share_pad(full - out, mode == AUTO_PAD_SAME_UPPER, pad_lo, pad_hi);
	return 0;
}

/* Product of the dims; a zero anywhere gives 0 even when the others would overflow. */
static int64_t count_of(size_t rank, const int64_t *dims)
{
	int64_t count = 1;

	for (size_t i = 0; i < rank; i++)
		if (dims[i] == 0)
			return 0;
	for (size_t i = 0; i < rank; i++)
		if (__builtin_mul_overflow(count, dims[i], &count))
			return -EOVERFLOW;
	return count;
}

int reshape_dims(int rank, const int64_t *dims, size_t spec_count, const int64_t *spec, bool allow_zero, int64_t *out)
{
	int64_t total = count_of(rank, dims), known;
	size_t wild = spec_count;
	bool has_zero = false;

	if (total < 0)
		return total;
	for (size_t i = 0; i < spec_count; i++) {
		out[i] = spec[i];
		if (spec[i] == 0 && !allow_zero) {
			if (i >= (size_t)rank)
				return -EINVAL;
			out[i] = dims[i];
		} else if (spec[i] == 0) {
			has_zero = true;
		} else if (spec[i] == -1) {
			if (wild < spec_count)
				return -EINVAL;
			wild = i;
			out[i] = 1;
		} else if (spec[i] < 0) {
			return -EINVAL;
		}
	}
	known = count_of(spec_count, out);
	if (known < 0)
		return known;
	if (wild == spec_count)
		return known == total ? 0 : -EINVAL;
	if (has_zero)
		return -EINVAL;
	/* 0 elements over 0: the -1 could be anything; numpy and ONNX Runtime say 0. */
	if (known == 0) {
		out[wild] = 0;
		return total == 0 ? 0 : -EINVAL;
	}
	if (total % known)
		return -EINVAL;
	out[wild] = total / known;
	return 0;
}

static int64_t clamp(int64_t value, int64_t lo, int64_t hi)
{
	return value < lo ? lo : value > hi ? hi : value;
}

int64_t slice_dim(int64_t dim, int64_t *start, int64_t end, int64_t step)
{
	uint64_t span, stride;

	if (step == 0)
		return -EINVAL;
	/* The additions cannot overflow: a negative number plus a size. INT64_MIN as an end means "past the beginning".
	 */
	if (*start < 0)
		*start += dim;
	if (end < 0)
		end += dim;
	if (step > 0) {
		*start = clamp(*start, 0, dim);
		end = clamp(end, 0, dim);
		if (end <= *start)
			return 0;
		span = end - *start;
		stride = step;
	} else {
		*start = clamp(*start, 0, dim - 1);
		end = clamp(end, -1, dim - 1);
		if (end >= *start || dim == 0)
			return 0;
		span = *start - end;
		stride = -(uint64_t)step;
	}
	return (span - 1) / stride + 1;
}

int split_even(int64_t dim, size_t parts, bool exact, int64_t *out)
{
	int64_t each, left = dim;

	if (parts == 0 || parts > INT32_MAX || dim < 0 || (exact && dim % (int64_t)parts))
		return -EINVAL;
	each = dim / (int64_t)parts + (dim % (int64_t)parts != 0);
	for (size_t i = 0; i < parts; i++) {
		out[i] = left < each ? left : each;
		left -= out[i];
	}
	return 0;
}
