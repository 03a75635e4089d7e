/* SPDX-License-Identifier: MIT */
/*
 * Want of memory: each allocation that libaccel and the device below it make fails once, in turn. Whatever fails is
 * answered with -ENOMEM (or -EAGAIN, by a thread that can not start), leaves nothing behind (under the address
 * sanitizer: no leak), and the same call succeeds when it is tried again.
 *
 * The allocators are wrapped by the linker (--wrap), so that only calls from the program and the static libraries
 * count, not those inside the C library.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "rig.h"

static atomic_long countdown; /* the allocation that makes it 0 fails; negative: none does */

static bool fails_now(void)
{
	return atomic_load(&countdown) > 0 && atomic_fetch_sub(&countdown, 1) == 1;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	return fails_now() ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
	return fails_now() ? NULL : __real_calloc(count, size);
}

void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size)
{
	return fails_now() ? NULL : __real_realloc(memory, size);
}

void *__real_mmap(void *address, size_t size, int protection, int flags, int file, off_t offset);
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int file, off_t offset);
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int file, off_t offset)
{
	errno = ENOMEM; /* a call that does not fail leaves it alone */
	return fails_now() ? MAP_FAILED : __real_mmap(address, size, protection, flags, file, offset);
}

/* Let the @nth allocation from here on fail. */
static void fail_allocation(long nth)
{
	atomic_store(&countdown, nth);
}

/* Whether that allocation was made; none fails any more. */
static bool was_reached(void)
{
	return atomic_exchange(&countdown, 0) == 0;
}

/* Run @step with its 1st, 2nd, … allocation failing, until it makes none that fails. Returns how many there were. */
static long exhaust(struct rig *rig, int (*step)(struct rig *rig), const char *name)
{
	for (long nth = 1;; nth++) {
		bool reached;
		int err;

		fail_allocation(nth);
		err = step(rig);
		reached = was_reached();
		if (!reached) {
			if (err)
				fail_msg("%s: %d without a failed allocation", name, err);
			return nth - 1;
		}
		if (err != -ENOMEM && err != -EAGAIN)
			fail_msg("%s: %d when allocation %ld fails", name, err, nth);
	}
}

static int step_open(struct rig *rig)
{
	struct accel_device *device;
	char error[200] = "";
	int err = accel_open(rig_is_kernel() ? rig_device() : "sim:threads=2,spin=0", &device, error, sizeof(error));

	(void)rig;
	if (err)
		return device || !error[0] ? -EPROTO : err;
	accel_close(device);
	return 0;
}

static int step_open_again(struct rig *rig)
{
	struct accel_device *device;
	char error[200] = "";
	int err = accel_open_again(rig->device, &device, error, sizeof(error));

	if (err)
		return device || !error[0] ? -EPROTO : err;
	accel_close(device);
	return 0;
}

static int step_vm(struct rig *rig)
{
	struct accel_vm *vm;
	int err = accel_vm_create(rig->device, &vm);

	return err ? err : accel_vm_destroy(vm);
}

static int step_buffer(struct rig *rig)
{
	struct accel_buffer *buffer;
	int err = accel_buffer_create(rig->device, 3 << 20, ACCEL_BUFFER_WRITE | ACCEL_BUFFER_LOCAL, &buffer);

	return err ? (buffer ? -EPROTO : err) : accel_buffer_destroy(buffer);
}

/* A new address space has no tables: each level of them can be the one that fails. */
static int step_bind(struct rig *rig)
{
	struct accel_buffer *buffer = NULL;
	struct accel_vm *vm;
	uint64_t at = 0;
	int err = accel_vm_create(rig->device, &vm);

	if (err)
		return err;
	err = accel_buffer_create(rig->device, 8192, ACCEL_BUFFER_UNBOUND, &buffer);
	if (!err)
		err = accel_vm_bind(vm, buffer, 0, 8192, ACCEL_READ, &at);
	if (err && at)
		err = -EPROTO;
	if (!err)
		err = accel_vm_unbind(vm, at, 8192);
	if (accel_vm_destroy(vm) || accel_buffer_destroy(buffer))
		return -EPROTO;
	return err;
}

/* Imported from here: malloc() in the C library is not counted. */
static _Alignas(4096) uint8_t own_memory[8192];

static int step_import(struct rig *rig)
{
	struct accel_buffer *buffer;
	int err = accel_buffer_import_memory(rig->device, own_memory, sizeof(own_memory), ACCEL_BUFFER_WRITE, &buffer);

	return err ? (buffer ? -EPROTO : err) : accel_buffer_destroy(buffer);
}

static int step_list(struct rig *rig)
{
	struct accel_pci_function functions[4];
	int count = accel_pci_list(NULL, functions, 4);

	(void)rig;
	return count == -ENODEV || count > 0 ? 0 : count;
}

static int step_context_and_queue(struct rig *rig)
{
	struct accel_context *context;
	struct accel_queue *queue;
	int err = accel_context_create(accel_device_vm(rig->device), &context);

	if (err)
		return err;
	err = accel_queue_create(context, NULL, &queue);
	if (err && queue)
		err = -EPROTO;
	accel_queue_destroy(queue);
	return accel_context_destroy(context) ? -EPROTO : err;
}

static int step_fence(struct rig *rig)
{
	struct accel_fence *fence;
	int err = accel_fence_create(accel_device_vm(rig->device), &fence);

	accel_fence_destroy(fence);
	return err;
}

static int step_wait(struct rig *rig)
{
	struct accel_wait waits[20];
	int ended;

	for (int i = 0; i < 20; i++)
		waits[i] = (struct accel_wait){rig->queue, 0, -EPROTO};
	ended = accel_wait_many(waits, 20, true, 0);

	for (int i = 0; i < 20; i++)
		if ((waits[i].result == -EPROTO) != (ended == -ENOMEM))
			return -EPROTO;
	return ended < 0 ? ended : waits[19].result;
}

/* The first run of a device makes a context, a queue and a buffer for itself. */
static int step_execute(struct rig *rig)
{
	struct axl_trace_record trace[4];
	struct axl_exec_stats stats;
	struct axl_fault_record fault;
	struct accel_buffer *code;
	int err;

	err = accel_buffer_create(rig->device, 4096, ACCEL_BUFFER_EXEC, &code);
	if (err)
		return err;
	err = accel_execute(rig->device, code, 4096, NULL, 0, &stats, trace, 4, &fault);
	if (accel_buffer_destroy(code))
		return -EPROTO;
	return err == -EFAULT && fault.cause == AXL_CAUSE_CMDBUF ? 0 : err;
}

static void each_allocation_may_fail(void **state)
{
	static const struct {
		int (*step)(struct rig *rig);
		const char *name;
		long least; /* allocations */
	} steps[] = {
		{step_vm, "address space", 1}, {step_buffer, "buffer", 2},
		{step_bind, "bind", 3},        {step_fence, "fence", 2},
		{step_wait, "wait", 2},        {step_context_and_queue, "context and queue", 4},
		{step_execute, "execute", 1},  {step_open, "open", 3},
		{step_import, "import", 2},    {step_list, "list", 0},
		{step_open_again, "again", 3},
	};
	struct rig *rig = *state;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		long count = exhaust(rig, steps[i].step, steps[i].name);

		print_message("%s: %ld allocations\n", steps[i].name, count);
		if (count < steps[i].least)
			fail_msg("%s: %ld allocations only: is the allocator wrapped?", steps[i].name, count);
	}
	accel_packet_nop(accel_queue_next(rig->queue));
	assert_int_equal(accel_queue_wait(rig->queue, accel_queue_submit(rig->queue), in(20 * SECOND)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(each_allocation_may_fail),
	};

	return cmocka_run_group_tests_name("exhaustion", tests, NULL, NULL);
}
