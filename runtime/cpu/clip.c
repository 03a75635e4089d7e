// SPDX-License-Identifier: MIT
/*
 * Clip: numbers of any type between two limits.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/cpu_clones.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/half.h"
#include "runtime/cpu/parallel.h"

struct clip_job {
	void (*row)(size_t n, void *out, const void *in, const void *lo, const void *hi);
	char *out;
	const char *in;
	const void *lo, *hi;
	size_t size;
};

/* The upper limit last: where the limits cross, everything becomes it (opset 13). */
#define CLIP_LOOP(clones, name, T)                                                                              \
	clones static void clip_##name(size_t n, void *out_, const void *in_, const void *lo_, const void *hi_) \
	{                                                                                                       \
		T *out = out_;                                                                                  \
		const T *in = in_;                                                                              \
		const T lo = *(const T *)lo_, hi = *(const T *)hi_;                                             \
                                                                                                                \
		for (size_t i = 0; i < n; i++) {                                                                \
			T x = in[i];                                                                            \
                                                                                                                \
			x = x < lo ? lo : x;                                                                    \
			out[i] = x > hi ? hi : x;                                                               \
		}                                                                                               \
	}
CLIP_LOOP(CPU_CLONES, f32, float)
CLIP_LOOP(, f64, double)
CLIP_LOOP(, u8, uint8_t)
CLIP_LOOP(, s8, int8_t)
CLIP_LOOP(, u16, uint16_t)
CLIP_LOOP(, s16, int16_t)
CLIP_LOOP(, u32, uint32_t)
CLIP_LOOP(, s32, int32_t)
CLIP_LOOP(, u64, uint64_t)
CLIP_LOOP(, s64, int64_t)

#define BOTH_BLOCKS(name)                                                                            \
	static void clip_##name(size_t n, void *out, const void *in, const void *lo, const void *hi) \
	{                                                                                            \
		float block[HALF_BLOCK];                                                             \
                                                                                                     \
		for (size_t i = 0; i < n; i += HALF_BLOCK) {                                         \
			size_t m = n - i < HALF_BLOCK ? n - i : HALF_BLOCK;                          \
			float limits[2] = {name##_to_f32(*(const uint16_t *)lo),                     \
					   name##_to_f32(*(const uint16_t *)hi)};                    \
                                                                                                     \
			for (size_t j = 0; j < m; j++)                                               \
				block[j] = name##_to_f32(((const uint16_t *)in)[i + j]);             \
			clip_f32(m, block, block, &limits[0], &limits[1]);                           \
			for (size_t j = 0; j < m; j++)                                               \
				((uint16_t *)out)[i + j] = f32_to_##name(block[j]);                  \
		}                                                                                    \
	}
BOTH_BLOCKS(f16)
BOTH_BLOCKS(bf16)

static void (*const clip_rows[DTYPE_BF16 + 1])(size_t n, void *out, const void *in, const void *lo, const void *hi) = {
	[DTYPE_F32] = clip_f32, [DTYPE_F64] = clip_f64, [DTYPE_U8] = clip_u8,   [DTYPE_S8] = clip_s8,
	[DTYPE_U16] = clip_u16, [DTYPE_S16] = clip_s16, [DTYPE_U32] = clip_u32, [DTYPE_S32] = clip_s32,
	[DTYPE_U64] = clip_u64, [DTYPE_S64] = clip_s64, [DTYPE_F16] = clip_f16, [DTYPE_BF16] = clip_bf16,
};

static void run_clip_range(void *arg, int64_t begin, int64_t end)
{
	const struct clip_job *job = arg;

	job->row(end - begin, job->out + begin * job->size, job->in + begin * job->size, job->lo, job->hi);
}

/* The limit from input @index (opset 11), or from the attribute; @fallback where there is neither. */
static int clip_limit(struct op_call *call, size_t index, const char *name, double fallback, uint64_t *bits)
{
	const struct tensor *in = call->inputs[0], *limit = op_input(call, index);
	const struct attr *attr = call->node->opset < 11 ? op_attr(call->node, name) : NULL;
	double value = attr && attr->type == ATTR_FLOAT ? (double)attr->f : fallback;

	if (call->node->opset >= 11 && limit) {
		if (limit->dtype != in->dtype)
			return op_fail(call, -EINVAL, "Clip: %s (input %zu) is %s but input 0 is %s", name, index,
				       dtype_name(limit->dtype), dtype_name(in->dtype));
		if (tensor_count(limit) != 1)
			return op_fail(call, -EINVAL, "Clip: %s (input %zu) is not a scalar", name, index);
		memcpy(bits, limit->data, dtype_size(limit->dtype));
		return 0;
	}
	/* The casts saturate, so that infinity becomes the type's own limit. */
	cast_row(DTYPE_F64, in->dtype)(1, &value, bits);
	return 0;
}

static int run_clip(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	struct clip_job job = {0};
	uint64_t lo = 0, hi = 0;
	int err;

	if (!op_wanted(call, 0))
		return 0;
	if (!in)
		return op_fail(call, -EINVAL, "Clip: input 0 is missing");
	if ((unsigned int)in->dtype < DTYPE_BF16 + 1)
		job.row = clip_rows[in->dtype];
	if (!job.row)
		return op_fail(call, -ENOTSUP, "Clip: elements of type %s", dtype_name(in->dtype));
	err = clip_limit(call, 1, "min", -INFINITY, &lo);
	if (!err)
		err = clip_limit(call, 2, "max", INFINITY, &hi);
	if (!err)
		err = op_output(call, 0, in->dtype, in->rank, in->dims);
	if (err)
		return err;
	job.in = in->data;
	job.out = call->outputs[0]->data;
	job.lo = &lo;
	job.hi = &hi;
	job.size = dtype_size(in->dtype);
	parallel_range(call->pool, tensor_count(in), PARALLEL_GRAIN, run_clip_range, &job);
	return 0;
}

const struct op_kernel ops_clip[] = {
	{"", "Clip", 1, 10, 1, 1, 1, 1, run_clip},
	{"", "Clip", 11, 0, 1, 3, 1, 1, run_clip},
};
const size_t ops_clip_count = sizeof(ops_clip) / sizeof(ops_clip[0]);
