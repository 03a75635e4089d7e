// SPDX-License-Identifier: MIT
/*
 * Optimizers of ai.onnx.preview.training: Adagrad, Adam and Momentum.
 *
 * Inputs: the learning rate R, the count of updates T, then for n parameters n tensors X, n gradients G and n of each
 * accumulated moment; outputs the new X and moments in the same order. Computed in double, rounded once.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "runtime/cpu/families.h"
#include "runtime/cpu/work_type.h"

#define MAX_MOMENTS 2

/*
 * struct update - what one element's step needs
 * @rate: the learning rate of this step, corrections included
 */
struct update {
	double rate;
	double norm, norm_post, alpha, beta, epsilon;
	bool nesterov;
};

/* New value of @x with gradient @g; updates the moments in @m. */
typedef double (*step_fn)(const struct update *u, double x, double g, double *m);

/* Duchi, Hazan, Singer 2011: the step shrinks with the sum of squared gradients. */
static double step_adagrad(const struct update *u, double x, double g, double *m)
{
	g += u->norm * x;
	m[0] += g * g;
	return x - u->rate * g / (sqrt(m[0]) + u->epsilon);
}

/* Kingma and Ba 2014. */
static double step_adam(const struct update *u, double x, double g, double *m)
{
	g += u->norm * x;
	m[0] = u->alpha * m[0] + (1 - u->alpha) * g;
	m[1] = u->beta * m[1] + (1 - u->beta) * g * g;
	return (1 - u->norm_post) * (x - u->rate * m[0] / (sqrt(m[1]) + u->epsilon));
}

static double step_momentum(const struct update *u, double x, double g, double *m)
{
	g += u->norm * x;
	m[0] = u->alpha * m[0] + u->beta * g;
	return x - u->rate * (u->nesterov ? g + u->alpha * m[0] : m[0]);
}

/* Parameter @p of @n: inputs X, G and moments widened, stepped, written. */
static int update_parameter(struct op_call *call, const struct update *u, step_fn step, size_t p, size_t n,
			    size_t moments)
{
	const struct tensor *in = call->inputs[2 + p];
	struct tensor wide[2 + MAX_MOMENTS] = {0}, work[1 + MAX_MOMENTS] = {0};
	int err = 0;

	for (size_t i = 0; i < 2 + moments && !err; i++) {
		const struct tensor *other = call->inputs[2 + i * n + p];

		if (other->dtype != in->dtype || !tensor_same_shape(other, in))
			err = op_fail(call, -EINVAL, "%s: input %zu has not the type and shape of input %zu",
				      call->node->op_type, 2 + i * n + p, 2 + p);
		else
			err = op_input_float(call, 2 + i * n + p, DTYPE_F64, &wide[i]);
	}
	for (size_t i = 0; i < 1 + moments && !err; i++)
		err = tensor_init(&work[i], DTYPE_F64, in->rank, in->dims);
	for (int64_t e = 0; !err && e < tensor_count(in); e++) {
		double m[MAX_MOMENTS] = {0};

		for (size_t i = 0; i < moments; i++)
			m[i] = ((const double *)wide[2 + i].data)[e];
		((double *)work[0].data)[e] =
			step(u, ((const double *)wide[0].data)[e], ((const double *)wide[1].data)[e], m);
		for (size_t i = 0; i < moments; i++)
			((double *)work[1 + i].data)[e] = m[i];
	}
	for (size_t i = 0; i < 1 + moments && !err; i++)
		err = op_output_cast(call, i * n + p, in->dtype, &work[i]);
	for (size_t i = 0; i < 2 + moments; i++)
		tensor_finish(&wide[i]);
	for (size_t i = 0; i < 1 + moments; i++)
		tensor_finish(&work[i]);
	return err;
}

static int run_update(struct op_call *call, const struct update *u, step_fn step, size_t moments)
{
	const struct op_node *node = call->node;
	size_t n = (node->num_inputs - 2) / (2 + moments);
	int err = 0;

	if (n == 0 || node->num_inputs != 2 + n * (2 + moments) || node->num_outputs != n * (1 + moments))
		return op_fail(call, -EINVAL, "%s: %zu inputs and %zu outputs are no whole number of parameters",
			       node->op_type, node->num_inputs, node->num_outputs);
	for (size_t i = 2; i < node->num_inputs; i++)
		if (!call->inputs[i])
			return op_fail(call, -EINVAL, "%s: input %zu is missing", node->op_type, i);
	for (size_t p = 0; p < n && !err; p++)
		err = update_parameter(call, u, step, p, n, moments);
	return err;
}

/* R and T, inputs 0 and 1. */
static int read_rate(struct op_call *call, double *rate, int64_t *count)
{
	const struct tensor *r = call->inputs[0];

	if (!dtype_is_float(r->dtype) || tensor_count(r) != 1)
		return op_fail(call, -EINVAL, "%s: the learning rate (input 0) is no float scalar",
			       call->node->op_type);
	*rate = tensor_get_f64(r, 0);
	return op_input_scalar(call, 1, 0, count);
}

static int run_adagrad(struct op_call *call)
{
	const struct op_node *node = call->node;
	struct update u = {.norm = op_attr_float(node, "norm_coefficient", 0),
			   .epsilon = op_attr_float(node, "epsilon", 0)};
	int64_t count;
	int err = read_rate(call, &u.rate, &count);

	if (err)
		return err;
	u.rate /= 1 + (double)count * op_attr_float(node, "decay_factor", 0);
	return run_update(call, &u, step_adagrad, 1);
}

static int run_adam(struct op_call *call)
{
	const struct op_node *node = call->node;
	struct update u = {.norm = op_attr_float(node, "norm_coefficient", 0),
			   .norm_post = op_attr_float(node, "norm_coefficient_post", 0),
			   .alpha = op_attr_float(node, "alpha", 0.9f),
			   .beta = op_attr_float(node, "beta", 0.999f),
			   .epsilon = op_attr_float(node, "epsilon", 1e-6f)};
	int64_t count;
	int err = read_rate(call, &u.rate, &count);

	if (err)
		return err;
	/* The moments start at zero: what they lack in the first steps. */
	if (count > 0)
		u.rate *= sqrt(1 - pow(u.beta, (double)count)) / (1 - pow(u.alpha, (double)count));
	return run_update(call, &u, step_adam, 2);
}

static int run_momentum(struct op_call *call)
{
	const struct op_node *node = call->node;
	struct update u = {.norm = op_attr_float(node, "norm_coefficient", 0),
			   .alpha = op_attr_float(node, "alpha", 0),
			   .beta = op_attr_float(node, "beta", 0)};
	int64_t count;
	int err = read_rate(call, &u.rate, &count);

	if (err)
		return err;
	u.nesterov = op_attr_is(node, "mode", NULL, "nesterov");
	if (!u.nesterov && !op_attr_is(node, "mode", NULL, "standard"))
		return op_fail(call, -EINVAL, "Momentum: attribute mode is neither standard nor nesterov");
	/* The first gradient counts in full: there is no momentum yet. */
	if (count <= 0)
		u.beta = 1;
	return run_update(call, &u, step_momentum, 1);
}

#define TRAINING "ai.onnx.preview.training"

const struct op_kernel ops_optimizer[] = {
	{TRAINING, "Adagrad", 1, 0, 5, -1, 2, -1, run_adagrad},
	{TRAINING, "Adam", 1, 0, 6, -1, 3, -1, run_adam},
	{TRAINING, "Momentum", 1, 0, 5, -1, 2, -1, run_momentum},
};
const size_t ops_optimizer_count = sizeof(ops_optimizer) / sizeof(ops_optimizer[0]);
