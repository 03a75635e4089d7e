// SPDX-License-Identifier: MIT
/*
 * Random graphs of operators that the device has and has not: the placement costs what it may, its regions can be run one after the
 * other, each says why, and the answers are those of the CPU. And placements by hand, whose costs are known.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "compiler/compiler.h"
#include "compiler/package/axm.h"
#include "compiler/partition/choose.h"
#include "compiler/partition/cpu_cost.h"
#include "tests/unit/control/body.h"

#define MOST_NODES 30
#define ERROR_SIZE 512

/* ---- random graphs ---- */

/*
 * struct random_graph
 * @exact: every operator's result is defined to the bit
 * @names: of the values, the input first; @read: some node reads it
 * @outputs: values that nobody reads, in order
 */
struct random_graph {
	struct model model;
	uint32_t seed, random;
	bool exact;
	int64_t rows, columns;
	unsigned int nodes, count, num_outputs;
	char names[MOST_NODES + 1][8];
	bool read[MOST_NODES + 1];
	unsigned int outputs[MOST_NODES + 1];
};

static uint32_t below(struct random_graph *g, uint32_t bound)
{
	g->random = g->random * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)(g->random >> 8) * bound >> 24);
}

/* A value, one of the last ones more often. */
static const char *any_value(struct random_graph *g)
{
	unsigned int index = below(g, 3) ? g->count - 1 - below(g, g->count < 3 ? g->count : 3) : below(g, g->count);

	g->read[index] = true;
	return g->names[index];
}

/* Products with weights keep the size of what they multiply. */
static void add_product(struct random_graph *g, const char *y)
{
	size_t count = (size_t)(g->columns * g->columns);
	float *values = model_alloc(&g->model, count * sizeof(*values));
	char *name = model_alloc(&g->model, 8);

	snprintf(name, 8, "w%u", g->count);
	for (size_t i = 0; i < count; i++)
		values[i] = ((float)below(g, 2001) - 1000) / 1000 / sqrtf((float)g->columns);
	model_initializer(&g->model, model_floats(&g->model, name, 2, DIMS(g->columns, g->columns), count, values));
	model_node(&g->model, "MatMul", NAMES(any_value(g), name), NAMES(y));
}

static void add_node(struct random_graph *g)
{
	static const char *const exact_unary[] = {"Relu", "Abs", "Neg"}, *const exact_cpu[] = {"Trilu"};
	static const char *const unary[] = {"Sigmoid", "Tanh", "Softmax", "Relu"}, *const cpu[] = {"Atan", "Asinh",
												   "Trilu", "Sinh"};
	static const char *const binary[] = {"Add", "Sub", "Max", "Min"};
	const char *y = g->names[g->count], *a;

	snprintf(g->names[g->count], sizeof(g->names[0]), "v%u", g->count);
	switch (below(g, 8)) {
	case 0:
	case 1:
		model_node(&g->model, g->exact ? exact_unary[below(g, 3)] : unary[below(g, 4)], NAMES(any_value(g)),
			   NAMES(y));
		break;
	case 2:
	case 3:
	case 4:
		a = any_value(g);
		model_node(&g->model, binary[below(g, 4)], NAMES(a, any_value(g)), NAMES(y));
		break;
	case 5:
		model_node(&g->model, g->exact ? exact_cpu[0] : cpu[below(g, 3)], NAMES(any_value(g)), NAMES(y));
		break;
	default:
		if (g->exact)
			model_node(&g->model, "Max", NAMES(any_value(g), "x"), NAMES(y));
		else
			add_product(g, y);
	}
	g->read[0] = true;
	g->count++;
}

static void make_graph(struct random_graph *g, uint32_t seed)
{
	static const int64_t sizes[] = {1, 3, 8, 17, 32, 60, 128, 256};

	*g = (struct random_graph){.seed = seed, .random = seed * 2654435761u + 12345};
	model_init(&g->model);
	g->exact = below(g, 2);
	g->rows = sizes[below(g, 8)];
	g->columns = sizes[below(g, 8)];
	g->nodes = 3 + below(g, MOST_NODES - 2);
	model_input(&g->model, "x", FLOAT, 2, DIMS(g->rows, g->columns));
	snprintf(g->names[g->count++], sizeof(g->names[0]), "x");
	while (g->count <= g->nodes)
		add_node(g);
	for (unsigned int i = 1; i < g->count; i++)
		if (!g->read[i]) {
			model_output(&g->model, g->names[i]);
			g->outputs[g->num_outputs++] = i;
		}
}

/* ---- what every package must be ---- */

/* A node reads only what its region or an earlier one writes; regions are rows of nodes. */
static void check_regions(const struct axm *axm, uint32_t seed)
{
	uint32_t *written = calloc(axm->num_values + 1, sizeof(*written));
	uint32_t last = 0;

	assert_non_null(written);
	for (uint32_t n = 0; n < axm->num_region_nodes; n++) {
		const struct axm_node *node = &axm->nodes[n];

		if (node->region < last || node->region > last + 1 || !*axm_string(axm, node->reason))
			fail_msg("seed %u: node %u is of region %u behind %u: '%s'", seed, n, node->region, last,
				 axm_string(axm, node->reason));
		for (uint32_t i = 0; i < node->num_outputs; i++)
			if (axm->ids[node->outputs_first + i] != AXM_NO_ID)
				written[axm->ids[node->outputs_first + i]] = n + 1;
		last = node->region;
	}
	for (uint32_t n = 0; n < axm->num_region_nodes; n++)
		for (uint32_t i = 0; i < axm->nodes[n].num_inputs; i++) {
			uint32_t id = axm->ids[axm->nodes[n].inputs_first + i];

			if (id != AXM_NO_ID && written[id] && axm->nodes[written[id] - 1].region > axm->nodes[n].region)
				fail_msg("seed %u: node %u reads what a later region writes", seed, n);
		}
	free(written);
}

/* The model as a file; its name in @path. */
static void write_model(const struct model *model, char *path)
{
	size_t size;
	uint8_t *bytes = model_pack(model, &size);
	int file = mkstemps(path, 5);

	assert_true(file >= 0 && write(file, bytes, size) == (ssize_t)size);
	close(file);
	free(bytes);
}

static struct compile_result compile(const char *path, const char *disable, uint32_t seed)
{
	struct compile_options options = {.disable = disable};
	struct compile_result result;
	char error[ERROR_SIZE] = "";

	if (compile_file(path, &options, &result, error, sizeof(error)))
		fail_msg("seed %u: %s", seed, error);
	return result;
}

static void check_reasons(const struct axm *axm, uint32_t seed)
{
	for (uint32_t r = 0; r < axm->num_regions; r++) {
		const char *reason = axm_string(axm, axm->nodes[axm->regions[r].first_node].reason);

		if (axm->regions[r].device && (!strstr(reason, "us here") || !strstr(reason, "us on the CPU")))
			fail_msg("seed %u: region %u does not say what it costs: '%s'", seed, r, reason);
	}
}

/* How many regions of the device it has. */
static unsigned int check_package(const struct compile_result *result, uint32_t seed)
{
	unsigned int device = 0;
	char error[ERROR_SIZE];
	struct axm axm;

	if (axm_open_bytes(result->bytes, result->size, &axm, error, sizeof(error)))
		fail_msg("seed %u: %s", seed, error);
	check_regions(&axm, seed);
	check_reasons(&axm, seed);
	for (uint32_t r = 0; r < axm.num_regions; r++)
		device += axm.regions[r].device != 0;
	axm_close(&axm);
	return device;
}

/* ---- answers ---- */

static void run(const char *path, const char *device, const char *disable, struct random_graph *g, float **outputs)
{
	struct accel_session_options options = {.device = device, .threads = 1, .disable = disable};
	size_t count = (size_t)(g->rows * g->columns);
	struct accel_tensor input, out[MOST_NODES + 1] = {0};
	float *x = malloc(count * sizeof(*x));
	struct accel_session *session;
	char error[ERROR_SIZE] = "";

	assert_non_null(x);
	g->random = g->seed;
	for (size_t i = 0; i < count; i++)
		x[i] = ((float)below(g, 2001) - 1000) / 500;
	input = floats_of(x, 2, DIMS(g->rows, g->columns));
	for (unsigned int i = 0; i < g->num_outputs; i++) {
		out[i].data = outputs[i] = malloc(count * sizeof(float));
		out[i].size = count * sizeof(float);
		assert_non_null(out[i].data);
	}
	if (accel_session_create(path, &options, &session, error, sizeof(error)) ||
	    accel_session_run(session, &input, 1, out, g->num_outputs, error, sizeof(error)))
		fail_msg("seed %u on %s: %s", g->seed, device, error);
	accel_session_destroy(session);
	free(x);
}

/* To the bit, or as the conformance suite compares, with the output's largest value to go by. */
static void check_outputs(const struct random_graph *g, unsigned int index, const float *want, const float *got)
{
	size_t count = (size_t)(g->rows * g->columns);
	double largest = 0;

	for (size_t i = 0; i < count; i++)
		largest = fabs((double)want[i]) > largest ? fabs((double)want[i]) : largest;
	for (size_t i = 0; i < count; i++) {
		double most = g->exact ? 0 : 1e-3 * fabs((double)want[i]) + 1e-5 * largest + 1e-7;

		if (!(fabs((double)got[i] - (double)want[i]) <= most))
			fail_msg("seed %u: %s[%zu] is %.9g, on the CPU %.9g", g->seed, g->names[g->outputs[index]], i,
				 (double)got[i], (double)want[i]);
	}
}

static void check_answers(struct random_graph *g, const char *path, const char *disable)
{
	float *want[MOST_NODES + 1], *got[MOST_NODES + 1];

	run(path, "cpu", NULL, g, want);
	run(path, "sim:threads=1", disable, g, got);
	for (unsigned int i = 0; i < g->num_outputs; i++) {
		check_outputs(g, i, want[i], got[i]);
		free(want[i]);
		free(got[i]);
	}
}

static unsigned int number(const char *name, unsigned int otherwise)
{
	return getenv(name) ? (unsigned int)strtoul(getenv(name), NULL, 10) : otherwise;
}

static void random_graphs_are_placed_well_and_give_the_answers_of_the_cpu(void **state)
{
	unsigned int first = number("AXL_TEST_SEED", 1), rounds = number("AXL_TEST_ROUNDS", 500);
	unsigned int mixed = 0, cpu = 0, device = 0, better = 0;
	struct random_graph *g = malloc(sizeof(*g));

	(void)state;
	assert_non_null(g);
	for (uint32_t seed = first; seed < first + rounds; seed++) {
		struct compile_result chosen, all;
		char path[] = "/tmp/axl_partition_XXXXXX.onnx";
		unsigned int regions;

		make_graph(g, seed);
		write_model(&g->model, path);
		chosen = compile(path, NULL, seed);
		all = compile(path, "placement", seed);
		if (chosen.ns > chosen.ns_device || chosen.ns > chosen.ns_cpu + PARTITION_ERROR_NS(chosen.ns_cpu))
			fail_msg("seed %u: %llu ns, all on the CPU %llu, all on the device %llu", seed,
				 (unsigned long long)chosen.ns, (unsigned long long)chosen.ns_cpu,
				 (unsigned long long)chosen.ns_device);
		/* By the cycles that the code of either takes. */
		if (chosen.ns > all.ns + all.ns / 20)
			fail_msg("seed %u: %llu ns, all that the device can do there %llu", seed,
				 (unsigned long long)chosen.ns, (unsigned long long)all.ns);
		regions = check_package(&chosen, seed);
		check_package(&all, seed);
		cpu += !regions;
		device += regions && !chosen.cpu_nodes;
		mixed += regions && chosen.cpu_nodes;
		better += chosen.ns < chosen.ns_device && chosen.ns < chosen.ns_cpu;
		check_answers(g, path, NULL);
		if (seed % 4 == 0)
			check_answers(g, path, "placement");
		compile_result_finish(&chosen);
		compile_result_finish(&all);
		remove(path);
		model_finish(&g->model);
	}
	free(g);
	print_message("%u graphs all on the CPU, %u on the device, %u on both; %u cheaper than either\n", cpu, device,
		      mixed, better);
	if (rounds >= 500)
		assert_true(cpu && device && mixed && better);
}

/* ---- by hand ---- */

/* x -> a -> b -> c, all of 250 x 4 floats; and b -> d. */
struct chain {
	struct graph *graph;
	struct graph_node *nodes[4];
	struct placement placement;
};

static const struct target plain_target = {.tiles = 1, .clock_khz = 1000000, .host_rate = 10, .host_latency = 100};

static void make_chain(struct chain *chain)
{
	struct graph_value *values[5];

	assert_int_equal(graph_create("chain", &chain->graph), 0);
	for (int i = 0; i < 5; i++)
		values[i] = graph_add_value(chain->graph, NULL, DTYPE_F32, 2, DIMS(250, 4));
	for (int i = 0; i < 4; i++)
		chain->nodes[i] = graph_add_node(chain->graph, NULL, "", i == 3 ? "Neg" : "Relu", 13, NULL, 1,
						 &values[i == 3 ? 2 : i], 1, &values[i + 1]);
	values[0]->is_input = values[3]->is_output = values[4]->is_output = true;
	chain->graph->inputs = &chain->nodes[0]->inputs[0];
	chain->graph->num_inputs = 1;
	assert_int_equal(placement_init(&chain->placement, chain->graph, &plain_target), 0);
	for (int i = 0; i < 4; i++) {
		chain->placement.able[i] = true;
		chain->placement.cpu_ns[i] = 1000;
		chain->placement.device_ns[i] = 10;
	}
}

static void drop_chain(struct chain *chain)
{
	placement_finish(&chain->placement);
	chain->graph->inputs = NULL;
	chain->graph->num_inputs = 0;
	graph_destroy(chain->graph);
}

static void copies_and_calls_are_counted_once_a_region(void **state)
{
	struct partition_cost cost;
	struct chain chain;

	(void)state;
	make_chain(&chain);
	placement_update(&chain.placement);
	placement_cost(&chain.placement, -1, &cost);
	assert_true(cost.cpu_ns == 4000 && !cost.calls && !cost.copy_ns && !cost.device_ns);

	/* b alone: its input comes, and its result, which two nodes read, goes back once: 4000 bytes at 10 a cycle. */
	chain.placement.device[1] = true;
	placement_update(&chain.placement);
	placement_cost(&chain.placement, -1, &cost);
	assert_true(cost.cpu_ns == 3000 && cost.calls == 1 && cost.device_ns == 10);
	assert_int_equal(cost.copy_ns, 2 * (100 + 400));
	assert_int_equal(cost.launch_ns, PARTITION_LAUNCH_NS);

	/* a and d there, b not: two calls; x, a, b and d are copied. */
	memcpy(chain.placement.device, (bool[]){true, false, false, true}, 4);
	placement_update(&chain.placement);
	placement_cost(&chain.placement, -1, &cost);
	assert_true(cost.calls == 2 && cost.copy_ns == 4 * 500 && chain.placement.levels == 3);
	placement_cost(&chain.placement, 2, &cost);
	assert_true(cost.calls == 1 && cost.copy_ns == 2 * 500 && cost.device_ns == 10 && !cost.cpu_ns);

	/* All there: what the region itself reads is not copied. */
	memcpy(chain.placement.device, (bool[]){true, true, true, true}, 4);
	placement_update(&chain.placement);
	placement_cost(&chain.placement, -1, &cost);
	assert_true(cost.calls == 1 && cost.copy_ns == 3 * 500 && cost.device_ns == 40);
	drop_chain(&chain);
}

static void a_region_moves_when_its_neighbours_do_not_pay_for_it(void **state)
{
	struct choice choices[6] = {0};
	struct chain chain;

	(void)state;
	make_chain(&chain);
	/* b can not be there; c and d save less than a call, a saves more. */
	chain.placement.able[1] = false;
	chain.placement.cpu_ns[0] = 100 * PARTITION_LAUNCH_NS;
	memcpy(chain.placement.device, (bool[]){true, false, true, true}, 4);
	assert_int_equal(choose_placement(&chain.placement, choices), 0);
	assert_true(chain.placement.device[0] && !chain.placement.device[2] && !chain.placement.device[3]);
	assert_int_equal(choices[2].nodes, 2);
	assert_int_equal(choices[2].cpu_ns, 2000);
	assert_int_equal(choices[2].device_ns, PARTITION_LAUNCH_NS + 3 * 500 + 20);

	/* What pays stays, and what was left on the CPU goes where it pays. */
	chain.placement.cpu_ns[2] = chain.placement.cpu_ns[3] = 10 * PARTITION_LAUNCH_NS;
	assert_int_equal(choose_placement(&chain.placement, choices), 0);
	assert_true(chain.placement.device[0] && chain.placement.device[2] && chain.placement.device[3]);
	drop_chain(&chain);
}

static void work_is_counted_by_class(void **state)
{
	struct graph_value *x, *w, *y;
	struct graph_node *node;
	struct graph *graph;
	uint64_t one, two;

	(void)state;
	assert_int_equal(graph_create("work", &graph), 0);
	x = graph_add_value(graph, "x", DTYPE_F32, 4, DIMS(1, 32, 10, 10));
	w = graph_add_value(graph, "w", DTYPE_F32, 4, DIMS(32, 1, 3, 3));
	y = graph_add_value(graph, "y", DTYPE_F32, 4, DIMS(1, 32, 8, 8));
	node = graph_add_node(graph, NULL, "", "Conv", 11, "conv", 2, (struct graph_value *[]){x, w}, 1, &y);
	assert_int_equal(graph_node_set_int(graph, node, "group", 32), 0);
	assert_int_equal(cpu_class_of(node), CPU_DEPTHWISE);
	assert_int_equal(cpu_work_of(node), 32 * 8 * 8 * 9);
	one = cpu_cost_ns(node, 1);
	two = cpu_cost_ns(node, 2);
	assert_true(two < one && 2 * two >= one);
	assert_true(cpu_cost_ns(node, 4) < two);
	assert_int_equal(graph_node_set_int(graph, node, "group", 4), 0);
	assert_int_equal(cpu_class_of(node), CPU_CONV);
	node->op_type = "Add";
	assert_int_equal(cpu_work_of(node), 4 * (3200 + 288 + 2048));
	node->op_type = "Sigmoid";
	assert_int_equal(cpu_work_of(node), 2048);
	node->op_type = "NoSuchOperator";
	assert_int_equal(cpu_class_of(node), CPU_OTHER);
	y->dims[0] = GRAPH_DIM_UNKNOWN;
	node->op_type = "Sigmoid";
	assert_int_equal(cpu_work_of(node), 0);
	graph_destroy(graph);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_and_calls_are_counted_once_a_region),
		cmocka_unit_test(a_region_moves_when_its_neighbours_do_not_pay_for_it),
		cmocka_unit_test(work_is_counted_by_class),
		cmocka_unit_test(random_graphs_are_placed_well_and_give_the_answers_of_the_cpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
