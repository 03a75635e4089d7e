// SPDX-License-Identifier: MIT
/*
 * The registry of kernels and what every call goes through: attribute look-up, checks, outputs.
 */
#include "runtime/cpu/op.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/families.h"
#include "runtime/cpu/half.h"

#define MAX_KERNELS 1024

struct family {
	const struct op_kernel *kernels;
	const size_t *count;
};

#define FAMILY(name) {ops_##name, &ops_##name##_count},
static const struct family families[] = {OP_FAMILIES(FAMILY)};

/* All families' kernels by domain, name and version; written once, under @sort_once. */
static const struct op_kernel *sorted[MAX_KERNELS];
static size_t num_sorted;
static pthread_once_t sort_once = PTHREAD_ONCE_INIT;

static int compare_name(const struct op_kernel *kernel, const char *domain, const char *op_type)
{
	int order = strcmp(kernel->domain, domain);

	return order ? order : strcmp(kernel->op_type, op_type);
}

static int compare_kernels(const void *left, const void *right)
{
	const struct op_kernel *a = *(const struct op_kernel *const *)left;
	const struct op_kernel *b = *(const struct op_kernel *const *)right;
	int order = compare_name(a, b->domain, b->op_type);

	return order ? order : a->since - b->since;
}

static void sort_kernels(void)
{
	for (size_t f = 0; f < sizeof(families) / sizeof(families[0]); f++)
		for (size_t i = 0; i < *families[f].count; i++) {
			assert(num_sorted < MAX_KERNELS);
			sorted[num_sorted++] = &families[f].kernels[i];
		}
	qsort(sorted, num_sorted, sizeof(sorted[0]), compare_kernels);
}

const struct op_kernel *op_find(const char *domain, const char *op_type, int opset)
{
	size_t low = 0, high;

	pthread_once(&sort_once, sort_kernels);
	if (!strcmp(domain, "ai.onnx"))
		domain = "";
	high = num_sorted;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_name(sorted[middle], domain, op_type) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < num_sorted && !compare_name(sorted[low], domain, op_type); low++)
		if (opset >= sorted[low]->since && (!sorted[low]->until || opset <= sorted[low]->until))
			return sorted[low];
	return NULL;
}

const struct op_kernel *op_at(size_t index)
{
	pthread_once(&sort_once, sort_kernels);
	return index < num_sorted ? sorted[index] : NULL;
}

/* ---- attributes ---- */

const struct attr *op_attr(const struct op_node *node, const char *name)
{
	for (size_t i = 0; i < node->num_attrs; i++)
		if (node->attrs[i].name && !strcmp(node->attrs[i].name, name))
			return &node->attrs[i];
	return NULL;
}

static const struct attr *typed_attr(const struct op_node *node, const char *name, enum attr_type type)
{
	const struct attr *attr = op_attr(node, name);

	return attr && attr->type == type ? attr : NULL;
}

int64_t op_attr_int(const struct op_node *node, const char *name, int64_t fallback)
{
	const struct attr *attr = typed_attr(node, name, ATTR_INT);

	return attr ? attr->i : fallback;
}

float op_attr_float(const struct op_node *node, const char *name, float fallback)
{
	const struct attr *attr = typed_attr(node, name, ATTR_FLOAT);

	return attr ? attr->f : fallback;
}

bool op_attr_is(const struct op_node *node, const char *name, const char *fallback, const char *value)
{
	const struct attr *attr = typed_attr(node, name, ATTR_STRING);

	if (!attr)
		return fallback && !strcmp(fallback, value);
	return attr->s.size == strlen(value) && !memcmp(attr->s.data, value, attr->s.size);
}

size_t op_attr_ints(const struct op_node *node, const char *name, const int64_t **values)
{
	const struct attr *attr = typed_attr(node, name, ATTR_INTS);

	*values = attr && attr->count ? attr->ints : NULL;
	return *values ? attr->count : 0;
}

size_t op_attr_floats(const struct op_node *node, const char *name, const float **values)
{
	const struct attr *attr = typed_attr(node, name, ATTR_FLOATS);

	*values = attr && attr->count ? attr->floats : NULL;
	return *values ? attr->count : 0;
}

size_t op_attr_strings(const struct op_node *node, const char *name, const struct tensor_string **values)
{
	const struct attr *attr = typed_attr(node, name, ATTR_STRINGS);

	*values = attr && attr->count ? attr->strings : NULL;
	return *values ? attr->count : 0;
}

/* ---- calls ---- */

int op_fail(struct op_call *call, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(call->error, sizeof(call->error), format, args);
	va_end(args);
	return err;
}

bool op_wanted(const struct op_call *call, size_t index)
{
	return index < call->node->num_outputs && call->outputs[index];
}

int op_output(struct op_call *call, size_t index, enum dtype type, int rank, const int64_t *dims)
{
	struct tensor *out, shaped;
	int64_t count;
	int err;

	if (!op_wanted(call, index))
		return 0;
	if (rank < 0 || rank > TENSOR_MAX_RANK)
		return op_fail(call, -EINVAL, "output %zu would have rank %d, at most %d are possible", index, rank,
			       TENSOR_MAX_RANK);
	out = call->outputs[index];
	count = dims_count(rank, dims);
	/* Memory whose elements own memory is never reused. */
	if (count >= 0 && out->data && !dtype_owns_memory(type) && !dtype_owns_memory(out->dtype) && dtype_size(type) &&
	    (uint64_t)count <= out->size / dtype_size(type)) {
		out->dtype = type;
		out->rank = rank;
		for (int i = 0; i < rank; i++)
			out->dims[i] = dims[i];
		return 0;
	}
	err = tensor_init(&shaped, type, rank, dims);
	if (err)
		return op_fail(call, err, "output %zu: cannot allocate a %s tensor of rank %d: %s", index,
			       dtype_name(type), rank, strerror(-err));
	tensor_finish(out);
	*out = shaped;
	return 0;
}

const struct attr *op_body(struct op_call *call, const char *name)
{
	const struct attr *body = typed_attr(call->node, name, ATTR_GRAPH);

	if (body && body->graph && call->runner)
		return body;
	op_fail(call, -EINVAL, "%s: %s", call->node->op_type,
		body ? "its body can not be run here" : "an attribute that must be a graph is missing");
	return NULL;
}

static int check_counts(const struct op_kernel *kernel, struct op_call *call)
{
	const struct op_node *node = call->node;

	if (node->num_inputs < (size_t)kernel->min_inputs ||
	    (kernel->max_inputs >= 0 && node->num_inputs > (size_t)kernel->max_inputs))
		return op_fail(call, -EINVAL, "%s has %zu inputs, expected %d to %d", node->op_type, node->num_inputs,
			       kernel->min_inputs, kernel->max_inputs);
	if (node->num_outputs < (size_t)kernel->min_outputs ||
	    (kernel->max_outputs >= 0 && node->num_outputs > (size_t)kernel->max_outputs))
		return op_fail(call, -EINVAL, "%s has %zu outputs, expected %d to %d", node->op_type, node->num_outputs,
			       kernel->min_outputs, kernel->max_outputs);
	for (size_t i = 0; i < node->num_inputs; i++) {
		const struct tensor *in = call->inputs[i];

		if (!in && i < (size_t)kernel->min_inputs)
			return op_fail(call, -EINVAL, "%s: input %zu is required", node->op_type, i);
		if (in && !in->data && tensor_count(in))
			return op_fail(call, -EINVAL, "%s: input %zu has no data", node->op_type, i);
	}
	return 0;
}

int op_prepare(const struct op_kernel *kernel, const struct op_node *node, const struct tensor *const *constants,
	       void **state)
{
	*state = NULL;
	if (kernel->half_in_f32)
		return half_prepare(kernel, node, constants, state);
	return kernel->prepare ? kernel->prepare(node, constants, state) : 0;
}

void op_release(const struct op_kernel *kernel, void *state)
{
	if (kernel->half_in_f32)
		half_release(kernel, state);
	else if (state && kernel->release)
		kernel->release(state);
}

int op_run(const struct op_kernel *kernel, struct op_call *call)
{
	int err;

	call->error[0] = '\0';
	err = check_counts(kernel, call);
	if (err)
		return err;
	err = kernel->half_in_f32 ? half_run(call, kernel) : kernel->run(call);
	if (err && !call->error[0])
		op_fail(call, err, "%s: %s", call->node->op_type, strerror(-err));
	return err;
}
