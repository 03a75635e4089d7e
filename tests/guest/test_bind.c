/* SPDX-License-Identifier: MIT */
/*
 * VM_BIND with syncobjs: it takes effect behind its fences, in the order of the calls, wholly or not at all, and leaves
 * nothing when the address space or the process goes while it waits.
 */
#include <errno.h>
#include <glob.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "check.h"
#include "fences.h"

#define PAGE 4096ull
#define VA 0x20000000ull
#define RIGHTS (DRM_AXL_BIND_READ | DRM_AXL_BIND_WRITE)

static int loops(void)
{
	return (int)guest_setting("AXL_LOOPS", 50);
}

/* ---- what every test needs: a queue whose next packet is the fence, and a syncobj to be signalled ---- */

struct gate {
	struct guest bounded;
	struct drm_axl_sync in, out;
};

static void gate_open(struct guest *guest, struct gate *gate)
{
	const struct guest_options options = {.flags = AXL_QUEUE_BOUNDED};

	assert_int_equal(guest_create_on(&gate->bounded, guest->fd, &options), 0);
	gate->in = (struct drm_axl_sync){.handle = fences_later(guest, &gate->bounded)};
	gate->out = (struct drm_axl_sync){.handle = fences_create(guest)};
	assert_true(gate->in.handle && gate->out.handle);
}

/* What waits may go on. */
static void gate_pass(struct gate *gate)
{
	guest_nop(&gate->bounded);
	guest_submit(&gate->bounded);
}

static void gate_close(struct guest *guest, struct gate *gate)
{
	fences_destroy(guest, gate->in.handle);
	fences_destroy(guest, gate->out.handle);
	assert_int_equal(guest_destroy(&gate->bounded), 0);
}

static void await(struct guest *guest, const struct drm_axl_sync *sync, int status)
{
	assert_int_equal(fences_wait(guest, sync->handle, 0, 20 * SECOND), 0);
	assert_int_equal(fences_status(guest, sync->handle), status);
}

static struct drm_axl_bind_op map_of(struct guest *guest, uint64_t va)
{
	return (struct drm_axl_bind_op){
		.op = DRM_AXL_BIND_MAP, .flags = RIGHTS, .handle = guest->data_bo.handle, .va = va, .size = PAGE};
}

static struct drm_axl_bind_op unmap_of(uint64_t va)
{
	return (struct drm_axl_bind_op){.op = DRM_AXL_BIND_UNMAP, .va = va, .size = PAGE};
}

/* Whether the device finds the first page of the data at @va. */
static bool is_mapped(struct guest *guest, uint64_t va)
{
	static uint32_t pattern = 0x1000;
	volatile uint32_t *word = guest_at(guest, GUEST_DATA);
	int err;

	*word = 0;
	guest_fill(guest, va, ++pattern, 4);
	err = guest_wait(guest, guest_submit(guest), 20 * SECOND);
	if (!err) {
		assert_int_equal(*word, pattern);
		return true;
	}
	assert_int_equal(err, -EIO);
	assert_int_equal(guest_reset(guest), 0);
	assert_int_equal(*word, 0);
	return false;
}

/* Binds that wait, or whose memory has not gone back; -1: the driver does not say. */
static int pending(void)
{
	char text[64];
	int count = -1;
	FILE *file;
	glob_t found;

	if (glob("/sys/kernel/debug/accel/*/axl_objects", 0, NULL, &found))
		return -1;
	file = fopen(found.gl_pathv[0], "r");
	globfree(&found);
	while (file && fgets(text, sizeof(text), file))
		sscanf(text, "pending_binds %d", &count);
	if (file)
		fclose(file);
	return count;
}

static long locked_kib(void)
{
	char text[128];
	FILE *file = fopen("/proc/self/status", "r");
	long kib = -1;

	assert_non_null(file);
	while (fgets(text, sizeof(text), file))
		sscanf(text, "VmLck: %ld", &kib);
	fclose(file);
	return kib;
}

/* ---- when ---- */

static void a_map_waits_for_its_fence(void **state)
{
	struct guest *guest = *state;

	for (int i = 0; i < loops(); i++) {
		struct drm_axl_bind_op map = map_of(guest, VA);
		struct gate gate;

		gate_open(guest, &gate);
		assert_int_equal(fences_bind(guest, &map, 1, &gate.in, &gate.out), 0);
		assert_false(is_mapped(guest, VA));
		assert_int_equal(fences_status(guest, gate.out.handle), 0);
		gate_pass(&gate);
		await(guest, &gate.out, 1);
		assert_true(is_mapped(guest, VA));
		assert_int_equal(guest_unbind(guest, VA, PAGE), 0);
		gate_close(guest, &gate);
	}
}

static void an_unmap_waits_for_its_fence(void **state)
{
	struct guest *guest = *state;

	for (int i = 0; i < loops(); i++) {
		struct drm_axl_bind_op unmap = unmap_of(VA);
		struct gate gate;

		gate_open(guest, &gate);
		assert_int_equal(guest_bind(guest, guest->data_bo.handle, VA, PAGE, RIGHTS), 0);
		assert_int_equal(fences_bind(guest, &unmap, 1, &gate.in, &gate.out), 0);
		assert_true(is_mapped(guest, VA));
		gate_pass(&gate);
		await(guest, &gate.out, 1);
		assert_false(is_mapped(guest, VA));
		gate_close(guest, &gate);
	}
}

/* Many behind one another: the one that has no fence of its own waits for those before it. */
static void they_take_effect_in_their_order(void **state)
{
	struct guest *guest = *state;

	for (int i = 0; i < loops(); i++) {
		struct drm_axl_bind_op map = map_of(guest, VA), unmap = unmap_of(VA);
		struct gate gate;

		gate_open(guest, &gate);
		assert_int_equal(fences_bind(guest, &map, 1, &gate.in, NULL), 0);
		for (int k = 0; k < 20; k++) {
			assert_int_equal(fences_bind(guest, &unmap, 1, k % 2 ? &gate.in : NULL, &gate.out), 0);
			/* The space is as it will be. */
			assert_int_equal(fences_bind(guest, &unmap, 1, NULL, &gate.out), -ENOENT);
			assert_int_equal(fences_bind(guest, &map, 1, NULL, &gate.out), 0);
			assert_int_equal(fences_bind(guest, &map, 1, NULL, &gate.out), -EEXIST);
		}
		assert_int_equal(fences_wait(guest, gate.out.handle, 0, MILLISECOND), -ETIME);
		assert_false(is_mapped(guest, VA));
		gate_pass(&gate);
		await(guest, &gate.out, 1);
		assert_true(is_mapped(guest, VA));
		assert_int_equal(guest_unbind(guest, VA, PAGE), 0);
		gate_close(guest, &gate);
	}
}

struct caller {
	struct guest *guest;
	volatile bool returned;
	int err;
};

static void *bind_at_once(void *arg)
{
	struct caller *caller = arg;

	caller->err = guest_bind(caller->guest, caller->guest->data_bo.handle, VA + PAGE, PAGE, RIGHTS);
	caller->returned = true;
	return NULL;
}

static void a_call_without_syncobjs_waits_for_those_before_it(void **state)
{
	struct guest *guest = *state;

	for (int i = 0; i < loops() / 5 + 1; i++) {
		struct drm_axl_bind_op map = map_of(guest, VA);
		struct caller caller = {.guest = guest};
		struct gate gate;
		pthread_t thread;

		gate_open(guest, &gate);
		assert_int_equal(fences_bind(guest, &map, 1, &gate.in, NULL), 0);
		assert_int_equal(pthread_create(&thread, NULL, bind_at_once, &caller), 0);
		guest_sleep(20 * MILLISECOND);
		assert_false(caller.returned);
		gate_pass(&gate);
		pthread_join(thread, NULL);
		assert_int_equal(caller.err, 0);
		assert_true(is_mapped(guest, VA));
		assert_true(is_mapped(guest, VA + PAGE));
		assert_int_equal(guest_unbind(guest, VA, PAGE), 0);
		assert_int_equal(guest_unbind(guest, VA + PAGE, PAGE), 0);
		gate_close(guest, &gate);
	}
}

/* Binds and jobs hand on to each other by points of one timeline, submitted before any of them has run. */
static void binds_and_jobs_take_turns_on_a_timeline(void **state)
{
	struct guest *guest = *state;
	int ctx = fences_context(guest);
	struct drm_axl_ctx_destroy destroy = {.ctx = (uint32_t)ctx};
	struct drm_axl_sync in = {.flags = DRM_AXL_SYNC_TIMELINE}, out = {.flags = DRM_AXL_SYNC_TIMELINE};
	uint64_t point = 0;

	assert_true(ctx > 0);
	in.handle = out.handle = fences_create(guest);
	for (int i = 0; i < loops(); i++) {
		struct drm_axl_bind_op map = map_of(guest, VA), unmap = unmap_of(VA);
		union axl_packet packet = fences_fill(VA, 0xb0000000u + (uint32_t)i, 4);

		in.point = point++;
		out.point = point;
		assert_int_equal(fences_bind(guest, &map, 1, in.point ? &in : NULL, &out), 0);
		in.point = point++;
		out.point = point;
		assert_int_equal(fences_submit(guest, (uint32_t)ctx, &packet, 1, &in, &out), 0);
		in.point = point++;
		out.point = point;
		assert_int_equal(fences_bind(guest, &unmap, 1, &in, &out), 0);
	}
	assert_int_equal(fences_wait(guest, out.handle, point, 60 * SECOND), 0);
	assert_int_equal(*(volatile uint32_t *)guest_at(guest, GUEST_DATA), 0xb0000000u + (uint32_t)loops() - 1);
	assert_false(is_mapped(guest, VA));
	fences_destroy(guest, out.handle);
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_CTX_DESTROY, &destroy), 0);
}

/* An error of what is waited for is no business of the bind's. */
static void a_fence_with_an_error_is_one_too(void **state)
{
	struct guest *guest = *state;
	struct drm_axl_bind_op map = map_of(guest, VA);
	struct gate gate;

	gate_open(guest, &gate);
	assert_int_equal(fences_bind(guest, &map, 1, &gate.in, &gate.out), 0);
	guest_copy(&gate.bounded, GUEST_SCRATCH, GUEST_NOWHERE, 64);
	guest_submit(&gate.bounded);
	await(guest, &gate.in, -EIO);
	await(guest, &gate.out, 1);
	assert_true(is_mapped(guest, VA));
	assert_int_equal(guest_unbind(guest, VA, PAGE), 0);
	gate_close(guest, &gate);
}

/* ---- what is refused ---- */

static void all_of_it_is_refused_at_once_or_none(void **state)
{
	struct guest *guest = *state;
	struct drm_axl_bind_op ops[2] = {map_of(guest, VA), map_of(guest, VA + PAGE)};
	struct gate gate;

	gate_open(guest, &gate);
	ops[1].handle = 0x7777;
	assert_int_equal(fences_bind(guest, ops, 2, &gate.in, &gate.out), -ENOENT);
	ops[1] = map_of(guest, VA);
	assert_int_equal(fences_bind(guest, ops, 2, &gate.in, &gate.out), -EEXIST);
	ops[1] = unmap_of(GUEST_INDEX);
	assert_int_equal(fences_bind(guest, ops, 2, &gate.in, &gate.out), -EBUSY);
	/* No fence was given to anybody, and nothing is there. */
	assert_int_equal(fences_status(guest, gate.out.handle), -EINVAL);
	assert_int_equal(pending(), 0);
	assert_false(is_mapped(guest, VA));
	assert_int_equal(fences_bind(guest, ops, 1, NULL, &gate.out), 0);
	await(guest, &gate.out, 1);
	assert_int_equal(guest_unbind(guest, VA, PAGE), 0);
	gate_close(guest, &gate);
}

static void bad_syncobjs_are_refused(void **state)
{
	struct guest *guest = *state;
	struct drm_axl_bind_op map = map_of(guest, VA);
	struct drm_axl_sync bad = {.handle = 0x7777}, good;
	struct drm_axl_sync many[65] = {{0}};
	struct drm_axl_vm_bind args = {.vm = guest->vm,
				       .num_ops = 1,
				       .stride = sizeof(map),
				       .ops = (uintptr_t)&map,
				       .num_out = 65,
				       .out = (uintptr_t)many};
	struct gate gate;

	gate_open(guest, &gate);
	good = gate.out;
	assert_int_equal(fences_bind(guest, &map, 1, &bad, &good), -ENOENT);
	assert_int_equal(fences_bind(guest, &map, 1, &gate.in, &bad), -ENOENT);
	/* One that nobody has given a fence yet. */
	assert_int_equal(fences_bind(guest, &map, 1, &good, NULL), -EINVAL);
	bad = (struct drm_axl_sync){.handle = good.handle, .flags = 2};
	assert_int_equal(fences_bind(guest, &map, 1, NULL, &bad), -EINVAL);
	bad = (struct drm_axl_sync){.handle = good.handle, .point = 1};
	assert_int_equal(fences_bind(guest, &map, 1, NULL, &bad), -EINVAL);
	for (int i = 0; i < 65; i++)
		many[i] = good;
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_VM_BIND, &args), -EINVAL);
	args.num_out = 1;
	args.out = 8;
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_VM_BIND, &args), -EFAULT);
	args.num_out = 0;
	args.num_in = 65;
	args.in = (uintptr_t)many;
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_VM_BIND, &args), -EINVAL);
	args.num_in = 1;
	args.in = 8;
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_VM_BIND, &args), -EFAULT);
	args.num_in = 0;
	args.num_out = 64;
	args.out = (uintptr_t)many;
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_VM_BIND, &args), 0);
	await(guest, &good, 1);
	assert_int_equal(guest_unbind(guest, VA, PAGE), 0);
	gate_close(guest, &gate);
}

/* A ring that is not there yet is none. */
static void a_queue_finds_no_ring_that_waits(void **state)
{
	struct guest *guest = *state;
	struct drm_axl_bind_op ops[2] = {map_of(guest, VA), map_of(guest, VA + PAGE)};
	struct drm_axl_queue_create create = {.ctx = guest->ctx, .slots = 8, .ring = VA, .index = VA + PAGE};
	struct gate gate;

	gate_open(guest, &gate);
	ops[1].offset = PAGE;
	assert_int_equal(fences_bind(guest, ops, 2, &gate.in, &gate.out), 0);
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_QUEUE_CREATE, &create), -EFAULT);
	gate_pass(&gate);
	await(guest, &gate.out, 1);
	memset(guest_at(guest, GUEST_DATA), 0, 2 * PAGE);
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_QUEUE_CREATE, &create), 0);
	ops[0] = unmap_of(VA);
	assert_int_equal(fences_bind(guest, ops, 1, NULL, &gate.out), -EBUSY);
	assert_int_equal(guest_queue_op(guest, DRM_IOCTL_AXL_QUEUE_DESTROY, create.queue), 0);
	ops[1] = unmap_of(VA + PAGE);
	assert_int_equal(fences_bind(guest, ops, 2, NULL, &gate.out), 0);
	await(guest, &gate.out, 1);
	gate_close(guest, &gate);
}

/* ---- who goes ---- */

/* What was pinned for an unmap that waits counts until it has taken effect, and not for the call after it. */
static void pinned_memory_comes_back(void **state)
{
	struct guest *guest = *state;
	const uint64_t size = 64 * PAGE;
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	struct drm_axl_bind_op map = {
		.op = DRM_AXL_BIND_MAP_USER, .flags = RIGHTS, .va = VA, .offset = (uintptr_t)memory, .size = size};
	struct drm_axl_bind_op unmap = {.op = DRM_AXL_BIND_UNMAP, .va = VA, .size = size};
	long before = locked_kib();

	for (int i = 0; i < loops() / 5 + 1; i++) {
		struct drm_axl_bind_op other = map_of(guest, VA + size);
		struct gate gate;

		gate_open(guest, &gate);
		assert_int_equal(fences_bind(guest, &map, 1, &gate.in, NULL), 0);
		assert_int_equal(fences_bind(guest, &unmap, 1, &gate.in, &gate.out), 0);
		assert_int_equal(locked_kib(), before + (long)size / 1024);
		gate_pass(&gate);
		await(guest, &gate.out, 1);
		assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_VM_BIND,
					     &(struct drm_axl_vm_bind){.vm = guest->vm,
								       .num_ops = 1,
								       .stride = sizeof(other),
								       .ops = (uintptr_t)&other}),
				 0);
		assert_int_equal(locked_kib(), before);
		assert_int_equal(guest_unbind(guest, VA + size, PAGE), 0);
		gate_close(guest, &gate);
	}
	munmap(memory, size);
}

static void a_space_goes_with_binds_that_wait(void **state)
{
	struct guest *guest = *state;

	for (int i = 0; i < loops(); i++) {
		struct drm_axl_bind_op map = map_of(guest, VA), unmap = unmap_of(VA);
		struct drm_axl_vm_create vm = {0};
		struct guest other = *guest;
		struct gate gate;

		gate_open(guest, &gate);
		assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_VM_CREATE, &vm), 0);
		other.vm = vm.vm;
		for (int k = 0; k < 5; k++) {
			assert_int_equal(fences_bind(&other, &map, 1, &gate.in, NULL), 0);
			assert_int_equal(fences_bind(&other, &unmap, 1, &gate.in, &gate.out), 0);
		}
		assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_VM_DESTROY, &vm), 0);
		assert_int_equal(pending(), 0);
		await(guest, &gate.out, -ECANCELED);
		assert_int_equal(fences_bind(&other, &map, 1, NULL, &gate.out), -ENOENT);
		/* Its fence comes to nobody. */
		gate_pass(&gate);
		await(guest, &gate.in, 1);
		gate_close(guest, &gate);
	}
}

static void a_process_is_killed_with_binds_that_wait(void **state)
{
	(void)state;
	for (int i = 0; i < loops() / 5 + 1; i++) {
		int pid = fork();

		if (!pid) {
			const struct guest_options options = {.flags = AXL_QUEUE_BOUNDED};
			struct guest own, bounded;
			struct drm_axl_sync in = {0};
			int err = guest_create(&own, NULL);

			err = err ? err : guest_create_on(&bounded, own.fd, &options);
			in.handle = err ? 0 : fences_later(&own, &bounded);
			for (uint64_t k = 0; in.handle && k < 10; k++) {
				struct drm_axl_bind_op map = map_of(&own, VA + k * PAGE),
						       unmap = unmap_of(VA + k * PAGE);

				if (fences_bind(&own, &map, 1, &in, NULL) || fences_bind(&own, &unmap, 1, &in, NULL))
					_exit(2);
			}
			if (i % 2)
				gate_pass(&(struct gate){.bounded = bounded});
			kill(getpid(), in.handle ? SIGKILL : SIGTERM);
		}
		assert_int_equal(guest_reap(pid, 30 * SECOND), -EINTR);
		assert_int_equal(pending(), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHECK(a_map_waits_for_its_fence),
		CHECK(an_unmap_waits_for_its_fence),
		CHECK(they_take_effect_in_their_order),
		CHECK(a_call_without_syncobjs_waits_for_those_before_it),
		CHECK(binds_and_jobs_take_turns_on_a_timeline),
		CHECK(a_fence_with_an_error_is_one_too),
		CHECK(all_of_it_is_refused_at_once_or_none),
		CHECK(bad_syncobjs_are_refused),
		CHECK(a_queue_finds_no_ring_that_waits),
		CHECK(pinned_memory_comes_back),
		CHECK(a_space_goes_with_binds_that_wait),
		CHECK(a_process_is_killed_with_binds_that_wait),
	};

	return check_run("bind", tests, NULL, NULL);
}
