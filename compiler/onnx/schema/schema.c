/* SPDX-License-Identifier: MIT */
/* See schema.h. The table's texts are read where they stand: no state, no memory. */
#include "compiler/onnx/schema/schema.h"

#include <string.h>

#define OPERATOR(name, version, in, out, attributes, types) {DOMAIN, name, version, false, in, out, attributes, types},
#define DEPRECATED(name, version, in, out, attributes, types) {DOMAIN, name, version, true, in, out, attributes, types},
static const struct schema table[] = {
#define DOMAIN ""
#include "compiler/onnx/schema/ai_onnx.inc"
#undef DOMAIN
#define DOMAIN "ai.onnx.ml"
#include "compiler/onnx/schema/ai_onnx_ml.inc"
#undef DOMAIN
#define DOMAIN "ai.onnx.preview"
#include "compiler/onnx/schema/ai_onnx_preview.inc"
#undef DOMAIN
#define DOMAIN "ai.onnx.preview.training"
#include "compiler/onnx/schema/ai_onnx_preview_training.inc"
#undef DOMAIN
};
#undef OPERATOR
#undef DEPRECATED

enum { TABLE_SIZE = sizeof(table) / sizeof(table[0]) };

/* ---- types ---- */

#define BIT(type) (UINT32_C(1) << (type))

/* The standard's names of element types, at their TensorProto.DataType. */
static const char *const element_names[] = {
	[1] = "float",         [2] = "uint8",           [3] = "int8",        [4] = "uint16",
	[5] = "int16",         [6] = "int32",           [7] = "int64",       [8] = "string",
	[9] = "bool",          [10] = "float16",        [11] = "double",     [12] = "uint32",
	[13] = "uint64",       [14] = "complex64",      [15] = "complex128", [16] = "bfloat16",
	[17] = "float8e4m3fn", [18] = "float8e4m3fnuz", [19] = "float8e5m2", [20] = "float8e5m2fnuz",
	[21] = "uint4",        [22] = "int4",           [23] = "float4e2m1", [24] = "float8e8m0",
	[25] = "uint2",        [26] = "int2",           [27] = "float6e2m3", [28] = "float6e3m2",
};

const char *schema_element_name(int type)
{
	return type > 0 && type < (int)(sizeof(element_names) / sizeof(element_names[0])) ? element_names[type] : NULL;
}

enum {
	SIGNED_INTEGERS = BIT(3) | BIT(5) | BIT(6) | BIT(7),
	UNSIGNED_INTEGERS = BIT(2) | BIT(4) | BIT(12) | BIT(13),
	FLOATS = BIT(10) | BIT(1) | BIT(11),
	NUMBERS = SIGNED_INTEGERS | UNSIGNED_INTEGERS | FLOATS,
};

static const struct {
	const char *name;
	uint32_t mask;
} groups[] = {
	{"@int", SIGNED_INTEGERS},
	{"@uint", UNSIGNED_INTEGERS},
	{"@float", FLOATS},
	{"@num32", BIT(6) | BIT(7) | BIT(12) | BIT(13) | FLOATS},
	{"@num", NUMBERS},
	{"@all", NUMBERS | BIT(9) | BIT(8) | BIT(14) | BIT(15)},
	{"@float8", BIT(17) | BIT(18) | BIT(19) | BIT(20)},
	{"@int4", BIT(21) | BIT(22)},
	{"@int2", BIT(25) | BIT(26)},
	{"@float6", BIT(27) | BIT(28)},
	{"@every", BIT(29) - BIT(1)},
};

static bool text_is(struct schema_text text, const char *string)
{
	return strlen(string) == text.size && !memcmp(text.at, string, text.size);
}

/* "PREFIX…SUFFIX": the text between them, or nothing. */
static bool text_inside(struct schema_text text, const char *prefix, const char *suffix, struct schema_text *inside)
{
	size_t before = strlen(prefix), after = strlen(suffix);

	if (text.size < before + after || memcmp(text.at, prefix, before) ||
	    memcmp(text.at + text.size - after, suffix, after))
		return false;
	*inside = (struct schema_text){text.at + before, text.size - before - after};
	return true;
}

static uint32_t element_mask(struct schema_text text)
{
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (text_is(text, groups[i].name))
			return groups[i].mask;
	for (size_t i = 1; i < sizeof(element_names) / sizeof(element_names[0]); i++)
		if (text_is(text, element_names[i]))
			return BIT(i);
	return 0;
}

/* One type or group, "seq(@all)" say, into the set. */
static void add_type(struct schema_types *types, struct schema_text text)
{
	struct schema_text in;

	if (text_inside(text, "optional(seq(", "))", &in))
		types->optional_sequence |= element_mask(in);
	else if (text_inside(text, "optional(", ")", &in))
		types->optional |= element_mask(in);
	else if (text_inside(text, "seq(map(int64,", "))", &in))
		types->sequence_of_map[0] |= element_mask(in);
	else if (text_inside(text, "seq(map(string,", "))", &in))
		types->sequence_of_map[1] |= element_mask(in);
	else if (text_inside(text, "seq(", ")", &in))
		types->sequence |= element_mask(in);
	else if (text_inside(text, "map(int64,", ")", &in))
		types->map[0] |= element_mask(in);
	else if (text_inside(text, "map(string,", ")", &in))
		types->map[1] |= element_mask(in);
	else
		types->tensor |= element_mask(text);
}

/* The next word of @text, which ends at a @separator outside parentheses and braces; size 0 past the end. */
static struct schema_text next_word(const char **text, char separator)
{
	struct schema_text word = {*text, 0};
	int depth = 0;

	while ((*text)[word.size] && (depth || (*text)[word.size] != separator)) {
		char c = (*text)[word.size++];

		depth += (c == '(' || c == '{') - (c == ')' || c == '}');
	}
	*text += word.size + ((*text)[word.size] != '\0');
	return word;
}

/* The types of variable @name; false: there is none of the name. */
static bool find_constraint(const struct schema *schema, struct schema_text name, struct schema_text *types)
{
	const char *text = schema->constraints;
	struct schema_text word;

	while ((word = next_word(&text, ' ')).size)
		if (word.size > name.size && !memcmp(word.at, name.at, name.size) && word.at[name.size] == '=') {
			*types = (struct schema_text){word.at + name.size + 1, word.size - name.size - 1};
			return true;
		}
	return false;
}

bool schema_is_variable(const struct schema *schema, struct schema_text type)
{
	struct schema_text types;

	return find_constraint(schema, type, &types);
}

void schema_types(const struct schema *schema, struct schema_text type, struct schema_types *types)
{
	struct schema_text list;
	const char *text;

	memset(types, 0, sizeof(*types));
	if (!find_constraint(schema, type, &list))
		list = type;
	text = list.at;
	while (text < list.at + list.size) {
		struct schema_text word = {text, 0};
		int depth = 0;

		for (; word.at + word.size < list.at + list.size && (depth || word.at[word.size] != ','); word.size++)
			depth += (word.at[word.size] == '(') - (word.at[word.size] == ')');
		add_type(types, word);
		text = word.at + word.size + 1;
	}
}

/* ---- look-up ---- */

const struct schema *schema_at(size_t index)
{
	return index < TABLE_SIZE ? &table[index] : NULL;
}

static const char *canonical(const char *domain)
{
	return strcmp(domain, "ai.onnx") ? domain : "";
}

static int compare(const struct schema *schema, const char *domain, const char *op_type)
{
	int order = strcmp(schema->domain, domain);

	return order ? order : strcmp(schema->op_type, op_type);
}

/* The first version of the operator, or NULL. */
static const struct schema *first_version(const char *domain, const char *op_type)
{
	size_t low = 0, high = TABLE_SIZE;

	domain = canonical(domain);
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(&table[middle], domain, op_type) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < TABLE_SIZE && !compare(&table[low], domain, op_type) ? &table[low] : NULL;
}

const struct schema *schema_find(const char *domain, const char *op_type, int opset)
{
	const struct schema *found = NULL;

	for (const struct schema *schema = first_version(domain, op_type);
	     schema && schema < table + TABLE_SIZE && !compare(schema, canonical(domain), op_type); schema++)
		if (schema->since <= opset)
			found = schema;
	return found;
}

bool schema_has_operator(const char *domain, const char *op_type)
{
	return first_version(domain, op_type);
}

int schema_newest(const char *domain)
{
	int newest = 0;

	domain = canonical(domain);
	for (size_t i = 0; i < TABLE_SIZE; i++)
		if (!strcmp(table[i].domain, domain) && table[i].since > newest)
			newest = table[i].since;
	return newest;
}

/* ---- inputs and outputs ---- */

/* "name:type?": names have no colon. */
static void read_parameter(struct schema_text word, struct schema_parameter *parameter)
{
	const char *colon = memchr(word.at, ':', word.size);
	const char *end = word.at + word.size, *star = memchr(colon, '*', (size_t)(end - colon));

	*parameter = (struct schema_parameter){.option = SCHEMA_SINGLE, .homogeneous = true, .min = 1};
	parameter->name = (struct schema_text){word.at, (size_t)(colon - word.at)};
	if (star) {
		parameter->option = SCHEMA_VARIADIC;
		parameter->homogeneous = star + 1 == end || star[1] != '~';
		if (end[-1] >= '0' && end[-1] <= '9')
			parameter->min = end[-1] - '0';
		end = star;
	} else if (end[-1] == '?') {
		parameter->option = SCHEMA_OPTIONAL;
		end--;
	}
	parameter->type = (struct schema_text){colon + 1, (size_t)(end - colon - 1)};
}

static bool parameter_at(const char *text, size_t index, struct schema_parameter *parameter)
{
	struct schema_text word;

	for (size_t i = 0; (word = next_word(&text, ' ')).size; i++) {
		read_parameter(word, parameter);
		if (i == index || parameter->option == SCHEMA_VARIADIC)
			return true;
	}
	return false;
}

static void count_parameters(const char *text, int *min, int *max)
{
	struct schema_parameter parameter;
	struct schema_text word;

	*min = *max = 0;
	for (int i = 0; (word = next_word(&text, ' ')).size; i++) {
		read_parameter(word, &parameter);
		*max = parameter.option == SCHEMA_VARIADIC ? -1 : i + 1;
		if (parameter.option == SCHEMA_VARIADIC && parameter.min)
			*min = i + parameter.min;
		else if (parameter.option == SCHEMA_SINGLE)
			*min = i + 1;
	}
}

bool schema_input(const struct schema *schema, size_t index, struct schema_parameter *parameter)
{
	return parameter_at(schema->inputs, index, parameter);
}

bool schema_output(const struct schema *schema, size_t index, struct schema_parameter *parameter)
{
	return parameter_at(schema->outputs, index, parameter);
}

void schema_input_count(const struct schema *schema, int *min, int *max)
{
	count_parameters(schema->inputs, min, max);
}

void schema_output_count(const struct schema *schema, int *min, int *max)
{
	count_parameters(schema->outputs, min, max);
}

/* ---- attributes ---- */

/* At their AttributeProto.AttributeType. */
static const char *const kinds[] = {
	[1] = "float",       [2] = "int",          [3] = "string",         [4] = "tensor",
	[5] = "graph",       [6] = "floats",       [7] = "ints",           [8] = "strings",
	[9] = "tensors",     [10] = "graphs",      [11] = "sparse_tensor", [12] = "sparse_tensors",
	[13] = "type_proto", [14] = "type_protos",
};

/* "name:kind{a|b}=default" */
static void read_attribute(struct schema_text word, struct schema_attribute *attribute)
{
	const char *end = word.at + word.size, *colon = memchr(word.at, ':', word.size);
	const char *at = colon + 1;

	*attribute = (struct schema_attribute){
		.name = {word.at, (size_t)(colon - word.at)}, .allowed = {end, 0}, .fallback = {end, 0}};
	while (at < end && *at != '{' && *at != '=' && *at != '!')
		at++;
	for (int i = 1; i < (int)(sizeof(kinds) / sizeof(kinds[0])); i++)
		if (text_is((struct schema_text){colon + 1, (size_t)(at - colon - 1)}, kinds[i]))
			attribute->type = i;
	if (at < end && *at == '{') {
		const char *close = memchr(at, '}', (size_t)(end - at));

		attribute->allowed = (struct schema_text){at + 1, (size_t)(close - at - 1)};
		at = close + 1;
	}
	attribute->required = at < end && *at == '!';
	if (at < end && *at == '=')
		attribute->fallback = (struct schema_text){at + 1, (size_t)(end - at - 1)};
}

bool schema_attribute_at(const struct schema *schema, size_t index, struct schema_attribute *attribute)
{
	const char *text = schema->attributes;
	struct schema_text word;

	for (size_t i = 0; (word = next_word(&text, ' ')).size; i++)
		if (i == index) {
			read_attribute(word, attribute);
			return true;
		}
	return false;
}

bool schema_attribute_find(const struct schema *schema, const char *name, struct schema_attribute *attribute)
{
	for (size_t i = 0; schema_attribute_at(schema, i, attribute); i++)
		if (text_is(attribute->name, name))
			return true;
	return false;
}

bool schema_attribute_allows(const struct schema_attribute *attribute, const char *value, size_t size)
{
	const char *at = attribute->allowed.at, *end = at + attribute->allowed.size;

	while (at < end) {
		const char *bar = memchr(at, '|', (size_t)(end - at));
		size_t length = (size_t)((bar ? bar : end) - at);

		if (length == size && !memcmp(at, value, size))
			return true;
		at += length + 1;
	}
	return !attribute->allowed.size;
}
