// SPDX-License-Identifier: MIT
/*
 * Operators on strings: StringConcat, StringSplit, StringNormalizer. Regular expressions are in regex.c.
 */
#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <wctype.h>

#include "runtime/cpu/broadcast.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/utf8.h"

static int check_strings(struct op_call *call, size_t index)
{
	const struct tensor *in = call->inputs[index];

	if (in->dtype == DTYPE_STRING)
		return 0;
	return op_fail(call, -EINVAL, "%s: input %zu is %s, expected string", call->node->op_type, index,
		       dtype_name(in->dtype));
}

/* Copy @size bytes into the empty element @to. */
static int set_string(struct tensor_string *to, const char *data, size_t size)
{
	if (!size)
		return 0;
	to->data = malloc(size);
	if (!to->data)
		return -ENOMEM;
	memcpy(to->data, data, size);
	to->size = size;
	return 0;
}

static bool same_string(const struct tensor_string *a, const struct tensor_string *b)
{
	return a->size == b->size && (a->size == 0 || !memcmp(a->data, b->data, a->size));
}

/* ---- StringConcat ---- */

struct concat_job {
	const struct tensor_string *a, *b;
	struct tensor_string *out;
	bool failed;
};

static void concat_row(void *arg, size_t n, int64_t out, const int64_t *in, const int64_t *step)
{
	struct concat_job *job = arg;

	for (size_t i = 0; i < n; i++) {
		const struct tensor_string *a = &job->a[in[0] + (int64_t)i * step[0]];
		const struct tensor_string *b = &job->b[in[1] + (int64_t)i * step[1]];
		struct tensor_string *to = &job->out[out + (int64_t)i];

		if (a->size + b->size == 0)
			continue;
		to->data = malloc(a->size + b->size);
		if (!to->data) {
			__atomic_store_n(&job->failed, true, __ATOMIC_RELAXED);
			return;
		}
		if (a->size)
			memcpy(to->data, a->data, a->size);
		if (b->size)
			memcpy(to->data + a->size, b->data, b->size);
		to->size = a->size + b->size;
	}
}

static int run_concat(struct op_call *call)
{
	int64_t dims[TENSOR_MAX_RANK];
	struct broadcast plan;
	struct concat_job job = {0};
	int rank, err = check_strings(call, 0);

	if (!op_wanted(call, 0))
		return 0;
	if (!err)
		err = check_strings(call, 1);
	if (!err)
		err = broadcast_shape(call, &rank, dims);
	if (!err)
		err = op_output(call, 0, DTYPE_STRING, rank, dims);
	if (!err)
		err = broadcast_plan(&plan, 2, call->inputs, rank, dims);
	if (err)
		return err;
	job.a = call->inputs[0]->data;
	job.b = call->inputs[1]->data;
	job.out = call->outputs[0]->data;
	if (tensor_count(call->outputs[0]) > 0)
		broadcast_run(&plan, call->pool, concat_row, &job);
	return job.failed ? op_fail(call, -ENOMEM, "StringConcat: no memory for a string") : 0;
}

/* ---- StringSplit ---- */

/*
 * struct splitter - walks over the parts of a string
 * @delimiter: NULL: runs of white space, which also are no part at the ends
 * @left:      splits still allowed
 */
struct splitter {
	const struct tensor_string *delimiter;
	const char *at, *end;
	int64_t left;
	bool done;
};

static const char *skip_spaces(const char *at, const char *end)
{
	size_t used;

	while (at < end && utf8_is_space(utf8_decode(at, (size_t)(end - at), &used)))
		at += used;
	return at;
}

static const char *find_space(const char *at, const char *end)
{
	size_t used;

	while (at < end && !utf8_is_space(utf8_decode(at, (size_t)(end - at), &used)))
		at += used;
	return at;
}

/* The next part, false after the last one. */
static bool next_part(struct splitter *s, const char **part, size_t *size)
{
	const char *stop = s->end;

	if (!s->delimiter)
		s->at = skip_spaces(s->at, s->end);
	if (s->done || (!s->delimiter && s->at == s->end))
		return false;
	*part = s->at;
	if (s->left > 0 && s->delimiter)
		stop = memmem(s->at, (size_t)(s->end - s->at), s->delimiter->data, s->delimiter->size);
	else if (s->left > 0)
		stop = find_space(s->at, s->end);
	/* With a delimiter the last part may be empty: what shows that it is the last is that no delimiter follows. */
	s->done = !stop || s->left <= 0;
	stop = stop ? stop : s->end;
	*size = (size_t)(stop - s->at);
	s->at = s->done ? s->end : stop + (s->delimiter ? s->delimiter->size : 0);
	s->left--;
	return true;
}

static struct splitter split_string(const struct op_call *call, const struct tensor_string *text)
{
	const struct attr *delimiter = op_attr(call->node, "delimiter");
	struct splitter s = {.at = text->size ? text->data : "",
			     .left = op_attr_int(call->node, "maxsplit", INT64_MAX)};

	s.end = s.at + text->size;
	if (delimiter && delimiter->type == ATTR_STRING && delimiter->s.size)
		s.delimiter = &delimiter->s;
	return s;
}

static int64_t count_parts(const struct op_call *call, const struct tensor_string *text)
{
	struct splitter s = split_string(call, text);
	const char *part;
	int64_t count = 0;
	size_t size;

	while (next_part(&s, &part, &size))
		count++;
	return count;
}

static int write_parts(const struct op_call *call, const struct tensor_string *text, struct tensor_string *out)
{
	struct splitter s = split_string(call, text);
	const char *part;
	size_t size;
	int err = 0;

	while (!err && next_part(&s, &part, &size))
		err = set_string(out++, part, size);
	return err;
}

static int run_split(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	const struct tensor_string *text = in->data;
	int64_t dims[TENSOR_MAX_RANK], most = 0, count = tensor_count(in);
	int err = check_strings(call, 0);

	if (!err && op_attr_int(call->node, "maxsplit", 0) < 0)
		err = op_fail(call, -EINVAL, "StringSplit: attribute maxsplit = %" PRId64,
			      op_attr_int(call->node, "maxsplit", 0));
	if (!err && in->rank == TENSOR_MAX_RANK)
		err = op_fail(call, -ENOTSUP, "StringSplit: input 0 of rank %d", in->rank);
	if (!err)
		err = op_output(call, 1, DTYPE_S64, in->rank, in->dims);
	if (err)
		return err;
	for (int64_t i = 0; i < count; i++) {
		int64_t parts = count_parts(call, &text[i]);

		most = parts > most ? parts : most;
		if (op_wanted(call, 1))
			((int64_t *)call->outputs[1]->data)[i] = parts;
	}
	memcpy(dims, in->dims, sizeof(dims));
	dims[in->rank] = most;
	err = op_output(call, 0, DTYPE_STRING, in->rank + 1, dims);
	for (int64_t i = 0; !err && i < count && op_wanted(call, 0); i++)
		if (write_parts(call, &text[i], (struct tensor_string *)call->outputs[0]->data + i * most))
			err = op_fail(call, -ENOMEM, "StringSplit: no memory for a part");
	return err;
}

/* ---- StringNormalizer ---- */

enum case_change { CASE_NONE, CASE_LOWER, CASE_UPPER };

/*
 * struct normalizer - @stopwords are in the case in which they are compared
 */
struct normalizer {
	enum case_change change;
	bool case_sensitive;
	locale_t locale;
	size_t num_stopwords;
	struct tensor_string *stopwords;
};

/* @text with every character in the case @change. @out gets memory of its own. */
static int change_case(const struct normalizer *n, enum case_change change, const struct tensor_string *text,
		       struct tensor_string *out)
{
	size_t used;

	*out = (struct tensor_string){0};
	if (!text->size)
		return 0;
	out->data = malloc(text->size * UTF8_MAX_SIZE);
	if (!out->data)
		return -ENOMEM;
	for (size_t i = 0; i < text->size; i += used) {
		int32_t point = utf8_decode(text->data + i, text->size - i, &used);

		if (point < 0)
			out->data[out->size++] = text->data[i];
		else
			out->size += utf8_encode(change == CASE_LOWER   ? (int32_t)towlower_l((wint_t)point, n->locale)
						 : change == CASE_UPPER ? (int32_t)towupper_l((wint_t)point, n->locale)
									: point,
						 out->data + out->size);
	}
	return 0;
}

/*
 * Unicode's case mapping is that of every language but those that distinguish i with and without a dot (Turkish,
 * Azerbaijani) and Lithuanian; only these need their locale on the system.
 */
static int open_locale(struct op_call *call, locale_t *locale)
{
	const struct attr *attr = op_attr(call->node, "locale");
	char name[64] = "";

	if (attr && attr->type == ATTR_STRING && attr->s.size) {
		if (attr->s.size >= sizeof(name) - sizeof(".UTF-8"))
			return op_fail(call, -EINVAL, "StringNormalizer: attribute locale has %zu characters",
				       attr->s.size);
		memcpy(name, attr->s.data, attr->s.size);
	}
	*locale = (locale_t)0;
	if (strncmp(name, "tr", 2) && strncmp(name, "az", 2) && strncmp(name, "lt", 2)) {
		*locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	} else {
		*locale = newlocale(LC_CTYPE_MASK, name, (locale_t)0);
		if (!*locale)
			*locale = newlocale(LC_CTYPE_MASK, strcat(name, ".UTF-8"), (locale_t)0);
	}
	return *locale ? 0
		       : op_fail(call, -ENOTSUP, "StringNormalizer: this system has no locale %s",
				 *name ? name : "C.UTF-8");
}

static int read_normalizer(struct op_call *call, struct normalizer *n)
{
	const struct op_node *node = call->node;
	const struct attr *stopwords = op_attr(node, "stopwords");
	int err;

	memset(n, 0, sizeof(*n));
	n->case_sensitive = op_attr_int(node, "is_case_sensitive", 0) != 0;
	if (op_attr_is(node, "case_change_action", "NONE", "LOWER"))
		n->change = CASE_LOWER;
	else if (op_attr_is(node, "case_change_action", "NONE", "UPPER"))
		n->change = CASE_UPPER;
	else if (!op_attr_is(node, "case_change_action", "NONE", "NONE"))
		return op_fail(call, -EINVAL,
			       "StringNormalizer: attribute case_change_action is none of NONE, LOWER, UPPER");
	err = open_locale(call, &n->locale);
	if (err || !stopwords || stopwords->type != ATTR_STRINGS || !stopwords->count)
		return err;
	n->stopwords = calloc(stopwords->count, sizeof(*n->stopwords));
	if (!n->stopwords)
		return op_fail(call, -ENOMEM, "StringNormalizer: no memory for %zu stop words", stopwords->count);
	for (; !err && n->num_stopwords < stopwords->count; n->num_stopwords++)
		err = change_case(n, n->case_sensitive ? CASE_NONE : CASE_LOWER, &stopwords->strings[n->num_stopwords],
				  &n->stopwords[n->num_stopwords]);
	return err;
}

static void finish_normalizer(struct normalizer *n)
{
	for (size_t i = 0; i < n->num_stopwords; i++)
		free(n->stopwords[i].data);
	free(n->stopwords);
	if (n->locale)
		freelocale(n->locale);
}

/* Is @text one of the stop words? 1, 0 or -ENOMEM. */
static int is_stopword(const struct normalizer *n, const struct tensor_string *text)
{
	struct tensor_string folded = {0};
	int found = change_case(n, n->case_sensitive ? CASE_NONE : CASE_LOWER, text, &folded);

	for (size_t i = 0; !found && i < n->num_stopwords; i++)
		found = same_string(&folded, &n->stopwords[i]);
	free(folded.data);
	return found;
}

/* Indices of the elements that stay, into @kept. */
static int keep_elements(struct op_call *call, const struct normalizer *n, int64_t *kept, int64_t *num_kept)
{
	const struct tensor *in = call->inputs[0];
	const struct tensor_string *text = in->data;

	*num_kept = 0;
	for (int64_t i = 0; i < tensor_count(in); i++) {
		int stop = is_stopword(n, &text[i]);

		if (stop < 0)
			return op_fail(call, stop, "StringNormalizer: no memory for a string");
		if (!stop)
			kept[(*num_kept)++] = i;
	}
	return 0;
}

static int run_normalizer(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	int64_t *kept = NULL, num_kept = 0, dims[2];
	struct normalizer n;
	int err = check_strings(call, 0);

	if (!op_wanted(call, 0))
		return 0;
	if (err)
		return err;
	if (in->rank != 1 && (in->rank != 2 || in->dims[0] != 1))
		return op_fail(call, -EINVAL, "StringNormalizer: input 0 of rank %d is neither [C] nor [1, C]",
			       in->rank);
	err = read_normalizer(call, &n);
	if (!err) {
		kept = calloc((size_t)tensor_count(in) + 1, sizeof(*kept));
		err = kept ? keep_elements(call, &n, kept, &num_kept) : -ENOMEM;
	}
	/* Nothing left: one empty string. */
	dims[0] = 1;
	dims[in->rank - 1] = num_kept ? num_kept : 1;
	if (!err)
		err = op_output(call, 0, DTYPE_STRING, in->rank, dims);
	for (int64_t i = 0; !err && i < num_kept; i++)
		err = change_case(&n, n.change, (const struct tensor_string *)in->data + kept[i],
				  (struct tensor_string *)call->outputs[0]->data + i);
	free(kept);
	finish_normalizer(&n);
	return err;
}

const struct op_kernel ops_strings[] = {
	{"", "StringConcat", 20, 0, 2, 2, 1, 1, run_concat},
	{"", "StringNormalizer", 10, 0, 1, 1, 1, 1, run_normalizer},
	{"", "StringSplit", 20, 0, 1, 1, 2, 2, run_split},
};
const size_t ops_strings_count = sizeof(ops_strings) / sizeof(ops_strings[0]);
