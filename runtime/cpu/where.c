// SPDX-License-Identifier: MIT
/*
 * Where: elements of any type by a condition.
 */
#include <errno.h>
#include <string.h>

#include "runtime/cpu/broadcast.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/strided_copy.h"

struct where_job {
	char *out;
	const uint8_t *condition;
	const char *x, *y;
	size_t size;
};

#define WHERE_LOOP(T)                  \
	for (size_t i = 0; i < n; i++) \
	((T *)out)[i] = c[i * step[0]] ? ((const T *)x)[i * step[1]] : ((const T *)y)[i * step[2]]

static void run_where_row(void *arg, size_t n, int64_t first, const int64_t *in, const int64_t *step)
{
	const struct where_job *job = arg;
	const uint8_t *c = job->condition + in[0];
	const void *x = job->x + in[1] * job->size, *y = job->y + in[2] * job->size;
	void *out = job->out + first * job->size;

	switch (job->size) {
	case 1:
		WHERE_LOOP(uint8_t);
		break;
	case 2:
		WHERE_LOOP(uint16_t);
		break;
	case 4:
		WHERE_LOOP(uint32_t);
		break;
	case 8:
		WHERE_LOOP(uint64_t);
		break;
	default:
		for (size_t i = 0; i < n; i++)
			memcpy((char *)out + i * job->size,
			       c[i * step[0]] ? (const char *)x + i * step[1] * job->size
					      : (const char *)y + i * step[2] * job->size,
			       job->size);
	}
}

static int run_where(struct op_call *call)
{
	const struct tensor *const *in = call->inputs;
	int64_t dims[TENSOR_MAX_RANK];
	struct broadcast plan;
	struct where_job job;
	int rank, err;

	if (!op_wanted(call, 0))
		return 0;
	err = broadcast_shape(call, &rank, dims);
	if (err)
		return err;
	if (in[0]->dtype != DTYPE_BOOL)
		return op_fail(call, -EINVAL, "Where: the condition (input 0) is %s, not bool",
			       dtype_name(in[0]->dtype));
	if (in[1]->dtype != in[2]->dtype)
		return op_fail(call, -EINVAL, "Where: input 1 is %s but input 2 is %s", dtype_name(in[1]->dtype),
			       dtype_name(in[2]->dtype));
	err = op_output(call, 0, in[1]->dtype, rank, dims);
	if (err)
		return err;
	err = broadcast_plan(&plan, 3, in, rank, dims);
	if (err)
		return op_fail(call, err, "Where: the inputs do not broadcast");
	job = (struct where_job){call->outputs[0]->data, in[0]->data, in[1]->data, in[2]->data,
				 dtype_size(in[1]->dtype)};
	broadcast_run(&plan, call->pool, run_where_row, &job);
	return in[1]->dtype == DTYPE_STRING ? strings_own(call, call->outputs[0]) : 0;
}

const struct op_kernel ops_where[] = {
	{"", "Where", 9, 0, 3, 3, 1, 1, run_where},
};
const size_t ops_where_count = sizeof(ops_where) / sizeof(ops_where[0]);
