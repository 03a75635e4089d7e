/* SPDX-License-Identifier: MIT */
/*
 * The device sleeps when its queues are idle, though programs have them mapped, and the next doorbell wakes it; and it is
 * reset under them by the PCI core (sysfs). AXL_LOOPS times each.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "fences.h"

static char pci[128]; /* its folder in sysfs */

static int loops(void)
{
	return (int)guest_setting("AXL_LOOPS", 50);
}

static void set(const char *name, const char *value)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", pci, name);
	if (guest_write_text(path, value))
		fail_msg("%s = %s", path, value);
}

static bool asleep(void)
{
	char path[256], text[32];

	snprintf(path, sizeof(path), "%s/power/runtime_status", pci);
	guest_read_text(path, text, sizeof(text));
	return !strcmp(text, "suspended");
}

static void await_sleep(void)
{
	int64_t end = guest_in(20 * SECOND);

	while (!asleep()) {
		assert_true(guest_now() < end);
		guest_sleep(2 * MILLISECOND);
	}
}

static int allow_sleep(void **state)
{
	const char *node = getenv("AXL_NODE");

	snprintf(pci, sizeof(pci), "/sys/class/accel/%.60s/device", node ? strrchr(node, '/') + 1 : "accel0");
	set("power/autosuspend_delay_ms", "20");
	set("power/control", "auto");
	return check_setup(state);
}

static int keep_awake(void **state)
{
	int err = check_teardown(state);

	set("power/control", "on");
	set("power/autosuspend_delay_ms", "500");
	return err;
}

#define SLEEPY(name) cmocka_unit_test_setup_teardown(name, allow_sleep, keep_awake)

/* Submitted and polled without a call: the doorbell's fault wakes it. */
static void a_doorbell_wakes_it(void **state)
{
	struct guest *guest = *state;

	for (int i = 0; i < loops(); i++) {
		await_sleep();
		assert_int_equal(guest_job(guest, (uint32_t)i), 0);
	}
}

/* Around the moment in which it falls asleep. */
static void no_doorbell_is_lost(void **state)
{
	struct guest *guest = *state;

	for (int i = 0; i < 10 * loops(); i++) {
		assert_int_equal(guest_job(guest, (uint32_t)i), 0);
		guest_sleep((15 + i % 16) * MILLISECOND + i % 7 * MILLISECOND / 7);
	}
}

struct load {
	struct guest guest;
	int rounds;
	int err;
};

static void *work(void *arg)
{
	struct load *load = arg;
	uint32_t seed = (uint32_t)(uintptr_t)load;

	for (int i = 0; i < load->rounds && !load->err; i++) {
		seed = seed * 1103515245 + 12345;
		load->err = guest_job(&load->guest, seed);
		guest_sleep(seed / 65536 % 50 * MILLISECOND);
	}
	return NULL;
}

static void many_wake_it(void **state)
{
	struct load loads[4];
	pthread_t threads[4];

	(void)state;
	for (int t = 0; t < 4; t++) {
		loads[t] = (struct load){.rounds = 2 * loops()};
		assert_int_equal(guest_create(&loads[t].guest, NULL), 0);
		assert_int_equal(pthread_create(&threads[t], NULL, work, &loads[t]), 0);
	}
	for (int t = 0; t < 4; t++) {
		pthread_join(threads[t], NULL);
		assert_int_equal(loads[t].err, 0);
		assert_int_equal(guest_destroy(&loads[t].guest), 0);
	}
}

static void local_memory_is_there_when_it_wakes(void **state)
{
	struct guest *guest = *state;
	struct guest_bo bo;

	assert_int_equal(guest_bo_map(guest->fd, 1 << 20, DRM_AXL_BO_LOCAL, &bo), 0);
	for (int i = 0; i < loops(); i++) {
		uint64_t *words = bo.data, value = 0x1234567890abcdefull * (uint64_t)(i + 1);

		words[i * 512 % (1 << 17)] = value;
		await_sleep();
		assert_true(words[i * 512 % (1 << 17)] == value);
	}
	assert_int_equal(guest_bo_destroy(guest->fd, &bo), 0);
}

static void looking_does_not_wake_it(void **state)
{
	struct guest *guest = *state;
	struct drm_axl_counters before, after;

	assert_int_equal(guest_job(guest, 1), 0);
	assert_int_equal(guest_counters(guest->fd, &before), 0);
	await_sleep();
	assert_true(guest_status(guest)->retired == guest->head);
	assert_int_equal(guest_wait(guest, guest->head, 0), 0);
	assert_int_equal(guest_counters(guest->fd, &after), 0);
	assert_true(asleep());
	/* What was counted stays counted. */
	assert_true(after.packets >= before.packets && after.cycles >= before.cycles && before.packets > 0);
	assert_int_equal(guest_job(guest, 2), 0);
	assert_int_equal(guest_counters(guest->fd, &after), 0);
	assert_true(after.packets > before.packets && after.cycles > before.cycles);
}

static void *submit_later(void *arg)
{
	struct guest *guest = arg;

	guest_sleep(100 * MILLISECOND);
	guest_fill(guest, GUEST_SCRATCH, 7, 64);
	guest_submit(guest);
	return NULL;
}

static void who_waits_does_not_keep_it_awake(void **state)
{
	struct guest *guest = *state;

	for (int i = 0; i < (loops() + 4) / 5; i++) {
		pthread_t thread;

		await_sleep();
		assert_int_equal(pthread_create(&thread, NULL, submit_later, guest), 0);
		assert_int_equal(guest_wait(guest, guest->head + 1, guest_in(20 * SECOND)), 0);
		pthread_join(thread, NULL);
	}
}

static void a_fence_keeps_it_awake(void **state)
{
	struct guest *guest = *state, bounded;
	const struct guest_options options = {.flags = AXL_QUEUE_BOUNDED};
	uint32_t handle = fences_create(guest);
	struct drm_axl_fence_export args = {.sync = {.handle = handle}};

	assert_int_equal(guest_create_on(&bounded, guest->fd, &options), 0);
	args.queue = bounded.queue;
	args.index = bounded.head + 1;
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_FENCE_EXPORT, &args), 0);
	guest_sleep(200 * MILLISECOND);
	assert_false(asleep());
	guest_fill(&bounded, GUEST_SCRATCH, 1, 64);
	guest_submit(&bounded);
	assert_int_equal(fences_wait(guest, handle, 0, 20 * SECOND), 0);
	await_sleep();
	assert_int_equal(guest_destroy(&bounded), 0);
	fences_destroy(guest, handle);
}

static void jobs_of_the_scheduler_wake_it(void **state)
{
	struct guest *guest = *state;
	int ctx = fences_context(guest);
	struct drm_axl_ctx_destroy destroy = {.ctx = (uint32_t)ctx};
	uint32_t handle = fences_create(guest);
	struct drm_axl_sync done = {.handle = handle};

	assert_true(ctx > 0);
	for (int i = 0; i < loops(); i++) {
		union axl_packet packet = fences_fill(GUEST_SCRATCH, (uint32_t)i, 4);

		await_sleep();
		assert_int_equal(fences_submit(guest, (uint32_t)ctx, &packet, 1, NULL, &done), 0);
		assert_int_equal(fences_wait(guest, handle, 0, 20 * SECOND), 0);
		assert_int_equal(*(volatile uint32_t *)guest_at(guest, GUEST_SCRATCH), i);
	}
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_CTX_DESTROY, &destroy), 0);
	fences_destroy(guest, handle);
}

/* It would begin its packet again. */
static void a_fault_keeps_it_awake(void **state)
{
	struct guest *guest = *state;

	guest_fill(guest, GUEST_NOWHERE, 1, 64);
	assert_int_equal(guest_wait(guest, guest_submit(guest), guest_in(20 * SECOND)), -EIO);
	guest_sleep(200 * MILLISECOND);
	assert_false(asleep());
	assert_int_equal(guest_reset(guest), 0);
	guest->head = guest_status(guest)->retired;
	await_sleep();
	assert_int_equal(guest_job(guest, 3), 0);
}

/* Its packet may stand at a YIELD, with what it has done so far in the tiles. */
static void a_suspended_queue_keeps_it_awake(void **state)
{
	struct guest *guest = *state;
	struct guest_program program;
	uint64_t index;

	guest_program_work(&program, 4000);
	guest_run(guest, &program, 0);
	index = guest_submit(guest);
	assert_int_equal(guest_queue_op(guest, DRM_IOCTL_AXL_QUEUE_SUSPEND, guest->queue), 0);
	guest_sleep(200 * MILLISECOND);
	assert_false(asleep());
	assert_int_equal(guest_queue_op(guest, DRM_IOCTL_AXL_QUEUE_RESUME, guest->queue), 0);
	assert_int_equal(guest_wait(guest, index, 60 * SECOND), 0);
	await_sleep();
	assert_int_equal(guest_job(guest, 3), 0);
}

/*
 * A reset of the function by sysfs: every queue stands and says why. When it is reset it begins the packet again at which it
 * stood: the good one ends well, the endless one is the watchdog's affair.
 */
static void the_function_is_reset_under_work(void **state)
{
	const struct guest_options options = {.watchdog = 64};
	struct guest guest;
	struct guest_program endless;

	(void)state;
	guest_program_endless(&endless);
	assert_int_equal(guest_create(&guest, &options), 0);
	for (int i = 0; i < loops(); i++) {
		bool bad = i % 2;
		uint64_t index;
		int status;

		if (bad)
			guest_run(&guest, &endless, 0);
		else
			guest_fill(&guest, GUEST_SCRATCH, 1, 64);
		index = guest_submit(&guest);
		set("reset", "1");
		assert_int_equal(guest_status(&guest)->state, AXL_QUEUE_FAULTED);
		status = guest_wait(&guest, index, guest_in(20 * SECOND));
		assert_true(status == -EIO || (!bad && !status));
		assert_int_equal(guest_reset(&guest), 0);
		assert_int_equal(guest_wait(&guest, index, guest_in(60 * SECOND)), bad ? -EIO : 0);
		if (bad)
			assert_int_equal(guest_reset(&guest), 0);
		assert_int_equal(guest_job(&guest, (uint32_t)i), 0);
	}
	assert_int_equal(guest_destroy(&guest), 0);
}

struct producer {
	struct guest guest;
	volatile bool stop;
};

/* One packet after another, with a doorbell whenever the device asks for one, whatever happens to the device meanwhile. */
static void *produce(void *arg)
{
	struct producer *producer = arg;
	struct guest *guest = &producer->guest;

	while (!producer->stop) {
		uint64_t retired = __atomic_load_n(&guest_status(guest)->retired, __ATOMIC_ACQUIRE);

		if (guest->head - retired < guest->slots / 2) {
			guest_nop(guest);
			guest_submit(guest);
		}
		/* So that the queue falls asleep now and then. */
		if (guest->head % 7 == 0)
			guest_sleep(100000);
	}
	return NULL;
}

/*
 * What is stored while the function is in reset reaches no device. Nothing is lost by it: the queue stands, and who lets it
 * go on makes the device look at the write index.
 */
static void doorbells_during_a_reset_are_not_missed(void **state)
{
	struct producer producer = {.stop = false};
	struct guest *guest = &producer.guest;
	pthread_t thread;

	(void)state;
	assert_int_equal(guest_create(guest, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, produce, &producer), 0);
	for (int i = 0; i < loops(); i++) {
		set("reset", "1");
		assert_int_equal(guest_status(guest)->state, AXL_QUEUE_FAULTED);
		guest_sleep(i % 4 * MILLISECOND);
		/* The last ones before the queue goes on: nobody rings after them. */
		producer.stop = i % 2;
		if (producer.stop)
			pthread_join(thread, NULL);
		assert_int_equal(guest_reset(guest), 0);
		if (producer.stop) {
			assert_int_equal(guest_wait(guest, guest->head, 20 * SECOND), 0);
			producer.stop = false;
			assert_int_equal(pthread_create(&thread, NULL, produce, &producer), 0);
		}
	}
	producer.stop = true;
	pthread_join(thread, NULL);
	assert_int_equal(guest_wait(guest, guest->head, 20 * SECOND), 0);
	assert_int_equal(guest_job(guest, 1), 0);
	assert_int_equal(guest_destroy(guest), 0);
}

#define WORDS 64

struct writer {
	volatile uint64_t *memory;
	volatile bool stop;
	uint64_t rounds, wrong;
};

static void *write_and_read(void *arg)
{
	struct writer *writer = arg;

	while (!writer->stop) {
		writer->rounds++;
		for (uint64_t i = 0; i < WORDS; i++)
			writer->memory[i * 64] = writer->rounds << 8 | i;
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		for (uint64_t i = 0; i < WORDS; i++)
			writer->wrong += writer->memory[i * 64] != (writer->rounds << 8 | i);
	}
	return NULL;
}

/* While the function is in reset its memory decodes nothing: a store would be lost, a load all ones. Who touches it waits. */
static void local_memory_is_whole_over_resets(void **state)
{
	struct guest *guest = *state;
	struct writer writer = {.stop = false};
	pthread_t thread;
	struct guest_bo bo;

	assert_int_equal(guest_bo_map(guest->fd, WORDS * 64 * sizeof(uint64_t), DRM_AXL_BO_LOCAL, &bo), 0);
	writer.memory = bo.data;
	assert_int_equal(pthread_create(&thread, NULL, write_and_read, &writer), 0);
	for (int i = 0; i < loops(); i++) {
		uint64_t rounds = writer.rounds;

		set("reset", "1");
		for (int64_t end = guest_in(20 * SECOND); writer.rounds < rounds + 2; guest_sleep(MILLISECOND / 10))
			assert_true(guest_now() < end);
	}
	writer.stop = true;
	pthread_join(thread, NULL);
	assert_int_equal(writer.wrong, 0);
	assert_int_equal(guest_bo_destroy(guest->fd, &bo), 0);
	assert_int_equal(guest_reset(guest), 0);
	assert_int_equal(guest_job(guest, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SLEEPY(a_doorbell_wakes_it),
		SLEEPY(no_doorbell_is_lost),
		SLEEPY(many_wake_it),
		SLEEPY(local_memory_is_there_when_it_wakes),
		SLEEPY(looking_does_not_wake_it),
		SLEEPY(who_waits_does_not_keep_it_awake),
		SLEEPY(a_fence_keeps_it_awake),
		SLEEPY(jobs_of_the_scheduler_wake_it),
		SLEEPY(a_fault_keeps_it_awake),
		SLEEPY(a_suspended_queue_keeps_it_awake),
		SLEEPY(the_function_is_reset_under_work),
		SLEEPY(doorbells_during_a_reset_are_not_missed),
		CHECK(local_memory_is_whole_over_resets),
	};

	return check_run("power", tests, NULL, NULL);
}
