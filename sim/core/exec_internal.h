/* SPDX-License-Identifier: MIT */
/* What the files behind exec.h share. */
#ifndef SIM_CORE_EXEC_INTERNAL_H
#define SIM_CORE_EXEC_INTERNAL_H

#include "sim/core/exec.h"

/* Loops that the compiler vectorises for the host it finds. The thread sanitizer is not ready when the choice is made.
 */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_THREAD__)
#define EXEC_CLONES __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define EXEC_CLONES
#endif

enum exec_vec_kind { EXEC_VEC_UNARY, EXEC_VEC_BINARY, EXEC_VEC_REDUCTION, EXEC_VEC_SPECIAL };

struct exec_vec_info {
	enum exec_vec_kind kind;
	bool integer; /* has a form in the s32 domain */
};

const struct exec_vec_info *exec_vec_info(unsigned int op); /* NULL: no such operation */

void exec_conv(const struct axl_conv *conv, const struct exec_memory *memory, size_t part, size_t parts);
void exec_dwconv(const struct axl_conv *conv, const struct exec_memory *memory);
void exec_drain(const struct axl_drain *drain, const struct exec_memory *memory);
int exec_vec(const struct axl_vec *vec, const struct exec_memory *memory, struct exec_error *error);

/*
 * Memory of this thread for one use, at least @size bytes, 64-byte aligned, contents undefined: the same at the next call, until the
 * thread ends.
 */
enum exec_scratch_use { EXEC_SCRATCH_A, EXEC_SCRATCH_W, EXEC_SCRATCH_TABLE, EXEC_SCRATCH_STEPS, EXEC_SCRATCHES };
void *exec_scratch(enum exec_scratch_use use, size_t size);

/* @count dense elements to and from binary32. */
void exec_to_f32(float *dst, const void *src, enum axl_type type, size_t count);
void exec_from_f32(void *dst, enum axl_type type, const float *src, size_t count);

/* values[i] = op(values[i]) for a unary operation with its immediates; the activations of DRAIN are these. */
void exec_unary_f32(enum axl_vec_op op, float *values, size_t count, float imm0, float imm1);

/* rne(): nearest integer, ties to even, saturating to s32, NaN gives 0. */
static inline int32_t exec_rne(float x)
{
	if (!(x == x))
		return 0;
	if (x >= 2147483648.0f)
		return INT32_MAX;
	if (x <= -2147483648.0f)
		return INT32_MIN;
	return (int32_t)__builtin_rintf(x);
}

#endif
