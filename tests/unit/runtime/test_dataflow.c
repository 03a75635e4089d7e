/* SPDX-License-Identifier: MIT */
/*
 * Regions run when their inputs are there: on random networks of what the device does and what only the CPU does, the answers are those
 * of the CPU alone; what does not wait for each other is under way at the same time; and the orders say so.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/region_order.h"
#include "runtime/session.h"
#include "tests/unit/control/body.h"
#include "tests/unit/runtime/trace_file.h"

#define ROWS 196
#define COLUMNS 128
#define ELEMENTS (ROWS * COLUMNS)
#define NODES 24

static unsigned int random_state;

static unsigned int random_below(unsigned int bound)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (random_state >> 8) % bound;
}

/* ---- networks ---- */

/* Nodes in the order of their names; each reads one or two of those before. All values are small integers: exact everywhere. */
static void make_network(struct model *model, unsigned int seed)
{
	static char names[NODES + 1][16];

	random_state = seed;
	model_init(model);
	snprintf(names[0], sizeof(names[0]), "x");
	model_input(model, "x", FLOAT, 2, DIMS(ROWS, COLUMNS));
	for (int n = 1; n <= NODES; n++) {
		const char *a = names[random_below((unsigned int)n)], *b = names[random_below((unsigned int)n)];

		snprintf(names[n], sizeof(names[n]), "v%d", n);
		switch (random_below(5)) {
		case 0:
			model_node(model, "Max", NAMES(a, b), NAMES(names[n]));
			break;
		case 1:
			model_node(model, "Relu", NAMES(a), NAMES(names[n]));
			break;
		case 2:
			model_node(model, "Neg", NAMES(a), NAMES(names[n]));
			break;
		default: /* only the CPU: 1 where the row has its largest element, else 0 */
			model_node(model, "Hardmax", NAMES(a), NAMES(names[n]));
			break;
		}
		if (n > NODES - 4)
			model_output(model, names[n]);
	}
}

static void fill(float *values, unsigned int seed)
{
	for (unsigned int i = 0; i < ELEMENTS; i++)
		values[i] = (float)((int)((i * 31 + seed * 17) % 61) - 30);
}

struct answers {
	float values[4][ELEMENTS];
};

static int run(struct accel_session *session, unsigned int seed, struct answers *answers)
{
	float *in = malloc(ELEMENTS * sizeof(*in));
	struct accel_tensor input = floats_of(in, 2, DIMS(ROWS, COLUMNS)), outputs[4];
	int err;

	for (int i = 0; i < 4; i++)
		outputs[i] = (struct accel_tensor){.data = answers->values[i], .size = sizeof(answers->values[i])};
	fill(in, seed);
	err = accel_session_run(session, &input, 1, outputs, 4, NULL, 0);
	free(in);
	return err;
}

/* As numbers: 0 and -0 are the same. */
static bool is_same(const struct answers *a, const struct answers *b)
{
	for (int o = 0; o < 4; o++)
		for (int i = 0; i < ELEMENTS; i++)
			if (a->values[o][i] != b->values[o][i])
				return false;
	return true;
}

#define SEEDS 4

struct caller {
	struct accel_session *session;
	const struct answers *expected;
	unsigned int first, wrong;
};

static void *call(void *arg)
{
	struct caller *caller = arg;
	struct answers *answers = calloc(1, sizeof(*answers));

	for (unsigned int n = 0; n < 10; n++) {
		unsigned int seed = (caller->first + n) % SEEDS;

		caller->wrong +=
			!answers || run(caller->session, seed, answers) || !is_same(answers, &caller->expected[seed]);
	}
	free(answers);
	return NULL;
}

static struct accel_session *open_model(const struct model *model, const char *device)
{
	struct accel_session_options options = {
		.device = device, .threads = 2, .depth = 3, .trace = true, .disable = "placement"};
	struct accel_session *session;
	char error[512];

	if (accel_session_create(body_file(model), &options, &session, error, sizeof(error)))
		fail_msg("%s", error);
	return session;
}

static void any_network_gives_what_the_cpu_gives(void **state)
{
	static struct answers expected[SEEDS];
	unsigned int regions = 0;

	(void)state;
	for (unsigned int seed = 1; seed <= 12; seed++) {
		struct accel_session *session;
		struct accel_run_stats stats;
		struct caller callers[3];
		pthread_t threads[3];
		struct model model;

		make_network(&model, seed);
		session = open_model(&model, "cpu");
		for (unsigned int i = 0; i < SEEDS; i++)
			assert_int_equal(run(session, i, &expected[i]), 0);
		accel_session_destroy(session);
		session = open_model(&model, "sim:");
		for (unsigned int i = 0; i < 3; i++) {
			callers[i] = (struct caller){session, expected, i, 0};
			assert_int_equal(pthread_create(&threads[i], NULL, call, &callers[i]), 0);
		}
		for (int i = 0; i < 3; i++) {
			pthread_join(threads[i], NULL);
			if (callers[i].wrong)
				fail_msg("seed %u: %u wrong answers", seed, callers[i].wrong);
		}
		assert_int_equal(accel_session_stats(session, &stats), 0);
		regions += (unsigned int)stats.num_regions;
		accel_session_destroy(session);
		model_finish(&model);
	}
	assert_true(regions > 12 * 3); /* not all on one side */
}

/* ---- two branches ---- */

/* y = Hardmax(x) + Neg(Relu(x)): the first on the CPU, the others on the device. */
static void make_branches(struct model *model)
{
	model_init(model);
	model_input(model, "x", FLOAT, 2, DIMS(ROWS, COLUMNS));
	model_node(model, "Relu", NAMES("x"), NAMES("a"));
	model_node(model, "Neg", NAMES("a"), NAMES("b"));
	model_node(model, "Hardmax", NAMES("x"), NAMES("c"));
	model_node(model, "Add", NAMES("b", "c"), NAMES("y"));
	model_output(model, "y");
}

static void orders_say_who_waits(const struct axm *axm)
{
	struct region_order order;

	assert_int_equal(region_order_make(axm, &order), 0);
	assert_int_equal(order.waits[0], 0);
	assert_int_equal(order.waits[1], 0);
	assert_int_equal(order.waits[2], 2);
	assert_int_equal(order.first[1] - order.first[0], 1);
	assert_int_equal(order.followers[order.first[0]], 2);
	assert_int_equal(order.followers[order.first[1]], 2);
	assert_int_equal(order.latest[0], 1);
	assert_int_equal(order.earliest[1], 0);
	assert_int_equal(order.earliest[2], 2);
	assert_int_equal(order.latest[2], 2);
	region_order_finish(&order);
}

static struct json_object *trace_of(const struct accel_session *session)
{
	char path[] = "/tmp/axl_trace_XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(accel_session_trace(session, path), 0);
	return trace_file_read(path);
}

static int64_t submitted(struct json_object *packet)
{
	return trace_file_time(trace_file_member(packet, "args"), "submitted");
}

static int64_t end_of(struct json_object *event)
{
	return trace_file_time(event, "ts") + trace_file_time(event, "dur");
}

/* By what came before what, on the one clock of the trace: how long each takes is the machine's affair. */
static void branches_run_at_the_same_time(void **state)
{
	static float in[ELEMENTS], out[ELEMENTS];
	struct accel_tensor input = floats_of(in, 2, DIMS(ROWS, COLUMNS));
	struct accel_tensor output = {.data = out, .size = sizeof(out)};
	struct json_object *trace, *device, *cpu, *sum;
	struct accel_session *session;
	const struct axm *axm;
	struct model model;

	(void)state;
	make_branches(&model);
	session = open_model(&model, "sim:");
	axm = session_package(session);
	assert_int_equal(axm->num_regions, 3);
	assert_true(axm->regions[0].device && !axm->regions[1].device && axm->regions[2].device);
	orders_say_who_waits(axm);

	fill(in, 1);
	assert_int_equal(accel_session_run(session, &input, 1, &output, 1, NULL, 0), 0);
	trace = trace_of(session);
	device = trace_file_event(trace, "X", "region 0", 0);
	cpu = trace_file_event(trace, "X", axm_string(axm, axm->nodes[axm->regions[1].first_node].name), 0);
	sum = trace_file_event(trace, "X", "region 2", 0);
	assert_true(device && cpu && sum);
	/* The device has its work before the CPU begins with its own, and nobody waits for it before that is done. */
	assert_true(submitted(device) <= trace_file_time(cpu, "ts"));
	assert_true(end_of(device) >= end_of(cpu));
	/* Who needs both comes behind both. */
	assert_true(submitted(sum) >= end_of(device) && submitted(sum) >= end_of(cpu));
	json_object_put(trace);
	accel_session_destroy(session);
	model_finish(&model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_network_gives_what_the_cpu_gives),
		cmocka_unit_test(branches_run_at_the_same_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
