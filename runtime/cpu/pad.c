// SPDX-License-Identifier: MIT
/*
 * Pad, in all modes: every axis gets a table of the source position of each output position; rows are then copied whole where
 * they are consecutive.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/scratch.h"
#include "runtime/cpu/shape_rules.h"
#include "runtime/cpu/strided_copy.h"

enum pad_mode { PAD_CONSTANT, PAD_REFLECT, PAD_EDGE, PAD_WRAP };

/* Which input position the output position @i - @before of an axis shows; -1: the constant. */
static int64_t pad_source(enum pad_mode mode, int64_t i, int64_t length)
{
	int64_t period;

	if (i >= 0 && i < length)
		return i;
	switch (mode) {
	case PAD_EDGE:
		return i < 0 ? 0 : length - 1;
	case PAD_WRAP:
		return (i % length + length) % length;
	case PAD_REFLECT:
		if (length == 1)
			return 0;
		period = 2 * (length - 1);
		i = (i % period + period) % period;
		return i < length ? i : period - i;
	default:
		return -1;
	}
}

/*
 * struct pad_job - a padding in progress
 * @map:    by axis, source position of each output position; -1 for the constant
 * @run_lo, @run_hi: output positions of the last axis that are consecutive in the input
 */
struct pad_job {
	int rank;
	size_t size;
	const int64_t *in_dims, *out_dims;
	const int64_t *map[TENSOR_MAX_RANK];
	int64_t run_lo, run_hi;
	const char *in;
	char *out;
	const void *value;
};

static void fill_pad(const struct pad_job *job, char *out, int64_t count)
{
	struct strided_copy copy = {
		.rank = 1, .size = job->size, .dst = out, .src = job->value, .dims = {count}, .dst_strides = {1}};

	strided_copy_run(copy, NULL);
}

static void pad_edge_positions(const struct pad_job *job, char *out, const char *in, int64_t begin, int64_t end)
{
	const int64_t *map = job->map[job->rank - 1];

	for (int64_t i = begin; i < end; i++)
		memcpy(out + i * job->size, map[i] < 0 ? job->value : in + map[i] * job->size, job->size);
}

static void pad_rows(void *arg, int64_t begin, int64_t end)
{
	const struct pad_job *job = arg;
	int last = job->rank - 1;

	for (int64_t row = begin; row < end; row++) {
		char *out = job->out + row * job->out_dims[last] * (int64_t)job->size;
		int64_t rest = row, offset = 0, stride = job->in_dims[last];
		bool constant = false;
		const char *in;

		for (int i = last - 1; i >= 0; i--) {
			int64_t from = job->map[i][rest % job->out_dims[i]];

			constant |= from < 0;
			rest /= job->out_dims[i];
			offset += from * stride;
			stride *= job->in_dims[i];
		}
		if (constant) {
			fill_pad(job, out, job->out_dims[last]);
			continue;
		}
		in = job->in + offset * (int64_t)job->size;
		pad_edge_positions(job, out, in, 0, job->run_lo);
		if (job->run_hi > job->run_lo)
			memcpy(out + job->run_lo * job->size, in + job->map[last][job->run_lo] * job->size,
			       (job->run_hi - job->run_lo) * job->size);
		pad_edge_positions(job, out, in, job->run_hi, job->out_dims[last]);
	}
}

static int64_t clamp_position(int64_t value, int64_t lo, int64_t hi)
{
	return value < lo ? lo : value > hi ? hi : value;
}

/* @before and @after by axis. */
static int pad(struct op_call *call, enum pad_mode mode, const int64_t *before, const int64_t *after, const void *value)
{
	const struct tensor *in = call->inputs[0];
	struct pad_job job = {.rank = in->rank, .size = dtype_size(in->dtype), .in_dims = in->dims, .value = value};
	int64_t dims[TENSOR_MAX_RANK], rows, positions = 0, *map;
	int last = in->rank - 1, err;

	for (int i = 0; i < in->rank; i++) {
		if (__builtin_add_overflow(in->dims[i], before[i], &dims[i]) ||
		    __builtin_add_overflow(dims[i], after[i], &dims[i]) || dims[i] < 0)
			return op_fail(call, -EINVAL,
				       "Pad: %" PRId64 " and %" PRId64 " around %" PRId64 " elements of axis %d",
				       before[i], after[i], in->dims[i], i);
		if (in->dims[i] == 0 && dims[i] > 0 && mode != PAD_CONSTANT)
			return op_fail(call, -EINVAL, "Pad: axis %d is empty, there is nothing to repeat", i);
	}
	err = op_output(call, 0, in->dtype, in->rank, dims);
	if (err || tensor_count(call->outputs[0]) == 0)
		return err;
	if (in->rank == 0)
		return op_output_copy(call, 0, in, 0, dims);
	for (int i = 0; i < in->rank; i++)
		positions += dims[i];
	map = scratch_get_for(SCRATCH_IMAGE, (size_t)positions * sizeof(*map));
	if (!map)
		return op_fail(call, -ENOMEM, "Pad: no memory for %" PRId64 " positions", positions);
	for (int i = 0; i < in->rank; map += dims[i++]) {
		job.map[i] = map;
		for (int64_t j = 0; j < dims[i]; j++)
			map[j] = pad_source(mode, j - before[i], in->dims[i]);
	}
	job.out_dims = dims;
	job.in = in->data;
	job.out = call->outputs[0]->data;
	job.run_lo = clamp_position(before[last], 0, dims[last]);
	job.run_hi = clamp_position(before[last] + in->dims[last], job.run_lo, dims[last]);
	rows = tensor_count(call->outputs[0]) / dims[last];
	parallel_range(call->pool, rows, PARALLEL_GRAIN / dims[last] + 1, pad_rows, &job);
	return in->dtype == DTYPE_STRING ? strings_own(call, call->outputs[0]) : 0;
}

static int pad_mode(struct op_call *call, enum pad_mode *mode)
{
	static const char *const names[] = {"constant", "reflect", "edge", "wrap"};

	for (int i = 0; i < 4; i++) {
		*mode = i;
		if (op_attr_is(call->node, "mode", "constant", names[i]))
			return 0;
	}
	return op_fail(call, -EINVAL, "Pad: attribute mode is none of constant, reflect, edge, wrap");
}

/* Opset 2 to 10 (and "paddings" in opset 1): pads and value are attributes, floats only. */
static int run_pad_attributes(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	const char *name = call->node->opset < 2 ? "paddings" : "pads";
	double value = op_attr_float(call->node, "value", 0);
	cast_fn narrow = cast_row(DTYPE_F64, in->dtype);
	enum pad_mode mode;
	const int64_t *pads;
	uint64_t bits = 0;
	int err;

	if (!op_wanted(call, 0))
		return 0;
	if (op_attr_ints(call->node, name, &pads) != 2 * (size_t)in->rank)
		return op_fail(call, -EINVAL, "Pad: %s does not have two entries for each of %d axes", name, in->rank);
	if (!narrow)
		return op_fail(call, -ENOTSUP, "Pad: elements of type %s", dtype_name(in->dtype));
	narrow(1, &value, &bits);
	err = pad_mode(call, &mode);
	return err ? err : pad(call, mode, pads, pads + in->rank, &bits);
}

/* The entries of pads (input 1) go to the axes of input 3, or to all. */
static int spread_pads(struct op_call *call, const struct tensor *pads, const struct tensor *axes, int64_t *before,
		       int64_t *after)
{
	const struct tensor *in = call->inputs[0];
	bool seen[TENSOR_MAX_RANK] = {0};
	int64_t count = axes->data ? tensor_count(axes) : in->rank;

	memset(before, 0, in->rank * sizeof(*before));
	memset(after, 0, in->rank * sizeof(*after));
	if (tensor_count(pads) != 2 * count)
		return op_fail(call, -EINVAL, "Pad: %" PRId64 " pads (input 1) for %" PRId64 " axes",
			       tensor_count(pads), count);
	for (int64_t i = 0; i < count; i++) {
		int64_t axis = axes->data ? ((int64_t *)axes->data)[i] : i;

		if (normalize_axis(&axis, in->rank) || seen[axis])
			return op_fail(call, -EINVAL, "Pad: axes (input 3) are out of range or repeated for rank %d",
				       in->rank);
		seen[axis] = true;
		before[axis] = ((int64_t *)pads->data)[i];
		after[axis] = ((int64_t *)pads->data)[count + i];
	}
	return 0;
}

static int run_pad(struct op_call *call)
{
	const struct tensor *in = call->inputs[0], *value = op_input(call, 2);
	int64_t before[TENSOR_MAX_RANK], after[TENSOR_MAX_RANK];
	struct tensor pads = {0}, axes = {0};
	static const uint64_t zero[2];
	enum pad_mode mode;
	int err;

	if (!op_wanted(call, 0))
		return 0;
	if (value && tensor_count(value) == 0)
		value = NULL;
	if (value && (value->dtype != in->dtype || tensor_count(value) != 1))
		return op_fail(call, -EINVAL, "Pad: constant_value (input 2) is not a %s scalar",
			       dtype_name(in->dtype));
	err = pad_mode(call, &mode);
	if (!err)
		err = op_input_s64(call, 1, false, &pads);
	if (!err && op_input(call, 3))
		err = op_input_s64(call, 3, false, &axes);
	if (!err)
		err = spread_pads(call, &pads, &axes, before, after);
	if (!err)
		err = pad(call, mode, before, after, value ? value->data : zero);
	tensor_finish(&pads);
	tensor_finish(&axes);
	return err;
}

const struct op_kernel ops_pad[] = {
	{"", "Pad", 1, 10, 1, 1, 1, 1, run_pad_attributes},
	{"", "Pad", 11, 0, 2, 4, 1, 1, run_pad},
};
const size_t ops_pad_count = sizeof(ops_pad) / sizeof(ops_pad[0]);
