/* SPDX-License-Identifier: MIT */
/*
 * How long one operator takes to compile, over random shapes (tests/unit/shapes): the median and the slowest.
 *	operator_shapes [COUNT [FIRST-SEED]]
 * Fails when one fails to compile or takes a second of processor time or more.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/unit/shapes/shapes.h"

#define SLOWEST 10

struct timing {
	double seconds;
	uint32_t seed;
};

static int by_time(const void *a, const void *b)
{
	const struct timing *x = a, *y = b;

	return (x->seconds < y->seconds) - (x->seconds > y->seconds);
}

/* Of all threads: other processes on the machine do not count, work handed to a thread does. */
static double processor_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int compile(struct shape_case *shape, struct timing *timing)
{
	struct compile_result result;
	char error[512] = "";
	double start;
	int err;

	shape_case_make(shape, timing->seed);
	start = processor_seconds();
	err = shape_case_compile(shape, &result, error, sizeof(error));
	timing->seconds = processor_seconds() - start;
	if (err)
		printf("seed %u: %s: %s\n", timing->seed, shape->text, error);
	else
		compile_result_finish(&result);
	model_finish(&shape->model);
	return err;
}

int main(int argc, char **argv)
{
	size_t count = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;
	uint32_t first = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 1;
	struct timing *timings = calloc(count + 1, sizeof(*timings));
	struct shape_case *shape = malloc(sizeof(*shape));
	size_t failed = 0;
	int code;

	if (!timings || !shape || !count)
		return 2;
	for (size_t i = 0; i < count; i++) {
		timings[i].seed = first + (uint32_t)i;
		failed += compile(shape, &timings[i]) != 0;
	}
	qsort(timings, count, sizeof(*timings), by_time);
	printf("%zu shapes, %zu failed; seconds: median %.3f, 99th percentile %.3f, worst %.3f\n", count, failed,
	       timings[count / 2].seconds, timings[count / 100].seconds, timings[0].seconds);
	for (size_t i = 0; i < SLOWEST && i < count; i++) {
		shape_case_make(shape, timings[i].seed);
		printf("%8.3f  seed %-6u %s\n", timings[i].seconds, timings[i].seed, shape->text);
		model_finish(&shape->model);
	}
	code = failed || timings[0].seconds >= 1;
	free(timings);
	free(shape);
	return code;
}
