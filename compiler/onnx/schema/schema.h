/* SPDX-License-Identifier: MIT */
/*
 * The operators of the ONNX standard as data: every version of every operator of ai.onnx (opsets 1 to 28), ai.onnx.ml and
 * the preview domains, with its inputs, outputs, attributes and type constraints. Facts of the standard's operator
 * definitions (docs/Operators.md, docs/Changelog.md and onnx/defs of the onnx project, version 1.23), nothing of this project:
 * the checker holds models against it, the operator list test the registry of kernels.
 *
 * A line of an .inc file is one version of an operator:
 *
 *	OPERATOR(name, since_version, inputs, outputs, attributes, constraints)
 *
 *	inputs, outputs  NAME:TYPE, TYPE being a type variable or a type; "?" behind it: optional; "*": variadic, all of one
 *	                 type ("*~": of any), at least one ("*0": none is enough)
 *	attributes       NAME:KIND, then {allowed|values} where the standard enumerates them, then "!": required, or =default
 *	constraints      VARIABLE=types; float is tensor(float), seq(float) seq(tensor(float)); "@…": a group of schema.c
 *
 * DEPRECATED: from this version on the operator must not be used. All here is constant: any thread may call.
 */
#ifndef COMPILER_ONNX_SCHEMA_SCHEMA_H
#define COMPILER_ONNX_SCHEMA_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* struct schema - one version of an operator; the texts are those of the table */
struct schema {
	const char *domain; /* "" is ai.onnx */
	const char *op_type;
	int since;
	bool deprecated;
	const char *inputs, *outputs, *attributes, *constraints;
};

/* A part of a text of the table: print with %.*s. */
struct schema_text {
	const char *at;
	size_t size;
};

/*
 * struct schema_types - a set of types; bit N of a mask stands for the element type that ONNX numbers N
 * @map: [0] keys are int64, [1] keys are strings; the mask is of the values' types
 */
struct schema_types {
	uint32_t tensor, sequence, optional, optional_sequence;
	uint32_t map[2], sequence_of_map[2];
};

enum schema_option { SCHEMA_SINGLE, SCHEMA_OPTIONAL, SCHEMA_VARIADIC };

/*
 * struct schema_parameter - an input or output
 * @type:        a type variable, or a type
 * @homogeneous: of a variadic one: all have one type
 * @min:         of a variadic one: how many there must be
 */
struct schema_parameter {
	struct schema_text name, type;
	enum schema_option option;
	bool homogeneous;
	int min;
};

/*
 * struct schema_attribute
 * @type:     number of AttributeProto.AttributeType
 * @allowed:  "A|B|C", empty where the standard does not enumerate
 * @fallback: the default as text, empty where there is none
 */
struct schema_attribute {
	struct schema_text name, allowed, fallback;
	int type;
	bool required;
};

/* Walk the table: NULL past the end. By domain, then name, then version. */
const struct schema *schema_at(size_t index);
/* What @op_type of @domain means in a model that imports version @opset of the domain; NULL: nothing. */
const struct schema *schema_find(const char *domain, const char *op_type, int opset);
/* Some version of the domain has the operator. */
bool schema_has_operator(const char *domain, const char *op_type);
/* The newest version of @domain that the table has; 0: it knows nothing of the domain. "ai.onnx" is "". */
int schema_newest(const char *domain);

/* Input or output @index, the last variadic one standing for all that follow; false: the operator has no such. */
bool schema_input(const struct schema *schema, size_t index, struct schema_parameter *parameter);
bool schema_output(const struct schema *schema, size_t index, struct schema_parameter *parameter);
/* How many a node must have at least, and may have at most (-1: any number). Trailing optional ones may be left out. */
void schema_input_count(const struct schema *schema, int *min, int *max);
void schema_output_count(const struct schema *schema, int *min, int *max);

/* Attribute @index; false past the end. */
bool schema_attribute_at(const struct schema *schema, size_t index, struct schema_attribute *attribute);
bool schema_attribute_find(const struct schema *schema, const char *name, struct schema_attribute *attribute);
/* @value, of @size bytes, is one that the standard enumerates, or it enumerates none. */
bool schema_attribute_allows(const struct schema_attribute *attribute, const char *value, size_t size);

/* The types that a parameter's @type, a variable or a type itself, stands for. */
void schema_types(const struct schema *schema, struct schema_text type, struct schema_types *types);
/* "float", the standard's name of element type @type; NULL: it has none of the number. */
const char *schema_element_name(int type);
/* @type is a variable of @schema: all parameters that name it have one type. */
bool schema_is_variable(const struct schema *schema, struct schema_text type);

#endif
