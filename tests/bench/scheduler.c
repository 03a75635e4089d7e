/* SPDX-License-Identifier: MIT */
/*
 * What the scheduler is worth, on the wall clock, with one thread for the CPU and one for the device:
 *	overlap		a network with a branch that only the CPU does, against its two parts alone; the limit is 75 % of their sum
 *	pipeline	requests whose head only the CPU does, four under way, against the slower part alone; the limit is 110 %
 *	overhead	a run of one element on a device without timing; the limit is 5 us
 * Each is the best of several tries: what the machine does besides is not the scheduler's. Exit code 1: above a limit.
 *	scheduler [overlap|pipeline|overhead|RUNS]	one of them; RUNS: so many runs of the last, for callgrind
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tests/unit/control/body.h"

#define CHANNELS 32
#define SIDE 28
#define ELEMENTS (CHANNELS * SIDE * SIDE)
#define CONVOLUTIONS 4
#define TRIES 5

enum parts { DEVICE_PART = 1, CPU_PART = 2, BOTH = 3 };

static double now_us(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

/* @length nodes that only the CPU does, from @from; the last is called @to. */
static void add_cpu_part(struct model *model, const char *from, int length, const char *to)
{
	for (int i = 0; i < length; i++) {
		char *name = model_alloc(model, 16);

		snprintf(name, 16, "s%d", i);
		model_node(model, "Sinh", NAMES(from), NAMES(i == length - 1 ? to : name));
		from = name;
	}
}

static void add_device_part(struct model *model, const char *from, const char *to)
{
	float *weights = calloc(CHANNELS * CHANNELS * 9, sizeof(*weights));

	for (int i = 0; i < CHANNELS * CHANNELS * 9; i++)
		weights[i] = (float)(i % 13 - 6) / 4096;
	model_initializer(
		model, model_floats(model, "w", 4, DIMS(CHANNELS, CHANNELS, 3, 3), CHANNELS * CHANNELS * 9, weights));
	for (int i = 0; i < CONVOLUTIONS; i++) {
		char *name = model_alloc(model, 16);
		Onnx__NodeProto *node;

		snprintf(name, 16, "c%d", i);
		node = model_node(model, "Conv", NAMES(from, "w"), NAMES(i == CONVOLUTIONS - 1 ? to : name));
		body_ints(model, node, "pads", 4, DIMS(1, 1, 1, 1));
		from = name;
	}
	free(weights);
}

/* @chain: the device's part reads what the CPU's makes; else both read the input. */
static struct accel_session *open_network(enum parts parts, int length, bool chain)
{
	const struct accel_session_options options = {.threads = 1, .depth = 4, .disable = "placement", .cache = "off"};
	struct accel_session *session;
	struct model model;
	char error[512];

	model_init(&model);
	model_input(&model, "x", FLOAT, 4, DIMS(1, CHANNELS, SIDE, SIDE));
	if (parts & CPU_PART) {
		add_cpu_part(&model, "x", length, "u");
		if (parts == CPU_PART || !chain)
			model_output(&model, "u");
	}
	if (parts & DEVICE_PART) {
		add_device_part(&model, chain && parts == BOTH ? "u" : "x", "y");
		model_output(&model, "y");
	}
	if (accel_session_create(body_file(&model), &options, &session, error, sizeof(error))) {
		fprintf(stderr, "%s\n", error);
		exit(1);
	}
	model_finish(&model);
	return session;
}

static float input[ELEMENTS];

#define UNDER_WAY 6
#define REQUESTS 48

/* Time of a run, one at a time, us: the least of several averages of @runs. */
static double time_run(struct accel_session *session, int runs)
{
	struct accel_tensor in = floats_of(input, 4, DIMS(1, CHANNELS, SIDE, SIDE)), out[2];
	double best = 1e30;

	for (int t = 0; t < 4 * TRIES; t++) {
		double start = now_us(), time;

		for (int n = 0; n < runs; n++) {
			memset(out, 0, sizeof(out));
			if (accel_session_run(session, &in, 1, out, accel_session_num_outputs(session), NULL, 0))
				exit(1);
		}
		time = (now_us() - start) / runs;
		best = time < best ? time : best;
	}
	return best;
}

static double time_network(enum parts parts, int length, bool chain, int runs)
{
	struct accel_session *session = open_network(parts, length, chain);
	double time = time_run(session, runs);

	accel_session_destroy(session);
	return time;
}

/* How many nodes take about as long as the device's part. */
static int balance(double device)
{
	double ten = time_network(CPU_PART, 10, false, 1);
	int length = (int)(device / ten * 10 + 0.5);

	return length < 1 ? 1 : length;
}

static int overlap(void)
{
	double device = time_network(DEVICE_PART, 0, false, 1), cpu, both, share;
	int length = balance(device);

	cpu = time_network(CPU_PART, length, false, 1);
	both = time_network(BOTH, length, false, 1);
	share = both / (device + cpu) * 100;
	printf("overlap: device alone %.0f us, CPU alone %.0f us, both %.0f us: %.1f %% of the sum (limit 75)\n",
	       device, cpu, both, share);
	return share > 75;
}

/* Time for each of many requests, several of which are under way at any time, us. */
static double time_pipelined(struct accel_session *session)
{
	static float results[UNDER_WAY][ELEMENTS];
	struct accel_tensor in = floats_of(input, 4, DIMS(1, CHANNELS, SIDE, SIDE)), out[UNDER_WAY];
	struct accel_request *requests[UNDER_WAY];
	double start = 0;

	for (int i = 0; i < UNDER_WAY; i++)
		if (accel_request_create(session, &requests[i]))
			exit(1);
	for (int n = 0; n < UNDER_WAY + REQUESTS; n++) {
		struct accel_request *request = requests[n % UNDER_WAY];

		if (n == UNDER_WAY)
			start = now_us();
		if (n >= UNDER_WAY && accel_request_wait(request, INT64_MAX))
			exit(1);
		out[n % UNDER_WAY] = (struct accel_tensor){.data = results[n % UNDER_WAY], .size = sizeof(results[0])};
		if (accel_session_run_async(session, request, &in, 1, &out[n % UNDER_WAY], 1, NULL))
			exit(1);
	}
	start = (now_us() - start) / REQUESTS;
	for (int i = 0; i < UNDER_WAY; i++)
		accel_request_destroy(requests[i]);
	return start;
}

static int pipeline(void)
{
	double device = time_network(DEVICE_PART, 0, true, REQUESTS), cpu, best = 1e30, slower, share;
	int length = balance(device) * 3 / 2 + 1; /* the CPU's part is the slower one */
	struct accel_session *session = open_network(BOTH, length, true);

	cpu = time_network(CPU_PART, length, true, REQUESTS);
	for (int n = 0; n < 4 * TRIES; n++) {
		double time = time_pipelined(session);

		best = time < best ? time : best;
	}
	accel_session_destroy(session);
	slower = cpu > device ? cpu : device;
	share = best / slower * 100;
	printf("pipeline: CPU head alone %.0f us, device alone %.0f us, a request every %.0f us: %.1f %% of the slower "
	       "part (limit "
	       "110)\n",
	       cpu, device, best, share);
	return share > 110;
}

static int overhead(int runs)
{
	const struct accel_session_options options = {
		.device = "sim:timing=0,spin=1000000", .threads = 1, .disable = "placement", .cache = "off"};
	struct accel_session *session;
	struct model model;
	float in = -1, out;
	struct accel_tensor input_tensor = floats_of(&in, 1, DIMS(1));
	struct accel_tensor output_tensor = {.data = &out, .size = sizeof(out)};
	struct accel_run_stats stats;
	double best = 1e30;
	char error[512];

	model_init(&model);
	model_input(&model, "x", FLOAT, 1, DIMS(1));
	model_node(&model, "Relu", NAMES("x"), NAMES("y"));
	model_output(&model, "y");
	if (accel_session_create(body_file(&model), &options, &session, error, sizeof(error))) {
		fprintf(stderr, "%s\n", error);
		exit(1);
	}
	model_finish(&model);
	for (int n = 0; n < runs; n++) {
		double start = now_us(), time;

		if (accel_session_run(session, &input_tensor, 1, &output_tensor, 1, NULL, 0))
			exit(1);
		time = now_us() - start;
		best = time < best ? time : best;
	}
	accel_session_stats(session, &stats);
	accel_session_destroy(session);
	printf("overhead: a run of one element takes %.2f us, %zu region on the device (limit 5)\n", best,
	       stats.num_regions);
	return best > 5;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int above = 0;

	if (*what >= '0' && *what <= '9')
		return overhead(atoi(what));
	if (!*what || !strcmp(what, "overlap"))
		above |= overlap();
	if (!*what || !strcmp(what, "pipeline"))
		above |= pipeline();
	if (!*what || !strcmp(what, "overhead"))
		above |= overhead(20000);
	return above;
}
