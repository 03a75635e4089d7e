/* SPDX-License-Identifier: MIT */
/* Checks and dispatch of instructions; see exec.h. What each computes is in exec_conv.c, exec_drain.c and exec_vec.c.
 */
#include "sim/core/exec.h"

#include <string.h>

#include <axl/axl_access.h>

#include "sim/core/exec_internal.h"

size_t exec_type_size(enum axl_type type)
{
	return access_type_bytes(type);
}

static const struct {
	uint8_t slots, pipe;
	bool known;
} opcodes[256] = {
#define AXL_PIPE_ANY AXL_PIPE_SEQ
#define OPCODE_ROW(name, number, format, pipe, slots, text) [number] = {slots, AXL_PIPE_##pipe, true},
	AXL_OPCODES(OPCODE_ROW)
#undef OPCODE_ROW
#undef AXL_PIPE_ANY
};

static bool refuse(struct exec_error *error, enum axl_cause cause, uint64_t address, const char *what)
{
	error->cause = cause;
	error->address = address;
	error->what = what;
	return false;
}

static bool all_zero(const void *data, size_t count)
{
	const uint8_t *bytes = data;

	while (count--)
		if (*bytes++)
			return false;
	return true;
}

static bool spad_type(unsigned int type)
{
	return type < AXL_NUM_TYPES && type != AXL_TYPE_S64;
}

static bool is_byte(unsigned int type)
{
	return type == AXL_TYPE_U8 || type == AXL_TYPE_S8;
}

static bool is_real(unsigned int type)
{
	return type == AXL_TYPE_F16 || type == AXL_TYPE_BF16 || type == AXL_TYPE_F32;
}

/* Strides of typed elements keep them aligned; that of a dimension of one element does not count. */
static bool strides_aligned(const int32_t *stride, const uint32_t *count, int rank, unsigned int type)
{
	int32_t size = (int32_t)exec_type_size((enum axl_type)type);

	for (int d = 0; d < rank; d++)
		if (count[d] > 1 && stride[d] % size)
			return false;
	return true;
}

/*
 * Work of one instruction is bounded, so that a hostile one can not hold the device: products by the accumulators it
 * may have times AXL_MAX_K, everything else by a number of elements.
 */
static bool check_work(const union axl_insn *insn, uint32_t acc_bytes)
{
	const struct axl_conv *conv = &insn->conv;
	uint64_t elements = 1;

	switch (insn->header.opcode) {
	case AXL_OP_CONV:
	case AXL_OP_DWCONV:
		return (uint64_t)conv->out_h * conv->out_w * conv->n <= acc_bytes / 4 &&
		       (uint64_t)conv->kernel_h * conv->kernel_w * conv->channels <= AXL_MAX_K;
	case AXL_OP_DRAIN:
		return (uint64_t)insn->drain.rows_h * insn->drain.rows_w * insn->drain.n <= acc_bytes / 4;
	case AXL_OP_LOAD:
	case AXL_OP_STORE:
		for (int d = 0; d < 5 && elements <= AXL_MAX_ELEMENTS; d++)
			elements *= insn->dma.dims[d];
		return elements <= AXL_MAX_ELEMENTS;
	case AXL_OP_VEC:
		for (int d = 0; d < 5 && elements <= AXL_MAX_ELEMENTS; d++)
			elements *= insn->vec.dims[d];
		return elements <= AXL_MAX_ELEMENTS;
	default:
		return true;
	}
}

static bool check_strides(const union axl_insn *insn)
{
	const struct axl_conv *conv = &insn->conv;
	const struct axl_drain *drain = &insn->drain;
	const struct axl_vec *vec = &insn->vec;
	uint32_t dims[5];

	switch (insn->header.opcode) {
	case AXL_OP_LOAD:
	case AXL_OP_STORE:
		return strides_aligned(insn->dma.spad_stride, insn->dma.dims, 5, insn->dma.spad_type);
	case AXL_OP_CONV:
	case AXL_OP_DWCONV:
		return strides_aligned((const int32_t[]){(int32_t)conv->a_stride_h, (int32_t)conv->a_stride_w},
				       (const uint32_t[]){2, 2}, 2, conv->a_type) &&
		       strides_aligned((const int32_t[]){(int32_t)conv->w_stride_k, (int32_t)conv->w_stride_n},
				       (const uint32_t[]){2, 2}, 2, conv->w_type);
	case AXL_OP_DRAIN:
		return strides_aligned((const int32_t[]){(int32_t)drain->out_stride_h, (int32_t)drain->out_stride_w},
				       (const uint32_t[]){drain->rows_h, drain->rows_w}, 2, drain->out_type) &&
		       (!(drain->dr_flags & AXL_DR_RESIDUAL) ||
			strides_aligned((const int32_t[]){(int32_t)drain->res_stride_h, (int32_t)drain->res_stride_w},
					(const uint32_t[]){drain->rows_h, drain->rows_w}, 2, drain->res_type));
	case AXL_OP_VEC:
		for (int d = 0; d < 5; d++)
			dims[d] = vec->dims[d];
		return strides_aligned(vec->dst_stride, dims, 5, vec->dst_type) &&
		       strides_aligned(vec->src0_stride, dims, 5, vec->src0_type) &&
		       strides_aligned(vec->src1_stride, dims, 5, vec->src1_type) &&
		       (vec->op != AXL_VEC_GATHER ||
			vec->gather_stride % (int32_t)exec_type_size((enum axl_type)vec->src0_type) == 0);
	default:
		return true;
	}
}

static bool check_dma(const struct axl_dma *dma, unsigned int num_tiles, struct exec_error *error)
{
	bool load = dma->header.opcode == AXL_OP_LOAD;

	if (dma->base >= AXL_NUM_BASES)
		return refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "base");
	if (dma->mem_type >= AXL_NUM_TYPES || !spad_type(dma->spad_type))
		return refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "type");
	if (dma->dma_flags & ~AXL_DMA_GATHER || (!load && (dma->dma_flags || dma->tiles)) || dma->tiles >> num_tiles)
		return refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "dma_flags or tiles");
	if (dma->purpose >= AXL_NUM_PURPOSES || !all_zero(dma->reserved, sizeof(dma->reserved)))
		return refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "purpose or reserved");
	for (int d = 0; d < 5; d++)
		if (!dma->dims[d] || dma->dims[d] > 1u << 30)
			return refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "dims");
	return true;
}

static bool check_conv(const struct axl_conv *conv, struct exec_error *error)
{
	bool bytes = is_byte(conv->a_type) && is_byte(conv->w_type);

	if (!bytes && (!is_real(conv->a_type) || conv->a_type != conv->w_type || conv->a_zero || conv->w_zero))
		return refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "a_type, w_type or zero points");
	if (conv->a_zero < -128 || conv->a_zero > 255 || conv->w_zero < -128 || conv->w_zero > 255)
		return refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "zero points");
	if (!conv->out_h || !conv->out_w || !conv->in_h || !conv->in_w || !conv->kernel_h || !conv->kernel_w ||
	    !conv->stride_h || !conv->stride_w || !conv->dilation_h || !conv->dilation_w || !conv->in_dil_h ||
	    !conv->in_dil_w || !conv->n || !conv->channels)
		return refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "a size, stride or dilation of 0");
	if (conv->n > 1u << 20 || conv->channels > 1u << 24 || conv->split > 3 || conv->mx_flags > 1 ||
	    conv->acc_stride % 4 || (conv->header.opcode == AXL_OP_DWCONV && conv->channels != conv->n))
		return refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "n, channels, split, flags or acc_stride");
	return all_zero(conv->reserved, sizeof(conv->reserved)) || refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "reserved");
}

static bool check_drain(const struct axl_drain *drain, struct exec_error *error)
{
	unsigned int ph = drain->pool_hw >> 4, pw = drain->pool_hw & 15, sh = drain->pool_stride >> 4,
		     sw = drain->pool_stride & 15;

	if (!drain->rows_h || !drain->rows_w || !drain->n || drain->n > 1u << 20 || drain->acc_stride % 4)
		return refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "rows, n or acc_stride");
	if (drain->acc_type != AXL_TYPE_S32 && drain->acc_type != AXL_TYPE_F32)
		return refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "acc_type");
	if (!is_byte(drain->out_type) && !is_real(drain->out_type) &&
	    !(drain->out_type == AXL_TYPE_S32 && drain->acc_type == AXL_TYPE_S32 && !(drain->dr_flags & ~AXL_DR_BIAS) &&
	      !drain->act1 && !drain->act2 && !drain->pool_hw))
		return refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "out_type");
	if (drain->dr_flags & 0x80 || drain->act1 >= AXL_NUM_ACTS || drain->act2 >= AXL_NUM_ACTS ||
	    drain->pool_kind > AXL_POOL_AVG)
		return refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "dr_flags, act or pool_kind");
	if (drain->dr_flags & AXL_DR_MID && !is_byte(drain->mid_type))
		return refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "mid_type");
	if (drain->dr_flags & AXL_DR_RESIDUAL && !is_byte(drain->res_type) && !is_real(drain->res_type))
		return refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "res_type");
	if (drain->dr_flags & AXL_DR_TABLE && !is_byte(drain->out_type))
		return refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "table needs 8-bit results");
	if (drain->pool_hw &&
	    (!ph || !pw || !sh || !sw || ph > drain->rows_h || pw > drain->rows_w || !drain->pool_kind))
		return refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "pool_hw or pool_stride");
	return all_zero(drain->reserved, sizeof(drain->reserved)) ||
	       refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "reserved");
}

/* Ranges that overlap must be the same operand: address, strides and element size. */
static bool check_overlap(const struct axl_vec *vec, const struct access *list, size_t count, struct exec_error *error)
{
	const uint32_t address[] = {vec->dst, vec->src0, vec->src1, vec->table};
	int64_t lo = vec->dst + list[0].lo, hi = vec->dst + list[0].hi;

	for (size_t i = 1; i < count; i++) {
		const int32_t *stride = list[i].place == 1 ? vec->src0_stride : vec->src1_stride;
		int64_t other_lo = address[list[i].place] + list[i].lo, other_hi = address[list[i].place] + list[i].hi;
		bool same = list[i].place < 3 && address[list[i].place] == vec->dst && list[i].align == list[0].align;

		if (other_lo >= hi || other_hi <= lo)
			continue;
		for (int d = 0; d < 5 && same; d++)
			same = vec->dims[d] == 1 || stride[d] == vec->dst_stride[d];
		if (!same || vec->reduce_mask || vec->op == AXL_VEC_GATHER)
			return refuse(error, AXL_CAUSE_BAD_OPERAND, vec->dst, "dst overlaps a source");
	}
	return true;
}

static bool check_vec(const struct axl_vec *vec, struct exec_error *error)
{
	const struct exec_vec_info *info = exec_vec_info(vec->op);
	bool reduction = info && info->kind == EXEC_VEC_REDUCTION;
	struct access list[ACCESS_MAX];
	size_t count;

	if (!info)
		return refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "op");
	if (!spad_type(vec->dst_type) || !spad_type(vec->src0_type) || !spad_type(vec->src1_type))
		return refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "type");
	if (vec->reduce_mask > 31 || (!reduction && vec->reduce_mask))
		return refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "reduce_mask");
	for (int d = 0; d < 5; d++)
		if (!vec->dims[d])
			return refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "dims");
	if ((vec->op == AXL_VEC_ARGMAX || vec->op == AXL_VEC_ARGMIN) && vec->dst_type != AXL_TYPE_S32)
		return refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "dst_type");
	if (vec->op == AXL_VEC_QUANT && !is_byte(vec->dst_type))
		return refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "dst_type");
	if (vec->op == AXL_VEC_DEQUANT && !is_byte(vec->src0_type) && vec->src0_type != AXL_TYPE_S32)
		return refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "src0_type");
	if (vec->op == AXL_VEC_GATHER &&
	    (vec->src1_type != AXL_TYPE_S32 || !vec->limit || vec->dst_type != vec->src0_type))
		return refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "gather's types or limit");
	if (vec->op == AXL_VEC_TABLE && (exec_type_size(vec->dst_type) != 1 || exec_type_size(vec->src0_type) != 1))
		return refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "table's types");
	if (!all_zero(vec->reserved, sizeof(vec->reserved)))
		return refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "reserved");
	count = access_list((const union axl_insn *)vec, list);
	return check_overlap(vec, list, count, error);
}

static bool check_ranges(const union axl_insn *insn, uint32_t spad_bytes, uint32_t acc_bytes, struct exec_error *error)
{
	struct access list[ACCESS_MAX];
	size_t count = access_list(insn, list);

	for (size_t i = 0; i < count; i++) {
		bool acc = list[i].space == ACCESS_ACC;
		uint32_t address;
		int64_t lo, hi;

		if (list[i].space == ACCESS_MEMORY || list[i].hi <= list[i].lo)
			continue;
		memcpy(&address, insn->bytes + access_field(insn->header.opcode, list[i].place), sizeof(address));
		lo = address + list[i].lo;
		hi = address + list[i].hi;
		if (lo < 0 || hi > (acc ? acc_bytes : spad_bytes))
			return refuse(error, acc ? AXL_CAUSE_ACC_RANGE : AXL_CAUSE_SPAD_RANGE,
				      lo < 0 ? 0 : (uint64_t)hi, "address");
		if (address % list[i].align)
			return refuse(error, AXL_CAUSE_BAD_OPERAND, address, "alignment");
	}
	return true;
}

bool exec_check(const union axl_insn *insn, uint32_t spad_bytes, uint32_t acc_bytes, unsigned int num_tiles,
		struct exec_error *error)
{
	const struct axl_header *header = &insn->header;
	bool ok = true;

	*error = (struct exec_error){.cause = AXL_CAUSE_NONE};
	if (!opcodes[header->opcode].known || header->slots != opcodes[header->opcode].slots)
		return refuse(error, AXL_CAUSE_BAD_OPCODE, 0, "opcode");
	if (header->opcode == AXL_OP_SYNC   ? header->pipe == AXL_PIPE_SEQ || header->pipe >= AXL_NUM_PIPES
	    : header->opcode == AXL_OP_LOAD ? header->pipe != AXL_PIPE_LOAD && header->pipe != AXL_PIPE_WEIGHT
					    : header->pipe != opcodes[header->opcode].pipe)
		return refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "pipe");
	if (header->flags || header->reserved)
		return refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "flags or reserved");
	for (int i = 0; i < 2; i++)
		if (header->wait[i].sem >= AXL_LOCAL_SEMS + AXL_GLOBAL_SEMS ||
		    header->signal[i].sem >= AXL_LOCAL_SEMS + AXL_GLOBAL_SEMS ||
		    (header->pipe == AXL_PIPE_SEQ && (header->wait[i].count || header->signal[i].count)))
			return refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "wait or signal");
	switch (header->opcode) {
	case AXL_OP_LOAD:
	case AXL_OP_STORE:
		ok = check_dma(&insn->dma, num_tiles, error);
		break;
	case AXL_OP_CONV:
	case AXL_OP_DWCONV:
		ok = check_conv(&insn->conv, error);
		break;
	case AXL_OP_DRAIN:
		ok = check_drain(&insn->drain, error);
		break;
	case AXL_OP_VEC:
		ok = check_vec(&insn->vec, error);
		break;
	case AXL_OP_LOOP:
		ok = (insn->loop.count && all_zero(insn->loop.reserved, sizeof(insn->loop.reserved))) ||
		     refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "count or reserved");
		break;
	case AXL_OP_ADDBASE:
		ok = (insn->addbase.reg < AXL_NUM_BASES &&
		      all_zero(insn->addbase.reserved, sizeof(insn->addbase.reserved))) ||
		     refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "reg or reserved");
		break;
	default:
		ok = all_zero(insn->none.reserved, sizeof(insn->none.reserved)) ||
		     refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "reserved");
		break;
	}
	if (ok && !check_work(insn, acc_bytes))
		return refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "more work than one instruction may have");
	if (ok && !check_strides(insn))
		return refuse(error, AXL_CAUSE_BAD_OPERAND, 0, "stride is no multiple of the element's size");
	return ok && check_ranges(insn, spad_bytes, acc_bytes, error);
}

/* A part is a block of columns, or half of the rows where there is one block; small products are not worth two threads.
 */
size_t exec_parts(const union axl_insn *insn)
{
	const struct axl_conv *conv = &insn->conv;
	uint64_t work;

	if (insn->header.opcode != AXL_OP_CONV)
		return 1;
	work = (uint64_t)conv->out_h * conv->out_w * conv->n * conv->channels * conv->kernel_h * conv->kernel_w;
	if (work < 400000)
		return 1;
	return conv->n <= AXL_ARRAY_N ? 2 : (conv->n + AXL_ARRAY_N - 1) / AXL_ARRAY_N;
}

int exec_run(const union axl_insn *insn, const struct exec_memory *memory, size_t part, size_t parts,
	     struct exec_error *error)
{
	switch (insn->header.opcode) {
	case AXL_OP_CONV:
		exec_conv(&insn->conv, memory, part, parts);
		return 0;
	case AXL_OP_DWCONV:
		if (part == 0)
			exec_dwconv(&insn->conv, memory);
		return 0;
	case AXL_OP_DRAIN:
		if (part == 0)
			exec_drain(&insn->drain, memory);
		return 0;
	case AXL_OP_VEC:
		return part == 0 ? exec_vec(&insn->vec, memory, error) : 0;
	default:
		return 0;
	}
}
