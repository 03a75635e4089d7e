/* SPDX-License-Identifier: MIT */
/* The .axm loader against packages with bodies, strings and symbolic dimensions that have one thing wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compiler/compiler.h"
#include "compiler/package/axm.h"
#include "compiler/package/checksum.h"
#include "runtime/cpu/op.h"
#include "tests/unit/control/body.h"

static struct compile_result package;

/* A Loop with an If in it whose branches read values of both graphs around; an input with a symbolic dimension; strings. */
static int setup(void **state)
{
	struct compile_options options = {.target = "cpu"};
	Onnx__GraphProto *body, *branch;
	Onnx__NodeProto *node;
	Onnx__AttributeProto *words;
	struct model model;
	char error[512] = "";

	(void)state;
	model_init(&model);
	model_input(&model, "trips", INT64, 0, NULL);
	model_input(&model, "x", FLOAT, 1, DIMS(1));
	body_symbol(&model, 1, 0, "N");
	model_node(&model, "Relu", NAMES("x"), NAMES("r"));
	body = body_of(&model, model_node(&model, "Loop", NAMES("trips", "", "x"), NAMES("y")), "body");
	body_input(&model, body, "i", INT64, 0, NULL);
	body_input(&model, body, "c", BOOL, 0, NULL);
	body_input(&model, body, "v", FLOAT, -1, NULL);
	body_node(&model, body, "Add", NAMES("v", "r"), NAMES("sum"));
	node = body_node(&model, body, "If", NAMES("c"), NAMES("next"));
	branch = body_of(&model, node, "then_branch");
	body_node(&model, branch, "Add", NAMES("sum", "r"), NAMES("more"));
	body_output(&model, branch, "more", FLOAT);
	branch = body_of(&model, node, "else_branch");
	body_output(&model, branch, "sum", FLOAT);
	body_output(&model, body, "c", BOOL);
	body_output(&model, body, "next", FLOAT);
	node = model_node(&model, "Constant", NAMES(NULL), NAMES("text"));
	words = model_attribute(&model, node, "value_strings", 8);
	words->n_strings = 2;
	words->strings = model_alloc(&model, 2 * sizeof(*words->strings));
	words->strings[0] = (ProtobufCBinaryData){5, (uint8_t *)(uintptr_t) "first"};
	words->strings[1] = (ProtobufCBinaryData){0, NULL};
	model_output(&model, "y");
	model_output(&model, "text");
	if (compile_file(body_file(&model), &options, &package, error, sizeof(error)))
		fail_msg("%s", error);
	model_finish(&model);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	compile_result_finish(&package);
	return 0;
}

/* A copy whose sections may be written, through @axm; to be freed. */
static uint8_t *open_copy(struct axm *axm)
{
	uint8_t *copy = aligned_alloc(64, package.size);
	char error[256];

	assert_non_null(copy);
	memcpy(copy, package.bytes, package.size);
	if (axm_open_bytes(copy, package.size, axm, error, sizeof(error)))
		fail_msg("%s", error);
	return copy;
}

/* Is the changed @copy refused with @reason? Frees it. */
static void refused(uint8_t *copy, const char *reason)
{
	struct axm_header *header = (void *)copy;
	struct axm axm;
	char error[256] = "";

	header->checksum = checksum_file(copy, package.size, offsetof(struct axm_header, checksum));
	assert_true(axm_open_bytes(copy, package.size, &axm, error, sizeof(error)) < 0);
	if (!strstr(error, reason))
		fail_msg("refused for another reason: %s", error);
	free(copy);
}

#define WRITABLE(type, pointer) ((type *)(uintptr_t)(pointer))

static void what_was_compiled_opens(void **state)
{
	struct axm axm;
	uint8_t *copy = open_copy(&axm);

	(void)state;
	assert_int_equal(axm.num_graphs, 3);
	assert_int_equal(axm.num_dims, 1);
	assert_string_equal(axm_string(&axm, axm.dims[0].symbol), "N");
	assert_true(axm.num_region_nodes < axm.num_nodes);
	free(copy);
}

static uint32_t graph_attr(const struct axm *axm, uint32_t graph)
{
	for (uint32_t a = 0; a < axm->num_attrs; a++)
		if (axm->attrs[a].type == ATTR_GRAPH && axm->attrs[a].i == graph)
			return a;
	fail_msg("graph %u has no attribute", graph);
	return 0;
}

static void bodies_are_named_once(void **state)
{
	struct axm axm;
	uint8_t *copy = open_copy(&axm);

	(void)state;
	WRITABLE(struct axm_attr, axm.attrs)[graph_attr(&axm, 2)].i = 1;
	refused(copy, "used twice");
	copy = open_copy(&axm);
	WRITABLE(struct axm_attr, axm.attrs)[graph_attr(&axm, 1)].i = 0; /* the body would hold itself */
	refused(copy, "node of its own");
	copy = open_copy(&axm);
	WRITABLE(struct axm_attr, axm.attrs)[graph_attr(&axm, 0)].i = 3;
	refused(copy, "no graph");
	copy = open_copy(&axm);
	WRITABLE(struct axm_attr, axm.attrs)[graph_attr(&axm, 2)].type = ATTR_INT;
	refused(copy, "belongs to no node");
}

static void bodies_lie_behind_each_other(void **state)
{
	struct axm axm;
	uint8_t *copy = open_copy(&axm);

	(void)state;
	WRITABLE(struct axm_graph, axm.graphs)[1].first_node++;
	refused(copy, "graph 1");
	copy = open_copy(&axm);
	WRITABLE(struct axm_graph, axm.graphs)[2].num_nodes = 0xffffffff;
	refused(copy, "graph 2");
	copy = open_copy(&axm);
	WRITABLE(struct axm_graph, axm.graphs)[2].num_nodes--;
	refused(copy, "regions and bodies hold");
	copy = open_copy(&axm);
	WRITABLE(struct axm_graph, axm.graphs)[0].name = 0xfffffff0;
	refused(copy, "graph 0");
	copy = open_copy(&axm);
	WRITABLE(struct axm_graph, axm.graphs)[0].outputs_first = axm.num_ids;
	refused(copy, "graph 0");
}

/* A runner exchanges the memory of outputs: one that somebody else owns would change hands. */
static void bodies_give_what_their_nodes_write(void **state)
{
	struct axm axm;
	uint8_t *copy = open_copy(&axm);
	const struct axm_graph *graph = &axm.graphs[0];

	(void)state;
	WRITABLE(uint32_t, axm.ids)[graph->outputs_first] = axm.ids[graph->inputs_first]; /* its input */
	refused(copy, "not written by a node of its own");
	copy = open_copy(&axm);
	WRITABLE(uint32_t, axm.ids)
	[axm.graphs[0].outputs_first] = axm.ids[axm.model->inputs_first]; /* an outer value */
	refused(copy, "not written by a node of its own");
	copy = open_copy(&axm);
	WRITABLE(uint32_t, axm.ids)
	[axm.graphs[0].outputs_first] = axm.ids[axm.graphs[0].outputs_first + 1]; /* one twice */
	refused(copy, "not written by a node of its own");
}

static void what_a_body_defines_stays_in_it(void **state)
{
	struct axm axm;
	uint8_t *copy = open_copy(&axm);
	uint32_t inner = axm.ids[axm.graphs[0].outputs_first + 1];

	(void)state;
	WRITABLE(uint32_t, axm.ids)[axm.model->outputs_first] = inner;
	refused(copy, "never written");
	copy = open_copy(&axm);
	WRITABLE(uint32_t, axm.ids)[axm.graphs[0].inputs_first] = axm.ids[axm.model->inputs_first];
	refused(copy, "defined elsewhere");
}

static void symbols_are_of_inputs(void **state)
{
	struct axm axm;
	uint8_t *copy = open_copy(&axm);

	(void)state;
	WRITABLE(struct axm_dim, axm.dims)[0].value = axm.ids[axm.model->outputs_first];
	refused(copy, "symbolic dimension 0");
	copy = open_copy(&axm);
	WRITABLE(struct axm_dim, axm.dims)[0].dimension = 1;
	refused(copy, "symbolic dimension 0");
	copy = open_copy(&axm);
	WRITABLE(struct axm_dim, axm.dims)[0].size = -1;
	refused(copy, "symbolic dimension 0");
}

static void strings_stay_in_their_bytes(void **state)
{
	struct axm axm;
	uint8_t *copy = open_copy(&axm);
	uint32_t a = 0;
	uint64_t *ends;

	(void)state;
	while (a < axm.num_attrs && axm.attrs[a].type != ATTR_STRINGS)
		a++;
	if (a == axm.num_attrs) {
		uint32_t v = 0;

		/* Folded: a constant. */
		while (v < axm.num_values && axm.values[v].dtype != DTYPE_STRING)
			v++;
		assert_true(v < axm.num_values);
		ends = (void *)(uintptr_t)(axm.data + axm.values[v].data);
	} else {
		ends = (void *)(uintptr_t)(axm.data + axm.attrs[a].data);
	}
	assert_int_equal(ends[1], 5);
	ends[1] = 1ull << 40;
	refused(copy, a == axm.num_attrs ? "constant" : "strings");
	copy = open_copy(&axm);
	if (a < axm.num_attrs) {
		WRITABLE(struct axm_attr, axm.attrs)[a].count = 1u << 23;
		refused(copy, "strings");
	} else {
		free(copy);
	}
}

/* Any damage under a right checksum: no crash, and a reason whenever it is refused. */
static void damage_is_survived(void **state)
{
	uint8_t *copy = aligned_alloc(64, package.size);
	uint64_t seed = 4711;
	unsigned int refusals = 0;

	(void)state;
	for (int n = 0; n < 4000; n++) {
		struct axm_header *header = (void *)copy;
		struct axm axm;
		char error[256] = "";

		memcpy(copy, package.bytes, package.size);
		for (int k = 0; k < 1 + n % 4; k++) {
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			copy[64 + (seed >> 24) % (package.size - 64)] = (uint8_t)(seed >> 17);
		}
		header->checksum = checksum_file(copy, package.size, offsetof(struct axm_header, checksum));
		if (axm_open_bytes(copy, package.size, &axm, error, sizeof(error))) {
			assert_true(error[0] != '\0');
			refusals++;
		}
	}
	print_message("%u of 4000 damaged packages refused, seed 4711\n", refusals);
	assert_true(refusals > 400);
	free(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_compiled_opens),         cmocka_unit_test(bodies_are_named_once),
		cmocka_unit_test(bodies_lie_behind_each_other),    cmocka_unit_test(bodies_give_what_their_nodes_write),
		cmocka_unit_test(what_a_body_defines_stays_in_it), cmocka_unit_test(symbols_are_of_inputs),
		cmocka_unit_test(strings_stay_in_their_bytes),     cmocka_unit_test(damage_is_survived),
	};

	return cmocka_run_group_tests_name("packages with bodies", tests, setup, teardown);
}
