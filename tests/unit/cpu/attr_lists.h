/* SPDX-License-Identifier: MIT */
/*
 * Attributes that are lists, written as lists: FLOATS(&c, "rho", 1, 2). They live until the block that has them ends.
 */
#ifndef TESTS_UNIT_CPU_ATTR_LISTS_H
#define TESTS_UNIT_CPU_ATTR_LISTS_H

#include <string.h>

#include "tests/unit/cpu/op_case.h"

#define LIST_ATTR(c, label, kind, member, T, ...)                    \
	op_case_attr(c, &(struct attr){.name = (label),              \
				       .type = (kind),               \
				       .member = (T[]){__VA_ARGS__}, \
				       .count = sizeof((T[]){__VA_ARGS__}) / sizeof(T)})
#define FLOATS(c, label, ...) LIST_ATTR(c, label, ATTR_FLOATS, floats, float, __VA_ARGS__)
#define INTS(c, label, ...) LIST_ATTR(c, label, ATTR_INTS, ints, int64_t, __VA_ARGS__)
#define STRINGS(c, label, ...) LIST_ATTR(c, label, ATTR_STRINGS, strings, struct tensor_string, __VA_ARGS__)
/* A string of STRINGS(). */
#define S(text)                                  \
	{                                        \
		(char *)(text), sizeof(text) - 1 \
	}

/* Input of float32 with the values given. */
#define INPUT(c, rank, dims, ...) \
	memcpy(op_case_input(c, DTYPE_F32, rank, dims)->data, (float[]){__VA_ARGS__}, sizeof((float[]){__VA_ARGS__}))

static inline void set_strings(struct tensor *t, const char *const *texts)
{
	for (int64_t i = 0; i < tensor_count(t); i++)
		assert_int_equal(tensor_string_set((struct tensor_string *)t->data + i, texts[i], strlen(texts[i])), 0);
}

static inline void expect_strings(const struct tensor *t, int64_t count, const char *const *texts)
{
	assert_int_equal(t->dtype, DTYPE_STRING);
	assert_int_equal(tensor_count(t), count);
	for (int64_t i = 0; i < count; i++) {
		const struct tensor_string *s = (const struct tensor_string *)t->data + i;

		assert_int_equal(s->size, strlen(texts[i]));
		assert_memory_equal(s->data, texts[i], s->size);
	}
}

#endif
