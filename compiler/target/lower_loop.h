/* SPDX-License-Identifier: MIT */
/*
 * The tile loop of everything that is not matrix work: cut an iteration space into boxes that fit, fetch the operands
 * of a box, run a short list of vector steps, store.
 *
 * The iteration space has the output's rank; an operand that is broadcast has stride 0 (and size 1) in a dimension.
 * Dimensions in `whole` are never cut: reductions and normalizations need them in one piece, and a register marked
 * reduced has size 1 there.
 */
#ifndef COMPILER_TARGET_LOWER_LOOP_H
#define COMPILER_TARGET_LOWER_LOOP_H

#include "compiler/target/lower.h"

/* Registers of a step list: inputs, temporaries (full size or reduced), the output. */
enum {
	LOOP_MAX_INPUTS = 8,
	LOOP_IN = 0,
	LOOP_TEMP = 8, /* 8..11 full size */
	LOOP_RED = 12, /* 12..15 reduced: size 1 in the whole dimensions */
	LOOP_OUT = 16,
	LOOP_ALSO = 17,   /* a second output */
	LOOP_LOOKUP = 18, /* the loop's table, operand a of GATHER */
	LOOP_NONE = 19,
	LOOP_REGS = 20,
	LOOP_TABLE_SIZE = 256, /* elements */
};

/* dst = op(a, b) with immediates; reductions (VEC class R) go from a full to a reduced register over the whole
 * dimensions. TABLE looks up bytes in the loop's table; GATHER takes from there the element whose number is in b. */
struct loop_step {
	enum axl_vec_op op;
	int dst, a, b;
	float imm0, imm1;
};

/*
 * struct loop
 * @dims, @order: iteration space, and its dimensions from outermost to innermost (the output's memory order)
 * @inputs:    operands, each of @rank with dims equal to the space's or 1 (stride then taken as 0)
 * @in_type:   type of each input in the scratchpad
 * @temp_type: of temporaries: F32, or S32 for integer steps
 * @out:       rank as the space; size 1 where the output is reduced
 * @out_reduced: LOOP_OUT is a reduced register
 * @reg_type:  types of temporaries and reduced registers that differ from @temp_type, by register, or NULL
 * @table:     LOOP_TABLE_SIZE bytes or floats, one dimension, which each tile has beside its boxes; NULL: no step needs it
 * @also:      a second output of the whole space (LOOP_ALSO), or NULL
 * @cut:       NULL, or how @out, an image, is cut over tiles (cut.h)
 * @integer_imm: imm0, imm1 are integers (integer domain steps)
 */
struct loop {
	const struct graph_node *node;
	int rank;
	int64_t dims[TENSOR_MAX_RANK];
	int order[TENSOR_MAX_RANK];
	uint32_t whole;
	int num_inputs;
	struct dev_tensor inputs[LOOP_MAX_INPUTS];
	enum axl_type in_type[LOOP_MAX_INPUTS];
	enum axl_type temp_type;
	const enum axl_type *reg_type;
	const struct dev_tensor *table;
	const struct dev_tensor *out, *also;
	const struct cut *cut;
	bool out_reduced;
	bool integer_imm;
	const struct loop_step *steps;
	int num_steps;
};

/* Run. -ENOSPC when the whole dimensions do not fit, with lower->error. */
int loop_run(struct lower *lower, const struct loop *loop);

/* One box on @tile. @table: the loop's table there, or nothing yet. */
int loop_box(struct lower *lower, const struct loop *loop, unsigned int tile, const int64_t *start, const int64_t *size,
	     struct spad_view *table);
/* loop_run() where @loop->cut is: every tile makes all that it stores, halos too, so that none has to be brought. */
int loop_run_parts(struct lower *lower, const struct loop *loop);
/* Where a box of the cut output lies in @tile, and what is to be done when it is there. */
struct spad_view loop_part_view(const struct loop *loop, unsigned int tile, const int64_t *start, const int64_t *size);
int loop_part_commit(struct lower *lower, const struct loop *loop, unsigned int tile, const int64_t *start,
		     const int64_t *size);

/* Would it fit? For supports(): @points per box of the whole dimensions, @bytes a point for all operands. */
bool loop_fits(const struct target *target, int64_t points, int64_t bytes);

/* Memory order of a tensor: dimensions from largest to smallest stride; sizes 1 keep their place. */
void tensor_order(const struct dev_tensor *tensor, int *order);

/* @tensor with leading dimensions of size 1 added up to @rank. */
struct dev_tensor tensor_align(const struct dev_tensor *tensor, int rank);

/* Tensors of constants in the weight region, dense. place.buf 0 when out of memory. */
struct dev_tensor tensor_of_floats(struct lower *lower, int rank, const int64_t *dims, const float *values);
struct dev_tensor tensor_of_ints(struct lower *lower, int rank, const int64_t *dims, const int32_t *values);
struct dev_tensor tensor_of_bytes(struct lower *lower, int64_t count, const uint8_t *values);

/* Copy @from to @to (same dims), any layouts, any types that a LOAD or STORE converts. */
int tensor_copy_device(struct lower *lower, const struct graph_node *node, const struct dev_tensor *from,
		       const struct dev_tensor *to);

/*
 * One vector operation over scratchpad views of the same rank; dimensions are merged to the instruction's five, and
 * what is still too large is cut. @reduce: bit d, dimension d is reduced. @b may be NULL. Views with dims 1 against a
 * larger @dims are broadcast.
 */
struct vec_args {
	enum axl_vec_op op;
	uint32_t imm0, imm1; /* bits */
	uint32_t reduce;
	struct program_place table;
	int32_t gather_stride;
	uint32_t limit;
};
int vec_append(struct lower *lower, unsigned int tile, const struct vec_args *args, int rank, const int64_t *dims,
	       const int *order, const struct spad_view *dst, const struct spad_view *a, const struct spad_view *b);

uint32_t float_to_bits(float value);

#endif
