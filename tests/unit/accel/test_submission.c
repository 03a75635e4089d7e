/* SPDX-License-Identifier: MIT */
/* libaccel's queues: what packets are refused for, how queues share the device, and how they get out of trouble. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"

/* Submit what was handed out and wait for it. */
static int finish(struct accel_queue *queue)
{
	return accel_queue_wait(queue, accel_queue_submit(queue), in(20 * SECOND));
}

static struct accel_queue *queue_with(struct rig *rig, struct accel_queue_options options)
{
	struct accel_queue *queue;

	assert_int_equal(accel_queue_create(rig->context, &options, &queue), 0);
	return queue;
}

/* ---- refusals ---- */

static void expect_fault(struct accel_queue *queue, enum axl_cause cause)
{
	struct axl_fault_record fault;
	uint64_t generation = queue->status->generation;

	assert_int_equal(finish(queue), -EIO);
	assert_int_equal(accel_queue_state(queue), AXL_QUEUE_FAULTED);
	assert_int_equal(accel_queue_fault(queue, &fault), 0);
	assert_int_equal(fault.cause, cause);
	assert_true(fault.packet == accel_queue_retired(queue));
	assert_int_equal(accel_queue_reset(queue), 0);
	assert_true(queue->status->generation == generation + 1);
	assert_int_equal(accel_queue_wait(queue, fault.packet + 1, in(20 * SECOND)), -ECANCELED);
	accel_packet_nop(accel_queue_next(queue));
	assert_int_equal(finish(queue), 0);
}

static void malformed_packets_stop_the_queue_and_a_reset_goes_on(void **state)
{
	struct rig *rig = *state;
	struct accel_queue *queue = rig->queue;
	struct accel_buffer *buffer;
	uint64_t at;
	const uint8_t *data;

	assert_int_equal(accel_buffer_create(rig->device, 8192, ACCEL_BUFFER_WRITE, &buffer), 0);
	at = accel_buffer_address(buffer);
	data = accel_buffer_data(buffer);
	accel_packet_copy(accel_queue_next(queue), at + 100, at, 101);
	expect_fault(queue, AXL_CAUSE_PACKET);
	accel_packet_copy(accel_queue_next(queue), at, at + 100, 101);
	expect_fault(queue, AXL_CAUSE_PACKET);
	accel_packet_copy(accel_queue_next(queue), at, ~0ull - 3, 64);
	assert_int_equal(finish(queue), -EIO);
	assert_int_equal(accel_queue_reset(queue), 0);
	accel_packet_fill(accel_queue_next(queue), at + 2, 1, 64);
	expect_fault(queue, AXL_CAUSE_PACKET);
	accel_packet_fill(accel_queue_next(queue), at, 1, 63);
	expect_fault(queue, AXL_CAUSE_PACKET);
	accel_packet_signal(accel_queue_next(queue), at + 4, 1);
	expect_fault(queue, AXL_CAUSE_PACKET);
	accel_packet_wait(accel_queue_next(queue), at, (enum axl_wait_op)6, 1);
	expect_fault(queue, AXL_CAUSE_PACKET);
	accel_packet_timestamp(accel_queue_next(queue), at + 1);
	expect_fault(queue, AXL_CAUSE_PACKET);
	memset(accel_queue_next(queue), 0xff, AXL_PACKET_BYTES);
	expect_fault(queue, AXL_CAUSE_PACKET);
	for (int i = 0; i < 8192; i++)
		assert_int_equal(data[i], 0);
	accel_packet_copy(accel_queue_next(queue), at + 100, at, 100);
	assert_int_equal(finish(queue), 0);
	assert_int_equal(accel_buffer_destroy(buffer), 0);
}

static void a_write_index_beyond_the_ring_stops_the_queue(void **state)
{
	struct rig *rig = *state;
	struct axl_fault_record fault;

	rig->queue->head = 257;
	assert_int_equal(finish(rig->queue), -EIO);
	assert_int_equal(accel_queue_fault(rig->queue, &fault), 0);
	assert_int_equal(fault.cause, AXL_CAUSE_RING);
}

static void a_bounded_queue_refuses_to_wait(void **state)
{
	struct rig *rig = *state;
	struct accel_queue *queue =
		queue_with(rig, (struct accel_queue_options){.flags = AXL_QUEUE_BOUNDED, .watchdog = 1000});
	struct accel_fence *fence;

	assert_int_equal(accel_fence_create(accel_device_vm(rig->device), &fence), 0);
	accel_packet_wait(accel_queue_next(queue), accel_fence_address(fence), AXL_WAIT_GE, 0);
	expect_fault(queue, AXL_CAUSE_PACKET);
	accel_packet_signal(accel_queue_next(queue), accel_fence_address(fence), 5);
	assert_int_equal(finish(queue), 0);
	assert_true(accel_fence_value(fence) == 5);
	accel_queue_destroy(queue);
	accel_fence_destroy(fence);
}

static void a_watchdog_ends_a_fill_that_runs_too_long(void **state)
{
	struct rig *rig = *state;
	struct accel_queue *queue =
		queue_with(rig, (struct accel_queue_options){.flags = AXL_QUEUE_BOUNDED, .watchdog = 4});
	struct accel_buffer *buffer;

	assert_int_equal(accel_buffer_create(rig->device, 16 << 20, ACCEL_BUFFER_WRITE, &buffer), 0);
	accel_packet_fill(accel_queue_next(queue), accel_buffer_address(buffer), 1, 16 << 20);
	expect_fault(queue, AXL_CAUSE_WATCHDOG);
	/* It counts anew for each packet, however many there are. */
	for (int i = 0; i < 100; i++)
		accel_packet_fill(accel_queue_next(queue), accel_buffer_address(buffer), 1, 4096);
	assert_int_equal(finish(queue), 0);
	assert_true(accel_queue_cycles(queue) > 2 * 4096);
	accel_packet_fill(accel_queue_next(rig->queue), accel_buffer_address(buffer), 1, 16 << 20);
	assert_int_equal(finish(rig->queue), 0);
	accel_queue_destroy(queue);
	assert_int_equal(accel_buffer_destroy(buffer), 0);
}

/* ---- fences ---- */

static void each_comparison_holds_when_it_says(void **state)
{
	static const struct {
		enum axl_wait_op op;
		bool below, equal, above; /* word < value, … */
	} all[] = {
		{AXL_WAIT_EQ, false, true, false}, {AXL_WAIT_NE, true, false, true}, {AXL_WAIT_GE, false, true, true},
		{AXL_WAIT_GT, false, false, true}, {AXL_WAIT_LE, true, true, false}, {AXL_WAIT_LT, true, false, false},
	};
	static const uint64_t words[3] = {4, 1ull << 63, ~0ull};
	struct rig *rig = *state;
	struct accel_fence *fence;

	assert_int_equal(accel_fence_create(accel_device_vm(rig->device), &fence), 0);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		const bool holds[3] = {all[i].below, all[i].equal, all[i].above};

		for (int w = 0; w < 3; w++) {
			uint64_t index;

			accel_fence_signal(fence, words[w]);
			accel_packet_wait(accel_queue_next(rig->queue), accel_fence_address(fence), all[i].op,
					  1ull << 63);
			index = accel_queue_submit(rig->queue);
			if (holds[w]) {
				assert_int_equal(accel_queue_wait(rig->queue, index, in(20 * SECOND)), 0);
				continue;
			}
			assert_int_equal(accel_queue_wait(rig->queue, index, in(SECOND / 500)), -ETIMEDOUT);
			assert_int_equal(accel_queue_reset(rig->queue), 0);
		}
	}
	accel_fence_destroy(fence);
}

static void two_queues_of_two_contexts_take_turns(void **state)
{
	struct rig *rig = *state;
	struct accel_context *context;
	struct accel_queue *other;
	struct accel_fence *ping, *pong;
	struct accel_buffer *buffer;
	uint32_t *words;
	uint64_t at;

	assert_int_equal(accel_context_create(accel_device_vm(rig->device), &context), 0);
	assert_int_equal(accel_queue_create(context, NULL, &other), 0);
	assert_int_equal(accel_fence_create(accel_device_vm(rig->device), &ping), 0);
	assert_int_equal(accel_fence_create(accel_device_vm(rig->device), &pong), 0);
	assert_int_equal(accel_buffer_create(rig->device, 4096, ACCEL_BUFFER_WRITE, &buffer), 0);
	at = accel_buffer_address(buffer);
	words = accel_buffer_data(buffer);
	/* Each turn copies what the other queue wrote last: one turn lost or early, and the value gets stuck. */
	words[0] = 4711;
	for (uint64_t turn = 0; turn < 60; turn++) {
		accel_packet_wait(accel_queue_next(rig->queue), accel_fence_address(pong), AXL_WAIT_GE, turn);
		accel_packet_copy(accel_queue_next(rig->queue), at + 8 * turn + 4, at + 8 * turn, 4);
		accel_packet_signal(accel_queue_next(rig->queue), accel_fence_address(ping), turn + 1);
		accel_packet_wait(accel_queue_next(other), accel_fence_address(ping), AXL_WAIT_GE, turn + 1);
		accel_packet_copy(accel_queue_next(other), at + 8 * turn + 8, at + 8 * turn + 4, 4);
		accel_packet_signal(accel_queue_next(other), accel_fence_address(pong), turn + 1);
	}
	accel_queue_submit(other);
	assert_int_equal(finish(rig->queue), 0);
	assert_int_equal(finish(other), 0);
	assert_int_equal(words[120], 4711);
	accel_queue_destroy(other);
	assert_int_equal(accel_context_destroy(context), 0);
	accel_fence_destroy(ping);
	accel_fence_destroy(pong);
	assert_int_equal(accel_buffer_destroy(buffer), 0);
}

/* ---- sharing ---- */

static void the_higher_priority_is_not_interrupted_by_the_lower(void **state)
{
	enum { LOW = 60, HIGH = 12 };
	struct rig *rig = *state;
	struct accel_queue *low = queue_with(rig, (struct accel_queue_options){.priority = 0});
	struct accel_queue *high = queue_with(rig, (struct accel_queue_options){.priority = 3});
	struct accel_buffer *buffer;
	struct accel_fence *gate;
	uint64_t at, *times, low_end, high_end;

	assert_int_equal(accel_fence_create(accel_device_vm(rig->device), &gate), 0);
	assert_int_equal(accel_buffer_create(rig->device, 1 << 20, ACCEL_BUFFER_WRITE, &buffer), 0);
	at = accel_buffer_address(buffer);
	times = accel_buffer_data(buffer);
	/* Both have all of their work before either begins. */
	accel_packet_wait(accel_queue_next(low), accel_fence_address(gate), AXL_WAIT_EQ, 1);
	accel_packet_wait(accel_queue_next(high), accel_fence_address(gate), AXL_WAIT_EQ, 1);
	for (uint64_t i = 0; i < LOW; i++) {
		accel_packet_fill(accel_queue_next(low), at + 65536, 1, 65536);
		accel_packet_timestamp(accel_queue_next(low), at + 8 * i);
	}
	for (uint64_t i = 0; i < HIGH; i++) {
		accel_packet_fill(accel_queue_next(high), at + 131072, 1, 65536);
		accel_packet_timestamp(accel_queue_next(high), at + 4096 + 8 * i);
	}
	low_end = accel_queue_submit(low);
	high_end = accel_queue_submit(high);
	accel_fence_signal(gate, 1);
	assert_int_equal(accel_queue_wait(high, high_end, in(20 * SECOND)), 0);
	assert_int_equal(accel_queue_wait(low, low_end, in(20 * SECOND)), 0);
	for (int i = 0; i < LOW; i++)
		assert_false(times[i] > times[512] && times[i] < times[512 + HIGH - 1]);
	accel_queue_destroy(low);
	accel_queue_destroy(high);
	accel_fence_destroy(gate);
	assert_int_equal(accel_buffer_destroy(buffer), 0);
}

static void a_reset_of_an_idle_queue_drops_nothing(void **state)
{
	struct rig *rig = *state;

	for (int i = 0; i < 20; i++) {
		uint64_t retired = accel_queue_retired(rig->queue);

		assert_int_equal(accel_queue_reset(rig->queue), 0);
		assert_true(accel_queue_retired(rig->queue) == retired);
		accel_packet_nop(accel_queue_next(rig->queue));
		assert_int_equal(finish(rig->queue), 0);
		assert_int_equal(accel_queue_reset(rig->queue), 0);
		assert_int_equal(accel_queue_wait(rig->queue, retired + 1, 0), 0);
	}
	assert_true(rig->queue->status->dropped == 0);
}

static void a_suspended_queue_can_be_reset(void **state)
{
	struct rig *rig = *state;
	struct accel_fence *fence;
	uint64_t hung;

	assert_int_equal(accel_fence_create(accel_device_vm(rig->device), &fence), 0);
	accel_packet_wait(accel_queue_next(rig->queue), accel_fence_address(fence), AXL_WAIT_EQ, 1);
	hung = accel_queue_submit(rig->queue);
	assert_int_equal(accel_queue_wait(rig->queue, hung, in(SECOND / 100)), -ETIMEDOUT);
	assert_int_equal(accel_queue_suspend(rig->queue), 0);
	assert_int_equal(accel_queue_reset(rig->queue), 0);
	assert_int_equal(accel_queue_state(rig->queue), AXL_QUEUE_RUNNING);
	accel_packet_nop(accel_queue_next(rig->queue));
	assert_int_equal(finish(rig->queue), 0);
	accel_fence_destroy(fence);
}

static void a_slot_that_was_used_before_starts_afresh(void **state)
{
	struct rig *rig = *state;

	for (int i = 0; i < 3 * AXL_QUEUES_PER_CONTEXT; i++) {
		struct accel_queue *queue = queue_with(rig, (struct accel_queue_options){.slots = 8});
		struct axl_fault_record fault;

		assert_true(accel_queue_retired(queue) == 0);
		assert_int_equal(accel_queue_state(queue), AXL_QUEUE_RUNNING);
		assert_int_equal(accel_queue_fault(queue, &fault), -ENOENT);
		accel_packet_nop(accel_queue_next(queue));
		assert_int_equal(finish(queue), 0);
		accel_packet_fill(accel_queue_next(queue), 0, 0, 64);
		assert_int_equal(finish(queue), -EIO);
		accel_queue_destroy(queue);
	}
}

static void a_device_that_sleeps_is_woken_by_a_doorbell(void **state)
{
	struct accel_counters before, after;
	struct rig rig;
	char error[100];

	(void)state;
	assert_int_equal(
		accel_open(rig_is_kernel() ? rig_device() : "sim:threads=1,spin=0", &rig.device, error, sizeof(error)),
		0);
	assert_int_equal(accel_context_create(accel_device_vm(rig.device), &rig.context), 0);
	assert_int_equal(accel_queue_create(rig.context, NULL, &rig.queue), 0);
	accel_device_counters(rig.device, &before);
	for (uint64_t i = 0; i < 200; i++) {
		/* The device has said that it sleeps: from here on the doorbell alone moves it. */
		while (__atomic_load_n(&rig.queue->status->event, __ATOMIC_ACQUIRE) != i)
			;
		accel_packet_nop(accel_queue_next(rig.queue));
		assert_int_equal(finish(rig.queue), 0);
	}
	accel_device_counters(rig.device, &after);
	assert_true(after.doorbells == before.doorbells + 200);
	accel_queue_destroy(rig.queue);
	assert_int_equal(accel_context_destroy(rig.context), 0);
	accel_close(rig.device);
}

/* ---- threads ---- */

struct sleeper {
	struct accel_queue *queue;
	uint64_t index;
	int result;
};

static void *sleep_on(void *arg)
{
	struct sleeper *sleeper = arg;

	sleeper->result = accel_queue_wait(sleeper->queue, sleeper->index, in(60 * SECOND));
	return NULL;
}

static void sleepers_learn_of_a_fault_and_of_a_reset(void **state)
{
	struct rig *rig = *state;
	struct accel_fence *fence;
	struct sleeper sleepers[3];
	pthread_t threads[3];

	assert_int_equal(accel_fence_create(accel_device_vm(rig->device), &fence), 0);
	accel_packet_wait(accel_queue_next(rig->queue), accel_fence_address(fence), AXL_WAIT_EQ, 1);
	sleepers[0] = (struct sleeper){rig->queue, accel_queue_submit(rig->queue), 1};
	accel_packet_fill(accel_queue_next(rig->queue), 0, 0, 64);
	sleepers[1] = (struct sleeper){rig->queue, accel_queue_submit(rig->queue), 1};
	accel_packet_nop(accel_queue_next(rig->queue));
	sleepers[2] = (struct sleeper){rig->queue, accel_queue_submit(rig->queue), 1};
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, sleep_on, &sleepers[i]), 0);
	assert_int_equal(accel_queue_wait(rig->queue, sleepers[2].index, in(SECOND / 50)), -ETIMEDOUT);
	assert_int_equal(accel_queue_reset(rig->queue), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(sleepers[0].result, -ECANCELED);
	assert_int_equal(sleepers[1].result, -EIO);
	assert_int_equal(sleepers[2].result, -EIO);
	accel_fence_destroy(fence);
}

struct stage {
	struct accel_queue *queue;
	struct accel_fence *from, *to;
};

/* A producer whose every packet waits for the stage before it, through a ring far smaller than the work. */
static void *produce_stage(void *arg)
{
	struct stage *stage = arg;

	for (uint64_t i = 1; i <= 500; i++) {
		while (accel_queue_space(stage->queue) < 2)
			;
		accel_packet_wait(accel_queue_next(stage->queue), accel_fence_address(stage->from), AXL_WAIT_GE, i);
		accel_packet_signal(accel_queue_next(stage->queue), accel_fence_address(stage->to), i);
		accel_queue_submit(stage->queue);
	}
	return NULL;
}

static void a_pipeline_of_producers_in_their_own_threads(void **state)
{
	struct rig *rig = *state;
	struct accel_fence *fences[4];
	struct stage stages[3];
	pthread_t threads[3];

	for (int i = 0; i < 4; i++)
		assert_int_equal(accel_fence_create(accel_device_vm(rig->device), &fences[i]), 0);
	for (int i = 0; i < 3; i++) {
		stages[i] = (struct stage){queue_with(rig, (struct accel_queue_options){.slots = 8, .priority = 1}),
					   fences[i], fences[i + 1]};
		assert_int_equal(pthread_create(&threads[i], NULL, produce_stage, &stages[i]), 0);
	}
	for (uint64_t i = 1; i <= 500; i++) {
		accel_fence_signal(fences[0], i);
		assert_int_equal(accel_fence_wait(fences[3], i > 20 ? i - 20 : 0, in(60 * SECOND)), 0);
	}
	assert_int_equal(accel_fence_wait(fences[3], 500, in(60 * SECOND)), 0);
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(accel_queue_wait(stages[i].queue, 1000, in(20 * SECOND)), 0);
		accel_queue_destroy(stages[i].queue);
	}
	for (int i = 0; i < 4; i++)
		accel_fence_destroy(fences[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(malformed_packets_stop_the_queue_and_a_reset_goes_on),
		RIG_TEST(a_write_index_beyond_the_ring_stops_the_queue),
		RIG_TEST(a_bounded_queue_refuses_to_wait),
		RIG_TEST(a_watchdog_ends_a_fill_that_runs_too_long),
		RIG_TEST(each_comparison_holds_when_it_says),
		RIG_TEST(two_queues_of_two_contexts_take_turns),
		RIG_TEST(the_higher_priority_is_not_interrupted_by_the_lower),
		RIG_TEST(a_reset_of_an_idle_queue_drops_nothing),
		RIG_TEST(a_suspended_queue_can_be_reset),
		RIG_TEST(a_slot_that_was_used_before_starts_afresh),
		cmocka_unit_test(a_device_that_sleeps_is_woken_by_a_doorbell),
		RIG_TEST(sleepers_learn_of_a_fault_and_of_a_reset),
		RIG_TEST(a_pipeline_of_producers_in_their_own_threads),
	};

	return cmocka_run_group_tests_name("submission", tests, NULL, NULL);
}
