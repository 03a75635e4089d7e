// SPDX-License-Identifier: MIT
/*
 * com.microsoft operators that mean what one of ONNX's does, or a few in a row: Pad, Range, Unique, Trilu, GatherND,
 * GridSample, ExpandDims, TransposeMatMul; BiasAdd, BiasDropout, BiasSoftmax, BiasSplitGelu; Rfft, Irfft.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/ms_forward.h"
#include "runtime/cpu/nested.h"
#include "runtime/cpu/shape_rules.h"

/* The same operator with the same attributes, inputs and outputs under another name. */
static int forward(struct op_call *call, const char *domain, const char *op_type, int opset)
{
	struct nested nested = {
		.domain = domain,
		.op_type = op_type,
		.opset = opset,
		.num_attrs = call->node->num_attrs,
		.attrs = call->node->attrs,
		.num_inputs = call->node->num_inputs,
		.inputs = call->inputs,
		.num_outputs = call->node->num_outputs,
		.outputs = call->outputs,
	};

	return op_nested(call, &nested);
}

static int run_pad(struct op_call *call)
{
	return forward(call, "", "Pad", 13);
}

static int run_trilu(struct op_call *call)
{
	return forward(call, "", "Trilu", 14);
}

static int run_gather_nd(struct op_call *call)
{
	return forward(call, "", "GatherND", 12);
}

static int run_grid_sample(struct op_call *call)
{
	return forward(call, "", "GridSample", 16);
}

static int run_transpose_matmul(struct op_call *call)
{
	return forward(call, MICROSOFT, "FusedMatMul", 1);
}

/* The step may be left out. */
static int run_range(struct op_call *call)
{
	const struct tensor *inputs[3] = {call->inputs[0], call->inputs[1], op_input(call, 2)};
	struct tensor one = {0};
	double value = 1;
	int err = 0;

	if (!op_wanted(call, 0))
		return 0;
	if (!inputs[2]) {
		err = tensor_init(&one, inputs[0]->dtype, 0, NULL);
		if (!err && cast_row(DTYPE_F64, one.dtype))
			cast_row(DTYPE_F64, one.dtype)(1, &value, one.data);
		inputs[2] = &one;
	}
	if (!err)
		err = op_nested_simple(call, "Range", 11, 3, inputs, call->outputs[0]);
	tensor_finish(&one);
	return err;
}

/* Values in the order of their first appearance; where each input went; how many there are. */
static int run_unique(struct op_call *call)
{
	struct attr unsorted = attr_int("sorted", 0);
	struct tensor first = {0}, values = {0};
	struct tensor *outputs[4] = {op_wanted(call, 0) ? call->outputs[0] : &values, &first,
				     op_wanted(call, 1) ? call->outputs[1] : NULL,
				     op_wanted(call, 2) ? call->outputs[2] : NULL};
	struct nested nested = {.domain = "",
				.op_type = "Unique",
				.opset = 11,
				.num_attrs = 1,
				.attrs = &unsorted,
				.num_inputs = 1,
				.inputs = call->inputs,
				.num_outputs = 4,
				.outputs = outputs};
	int err = op_nested(call, &nested);

	tensor_finish(&first);
	tensor_finish(&values);
	return err;
}

static int run_expand_dims(struct op_call *call)
{
	const struct tensor *x = call->inputs[0], *axis = call->inputs[1], *inputs[2];
	struct tensor axes;
	int64_t value, one = 1;

	if (tensor_count(axis) != 1 || !dtype_is_integer(axis->dtype))
		return op_fail(call, -EINVAL, "ExpandDims: the axis (input 1) is not one integer");
	value = tensor_get_s64(axis, 0);
	if (tensor_init_view(&axes, DTYPE_S64, 1, &one, &value, sizeof(value)))
		return -EINVAL;
	inputs[0] = x;
	inputs[1] = &axes;
	return op_wanted(call, 0) ? op_nested_simple(call, "Unsqueeze", 13, 2, inputs, call->outputs[0]) : 0;
}

/* [m, batch..., k] to [batch..., m, k] */
static int move_first_axis(struct op_call *call, const struct tensor *x, struct tensor *y)
{
	int64_t perm[TENSOR_MAX_RANK];

	for (int i = 0; i < x->rank; i++)
		perm[i] = i < x->rank - 2 ? i + 1 : i == x->rank - 2 ? 0 : i;
	return op_nested_transpose(call, x, perm, y);
}

int run_matmul_trans_batch(struct op_call *call)
{
	const struct op_node *node = call->node;
	struct attr attrs[] = {attr_int("transA", op_attr_int(node, "transA", 0)),
			       attr_int("transB", op_attr_int(node, "transB", 0)),
			       attr_float("alpha", op_attr_float(node, "alpha", 1))};
	struct tensor moved[2] = {{0}};
	const struct tensor *inputs[2] = {call->inputs[0], call->inputs[1]};
	struct nested product = {.domain = MICROSOFT,
				 .op_type = "FusedMatMul",
				 .opset = 1,
				 .num_attrs = 3,
				 .attrs = attrs,
				 .num_inputs = 2,
				 .inputs = inputs,
				 .num_outputs = 1,
				 .outputs = call->outputs};
	int err = 0;

	for (int i = 0; i < 2 && !err; i++) {
		if (!op_attr_int(node, i ? "transBatchB" : "transBatchA", 0) || inputs[i]->rank < 3)
			continue;
		err = move_first_axis(call, inputs[i], &moved[i]);
		inputs[i] = &moved[i];
	}
	if (!err)
		err = op_nested(call, &product);
	tensor_finish(&moved[0]);
	tensor_finish(&moved[1]);
	return err;
}

/* ---- sums first ---- */

/* @sum = a + b + c (NULL: none); an empty tensor that the caller finishes. */
static int add_three(struct op_call *call, const struct tensor *a, const struct tensor *b, const struct tensor *c,
		     struct tensor *sum)
{
	const struct tensor *first[2] = {a, b}, *second[2] = {sum, c};
	struct tensor whole = {0};
	int err = op_nested_simple(call, "Add", 14, 2, first, sum);

	if (err || !c)
		return err;
	err = op_nested_simple(call, "Add", 14, 2, second, &whole);
	tensor_finish(sum);
	*sum = whole;
	return err;
}

/* Output 0 takes @value over, which is empty afterwards. */
static int give_output(struct op_call *call, struct tensor *value)
{
	int err = op_output(call, 0, value->dtype, value->rank, value->dims);

	if (!err && op_wanted(call, 0))
		memcpy(call->outputs[0]->data, value->data, tensor_bytes(value));
	tensor_finish(value);
	return err;
}

/* X, bias [C], skip of X's shape */
static int run_bias_add(struct op_call *call)
{
	struct tensor sum = {0};
	int err = add_three(call, call->inputs[0], call->inputs[1], op_input(call, 2), &sum);

	return err ? err : give_output(call, &sum);
}

/* data, bias, residual?, ratio?, training_mode?: without training it drops nothing. */
static int run_bias_dropout(struct op_call *call)
{
	const struct tensor *ratio = op_input(call, 3), *training = op_input(call, 4);
	struct tensor sum = {0};
	int err;

	if (training && tensor_count(training) == 1 && tensor_get_s64(training, 0) != 0 &&
	    (!ratio || tensor_count(ratio) != 1 || tensor_get_f64(ratio, 0) != 0))
		return op_fail(call, -ENOTSUP, "BiasDropout: training_mode with a ratio above 0");
	err = add_three(call, call->inputs[0], call->inputs[1], op_input(call, 2), &sum);
	if (!err)
		err = op_output(call, 1, DTYPE_BOOL, sum.rank, sum.dims);
	if (!err && op_wanted(call, 1))
		memset(call->outputs[1]->data, 1, (size_t)tensor_count(&sum));
	if (!err)
		err = give_output(call, &sum);
	tensor_finish(&sum);
	return err;
}

/*
 * Softmax over all axes from the attribute axis on, of data + bias. With is_inner_broadcast the bias repeats over the axes
 * just before that one (its own shape says so, with ones), else over the outermost: NumPy's rule does both.
 */
static int run_bias_softmax(struct op_call *call)
{
	const struct tensor *x = call->inputs[0];
	int64_t axis = op_attr_int(call->node, "axis", 1), rows[2] = {1, 1};
	struct tensor sum = {0}, view, result = {0}, *out = &result;
	struct attr last = attr_int("axis", -1);
	const struct tensor *in = &view;
	struct nested softmax = {.domain = "",
				 .op_type = "Softmax",
				 .opset = 13,
				 .num_attrs = 1,
				 .attrs = &last,
				 .num_inputs = 1,
				 .inputs = &in,
				 .num_outputs = 1,
				 .outputs = &out};
	int err;

	if (normalize_axis(&axis, x->rank))
		return op_fail(call, -EINVAL, "BiasSoftmax: axis %lld of a tensor of rank %d", (long long)axis,
			       x->rank);
	err = add_three(call, x, call->inputs[1], NULL, &sum);
	if (!err && !tensor_same_shape(&sum, x))
		err = op_fail(call, -EINVAL, "BiasSoftmax: the bias (input 1) does not broadcast to input 0");
	if (!err) {
		for (int i = 0; i < x->rank; i++)
			rows[i >= axis] *= x->dims[i];
		view = tensor_reshaped(&sum, 2, rows);
		err = op_nested(call, &softmax);
	}
	tensor_finish(&sum);
	if (err)
		return err;
	result.rank = x->rank;
	memcpy(result.dims, x->dims, sizeof(result.dims));
	return give_output(call, &result);
}

/* X [N, S, D] + bias [D]; left half times Gelu of the right half. */
static int run_bias_split_gelu(struct op_call *call)
{
	const struct tensor *x = call->inputs[0];
	struct tensor sum = {0}, halves[2] = {{0}}, gelu = {0}, *parts[2] = {&halves[0], &halves[1]};
	struct attr split = attr_int("axis", -1);
	const struct tensor *in = &sum, *right = &halves[1], *product[2] = {&halves[0], &gelu};
	struct nested cut = {.domain = "",
			     .op_type = "Split",
			     .opset = 13,
			     .num_attrs = 1,
			     .attrs = &split,
			     .num_inputs = 1,
			     .inputs = &in,
			     .num_outputs = 2,
			     .outputs = parts};
	int err;

	if (x->rank < 1 || x->dims[x->rank - 1] % 2)
		return op_fail(call, -EINVAL, "BiasSplitGelu: the last dimension of input 0 is not even");
	err = add_three(call, x, call->inputs[1], NULL, &sum);
	if (!err)
		err = op_nested(call, &cut);
	if (!err)
		err = op_nested_simple(call, "Gelu", 20, 1, &right, &gelu);
	if (!err && op_wanted(call, 0))
		err = op_nested_simple(call, "Mul", 14, 2, product, call->outputs[0]);
	tensor_finish(&sum);
	tensor_finish(&halves[0]);
	tensor_finish(&halves[1]);
	tensor_finish(&gelu);
	return err;
}

/* ---- Fourier transforms of real signals over the last axis ---- */

static int check_fourier(struct op_call *call)
{
	if (op_attr_int(call->node, "signal_ndim", 0) != 1)
		return op_fail(call, -ENOTSUP, "%s: attribute signal_ndim is %lld, implemented is 1",
			       call->node->op_type, (long long)op_attr_int(call->node, "signal_ndim", 0));
	if (op_attr_int(call->node, "normalized", 0) || !op_attr_int(call->node, "onesided", 1))
		return op_fail(call, -EINVAL, "%s: normalized must be 0 and onesided 1", call->node->op_type);
	return 0;
}

static int transform(struct op_call *call, const struct tensor *x, bool inverse, struct tensor *y)
{
	struct attr attrs[] = {attr_int("axis", x->rank - 2), attr_int("onesided", !inverse),
			       attr_int("inverse", inverse)};
	struct nested dft = {.domain = "",
			     .op_type = "DFT",
			     .opset = 17,
			     .num_attrs = 3,
			     .attrs = attrs,
			     .num_inputs = 1,
			     .inputs = &x,
			     .num_outputs = 1,
			     .outputs = &y};

	return op_nested(call, &dft);
}

/* [..., n] to [..., n / 2 + 1, 2] */
static int run_rfft(struct op_call *call)
{
	const struct tensor *x = call->inputs[0];
	int64_t dims[TENSOR_MAX_RANK];
	struct tensor view;
	int err = check_fourier(call);

	if (err)
		return err;
	if (x->rank < 1 || x->rank >= TENSOR_MAX_RANK)
		return op_fail(call, -EINVAL, "Rfft: input 0 has rank %d", x->rank);
	memcpy(dims, x->dims, sizeof(dims));
	dims[x->rank] = 1;
	view = tensor_reshaped(x, x->rank + 1, dims);
	return op_wanted(call, 0) ? transform(call, &view, false, call->outputs[0]) : 0;
}

/* [..., n / 2 + 1, 2] to [..., n], n even: the half that is missing is the conjugate of the one that is there. */
static int run_irfft(struct op_call *call)
{
	const struct tensor *x = call->inputs[0];
	int64_t half, n, rows, dims[TENSOR_MAX_RANK];
	struct tensor whole = {0}, signal = {0};
	size_t size = dtype_size(x->dtype);
	int err = check_fourier(call);

	if (err)
		return err;
	if (x->rank < 2 || x->dims[x->rank - 1] != 2 || x->dims[x->rank - 2] < 2 || !cast_row(x->dtype, DTYPE_F64))
		return op_fail(call, -EINVAL, "Irfft: input 0 is not [..., n / 2 + 1, 2]");
	half = x->dims[x->rank - 2];
	n = (half - 1) * 2;
	memcpy(dims, x->dims, sizeof(dims));
	dims[x->rank - 2] = n;
	rows = tensor_count(x) / (half * 2);
	err = tensor_init(&whole, x->dtype, x->rank, dims);
	for (int64_t row = 0; row < rows && !err; row++)
		for (int64_t i = 0; i < n; i++) {
			const char *from =
				(const char *)x->data + (size_t)((row * half + (i < half ? i : n - i)) * 2) * size;
			char *to = (char *)whole.data + (size_t)((row * n + i) * 2) * size;
			double imaginary;

			memcpy(to, from, 2 * size);
			cast_row(x->dtype, DTYPE_F64)(1, from + size, &imaginary);
			imaginary = i < half ? imaginary : -imaginary;
			cast_row(DTYPE_F64, x->dtype)(1, &imaginary, to + size);
		}
	if (!err)
		err = transform(call, &whole, true, &signal);
	if (!err)
		err = op_output(call, 0, x->dtype, x->rank - 1, dims);
	for (int64_t i = 0; !err && op_wanted(call, 0) && i < rows * n; i++)
		memcpy((char *)call->outputs[0]->data + (size_t)i * size, (char *)signal.data + (size_t)i * 2 * size,
		       size);
	tensor_finish(&whole);
	tensor_finish(&signal);
	return err;
}

const struct op_kernel ops_ms_forward[] = {
	{MICROSOFT, "BiasAdd", 1, 0, 3, 3, 1, 1, run_bias_add, NULL, NULL, NULL},
	{MICROSOFT, "BiasDropout", 1, 0, 2, 5, 1, 2, run_bias_dropout, NULL, NULL, NULL},
	{MICROSOFT, "BiasSoftmax", 1, 0, 2, 2, 1, 1, run_bias_softmax, NULL, NULL, NULL},
	{MICROSOFT, "BiasSplitGelu", 1, 0, 2, 2, 1, 1, run_bias_split_gelu, NULL, NULL, NULL},
	{MICROSOFT, "ExpandDims", 1, 0, 2, 2, 1, 1, run_expand_dims, NULL, NULL, NULL},
	{MICROSOFT, "GatherND", 1, 0, 2, 2, 1, 1, run_gather_nd, NULL, NULL, NULL},
	{MICROSOFT, "GridSample", 1, 0, 2, 2, 1, 1, run_grid_sample, NULL, NULL, NULL},
	{MICROSOFT, "Irfft", 1, 0, 1, 1, 1, 1, run_irfft, NULL, NULL, NULL},
	{MICROSOFT, "Pad", 1, 0, 2, 3, 1, 1, run_pad, NULL, NULL, NULL},
	{MICROSOFT, "Range", 1, 0, 2, 3, 1, 1, run_range, NULL, NULL, NULL},
	{MICROSOFT, "Rfft", 1, 0, 1, 1, 1, 1, run_rfft, NULL, NULL, NULL},
	{MICROSOFT, "TransposeMatMul", 1, 0, 2, 2, 1, 1, run_transpose_matmul, NULL, NULL, NULL},
	{MICROSOFT, "Trilu", 1, 0, 1, 2, 1, 1, run_trilu, NULL, NULL, NULL},
	{MICROSOFT, "Unique", 1, 0, 1, 1, 1, 3, run_unique, NULL, NULL, NULL},
};
const size_t ops_ms_forward_count = sizeof(ops_ms_forward) / sizeof(ops_ms_forward[0]);
