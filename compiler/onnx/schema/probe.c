/* SPDX-License-Identifier: MIT */
/* See probe.h. */
#include "compiler/onnx/schema/probe.h"

#include <ctype.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/op.h"

#define MAX_INPUTS 8
#define MAX_OUTPUTS 8
#define MAX_ATTRS 24

/* Shapes of the first input and of the others. */
struct shapes {
	int first, rest; /* ranks; every size is below */
};

static const int64_t sizes[][4] = {{0}, {2}, {2, 2}, {1, 2, 2}, {1, 1, 2, 2}};
static const struct shapes attempts[] = {{2, 2}, {4, 4}, {1, 1}, {0, 0}, {2, 0}, {2, 1}, {3, 3}, {4, 1}, {3, 1}};

/*
 * struct probe - one question
 * @names: of @attrs
 * @ints, @floats: values of lists
 */
struct probe {
	const struct schema *schema;
	const struct op_kernel *kernel;
	struct schema_text variable;
	int type;
	size_t num_inputs;
	enum dtype types[MAX_INPUTS];
	struct attr attrs[MAX_ATTRS];
	size_t num_attrs;
	char names[MAX_ATTRS][48];
	int64_t ints[2];
	float floats[2];
};

static bool same_text(struct schema_text a, struct schema_text b)
{
	return a.size == b.size && !memcmp(a.at, b.at, a.size);
}

bool schema_variable_at(const struct schema *schema, size_t index, struct schema_text *variable, uint32_t *types)
{
	struct schema_parameter parameter;
	struct schema_types set;
	size_t found = 0;

	for (size_t i = 0; i < MAX_INPUTS && schema_input(schema, i, &parameter); i++) {
		bool seen = false;

		for (size_t k = 0; k < i; k++) {
			struct schema_parameter before;

			schema_input(schema, k, &before);
			seen = seen || same_text(before.type, parameter.type);
		}
		if (seen || !schema_is_variable(schema, parameter.type))
			continue;
		if (found++ == index) {
			schema_types(schema, parameter.type, &set);
			*variable = parameter.type;
			*types = set.tensor;
			return true;
		}
	}
	return false;
}

/* The usual one of the set. */
static int common_type(uint32_t types)
{
	static const int order[] = {DTYPE_F32, DTYPE_S64, DTYPE_S32, DTYPE_U8, DTYPE_BOOL, DTYPE_STRING};

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		if (types >> order[i] & 1)
			return order[i];
	return types ? __builtin_ctz(types) : 0;
}

/* Types of the inputs that must be there, and of optional ones up to the last that has the variable. */
static bool choose_inputs(struct probe *probe)
{
	struct schema_parameter parameter;
	bool asked = false;
	int min, max;

	schema_input_count(probe->schema, &min, &max);
	for (size_t i = 0; i < MAX_INPUTS && schema_input(probe->schema, i, &parameter); i++) {
		bool is_it = same_text(parameter.type, probe->variable);
		struct schema_types set;

		if (i >= (size_t)min && !(is_it && !asked))
			break;
		schema_types(probe->schema, parameter.type, &set);
		probe->types[i] = (enum dtype)(is_it ? probe->type : common_type(set.tensor));
		if (!probe->types[i])
			return false; /* takes no tensor */
		asked = asked || is_it;
		probe->num_inputs = i + 1;
		if (parameter.option == SCHEMA_VARIADIC && i + 1 >= (size_t)min)
			break;
	}
	return asked && (size_t)min <= MAX_INPUTS;
}

/* Values for the required attributes; the rest keep their defaults. */
static bool choose_attributes(struct probe *probe)
{
	struct schema_attribute formal;

	probe->ints[0] = probe->ints[1] = 1;
	probe->floats[0] = probe->floats[1] = 1;
	for (size_t i = 0; schema_attribute_at(probe->schema, i, &formal); i++) {
		struct attr *attr = &probe->attrs[probe->num_attrs];

		if (!formal.required)
			continue;
		if (probe->num_attrs == MAX_ATTRS || formal.name.size >= sizeof(probe->names[0]))
			return false;
		memcpy(probe->names[probe->num_attrs], formal.name.at, formal.name.size);
		*attr = (struct attr){
			.name = probe->names[probe->num_attrs], .type = (enum attr_type)formal.type, .f = 1};
		attr->i = !strcmp(attr->name, "axis") ? 0 : 1;
		if (!strcmp(probe->schema->op_type, "BitCast")) /* to a type of as many bits */
			attr->i = probe->type;
		attr->count = 2;
		attr->ints = probe->ints;
		attr->floats = probe->floats;
		if (formal.type != ATTR_INT && formal.type != ATTR_FLOAT && formal.type != ATTR_INTS &&
		    formal.type != ATTR_FLOATS)
			return false;
		probe->num_attrs++;
	}
	return true;
}

/* @value in every element; types that are no numbers stay zero. */
static void fill(struct tensor *tensor, float value)
{
	size_t size = dtype_size(tensor->dtype);

	if (!cast_exists(DTYPE_F32, tensor->dtype))
		return;
	for (int64_t i = 0; i < tensor_count(tensor); i++)
		cast_elements(DTYPE_F32, tensor->dtype, &cast_default, 1, &value,
			      (char *)tensor->data + (size_t)i * size);
}

/* @word stands in @text by itself, not in another: "int64" is not in "keys_int64s". */
static bool has_word(const char *text, const char *word)
{
	size_t size = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at += size)
		if ((at == text || !(isalnum((unsigned char)at[-1]) || at[-1] == '_')) &&
		    !(isalnum((unsigned char)at[size]) || at[size] == '_'))
			return true;
	return false;
}

/* One run; *refused: it failed, and its error names the type. */
static bool run(const struct probe *probe, struct shapes shapes, int value, bool *refused)
{
	struct tensor tensors[MAX_INPUTS] = {0}, results[MAX_OUTPUTS] = {0};
	const struct tensor *inputs[MAX_INPUTS];
	struct tensor *outputs[MAX_OUTPUTS];
	struct op_node node = {
		.name = "",
		.domain = probe->schema->domain,
		.op_type = probe->schema->op_type,
		.opset = probe->schema->since,
		.num_attrs = probe->num_attrs,
		.attrs = probe->attrs,
		.num_inputs = probe->num_inputs,
	};
	struct op_call call = {.node = &node, .inputs = inputs, .outputs = outputs};
	int min, max, err = 0;

	schema_output_count(probe->schema, &min, &max);
	node.num_outputs = min < 1 ? 1 : min > MAX_OUTPUTS ? MAX_OUTPUTS : (size_t)min;
	for (size_t i = 0; i < node.num_outputs; i++)
		outputs[i] = &results[i];
	for (size_t i = 0; i < probe->num_inputs && !err; i++) {
		int rank = i ? shapes.rest : shapes.first;

		err = tensor_init(&tensors[i], probe->types[i], rank, sizes[rank]);
		if (!err)
			fill(&tensors[i], (float)value);
		inputs[i] = &tensors[i];
	}
	if (!err) {
		err = op_run(probe->kernel, &call);
		*refused = *refused || (err && has_word(call.error, dtype_name((enum dtype)probe->type)));
	}
	for (size_t i = 0; i < MAX_INPUTS; i++)
		tensor_finish(&tensors[i]);
	for (size_t i = 0; i < MAX_OUTPUTS; i++)
		tensor_finish(&results[i]);
	return !err;
}

static enum probe_answer ask(const struct schema *schema, struct schema_text variable, int type)
{
	struct probe probe = {
		.schema = schema,
		.kernel = op_find(schema->domain, schema->op_type, schema->since),
		.variable = variable,
		.type = type,
	};
	bool refused = false;

	if (!probe.kernel || !dtype_size((enum dtype)type) || !choose_inputs(&probe) || !choose_attributes(&probe))
		return PROBE_UNKNOWN;
	for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++)
		for (int value = 0; value < 2; value++)
			if (run(&probe, attempts[i], value, &refused))
				return PROBE_TAKES;
	return refused ? PROBE_REFUSES : PROBE_UNKNOWN;
}

enum probe_answer schema_probe(const struct schema *schema, struct schema_text variable, int type)
{
	enum probe_answer answer = ask(schema, variable, type);
	struct schema_types types;

	if (answer != PROBE_REFUSES)
		return answer;
	/* Where no type is taken, it is the inputs that do not fit. */
	schema_types(schema, variable, &types);
	for (int other = 1; other < 32; other++)
		if (types.tensor >> other & 1 && ask(schema, variable, other) == PROBE_TAKES)
			return PROBE_REFUSES;
	return PROBE_UNKNOWN;
}
