/* SPDX-License-Identifier: MIT */
/*
 * Reductions, softmax and normalizations: step lists with the reduced dimensions kept whole.
 *
 * Formulas: ONNX Operators, Reduce*-18, ArgMax-13, Softmax-1/13, LayerNormalization-17, InstanceNormalization-6,
 * BatchNormalization-15, LpNormalization-1.
 */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/target/cost.h"
#include "compiler/target/lower_loop.h"
#include "compiler/target/lower_pool.h"
#include "compiler/target/lower_quant.h"

#define IN0 LOOP_IN
#define T0 LOOP_TEMP
#define T1 (LOOP_TEMP + 1)
#define R0 LOOP_RED
#define R1 (LOOP_RED + 1)
#define OUT LOOP_OUT
#define NONE LOOP_NONE

static bool is_float(enum dtype type)
{
	return type == DTYPE_F32 || type == DTYPE_F16 || type == DTYPE_BF16;
}

/* First input: static, not empty, float; the dimensions of @whole (at most five with the rest merged) fit at once. */
static int check_input(const struct graph_node *node, const struct target *target, uint32_t whole, char *reason,
		       size_t size)
{
	const struct graph_value *x = node->inputs[0];
	int64_t points = 1;

	if (!graph_value_is_static(x) || !graph_value_is_static(node->outputs[0]))
		return refuse(reason, size, "its shapes are not known at compile time; bind the symbolic dimensions");
	if (!is_float(x->dtype))
		return refuse(reason, size, "the device reduces and normalizes floats only");
	if (dims_count(x->rank, x->dims) <= 0)
		return refuse(reason, size, "an empty tensor");
	for (int d = 0; d < x->rank; d++)
		if (whole >> d & 1)
			points *= x->dims[d];
	if (!loop_fits(target, points, 16))
		return refuse(reason, size, "what it reduces at once is larger than the scratchpad");
	return 0;
}

/* The loop over input 0 with @whole dimensions; the output has dimensions of size 1 where reduced and keepdims, or lost
 * them. */
static int prepare(struct lower *lower, struct graph_node *node, uint32_t whole, struct loop *loop)
{
	const struct dev_tensor *x = lower_tensor(lower, node->inputs[0]);

	if (!x)
		return lower_fail(lower, node, -ENOMEM, "out of memory for tensors");
	memset(loop, 0, sizeof(*loop));
	loop->node = node;
	loop->rank = x->rank;
	memcpy(loop->dims, x->dims, sizeof(loop->dims));
	loop->whole = whole;
	loop->num_inputs = 1;
	loop->inputs[0] = *x;
	loop->in_type[0] = lower_type(lower, node->inputs[0]->dtype);
	loop->temp_type = AXL_TYPE_F32;
	tensor_order(x, loop->order);
	return 0;
}

/* Add a per-dimension table as input @index: values vary over @dim (or all dims from @dim on), sizes 1 elsewhere. */
static int add_operand(struct lower *lower, struct loop *loop, const struct graph_value *value, int first, int count)
{
	struct dev_tensor *tensor = lower_tensor(lower, value);
	struct dev_tensor view;

	if (!tensor)
		return -ENOMEM;
	view = (struct dev_tensor){.type = tensor->type, .rank = loop->rank, .place = tensor->place};
	for (int d = 0; d < loop->rank; d++)
		view.dims[d] = 1;
	/* Trailing dimensions of the operand are those of the space from first on. */
	for (int i = 0; i < count; i++) {
		int from = tensor->rank - count + i;

		view.dims[first + i] = from < 0 ? 1 : tensor->dims[from];
		view.stride[first + i] = from < 0 || tensor->dims[from] == 1 ? 0 : tensor->stride[from];
	}
	loop->inputs[loop->num_inputs] = view;
	loop->in_type[loop->num_inputs] = lower_type(lower, value->dtype);
	loop->num_inputs++;
	return 0;
}

static uint64_t estimate(const struct graph_node *node, const struct target *target, enum lower_precision precision)
{
	uint64_t points = (uint64_t)dims_count(node->inputs[0]->rank, node->inputs[0]->dims);
	uint64_t vector = 4 * cost_vec(AXL_VEC_RSUM, points, 4, 1) / target->tiles;
	uint64_t dram = cost_dma(target, points * (precision == LOWER_F32 ? 8 : 4), 256);

	return (vector > dram ? vector : dram) + 2 * target->dram_latency;
}

/* ---- Reduce*, ArgMax, ArgMin ---- */

/* @after: applied to the reduced value; @mean: divided by the count first */
struct reduction {
	const char *op_type;
	enum axl_vec_op before; /* COPY: none */
	enum axl_vec_op op;
	enum axl_vec_op after; /* COPY: none */
	bool mean;
};

static const struct reduction reductions[] = {
	{"ReduceSum", AXL_VEC_COPY, AXL_VEC_RSUM, AXL_VEC_COPY, false},
	{"ReduceMean", AXL_VEC_COPY, AXL_VEC_RSUM, AXL_VEC_COPY, true},
	{"ReduceMax", AXL_VEC_COPY, AXL_VEC_RMAX, AXL_VEC_COPY, false},
	{"ReduceMin", AXL_VEC_COPY, AXL_VEC_RMIN, AXL_VEC_COPY, false},
	{"ReduceProd", AXL_VEC_COPY, AXL_VEC_RPROD, AXL_VEC_COPY, false},
	{"ReduceL1", AXL_VEC_COPY, AXL_VEC_RSUMABS, AXL_VEC_COPY, false},
	{"ReduceL2", AXL_VEC_COPY, AXL_VEC_RSUMSQ, AXL_VEC_SQRT, false},
	{"ReduceSumSquare", AXL_VEC_COPY, AXL_VEC_RSUMSQ, AXL_VEC_COPY, false},
	{"ReduceLogSum", AXL_VEC_COPY, AXL_VEC_RSUM, AXL_VEC_LOG, false},
	{"GlobalAveragePool", AXL_VEC_COPY, AXL_VEC_RSUM, AXL_VEC_COPY, true},
	{"GlobalMaxPool", AXL_VEC_COPY, AXL_VEC_RMAX, AXL_VEC_COPY, false},
	{"GlobalLpPool", AXL_VEC_COPY, AXL_VEC_RSUMSQ, AXL_VEC_SQRT, false},
	{"ArgMax", AXL_VEC_COPY, AXL_VEC_ARGMAX, AXL_VEC_COPY, false},
	{"ArgMin", AXL_VEC_COPY, AXL_VEC_ARGMIN, AXL_VEC_COPY, false},
};

static const struct reduction *find_reduction(const struct graph_node *node)
{
	for (size_t i = 0; i < sizeof(reductions) / sizeof(reductions[0]); i++)
		if (!strcmp(reductions[i].op_type, node->op_type))
			return &reductions[i];
	return NULL;
}

static uint32_t axis_bit(int64_t axis, int rank)
{
	axis += axis < 0 ? rank : 0;
	return axis >= 0 && axis < rank ? 1u << axis : 0;
}

/* Reduced dimensions of a node: axes as an attribute or a constant input; none given: all. 0 when they are not
 * constant. */
static uint32_t reduced_dims(const struct graph_node *node)
{
	struct op_node op = graph_op_node(node);
	int rank = node->inputs[0]->rank;
	uint32_t all = (1u << rank) - 1, mask = 0;
	const int64_t *axes;
	size_t count;

	if (!strncmp(node->op_type, "Global", 6))
		return all & ~3u;
	if (!strncmp(node->op_type, "Arg", 3))
		return axis_bit(op_attr_int(&op, "axis", 0), rank);
	count = op_attr_ints(&op, "axes", &axes);
	for (size_t i = 0; i < count; i++)
		mask |= axis_bit(axes[i], rank);
	if (count)
		return mask;
	if (node->num_inputs > 1 && node->inputs[1]) {
		const struct tensor *tensor = node->inputs[1]->constant;

		if (!tensor)
			return 0;
		for (int64_t i = 0; i < tensor_count(tensor); i++)
			mask |= axis_bit(tensor_get_s64(tensor, i), rank);
		if (mask)
			return mask;
	}
	return op_attr_int(&op, "noop_with_empty_axes", 0) ? 0 : all;
}

static int reduce_supports(const struct graph_node *node, const struct target *target, enum lower_precision precision,
			   char *reason, size_t size)
{
	struct op_node op = graph_op_node(node);
	uint32_t whole;

	(void)precision;
	if (node->inputs[0]->rank < 1)
		return refuse(reason, size, "a scalar, or an input of unknown rank");
	whole = reduced_dims(node);
	if (!whole)
		return refuse(reason, size, "its axes are computed at run time, or empty");
	if (op_attr_int(&op, "select_last_index", 0))
		return refuse(reason, size, "select_last_index: the device finds the first extreme");
	if (!strcmp(node->op_type, "GlobalLpPool") &&
	    (op_attr_int(&op, "p", 2) != 2 || op_attr_float(&op, "p", 2.0f) != 2.0f)) /* opset 1: a float */
		return refuse(reason, size, "a norm that is not of order 2");
	return check_input(node, target, whole, reason, size);
}

/* The output as the loop sees it: rank of the input, size 1 in the reduced dimensions. */
static struct dev_tensor keep_dims(const struct dev_tensor *out, const struct loop *loop)
{
	struct dev_tensor view = {.type = out->type, .rank = loop->rank, .place = out->place};
	bool kept = out->rank == loop->rank;
	int from = 0;

	for (int d = 0; d < loop->rank; d++) {
		bool reduced = loop->whole >> d & 1;

		view.dims[d] = reduced ? 1 : loop->dims[d];
		if (kept || !reduced) {
			view.stride[d] = out->stride[kept ? d : from];
			from++;
		}
	}
	return view;
}

static int reduce_lower(struct lower *lower, struct graph_node *node)
{
	const struct reduction *reduction = find_reduction(node);
	bool arg = reduction->op == AXL_VEC_ARGMAX || reduction->op == AXL_VEC_ARGMIN;
	bool more = reduction->mean || reduction->after != AXL_VEC_COPY;
	struct loop_step steps[3];
	struct loop loop;
	struct dev_tensor *tensor, out;
	int64_t points = 1;
	int count = 0, err;

	if (!strcmp(node->op_type, "GlobalAveragePool") && average_takes(lower, node))
		return average_lower(lower, node);
	err = prepare(lower, node, reduced_dims(node), &loop);
	if (err)
		return err;
	for (int d = 0; d < loop.rank; d++)
		points *= loop.whole >> d & 1 ? loop.dims[d] : 1;
	tensor = lower_output(lower, node->outputs[0], NULL);
	if (!tensor)
		return lower_fail(lower, node, -ENOMEM, "out of memory for tensors");
	out = keep_dims(tensor, &loop);
	loop.out = &out;
	loop.out_reduced = true;
	if (arg)
		loop.temp_type = AXL_TYPE_F32;
	steps[count++] = (struct loop_step){reduction->op, more ? R0 : OUT, IN0, NONE, 0, 0};
	if (reduction->mean)
		steps[count++] = (struct loop_step){AXL_VEC_AFFINE, OUT, R0, NONE, 1.0f / (float)points, 0};
	else if (more)
		steps[count++] = (struct loop_step){reduction->after, OUT, R0, NONE, 0, 0};
	loop.steps = steps;
	loop.num_steps = count;
	return loop_run(lower, &loop);
}

/* log(sum(exp(x))), with the maximum taken out first so that nothing overflows. */
static int log_sum_exp_lower(struct lower *lower, struct graph_node *node)
{
	static const struct loop_step steps[] = {
		{AXL_VEC_RMAX, R0, IN0, NONE, 0, 0}, {AXL_VEC_SUB, T0, IN0, R0, 0, 0},
		{AXL_VEC_EXP, T0, T0, NONE, 0, 0},   {AXL_VEC_RSUM, R1, T0, NONE, 0, 0},
		{AXL_VEC_LOG, R1, R1, NONE, 0, 0},   {AXL_VEC_ADD, OUT, R1, R0, 0, 0},
	};
	struct loop loop;
	struct dev_tensor *tensor, out;
	int err = prepare(lower, node, reduced_dims(node), &loop);

	if (err)
		return err;
	tensor = lower_output(lower, node->outputs[0], NULL);
	if (!tensor)
		return lower_fail(lower, node, -ENOMEM, "out of memory for tensors");
	out = keep_dims(tensor, &loop);
	loop.out = &out;
	loop.out_reduced = true;
	loop.steps = steps;
	loop.num_steps = 6;
	return loop_run(lower, &loop);
}

/* ---- Softmax, LogSoftmax ---- */

/* Before opset 13 everything from axis on is one dimension. */
static uint32_t softmax_dims(const struct graph_node *node)
{
	struct op_node op = graph_op_node(node);
	int rank = node->inputs[0]->rank;
	int64_t axis = op_attr_int(&op, "axis", node->opset < 13 ? 1 : -1);
	uint32_t bit;

	if (rank < 1)
		return 0;
	bit = axis_bit(axis, rank);
	return node->opset < 13 && bit ? ((1u << rank) - 1) & ~(bit - 1) : bit;
}

static int softmax_supports(const struct graph_node *node, const struct target *target, enum lower_precision precision,
			    char *reason, size_t size)
{
	uint32_t whole = softmax_dims(node);

	(void)precision;
	if (!whole)
		return refuse(reason, size, "its axis is out of range, or its rank unknown");
	return check_input(node, target, whole, reason, size);
}

static int full_output(struct lower *lower, struct graph_node *node, struct loop *loop)
{
	loop->out = lower_output_resident(lower, node->outputs[0], loop->order);
	return loop->out ? 0 : lower_fail(lower, node, -ENOMEM, "out of memory for tensors");
}

static int softmax_lower(struct lower *lower, struct graph_node *node)
{
	static const struct loop_step softmax[] = {
		{AXL_VEC_RMAX, R0, IN0, NONE, 0, 0}, {AXL_VEC_SUB, T0, IN0, R0, 0, 0},
		{AXL_VEC_EXP, T0, T0, NONE, 0, 0},   {AXL_VEC_RSUM, R1, T0, NONE, 0, 0},
		{AXL_VEC_DIV, OUT, T0, R1, 0, 0},
	};
	static const struct loop_step log_softmax[] = {
		{AXL_VEC_RMAX, R0, IN0, NONE, 0, 0}, {AXL_VEC_SUB, T0, IN0, R0, 0, 0},
		{AXL_VEC_EXP, T1, T0, NONE, 0, 0},   {AXL_VEC_RSUM, R1, T1, NONE, 0, 0},
		{AXL_VEC_LOG, R1, R1, NONE, 0, 0},   {AXL_VEC_SUB, OUT, T0, R1, 0, 0},
	};
	bool log = !strcmp(node->op_type, "LogSoftmax");
	struct loop loop;
	int err = prepare(lower, node, softmax_dims(node), &loop);

	if (!err)
		err = full_output(lower, node, &loop);
	loop.steps = log ? log_softmax : softmax;
	loop.num_steps = log ? 6 : 5;
	return err ? err : loop_run(lower, &loop);
}

/* ---- normalizations ---- */

/* Dimensions that are normalized together. */
static uint32_t norm_dims(const struct graph_node *node)
{
	struct op_node op = graph_op_node(node);
	int rank = node->inputs[0]->rank;
	uint32_t all, bit;

	if (rank < 1)
		return 0;
	all = (1u << rank) - 1;
	if (!strcmp(node->op_type, "InstanceNormalization"))
		return all & ~3u;
	if (!strcmp(node->op_type, "SkipLayerNormalization"))
		return 1u << (rank - 1);
	bit = axis_bit(op_attr_int(&op, "axis", -1), rank);
	if (!strcmp(node->op_type, "LpNormalization"))
		return bit;
	return bit ? all & ~(bit - 1) : 0;
}

static int norm_supports(const struct graph_node *node, const struct target *target, enum lower_precision precision,
			 char *reason, size_t size)
{
	uint32_t whole = norm_dims(node);
	struct op_node op = graph_op_node(node);

	(void)precision;
	if (!whole)
		return refuse(reason, size, "its axis is out of range, or its rank unknown");
	for (size_t i = 1; i < node->num_outputs; i++)
		if (node->outputs[i])
			return refuse(reason, size, "its second output (mean or inverse deviation) is used");
	if (!strcmp(node->op_type, "LpNormalization") && op_attr_int(&op, "p", 2) != 1 && op_attr_int(&op, "p", 2) != 2)
		return refuse(reason, size, "p other than 1 and 2");
	return check_input(node, target, whole, reason, size);
}

/* (x - mean) * rsqrt(variance + epsilon) * scale + bias; scale and bias are inputs @first and @first + 1 of the node.
 */
static int normalize(struct lower *lower, struct graph_node *node, struct loop *loop, bool subtract_mean, size_t first,
		     int dim, int count, float epsilon)
{
	struct loop_step steps[11];
	struct graph_node *quantize;
	bool only;
	float y_scale;
	int y_zero, n = 0, x = IN0, scale = NONE, bias = NONE, err = 0;
	float inverse;
	int64_t points = 1;

	for (int d = 0; d < loop->rank; d++)
		points *= loop->whole >> d & 1 ? loop->dims[d] : 1;
	inverse = 1.0f / (float)points;
	/* Sums are binary32 inside an instruction; what lies between them may be as narrow as the result. */
	if (lower->float_type == AXL_TYPE_F16)
		loop->temp_type = AXL_TYPE_F16;
	if (loop->num_inputs > 1) { /* x + skip (+ bias) */
		steps[n++] = (struct loop_step){AXL_VEC_ADD, T1, IN0, LOOP_IN + 1, 0, 0};
		x = T1;
		if (loop->num_inputs > 2)
			steps[n++] = (struct loop_step){AXL_VEC_ADD, T1, T1, LOOP_IN + 2, 0, 0};
	}
	if (node->num_inputs > first && node->inputs[first]) {
		scale = LOOP_IN + loop->num_inputs;
		err = add_operand(lower, loop, node->inputs[first], dim, count);
	}
	if (!err && node->num_inputs > first + 1 && node->inputs[first + 1]) {
		bias = LOOP_IN + loop->num_inputs;
		err = add_operand(lower, loop, node->inputs[first + 1], dim, count);
	}
	if (err)
		return lower_fail(lower, node, err, "out of memory for tensors");
	if (subtract_mean) {
		steps[n++] = (struct loop_step){AXL_VEC_RSUM, R0, x, NONE, 0, 0};
		steps[n++] = (struct loop_step){AXL_VEC_AFFINE, R0, R0, NONE, inverse, 0};
		steps[n++] = (struct loop_step){AXL_VEC_SUB, T0, x, R0, 0, 0};
		x = T0;
	}
	steps[n++] = (struct loop_step){AXL_VEC_RSUMSQ, R1, x, NONE, 0, 0};
	steps[n++] = (struct loop_step){AXL_VEC_AFFINE, R1, R1, NONE, inverse, epsilon};
	steps[n++] = (struct loop_step){AXL_VEC_RSQRT, R1, R1, NONE, 0, 0};
	steps[n++] = (struct loop_step){AXL_VEC_MUL, scale == NONE && bias == NONE ? OUT : T0, x, R1, 0, 0};
	if (scale != NONE)
		steps[n++] = (struct loop_step){AXL_VEC_MUL, bias == NONE ? OUT : T0, T0, scale, 0, 0};
	if (bias != NONE)
		steps[n++] = (struct loop_step){AXL_VEC_ADD, OUT, T0, bias, 0, 0};
	/* Of what integers are made of, too, they are made here. */
	quantize = quantize_behind(lower, node, &y_scale, &y_zero, &only);
	if (quantize) {
		loop->also = lower_output_resident(lower, quantize->outputs[0], loop->order);
		if (!loop->also)
			return lower_fail(lower, node, -ENOMEM, "out of memory for tensors");
		steps[n++] = (struct loop_step){AXL_VEC_QUANT, LOOP_ALSO, OUT, NONE, y_scale, (float)y_zero};
		quantize->data = LOWER_DONE;
	}
	loop->steps = steps;
	loop->num_steps = n;
	return loop_run(lower, loop);
}

static int layer_norm_lower(struct lower *lower, struct graph_node *node)
{
	struct op_node op = graph_op_node(node);
	float epsilon = op_attr_float(&op, "epsilon", 1e-5f);
	bool skip = !strcmp(node->op_type, "SkipLayerNormalization");
	bool instance = !strcmp(node->op_type, "InstanceNormalization");
	struct loop loop;
	int first_dim, err = prepare(lower, node, norm_dims(node), &loop);

	if (!err)
		err = full_output(lower, node, &loop);
	if (!err && skip) {
		err = add_operand(lower, &loop, node->inputs[1], 0, loop.rank);
		if (!err && node->num_inputs > 4 && node->inputs[4])
			err = add_operand(lower, &loop, node->inputs[4], loop.rank - 1, 1);
		if (err)
			return lower_fail(lower, node, err, "out of memory for tensors");
		return normalize(lower, node, &loop, true, 2, loop.rank - 1, 1, op_attr_float(&op, "epsilon", 1e-12f));
	}
	if (err)
		return err;
	if (instance)
		return normalize(lower, node, &loop, true, 1, 1, 1, epsilon);
	first_dim = __builtin_ctz(loop.whole);
	return normalize(lower, node, &loop, strcmp(node->op_type, "RMSNormalization") != 0, 1, first_dim,
			 loop.rank - first_dim, epsilon);
}

static int lp_norm_lower(struct lower *lower, struct graph_node *node)
{
	struct op_node op = graph_op_node(node);
	bool l1 = op_attr_int(&op, "p", 2) == 1;
	/* A zero norm leaves zeros: 0 / the smallest number. */
	const struct loop_step steps[] = {
		{l1 ? AXL_VEC_RSUMABS : AXL_VEC_RSUMSQ, R0, IN0, NONE, 0, 0},
		{l1 ? AXL_VEC_COPY : AXL_VEC_SQRT, R0, R0, NONE, 0, 0},
		{AXL_VEC_CLIP, R0, R0, NONE, FLT_TRUE_MIN, INFINITY},
		{AXL_VEC_DIV, OUT, IN0, R0, 0, 0},
	};
	struct loop loop;
	int err = prepare(lower, node, norm_dims(node), &loop);

	if (!err)
		err = full_output(lower, node, &loop);
	loop.steps = steps;
	loop.num_steps = 4;
	return err ? err : loop_run(lower, &loop);
}

/* Inference form: x * a + b with a, b per channel, computed here in double. */
static int batch_norm_supports(const struct graph_node *node, const struct target *target,
			       enum lower_precision precision, char *reason, size_t size)
{
	struct op_node op = graph_op_node(node);

	(void)precision;
	for (size_t i = 1; i < 5; i++)
		if (i >= node->num_inputs || !node->inputs[i] || !node->inputs[i]->constant)
			return refuse(reason, size, "its statistics are computed at run time");
	if (op_attr_int(&op, "training_mode", 0))
		return refuse(reason, size, "training_mode");
	for (size_t i = 1; i < node->num_outputs; i++)
		if (node->outputs[i])
			return refuse(reason, size, "its running statistics are used");
	if (node->inputs[0]->rank < 2)
		return refuse(reason, size, "an input without a channel dimension");
	return check_input(node, target, 0, reason, size);
}

static int batch_norm_lower(struct lower *lower, struct graph_node *node)
{
	static const struct loop_step steps[] = {
		{AXL_VEC_MUL, T0, IN0, LOOP_IN + 1, 0, 0},
		{AXL_VEC_ADD, OUT, T0, LOOP_IN + 2, 0, 0},
	};
	struct op_node op = graph_op_node(node);
	double epsilon = op_attr_float(&op, "epsilon", 1e-5f);
	int64_t channels = node->inputs[0]->dims[1], dims[TENSOR_MAX_RANK];
	float *table = malloc((size_t)channels * 2 * sizeof(float));
	struct loop loop;
	int err = prepare(lower, node, 0, &loop);

	if (!table)
		err = lower_fail(lower, node, -ENOMEM, "out of memory");
	for (int64_t c = 0; c < channels && !err; c++) {
		double scale = tensor_get_f64(node->inputs[1]->constant, c),
		       bias = tensor_get_f64(node->inputs[2]->constant, c);
		double mean = tensor_get_f64(node->inputs[3]->constant, c),
		       var = tensor_get_f64(node->inputs[4]->constant, c);

		table[c] = (float)(scale / sqrt(var + epsilon));
		table[channels + c] = (float)(bias - mean * scale / sqrt(var + epsilon));
	}
	if (!err)
		err = full_output(lower, node, &loop);
	if (!err) {
		for (int d = 0; d < loop.rank; d++)
			dims[d] = d == 1 ? channels : 1;
		for (int i = 0; i < 2; i++) {
			loop.inputs[1 + i] = tensor_of_floats(lower, loop.rank, dims, table + i * channels);
			loop.in_type[1 + i] = AXL_TYPE_F32;
		}
		loop.num_inputs = 3;
		loop.steps = steps;
		loop.num_steps = 2;
		err = loop_run(lower, &loop);
	}
	free(table);
	return err;
}

extern const struct lower_op lower_ops_reduce[];
const struct lower_op lower_ops_reduce[] = {
	{"", "ReduceSum", reduce_supports, reduce_lower, estimate},
	{"", "ReduceMean", reduce_supports, reduce_lower, estimate},
	{"", "ReduceMax", reduce_supports, reduce_lower, estimate},
	{"", "ReduceMin", reduce_supports, reduce_lower, estimate},
	{"", "ReduceProd", reduce_supports, reduce_lower, estimate},
	{"", "ReduceL1", reduce_supports, reduce_lower, estimate},
	{"", "ReduceL2", reduce_supports, reduce_lower, estimate},
	{"", "ReduceSumSquare", reduce_supports, reduce_lower, estimate},
	{"", "ReduceLogSum", reduce_supports, reduce_lower, estimate},
	{"", "ReduceLogSumExp", reduce_supports, log_sum_exp_lower, estimate},
	{"", "GlobalAveragePool", reduce_supports, reduce_lower, estimate},
	{"", "GlobalMaxPool", reduce_supports, reduce_lower, estimate},
	{"", "GlobalLpPool", reduce_supports, reduce_lower, estimate},
	{"", "ArgMax", reduce_supports, reduce_lower, estimate},
	{"", "ArgMin", reduce_supports, reduce_lower, estimate},
	{"", "Softmax", softmax_supports, softmax_lower, estimate},
	{"", "LogSoftmax", softmax_supports, softmax_lower, estimate},
	{"", "LayerNormalization", norm_supports, layer_norm_lower, estimate},
	{"", "RMSNormalization", norm_supports, layer_norm_lower, estimate},
	{"", "InstanceNormalization", norm_supports, layer_norm_lower, estimate},
	{"com.microsoft", "SkipLayerNormalization", norm_supports, layer_norm_lower, estimate},
	{"", "LpNormalization", norm_supports, lp_norm_lower, estimate},
	{"", "BatchNormalization", batch_norm_supports, batch_norm_lower, estimate},
	{NULL, NULL, NULL, NULL, NULL},
};
