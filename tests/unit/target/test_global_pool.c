// SPDX-License-Identifier: MIT
/*
 * Global pools on the device, on one tile and four: against plain loops in double, all of it on the device; and what of them it leaves to
 * the CPU.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/control/body.h"

#define ERROR_SIZE 512
#define TRIALS 12

static const char *const targets[] = {"sim:target=axl-edge,race-check=1", "sim:target=axl-pro,race-check=1"};

/*
 * A pool of x[rank], @planes of @points, and its answer.
 * @p: of GlobalLpPool, 0: not given
 */
struct pool {
	const char *op_type;
	int rank;
	int64_t dims[5], planes, points, p;
	float *x, *y;
	uint32_t random;
};

static uint32_t below(struct pool *pool, uint32_t bound)
{
	pool->random = pool->random * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)(pool->random >> 8) * bound >> 24);
}

static void make_pool(struct pool *pool, const char *op_type, int64_t p, uint32_t seed)
{
	*pool = (struct pool){.op_type = op_type, .p = p, .random = seed * 2654435761u, .planes = 1, .points = 1};
	pool->rank = 3 + (int)below(pool, 3);
	for (int d = 0; d < pool->rank; d++) {
		pool->dims[d] = 1 + below(pool, d == 1 ? 40 : d ? 17 : 3);
		*(d < 2 ? &pool->planes : &pool->points) *= pool->dims[d];
	}
	pool->x = malloc((size_t)(pool->planes * pool->points) * sizeof(*pool->x));
	pool->y = malloc((size_t)pool->planes * sizeof(*pool->y));
	assert_true(pool->x && pool->y);
	for (int64_t i = 0; i < pool->planes * pool->points; i++)
		pool->x[i] = ((float)below(pool, 4001) - 2000) / 1000;
}

static void finish_pool(struct pool *pool)
{
	free(pool->x);
	free(pool->y);
}

/* The pool on @device, into y; whether all of it was there, with the first reason why not in @reason. */
static bool run(struct pool *pool, const char *device, enum accel_precision precision, char *reason)
{
	struct accel_session_options options = {
		.device = device, .threads = 1, .precision = precision, .disable = "placement"};
	struct accel_tensor x = floats_of(pool->x, pool->rank, pool->dims), y = {0};
	struct accel_session *session;
	struct accel_run_stats stats;
	char error[ERROR_SIZE] = "";
	struct model model;
	bool there = true;

	model_init(&model);
	model_input(&model, "x", FLOAT, (size_t)pool->rank, pool->dims);
	if (pool->p)
		body_int(&model, model_node(&model, pool->op_type, NAMES("x"), NAMES("y")), "p", pool->p);
	else
		model_node(&model, pool->op_type, NAMES("x"), NAMES("y"));
	model_output(&model, "y");
	if (accel_session_create(body_file(&model), &options, &session, error, sizeof(error)) ||
	    accel_session_run(session, &x, 1, &y, 1, error, sizeof(error)))
		fail_msg("%s on %s: %s", pool->op_type, device, error);
	assert_int_equal(y.size, (size_t)pool->planes * sizeof(float));
	memcpy(pool->y, y.data, y.size);
	assert_int_equal(accel_session_stats(session, &stats), 0);
	assert_true(stats.num_nodes > 0);
	for (size_t i = 0; i < stats.num_nodes && there; i++) {
		there = stats.nodes[i].device;
		snprintf(reason, ERROR_SIZE, "%s", there ? "" : stats.nodes[i].reason);
	}
	accel_session_destroy(session);
	model_finish(&model);
	return there;
}

static double expected(const struct pool *pool, int64_t plane)
{
	double sum = 0, most = -INFINITY;

	for (int64_t i = 0; i < pool->points; i++) {
		double x = (double)pool->x[plane * pool->points + i];

		sum += strcmp(pool->op_type, "GlobalLpPool") ? x : pow(fabs(x), pool->p ? (double)pool->p : 2);
		most = x > most ? x : most;
	}
	if (!strcmp(pool->op_type, "GlobalMaxPool"))
		return most;
	if (!strcmp(pool->op_type, "GlobalAveragePool"))
		return sum / (double)pool->points;
	return pow(sum, 1 / (pool->p ? (double)pool->p : 2));
}

/* @share of the answer and of the largest summand. */
static void check(const struct pool *pool, double share, const char *device)
{
	for (int64_t i = 0; i < pool->planes; i++) {
		double want = expected(pool, i), got = (double)pool->y[i];

		if (!(fabs(got - want) <= share * (fabs(want) + 2)))
			fail_msg("%s on %s: y[%lld] is %.9g, should be %.9g", pool->op_type, device, (long long)i, got,
				 want);
	}
}

static void global_pools_on_the_device_are_what_the_standard_says(void **state)
{
	static const char *const ops[] = {"GlobalLpPool", "GlobalAveragePool", "GlobalMaxPool"};
	static const struct {
		enum accel_precision precision;
		double share;
	} held[] = {{ACCEL_F32, 1e-5}, {ACCEL_F16, 3e-3}};

	(void)state;
	for (uint32_t seed = 0; seed < TRIALS; seed++)
		for (size_t t = 0; t < 2; t++)
			for (size_t h = 0; h < 2; h++) {
				char reason[ERROR_SIZE];
				struct pool pool;

				make_pool(&pool, ops[seed % 3], seed % 3 || seed & 1 ? 0 : 2, seed);
				if (!run(&pool, targets[t], held[h].precision, reason))
					fail_msg("seed %u: %s is on the CPU: %s", seed, pool.op_type, reason);
				check(&pool, held[h].share, targets[t]);
				finish_pool(&pool);
			}
}

static void norms_of_another_order_are_left_to_the_cpu(void **state)
{
	(void)state;
	for (int64_t p = 1; p <= 4; p++) {
		char reason[ERROR_SIZE];
		struct pool pool;

		make_pool(&pool, "GlobalLpPool", p, (uint32_t)p);
		assert_int_equal(run(&pool, targets[0], ACCEL_F32, reason), p == 2);
		assert_string_equal(reason, p == 2 ? "" : "a norm that is not of order 2");
		check(&pool, 1e-5, targets[0]);
		finish_pool(&pool);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(global_pools_on_the_device_are_what_the_standard_says),
		cmocka_unit_test(norms_of_another_order_are_left_to_the_cpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
