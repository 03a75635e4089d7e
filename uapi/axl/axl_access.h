/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * Which bytes an instruction touches, from the ISA's definition alone: a bounding range for each operand. User space
 * only; the device model checks operands with it, the compiler finds dependences and the verifier bounds.
 */
#ifndef UAPI_AXL_AXL_ACCESS_H
#define UAPI_AXL_AXL_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <axl/axl_isa.h>

enum access_space { ACCESS_SPAD, ACCESS_ACC, ACCESS_MEMORY };

/*
 * struct access
 * @place:  number of the operand, as program_append() numbers places
 * @lo, @hi: bytes [lo, hi) relative to the operand's address (may be negative)
 * @align:  the address must be a multiple of it
 */
struct access {
	enum access_space space;
	int place;
	int64_t lo, hi;
	bool write;
	unsigned int align;
};

#define ACCESS_MAX 8

/* 0 for an unknown type. */
static inline unsigned int access_type_bytes(unsigned int type)
{
	static const uint8_t bytes[AXL_NUM_TYPES] = {
#define TYPE_BYTES(name, number, size, text) [number] = size,
		AXL_TYPES(TYPE_BYTES)
#undef TYPE_BYTES
	};
	return type < AXL_NUM_TYPES ? bytes[type] : 0;
}

/* Offset of the address field of place @place (ADDR and ACC fields) in the instruction, or -1. */
static inline int access_field(unsigned int opcode, int place)
{
	static const int dma[] = {-1, offsetof(struct axl_dma, spad), offsetof(struct axl_dma, index_addr)};
	static const int conv[] = {offsetof(struct axl_conv, a), offsetof(struct axl_conv, w),
				   offsetof(struct axl_conv, acc)};
	static const int drain[] = {offsetof(struct axl_drain, acc),  offsetof(struct axl_drain, out),
				    offsetof(struct axl_drain, bias), offsetof(struct axl_drain, scale),
				    offsetof(struct axl_drain, res),  offsetof(struct axl_drain, table)};
	static const int vec[] = {offsetof(struct axl_vec, dst), offsetof(struct axl_vec, src0),
				  offsetof(struct axl_vec, src1), offsetof(struct axl_vec, table)};

	switch (opcode) {
	case AXL_OP_LOAD:
	case AXL_OP_STORE:
		return place < 3 ? dma[place] : -1;
	case AXL_OP_CONV:
	case AXL_OP_DWCONV:
		return place < 3 ? conv[place] : -1;
	case AXL_OP_DRAIN:
		return place < 6 ? drain[place] : -1;
	case AXL_OP_VEC:
		return place < 4 ? vec[place] : -1;
	default:
		return -1;
	}
}

/* Beyond every memory, and far enough from the end of the type that an address can be added. */
#define ACCESS_FAR (INT64_MAX / 4)

/* Extend the range by an index that goes from 0 to count - 1 with @stride. What would overflow is far out of bounds. */
static inline void extend(struct access *access, int64_t count, int64_t stride)
{
	int64_t reach, *end = stride > 0 ? &access->hi : &access->lo;

	if (count < 1)
		return;
	if (__builtin_mul_overflow(count - 1, stride, &reach) || __builtin_add_overflow(*end, reach, &reach) ||
	    reach > ACCESS_FAR || reach < -ACCESS_FAR)
		reach = stride > 0 ? ACCESS_FAR : -ACCESS_FAR;
	*end = reach;
}

static inline struct access element(enum access_space space, int place, unsigned int bytes, bool write)
{
	return (struct access){
		.space = space, .place = place, .lo = 0, .hi = bytes, .write = write, .align = bytes ? bytes : 1};
}

static inline size_t dma_accesses(const struct axl_dma *dma, struct access *list)
{
	bool load = dma->header.opcode == AXL_OP_LOAD;
	struct access *memory = &list[0], *spad = &list[1];
	size_t count = 2;

	*memory = element(ACCESS_MEMORY, 0, access_type_bytes(dma->mem_type), !load);
	*spad = element(ACCESS_SPAD, 1, access_type_bytes(dma->spad_type), load);
	memory->align = 1;
	for (int d = 0; d < 5; d++) {
		uint32_t end = dma->hi[d] && dma->hi[d] < dma->dims[d] ? dma->hi[d] : dma->dims[d];
		int64_t valid = (int64_t)end - dma->lo[d];

		extend(spad, dma->dims[d], dma->spad_stride[d]);
		if (valid < 1)
			memory->hi = memory->lo = 0;
		else if (d == 0 && dma->dma_flags & AXL_DMA_GATHER)
			extend(memory, dma->index_limit, dma->mem_stride[d]);
		else if (memory->hi > memory->lo)
			extend(memory, valid, dma->mem_stride[d]);
	}
	if (dma->dma_flags & AXL_DMA_GATHER) {
		list[count] = element(ACCESS_SPAD, 2, 4, false);
		extend(&list[count++], (int64_t)(dma->hi[0] ? dma->hi[0] : dma->dims[0]) - dma->lo[0], 4);
	}
	return count;
}

/* Runs of bytes into which access_memory_runs() takes a transfer apart, at most. */
#define ACCESS_MAX_RUNS 256

/*
 * The bytes of memory that a transfer touches, more closely than its bounding range: *@count runs of @return bytes each, run i at
 * starts[i] relative to the operand's address. What would be too many runs is joined, the nearest ones first. Two transfers whose
 * rows or channels interleave share no byte, and here that shows.
 */
static inline uint64_t access_memory_runs(const struct axl_dma *dma, int64_t *starts, size_t *count)
{
	struct {
		int64_t count, stride;
	} dims[5];
	int64_t run = access_type_bytes(dma->mem_type), total = 1;
	int num = 0, first = 0;

	starts[0] = 0;
	*count = 1;
	for (int d = 0; d < 5; d++) {
		uint32_t end = dma->hi[d] && dma->hi[d] < dma->dims[d] ? dma->hi[d] : dma->dims[d];
		int64_t valid = (int64_t)end - dma->lo[d], stride = dma->mem_stride[d];
		int at = num;

		if (valid < 1)
			return 0;
		if (valid == 1)
			continue;
		if (stride < 0) { /* counted from its other end */
			starts[0] += (valid - 1) * stride;
			stride = -stride;
		}
		for (; at > 0 && dims[at - 1].stride > stride; at--)
			dims[at] = dims[at - 1];
		dims[at].count = valid;
		dims[at].stride = stride;
		num++;
	}
	for (; first < num && dims[first].stride <= run; first++)
		run += (dims[first].count - 1) * dims[first].stride;
	for (int d = first; d < num; d++)
		total = total > ACCESS_MAX_RUNS ? total : total * dims[d].count;
	for (; total > ACCESS_MAX_RUNS; first++) {
		run += (dims[first].count - 1) * dims[first].stride;
		total = 1;
		for (int d = first + 1; d < num; d++)
			total = total > ACCESS_MAX_RUNS ? total : total * dims[d].count;
	}
	for (int d = first; d < num; d++) {
		size_t have = *count;

		for (int64_t i = 1; i < dims[d].count; i++)
			for (size_t k = 0; k < have; k++)
				starts[(*count)++] = starts[k] + i * dims[d].stride;
	}
	return (uint64_t)run;
}

static inline size_t conv_accesses(const struct axl_conv *conv, struct access *list)
{
	int64_t taps = (int64_t)conv->kernel_h * conv->kernel_w;
	int64_t k = conv->header.opcode == AXL_OP_DWCONV ? taps : taps * conv->channels;

	list[0] = element(ACCESS_SPAD, 0, access_type_bytes(conv->a_type), false);
	extend(&list[0], conv->in_h, conv->a_stride_h);
	extend(&list[0], conv->in_w, conv->a_stride_w);
	extend(&list[0], conv->channels, list[0].align);
	list[1] = element(ACCESS_SPAD, 1, access_type_bytes(conv->w_type), false);
	extend(&list[1], k, conv->w_stride_k);
	extend(&list[1], conv->n, conv->w_stride_n);
	list[2] = element(ACCESS_ACC, 2, 4, true);
	extend(&list[2], (int64_t)conv->out_h * conv->out_w, conv->acc_stride);
	extend(&list[2], conv->n, 4);
	return 3;
}

static inline size_t drain_accesses(const struct axl_drain *drain, struct access *list)
{
	int64_t rows = drain->rows_h, cols = drain->rows_w;
	unsigned int pool_h = drain->pool_hw >> 4, pool_w = drain->pool_hw & 15;
	unsigned int step_h = drain->pool_stride >> 4, step_w = drain->pool_stride & 15;
	size_t count = 2;

	list[0] = element(ACCESS_ACC, 0, 4, false);
	extend(&list[0], rows * cols, drain->acc_stride);
	extend(&list[0], drain->n, 4);
	list[1] = element(ACCESS_SPAD, 1, access_type_bytes(drain->out_type), true);
	extend(&list[1], pool_h && step_h ? (rows - pool_h) / step_h + 1 : rows, drain->out_stride_h);
	extend(&list[1], pool_w && step_w ? (cols - pool_w) / step_w + 1 : cols, drain->out_stride_w);
	extend(&list[1], drain->n, list[1].align);
	if (drain->dr_flags & AXL_DR_BIAS) {
		list[count] = element(ACCESS_SPAD, 2, 4, false);
		extend(&list[count++], drain->n, 4);
	}
	if (drain->dr_flags & AXL_DR_SCALE) {
		list[count] = element(ACCESS_SPAD, 3, 4, false);
		extend(&list[count++], drain->n, 4);
	}
	if (drain->dr_flags & AXL_DR_RESIDUAL) {
		list[count] = element(ACCESS_SPAD, 4, access_type_bytes(drain->res_type), false);
		extend(&list[count], rows, drain->res_stride_h);
		extend(&list[count], cols, drain->res_stride_w);
		extend(&list[count], drain->n, list[count].align);
		count++;
	}
	if (drain->dr_flags & AXL_DR_TABLE) {
		list[count] = element(ACCESS_SPAD, 5, 1, false);
		extend(&list[count++], 256, 1);
	}
	return count;
}

/* Class and use of the second source, by operation. */
static inline bool vec_is_binary(unsigned int op)
{
	return (op >= AXL_VEC_ADD && op <= AXL_VEC_SELECT) || op == AXL_VEC_GATHER;
}

static inline bool vec_is_reduction(unsigned int op)
{
	return op >= AXL_VEC_RSUM && op <= AXL_VEC_ARGMIN;
}

static inline size_t vec_accesses(const struct axl_vec *vec, struct access *list)
{
	size_t count = 2;

	list[0] = element(ACCESS_SPAD, 0, access_type_bytes(vec->dst_type), true);
	list[1] = element(ACCESS_SPAD, 1, access_type_bytes(vec->src0_type), false);
	for (int d = 0; d < 5; d++) {
		if (!(vec_is_reduction(vec->op) && vec->reduce_mask >> d & 1))
			extend(&list[0], vec->dims[d], vec->dst_stride[d]);
		extend(&list[1], vec->dims[d], vec->src0_stride[d]);
	}
	if (vec->op == AXL_VEC_GATHER)
		extend(&list[1], vec->limit, vec->gather_stride);
	if (vec_is_binary(vec->op)) {
		list[count] = element(ACCESS_SPAD, 2, access_type_bytes(vec->src1_type), false);
		for (int d = 0; d < 5; d++)
			extend(&list[count], vec->dims[d], vec->src1_stride[d]);
		count++;
	}
	if (vec->op == AXL_VEC_TABLE) {
		list[count] = element(ACCESS_SPAD, 3, 1, false);
		extend(&list[count++], 256, 1);
	}
	return count;
}

/* Number of accesses; 0 for sequencer instructions and SYNC. The operands' sizes need not have been checked. */
static inline size_t access_list(const union axl_insn *insn, struct access *list)
{
	switch (insn->header.opcode) {
	case AXL_OP_LOAD:
	case AXL_OP_STORE:
		return dma_accesses(&insn->dma, list);
	case AXL_OP_CONV:
	case AXL_OP_DWCONV:
		return conv_accesses(&insn->conv, list);
	case AXL_OP_DRAIN:
		return drain_accesses(&insn->drain, list);
	case AXL_OP_VEC:
		return vec_accesses(&insn->vec, list);
	default:
		return 0;
	}
}

#endif
