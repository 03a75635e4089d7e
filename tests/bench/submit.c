/* SPDX-License-Identifier: MIT */
/*
 * What submission costs the producer: CPU time per empty packet, in batches, through the inline path of
 * <accel/queue.h>.
 *
 *	submit [BATCHES [BATCH [DEVICE [LIMIT]]]]	20000 batches of 64 on sim:; LIMIT in ns: above it, exit 1
 *
 * CPU time is the producer thread's own, for taking slots, filling them and publishing, with two looks at the clock a
 * batch; not for the polling while the ring is full. "End to end" is what both sides manage together, each with a
 * processor of its own if there is one. That the loop makes no system call is what submit_syscalls.sh shows.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <accel/accel.h>

static double seconds(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* CPU seconds in next + fill + submit; @wall: of everything. */
static double submit_batches(struct accel_queue *queue, long batches, long batch, double *wall)
{
	double cpu = 0, begin = seconds(CLOCK_MONOTONIC);
	uint64_t index = 0;

	for (long b = 0; b < batches; b++) {
		double before;

		while (accel_queue_space(queue) < (uint64_t)batch)
			;
		before = seconds(CLOCK_THREAD_CPUTIME_ID);
		for (long i = 0; i < batch; i++)
			accel_packet_nop(accel_queue_next(queue));
		index = accel_queue_submit(queue);
		cpu += seconds(CLOCK_THREAD_CPUTIME_ID) - before;
	}
	while (!accel_queue_done(queue, index))
		;
	*wall = seconds(CLOCK_MONOTONIC) - begin;
	return cpu;
}

/* The same without a look at a clock inside: what strace sees must be the path alone. */
static void submit_quietly(struct accel_queue *queue, long batches, long batch)
{
	uint64_t index = 0;

	for (long b = 0; b < batches; b++) {
		while (accel_queue_space(queue) < (uint64_t)batch)
			;
		for (long i = 0; i < batch; i++)
			accel_packet_nop(accel_queue_next(queue));
		index = accel_queue_submit(queue);
	}
	while (!accel_queue_done(queue, index))
		;
}

int main(int argc, char **argv)
{
	long batches = argc > 1 ? atol(argv[1]) : 20000, batch = argc > 2 ? atol(argv[2]) : 64;
	const char *name = argc > 3 ? argv[3] : "sim:spin=100000";
	double limit = argc > 4 ? atof(argv[4]) : 0;
	struct accel_queue_options options = {.slots = 1024, .priority = 1};
	struct accel_counters before, after;
	struct accel_context *context;
	struct accel_device *device;
	struct accel_queue *queue;
	char error[200];
	double cpu, wall, each;
	int err;

	if (batches < 1 || batch < 1 || batch > 1024) {
		fprintf(stderr, "usage: submit [BATCHES [BATCH up to 1024 [DEVICE [LIMIT]]]]\n");
		return 2;
	}
	err = accel_open(name, &device, error, sizeof(error));
	if (err) {
		fprintf(stderr, "%s\n", error);
		return 4;
	}
	err = accel_context_create(accel_device_vm(device), &context);
	if (!err)
		err = accel_queue_create(context, &options, &queue);
	if (err) {
		fprintf(stderr, "queue: %s\n", strerror(-err));
		return 4;
	}
	submit_quietly(queue, 100, batch);
	accel_device_counters(device, &before);
	/* The two marks between which strace may see nothing. */
	fprintf(stderr, "begin\n");
	submit_quietly(queue, batches, batch);
	fprintf(stderr, "end\n");
	accel_device_counters(device, &after);
	cpu = submit_batches(queue, batches, batch, &wall);
	each = cpu * 1e9 / (double)(batches * batch);
	printf("%ld batches of %ld: %.1f ns of CPU a packet, %.1f ns a packet end to end, %.4f doorbells a packet\n",
	       batches, batch, each, wall * 1e9 / (double)(batches * batch),
	       (double)(after.doorbells - before.doorbells) / (double)(batches * batch));
	accel_queue_destroy(queue);
	accel_context_destroy(context);
	accel_close(device);
	if (limit > 0 && each > limit) {
		fprintf(stderr, "more than %.1f ns of CPU a packet\n", limit);
		return 1;
	}
	return 0;
}
