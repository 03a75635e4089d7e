// SPDX-License-Identifier: MIT
/*
 * Dropout: a copy of the input in inference; in training every element falls out with the probability of the ratio, and what
 * stays is scaled so that the mean does not change.
 *
 * Training is asked for by input 2 since opset 12, and before opset 7 by the absence of is_test; opsets 7 to 11 know
 * inference only.
 */
#include <errno.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/random_stream.h"
#include "runtime/cpu/strided_copy.h"

/* Opset 22 has the float8 types too. */
static bool is_float(enum dtype type)
{
	return dtype_is_float(type) || (type >= DTYPE_F8E4M3FN && type <= DTYPE_F8E5M2FNUZ);
}

/* Does this call train, and with which ratio? */
static int read_mode(struct op_call *call, bool *training, double *ratio)
{
	const struct op_node *node = call->node;
	const struct tensor *ratio_in = op_input(call, 1), *training_in = op_input(call, 2);

	*ratio = op_attr_float(node, "ratio", 0.5f);
	*training = node->opset < 7 && !op_attr_int(node, "is_test", 0);
	if (node->opset >= 12) {
		if (training_in && (training_in->dtype != DTYPE_BOOL || tensor_count(training_in) != 1))
			return op_fail(call, -EINVAL, "Dropout: training_mode (input 2) is %s, expected one bool",
				       dtype_name(training_in->dtype));
		if (ratio_in && (!is_float(ratio_in->dtype) || tensor_count(ratio_in) != 1))
			return op_fail(call, -EINVAL, "Dropout: ratio (input 1) is %s, expected one float",
				       dtype_name(ratio_in->dtype));
		*training = training_in && tensor_get_s64(training_in, 0) != 0;
		*ratio = ratio_in ? tensor_get_f64(ratio_in, 0) : 0.5;
	}
	if (*training && !(*ratio >= 0 && *ratio < 1))
		return op_fail(call, -EINVAL, "Dropout: the ratio %g is not in [0, 1)", *ratio);
	return 0;
}

/*
 * struct dropout_job - @out and @mask may be NULL where nobody reads them
 * @one: the element that marks a kept one in the mask
 */
struct dropout_job {
	struct random_stream stream;
	double ratio;
	enum dtype type;
	const char *in;
	char *out, *mask;
	size_t size, mask_size;
	char one[8];
};

/* Element @i of the input, scaled, as element @i of the output. */
static void scale_element(const struct dropout_job *job, int64_t i, double scale)
{
	const char *from = job->in + (size_t)i * job->size;
	char *to = job->out + (size_t)i * job->size;
	double x;

	if (dtype_is_narrow_float(job->type)) {
		*(uint8_t *)to = f32_to_narrow(job->type,
					       (float)(narrow_to_f32(job->type, *(const uint8_t *)from) * scale), true);
		return;
	}
	cast_row(job->type, DTYPE_F64)(1, from, &x);
	x *= scale;
	cast_row(DTYPE_F64, job->type)(1, &x, to);
}

static void drop_range(void *arg, int64_t begin, int64_t end)
{
	const struct dropout_job *job = arg;
	double scale = 1 / (1 - job->ratio);

	for (int64_t i = begin; i < end; i++) {
		bool kept = job->ratio == 0 || random_uniform(&job->stream, i) >= job->ratio;

		if (job->out && kept)
			scale_element(job, i, scale);
		else if (job->out)
			memset(job->out + (size_t)i * job->size, 0, job->size);
		if (job->mask && kept)
			memcpy(job->mask + (size_t)i * job->mask_size, job->one, job->mask_size);
		else if (job->mask)
			memset(job->mask + (size_t)i * job->mask_size, 0, job->mask_size);
	}
}

static int run_dropout(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	/* Before opset 10 the mask had the type of the data. */
	enum dtype mask_type = call->node->opset >= 10 ? DTYPE_BOOL : in->dtype;
	struct dropout_job job = {0};
	uint8_t one = 1;
	bool training;
	int err = read_mode(call, &training, &job.ratio);

	if (err)
		return err;
	if (!is_float(in->dtype))
		return op_fail(call, -ENOTSUP, "Dropout: input 0 is %s", dtype_name(in->dtype));
	if (!training || job.ratio == 0) {
		job.ratio = 0;
		err = op_output_copy(call, 0, in, in->rank, in->dims);
	} else {
		err = op_output(call, 0, in->dtype, in->rank, in->dims);
	}
	if (!err)
		err = op_output(call, 1, mask_type, in->rank, in->dims);
	if (err)
		return err;
	job.out = op_wanted(call, 0) && job.ratio > 0 ? call->outputs[0]->data : NULL;
	job.mask = op_wanted(call, 1) ? call->outputs[1]->data : NULL;
	if (!job.out && !job.mask)
		return 0;
	job.type = in->dtype;
	job.in = in->data;
	job.size = dtype_size(in->dtype);
	job.mask_size = dtype_size(mask_type);
	cast_row(DTYPE_BOOL, mask_type)(1, &one, job.one);
	job.stream = random_stream_of(call->node);
	parallel_range(call->pool, tensor_count(in), PARALLEL_GRAIN / 16, drop_range, &job);
	return 0;
}

const struct op_kernel ops_dropout[] = {
	{"", "Dropout", 1, 11, 1, 1, 1, 2, run_dropout},
	{"", "Dropout", 12, 0, 1, 3, 1, 2, run_dropout},
};
const size_t ops_dropout_count = sizeof(ops_dropout) / sizeof(ops_dropout[0]);
