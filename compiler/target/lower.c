/* SPDX-License-Identifier: MIT */
/* The framework of the lowerings: device tensors, fetching and committing boxes; see lower.h. */
#include "compiler/target/lower.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <axl/axl_access.h>
#include "compiler/target/cut.h"
#include "compiler/target/lower_loop.h"
#include "compiler/target/place.h"
#include "compiler/target/resident.h"

#define DMA_DIMS 5
#define PAD_MAX 65535
#define WEIGHT_PIECE (8 << 10) /* bytes */

int lower_fail(struct lower *lower, const struct graph_node *node, int err, const char *format, ...)
{
	char text[200];
	va_list args;

	(void)node;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snprintf(lower->error, sizeof(lower->error), "%s", text);
	return err;
}

int lower_append(struct lower *lower, unsigned int tile, const union axl_insn *insn, const struct program_place *places)
{
	int err = program_append(lower->program, tile, insn, places);

	if (err)
		snprintf(lower->error, sizeof(lower->error), "%s", program_error(lower->program));
	return err;
}

int lower_create(struct program *program, const struct graph *graph, enum lower_precision precision,
		 struct lower **lower)
{
	static const enum axl_type types[] = {
		[LOWER_F32] = AXL_TYPE_F32, [LOWER_F16] = AXL_TYPE_F16, [LOWER_BF16] = AXL_TYPE_BF16};
	struct lower *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->tensors = calloc(graph->num_values + 1, sizeof(*l->tensors));
	l->cuts = calloc(graph->num_values + 1, sizeof(*l->cuts));
	l->estimates = calloc(graph->num_nodes + 1, sizeof(*l->estimates));
	l->kept_until = calloc(graph->num_nodes + 1, sizeof(*l->kept_until));
	l->runs = calloc(graph->num_nodes + 1, sizeof(*l->runs));
	l->stripes = calloc(graph->num_nodes + 1, sizeof(*l->stripes));
	l->first_row = calloc(graph->num_values + 1, sizeof(*l->first_row));
	l->packed = calloc(graph->num_nodes + 1, sizeof(*l->packed));
	l->graph = graph;
	if (!l->tensors || !l->cuts || !l->estimates || !l->kept_until || !l->runs || !l->stripes || !l->first_row ||
	    !l->packed) {
		lower_destroy(l);
		return -ENOMEM;
	}
	for (size_t i = 0; i < graph->num_values; i++)
		l->tensors[i].rank = -1;
	l->num_tensors = graph->num_values;
	l->program = program;
	l->target = program_target(program);
	l->precision = precision;
	l->float_type = types[precision];
	*lower = l;
	return 0;
}

void lower_destroy(struct lower *lower)
{
	if (!lower)
		return;
	free(lower->tensors);
	free(lower->cuts);
	free(lower->estimates);
	free(lower->kept_until);
	matrix_choices_finish(&lower->choices);
	free(lower->runs);
	free(lower->stripes);
	free(lower->first_row);
	for (size_t i = 0; lower->packed && i < lower->graph->num_nodes; i++)
		free(lower->packed[i].blocks);
	free(lower->packed);
	free(lower);
}

enum axl_type lower_type(const struct lower *lower, enum dtype type)
{
	switch (type) {
	case DTYPE_F32:
	case DTYPE_F16:
	case DTYPE_BF16:
		return lower->float_type;
	case DTYPE_U8:
		return AXL_TYPE_U8;
	case DTYPE_S8:
		return AXL_TYPE_S8;
	case DTYPE_S16:
		return AXL_TYPE_S16;
	case DTYPE_S32:
	case DTYPE_S64:
		return AXL_TYPE_S32;
	case DTYPE_BOOL:
		return AXL_TYPE_BOOL;
	default:
		return AXL_NUM_TYPES;
	}
}

/* ---- tensors ---- */

const struct tensor *lower_constant(const struct graph_value *value)
{
	return value->constant;
}

static void set_dense(struct dev_tensor *tensor, const struct graph_value *value, enum axl_type type, const int *order)
{
	int64_t stride = access_type_bytes(type);

	tensor->type = type;
	tensor->rank = value->rank;
	for (int i = value->rank - 1; i >= 0; i--) {
		int d = order ? order[i] : i;

		tensor->dims[d] = value->dims[d];
		tensor->stride[d] = stride;
		stride *= value->dims[d] > 0 ? value->dims[d] : 1;
	}
}

static void convert_element(const struct tensor *from, int64_t i, enum axl_type type, uint8_t *to)
{
	float f = (float)tensor_get_f64(from, i);
	int64_t n = dtype_is_float(from->dtype) ? 0 : tensor_get_s64(from, i);
	int32_t s32 = n > INT32_MAX ? INT32_MAX : n < INT32_MIN ? INT32_MIN : (int32_t)n;
	uint16_t half;

	switch (type) {
	case AXL_TYPE_F32:
		memcpy(to, &f, 4);
		break;
	case AXL_TYPE_F16:
		half = f32_to_f16(f);
		memcpy(to, &half, 2);
		break;
	case AXL_TYPE_BF16:
		half = f32_to_bf16(f);
		memcpy(to, &half, 2);
		break;
	case AXL_TYPE_S32:
		memcpy(to, &s32, 4);
		break;
	case AXL_TYPE_S16:
		memcpy(to, &s32, 2);
		break;
	case AXL_TYPE_BOOL:
		*to = n != 0;
		break;
	default:
		*to = (uint8_t)n;
	}
}

static int make_constant(struct lower *lower, const struct graph_value *value, struct dev_tensor *tensor)
{
	enum axl_type type = lower_type(lower, value->dtype);
	int64_t count = tensor_count(value->constant);
	size_t size = access_type_bytes(type);
	void *data;

	if (type >= AXL_NUM_TYPES)
		return -ENOTSUP;
	set_dense(tensor, value, type, NULL);
	tensor->place = (struct program_place){
		program_weight_alloc(lower->program, (uint64_t)count * size, value->name, &data), 0};
	if (!tensor->place.buf)
		return -ENOMEM;
	for (int64_t i = 0; i < count; i++)
		convert_element(value->constant, i, type, (uint8_t *)data + (size_t)i * size);
	return 0;
}

struct dev_tensor *lower_tensor(struct lower *lower, const struct graph_value *value)
{
	struct dev_tensor *tensor = &lower->tensors[value->id];

	if (cut_find(lower, value) && cut_spill(lower, value))
		return NULL;
	if (tensor->rank >= 0)
		return tensor;
	if (value->constant && !make_constant(lower, value, tensor))
		return tensor;
	tensor->rank = -1;
	return NULL;
}

static struct dev_tensor *make_output(struct lower *lower, const struct graph_value *value, const int *order,
				      bool may_reside)
{
	struct dev_tensor *tensor = &lower->tensors[value->id];
	enum axl_type type = lower_type(lower, value->dtype);
	int64_t count = dims_count(value->rank, value->dims), start;
	struct graph_node *concat;
	uint64_t bytes;

	if (tensor->rank >= 0)
		return tensor;
	if (type >= AXL_NUM_TYPES || count < 0)
		return NULL;
	if (place_of(lower, value, &concat, &start)) {
		const struct dev_tensor *whole = make_output(lower, concat->outputs[0], order, may_reside);
		int axis = place_axis(concat);

		if (whole && whole->type == type) {
			*tensor = *whole;
			memcpy(tensor->dims, value->dims, sizeof(tensor->dims));
			tensor->place.offset += (uint64_t)(start * whole->stride[axis]);
			return tensor;
		}
	}
	set_dense(tensor, value, type, order);
	bytes = (uint64_t)count * access_type_bytes(type);
	if (may_reside && resident_take(lower, value, bytes)) {
		tensor->place = (struct program_place){program_spad(lower->program, 0, bytes, value->name), 0};
		program_pin(lower->program, tensor->place.buf);
	} else {
		tensor->place = (struct program_place){program_arena(lower->program, bytes, value->name), 0};
	}
	if (!tensor->place.buf) {
		tensor->rank = -1;
		return NULL;
	}
	return tensor;
}

bool lower_image_order(const struct graph_value *value, int *order)
{
	static const char *const names[] = {"Conv",    "FusedConv",   "ConvTranspose",      "QLinearConv",
					    "MaxPool", "AveragePool", "QLinearAveragePool", "LRN"};

	if (!graph_read_by(value, names, sizeof(names) / sizeof(names[0])) || value->rank < 3 || value->rank > 4)
		return false;
	order[0] = 0;
	for (int d = 1; d < value->rank - 1; d++)
		order[d] = d + 1;
	order[value->rank - 1] = 1;
	return true;
}

struct dev_tensor *lower_output(struct lower *lower, const struct graph_value *value, const int *order)
{
	return make_output(lower, value, order, false);
}

struct dev_tensor *lower_output_resident(struct lower *lower, const struct graph_value *value, const int *order)
{
	return make_output(lower, value, order, true);
}

struct dev_tensor *lower_view(struct lower *lower, const struct graph_value *value)
{
	return &lower->tensors[value->id];
}

/* ---- boxes ---- */

int lower_spad(struct lower *lower, unsigned int tile, enum axl_type type, int rank, const int64_t *dims,
	       const int *order, const char *name, struct spad_view *view)
{
	int64_t stride = access_type_bytes(type);

	memset(view, 0, sizeof(*view));
	view->rank = rank;
	view->type = type;
	view->tile = tile;
	for (int i = rank - 1; i >= 0; i--) {
		int d = order ? order[i] : i;

		view->dims[d] = dims[d];
		view->stride[d] = stride;
		if (dims[d] < 1 || stride > (int64_t)1 << 32)
			return lower_fail(lower, NULL, -EINVAL, "an empty or huge scratchpad tensor");
		stride *= dims[d];
	}
	view->place = (struct program_place){program_spad(lower->program, tile, (uint64_t)stride, name), 0};
	if (!view->place.buf)
		return lower_fail(lower, NULL, -ENOMEM, "%s", program_error(lower->program));
	return 0;
}

/* One dimension of a transfer. */
struct dma_dim {
	int64_t count, mem, spad, lo, hi; /* valid indices [lo, hi) */
};

/* Dimensions of the box in @order, neighbours merged where both sides are dense and nothing is padded. */
static int gather_dims(const struct dev_tensor *tensor, const struct lower_box *box, const struct spad_view *view,
		       const int *order, struct dma_dim *dims)
{
	int count = 0;

	for (int i = 0; i < tensor->rank; i++) {
		int d = order[i];
		struct dma_dim dim = {.count = box->size[d], .mem = tensor->stride[d], .spad = view->stride[d]};
		struct dma_dim *last = count ? &dims[count - 1] : NULL;

		dim.lo = box->start[d] < 0 ? -box->start[d] : 0;
		dim.hi = tensor->dims[d] - box->start[d];
		dim.hi = dim.hi > dim.count ? dim.count : dim.hi < 0 ? 0 : dim.hi;
		if (dim.count == 1 && dim.lo == 0 && dim.hi == 1)
			continue;
		if (last && last->lo == 0 && last->hi == last->count && dim.lo == 0 && dim.hi == dim.count &&
		    last->mem == dim.mem * dim.count && last->spad == dim.spad * dim.count &&
		    last->count * dim.count < INT32_MAX) {
			*last = (struct dma_dim){last->count * dim.count, dim.mem, dim.spad, 0,
						 last->count * dim.count};
			continue;
		}
		dims[count++] = dim;
	}
	return count;
}

static int append_dma(struct lower *lower, union axl_insn *insn, const struct dma_dim *dims, int count,
		      struct program_place memory, struct program_place spad, unsigned int tile)
{
	struct program_place places[PROGRAM_MAX_PLACES] = {memory, spad};

	if (count > DMA_DIMS) { /* peel the outermost dimension */
		for (int64_t i = 0; i < dims[0].count; i++) {
			struct program_place m = memory, s = spad;
			int err;

			if (i < dims[0].lo || i >= dims[0].hi)
				return lower_fail(lower, NULL, -ENOTSUP, "a padded box of more than five dimensions");
			m.offset += (uint64_t)(i * dims[0].mem);
			s.offset += (uint64_t)(i * dims[0].spad);
			err = append_dma(lower, insn, dims + 1, count - 1, m, s, tile);
			if (err)
				return err;
		}
		return 0;
	}
	for (int d = 0; d < DMA_DIMS; d++) {
		const struct dma_dim *dim = d < DMA_DIMS - count ? NULL : &dims[d - (DMA_DIMS - count)];

		insn->dma.dims[d] = dim ? (uint32_t)dim->count : 1;
		insn->dma.mem_stride[d] = dim ? (int32_t)dim->mem : 0;
		insn->dma.spad_stride[d] = dim ? (int32_t)dim->spad : 0;
		insn->dma.lo[d] = insn->dma.hi[d] = 0;
		if (!dim || (dim->lo == 0 && dim->hi == dim->count))
			continue;
		if (dim->lo > PAD_MAX || dim->hi > PAD_MAX || dim->mem > INT32_MAX || dim->mem < INT32_MIN)
			return lower_fail(lower, NULL, -ENOTSUP, "padding of more than %d elements", PAD_MAX);
		/* Nothing valid: lo at the end, whatever hi says. */
		insn->dma.lo[d] = (uint16_t)(dim->hi <= dim->lo ? dim->count : dim->lo);
		insn->dma.hi[d] = (uint16_t)(dim->hi == dim->count ? 0 : dim->hi);
	}
	return lower_append(lower, tile, insn, places);
}

/* Where the first valid element of the box lies in memory. */
static struct program_place box_place(const struct dev_tensor *tensor, const struct lower_box *box)
{
	struct program_place place = tensor->place;

	for (int d = 0; d < tensor->rank; d++) {
		int64_t first = box->start[d] < 0 ? 0 : box->start[d];

		if (first < tensor->dims[d])
			place.offset += (uint64_t)(first * tensor->stride[d]);
	}
	return place;
}

static int load_box(struct lower *lower, const struct dev_tensor *tensor, const struct lower_box *box, uint8_t tiles,
		    const int *order, uint32_t fill, enum axl_pipe pipe, enum axl_purpose purpose,
		    struct spad_view *view)
{
	union axl_insn insn = {.dma = {.header = {.opcode = AXL_OP_LOAD, .pipe = (uint8_t)pipe},
				       .mem_type = (uint8_t)tensor->type,
				       .spad_type = (uint8_t)view->type,
				       .fill = fill,
				       .tiles = tiles,
				       .purpose = (uint8_t)purpose}};
	struct dma_dim dims[TENSOR_MAX_RANK];
	int count = gather_dims(tensor, box, view, order, dims);

	return append_dma(lower, &insn, dims, count, box_place(tensor, box), view->place, view->tile);
}

/* The box of a resident tensor where it lies; false: it reaches beyond the tensor. */
static bool resident_view(const struct dev_tensor *tensor, const struct lower_box *box, struct spad_view *view)
{
	*view = (struct spad_view){.place = box_place(tensor, box), .rank = tensor->rank, .type = tensor->type};
	for (int d = 0; d < tensor->rank; d++) {
		if (box->start[d] < 0 || box->start[d] + box->size[d] > tensor->dims[d])
			return false;
		view->dims[d] = box->size[d];
		view->stride[d] = tensor->stride[d];
	}
	return true;
}

/* Instructions want the innermost dimension of @order dense; the others may have any stride. */
static bool inner_is_dense(const struct spad_view *view, const int *order)
{
	for (int i = view->rank - 1; i >= 0; i--)
		if (view->dims[order[i]] > 1)
			return view->stride[order[i]] == (int64_t)access_type_bytes(view->type);
	return true;
}

/* From a resident tensor: no transfer; a copy in the scratchpad where type or order differ. */
static int fetch_resident(struct lower *lower, const struct dev_tensor *tensor, const struct lower_box *box,
			  enum axl_type type, const int *order, struct spad_view *view)
{
	struct vec_args copy = {.op = AXL_VEC_COPY};
	struct spad_view here;
	int err;

	if (!resident_view(tensor, box, &here))
		return lower_fail(lower, NULL, -ENOSPC, "a resident tensor would have to be padded");
	if (type == tensor->type && inner_is_dense(&here, order)) {
		*view = here;
		return 0;
	}
	err = lower_spad(lower, 0, type, tensor->rank, box->size, order, "in", view);
	return err ? err : vec_append(lower, 0, &copy, tensor->rank, box->size, order, view, &here, NULL);
}

int lower_fetch(struct lower *lower, const struct dev_tensor *tensor, const struct lower_box *box, unsigned int tile,
		uint8_t tiles, enum axl_type type, const int *order, uint32_t fill, enum axl_pipe pipe,
		enum axl_purpose purpose, struct spad_view *view)
{
	int own[TENSOR_MAX_RANK];
	int err;

	if (type >= AXL_NUM_TYPES)
		return lower_fail(lower, NULL, -ENOTSUP, "an element type that the device does not have");
	tensor_order(tensor, own);
	if (!order)
		order = own;
	if (tensor_is_resident(lower, tensor))
		return fetch_resident(lower, tensor, box, type, order, view);
	err = lower_spad(lower, tile, type, tensor->rank, box->size, order, "in", view);
	if (err)
		return err;
	if (tiles) {
		view->place.buf = program_multicast(lower->program, tiles,
						    program_buf_bytes(lower->program, view->place.buf), "shared");
		if (!view->place.buf)
			return lower_fail(lower, NULL, -ENOMEM, "%s", program_error(lower->program));
	}
	/* Walked in memory's own order, whatever the view's: runs stay long there, and the scratchpad takes any stride. */
	return load_box(lower, tensor, box, tiles, own, fill, pipe, purpose, view);
}

static int store_box(struct lower *lower, const struct dev_tensor *tensor, const struct lower_box *box,
		     const struct spad_view *view)
{
	union axl_insn insn = {.dma = {.header = {.opcode = AXL_OP_STORE, .pipe = AXL_PIPE_STORE},
				       .mem_type = (uint8_t)tensor->type,
				       .spad_type = (uint8_t)view->type,
				       .purpose = AXL_PURPOSE_OUTPUT}};
	struct dma_dim dims[TENSOR_MAX_RANK];
	int order[TENSOR_MAX_RANK], count;

	tensor_order(tensor, order);
	count = gather_dims(tensor, box, view, order, dims);
	return append_dma(lower, &insn, dims, count, box_place(tensor, box), view->place, view->tile);
}

int lower_fetch_pieces(struct lower *lower, const struct dev_tensor *tensor, int64_t bytes, int64_t room,
		       unsigned int tile, uint8_t tiles, struct spad_view *view)
{
	static const int order[] = {0};
	struct spad_view part;
	int err = 0;

	*view = (struct spad_view){
		.rank = 1, .dims = {bytes}, .stride = {1}, .type = tensor->type, .tile = tiles ? 0 : tile};
	view->place.buf = tiles ? program_multicast(lower->program, tiles, (uint64_t)room, "weights")
				: program_spad(lower->program, tile, (uint64_t)room, "weights");
	if (!view->place.buf)
		return lower_fail(lower, NULL, -ENOMEM, "%s", program_error(lower->program));
	part = *view;
	for (int64_t at = 0; at < bytes && !err; at += WEIGHT_PIECE) {
		struct lower_box box = {.start = {at}, .size = {bytes - at < WEIGHT_PIECE ? bytes - at : WEIGHT_PIECE}};

		part.dims[0] = box.size[0];
		part.place.offset = (uint64_t)at;
		err = load_box(lower, tensor, &box, tiles, order, 0, AXL_PIPE_WEIGHT, AXL_PURPOSE_WEIGHT, &part);
	}
	return err;
}

int lower_load_view(struct lower *lower, const struct dev_tensor *tensor, const struct lower_box *box,
		    struct spad_view *view)
{
	int order[TENSOR_MAX_RANK];

	tensor_order(tensor, order);
	return load_box(lower, tensor, box, 0, order, 0, AXL_PIPE_LOAD, AXL_PURPOSE_ACTIVATION, view);
}

int lower_store_view(struct lower *lower, const struct dev_tensor *tensor, const struct lower_box *box,
		     const struct spad_view *view)
{
	return store_box(lower, tensor, box, view);
}

int lower_commit(struct lower *lower, const struct dev_tensor *tensor, const struct lower_box *box,
		 const struct spad_view *view)
{
	struct vec_args copy = {.op = AXL_VEC_COPY};
	struct spad_view stays;
	int order[TENSOR_MAX_RANK];

	if (view->place.buf == tensor->place.buf)
		return 0; /* it was written where it stays */
	if (tensor_is_resident(lower, tensor)) {
		tensor_order(tensor, order);
		if (!resident_view(tensor, box, &stays))
			return lower_fail(lower, NULL, -ENOSPC, "a box beyond its resident tensor");
		return vec_append(lower, 0, &copy, view->rank, box->size, order, &stays, view, NULL);
	}
	return store_box(lower, tensor, box, view);
}
