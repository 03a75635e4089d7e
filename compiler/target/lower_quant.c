/* SPDX-License-Identifier: MIT */
/*
 * QuantizeLinear, DequantizeLinear and the quantized elementwise operators of com.microsoft, as step lists: dequantize,
 * compute in binary32, quantize, each rounded as ONNX says (QuantizeLinear-10/13/19: saturate(round_half_even(x /
 * scale) + zero)). A function of one byte is a table of 256, which the CPU's kernel fills.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "compiler/target/cost.h"
#include "compiler/target/cut.h"
#include "compiler/target/lower_loop.h"
#include "compiler/target/lower_lrn.h"
#include "compiler/target/lower_pool.h"
#include "compiler/target/lower_quant.h"

#define IN0 LOOP_IN
#define IN1 (LOOP_IN + 1)
#define T0 LOOP_TEMP
#define T1 (LOOP_TEMP + 1)
#define R0 LOOP_RED
#define R1 (LOOP_RED + 1)
#define OUT LOOP_OUT
#define NONE LOOP_NONE

static bool scalar_constant(const struct graph_value *value)
{
	return value && value->constant && tensor_count(value->constant) == 1;
}

static float scale_of(const struct graph_value *value)
{
	return (float)tensor_get_f64(value->constant, 0);
}

static float zero_of(const struct graph_node *node, size_t index)
{
	const struct graph_value *value = index < node->num_inputs ? node->inputs[index] : NULL;

	return value ? (float)tensor_get_s64(value->constant, 0) : 0;
}

struct graph_node *quantize_behind(const struct lower *lower, const struct graph_node *node, float *scale, int *zero,
				   bool *only)
{
	const struct graph_value *value = node->outputs[0];

	*only = value->num_uses == 1 && !value->is_output;
	for (size_t i = 0; i < value->num_uses; i++) {
		struct graph_node *use = value->uses[i];
		enum dtype type = use->outputs[0]->dtype;

		if (strcmp(use->op_type, "QuantizeLinear") || *use->domain || use->inputs[0] != value ||
		    use->region != node->region || use->data || lower->tensors[use->outputs[0]->id].rank >= 0 ||
		    !scalar_constant(use->inputs[1]) ||
		    (use->num_inputs > 2 && use->inputs[2] && !scalar_constant(use->inputs[2])) ||
		    (type != DTYPE_U8 && type != DTYPE_S8))
			continue;
		*scale = scale_of(use->inputs[1]);
		*zero = (int)zero_of(use, 2);
		return use;
	}
	return NULL;
}

static int check_static(const struct graph_node *node, char *reason, size_t size)
{
	for (size_t i = 0; i < node->num_inputs; i++)
		if (node->inputs[i] && !graph_value_is_static(node->inputs[i]))
			return refuse(reason, size,
				      "its shapes are not known at compile time; bind the symbolic dimensions");
	if (!graph_value_is_static(node->outputs[0]) || dims_count(node->outputs[0]->rank, node->outputs[0]->dims) <= 0)
		return refuse(reason, size, "an output that is empty or of unknown shape");
	return 0;
}

/* The loop over the output with input @index first. */
static int prepare(struct lower *lower, struct graph_node *node, struct loop *loop)
{
	const struct graph_value *y = node->outputs[0];

	memset(loop, 0, sizeof(*loop));
	loop->node = node;
	loop->rank = y->rank;
	memcpy(loop->dims, y->dims, sizeof(loop->dims));
	loop->temp_type = AXL_TYPE_F32;
	(void)lower;
	return 0;
}

static int add_input(struct lower *lower, struct loop *loop, const struct graph_value *value)
{
	const struct dev_tensor *tensor = lower_tensor(lower, value);

	if (!tensor)
		return lower_fail(lower, loop->node, -ENOMEM, "out of memory for tensors");
	loop->inputs[loop->num_inputs] = tensor_align(tensor, loop->rank);
	loop->in_type[loop->num_inputs++] = lower_type(lower, value->dtype);
	return 0;
}

static int add_output(struct lower *lower, struct loop *loop, const struct graph_value *value)
{
	int order[TENSOR_MAX_RANK];

	if (!lower_image_order(value, order))
		tensor_order(&loop->inputs[0], order);
	loop->out = lower_output_resident(lower, value, order);
	if (!loop->out)
		return lower_fail(lower, loop->node, -ENOMEM, "out of memory for tensors");
	tensor_order(loop->out, loop->order);
	return 0;
}

static uint64_t estimate(const struct graph_node *node, const struct target *target, enum lower_precision precision)
{
	uint64_t points = (uint64_t)dims_count(node->outputs[0]->rank, node->outputs[0]->dims);

	(void)precision;
	return cost_vec(AXL_VEC_QUANT, points * 2, 4, 1) / target->tiles + 2 * target->dram_latency;
}

/* ---- QuantizeLinear, DequantizeLinear ---- */

static int linear_supports(const struct graph_node *node, const struct target *target, enum lower_precision precision,
			   char *reason, size_t size)
{
	bool quantize = !strcmp(node->op_type, "QuantizeLinear");
	enum dtype small = quantize ? node->outputs[0]->dtype : node->inputs[0]->dtype;
	enum dtype wide = quantize ? node->inputs[0]->dtype : node->outputs[0]->dtype;
	struct op_node op = graph_op_node(node);
	int64_t quotient = op_attr_int(&op, "precision", 0);

	(void)target;
	(void)precision;
	if (small != DTYPE_U8 && small != DTYPE_S8 && (quantize || small != DTYPE_S32))
		return refuse(reason, size, "the device quantizes to 8-bit integers only");
	if (wide != DTYPE_F32 && wide != DTYPE_F16 && wide != DTYPE_BF16)
		return refuse(reason, size, "the device quantizes from float32, float16 and bfloat16 only");
	if (op_attr_int(&op, "block_size", 0))
		return refuse(reason, size, "blocked quantization");
	/* The device divides in binary32; ONNX rounds the quotient to the type of the scale, or to the one it is told. */
	if (quantize && (node->inputs[1]->dtype != DTYPE_F32 || (quotient && quotient != DTYPE_F32)))
		return refuse(reason, size, "the quotient is rounded to another type than float32");
	for (size_t i = 1; i < node->num_inputs; i++)
		if (node->inputs[i] && !node->inputs[i]->constant)
			return refuse(reason, size, "its scale or zero point is computed at run time");
	if (!scalar_constant(node->inputs[1]))
		return refuse(reason, size, "a scale for each channel of a tensor that is not constant");
	return check_static(node, reason, size);
}

static int linear_lower(struct lower *lower, struct graph_node *node)
{
	bool quantize = !strcmp(node->op_type, "QuantizeLinear");
	struct loop_step step = {quantize ? AXL_VEC_QUANT : AXL_VEC_DEQUANT,
				 OUT,
				 IN0,
				 NONE,
				 scale_of(node->inputs[1]),
				 zero_of(node, 2)};
	struct loop loop;
	int err;

	if (!quantize && lrn_of_dequantize(node))
		return 0;
	err = prepare(lower, node, &loop);
	if (!err)
		err = add_input(lower, &loop, node->inputs[0]);
	/* The value that is quantized is the float32 one, not one rounded to the region's precision. */
	if (!err && quantize && loop.inputs[0].type == AXL_TYPE_F32)
		loop.in_type[0] = AXL_TYPE_F32;
	if (!err)
		err = add_output(lower, &loop, node->outputs[0]);
	if (!err && quantize && cut_take(lower, node->outputs[0], CUT_MADE))
		loop.cut = cut_find(lower, node->outputs[0]);
	loop.steps = &step;
	loop.num_steps = 1;
	return err ? err : loop_run(lower, &loop);
}

/* ---- QLinearAdd, QLinearMul: a, a_scale, a_zero, b, b_scale, b_zero, c_scale, c_zero ---- */

static int binary_supports(const struct graph_node *node, const struct target *target, enum lower_precision precision,
			   char *reason, size_t size)
{
	static const size_t constants[] = {1, 2, 4, 5, 6, 7};

	(void)target;
	(void)precision;
	for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++)
		if (constants[i] < node->num_inputs && node->inputs[constants[i]] &&
		    !scalar_constant(node->inputs[constants[i]]))
			return refuse(reason, size, "a scale or zero point that is not one constant");
	return check_static(node, reason, size);
}

static int binary_lower(struct lower *lower, struct graph_node *node)
{
	struct loop_step steps[] = {
		{AXL_VEC_DEQUANT, T0, IN0, NONE, scale_of(node->inputs[1]), zero_of(node, 2)},
		{AXL_VEC_DEQUANT, T1, IN1, NONE, scale_of(node->inputs[4]), zero_of(node, 5)},
		{!strcmp(node->op_type, "QLinearAdd") ? AXL_VEC_ADD : AXL_VEC_MUL, T0, T0, T1, 0, 0},
		{AXL_VEC_QUANT, OUT, T0, NONE, scale_of(node->inputs[6]), zero_of(node, 7)},
	};
	struct loop loop;
	int err = prepare(lower, node, &loop);

	if (!err)
		err = add_input(lower, &loop, node->inputs[0]);
	if (!err)
		err = add_input(lower, &loop, node->inputs[3]);
	if (!err)
		err = add_output(lower, &loop, node->outputs[0]);
	loop.steps = steps;
	loop.num_steps = 4;
	return err ? err : loop_run(lower, &loop);
}

/* ---- functions of one byte ---- */

/* The results of @node for each byte in the place of its input @index; of QLinearConcat, of that part alone. */
static int fill_table(struct lower *lower, const struct graph_node *node, size_t index, uint8_t *results)
{
	static const struct attr axis = {.name = "axis", .type = ATTR_INT, .i = 0};
	const struct op_kernel *kernel = op_find(node->domain, node->op_type, node->opset);
	bool concat = !strcmp(node->op_type, "QLinearConcat");
	uint8_t all[LOOP_TABLE_SIZE];
	const int64_t dims[] = {LOOP_TABLE_SIZE};
	struct tensor bytes, result = {0}, *output = &result;
	const struct tensor *inputs[5];
	struct op_node op = graph_op_node(node);
	struct op_call call = {.node = &op, .inputs = inputs, .outputs = &output};
	int err = kernel ? 0 : -ENOENT;

	for (int i = 0; i < LOOP_TABLE_SIZE; i++)
		all[i] = (uint8_t)i;
	if (!err)
		err = tensor_init_view(&bytes, node->inputs[index]->dtype, 1, dims, all, sizeof(all));
	if (concat) {
		op.num_inputs = 5;
		op.num_attrs = 1;
		op.attrs = &axis;
	}
	for (size_t i = 0; i < op.num_inputs; i++) {
		size_t from = concat && i >= 2 ? index + i - 2 : i;

		inputs[i] = from == index ? &bytes : node->inputs[from] ? node->inputs[from]->constant : NULL;
	}
	if (!err)
		err = op_run(kernel, &call);
	if (!err)
		memcpy(results, result.data, LOOP_TABLE_SIZE);
	tensor_finish(&result);
	return err ? lower_fail(lower, node, err, "%s", *call.error ? call.error : "there is no table of its results")
		   : 0;
}

/* The loop, whose only input is @node's @index, as a look-up of what fill_table() says. */
static int run_table(struct lower *lower, struct loop *loop, size_t index)
{
	static const struct loop_step step = {AXL_VEC_TABLE, OUT, IN0, NONE, 0, 0};
	uint8_t results[LOOP_TABLE_SIZE];
	struct dev_tensor table;
	bool same = true;
	int err = fill_table(lower, loop->node, index, results);

	if (err)
		return err;
	for (int i = 0; i < LOOP_TABLE_SIZE; i++)
		same &= results[i] == i;
	if (!same) { /* else without a step: a copy */
		table = tensor_of_bytes(lower, LOOP_TABLE_SIZE, results);
		if (!table.place.buf)
			return lower_fail(lower, loop->node, -ENOMEM, "out of memory for a table");
		loop->table = &table;
		loop->steps = &step;
		loop->num_steps = 1;
	}
	return loop_run(lower, loop);
}

static uint64_t table_estimate(const struct graph_node *node, const struct target *target,
			       enum lower_precision precision)
{
	uint64_t points = (uint64_t)dims_count(node->outputs[0]->rank, node->outputs[0]->dims);

	(void)precision;
	return cost_vec(AXL_VEC_TABLE, points, 1, 1) / target->tiles + 2 * target->dram_latency;
}

/* ---- QLinearSigmoid, QLinearLeakyRelu, QLinearGlobalAveragePool, QLinearSoftmax: x, x_scale, x_zero, y_scale, y_zero ---- */

static int unary_supports(const struct graph_node *node, const struct target *target, enum lower_precision precision,
			  char *reason, size_t size)
{
	struct op_node op = graph_op_node(node);

	(void)precision;
	for (size_t i = 1; i < node->num_inputs; i++)
		if (node->inputs[i] && !scalar_constant(node->inputs[i]))
			return refuse(reason, size, "a scale or zero point that is not one constant");
	if (op_attr_int(&op, "channels_last", 0))
		return refuse(reason, size, "channels_last");
	if (!strcmp(node->op_type, "QLinearGlobalAveragePool") && graph_value_is_static(node->inputs[0])) {
		int64_t points = 1;

		for (int d = 2; d < node->inputs[0]->rank; d++)
			points *= node->inputs[0]->dims[d];
		if (!loop_fits(target, points, 16))
			return refuse(reason, size, "the image does not fit the scratchpad");
	}
	return check_static(node, reason, size);
}

static int byte_function_lower(struct lower *lower, struct graph_node *node)
{
	struct loop loop;
	int err = prepare(lower, node, &loop);

	if (!err)
		err = add_input(lower, &loop, node->inputs[0]);
	if (!err)
		err = add_output(lower, &loop, node->outputs[0]);
	return err ? err : run_table(lower, &loop, 0);
}

static int global_average_lower(struct lower *lower, struct graph_node *node)
{
	struct loop_step steps[4] = {
		/* The sum of the integers is exact; then one factor, as the matrix unit does it (lower_average.c). */
		{AXL_VEC_DEQUANT, T0, IN0, NONE, 1, zero_of(node, 2)},
		{AXL_VEC_RSUM, R0, T0, NONE, 0, 0},
		{AXL_VEC_AFFINE, R0, R0, NONE, 0, 0},
		{AXL_VEC_QUANT, OUT, R0, NONE, 1, zero_of(node, 4)},
	};
	int64_t points = 1;
	struct loop loop;
	int err;

	if (average_takes(lower, node))
		return average_lower(lower, node);
	err = prepare(lower, node, &loop);
	memcpy(loop.dims, node->inputs[0]->dims, sizeof(loop.dims));
	for (int d = 2; d < loop.rank; d++) {
		points *= loop.dims[d];
		loop.whole |= 1u << d;
	}
	loop.out_reduced = true;
	steps[2].imm0 = scale_of(node->inputs[1]) / (scale_of(node->inputs[3]) * (float)points);
	if (!err)
		err = add_input(lower, &loop, node->inputs[0]);
	if (!err)
		err = add_output(lower, &loop, node->outputs[0]);
	loop.steps = steps;
	loop.num_steps = 4;
	return err ? err : loop_run(lower, &loop);
}

/* ---- QLinearSoftmax ---- */

/* The dimensions of a line: of the operator's first definition (opset below 13) all from the axis on. */
static uint32_t softmax_dims(const struct graph_node *node, int64_t *count, int *longer)
{
	const struct graph_value *x = node->inputs[0];
	struct op_node op = graph_op_node(node);
	bool one = op_attr_int(&op, "opset", 13) >= 13;
	int64_t axis = op_attr_int(&op, "axis", one ? -1 : 1);
	uint32_t dims = 0;

	axis += axis < 0 ? x->rank : 0;
	*count = 1;
	*longer = 0;
	for (int d = (int)axis; d < (one ? axis + 1 : x->rank); d++) {
		dims |= 1u << d;
		*count *= x->dims[d];
		*longer += x->dims[d] > 1;
	}
	return dims;
}

static int softmax_supports(const struct graph_node *node, const struct target *target, enum lower_precision precision,
			    char *reason, size_t size)
{
	int longer, err = unary_supports(node, target, precision, reason, size);
	int64_t count;

	if (err)
		return err;
	softmax_dims(node, &count, &longer);
	if (longer > 1)
		return refuse(reason, size, "lines of several dimensions: the order of their sums would be another");
	if (count > UINT16_MAX || !loop_fits(target, count, 16))
		return refuse(reason, size, "a line that does not fit the scratchpad or a vector operation");
	return 0;
}

/* e to the power of the distance from the line's largest byte, over the sum of them: as the CPU's kernel, from one table. */
static int softmax_lower(struct lower *lower, struct graph_node *node)
{
	static const enum axl_type types[LOOP_OUT] = {
		[T0] = AXL_TYPE_S32, [T1] = AXL_TYPE_F32, [R0] = AXL_TYPE_S32, [R1] = AXL_TYPE_F32};
	const struct loop_step steps[] = {
		{AXL_VEC_RMAX, R0, IN0, NONE, 0, 0},
		{AXL_VEC_SUB, T0, R0, IN0, 0, 0},
		{AXL_VEC_GATHER, T1, LOOP_LOOKUP, T0, 0, 0},
		{AXL_VEC_RSUM, R1, T1, NONE, 0, 0},
		{AXL_VEC_DIV, T1, T1, R1, 0, 0},
		{AXL_VEC_QUANT, OUT, T1, NONE, scale_of(node->inputs[3]), zero_of(node, 4)},
	};
	float exponentials[LOOP_TABLE_SIZE], scale = scale_of(node->inputs[1]);
	const int64_t dims[] = {LOOP_TABLE_SIZE};
	struct dev_tensor table;
	struct loop loop;
	int64_t count;
	int longer, err = prepare(lower, node, &loop);

	for (int i = 0; i < LOOP_TABLE_SIZE; i++)
		exponentials[i] = expf(-scale * (float)i);
	table = tensor_of_floats(lower, 1, dims, exponentials);
	if (!table.place.buf)
		return lower_fail(lower, node, -ENOMEM, "out of memory for a table");
	loop.whole = softmax_dims(node, &count, &longer);
	loop.table = &table;
	loop.reg_type = types;
	if (!err)
		err = add_input(lower, &loop, node->inputs[0]);
	if (!err)
		err = add_output(lower, &loop, node->outputs[0]);
	loop.steps = steps;
	loop.num_steps = sizeof(steps) / sizeof(steps[0]);
	return err ? err : loop_run(lower, &loop);
}

static uint64_t softmax_estimate(const struct graph_node *node, const struct target *target,
				 enum lower_precision precision)
{
	static const enum axl_vec_op ops[] = {AXL_VEC_RMAX, AXL_VEC_SUB, AXL_VEC_GATHER,
					      AXL_VEC_RSUM, AXL_VEC_DIV, AXL_VEC_QUANT};
	uint64_t points = (uint64_t)dims_count(node->outputs[0]->rank, node->outputs[0]->dims), cycles = 0;

	(void)precision;
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		cycles += cost_vec(ops[i], points, 4, 1);
	return cycles / target->tiles + 2 * target->dram_latency;
}

/* ---- QLinearConcat: y_scale, y_zero, then (x, scale, zero) for each input ---- */

static int concat_supports(const struct graph_node *node, const struct target *target, enum lower_precision precision,
			   char *reason, size_t size)
{
	(void)target;
	(void)precision;
	if (node->num_inputs < 5 || (node->num_inputs - 2) % 3)
		return refuse(reason, size, "its inputs are not triples");
	for (size_t i = 0; i < node->num_inputs; i++)
		if ((i < 2 || i % 3 != 2) && !scalar_constant(node->inputs[i]))
			return refuse(reason, size, "a scale or zero point that is not one constant");
	return check_static(node, reason, size);
}

static int concat_lower(struct lower *lower, struct graph_node *node)
{
	struct op_node op = graph_op_node(node);
	const struct dev_tensor *first = lower_tensor(lower, node->inputs[2]);
	int64_t axis = op_attr_int(&op, "axis", 1), at = 0;
	int order[TENSOR_MAX_RANK];
	struct dev_tensor out, *tensor;

	if (!first)
		return lower_fail(lower, node, -ENOMEM, "out of memory for tensors");
	tensor_order(first, order);
	tensor = lower_output(lower, node->outputs[0], order);
	if (!tensor)
		return lower_fail(lower, node, -ENOMEM, "out of memory for tensors");
	out = *tensor;
	axis += axis < 0 ? out.rank : 0;
	for (size_t i = 2; i < node->num_inputs; i += 3) {
		struct dev_tensor part = out;
		struct loop loop;
		int err = prepare(lower, node, &loop);

		loop.dims[axis] = node->inputs[i]->dims[axis];
		part.dims[axis] = loop.dims[axis];
		part.place.offset += (uint64_t)(at * out.stride[axis]);
		at += part.dims[axis];
		err = add_input(lower, &loop, node->inputs[i]);
		loop.out = &part;
		tensor_order(&part, loop.order);
		if (!err)
			err = run_table(lower, &loop, i);
		if (err)
			return err;
	}
	return 0;
}

extern const struct lower_op lower_ops_quant[];
const struct lower_op lower_ops_quant[] = {
	{"", "QuantizeLinear", linear_supports, linear_lower, estimate},
	{"", "DequantizeLinear", linear_supports, linear_lower, estimate},
	{"com.microsoft", "QLinearAdd", binary_supports, binary_lower, estimate},
	{"com.microsoft", "QLinearMul", binary_supports, binary_lower, estimate},
	{"com.microsoft", "QLinearSigmoid", unary_supports, byte_function_lower, table_estimate},
	{"com.microsoft", "QLinearLeakyRelu", unary_supports, byte_function_lower, table_estimate},
	{"com.microsoft", "QLinearGlobalAveragePool", unary_supports, global_average_lower, estimate},
	{"com.microsoft", "QLinearSoftmax", softmax_supports, softmax_lower, softmax_estimate},
	{"com.microsoft", "QLinearConcat", concat_supports, concat_lower, table_estimate},
	{NULL, NULL, NULL, NULL, NULL},
};
