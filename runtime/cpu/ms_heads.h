/* SPDX-License-Identifier: MIT */
/*
 * What the attentions of com.microsoft share: one description of heads and their layouts, masks as addends, the cache's rows,
 * the outputs.
 *
 * Shapes as ONNX Runtime's documentation (ContribOperators.md) has them: B batch, S queries, L new keys, P past keys,
 * T = P + L keys, N heads, H head size.
 */
#ifndef RUNTIME_CPU_MS_HEADS_H
#define RUNTIME_CPU_MS_HEADS_H

#include "runtime/cpu/op.h"
#include "runtime/cpu/sdpa.h"

/*
 * struct heads - one attention
 * @k, @v:  the new rows; joined with the past where there is one
 * @bias:   mask and attention bias as one addend, empty when there is neither
 * @joined: keys and values with the past before them, when no output takes them
 */
struct heads {
	struct sdpa sdpa;
	int64_t new_keys, past_keys;
	struct sdpa_rows k, v;
	struct tensor bias, joined[2];
};

void heads_finish(struct heads *h);

/* -EINVAL with the call's error set unless inputs [from, to) are float32 or omitted. */
int heads_check_floats(struct op_call *call, size_t from, size_t to);

bool heads_have_dims(const struct tensor *t, int rank, const int64_t *dims);

/* Type, windows (none) and scale: the attribute, or 1 / sqrt(head size), which must be known. 0. */
int heads_read_scale(struct op_call *call, struct sdpa *s);

/*
 * What is added to the scores: the filter value where the mask at input @mask_index hides, and the attention bias at input
 * @bias_index (SIZE_MAX: there is no such input). A filtered key is not gone: where all are filtered, the row is the softmax of
 * its scores as if none were. -EINVAL, -ENOTSUP (masks for CUDA kernels), -ENOMEM.
 */
int heads_make_bias(struct op_call *call, struct heads *h, size_t mask_index, size_t bias_index);

/* Layouts: [B, heads, rows, size], and [B, rows, heads * size]. */
struct sdpa_rows heads_in_planes(const void *data, int64_t heads, int64_t rows, int64_t size);
struct sdpa_rows heads_side_by_side(const struct tensor *t, int64_t size);

/* @count rows of every key head of batch element @b from row @first of @from to row @at of @to. */
void heads_copy_rows(const struct sdpa *a, int64_t count, int64_t size, const struct sdpa_rows *from, int64_t first,
		     const struct sdpa_rows *to, int64_t at, int64_t b);

/* Run: output 0 is [B, S, N * value size], output @scores (SIZE_MAX: none) the scores. */
int heads_attend(struct op_call *call, struct heads *h, size_t scores);

#endif
