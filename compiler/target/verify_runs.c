/* SPDX-License-Identifier: MIT */
/* See verify_runs.h. */
#include "compiler/target/verify_runs.h"

#include <axl/axl_access.h>

#define MAX_DIMS 5

/* Dimensions of an operand, the innermost last; strides in bytes. */
struct dims {
	int num;
	int64_t count[MAX_DIMS], stride[MAX_DIMS];
	uint64_t bytes; /* of an element */
};

static void add(struct dims *dims, int64_t count, int64_t stride)
{
	if (count > 1) {
		dims->count[dims->num] = count;
		dims->stride[dims->num++] = stride;
	}
}

/* The dimensions of operand @place, where it is one whose strides can leave holes. */
static struct dims dims_of(const union axl_insn *insn, int place)
{
	struct dims dims = {0};
	const struct axl_conv *conv = &insn->conv;
	const struct axl_drain *drain = &insn->drain;
	const struct axl_vec *vec = &insn->vec;

	switch (insn->header.opcode) {
	case AXL_OP_CONV:
	case AXL_OP_DWCONV:
		if (place == 0) {
			dims.bytes = access_type_bytes(conv->a_type);
			add(&dims, conv->in_h, conv->a_stride_h);
			add(&dims, conv->in_w, conv->a_stride_w);
			add(&dims, conv->channels, (int64_t)dims.bytes);
		}
		break;
	case AXL_OP_DRAIN:
		if (place == 4) {
			dims.bytes = access_type_bytes(drain->res_type);
			add(&dims, drain->rows_h, drain->res_stride_h);
			add(&dims, drain->rows_w, drain->res_stride_w);
			add(&dims, drain->n, (int64_t)dims.bytes);
		}
		break;
	case AXL_OP_STORE:
		if (place == 1) {
			dims.bytes = access_type_bytes(insn->dma.spad_type);
			for (int d = 0; d < 5; d++)
				add(&dims, insn->dma.dims[d], insn->dma.spad_stride[d]);
		}
		break;
	case AXL_OP_VEC:
		if ((place == 1 && vec->op != AXL_VEC_GATHER) || place == 2) {
			dims.bytes = access_type_bytes(place == 1 ? vec->src0_type : vec->src1_type);
			for (int d = 0; d < 5; d++)
				add(&dims, vec->dims[d], place == 1 ? vec->src0_stride[d] : vec->src1_stride[d]);
		}
		break;
	default:
		break;
	}
	return dims;
}

struct verify_runs verify_runs_of(const union axl_insn *insn, int place)
{
	struct dims dims = dims_of(insn, place);
	struct verify_runs runs = {0, dims.bytes};
	int d = dims.num - 1;

	if (!dims.bytes)
		return runs;
	for (; d >= 0 && dims.stride[d] == (int64_t)runs.bytes; d--)
		runs.bytes *= (uint64_t)dims.count[d];
	if (d < 0 || dims.stride[d] < (int64_t)runs.bytes)
		return runs;
	for (int outer = 0; outer < d; outer++)
		if (dims.stride[outer] < 0 || dims.stride[outer] % dims.stride[d])
			return runs;
	runs.period = (uint64_t)dims.stride[d];
	return runs;
}

bool verify_runs_miss(const struct verify_runs *runs, uint64_t lo, uint64_t hi)
{
	uint64_t at = runs->period ? lo % runs->period : 0;

	return runs->period && at >= runs->bytes && at + (hi - lo) <= runs->period;
}
