// SPDX-License-Identifier: MIT
/*
 * ai.onnx.ml operators on maps: ZipMap, DictVectorizer, CastMap. A map is a nested value of keys and values (tensor.h).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/ml_scores.h"

/* ---- ZipMap ---- */

static int fill_keys(struct tensor *keys, const struct ml_labels *labels)
{
	int64_t count = (int64_t)labels->count;
	int err = tensor_init(keys, labels->strings ? DTYPE_STRING : DTYPE_S64, 1, &count);

	for (size_t i = 0; i < labels->count && !err; i++)
		err = ml_label_set(keys, (int64_t)i, labels, i);
	return err;
}

static int fill_map(struct tensor *map, const struct ml_labels *labels, const float *values)
{
	int64_t count = (int64_t)labels->count;
	int err = tensor_init_nested(map, DTYPE_MAP, 2);

	if (!err)
		err = fill_keys(&tensor_elements(map)[0], labels);
	if (!err)
		err = tensor_init(&tensor_elements(map)[1], DTYPE_F32, 1, &count);
	if (!err)
		memcpy(tensor_elements(map)[1].data, values, labels->count * sizeof(*values));
	return err;
}

static int run_zip_map(struct op_call *call)
{
	const struct tensor *x = call->inputs[0];
	struct ml_labels labels;
	int64_t rows;
	int err = ml_labels_read(call, "classlabels_int64s", "classlabels_strings", &labels);

	if (err)
		return err;
	if (x->dtype != DTYPE_F32 || x->rank < 1 || x->rank > 2)
		return op_fail(call, -EINVAL, "ZipMap: input 0 is %s of rank %d, expected float32 [N, C] or [C]",
			       dtype_name(x->dtype), x->rank);
	if (x->dims[x->rank - 1] != (int64_t)labels.count)
		return op_fail(call, -EINVAL, "ZipMap: input 0 has %lld columns for %zu keys",
			       (long long)x->dims[x->rank - 1], labels.count);
	rows = x->rank == 2 ? x->dims[0] : 1;
	err = op_output(call, 0, DTYPE_SEQUENCE, 1, &rows);
	for (int64_t row = 0; !err && op_wanted(call, 0) && row < rows; row++)
		err = fill_map(&tensor_elements(call->outputs[0])[row], &labels,
			       (const float *)x->data + row * (int64_t)labels.count);
	return err;
}

/* ---- maps as inputs ---- */

/* Keys and values of input 0, a map of as many of each. */
static int read_map(struct op_call *call, const struct tensor **keys, const struct tensor **values)
{
	const struct tensor *map = call->inputs[0];

	if (map->dtype != DTYPE_MAP || tensor_count(map) != 2)
		return op_fail(call, -EINVAL, "%s: input 0 is %s, expected a map", call->node->op_type,
			       dtype_name(map->dtype));
	*keys = &tensor_elements(map)[0];
	*values = &tensor_elements(map)[1];
	if (tensor_count(*keys) != tensor_count(*values))
		return op_fail(call, -EINVAL, "%s: the map has %lld keys and %lld values", call->node->op_type,
			       (long long)tensor_count(*keys), (long long)tensor_count(*values));
	return 0;
}

static bool same_label(const struct tensor *keys, int64_t i, const struct ml_labels *labels, size_t which)
{
	const struct tensor_string *a, *b;

	if (!labels->strings)
		return ((const int64_t *)keys->data)[i] == labels->ints[which];
	a = (const struct tensor_string *)keys->data + i;
	b = &labels->strings[which];
	return a->size == b->size && (!a->size || !memcmp(a->data, b->data, a->size));
}

/* Element @to of @out = element @from of @values, of the same type. */
static int copy_value(const struct tensor *values, int64_t from, struct tensor *out, int64_t to)
{
	size_t size = dtype_size(values->dtype);

	if (values->dtype == DTYPE_STRING) {
		const struct tensor_string *s = (const struct tensor_string *)values->data + from;

		return tensor_string_set((struct tensor_string *)out->data + to, s->data, s->size);
	}
	memcpy((char *)out->data + (size_t)to * size, (const char *)values->data + (size_t)from * size, size);
	return 0;
}

/* A key that the vocabulary does not have is left out, as in ONNX Runtime. */
static int run_dict_vectorizer(struct op_call *call)
{
	const struct tensor *keys, *values;
	struct ml_labels vocabulary;
	int64_t dims[2] = {1, 0};
	int err = ml_labels_read(call, "int64_vocabulary", "string_vocabulary", &vocabulary);

	if (!err)
		err = read_map(call, &keys, &values);
	if (err)
		return err;
	if (keys->dtype != (vocabulary.strings ? DTYPE_STRING : DTYPE_S64))
		return op_fail(call, -EINVAL, "DictVectorizer: the map's keys are %s, the vocabulary is of %s",
			       dtype_name(keys->dtype), vocabulary.strings ? "strings" : "integers");
	dims[1] = (int64_t)vocabulary.count;
	err = op_output(call, 0, values->dtype, 2, dims);
	if (err || !op_wanted(call, 0))
		return err;
	if (values->dtype != DTYPE_STRING)
		memset(call->outputs[0]->data, 0, tensor_bytes(call->outputs[0]));
	for (int64_t i = 0; i < tensor_count(keys) && !err; i++)
		for (size_t v = 0; v < vocabulary.count && !err; v++)
			if (same_label(keys, i, &vocabulary, v))
				err = copy_value(values, i, call->outputs[0], (int64_t)v);
	return err;
}

/* ---- CastMap ---- */

struct map_entry {
	int64_t key, index;
};

static int compare_entries(const void *left, const void *right)
{
	const struct map_entry *a = left, *b = right;

	return (a->key > b->key) - (a->key < b->key);
}

/* One value in the type of @out: numbers and texts of numbers either way. */
static int cast_value(struct op_call *call, const struct tensor *values, int64_t from, struct tensor *out, int64_t to)
{
	char text[64], *end;

	if (values->dtype == out->dtype)
		return copy_value(values, from, out, to);
	if (out->dtype == DTYPE_STRING) {
		int length = snprintf(text, sizeof(text), "%f", tensor_get_f64(values, from));

		return tensor_string_set((struct tensor_string *)out->data + to, text, (size_t)length);
	}
	if (values->dtype == DTYPE_STRING) {
		const struct tensor_string *s = (const struct tensor_string *)values->data + from;
		double value;
		bool is_integer = out->dtype == DTYPE_S64;

		snprintf(text, sizeof(text), "%.*s", (int)(s->size < sizeof(text) ? s->size : sizeof(text) - 1),
			 s->size ? s->data : "");
		if (is_integer)
			((int64_t *)out->data)[to] = strtoll(text, &end, 10);
		value = is_integer ? 0 : strtod(text, &end);
		if (!is_integer)
			((float *)out->data)[to] = (float)value;
		if (end != text && !*end)
			return 0;
		return op_fail(call, -EINVAL, "CastMap: value %lld of the map, \"%s\", is no number", (long long)from,
			       text);
	}
	cast_row(values->dtype, out->dtype)(1, (const char *)values->data + (size_t)from * dtype_size(values->dtype),
					    (char *)out->data + (size_t)to * dtype_size(out->dtype));
	return 0;
}

/* What a sparse output has where the map has no key. */
static int fill_absent(struct tensor *out)
{
	static const char zero[] = "0.f";
	int err = 0;

	if (out->dtype != DTYPE_STRING)
		memset(out->data, 0, tensor_bytes(out));
	/* The text is ONNX Runtime's. */
	for (int64_t i = 0; out->dtype == DTYPE_STRING && i < tensor_count(out) && !err; i++)
		err = tensor_string_set((struct tensor_string *)out->data + i, zero, sizeof(zero) - 1);
	return err;
}

static int cast_map_type(struct op_call *call, enum dtype *type)
{
	static const struct {
		const char *name;
		enum dtype type;
	} names[] = {{"TO_FLOAT", DTYPE_F32}, {"TO_STRING", DTYPE_STRING}, {"TO_INT64", DTYPE_S64}};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (op_attr_is(call->node, "cast_to", "TO_FLOAT", names[i].name)) {
			*type = names[i].type;
			return 0;
		}
	return op_fail(call, -EINVAL, "CastMap: attribute cast_to is none of TO_FLOAT, TO_STRING and TO_INT64");
}

/* Values in ascending order of the keys (DENSE), or each at its key (SPARSE). */
static int place_values(struct op_call *call, const struct tensor *values, const struct map_entry *entries,
			int64_t count, bool sparse)
{
	struct tensor *out = call->outputs[0];
	int err = fill_absent(out);

	for (int64_t i = 0; i < count && !err; i++) {
		int64_t to = sparse ? entries[i].key : i;

		if (to < 0 || to >= tensor_count(out))
			err = op_fail(call, -EINVAL, "CastMap: key %lld, max_map is %lld", (long long)to,
				      (long long)tensor_count(out));
		else
			err = cast_value(call, values, entries[i].index, out, to);
	}
	return err;
}

static int run_cast_map(struct op_call *call)
{
	bool sparse = op_attr_is(call->node, "map_form", "DENSE", "SPARSE");
	const struct tensor *keys, *values;
	struct map_entry *entries;
	enum dtype type = DTYPE_F32;
	int64_t dims[2] = {1, 0}, count;
	int err = cast_map_type(call, &type);

	if (!err && !sparse && !op_attr_is(call->node, "map_form", "DENSE", "DENSE"))
		err = op_fail(call, -EINVAL, "CastMap: attribute map_form is neither DENSE nor SPARSE");
	if (!err)
		err = read_map(call, &keys, &values);
	if (err)
		return err;
	if (keys->dtype != DTYPE_S64 || (values->dtype != DTYPE_STRING && values->dtype != DTYPE_F32))
		return op_fail(call, -EINVAL, "CastMap: a map from %s to %s, expected int64 to string or float32",
			       dtype_name(keys->dtype), dtype_name(values->dtype));
	count = tensor_count(keys);
	dims[1] = sparse ? op_attr_int(call->node, "max_map", 1) : count;
	if (dims[1] < 0)
		return op_fail(call, -EINVAL, "CastMap: attribute max_map is %lld", (long long)dims[1]);
	err = op_output(call, 0, type, 2, dims);
	if (err || !op_wanted(call, 0))
		return err;
	entries = calloc((size_t)count + 1, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	for (int64_t i = 0; i < count; i++)
		entries[i] = (struct map_entry){((const int64_t *)keys->data)[i], i};
	qsort(entries, (size_t)count, sizeof(*entries), compare_entries);
	err = place_values(call, values, entries, count, sparse);
	free(entries);
	return err;
}

const struct op_kernel ops_ml_map[] = {
	{"ai.onnx.ml", "CastMap", 1, 0, 1, 1, 1, 1, run_cast_map, NULL, NULL, NULL},
	{"ai.onnx.ml", "DictVectorizer", 1, 0, 1, 1, 1, 1, run_dict_vectorizer, NULL, NULL, NULL},
	{"ai.onnx.ml", "ZipMap", 1, 0, 1, 1, 1, 1, run_zip_map, NULL, NULL, NULL},
};
const size_t ops_ml_map_count = sizeof(ops_ml_map) / sizeof(ops_ml_map[0]);
