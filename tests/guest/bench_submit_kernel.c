/* SPDX-License-Identifier: MIT */
/*
 * What a packet costs through the user-mode queue of the driver, all in one run:
 *
 *	bench_submit_kernel [PACKETS]		20000 of each kind
 *
 * - CPU time of the producer a packet, in batches of 1 and of 64, beside the SUBMIT ioctl: slots taken and filled,
 *   index published, doorbell if asked for; the tenth part of rounds of about 1024 packets took no longer: on a machine that has
 *   other things to do the device falls asleep between batches in the others
 * - a packet to its end and back, by polling the status page and by the WAIT ioctl: wall and CPU time of the caller
 * - doorbells a packet with 64 in flight, as the device counts them (COUNT_DOORBELLS)
 * - packets a second with the doorbells that the event index asks for, and with one for each batch whether asked for
 *   or not
 *
 * It fails if under load the event index asks for a doorbell for more than one packet in 20, however often it is asked: on a machine that
 * has other things to do there is no load. Times are figures and no verdict.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fences.h"

#define SLOTS 1024u
#define MOST_ROUNDS 256
#define MOST_DOORBELLS 0.05

struct cost {
	double cpu, wall;
	uint64_t doorbells;
};

static double seconds(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void die(const char *what, int err)
{
	fprintf(stderr, "%s: %s\n", what, strerror(-err));
	exit(1);
}

/* Wait for room by the status page, as a producer does. */
static void make_room(struct guest *guest, uint64_t packets)
{
	const struct axl_queue_status *status = guest_status(guest);

	while (guest->head + packets - __atomic_load_n(&status->retired, __ATOMIC_ACQUIRE) > guest->slots)
		if (status->state == AXL_QUEUE_FAULTED)
			die("queue", -5);
}

static struct cost begin(struct guest *guest)
{
	struct drm_axl_counters counters;
	int err = guest_counters(guest->fd, &counters);

	if (err)
		die("DEV_QUERY", err);
	return (struct cost){.cpu = seconds(CLOCK_THREAD_CPUTIME_ID),
			     .wall = seconds(CLOCK_MONOTONIC),
			     .doorbells = counters.doorbells};
}

static struct cost end(struct guest *guest, struct cost start)
{
	struct cost now = begin(guest);

	return (struct cost){now.cpu - start.cpu, now.wall - start.wall, now.doorbells - start.doorbells};
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void finish(struct guest *guest)
{
	int err = guest_poll(guest, guest->head, 60 * SECOND);

	if (err)
		die("poll", err);
}

/* What a tenth of @count times is not above; sorts them. */
static double lowest_tenth(double *times, size_t count)
{
	qsort(times, count, sizeof(*times), by_value);
	return times[count / 10];
}

/* CPU time of the submission alone: the ring has room for all of a round before the clock starts. */
static double submission(struct guest *guest, long packets, long batch)
{
	const long round = SLOTS - SLOTS % batch;
	double times[MOST_ROUNDS], each;
	size_t rounds = 0;

	for (long done = 0; done < packets && rounds < MOST_ROUNDS; done += round) {
		double before;

		finish(guest);
		before = seconds(CLOCK_THREAD_CPUTIME_ID);
		for (long i = 0; i < round; i += batch) {
			for (long k = 0; k < batch; k++)
				guest_nop(guest);
			guest_submit(guest);
		}
		times[rounds++] = seconds(CLOCK_THREAD_CPUTIME_ID) - before;
	}
	finish(guest);
	each = lowest_tenth(times, rounds) * 1e9 / (double)round;
	printf("figure submission, batches of %2ld:           %8.1f ns of CPU a packet\n", batch, each);
	return each;
}

/* The same through the SUBMIT ioctl: the caller's CPU time only, not that of the scheduler's threads. */
static double kernel_submission(struct guest *guest, uint32_t ctx, uint32_t done, long packets, long batch)
{
	const struct drm_axl_sync out = {.handle = done};
	union axl_packet nops[16] = {{.header.opcode = AXL_PKT_NOP}};
	double times[MOST_ROUNDS], each;
	size_t rounds = 0;

	for (long count = 0; count < packets && rounds < MOST_ROUNDS; count += SLOTS) {
		double before = seconds(CLOCK_THREAD_CPUTIME_ID);
		int err = 0;

		for (long i = 0; i < SLOTS && !err; i += batch)
			for (long k = 0; k < batch && !err; k += 16)
				err = fences_submit(guest, ctx, nops, batch < 16 ? (uint32_t)batch : 16, NULL,
						    i + batch >= SLOTS && k + 16 >= batch ? &out : NULL);
		times[rounds++] = seconds(CLOCK_THREAD_CPUTIME_ID) - before;
		if (!err)
			err = fences_wait(guest, done, 0, 60 * SECOND);
		if (err)
			die("SUBMIT", err);
	}
	each = lowest_tenth(times, rounds) * 1e9 / SLOTS;
	printf("figure SUBMIT ioctl, batches of %2ld:         %8.1f ns of CPU a packet\n", batch, each);
	return each;
}

/* Both paths, in one run. On a busy host the guest's clocks count what others took. */
static void compare_submission(struct guest *guest, long packets)
{
	int ctx = fences_context(guest);
	uint32_t done = fences_create(guest);
	struct drm_axl_ctx_destroy destroy = {0};
	double user, kernel;

	if (ctx < 0 || !done)
		die("a context for SUBMIT", ctx < 0 ? ctx : -ENOMEM);
	submission(guest, packets, 1);
	kernel_submission(guest, (uint32_t)ctx, done, packets / 4, 1);
	user = submission(guest, packets, 64);
	kernel = kernel_submission(guest, (uint32_t)ctx, done, packets, 64);
	printf("figure the user-mode queue is %.1f times cheaper in batches of 64\n", kernel / user);
	destroy.ctx = (uint32_t)ctx;
	guest_ioctl(guest->fd, DRM_IOCTL_AXL_CTX_DESTROY, &destroy);
	fences_destroy(guest, done);
}

/* A batch, its end, the next batch. */
static void completion(struct guest *guest, long packets, long batch, bool poll)
{
	struct cost cost = begin(guest);
	long done = 0;

	for (; done < packets; done += batch) {
		int err;

		for (long k = 0; k < batch; k++)
			guest_nop(guest);
		guest_submit(guest);
		err = poll ? guest_poll(guest, guest->head, 60 * SECOND) : guest_wait(guest, guest->head, 60 * SECOND);
		if (err)
			die(poll ? "poll" : "WAIT", err);
	}
	cost = end(guest, cost);
	printf("figure completion by %s, batches of %2ld:   %8.1f us a batch, %8.1f us of CPU a batch\n",
	       poll ? "polling" : "WAIT   ", batch, cost.wall * 1e6 * (double)batch / (double)done,
	       cost.cpu * 1e6 * (double)batch / (double)done);
}

/* Submissions of @batch with @flight packets on their way all the time. */
static struct cost stream(struct guest *guest, long packets, long batch, long flight)
{
	struct cost cost;

	finish(guest);
	cost = begin(guest);
	for (long done = 0; done < packets; done += batch) {
		make_room(guest, (uint64_t)(SLOTS - flight + batch));
		for (long k = 0; k < batch; k++)
			guest_nop(guest);
		guest_submit(guest);
	}
	finish(guest);
	return end(guest, cost);
}

/* Returns doorbells a packet. */
static double throughput(struct guest *guest, long packets, long batch, bool always)
{
	struct cost cost;

	guest->always_ring = always;
	cost = stream(guest, packets, batch, 64);
	guest->always_ring = false;
	printf("figure 64 in flight, batches of %2ld, doorbells %s: %10.0f packets a second, %8.4f doorbells a "
	       "packet\n",
	       batch, always ? "always  " : "if asked", (double)packets / cost.wall,
	       (double)cost.doorbells / (double)packets);
	return (double)cost.doorbells / (double)packets;
}

int main(int argc, char **argv)
{
	long packets = argc > 1 ? atol(argv[1]) : 20000;
	const struct guest_options options = {.slots = SLOTS};
	double doorbells, most = 0;
	struct guest guest;
	int err;

	if (packets < 1) {
		fprintf(stderr, "usage: bench_submit_kernel [PACKETS]\n");
		return 2;
	}
	err = guest_create(&guest, &options);
	if (err)
		die("queue", err);
	stream(&guest, 2000, 1, 64);
	compare_submission(&guest, packets);
	for (int poll = 1; poll >= 0; poll--) {
		completion(&guest, packets / 10 + 1, 1, poll);
		completion(&guest, packets, 64, poll);
	}
	for (long batch = 1; batch <= 16; batch *= 16) {
		doorbells = throughput(&guest, packets, batch, false);
		for (int again = 0; again < 5 && doorbells >= MOST_DOORBELLS; again++)
			doorbells = throughput(&guest, packets, batch, false);
		most = doorbells > most ? doorbells : most;
		throughput(&guest, packets, batch, true);
	}
	err = guest_job(&guest, 1);
	if (err)
		die("the job at the end", err);
	err = guest_destroy(&guest);
	if (most >= MOST_DOORBELLS)
		printf("%.4f doorbells a packet, not less than %.2f\n", most, MOST_DOORBELLS);
	return err || most >= MOST_DOORBELLS;
}
