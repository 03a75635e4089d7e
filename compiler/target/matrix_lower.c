/* SPDX-License-Identifier: MIT */
/*
 * Matrix work to instructions. Knows the packing of weights and the loop nest; the tiling comes from matrix_plan().
 *
 *	for image
 *	  for stripe of output rows	       fetch the input rows (all channels)
 *	    for block of output channels       fetch the weight block (unless kept)
 *	      for chunk of positions	       CONV per group and K block into an accumulator buffer, DRAIN, store
 *
 * Where K is cut into blocks (its weights would not fit), the weight blocks are fetched for each chunk, one K block at
 * a time.
 *
 * One weight block is one contiguous run of memory: bias table, scale table (of the last block of K only), then W[k][n], in
 * the order in which blocks are used.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/target/arith.h"
#include "compiler/target/cost.h"
#include "compiler/target/matrix_nest.h"
#include "compiler/target/resident.h"

static size_t type_bytes(enum axl_type type)
{
	static const uint8_t bytes[AXL_NUM_TYPES] = {
#define TYPE_BYTES(name, number, size, text) [number] = size,
		AXL_TYPES(TYPE_BYTES)
#undef TYPE_BYTES
	};
	return bytes[type];
}

void matrix_input_rows(const struct matrix_work *work, int64_t first, int64_t count, int64_t *row, int64_t *rows)
{
	int64_t low = first * work->sh - work->pt;
	int64_t high = (first + count - 1) * work->sh + (work->kh - 1) * work->dh - work->pt;
	int64_t begin = low <= 0 ? 0 : ceil_div(low, work->in_dil_h);
	int64_t end = high < 0 ? 0 : high / work->in_dil_h + 1;

	begin = MIN(begin, work->ih - 1);
	end = MAX(MIN(end, work->ih), begin + 1);
	*row = begin;
	*rows = end - begin;
}

/* ---- weights ---- */

/* The blocks that an image before has packed by the same plan; where there are none yet, or by another, new ones. */
static program_buf *packed_before(struct nest *nest, struct packed_weights *before)
{
	size_t count = (size_t)(nest->n_blocks * nest->k_blocks);

	if (before->blocks && before->n == nest->plan.n && before->k == nest->plan.k && before->plane == nest->plane)
		return before->blocks;
	free(before->blocks);
	*before = (struct packed_weights){nest->plan.n, nest->plan.k, nest->plane,
					  calloc(count, sizeof(*before->blocks))};
	return before->blocks;
}

int nest_start(struct nest *nest, const struct matrix_choice *choice)
{
	struct lower *lower = nest->lower;
	size_t node = (size_t)nest->work->node->id;
	bool again = lower->runs[node] && lower->packed[node].blocks;

	nest->kept = calloc((size_t)nest->n_blocks, sizeof(*nest->kept));
	nest->own_packed = !lower->runs[node];
	nest->packed = nest->own_packed ? calloc((size_t)(nest->n_blocks * nest->k_blocks), sizeof(*nest->packed))
					: packed_before(nest, &lower->packed[node]);
	if (!nest->kept || !nest->packed || (!again && matrix_choices_append(&lower->choices, choice)))
		return lower_fail(lower, nest->work->node, -ENOMEM, "out of memory");
	return 0;
}

void nest_finish(struct nest *nest)
{
	free(nest->kept);
	if (nest->own_packed)
		free(nest->packed);
}

static float weight_float(const struct work_weight *weight, int64_t index)
{
	switch (weight->dtype) {
	case DTYPE_F32:
		return ((const float *)weight->data)[index];
	case DTYPE_F16:
		return f16_to_f32(((const uint16_t *)weight->data)[index]);
	case DTYPE_BF16:
		return bf16_to_f32(((const uint16_t *)weight->data)[index]);
	default:
		return (float)((const double *)weight->data)[index];
	}
}

/* A run of @n weights from @index, the stride of output channels apart. */
static void pack_run(const struct matrix_work *work, uint8_t *dst, int64_t index, int64_t n)
{
	const struct work_weight *weight = &work->weight;

	switch (work->w_type) {
	case AXL_TYPE_F32:
		for (int64_t i = 0; i < n; i++, index += weight->so)
			((float *)dst)[i] = weight_float(weight, index);
		break;
	case AXL_TYPE_F16:
		for (int64_t i = 0; i < n; i++, index += weight->so)
			((uint16_t *)dst)[i] = f32_to_f16(weight_float(weight, index));
		break;
	case AXL_TYPE_BF16:
		for (int64_t i = 0; i < n; i++, index += weight->so)
			((uint16_t *)dst)[i] = f32_to_bf16(weight_float(weight, index));
		break;
	default:
		for (int64_t i = 0; i < n; i++, index += weight->so)
			dst[i] = ((const uint8_t *)weight->data)[index];
	}
}

/* One row of W: @n output channels from @oc at (c, ky, kx). */
static void pack_row(const struct matrix_work *work, uint8_t *dst, int64_t oc, int64_t n, int64_t c, int64_t ky,
		     int64_t kx)
{
	const struct work_weight *weight = &work->weight;
	int64_t per_group = work->oc / work->groups, end = oc + n;

	while (oc < end) {
		int64_t group = oc / per_group;
		int64_t count = weight->sg ? MIN((group + 1) * per_group, end) - oc : end - oc;

		pack_run(work, dst,
			 oc * weight->so + group * weight->sg + c * weight->sc + ky * weight->sy + kx * weight->sx,
			 count);
		dst += (size_t)count * type_bytes(work->w_type);
		oc += count;
	}
}

/* The tables of a block whose channels end with @k_end: only the last of K is drained and has any. */
static size_t table_bytes(const struct matrix_work *work, int64_t n, int64_t k_end)
{
	size_t tables = k_end == work->ic ? (work->bias != NULL) + (work->scale != NULL) : 0;

	return (tables * (size_t)n * 4 + 63) & ~(size_t)63;
}

static int64_t block_rows(const struct matrix_work *work, int64_t k)
{
	return work->kh * work->kw * (work->depthwise ? 1 : k);
}

static size_t block_bytes(const struct matrix_work *work, int64_t n, int64_t k0, int64_t k)
{
	size_t w = work->dynamic   ? 0
		   : work->uniform ? type_bytes(work->w_type)
				   : (size_t)(block_rows(work, k) * n) * type_bytes(work->w_type);

	return table_bytes(work, n, k0 + k) + w;
}

/* Where the run of channels [@k, …) of [.., @end) ends that lie together in the input: one CONV's. */
static int64_t run_end(const struct nest *nest, int64_t k, int64_t end)
{
	return nest->plane ? MIN((k / nest->plane + 1) * nest->plane, end) : end;
}

/*
 * Contiguous image of one block: tables where the block is the last of K, then W[k][n], run of channels by run.
 */
static program_buf pack_block(struct nest *nest, int64_t n0, int64_t n, int64_t k0, int64_t k)
{
	const struct matrix_work *work = nest->work;
	size_t size = type_bytes(work->w_type);
	void *data;
	program_buf buf =
		program_weight_alloc(nest->lower->program, block_bytes(work, n, k0, k), work->node->name, &data);
	uint8_t *at = data;
	size_t tables = table_bytes(work, n, k0 + k);

	if (!buf)
		return 0;
	if (work->bias && tables) {
		memcpy(at, (const uint8_t *)work->bias + n0 * 4, (size_t)n * 4);
		at += n * 4;
	}
	if (work->scale && tables)
		memcpy(at, work->scale + n0, (size_t)n * 4);
	at = (uint8_t *)data + tables;
	if (work->dynamic)
		return buf;
	if (work->uniform) {
		pack_run(work, at, 0, 1);
		return buf;
	}
	k = work->depthwise ? 1 : k;
	for (int64_t run = k0; run < k0 + k; run = run_end(nest, run, k0 + k))
		for (int64_t ky = 0; ky < work->kh; ky++)
			for (int64_t kx = 0; kx < work->kw; kx++)
				for (int64_t c = run; c < run_end(nest, run, k0 + k); c++, at += (size_t)n * size)
					pack_row(work, at, n0, n, c, ky, kx);
	return buf;
}

/* Bring a packed block to the tiles of @tiles. */
static int fetch_packed(struct nest *nest, int64_t index, int64_t n0, int64_t n, int64_t k0, int64_t k,
			unsigned int tile, uint8_t tiles, struct weight_block *block)
{
	const struct matrix_work *work = nest->work;
	size_t bytes = block_bytes(work, n, k0, k);
	struct dev_tensor image = {.type = AXL_TYPE_U8, .rank = 1, .dims = {(int64_t)bytes}, .stride = {1}};
	struct lower_box box = {.size = {(int64_t)bytes}};
	int64_t room = (int64_t)block_bytes(work, n, work->ic - k, k); /* blocks without tables, too */
	bool several = nest->lower->target->tiles > 1;
	struct spad_view view;
	int err;

	if (!nest->packed[index])
		nest->packed[index] = pack_block(nest, n0, n, k0, k);
	if (!nest->packed[index])
		return lower_fail(nest->lower, work->node, -ENOMEM, "packing weights: %s",
				  program_error(nest->lower->program));
	image.place.buf = nest->packed[index];
	if (several && !tiles && tile) { /* every pipe that streams weights keeps its own requests before all others' */
		tiles = (uint8_t)(1u << tile);
		tile = 0;
	}
	err = several ? lower_fetch_pieces(nest->lower, &image, (int64_t)bytes, room, tile, tiles, &view)
		      : lower_fetch(nest->lower, &image, &box, tile, tiles, AXL_TYPE_U8, NULL, 0, AXL_PIPE_WEIGHT,
				    AXL_PURPOSE_WEIGHT, &view);
	if (err)
		return err;
	block->tables = view.place;
	block->w = view.place;
	block->w.offset += table_bytes(work, n, k0 + k);
	block->stride_k = (uint32_t)((size_t)n * type_bytes(work->w_type));
	block->stride_n = (uint32_t)type_bytes(work->w_type);
	if (work->uniform)
		block->stride_k = block->stride_n = 0;
	return 0;
}

/* A block of a weight matrix that is a tensor: [K][N], in whichever order lies dense in memory. */
static int fetch_dynamic(struct nest *nest, int64_t n0, int64_t n, int64_t k0, int64_t k, unsigned int tile,
			 uint8_t tiles, struct weight_block *block)
{
	const struct matrix_work *work = nest->work;
	struct lower_box box = {.start = {k0, n0}, .size = {k, n}};
	const int order[2] = {0, 1}, swapped[2] = {1, 0};
	bool n_inner = llabs(work->dynamic->stride[1]) <= llabs(work->dynamic->stride[0]);
	struct spad_view view;
	int err = lower_fetch(nest->lower, work->dynamic, &box, tile, tiles, work->w_type, n_inner ? order : swapped, 0,
			      AXL_PIPE_WEIGHT, AXL_PURPOSE_ACTIVATION, &view);

	if (err)
		return err;
	block->w = view.place;
	block->stride_k = (uint32_t)view.stride[0];
	block->stride_n = (uint32_t)view.stride[1];
	return 0;
}

int matrix_fetch_block(struct nest *nest, int64_t nb, int64_t kb, unsigned int tile, uint8_t tiles,
		       struct weight_block *block)
{
	const struct matrix_work *work = nest->work;
	int64_t n0 = nb * nest->plan.n, k0 = kb * nest->plan.k;
	int64_t n = MIN(nest->plan.n, work->oc - n0), k = MIN(nest->plan.k, work->ic - k0);
	int err = 0;

	memset(block, 0, sizeof(*block));
	if (block_bytes(work, n, k0, k))
		err = fetch_packed(nest, nb * nest->k_blocks + kb, n0, n, k0, k, tile, tiles, block);
	if (!err && work->dynamic)
		err = fetch_dynamic(nest, n0, n, k0, k, tile, tiles, block);
	return err;
}

/* ---- instructions ---- */

/*
 * Of the rows of @stripe those that @chunk reads: what waits for the instruction, or for what it reads, then waits for no
 * more. The first chunk of a layer can start while the one before it still drains its last rows.
 */
static struct stripe chunk_rows(const struct matrix_work *work, const struct stripe *stripe, const struct chunk *chunk)
{
	struct stripe part = *stripe;
	int64_t row, rows, begin, end;

	matrix_input_rows(work, chunk->h0, chunk->h, &row, &rows);
	begin = MAX(row, stripe->row);
	end = MIN(row + rows, stripe->row + stripe->rows);
	if (begin >= end)
		return part;
	part.view.place.offset += (uint64_t)((begin - stripe->row) * stripe->view.stride[WORK_H]);
	part.row = begin;
	part.rows = end - begin;
	return part;
}

static struct axl_conv conv_insn(const struct matrix_work *work, const struct stripe *stripe, const struct chunk *chunk)
{
	struct axl_conv insn = {
		.header.opcode = work->depthwise ? AXL_OP_DWCONV : AXL_OP_CONV,
		.a_stride_h = (uint32_t)stripe->view.stride[WORK_H],
		.a_stride_w = (uint32_t)stripe->view.stride[WORK_W],
		.acc_stride = (uint32_t)(chunk->n * 4),
		.out_h = (uint16_t)chunk->h,
		.out_w = (uint16_t)chunk->w,
		.in_h = (uint16_t)stripe->rows,
		.in_w = (uint16_t)stripe->cols,
		.kernel_h = (uint8_t)work->kh,
		.kernel_w = (uint8_t)work->kw,
		.stride_h = (uint8_t)work->sh,
		.stride_w = (uint8_t)work->sw,
		.dilation_h = (uint8_t)work->dh,
		.dilation_w = (uint8_t)work->dw,
		.in_dil_h = (uint8_t)work->in_dil_h,
		.in_dil_w = (uint8_t)work->in_dil_w,
		.pad_top = (int16_t)(work->pt - chunk->h0 * work->sh + stripe->row * work->in_dil_h),
		.pad_left = (int16_t)(work->pl - chunk->w0 * work->sw + stripe->col * work->in_dil_w),
		.a_type = (uint8_t)work->a_type,
		.w_type = (uint8_t)work->w_type,
		.a_zero = (int16_t)work->a_zero,
		.w_zero = (int16_t)work->w_zero,
	};

	return insn;
}

/* First channel that @group reads. */
static int64_t group_channel(const struct matrix_work *work, int64_t group)
{
	return work->group_channel ? work->group_channel[group] : group * work->ic;
}

/*
 * The CONV of @channels channels of the input, from @c on, to @count output channels from @n on. @row: of the weight
 * block's, with which it begins; @first: nothing has been summed before.
 */
static int emit_conv(struct nest *nest, unsigned int tile, const struct stripe *stripe, const struct chunk *chunk,
		     int64_t n, int64_t count, int64_t c, int64_t channels, int64_t row, bool first,
		     const struct weight_block *block, program_buf acc)
{
	const struct matrix_work *work = nest->work;
	int64_t skip = n - chunk->n0, plane = nest->plane ? c / nest->plane : 0;
	union axl_insn insn = {.conv = conv_insn(work, stripe, chunk)};
	struct program_place places[PROGRAM_MAX_PLACES] = {stripe->view.place, block->w, {acc, (uint64_t)skip * 4}};

	places[0].offset += (uint64_t)(plane * stripe->plane_bytes);
	places[0].offset += (uint64_t)(c - plane * nest->plane) * type_bytes(work->a_type);
	places[1].offset += (uint64_t)skip * block->stride_n + (uint64_t)row * block->stride_k;
	insn.conv.w_stride_k = block->stride_k;
	insn.conv.w_stride_n = block->stride_n;
	insn.conv.n = (uint32_t)count;
	insn.conv.channels = (uint32_t)channels;
	insn.conv.mx_flags = first ? 0 : AXL_MX_ACCUMULATE;
	if (!work->depthwise)
		insn.conv.split =
			(uint8_t)cost_best_split((uint64_t)(chunk->h * chunk->w), (uint64_t)block_rows(work, channels),
						 insn.conv.n, work->a_type);
	return lower_append(nest->lower, tile, &insn, places);
}

/* One CONV for each group that the block of output channels touches, and each run of input channels. */
int matrix_emit_convs(struct nest *nest, unsigned int tile, const struct stripe *stripe, const struct chunk *chunk,
		      int64_t kb, const struct weight_block *block, program_buf acc)
{
	const struct matrix_work *work = nest->work;
	int64_t per_group = work->depthwise ? work->oc : work->oc / work->groups;
	int64_t k0 = kb * nest->plan.k, k = MIN(nest->plan.k, work->ic - k0), end;
	struct stripe part = chunk_rows(work, stripe, chunk);
	int err = 0;

	for (int64_t n = chunk->n0; n < chunk->n0 + chunk->n && !err; n = end) {
		int64_t group = work->depthwise ? 0 : n / per_group, next;

		end = MIN((group + 1) * per_group, chunk->n0 + chunk->n);
		if (work->depthwise) { /* what one instruction may do counts its channels */
			end = MIN(end, n + MAX(AXL_MAX_K / (work->kh * work->kw), 1));
			err = emit_conv(nest, tile, &part, chunk, n, end - n, n - part.c0, end - n, 0, !kb, block, acc);
			continue;
		}
		for (int64_t at = k0; at < k0 + k && !err; at = next) {
			next = run_end(nest, at, k0 + k);
			err = emit_conv(nest, tile, &part, chunk, n, end - n, group_channel(work, group) + at,
					next - at, block_rows(work, at - k0), !at, block, acc);
		}
	}
	return err;
}

/* Bits of what the sums of @chunk, in which all positions have as many elements, are multiplied by. */
static uint32_t mean_factor(const struct matrix_work *work, const struct chunk *chunk)
{
	float count = (float)(work->count_h[chunk->h0] * work->count_w[chunk->w0]);
	float factor = work->mean_scale / (work->mean_divisor * count);
	uint32_t bits;

	memcpy(&bits, &factor, sizeof(bits));
	return bits;
}

/* How many of @length positions from @at may share a drain: those with the same count. */
static int64_t same_count(const int64_t *counts, int64_t at, int64_t length)
{
	int64_t n = 1;

	while (counts && n < length && counts[at + n] == counts[at])
		n++;
	return counts ? n : length;
}

int matrix_emit_drain(struct nest *nest, unsigned int tile, int64_t image, const struct chunk *chunk,
		      const struct weight_block *block, program_buf acc)
{
	const struct matrix_work *work = nest->work;
	struct lower *lower = nest->lower;
	int64_t pool_h = matrix_pool_h(work), pool_w = matrix_pool_w(work);
	int64_t dims[WORK_RANK] = {1, chunk->h / pool_h, chunk->w / pool_w, chunk->n};
	struct lower_box box = {.start = {image, chunk->h0 / pool_h, chunk->w0 / pool_w, chunk->n0},
				.size = {1, dims[WORK_H], dims[WORK_W], chunk->n}};
	static const int order[WORK_RANK] = {WORK_N, WORK_H, WORK_W, WORK_C};
	union axl_insn insn = {.drain = work->post};
	struct program_place places[PROGRAM_MAX_PLACES] = {{acc, 0}};
	struct spad_view out, residual;
	struct cut_box here = {box.start[WORK_H], box.start[WORK_H] + dims[WORK_H], box.start[WORK_W],
			       box.start[WORK_W] + dims[WORK_W]};
	int err = 0;

	if (work->z.rank) {
		if (work->z_cut)
			residual = cut_view(work->z_cut, &work->z, tile, image, here, chunk->n0, chunk->n);
		else
			err = lower_fetch(lower, &work->z, &box, tile, 0, insn.drain.res_type, order, 0, AXL_PIPE_LOAD,
					  AXL_PURPOSE_ACTIVATION, &residual);
		if (err)
			return err;
		places[4] = residual.place;
		insn.drain.res_stride_h = (uint32_t)residual.stride[WORK_H];
		insn.drain.res_stride_w = (uint32_t)residual.stride[WORK_W];
	}
	if (work->y_cut)
		out = cut_view(work->y_cut, &work->y, tile, image, here, chunk->n0, chunk->n);
	else if (work->y_resident && work->y.type == (enum axl_type)insn.drain.out_type &&
		 work->y.stride[WORK_C] == (int64_t)type_bytes(work->y.type))
		err = lower_fetch(lower, &work->y, &box, tile, 0, work->y.type, order, 0, AXL_PIPE_LOAD,
				  AXL_PURPOSE_ACTIVATION, &out); /* where it stays: the drain writes there */
	else
		err = lower_spad(lower, tile, insn.drain.out_type, WORK_RANK, dims, order, "out", &out);
	if (err)
		return err;
	if (work->count_h)
		insn.drain.scale_imm = mean_factor(work, chunk);
	insn.drain.header.opcode = AXL_OP_DRAIN;
	insn.drain.acc_stride = (uint32_t)(chunk->n * 4);
	insn.drain.rows_h = (uint16_t)chunk->h;
	insn.drain.rows_w = (uint16_t)chunk->w;
	insn.drain.n = (uint32_t)chunk->n;
	insn.drain.out_stride_h = (uint32_t)out.stride[WORK_H];
	insn.drain.out_stride_w = (uint32_t)out.stride[WORK_W];
	if (pool_h * pool_w > 1) {
		insn.drain.pool_kind = AXL_POOL_MAX;
		insn.drain.pool_hw = insn.drain.pool_stride = (uint8_t)(pool_h << 4 | pool_w);
	}
	places[1] = out.place;
	if (work->bias)
		places[2] = block->tables;
	if (work->scale) {
		places[3] = block->tables;
		places[3].offset += work->bias ? (uint64_t)chunk->n * 4 : 0;
	}
	err = lower_append(lower, tile, &insn, places);
	if (!err)
		err = work->y_cut ? cut_commit(lower, work->y_cut, &work->y, tile, &box)
				  : lower_commit(lower, &work->y, &box, &out);
	return err;
}

/* All chunks of one stripe for one block of output channels. */
static int emit_block(struct nest *nest, unsigned int tile, int64_t image, const struct stripe *stripe, int64_t h0,
		      int64_t rows, int64_t nb, const struct weight_block *block)
{
	const struct matrix_work *work = nest->work;
	struct weight_block streamed;
	struct chunk chunk = {.n0 = nb * nest->plan.n};

	chunk.n = MIN(nest->plan.n, work->oc - chunk.n0);
	for (chunk.h0 = h0; chunk.h0 < h0 + rows; chunk.h0 += chunk.h) {
		chunk.h = same_count(work->count_h, chunk.h0, MIN(nest->plan.chunk_h, h0 + rows - chunk.h0));
		for (chunk.w0 = 0; chunk.w0 < work->ow; chunk.w0 += chunk.w) {
			program_buf acc;
			int err = 0;

			chunk.w = same_count(work->count_w, chunk.w0, MIN(nest->plan.chunk_w, work->ow - chunk.w0));
			acc = program_acc(nest->lower->program, tile, (uint64_t)(chunk.h * chunk.w * chunk.n) * 4,
					  "acc");
			if (!acc)
				return lower_fail(nest->lower, work->node, -ENOMEM, "%s",
						  program_error(nest->lower->program));
			for (int64_t kb = 0; kb < nest->k_blocks && !err; kb++) {
				if (nest->k_blocks > 1)
					err = matrix_fetch_block(nest, nb, kb, tile, 0, &streamed);
				if (!err)
					err = matrix_emit_convs(nest, tile, stripe, &chunk, kb,
								nest->k_blocks > 1 ? &streamed : block, acc);
			}
			if (!err)
				err = matrix_emit_drain(nest, tile, image, &chunk,
							nest->k_blocks > 1 ? &streamed : block, acc);
			if (err)
				return err;
		}
	}
	return 0;
}

/* The input of a stripe: channels innermost. */
static int fetch_stripe(struct nest *nest, unsigned int tile, uint8_t tiles, int64_t image, int64_t h0, int64_t rows,
			int64_t c0, int64_t channels, struct stripe *stripe)
{
	const struct matrix_work *work = nest->work;
	static const int order[WORK_RANK] = {WORK_N, WORK_H, WORK_W, WORK_C};
	struct lower_box box = {.start = {image}, .size = {1, 0, work->iw, channels}};

	matrix_input_rows(work, h0, rows, &stripe->row, &stripe->rows);
	stripe->c0 = c0;
	stripe->col = 0;
	stripe->cols = work->iw;
	box.start[WORK_H] = stripe->row;
	box.size[WORK_H] = stripe->rows;
	box.start[WORK_C] = c0;
	if (work->x_cut) { /* of the tile's own channels */
		const struct cut_box here = {stripe->row, stripe->row + stripe->rows, 0, work->iw};

		stripe->view = cut_view(work->x_cut, &work->x, tile, image, here, c0, channels);
		return 0;
	}
	return lower_fetch(nest->lower, &work->x, &box, tile, tiles, work->a_type, order, 0, AXL_PIPE_LOAD,
			   AXL_PURPOSE_ACTIVATION, &stripe->view);
}

/* The weight block of channel block @nb for @tiles: the kept one, or fetched now; with K in blocks emit_block()
 * fetches. */
static int get_block(struct nest *nest, int64_t nb, unsigned int tile, uint8_t tiles, struct weight_block *fetched,
		     const struct weight_block **block)
{
	struct weight_block *at = nest->plan.keep_weights ? nest->kept + nb : fetched;

	*block = at;
	if (nest->k_blocks > 1 || (nest->plan.keep_weights && at->w.buf))
		return 0;
	return matrix_fetch_block(nest, nb, 0, tile, tiles, at);
}

/* Does a stripe take longer than from one preemption point to the next? */
static bool is_long(const struct nest *nest)
{
	return nest->block_cycles * (uint64_t)nest->n_blocks > RESIDENT_PAUSE_CYCLES;
}

/*
 * Before block @nb of a stripe: after a preemption point nothing that was fetched is there any more. A stripe that fits
 * between two points is not cut by one, it would have to be fetched twice. Where tiles take turns with blocks, @turn of them, all have
 * one between two points if that is not too long: one without would pass both at once, and be twice as long on its way to a third.
 */
static int pause(struct nest *nest, int64_t nb, int64_t turn, bool *paused)
{
	uint64_t stripe = nest->block_cycles * (uint64_t)nest->n_blocks, together = nest->block_cycles * (uint64_t)turn;
	int err = 0;

	*paused = false;
	if (!is_long(nest))
		err = nb == 0 ? resident_pause(nest->lower, stripe, paused) : 0;
	else if (together > RESIDENT_MAX_CYCLES)
		err = resident_pause(nest->lower, nest->block_cycles, paused);
	else if (nb % turn == 0)
		err = resident_pause(nest->lower, together, paused);
	if (*paused)
		memset(nest->kept, 0, (size_t)nest->n_blocks * sizeof(*nest->kept));
	return err;
}

/* Tiles share the rows: every tile has a run of rows of its own, weights go to all of them at once. */
static int lower_by_rows(struct nest *nest, int64_t image)
{
	struct weight_block fetched;
	const struct matrix_work *work = nest->work;
	int64_t tiles = nest->lower->target->tiles;
	int64_t share = matrix_rows(work, work->oh, tiles);
	int64_t used = ceil_div(work->oh, share);
	uint8_t mask = used > 1 ? (uint8_t)((1u << used) - 1) : 0;
	struct stripe stripes[AXL_MAX_TILES];

	for (int64_t s = 0; s < share; s += nest->plan.rows) {
		for (int64_t nb = 0; nb < nest->n_blocks; nb++) {
			const struct weight_block *block;
			bool paused;
			int err = pause(nest, nb, 1, &paused);

			for (int64_t t = 0; t < used && !err && (nb == 0 || paused || work->depthwise); t++) {
				int64_t h0 = t * share + s;
				int64_t rows = MIN(MIN(nest->plan.rows, share - s), work->oh - h0);
				int64_t c0 = work->depthwise ? nb * nest->plan.n : 0;
				int64_t channels =
					work->depthwise ? MIN(nest->plan.n, work->oc - c0) : work->x.dims[WORK_C];

				if (rows > 0)
					err = fetch_stripe(nest, (unsigned int)t, 0, image, h0, rows, c0, channels,
							   &stripes[t]);
				/* It stays for long: amid the blocks of weights it would keep the next from coming ahead. */
				if (rows > 0 && !err && tiles > 1 && !work->depthwise && is_long(nest))
					program_pin(nest->lower->program, stripes[t].view.place.buf);
			}
			if (!err)
				err = get_block(nest, nb, 0, mask, &fetched, &block);
			for (int64_t t = 0; t < used && !err; t++) {
				int64_t h0 = t * share + s;
				int64_t rows = MIN(MIN(nest->plan.rows, share - s), work->oh - h0);

				if (rows > 0)
					err = emit_block(nest, (unsigned int)t, image, &stripes[t], h0, rows, nb,
							 block);
			}
			if (err)
				return err;
		}
	}
	return 0;
}

/* Tiles share the channel blocks: block nb belongs to tile nb % tiles; the input goes to all of them at once. */
static int lower_by_channels(struct nest *nest, int64_t image)
{
	struct weight_block fetched;
	const struct matrix_work *work = nest->work;
	int64_t tiles = nest->lower->target->tiles, used = MIN(tiles, nest->n_blocks);
	uint8_t mask = used > 1 ? (uint8_t)((1u << used) - 1) : 0;

	for (int64_t h0 = 0; h0 < work->oh; h0 += nest->plan.rows) {
		int64_t rows = MIN(nest->plan.rows, work->oh - h0);
		struct stripe stripe;
		int err = 0;

		for (int64_t nb = 0; nb < nest->n_blocks && !err; nb++) {
			unsigned int tile =
				(unsigned int)(work->x_cut ? nb * nest->plan.n / work->x_cut->channels : nb % used);
			const struct weight_block *block;
			bool paused;

			err = pause(nest, nb, used, &paused);
			if (!err && !work->depthwise && (nb == 0 || paused))
				err = fetch_stripe(nest, 0, mask, image, h0, rows, 0, work->x.dims[WORK_C], &stripe);
			if (!err && work->depthwise)
				err = fetch_stripe(nest, tile, 0, image, h0, rows, nb * nest->plan.n,
						   MIN(nest->plan.n, work->oc - nb * nest->plan.n), &stripe);
			if (!err)
				err = get_block(nest, nb, tile, 0, &fetched, &block);
			if (!err)
				err = emit_block(nest, tile, image, &stripe, h0, rows, nb, block);
		}
		if (err)
			return err;
	}
	return 0;
}

/* Every tile makes one block of channels, of all positions at once. */
static bool has_shares(const struct nest *nest)
{
	const struct matrix_work *work = nest->work;

	return !nest->plan.split_rows && !work->depthwise && nest->plan.rows == work->oh && work->x.dims[WORK_N] == 1 &&
	       nest->plan.n * nest->lower->target->tiles == work->oc;
}

/*
 * The residual and the output stay with the tiles that make them, where those that make and read them share channels alike; and
 * the input of a depthwise convolution. 0, or -ENOMEM with lower->error.
 */
static int keep_shares(struct nest *nest, struct matrix_work *work)
{
	struct lower *lower = nest->lower;
	const struct cut *x = cut_find(lower, work->source), *z = cut_find(lower, work->residual);
	bool shares = has_shares(nest);

	if (x && work->depthwise && !nest->plan.split_rows && x->channels && x->channels % nest->plan.n == 0 &&
	    work->x.type == work->a_type)
		work->x_cut = x;
	else if (x && cut_spill(lower, work->source))
		return -ENOMEM;
	if (z && shares && z->channels == nest->plan.n && work->z.type == (enum axl_type)work->post.res_type)
		work->z_cut = z;
	else if (z && cut_spill(lower, work->residual))
		return -ENOMEM;
	if (shares && work->result && work->y.type == (enum axl_type)work->post.out_type &&
	    cut_take_channels(lower, work->result, nest->plan.n))
		work->y_cut = cut_find(lower, work->result);
	return 0;
}

int matrix_lower(struct lower *lower, const struct matrix_work *given)
{
	struct matrix_work own = *given, *work = &own;
	struct nest nest = {.lower = lower, .work = work};
	struct matrix_choice choice = {.node = lower->at};
	int err = matrix_plan(work, lower->target, &nest.plan, &choice);

	if (err)
		return lower_fail(lower, work->node, err,
				  "no tiling fits: one row of %lld x %lld channels and a weight block need "
				  "more than %u bytes of scratchpad",
				  (long long)work->iw, (long long)(work->ic * work->groups), lower->target->spad_bytes);
	nest.n_blocks = ceil_div(work->oc, nest.plan.n);
	nest.k_blocks = work->depthwise ? 1 : ceil_div(work->ic, nest.plan.k);
	nest.block_cycles =
		(lower->resident.exact ? MAX(nest.plan.cycles, lower->estimates[lower->at]) : nest.plan.cycles) /
		(uint64_t)(work->x.dims[WORK_N] * nest.n_blocks *
			   ceil_div(matrix_rows(work, work->oh, nest.plan.split_rows ? lower->target->tiles : 1),
				    nest.plan.rows));
	err = keep_shares(&nest, work);
	err = err ? err : nest_start(&nest, &choice);
	for (int64_t image = 0; image < work->x.dims[WORK_N] && !err; image++)
		err = nest.plan.split_rows ? lower_by_rows(&nest, image) : lower_by_channels(&nest, image);
	nest_finish(&nest);
	return err;
}
