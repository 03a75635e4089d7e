/* SPDX-License-Identifier: MIT */
/*
 * Operators that move elements: views where strides can say it, otherwise one copy through the load and store pipes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/target/arith.h"
#include "compiler/target/cost.h"
#include "compiler/target/lower_loop.h"
#include "compiler/target/lower_shuffle.h"

static bool movable(enum dtype type)
{
	return type == DTYPE_F32 || type == DTYPE_F16 || type == DTYPE_BF16 || type == DTYPE_U8 || type == DTYPE_S8 ||
	       type == DTYPE_S32 || type == DTYPE_S16 || type == DTYPE_BOOL;
}

static int check_data(const struct graph_node *node, char *reason, size_t size)
{
	const struct graph_value *x = node->inputs[0];

	for (size_t i = 0; i < node->num_outputs; i++)
		if (node->outputs[i] && (!graph_value_is_static(node->outputs[i]) ||
					 dims_count(node->outputs[i]->rank, node->outputs[i]->dims) <= 0))
			return refuse(reason, size, "an output is empty, or its shape not known at compile time");
	if (!graph_value_is_static(x) || dims_count(x->rank, x->dims) <= 0)
		return refuse(reason, size, "an input is empty, or its shape not known at compile time");
	if (!movable(x->dtype)) {
		snprintf(reason, size, "the device does not hold %s tensors", dtype_name(x->dtype));
		return -ENOTSUP;
	}
	return 0;
}

static int check_parameters(const struct graph_node *node, size_t first, char *reason, size_t size)
{
	for (size_t i = first; i < node->num_inputs; i++)
		if (node->inputs[i] && !node->inputs[i]->constant)
			return refuse(reason, size, "a shape, axis or index is computed at run time");
	return check_data(node, reason, size);
}

static uint64_t no_cycles(const struct graph_node *node, const struct target *target, enum lower_precision precision)
{
	(void)node;
	(void)target;
	(void)precision;
	return 0;
}

static uint64_t copy_cycles(const struct graph_node *node, const struct target *target, enum lower_precision precision)
{
	uint64_t points = (uint64_t)dims_count(node->outputs[0]->rank, node->outputs[0]->dims);

	return cost_dma(target, points * (precision == LOWER_F32 ? 8 : 4), 256) + 2 * target->dram_latency;
}

static int no_memory(struct lower *lower, const struct graph_node *node)
{
	return lower_fail(lower, node, -ENOMEM, "out of memory for tensors");
}

/*
 * Make @value the view @view. A region output has memory of its own (lower_output() finds it bound), so a view of
 * something else is copied there.
 */
static int finish_view(struct lower *lower, struct graph_node *node, const struct graph_value *value,
		       const struct dev_tensor *view)
{
	struct dev_tensor copy = *view, *out;

	if (!value->is_output && lower->tensors[value->id].rank < 0) {
		out = lower_view(lower, value);
		if (!out)
			return no_memory(lower, node);
		*out = copy;
		return 0;
	}
	out = lower_output(lower, value, NULL);
	return out ? tensor_copy_device(lower, node, &copy, out) : no_memory(lower, node);
}

/* ---- Reshape, Flatten, Squeeze, Unsqueeze ---- */

/*
 * Strides of @x under another shape of the same number of elements, when they exist: groups of dimensions with equal
 * products must be dense inside.
 */
static bool reshape_strides(const struct dev_tensor *x, int rank, const int64_t *dims, int64_t *stride)
{
	int64_t old_dims[TENSOR_MAX_RANK], old_stride[TENSOR_MAX_RANK];
	int old_rank = 0, i = 0, j = 0;

	for (int d = 0; d < x->rank; d++)
		if (x->dims[d] != 1) {
			old_dims[old_rank] = x->dims[d];
			old_stride[old_rank++] = x->stride[d];
		}
	while (i < old_rank || j < rank) {
		int64_t old_count = 1, new_count = 1, step;
		int i0 = i, j0 = j;

		if (i < old_rank)
			old_count = old_dims[i++];
		if (j < rank)
			new_count = dims[j++];
		while (old_count != new_count) {
			if (old_count < new_count) {
				if (i >= old_rank)
					return false;
				old_count *= old_dims[i++];
			} else {
				if (j >= rank)
					return false;
				new_count *= dims[j++];
			}
		}
		for (int k = i0; k + 1 < i; k++)
			if (old_stride[k] != old_stride[k + 1] * old_dims[k + 1])
				return false;
		step = i > i0 ? old_stride[i - 1] : 0;
		for (int k = j - 1; k >= j0; k--) {
			stride[k] = dims[k] == 1 ? 0 : step;
			step *= dims[k];
		}
	}
	return true;
}

static struct dev_tensor *dense_scratch(struct lower *lower, enum axl_type type, int rank, const int64_t *dims,
					struct dev_tensor *tensor)
{
	static const uint8_t bytes[AXL_NUM_TYPES] = {
#define TYPE_BYTES(name, number, size, text) [number] = size,
		AXL_TYPES(TYPE_BYTES)
#undef TYPE_BYTES
	};
	int64_t stride = bytes[type];

	*tensor = (struct dev_tensor){.type = type, .rank = rank};
	for (int d = rank - 1; d >= 0; d--) {
		tensor->dims[d] = dims[d];
		tensor->stride[d] = stride;
		stride *= dims[d];
	}
	tensor->place.buf = program_arena(lower->program, (uint64_t)stride, "dense");
	return tensor->place.buf ? tensor : NULL;
}

/* Elements of @x in row-major order under the shape of @value: as a view, or through a dense copy. */
static int reshape_to(struct lower *lower, struct graph_node *node, const struct dev_tensor *x,
		      const struct graph_value *value)
{
	struct dev_tensor view = {.type = x->type, .rank = value->rank, .place = x->place}, dense;
	struct dev_tensor source = *x;
	int err;

	memcpy(view.dims, value->dims, sizeof(view.dims));
	if (reshape_strides(x, value->rank, value->dims, view.stride))
		return finish_view(lower, node, value, &view);
	if (value->is_output) {
		/* The destination is row-major: see it with the source's shape and copy once. */
		struct dev_tensor *out = lower_output(lower, value, NULL), as_source;

		if (!out)
			return no_memory(lower, node);
		as_source = (struct dev_tensor){.type = out->type, .rank = x->rank, .place = out->place};
		memcpy(as_source.dims, x->dims, sizeof(as_source.dims));
		if (reshape_strides(out, x->rank, x->dims, as_source.stride))
			return tensor_copy_device(lower, node, &source, &as_source);
	}
	if (!dense_scratch(lower, x->type == AXL_TYPE_F32 ? lower->float_type : x->type, x->rank, x->dims, &dense))
		return no_memory(lower, node);
	err = tensor_copy_device(lower, node, &source, &dense);
	if (err)
		return err;
	view.type = dense.type;
	view.place = dense.place;
	if (!reshape_strides(&dense, value->rank, value->dims, view.stride))
		return lower_fail(lower, node, -EINVAL, "shapes of different sizes");
	return finish_view(lower, node, value, &view);
}

static int reshape_supports(const struct graph_node *node, const struct target *target, enum lower_precision precision,
			    char *reason, size_t size)
{
	(void)target;
	(void)precision;
	return check_data(node, reason, size);
}

static int reshape_lower(struct lower *lower, struct graph_node *node)
{
	const struct dev_tensor *x = lower_tensor(lower, node->inputs[0]);

	if (lower_shuffle_left(lower, node))
		return 0; /* the convolution that alone reads it takes what it was made of */
	return x ? reshape_to(lower, node, x, node->outputs[0]) : no_memory(lower, node);
}

/* ---- Transpose, Slice, Split, Expand ---- */

static int transpose_lower(struct lower *lower, struct graph_node *node)
{
	const struct dev_tensor *x = lower_tensor(lower, node->inputs[0]);
	struct op_node op = graph_op_node(node);
	struct dev_tensor view;
	const int64_t *perm;
	size_t count = op_attr_ints(&op, "perm", &perm);

	if (!x)
		return no_memory(lower, node);
	view = *x;
	for (int d = 0; d < x->rank; d++) {
		int from = count ? (int)perm[d] : x->rank - 1 - d;

		view.dims[d] = x->dims[from];
		view.stride[d] = x->stride[from];
	}
	return finish_view(lower, node, node->outputs[0], &view);
}

/* starts and steps of a Slice by dimension; ends follow from the output's shape. */
static int read_slice(const struct graph_node *node, int64_t *start, int64_t *step, char *reason, size_t size)
{
	struct op_node op = graph_op_node(node);
	const struct graph_value *x = node->inputs[0];
	const struct tensor *lists[4] = {NULL, NULL, NULL, NULL}; /* starts, ends, axes, steps */
	const int64_t *starts, *axes;
	size_t count = op_attr_ints(&op, "starts", &starts), num_axes = op_attr_ints(&op, "axes", &axes);

	for (int d = 0; d < x->rank; d++) {
		start[d] = 0;
		step[d] = 1;
	}
	if (node->num_inputs > 1) {
		for (size_t i = 1; i < node->num_inputs && i < 5; i++) {
			if (node->inputs[i] && !node->inputs[i]->constant)
				return refuse(reason, size, "its bounds are computed at run time");
			lists[i - 1] = node->inputs[i] ? node->inputs[i]->constant : NULL;
		}
		if (!lists[0])
			return refuse(reason, size, "it has no starts");
		count = (size_t)tensor_count(lists[0]);
	}
	for (size_t i = 0; i < count; i++) {
		int64_t axis = lists[2] ? tensor_get_s64(lists[2], (int64_t)i) : num_axes ? axes[i] : (int64_t)i;
		int64_t first = lists[0] ? tensor_get_s64(lists[0], (int64_t)i) : starts[i], dim;

		axis += axis < 0 ? x->rank : 0;
		if (axis < 0 || axis >= x->rank)
			return refuse(reason, size, "an axis out of range");
		dim = x->dims[axis];
		step[axis] = lists[3] ? tensor_get_s64(lists[3], (int64_t)i) : 1;
		if (step[axis] < 1)
			return refuse(reason, size, "a negative step");
		first += first < 0 ? dim : 0;
		start[axis] = first < 0 ? 0 : MIN(first, dim);
	}
	return 0;
}

static int slice_supports(const struct graph_node *node, const struct target *target, enum lower_precision precision,
			  char *reason, size_t size)
{
	int64_t start[TENSOR_MAX_RANK], step[TENSOR_MAX_RANK];
	int err = check_data(node, reason, size);

	(void)target;
	(void)precision;
	return err ? err : read_slice(node, start, step, reason, size);
}

static int slice_lower(struct lower *lower, struct graph_node *node)
{
	const struct dev_tensor *x = lower_tensor(lower, node->inputs[0]);
	int64_t start[TENSOR_MAX_RANK], step[TENSOR_MAX_RANK];
	struct dev_tensor view;
	int err = read_slice(node, start, step, lower->error, sizeof(lower->error));

	if (err || !x)
		return err ? err : no_memory(lower, node);
	view = *x;
	for (int d = 0; d < x->rank; d++) {
		view.place.offset += (uint64_t)(start[d] * x->stride[d]);
		view.stride[d] *= step[d];
		view.dims[d] = node->outputs[0]->dims[d];
	}
	return finish_view(lower, node, node->outputs[0], &view);
}

static int split_lower(struct lower *lower, struct graph_node *node)
{
	const struct dev_tensor *x = lower_tensor(lower, node->inputs[0]);
	struct op_node op = graph_op_node(node);
	int64_t axis = op_attr_int(&op, "axis", 0), at = 0;
	struct dev_tensor whole;

	if (!x)
		return no_memory(lower, node);
	whole = *x;
	axis += axis < 0 ? whole.rank : 0;
	for (size_t i = 0; i < node->num_outputs; i++) {
		struct dev_tensor view = whole;
		int err;

		if (!node->outputs[i])
			return lower_fail(lower, node, -EINVAL, "output %zu is missing", i);
		view.dims[axis] = node->outputs[i]->dims[axis];
		view.place.offset += (uint64_t)(at * whole.stride[axis]);
		at += view.dims[axis];
		err = finish_view(lower, node, node->outputs[i], &view);
		if (err)
			return err;
	}
	return 0;
}

static int split_supports(const struct graph_node *node, const struct target *target, enum lower_precision precision,
			  char *reason, size_t size)
{
	(void)target;
	(void)precision;
	for (size_t i = 0; i < node->num_outputs; i++)
		if (!node->outputs[i])
			return refuse(reason, size, "one of its outputs is omitted");
	return check_parameters(node, 1, reason, size);
}

static int expand_lower(struct lower *lower, struct graph_node *node)
{
	const struct dev_tensor *x = lower_tensor(lower, node->inputs[0]);
	const struct graph_value *y = node->outputs[0];
	struct dev_tensor view;

	if (!x)
		return no_memory(lower, node);
	view = tensor_align(x, y->rank);
	for (int d = 0; d < y->rank; d++) {
		if (view.dims[d] == 1)
			view.stride[d] = 0;
		view.dims[d] = y->dims[d];
	}
	return finish_view(lower, node, y, &view);
}

/* ---- Concat, Pad, Tile ---- */

static int concat_lower(struct lower *lower, struct graph_node *node)
{
	struct op_node op = graph_op_node(node);
	int64_t axis = op_attr_int(&op, "axis", 1), at = 0;
	const struct dev_tensor *first = lower_tensor(lower, node->inputs[0]);
	int order[TENSOR_MAX_RANK];
	struct dev_tensor out, *tensor;

	if (!first)
		return no_memory(lower, node);
	tensor_order(first, order);
	tensor = lower_output(lower, node->outputs[0], order);
	if (!tensor)
		return no_memory(lower, node);
	out = *tensor;
	axis += axis < 0 ? out.rank : 0;
	for (size_t i = 0; i < node->num_inputs; i++) {
		const struct dev_tensor *x = lower_tensor(lower, node->inputs[i]);
		struct dev_tensor part = out;
		int err = 0;

		if (!x)
			return no_memory(lower, node);
		part.dims[axis] = x->dims[axis];
		part.place.offset += (uint64_t)(at * out.stride[axis]);
		at += x->dims[axis];
		/* A producer that was given its place in the result has written it already. */
		if (x->place.buf != part.place.buf || x->place.offset != part.place.offset)
			err = tensor_copy_device(lower, node, x, &part);
		if (err)
			return err;
	}
	return 0;
}

static int concat_supports(const struct graph_node *node, const struct target *target, enum lower_precision precision,
			   char *reason, size_t size)
{
	(void)target;
	(void)precision;
	for (size_t i = 0; i < node->num_inputs; i++)
		if (!graph_value_is_static(node->inputs[i]) ||
		    dims_count(node->inputs[i]->rank, node->inputs[i]->dims) <= 0)
			return refuse(reason, size, "an input is empty, or its shape not known at compile time");
	return check_data(node, reason, size);
}

/* pads: attribute before opset 11, input after; axes as input from 18 on. Begins by dimension. */
static int read_pads(const struct graph_node *node, int64_t *begin, float *fill, char *reason, size_t size)
{
	struct op_node op = graph_op_node(node);
	const struct graph_value *x = node->inputs[0];
	const int64_t *attr;
	size_t count = op_attr_ints(&op, "pads", &attr);
	const struct tensor *pads = NULL, *axes = NULL;
	int64_t half;

	if (!op_attr_is(&op, "mode", "constant", "constant"))
		return refuse(reason, size, "a padding mode other than constant");
	*fill = op_attr_float(&op, "value", 0);
	for (size_t i = 1; i < node->num_inputs; i++)
		if (node->inputs[i] && !node->inputs[i]->constant)
			return refuse(reason, size, "its pads are computed at run time");
	if (node->num_inputs > 1 && node->inputs[1])
		pads = node->inputs[1]->constant;
	if (node->num_inputs > 2 && node->inputs[2])
		*fill = (float)tensor_get_f64(node->inputs[2]->constant, 0);
	if (node->num_inputs > 3 && node->inputs[3])
		axes = node->inputs[3]->constant;
	half = (pads ? tensor_count(pads) : (int64_t)count) / 2;
	memset(begin, 0, TENSOR_MAX_RANK * sizeof(*begin));
	for (int64_t i = 0; i < half; i++) {
		int64_t axis = axes ? tensor_get_s64(axes, i) : i;

		axis += axis < 0 ? x->rank : 0;
		if (axis < 0 || axis >= x->rank)
			return refuse(reason, size, "an axis out of range");
		begin[axis] = pads ? tensor_get_s64(pads, i) : attr[i];
	}
	return 0;
}

static int pad_supports(const struct graph_node *node, const struct target *target, enum lower_precision precision,
			char *reason, size_t size)
{
	int64_t begin[TENSOR_MAX_RANK];
	float fill;
	int err = check_data(node, reason, size);

	(void)target;
	(void)precision;
	return err ? err : read_pads(node, begin, &fill, reason, size);
}

static uint32_t fill_bits(enum axl_type type, float value)
{
	switch (type) {
	case AXL_TYPE_F32:
		return float_to_bits(value);
	case AXL_TYPE_F16:
		return f32_to_f16(value);
	case AXL_TYPE_BF16:
		return f32_to_bf16(value);
	default:
		return (uint32_t)(int32_t)value;
	}
}

/* Boxes of the output; what lies outside the input is filled by the load. */
static int pad_lower(struct lower *lower, struct graph_node *node)
{
	const struct dev_tensor *x = lower_tensor(lower, node->inputs[0]);
	int64_t begin[TENSOR_MAX_RANK], step[TENSOR_MAX_RANK], start[TENSOR_MAX_RANK] = {0}, bytes;
	int order[TENSOR_MAX_RANK], d = 0;
	struct dev_tensor in, *out;
	unsigned int tile = 0;
	enum axl_type type;
	float fill;
	int err = read_pads(node, begin, &fill, lower->error, sizeof(lower->error));

	if (err || !x)
		return err ? err : no_memory(lower, node);
	in = *x;
	tensor_order(&in, order);
	out = lower_output(lower, node->outputs[0], order);
	if (!out)
		return no_memory(lower, node);
	type = lower_type(lower, node->inputs[0]->dtype);
	memcpy(step, out->dims, sizeof(step));
	for (bytes = 4 * dims_count(out->rank, out->dims), d = 0;
	     d < out->rank && bytes > lower->target->spad_bytes / 2; d++) {
		int at = order[d];
		int64_t keep = (int64_t)lower->target->spad_bytes / 2 / (bytes / step[at]);

		keep = keep < 1 ? 1 : keep;
		bytes = bytes / step[at] * keep;
		step[at] = keep;
	}
	while (d >= 0) {
		struct lower_box from, to;
		struct spad_view view;

		for (int i = 0; i < out->rank; i++) {
			to.start[i] = start[i];
			to.size[i] = from.size[i] = MIN(step[i], out->dims[i] - start[i]);
			from.start[i] = start[i] - begin[i];
		}
		err = lower_fetch(lower, &in, &from, tile, 0, type, order, fill_bits(type, fill), AXL_PIPE_LOAD,
				  AXL_PURPOSE_ACTIVATION, &view);
		if (!err)
			err = lower_commit(lower, out, &to, &view);
		if (err)
			return err;
		tile = (tile + 1) % lower->target->tiles;
		for (d = out->rank - 1; d >= 0; d--) {
			start[order[d]] += step[order[d]];
			if (start[order[d]] < out->dims[order[d]])
				break;
			start[order[d]] = 0;
		}
	}
	return 0;
}

/* One copy for each repetition, into a view of the output that has the repetition and the element apart. */
static int tile_lower(struct lower *lower, struct graph_node *node)
{
	const struct dev_tensor *x = lower_tensor(lower, node->inputs[0]);
	struct dev_tensor from, to, *out = lower_output(lower, node->outputs[0], NULL);

	if (!x || !out)
		return no_memory(lower, node);
	from = (struct dev_tensor){.type = x->type, .rank = 2 * x->rank, .place = x->place};
	to = (struct dev_tensor){.type = out->type, .rank = 2 * x->rank, .place = out->place};
	for (int d = 0; d < x->rank; d++) {
		from.dims[2 * d] = to.dims[2 * d] = out->dims[d] / x->dims[d];
		from.dims[2 * d + 1] = to.dims[2 * d + 1] = x->dims[d];
		from.stride[2 * d] = 0;
		from.stride[2 * d + 1] = x->stride[d];
		to.stride[2 * d] = out->stride[d] * x->dims[d];
		to.stride[2 * d + 1] = out->stride[d];
	}
	/* A repetition that is broadcast looks like a dimension of size 1 to the loop. */
	for (int d = 0; d < from.rank; d += 2)
		from.dims[d] = to.dims[d];
	return tensor_copy_device(lower, node, &from, &to);
}

static int tile_supports(const struct graph_node *node, const struct target *target, enum lower_precision precision,
			 char *reason, size_t size)
{
	(void)target;
	(void)precision;
	if (node->inputs[0]->rank > TENSOR_MAX_RANK / 2)
		return refuse(reason, size, "more than six dimensions");
	return check_parameters(node, 1, reason, size);
}

/* ---- DepthToSpace, SpaceToDepth ---- */

/* The input seen with six dimensions, permuted, and copied into the output seen the same way. */
static int space_lower(struct lower *lower, struct graph_node *node)
{
	const struct dev_tensor *x = lower_tensor(lower, node->inputs[0]);
	struct op_node op = graph_op_node(node);
	int64_t b = op_attr_int(&op, "blocksize", 1);
	bool to_depth = !strcmp(node->op_type, "SpaceToDepth"), crd = op_attr_is(&op, "mode", "DCR", "CRD");
	int order[4] = {0, 2, 3, 1};
	struct dev_tensor deep, wide, deep6, wide6, *out = lower_output(lower, node->outputs[0], order);
	int64_t c;

	if (!x || !out)
		return no_memory(lower, node);
	deep = to_depth ? *out : *x;
	wide = to_depth ? *x : *out;
	c = wide.dims[1];
	/* n, bh, bw, c, h, w */
	deep6 = (struct dev_tensor){.type = deep.type, .rank = 6, .place = deep.place};
	wide6 = (struct dev_tensor){.type = wide.type, .rank = 6, .place = wide.place};
	const int64_t dims[6] = {deep.dims[0], b, b, c, deep.dims[2], deep.dims[3]};

	memcpy(deep6.dims, dims, sizeof(dims));
	memcpy(wide6.dims, dims, sizeof(dims));
	deep6.stride[0] = deep.stride[0];
	deep6.stride[1] = deep.stride[1] * (crd ? b : b * c);
	deep6.stride[2] = deep.stride[1] * (crd ? 1 : c);
	deep6.stride[3] = deep.stride[1] * (crd ? b * b : 1);
	deep6.stride[4] = deep.stride[2];
	deep6.stride[5] = deep.stride[3];
	wide6.stride[0] = wide.stride[0];
	wide6.stride[1] = wide.stride[2];
	wide6.stride[2] = wide.stride[3];
	wide6.stride[3] = wide.stride[1];
	wide6.stride[4] = wide.stride[2] * b;
	wide6.stride[5] = wide.stride[3] * b;
	return tensor_copy_device(lower, node, to_depth ? &wide6 : &deep6, to_depth ? &deep6 : &wide6);
}

/* ---- Resize, Upsample: nearest neighbour by whole factors ---- */

/* Source index of output @i of a dimension that grows from @in to @out (ONNX Resize-13, nearest); -1 where it is not
 * lowered. */
static int64_t nearest_index(const struct op_node *op, bool upsample, int64_t i, int64_t in, int64_t out)
{
	double scale = (double)out / (double)in, x;
	double low, high;

	if (upsample || op_attr_is(op, "coordinate_transformation_mode", "half_pixel", "asymmetric"))
		x = (double)i / scale;
	else if (op_attr_is(op, "coordinate_transformation_mode", "half_pixel", "half_pixel") ||
		 op_attr_is(op, "coordinate_transformation_mode", "half_pixel", "pytorch_half_pixel"))
		x = ((double)i + 0.5) / scale - 0.5;
	else
		return -1;
	low = (double)(int64_t)x - (x < (double)(int64_t)x);
	high = x > low ? low + 1 : low;
	if (upsample || op_attr_is(op, "nearest_mode", "round_prefer_floor", "floor"))
		x = low;
	else if (op_attr_is(op, "nearest_mode", "round_prefer_floor", "ceil"))
		x = high;
	else if (op_attr_is(op, "nearest_mode", "round_prefer_floor", "round_prefer_ceil"))
		x = x - low >= 0.5 ? high : low;
	else
		x = x - low > 0.5 ? high : low;
	return x < 0 ? 0 : x > (double)(in - 1) ? in - 1 : (int64_t)x;
}

static int resize_supports(const struct graph_node *node, const struct target *target, enum lower_precision precision,
			   char *reason, size_t size)
{
	const struct graph_value *x = node->inputs[0], *y = node->outputs[0];
	bool upsample = !strcmp(node->op_type, "Upsample");
	struct op_node op = graph_op_node(node);
	int err = check_data(node, reason, size);

	(void)target;
	(void)precision;
	if (err)
		return err;
	if (!op_attr_is(&op, "mode", "nearest", "nearest"))
		return refuse(reason, size, "the device resizes by nearest neighbour only");
	if (node->opset < 11 && !upsample)
		upsample = true; /* Resize-10 has Upsample's coordinates */
	if (x->rank > TENSOR_MAX_RANK / 2)
		return refuse(reason, size, "more than six dimensions");
	for (int d = 0; d < x->rank; d++) {
		if (y->dims[d] % x->dims[d])
			return refuse(reason, size, "the device enlarges by whole factors only");
		for (int64_t i = 0; i < y->dims[d]; i++)
			if (nearest_index(&op, upsample, i, x->dims[d], y->dims[d]) != i / (y->dims[d] / x->dims[d]))
				return refuse(reason, size,
					      "its coordinates do not repeat every element equally often");
	}
	return 0;
}

/* Every element is a block of the output: a broadcast dimension behind each dimension. */
static int resize_lower(struct lower *lower, struct graph_node *node)
{
	const struct dev_tensor *x = lower_tensor(lower, node->inputs[0]);
	struct dev_tensor from, to, *out;
	int order[TENSOR_MAX_RANK];

	if (!x)
		return no_memory(lower, node);
	from = *x;
	tensor_order(&from, order);
	out = lower_output(lower, node->outputs[0], order);
	if (!out)
		return no_memory(lower, node);
	to = (struct dev_tensor){.type = out->type, .rank = 2 * from.rank, .place = out->place};
	for (int d = from.rank - 1; d >= 0; d--) {
		int64_t factor = out->dims[d] / from.dims[d];

		to.dims[2 * d] = from.dims[d];
		to.dims[2 * d + 1] = factor;
		to.stride[2 * d] = out->stride[d] * factor;
		to.stride[2 * d + 1] = out->stride[d];
	}
	for (int d = from.rank - 1; d >= 0; d--) {
		from.stride[2 * d] = from.stride[d];
		from.stride[2 * d + 1] = 0;
		from.dims[2 * d] = to.dims[2 * d];
		from.dims[2 * d + 1] = to.dims[2 * d + 1];
	}
	from.rank = to.rank;
	return tensor_copy_device(lower, node, &from, &to);
}

/* ---- Gather ---- */

static int gather_supports(const struct graph_node *node, const struct target *target, enum lower_precision precision,
			   char *reason, size_t size)
{
	struct op_node op = graph_op_node(node);
	const struct graph_value *x = node->inputs[0], *index = node->inputs[1];
	int64_t axis = op_attr_int(&op, "axis", 0), row = 1;
	int err = check_data(node, reason, size);

	(void)precision;
	if (err)
		return err;
	if (!index->constant)
		return refuse(reason, size,
			      "its indices are computed at run time, where negative ones have to be resolved first");
	axis += axis < 0 ? x->rank : 0;
	if (axis < 0 || axis >= x->rank || x->rank > 5)
		return refuse(reason, size, "an axis out of range, or more than five dimensions");
	for (int d = 0; d < x->rank; d++)
		row *= d == axis ? 1 : x->dims[d];
	if (!loop_fits(target, row, 8))
		return refuse(reason, size, "one gathered row does not fit the scratchpad");
	return 0;
}

/* Rows by a table of indices in the scratchpad: the load pipe looks dimension 0 of its block up. */
static int gather_rows(struct lower *lower, struct graph_node *node, const struct dev_tensor *x, int axis,
		       const int32_t *indices, int64_t first, int64_t count, const struct dev_tensor *out,
		       unsigned int tile)
{
	int64_t dims[TENSOR_MAX_RANK], one = count;
	struct dev_tensor table = tensor_of_ints(lower, 1, &one, indices + first);
	struct lower_box box = {.size = {count}}, to = {{0}, {0}};
	struct spad_view index, view;
	enum axl_type type = x->type == AXL_TYPE_F32 ? out->type : x->type;
	union axl_insn insn = {.dma = {.header = {.opcode = AXL_OP_LOAD, .pipe = AXL_PIPE_LOAD},
				       .dma_flags = AXL_DMA_GATHER,
				       .mem_type = (uint8_t)x->type,
				       .spad_type = (uint8_t)type,
				       .index_limit = (uint32_t)x->dims[axis]}};
	struct program_place places[PROGRAM_MAX_PLACES] = {x->place};
	int slot = 1, err;

	if (!table.place.buf)
		return no_memory(lower, node);
	err = lower_fetch(lower, &table, &box, tile, 0, AXL_TYPE_S32, NULL, 0, AXL_PIPE_LOAD, AXL_PURPOSE_ACTIVATION,
			  &index);
	memcpy(dims, x->dims, sizeof(dims));
	dims[axis] = count;
	if (!err)
		err = lower_spad(lower, tile, type, x->rank, dims, NULL, "rows", &view);
	if (err)
		return err;
	for (int d = 0; d < 5; d++)
		insn.dma.dims[d] = 1;
	insn.dma.dims[0] = (uint32_t)count;
	insn.dma.mem_stride[0] = (int32_t)x->stride[axis];
	insn.dma.spad_stride[0] = (int32_t)view.stride[axis];
	for (int d = 0; d < x->rank; d++) {
		if (d == axis)
			continue;
		insn.dma.dims[slot] = (uint32_t)x->dims[d];
		insn.dma.mem_stride[slot] = (int32_t)x->stride[d];
		insn.dma.spad_stride[slot++] = (int32_t)view.stride[d];
	}
	places[1] = view.place;
	places[2] = index.place;
	err = lower_append(lower, tile, &insn, places);
	for (int d = 0; d < x->rank; d++)
		to.size[d] = dims[d];
	to.start[axis] = first;
	return err ? err : lower_commit(lower, out, &to, &view);
}

static int gather_lower(struct lower *lower, struct graph_node *node)
{
	const struct dev_tensor *tensor = lower_tensor(lower, node->inputs[0]);
	const struct tensor *index = node->inputs[1]->constant;
	struct op_node op = graph_op_node(node);
	int64_t count = tensor_count(index), row = 4, step;
	struct dev_tensor x, out, *y;
	int32_t *indices;
	int axis, err = 0;
	unsigned int tile = 0;

	if (!tensor)
		return no_memory(lower, node);
	x = *tensor;
	axis = (int)op_attr_int(&op, "axis", 0);
	axis += axis < 0 ? x.rank : 0;
	if (index->rank == 0) { /* one row: a view without the axis */
		struct dev_tensor view = x;
		int64_t at = tensor_get_s64(index, 0);

		view.place.offset += (uint64_t)((at < 0 ? at + x.dims[axis] : at) * x.stride[axis]);
		view.rank--;
		for (int d = axis; d < view.rank; d++) {
			view.dims[d] = x.dims[d + 1];
			view.stride[d] = x.stride[d + 1];
		}
		return finish_view(lower, node, node->outputs[0], &view);
	}
	y = lower_output(lower, node->outputs[0], NULL);
	indices = malloc((size_t)count * sizeof(*indices));
	if (!y || !indices) {
		free(indices);
		return no_memory(lower, node);
	}
	/* The output with the dimensions of the indices as one. */
	out = (struct dev_tensor){.type = y->type, .rank = x.rank, .place = y->place};
	for (int d = 0; d < x.rank; d++) {
		int from = d < axis ? d : d == axis ? axis + index->rank - 1 : d + index->rank - 1;

		out.dims[d] = d == axis ? count : x.dims[d];
		out.stride[d] = y->stride[from];
		row *= d == axis ? 1 : x.dims[d];
	}
	for (int64_t i = 0; i < count; i++) {
		int64_t at = tensor_get_s64(index, i);

		at += at < 0 ? x.dims[axis] : 0;
		if (at < 0 || at >= x.dims[axis])
			err = lower_fail(lower, node, -EINVAL, "index %lld of %lld", (long long)at,
					 (long long)x.dims[axis]);
		indices[i] = (int32_t)at;
	}
	step = (int64_t)lower->target->spad_bytes / 2 / (row + 4);
	step = MIN(step < 1 ? 1 : step, 65535);
	for (int64_t first = 0; first < count && !err; first += step) {
		err = gather_rows(lower, node, &x, axis, indices, first, MIN(step, count - first), &out, tile);
		tile = (tile + 1) % lower->target->tiles;
	}
	free(indices);
	return err;
}

extern const struct lower_op lower_ops_movement[];
const struct lower_op lower_ops_movement[] = {
	{"", "Reshape", reshape_supports, reshape_lower, no_cycles},
	{"", "Flatten", reshape_supports, reshape_lower, no_cycles},
	{"", "Squeeze", reshape_supports, reshape_lower, no_cycles},
	{"", "Unsqueeze", reshape_supports, reshape_lower, no_cycles},
	{"", "Transpose", reshape_supports, transpose_lower, no_cycles},
	{"", "Slice", slice_supports, slice_lower, no_cycles},
	{"", "Split", split_supports, split_lower, no_cycles},
	{"", "Expand", reshape_supports, expand_lower, no_cycles},
	{"", "Concat", concat_supports, concat_lower, copy_cycles},
	{"", "Pad", pad_supports, pad_lower, copy_cycles},
	{"", "Tile", tile_supports, tile_lower, copy_cycles},
	{"", "DepthToSpace", reshape_supports, space_lower, copy_cycles},
	{"", "SpaceToDepth", reshape_supports, space_lower, copy_cycles},
	{"", "Resize", resize_supports, resize_lower, copy_cycles},
	{"", "Upsample", resize_supports, resize_lower, copy_cycles},
	{"", "Gather", gather_supports, gather_lower, copy_cycles},
	{NULL, NULL, NULL, NULL, NULL},
};
