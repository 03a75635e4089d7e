/* SPDX-License-Identifier: MIT */
/* Model-local functions (IR: Functions): named once, formal names once, no recursion; bodies as graphs; calls that fit. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/onnx/check/checker.h"
#include "compiler/onnx/scope.h"

static void check_identity(struct checker *checker, const struct check_scope *scope, size_t index)
{
	const Onnx__FunctionProto *function = checker->model->functions[index];
	const char *name = check_text(function->name), *domain = check_domain(function->domain);

	check_utf8(checker, scope, "the name of a function", function->name);
	if (!*name)
		check_found(checker, scope, RULE_FUNCTION_NAME, "", "function %zu has no name", index);
	for (size_t i = 0; i < index; i++) {
		const Onnx__FunctionProto *other = checker->model->functions[i];

		if (!strcmp(check_text(other->name), name) && !strcmp(check_domain(other->domain), domain) &&
		    !strcmp(check_text(other->overload), check_text(function->overload)))
			check_found(checker, scope, RULE_FUNCTION_DUPLICATE, name,
				    "functions %zu and %zu are both %s%s%s", i, index, domain, *domain ? "::" : "",
				    name);
	}
	if (*check_text(function->overload))
		check_feature(checker, scope, name, 10, "an overload");
	if (schema_has_operator(domain, name))
		check_found(checker, scope, RULE_FUNCTION_CLASH, name, "function %s has the name of an operator of %s",
			    name, *domain ? domain : "ai.onnx");
}

/* @names, each given and given once. */
static void check_formals(struct checker *checker, const struct check_scope *scope, const char *what, size_t count,
			  char *const *names)
{
	for (size_t i = 0; i < count; i++) {
		if (!*check_text(names[i]))
			check_found(checker, scope, RULE_FUNCTION_FORMAL, "", "%s %zu has no name", what, i);
		for (size_t k = 0; k < i; k++)
			if (*check_text(names[i]) && !strcmp(check_text(names[k]), names[i])) {
				check_found(checker, scope, RULE_FUNCTION_FORMAL, names[i], "%s %s is listed twice",
					    what, names[i]);
				break;
			}
	}
}

static void check_attribute_names(struct checker *checker, const struct check_scope *scope,
				  const Onnx__FunctionProto *function)
{
	check_formals(checker, scope, "attribute", function->n_attribute, function->attribute);
	for (size_t i = 0; i < function->n_attribute_proto; i++) {
		const char *name = check_text(function->attribute_proto[i]->name);
		bool twice = false;

		for (size_t k = 0; k < function->n_attribute; k++)
			twice = twice || !strcmp(check_text(function->attribute[k]), name);
		for (size_t k = 0; k < i; k++)
			twice = twice || !strcmp(check_text(function->attribute_proto[k]->name), name);
		if (!*name || twice)
			check_found(checker, scope, RULE_FUNCTION_FORMAL, name, "attribute '%s' has %s", name,
				    *name ? "two definitions" : "no name");
	}
}

static void check_function(struct checker *checker, size_t index)
{
	const Onnx__FunctionProto *function = checker->model->functions[index];
	char path[CHECK_MAX_PATH];
	struct check_scope scope;

	snprintf(path, sizeof(path), "function %.150s", check_text(function->name));
	check_scope_init(checker, &scope, NULL, path);
	scope.function = function;
	scope.num_opsets = function->n_opset_import;
	scope.opsets = function->opset_import;
	scope.num_nodes = function->n_node;
	scope.nodes = function->node;
	check_identity(checker, &scope, index);
	check_opsets(checker, &scope, function->n_opset_import, function->opset_import);
	check_formals(checker, &scope, "input", function->n_input, function->input);
	check_formals(checker, &scope, "output", function->n_output, function->output);
	check_attribute_names(checker, &scope, function);
	for (size_t i = 0; i < function->n_input; i++)
		if (*check_text(function->input[i]))
			check_define(&scope, function->input[i], -1);
	check_define_outputs(&scope);
	check_nodes(&scope);
	for (size_t i = 0; i < function->n_output; i++)
		if (*check_text(function->output[i]) && !check_lookup(&scope, function->output[i]))
			check_found(checker, &scope, RULE_OUTPUT_UNDEFINED, function->output[i],
				    "output '%s' is no value of the function", function->output[i]);
	check_scope_finish(&scope);
}

/* ---- recursion ---- */

enum color { UNSEEN, OPEN, DONE };

struct search {
	struct checker *checker;
	enum color *colors;
	int depth; /* of subgraphs */
};

static bool visit(struct search *search, const Onnx__FunctionProto *function);

static bool visit_nodes(struct search *search, size_t count, Onnx__NodeProto *const *nodes)
{
	bool good = true;

	if (++search->depth > CHECK_MAX_DEPTH * 2)
		count = 0; /* said elsewhere: subgraphs nest too deep */
	for (size_t n = 0; n < count && good; n++) {
		const Onnx__FunctionProto *function = scope_find_function(search->checker->model, nodes[n]);

		good = !function || visit(search, function);
		for (size_t i = 0; i < nodes[n]->n_attribute && good; i++) {
			const Onnx__AttributeProto *attribute = nodes[n]->attribute[i];

			if (attribute->g)
				good = visit_nodes(search, attribute->g->n_node, attribute->g->node);
			for (size_t k = 0; k < attribute->n_graphs && good; k++)
				good = visit_nodes(search, attribute->graphs[k]->n_node, attribute->graphs[k]->node);
		}
	}
	search->depth--;
	return good;
}

/* False: a cycle was found, and said. */
static bool visit(struct search *search, const Onnx__FunctionProto *function)
{
	size_t index = 0;
	enum color *color;
	int depth = search->depth;
	bool good;

	while (search->checker->model->functions[index] != function)
		index++;
	color = &search->colors[index];
	if (*color == OPEN) {
		char path[CHECK_MAX_PATH];
		struct check_scope scope;

		snprintf(path, sizeof(path), "function %.150s", check_text(function->name));
		check_scope_init(search->checker, &scope, NULL, path);
		check_found(search->checker, &scope, RULE_FUNCTION_RECURSION, check_text(function->name),
			    "function %s calls itself, or calls functions that do", check_text(function->name));
		return false;
	}
	if (*color == DONE)
		return true;
	*color = OPEN;
	search->depth = 0;
	good = visit_nodes(search, function->n_node, function->node);
	search->depth = depth;
	*color = DONE;
	return good;
}

static void check_recursion(struct checker *checker)
{
	struct search search = {
		.checker = checker,
		.colors = calloc(checker->model->n_functions + 1, sizeof(*search.colors)),
	};
	bool good = true;

	if (!search.colors)
		checker->err = -ENOMEM;
	for (size_t i = 0; search.colors && i < checker->model->n_functions && good; i++)
		good = visit(&search, checker->model->functions[i]);
	free(search.colors);
}

void check_functions(struct checker *checker)
{
	for (size_t i = 0; i < checker->model->n_functions && !checker->err; i++)
		check_function(checker, i);
	check_recursion(checker);
}

/* ---- calls ---- */

void check_call(struct check_scope *scope, const Onnx__NodeProto *node, const Onnx__FunctionProto *function)
{
	const char *name = check_text(function->name), *domain = check_domain(node->domain);

	if (!check_opset(scope, domain))
		check_found(scope->checker, scope, RULE_FUNCTION_DOMAIN, domain,
			    "function %s is of domain '%s', which is not imported", name, *domain ? domain : "ai.onnx");
	if (node->n_input > function->n_input)
		check_found(scope->checker, scope, RULE_FUNCTION_CALL, name, "%zu inputs, function %s has %zu inputs",
			    node->n_input, name, function->n_input);
	if (node->n_output > function->n_output)
		check_found(scope->checker, scope, RULE_FUNCTION_CALL, name, "%zu outputs, function %s has %zu outputs",
			    node->n_output, name, function->n_output);
	for (size_t i = 0; i < function->n_attribute; i++)
		if (!check_attribute_find(node, check_text(function->attribute[i])))
			check_found(scope->checker, scope, RULE_FUNCTION_ATTRIBUTE, check_text(function->attribute[i]),
				    "the call gives no attribute %s, and function %s has no default for it",
				    check_text(function->attribute[i]), name);
}
