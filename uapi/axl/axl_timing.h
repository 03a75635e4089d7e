/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * How long instructions take: the rates of the pipes and what follows from them for one instruction alone. The device model and
 * the compiler's cost model read this one table; uapi/README.md ("Timing") is the prose and names the sources. User space only.
 *
 * All results are device cycles. What instructions do to each other (semaphores, scratchpad banks, memory channels, page walks)
 * is not here: it depends on when they run.
 */
#ifndef UAPI_AXL_AXL_TIMING_H
#define UAPI_AXL_AXL_TIMING_H

#include <stdint.h>

#include <axl/axl_isa.h>

/*
 * X(NAME, value, kind, text): AXL_T_NAME. Of a RATE less is worse, of a COST more.
 */
#define AXL_TIMINGS(X)                                                                                                         \
	X(WEIGHT_PORT, 128, RATE, "bytes a cycle from the scratchpad into the shadow plane")                                   \
	X(ARRAY_LATENCY, 128, COST, "first weights and skew of the array, when it was idle")                                   \
	X(ARRAY_IDLE, 16, RATE, "cycles without work after which the array has to be filled again")                            \
	X(DRAIN_RATE, 128, RATE, "values a cycle")                                                                             \
	X(DRAIN_SLOW_RATE, 32, RATE, "with a transcendental activation")                                                       \
	X(DRAIN_START, 32, COST, "cycles of a drain before its first value")                                                   \
	X(VECTOR_START, 16, COST, "cycles of a vector operation before its first element")                                     \
	X(VECTOR_LANES, 64, RATE, "of 32 bits; twice as many of 16, four times of 8")                                          \
	X(VECTOR_STRIDED, 16, RATE, "elements a cycle where the innermost dimension is not dense")                             \
	X(DW_PIXELS, 2, RATE, "output positions a cycle, of 64 channels")                                                      \
	X(DW_TAPS, 32, RATE, "taps of one pass")                                                                               \
	X(LINE, 64, COST, "bytes of a burst")                                                                                  \
	X(DMA_ISSUE, 8, COST, "cycles between two transfers of a pipe")                                                        \
	X(WALK, 40, COST, "a page table entry: four walkers hide the rest of a PCIe round trip")                               \
	X(ROW_BYTES, 2048, RATE, "local memory: of a row")                                                                     \
	X(ROW, 4, COST, "from one activate to the next, in a channel ...")                                                     \
	X(CHANNEL, 128, COST, "... of so many bytes a cycle; wider memory has more channels")                                  \
	X(TURNAROUND, 8, COST, "from reading to writing or back")                                                              \
	X(REFRESH, 32, RATE, "one cycle in 33 is not for data")                                                                \
	X(TLP_BYTES, 256, RATE, "host memory: largest payload of a packet")                                                    \
	X(TLP_HEADER, 24, COST, "header, sequence number and CRC of a packet")                                                 \
	X(TAGS, 64, RATE, "reads in flight")                                                                                   \
	X(BANK_BYTES, 64, RATE, "a scratchpad bank gives or takes so many a cycle")

#ifdef AXL_TIMING_VARIABLES /* for tests/bench/sensitivity.c alone, which varies them */
#define AXL_TIMING_VARIABLE(name, value, kind, text) extern uint32_t AXL_T_##name;
AXL_TIMINGS(AXL_TIMING_VARIABLE)
#undef AXL_TIMING_VARIABLE
#else
enum axl_timing {
#define AXL_TIMING_ENUM(name, value, kind, text) AXL_T_##name = value,
	AXL_TIMINGS(AXL_TIMING_ENUM)
#undef AXL_TIMING_ENUM
};
#endif

static inline uint64_t axl_div_up(uint64_t a, uint64_t b)
{
	return (a + b - 1) / b;
}

static inline uint64_t axl_type_size(unsigned int type)
{
	return type == AXL_TYPE_F32 || type == AXL_TYPE_S32 ? 4 : type == AXL_TYPE_F16 || type == AXL_TYPE_BF16 || type == AXL_TYPE_S16 ? 2 : 1;
}

/* Rows of the array for operands of this type: 64 of 8 bits, half as many of 16, an eighth of binary32. */
static inline uint64_t axl_array_rows(unsigned int type)
{
	return axl_type_size(type) == 4 ? AXL_ARRAY_K / 8 : AXL_ARRAY_K / axl_type_size(type);
}

/*
 * CONV of @m output positions, @k products a sum, @n columns. The array holds a slice of the weights, rows x columns; all
 * positions stream through it while the next slice goes into the shadow plane. Split, its parts share the positions.
 */
static inline uint64_t axl_conv_cycles(uint64_t m, uint64_t k, uint64_t n, unsigned int type, unsigned int split)
{
	uint64_t ways_k = split & AXL_SPLIT_K ? 2 : 1, ways_n = split & AXL_SPLIT_N ? 2 : 1;
	uint64_t rows = axl_array_rows(type) / ways_k, columns = AXL_ARRAY_N / ways_n;
	uint64_t fill = rows * columns * axl_type_size(type) / AXL_T_WEIGHT_PORT, stream = axl_div_up(m, ways_k * ways_n);

	fill = fill ? fill : 1;
	return axl_div_up(n, columns) * axl_div_up(k, rows) * (stream > fill ? stream : fill);
}

/* DWCONV: 64 channels by two positions by 32 taps a cycle; wider operands take as many times longer. */
static inline uint64_t axl_dwconv_cycles(uint64_t m, uint64_t taps, uint64_t channels, unsigned int type)
{
	return axl_div_up(channels, AXL_ARRAY_N) * axl_div_up(m, AXL_T_DW_PIXELS) * axl_div_up(taps, AXL_T_DW_TAPS) *
	       axl_type_size(type);
}

static inline uint64_t axl_drain_cycles(uint64_t values, int slow)
{
	return AXL_T_DRAIN_START + axl_div_up(values, slow ? AXL_T_DRAIN_SLOW_RATE : AXL_T_DRAIN_RATE);
}

/* An activation that takes the slow rate. */
static inline int axl_act_is_slow(unsigned int act)
{
	return act >= AXL_ACT_SIGMOID;
}

/* Elements a cycle for an operation that costs one; @size: bytes of the widest operand's element. */
static inline uint64_t axl_vector_lanes(uint64_t size, int dense)
{
	return dense ? AXL_T_VECTOR_LANES * (4 / (size ? size : 1)) : AXL_T_VECTOR_STRIDED;
}

static inline uint64_t axl_vec_cost(unsigned int op)
{
	static const uint8_t cost[256] = {
#define AXL_COST_ROW(name, number, class, domains, cycles, text) [number] = cycles,
		AXL_VEC_OPS(AXL_COST_ROW)
#undef AXL_COST_ROW
	};

	return cost[op & 255];
}

static inline uint64_t axl_vec_cycles(unsigned int op, uint64_t elements, uint64_t size, int dense)
{
	return AXL_T_VECTOR_START + axl_div_up(elements, axl_vector_lanes(size, dense)) * axl_vec_cost(op);
}

/* Elements that a VEC goes through, its cycles, and in *demand the bytes a cycle that it wants of the scratchpad. */
static inline uint64_t axl_vec_insn_cycles(const struct axl_vec *vec, uint64_t *elements, uint32_t *demand)
{
	uint64_t dst = axl_type_size(vec->dst_type), src = axl_type_size(vec->src0_type), size = dst > src ? dst : src;
	uint64_t cost = axl_vec_cost(vec->op), operands = dst + src;
	int inner = 4, dense;

	if (vec->op >= AXL_VEC_ADD && vec->op <= AXL_VEC_SELECT) /* of two operands */
		operands += axl_type_size(vec->src1_type);
	*elements = 1;
	for (int d = 0; d < 5; d++)
		*elements *= vec->dims[d];
	while (inner > 0 && vec->dims[inner] == 1)
		inner--;
	dense = (vec->dst_stride[inner] == (int32_t)dst || vec->reduce_mask >> inner & 1) &&
		(vec->src0_stride[inner] == (int32_t)src || !vec->src0_stride[inner]) && vec->op != AXL_VEC_GATHER;
	*demand = (uint32_t)(axl_vector_lanes(size, dense) * operands / (cost ? cost : 1));
	return axl_vec_cycles(vec->op, *elements, size, dense);
}

/*
 * An instruction that computes, alone: its cycles, and in *demand the bytes a cycle that it wants of the scratchpad. Without
 * AXL_T_ARRAY_LATENCY, which depends on what ran before. 0 for anything else.
 */
static inline uint64_t axl_compute_cycles(const union axl_insn *insn, uint32_t *demand)
{
	const struct axl_conv *conv = &insn->conv;
	const struct axl_drain *drain = &insn->drain;
	uint64_t m = (uint64_t)conv->out_h * conv->out_w, taps = (uint64_t)conv->kernel_h * conv->kernel_w, bytes, elements;
	int slow;

	*demand = 0;
	switch (insn->header.opcode) {
	case AXL_OP_CONV:
		*demand = (uint32_t)(axl_array_rows(conv->a_type) * axl_type_size(conv->a_type)) + AXL_T_WEIGHT_PORT;
		return axl_conv_cycles(m, taps * conv->channels, conv->n, conv->a_type, conv->split);
	case AXL_OP_DWCONV:
		*demand = AXL_T_DW_PIXELS * AXL_ARRAY_N;
		return axl_dwconv_cycles(m, taps, conv->n, conv->a_type);
	case AXL_OP_DRAIN:
		slow = axl_act_is_slow(drain->act1) || axl_act_is_slow(drain->act2);
		bytes = axl_type_size(drain->out_type) +
			(drain->dr_flags & AXL_DR_RESIDUAL ? axl_type_size(drain->res_type) : 0);
		*demand = (uint32_t)(bytes * (uint64_t)(slow ? AXL_T_DRAIN_SLOW_RATE : AXL_T_DRAIN_RATE));
		return axl_drain_cycles((uint64_t)drain->rows_h * drain->rows_w * drain->n, slow);
	case AXL_OP_VEC:
		return axl_vec_insn_cycles(&insn->vec, &elements, demand);
	default:
		return 0;
	}
}

/* Data cycles of @lines bursts in @rows rows of local memory at @rate bytes a cycle. */
static inline uint64_t axl_local_cycles(uint64_t lines, uint64_t rows, uint64_t rate)
{
	uint64_t data = axl_div_up(lines * AXL_T_LINE * (AXL_T_REFRESH + 1), rate * AXL_T_REFRESH);
	uint64_t activate = axl_div_up(rows * AXL_T_ROW * AXL_T_CHANNEL, rate);

	return data > activate ? data : activate ? activate : 1;
}

/* Data cycles of @lines bursts in @packets packets of host memory; of reads, no more than the tags allow. */
static inline uint64_t axl_host_cycles(uint64_t lines, uint64_t packets, uint64_t rate, uint64_t latency, int read)
{
	uint64_t data = axl_div_up(lines * AXL_T_LINE + packets * AXL_T_TLP_HEADER, rate);
	uint64_t tags = read ? packets * latency / AXL_T_TAGS : 0;

	return data > tags ? data : tags ? tags : 1;
}

#endif
