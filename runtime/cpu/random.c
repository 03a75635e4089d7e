// SPDX-License-Identifier: MIT
/*
 * Random tensors: RandomNormal, RandomUniform, their Like forms, Bernoulli, Multinomial.
 *
 * Element i is number i of the node's stream (random_stream.h), whatever the number of threads. ONNX leaves the generator
 * open: other runtimes draw other numbers from the same seed.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/random_stream.h"

struct random_job {
	struct random_stream stream;
	double (*draw)(const struct random_stream *stream, int64_t i);
	double offset, scale;
	cast_fn narrow;
	char *out;
	size_t size;
};

static void draw_range(void *arg, int64_t begin, int64_t end)
{
	const struct random_job *job = arg;

	for (int64_t i = begin; i < end; i++) {
		double x = job->offset + job->scale * job->draw(&job->stream, i);

		job->narrow(1, &x, job->out + i * job->size);
	}
}

/* @like: shape and, without the attribute dtype, type from input 0; else both from attributes. */
static int run_random(struct op_call *call, bool is_normal, bool like)
{
	const struct op_node *node = call->node;
	const struct tensor *in = like ? call->inputs[0] : NULL;
	enum dtype type = op_attr_int(node, "dtype", in && dtype_is_float(in->dtype) ? in->dtype : DTYPE_F32);
	struct random_job job = {.stream = random_stream_of(node), .draw = is_normal ? random_normal : random_uniform};
	const int64_t *dims = in ? in->dims : NULL;
	size_t rank = in ? (size_t)in->rank : op_attr_ints(node, "shape", &dims);
	double low = op_attr_float(node, "low", 0);
	int err;

	if (!op_wanted(call, 0))
		return 0;
	if (!dtype_is_float(type))
		return op_fail(call, -EINVAL, "%s: attribute dtype = %d is no float type", node->op_type, (int)type);
	if (rank > TENSOR_MAX_RANK)
		return op_fail(call, -EINVAL, "%s: attribute shape has %zu entries", node->op_type, rank);
	err = op_output(call, 0, type, rank, dims);
	if (err)
		return err;
	job.offset = is_normal ? op_attr_float(node, "mean", 0) : low;
	job.scale = is_normal ? op_attr_float(node, "scale", 1) : op_attr_float(node, "high", 1) - low;
	job.narrow = cast_row(DTYPE_F64, type);
	job.out = call->outputs[0]->data;
	job.size = dtype_size(type);
	parallel_range(call->pool, tensor_count(call->outputs[0]), PARALLEL_GRAIN / 16, draw_range, &job);
	return 0;
}

static int run_normal(struct op_call *call)
{
	return run_random(call, true, false);
}

static int run_normal_like(struct op_call *call)
{
	return run_random(call, true, true);
}

static int run_uniform(struct op_call *call)
{
	return run_random(call, false, false);
}

static int run_uniform_like(struct op_call *call)
{
	return run_random(call, false, true);
}

/* 1 with the probability that the input holds. */
static int run_bernoulli(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	enum dtype type = op_attr_int(call->node, "dtype", in->dtype);
	cast_fn narrow = cast_row(DTYPE_U8, type);
	struct random_stream stream = random_stream_of(call->node);
	int err;

	if (!op_wanted(call, 0))
		return 0;
	if (!dtype_is_float(in->dtype) || !narrow)
		return op_fail(call, -EINVAL, "Bernoulli: from %s to type %d", dtype_name(in->dtype), (int)type);
	err = op_output(call, 0, type, in->rank, in->dims);
	for (int64_t i = 0; !err && i < tensor_count(in); i++) {
		uint8_t drawn = random_uniform(&stream, i) < tensor_get_f64(in, i);

		narrow(1, &drawn, (char *)call->outputs[0]->data + i * dtype_size(type));
	}
	return err;
}

/* The class at which the running sum of exp(log-probability) passes @target. */
static int64_t pick_class(const struct tensor *in, int64_t row, int64_t classes, double most, double target)
{
	for (int64_t c = 0; c < classes; c++) {
		target -= exp(tensor_get_f64(in, row * classes + c) - most);
		if (target < 0)
			return c;
	}
	return classes - 1;
}

static int run_multinomial(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	int64_t samples = op_attr_int(call->node, "sample_size", 1), classes;
	enum dtype type = op_attr_int(call->node, "dtype", DTYPE_S32);
	cast_fn narrow = cast_row(DTYPE_S64, type);
	struct random_stream stream = random_stream_of(call->node);
	char *out;
	int err;

	if (!op_wanted(call, 0))
		return 0;
	if (in->rank != 2 || !dtype_is_float(in->dtype) || in->dims[1] < 1 || samples < 0)
		return op_fail(call, -EINVAL,
			       "Multinomial: input 0 is no batch of float classes, or sample_size is %" PRId64,
			       samples);
	if (type != DTYPE_S32 && type != DTYPE_S64)
		return op_fail(call, -EINVAL, "Multinomial: attribute dtype = %d is neither int32 nor int64",
			       (int)type);
	err = op_output(call, 0, type, 2, (int64_t[]){in->dims[0], samples});
	if (err)
		return err;
	classes = in->dims[1];
	out = call->outputs[0]->data;
	for (int64_t row = 0; row < in->dims[0]; row++) {
		double most = -INFINITY, sum = 0;

		for (int64_t c = 0; c < classes; c++)
			most = fmax(most, tensor_get_f64(in, row * classes + c));
		for (int64_t c = 0; c < classes; c++)
			sum += exp(tensor_get_f64(in, row * classes + c) - most);
		for (int64_t s = 0; s < samples; s++, out += dtype_size(type)) {
			int64_t drawn =
				pick_class(in, row, classes, most, sum * random_uniform(&stream, row * samples + s));

			narrow(1, &drawn, out);
		}
	}
	return 0;
}

const struct op_kernel ops_random[] = {
	{"", "Bernoulli", 15, 0, 1, 1, 1, 1, run_bernoulli},
	{"", "Multinomial", 7, 0, 1, 1, 1, 1, run_multinomial},
	{"", "RandomNormal", 1, 0, 0, 0, 1, 1, run_normal},
	{"", "RandomNormalLike", 1, 0, 1, 1, 1, 1, run_normal_like},
	{"", "RandomUniform", 1, 0, 0, 0, 1, 1, run_uniform},
	{"", "RandomUniformLike", 1, 0, 1, 1, 1, 1, run_uniform_like},
};
const size_t ops_random_count = sizeof(ops_random) / sizeof(ops_random[0]);
