// SPDX-License-Identifier: MIT
/*
 * ai.onnx.ml LabelEncoder and CategoryMapper: every element through a table of keys and values.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/families.h"

/* A key in a form that compares fast; which member counts depends on the keys' type. */
struct label_key {
	int64_t integer;
	double real;
	struct tensor_string string;
	int64_t index;
};

/* Storage of a default value, which the fallback is a view of. */
struct fallback {
	struct tensor_string string;
	int64_t integer;
	float real;
	uint64_t other;
};

/*
 * struct label_table - from keys to values
 * @keys, @values: views of what the attributes hold, which stay as long as what was prepared of them
 * @fallback:      one element of the values' type for elements that are no key; a view of @own or of an attribute
 * @sorted:        the keys, each once
 */
struct label_table {
	struct tensor keys, values, fallback;
	struct fallback own;
	struct label_key *sorted;
	size_t count;
};

/*
 * struct label_state - what a node looks up, sorted once
 * @tables:  the one that the input's type fits is read; two where a node maps both ways
 * @numbers: of classes that are numbered by their place
 */
struct label_state {
	struct label_table tables[2];
	size_t count;
	int64_t *numbers;
};

static struct label_key read_key(const struct tensor *t, int64_t i)
{
	struct label_key key = {.index = i};

	if (t->dtype == DTYPE_STRING)
		key.string = ((const struct tensor_string *)t->data)[i];
	else if (dtype_is_float(t->dtype))
		key.real = tensor_get_f64(t, i);
	else
		key.integer = tensor_get_s64(t, i);
	return key;
}

static int compare_strings(const struct tensor_string *a, const struct tensor_string *b)
{
	size_t common = a->size < b->size ? a->size : b->size;
	int order = common ? memcmp(a->data, b->data, common) : 0;

	return order ? order : (a->size > b->size) - (a->size < b->size);
}

/* Keys of one type differ in one member. All NaN are one key, greater than every number. */
static int compare_keys(const void *left, const void *right)
{
	const struct label_key *a = left, *b = right;
	int order = (a->integer > b->integer) - (a->integer < b->integer);

	if (!order && (isnan(a->real) || isnan(b->real)))
		order = !!isnan(a->real) - !!isnan(b->real);
	else if (!order)
		order = (a->real > b->real) - (a->real < b->real);
	return order ? order : compare_strings(&a->string, &b->string);
}

static int compare_entries(const void *left, const void *right)
{
	const struct label_key *a = left, *b = right;
	int order = compare_keys(a, b);

	return order ? order : (a->index > b->index) - (a->index < b->index);
}

/* Sort the keys; of a repeated one the last stays. */
static int sort_keys(struct label_table *table)
{
	int64_t count = tensor_count(&table->keys);

	table->sorted = calloc((size_t)count + 1, sizeof(*table->sorted));
	if (!table->sorted)
		return -ENOMEM;
	for (int64_t i = 0; i < count; i++)
		table->sorted[i] = read_key(&table->keys, i);
	qsort(table->sorted, (size_t)count, sizeof(*table->sorted), compare_entries);
	for (int64_t i = 0; i < count; i++) {
		if (i + 1 < count && !compare_keys(&table->sorted[i], &table->sorted[i + 1]))
			continue;
		table->sorted[table->count++] = table->sorted[i];
	}
	return 0;
}

/* Output element @i = the value for input element @i. */
static int map_element(const struct label_table *table, const struct tensor *x, int64_t i, struct tensor *out)
{
	struct label_key key = read_key(x, i);
	const struct label_key *found =
		bsearch(&key, table->sorted, table->count, sizeof(*table->sorted), compare_keys);
	const struct tensor *from = found ? &table->values : &table->fallback;
	int64_t at = found ? found->index : 0;
	size_t size = dtype_size(out->dtype);

	if (out->dtype == DTYPE_STRING) {
		const struct tensor_string *s = (const struct tensor_string *)from->data + at;

		return tensor_string_set((struct tensor_string *)out->data + i, s->data, s->size);
	}
	memcpy((char *)out->data + (size_t)i * size, (const char *)from->data + (size_t)at * size, size);
	return 0;
}

/* The table's keys, values and fallback are set: look whether they fit each other, and sort. */
static int complete_table(struct op_call *call, struct label_table *table)
{
	if (tensor_count(&table->keys) != tensor_count(&table->values))
		return op_fail(call, -EINVAL, "%s: %lld keys and %lld values", call->node->op_type,
			       (long long)tensor_count(&table->keys), (long long)tensor_count(&table->values));
	if (table->fallback.dtype != table->values.dtype || tensor_count(&table->fallback) != 1)
		return op_fail(call, -EINVAL, "%s: the default is not one %s, as the values are", call->node->op_type,
			       dtype_name(table->values.dtype));
	return sort_keys(table);
}

static int view_list(struct tensor *view, enum dtype type, size_t count, const void *data)
{
	int64_t length = (int64_t)count;

	return tensor_init_view(view, type, 1, &length, (void *)data, count * dtype_size(type));
}

/*
 * The one of PREFIX_floats, _int64s, _strings and _tensor that is there, as a view. -EINVAL when none is, or two are. The
 * specification's version 4 adds the tensors.
 */
static int read_side(struct op_call *call, const char *prefix, struct tensor *view)
{
	static const struct {
		const char *suffix;
		enum attr_type type;
		enum dtype dtype;
	} forms[] = {{"floats", ATTR_FLOATS, DTYPE_F32},
		     {"int64s", ATTR_INTS, DTYPE_S64},
		     {"strings", ATTR_STRINGS, DTYPE_STRING},
		     {"tensor", ATTR_TENSOR, DTYPE_UNDEFINED}};
	const struct attr *chosen = NULL;
	enum dtype dtype = DTYPE_UNDEFINED;

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		const struct attr *attr;
		char name[32];

		snprintf(name, sizeof(name), "%s_%s", prefix, forms[i].suffix);
		attr = op_attr(call->node, name);
		if (!attr || (forms[i].type == ATTR_TENSOR && call->node->opset < 4))
			continue;
		if (attr->type != forms[i].type || chosen)
			return op_fail(call, -EINVAL, "%s: attribute %s %s", call->node->op_type, name,
				       chosen ? "is there beside another form of it" : "has the wrong type");
		chosen = attr;
		dtype = forms[i].dtype;
	}
	if (!chosen)
		return op_fail(call, -EINVAL, "%s: no attribute %s_floats, %s_int64s, %s_strings or %s_tensor",
			       call->node->op_type, prefix, prefix, prefix, prefix);
	if (chosen->type == ATTR_TENSOR) {
		*view = *chosen->tensor;
		view->owned = false;
		return 0;
	}
	return view_list(view, dtype, chosen->count,
			 chosen->type == ATTR_FLOATS ? (const void *)chosen->floats
			 : chosen->type == ATTR_INTS ? (const void *)chosen->ints
						     : (const void *)chosen->strings);
}

static struct tensor_string text(const char *s)
{
	return (struct tensor_string){(char *)s, strlen(s)};
}

/* The default of the values' type: -1, -0.0 or "_Unused" unless an attribute says otherwise. */
static int read_fallback(struct op_call *call, struct label_table *table)
{
	struct fallback *own = &table->own;
	const struct attr *tensor = call->node->opset >= 4 ? op_attr(call->node, "default_tensor") : NULL;
	const struct attr *string = op_attr(call->node, "default_string");
	const void *data = &own->other;

	if (tensor && tensor->type == ATTR_TENSOR) {
		table->fallback = *tensor->tensor;
		table->fallback.owned = false;
		return 0;
	}
	own->string = string && string->type == ATTR_STRING ? string->s : text("_Unused");
	own->integer = op_attr_int(call->node, "default_int64", -1);
	own->real = op_attr_float(call->node, "default_float", -0.0f);
	switch (table->values.dtype) {
	case DTYPE_STRING:
		data = &own->string;
		break;
	case DTYPE_S64:
		data = &own->integer;
		break;
	case DTYPE_F32:
		data = &own->real;
		break;
	case DTYPE_F64: {
		double value = (double)own->real;

		memcpy(&own->other, &value, sizeof(value));
		break;
	}
	case DTYPE_S32:
	case DTYPE_S16: {
		int32_t wide = (int32_t)own->integer;
		int16_t narrow = (int16_t)own->integer;

		if (table->values.dtype == DTYPE_S32)
			memcpy(&own->other, &wide, sizeof(wide));
		else
			memcpy(&own->other, &narrow, sizeof(narrow));
		break;
	}
	default:
		return op_fail(call, -EINVAL, "%s: values of type %s", call->node->op_type,
			       dtype_name(table->values.dtype));
	}
	return view_list(&table->fallback, table->values.dtype, 1, data);
}

static int read_label_encoder(struct op_call *call, struct label_state *state)
{
	struct label_table *table = &state->tables[state->count++];
	int err = read_side(call, "keys", &table->keys);

	if (!err)
		err = read_side(call, "values", &table->values);
	if (!err)
		err = read_fallback(call, table);
	return err ? err : complete_table(call, table);
}

/* A list of strings and a list of integers, which stand for keys and values or the other way round: two tables. */
static int read_strings_and_integers(struct op_call *call, struct label_state *state, size_t num_strings,
				     const struct tensor_string *strings, size_t num_integers, const int64_t *integers)
{
	int err = 0;

	for (int to_integers = 0; to_integers < 2 && !err; to_integers++) {
		struct label_table *table = &state->tables[state->count++];

		err = view_list(to_integers ? &table->keys : &table->values, DTYPE_STRING, num_strings, strings);
		if (!err)
			err = view_list(to_integers ? &table->values : &table->keys, DTYPE_S64, num_integers, integers);
		if (!err)
			err = read_fallback(call, table);
		if (!err)
			err = complete_table(call, table);
	}
	return err;
}

/* Version 1: a class's number is its place in the list. */
static int read_label_encoder_first(struct op_call *call, struct label_state *state)
{
	const struct tensor_string *classes;
	size_t count = op_attr_strings(call->node, "classes_strings", &classes);

	if (!count)
		return op_fail(call, -EINVAL, "LabelEncoder: attribute classes_strings is missing");
	state->numbers = calloc(count, sizeof(*state->numbers));
	if (!state->numbers)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		state->numbers[i] = (int64_t)i;
	return read_strings_and_integers(call, state, count, classes, count, state->numbers);
}

static int read_category_mapper(struct op_call *call, struct label_state *state)
{
	const struct tensor_string *strings;
	const int64_t *integers;
	size_t num_strings = op_attr_strings(call->node, "cats_strings", &strings);
	size_t num_integers = op_attr_ints(call->node, "cats_int64s", &integers);

	if (!num_strings || !num_integers)
		return op_fail(call, -EINVAL, "CategoryMapper: attribute %s is missing",
			       num_strings ? "cats_int64s" : "cats_strings");
	return read_strings_and_integers(call, state, num_strings, strings, num_integers, integers);
}

static void release_state(void *state)
{
	struct label_state *own = state;

	for (size_t i = 0; i < own->count; i++)
		free(own->tables[i].sorted);
	free(own->numbers);
	free(own);
}

/* The tables of the node. What is wrong with its attributes is in call->error. */
static int create_state(struct op_call *call, struct label_state **state)
{
	struct label_state *own = calloc(1, sizeof(*own));
	int err;

	if (!own)
		return -ENOMEM;
	if (!strcmp(call->node->op_type, "CategoryMapper"))
		err = read_category_mapper(call, own);
	else if (call->node->opset == 1)
		err = read_label_encoder_first(call, own);
	else
		err = read_label_encoder(call, own);
	if (err)
		release_state(own);
	else
		*state = own;
	return err;
}

/* Attributes that do not fit prepare nothing: the run says what is wrong, where there is a text for it. */
static int prepare_tables(const struct op_node *node, const struct tensor *const *constants, void **state)
{
	struct op_call call = {.node = node};
	struct label_state *own;
	int err = create_state(&call, &own);

	(void)constants;
	if (!err)
		*state = own;
	return err == -ENOMEM ? err : 0;
}

static int map_all(struct op_call *call, const struct label_state *state)
{
	const struct tensor *x = call->inputs[0];
	const struct label_table *table = state->tables;
	int err;

	while (table < state->tables + state->count && table->keys.dtype != x->dtype)
		table++;
	if (table == state->tables + state->count)
		return op_fail(call, -EINVAL, "%s: input 0 is %s but the keys are %s%s%s", call->node->op_type,
			       dtype_name(x->dtype), dtype_name(state->tables[0].keys.dtype),
			       state->count > 1 ? " or " : "",
			       state->count > 1 ? dtype_name(state->tables[1].keys.dtype) : "");
	err = op_output(call, 0, table->values.dtype, x->rank, x->dims);
	for (int64_t i = 0; !err && op_wanted(call, 0) && i < tensor_count(x); i++)
		err = map_element(table, x, i, call->outputs[0]);
	return err;
}

static int run_tables(struct op_call *call)
{
	struct label_state *own = NULL;
	int err = call->state ? 0 : create_state(call, &own);

	if (!err)
		err = map_all(call, call->state ? call->state : own);
	if (own)
		release_state(own);
	return err;
}

const struct op_kernel ops_ml_label[] = {
	{"ai.onnx.ml", "CategoryMapper", 1, 0, 1, 1, 1, 1, run_tables, prepare_tables, release_state, NULL},
	{"ai.onnx.ml", "LabelEncoder", 1, 1, 1, 1, 1, 1, run_tables, prepare_tables, release_state, NULL},
	{"ai.onnx.ml", "LabelEncoder", 2, 0, 1, 1, 1, 1, run_tables, prepare_tables, release_state, NULL},
};
const size_t ops_ml_label_count = sizeof(ops_ml_label) / sizeof(ops_ml_label[0]);
