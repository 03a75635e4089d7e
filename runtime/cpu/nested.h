/* SPDX-License-Identifier: MIT */
/*
 * Operators that are made of others: one kernel calls another by name.
 */
#ifndef RUNTIME_CPU_NESTED_H
#define RUNTIME_CPU_NESTED_H

#include "runtime/cpu/op.h"

#define MICROSOFT "com.microsoft"

/* struct nested - which operator, with what; everything is borrowed */
struct nested {
	const char *domain, *op_type;
	int opset;
	size_t num_attrs;
	const struct attr *attrs;
	size_t num_inputs;
	const struct tensor *const *inputs; /* NULL: omitted */
	size_t num_outputs;
	struct tensor *const *outputs; /* NULL: not wanted; else empty or the caller's memory, as in struct op_call */
};

/* Run it on the pool of @call. Its error becomes that of @call, with the outer operator's name before it. */
int op_nested(struct op_call *call, const struct nested *nested);

/* One of the usual shape: @num_inputs inputs, one output, no attributes. */
int op_nested_simple(struct op_call *call, const char *op_type, int opset, size_t num_inputs,
		     const struct tensor *const *inputs, struct tensor *output);

/* @y = the dimensions of @x in the order of @perm (Transpose). */
int op_nested_transpose(struct op_call *call, const struct tensor *x, const int64_t *perm, struct tensor *y);

static inline struct attr attr_int(const char *name, int64_t value)
{
	return (struct attr){.name = name, .type = ATTR_INT, .i = value};
}

static inline struct attr attr_float(const char *name, float value)
{
	return (struct attr){.name = name, .type = ATTR_FLOAT, .f = value};
}

static inline struct attr attr_ints(const char *name, size_t count, const int64_t *values)
{
	return (struct attr){.name = name, .type = ATTR_INTS, .count = count, .ints = (int64_t *)values};
}

/* A view of @t with another shape of as many elements. */
static inline struct tensor tensor_reshaped(const struct tensor *t, int rank, const int64_t *dims)
{
	struct tensor view = *t;

	view.owned = false;
	view.rank = rank;
	for (int i = 0; i < rank; i++)
		view.dims[i] = dims[i];
	return view;
}

#endif
