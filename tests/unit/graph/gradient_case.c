// SPDX-License-Identifier: MIT
/* See gradient_case.h. */
#include "tests/unit/graph/gradient_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/graph/execute.h"
#include "compiler/onnx/import.h"

#define STEP 1e-5
#define MAX_ELEMENTS 200

/* ---- models ---- */

static void set_string(struct model *model, Onnx__AttributeProto *attr, const char *text)
{
	attr->s.data = model_alloc(model, strlen(text));
	memcpy(attr->s.data, text, strlen(text));
	attr->s.len = strlen(text);
	attr->has_s = 1;
}

Onnx__NodeProto *add_gradient(struct model *model, const char *const *names, const char *const *outputs, const char *y)
{
	Onnx__NodeProto *node = model_node(model, "Gradient", names, outputs);
	Onnx__AttributeProto *xs = model_attribute(model, node, "xs", ATTR_STRINGS);

	node->domain = (char *)(uintptr_t) "ai.onnx.preview.training";
	for (size_t i = 0; names[i]; i++) {
		ProtobufCBinaryData name = {strlen(names[i]), model_alloc(model, strlen(names[i]))};

		memcpy(name.data, names[i], name.len);
		MODEL_APPEND(model, xs->strings, xs->n_strings, name);
	}
	set_string(model, model_attribute(model, node, "y", ATTR_STRING), y);
	return node;
}

int import(const struct model *model, struct graph **graph, char *error, size_t size)
{
	size_t bytes_size;
	uint8_t *bytes = model_pack(model, &bytes_size);
	int err = onnx_import_bytes(bytes, bytes_size, NULL, graph, error, size);

	free(bytes);
	return err;
}

/* ---- running ---- */

void start(struct run *run, const struct model *model)
{
	char error[500] = "";

	if (import(model, &run->graph, error, sizeof(error)))
		fail_msg("refused: %s", error);
	if (graph_validate(run->graph, error, sizeof(error)))
		fail_msg("imported, and not valid: %s", error);
	run->values = calloc(run->graph->num_values + 1, sizeof(*run->values));
	for (size_t i = 0; i < run->graph->num_values; i++)
		if (run->graph->values[i]->constant)
			assert_int_equal(tensor_copy(&run->values[i], run->graph->values[i]->constant), 0);
	for (size_t i = 0; i < run->graph->num_inputs; i++) {
		const struct graph_value *in = run->graph->inputs[i];

		assert_int_equal(tensor_init(&run->values[in->id], in->dtype, in->rank, in->dims), 0);
	}
}

struct tensor *value_of(struct run *run, const char *name)
{
	return &run->values[graph_find_value(run->graph, name)->id];
}

void execute(struct run *run)
{
	char error[500] = "";

	for (size_t n = 0; n < run->graph->num_nodes; n++)
		if (graph_run_node(run->graph->nodes[n], run->values, NULL, error, sizeof(error)))
			fail_msg("node %s: %s", run->graph->nodes[n]->op_type, error);
}

void finish(struct run *run)
{
	for (size_t i = 0; i < run->graph->num_values; i++)
		tensor_finish(&run->values[i]);
	free(run->values);
	graph_destroy(run->graph);
}

static double sum_of(const struct tensor *t)
{
	double sum = 0;

	for (int64_t i = 0; i < tensor_count(t); i++)
		sum += tensor_get_f64(t, i);
	return sum;
}

void check_derivative(struct run *run, const char *op, const char *x, const char *dx)
{
	double got[MAX_ELEMENTS], *elements = value_of(run, x)->data;
	int64_t count = tensor_count(value_of(run, x));

	execute(run);
	assert_true(tensor_same_shape(value_of(run, dx), value_of(run, x)));
	assert_int_equal(value_of(run, dx)->dtype, DTYPE_F64);
	assert_true(count <= MAX_ELEMENTS);
	memcpy(got, value_of(run, dx)->data, (size_t)count * sizeof(double));
	for (int64_t i = 0; i < count; i++) {
		double before = elements[i], above, below, want;

		elements[i] = before + STEP;
		execute(run);
		above = sum_of(value_of(run, "target"));
		elements[i] = before - STEP;
		execute(run);
		below = sum_of(value_of(run, "target"));
		elements[i] = before;
		want = (above - below) / (2 * STEP);
		if (!(fabs(got[i] - want) <= 1e-6 * (1 + fabs(want))))
			fail_msg("%s: d/d%s[%lld] is %g, differences say %g", op, x, (long long)i, got[i], want);
	}
}
