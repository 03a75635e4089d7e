// SPDX-License-Identifier: MIT
/*
 * The shape formulas, against values worked out by hand and, where there is a definition to count by, against counting.
 */
#include <errno.h>
#include <string.h>

#include "runtime/cpu/shape_rules.h"
#include "tests/unit/cpu/op_case.h"

static void convolution_size_counts_windows(void **state)
{
	(void)state;
	for (int i = 0; i < 2000; i++) {
		int64_t in = random_below(30), kernel = 1 + random_below(5), stride = 1 + random_below(4);
		int64_t dilation = 1 + random_below(3), lo = random_below(4), hi = random_below(4), count = 0;

		for (int64_t start = 0; start + (kernel - 1) * dilation + 1 <= in + lo + hi; start += stride)
			count++;
		assert_int_equal(conv_output_dim(in, kernel, stride, dilation, lo, hi, false), count);
	}
}

static void ceil_mode_adds_a_window_that_starts_in_the_input(void **state)
{
	(void)state;
	assert_int_equal(conv_output_dim(6, 2, 2, 1, 0, 0, true), 3);
	assert_int_equal(conv_output_dim(7, 2, 2, 1, 0, 0, false), 3);
	assert_int_equal(conv_output_dim(7, 2, 2, 1, 0, 0, true), 4);
	/* The extra window would start at 6 = in + pad_lo: dropped. */
	assert_int_equal(conv_output_dim(5, 1, 3, 1, 1, 2, true), 3);
	assert_int_equal(conv_output_dim(4, 3, 2, 1, 0, 1, true), 2);
}

static void sizes_reject_what_makes_no_sense(void **state)
{
	(void)state;
	assert_int_equal(conv_output_dim(8, 0, 1, 1, 0, 0, false), -EINVAL);
	assert_int_equal(conv_output_dim(8, 3, 0, 1, 0, 0, false), -EINVAL);
	assert_int_equal(conv_output_dim(8, 3, 1, 0, 0, 0, false), -EINVAL);
	assert_int_equal(conv_output_dim(8, INT64_MAX, 1, 3, 0, 0, false), -EOVERFLOW);
	assert_int_equal(conv_output_dim(INT64_MAX, 3, 1, 1, 1, 0, false), -EOVERFLOW);
	assert_int_equal(conv_output_dim(2, 3, 1, 1, 0, 0, false), 0);
}

static void same_padding_keeps_ceil_of_the_ratio(void **state)
{
	(void)state;
	for (int i = 0; i < 2000; i++) {
		int64_t in = 1 + random_below(40), kernel = 1 + random_below(6), stride = 1 + random_below(4);
		int64_t dilation = 1 + random_below(3), lo, hi;

		assert_int_equal(auto_pad_resolve(AUTO_PAD_SAME_UPPER, in, kernel, stride, dilation, &lo, &hi), 0);
		assert_int_equal(conv_output_dim(in, kernel, stride, dilation, lo, hi, false),
				 (in + stride - 1) / stride);
		assert_in_range(hi - lo, 0, 1);
		assert_int_equal(auto_pad_resolve(AUTO_PAD_SAME_LOWER, in, kernel, stride, dilation, &lo, &hi), 0);
		assert_in_range(lo - hi, 0, 1);
	}
}

static void transposed_size_inverts_convolution(void **state)
{
	(void)state;
	for (int i = 0; i < 500; i++) {
		int64_t out = 1 + random_below(20), kernel = 1 + random_below(5), stride = 1 + random_below(4);
		int64_t in = conv_transpose_output_dim(out, kernel, stride, 1, 0, 0, 0);

		assert_int_equal(conv_output_dim(in, kernel, stride, 1, 0, 0, false), out);
	}
}

static void broadcast_follows_numpy(void **state)
{
	int64_t out[TENSOR_MAX_RANK];
	int rank;

	(void)state;
	assert_int_equal(broadcast_dims(3, (int64_t[]){8, 1, 6}, 2, (int64_t[]){7, 1}, &rank, out), 0);
	assert_int_equal(rank, 3);
	assert_memory_equal(out, ((int64_t[]){8, 7, 6}), sizeof(int64_t) * 3);
	assert_int_equal(broadcast_dims(1, (int64_t[]){0}, 1, (int64_t[]){1}, &rank, out), 0);
	assert_int_equal(out[0], 0);
	assert_int_equal(broadcast_dims(1, (int64_t[]){3}, 1, (int64_t[]){2}, &rank, out), -EINVAL);
	memcpy(out, (int64_t[]){5, 1}, 2 * sizeof(int64_t));
	assert_int_equal(broadcast_dims(2, out, 3, (int64_t[]){2, 1, 4}, &rank, out), 0);
	assert_memory_equal(out, ((int64_t[]){2, 5, 4}), sizeof(int64_t) * 3);
}

static void reshape_copies_and_computes(void **state)
{
	const int64_t dims[] = {2, 3, 4};
	int64_t out[4];

	(void)state;
	assert_int_equal(reshape_dims(3, dims, 2, (int64_t[]){0, -1}, false, out), 0);
	assert_memory_equal(out, ((int64_t[]){2, 12}), sizeof(int64_t) * 2);
	assert_int_equal(reshape_dims(3, dims, 2, (int64_t[]){-1, -1}, false, out), -EINVAL);
	assert_int_equal(reshape_dims(3, dims, 2, (int64_t[]){5, -1}, false, out), -EINVAL);
	assert_int_equal(reshape_dims(3, dims, 4, (int64_t[]){2, 3, 4, 0}, false, out), -EINVAL);
	assert_int_equal(reshape_dims(3, dims, 1, (int64_t[]){-2}, false, out), -EINVAL);
	assert_int_equal(reshape_dims(2, (int64_t[]){0, 3}, 2, (int64_t[]){3, 0}, true, out), 0);
	assert_int_equal(reshape_dims(2, (int64_t[]){0, 3}, 2, (int64_t[]){0, -1}, true, out), -EINVAL);
	assert_int_equal(reshape_dims(3, dims, 3, (int64_t[]){INT64_MAX, 4, -1}, false, out), -EOVERFLOW);
}

static void slice_takes_what_the_specification_takes(void **state)
{
	(void)state;
	for (int i = 0; i < 5000; i++) {
		int64_t dim = random_below(8), first = (int64_t)random_below(24) - 12, start = first;
		int64_t end = (int64_t)random_below(24) - 12, step = (int64_t)random_below(7) - 3, count = 0;
		/* Python's slice.indices(), but a start before the beginning becomes 0 for negative steps, too. */
		int64_t low = step < 0 ? -1 : 0, high = step < 0 ? dim - 1 : dim;
		int64_t from = first < 0 ? first + dim : first, to = end < 0 ? end + dim : end;

		if (step == 0)
			continue;
		from = from > high ? high : from < 0 && dim > 0 ? 0 : from < low ? low : from;
		to = to < low ? low : to > high ? high : to;
		for (int64_t at = from; step > 0 ? at < to : at > to; at += step)
			count++;
		assert_int_equal(slice_dim(dim, &start, end, step), count);
		if (count > 0)
			assert_int_equal(start, from);
	}
}

static void slice_survives_extreme_bounds(void **state)
{
	int64_t start = INT64_MAX;

	(void)state;
	assert_int_equal(slice_dim(5, &start, INT64_MIN, -1), 5);
	assert_int_equal(start, 4);
	start = INT64_MIN;
	assert_int_equal(slice_dim(5, &start, INT64_MAX, INT64_MAX), 1);
	start = 4;
	assert_int_equal(slice_dim(5, &start, INT64_MIN, INT64_MIN), 1);
	assert_int_equal(slice_dim(5, &start, 0, 0), -EINVAL);
}

static void even_split_leaves_the_rest_last(void **state)
{
	int64_t parts[4];

	(void)state;
	assert_int_equal(split_even(7, 4, false, parts), 0);
	assert_memory_equal(parts, ((int64_t[]){2, 2, 2, 1}), sizeof(parts));
	assert_int_equal(split_even(7, 4, true, parts), -EINVAL);
	assert_int_equal(split_even(7, 0, false, parts), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(convolution_size_counts_windows),
		cmocka_unit_test(ceil_mode_adds_a_window_that_starts_in_the_input),
		cmocka_unit_test(sizes_reject_what_makes_no_sense),
		cmocka_unit_test(same_padding_keeps_ceil_of_the_ratio),
		cmocka_unit_test(transposed_size_inverts_convolution),
		cmocka_unit_test(broadcast_follows_numpy),
		cmocka_unit_test(reshape_copies_and_computes),
		cmocka_unit_test(slice_takes_what_the_specification_takes),
		cmocka_unit_test(slice_survives_extreme_bounds),
		cmocka_unit_test(even_split_leaves_the_rest_last),
	};

	random_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
