// SPDX-License-Identifier: MIT
/*
 * The loop over broadcast operands: see broadcast.h.
 */
#include "runtime/cpu/broadcast.h"

#include <errno.h>
#include <string.h>

#include "runtime/cpu/parallel.h"
#include "runtime/cpu/shape_rules.h"

/* Strides of @t over the output dims; 0 where it is stretched. */
static int spread_strides(const struct tensor *t, int rank, const int64_t *dims, int64_t *strides)
{
	int64_t stride = 1;
	int lead = rank - t->rank;

	if (lead < 0)
		return -EINVAL;
	for (int i = rank - 1; i >= 0; i--) {
		int64_t size = i >= lead ? t->dims[i - lead] : 1;

		if (size != dims[i] && size != 1)
			return -EINVAL;
		strides[i] = size == 1 ? 0 : stride;
		/* May wrap in an empty tensor, which nobody walks through. */
		stride = (int64_t)((uint64_t)stride * (uint64_t)size);
	}
	return 0;
}

int broadcast_plan(struct broadcast *plan, size_t num_inputs, const struct tensor *const *inputs, int rank,
		   const int64_t *dims)
{
	int64_t strides[BROADCAST_MAX_INPUTS][TENSOR_MAX_RANK];
	int last = -1;

	memset(plan, 0, sizeof(*plan));
	plan->num_inputs = num_inputs;
	plan->count = dims_count(rank, dims);
	if (plan->count < 0)
		return plan->count;
	for (size_t k = 0; k < num_inputs; k++) {
		int err = spread_strides(inputs[k], rank, dims, strides[k]);

		if (err)
			return err;
	}
	for (int i = 0; i < rank; i++) {
		bool joined = last >= 0;

		if (dims[i] == 1)
			continue;
		/* The outer dimension joins this one when its stride is this one's stride times this one's size. */
		for (size_t k = 0; joined && k < num_inputs; k++)
			joined = (uint64_t)plan->strides[k][last] == (uint64_t)strides[k][i] * (uint64_t)dims[i];
		if (!joined)
			last++;
		plan->dims[last] = joined ? (int64_t)((uint64_t)plan->dims[last] * (uint64_t)dims[i]) : dims[i];
		for (size_t k = 0; k < num_inputs; k++)
			plan->strides[k][last] = strides[k][i];
	}
	if (last < 0) {
		last = 0;
		plan->dims[0] = 1;
	}
	plan->rank = last + 1;
	return 0;
}

struct row_job {
	const struct broadcast *plan;
	broadcast_row fn;
	void *arg;
};

/* Elements [begin, end) of the output, a row or the part of one at a time. */
static void run_rows(void *arg, int64_t begin, int64_t end)
{
	const struct row_job *job = arg;
	const struct broadcast *plan = job->plan;
	int last = plan->rank - 1;
	int64_t index[TENSOR_MAX_RANK + 1], in[BROADCAST_MAX_INPUTS] = {0}, step[BROADCAST_MAX_INPUTS] = {0};
	int64_t rest = begin;

	for (int i = last; i >= 0; i--) {
		index[i] = rest % plan->dims[i];
		rest /= plan->dims[i];
		for (size_t k = 0; k < plan->num_inputs; k++)
			in[k] += index[i] * plan->strides[k][i];
	}
	for (size_t k = 0; k < plan->num_inputs; k++)
		step[k] = plan->strides[k][last];
	while (begin < end) {
		int64_t n = plan->dims[last] - index[last];

		if (n > end - begin)
			n = end - begin;
		job->fn(job->arg, n, begin, in, step);
		begin += n;
		if (begin >= end)
			break;
		/* To the start of the next row. */
		for (size_t k = 0; k < plan->num_inputs; k++)
			in[k] -= index[last] * plan->strides[k][last];
		index[last] = 0;
		for (int i = last - 1; i >= 0; i--) {
			index[i]++;
			for (size_t k = 0; k < plan->num_inputs; k++)
				in[k] += plan->strides[k][i];
			if (index[i] < plan->dims[i])
				break;
			for (size_t k = 0; k < plan->num_inputs; k++)
				in[k] -= plan->dims[i] * plan->strides[k][i];
			index[i] = 0;
		}
	}
}

void broadcast_run(const struct broadcast *plan, struct cpu_pool *pool, broadcast_row fn, void *arg)
{
	struct row_job job = {plan, fn, arg};

	parallel_range(pool, plan->count, PARALLEL_GRAIN, run_rows, &job);
}

int broadcast_shape(struct op_call *call, int *rank, int64_t *dims)
{
	*rank = 0;
	for (size_t i = 0; i < call->node->num_inputs; i++) {
		const struct tensor *in = call->inputs[i];

		if (!in)
			return op_fail(call, -EINVAL, "%s: input %zu is missing", call->node->op_type, i);
		if (broadcast_dims(*rank, dims, in->rank, in->dims, rank, dims))
			return op_fail(call, -EINVAL, "%s: the shape of input %zu does not broadcast to the others",
				       call->node->op_type, i);
	}
	return 0;
}

int broadcast_align_legacy(struct op_call *call, struct tensor *view)
{
	const struct tensor *a = call->inputs[0], *b = call->inputs[1];
	int64_t axis = op_attr_int(call->node, "axis", a->rank - b->rank);

	*view = *b;
	view->owned = false;
	if (!op_attr_int(call->node, "broadcast", 0) || b->rank >= a->rank)
		return 0;
	if (axis < 0)
		axis += a->rank;
	if (axis < 0 || axis + b->rank > a->rank)
		return op_fail(call, -EINVAL, "%s: attribute axis is outside the shape of input 0",
			       call->node->op_type);
	view->rank = a->rank - axis;
	for (int i = b->rank; i < view->rank; i++)
		view->dims[i] = 1;
	return 0;
}
