/* SPDX-License-Identifier: MIT */
/* See lower_loop.h. */
#include "compiler/target/lower_loop.h"
#include "compiler/target/arith.h"
#include "compiler/target/resident.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define VEC_DIMS 5
#define VEC_DIM_MAX 65535

static int64_t type_bytes(enum axl_type type)
{
	static const uint8_t bytes[AXL_NUM_TYPES] = {
#define TYPE_BYTES(name, number, size, text) [number] = size,
		AXL_TYPES(TYPE_BYTES)
#undef TYPE_BYTES
	};
	return bytes[type];
}

uint32_t float_to_bits(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

void tensor_order(const struct dev_tensor *tensor, int *order)
{
	int64_t key[TENSOR_MAX_RANK], last = INT64_MAX;

	/* A dimension of size 1 or stride 0 goes where its left neighbour went. */
	for (int d = 0; d < tensor->rank; d++) {
		order[d] = d;
		if (tensor->dims[d] != 1 && tensor->stride[d])
			last = tensor->stride[d] < 0 ? -tensor->stride[d] : tensor->stride[d];
		key[d] = last;
	}
	for (int i = 1; i < tensor->rank; i++)
		for (int j = i; j > 0 && key[order[j]] > key[order[j - 1]]; j--) {
			int swap = order[j];

			order[j] = order[j - 1];
			order[j - 1] = swap;
		}
}

struct dev_tensor tensor_align(const struct dev_tensor *tensor, int rank)
{
	struct dev_tensor aligned = *tensor;
	int shift = rank - tensor->rank;

	aligned.rank = rank;
	for (int d = 0; d < rank; d++) {
		aligned.dims[d] = d < shift ? 1 : tensor->dims[d - shift];
		aligned.stride[d] = d < shift ? 0 : tensor->stride[d - shift];
	}
	return aligned;
}

static struct dev_tensor dense_constant(struct lower *lower, enum axl_type type, int rank, const int64_t *dims,
					const void *values)
{
	struct dev_tensor tensor = {.type = type, .rank = rank};
	int64_t bytes = type_bytes(type);

	for (int d = rank - 1; d >= 0; d--) {
		tensor.dims[d] = dims[d];
		tensor.stride[d] = bytes;
		bytes *= dims[d];
	}
	tensor.place.buf = program_weight(lower->program, values, (uint64_t)bytes, "table");
	return tensor;
}

struct dev_tensor tensor_of_floats(struct lower *lower, int rank, const int64_t *dims, const float *values)
{
	return dense_constant(lower, AXL_TYPE_F32, rank, dims, values);
}

struct dev_tensor tensor_of_ints(struct lower *lower, int rank, const int64_t *dims, const int32_t *values)
{
	return dense_constant(lower, AXL_TYPE_S32, rank, dims, values);
}

struct dev_tensor tensor_of_bytes(struct lower *lower, int64_t count, const uint8_t *values)
{
	return dense_constant(lower, AXL_TYPE_U8, 1, &count, values);
}

/* ---- one vector operation ---- */

/* The operation's dimensions after merging, outermost first; strides of dst, a, b. */
struct vec_shape {
	int rank;
	int64_t dims[TENSOR_MAX_RANK];
	int64_t stride[3][TENSOR_MAX_RANK];
	bool reduced[TENSOR_MAX_RANK];
};

static int64_t operand_stride(const struct spad_view *view, int d)
{
	return !view || view->dims[d] == 1 ? 0 : view->stride[d];
}

static void merge_dims(struct vec_shape *shape, const struct vec_args *args, int rank, const int64_t *dims,
		       const int *order, const struct spad_view *const *views)
{
	shape->rank = 0;
	for (int i = 0; i < rank; i++) {
		int d = order ? order[i] : i, last = shape->rank - 1;
		bool reduced = args->reduce >> d & 1, fits = last >= 0;

		if (dims[d] == 1)
			continue;
		fits = fits && shape->reduced[last] == reduced && shape->dims[last] * dims[d] <= VEC_DIM_MAX;
		for (int v = 0; v < 3 && fits; v++)
			if (!(v == 0 && reduced))
				fits = shape->stride[v][last] == operand_stride(views[v], d) * dims[d];
		if (!fits) {
			last = shape->rank++;
			shape->dims[last] = 1;
			shape->reduced[last] = reduced;
		}
		shape->dims[last] *= dims[d];
		for (int v = 0; v < 3; v++)
			shape->stride[v][last] = operand_stride(views[v], d);
	}
	if (!shape->rank) {
		shape->rank = 1;
		shape->dims[0] = 1;
		shape->reduced[0] = false;
		for (int v = 0; v < 3; v++)
			shape->stride[v][0] = 0;
	}
}

static int append_vec(struct lower *lower, unsigned int tile, const struct vec_args *args,
		      const struct vec_shape *shape, const struct spad_view *const *views, const int64_t *offset)
{
	union axl_insn insn = {.vec = {
				       .header.opcode = AXL_OP_VEC,
				       .op = (uint8_t)args->op,
				       .imm0 = args->imm0,
				       .imm1 = args->imm1,
				       .gather_stride = args->gather_stride,
				       .limit = args->limit,
				       .dst_type = (uint8_t)views[0]->type,
				       .src0_type = (uint8_t)views[1]->type,
			       }};
	struct program_place places[PROGRAM_MAX_PLACES] = {views[0]->place, views[1]->place, {0, 0}, args->table};
	int skip = VEC_DIMS - shape->rank;

	if (views[2]) {
		insn.vec.src1_type = (uint8_t)views[2]->type;
		places[2] = views[2]->place;
	}
	for (int v = 0; v < 3; v++)
		if (views[v])
			places[v].offset += (uint64_t)offset[v];
	for (int d = 0; d < VEC_DIMS; d++) {
		insn.vec.dims[d] = d < skip ? 1 : (uint16_t)shape->dims[d - skip];
		insn.vec.dst_stride[d] = d < skip ? 0 : (int32_t)shape->stride[0][d - skip];
		insn.vec.src0_stride[d] = d < skip ? 0 : (int32_t)shape->stride[1][d - skip];
		insn.vec.src1_stride[d] = d < skip ? 0 : (int32_t)shape->stride[2][d - skip];
		if (d >= skip && shape->reduced[d - skip]) {
			insn.vec.reduce_mask |= (uint8_t)(1u << d);
			insn.vec.dst_stride[d] = 0;
		}
	}
	return lower_append(lower, tile, &insn, places);
}

/* Peel outer dimensions into loops until five of at most 65535 are left. Only dimensions that are not reduced can be
 * peeled. */
static int append_shape(struct lower *lower, unsigned int tile, const struct vec_args *args,
			const struct vec_shape *shape, const struct spad_view *const *views, const int64_t *offset)
{
	int peel = -1;

	for (int d = 0; d < shape->rank && peel < 0; d++)
		if (shape->dims[d] > VEC_DIM_MAX && !shape->reduced[d])
			peel = d;
	for (int d = 0; d < shape->rank && peel < 0 && shape->rank > VEC_DIMS; d++)
		if (!shape->reduced[d])
			peel = d;
	if (peel < 0) {
		if (shape->rank > VEC_DIMS)
			return -ENOTSUP;
		for (int d = 0; d < shape->rank; d++)
			if (shape->dims[d] > VEC_DIM_MAX)
				return -ENOTSUP;
		return append_vec(lower, tile, args, shape, views, offset);
	}
	for (int64_t i = 0; i < shape->dims[peel];) {
		int64_t count = shape->dims[peel] > VEC_DIM_MAX ? MIN(VEC_DIM_MAX, shape->dims[peel] - i) : 1;
		struct vec_shape part = *shape;
		int64_t at[3];
		int err;

		part.dims[peel] = count;
		for (int v = 0; v < 3; v++)
			at[v] = offset[v] + i * shape->stride[v][peel];
		if (count == 1) {
			part.rank--;
			for (int d = peel; d < part.rank; d++) {
				part.dims[d] = part.dims[d + 1];
				part.reduced[d] = part.reduced[d + 1];
				for (int v = 0; v < 3; v++)
					part.stride[v][d] = part.stride[v][d + 1];
			}
		}
		err = append_shape(lower, tile, args, &part, views, at);
		if (err)
			return err;
		i += count;
	}
	return 0;
}

int vec_append(struct lower *lower, unsigned int tile, const struct vec_args *args, int rank, const int64_t *dims,
	       const int *order, const struct spad_view *dst, const struct spad_view *a, const struct spad_view *b)
{
	const struct spad_view *views[3] = {dst, a, b};
	const int64_t offset[3] = {0, 0, 0};
	struct vec_shape shape;

	merge_dims(&shape, args, rank, dims, order, views);
	return append_shape(lower, tile, args, &shape, views, offset);
}

/* ---- the loop ---- */

/* Scratchpad bytes of one box of @size points by dimension. */
static int64_t box_bytes(const struct loop *loop, const int64_t *size)
{
	int64_t full = 1, bytes = 0, temps = 0, reds = 0, reduced = 1;

	for (int d = 0; d < loop->rank; d++) {
		full *= size[d];
		reduced *= loop->whole >> d & 1 ? 1 : size[d];
	}
	for (int i = 0; i < loop->num_inputs; i++) {
		int64_t points = 1;

		for (int d = 0; d < loop->rank; d++)
			points *= loop->inputs[i].dims[d] == 1 ? 1 : size[d];
		bytes += points * type_bytes(loop->in_type[i]) + 64;
	}
	for (int i = 0; i < loop->num_steps; i++) {
		if (loop->steps[i].dst >= LOOP_TEMP && loop->steps[i].dst < LOOP_RED)
			temps |= 1 << loop->steps[i].dst;
		if (loop->steps[i].dst >= LOOP_RED && loop->steps[i].dst < LOOP_OUT)
			reds |= 1 << loop->steps[i].dst;
	}
	bytes += __builtin_popcountll((unsigned long long)temps) * (full * type_bytes(loop->temp_type) + 64);
	bytes += __builtin_popcountll((unsigned long long)reds) * (reduced * 4 + 64);
	bytes += loop->table ? LOOP_TABLE_SIZE * type_bytes(loop->table->type) + 64 : 0;
	/* Without steps the fetched box itself is stored. */
	bytes += loop->also ? full * type_bytes(loop->also->type) + 64 : 0;
	return bytes + (loop->num_steps ? (loop->out_reduced ? reduced : full) * 4 + 64 : 0);
}

bool loop_fits(const struct target *target, int64_t points, int64_t bytes)
{
	return points <= (int64_t)target->spad_bytes / 2 / MAX(bytes, 1);
}

/* What a tile should have, so that transfers and steps of one box run beside those of the next; smaller ones do not pay. */
#define BOXES_A_TILE 8
#define BOXES_OF_MANY_TILES 4
#define SMALL_BOX 16384

/*
 * Boxes: halve the outermost dimension that can still be cut until two boxes fit, and each tile has its own, several
 * where they are large.
 */
static int choose_box(const struct lower *lower, const struct loop *loop, int64_t *size)
{
	int64_t budget = ((int64_t)lower->target->spad_bytes - (int64_t)lower->resident.bytes) / 2 -
			 lower->target->spad_bytes / 32;
	int64_t boxes = 1, tiles = lower->target->tiles;
	int64_t wanted = tiles > 1 ? tiles * BOXES_OF_MANY_TILES : BOXES_A_TILE;

	memcpy(size, loop->dims, sizeof(loop->dims));
	for (;;) {
		bool fits = box_bytes(loop, size) <= budget;
		int cut = -1;

		for (int i = 0; i < loop->rank && cut < 0; i++)
			if (size[loop->order[i]] > 1 && !(loop->whole >> loop->order[i] & 1))
				cut = loop->order[i];
		if (fits && (boxes >= wanted || cut < 0 || box_bytes(loop, size) < SMALL_BOX ||
			     (tiles > 1 && boxes >= tiles && box_bytes(loop, size) < 4 * SMALL_BOX)))
			return 0;
		if (cut < 0)
			return box_bytes(loop, size) <= budget * 2 ? 0 : -ENOSPC;
		boxes = boxes * ((size[cut] + (size[cut] + 1) / 2 - 1) / ((size[cut] + 1) / 2));
		size[cut] = (size[cut] + 1) / 2;
	}
}

/* A register's view for a box, made when first written. */
static int make_register(struct lower *lower, const struct loop *loop, unsigned int tile, const int64_t *size,
			 int index, struct spad_view *view)
{
	int64_t dims[TENSOR_MAX_RANK];
	bool reduced = (index >= LOOP_RED && index < LOOP_OUT) || (index == LOOP_OUT && loop->out_reduced);
	enum axl_type type = loop->temp_type;

	if (loop->reg_type && index < LOOP_OUT)
		type = loop->reg_type[index];
	if (index >= LOOP_RED && index < LOOP_OUT && type == AXL_TYPE_F16)
		type = AXL_TYPE_F32; /* sums and means: few, and their errors count for many */
	if (index == LOOP_OUT)
		type = loop->out->type == AXL_TYPE_S64 ? AXL_TYPE_S32 : loop->out->type;
	if (index == LOOP_ALSO)
		type = loop->also->type;
	for (int d = 0; d < loop->rank; d++)
		dims[d] = reduced && (loop->whole >> d & 1) ? 1 : size[d];
	return lower_spad(lower, tile, type, loop->rank, dims, loop->order, "vec", view);
}

static bool is_reduction(enum axl_vec_op op)
{
	return op >= AXL_VEC_RSUM && op <= AXL_VEC_ARGMIN;
}

static int run_steps(struct lower *lower, const struct loop *loop, unsigned int tile, const int64_t *size,
		     struct spad_view *regs)
{
	uint32_t made = 0;

	for (int i = 0; i < loop->num_steps; i++) {
		const struct loop_step *step = &loop->steps[i];
		struct vec_args args = {.op = step->op};
		struct spad_view *dst = &regs[step->dst];
		int64_t dims[TENSOR_MAX_RANK];
		int err = 0;

		args.imm0 = loop->integer_imm ? (uint32_t)(int32_t)step->imm0 : float_to_bits(step->imm0);
		args.imm1 = loop->integer_imm || step->op == AXL_VEC_QUANT || step->op == AXL_VEC_DEQUANT
				    ? (uint32_t)(int32_t)step->imm1
				    : float_to_bits(step->imm1);
		if (!(made >> step->dst & 1) && step->dst >= LOOP_TEMP && !dst->place.buf)
			err = make_register(lower, loop, tile, size, step->dst, dst);
		made |= 1u << step->dst;
		if (is_reduction(step->op))
			args.reduce = loop->whole;
		if (step->op == AXL_VEC_TABLE)
			args.table = regs[LOOP_LOOKUP].place;
		if (step->op == AXL_VEC_GATHER) {
			args.gather_stride = (int32_t)type_bytes(regs[LOOP_LOOKUP].type);
			args.limit = LOOP_TABLE_SIZE;
		}
		for (int d = 0; d < loop->rank; d++)
			dims[d] = is_reduction(step->op) ? size[d] : dst->dims[d];
		if (!err)
			err = vec_append(lower, tile, &args, loop->rank, dims, loop->order, dst, &regs[step->a],
					 step->b == LOOP_NONE ? NULL : &regs[step->b]);
		if (err)
			return err == -ENOTSUP ? lower_fail(lower, loop->node, err,
							    "its shape needs more than %d vector dimensions", VEC_DIMS)
					       : err;
	}
	return 0;
}

/* A box of an output that stays in the scratchpad is written there at once: @view gets the place; else nothing. */
static int write_in_place(struct lower *lower, const struct loop *loop, const struct dev_tensor *out,
			  const int64_t *start, const int64_t *size, struct spad_view *view)
{
	struct lower_box box = {{0}, {0}};
	int order[TENSOR_MAX_RANK];

	tensor_order(out, order);
	if (!tensor_is_resident(lower, out) || (loop->out_reduced && out == loop->out) || !loop->num_steps ||
	    memcmp(order, loop->order, (size_t)loop->rank * sizeof(order[0])))
		return 0;
	memcpy(box.start, start, (size_t)loop->rank * sizeof(start[0]));
	memcpy(box.size, size, (size_t)loop->rank * sizeof(size[0]));
	return lower_fetch(lower, out, &box, 0, 0, out->type, order, 0, AXL_PIPE_LOAD, AXL_PURPOSE_ACTIVATION, view);
}

/* The loop's table in @tile, as an operand of one element for the whole box: @view, which keeps it for later boxes. */
static int fetch_table(struct lower *lower, const struct loop *loop, unsigned int tile, struct spad_view *view)
{
	struct lower_box box = {{0}, {LOOP_TABLE_SIZE}};
	int err;

	if (!loop->table || view->place.buf)
		return 0;
	err = lower_fetch(lower, loop->table, &box, tile, 0, loop->table->type, NULL, 0, AXL_PIPE_WEIGHT,
			  AXL_PURPOSE_WEIGHT, view);
	view->rank = loop->rank;
	for (int d = 0; d < loop->rank; d++)
		view->dims[d] = 1;
	return err;
}

int loop_box(struct lower *lower, const struct loop *loop, unsigned int tile, const int64_t *start, const int64_t *size,
	     struct spad_view *table)
{
	struct spad_view regs[LOOP_REGS];
	struct lower_box box;
	int err = fetch_table(lower, loop, tile, table);

	if (err)
		return err;
	memset(regs, 0, sizeof(regs));
	regs[LOOP_LOOKUP] = *table;
	for (int i = 0; i < loop->num_inputs; i++) {
		for (int d = 0; d < loop->rank; d++) {
			bool broadcast = loop->inputs[i].dims[d] == 1;

			box.start[d] = broadcast ? 0 : start[d];
			box.size[d] = broadcast ? 1 : size[d];
		}
		err = lower_fetch(lower, &loop->inputs[i], &box, tile, 0, loop->in_type[i], loop->order, 0,
				  AXL_PIPE_LOAD, AXL_PURPOSE_ACTIVATION, &regs[LOOP_IN + i]);
		if (err)
			return err;
	}
	if (loop->cut)
		regs[LOOP_OUT] = loop_part_view(loop, tile, start, size);
	else
		err = write_in_place(lower, loop, loop->out, start, size, &regs[LOOP_OUT]);
	if (!err && loop->also)
		err = write_in_place(lower, loop, loop->also, start, size, &regs[LOOP_ALSO]);
	if (!err)
		err = run_steps(lower, loop, tile, size, regs);
	if (err)
		return err;
	for (int d = 0; d < loop->rank; d++) {
		bool one = loop->out_reduced && (loop->whole >> d & 1);

		box.start[d] = one ? 0 : start[d];
		box.size[d] = one ? 1 : size[d];
	}
	if (loop->cut)
		return loop_part_commit(lower, loop, tile, start, size);
	err = lower_commit(lower, loop->out, &box, &regs[loop->num_steps ? LOOP_OUT : LOOP_IN]);
	return err || !loop->also ? err : lower_commit(lower, loop->also, &box, &regs[LOOP_ALSO]);
}

int loop_run(struct lower *lower, const struct loop *loop)
{
	int64_t start[TENSOR_MAX_RANK] = {0}, step[TENSOR_MAX_RANK], size[TENSOR_MAX_RANK];
	struct spad_view tables[AXL_MAX_TILES];
	uint64_t boxes = 1;
	unsigned int tile = 0;
	int d = 0;

	if (loop->cut)
		return loop_run_parts(lower, loop);
	memset(tables, 0, sizeof(tables));
	if (choose_box(lower, loop, step))
		return lower_fail(lower, loop->node, -ENOSPC,
				  "one row of the reduced dimensions does not fit the scratchpad");
	for (int i = 0; i < loop->rank; i++)
		boxes *= (uint64_t)((loop->dims[i] + step[i] - 1) / step[i]);
	while (d >= 0) {
		bool paused;
		int err = resident_pause(lower, lower->estimates[lower->at] / boxes, &paused);

		if (err)
			return err;
		if (paused)
			memset(tables, 0, sizeof(tables));
		for (int i = 0; i < loop->rank; i++)
			size[i] = MIN(step[i], loop->dims[i] - start[i]);
		err = loop_box(lower, loop, tile, start, size, &tables[tile]);
		if (err)
			return err;
		tile = (tile + 1) % lower->target->tiles;
		/* Odometer, innermost dimension in memory order first. */
		for (d = loop->rank - 1; d >= 0; d--) {
			start[loop->order[d]] += step[loop->order[d]];
			if (start[loop->order[d]] < loop->dims[loop->order[d]])
				break;
			start[loop->order[d]] = 0;
		}
	}
	return 0;
}

int tensor_copy_device(struct lower *lower, const struct graph_node *node, const struct dev_tensor *from,
		       const struct dev_tensor *to)
{
	struct loop loop = {.node = node, .rank = to->rank, .num_inputs = 1, .out = to, .inputs = {*from}};

	memcpy(loop.dims, to->dims, sizeof(loop.dims));
	tensor_order(to, loop.order);
	/* Convert where it costs nothing: in the store when that is the narrower side. */
	loop.in_type[0] = type_bytes(from->type) < type_bytes(to->type) ? from->type : to->type;
	if (loop.in_type[0] == AXL_TYPE_S64)
		loop.in_type[0] = AXL_TYPE_S32;
	loop.temp_type = AXL_TYPE_F32;
	return loop_run(lower, &loop);
}
