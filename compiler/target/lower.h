/* SPDX-License-Identifier: MIT */
/*
 * Lowering: one graph node (with what is fused into it) -> instructions of a program.
 *
 * A device tensor is a strided view of a buffer: dimension d of the ONNX shape moves by stride[d] bytes. Layout is
 * therefore not a property of operators but of tensors: convolutions like their channels innermost (NHWC), matrix
 * products their last dimension, and a Transpose, Slice, Split or Squeeze is only another view. An operator that wants
 * another order says so when it fetches, and the load pipe transposes.
 *
 *	lower_fetch()	brings a box of a tensor into a scratchpad buffer with the strides the operator wants; where the
 *			tensor is resident in that scratchpad already, it returns a view instead and moves nothing
 *	lower_commit()	the other way
 *
 * Everything reaches memory through these two, so that residency (a tensor that never leaves the scratchpad) and layout
 * are decided in one place.
 */
#ifndef COMPILER_TARGET_LOWER_H
#define COMPILER_TARGET_LOWER_H

#include <errno.h>
#include <stdio.h>

#include "compiler/graph/graph.h"
#include "compiler/pass.h"
#include "compiler/target/program.h"

enum lower_precision { LOWER_F32, LOWER_F16, LOWER_BF16 };

/*
 * A device tensor.
 * @type:   element type where it lies; float values carry the precision's type inside a region, and F32 at its border
 * @place:  element (0, …, 0)
 * @stride: bytes, by ONNX dimension; 0 allowed for a broadcast view
 */
struct dev_tensor {
	enum axl_type type;
	int rank;
	int64_t dims[TENSOR_MAX_RANK];
	int64_t stride[TENSOR_MAX_RANK];
	struct program_place place;
};

#define RESIDENT_MAX 32

/*
 * What stays in the scratchpad between nodes; see resident.h.
 * @budget: bytes that may be resident at once; @bytes: that are now
 * @most: cycles that may pass from one preemption point to the next, by the estimates; @cycles: since the last one;
 * @counted: of them, of the node that is being lowered; @exact: the estimates are what finished code took
 * @brought: bytes that were loaded for the node that is being lowered and later ones
 */
struct resident {
	uint64_t budget, bytes, most, cycles, counted, brought;
	bool exact;
	struct {
		size_t last; /* number of its last reader */
		uint64_t bytes;
	} list[RESIDENT_MAX];
	unsigned int count;
};

/* Weight blocks of a node, by block, as one tiling cuts them (matrix_nest.h). */
struct packed_weights {
	int64_t n, k, plane;
	program_buf *blocks; /* NULL: none yet */
};

/*
 * Context of lowering one region.
 * @tensors: by graph_value id; rank -1 where there is none yet
 * @estimates: cycles by node of the graph, of the nodes that are lowered; @at: the node that is being lowered
 * @choices: of the tile searches, in the order of the nodes
 * @kept_until: by node of the graph, the last node that reads its result, or 0 where that does not stay in the scratchpad until then
 * @runs: by node, 0 or the number of the run whose nodes are lowered image by image (images.h) or in stripes (stripes.h)
 * @stripes: by node, how many stripes the run that begins there is lowered in, or 0
 * @first_row: by graph_value id, of the stripe that is being lowered; else 0
 * @packed: by node of a run, the weight blocks that were packed for an image or a stripe before
 * @disabled: passes to leave out
 * @shares: what several nodes read of memory may be loaded once for them; @saved: bytes that were not loaded again
 * @halos: bytes that tiles get of what other tiles make, as parts of images (cut.h)
 * @float_type: how float values are held on the device (from the precision)
 */
struct lower {
	struct program *program;
	const struct target *target;
	const struct graph *graph;
	enum lower_precision precision;
	enum axl_type float_type;
	struct dev_tensor *tensors;
	size_t num_tensors;
	struct resident resident;
	struct cut *cuts; /* by graph_value id; see cut.h */
	uint64_t *estimates;
	uint32_t *runs;
	int64_t *stripes, *first_row;
	struct packed_weights *packed;
	size_t at;
	struct matrix_choices choices;
	size_t *kept_until;
	uint32_t disabled;
	bool shares;
	uint64_t saved, halos;
	char error[256]; /* names node and rule */
};

/*
 * A registered lowering.
 * @supports: 0 when the device can do the node; else -ENOTSUP with one sentence in @reason (what, and what would help)
 * @lower:    append the instructions. Inputs have tensors; it creates those of the outputs (lower_output() or a view).
 * @cycles:   the cost model's estimate on @target, or 0 when it is only a view
 */
struct lower_op {
	const char *domain;
	const char *op_type;
	int (*supports)(const struct graph_node *node, const struct target *target, enum lower_precision precision,
			char *reason, size_t reason_size);
	int (*lower)(struct lower *lower, struct graph_node *node);
	uint64_t (*cycles)(const struct graph_node *node, const struct target *target, enum lower_precision precision);
};

/* What supports() of a lowering returns. */
static inline int refuse(char *reason, size_t size, const char *text)
{
	snprintf(reason, size, "%s", text);
	return -ENOTSUP;
}

/* A lowering that does the work of a later node as well leaves this in that node's `data`. */
#define LOWER_DONE 1

/* NULL when no lowering has this name. The families' tables are listed in lower_table.c. */
const struct lower_op *lower_find(const struct graph_node *node);
const struct lower_op *lower_at(size_t index);

int lower_create(struct program *program, const struct graph *graph, enum lower_precision precision,
		 struct lower **lower);
void lower_destroy(struct lower *lower);

/* The tensor of @value: of a constant it is made here (converted to the device's type, row-major, a WEIGHT buffer), of
 * a cut value (cut.h) brought to memory. NULL: -ENOMEM. */
struct dev_tensor *lower_tensor(struct lower *lower, const struct graph_value *value);
/* A constant's contents, or NULL when @value is not constant. */
const struct tensor *lower_constant(const struct graph_value *value);

/*
 * Create the output tensor for @value in an ARENA buffer (or the region's OUTPUT when bound before). @order lists its
 * dimensions from outermost to innermost in memory, NULL: as they are. Returns NULL on failure.
 */
struct dev_tensor *lower_output(struct lower *lower, const struct graph_value *value, const int *order);
/* The order in which convolutions and pools want an image, when @value is read by one: channels innermost. */
bool lower_image_order(const struct graph_value *value, int *order);
/* The same for an operator that writes through lower_commit() or in place: it may stay in the scratchpad (resident.h).
 */
struct dev_tensor *lower_output_resident(struct lower *lower, const struct graph_value *value, const int *order);
/* Make @value's tensor a view: the caller fills the returned struct. */
struct dev_tensor *lower_view(struct lower *lower, const struct graph_value *value);

/*
 * A box of a tensor: first index and size by dimension; and where it is in a scratchpad (@place, @stride, @type).
 */
struct lower_box {
	int64_t start[TENSOR_MAX_RANK];
	int64_t size[TENSOR_MAX_RANK];
};

struct spad_view {
	struct program_place place;
	int rank;
	int64_t dims[TENSOR_MAX_RANK];
	int64_t stride[TENSOR_MAX_RANK]; /* bytes */
	enum axl_type type;
	unsigned int tile;
};

/*
 * Bring @box of @tensor to @tile as @type. @order as in lower_output (dense in that order); NULL takes the memory's own
 * order. Parts of the box outside the tensor (start < 0 or beyond the end) read as @fill (bits of @type). @pipe:
 * AXL_PIPE_LOAD or AXL_PIPE_WEIGHT. @tiles: bit mask of tiles that get a copy (multicast), 0: only @tile. Splits into
 * several LOADs where one can not express it. 0 or negative errno with lower->error.
 */
int lower_fetch(struct lower *lower, const struct dev_tensor *tensor, const struct lower_box *box, unsigned int tile,
		uint8_t tiles, enum axl_type type, const int *order, uint32_t fill, enum axl_pipe pipe,
		enum axl_purpose purpose, struct spad_view *view);
/* Store @view, whose dims equal @box's sizes, to @box of @tensor (converting to its type). */
int lower_commit(struct lower *lower, const struct dev_tensor *tensor, const struct lower_box *box,
		 const struct spad_view *view);

/*
 * Bring the first @bytes of the row of bytes @tensor to the tiles of @tiles by tile 0's WEIGHT pipe, or where that is 0
 * to @tile by its own, in pieces: memory serves whoever asked first, and a large block of weights that is not needed yet
 * would keep what others wait for. @room: bytes that they get in the scratchpad, where places of one size leave no gaps.
 */
int lower_fetch_pieces(struct lower *lower, const struct dev_tensor *tensor, int64_t bytes, int64_t room,
		       unsigned int tile, uint8_t tiles, struct spad_view *view);

/* One transfer between @box of @tensor in memory and @view, a place in the scratchpad that is there already. */
int lower_load_view(struct lower *lower, const struct dev_tensor *tensor, const struct lower_box *box,
		    struct spad_view *view);
int lower_store_view(struct lower *lower, const struct dev_tensor *tensor, const struct lower_box *box,
		     const struct spad_view *view);

/* A new dense scratchpad view of @type, dims in @order (NULL: as they are). */
int lower_spad(struct lower *lower, unsigned int tile, enum axl_type type, int rank, const int64_t *dims,
	       const int *order, const char *name, struct spad_view *view);

/* Append with program_append(), copying its text to lower->error. */
int lower_append(struct lower *lower, unsigned int tile, const union axl_insn *insn,
		 const struct program_place *places);
int lower_fail(struct lower *lower, const struct graph_node *node, int err, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

enum axl_type lower_type(const struct lower *lower,
			 enum dtype type); /* device type of an ONNX type; AXL_NUM_TYPES: none */

#endif
