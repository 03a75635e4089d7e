/* SPDX-License-Identifier: MIT */
/*
 * Attention: softmax(scale * Q K^T + mask) V, head by head and block of queries by block.
 *
 * The scores of a block lie in the scratchpad only. For a block of queries the matrix unit makes the scores, the drain
 * scales and masks them, the vector unit takes the largest of each row away, exponentiates and sums, the matrix unit
 * multiplies with the values, and the sums divide what comes out: the probabilities themselves are never needed. Heads
 * are strided views of [B][S][H * D]; nothing is split, transposed or merged.
 *
 *	matrix	scores 1  | scores 2  | values 1 | scores 3  | values 2 …
 *	vector	          | softmax 1 |     softmax 2, divide 1 | softmax 3, divide 2 …
 *
 * Instructions are written in that order, one block ahead, so that neither unit waits for the other. Tiles take blocks
 * in turn.
 *
 * ONNX Operators, Attention-23. A query from which the mask hides every key gets the mean of all values here, and zeros
 * from the CPU library.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <axl/axl_access.h>
#include "compiler/target/arith.h"
#include "compiler/target/cost.h"
#include "compiler/target/lower_loop.h"
#include "compiler/target/lower_quant.h"
#include "compiler/target/resident.h"

#define MAX_QUERIES 64  /* rows that fill the array's pipeline; more would only make others wait */
#define LOWEST -3.0e38f /* hides, and two of it still differ by a number */

enum { IN_Q, IN_K, IN_V, IN_MASK, NUM_IN };

/*
 * struct shape - the sizes, and how many queries and keys are worked on at once
 * @queries: of a block; @keys: scores of so many keys are summed in the accumulators at a time; @values: value columns
 */
struct shape {
	int64_t batch, heads, kv_heads, num_queries, num_keys, key_size, value_size;
	int64_t queries, keys, values;
};

/* A product's operands where they lie, and the block they belong to; see the pipeline above. */
struct block {
	bool used;
	int64_t batch, head, first, rows;
	struct spad_view q, k, v, scores, weights, largest, sum, result;
};

struct attention {
	struct lower *lower;
	const struct graph_node *node;
	struct shape shape;
	struct dev_tensor q, k, v, y, mask; /* [B][H][S][D]; mask: rank 0 where there is none */
	float scale;
	bool quantized; /* y is what QuantizeLinear makes of the result */
	float y_scale;
	int y_zero;
	struct spad_view kept_mask[AXL_MAX_TILES]; /* one for all blocks of a batch element; place.buf 0: none yet */
	int64_t kept_batch[AXL_MAX_TILES];
};

static const struct graph_value *input(const struct graph_node *node, size_t index)
{
	return index < node->num_inputs ? node->inputs[index] : NULL;
}

/* ---- sizes ---- */

static void read_heads(const struct graph_node *node, size_t index, const char *name, int64_t *heads, int64_t *rows,
		       int64_t *size)
{
	const struct graph_value *value = node->inputs[index];
	struct op_node op = graph_op_node(node);

	if (value->rank == 4) {
		*heads = value->dims[1];
		*rows = value->dims[2];
		*size = value->dims[3];
		return;
	}
	*heads = op_attr_int(&op, name, 0);
	*rows = value->dims[1];
	*size = *heads > 0 ? value->dims[2] / *heads : 0;
}

static void read_shape(const struct graph_node *node, struct shape *shape)
{
	int64_t heads, rows;

	memset(shape, 0, sizeof(*shape));
	shape->batch = node->inputs[IN_Q]->dims[0];
	read_heads(node, IN_Q, "q_num_heads", &shape->heads, &shape->num_queries, &shape->key_size);
	read_heads(node, IN_K, "kv_num_heads", &shape->kv_heads, &shape->num_keys, &heads);
	read_heads(node, IN_V, "kv_num_heads", &heads, &rows, &shape->value_size);
}

/* Blocks of queries: as many as let two blocks' scores and weights, and one head twice, stay in @room bytes. */
static bool choose_blocks(struct shape *shape, const struct target *target, uint64_t room, unsigned int size)
{
	int64_t acc = (int64_t)target->acc_bytes / 2 / 4;
	int64_t head = 2 * shape->num_keys * (shape->key_size + shape->value_size) * size + 4 * shape->num_keys;
	int64_t row = 2 * (shape->num_keys * (4 + size) + (shape->key_size + 2 * shape->value_size) * 4 + 192);
	int64_t most = ((int64_t)room - head) / row;

	if (most < 1)
		return false;
	most = MIN(MIN(most, shape->num_queries), MAX_QUERIES);
	if (most >= 64 && most < shape->num_queries)
		most = most / 32 * 32;
	/* Blocks alike: 130 queries are twice 65, not 128 and 2. */
	shape->queries = (shape->num_queries + most - 1) / most;
	shape->queries = (shape->num_queries + shape->queries - 1) / shape->queries;
	shape->keys = MIN(shape->num_keys, acc / shape->queries);
	shape->values = MIN(shape->value_size, acc / shape->queries);
	if (shape->keys > 64 && shape->keys < shape->num_keys)
		shape->keys = shape->keys / 64 * 64;
	return shape->keys > 0 && shape->values > 0;
}

static uint64_t room_of(const struct target *target, uint64_t taken)
{
	uint64_t room = target->spad_bytes - target->spad_bytes / 16;

	return room > taken ? room - taken : 0;
}

/* ---- one block ---- */

static struct dev_tensor heads_view(const struct dev_tensor *tensor, int64_t heads)
{
	struct dev_tensor view = *tensor;

	if (tensor->rank == 4)
		return view;
	view.rank = 4;
	view.dims[1] = heads;
	view.dims[2] = tensor->dims[1];
	view.dims[3] = tensor->dims[2] / heads;
	view.stride[1] = view.dims[3] * tensor->stride[2];
	view.stride[2] = tensor->stride[1];
	view.stride[3] = tensor->stride[2];
	return view;
}

static int fetch_rows(struct attention *a, unsigned int tile, const struct dev_tensor *tensor, int64_t batch,
		      int64_t head, int64_t first, int64_t rows, struct spad_view *view)
{
	static const int order[] = {0, 1, 2, 3};
	struct lower_box box = {.start = {batch, head, first, 0}, .size = {1, 1, rows, tensor->dims[3]}};

	return lower_fetch(a->lower, tensor, &box, tile, 0, a->lower->float_type, order, 0, AXL_PIPE_LOAD,
			   AXL_PURPOSE_ACTIVATION, view);
}

/* The mask's part for @block; kept where all blocks of a batch element share it. */
static int fetch_mask(struct attention *a, unsigned int tile, const struct block *block, struct spad_view *view)
{
	static const int order[] = {0, 1, 2, 3};
	const struct dev_tensor *mask = &a->mask;
	bool shared = mask->dims[1] == 1 && mask->dims[2] == 1;
	struct lower_box box = {.start = {mask->dims[0] == 1 ? 0 : block->batch, mask->dims[1] == 1 ? 0 : block->head,
					  mask->dims[2] == 1 ? 0 : block->first, 0},
				.size = {1, 1, mask->dims[2] == 1 ? 1 : block->rows, mask->dims[3]}};
	int err;

	if (shared && a->kept_mask[tile].place.buf && a->kept_batch[tile] == box.start[0]) {
		*view = a->kept_mask[tile];
		return 0;
	}
	err = lower_fetch(a->lower, mask, &box, tile, 0, mask->type, order, 0, AXL_PIPE_LOAD, AXL_PURPOSE_ACTIVATION,
			  view);
	if (!err && shared) {
		a->kept_mask[tile] = *view;
		a->kept_batch[tile] = box.start[0];
	}
	return err;
}

/* [rows][size] in the scratchpad. */
static int matrix_spad(struct attention *a, unsigned int tile, enum axl_type type, int64_t rows, int64_t size,
		       const char *name, struct spad_view *view)
{
	const int64_t dims[2] = {rows, size};

	return lower_spad(a->lower, tile, type, 2, dims, NULL, name, view);
}

/* An operand of a product: element (row, column). */
struct operand {
	struct program_place place;
	uint32_t row, column;
};

/* acc[rows][n] = A[rows][k] W[k][n]. */
static int multiply(struct attention *a, unsigned int tile, int64_t rows, int64_t k, int64_t n, struct operand left,
		    struct operand right, program_buf acc)
{
	enum axl_type type = a->lower->float_type;
	union axl_insn insn = {.conv = {.header.opcode = AXL_OP_CONV,
					.a_stride_h = left.row,
					.a_stride_w = left.row,
					.w_stride_k = right.row,
					.w_stride_n = right.column,
					.acc_stride = (uint32_t)(n * 4),
					.channels = (uint32_t)k,
					.n = (uint32_t)n,
					.out_h = (uint16_t)rows,
					.out_w = 1,
					.in_h = (uint16_t)rows,
					.in_w = 1,
					.kernel_h = 1,
					.kernel_w = 1,
					.stride_h = 1,
					.stride_w = 1,
					.dilation_h = 1,
					.dilation_w = 1,
					.in_dil_h = 1,
					.in_dil_w = 1,
					.a_type = (uint8_t)type,
					.w_type = (uint8_t)type}};
	struct program_place places[PROGRAM_MAX_PLACES] = {left.place, right.place, {acc, 0}};

	insn.conv.split = (uint8_t)cost_best_split((uint64_t)rows, (uint64_t)k, (uint64_t)n, type);
	return lower_append(a->lower, tile, &insn, places);
}

/* Columns [first, first + n) of @out from the accumulators. */
static int drain(struct attention *a, unsigned int tile, int64_t rows, int64_t first, int64_t n, program_buf acc,
		 const struct axl_drain *post, struct program_place residual, const struct spad_view *out)
{
	union axl_insn insn = {.drain = *post};
	struct program_place places[PROGRAM_MAX_PLACES] = {{acc, 0}, out->place};

	insn.drain.header.opcode = AXL_OP_DRAIN;
	insn.drain.acc_stride = (uint32_t)(n * 4);
	insn.drain.acc_type = AXL_TYPE_F32;
	insn.drain.out_type = (uint8_t)out->type;
	insn.drain.out_stride_h = (uint32_t)out->stride[0];
	insn.drain.out_stride_w = (uint32_t)out->stride[0];
	insn.drain.rows_h = (uint16_t)rows;
	insn.drain.rows_w = 1;
	insn.drain.n = (uint32_t)n;
	places[1].offset += (uint64_t)(first * out->stride[1]);
	places[4] = residual;
	return lower_append(a->lower, tile, &insn, places);
}

static int new_acc(struct attention *a, unsigned int tile, int64_t values, program_buf *acc)
{
	*acc = program_acc(a->lower->program, tile, (uint64_t)values * 4, "scores");
	return *acc ? 0 : lower_fail(a->lower, a->node, -ENOMEM, "%s", program_error(a->lower->program));
}

/* scale * Q K^T + mask of the block, in binary32. */
static int make_scores(struct attention *a, unsigned int tile, struct block *block)
{
	const struct shape *shape = &a->shape;
	struct axl_drain post = {.dr_flags = AXL_DR_SCALE_IMM, .scale_imm = float_to_bits(a->scale)};
	uint32_t size = (uint32_t)access_type_bytes(a->lower->float_type);
	struct spad_view mask = {0};
	int64_t kv_head = block->head / (shape->heads / shape->kv_heads);
	int err = fetch_rows(a, tile, &a->q, block->batch, block->head, block->first, block->rows, &block->q);

	if (!err)
		err = fetch_rows(a, tile, &a->k, block->batch, kv_head, 0, shape->num_keys, &block->k);
	if (!err && a->mask.rank) {
		err = fetch_mask(a, tile, block, &mask);
		post.dr_flags |= AXL_DR_RESIDUAL;
		post.res_type = (uint8_t)mask.type;
		post.res_stride_h = mask.dims[2] == 1 ? 0 : (uint32_t)mask.stride[2];
		post.res_stride_w = post.res_stride_h;
		post.act2 = AXL_ACT_CLIP;
		post.alpha2 = float_to_bits(LOWEST);
		post.beta2 = float_to_bits(-LOWEST);
	}
	if (!err)
		err = matrix_spad(a, tile, AXL_TYPE_F32, block->rows, shape->num_keys, "scores", &block->scores);
	for (int64_t key = 0; key < shape->num_keys && !err; key += shape->keys) {
		int64_t n = MIN(shape->keys, shape->num_keys - key);
		struct operand q = {block->q.place, (uint32_t)block->q.stride[2], size};
		struct operand k = {block->k.place, size, (uint32_t)block->k.stride[2]};
		struct program_place residual = mask.place;
		program_buf acc;

		k.place.offset += (uint64_t)(key * block->k.stride[2]);
		residual.offset += (uint64_t)(key * mask.stride[3]);
		err = new_acc(a, tile, block->rows * n, &acc);
		if (!err)
			err = multiply(a, tile, block->rows, shape->key_size, n, q, k, acc);
		if (!err)
			err = drain(a, tile, block->rows, key, n, acc, &post, residual, &block->scores);
	}
	return err;
}

static int vector(struct attention *a, unsigned int tile, enum axl_vec_op op, bool reduce, const struct spad_view *over,
		  const struct spad_view *dst, const struct spad_view *x, const struct spad_view *y)
{
	struct vec_args args = {.op = op, .reduce = reduce ? 2 : 0};

	return vec_append(a->lower, tile, &args, 2, over->dims, NULL, dst, x, y);
}

/* exp(score - largest) in the type of the products, and the inverse of its sum. */
static int make_weights(struct attention *a, unsigned int tile, struct block *block)
{
	const struct spad_view *s = &block->scores;
	int err = matrix_spad(a, tile, AXL_TYPE_F32, block->rows, 1, "largest", &block->largest);

	if (!err)
		err = matrix_spad(a, tile, AXL_TYPE_F32, block->rows, 1, "sum", &block->sum);
	if (!err)
		err = matrix_spad(a, tile, a->lower->float_type, block->rows, a->shape.num_keys, "weights",
				  &block->weights);
	if (!err)
		err = vector(a, tile, AXL_VEC_RMAX, true, s, &block->largest, s, NULL);
	if (!err)
		err = vector(a, tile, AXL_VEC_SUB, false, s, &block->weights, s, &block->largest);
	if (!err)
		err = vector(a, tile, AXL_VEC_EXP, false, s, &block->weights, &block->weights, NULL);
	if (!err)
		err = vector(a, tile, AXL_VEC_RSUM, true, s, &block->sum, &block->weights, NULL);
	return err ? err : vector(a, tile, AXL_VEC_RECIP, false, &block->sum, &block->sum, &block->sum, NULL);
}

/* The weighted sum of the values, not divided yet. */
static int add_values(struct attention *a, unsigned int tile, struct block *block)
{
	const struct shape *shape = &a->shape;
	const struct axl_drain plain = {0};
	uint32_t size = (uint32_t)access_type_bytes(a->lower->float_type);
	int64_t kv_head = block->head / (shape->heads / shape->kv_heads);
	int err = fetch_rows(a, tile, &a->v, block->batch, kv_head, 0, shape->num_keys, &block->v);

	if (!err)
		err = matrix_spad(a, tile, AXL_TYPE_F32, block->rows, shape->value_size, "values", &block->result);
	for (int64_t first = 0; first < shape->value_size && !err; first += shape->values) {
		int64_t n = MIN(shape->values, shape->value_size - first);
		struct operand weights = {block->weights.place, (uint32_t)block->weights.stride[0], size};
		struct operand v = {block->v.place, (uint32_t)block->v.stride[2], size};
		program_buf acc;

		v.place.offset += (uint64_t)first * size;
		err = new_acc(a, tile, block->rows * n, &acc);
		if (!err)
			err = multiply(a, tile, block->rows, shape->num_keys, n, weights, v, acc);
		if (!err)
			err = drain(a, tile, block->rows, first, n, acc, &plain, (struct program_place){0},
				    &block->result);
	}
	return err;
}

/* [1][1][rows][size] of a tensor's box as [rows][size]. */
static struct spad_view as_matrix(const struct spad_view *box)
{
	struct spad_view view = *box;

	view.rank = 2;
	for (int d = 0; d < 2; d++) {
		view.dims[d] = box->dims[2 + d];
		view.stride[d] = box->stride[2 + d];
	}
	return view;
}

/* Divide, and put the rows where they belong. */
static int divide(struct attention *a, unsigned int tile, struct block *block)
{
	static const int order[] = {0, 1, 2, 3};
	struct lower_box box = {.start = {block->batch, block->head, block->first, 0},
				.size = {1, 1, block->rows, a->shape.value_size}};
	struct spad_view out, matrix, result = block->result, *divided = &matrix;
	struct vec_args quantize = {
		.op = AXL_VEC_QUANT, .imm0 = float_to_bits(a->y_scale), .imm1 = (uint32_t)a->y_zero};
	int err;

	if (tensor_is_resident(a->lower, &a->y))
		err = lower_fetch(a->lower, &a->y, &box, tile, 0, a->y.type, order, 0, AXL_PIPE_LOAD,
				  AXL_PURPOSE_ACTIVATION, &out); /* where it stays */
	else
		err = lower_spad(a->lower, tile, a->y.type, 4, box.size, order, "attended", &out);
	if (err)
		return err;
	matrix = as_matrix(&out);
	if (a->quantized) { /* in the type that the result would have */
		divided = &block->result;
		err = matrix_spad(a, tile, a->lower->float_type, block->rows, a->shape.value_size, "attended", divided);
	}
	if (!err)
		err = vector(a, tile, AXL_VEC_MUL, false, &matrix, divided, &result, &block->sum);
	if (!err && a->quantized)
		err = vec_append(a->lower, tile, &quantize, 2, matrix.dims, NULL, &matrix, divided, NULL);
	return err ? err : lower_commit(a->lower, &a->y, &box, &out);
}

/* ---- all blocks ---- */

/* Block number @index in the order batch, queries, head; false behind the last. */
static bool block_at(const struct shape *shape, int64_t index, struct block *block)
{
	int64_t blocks = (shape->num_queries + shape->queries - 1) / shape->queries;

	memset(block, 0, sizeof(*block));
	/* All heads of the first queries first: what comes behind can begin with those rows. */
	block->head = index % shape->heads;
	block->first = index / shape->heads % blocks * shape->queries;
	block->rows = MIN(shape->queries, shape->num_queries - block->first);
	block->batch = index / blocks / shape->heads;
	block->used = index >= 0 && block->batch < shape->batch;
	return block->used;
}

static int run_blocks(struct attention *a)
{
	const struct shape *shape = &a->shape;
	int64_t tiles = a->lower->target->tiles, blocks = (shape->num_queries + shape->queries - 1) / shape->queries;
	int64_t rounds = (shape->batch * shape->heads * blocks + tiles - 1) / tiles;
	struct block ring[AXL_MAX_TILES][3];
	int err = 0;

	memset(ring, 0, sizeof(ring));
	for (int64_t round = 0; round < rounds + 2 && !err; round++)
		for (int64_t t = 0; t < tiles && !err; t++) {
			struct block *next = &ring[t][round % 3], *now = &ring[t][(round + 2) % 3],
				     *last = &ring[t][(round + 1) % 3];
			unsigned int tile = (unsigned int)t;

			if (block_at(shape, round * tiles + t, next))
				err = make_scores(a, tile, next);
			if (!err && now->used)
				err = make_weights(a, tile, now);
			if (!err && last->used)
				err = divide(a, tile, last);
			if (!err && now->used)
				err = add_values(a, tile, now);
		}
	return err;
}

/* A table that hides what comes behind a query. */
static int causal_mask(struct attention *a)
{
	int64_t queries = a->shape.num_queries, keys = a->shape.num_keys, dims[] = {1, 1, queries, keys};
	float *table = malloc((size_t)(queries * keys) * sizeof(*table));

	if (!table)
		return lower_fail(a->lower, a->node, -ENOMEM, "out of memory");
	for (int64_t q = 0; q < queries; q++)
		for (int64_t k = 0; k < keys; k++)
			table[q * keys + k] = k > q ? LOWEST : 0;
	a->mask = tensor_of_floats(a->lower, 4, dims, table);
	free(table);
	return a->mask.place.buf ? 0 : lower_fail(a->lower, a->node, -ENOMEM, "out of memory for tensors");
}

static int attention_lower(struct lower *lower, struct graph_node *node)
{
	struct op_node op = graph_op_node(node);
	struct attention a = {.lower = lower, .node = node};
	struct graph_node *quantize;
	bool only;
	const struct dev_tensor *q = lower_tensor(lower, node->inputs[IN_Q]),
				*k = lower_tensor(lower, node->inputs[IN_K]),
				*v = lower_tensor(lower, node->inputs[IN_V]), *mask = NULL, *y;
	int err = 0;

	if (input(node, IN_MASK))
		mask = lower_tensor(lower, input(node, IN_MASK));
	quantize = quantize_behind(lower, node, &a.y_scale, &a.y_zero, &only);
	a.quantized = quantize && only;
	y = lower_output_resident(lower, a.quantized ? quantize->outputs[0] : node->outputs[0], NULL);
	if (a.quantized)
		quantize->data = LOWER_DONE;
	if (!q || !k || !v || !y || (input(node, IN_MASK) && !mask))
		return lower_fail(lower, node, -ENOMEM, "out of memory for tensors");
	read_shape(node, &a.shape);
	if (!choose_blocks(&a.shape, lower->target, room_of(lower->target, lower->resident.bytes),
			   (uint32_t)access_type_bytes(lower->float_type)))
		return lower_fail(lower, node, -ENOSPC, "the scores of one query do not fit the scratchpad");
	a.q = heads_view(q, a.shape.heads);
	a.k = heads_view(k, a.shape.kv_heads);
	a.v = heads_view(v, a.shape.kv_heads);
	a.y = heads_view(y, a.shape.heads);
	if (mask)
		a.mask = tensor_align(mask, 4);
	a.scale = op_attr(&op, "scale") ? op_attr_float(&op, "scale", 1) : (float)(1 / sqrt((double)a.shape.key_size));
	if (op_attr_int(&op, "is_causal", 0))
		err = causal_mask(&a);
	return err ? err : run_blocks(&a);
}

/* ---- what is supported, and at what price ---- */

static int check_operands(const struct graph_node *node, char *reason, size_t size)
{
	const struct graph_value *mask = input(node, IN_MASK);
	struct shape shape;
	int64_t full[4];

	for (size_t i = 0; i < NUM_IN; i++) {
		const struct graph_value *value = input(node, i);

		if (i == IN_MASK && !value)
			continue;
		if (!value || !graph_value_is_static(value))
			return refuse(reason, size,
				      "its shapes are not known at compile time; bind the symbolic dimensions");
		if (value->dtype != node->inputs[IN_Q]->dtype ||
		    (value->dtype != DTYPE_F32 && value->dtype != DTYPE_F16 && value->dtype != DTYPE_BF16))
			return refuse(reason, size, "operands or a mask that are not of one float type");
		if (dims_count(value->rank, value->dims) <= 0)
			return refuse(reason, size, "an empty operand");
	}
	if (node->outputs[0]->rank != node->inputs[IN_Q]->rank)
		return refuse(reason, size, "its output's shape is not known at compile time");
	read_shape(node, &shape);
	if (shape.heads < 1 || shape.kv_heads < 1 || shape.heads % shape.kv_heads)
		return refuse(reason, size, "heads of queries that do not share the heads of keys evenly");
	if (shape.num_queries > 65535)
		return refuse(reason, size, "more than 65535 queries");
	if (!mask)
		return 0;
	full[0] = shape.batch;
	full[1] = shape.heads;
	full[2] = shape.num_queries;
	full[3] = shape.num_keys;
	if (mask->rank > 4 || mask->rank < 1 || mask->dims[mask->rank - 1] != shape.num_keys)
		return refuse(reason, size, "a mask that does not cover all keys");
	for (int d = 0; d < mask->rank; d++)
		if (mask->dims[d] != 1 && mask->dims[d] != full[4 - mask->rank + d])
			return refuse(reason, size, "a mask that does not broadcast to the scores");
	return 0;
}

static int attention_supports(const struct graph_node *node, const struct target *target,
			      enum lower_precision precision, char *reason, size_t size)
{
	struct op_node op = graph_op_node(node);
	struct shape shape;
	int err;

	for (size_t i = NUM_IN; i < node->num_inputs; i++)
		if (node->inputs[i])
			return refuse(reason, size, "a cache of keys and values, or sequences of different length");
	for (size_t i = 1; i < node->num_outputs; i++)
		if (node->outputs[i])
			return refuse(reason, size, "its cache or its scores are outputs");
	if (op_attr_float(&op, "softcap", 0) != 0 || op_attr_int(&op, "left_window_size", -1) >= 0 ||
	    op_attr_int(&op, "right_window_size", -1) >= 0)
		return refuse(reason, size, "a soft cap or a window");
	if (op_attr_int(&op, "is_causal", 0) && input(node, IN_MASK))
		return refuse(reason, size, "causal and masked at once");
	if (op_attr_int(&op, "softmax_precision", DTYPE_F32) == DTYPE_F64)
		return refuse(reason, size, "a softmax in float64");
	err = check_operands(node, reason, size);
	if (err)
		return err;
	read_shape(node, &shape);
	if (!choose_blocks(&shape, target, room_of(target, 0), precision == LOWER_F32 ? 4 : 2))
		return refuse(reason, size,
			      "the scores of one query and the keys and values of a head do not fit the scratchpad");
	return 0;
}

static uint64_t attention_cycles(const struct graph_node *node, const struct target *target,
				 enum lower_precision precision)
{
	static const enum axl_type types[] = {
		[LOWER_F32] = AXL_TYPE_F32, [LOWER_F16] = AXL_TYPE_F16, [LOWER_BF16] = AXL_TYPE_BF16};
	unsigned int size = precision == LOWER_F32 ? 4 : 2;
	uint64_t rows, keys, values, vec, matrix, blocks;
	struct shape shape;

	read_shape(node, &shape);
	if (!choose_blocks(&shape, target, room_of(target, 0), size))
		return 0;
	rows = (uint64_t)shape.queries;
	keys = (uint64_t)shape.num_keys;
	values = (uint64_t)shape.value_size;
	blocks = ((uint64_t)shape.num_queries + rows - 1) / rows * (uint64_t)(shape.heads * shape.batch);
	vec = cost_vec(AXL_VEC_RMAX, rows * keys, 4, 1) + cost_vec(AXL_VEC_SUB, rows * keys, 4, 1) +
	      cost_vec(AXL_VEC_EXP, rows * keys, size, 1) + cost_vec(AXL_VEC_RSUM, rows * keys, size, 1) +
	      cost_vec(AXL_VEC_RECIP, rows, 4, 1) + cost_vec(AXL_VEC_MUL, rows * values, 4, 1);
	matrix = cost_conv(rows, (uint64_t)shape.key_size, keys, types[precision], 0) +
		 cost_conv(rows, keys, values, types[precision], 0);
	return MAX(vec, matrix) * blocks / target->tiles + matrix + vec + 4 * target->dram_latency;
}

extern const struct lower_op lower_ops_attention[];
const struct lower_op lower_ops_attention[] = {
	{"", "Attention", attention_supports, attention_lower, attention_cycles},
	{NULL, NULL, NULL, NULL, NULL},
};
