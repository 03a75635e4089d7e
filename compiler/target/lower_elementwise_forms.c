/* SPDX-License-Identifier: MIT */
/* Elementwise operators whose steps, operands or types follow from their attributes: a lowering each. */
#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "compiler/target/lower_elementwise.h"

static int run_steps(struct lower *lower, struct loop *loop, const struct loop_step *steps, int count)
{
	loop->steps = steps;
	loop->num_steps = count;
	return loop_run(lower, loop);
}

/* Limits are attributes before opset 11, inputs after; either may be missing. */
static int clip_supports(const struct graph_node *node, const struct target *target, enum lower_precision precision,
			 char *reason, size_t size)
{
	(void)target;
	(void)precision;
	for (size_t i = 1; i < node->num_inputs && i < 3; i++)
		if (node->inputs[i] && !node->inputs[i]->constant)
			return refuse(reason, size, "its limits are computed at run time");
	return elementwise_check(node, 1, FLOATS, reason, size);
}

static int clip_lower(struct lower *lower, struct graph_node *node)
{
	struct op_node attrs = graph_op_node(node);
	struct loop_step step = {AXL_VEC_CLIP, OUT, IN0, NONE, -INFINITY, INFINITY};
	struct loop loop;
	int err = elementwise_prepare(lower, node, 1, &loop);

	step.imm0 = op_attr_float(&attrs, "min", -INFINITY);
	step.imm1 = op_attr_float(&attrs, "max", INFINITY);
	if (node->num_inputs > 1 && node->inputs[1])
		step.imm0 = (float)tensor_get_f64(node->inputs[1]->constant, 0);
	if (node->num_inputs > 2 && node->inputs[2])
		step.imm1 = (float)tensor_get_f64(node->inputs[2]->constant, 0);
	return err ? err : run_steps(lower, &loop, &step, 1);
}

static int where_supports(const struct graph_node *node, const struct target *target, enum lower_precision precision,
			  char *reason, size_t size)
{
	(void)target;
	(void)precision;
	return elementwise_check(node, 3, FLOATS | INTS | BOOLS, reason, size);
}

/* out = b; where c: out = a. SELECT keeps the destination where the mask is 0. */
static int where_lower(struct lower *lower, struct graph_node *node)
{
	static const struct loop_step steps[] = {
		{AXL_VEC_COPY, OUT, IN2, NONE, 0, 0},
		{AXL_VEC_SELECT, OUT, IN1, IN0, 0, 0},
	};
	struct loop loop;
	int err = elementwise_prepare(lower, node, 3, &loop);

	return err ? err : run_steps(lower, &loop, steps, 2);
}

static int floats_supports(const struct graph_node *node, const struct target *target, enum lower_precision precision,
			   char *reason, size_t size)
{
	(void)target;
	(void)precision;
	return elementwise_check(node, 1, FLOATS, reason, size);
}

static int gelu_lower(struct lower *lower, struct graph_node *node)
{
	struct op_node attrs = graph_op_node(node);
	struct loop_step step = {AXL_VEC_GELU, OUT, IN0, NONE, 0, 0};
	struct loop loop;
	int err = elementwise_prepare(lower, node, 1, &loop);

	if (op_attr_is(&attrs, "approximate", "none", "tanh"))
		step.op = AXL_VEC_GELU_TANH;
	return err ? err : run_steps(lower, &loop, &step, 1);
}

/* gamma * elu(x; alpha), ONNX Selu-6. */
static int selu_lower(struct lower *lower, struct graph_node *node)
{
	struct op_node attrs = graph_op_node(node);
	struct loop_step steps[] = {
		{AXL_VEC_ELU, T0, IN0, NONE, op_attr_float(&attrs, "alpha", 1.67326319217681884765625f), 0},
		{AXL_VEC_AFFINE, OUT, T0, NONE, op_attr_float(&attrs, "gamma", 1.05070102214813232421875f), 0},
	};
	struct loop loop;
	int err = elementwise_prepare(lower, node, 1, &loop);

	return err ? err : run_steps(lower, &loop, steps, 2);
}

/* x if x > alpha else 0: a comparison gives the mask that selects. */
static int threshold_lower(struct lower *lower, struct graph_node *node)
{
	struct op_node attrs = graph_op_node(node);
	struct loop_step steps[] = {
		{AXL_VEC_AFFINE, T0, IN0, NONE, 1, -op_attr_float(&attrs, "alpha", 1.0f)},
		{AXL_VEC_RELU, T0, T0, NONE, 0, 0},
		{AXL_VEC_SIGN, T0, T0, NONE, 0, 0},
		{AXL_VEC_MUL, OUT, IN0, T0, 0, 0},
	};
	struct loop loop;
	int err = elementwise_prepare(lower, node, 1, &loop);

	return err ? err : run_steps(lower, &loop, steps, 4);
}

static int cast_supports(const struct graph_node *node, const struct target *target, enum lower_precision precision,
			 char *reason, size_t size)
{
	enum dtype from = node->inputs[0]->dtype, to = node->outputs[0]->dtype;

	(void)target;
	(void)precision;
	/* ONNX leaves float to narrow integers open outside the range; the device saturates, so only what it defines is
	 * taken. */
	if (elementwise_is_float(from) && to != DTYPE_S32 && !elementwise_is_float(to) && to != DTYPE_BOOL)
		return snprintf(reason, size, "a cast from float to %s", dtype_name(to)), -ENOTSUP;
	return elementwise_check(node, 1, FLOATS | INTS | BOOLS, reason, size);
}

static int cast_lower(struct lower *lower, struct graph_node *node)
{
	static const struct loop_step step = {AXL_VEC_COPY, OUT, IN0, NONE, 0, 0};
	struct loop loop;
	int err = elementwise_prepare(lower, node, 1, &loop);

	return err ? err : run_steps(lower, &loop, &step, 1);
}

/* max(0, x) + min(0, alpha * (exp(x / alpha) - 1)), ONNX Celu-12: the positive part stays exact. */
static int celu_lower(struct lower *lower, struct graph_node *node)
{
	struct op_node attrs = graph_op_node(node);
	float alpha = op_attr_float(&attrs, "alpha", 1.0f);
	const struct loop_step steps[] = {
		{AXL_VEC_AFFINE, T0, IN0, NONE, 1 / alpha, 0},
		{AXL_VEC_CLIP, T0, T0, NONE, -INFINITY, 0},
		{AXL_VEC_ELU, T0, T0, NONE, 1, 0},
		{AXL_VEC_AFFINE, T0, T0, NONE, alpha, 0},
		{AXL_VEC_RELU, T1, IN0, NONE, 0, 0},
		{AXL_VEC_ADD, OUT, T0, T1, 0, 0},
	};
	struct loop loop;
	int err = elementwise_prepare(lower, node, 1, &loop);

	return err ? err : run_steps(lower, &loop, steps, 6);
}

static int celu_supports(const struct graph_node *node, const struct target *target, enum lower_precision precision,
			 char *reason, size_t size)
{
	struct op_node attrs = graph_op_node(node);

	if (!(op_attr_float(&attrs, "alpha", 1.0f) > 0))
		return refuse(reason, size, "an alpha that is not positive");
	return floats_supports(node, target, precision, reason, size);
}

static int shrink_supports(const struct graph_node *node, const struct target *target, enum lower_precision precision,
			   char *reason, size_t size)
{
	struct op_node attrs = graph_op_node(node);

	if (op_attr_float(&attrs, "lambd", 0.5f) < 0)
		return refuse(reason, size, "a negative lambd, with which both of its conditions may hold");
	return floats_supports(node, target, precision, reason, size);
}

/* x - sign(x) * bias where |x| > lambd, else 0. */
static int shrink_lower(struct lower *lower, struct graph_node *node)
{
	struct op_node attrs = graph_op_node(node);
	const struct loop_step steps[] = {
		{AXL_VEC_ABS, T0, IN0, NONE, 0, 0},
		{AXL_VEC_AFFINE, T0, T0, NONE, 1, -op_attr_float(&attrs, "lambd", 0.5f)},
		{AXL_VEC_RELU, T0, T0, NONE, 0, 0},
		{AXL_VEC_SIGN, T0, T0, NONE, 0, 0},
		{AXL_VEC_SIGN, T1, IN0, NONE, 0, 0},
		{AXL_VEC_AFFINE, T1, T1, NONE, -op_attr_float(&attrs, "bias", 0.0f), 0},
		{AXL_VEC_ADD, T1, T1, IN0, 0, 0},
		{AXL_VEC_MUL, OUT, T1, T0, 0, 0},
	};
	struct loop loop;
	int err = elementwise_prepare(lower, node, 1, &loop);

	return err ? err : run_steps(lower, &loop, steps, 8);
}

static int is_inf_supports(const struct graph_node *node, const struct target *target, enum lower_precision precision,
			   char *reason, size_t size)
{
	(void)target;
	(void)precision;
	return elementwise_check(node, 1, FLOATS | BOOL_OUT, reason, size);
}

/* The signs that count, then: a number that is itself, and with which x - x is none. */
static int is_inf_lower(struct lower *lower, struct graph_node *node)
{
	struct op_node attrs = graph_op_node(node);
	const struct loop_step steps[] = {
		{AXL_VEC_CLIP, T0, IN0, NONE, op_attr_int(&attrs, "detect_negative", 1) ? -INFINITY : 0,
		 op_attr_int(&attrs, "detect_positive", 1) ? INFINITY : 0},
		{AXL_VEC_EQ, T1, T0, T0, 0, 0},
		{AXL_VEC_SUB, T0, T0, T0, 0, 0},
		{AXL_VEC_NE, T0, T0, T0, 0, 0},
		{AXL_VEC_AND, OUT, T0, T1, 0, 0},
	};
	struct loop loop;
	int err = elementwise_prepare(lower, node, 1, &loop);

	return err ? err : run_steps(lower, &loop, steps, 5);
}

extern const struct lower_op lower_ops_elementwise_forms[];
const struct lower_op lower_ops_elementwise_forms[] = {
	{"", "Selu", floats_supports, selu_lower, elementwise_cycles},
	{"", "Clip", clip_supports, clip_lower, elementwise_cycles},
	{"", "Where", where_supports, where_lower, elementwise_cycles},
	{"", "Gelu", floats_supports, gelu_lower, elementwise_cycles},
	{"", "ThresholdedRelu", floats_supports, threshold_lower, elementwise_cycles},
	{"", "Cast", cast_supports, cast_lower, elementwise_cycles},
	{"", "CastLike", cast_supports, cast_lower, elementwise_cycles},
	{"", "Celu", celu_supports, celu_lower, elementwise_cycles},
	{"", "Shrink", shrink_supports, shrink_lower, elementwise_cycles},
	{"", "IsInf", is_inf_supports, is_inf_lower, elementwise_cycles},
	{NULL, NULL, NULL, NULL, NULL},
};
