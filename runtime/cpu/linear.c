/* SPDX-License-Identifier: MIT */
/*
 * The project's own fused products (domain axl), which the compiler makes of MatMul and what follows it:
 *
 *	Linear(x, w, bias?, residual?)	y = activation(x w + bias) + residual
 *	QLinear(x, x_scale, x_zero, w, w_scale, w_zero, bias?, residual?, y_scale?, y_zero?)
 *		f = activation((float)((x - x_zero) (w - w_zero) + bias) * (x_scale * w_scale[n])) + residual;
 *		y = f, or with y_scale: saturate(round_half_even(f / y_scale) + y_zero)
 *
 * x is […, K], w [K, N], bias one number a column (int32 in QLinear), the residual as large as y, float. w_scale is one
 * number or one a column. Attribute activation: "Relu", "Sigmoid", "Tanh", "Gelu" (by erf), "FastGelu" (by tanh), or none.
 */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "runtime/cpu/families.h"
#include "runtime/cpu/nested.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/pool.h"
#include "runtime/cpu/quant_input.h"
#include "runtime/cpu/scratch.h"

/* What comes behind the sums: a row at a time. */
struct rows {
	int64_t columns;
	const float *bias, *residual;
	float *values;
};

static void add_bias(void *arg, size_t row)
{
	const struct rows *rows = arg;
	float *values = rows->values + (int64_t)row * rows->columns;

	for (int64_t n = 0; n < rows->columns; n++)
		values[n] += rows->bias[n];
}

static void add_residual(void *arg, size_t row)
{
	const struct rows *rows = arg;
	float *values = rows->values + (int64_t)row * rows->columns;
	const float *residual = rows->residual + (int64_t)row * rows->columns;

	for (int64_t n = 0; n < rows->columns; n++)
		values[n] += residual[n];
}

/* Input @index is absent or has @count elements of @type. */
static int check_vector(struct op_call *call, size_t index, enum dtype type, int64_t count)
{
	const struct tensor *t = op_input(call, index);

	if (!t || (t->dtype == type && tensor_count(t) == count))
		return 0;
	return op_fail(call, -EINVAL, "%s: input %zu must be %lld elements of %s", call->node->op_type, index,
		       (long long)count, dtype_name(type));
}

/* The attribute's activation of @from into @to. */
static int activate(struct op_call *call, const struct tensor *from, struct tensor *to)
{
	static const char *const plain[] = {"Relu", "Sigmoid", "Tanh"};
	struct attr approximate = {
		.name = "approximate", .type = ATTR_STRING, .s = {.data = (char *)"tanh", .size = 4}};
	bool fast = op_attr_is(call->node, "activation", "", "FastGelu");
	const struct nested gelu = {.domain = "",
				    .op_type = "Gelu",
				    .opset = 20,
				    .num_attrs = fast,
				    .attrs = &approximate,
				    .num_inputs = 1,
				    .inputs = &from,
				    .num_outputs = 1,
				    .outputs = &to};

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (op_attr_is(call->node, "activation", "", plain[i]))
			return op_nested_simple(call, plain[i], 13, 1, &from, to);
	if (fast || op_attr_is(call->node, "activation", "", "Gelu"))
		return op_nested(call, &gelu);
	return op_fail(call, -ENOTSUP, "%s: attribute activation is none of its activations", call->node->op_type);
}

static bool has_activation(const struct op_call *call)
{
	return !op_attr_is(call->node, "activation", "", "");
}

static int64_t columns_of(const struct tensor *t)
{
	return t->rank > 0 ? t->dims[t->rank - 1] : 1;
}

/* Activation and residual behind @sums; the result in @sums or in @other, *result says which. */
static int finish(struct op_call *call, size_t residual, struct tensor *sums, struct tensor *other,
		  struct tensor **result)
{
	const struct tensor *addend = op_input(call, residual);
	struct rows rows = {.columns = columns_of(sums), .residual = addend ? addend->data : NULL};
	int err = check_vector(call, residual, DTYPE_F32, tensor_count(sums));

	*result = sums;
	if (!err && has_activation(call)) {
		err = activate(call, sums, other);
		*result = other;
	}
	if (!err && addend && rows.columns) {
		rows.values = (*result)->data;
		cpu_pool_for(call->pool, (size_t)(tensor_count(sums) / rows.columns), add_residual, &rows);
	}
	return err;
}

static int prepare_linear(const struct op_node *node, const struct tensor *const *constants, void **state)
{
	return op_prepare(op_find("", "MatMul", 13), node, constants, state);
}

static void release_linear(void *state)
{
	op_release(op_find("", "MatMul", 13), state);
}

/* Memory of the thread for the sums of x w, where the inputs have their shapes; the product allocates what is missing. */
static int sums_memory(const struct op_call *call, struct tensor *sums)
{
	const struct tensor *x = call->inputs[0], *w = call->inputs[1];
	int64_t count, depth = w->rank == 2 ? w->dims[0] : 0;
	void *memory;

	if (!depth || __builtin_mul_overflow(tensor_count(x) / depth, w->dims[1], &count) ||
	    (uint64_t)count > PTRDIFF_MAX / sizeof(float) - 64)
		return 0;
	memory = scratch_get_for(SCRATCH_INNER, (size_t)count * sizeof(float));
	return memory ? tensor_init_view(sums, DTYPE_F32, 1, &count, memory, (size_t)count * sizeof(float)) : -ENOMEM;
}

static int run_linear(struct op_call *call)
{
	const struct tensor *bias = op_input(call, 2);
	struct op_node node = {.name = call->node->name,
			       .domain = "",
			       .op_type = "MatMul",
			       .opset = 13,
			       .num_inputs = 2,
			       .num_outputs = 1};
	struct tensor sums = {0}, *out = call->outputs[0], *result, *into = has_activation(call) ? &sums : out;
	struct op_call product = {
		.node = &node, .inputs = call->inputs, .outputs = &into, .state = call->state, .pool = call->pool};
	struct rows rows;
	int err;

	if (!op_wanted(call, 0))
		return 0;
	err = has_activation(call) ? sums_memory(call, &sums) : 0;
	if (err)
		return err;
	err = op_run(op_find("", "MatMul", 13), &product);
	if (err) {
		op_fail(call, err, "Linear: %.200s", product.error);
		goto out;
	}
	rows = (struct rows){.columns = columns_of(into), .bias = bias ? bias->data : NULL, .values = into->data};
	err = check_vector(call, 2, DTYPE_F32, rows.columns);
	if (!err && bias && rows.columns)
		cpu_pool_for(call->pool, (size_t)(tensor_count(into) / rows.columns), add_bias, &rows);
	if (!err)
		err = finish(call, 3, into, out, &result);
out:
	tensor_finish(&sums);
	return err;
}

/* ---- QLinear ---- */

struct requantized {
	int64_t columns, step; /* of the scales */
	const int32_t *sums, *bias;
	const float *scale;
	float x_scale;
	float *values;
};

static void to_float(void *arg, size_t row)
{
	const struct requantized *q = arg;
	int64_t at = (int64_t)row * q->columns;

	for (int64_t n = 0; n < q->columns; n++) {
		uint32_t sum = (uint32_t)q->sums[at + n] + (q->bias ? (uint32_t)q->bias[n] : 0); /* it wraps */

		q->values[at + n] = (float)(int32_t)sum * (q->x_scale * q->scale[n * q->step]);
	}
}

/* y_scale, y_zero: as QuantizeLinear does it. */
static int quantize(struct op_call *call, const struct tensor *values)
{
	const struct tensor *inputs[] = {values, call->inputs[8], op_input(call, 9)};

	if (!inputs[2])
		return op_fail(call, -EINVAL, "QLinear: y_scale (input 8) without y_zero (input 9)");
	return op_nested_simple(call, "QuantizeLinear", 13, 3, inputs, call->outputs[0]);
}

static int run_qlinear(struct op_call *call)
{
	const struct tensor *integers[] = {call->inputs[0], call->inputs[3], call->inputs[2], call->inputs[5]};
	const struct tensor *bias = op_input(call, 6);
	struct tensor sums = {0}, values = {0}, other = {0}, *result, *out = call->outputs[0];
	bool is_float = !op_input(call, 8), act = has_activation(call);
	struct tensor *first = is_float && !act ? out : &values, *second = is_float ? out : &other;
	const float *x_scale, *scale;
	struct requantized q;
	int64_t step;
	int err;

	if (!op_wanted(call, 0))
		return 0;
	err = op_nested_simple(call, "MatMulInteger", 10, 4, integers, &sums);
	if (!err)
		err = quant_scale(call, 1, 1, &x_scale, &step);
	if (!err)
		err = quant_scale(call, 4, columns_of(&sums), &scale, &step);
	if (!err)
		err = check_vector(call, 6, DTYPE_S32, columns_of(&sums));
	if (!err && first == out)
		err = op_output(call, 0, DTYPE_F32, sums.rank, sums.dims);
	else if (!err)
		err = tensor_init(first, DTYPE_F32, sums.rank, sums.dims);
	if (err)
		goto out;
	q = (struct requantized){.columns = columns_of(&sums),
				 .step = step,
				 .sums = sums.data,
				 .bias = bias ? bias->data : NULL,
				 .scale = scale,
				 .x_scale = x_scale[0],
				 .values = first->data};
	if (q.columns)
		cpu_pool_for(call->pool, (size_t)(tensor_count(&sums) / q.columns), to_float, &q);
	err = finish(call, 7, first, second, &result);
	if (!err && !is_float)
		err = quantize(call, result);
out:
	tensor_finish(&sums);
	tensor_finish(&values);
	tensor_finish(&other);
	return err;
}

const struct op_kernel ops_linear[] = {
	{"axl", "Linear", 1, 0, 2, 4, 1, 1, run_linear, prepare_linear, release_linear, &op_half_in_f32},
	{"axl", "QLinear", 1, 0, 6, 10, 1, 1, run_qlinear, NULL, NULL, NULL},
};
const size_t ops_linear_count = sizeof(ops_linear) / sizeof(ops_linear[0]);
