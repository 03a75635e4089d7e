/* SPDX-License-Identifier: MIT */
/* Memory plans of random programs: values that live at the same time have bytes of their own, Reshape's share theirs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/cpu/op.h"
#include "runtime/memory_plan.h"

#define NODES 60
#define VALUES (NODES + 3)
#define INPUTS 3

/* Strings of the packages: offsets of "Add", "Reshape" and "". */
static const char strings[] = "\0Add\0Reshape";
enum { NO_STRING = 0, ADD = 1, RESHAPE = 5 };

/* Value v is written by node v - INPUTS; the first ones are the model's inputs. */
struct program {
	struct axm axm;
	struct axm_value values[VALUES];
	struct axm_node nodes[NODES];
	struct axm_region regions[2];
	struct axm_attr attr;
	uint32_t ids[NODES * 4 + 64];
	uint32_t num_ids;
	uint32_t last[VALUES]; /* the last node that reads it or what lies on it */
	uint32_t root[VALUES]; /* what it lies on */
};

static uint64_t random_state;

static uint32_t random_below(uint32_t bound)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % bound;
}

static uint32_t add_id(struct program *p, uint32_t id)
{
	p->ids[p->num_ids] = id;
	return p->num_ids++;
}

static void add_node(struct program *p, uint32_t n)
{
	struct axm_node *node = &p->nodes[n];
	struct axm_value *out = &p->values[n + INPUTS];
	uint32_t source = random_below(n + INPUTS);

	*out = (struct axm_value){.dtype = DTYPE_F32, .rank = 1, .dims = {1 + random_below(5000)}};
	node->op_type = ADD;
	node->inputs_first = add_id(p, source);
	node->num_inputs = 2;
	if (random_below(4) == 0) {
		node->op_type = RESHAPE;
		out->dims[0] = p->values[source].dims[0];
		add_id(p, AXM_NO_ID);
	} else {
		add_id(p, random_below(n + INPUTS));
	}
	if (random_below(10) == 0)
		out->dims[0] = -1;
	if (random_below(10) == 0)
		out->flags = AXM_VALUE_OUTPUT;
	node->outputs_first = add_id(p, n + INPUTS);
	node->num_outputs = 1;
}

static void make_program(struct program *p)
{
	*p = (struct program){.regions = {{.num_nodes = NODES}}};
	for (uint32_t i = 0; i < INPUTS; i++)
		p->values[i] = (struct axm_value){.dtype = DTYPE_F32,
						  .rank = 1,
						  .dims = {100},
						  .flags = i ? AXM_VALUE_INPUT : AXM_VALUE_CONSTANT};
	for (uint32_t n = 0; n < NODES; n++)
		add_node(p, n);
	p->axm = (struct axm){.strings = strings,
			      .values = p->values,
			      .nodes = p->nodes,
			      .ids = p->ids,
			      .regions = p->regions,
			      .attrs = &p->attr,
			      .string_bytes = sizeof(strings),
			      .num_values = VALUES,
			      .num_nodes = NODES,
			      .num_ids = p->num_ids,
			      .num_regions = 1};
}

static bool lies_on(const struct program *p, const struct memory_plan *plan, uint32_t value, uint32_t source)
{
	const struct axm_node *node = &p->nodes[value - INPUTS];

	return node->op_type == RESHAPE && plan->offsets[source] != MEMORY_PLAN_NONE &&
	       p->values[source].dims[0] == p->values[value].dims[0];
}

static void find_roots_and_lives(struct program *p, const struct memory_plan *plan)
{
	for (uint32_t v = 0; v < VALUES; v++) {
		p->root[v] = v;
		p->last[v] = v < INPUTS ? 0 : v - INPUTS;
	}
	for (uint32_t n = 0; n < NODES; n++) {
		uint32_t out = n + INPUTS, source = p->ids[p->nodes[n].inputs_first];

		if (plan->offsets[out] != MEMORY_PLAN_NONE && lies_on(p, plan, out, source))
			p->root[out] = p->root[source];
		for (uint32_t i = 0; i < 2; i++) {
			uint32_t in = p->ids[p->nodes[n].inputs_first + i];

			if (in != AXM_NO_ID)
				p->last[p->root[in]] = n;
		}
		p->last[p->root[out]] = n;
	}
}

static uint64_t end_of(const struct program *p, const struct memory_plan *plan, uint32_t v)
{
	return plan->offsets[v] + memory_plan_value_bytes(&p->values[v]);
}

static void check_plan(struct program *p, const struct memory_plan *plan)
{
	uint64_t sum = 0;

	find_roots_and_lives(p, plan);
	for (uint32_t v = 0; v < VALUES; v++) {
		bool planned = v >= INPUTS && p->values[v].dims[0] > 0 && !p->values[v].flags;

		assert_int_equal(planned, plan->offsets[v] != MEMORY_PLAN_NONE);
		if (!planned)
			continue;
		assert_true(plan->offsets[v] % MEMORY_PLAN_ALIGNMENT == 0);
		assert_true(end_of(p, plan, v) <= plan->bytes);
		assert_int_equal(plan->offsets[v], plan->offsets[p->root[v]]);
		sum += p->root[v] == v ? memory_plan_value_bytes(&p->values[v]) : 0;
		for (uint32_t u = INPUTS; u < v; u++) {
			bool apart = plan->offsets[u] == MEMORY_PLAN_NONE || p->root[u] != u || p->root[v] != v ||
				     p->last[u] < v - INPUTS || end_of(p, plan, u) <= plan->offsets[v] ||
				     end_of(p, plan, v) <= plan->offsets[u];

			if (!apart)
				fail_msg("values %u and %u live at the same time in the same bytes", u, v);
		}
	}
	assert_true(plan->bytes <= sum);
}

static void values_that_live_together_are_apart(void **state)
{
	const char *seed = getenv("AXL_TEST_SEED");

	(void)state;
	random_state = seed ? strtoull(seed, NULL, 0) : 20261;
	print_message("AXL_TEST_SEED=%llu\n", (unsigned long long)random_state);
	for (int round = 0; round < 200; round++) {
		static struct program program;
		struct memory_plan plan;

		make_program(&program);
		assert_int_equal(memory_plan_make(&program.axm, &plan), 0);
		check_plan(&program, &plan);
		memory_plan_finish(&plan);
	}
}

/* A chain of equal values needs the memory of two. */
static void a_chain_takes_the_memory_of_two(void **state)
{
	static struct program p;
	struct memory_plan plan;

	(void)state;
	random_state = 1;
	make_program(&p);
	p.num_ids = 0;
	for (uint32_t n = 0; n < NODES; n++) {
		p.values[n + INPUTS] = (struct axm_value){.dtype = DTYPE_F32, .rank = 1, .dims = {1024}};
		p.nodes[n] = (struct axm_node){.op_type = ADD, .num_inputs = 1, .num_outputs = 1};
		p.nodes[n].inputs_first = add_id(&p, n + INPUTS - 1);
		p.nodes[n].outputs_first = add_id(&p, n + INPUTS);
	}
	assert_int_equal(memory_plan_make(&p.axm, &plan), 0);
	assert_int_equal(plan.bytes, 2 * 4096);
	memory_plan_finish(&plan);
}

/* What a device region reads stays until the region is done, and what it writes is not on top of it. */
static void a_device_region_is_one_step(void **state)
{
	static struct program p;
	struct memory_plan plan;

	(void)state;
	p = (struct program){0};
	random_state = 1;
	make_program(&p);
	p.num_ids = 0;
	for (uint32_t v = INPUTS; v < INPUTS + 3; v++)
		p.values[v] = (struct axm_value){.dtype = DTYPE_F32, .rank = 1, .dims = {1024}};
	p.nodes[0] = (struct axm_node){.op_type = ADD, .num_outputs = 1, .outputs_first = add_id(&p, INPUTS)};
	p.regions[0] = (struct axm_region){.num_nodes = 1};
	p.regions[1] = (struct axm_region){.device = 1, .first_node = 1, .num_nodes = 2};
	p.regions[1].num_inputs = 1;
	p.regions[1].inputs_first = add_id(&p, INPUTS);
	p.regions[1].num_outputs = 2;
	p.regions[1].outputs_first = add_id(&p, INPUTS + 1);
	add_id(&p, INPUTS + 2);
	p.axm.num_nodes = 3;
	p.axm.num_values = INPUTS + 3;
	p.axm.num_regions = 2;
	assert_int_equal(memory_plan_make(&p.axm, &plan), 0);
	assert_int_equal(plan.bytes, 3 * 4096);
	memory_plan_finish(&plan);
}

static void a_model_with_bodies_is_not_planned(void **state)
{
	static struct program p;
	struct memory_plan plan;

	(void)state;
	random_state = 7;
	make_program(&p);
	p.attr.type = ATTR_GRAPH;
	p.axm.num_attrs = 1;
	assert_int_equal(memory_plan_make(&p.axm, &plan), 0);
	assert_int_equal(plan.bytes, 0);
	for (uint32_t v = 0; v < VALUES; v++)
		assert_true(plan.offsets[v] == MEMORY_PLAN_NONE);
	memory_plan_finish(&plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_that_live_together_are_apart),
		cmocka_unit_test(a_chain_takes_the_memory_of_two),
		cmocka_unit_test(a_device_region_is_one_step),
		cmocka_unit_test(a_model_with_bodies_is_not_planned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
