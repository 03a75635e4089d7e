/* SPDX-License-Identifier: MIT */
/* Streams of counters: what is in them, who may have them, how long they live. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "check.h"

#define PERIOD (2 * MILLISECOND)

static int open_stream(struct guest *guest, uint32_t ctx, uint32_t flags, int *fd)
{
	struct drm_axl_perf_open args = {.ctx = ctx, .flags = flags, .period_ns = PERIOD};
	int err = guest_ioctl(guest->fd, DRM_IOCTL_AXL_PERF_OPEN, &args);

	*fd = args.fd;
	return err;
}

static struct drm_axl_perf_record next_record(int fd)
{
	struct drm_axl_perf_record record;

	assert_int_equal(read(fd, &record, sizeof(record)), sizeof(record));
	return record;
}

static void a_context_sees_its_own_work(void **state)
{
	struct guest *guest = *state, other;
	struct drm_axl_perf_record record, last = {0};
	int fd;

	assert_int_equal(guest_create(&other, NULL), 0);
	assert_int_equal(open_stream(guest, guest->ctx, 0, &fd), 0);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(guest_job(guest, (uint32_t)i), 0);
		assert_int_equal(guest_job(&other, (uint32_t)i), 0);
		record = next_record(fd);
		assert_true(record.cpu_ns > last.cpu_ns && record.counters.packets >= last.counters.packets);
		last = record;
	}
	/* The first that is taken from here on has everything. */
	for (int64_t from = guest_now(); (int64_t)last.cpu_ns <= from;)
		last = next_record(fd);
	assert_int_equal(last.counters.packets, guest_status(guest)->retired);
	assert_int_equal(last.counters.busy, guest_status(guest)->busy_cycles);
	assert_true(last.counters.busy > 0);
	assert_int_equal(last.counters.cycles, 0);
	close(fd);
	assert_int_equal(guest_destroy(&other), 0);
}

static void the_device_sees_everybodys(void **state)
{
	struct guest *guest = *state, other;
	struct drm_axl_perf_record first, last;
	int fd;

	assert_int_equal(guest_create(&other, NULL), 0);
	assert_int_equal(open_stream(guest, 0, DRM_AXL_PERF_DEVICE, &fd), 0);
	first = last = next_record(fd);
	assert_int_equal(guest_job(guest, 1), 0);
	assert_int_equal(guest_job(&other, 2), 0);
	for (int64_t from = guest_now(); (int64_t)last.cpu_ns <= from;)
		last = next_record(fd);
	assert_int_equal(last.counters.packets - first.counters.packets, guest->head + other.head);
	assert_true(last.counters.cycles > first.counters.cycles && last.counters.busy > first.counters.busy);
	close(fd);
	assert_int_equal(guest_destroy(&other), 0);
}

/* Taken at the period, not when somebody looks. */
static void records_come_by_themselves(void **state)
{
	struct guest *guest = *state;
	struct drm_axl_perf_record records[64];
	struct pollfd poller = {.events = POLLIN};
	ssize_t got;

	assert_int_equal(open_stream(guest, guest->ctx, 0, &poller.fd), 0);
	assert_int_equal(poll(&poller, 1, 20000), 1);
	guest_sleep(40 * PERIOD);
	got = read(poller.fd, records, sizeof(records));
	assert_true(got > (ssize_t)sizeof(records[0]) && got % (ssize_t)sizeof(records[0]) == 0);
	for (size_t i = 1; i < (size_t)got / sizeof(records[0]); i++)
		assert_true(records[i].cpu_ns > records[i - 1].cpu_ns);
	assert_int_equal(fcntl(poller.fd, F_SETFL, O_NONBLOCK), 0);
	while ((got = read(poller.fd, records, sizeof(records))) > 0)
		;
	assert_true(got < 0 && errno == EAGAIN);
	assert_true(read(poller.fd, records, sizeof(records[0]) - 1) < 0 && errno == EINVAL);
	close(poller.fd);
}

/* What nobody reads is counted, not kept for ever; the oldest stay. */
static void records_that_find_no_room_are_counted(void **state)
{
	struct guest *guest = *state;
	struct drm_axl_perf_open args = {.ctx = guest->ctx, .period_ns = DRM_AXL_PERF_MIN_PERIOD};
	struct drm_axl_perf_record record = {0};
	int rounds;

	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_PERF_OPEN, &args), 0);
	guest_sleep(SECOND);
	/* A busy machine makes fewer records a second, and they all have room: then longer waits. */
	for (rounds = 0; !record.lost; rounds++) {
		assert_true(rounds < 10 * 1024);
		if (rounds % 1024 == 1023)
			guest_sleep((2 + rounds / 1024 * 2) * SECOND);
		record = next_record(args.fd);
	}
	assert_true(rounds > 1024);
	close(args.fd);
}

static void a_stream_outlives_what_it_watches(void **state)
{
	struct guest *guest = *state, watched;
	struct drm_axl_perf_record record = {0};
	uint64_t packets;
	int fd;

	assert_int_equal(guest_create(&watched, NULL), 0);
	assert_int_equal(open_stream(&watched, watched.ctx, 0, &fd), 0);
	assert_int_equal(guest_job(&watched, 1), 0);
	packets = watched.head;
	assert_int_equal(guest_destroy(&watched), 0);
	for (int64_t from = guest_now(); (int64_t)record.cpu_ns <= from;)
		record = next_record(fd);
	assert_int_equal(record.counters.packets, packets);
	assert_int_equal(guest_job(guest, 1), 0);
	close(fd);
}

static void bad_requests_are_refused(void **state)
{
	struct guest *guest = *state;
	const struct {
		struct drm_axl_perf_open args;
		int err;
	} cases[] = {
		{{.ctx = 999, .period_ns = PERIOD}, -ENOENT},
		{{.ctx = 0, .period_ns = PERIOD}, -EINVAL},
		{{.ctx = guest->ctx, .flags = DRM_AXL_PERF_DEVICE, .period_ns = PERIOD}, -EINVAL},
		{{.ctx = guest->ctx, .flags = 2, .period_ns = PERIOD}, -EINVAL},
		{{.ctx = guest->ctx, .period_ns = DRM_AXL_PERF_MIN_PERIOD - 1}, -EINVAL},
		{{.ctx = guest->ctx, .period_ns = SECOND + 1}, -EINVAL},
		{{.ctx = guest->ctx, .period_ns = PERIOD, .fd = 1}, -EINVAL},
		{{.ctx = guest->ctx, .period_ns = PERIOD, .pad = 1}, -EINVAL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct drm_axl_perf_open args = cases[i].args;

		assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_PERF_OPEN, &args), cases[i].err);
	}
}

static void others_work_is_not_for_everybody(void **state)
{
	struct guest *guest = *state;
	int pid = fork();

	if (!pid) {
		int fd;

		if (setgid(65534) || setuid(65534))
			_exit(1);
		if (open_stream(guest, 0, DRM_AXL_PERF_DEVICE, &fd) != -EPERM)
			_exit(2);
		_exit(open_stream(guest, guest->ctx, 0, &fd) ? 3 : 0);
	}
	assert_int_equal(guest_reap(pid, 20 * SECOND), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHECK(a_context_sees_its_own_work),       CHECK(the_device_sees_everybodys),
		CHECK(records_come_by_themselves),        CHECK(records_that_find_no_room_are_counted),
		CHECK(a_stream_outlives_what_it_watches), CHECK(bad_requests_are_refused),
		CHECK(others_work_is_not_for_everybody),
	};

	return check_run("perf", tests, NULL, NULL);
}
