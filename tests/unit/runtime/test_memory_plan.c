/* SPDX-License-Identifier: MIT */
/*
 * Memory plans of random programs: values that live at the same time have bytes of their own, Reshape's share theirs, and what
 * Concat joins lies in its output.
 */
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

/* Strings of the packages, and their offsets. */
static const char strings[] = "\0Add\0Reshape\0Concat\0axis";
enum { NO_STRING = 0, ADD = 1, RESHAPE = 5, CONCAT = 13, AXIS = 20 };

/* Value v is written by node v - INPUTS; the first ones are the model's inputs. */
struct program {
	struct axm axm;
	struct axm_value values[VALUES];
	struct axm_node nodes[NODES];
	struct axm_region regions[2];
	struct axm_attr attr;
	uint32_t ids[NODES * 4 + 64];
	uint32_t num_ids;
	uint32_t first[VALUES],
		last[VALUES];    /* the first node that writes it or what lies on it, the last that reads that */
	uint32_t root[VALUES];   /* what it lies on */
	uint64_t within[VALUES]; /* where it begins there, in bytes */
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

/* Elements of both inputs, -1 when one is open. */
static int64_t joined_size(const struct program *p, const struct axm_node *node)
{
	const struct axm_value *a = &p->values[p->ids[node->inputs_first]],
			       *b = &p->values[p->ids[node->inputs_first + 1]];

	return a->dims[0] < 0 || b->dims[0] < 0 ? -1 : a->dims[0] + b->dims[0];
}

static void add_node(struct program *p, uint32_t n)
{
	struct axm_node *node = &p->nodes[n];
	struct axm_value *out = &p->values[n + INPUTS];
	uint32_t source = random_below(n + INPUTS);

	*out = (struct axm_value){.dtype = DTYPE_F32, .rank = 1, .dims = {16 + 16 * random_below(300)}};
	out->dims[0] -= random_below(4) ? 0 : random_below(16); /* the last of a line of 64 bytes may be part of one */
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
	if (node->op_type == ADD && random_below(3) == 0 && joined_size(p, node) > 0) {
		node->op_type = CONCAT;
		node->num_attrs = 1;
		out->dims[0] = joined_size(p, node);
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
	*p = (struct program){.regions = {{.num_nodes = NODES}}, .attr = {.name = AXIS, .type = ATTR_INT, .i = 0}};
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

/* @part is put into @whole, @at bytes behind its start, unless it is in another or does not fill whole lines there. */
static bool joins(const struct program *p, const struct memory_plan *plan, uint32_t part, uint32_t whole, uint64_t at)
{
	return plan->offsets[part] != MEMORY_PLAN_NONE && plan->offsets[whole] != MEMORY_PLAN_NONE &&
	       p->root[part] == part && at % 64 == 0 && p->values[part].dims[0] % 16 == 0;
}

static void find_wholes(struct program *p, const struct memory_plan *plan)
{
	for (uint32_t n = 0; n < NODES; n++) {
		uint64_t at = 0;

		for (uint32_t i = 0; i < 2 && p->nodes[n].op_type == CONCAT; i++) {
			uint32_t in = p->ids[p->nodes[n].inputs_first + i];

			if (joins(p, plan, in, n + INPUTS, at)) {
				p->root[in] = n + INPUTS;
				p->within[in] = at;
			}
			at += (uint64_t)p->values[in].dims[0] * sizeof(float);
		}
	}
}

static void live(struct program *p, uint32_t value, uint32_t n)
{
	uint32_t root = p->root[value];

	p->first[root] = n < p->first[root] ? n : p->first[root];
	p->last[root] = n > p->last[root] ? n : p->last[root];
}

static void find_roots_and_lives(struct program *p, const struct memory_plan *plan)
{
	for (uint32_t v = 0; v < VALUES; v++) {
		p->root[v] = v;
		p->first[v] = v < INPUTS ? 0 : v - INPUTS;
		p->last[v] = p->first[v];
	}
	find_wholes(p, plan);
	/* A whole is written after its parts: from the last to the first, the root of what a value lies on is known. */
	for (uint32_t v = VALUES; v-- > INPUTS;)
		if (p->root[v] != v) {
			p->within[v] += p->within[p->root[v]];
			p->root[v] = p->root[p->root[v]];
		}
	for (uint32_t v = INPUTS; v < VALUES; v++) {
		uint32_t source = p->ids[p->nodes[v - INPUTS].inputs_first];

		if (p->root[v] == v && plan->offsets[v] != MEMORY_PLAN_NONE && lies_on(p, plan, v, source)) {
			p->root[v] = p->root[source];
			p->within[v] = p->within[source];
		}
	}
	for (uint32_t n = 0; n < NODES; n++) {
		for (uint32_t i = 0; i < 2; i++)
			if (p->ids[p->nodes[n].inputs_first + i] != AXM_NO_ID)
				live(p, p->ids[p->nodes[n].inputs_first + i], n);
		live(p, n + INPUTS, n);
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
		assert_int_equal(plan->offsets[v], plan->offsets[p->root[v]] + p->within[v]);
		sum += p->root[v] == v ? memory_plan_value_bytes(&p->values[v]) : 0;
		for (uint32_t u = INPUTS; u < v && p->root[v] == v; u++) {
			bool apart = plan->offsets[u] == MEMORY_PLAN_NONE || p->root[u] != u ||
				     p->last[u] < p->first[v] || p->last[v] < p->first[u] ||
				     end_of(p, plan, u) <= plan->offsets[v] || end_of(p, plan, v) <= plan->offsets[u];

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

/* What a chain of Concat collects is in its place from the start: the memory of the last one is all there is. */
static void what_is_joined_lies_in_the_whole(void **state)
{
	static struct program p;
	struct memory_plan plan;

	(void)state;
	random_state = 1;
	make_program(&p);
	p.num_ids = 0;
	for (uint32_t n = 0; n < NODES; n++) {
		bool joins_two = n % 2 == 0 && n;

		p.values[n + INPUTS] = (struct axm_value){
			.dtype = DTYPE_F32, .rank = 2, .dims = {1, joins_two ? 1024 * (n / 2 + 1) : 1024}};
		p.nodes[n] = (struct axm_node){.op_type = joins_two ? CONCAT : ADD, .num_outputs = 1};
		p.nodes[n].num_inputs = joins_two ? 2 : 0; /* the default axis, 1 */
		p.nodes[n].inputs_first = add_id(&p, n + INPUTS - 2);
		add_id(&p, n + INPUTS - 1);
		p.nodes[n].outputs_first = add_id(&p, n + INPUTS);
	}
	assert_int_equal(memory_plan_make(&p.axm, &plan), 0);
	/* The last node adds a value that nobody joins. */
	assert_int_equal(plan.bytes, (NODES / 2) * 4096);
	for (uint32_t n = 1; n + 1 < NODES; n += 2)
		assert_int_equal(plan.offsets[n + INPUTS], plan.offsets[INPUTS] + (n / 2 + 1) * 4096);
	/* Where a batch is larger than 1 the parts are not whole pieces. */
	for (uint32_t n = 0; n < NODES; n++)
		p.values[n + INPUTS].dims[0] = 2;
	memory_plan_finish(&plan);
	assert_int_equal(memory_plan_make(&p.axm, &plan), 0);
	assert_true(plan.bytes > (NODES / 2) * 8192);
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
		cmocka_unit_test(what_is_joined_lies_in_the_whole),
		cmocka_unit_test(a_device_region_is_one_step),
		cmocka_unit_test(a_model_with_bodies_is_not_planned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
