/* SPDX-License-Identifier: MIT */
/*
 * LRN: x / (bias + alpha / size * sum of squares over a window of channels) ^ beta (ONNX Operators, LRN-13).
 *
 * With c = sqrt(alpha / size) * g for some g, and t = x * c, the result is
 *	t * exp(-beta * log(g^2 * bias + sum of t^2) + 2 * beta * log(g) - log(c)):
 * all constants go into one multiply-add. g is chosen so that nothing overflows in binary16, in which the vector unit is
 * twice as fast; where no such g leaves the bias its digits, and in regions of binary32, the work is done in binary32.
 *
 * In int8 networks LRN stands between a DequantizeLinear and a QuantizeLinear: both are done here, on the way.
 */
#include "compiler/target/lower_lrn.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "compiler/target/arith.h"
#include "compiler/target/cost.h"
#include "compiler/target/lower_loop.h"
#include "compiler/target/lower_matrix.h"
#include "compiler/target/resident.h"

#define MAX_WINDOW 64
#define HALF_MAX 65504.0

enum { N, H, W, C };

struct lrn {
	const struct graph_node *node, *dequantize;
	struct graph_node *quantize; /* NULL: none */
	struct dev_tensor x, y, zero;
	int64_t window, before;
	enum axl_type type; /* of what is between */
	float scale;        /* c */
	float bias, beta, shift;
};

static bool one_constant(const struct graph_node *node, size_t index)
{
	return index >= node->num_inputs || !node->inputs[index] ||
	       (node->inputs[index]->constant && tensor_count(node->inputs[index]->constant) == 1);
}

static bool is_lrn(const struct graph_node *node)
{
	return !strcmp(node->op_type, "LRN") && !*node->domain;
}

/* QuantizeLinear or DequantizeLinear of 8-bit unsigned or signed numbers with one scale. */
static bool is_conversion(const struct graph_node *node, const char *op_type, const struct graph_value *bytes)
{
	return !strcmp(node->op_type, op_type) && !*node->domain && one_constant(node, 1) && one_constant(node, 2) &&
	       (bytes->dtype == DTYPE_U8 || bytes->dtype == DTYPE_S8);
}

const struct graph_node *lrn_of_dequantize(const struct graph_node *node)
{
	const struct graph_value *out = node->outputs[0];

	return is_conversion(node, "DequantizeLinear", node->inputs[0]) && out->num_uses == 1 && !out->is_output &&
			       is_lrn(out->uses[0]) && out->uses[0]->region == node->region
		       ? out->uses[0]
		       : NULL;
}

static struct graph_node *quantize_behind(const struct graph_node *node)
{
	const struct graph_value *out = node->outputs[0];
	struct graph_node *reader = out->num_uses == 1 && !out->is_output ? out->uses[0] : NULL;

	return reader && reader->region == node->region && is_conversion(reader, "QuantizeLinear", reader->outputs[0])
		       ? reader
		       : NULL;
}

static float scale_of(const struct graph_node *node)
{
	return (float)tensor_get_f64(node->inputs[1]->constant, 0);
}

static float zero_of(const struct graph_node *node)
{
	return node->num_inputs > 2 && node->inputs[2] ? (float)tensor_get_s64(node->inputs[2]->constant, 0) : 0;
}

static void set_constants(struct lrn *lrn, enum axl_type float_type)
{
	struct op_node op = graph_op_node(lrn->node);
	double ratio, g, bias = op_attr_float(&op, "bias", 1.0f);

	lrn->window = op_attr_int(&op, "size", 1);
	lrn->before = (lrn->window - 1) / 2;
	lrn->beta = op_attr_float(&op, "beta", 0.75f);
	ratio = sqrt((double)op_attr_float(&op, "alpha", 1e-4f) / (double)lrn->window);
	/* The largest t is 16: its square, a whole window of them, and the result before the shift stay in range. */
	g = ratio > 0 ? 16 / (HALF_MAX * ratio) : 1;
	lrn->type = AXL_TYPE_F16;
	if (float_type != AXL_TYPE_F16 || bias * g * g < 1.0 / 1024 || bias * g * g > 1024 || lrn->window > 32) {
		g = 1;
		lrn->type = AXL_TYPE_F32;
	}
	lrn->scale = (float)(ratio * g);
	lrn->bias = (float)(bias * g * g);
	lrn->shift = (float)(2 * (double)lrn->beta * log(g) - log(ratio * g));
}

static int append(struct lower *lower, unsigned int tile, enum axl_vec_op op, float imm0, float imm1,
		  const struct spad_view *dst, const struct spad_view *a, const struct spad_view *b)
{
	static const int order[4] = {N, H, W, C};
	struct vec_args args = {.op = op, .imm0 = float_to_bits(imm0), .imm1 = float_to_bits(imm1)};

	if (op == AXL_VEC_QUANT || op == AXL_VEC_DEQUANT)
		args.imm1 = (uint32_t)(int32_t)imm1;
	return vec_append(lower, tile, &args, 4, dst->dims, order, dst, a, b);
}

/* Channels [from, from + count) of @view. */
static struct spad_view channels_of(const struct spad_view *view, int64_t from, int64_t count)
{
	struct spad_view part = *view;

	part.dims[C] = count;
	part.place.offset += (uint64_t)(from * view->stride[C]);
	return part;
}

/* The channels around the image are zero. */
static int clear_border(struct lower *lower, const struct lrn *lrn, unsigned int tile, const struct spad_view *t,
			int64_t channels)
{
	static const int order[4] = {N, H, W, C};
	struct lower_box box = {.size = {1, 1, 1, 1}};
	int64_t after = lrn->window - 1 - lrn->before;
	struct spad_view zero, part;
	int err;

	if (lrn->window == 1)
		return 0;
	err = lower_fetch(lower, &lrn->zero, &box, tile, 0, AXL_TYPE_F32, order, 0, AXL_PIPE_LOAD, AXL_PURPOSE_WEIGHT,
			  &zero);
	if (!err && lrn->before) {
		part = channels_of(t, 0, lrn->before);
		err = append(lower, tile, AXL_VEC_COPY, 0, 0, &part, &zero, NULL);
	}
	if (!err && after) {
		part = channels_of(t, lrn->before + channels, after);
		err = append(lower, tile, AXL_VEC_COPY, 0, 0, &part, &zero, NULL);
	}
	return err;
}

/* sum[c] = squares[c] + … + squares[c + window - 1], in steps that double; both buffers are used up. */
static int window_sum(struct lower *lower, const struct lrn *lrn, unsigned int tile, struct spad_view *squares,
		      struct spad_view *sum, int64_t channels)
{
	static const int order[4] = {N, H, W, C};
	int64_t covered = 0, width = 1, length = squares->dims[C];
	struct spad_view power = *squares, so_far;
	int err = 0;

	for (int64_t rest = lrn->window; rest && !err; rest >>= 1, width *= 2) {
		if (rest & 1) {
			struct spad_view part = channels_of(&power, covered, channels);

			if (covered)
				err = append(lower, tile, AXL_VEC_ADD, 0, 0, sum, &so_far, &part);
			so_far = covered ? *sum : part; /* the first part is read where it lies */
			covered += width;
		}
		if (rest > 1 && !err) {
			struct spad_view next, low, high;

			length -= width;
			err = lower_spad(lower, tile, lrn->type, 4, squares->dims, order, "window", &next);
			low = channels_of(&power, 0, length);
			high = channels_of(&power, width, length);
			next = channels_of(&next, 0, length);
			if (!err)
				err = append(lower, tile, AXL_VEC_ADD, 0, 0, &next, &low, &high);
			power = next;
		}
	}
	*sum = so_far;
	return err;
}

static int lrn_stripe(struct lower *lower, const struct lrn *lrn, unsigned int tile, const struct lower_box *box)
{
	static const int order[4] = {N, H, W, C};
	int64_t channels = box->size[C];
	int64_t padded[4] = {1, box->size[H], box->size[W], channels + lrn->window - 1};
	struct spad_view in, t, centre, square, sum, out;
	int err = lower_fetch(lower, &lrn->x, box, tile, 0,
			      lrn->dequantize ? lrn->x.type : lower_type(lower, lrn->node->inputs[0]->dtype), order, 0,
			      AXL_PIPE_LOAD, AXL_PURPOSE_ACTIVATION, &in);

	if (!err)
		err = lower_spad(lower, tile, lrn->type, 4, padded, order, "scaled", &t);
	if (!err)
		err = lower_spad(lower, tile, lrn->type, 4, padded, order, "square", &square);
	if (!err)
		err = lower_spad(lower, tile, lrn->type, 4, box->size, order, "sum", &sum);
	if (err)
		return err;
	centre = channels_of(&t, lrn->before, channels);
	err = clear_border(lower, lrn, tile, &t, channels);
	if (!err)
		err = lrn->dequantize ? append(lower, tile, AXL_VEC_DEQUANT, scale_of(lrn->dequantize) * lrn->scale,
					       zero_of(lrn->dequantize), &centre, &in, NULL)
				      : append(lower, tile, AXL_VEC_AFFINE, lrn->scale, 0, &centre, &in, NULL);
	if (!err)
		err = append(lower, tile, AXL_VEC_MUL, 0, 0, &square, &t, &t);
	if (!err)
		err = window_sum(lower, lrn, tile, &square, &sum, channels);
	if (!err)
		err = append(lower, tile, AXL_VEC_AFFINE, 1, lrn->bias, &sum, &sum, NULL);
	if (!err)
		err = append(lower, tile, AXL_VEC_LOG, 0, 0, &sum, &sum, NULL);
	if (!err)
		err = append(lower, tile, AXL_VEC_AFFINE, -lrn->beta, lrn->shift, &sum, &sum, NULL);
	if (!err)
		err = append(lower, tile, AXL_VEC_EXP, 0, 0, &sum, &sum, NULL);
	if (err)
		return err;
	if (lrn->quantize) {
		err = append(lower, tile, AXL_VEC_MUL, 0, 0, &sum, &sum, &centre);
		if (!err)
			err = lower_spad(lower, tile, lrn->y.type, 4, box->size, order, "out", &out);
		if (!err)
			err = append(lower, tile, AXL_VEC_QUANT, scale_of(lrn->quantize), zero_of(lrn->quantize), &out,
				     &sum, NULL);
	} else {
		err = lower_spad(lower, tile, lrn->y.type, 4, box->size, order, "out", &out);
		if (!err)
			err = append(lower, tile, AXL_VEC_MUL, 0, 0, &out, &centre, &sum);
	}
	return err ? err : lower_commit(lower, &lrn->y, box, &out);
}

/* Rows of a stripe: what it needs fits twice, and there are some stripes, so that they overlap with their neighbours.
 */
static int64_t stripe_rows(const struct lower *lower, const struct lrn *lrn)
{
	int64_t free = (int64_t)lower->target->spad_bytes - (int64_t)lower->resident.bytes;
	int64_t row = lrn->x.dims[W] * (lrn->x.dims[C] + lrn->window) * (lrn->type == AXL_TYPE_F16 ? 14 : 28) + 512;
	int64_t rows = MIN(lrn->x.dims[H], (lrn->x.dims[H] + 11) / 12);

	return MIN(rows, free / 2 / row < 1 ? 1 : free / 2 / row);
}

static int lrn_lower(struct lower *lower, struct graph_node *node)
{
	static const int order_2d[4] = {0, 2, 3, 1}, order_1d[3] = {0, 2, 1};
	static const float zero = 0;
	const int64_t ones[4] = {1, 1, 1, 1};
	struct lrn lrn = {.node = node, .quantize = quantize_behind(node)};
	struct graph_value *input = node->inputs[0];
	const struct graph_value *output = lrn.quantize ? lrn.quantize->outputs[0] : node->outputs[0];
	const int *order = input->rank == 4 ? order_2d : order_1d;
	const struct dev_tensor *x, *y;
	int64_t rows;
	unsigned int tile = 0;

	if (input->producer && lrn_of_dequantize(input->producer) == node) {
		lrn.dequantize = input->producer;
		input = input->producer->inputs[0];
	}
	x = lower_tensor(lower, input);
	/* A long one goes through memory: a preemption point can follow, and the node in front be interleaved with it. */
	y = lower->estimates[lower->at] > RESIDENT_MAX_CYCLES / 2 ? lower_output(lower, output, order)
								  : lower_output_resident(lower, output, order);
	lrn.zero = tensor_of_floats(lower, 4, ones, &zero);
	if (!x || !y || !lrn.zero.place.buf)
		return lower_fail(lower, node, -ENOMEM, "out of memory for tensors");
	lrn.x = matrix_image(x);
	lrn.y = matrix_image(y);
	set_constants(&lrn, lower->float_type);
	rows = stripe_rows(lower, &lrn);
	for (int64_t image = 0; image < lrn.x.dims[N]; image++)
		for (int64_t h = 0; h < lrn.x.dims[H]; h += rows) {
			struct lower_box box = {
				.start = {image, h, 0, 0},
				.size = {1, MIN(rows, lrn.x.dims[H] - h), lrn.x.dims[W], lrn.x.dims[C]}};
			bool paused;
			int err = resident_pause(
				lower, lower->estimates[lower->at] * (uint64_t)box.size[H] / (uint64_t)lrn.x.dims[H],
				&paused);

			if (!err)
				err = lrn_stripe(lower, &lrn, tile, &box);
			if (err)
				return err;
			tile = (tile + 1) % lower->target->tiles;
		}
	if (lrn.quantize)
		lrn.quantize->data = LOWER_DONE;
	return 0;
}

static int lrn_supports(const struct graph_node *node, const struct target *target, enum lower_precision precision,
			char *reason, size_t size)
{
	const struct graph_value *x = node->inputs[0];
	struct op_node op = graph_op_node(node);
	int64_t window = op_attr_int(&op, "size", 1);

	(void)precision;
	if (!graph_value_is_static(x) || x->rank < 3 || x->rank > 4)
		return refuse(reason, size, "LRN of an image of unknown shape, or not of 1 or 2 dimensions");
	if (x->dtype != DTYPE_F32 && x->dtype != DTYPE_F16 && x->dtype != DTYPE_BF16)
		return refuse(reason, size, "LRN of this type");
	if (dims_count(x->rank, x->dims) <= 0)
		return refuse(reason, size, "an empty image");
	if (window < 1 || window > MAX_WINDOW || !(op_attr_float(&op, "alpha", 1e-4f) > 0))
		return refuse(reason, size, "a window above 64 channels, or an alpha that is not positive");
	if (!loop_fits(target, (x->dims[1] + window) * (x->rank == 4 ? x->dims[3] : 1), 32))
		return refuse(reason, size, "the channels of one row do not fit the scratchpad");
	return 0;
}

static uint64_t lrn_cycles(const struct graph_node *node, const struct target *target, enum lower_precision precision)
{
	uint64_t points = (uint64_t)dims_count(node->inputs[0]->rank, node->inputs[0]->dims);

	return cost_vec(AXL_VEC_ADD, points * 18, precision == LOWER_F16 ? 2 : 4, 1) / target->tiles;
}

extern const struct lower_op lower_ops_lrn[];
const struct lower_op lower_ops_lrn[] = {
	{"", "LRN", lrn_supports, lrn_lower, lrn_cycles},
	{NULL, NULL, NULL, NULL, NULL},
};
