// SPDX-License-Identifier: MIT
/*
 * Movement operators: where each element goes, by the definition, for random shapes, types and threads.
 */
#include <errno.h>
#include <string.h>

#include "tests/unit/cpu/op_case.h"

static struct cpu_pool *pool;

static const enum dtype types[] = {DTYPE_U8, DTYPE_F16, DTYPE_F32, DTYPE_S64, DTYPE_C128};

static void split_index(int rank, const int64_t *dims, int64_t i, int64_t *index)
{
	for (int d = rank - 1; d >= 0; d--) {
		index[d] = i % dims[d];
		i /= dims[d];
	}
}

static int64_t join_index(int rank, const int64_t *dims, const int64_t *index)
{
	int64_t at = 0;

	for (int d = 0; d < rank; d++)
		at = at * dims[d] + index[d];
	return at;
}

/* Output element @i must be input element @at. */
static void expect_element(const struct op_case *c, int64_t i, int64_t at)
{
	size_t size = dtype_size(c->inputs[0].dtype);

	assert_memory_equal((char *)c->outputs[0].data + i * size, (char *)c->inputs[0].data + at * size, size);
}

static void transpose_once(int round)
{
	int64_t dims[5], perm[5], out[5];
	int rank = 1 + random_below(5);
	struct op_case c;

	op_case_init(&c, "", "Transpose", 13);
	c.pool = round % 2 ? pool : NULL;
	for (int i = 0; i < rank; i++) {
		int other = random_below(i + 1);

		dims[i] = 1 + random_below(round % 20 == 0 ? 40 / rank : 7);
		perm[i] = perm[other];
		perm[other] = i;
	}
	op_case_random_bytes(&c, types[round % 5], rank, dims);
	op_case_ints(&c, "perm", rank, perm);
	op_case_expect_ok(&c);
	for (int64_t i = 0; i < tensor_count(&c.outputs[0]); i++) {
		int64_t from[5];

		split_index(rank, c.outputs[0].dims, i, out);
		for (int d = 0; d < rank; d++)
			from[perm[d]] = out[d];
		expect_element(&c, i, join_index(rank, dims, from));
	}
	op_case_finish(&c);
}

static void transpose_puts_every_element_in_its_place(void **state)
{
	(void)state;
	for (int i = 0; i < 400; i++)
		transpose_once(i);
}

static void a_large_transpose_runs_in_tiles(void **state)
{
	int64_t dims[] = {3, 301, 257}, perm[] = {0, 2, 1};
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "Transpose", 13);
	c.pool = pool;
	op_case_random(&c, 3, dims);
	op_case_ints(&c, "perm", 3, perm);
	op_case_expect_ok(&c);
	for (int64_t i = 0; i < tensor_count(&c.outputs[0]); i++)
		expect_element(&c, i, i / (257 * 301) * 257 * 301 + i % 301 * 257 + i / 301 % 257);
	op_case_finish(&c);
}

static void slice_once(int round)
{
	int64_t dims[4], starts[4], ends[4], axes[4], steps[4];
	int rank = 1 + random_below(4);
	struct op_case c;

	op_case_init(&c, "", "Slice", 13);
	for (int i = 0; i < rank; i++) {
		dims[i] = 1 + random_below(9);
		steps[i] = random_below(2) ? 1 + random_below(3) : -1 - (int64_t)random_below(3);
		starts[i] = steps[i] > 0 ? random_below(dims[i]) : dims[i] - 1 - random_below(dims[i]);
		ends[i] = steps[i] > 0 ? INT64_MAX : INT64_MIN;
		axes[i] = i;
	}
	op_case_random_bytes(&c, types[round % 5], rank, dims);
	memcpy(op_case_input(&c, DTYPE_S64, 1, (int64_t[]){rank})->data, starts, rank * 8);
	memcpy(op_case_input(&c, DTYPE_S64, 1, (int64_t[]){rank})->data, ends, rank * 8);
	memcpy(op_case_input(&c, DTYPE_S64, 1, (int64_t[]){rank})->data, axes, rank * 8);
	memcpy(op_case_input(&c, DTYPE_S64, 1, (int64_t[]){rank})->data, steps, rank * 8);
	op_case_expect_ok(&c);
	for (int64_t i = 0; i < tensor_count(&c.outputs[0]); i++) {
		int64_t index[4];

		split_index(rank, c.outputs[0].dims, i, index);
		for (int d = 0; d < rank; d++)
			index[d] = starts[d] + index[d] * steps[d];
		expect_element(&c, i, join_index(rank, dims, index));
	}
	for (int d = 0; d < rank; d++)
		assert_int_equal(c.outputs[0].dims[d], steps[d] > 0 ? (dims[d] - starts[d] + steps[d] - 1) / steps[d]
								    : starts[d] / -steps[d] + 1);
	op_case_finish(&c);
}

static void slice_takes_every_step(void **state)
{
	(void)state;
	for (int i = 0; i < 400; i++)
		slice_once(i);
}

/* What position @i of an axis of @n shows, by walking there one step at a time. */
static int64_t walked_source(const char *mode, int64_t i, int64_t n)
{
	int64_t at = 0, direction = i < 0 ? -1 : 1, towards = direction;

	if (!strcmp(mode, "constant"))
		return i >= 0 && i < n ? i : -1;
	for (int64_t step = 0; step != i; step += direction) {
		int64_t next = at + towards;

		if (next >= 0 && next < n)
			at = next;
		else if (!strcmp(mode, "wrap"))
			at = next < 0 ? n - 1 : 0;
		else if (!strcmp(mode, "reflect") && n > 1) {
			towards = -towards;
			at += towards;
		}
	}
	return at;
}

static void pad_once(const char *mode)
{
	int64_t dims[3], pads[6];
	int rank = 1 + random_below(3);
	float value = 7.5f;
	struct op_case c;

	op_case_init(&c, "", "Pad", 19);
	op_case_string(&c, "mode", mode);
	for (int i = 0; i < rank; i++) {
		dims[i] = 2 + random_below(5);
		pads[i] = random_below(4);
		pads[rank + i] = (int64_t)random_below(6) - 1;
	}
	op_case_random(&c, rank, dims);
	memcpy(op_case_input(&c, DTYPE_S64, 1, (int64_t[]){2 * rank})->data, pads, 2 * rank * 8);
	op_case_scalar_f32(&c, value);
	op_case_expect_ok(&c);
	for (int64_t i = 0; i < tensor_count(&c.outputs[0]); i++) {
		int64_t index[3];
		bool constant = false;

		split_index(rank, c.outputs[0].dims, i, index);
		for (int d = 0; d < rank; d++) {
			index[d] = walked_source(mode, index[d] - pads[d], dims[d]);
			constant |= index[d] < 0;
		}
		if (constant)
			assert_true(((float *)c.outputs[0].data)[i] == value);
		else
			expect_element(&c, i, join_index(rank, dims, index));
	}
	op_case_finish(&c);
}

static void pad_fills_by_its_mode(void **state)
{
	static const char *const modes[] = {"constant", "reflect", "edge", "wrap"};

	(void)state;
	for (int i = 0; i < 400; i++)
		pad_once(modes[i % 4]);
}

static void split_undoes_concat(void **state)
{
	(void)state;
	for (int round = 0; round < 100; round++) {
		int64_t a[3] = {1 + random_below(4), 1 + random_below(4), 1 + random_below(4)}, b[3], sizes[2];
		int axis = random_below(3);
		struct op_case c, s;

		memcpy(b, a, sizeof(b));
		b[axis] = 1 + random_below(5);
		op_case_init(&c, "", "Concat", 13);
		op_case_int(&c, "axis", axis - (random_below(2) ? 3 : 0));
		op_case_random(&c, 3, a);
		op_case_random(&c, 3, b);
		op_case_expect_ok(&c);

		sizes[0] = a[axis];
		sizes[1] = b[axis];
		op_case_init(&s, "", "Split", 13);
		s.node.num_outputs = 2;
		op_case_int(&s, "axis", axis);
		memcpy(op_case_input(&s, DTYPE_F32, 3, c.outputs[0].dims)->data, c.outputs[0].data,
		       tensor_bytes(&c.outputs[0]));
		memcpy(op_case_input(&s, DTYPE_S64, 1, (int64_t[]){2})->data, sizes, sizeof(sizes));
		op_case_expect_ok(&s);
		expect_shape(&s.outputs[0], 3, a);
		expect_same_bytes(&s.outputs[0], c.inputs[0].data);
		expect_shape(&s.outputs[1], 3, b);
		expect_same_bytes(&s.outputs[1], c.inputs[1].data);
		op_case_finish(&c);
		op_case_finish(&s);
	}
}

static void space_to_depth_undoes_depth_to_space(void **state)
{
	static const char *const modes[] = {NULL, "DCR", "CRD"};
	struct op_case c, s;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		op_case_init(&c, "", "DepthToSpace", 28);
		op_case_int(&c, "blocksize", 2);
		op_case_random(&c, 4, (int64_t[]){2, 12, 3, 5});
		op_case_init(&s, "", "SpaceToDepth", 28);
		op_case_int(&s, "blocksize", 2);
		if (modes[i]) {
			op_case_string(&c, "mode", modes[i]);
			op_case_string(&s, "mode", modes[i]);
		}
		op_case_expect_ok(&c);
		expect_shape(&c.outputs[0], 4, (int64_t[]){2, 3, 6, 10});
		memcpy(op_case_input(&s, DTYPE_F32, 4, c.outputs[0].dims)->data, c.outputs[0].data,
		       tensor_bytes(&c.outputs[0]));
		op_case_expect_ok(&s);
		expect_same_bytes(&s.outputs[0], c.inputs[0].data);
		op_case_finish(&c);
		op_case_finish(&s);
	}
	op_case_init(&s, "", "SpaceToDepth", 28);
	op_case_int(&s, "blocksize", 2);
	op_case_string(&s, "mode", "RCD");
	op_case_random(&s, 4, (int64_t[]){1, 1, 2, 2});
	op_case_expect_error(&s, -EINVAL, "SpaceToDepth: attribute mode is neither DCR nor CRD");
	op_case_finish(&s);
}

static void errors_name_what_is_wrong(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "Transpose", 13);
	op_case_ints(&c, "perm", 2, (int64_t[]){1, 1});
	op_case_random(&c, 2, (int64_t[]){2, 3});
	op_case_expect_error(&c, -EINVAL, "perm");
	op_case_finish(&c);

	op_case_init(&c, "", "Concat", 13);
	op_case_int(&c, "axis", 0);
	op_case_random(&c, 2, (int64_t[]){2, 3});
	op_case_random(&c, 2, (int64_t[]){2, 4});
	op_case_expect_error(&c, -EINVAL, "input 1");
	op_case_finish(&c);

	op_case_init(&c, "", "Split", 13);
	c.node.num_outputs = 2;
	op_case_random(&c, 1, (int64_t[]){5});
	op_case_expect_error(&c, -EINVAL, "5 elements in 2 even parts");
	op_case_finish(&c);

	op_case_init(&c, "", "Reshape", 13);
	op_case_random(&c, 1, (int64_t[]){6});
	memcpy(op_case_input(&c, DTYPE_S64, 1, (int64_t[]){2})->data, (int64_t[]){4, -1}, 16);
	op_case_expect_error(&c, -EINVAL, "shape (input 1)");
	op_case_finish(&c);

	op_case_init(&c, "", "Expand", 13);
	op_case_random(&c, 1, (int64_t[]){1});
	memcpy(op_case_input(&c, DTYPE_S64, 1, (int64_t[]){2})->data, (int64_t[]){INT64_MAX / 2, 5}, 16);
	op_case_expect_error(&c, -EOVERFLOW, "");
	op_case_finish(&c);
}

/* Strings move as other elements do; what Trilu clears becomes the empty string. */
static void strings_move_as_elements(void **state)
{
	static const char *const words[] = {"a", "bc", "def", "g"};
	static const struct {
		const char *op;
		const char *want[4];
	} ops[] = {{"Trilu", {"a", "bc", "", "g"}}, {"ReverseSequence", {"def", "bc", "a", "g"}}};
	int64_t dims[2] = {2, 2};

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		const struct tensor_string *out;
		struct tensor_string *in;
		struct op_case c;

		op_case_init(&c, "", ops[k].op, 14);
		in = op_case_input(&c, DTYPE_STRING, 2, dims)->data;
		for (int i = 0; i < 4; i++)
			in[i] = (struct tensor_string){strdup(words[i]), strlen(words[i])};
		if (k == 1) {
			int64_t *lengths = op_case_input(&c, DTYPE_S64, 1, dims)->data;

			lengths[0] = 2;
			lengths[1] = 1;
		}
		op_case_expect_ok(&c);
		out = c.outputs[0].data;
		for (int i = 0; i < 4; i++) {
			assert_int_equal(out[i].size, strlen(ops[k].want[i]));
			assert_memory_equal(out[i].data ? out[i].data : "", ops[k].want[i], out[i].size);
		}
		if (k == 1) {
			((int64_t *)c.inputs[1].data)[0] = 3;
			op_case_expect_error(&c, -EINVAL, "length 3 of 2");
		}
		op_case_finish(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings_move_as_elements),
		cmocka_unit_test(transpose_puts_every_element_in_its_place),
		cmocka_unit_test(a_large_transpose_runs_in_tiles),
		cmocka_unit_test(slice_takes_every_step),
		cmocka_unit_test(pad_fills_by_its_mode),
		cmocka_unit_test(split_undoes_concat),
		cmocka_unit_test(space_to_depth_undoes_depth_to_space),
		cmocka_unit_test(errors_name_what_is_wrong),
	};
	int failed;

	random_seed();
	if (cpu_pool_create(3, &pool))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	cpu_pool_destroy(pool);
	return failed;
}
