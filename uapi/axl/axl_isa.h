/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * AXL instruction set: the contract between the compiler and the device.
 *
 * One table, AXL_OPCODES, and one field list per operand format define every encoding. Encoder, decoder, disassembler, verifier
 * and device model are all driven by them; the structs below are generated from the same lists, so that a field can not be
 * in one place and not in the other. uapi/README.md is the prose: memories, ordering, numerics, timing.
 *
 * A command buffer is struct axl_cmdbuf followed by one instruction stream a tile. A stream is a sequence of instructions of one
 * or two 64-byte slots, little endian:
 *
 *	byte 0        16                                            64                                             128
 *	     | header | operands, 48 bytes (one-slot formats)       | operands, continued (two-slot formats)        |
 *
 * The sequencer of the tile reads the stream in order, one instruction a cycle, and puts each instruction into the FIFO of its
 * pipe (AXL_FIFO_DEPTH entries; it stalls while that one is full). The pipes run concurrently, each strictly in order. The ONLY
 * order between two pipes, or two tiles, comes from semaphores: an instruction starts when both its waits hold (each then
 * subtracts its count, both at once), and adds its signals when everything it writes is visible. Every reserved byte is zero
 * (else AXL_CAUSE_BAD_OPERAND).
 *
 * Numerics, in one paragraph: integers are two's complement and wrap unless "saturate" is written; floats are IEEE 754 binary32
 * inside, round to nearest even, denormals kept, each written operation rounded once; fma(a, b, c) is rounded once in all. A NaN
 * result is always the quiet NaN 0x7fc00000 (f16 0x7e00, bf16 0x7fc0) when it reaches memory, whatever its payload was.
 */
#ifndef UAPI_AXL_AXL_ISA_H
#define UAPI_AXL_AXL_ISA_H

#include <linux/types.h>

#define AXL_ISA_VERSION 1

#define AXL_SLOT_BYTES 64
#define AXL_MAX_SLOTS 2
#define AXL_HEADER_BYTES 16
#define AXL_ARRAY_K 64	     /* rows of the matrix array (K), 8-bit operands */
#define AXL_ARRAY_N 64	     /* columns of the matrix array (N) */
#define AXL_FIFO_DEPTH 32    /* instructions a pipe can hold */
#define AXL_NUM_BASES 32     /* 64-bit base registers of a buffer, loaded from the EXECUTE packet's argument table */
#define AXL_LOCAL_SEMS 64    /* semaphores 0..63 belong to the tile */
#define AXL_GLOBAL_SEMS 64   /* semaphores 64..127 are shared by all tiles of the buffer */
#define AXL_SEM_MAX 65535    /* a signal that would pass it faults (AXL_CAUSE_SEM_OVERFLOW) */
#define AXL_LOOP_DEPTH 3     /* nested LOOPs */
#define AXL_MAX_TILES 8	     /* in one command buffer */
#define AXL_MAX_K 131072	     /* kernel positions x channels of one CONV; its M x N are at most the accumulators */
#define AXL_MAX_ELEMENTS (1u << 26) /* elements of one LOAD, STORE or VEC */
#define AXL_REDUCE_LANES 16  /* partial results of a reduction, see AXL_VEC_OPS */
#define AXL_ALIGN 4	     /* every scratchpad, accumulator and parameter address of a multi-byte type is a multiple of its size;
			      * accumulator addresses are multiples of 4 */

/*
 * Pipes. SEQ is the sequencer itself: its instructions take effect in stream order, when they are read.
 * MATRIX fills the accumulator memory, DRAIN empties it: they are two pipes so that one half of the accumulators drains while
 * the array works on the other.
 */
#define AXL_PIPES(X)                                                                                                            \
	X(SEQ, 0, "seq")       /* loops, base registers, yield */                                                               \
	X(LOAD, 1, "load")     /* memory -> scratchpad, activations */                                                          \
	X(WEIGHT, 2, "weight") /* memory -> scratchpad, weights and parameters, multicast */                                    \
	X(MATRIX, 3, "matrix") /* scratchpad x scratchpad -> accumulators */                                                    \
	X(DRAIN, 4, "drain")   /* accumulators -> post-processing -> scratchpad */                                              \
	X(VECTOR, 5, "vector") /* scratchpad -> scratchpad */                                                                   \
	X(STORE, 6, "store")   /* scratchpad -> memory */

enum axl_pipe {
#define AXL_PIPE_ENUM(name, number, text) AXL_PIPE_##name = number,
	AXL_PIPES(AXL_PIPE_ENUM)
#undef AXL_PIPE_ENUM
	AXL_NUM_PIPES
};

/* Element types. */
#define AXL_TYPES(X)                                                                                                            \
	X(U8, 0, 1, "u8")                                                                                                       \
	X(S8, 1, 1, "s8")                                                                                                       \
	X(S16, 2, 2, "s16")                                                                                                     \
	X(S32, 3, 4, "s32")                                                                                                     \
	X(F16, 4, 2, "f16")                                                                                                     \
	X(BF16, 5, 2, "bf16")                                                                                                   \
	X(F32, 6, 4, "f32")                                                                                                     \
	X(S64, 7, 8, "s64") /* in memory only: LOAD and STORE convert it from and to S32 */                                    \
	X(BOOL, 8, 1, "bool") /* 0 or 1; any non-zero byte reads as 1 */

enum axl_type {
#define AXL_TYPE_ENUM(name, number, size, text) AXL_TYPE_##name = number,
	AXL_TYPES(AXL_TYPE_ENUM)
#undef AXL_TYPE_ENUM
	AXL_NUM_TYPES
};

/*
 * Conversion between types (LOAD, STORE, VEC COPY, every vector operand and result): integer to float rounds to nearest even;
 * float to float rounds to nearest even, overflow to infinity; float to integer truncates towards zero and saturates, NaN gives
 * 0; integer to integer saturates; to BOOL is (x != 0); from BOOL is 0 or 1.
 */

/*
 * Instruction header, 16 bytes, the same for all.
 * @opcode: enum axl_opcode
 * @slots:  1 or 2, as the table says (else AXL_CAUSE_BAD_OPCODE)
 * @pipe:   for SYNC the pipe it goes to; for all others the table's pipe (LOAD may name LOAD or WEIGHT)
 * @flags:  AXL_IF_*
 * @wait:   up to two: start when semaphore @sem >= @count, then subtract @count; @count 0: none (then @sem must be 0)
 * @signal: up to two: add @count to @sem when done; @count 0: none
 * @tag:    for the trace and the fault record: the ONNX node, index into the package's node table
 */
struct axl_sem_op {
	__u8 sem;
	__u8 count;
};

struct axl_header {
	__u8 opcode;
	__u8 slots;
	__u8 pipe;
	__u8 flags;
	struct axl_sem_op wait[2];
	struct axl_sem_op signal[2];
	__u16 tag;
	__u16 reserved;
};

/*
 * The opcodes: X(NAME, number, format, pipe, slots, mnemonic).
 * `format` names the operand struct (struct axl_<format>) and its field list (AXL_FIELDS_<FORMAT>).
 */
#define AXL_OPCODES(X)                                                                                                          \
	X(END, 0x01, NONE, SEQ, 1, "end")	  /* end of the stream; the tile is done when its pipes are empty */           \
	X(YIELD, 0x02, NONE, SEQ, 1, "yield")	  /* preemption point, see below */                                            \
	X(LOOP, 0x03, LOOP, SEQ, 1, "loop")	  /* repeat up to the matching ENDLOOP */                                      \
	X(ENDLOOP, 0x04, NONE, SEQ, 1, "endloop")                                                                               \
	X(ADDBASE, 0x05, ADDBASE, SEQ, 1, "addbase") /* base[reg] += value, for the instructions read after it */              \
	X(SYNC, 0x08, NONE, ANY, 1, "sync")	  /* two more waits and signals in pipe header.pipe; takes one cycle */        \
	X(LOAD, 0x10, DMA, LOAD, 2, "load")	  /* pipe LOAD or WEIGHT */                                                    \
	X(STORE, 0x11, DMA, STORE, 2, "store")                                                                                  \
	X(CONV, 0x20, CONV, MATRIX, 2, "conv")	  /* convolution or matrix product, dense over channels */                     \
	X(DWCONV, 0x21, CONV, MATRIX, 2, "dwconv") /* depthwise convolution */                                                 \
	X(DRAIN, 0x30, DRAIN, DRAIN, 2, "drain")                                                                                \
	X(VEC, 0x40, VEC, VECTOR, 2, "vec")

/*
 * YIELD: nothing in scratchpad or accumulators that was written before it is read after it (the verifier proves it). The device
 * may suspend the buffer here: it then stops reading the stream, lets the pipes empty and keeps only the sequencer's state
 * (position, loops, base registers) and the semaphores; scratchpad and accumulators are lost. All tiles of a buffer have the same
 * number of YIELDs; the k-th of each belong together: a suspended tile stops at its k-th while the others run on to theirs.
 * Without a reason to suspend, a YIELD costs one cycle and orders nothing.
 *
 * Inside a pipe everything is in order as a program sees it: an instruction reads what earlier ones of its pipe wrote (the DMA
 * pipes overlap latencies, but never change that).
 *
 * LOOP/ENDLOOP nest up to AXL_LOOP_DEPTH and are balanced within a stream; count 0 faults (AXL_CAUSE_BAD_OPERAND).
 */

enum axl_opcode {
#define AXL_OPCODE_ENUM(name, number, format, pipe, slots, text) AXL_OP_##name = number,
	AXL_OPCODES(AXL_OPCODE_ENUM)
#undef AXL_OPCODE_ENUM
};

/*
 * Field lists: F(ctype, name, array length (0: scalar), kind).
 * Kinds tell the disassembler how to print and the verifier what to check:
 *	ADDR    byte address in the scratchpad	   ACC     byte address in accumulator memory
 *	STRIDE  byte stride			   COUNT   number of elements or repetitions
 *	TYPE    enum axl_type			   ENUM    small number with names of its own
 *	FLAGS   bit set				   INT     plain integer (hexadecimal when unsigned)
 *	FLOAT   bits of a binary32		   BASE    base register
 *	TILES   bit mask of tiles		   ZERO    reserved, must be zero
 */

/* LOOP */
#define AXL_FIELDS_LOOP(F)                                                                                                      \
	F(__u32, count, 0, COUNT)                                                                                               \
	F(__u32, reserved, 11, ZERO)

/* ADDBASE: two's complement, wraps. */
#define AXL_FIELDS_ADDBASE(F)                                                                                                   \
	F(__s64, value, 0, INT)                                                                                                 \
	F(__u8, reg, 0, BASE)                                                                                                   \
	F(__u8, reserved, 39, ZERO)

#define AXL_FIELDS_NONE(F) F(__u8, reserved, 48, ZERO)

/*
 * LOAD and STORE: move a block of up to five dimensions, dims[0] outermost.
 *
 * For every index i with i[d] < dims[d]: the block is at  spad + sum(i[d] * spad_stride[d])  in the scratchpad, in spad_type. In
 * memory it is at  base[base] + offset + sum((i[d] - lo[d]) * mem_stride[d])  in mem_type, and exists only where
 * lo[d] <= i[d] < hi[d] in every dimension (hi[d] == 0 means dims[d]). Outside, LOAD writes `fill` (bits of spad_type) and STORE
 * writes nothing. With AXL_DMA_GATHER (LOAD) dimension 0 is looked up: (i[0] - lo[0]) is replaced by the s32 at
 * scratchpad index_addr + 4 * (i[0] - lo[0]), which must be in [0, index_limit) (AXL_CAUSE_INDEX otherwise).
 * A LOAD writes the same block at the same address of every tile in `tiles` (bit t: tile t of the buffer; 0: the own tile only);
 * its signals to local semaphores then go to that semaphore of every tile in `tiles`. Several elements that overlap in the
 * destination give an unspecified one of them: the verifier refuses it where a stride is 0 and the dimension is not 1.
 */
#define AXL_FIELDS_DMA(F)                                                                                                       \
	F(__u64, offset, 0, INT)                                                                                                \
	F(__u32, spad, 0, ADDR)                                                                                                 \
	F(__u8, base, 0, BASE)                                                                                                  \
	F(__u8, mem_type, 0, TYPE)                                                                                              \
	F(__u8, spad_type, 0, TYPE)                                                                                             \
	F(__u8, dma_flags, 0, FLAGS) /* AXL_DMA_* */                                                                            \
	F(__u32, dims, 5, COUNT)                                                                                                \
	F(__s32, mem_stride, 5, STRIDE)                                                                                         \
	F(__s32, spad_stride, 5, STRIDE)                                                                                        \
	F(__u16, lo, 5, COUNT)                                                                                                  \
	F(__u16, hi, 5, COUNT)                                                                                                  \
	F(__u32, fill, 0, INT)                                                                                                  \
	F(__u32, index_addr, 0, ADDR)                                                                                           \
	F(__u32, index_limit, 0, COUNT)                                                                                         \
	F(__u8, tiles, 0, TILES)                                                                                                \
	F(__u8, purpose, 0, ENUM) /* AXL_PURPOSE_*: which byte counter it adds to */                                            \
	F(__u8, reserved, 2, ZERO)

#define AXL_DMA_GATHER 0x01

enum axl_purpose { AXL_PURPOSE_ACTIVATION = 0, AXL_PURPOSE_WEIGHT = 1, AXL_PURPOSE_OUTPUT = 2, AXL_PURPOSE_SPILL = 3, AXL_NUM_PURPOSES };

/*
 * CONV and DWCONV: acc[m][n] (+)= sum over k of A[m][k] * W[k][n].
 *
 * m runs over output positions (oh, ow) row by row: m = oh * out_w + ow, at acc + m * acc_stride + 4 * n. k runs over
 * (kh, kw, c), c fastest: k = (kh * kernel_w + kw) * channels + c. A[m][k] is the element c of the pixel (y, x) with
 *	y = oh * stride_h + kh * dilation_h - pad_top,   x likewise,
 * at  a + (y / in_dil_h) * a_stride_h + (x / in_dil_w) * a_stride_w + c * size(a_type),  when y and x are >= 0, y and x are
 * multiples of in_dil_h and in_dil_w, and y / in_dil_h < in_h, x / in_dil_w < in_w; elsewhere A[m][k] is zero (the integer
 * a_zero; +0.0). pad_top and pad_left may be negative. W[k][n] is at  w + k * w_stride_k + n * w_stride_n.
 * A matrix product is a 1x1 convolution: out_h = 1, out_w = in_w = M, a_stride_w = bytes between rows of A, channels = K.
 *
 * DWCONV: n is also the channel: k runs over (kh, kw) only, A[m][k] is element n of the pixel, `channels` == `n`.
 *
 * With AXL_MX_ACCUMULATE the sum starts from what acc holds, else from 0 (+0.0).
 *   u8/s8 x u8/s8: acc (s32) += (A - a_zero) * (W - w_zero), modulo 2^32. a_zero, w_zero in [-128, 255].
 *   f16 x f16, bf16 x bf16, f32 x f32: acc (f32) = fma(A, W, acc), k ascending. Zero points are 0. Padded elements take part.
 *
 * split: 0: the array is one 64x64; AXL_SPLIT_K: two halves of K/2 rows; AXL_SPLIT_N: of N/2 columns; both: four of 32x32. The
 * parts work on different output positions: results do not depend on it, only time.
 */
#define AXL_FIELDS_CONV(F)                                                                                                      \
	F(__u32, a, 0, ADDR)                                                                                                    \
	F(__u32, w, 0, ADDR)                                                                                                    \
	F(__u32, acc, 0, ACC)                                                                                                   \
	F(__u32, a_stride_h, 0, STRIDE)                                                                                         \
	F(__u32, a_stride_w, 0, STRIDE)                                                                                         \
	F(__u32, w_stride_k, 0, STRIDE)                                                                                         \
	F(__u32, w_stride_n, 0, STRIDE)                                                                                         \
	F(__u32, acc_stride, 0, STRIDE)                                                                                         \
	F(__u32, channels, 0, COUNT)                                                                                            \
	F(__u32, n, 0, COUNT)                                                                                                   \
	F(__u16, out_h, 0, COUNT)                                                                                               \
	F(__u16, out_w, 0, COUNT)                                                                                               \
	F(__u16, in_h, 0, COUNT)                                                                                                \
	F(__u16, in_w, 0, COUNT)                                                                                                \
	F(__u8, kernel_h, 0, COUNT)                                                                                             \
	F(__u8, kernel_w, 0, COUNT)                                                                                             \
	F(__u8, stride_h, 0, COUNT)                                                                                             \
	F(__u8, stride_w, 0, COUNT)                                                                                             \
	F(__u8, dilation_h, 0, COUNT)                                                                                           \
	F(__u8, dilation_w, 0, COUNT)                                                                                           \
	F(__u8, in_dil_h, 0, COUNT)                                                                                             \
	F(__u8, in_dil_w, 0, COUNT)                                                                                             \
	F(__s16, pad_top, 0, INT)                                                                                               \
	F(__s16, pad_left, 0, INT)                                                                                              \
	F(__u8, a_type, 0, TYPE)                                                                                                \
	F(__u8, w_type, 0, TYPE)                                                                                                \
	F(__u8, split, 0, FLAGS)    /* AXL_SPLIT_* */                                                                           \
	F(__u8, mx_flags, 0, FLAGS) /* AXL_MX_* */                                                                              \
	F(__s16, a_zero, 0, INT)                                                                                                \
	F(__s16, w_zero, 0, INT)                                                                                                \
	F(__u8, reserved, 44, ZERO)

#define AXL_SPLIT_K 0x01
#define AXL_SPLIT_N 0x02
#define AXL_MX_ACCUMULATE 0x01

/*
 * DRAIN: out[m][n] = post(acc[m][n]) for the positions m = (h, w), h < rows_h, w < rows_w, n < n.
 * acc[m][n] is at acc + m * acc_stride + 4 * n; s32 or f32 as acc_type says. In this order:
 *   1. AXL_DR_BIAS: t = acc + bias[n] (s32 wraps; f32 rounds); bias[n], of acc_type, is at bias + 4 * n. s32 then becomes f32
 *      (rounded to nearest even), except when out_type is S32, which needs acc_type S32 and allows BIAS only: t is stored as it is.
 *   2. AXL_DR_SCALE: f = f * scale[n], scale[n] an f32 at scale + 4 * n; else AXL_DR_SCALE_IMM: f = f * scale_imm.
 *   3. f = act1(f): enum axl_act with alpha, beta.
 *   4. AXL_DR_MID: q = sat(rne(f) + mid_zero) in mid_type (U8, S8); f = (f32)(q - mid_zero) * mid_scale. A quantized operator's
 *      own rounding before a fused addition.
 *   5. AXL_DR_RESIDUAL: r at res + h * res_stride_h + w * res_stride_w + n * size(res_type); integers: r = (f32)(r - res_zero) *
 *      res_scale, floats as they are; f = f + r.
 *   6. f = act2(f), with alpha2, beta2.
 *   7. pool: when pool_h > 0, windows of pool_h x pool_w at steps pool_sh, pool_sw over the grid (h, w), all inside it; the
 *      largest (AXL_POOL_MAX, as VEC RMAX) or the sum in row order times pool_scale (AXL_POOL_AVG). The output grid is
 *      ((rows_h - pool_h) / pool_sh + 1) by likewise; else it is (rows_h, rows_w).
 *   8. U8, S8: AXL_DR_OUT_SCALE: f = f / out_scale; then q = sat(rne(f) + out_zero); AXL_DR_TABLE: q = table[(q as u8)], bytes at
 *      table .. table + 255. F16, BF16, F32: rounded.
 * The result goes to out + h * out_stride_h + w * out_stride_w + n * size(out_type).
 * rne(): to the nearest integer, ties to even, as s32, saturating; NaN gives 0. sat(): the range of the type.
 */
#define AXL_FIELDS_DRAIN(F)                                                                                                     \
	F(__u32, acc, 0, ACC)                                                                                                   \
	F(__u32, acc_stride, 0, STRIDE)                                                                                         \
	F(__u32, out, 0, ADDR)                                                                                                  \
	F(__u32, out_stride_h, 0, STRIDE)                                                                                       \
	F(__u32, out_stride_w, 0, STRIDE)                                                                                       \
	F(__u32, n, 0, COUNT)                                                                                                   \
	F(__u16, rows_h, 0, COUNT)                                                                                              \
	F(__u16, rows_w, 0, COUNT)                                                                                              \
	F(__u32, bias, 0, ADDR)                                                                                                 \
	F(__u32, scale, 0, ADDR)                                                                                                \
	F(__u32, res, 0, ADDR)                                                                                                  \
	F(__u32, res_stride_h, 0, STRIDE)                                                                                       \
	F(__u32, res_stride_w, 0, STRIDE)                                                                                       \
	F(__u32, scale_imm, 0, FLOAT)                                                                                           \
	F(__u32, mid_scale, 0, FLOAT)                                                                                           \
	F(__u32, res_scale, 0, FLOAT)                                                                                           \
	F(__u32, out_scale, 0, FLOAT)                                                                                           \
	F(__u32, alpha, 0, FLOAT)                                                                                               \
	F(__u32, beta, 0, FLOAT)                                                                                                \
	F(__u32, alpha2, 0, FLOAT)                                                                                              \
	F(__u32, beta2, 0, FLOAT)                                                                                               \
	F(__u32, pool_scale, 0, FLOAT)                                                                                          \
	F(__u32, table, 0, ADDR)                                                                                                \
	F(__s16, mid_zero, 0, INT)                                                                                              \
	F(__s16, res_zero, 0, INT)                                                                                              \
	F(__s16, out_zero, 0, INT)                                                                                              \
	F(__u8, dr_flags, 0, FLAGS) /* AXL_DR_* */                                                                              \
	F(__u8, pool_kind, 0, ENUM) /* AXL_POOL_* */                                                                            \
	F(__u8, acc_type, 0, TYPE)                                                                                              \
	F(__u8, out_type, 0, TYPE)                                                                                              \
	F(__u8, res_type, 0, TYPE)                                                                                              \
	F(__u8, mid_type, 0, TYPE)                                                                                              \
	F(__u8, act1, 0, ENUM) /* enum axl_act */                                                                               \
	F(__u8, act2, 0, ENUM)                                                                                                  \
	F(__u8, pool_hw, 0, INT)     /* pool_h << 4 | pool_w, each 1..15; 0: no pool */                                         \
	F(__u8, pool_stride, 0, INT) /* pool_sh << 4 | pool_sw */                                                               \
	F(__u8, reserved, 8, ZERO)

#define AXL_DR_BIAS 0x01
#define AXL_DR_SCALE 0x02
#define AXL_DR_SCALE_IMM 0x04
#define AXL_DR_MID 0x08
#define AXL_DR_RESIDUAL 0x10
#define AXL_DR_OUT_SCALE 0x20
#define AXL_DR_TABLE 0x40

enum axl_pool { AXL_POOL_NONE = 0, AXL_POOL_MAX = 1, AXL_POOL_AVG = 2 };

/*
 * Activations of DRAIN; each has the formula, and the bits, of the VEC operation of the same name (alpha is imm0, beta imm1).
 */
#define AXL_ACTS(X)                                                                                                             \
	X(NONE, 0, "none")                                                                                                      \
	X(RELU, 1, "relu")                                                                                                      \
	X(CLIP, 2, "clip")                                                                                                      \
	X(LEAKY, 3, "leaky")                                                                                                    \
	X(HARDSIGMOID, 4, "hardsigmoid")                                                                                        \
	X(HARDSWISH, 5, "hardswish")                                                                                            \
	X(SIGMOID, 6, "sigmoid")                                                                                                \
	X(TANH, 7, "tanh")                                                                                                      \
	X(GELU, 8, "gelu")                                                                                                      \
	X(GELU_TANH, 9, "gelu_tanh")                                                                                            \
	X(SILU, 10, "silu")                                                                                                     \
	X(ELU, 11, "elu")                                                                                                       \
	X(SOFTPLUS, 12, "softplus")                                                                                             \
	X(ERF, 13, "erf")                                                                                                       \
	X(EXP, 14, "exp")

enum axl_act {
#define AXL_ACT_ENUM(name, number, text) AXL_ACT_##name = number,
	AXL_ACTS(AXL_ACT_ENUM)
#undef AXL_ACT_ENUM
	AXL_NUM_ACTS
};

/*
 * VEC: dst = op(src0, src1) over a block of up to five dimensions, dims[0] outermost, each 1..65535.
 * An operand's element i is at  addr + sum(i[d] * stride[d]);  a source stride of 0 broadcasts. Sources are converted to the
 * operation's domain: binary32, or s32 when both dst_type and the types of the sources used are integer or BOOL and the
 * operation is marked I in the table (it then wraps). Results are converted to dst_type.
 *
 * A destination that overlaps a source must be that source exactly (address, strides and element size), else
 * AXL_CAUSE_BAD_OPERAND; the overlap test is on the byte ranges that the operands span. Destination elements must not overlap.
 *
 * Reductions: the dimensions in reduce_mask (bit d) are reduced, dst_stride[d] is ignored there. With r counting the reduced
 * elements of one result in row-major order, partial p[r mod 16] takes element r in ascending r; then p[i] takes p[i + 8] for
 * i < 8, p[i + 4] for i < 4, p[i + 2] for i < 2, p[1]. The partials start at the identity (+0.0; 1.0 for RPROD; -inf RMAX; +inf
 * RMIN; the s32 extremes in the integer domain). RSUMSQ takes p = fma(x, x, p); RSUMABS p = p + |x|. RMAX and RMIN give NaN if
 * any element is NaN. ARGMAX and ARGMIN give the s32 number r of the first element that is largest (smallest); NaN counts as
 * largest (smallest).
 *
 * X(NAME, number, class, domains, cost, text). class: U unary, B binary, R reduction, S special. domains: F binary32, I also s32.
 * cost: cycles a vector (64 lanes); see the timing section of uapi/README.md.
 */
#define AXL_VEC_OPS(X)                                                                                                          \
	X(COPY, 0, U, I, 1, "copy")	     /* x */                                                                            \
	X(NEG, 1, U, I, 1, "neg")                                                                                               \
	X(ABS, 2, U, I, 1, "abs")                                                                                               \
	X(SIGN, 3, U, I, 1, "sign")	     /* -1, 0, 1; NaN stays NaN */                                                      \
	X(FLOOR, 4, U, F, 1, "floor")                                                                                           \
	X(CEIL, 5, U, F, 1, "ceil")                                                                                             \
	X(ROUND, 6, U, F, 1, "round")	     /* ties to even */                                                                 \
	X(SQRT, 7, U, F, 4, "sqrt")	     /* correctly rounded */                                                            \
	X(RECIP, 8, U, F, 4, "recip")	     /* 1 / x, correctly rounded */                                                     \
	X(RSQRT, 9, U, F, 8, "rsqrt")	     /* 1 / sqrt(x): two roundings */                                                   \
	X(EXP, 10, U, F, 4, "exp")                                                                                              \
	X(LOG, 11, U, F, 4, "log")                                                                                              \
	X(TANH, 12, U, F, 6, "tanh")                                                                                            \
	X(SIGMOID, 13, U, F, 6, "sigmoid")                                                                                      \
	X(ERF, 14, U, F, 6, "erf")                                                                                              \
	X(GELU, 15, U, F, 8, "gelu")	     /* (0.5 * x) * (1 + erf(x * 0.70710677f)) */                                       \
	X(GELU_TANH, 16, U, F, 8, "gelu_tanh") /* (0.5 * x) * (1 + tanh(0.7978846f * fma(0.044715f * x * x, x, x))) */          \
	X(SILU, 17, U, F, 7, "silu")	     /* x * sigmoid(x) */                                                               \
	X(SOFTPLUS, 18, U, F, 8, "softplus") /* max(x, 0) + log(1 + exp(-|x|)) */                                               \
	X(RELU, 19, U, I, 1, "relu")	     /* x > 0 ? x : 0 (NaN stays NaN) */                                                \
	X(LEAKY, 20, U, F, 1, "leaky")	     /* x >= 0 ? x : x * imm0 */                                                        \
	X(CLIP, 21, U, I, 1, "clip")	     /* min(max(x, imm0), imm1); imms are s32 in the integer domain */                  \
	X(HARDSIGMOID, 22, U, F, 1, "hardsigmoid") /* min(max(x * imm0 + imm1, 0), 1), two roundings before the clamp */        \
	X(HARDSWISH, 23, U, F, 2, "hardswish") /* x * hardsigmoid(x; imm0, imm1) */                                             \
	X(ELU, 24, U, F, 5, "elu")	     /* x >= 0 ? x : imm0 * (exp(x) - 1) */                                             \
	X(AFFINE, 25, U, I, 1, "affine")     /* x * imm0 + imm1, two roundings (s32: wraps) */                                  \
	X(NOT, 26, U, I, 1, "not")	     /* x == 0 */                                                                       \
	X(SIN, 27, U, F, 8, "sin")                                                                                              \
	X(COS, 28, U, F, 8, "cos")                                                                                              \
	X(QUANT, 29, S, F, 2, "quant")	     /* U8/S8: sat(rne(x / imm0) + (s32)imm1_bits); imm1 is an integer */               \
	X(DEQUANT, 30, S, F, 1, "dequant")   /* U8/S8/S32: (f32)(x - (s32)imm1_bits) * imm0; the difference is exact in s64 */  \
	X(ADD, 32, B, I, 1, "add")                                                                                              \
	X(SUB, 33, B, I, 1, "sub")                                                                                              \
	X(MUL, 34, B, I, 1, "mul")                                                                                              \
	X(DIV, 35, B, I, 4, "div")	     /* s32: towards zero; x / 0 = 0, INT_MIN / -1 = INT_MIN */                         \
	X(MIN, 36, B, I, 1, "min")	     /* NaN if either is */                                                             \
	X(MAX, 37, B, I, 1, "max")                                                                                              \
	X(POW, 38, B, F, 12, "pow")	     /* see uapi/README.md */                                                           \
	X(PRELU, 39, B, F, 1, "prelu")	     /* src0 >= 0 ? src0 : src0 * src1 */                                               \
	X(EQ, 40, B, I, 1, "eq")	     /* comparisons give 0 or 1 */                                                      \
	X(NE, 41, B, I, 1, "ne")                                                                                                \
	X(LT, 42, B, I, 1, "lt")                                                                                                \
	X(LE, 43, B, I, 1, "le")                                                                                                \
	X(GT, 44, B, I, 1, "gt")                                                                                                \
	X(GE, 45, B, I, 1, "ge")                                                                                                \
	X(AND, 46, B, I, 1, "and")	     /* logical: both != 0 */                                                           \
	X(OR, 47, B, I, 1, "or")                                                                                                \
	X(XOR, 48, B, I, 1, "xor")                                                                                              \
	X(SELECT, 49, S, I, 1, "select")     /* where src1 != 0: dst = src0; elsewhere dst keeps its value */                   \
	X(RSUM, 56, R, I, 1, "rsum")                                                                                            \
	X(RMAX, 57, R, I, 1, "rmax")                                                                                            \
	X(RMIN, 58, R, I, 1, "rmin")                                                                                            \
	X(RPROD, 59, R, I, 1, "rprod")                                                                                          \
	X(RSUMSQ, 60, R, F, 1, "rsumsq")                                                                                        \
	X(RSUMABS, 61, R, F, 1, "rsumabs")                                                                                      \
	X(ARGMAX, 62, R, I, 2, "argmax")     /* dst_type S32 */                                                                 \
	X(ARGMIN, 63, R, I, 2, "argmin")                                                                                        \
	X(GATHER, 64, S, I, 4, "gather")     /* dst[i] = the element at src0 + sum(i[d] * src0_stride[d]) + index * gather_stride, \
						with index the s32 at src1's element i, in [0, limit) else AXL_CAUSE_INDEX */   \
	X(TABLE, 65, S, I, 1, "table")	     /* 8-bit: dst = table[(u8)src0], 256 bytes at `table` */

enum axl_vec_op {
#define AXL_VEC_ENUM(name, number, class, domains, cost, text) AXL_VEC_##name = number,
	AXL_VEC_OPS(AXL_VEC_ENUM)
#undef AXL_VEC_ENUM
};

#define AXL_FIELDS_VEC(F)                                                                                                       \
	F(__u32, dst, 0, ADDR)                                                                                                  \
	F(__u32, src0, 0, ADDR)                                                                                                 \
	F(__u32, src1, 0, ADDR)                                                                                                 \
	F(__s32, dst_stride, 5, STRIDE)                                                                                         \
	F(__s32, src0_stride, 5, STRIDE)                                                                                        \
	F(__s32, src1_stride, 5, STRIDE)                                                                                        \
	F(__u16, dims, 5, COUNT)                                                                                                \
	F(__u8, op, 0, ENUM) /* enum axl_vec_op */                                                                              \
	F(__u8, reduce_mask, 0, FLAGS)                                                                                          \
	F(__u32, imm0, 0, FLOAT)                                                                                                \
	F(__u32, imm1, 0, FLOAT)                                                                                                \
	F(__u32, table, 0, ADDR)                                                                                                \
	F(__s32, gather_stride, 0, STRIDE)                                                                                      \
	F(__u32, limit, 0, COUNT)                                                                                               \
	F(__u8, dst_type, 0, TYPE)                                                                                              \
	F(__u8, src0_type, 0, TYPE)                                                                                             \
	F(__u8, src1_type, 0, TYPE)                                                                                             \
	F(__u8, reserved, 5, ZERO)

/*
 * Coefficients of the elementary functions; uapi/numerics.md has the formulas. Each is a binary32 constant, exactly as written.
 */
#define AXL_LOG2E 0x1.715476p+0f   /* log2(e) */
#define AXL_LN2_HI 0x1.62e400p-1f  /* ln(2), its first 15 bits ... */
#define AXL_LN2_LO 0x1.7f7d1cp-20f /* ... and the rest */
#define AXL_EXP_LO -104.0f	   /* exp() is 0 below and infinite above */
#define AXL_EXP_HI 89.0f
#define AXL_EXP_C0 0x1.fffffcp-2f
#define AXL_EXP_C1 0x1.555492p-3f
#define AXL_EXP_C2 0x1.5558f2p-5f
#define AXL_EXP_C3 0x1.123a20p-7f
#define AXL_EXP_C4 0x1.6a23ccp-10f
#define AXL_LOG_C0 0x1.555554p-1f
#define AXL_LOG_C1 0x1.999a7cp-2f
#define AXL_LOG_C2 0x1.2438a8p-2f
#define AXL_LOG_C3 0x1.e2fdd6p-3f
#define AXL_TANH_SMALL 0.625f
#define AXL_TANH_C0 -0x1.555534p-2f
#define AXL_TANH_C1 0x1.110768p-3f
#define AXL_TANH_C2 -0x1.b84448p-5f
#define AXL_TANH_C3 0x1.5256cep-6f
#define AXL_TANH_C4 -0x1.76abf4p-8f
#define AXL_ERF_C0 0x1.06eba8p-3f /* |x| < 1 */
#define AXL_ERF_C1 -0x1.81273ep-2f
#define AXL_ERF_C2 0x1.ce2d20p-4f
#define AXL_ERF_C3 -0x1.b7fbb4p-6f
#define AXL_ERF_C4 0x1.5419f4p-8f
#define AXL_ERF_C5 -0x1.a485e8p-11f
#define AXL_ERF_C6 0x1.4ae4c6p-14f
#define AXL_ERF_ONE 3.925f	  /* erf() is 1 from here on */
#define AXL_ERF_D0 0x1.72eab8p-12f /* 1 <= |x| < AXL_ERF_ONE */
#define AXL_ERF_D1 0x1.2085b2p+0f
#define AXL_ERF_D2 0x1.46c588p-1f
#define AXL_ERF_D3 0x1.a60a6ap-4f
#define AXL_ERF_D4 -0x1.6541f2p-6f
#define AXL_ERF_D5 0x1.814c7ap-9f
#define AXL_ERF_D6 -0x1.852caep-13f
#define AXL_TWO_OVER_PI 0x1.45f306p-1f
#define AXL_PIO2_HI 0x1.921fb4p+0f  /* pi / 2, in three parts */
#define AXL_PIO2_MID 0x1.4442d2p-24f
#define AXL_PIO2_LO -0x1.ee59dap-50f
#define AXL_SIN_C0 -0x1.555556p-3f
#define AXL_SIN_C1 0x1.111108p-7f
#define AXL_SIN_C2 -0x1.a00f98p-13f
#define AXL_SIN_C3 0x1.6cd734p-19f
#define AXL_COS_C0 0x1.55554ap-5f
#define AXL_COS_C1 -0x1.6c0c86p-10f
#define AXL_COS_C2 0x1.9a00cap-16f

/* The structs, generated from the lists. */
#define AXL_MEMBER_0(ctype, name) ctype name;
#define AXL_MEMBER_N(ctype, name, n) ctype name[n];
#define AXL_MEMBER_2(ctype, name) AXL_MEMBER_N(ctype, name, 2)
#define AXL_MEMBER_5(ctype, name) AXL_MEMBER_N(ctype, name, 5)
#define AXL_MEMBER_8(ctype, name) AXL_MEMBER_N(ctype, name, 8)
#define AXL_MEMBER_11(ctype, name) AXL_MEMBER_N(ctype, name, 11)
#define AXL_MEMBER_39(ctype, name) AXL_MEMBER_N(ctype, name, 39)
#define AXL_MEMBER_44(ctype, name) AXL_MEMBER_N(ctype, name, 44)
#define AXL_MEMBER_48(ctype, name) AXL_MEMBER_N(ctype, name, 48)
#define AXL_MEMBER(ctype, name, n, kind) AXL_MEMBER_##n(ctype, name)

struct axl_none {
	struct axl_header header;
	AXL_FIELDS_NONE(AXL_MEMBER)
};

struct axl_loop {
	struct axl_header header;
	AXL_FIELDS_LOOP(AXL_MEMBER)
};

struct axl_addbase {
	struct axl_header header;
	AXL_FIELDS_ADDBASE(AXL_MEMBER)
};

struct axl_dma {
	struct axl_header header;
	AXL_FIELDS_DMA(AXL_MEMBER)
};

struct axl_conv {
	struct axl_header header;
	AXL_FIELDS_CONV(AXL_MEMBER)
};

struct axl_drain {
	struct axl_header header;
	AXL_FIELDS_DRAIN(AXL_MEMBER)
};

struct axl_vec {
	struct axl_header header;
	AXL_FIELDS_VEC(AXL_MEMBER)
};

/* One decoded instruction; opcode says which member counts. */
union axl_insn {
	struct axl_header header;
	struct axl_none none;
	struct axl_loop loop;
	struct axl_addbase addbase;
	struct axl_dma dma;
	struct axl_conv conv;
	struct axl_drain drain;
	struct axl_vec vec;
	__u8 bytes[AXL_SLOT_BYTES * AXL_MAX_SLOTS];
};

/*
 * Command buffer: this header, then the streams, each 64-byte aligned relative to the header, which itself is 64-byte aligned
 * in memory (read with execute permission).
 * @magic:      AXL_CMDBUF_MAGIC
 * @version:    AXL_ISA_VERSION
 * @num_tiles:  1 .. AXL_MAX_TILES; the device runs it when so many tiles are free
 * @size:       bytes of the whole buffer, this header included; equals the EXECUTE packet's
 * @num_bases:  entries of the argument table it uses, at most AXL_NUM_BASES
 * @spad_bytes: scratchpad it needs in each tile
 * @acc_bytes:  accumulator memory it needs in each tile
 * @streams:    offset from the header and size in bytes of each tile's stream; zero from num_tiles on
 */
#define AXL_CMDBUF_MAGIC 0x434c5841u /* "AXLC" */

struct axl_cmdbuf {
	__u32 magic;
	__u16 version;
	__u8 num_tiles;
	__u8 flags; /* 0 */
	__u32 size;
	__u32 num_bases;
	__u32 spad_bytes;
	__u32 acc_bytes;
	__u32 reserved[10];
	struct {
		__u32 offset;
		__u32 size;
	} streams[AXL_MAX_TILES];
};

/* Layout, asserted wherever the header is used. */
#ifdef __cplusplus
#define AXL_ASSERT(cond, text) static_assert(cond, text)
#else
#define AXL_ASSERT(cond, text) _Static_assert(cond, text)
#endif
AXL_ASSERT(sizeof(struct axl_header) == AXL_HEADER_BYTES, "header is 16 bytes");
AXL_ASSERT(sizeof(struct axl_none) == 64, "one slot");
AXL_ASSERT(sizeof(struct axl_loop) == 64, "one slot");
AXL_ASSERT(sizeof(struct axl_addbase) == 64, "one slot");
AXL_ASSERT(sizeof(struct axl_dma) == 128, "two slots");
AXL_ASSERT(sizeof(struct axl_conv) == 128, "two slots");
AXL_ASSERT(sizeof(struct axl_drain) == 128, "two slots");
AXL_ASSERT(sizeof(struct axl_vec) == 128, "two slots");
AXL_ASSERT(sizeof(union axl_insn) == 128, "two slots");
AXL_ASSERT(sizeof(struct axl_cmdbuf) == 128, "two slots");

#endif
