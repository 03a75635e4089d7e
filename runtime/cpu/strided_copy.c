// SPDX-License-Identifier: MIT
/*
 * Strided copies: see strided_copy.h.
 *
 * Dimensions that both sides walk through alike are merged first. Then the innermost one decides: runs that are
 * contiguous on both sides are memcpy; a contiguous destination with the source's unit stride in another dimension is a
 * transposition, done in square tiles that stay in L1; the rest is an element loop.
 */
#include "runtime/cpu/strided_copy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/parallel.h"

/* Elements on a side of a transposition tile: 32 x 32 floats on both sides are 8 KiB. */
#define TILE 32

void dense_strides(int rank, const int64_t *dims, int64_t *strides)
{
	int64_t stride = 1;

	for (int i = rank - 1; i >= 0; i--) {
		strides[i] = stride;
		/* May wrap where an outer size is 0: then no element is ever addressed. */
		stride = (int64_t)((uint64_t)stride * (uint64_t)dims[i]);
	}
}

static void drop_and_merge(struct strided_copy *c)
{
	int last = -1;

	for (int i = 0; i < c->rank; i++) {
		if (c->dims[i] == 1)
			continue;
		if (last >= 0 && c->dst_strides[last] == c->dst_strides[i] * c->dims[i] &&
		    c->src_strides[last] == c->src_strides[i] * c->dims[i]) {
			c->dims[last] *= c->dims[i];
		} else {
			last++;
			c->dims[last] = c->dims[i];
		}
		c->dst_strides[last] = c->dst_strides[i];
		c->src_strides[last] = c->src_strides[i];
	}
	c->rank = last + 1;
}

/* The dimension in which the source is contiguous goes next to the innermost, for tiling. Order is free: it is a copy.
 */
static bool move_transposed(struct strided_copy *c)
{
	int last = c->rank - 1;

	if (c->rank < 2 || c->dst_strides[last] != 1 || c->src_strides[last] == 1 || c->src_strides[last] == 0)
		return false;
	for (int i = last - 1; i >= 0; i--) {
		int64_t dim = c->dims[i], dst = c->dst_strides[i], src = c->src_strides[i];

		if (src != 1 || dim < 4 || c->dims[last] < 4)
			continue;
		for (int j = i; j < last - 1; j++) {
			c->dims[j] = c->dims[j + 1];
			c->dst_strides[j] = c->dst_strides[j + 1];
			c->src_strides[j] = c->src_strides[j + 1];
		}
		c->dims[last - 1] = dim;
		c->dst_strides[last - 1] = dst;
		c->src_strides[last - 1] = src;
		return true;
	}
	return false;
}

/* ---- inner loops by element size ---- */

struct pair {
	uint64_t lo, hi;
};

#define LOOPS(name, T)                                                                                              \
	static void line_##name(int64_t n, void *dst, int64_t ds, const void *src, int64_t ss)                      \
	{                                                                                                           \
		T *to = dst;                                                                                        \
		const T *from = src;                                                                                \
                                                                                                                    \
		if (ds == 1 && ss == 0) {                                                                           \
			const T value = *from;                                                                      \
			for (int64_t i = 0; i < n; i++)                                                             \
				to[i] = value;                                                                      \
		} else if (ds == 1 && ss == -1) {                                                                   \
			for (int64_t i = 0; i < n; i++)                                                             \
				to[i] = from[-i];                                                                   \
		} else if (ds == 1 && ss == 2) {                                                                    \
			for (int64_t i = 0; i < n; i++)                                                             \
				to[i] = from[2 * i];                                                                \
		} else {                                                                                            \
			for (int64_t i = 0; i < n; i++)                                                             \
				to[i * ds] = from[i * ss];                                                          \
		}                                                                                                   \
	}                                                                                                           \
	/* rows x columns, the destination contiguous along columns, the source along rows */                       \
	static void plane_##name(int64_t rows, int64_t columns, void *dst, int64_t ds, const void *src, int64_t ss) \
	{                                                                                                           \
		for (int64_t r0 = 0; r0 < rows; r0 += TILE) {                                                       \
			int64_t r1 = rows - r0 < TILE ? rows : r0 + TILE;                                           \
                                                                                                                    \
			for (int64_t c0 = 0; c0 < columns; c0 += TILE) {                                            \
				int64_t c1 = columns - c0 < TILE ? columns : c0 + TILE;                             \
                                                                                                                    \
				for (int64_t r = r0; r < r1; r++) {                                                 \
					T *to = (T *)dst + r * ds;                                                  \
					const T *from = (const T *)src + r;                                         \
                                                                                                                    \
					for (int64_t c = c0; c < c1; c++)                                           \
						to[c] = from[c * ss];                                               \
				}                                                                                   \
			}                                                                                           \
		}                                                                                                   \
	}
LOOPS(8, uint8_t)
LOOPS(16, uint16_t)
LOOPS(32, uint32_t)
LOOPS(64, uint64_t)
LOOPS(128, struct pair)

typedef void (*line_fn)(int64_t n, void *dst, int64_t ds, const void *src, int64_t ss);
typedef void (*plane_fn)(int64_t rows, int64_t columns, void *dst, int64_t ds, const void *src, int64_t ss);

static const struct {
	line_fn line;
	plane_fn plane;
} loops[] = {
	[1] = {line_8, plane_8},   [2] = {line_16, plane_16},    [4] = {line_32, plane_32},
	[8] = {line_64, plane_64}, [16] = {line_128, plane_128},
};

/* ---- driving them ---- */

struct copy_job {
	const struct strided_copy *copy;
	int outer;      /* dimensions walked here; the rest belongs to the inner loop */
	bool transpose; /* the inner loop is a plane, not a line */
};

static void run_inner(const struct copy_job *job, char *dst, const char *src)
{
	const struct strided_copy *c = job->copy;
	int last = c->rank - 1;

	if (job->transpose)
		loops[c->size].plane(c->dims[last - 1], c->dims[last], dst, c->dst_strides[last - 1], src,
				     c->src_strides[last]);
	else if (c->dst_strides[last] == 1 && c->src_strides[last] == 1)
		memcpy(dst, src, c->dims[last] * c->size);
	else
		loops[c->size].line(c->dims[last], dst, c->dst_strides[last], src, c->src_strides[last]);
}

static void run_copies(void *arg, int64_t begin, int64_t end)
{
	const struct copy_job *job = arg;
	const struct strided_copy *c = job->copy;
	int64_t index[STRIDED_MAX_RANK], dst = 0, src = 0, rest = begin;

	for (int i = job->outer - 1; i >= 0; i--) {
		index[i] = rest % c->dims[i];
		rest /= c->dims[i];
		dst += index[i] * c->dst_strides[i];
		src += index[i] * c->src_strides[i];
	}
	for (; begin < end; begin++) {
		run_inner(job, (char *)c->dst + dst * (int64_t)c->size, (const char *)c->src + src * (int64_t)c->size);
		for (int i = job->outer - 1; i >= 0; i--) {
			dst += c->dst_strides[i];
			src += c->src_strides[i];
			if (++index[i] < c->dims[i])
				break;
			dst -= c->dims[i] * c->dst_strides[i];
			src -= c->dims[i] * c->src_strides[i];
			index[i] = 0;
		}
	}
}

/* Cut the innermost dimension in two, so that there is something to share out when it is all there is. */
static void cut_line(struct strided_copy *c)
{
	int64_t n = c->dims[c->rank - 1];
	int64_t piece = PARALLEL_GRAIN;

	while (piece > 1024 && n % piece)
		piece /= 2;
	if (n % piece || n == piece)
		return;
	c->dims[c->rank] = piece;
	c->dst_strides[c->rank] = c->dst_strides[c->rank - 1];
	c->src_strides[c->rank] = c->src_strides[c->rank - 1];
	c->dims[c->rank - 1] = n / piece;
	c->dst_strides[c->rank - 1] *= piece;
	c->src_strides[c->rank - 1] *= piece;
	c->rank++;
}

void strided_copy_run(struct strided_copy copy, struct cpu_pool *pool)
{
	struct copy_job job = {.copy = &copy};
	int64_t outer = 1, inner = 1;

	for (int i = 0; i < copy.rank; i++)
		if (copy.dims[i] == 0)
			return;
	drop_and_merge(&copy);
	if (copy.rank == 0) {
		memcpy(copy.dst, copy.src, copy.size);
		return;
	}
	job.transpose = move_transposed(&copy);
	if (pool && copy.rank == 1)
		cut_line(&copy);
	job.outer = copy.rank - (job.transpose ? 2 : 1);
	for (int i = 0; i < copy.rank; i++)
		*(i < job.outer ? &outer : &inner) *= copy.dims[i];
	parallel_range(pool, outer, (PARALLEL_GRAIN - 1) / inner + 1, run_copies, &job);
}

int strings_own(struct op_call *call, struct tensor *out)
{
	struct tensor_string *s = out->data;
	int64_t count = tensor_count(out);

	for (int64_t i = 0; i < count; i++) {
		char *copy = malloc(s[i].size + 1);

		if (!copy) {
			memset(&s[i], 0, (count - i) * sizeof(*s));
			return op_fail(call, -ENOMEM, "%s: no memory for strings", call->node->op_type);
		}
		if (s[i].size)
			memcpy(copy, s[i].data, s[i].size);
		copy[s[i].size] = 0;
		s[i].data = copy;
	}
	return 0;
}

int op_output_copy(struct op_call *call, size_t index, const struct tensor *in, int rank, const int64_t *dims)
{
	struct strided_copy copy = {.rank = 1, .dims = {tensor_count(in)}, .dst_strides = {1}, .src_strides = {1}};
	int err;

	if (!op_wanted(call, index))
		return 0;
	if (dtype_is_nested(in->dtype)) {
		struct tensor own;

		err = tensor_copy(&own, in);
		if (err)
			return op_fail(call, err, "%s: no memory for a copy of a %s", call->node->op_type,
				       dtype_name(in->dtype));
		tensor_finish(call->outputs[index]);
		*call->outputs[index] = own;
		return 0;
	}
	err = op_output(call, index, in->dtype, rank, dims);
	/* The caller may have put the output where the input is. */
	if (err || copy.dims[0] == 0 || call->outputs[index]->data == in->data)
		return err;
	copy.size = dtype_size(in->dtype);
	copy.src = in->data;
	copy.dst = call->outputs[index]->data;
	/* A caller may have given the input's own memory for the output. */
	if (copy.dst == copy.src)
		return 0;
	strided_copy_run(copy, call->pool);
	return in->dtype == DTYPE_STRING ? strings_own(call, call->outputs[index]) : 0;
}
