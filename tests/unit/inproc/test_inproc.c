/* SPDX-License-Identifier: MIT */
/* The in-process device with its own thread: objects and their lifetimes, waiting, resets, wake-ups. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "sim/inproc/inproc.h"

#define SLOTS 64u
#define VA 0x100000000ull
#define SECOND 1000000000ll

/* A device with one space, one context and memory at VA: ring, index page, 64 words. */
struct rig {
	struct inproc *device;
	struct inproc_space *space;
	struct inproc_context *context;
	const struct axl_status_page *status;
	struct inproc_memory *memory;
	uint8_t *data;
};

struct user {
	struct rig *rig;
	struct inproc_queue *queue;
	union axl_packet *ring;
	struct axl_queue_index *index;
	const struct axl_queue_status *status;
	unsigned int slot;
};

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * SECOND + time.tv_nsec;
}

static int setup(void **state)
{
	const struct inproc_options options = {.target = "axl-edge", .threads = 1, .spin_us = 20, .timing = true};
	struct rig *rig = calloc(1, sizeof(*rig));
	void *data;

	assert_int_equal(inproc_create(&options, &rig->device), 0);
	assert_int_equal(inproc_space_create(rig->device, &rig->space), 0);
	assert_int_equal(inproc_context_create(rig->space, &rig->context, &rig->status), 0);
	assert_int_equal(inproc_memory_create(rig->device, 1 << 20, false, &rig->memory, &data), 0);
	assert_int_equal(inproc_bind(rig->space, VA, rig->memory, 0, 1 << 20, INPROC_READ | INPROC_WRITE), 0);
	rig->data = data;
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(inproc_context_destroy(rig->context), 0);
	assert_int_equal(inproc_space_destroy(rig->space), 0);
	assert_int_equal(inproc_memory_destroy(rig->memory), 0);
	inproc_destroy(rig->device);
	free(rig);
	return 0;
}

static struct user open_queue(struct rig *rig, unsigned int slot)
{
	uint64_t at = slot * 0x10000ull;
	struct inproc_queue_args args = {.slot = slot, .slots = SLOTS, .ring = VA + at, .index = VA + at + 0x8000};
	struct user user = {.rig = rig, .slot = slot};

	user.ring = (union axl_packet *)(void *)(rig->data + at);
	user.index = (struct axl_queue_index *)(void *)(rig->data + at + 0x8000);
	user.status = &rig->status->queue[slot];
	memset(user.index, 0, sizeof(*user.index));
	assert_int_equal(inproc_queue_create(rig->context, &args, &user.queue), 0);
	return user;
}

/* The producer's side of uapi/axl/axl_queue.h. */
static uint64_t submit(struct user *user, const void *packet)
{
	uint64_t write = user->index->write;

	while (write - __atomic_load_n(&user->status->retired, __ATOMIC_ACQUIRE) >= SLOTS)
		;
	memcpy(&user->ring[write % SLOTS], packet, sizeof(*user->ring));
	__atomic_store_n(&user->index->write, write + 1, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&user->status->event, __ATOMIC_RELAXED) == write)
		inproc_doorbell(user->rig->context, user->slot);
	return write + 1;
}

static uint64_t submit_nop(struct user *user)
{
	return submit(user, &(union axl_packet){.header.opcode = AXL_PKT_NOP});
}

static uint64_t submit_fence(struct user *user, uint8_t opcode, uint64_t word, uint64_t value, uint32_t op)
{
	struct axl_packet_fence packet = {
		.header.opcode = opcode, .address = VA + 0xf0000 + 8 * word, .value = value, .op = op};

	return submit(user, &packet);
}

static void objects_outlive_what_uses_them(void **state)
{
	struct rig *rig = *state;
	struct user user = open_queue(rig, 0);

	assert_int_equal(inproc_memory_destroy(rig->memory), -EBUSY);
	assert_int_equal(inproc_space_destroy(rig->space), -EBUSY);
	assert_int_equal(inproc_context_destroy(rig->context), -EBUSY);
	inproc_queue_destroy(user.queue);
}

static void bindings_are_checked(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(inproc_bind(rig->space, VA, rig->memory, 0, 4096, INPROC_READ), -EEXIST);
	assert_int_equal(inproc_bind(rig->space, VA + (1 << 20), rig->memory, 4096, 1 << 20, INPROC_READ), -EINVAL);
	assert_int_equal(inproc_bind(rig->space, VA + (1 << 20) + 1, rig->memory, 0, 4096, INPROC_READ), -EINVAL);
	assert_int_equal(inproc_bind(rig->space, VA + (1 << 20), rig->memory, 0, 4096, 0), -EINVAL);
	assert_int_equal(inproc_bind(rig->space, VA + (1 << 20), rig->memory, 0, 4096, 8), -EINVAL);
	assert_int_equal(inproc_bind(rig->space, (1ull << 48) - 4096, rig->memory, 0, 8192, INPROC_READ), -EINVAL);
	assert_int_equal(inproc_unbind(rig->space, VA, 4096), -ENOENT);
	assert_int_equal(inproc_bind(rig->space, (1ull << 48) - 4096, rig->memory, 0, 4096, INPROC_READ), 0);
	assert_int_equal(inproc_unbind(rig->space, (1ull << 48) - 4096, 4096), 0);
}

static void local_memory_is_limited_and_comes_back_zeroed(void **state)
{
	struct rig *rig = *state;
	uint64_t size = inproc_register(rig->device, AXL_REG_MEM_SIZE);
	struct inproc_memory *all, *half[2], *more;
	void *data, *other;

	assert_int_equal(inproc_memory_create(rig->device, 0, true, &all, &data), -EINVAL);
	assert_int_equal(inproc_memory_create(rig->device, size + 1, true, &all, &data), -ENOSPC);
	assert_int_equal(inproc_memory_create(rig->device, size, true, &all, &data), 0);
	assert_int_equal(inproc_memory_create(rig->device, 1, true, &more, &other), -ENOSPC);
	memset(data, 0x55, 4096);
	assert_int_equal(inproc_memory_destroy(all), 0);
	assert_int_equal(inproc_memory_create(rig->device, size / 2, true, &half[0], &data), 0);
	assert_int_equal(((uint8_t *)data)[4095], 0);
	assert_int_equal(inproc_memory_create(rig->device, size / 2, true, &half[1], &data), 0);
	assert_int_equal(inproc_memory_destroy(half[0]), 0);
	assert_int_equal(inproc_memory_destroy(half[1]), 0);
	assert_int_equal(inproc_memory_create(rig->device, size, true, &all, &data), 0);
	assert_int_equal(inproc_memory_destroy(all), 0);
}

static void contexts_and_slots_run_out_with_an_error(void **state)
{
	struct rig *rig = *state;
	struct inproc_context *more[AXL_MAX_CONTEXTS];
	const struct axl_status_page *status;
	struct inproc_queue_args args = {.slot = 0, .slots = SLOTS, .ring = VA, .index = VA + 0x8000};
	struct user user = open_queue(rig, 0);
	struct inproc_queue *queue;
	int count = 0;

	assert_int_equal(inproc_queue_create(rig->context, &args, &queue), -EEXIST);
	args.slot = AXL_QUEUES_PER_CONTEXT;
	assert_int_equal(inproc_queue_create(rig->context, &args, &queue), -EINVAL);
	args.slot = 1;
	args.slots = 7;
	assert_int_equal(inproc_queue_create(rig->context, &args, &queue), -EINVAL);
	inproc_queue_destroy(user.queue);
	while (count < AXL_MAX_CONTEXTS && !inproc_context_create(rig->space, &more[count], &status))
		count++;
	assert_int_equal(count, AXL_MAX_CONTEXTS - 1);
	assert_int_equal(inproc_context_create(rig->space, &more[count], &status), -ENOSPC);
	while (count--)
		assert_int_equal(inproc_context_destroy(more[count]), 0);
}

static void a_sleeping_device_wakes_for_each_packet(void **state)
{
	struct user user = open_queue(*state, 0);

	for (int i = 0; i < 200; i++) {
		uint64_t index = submit_nop(&user);

		assert_int_equal(inproc_queue_wait(user.queue, index, now() + 10 * SECOND), 0);
		if (i % 2) {
			struct timespec nap = {.tv_nsec = 100000};

			nanosleep(&nap, NULL); /* long enough for the device to fall asleep */
		}
	}
	inproc_queue_destroy(user.queue);
}

static void waiting_ends_at_its_deadline(void **state)
{
	struct user user = open_queue(*state, 0);
	uint64_t index = submit_fence(&user, AXL_PKT_WAIT, 0, 1, AXL_WAIT_EQ);

	assert_int_equal(inproc_queue_wait(user.queue, index, now() + SECOND / 100), -ETIMEDOUT);
	assert_int_equal(inproc_queue_wait(user.queue, 0, 0), 0);
	__atomic_store_n((uint64_t *)(void *)(user.rig->data + 0xf0000), 1, __ATOMIC_RELEASE);
	assert_int_equal(inproc_queue_wait(user.queue, index, now() + 10 * SECOND), 0);
	inproc_queue_destroy(user.queue);
}

static void a_reset_drops_the_packet_that_hangs_and_the_next_one_runs(void **state)
{
	struct user user = open_queue(*state, 0);
	uint64_t good = submit_nop(&user);
	uint64_t hung = submit_fence(&user, AXL_PKT_WAIT, 0, 1, AXL_WAIT_EQ), next = submit_nop(&user);

	assert_int_equal(inproc_queue_wait(user.queue, good, now() + 10 * SECOND), 0);
	assert_int_equal(inproc_queue_wait(user.queue, hung, now() + SECOND / 100), -ETIMEDOUT);
	assert_int_equal(inproc_queue_reset(user.queue), 0);
	assert_int_equal(inproc_queue_wait(user.queue, hung, now() + 10 * SECOND), -ECANCELED);
	assert_int_equal(inproc_queue_wait(user.queue, next, now() + 10 * SECOND), 0);
	assert_int_equal(inproc_queue_wait(user.queue, good, now() + 10 * SECOND), 0);
	assert_true(user.status->generation == 1);
	inproc_queue_destroy(user.queue);
}

static void a_fault_reaches_who_waits_with_its_record(void **state)
{
	struct user user = open_queue(*state, 0);
	struct axl_fault_record record;
	struct axl_packet_fill fill = {.header = {.opcode = AXL_PKT_FILL, .tag = 77}, .dst = 0x1000, .size = 4};
	uint64_t index;

	assert_false(inproc_queue_fault(user.queue, &record));
	index = submit(&user, &fill);
	assert_int_equal(inproc_queue_wait(user.queue, index, now() + 10 * SECOND), -EIO);
	assert_true(inproc_queue_fault(user.queue, &record));
	assert_int_equal(record.cause, AXL_CAUSE_NOT_MAPPED);
	assert_int_equal(record.tag, 77);
	assert_true(record.address == 0x1000);
	assert_int_equal(inproc_queue_reset(user.queue), 0);
	index = submit_nop(&user);
	assert_int_equal(inproc_queue_wait(user.queue, index, now() + 10 * SECOND), 0);
	inproc_queue_destroy(user.queue);
}

static void unbound_memory_is_out_of_reach_at_once(void **state)
{
	struct user user = open_queue(*state, 0);
	struct rig *rig = user.rig;
	struct axl_packet_fill fill = {.header.opcode = AXL_PKT_FILL, .dst = 2 * VA, .size = 2 << 20, .pattern = 1};
	struct inproc_memory *memory;
	void *data;

	assert_int_equal(inproc_memory_create(rig->device, 4 << 20, true, &memory, &data), 0);
	for (int i = 0; i < 20; i++) {
		uint64_t index;

		assert_int_equal(
			inproc_bind(rig->space, 2 * VA, memory, (uint64_t)(i % 2) << 21, 2 << 20, INPROC_WRITE), 0);
		fill.pattern = (uint32_t)i + 1;
		index = submit(&user, &fill);
		assert_int_equal(inproc_queue_wait(user.queue, index, now() + 10 * SECOND), 0);
		assert_int_equal(((uint32_t *)data)[(i % 2) << 19], i + 1);
		assert_int_equal(inproc_unbind(rig->space, 2 * VA, 2 << 20), 0);
		index = submit(&user, &fill);
		assert_int_equal(inproc_queue_wait(user.queue, index, now() + 10 * SECOND), -EIO);
		assert_int_equal(inproc_queue_reset(user.queue), 0);
	}
	inproc_queue_destroy(user.queue);
	assert_int_equal(inproc_memory_destroy(memory), 0);
}

static void stop_and_start(void **state)
{
	struct user user = open_queue(*state, 0);
	uint64_t index;

	assert_int_equal(inproc_queue_stop(user.queue), 0);
	assert_int_equal(inproc_queue_stop(user.queue), -EINVAL);
	index = submit_nop(&user);
	assert_int_equal(inproc_queue_wait(user.queue, index, now() + SECOND / 100), -ETIMEDOUT);
	assert_int_equal(inproc_queue_start(user.queue), 0);
	assert_int_equal(inproc_queue_wait(user.queue, index, now() + 10 * SECOND), 0);
	inproc_queue_destroy(user.queue);
}

/* Two producers that pass a baton through fences, each with a waiter of its own. */
static void *ping(void *arg)
{
	struct user *user = arg;
	uint64_t index = 0;

	for (uint64_t i = 1; i <= 300; i++) {
		if (user->slot == 0) {
			submit_fence(user, AXL_PKT_SIGNAL, 0, i, 0);
			index = submit_fence(user, AXL_PKT_WAIT, 1, i, AXL_WAIT_GE);
		} else {
			submit_fence(user, AXL_PKT_WAIT, 0, i, AXL_WAIT_GE);
			index = submit_fence(user, AXL_PKT_SIGNAL, 1, i, 0);
		}
		if (i % 50 == 0 && inproc_queue_wait(user->queue, index, now() + 30 * SECOND))
			return (void *)1;
	}
	return inproc_queue_wait(user->queue, index, now() + 30 * SECOND) ? (void *)1 : NULL;
}

static void two_threads_pass_a_baton(void **state)
{
	struct user users[2] = {open_queue(*state, 0), open_queue(*state, 1)};
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ping, &users[i]), 0);
	for (int i = 0; i < 2; i++) {
		void *result;

		pthread_join(threads[i], &result);
		assert_null(result);
	}
	for (int i = 0; i < 2; i++)
		inproc_queue_destroy(users[i].queue);
}

static void a_busy_device_can_be_destroyed(void **state)
{
	const struct inproc_options options = {.target = "axl-pro", .threads = 2, .timing = true};
	struct inproc *device;

	(void)state;
	assert_int_equal(inproc_create(&(struct inproc_options){.target = "axl-none"}, &device), -ENOENT);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(inproc_create(&options, &device), 0);
		inproc_destroy(device);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(objects_outlive_what_uses_them),
		TEST(bindings_are_checked),
		TEST(local_memory_is_limited_and_comes_back_zeroed),
		TEST(contexts_and_slots_run_out_with_an_error),
		TEST(a_sleeping_device_wakes_for_each_packet),
		TEST(waiting_ends_at_its_deadline),
		TEST(a_reset_drops_the_packet_that_hangs_and_the_next_one_runs),
		TEST(a_fault_reaches_who_waits_with_its_record),
		TEST(unbound_memory_is_out_of_reach_at_once),
		TEST(stop_and_start),
		TEST(two_threads_pass_a_baton),
		TEST(a_busy_device_can_be_destroyed),
	};

	return cmocka_run_group_tests_name("inproc", tests, NULL, NULL);
}
