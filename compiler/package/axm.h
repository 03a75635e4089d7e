/* SPDX-License-Identifier: MIT */
/*
 * .axm: a compiled model, the one file between the compiler and the runtime.
 *
 * Layout: little endian; everything is found by offset, so that the file is used as it is mapped.
 *
 *	struct axm_header				64 bytes
 *	struct axm_section[num_sections]		32 bytes each
 *	section contents				each at a multiple of 64 bytes, zero bytes between
 *
 * Each section type occurs exactly once, in the order of enum axm_section_type. All but STRINGS and DATA are arrays of
 * one struct. A string is its offset in STRINGS, where it ends with NUL; offset 0 is "". An id list is (first, count) in
 * IDS; the id ~0 is an omitted optional input. Bytes in DATA start at multiples of 64.
 *
 * Rules, which axm_open() checks before anybody may look: sizes and offsets stay inside the file and inside their
 * section; the checksum holds; every id, string and type is in range; values are defined before use in region order
 * (inputs and constants at the start, others once, by the node that has them as output); nodes of a region are
 * contiguous and regions ascend; ranks, dims and byte sizes agree; command buffers pass the verifier against the file's
 * own target and region sizes.
 *
 * Bodies of branches and loops are entries of GRAPHS, each the value of one attribute of one CPU node. Their nodes follow those of
 * the regions, graph after graph; a body comes behind the graph that its node is in. Values have one numbering: a body reads what is
 * defined before its node by the same ids. What a body defines is seen in the body only. Its outputs are written by its own nodes,
 * each by another.
 *
 * The same model, target and options give the same bytes. A reader refuses versions that it does not know.
 */
#ifndef COMPILER_PACKAGE_AXM_H
#define COMPILER_PACKAGE_AXM_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/cpu/tensor.h"

#define AXM_MAGIC "AXMODEL" /* 8 bytes with its NUL */
#define AXM_VERSION 6
#define AXM_MAX_RANK 12
#define AXM_NO_ID (~0u)

/* @checksum: checksum_file() of checksum.h. */
struct axm_header {
	char magic[8];
	uint32_t version;
	uint32_t num_sections;
	uint64_t file_size;
	uint64_t checksum;
	uint8_t reserved[32];
};

enum axm_section_type {
	AXM_STRINGS,
	AXM_MODEL,
	AXM_VALUES,
	AXM_NODES,
	AXM_ATTRS,
	AXM_IDS,
	AXM_REGIONS,
	AXM_GRAPHS,
	AXM_DIMS,
	AXM_TILINGS,
	AXM_DATA,
	AXM_NUM_SECTIONS
};

struct axm_section {
	uint32_t type;
	uint32_t reserved0;
	uint64_t offset;
	uint64_t size;
	uint64_t reserved1;
};

/* MODEL: one entry. The target's figures as the registers of the same names hold them. */
struct axm_model {
	uint32_t name;
	uint32_t target_name;
	uint32_t precision;                /* enum axm_precision */
	uint32_t inputs_first, num_inputs; /* value ids, in the model's order */
	uint32_t outputs_first, num_outputs;
	uint32_t tiles, spad_bytes, acc_bytes, spad_banks, clock_khz;
	uint64_t mem_bytes;
	uint32_t dram_rate, dram_latency, host_rate, host_latency;
	uint64_t reserved[4];
};

enum axm_precision { AXM_F32, AXM_F16, AXM_BF16, AXM_INT8 };

/*
 * VALUES. @dtype: enum dtype (TensorProto.DataType, and the numbers of tensor.h for sequences, optionals and maps, which are of rank 0
 * here and no constants). Constants have their bytes (dense, row-major) in DATA; strings have the layout "strings" below.
 * @type: a nested value's type as text, "seq(tensor(float32))"; "" for tensors
 */
struct axm_value {
	uint32_t name;
	uint32_t dtype;
	uint32_t rank;
	uint32_t flags;             /* AXM_VALUE_* */
	int64_t dims[AXM_MAX_RANK]; /* -1: known at run time only (CPU regions) */
	uint64_t data;
	uint64_t size;
	uint32_t type;
	uint32_t reserved;
};

/*
 * Layout "strings", of a string constant and of an attribute STRINGS, in DATA: n + 1 offsets (uint64_t) that ascend from 0, then
 * bytes; string i is the bytes from offset i to offset i + 1, counted from behind the offsets.
 */

#define AXM_VALUE_INPUT 1u
#define AXM_VALUE_OUTPUT 2u
#define AXM_VALUE_CONSTANT 4u
#define AXM_VALUE_UNRANKED 8u /* a tensor whose rank is known at run time only; @rank is 0 */

/*
 * NODES: every node, in execution order. The index of a node is the tag of its device instructions (modulo 65536).
 * @sources_first, @num_sources: of a device node, the nodes of its region (a list of indices in IDS) whose results it reads: values inside
 *		of a device region are not in the file
 * @kept_until: of a device node whose result stays in the scratchpad: the last node, of the same region, that reads it there; else 0
 * @mac_size .. @operand_bytes: of device nodes, what has to be done whatever the code does (compiler/report/roofline.h)
 */
struct axm_node {
	uint32_t name, op_type, domain;
	uint32_t origin; /* ONNX nodes it came from */
	uint32_t reason; /* why it is on the CPU; on the device: what its region costs there and on the CPU */
	uint32_t opset;
	uint32_t region;
	uint32_t inputs_first, num_inputs;
	uint32_t outputs_first, num_outputs;
	uint32_t attrs_first, num_attrs;
	uint32_t kept_until;
	uint32_t sources_first, num_sources;
	uint64_t macs;
	uint64_t cycles;                /* the compiler's estimate */
	uint32_t mac_size, vector_size; /* 1, 2 or 4 bytes; 0: none */
	uint64_t vector_ops;
	uint64_t bytes, operand_bytes;
};

/* ATTRS. @type: AttributeProto.AttributeType; FLOATS, INTS, STRING have @count elements (bytes) in DATA, STRINGS @count strings of @i
 * bytes in all; TENSOR is a value id in @i; GRAPH an index into GRAPHS. */
struct axm_attr {
	uint32_t name;
	uint32_t type;
	int64_t i;
	float f;
	uint32_t count;
	uint64_t data;
};

/*
 * REGIONS, in execution order. A device region has a command buffer and weights in DATA; base registers: 0 weights, 1
 * arena, then the inputs, then the outputs, in the order of the lists, each a dense row-major tensor. @spad_bytes: of a tile's
 * scratchpad, the highest address used; @spad_bound, @arena_bound: the most bytes that are live at once, which no plan undercuts.
 */
struct axm_region {
	uint32_t device; /* 1: NPU, 0: CPU */
	uint32_t first_node, num_nodes;
	uint32_t inputs_first, num_inputs; /* value ids */
	uint32_t outputs_first, num_outputs;
	uint32_t reserved;
	uint64_t code, code_bytes;
	uint64_t weights, weight_bytes;
	uint64_t arena_bytes, arena_bound;
	uint64_t spad_bytes, spad_bound;
	uint64_t cycles;
};

/* GRAPHS: bodies. @inputs are values that nothing else defines; the caller's values are bound to them for each run. */
struct axm_graph {
	uint32_t name;
	uint32_t first_node, num_nodes;
	uint32_t inputs_first, num_inputs; /* value ids */
	uint32_t outputs_first, num_outputs;
	uint32_t reserved;
};

/* DIMS: symbolic dimensions of the model's inputs and outputs, and the size that each was compiled for. */
struct axm_dim {
	uint32_t value, dimension;
	uint32_t symbol; /* its name */
	uint32_t reserved;
	int64_t size;
};

/*
 * TILINGS: what the tile searches of the device nodes compared (compiler/target/matrix_choice.h), by node in ascending order. A search
 * begins with the tiling that it took (AXM_TILING_TAKEN), its runners-up follow. @compared: tilings of the search; 0 in runners-up.
 * @cycles: as the search estimates them, of the node's matrix work alone; @bytes: from and to memory.
 */
struct axm_tiling {
	uint32_t node, flags; /* AXM_TILING_* */
	uint32_t rows, channels, depth, chunk_h, chunk_w;
	uint32_t compared;
	uint64_t cycles, bytes;
};

#define AXM_TILING_TAKEN 1u
#define AXM_TILING_KEEP_WEIGHTS 2u
#define AXM_TILING_SPLIT_ROWS 4u
#define AXM_TILING_CUT 8u /* of the parts of an image that is cut over tiles */

/* ---- reading ---- */

/*
 * An open model: pointers into the mapping. Read-only, may be shared between threads.
 */
struct axm {
	const uint8_t *bytes;
	uint64_t size;
	const char *strings;
	const struct axm_model *model;
	const struct axm_value *values;
	const struct axm_node *nodes;
	const struct axm_attr *attrs;
	const uint32_t *ids;
	const struct axm_region *regions;
	const struct axm_graph *graphs;
	const struct axm_dim *dims;
	const struct axm_tiling *tilings;
	const uint8_t *data;
	uint64_t string_bytes, data_bytes;
	uint32_t num_values, num_nodes, num_attrs, num_ids, num_regions, num_graphs, num_dims, num_tilings;
	uint32_t num_region_nodes; /* the others are in bodies */
	void *mapping;             /* not NULL: to be unmapped, @mapping_size bytes; @bytes lie in it */
	uint64_t mapping_size;
};

/*
 * Check and open. axm_open_bytes() and axm_open_built() borrow @bytes (64-byte aligned), which must outlive the model. Fails with -EINVAL
 * and the rule that is broken in @error, -ENOTSUP (another version), or what open(2) and mmap(2) give. axm_close(NULL
 * or closed) is fine.
 */
int axm_open(const char *path, struct axm *axm, char *error, size_t error_size);
/* What this process has built and nobody has changed: all the rules, without reading it whole for its checksum. */
int axm_open_built(const void *bytes, size_t size, struct axm *axm, char *error, size_t error_size);
int axm_open_bytes(const void *bytes, size_t size, struct axm *axm, char *error, size_t error_size);
void axm_close(struct axm *axm);

/* String @i of @count strings at @offset of DATA, in the layout "strings". */
static inline struct tensor_string axm_string_at(const struct axm *axm, uint64_t offset, uint64_t count, uint64_t i)
{
	const uint64_t *ends = (const void *)(axm->data + offset);
	char *bytes = (char *)(uintptr_t)(ends + count + 1);

	return (struct tensor_string){bytes + ends[i], ends[i + 1] - ends[i]};
}

/* Bytes of a tensor of fixed shape; 0 where the shape or an element's size is known at run time only. */
static inline uint64_t axm_value_bytes(const struct axm_value *value)
{
	int64_t count = value->flags & AXM_VALUE_UNRANKED ? 0 : dims_count((int)value->rank, value->dims);

	return count > 0 ? (uint64_t)count * dtype_size((enum dtype)value->dtype) : 0;
}

static inline const char *axm_string(const struct axm *axm, uint32_t offset)
{
	return axm->strings + offset;
}

/* ---- writing (the compiler) ---- */

struct axm_builder;

int axm_builder_create(struct axm_builder **builder);
void axm_builder_destroy(struct axm_builder *builder);
/* Each returns an offset or index; AXM_NO_ID (or ~0) after a failure, which axm_builder_finish() then reports. */
uint32_t axm_add_string(struct axm_builder *builder, const char *text); /* equal strings share an offset; NULL is "" */
uint64_t axm_add_data(struct axm_builder *builder, const void *bytes, uint64_t size);
/* Without a copy: @bytes must stay until the builder is destroyed. */
uint64_t axm_borrow_data(struct axm_builder *builder, const void *bytes, uint64_t size);
/*
 * As axm_borrow_data(), and the bytes are not needed any more once they are in the file: axm_builder_finish() gives their
 * pages back to the system as it copies, so that a model's weights are in memory once, not twice. @bytes is malloc'ed memory
 * of the caller's, who still frees it; its contents are undefined after axm_builder_finish().
 */
uint64_t axm_consume_data(struct axm_builder *builder, void *bytes, uint64_t size);
uint32_t axm_add_ids(struct axm_builder *builder, const uint32_t *ids, uint32_t count);
uint32_t axm_add_value(struct axm_builder *builder, const struct axm_value *value);
uint32_t axm_add_node(struct axm_builder *builder, const struct axm_node *node);
uint32_t axm_add_attr(struct axm_builder *builder, const struct axm_attr *attr);
uint32_t axm_add_region(struct axm_builder *builder, const struct axm_region *region);
uint32_t axm_add_graph(struct axm_builder *builder, const struct axm_graph *graph);
uint32_t axm_add_dim(struct axm_builder *builder, const struct axm_dim *dim);
uint32_t axm_add_tiling(struct axm_builder *builder, const struct axm_tiling *tiling);
/* @count strings in the layout "strings"; *size: its bytes. */
uint64_t axm_add_strings(struct axm_builder *builder, const struct tensor_string *strings, uint64_t count,
			 uint64_t *size);
void axm_set_model(struct axm_builder *builder, const struct axm_model *model);
/* The file's bytes, malloc'ed with 64-byte alignment, the caller's. 0, -ENOMEM. */
int axm_builder_finish(struct axm_builder *builder, uint8_t **bytes, size_t *size);

_Static_assert(sizeof(struct axm_header) == 64, "header");
_Static_assert(sizeof(struct axm_section) == 32, "section");
_Static_assert(sizeof(struct axm_value) == 136, "value");
_Static_assert(sizeof(struct axm_node) == 112, "node");
_Static_assert(sizeof(struct axm_attr) == 32, "attribute");
_Static_assert(sizeof(struct axm_region) == 104, "region");
_Static_assert(sizeof(struct axm_graph) == 32, "graph");
_Static_assert(sizeof(struct axm_dim) == 24, "dimension");
_Static_assert(sizeof(struct axm_tiling) == 48, "tiling");
_Static_assert(sizeof(struct axm_model) == 104, "model");

#endif
