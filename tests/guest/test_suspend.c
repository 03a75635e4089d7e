/* SPDX-License-Identifier: MIT */
/* Queues that are suspended and resumed: between packets and within one, beside others, over resets and sleep. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#include "check.h"

static int loops(void)
{
	return (int)guest_setting("AXL_LOOPS", 50);
}

static int suspend(struct guest *guest)
{
	return guest_queue_op(guest, DRM_IOCTL_AXL_QUEUE_SUSPEND, guest->queue);
}

static int resume(struct guest *guest)
{
	return guest_queue_op(guest, DRM_IOCTL_AXL_QUEUE_RESUME, guest->queue);
}

static uint32_t state_of(const struct guest *guest)
{
	return __atomic_load_n(&guest_status(guest)->state, __ATOMIC_ACQUIRE);
}

static uint64_t busy_cycles(const struct guest *guest)
{
	return __atomic_load_n(&guest_status(guest)->busy_cycles, __ATOMIC_RELAXED);
}

static void what_is_submitted_meanwhile_waits(void **state)
{
	struct guest *guest = *state;

	for (int i = 0; i < loops(); i++) {
		uint64_t index;

		assert_int_equal(suspend(guest), 0);
		assert_int_equal(state_of(guest), AXL_QUEUE_SUSPENDED);
		guest_nop(guest);
		index = guest_submit(guest);
		guest_ring(guest);
		assert_int_equal(guest_wait(guest, index, 3 * MILLISECOND), -ETIME);
		assert_int_equal(resume(guest), 0);
		assert_int_equal(guest_wait(guest, index, 20 * SECOND), 0);
		assert_int_equal(guest_job(guest, (uint32_t)i), 0);
	}
}

/* At a YIELD of a long packet, and for as long as it likes; the packet ends as it would have. */
static void a_packet_is_suspended_at_its_yields(void **state)
{
	struct guest *guest = *state;
	struct guest_program program;
	int within = 0;

	guest_program_work(&program, 4000);
	for (int i = 0; i < loops() / 5 + 1; i++) {
		uint64_t index, before;

		guest_run(guest, &program, 0);
		index = guest_submit(guest);
		guest_sleep(i % 4 * MILLISECOND);
		assert_int_equal(suspend(guest), 0);
		assert_int_equal(state_of(guest), AXL_QUEUE_SUSPENDED);
		before = busy_cycles(guest);
		within += guest_status(guest)->retired != index;
		guest_sleep(5 * MILLISECOND);
		assert_true(busy_cycles(guest) == before);
		assert_int_equal(resume(guest), 0);
		assert_int_equal(guest_wait(guest, index, 60 * SECOND), 0);
	}
	assert_true(within > 0);
	assert_int_equal(guest_job(guest, 1), 0);
}

static void others_run_meanwhile(void **state)
{
	struct guest *guest = *state;
	struct guest_stream *stream = guest_stream_start();
	unsigned long jobs;

	assert_non_null(stream);
	assert_int_equal(suspend(guest), 0);
	jobs = stream->jobs;
	for (int64_t end = guest_in(60 * SECOND); stream->jobs < jobs + 20 && guest_now() < end;)
		guest_sleep(MILLISECOND);
	assert_true(stream->jobs >= jobs + 20);
	assert_int_equal(resume(guest), 0);
	assert_int_equal(guest_stream_end(stream), 0);
	assert_int_equal(guest_job(guest, 1), 0);
}

static void nothing(int signal)
{
	(void)signal;
}

/* A packet without a YIELD: its watchdog ends the call, however often signals begin it anew. */
static void a_packet_that_does_not_yield_faults_on_the_way(void **state)
{
	const struct guest_options options = {.watchdog = 64};
	const struct sigaction action = {.sa_handler = nothing, .sa_flags = SA_RESTART};
	struct itimerval often = {{0, 2000}, {0, 2000}}, never = {{0, 0}, {0, 0}};
	struct guest_program endless;
	struct sigaction before;
	struct guest guest;

	(void)state;
	guest_program_endless(&endless);
	assert_int_equal(guest_create(&guest, &options), 0);
	sigaction(SIGALRM, &action, &before);
	for (int i = 0; i < loops() / 10 + 1; i++) {
		int err;

		guest_run(&guest, &endless, 0);
		guest_submit(&guest);
		setitimer(ITIMER_REAL, &often, NULL);
		err = suspend(&guest);
		setitimer(ITIMER_REAL, &never, NULL);
		/* It may not have begun; then it does when it is resumed. */
		if (!err && state_of(&guest) == AXL_QUEUE_SUSPENDED) {
			assert_int_equal(resume(&guest), 0);
			assert_int_equal(guest_wait(&guest, guest.head, 60 * SECOND), -EIO);
		}
		assert_int_equal(state_of(&guest), AXL_QUEUE_FAULTED);
		assert_int_equal(resume(&guest), -EINVAL);
		assert_int_equal(guest_reset(&guest), 0);
		assert_int_equal(guest_job(&guest, (uint32_t)i), 0);
	}
	sigaction(SIGALRM, &before, NULL);
	assert_int_equal(guest_destroy(&guest), 0);
}

static void what_can_not_be_is_refused(void **state)
{
	const struct guest_options options = {.flags = AXL_QUEUE_BOUNDED};
	struct guest *guest = *state, bounded;
	struct drm_axl_queue_op flags = {.queue = guest->queue, .flags = 1};

	assert_int_equal(guest_create_on(&bounded, guest->fd, &options), 0);
	assert_int_equal(suspend(&bounded), -EINVAL);
	assert_int_equal(resume(&bounded), -EINVAL);
	assert_int_equal(guest_job(&bounded, 1), 0);
	assert_int_equal(guest_destroy(&bounded), 0);
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_QUEUE_SUSPEND, &flags), -EINVAL);
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_QUEUE_RESUME, &flags), -EINVAL);
	assert_int_equal(guest_queue_op(guest, DRM_IOCTL_AXL_QUEUE_SUSPEND, 999), -ENOENT);
	assert_int_equal(guest_queue_op(guest, DRM_IOCTL_AXL_QUEUE_RESUME, 999), -ENOENT);
	assert_int_equal(resume(guest), -EINVAL);
	assert_int_equal(suspend(guest), 0);
	assert_int_equal(suspend(guest), 0);
	assert_int_equal(resume(guest), 0);
	assert_int_equal(resume(guest), -EINVAL);
	guest_fill(guest, GUEST_NOWHERE, 1, 64);
	assert_int_equal(guest_wait(guest, guest_submit(guest), 20 * SECOND), -EIO);
	assert_int_equal(suspend(guest), -EINVAL);
	assert_int_equal(guest_reset(guest), 0);
	assert_int_equal(guest_job(guest, 1), 0);
}

/* A reset drops the packet in which it stands, if it stands in one, and lets it go on. */
static void a_reset_lets_it_go_on(void **state)
{
	struct guest *guest = *state;
	struct guest_program program;

	guest_program_work(&program, 4000);
	for (int i = 0; i < loops() / 5 + 1; i++) {
		uint64_t index;
		int status;

		guest_run(guest, &program, 0);
		index = guest_submit(guest);
		guest_sleep(i % 3 * MILLISECOND);
		assert_int_equal(suspend(guest), 0);
		assert_int_equal(guest_reset(guest), 0);
		assert_int_equal(resume(guest), -EINVAL);
		status = guest_wait(guest, index, 60 * SECOND);
		assert_true(!status || status == -ECANCELED);
		assert_int_equal(guest_job(guest, (uint32_t)i), 0);
	}
}

/* It stands after the sleep as before it, and begins its packet again when it is resumed. */
static void it_stands_over_a_system_suspend(void **state)
{
	struct guest *guest = *state;
	struct guest_program program;

	if (guest_write_text("/sys/power/pm_test", "devices"))
		skip();
	guest_write_text("/sys/module/suspend/parameters/pm_test_delay", "0");
	guest_program_work(&program, 4000);
	for (int i = 0; i < 3; i++) {
		uint64_t index;

		guest_run(guest, &program, 0);
		index = guest_submit(guest);
		assert_int_equal(suspend(guest), 0);
		assert_int_equal(guest_write_text("/sys/power/state", "mem"), 0);
		assert_int_equal(state_of(guest), AXL_QUEUE_SUSPENDED);
		assert_int_equal(guest_wait(guest, index, 3 * MILLISECOND), -ETIME);
		if (i == 1)
			assert_int_equal(guest_reset(guest), 0);
		else
			assert_int_equal(resume(guest), 0);
		assert_int_equal(guest_wait(guest, index, 60 * SECOND), 0);
		assert_int_equal(guest_job(guest, (uint32_t)i), 0);
	}
}

static void a_process_ends_with_a_suspended_queue(void **state)
{
	(void)state;
	for (int i = 0; i < loops() / 5 + 1; i++) {
		int pid = fork();

		if (!pid) {
			struct guest own;
			struct guest_program program;
			int err = guest_create(&own, NULL);

			guest_program_work(&program, 4000);
			if (!err) {
				guest_run(&own, &program, 0);
				guest_submit(&own);
				err = suspend(&own);
			}
			kill(getpid(), err ? SIGTERM : SIGKILL);
		}
		assert_int_equal(guest_reap(pid, 30 * SECOND), -EINTR);
	}
	assert_int_equal(guest_job(*state, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHECK(what_is_submitted_meanwhile_waits),
		CHECK(a_packet_is_suspended_at_its_yields),
		CHECK(others_run_meanwhile),
		CHECK(a_packet_that_does_not_yield_faults_on_the_way),
		CHECK(what_can_not_be_is_refused),
		CHECK(a_reset_lets_it_go_on),
		CHECK(it_stands_over_a_system_suspend),
		CHECK(a_process_ends_with_a_suspended_queue),
	};

	return check_run("suspend", tests, NULL, NULL);
}
