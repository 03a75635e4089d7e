/* SPDX-License-Identifier: MIT */
/*
 * Scaled dot-product attention: softmax(cap(scale * Q K^T) + bias) V for every head of every batch element.
 *
 * The scores never exist as a whole: blocks of queries walk over blocks of keys and keep, by query, the largest score so
 * far, the sum of the exponentials and the weighted sum of values, all rescaled when a larger score comes (Milakov and
 * Gimelshein, "Online normalizer calculation for softmax", 2018; Dao et al., "FlashAttention", 2022). Blocks of keys that
 * no query of a block may see are skipped. Operands are read where they are, through strides: heads may lie side by side
 * in a row or in planes of their own.
 *
 * The operators (attention.c) read nodes; nothing here knows attributes.
 */
#ifndef RUNTIME_CPU_SDPA_H
#define RUNTIME_CPU_SDPA_H

#include <stdbool.h>

#include "runtime/cpu/tensor.h"

struct cpu_pool;

/* Rows of an operand: element j of row i of head h of batch element b is at b * batch + h * head + i * row + j. */
struct sdpa_rows {
	void *data; /* only the result is written */
	int64_t batch, head, row;
};

/* After which step the scores are wanted. */
enum sdpa_stage { SDPA_PRODUCT, SDPA_CAPPED, SDPA_BIASED, SDPA_PROBABILITY, SDPA_STAGES };

/*
 * struct sdpa - one call
 * @dtype:    of all operands: float32 (tiled) or float64 (row by row)
 * @kv_heads: divides @heads; query head h uses key and value head h / (heads / kv_heads)
 * @q, @y:    @queries rows of @head_size and of @value_size; @k, @v: @keys rows of the same
 * @softcap:  scores become softcap * tanh(score / softcap); 0: they stay
 * @bias:     added to the scores, -infinity hides; element (b, h, i, j) at the sum of index times @bias_strides (those of
 *            keys 0 or 1); NULL: none. Keys from @bias_keys on are hidden.
 * @offset:   by batch element, the position of query 0 among the keys; NULL: 0 everywhere
 * @valid:    by batch element, how many keys count; NULL: all
 * @sinks:    by query head, the score of one more key, which every query sees and which has no value; NULL: none
 * @causal:   a query at position p sees no key behind p
 * @left, @right: it sees p - left to p + right; negative: no limit
 * @scores:   [batch, heads, queries, keys] of @dtype after step @stage, or NULL
 *
 * A query that sees no key gets zeros (and zero probabilities), as if attending to nothing.
 */
struct sdpa {
	enum dtype dtype;
	int64_t batch, heads, kv_heads, queries, keys, head_size, value_size;
	struct sdpa_rows q, k, v, y;
	double scale, softcap;
	const void *bias;
	int64_t bias_strides[4], bias_keys;
	const int64_t *offset, *valid;
	const float *sinks;
	bool causal;
	int64_t left, right;
	enum sdpa_stage stage;
	void *scores;
};

/* 0, -ENOMEM, or -EOVERFLOW for sizes whose products overflow. Runs on the threads of @pool (NULL: on this one). */
int sdpa_run(const struct sdpa *a, struct cpu_pool *pool);

#endif
