/* SPDX-License-Identifier: MIT */
/*
 * Elementwise operators: one table from ONNX's operator to a list of vector steps, one lowering for all of them.
 *
 * Attributes that become immediates are named in the table; formulas are those of the ONNX operator specification.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "compiler/graph/passes.h"
#include "compiler/target/cost.h"
#include "compiler/target/lower_elementwise.h"

#define MAX_STEPS 8

/*
 * @attr0, @attr1: attributes that replace imm0 and imm1 of step @attr_step, with their defaults
 */
struct elementwise {
	const char *domain, *op_type;
	unsigned int flags;
	int num_inputs;
	int num_steps;
	struct loop_step steps[MAX_STEPS];
	const char *attr0, *attr1;
	float default0, default1;
	int attr_step;
};

#define UNARY(name, op, flags)                                                                     \
	{                                                                                          \
		"", name, flags, 1, 1, {{AXL_VEC_##op, OUT, IN0, NONE, 0, 0}}, NULL, NULL, 0, 0, 0 \
	}
#define BINARY(name, op, flags)                                                                   \
	{                                                                                         \
		"", name, flags, 2, 1, {{AXL_VEC_##op, OUT, IN0, IN1, 0, 0}}, NULL, NULL, 0, 0, 0 \
	}

static const struct elementwise table[] = {
	BINARY("Add", ADD, FLOATS | INTS),
	BINARY("Sub", SUB, FLOATS | INTS),
	BINARY("Mul", MUL, FLOATS | INTS),
	BINARY("Div", DIV, FLOATS | INTS),
	BINARY("Pow", POW, FLOATS),
	BINARY("PRelu", PRELU, FLOATS),
	BINARY("Equal", EQ, FLOATS | INTS | BOOLS | BOOL_OUT),
	BINARY("Less", LT, FLOATS | INTS | BOOL_OUT),
	BINARY("LessOrEqual", LE, FLOATS | INTS | BOOL_OUT),
	BINARY("Greater", GT, FLOATS | INTS | BOOL_OUT),
	BINARY("GreaterOrEqual", GE, FLOATS | INTS | BOOL_OUT),
	BINARY("And", AND, BOOLS | BOOL_OUT),
	BINARY("Or", OR, BOOLS | BOOL_OUT),
	BINARY("Xor", XOR, BOOLS | BOOL_OUT),
	BINARY("Min", MIN, FLOATS | INTS | VARIADIC),
	BINARY("Max", MAX, FLOATS | INTS | VARIADIC),
	BINARY("Sum", ADD, FLOATS | VARIADIC),
	BINARY("Mean", ADD, FLOATS | VARIADIC | MEAN),
	UNARY("Not", NOT, BOOLS | BOOL_OUT),
	UNARY("Identity", COPY, FLOATS | INTS | BOOLS),
	UNARY("Dropout", COPY, FLOATS),
	UNARY("Neg", NEG, FLOATS | INTS),
	UNARY("Abs", ABS, FLOATS | INTS),
	UNARY("Sign", SIGN, FLOATS | INTS),
	UNARY("Floor", FLOOR, FLOATS),
	UNARY("Ceil", CEIL, FLOATS),
	UNARY("Round", ROUND, FLOATS),
	UNARY("Sqrt", SQRT, FLOATS),
	UNARY("Reciprocal", RECIP, FLOATS),
	UNARY("Exp", EXP, FLOATS),
	UNARY("Log", LOG, FLOATS),
	UNARY("Sin", SIN, FLOATS),
	UNARY("Cos", COS, FLOATS),
	UNARY("Tanh", TANH, FLOATS),
	UNARY("Sigmoid", SIGMOID, FLOATS),
	UNARY("Erf", ERF, FLOATS),
	UNARY("Relu", RELU, FLOATS | INTS),
	UNARY("Softplus", SOFTPLUS, FLOATS),
	{"com.microsoft", "Gelu", FLOATS, 1, 1, {{AXL_VEC_GELU, OUT, IN0, NONE, 0, 0}}, NULL, NULL, 0, 0, 0},
	{"com.microsoft",
	 "QuickGelu",
	 FLOATS,
	 1,
	 3,
	 {{AXL_VEC_AFFINE, T0, IN0, NONE, 1.702f, 0},
	  {AXL_VEC_SIGMOID, T0, T0, NONE, 0, 0},
	  {AXL_VEC_MUL, OUT, IN0, T0, 0, 0}},
	 "alpha",
	 NULL,
	 1.702f,
	 0,
	 0},
	{"com.microsoft",
	 "BiasGelu",
	 FLOATS,
	 2,
	 2,
	 {{AXL_VEC_ADD, T0, IN0, IN1, 0, 0}, {AXL_VEC_GELU, OUT, T0, NONE, 0, 0}},
	 NULL,
	 NULL,
	 0,
	 0,
	 0},
	{"", "IsNaN", FLOATS | BOOL_OUT, 1, 1, {{AXL_VEC_NE, OUT, IN0, IN0, 0, 0}}, NULL, NULL, 0, 0, 0},
	{"",
	 "Tan",
	 FLOATS,
	 1,
	 3,
	 {{AXL_VEC_SIN, T0, IN0, NONE, 0, 0}, {AXL_VEC_COS, T1, IN0, NONE, 0, 0}, {AXL_VEC_DIV, OUT, T0, T1, 0, 0}},
	 NULL,
	 NULL,
	 0,
	 0,
	 0},
	/* With e = exp(|x| / 2): e * e / 2 + 1 / (2 * e * e), of which no part is infinite before the sum is. */
	{"",
	 "Cosh",
	 FLOATS,
	 1,
	 8,
	 {{AXL_VEC_ABS, T0, IN0, NONE, 0, 0},
	  {AXL_VEC_AFFINE, T0, T0, NONE, 0.5f, 0},
	  {AXL_VEC_EXP, T0, T0, NONE, 0, 0},
	  {AXL_VEC_AFFINE, T1, T0, NONE, 0.5f, 0},
	  {AXL_VEC_MUL, T0, T0, T1, 0, 0},
	  {AXL_VEC_RECIP, T1, T0, NONE, 0, 0},
	  {AXL_VEC_AFFINE, T1, T1, NONE, 0.25f, 0},
	  {AXL_VEC_ADD, OUT, T0, T1, 0, 0}},
	 NULL,
	 NULL,
	 0,
	 0,
	 0},
	{"", "LeakyRelu", FLOATS, 1, 1, {{AXL_VEC_LEAKY, OUT, IN0, NONE, 0, 0}}, "alpha", NULL, 0.01f, 0, 0},
	{"",
	 "HardSigmoid",
	 FLOATS,
	 1,
	 1,
	 {{AXL_VEC_HARDSIGMOID, OUT, IN0, NONE, 0, 0}},
	 "alpha",
	 "beta",
	 0.2f,
	 0.5f,
	 0},
	{"", "HardSwish", FLOATS, 1, 1, {{AXL_VEC_HARDSWISH, OUT, IN0, NONE, 1.0f / 6, 0.5f}}, NULL, NULL, 0, 0, 0},
	{"", "Elu", FLOATS, 1, 1, {{AXL_VEC_ELU, OUT, IN0, NONE, 0, 0}}, "alpha", NULL, 1.0f, 0, 0},
	{"",
	 "Softsign",
	 FLOATS,
	 1,
	 3,
	 {{AXL_VEC_ABS, T0, IN0, NONE, 0, 0}, {AXL_VEC_AFFINE, T0, T0, NONE, 1, 1}, {AXL_VEC_DIV, OUT, IN0, T0, 0, 0}},
	 NULL,
	 NULL,
	 0,
	 0,
	 0},
	{"",
	 "Mish",
	 FLOATS,
	 1,
	 3,
	 {{AXL_VEC_SOFTPLUS, T0, IN0, NONE, 0, 0},
	  {AXL_VEC_TANH, T0, T0, NONE, 0, 0},
	  {AXL_VEC_MUL, OUT, IN0, T0, 0, 0}},
	 NULL,
	 NULL,
	 0,
	 0,
	 0},
	{"",
	 "Swish",
	 FLOATS,
	 1,
	 3,
	 {{AXL_VEC_AFFINE, T0, IN0, NONE, 1, 0},
	  {AXL_VEC_SIGMOID, T0, T0, NONE, 0, 0},
	  {AXL_VEC_MUL, OUT, IN0, T0, 0, 0}},
	 "alpha",
	 NULL,
	 1.0f,
	 0,
	 0},
	/* x * Phi(x) with tanh: ONNX Runtime's FastGelu without bias. */
	{"com.microsoft", "FastGelu", FLOATS, 1, 1, {{AXL_VEC_GELU_TANH, OUT, IN0, NONE, 0, 0}}, NULL, NULL, 0, 0, 0},
};

static const struct elementwise *find(const struct graph_node *node)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (!strcmp(table[i].op_type, node->op_type) && !strcmp(table[i].domain, node->domain))
			return &table[i];
	return NULL;
}

/* ---- types ---- */

bool elementwise_is_float(enum dtype type)
{
	return type == DTYPE_F32 || type == DTYPE_F16 || type == DTYPE_BF16;
}

static bool is_small_int(enum dtype type)
{
	return type == DTYPE_S32 || type == DTYPE_S16 || type == DTYPE_S8 || type == DTYPE_U8;
}

static int refuse_with(char *reason, size_t size, const char *text, const char *detail)
{
	snprintf(reason, size, text, detail);
	return -ENOTSUP;
}

int elementwise_check(const struct graph_node *node, size_t num_inputs, unsigned int flags, char *reason, size_t size)
{
	for (size_t i = 0; i < num_inputs + 1; i++) {
		const struct graph_value *value = i < num_inputs ? node->inputs[i] : node->outputs[0];
		bool ok;

		if (!value)
			return refuse_with(reason, size, "an input is missing%s", "");
		if (!graph_value_is_static(value))
			return refuse_with(reason, size,
					   "its shapes are not known at compile time; bind the symbolic dimensions%s",
					   "");
		if (dims_count(value->rank, value->dims) <= 0)
			return refuse_with(reason, size, "an empty tensor%s", "");
		ok = (elementwise_is_float(value->dtype) && flags & FLOATS) ||
		     (is_small_int(value->dtype) && flags & INTS) ||
		     (value->dtype == DTYPE_BOOL && (flags & BOOLS || (i == num_inputs && flags & BOOL_OUT)));
		if (!ok)
			return refuse_with(reason, size, "the device has no such operation on %s",
					   dtype_name(value->dtype));
	}
	return 0;
}

static bool same_shapes(const struct graph_node *node)
{
	const struct graph_value *a = node->inputs[0], *b = node->inputs[1];

	return a && b && a->rank == b->rank && a->rank >= 0 &&
	       !memcmp(a->dims, b->dims, (size_t)a->rank * sizeof(a->dims[0]));
}

static int elementwise_supports(const struct graph_node *node, const struct target *target,
				enum lower_precision precision, char *reason, size_t size)
{
	const struct elementwise *op = find(node);
	size_t count = op->flags & VARIADIC ? node->num_inputs : (size_t)op->num_inputs;
	(void)target;
	(void)precision;
	if (op->flags & VARIADIC && (count < 1 || count > LOOP_MAX_INPUTS))
		return refuse_with(reason, size, "more than eight operands%s", "");
	if (!strcmp(node->op_type, "Dropout") && node->num_outputs > 1 && node->outputs[1])
		return refuse_with(reason, size, "its mask output is used%s", "");
	if (graph_node_is_random(node))
		return refuse_with(reason, size, "it trains: the device has no random numbers%s", "");
	if (!*node->domain && node->opset < 7 && op->num_inputs == 2 && !same_shapes(node))
		return refuse_with(reason, size, "the broadcasting of opsets before 7%s", "");
	if (!strcmp(node->op_type, "FastGelu") && node->num_inputs > 1 && node->inputs[1])
		return refuse_with(reason, size, "FastGelu with a bias; split the addition off%s", "");
	if (!strcmp(node->op_type, "Pow") && node->inputs[0]->dtype != node->inputs[1]->dtype)
		return refuse_with(reason, size, "base and exponent of different types%s", "");
	return elementwise_check(node, count, op->flags, reason, size);
}

/* ---- lowering ---- */

int elementwise_prepare(struct lower *lower, struct graph_node *node, size_t count, struct loop *loop)
{
	const struct graph_value *out = node->outputs[0];
	int order[TENSOR_MAX_RANK];
	int64_t most = -1;
	bool integer = !elementwise_is_float(node->inputs[0]->dtype);
	const struct dev_tensor *tensor;

	memset(loop, 0, sizeof(*loop));
	loop->node = node;
	loop->rank = out->rank;
	for (int d = 0; d < out->rank; d++)
		loop->dims[d] = out->dims[d];
	for (size_t i = 0; i < count; i++) {
		const struct dev_tensor *input = lower_tensor(lower, node->inputs[i]);
		struct dev_tensor aligned;

		if (!input)
			return lower_fail(lower, node, -ENOMEM, "out of memory for tensors");
		aligned = tensor_align(input, out->rank);
		loop->inputs[i] = aligned;
		loop->in_type[i] =
			input->type == AXL_TYPE_S64 ? AXL_TYPE_S32 : lower_type(lower, node->inputs[i]->dtype);
		if (dims_count(aligned.rank, aligned.dims) > most) {
			most = dims_count(aligned.rank, aligned.dims);
			tensor_order(&aligned, order);
		}
	}
	loop->num_inputs = (int)count;
	loop->temp_type = integer ? AXL_TYPE_S32 : AXL_TYPE_F32;
	loop->integer_imm = integer;
	tensor = lower_output(lower, out, order);
	if (!tensor)
		return lower_fail(lower, node, -ENOMEM, "out of memory for tensors");
	loop->out = tensor;
	tensor_order(tensor, loop->order);
	return 0;
}

static int lower_variadic(struct lower *lower, const struct elementwise *op, struct loop *loop)
{
	struct loop_step steps[LOOP_MAX_INPUTS + 1];
	int count = 0, n = loop->num_inputs;

	if (n == 1)
		steps[count++] = (struct loop_step){AXL_VEC_COPY, OUT, IN0, NONE, 0, 0};
	for (int i = 1; i < n; i++) {
		bool last = i == n - 1 && !(op->flags & MEAN);

		steps[count++] =
			(struct loop_step){op->steps[0].op, last ? OUT : T0, i == 1 ? IN0 : T0, LOOP_IN + i, 0, 0};
	}
	if (op->flags & MEAN && n > 1)
		steps[count++] = (struct loop_step){AXL_VEC_AFFINE, OUT, T0, NONE, 1.0f / (float)n, 0};
	loop->steps = steps;
	loop->num_steps = count;
	return loop_run(lower, loop);
}

static int elementwise_lower(struct lower *lower, struct graph_node *node)
{
	const struct elementwise *op = find(node);
	struct op_node attrs = graph_op_node(node);
	struct loop_step steps[MAX_STEPS];
	struct loop loop;
	int err = elementwise_prepare(lower, node, op->flags & VARIADIC ? node->num_inputs : (size_t)op->num_inputs,
				      &loop);

	if (err)
		return err;
	if (op->flags & VARIADIC)
		return lower_variadic(lower, op, &loop);
	memcpy(steps, op->steps, sizeof(steps));
	if (op->attr0)
		steps[op->attr_step].imm0 = op_attr_float(&attrs, op->attr0, op->default0);
	if (op->attr1)
		steps[op->attr_step].imm1 = op_attr_float(&attrs, op->attr1, op->default1);
	loop.steps = steps;
	loop.num_steps = op->num_steps;
	return loop_run(lower, &loop);
}

uint64_t elementwise_cycles(const struct graph_node *node, const struct target *target, enum lower_precision precision)
{
	const struct elementwise *op = find(node);
	uint64_t points = (uint64_t)dims_count(node->outputs[0]->rank, node->outputs[0]->dims);
	unsigned int size = precision == LOWER_F32 ? 4 : 2;
	uint64_t vector = 0, dram = cost_dma(target, points * size * (node->num_inputs + 1), 256);

	for (int i = 0; op && i < op->num_steps; i++)
		vector += cost_vec(op->steps[i].op, points, size, 1);
	vector /= target->tiles;
	return (vector > dram ? vector : dram) + 2 * target->dram_latency;
}

#define ELEMENTWISE(domain, name)                                                         \
	{                                                                                 \
		domain, name, elementwise_supports, elementwise_lower, elementwise_cycles \
	}

extern const struct lower_op lower_ops_elementwise[];
const struct lower_op lower_ops_elementwise[] = {
	ELEMENTWISE("", "Add"),
	ELEMENTWISE("", "Sub"),
	ELEMENTWISE("", "Mul"),
	ELEMENTWISE("", "Div"),
	ELEMENTWISE("", "Pow"),
	ELEMENTWISE("", "PRelu"),
	ELEMENTWISE("", "Equal"),
	ELEMENTWISE("", "Less"),
	ELEMENTWISE("", "LessOrEqual"),
	ELEMENTWISE("", "Greater"),
	ELEMENTWISE("", "GreaterOrEqual"),
	ELEMENTWISE("", "And"),
	ELEMENTWISE("", "Or"),
	ELEMENTWISE("", "Xor"),
	ELEMENTWISE("", "Min"),
	ELEMENTWISE("", "Max"),
	ELEMENTWISE("", "Sum"),
	ELEMENTWISE("", "Mean"),
	ELEMENTWISE("", "Not"),
	ELEMENTWISE("", "Identity"),
	ELEMENTWISE("", "Dropout"),
	ELEMENTWISE("", "Neg"),
	ELEMENTWISE("", "Abs"),
	ELEMENTWISE("", "Sign"),
	ELEMENTWISE("", "Floor"),
	ELEMENTWISE("", "Ceil"),
	ELEMENTWISE("", "Round"),
	ELEMENTWISE("", "Sqrt"),
	ELEMENTWISE("", "Reciprocal"),
	ELEMENTWISE("", "Exp"),
	ELEMENTWISE("", "Log"),
	ELEMENTWISE("", "Sin"),
	ELEMENTWISE("", "Cos"),
	ELEMENTWISE("", "Tanh"),
	ELEMENTWISE("", "Sigmoid"),
	ELEMENTWISE("", "Erf"),
	ELEMENTWISE("", "Relu"),
	ELEMENTWISE("", "Softplus"),
	ELEMENTWISE("", "IsNaN"),
	ELEMENTWISE("", "Tan"),
	ELEMENTWISE("", "Cosh"),
	ELEMENTWISE("", "LeakyRelu"),
	ELEMENTWISE("", "HardSigmoid"),
	ELEMENTWISE("", "HardSwish"),
	ELEMENTWISE("", "Elu"),
	ELEMENTWISE("", "Softsign"),
	ELEMENTWISE("", "Mish"),
	ELEMENTWISE("", "Swish"),
	ELEMENTWISE("com.microsoft", "Gelu"),
	ELEMENTWISE("com.microsoft", "QuickGelu"),
	ELEMENTWISE("com.microsoft", "BiasGelu"),
	ELEMENTWISE("com.microsoft", "FastGelu"),
	{NULL, NULL, NULL, NULL, NULL},
};
