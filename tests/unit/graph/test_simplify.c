/* SPDX-License-Identifier: MIT */
/* What does nothing goes; a Dropout that trains does something. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compiler/graph/passes.h"
#include "compiler/onnx/import.h"
#include "tests/unit/graph/model.h"

static const int64_t dims[] = {2, 3};

static void add_int(struct model *model, Onnx__NodeProto *node, const char *name, int64_t value)
{
	Onnx__AttributeProto *attr = model_attribute(model, node, name, ATTR_INT);

	attr->i = value;
	attr->has_i = 1;
}

/* Relu, Dropout, Relu: how many nodes are left? */
static void dropouts_go_unless_they_train(void **state)
{
	static const struct {
		int opset;
		int is_test;  /* attribute; -1: none */
		int training; /* constant input 2; -1: none, -2: an input of the graph */
		size_t nodes;
	} cases[] = {
		{6, 1, -1, 2},   {6, 0, -1, 3},  {6, -1, -1, 3}, {7, -1, -1, 2},
		{13, -1, -1, 2}, {13, -1, 0, 2}, {13, -1, 1, 3}, {13, -1, -2, 3},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const int64_t training = cases[i].training;
		char error[300] = "";
		struct graph *graph;
		struct model model;
		Onnx__NodeProto *node;
		uint8_t *bytes;
		size_t size;

		model_init(&model);
		model.proto.opset_import[0]->version = cases[i].opset;
		model_input(&model, "x", 1, 2, dims);
		model_node(&model, "Relu", NAMES("x"), NAMES("a"));
		if (training == -2) {
			model_input(&model, "training", 9, 0, NULL);
		} else if (training >= 0) {
			model_initializer(&model, model_ints(&model, "number", 0, NULL, 1, &training));
			add_int(&model, model_node(&model, "Cast", NAMES("number"), NAMES("training")), "to", 9);
		}
		node = model_node(&model, "Dropout", training == -1 ? NAMES("a") : NAMES("a", "", "training"),
				  NAMES("b"));
		if (cases[i].is_test >= 0)
			add_int(&model, node, "is_test", cases[i].is_test);
		model_node(&model, "Relu", NAMES("b"), NAMES("y"));
		model_output(&model, "y");
		bytes = model_pack(&model, &size);
		if (onnx_import_bytes(bytes, size, NULL, &graph, error, sizeof(error)) ||
		    graph_infer(graph, 0, error, sizeof(error)))
			fail_msg("case %zu: %s", i, error);
		assert_int_equal(graph_simplify(graph), 0);
		if (graph->num_nodes != cases[i].nodes)
			fail_msg("case %zu: %zu nodes, expected %zu", i, graph->num_nodes, cases[i].nodes);
		graph_destroy(graph);
		free(bytes);
		model_finish(&model);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dropouts_go_unless_they_train),
	};

	return cmocka_run_group_tests_name("simplify", tests, NULL, NULL);
}
