// SPDX-License-Identifier: MIT
/*
 * TfIdfVectorizer: counts the n-grams of a pool in rows of tokens.
 *
 * The pool becomes a trie: nodes are numbered, an edge is (node, token). Tokens (strings or integers) are numbered too, so
 * that an edge is one 64-bit key; both tables hash. Walking from every token of a row, at every skip distance, finds all
 * n-grams at once.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/families.h"

/* ---- hashing ---- */

/*
 * struct table - open addressing; slot values are @size numbers, -1 free
 */
struct table {
	size_t size; /* a power of two, or 0 */
	int32_t *slots;
};

static int table_create(struct table *t, size_t entries)
{
	t->size = 16;
	while (t->size < 2 * entries)
		t->size *= 2;
	t->slots = malloc(t->size * sizeof(*t->slots));
	if (!t->slots)
		return -ENOMEM;
	memset(t->slots, 0xff, t->size * sizeof(*t->slots));
	return 0;
}

/* FNV-1a. */
static uint64_t hash_bytes(const void *data, size_t size)
{
	const uint8_t *bytes = data;
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3;
	return hash ^ hash >> 29;
}

/* ---- the pool ---- */

/*
 * struct ngrams - the attributes, and the trie made from them
 * @tokens:      the pool's different tokens, borrowed: strings, or integers where @ints is set
 * @nodes:       node 0 is the root; gram is the number of the n-gram that ends there, or -1
 * @columns:     of the output, by n-gram
 * @weights:     by n-gram, or NULL
 */
struct ngrams {
	int64_t min_length, max_length, max_skip;
	size_t num_grams;
	int64_t num_columns;
	const int64_t *columns;
	const float *weights;
	const int64_t *ints;
	const struct tensor_string *strings;
	struct table token_table, edge_table;
	size_t num_tokens;
	size_t *tokens; /* index into the pool */
	size_t num_nodes;
	struct ngram_node {
		int32_t parent, token;
		int64_t gram;
	} * nodes;
};

static void ngrams_destroy(void *state)
{
	struct ngrams *n = state;

	if (!n)
		return;
	free(n->token_table.slots);
	free(n->edge_table.slots);
	free(n->tokens);
	free(n->nodes);
	free(n);
}

/* The slot of a token: one that holds its number, or the free one where it belongs. */
static int32_t *token_slot(const struct ngrams *n, const struct tensor_string *string, int64_t number)
{
	uint64_t hash = n->ints ? hash_bytes(&number, sizeof(number)) : hash_bytes(string->data, string->size);

	for (size_t i = hash & (n->token_table.size - 1);; i = (i + 1) & (n->token_table.size - 1)) {
		int32_t *slot = &n->token_table.slots[i];
		size_t at = *slot < 0 ? 0 : n->tokens[*slot];

		if (*slot < 0)
			return slot;
		if (n->ints ? n->ints[at] == number
			    : n->strings[at].size == string->size &&
				      (!string->size || !memcmp(n->strings[at].data, string->data, string->size)))
			return slot;
	}
}

static int32_t *edge_slot(const struct ngrams *n, int32_t parent, int32_t token)
{
	uint64_t key = (uint64_t)(uint32_t)parent << 32 | (uint32_t)token, hash = hash_bytes(&key, sizeof(key));

	for (size_t i = hash & (n->edge_table.size - 1);; i = (i + 1) & (n->edge_table.size - 1)) {
		int32_t *slot = &n->edge_table.slots[i];

		if (*slot < 0 || (n->nodes[*slot].parent == parent && n->nodes[*slot].token == token))
			return slot;
	}
}

/* Add the n-gram at @first of the pool, @length tokens long. */
static void add_ngram(struct ngrams *n, size_t first, int64_t length, int64_t gram)
{
	int32_t node = 0;

	for (size_t i = first; i < first + (size_t)length; i++) {
		int32_t *token = token_slot(n, n->strings ? &n->strings[i] : NULL, n->ints ? n->ints[i] : 0);
		int32_t *edge;

		if (*token < 0) {
			n->tokens[n->num_tokens] = i;
			*token = (int32_t)n->num_tokens++;
		}
		edge = edge_slot(n, node, *token);
		if (*edge < 0) {
			n->nodes[n->num_nodes] = (struct ngram_node){node, *token, -1};
			*edge = (int32_t)n->num_nodes++;
		}
		node = *edge;
	}
	n->nodes[node].gram = gram;
}

static int fail(char *error, const char *text)
{
	snprintf(error, OP_ERROR_SIZE, "TfIdfVectorizer: %s", text);
	return -EINVAL;
}

/* The attributes but the pool's division. Sets *pool_size. */
static int read_attributes(struct ngrams *n, const struct op_node *node, size_t *pool_size, char *error)
{
	const struct attr *ints = op_attr(node, "pool_int64s"), *strings = op_attr(node, "pool_strings");
	const struct attr *weights = op_attr(node, "weights");

	n->min_length = op_attr_int(node, "min_gram_length", 0);
	n->max_length = op_attr_int(node, "max_gram_length", 0);
	n->max_skip = op_attr_int(node, "max_skip_count", -1);
	n->num_grams = op_attr_ints(node, "ngram_indexes", &n->columns);
	if (n->min_length < 1 || n->max_length < n->min_length || n->max_skip < 0)
		return fail(error, "attributes min_gram_length, max_gram_length, max_skip_count: 1 <= min <= max and "
				   "0 <= skip must hold");
	if (!n->num_grams)
		return fail(error, "attribute ngram_indexes is missing or empty");
	for (size_t i = 0; i < n->num_grams; i++) {
		if (n->columns[i] < 0 || n->columns[i] >= INT32_MAX)
			return fail(error, "attribute ngram_indexes has an entry below 0 or above 2^31 - 2");
		if (n->columns[i] >= n->num_columns)
			n->num_columns = n->columns[i] + 1;
	}
	if (ints && ints->type == ATTR_INTS && ints->count) {
		n->ints = ints->ints;
		*pool_size = ints->count;
	}
	if (strings && strings->type == ATTR_STRINGS && strings->count) {
		n->strings = strings->strings;
		*pool_size = strings->count;
	}
	if (!n->ints == !n->strings)
		return fail(error, "one of the attributes pool_int64s and pool_strings must be there, not both");
	if (*pool_size >= INT32_MAX)
		return fail(error, "the pool has 2^31 tokens or more");
	if (weights && weights->type == ATTR_FLOATS && weights->count) {
		if (weights->count != n->num_grams)
			return fail(error, "attribute weights has not one entry for each of ngram_indexes");
		n->weights = weights->floats;
	}
	return 0;
}

/* ngram_counts[k] is where the (k + 1)-grams begin in the pool. */
static int build_trie(struct ngrams *n, const struct op_node *node, size_t pool_size, char *error)
{
	const int64_t *starts;
	size_t num_lengths = op_attr_ints(node, "ngram_counts", &starts);
	int64_t gram = 0;

	for (size_t k = 0; k < num_lengths; k++) {
		int64_t end = k + 1 < num_lengths ? starts[k + 1] : (int64_t)pool_size, length = (int64_t)k + 1;

		if (starts[k] < 0 || end < starts[k] || end > (int64_t)pool_size || (end - starts[k]) % length)
			return fail(error, "attribute ngram_counts does not divide the pool into whole n-grams");
		for (int64_t at = starts[k]; at < end; at += length, gram++) {
			if ((size_t)gram >= n->num_grams)
				return fail(error, "attribute ngram_indexes has fewer entries than the pool n-grams");
			if (length >= n->min_length && length <= n->max_length)
				add_ngram(n, (size_t)at, length, gram);
		}
	}
	return num_lengths ? 0 : fail(error, "attribute ngram_counts is missing or empty");
}

static int ngrams_create(const struct op_node *node, struct ngrams **made, char *error)
{
	struct ngrams *n = calloc(1, sizeof(*n));
	size_t pool_size = 0;
	int err;

	if (!n)
		return -ENOMEM;
	err = read_attributes(n, node, &pool_size, error);
	if (!err) {
		n->tokens = calloc(pool_size, sizeof(*n->tokens));
		n->nodes = calloc(pool_size + 1, sizeof(*n->nodes));
		err = n->tokens && n->nodes ? table_create(&n->token_table, pool_size) : -ENOMEM;
	}
	if (!err)
		err = table_create(&n->edge_table, pool_size + 1);
	if (!err) {
		n->nodes[0] = (struct ngram_node){-1, -1, -1};
		n->num_nodes = 1;
		err = build_trie(n, node, pool_size, error);
	}
	if (err) {
		ngrams_destroy(n);
		return err;
	}
	*made = n;
	return 0;
}

/* Attributes that do not fit are reported by the run, which can say why. */
static int prepare_tfidf(const struct op_node *node, const struct tensor *const *constants, void **state)
{
	char error[OP_ERROR_SIZE];
	struct ngrams *n = NULL;
	int err = ngrams_create(node, &n, error);

	(void)constants;
	*state = n;
	return err == -ENOMEM ? err : 0;
}

/* ---- counting ---- */

/* Numbers of the row's tokens, -1 for one that the pool does not have. */
static void number_tokens(const struct ngrams *n, const struct tensor *in, int64_t first, int64_t count, int32_t *row)
{
	for (int64_t i = 0; i < count; i++)
		row[i] = n->ints ? *token_slot(n, NULL, tensor_get_s64(in, first + i))
				 : *token_slot(n, (const struct tensor_string *)in->data + first + i, 0);
}

/* Count in @counts, by n-gram. Single tokens have no distance between them: counted at the first one only. */
static void count_row(const struct ngrams *n, const int32_t *row, int64_t length, int64_t *counts)
{
	for (int64_t distance = 1; distance <= n->max_skip + 1 && distance <= length; distance++)
		for (int64_t start = 0; start < length; start++) {
			int32_t node = 0;

			for (int64_t size = 1, at = start; size <= n->max_length && at < length;
			     size++, at += distance) {
				if (row[at] < 0)
					break;
				node = *edge_slot(n, node, row[at]);
				if (node < 0)
					break;
				if (n->nodes[node].gram >= 0 && (size > 1 || distance == 1))
					counts[n->nodes[node].gram]++;
			}
		}
}

enum weighting { WEIGHT_TF, WEIGHT_IDF, WEIGHT_TFIDF };

/* The n-grams of one column add up. */
static void weigh_row(const struct ngrams *n, enum weighting mode, const int64_t *counts, float *out)
{
	for (size_t g = 0; g < n->num_grams; g++) {
		float weight = mode != WEIGHT_TF && n->weights ? n->weights[g] : 1;

		if (counts[g])
			out[n->columns[g]] += mode == WEIGHT_IDF ? weight : weight * (float)counts[g];
	}
}

static int run_rows(struct op_call *call, const struct ngrams *n, enum weighting mode)
{
	const struct tensor *in = call->inputs[0];
	int64_t rows = in->rank == 2 ? in->dims[0] : 1, length = in->rank ? in->dims[in->rank - 1] : 1;
	int64_t *counts = calloc(n->num_grams, sizeof(*counts));
	int32_t *row = calloc((size_t)length + 1, sizeof(*row));
	float *out = call->outputs[0]->data;
	int err = counts && row ? 0 : op_fail(call, -ENOMEM, "TfIdfVectorizer: no memory for a row");

	if (!err)
		memset(out, 0, tensor_bytes(call->outputs[0]));
	for (int64_t r = 0; !err && r < rows; r++) {
		memset(counts, 0, n->num_grams * sizeof(*counts));
		number_tokens(n, in, r * length, length, row);
		count_row(n, row, length, counts);
		weigh_row(n, mode, counts, out + r * n->num_columns);
	}
	free(counts);
	free(row);
	return err;
}

static int read_mode(struct op_call *call, enum weighting *mode)
{
	if (op_attr_is(call->node, "mode", NULL, "TF"))
		*mode = WEIGHT_TF;
	else if (op_attr_is(call->node, "mode", NULL, "IDF"))
		*mode = WEIGHT_IDF;
	else if (op_attr_is(call->node, "mode", NULL, "TFIDF"))
		*mode = WEIGHT_TFIDF;
	else
		return op_fail(call, -EINVAL, "TfIdfVectorizer: attribute mode is none of TF, IDF, TFIDF");
	return 0;
}

static int run_tfidf(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	struct ngrams *own = NULL, *n = call->state;
	int64_t dims[2] = {in->dims[0]};
	enum weighting mode = WEIGHT_TF;
	int err = read_mode(call, &mode);

	if (!op_wanted(call, 0))
		return 0;
	if (!err && !n) {
		err = ngrams_create(call->node, &own, call->error);
		n = own;
	}
	if (!err && in->dtype != (n->strings ? DTYPE_STRING : DTYPE_S64) && !(n->ints && in->dtype == DTYPE_S32))
		err = op_fail(call, -EINVAL, "TfIdfVectorizer: input 0 is %s, the pool has %s", dtype_name(in->dtype),
			      n->strings ? "strings" : "integers");
	if (!err && in->rank > 2)
		err = op_fail(call, -EINVAL, "TfIdfVectorizer: input 0 of rank %d is neither [C] nor [N, C]", in->rank);
	if (!err) {
		dims[in->rank == 2] = n->num_columns;
		err = op_output(call, 0, DTYPE_F32, in->rank == 2 ? 2 : 1, dims);
	}
	if (!err)
		err = run_rows(call, n, mode);
	ngrams_destroy(own);
	return err;
}

const struct op_kernel ops_tfidf[] = {
	{"", "TfIdfVectorizer", 9, 0, 1, 1, 1, 1, run_tfidf, prepare_tfidf, ngrams_destroy},
};
const size_t ops_tfidf_count = sizeof(ops_tfidf) / sizeof(ops_tfidf[0]);
