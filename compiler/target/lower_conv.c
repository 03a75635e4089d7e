/* SPDX-License-Identifier: MIT */
/*
 * Conv, FusedConv, ConvTranspose, QLinearConv and ConvInteger as matrix work.
 *
 * Attributes: ONNX Operators, Conv-11, ConvTranspose-11, QLinearConv-10, ConvInteger-10; FusedConv as ONNX Runtime's
 * contributed operators define it (activation, activation_params, residual Z).
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <axl/axl_access.h>
#include "compiler/target/conv_geometry.h"
#include "compiler/target/images.h"
#include "compiler/target/lower_matrix.h"
#include "compiler/target/lower_pool.h"
#include "compiler/target/lower_shuffle.h"
#include "compiler/target/matrix_work.h"
#include "compiler/target/resident.h"

/* ---- types and post-processing ---- */

static int check_types(const struct graph_node *node, const struct conv_form *form, char *reason, size_t size)
{
	enum dtype x = conv_input(node, form->x)->dtype, w = conv_input(node, form->w)->dtype;
	const struct graph_value *bias = conv_input(node, form->bias);
	bool integer = x == DTYPE_U8 || x == DTYPE_S8;

	if (integer ? w != DTYPE_U8 && w != DTYPE_S8 : x != w)
		return refuse(reason, size, "input and weight types do not go together");
	if (!integer && x != DTYPE_F32 && x != DTYPE_F16 && x != DTYPE_BF16)
		return refuse(reason, size, "the matrix unit takes float32, float16, bfloat16 and 8-bit integers only");
	if (bias && !bias->constant)
		return refuse(reason, size, "its bias is computed at run time");
	return 0;
}

static int conv_supports(const struct graph_node *node, const struct target *target, enum lower_precision precision,
			 char *reason, size_t size)
{
	const struct conv_form *form = conv_form_find(node);
	struct conv_geometry geo;
	int err = check_types(node, form, reason, size);
	static const int parameters[] = {0, 1, 2, 3, 4, 5};

	(void)target;
	(void)precision;
	if (!err)
		err = conv_geometry_read(node, form, &geo, reason, size);
	if (err)
		return err;
	for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++) {
		const int index[] = {form->x_scale, form->x_zero,  form->w_scale,
				     form->w_zero,  form->y_scale, form->y_zero};
		const struct graph_value *value = conv_input(node, index[i]);

		if (value && !value->constant)
			return refuse(reason, size, "a scale or zero point is computed at run time");
	}
	err = matrix_zero_uniform(conv_input(node, form->w_zero));
	if (err)
		return refuse(reason, size, "weight zero points differ between channels");
	return matrix_activation_supported(node, reason, size);
}

/* ---- a quantized addition behind the convolution ---- */

static bool one_constant(const struct graph_value *value)
{
	return value && value->constant && tensor_count(value->constant) == 1;
}

/*
 * The QLinearAdd that alone reads this QLinearConv, by the form of both. *own: which operand the convolution is, *other: what
 * it is added to.
 */
static struct graph_node *add_behind(const struct graph_node *node, size_t *own, const struct graph_value **other)
{
	const struct graph_value *out = node->outputs[0];
	struct graph_node *add = out->num_uses == 1 && !out->is_output ? out->uses[0] : NULL;

	if (strcmp(node->op_type, "QLinearConv") || !add || strcmp(add->op_type, "QLinearAdd") || add->num_inputs != 8)
		return NULL;
	*own = add->inputs[0] == out ? 0 : 3;
	*other = add->inputs[3 - *own];
	for (size_t i = 0; i < 8; i++)
		if (i != 0 && i != 3 && !one_constant(add->inputs[i]))
			return NULL;
	if (*other == out || (*other)->constant || (*other)->rank != out->rank ||
	    memcmp((*other)->dims, out->dims, (size_t)out->rank * sizeof(out->dims[0])))
		return NULL;
	return add;
}

/*
 * The same, when its other operand is there already: the drain then rounds the convolution (AXL_DR_MID), adds and rounds
 * again, with the bits that the two operators have apart.
 */
static struct graph_node *fusible_add(const struct lower *lower, const struct graph_node *node, size_t *own)
{
	const struct graph_value *other;
	struct graph_node *add = add_behind(node, own, &other);

	return add && images_together(lower, node, add) && lower->tensors[node->outputs[0]->id].rank < 0 &&
			       lower->tensors[other->id].rank >= 0
		       ? add
		       : NULL;
}

/*
 * The MaxPool that alone reads this convolution, where its windows lie side by side and cover the image: the drain then takes the
 * maximum of what it would write. Rounding keeps the order of numbers, so it makes no difference which comes first.
 */
static struct graph_node *pool_behind(const struct lower *lower, const struct graph_node *node, struct pool *pool)
{
	static const char *const convolutions[] = {"QLinearConv", "Conv", "FusedConv"};
	const struct graph_value *out = node->outputs[0];
	struct graph_node *max = out->num_uses == 1 && !out->is_output ? out->uses[0] : NULL;
	char reason[64];

	if (!pass_runs(lower->disabled, PASS_POOL_DRAIN) || !max || strcmp(max->op_type, "MaxPool") ||
	    !GRAPH_NODE_IS(node, convolutions) || conv_input(node, conv_form_find(node)->residual) ||
	    max->num_outputs > 1 || !images_together(lower, node, max) ||
	    pool_read(max, pool, reason, sizeof(reason)) || pool->spatial != 2)
		return NULL;
	for (int i = 0; i < 2; i++)
		if (pool->kernel[i] > 15 || pool->stride[i] != pool->kernel[i] || pool->dilation[i] != 1 ||
		    pool->begin[i] || pool->out[i] * pool->kernel[i] != pool->in[i])
			return NULL;
	return max;
}

/*
 * What lowering adds to the geometry of the graph: the windows of a pool, which is returned, and of a stripe (stripes.h) where
 * its rows lie in the image.
 */
static struct graph_node *lowered_geometry(const struct lower *lower, const struct graph_node *node,
					   struct conv_geometry *geo)
{
	struct pool pool;
	struct graph_node *max = pool_behind(lower, node, &pool);

	if (max)
		memcpy(geo->pool, pool.kernel, sizeof(geo->pool));
	geo->begin[0] += lower->first_row[conv_input(node, conv_form_find(node)->x)->id] -
			 lower->first_row[node->outputs[0]->id] * geo->stride[0];
	return max;
}

/* Of an addition that the convolution in front of it does, what is added; else NULL. */
static const struct graph_value *added_before(const struct graph_node *node)
{
	for (size_t i = 0; i < 2 && !strcmp(node->op_type, "QLinearAdd") && node->num_inputs == 8; i++) {
		const struct graph_node *conv = node->inputs[3 * i]->producer;
		const struct graph_value *other;
		size_t own;

		if (conv && conv->region == node->region && add_behind(conv, &own, &other) == node &&
		    (!other->producer || other->producer->id < conv->id))
			return other;
	}
	return NULL;
}

bool lower_conv_adds(const struct lower *lower, const struct graph_node *node, const struct graph_value *value)
{
	const struct conv_form *form = conv_form_find(node);

	if (!images_together(lower, value->producer, node))
		return false;
	if (form)
		return conv_input(node, form->residual) == value && conv_input(node, form->x) != value;
	return added_before(node) == value;
}

bool lower_conv_does(const struct lower *lower, const struct graph_node *node)
{
	struct pool pool;
	const struct graph_node *before = node->num_inputs && node->inputs[0] ? node->inputs[0]->producer : NULL;

	return added_before(node) ||
	       (!strcmp(node->op_type, "MaxPool") && before && pool_behind(lower, before, &pool) == node);
}

static uint32_t scale_bits(const struct graph_value *value)
{
	float scale = (float)tensor_get_f64(value->constant, 0);
	uint32_t bits;

	memcpy(&bits, &scale, sizeof(bits));
	return bits;
}

static int16_t zero_value(const struct graph_value *value)
{
	return (int16_t)tensor_get_s64(value->constant, 0);
}

/* The convolution's own rounding moves into the middle of the drain; what follows is the addition's. */
static void fuse_add(struct matrix_work *work, const struct graph_node *add, size_t own)
{
	struct axl_drain *post = &work->post;

	post->dr_flags |= AXL_DR_MID | AXL_DR_RESIDUAL | AXL_DR_OUT_SCALE;
	post->mid_type = post->out_type;
	post->mid_zero = post->out_zero;
	post->mid_scale = scale_bits(add->inputs[own + 1]);
	post->res_type = (uint8_t)work->z.type;
	post->res_scale = scale_bits(add->inputs[4 - own]);
	post->res_zero = zero_value(add->inputs[5 - own]);
	post->out_scale = scale_bits(add->inputs[6]);
	post->out_zero = zero_value(add->inputs[7]);
	post->out_type = add->outputs[0]->dtype == DTYPE_U8 ? AXL_TYPE_U8 : AXL_TYPE_S8;
}

/* Cycles of the operator of the vector unit that reads @value, of the longest of them; 0: none does. */
static uint64_t vector_cycles(const struct lower *lower, const struct graph_value *value)
{
	static const char *const names[] = {"MaxPool", "LRN", "DequantizeLinear", "QLinearAdd", "QLinearMul",
					    "Add",     "Mul"};
	uint64_t cycles = 0;

	for (size_t i = 0; i < value->num_uses; i++) {
		const struct graph_node *reader = value->uses[i];

		if (GRAPH_NODE_IS(reader, names) && lower->estimates[reader->id] > cycles)
			cycles = lower->estimates[reader->id];
	}
	return cycles;
}

static bool is_concatenated(const struct graph_value *value)
{
	static const char *const names[] = {"Concat"};

	return graph_read_by(value, names, 1);
}

/* ---- cut over tiles ---- */

bool lower_conv_reads_part(const struct lower *lower, const struct graph_node *node, const struct graph_value *value,
			   unsigned int tile, struct cut_box *box)
{
	const struct target *target = lower->target;
	const struct conv_form *form = conv_form_find(node);
	struct conv_geometry geo;
	struct cut_grid own = cut_grid(target, value->dims[0], value->dims[2], value->dims[3]);
	struct cut_box out;
	char reason[64];

	if (!strcmp(node->op_type, "QLinearAdd") && node->outputs[0]->rank == 4) {
		*box = cut_owned(own, value->dims[2], value->dims[3], tile);
		return !memcmp(node->outputs[0]->dims, value->dims, 4 * sizeof(value->dims[0]));
	}
	if (!form || conv_geometry_read(node, form, &geo, reason, sizeof(reason)))
		return false;
	lowered_geometry(lower, node, &geo);
	if (!conv_geometry_cuts(&geo, target) || conv_geometry_grid(&geo, target).images != own.images)
		return false;
	out = conv_geometry_owned(&geo, target, tile);
	*box = (struct cut_box){0};
	if (conv_input(node, form->residual) == value) {
		*box = out;
		return conv_input(node, form->x) != value;
	}
	if (!cut_is_empty(out)) {
		cut_window(out.h0, out.h1, geo.stride[0], (geo.kernel[0] - 1) * geo.dilation[0] + 1, geo.begin[0],
			   geo.in[0], &box->h0, &box->h1);
		cut_window(out.w0, out.w1, geo.stride[1], (geo.kernel[1] - 1) * geo.dilation[1] + 1, geo.begin[1],
			   geo.in[1], &box->w0, &box->w1);
	}
	return true;
}

int64_t lower_conv_step(const struct lower *lower, const struct graph_node *node, const struct graph_value *value)
{
	const struct conv_form *form = conv_form_find(node);
	struct conv_geometry geo;
	char reason[64];

	if (!form || conv_input(node, form->x) != value || conv_input(node, form->residual) == value ||
	    lower->runs[node->id] || conv_geometry_read(node, form, &geo, reason, sizeof(reason)) || geo.spatial != 2 ||
	    geo.stride[0] != geo.stride[1] || !conv_geometry_steps(&geo))
		return 1;
	return geo.stride[0];
}

/* Of what a 1x1 convolution with strides reads from memory, only the positions that it needs. */
static void skip_positions(struct matrix_work *work)
{
	if (work->x_cut || work->x_resident || work->sh * work->sw == 1 ||
	    work->x.stride[WORK_C] != access_type_bytes(work->x.type))
		return;
	work->ih = work->x.dims[WORK_H] = work->oh;
	work->iw = work->x.dims[WORK_W] = work->ow;
	work->x.stride[WORK_H] *= work->sh;
	work->x.stride[WORK_W] *= work->sw;
	work->sh = work->sw = 1;
}

/* @value's tensor; where the node works in parts (of @images) and the value is cut alike, it stays where it is. */
static struct dev_tensor *part_or_whole(struct lower *lower, const struct graph_value *value, bool parts, bool images,
					const struct cut **cut)
{
	*cut = parts ? cut_find(lower, value) : NULL;
	if (*cut && ((*cut)->images != images || (*cut)->channels))
		*cut = NULL;
	return *cut ? &lower->tensors[value->id] : lower_tensor(lower, value);
}

static int conv_lower(struct lower *lower, struct graph_node *node)
{
	const struct conv_form *form = conv_form_find(node);
	static const int order[4] = {0, 2, 3, 1}, order_1d[3] = {0, 2, 1};
	struct matrix_work work = {.node = node};
	struct matrix_tables tables = {0};
	struct conv_geometry geo;
	struct dev_tensor *x, *y, *z = NULL;
	size_t own = 0;
	bool parts, images;
	struct shuffle shuffle;
	bool shuffled = lower_shuffle_reads(lower, node, form->x, &shuffle);
	void *weights = NULL;
	struct graph_node *add = fusible_add(lower, node, &own), *max;
	const struct graph_value *source, *result,
		*residual = add ? add->inputs[3 - own] : conv_input(node, form->residual);
	const struct tensor *w = conv_input(node, form->w)->constant;
	int err = conv_geometry_read(node, form, &geo, lower->error, sizeof(lower->error));

	if (err)
		return err;
	max = lowered_geometry(lower, node, &geo);
	result = (add ? add : max ? max : node)->outputs[0];
	parts = conv_geometry_cuts(&geo, lower->target) && !shuffled;
	images = parts && conv_geometry_grid(&geo, lower->target).images;
	source = shuffled ? shuffle.split->inputs[0] : conv_input(node, form->x);
	if (!parts && cut_has_step(lower, source, lower_conv_step(lower, node, source)))
		x = &lower->tensors[source->id];
	else
		x = part_or_whole(lower, source, parts, images, &work.x_cut);
	if (residual && !parts && cut_has_channels(lower, residual))
		z = &lower->tensors[residual->id]; /* matrix_lower() knows by whom it is read */
	else if (residual)
		z = part_or_whole(lower, residual, parts, images, &work.z_cut);
	y = lower_output_resident(lower, result, geo.spatial == 2 ? order : order_1d);
	if (!x || !y || (residual && !z))
		return lower_fail(lower, node, -ENOMEM, "out of memory for tensors");
	if (parts && cut_take(lower, result, CUT_EXCHANGED))
		work.y_cut = cut_find(lower, result);
	parts = work.x_cut || work.y_cut || work.z_cut;
	work.result = result;
	work.residual = residual;
	work.x = matrix_image(x);
	work.y = matrix_image(y);
	if (z)
		work.z = matrix_image(z);
	work.x_resident = tensor_is_resident(lower, x);
	work.y_resident = tensor_is_resident(lower, y);
	work.z_resident = z && tensor_is_resident(lower, z);
	work.spad_taken = lower->resident.bytes;
	work.x_brought = lower->resident.brought;
	conv_geometry_set(&work, &geo, w);
	if (!shuffled && conv_geometry_steps(&geo))
		skip_positions(&work);
	work.reader_cycles = vector_cycles(lower, result);
	work.y_part = is_concatenated(result);
	err = matrix_set_types(lower, &work, conv_input(node, form->x), w->dtype, node->outputs[0]);
	if (!err && form->y_scale >= 0)
		err = matrix_set_requantize(&work, &tables, conv_input(node, form->x_scale),
					    conv_input(node, form->x_zero), conv_input(node, form->w_scale),
					    conv_input(node, form->w_zero), conv_input(node, form->y_scale),
					    conv_input(node, form->y_zero));
	else if (!err)
		matrix_set_zeros(&work, conv_input(node, form->x_zero), conv_input(node, form->w_zero));
	if (!err)
		err = matrix_set_bias(&work, &tables, conv_input(node, form->bias), 1.0f);
	if (!err)
		err = matrix_set_activation(&work, node, conv_input(node, form->residual) != NULL);
	if (!err && add) {
		fuse_add(&work, add, own);
		add->data = LOWER_DONE;
	}
	if (!err && max) {
		work.pool_h = geo.pool[0];
		work.pool_w = geo.pool[1];
		max->data = LOWER_DONE;
	}
	if (err)
		err = lower_fail(lower, node, err, "post-processing can not be expressed");
	else if (shuffled && lower_shuffle_apply(&work, &shuffle, work.w_zero, &weights))
		err = lower_fail(lower, node, -ENOMEM, "out of memory");
	else
		err = parts ? matrix_lower_parts(lower, &work) : matrix_lower(lower, &work);
	matrix_tables_finish(&tables);
	free(work.group_channel);
	free(weights);
	return err;
}

static uint64_t conv_estimate(const struct graph_node *node, const struct target *target,
			      enum lower_precision precision)
{
	const struct conv_form *form = conv_form_find(node);
	struct matrix_work work = {.node = node};
	struct matrix_plan plan;
	struct conv_geometry geo;
	char reason[64];

	if (conv_geometry_read(node, form, &geo, reason, sizeof(reason)))
		return 0;
	conv_geometry_set(&work, &geo, conv_input(node, form->w)->constant);
	work.x.dims[WORK_N] = geo.batch;
	work.y_part = is_concatenated(node->outputs[0]);
	matrix_estimate_types(&work, conv_input(node, form->x)->dtype, precision);
	return matrix_plan(&work, target, &plan, NULL) ? 0 : plan.cycles;
}

extern const struct lower_op lower_ops_conv[];
const struct lower_op lower_ops_conv[] = {
	{"", "Conv", conv_supports, conv_lower, conv_estimate},
	{"", "ConvTranspose", conv_supports, conv_lower, conv_estimate},
	{"", "QLinearConv", conv_supports, conv_lower, conv_estimate},
	{"axl", "QLinearConv", conv_supports, conv_lower, conv_estimate},
	{"", "ConvInteger", conv_supports, conv_lower, conv_estimate},
	{"com.microsoft", "FusedConv", conv_supports, conv_lower, conv_estimate},
	{NULL, NULL, NULL, NULL, NULL},
};
