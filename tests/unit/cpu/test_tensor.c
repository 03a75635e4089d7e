// SPDX-License-Identifier: MIT
/*
 * Tensors, conversions, the thread pool and the registry.
 */
#include "tests/unit/cpu/op_case.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static void shapes_that_cannot_be_are_refused(void **state)
{
	struct tensor t;
	int64_t overflow[3] = {INT64_MAX, 2, 2}, negative[2] = {3, -1}, empty[3] = {INT64_MAX, 0, INT64_MAX};
	int64_t huge[1] = {INT64_MAX / 4}, four = 4;
	char bytes[15];

	(void)state;
	assert_int_equal(tensor_init(&t, DTYPE_F32, 3, overflow), -EOVERFLOW);
	assert_int_equal(tensor_init(&t, DTYPE_F32, 2, negative), -EINVAL);
	assert_int_equal(tensor_init(&t, DTYPE_F64, 1, huge), -EOVERFLOW);
	assert_int_equal(tensor_init(&t, DTYPE_UNDEFINED, 0, NULL), -EINVAL);
	assert_int_equal(tensor_init(&t, (enum dtype)999, 0, NULL), -EINVAL);
	assert_int_equal(tensor_init(&t, DTYPE_F32, TENSOR_MAX_RANK + 1, overflow), -EINVAL);
	assert_int_equal(tensor_init_view(&t, DTYPE_F32, 1, &four, bytes, sizeof(bytes)), -EINVAL);
	tensor_finish(&t);
	assert_int_equal(tensor_init(&t, DTYPE_F32, 3, empty), 0);
	assert_int_equal(tensor_count(&t), 0);
	tensor_finish(&t);
}

static void memory_is_zeroed_and_aligned(void **state)
{
	int64_t dims[2] = {7, 13};
	struct tensor t;

	(void)state;
	assert_int_equal(tensor_init(&t, DTYPE_S16, 2, dims), 0);
	assert_int_equal((uintptr_t)t.data % 64, 0);
	for (int i = 0; i < 91; i++)
		assert_int_equal(((int16_t *)t.data)[i], 0);
	tensor_finish(&t);
	tensor_finish(&t);
}

static void copies_own_their_strings(void **state)
{
	int64_t dims[1] = {3};
	struct tensor a, b;
	struct tensor_string *strings;

	(void)state;
	assert_int_equal(tensor_init(&a, DTYPE_STRING, 1, dims), 0);
	strings = a.data;
	strings[1].data = malloc(4);
	strings[1].size = 4;
	memcpy(strings[1].data, "a\0bc", 4);
	assert_int_equal(tensor_copy(&b, &a), 0);
	tensor_finish(&a);
	strings = b.data;
	assert_int_equal(strings[1].size, 4);
	assert_memory_equal(strings[1].data, "a\0bc", 4);
	assert_int_equal(strings[0].size, 0);
	tensor_finish(&b);
}

/* seq(optional(tensor(string))), with an empty optional and one that holds two strings. */
static void make_nested(struct tensor *t)
{
	struct tensor *some, *inner;

	assert_int_equal(tensor_init_nested(t, DTYPE_SEQUENCE, 2), 0);
	assert_int_equal(tensor_init_nested(&tensor_elements(t)[0], DTYPE_OPTIONAL, 0), 0);
	some = &tensor_elements(t)[1];
	assert_int_equal(tensor_init_nested(some, DTYPE_OPTIONAL, 1), 0);
	inner = tensor_elements(some);
	assert_int_equal(tensor_init(inner, DTYPE_STRING, 1, (const int64_t[]){2}), 0);
	for (int i = 0; i < 2; i++)
		((struct tensor_string *)inner->data)[i] = (struct tensor_string){strdup("ab"), 2};
}

static void nested_values_are_copied_deep(void **state)
{
	struct tensor value, copy;
	const struct tensor *inner;

	(void)state;
	make_nested(&value);
	assert_int_equal(tensor_copy(&copy, &value), 0);
	tensor_finish(&value);
	assert_int_equal(copy.dtype, DTYPE_SEQUENCE);
	assert_int_equal(tensor_count(&copy), 2);
	assert_int_equal(tensor_count(&tensor_elements(&copy)[0]), 0);
	inner = tensor_elements(&tensor_elements(&copy)[1]);
	assert_memory_equal(((struct tensor_string *)inner->data)[1].data, "ab", 2);
	tensor_finish(&copy);
}

static void nested_values_have_as_many_elements_as_their_type_allows(void **state)
{
	struct tensor value;

	(void)state;
	assert_int_equal(tensor_init_nested(&value, DTYPE_OPTIONAL, 2), -EINVAL);
	assert_int_equal(tensor_init_nested(&value, DTYPE_MAP, 1), -EINVAL);
	assert_int_equal(tensor_init_nested(&value, DTYPE_SEQUENCE, -1), -EINVAL);
	assert_int_equal(tensor_init_nested(&value, DTYPE_F32, 1), -EINVAL);
	assert_null(value.data);
	assert_int_equal(dtype_size(DTYPE_MAP), sizeof(struct tensor));
	assert_int_equal(dtype_size((enum dtype)(DTYPE_MAP + 1)), 0);
	assert_false(dtype_is_nested(DTYPE_STRING));
	assert_true(dtype_owns_memory(DTYPE_STRING));
}

static void names_and_types_are_inverse(void **state)
{
	(void)state;
	for (int type = 1; dtype_is_element(type); type++) {
		assert_int_equal(dtype_from_name(dtype_name((enum dtype)type)), type);
		assert_true(dtype_size((enum dtype)type) > 0);
	}
	assert_int_equal(dtype_from_name("float"), DTYPE_F32);
	assert_int_equal(dtype_from_name("double"), DTYPE_F64);
	assert_int_equal(dtype_from_name("int5"), DTYPE_UNDEFINED);
	assert_string_equal(dtype_name((enum dtype) - 1), "undefined");
}

/* The nearest of all 65536 halves, ties to even, found by bisection over their order. */
static uint16_t nearest_half(float value)
{
	uint16_t low = 0, high = 0x7c00, sign = signbit(value) ? 0x8000 : 0;
	double v = fabs((double)value), a, b;

	while (high - low > 1) {
		uint16_t middle = (uint16_t)((low + high) / 2);

		if (f16_to_f32(middle) <= v)
			low = middle;
		else
			high = middle;
	}
	a = f16_to_f32(low);
	/* Infinity stands where the next number would: 65536. */
	b = high == 0x7c00 ? 65536 : f16_to_f32(high);
	if (v - a > b - v || (v - a == b - v && low & 1))
		low = high;
	return sign | low;
}

static void halves_round_to_nearest_even(void **state)
{
	(void)state;
	for (int i = 0; i < 200000; i++) {
		uint32_t bits = random_below(UINT32_MAX);
		float value;

		if (i % 2) /* around the range of halves, with ties */
			bits = (bits & 0x80000fff) | (random_below(0x49000 - 0x32000) + 0x32000) << 12;
		if (i % 4 == 1)
			bits = (bits & ~0x1fffu) | 0x1000;
		memcpy(&value, &bits, sizeof(value));
		if (isnan(value))
			assert_true(isnan(f16_to_f32(f32_to_f16(value))));
		else if (isinf(value))
			assert_true(f16_to_f32(f32_to_f16(value)) == value);
		else
			assert_int_equal(f32_to_f16(value), nearest_half(value));
	}
	for (uint32_t h = 0; h < 65536; h++) {
		float value = f16_to_f32((uint16_t)h);

		if (!isnan(value))
			assert_int_equal(f32_to_f16(value), h);
	}
}

static void brain_floats_round_to_nearest_even(void **state)
{
	(void)state;
	assert_int_equal(f32_to_bf16(1.0f), 0x3f80);
	assert_int_equal(f32_to_bf16(0x1.01p0f), 0x3f80); /* a tie goes to the even one */
	assert_int_equal(f32_to_bf16(0x1.03p0f), 0x3f82);
	assert_int_equal(f32_to_bf16(0x1.010002p0f), 0x3f81); /* just above a tie */
	assert_int_equal(f32_to_bf16(INFINITY), 0x7f80);
	assert_int_equal(f32_to_bf16(0x1.fffffep127f), 0x7f80);
	assert_true(isnan(bf16_to_f32(f32_to_bf16(NAN))));
	for (uint32_t h = 0; h < 65536; h++)
		if (!isnan(bf16_to_f32((uint16_t)h)))
			assert_int_equal(f32_to_bf16(bf16_to_f32((uint16_t)h)), h);
}

static void elements_convert_saturating(void **state)
{
	float values[4] = {1e30f, -1e30f, NAN, -2.75f};
	uint64_t wide = UINT64_MAX;
	int64_t four = 4;
	struct tensor t;

	(void)state;
	assert_int_equal(tensor_init_view(&t, DTYPE_F32, 1, &four, values, sizeof(values)), 0);
	assert_true(tensor_get_s64(&t, 0) == INT64_MAX);
	assert_true(tensor_get_s64(&t, 1) == INT64_MIN);
	assert_int_equal(tensor_get_s64(&t, 2), 0);
	assert_int_equal(tensor_get_s64(&t, 3), -2);
	assert_int_equal(tensor_init_view(&t, DTYPE_U64, 0, NULL, &wide, sizeof(wide)), 0);
	assert_true(tensor_get_s64(&t, 0) == INT64_MAX);
	assert_true(tensor_get_f64(&t, 0) == 0x1p64);
}

/* ---- the pool ---- */

struct counts {
	struct cpu_pool *pool;
	atomic_int calls[1000];
	atomic_int nested;
};

static void count_nested(void *arg, size_t i)
{
	struct counts *counts = arg;

	(void)i;
	atomic_fetch_add(&counts->nested, 1);
}

static void count_call(void *arg, size_t i)
{
	struct counts *counts = arg;

	atomic_fetch_add(&counts->calls[i], 1);
	if (i % 100 == 0)
		cpu_pool_for(counts->pool, 7, count_nested, counts);
}

static void every_index_runs_once(void **state)
{
	(void)state;
	for (size_t threads = 1; threads <= 4; threads++) {
		struct counts counts = {0};

		assert_int_equal(cpu_pool_create(threads, &counts.pool), 0);
		assert_int_equal(cpu_pool_threads(counts.pool), threads);
		for (int round = 1; round <= 200; round++) {
			cpu_pool_for(counts.pool, 1000, count_call, &counts);
			assert_int_equal(atomic_load(&counts.nested), round * 70);
		}
		for (int i = 0; i < 1000; i++)
			assert_int_equal(atomic_load(&counts.calls[i]), 200);
		cpu_pool_destroy(counts.pool);
	}
	cpu_pool_destroy(NULL);
}

static void *call_often(void *arg)
{
	struct counts *counts = arg;

	for (int i = 0; i < 200; i++)
		cpu_pool_for(counts->pool, 50, count_nested, counts);
	return NULL;
}

static void several_threads_may_call_at_once(void **state)
{
	struct counts counts = {0};
	pthread_t threads[3];

	(void)state;
	assert_int_equal(cpu_pool_create(3, &counts.pool), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, call_often, &counts), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&counts.nested), 3 * 200 * 50);
	cpu_pool_destroy(counts.pool);
}

/* ---- the registry ---- */

static void the_registry_is_ordered_and_without_overlap(void **state)
{
	const struct op_kernel *a, *b;
	size_t count = 0;

	(void)state;
	for (; (a = op_at(count)); count++) {
		assert_non_null(a->run);
		assert_true(a->min_outputs <= a->max_outputs || a->max_outputs < 0);
		assert_ptr_equal(op_find(a->domain, a->op_type, a->since), a);
		b = op_at(count + 1);
		if (!b || strcmp(a->domain, b->domain) || strcmp(a->op_type, b->op_type)) {
			assert_true(!b || strcmp(a->domain, b->domain) < 0 ||
				    (!strcmp(a->domain, b->domain) && strcmp(a->op_type, b->op_type) < 0));
			continue;
		}
		assert_true(a->until && a->until < b->since);
	}
	assert_true(count > 40);
	assert_null(op_find("", "NoSuchOperator", 13));
	assert_null(op_find("", "GroupNormalization", 17));
	assert_ptr_equal(op_find("ai.onnx", "Conv", 11), op_find("", "Conv", 11));
}

static void outputs_use_the_callers_memory_when_it_fits(void **state)
{
	int64_t dims[2] = {4, 4}, small[1] = {3};
	float memory[16];
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "Softmax", 13);
	op_case_random(&c, 2, dims);
	assert_int_equal(tensor_init_view(&c.outputs[0], DTYPE_F32, 2, dims, memory, sizeof(memory)), 0);
	op_case_expect_ok(&c);
	assert_ptr_equal(c.outputs[0].data, memory);
	/* Too small: an allocation of the tensor's own. */
	assert_int_equal(tensor_init_view(&c.outputs[0], DTYPE_F32, 1, small, memory, 12), 0);
	op_case_expect_ok(&c);
	assert_true(c.outputs[0].data != memory && c.outputs[0].owned);
	op_case_finish(&c);
}

static void calls_with_wrong_counts_are_refused(void **state)
{
	int64_t dims[2] = {4, 4};
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "Softmax", 13);
	op_case_random(&c, 2, dims);
	op_case_random(&c, 2, dims);
	op_case_expect_error(&c, -EINVAL, "2 inputs");
	op_case_finish(&c);
	op_case_init(&c, "", "MatMul", 13);
	op_case_random(&c, 2, dims);
	op_case_omit(&c);
	op_case_expect_error(&c, -EINVAL, "input 1 is required");
	op_case_finish(&c);
}

static int seed(void **state)
{
	(void)state;
	random_seed();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shapes_that_cannot_be_are_refused),
		cmocka_unit_test(memory_is_zeroed_and_aligned),
		cmocka_unit_test(copies_own_their_strings),
		cmocka_unit_test(nested_values_are_copied_deep),
		cmocka_unit_test(nested_values_have_as_many_elements_as_their_type_allows),
		cmocka_unit_test(names_and_types_are_inverse),
		cmocka_unit_test(halves_round_to_nearest_even),
		cmocka_unit_test(brain_floats_round_to_nearest_even),
		cmocka_unit_test(elements_convert_saturating),
		cmocka_unit_test(every_index_runs_once),
		cmocka_unit_test(several_threads_may_call_at_once),
		cmocka_unit_test(the_registry_is_ordered_and_without_overlap),
		cmocka_unit_test(outputs_use_the_callers_memory_when_it_fits),
		cmocka_unit_test(calls_with_wrong_counts_are_refused),
	};

	return cmocka_run_group_tests(tests, seed, NULL);
}
