/* SPDX-License-Identifier: MIT */
/* Jobs through the kernel's scheduler, fences in and out, events, memory of the process: the paths around the user-mode
 * queue. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "check.h"
#include "fences.h"

#define PAGE 4096ull
#define USER_VA 0x20000000ull

static int loops(void)
{
	return (int)guest_setting("AXL_LOOPS", 50);
}

static uint32_t word(struct guest *guest, uint64_t va)
{
	return *(volatile uint32_t *)guest_at(guest, va);
}

static uint32_t context(struct guest *guest)
{
	int ctx = fences_context(guest);

	assert_true(ctx > 0);
	return (uint32_t)ctx;
}

static void destroy_context(struct guest *guest, uint32_t ctx)
{
	struct drm_axl_ctx_destroy args = {.ctx = ctx};

	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_CTX_DESTROY, &args), 0);
}

static uint32_t syncobj(struct guest *guest)
{
	uint32_t handle = fences_create(guest);

	assert_true(handle != 0);
	return handle;
}

/* ---- SUBMIT ---- */

static void jobs_run_in_their_order(void **state)
{
	struct guest *guest = *state;
	uint32_t ctx = context(guest), done = syncobj(guest);
	struct drm_axl_sync out = {.handle = done};

	for (int i = 0; i < loops(); i++) {
		union axl_packet packets[16];

		for (uint32_t p = 0; p < 16; p++)
			packets[p] = fences_fill(GUEST_SCRATCH + 4 * (p % 4), (uint32_t)i << 8 | p, 4);
		assert_int_equal(fences_submit(guest, ctx, packets, 16, NULL, NULL), 0);
		packets[0] = fences_fill(GUEST_SCRATCH + 16, (uint32_t)i, 4);
		assert_int_equal(fences_submit(guest, ctx, packets, 1, NULL, &out), 0);
		assert_int_equal(fences_wait(guest, done, 0, 20 * SECOND), 0);
		assert_int_equal(fences_status(guest, done), 1);
		for (uint32_t w = 0; w < 4; w++)
			assert_int_equal(word(guest, GUEST_SCRATCH + 4 * w), (uint32_t)i << 8 | (12 + w));
		assert_int_equal(word(guest, GUEST_SCRATCH + 16), i);
	}
	fences_destroy(guest, done);
	destroy_context(guest, ctx);
}

/* Two contexts hand a word to each other, by points of one timeline. */
static void contexts_take_turns_on_a_timeline(void **state)
{
	struct guest *guest = *state;
	uint32_t ctxs[2] = {context(guest), context(guest)}, line = syncobj(guest);

	for (uint64_t point = 1; point <= 40; point++) {
		struct drm_axl_sync in = {.handle = line, .flags = DRM_AXL_SYNC_TIMELINE, .point = point - 1};
		struct drm_axl_sync out = {.handle = line, .flags = DRM_AXL_SYNC_TIMELINE, .point = point};
		union axl_packet copy = {.bytes = {0}}, packets[2];

		/* From where the last one wrote to the next place, behind a fill that a wrong order would leave. */
		copy.header.opcode = AXL_PKT_COPY;
		copy.copy.src = GUEST_SCRATCH + 64 * (point - 1);
		copy.copy.dst = GUEST_SCRATCH + 64 * point;
		copy.copy.size = 64;
		packets[0] = fences_fill(GUEST_SCRATCH + 64 * point, 0xdead, 64);
		packets[1] = point > 1 ? copy : fences_fill(GUEST_SCRATCH + 64, 0x1234, 64);
		assert_int_equal(fences_submit(guest, ctxs[point % 2], packets, 2, point > 1 ? &in : NULL, &out), 0);
	}
	assert_int_equal(fences_wait(guest, line, 40, 20 * SECOND), 0);
	assert_int_equal(word(guest, GUEST_SCRATCH + 64 * 40), 0x1234);
	fences_destroy(guest, line);
	destroy_context(guest, ctxs[0]);
	destroy_context(guest, ctxs[1]);
}

static int submit_failing(struct guest *guest, uint32_t ctx, uint32_t size)
{
	uint32_t first = syncobj(guest), second = syncobj(guest);
	int status;
	struct drm_axl_sync bad = {.handle = first}, good = {.handle = second};
	union axl_packet packets[3] = {fences_fill(GUEST_SCRATCH, 1, 4), fences_execute(GUEST_CODE, size),
				       fences_fill(GUEST_SCRATCH + 4, 1, 4)};

	memset(guest_at(guest, GUEST_SCRATCH), 0, 16);
	assert_int_equal(fences_submit(guest, ctx, packets, 3, NULL, &bad), 0);
	packets[0] = fences_fill(GUEST_SCRATCH + 8, 2, 4);
	assert_int_equal(fences_submit(guest, ctx, packets, 1, NULL, &good), 0);
	assert_int_equal(fences_wait(guest, first, 0, 60 * SECOND), 0);
	assert_int_equal(fences_wait(guest, second, 0, 60 * SECOND), 0);
	status = fences_status(guest, first);
	assert_int_equal(fences_status(guest, second), 1);
	assert_int_equal(word(guest, GUEST_SCRATCH), 1);
	assert_int_equal(word(guest, GUEST_SCRATCH + 4), 0); /* behind what failed: not run */
	assert_int_equal(word(guest, GUEST_SCRATCH + 8), 2);
	fences_destroy(guest, first);
	fences_destroy(guest, second);
	return status;
}

static void a_faulting_job_fails_alone(void **state)
{
	struct guest *guest = *state;
	struct guest_program program;
	uint32_t ctx = context(guest);

	guest_program_access(&program, AXL_PIPE_LOAD, GUEST_NOWHERE);
	memcpy(guest->code_bo.data, program.bytes, program.size);
	for (int i = 0; i < loops(); i++)
		assert_int_equal(submit_failing(guest, ctx, program.size), -EIO);
	destroy_context(guest, ctx);
}

/* What the driver waits for jobs and fences from now on; its own are ten seconds. */
static void timeout(const char *ms)
{
	assert_int_equal(guest_write_text("/sys/module/axl/parameters/job_timeout_ms", ms), 0);
}

/* By the device's watchdog, or, should a slow model need longer for its cycles, by the driver's clock. */
static void an_endless_job_fails_alone(void **state)
{
	struct guest *guest = *state;
	struct guest_program program;
	uint32_t ctx;

	timeout("2000");
	ctx = context(guest);
	guest_program_endless(&program);
	memcpy(guest->code_bo.data, program.bytes, program.size);
	for (int i = 0; i < (loops() + 9) / 10; i++) {
		int status = submit_failing(guest, ctx, program.size);

		assert_true(status == -EIO || status == -ETIME);
	}
	destroy_context(guest, ctx);
	timeout("10000");
}

static uint32_t later(struct guest *guest, const struct guest *bounded)
{
	uint32_t handle = fences_later(guest, bounded);

	assert_true(handle != 0);
	return handle;
}

static void a_context_goes_with_jobs_that_wait(void **state)
{
	struct guest *guest = *state, bounded;
	const struct guest_options options = {.flags = AXL_QUEUE_BOUNDED};

	for (int i = 0; i < loops(); i++) {
		uint32_t ctx = context(guest), never, out = syncobj(guest);
		struct drm_axl_sync wait, done = {.handle = out};
		union axl_packet packet = fences_fill(GUEST_SCRATCH, 7, 4);

		assert_int_equal(guest_create_on(&bounded, guest->fd, &options), 0);
		never = later(guest, &bounded);
		wait = (struct drm_axl_sync){.handle = never};
		memset(guest_at(guest, GUEST_SCRATCH), 0, 4);
		for (int k = 0; k < 3; k++)
			assert_int_equal(fences_submit(guest, ctx, &packet, 1, &wait, &done), 0);
		assert_int_equal(fences_wait(guest, out, 0, 2 * MILLISECOND), -ETIME);
		destroy_context(guest, ctx);
		assert_int_equal(guest_destroy(&bounded), 0);
		assert_int_equal(fences_wait(guest, out, 0, 20 * SECOND), 0);
		assert_true(fences_status(guest, out) < 0);
		assert_int_equal(word(guest, GUEST_SCRATCH), 0);
		fences_destroy(guest, never);
		fences_destroy(guest, out);
	}
}

/* What the race below does, in a process of its own. Every context's last fence ends, well or with an error. */
static int fault_and_destroy(int rounds, unsigned int seed)
{
	struct guest guest;
	int err = guest_create(&guest, NULL);

	for (int i = 0; i < rounds && !err; i++) {
		struct drm_axl_sync out = {.handle = fences_create(&guest)};
		int ctx = fences_context(&guest);
		struct drm_axl_ctx_destroy args = {.ctx = (uint32_t)ctx};
		unsigned int jobs = 1 + seed / 65536 % 6;

		if (!out.handle || ctx < 0)
			return 1;
		for (unsigned int j = 0; j < jobs && !err; j++) {
			union axl_packet packets[2] = {fences_fill(GUEST_SCRATCH, j, 256),
						       fences_fill(GUEST_SCRATCH, j, 256)};

			seed = seed * 1103515245 + 12345;
			if (seed / 65536 % 3 == 0)
				packets[seed / 65536 % 2].fill.dst = GUEST_NOWHERE;
			err = fences_submit(&guest, (uint32_t)ctx, packets, 2, NULL, &out);
		}
		guest_sleep(seed / 65536 % 64 * MILLISECOND / 16);
		if (!err)
			err = guest_ioctl(guest.fd, DRM_IOCTL_AXL_CTX_DESTROY, &args);
		if (!err)
			err = fences_wait(&guest, out.handle, 0, 20 * SECOND);
		fences_destroy(&guest, out.handle);
	}
	return err || guest_destroy(&guest);
}

static void contexts_go_while_their_jobs_fault(void **state)
{
	int pids[3];

	(void)state;
	for (unsigned int p = 0; p < 3; p++) {
		pids[p] = fork();
		if (!pids[p])
			_exit(fault_and_destroy(4 * loops(), p + 1));
	}
	for (unsigned int p = 0; p < 3; p++)
		assert_int_equal(guest_reap(pids[p], 120 * SECOND), 0);
}

static void bad_submissions_are_refused(void **state)
{
	struct guest *guest = *state;
	uint32_t ctx = context(guest), done = syncobj(guest);
	struct drm_axl_sync sync = {.handle = done}, none = {.handle = 999}, odd = {.handle = done, .flags = 2},
			    point = {.handle = done, .point = 1};
	union axl_packet packets[17] = {fences_fill(GUEST_SCRATCH, 1, 4)};
	const struct drm_axl_submit good = {
		.ctx = ctx, .packets = (uintptr_t)packets, .num_packets = 1, .num_out = 1, .out = (uintptr_t)&sync};
	struct drm_axl_submit args;
	struct drm_axl_ctx_create plain = {.vm = guest->vm};

#define REFUSED(err, change)                                                                \
	do {                                                                                \
		args = good;                                                                \
		change;                                                                     \
		assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_SUBMIT, &args), err); \
	} while (0)
	REFUSED(0, );
	REFUSED(-EINVAL, args.flags = 1);
	REFUSED(-EINVAL, args.pad = 1);
	REFUSED(-EINVAL, args.num_packets = 0);
	REFUSED(-EINVAL, args.num_packets = 17);
	REFUSED(-EINVAL, args.num_in = 65);
	REFUSED(-EINVAL, args.num_out = 65);
	REFUSED(-ENOENT, args.ctx = 0);
	REFUSED(-ENOENT, args.ctx = 999);
	REFUSED(-EINVAL, args.ctx = guest->ctx);
	REFUSED(-EFAULT, args.packets = 8);
	REFUSED(-EFAULT, args.out = 8);
	REFUSED(-ENOENT, args.out = (uintptr_t)&none);
	REFUSED(-EINVAL, args.out = (uintptr_t)&odd);
	REFUSED(-EINVAL, args.out = (uintptr_t)&point);
	REFUSED(-ENOENT, (args.num_in = 1, args.in = (uintptr_t)&none));
	packets[0].header.opcode = AXL_PKT_WAIT;
	REFUSED(-EINVAL, );
#undef REFUSED
	plain.flags = 2;
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_CTX_CREATE, &plain), -EINVAL);
	fences_destroy(guest, done);
	destroy_context(guest, ctx);
	assert_int_equal(guest_job(guest, 1), 0);
}

/* Nothing of the user's goes into the range that the driver was given. */
static void the_range_of_the_driver_is_its_own(void **state)
{
	struct guest *guest = *state;
	const uint64_t space = 1ull << AXL_VA_BITS, range = GUEST_KERNEL, bytes = AXL_LARGE_PAGE_BYTES;
	const uint64_t bad[][2] = {{range + PAGE, bytes}, {range, bytes + PAGE},      {range, 0},
				   {space, bytes},        {space - bytes, 2 * bytes}, {range, ~0ull << 21}};
	struct drm_axl_vm_create vm = {0};
	struct drm_axl_ctx_create ctx = {.flags = DRM_AXL_CTX_SUBMIT};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		vm = (struct drm_axl_vm_create){.kernel_va = bad[i][0], .kernel_size = bad[i][1]};
		assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_VM_CREATE, &vm), -EINVAL);
	}
	assert_int_equal(guest_bind(guest, guest->data_bo.handle, range, PAGE, DRM_AXL_BIND_READ), -EINVAL);
	assert_int_equal(guest_bind(guest, guest->data_bo.handle, range - PAGE, 2 * PAGE, DRM_AXL_BIND_READ), -EINVAL);
	assert_int_equal(guest_bind(guest, guest->data_bo.handle, range + bytes - PAGE, PAGE, DRM_AXL_BIND_READ),
			 -EINVAL);
	assert_int_equal(guest_bind(guest, guest->data_bo.handle, range - PAGE, PAGE, DRM_AXL_BIND_READ), 0);
	assert_int_equal(guest_bind(guest, guest->data_bo.handle, range + bytes, PAGE, DRM_AXL_BIND_READ), 0);
	vm = (struct drm_axl_vm_create){0};
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_VM_CREATE, &vm), 0);
	ctx.vm = vm.vm;
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_CTX_CREATE, &ctx), -EINVAL);
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_VM_DESTROY, &vm), 0);
}

/* ---- fences of queues ---- */

static void a_bounded_queue_gives_fences(void **state)
{
	struct guest *plain = *state, guest;
	const struct guest_options options = {.flags = AXL_QUEUE_BOUNDED};

	assert_int_equal(guest_create_on(&guest, plain->fd, &options), 0);
	for (int i = 0; i < loops(); i++) {
		uint32_t done = later(&guest, &guest);

		assert_int_equal(fences_wait(&guest, done, 0, MILLISECOND), -ETIME);
		guest_fill(&guest, GUEST_SCRATCH, (uint32_t)i, 4);
		guest_submit(&guest);
		assert_int_equal(fences_wait(&guest, done, 0, 20 * SECOND), 0);
		assert_int_equal(fences_status(&guest, done), 1);
		assert_int_equal(word(&guest, GUEST_SCRATCH), i);
		fences_destroy(&guest, done);
	}
	assert_int_equal(guest_destroy(&guest), 0);
}

static void a_fence_of_a_faulted_queue_has_its_error(void **state)
{
	struct guest *plain = *state, guest;
	const struct guest_options options = {.flags = AXL_QUEUE_BOUNDED};

	assert_int_equal(guest_create_on(&guest, plain->fd, &options), 0);
	for (int i = 0; i < loops(); i++) {
		uint32_t done = later(&guest, &guest);

		guest_copy(&guest, GUEST_SCRATCH, GUEST_NOWHERE, 64);
		guest_submit(&guest);
		assert_int_equal(fences_wait(&guest, done, 0, 20 * SECOND), 0);
		assert_int_equal(fences_status(&guest, done), -EIO);
		assert_int_equal(guest_reset(&guest), 0);
		assert_int_equal(guest_job(&guest, (uint32_t)i), 0);
		fences_destroy(&guest, done);
	}
	assert_int_equal(guest_destroy(&guest), 0);
}

/* A hundred thousand with AXL_LOOPS=50, many of them waiting for the same packet. */
static void fences_by_the_thousand_end(void **state)
{
	struct guest *plain = *state, guest;
	const struct guest_options options = {.flags = AXL_QUEUE_BOUNDED};
	uint32_t done[1000];
	const int count = sizeof(done) / sizeof(done[0]);

	assert_int_equal(guest_create_on(&guest, plain->fd, &options), 0);
	for (int i = 0; i < 2 * loops(); i++) {
		for (int k = 0; k < count; k++)
			done[k] = later(&guest, &guest);
		guest_fill(&guest, GUEST_SCRATCH, (uint32_t)i, 4);
		guest_submit(&guest);
		for (int k = 0; k < count; k++) {
			assert_int_equal(fences_wait(&guest, done[k], 0, 20 * SECOND), 0);
			if (k % 16 == 0)
				assert_int_equal(fences_status(&guest, done[k]), 1);
			fences_destroy(&guest, done[k]);
		}
		assert_int_equal(word(&guest, GUEST_SCRATCH), i);
	}
	assert_int_equal(guest_destroy(&guest), 0);
}

static void a_fence_ends_with_its_queue(void **state)
{
	struct guest *plain = *state, guest;
	const struct guest_options options = {.flags = AXL_QUEUE_BOUNDED};

	for (int i = 0; i < loops(); i++) {
		uint32_t done;

		assert_int_equal(guest_create_on(&guest, plain->fd, &options), 0);
		done = later(plain, &guest);
		assert_int_equal(guest_destroy(&guest), 0);
		assert_int_equal(fences_wait(plain, done, 0, 20 * SECOND), 0);
		assert_int_equal(fences_status(plain, done), -ENODEV);
		fences_destroy(plain, done);
	}
}

/* Nobody writes the packet: the driver steps in. */
static void a_fence_that_does_not_come_ends_in_time(void **state)
{
	struct guest *plain = *state, guest;
	const struct guest_options options = {.flags = AXL_QUEUE_BOUNDED};
	int64_t begin;
	uint32_t done;

	assert_int_equal(guest_create_on(&guest, plain->fd, &options), 0);
	timeout("1000");
	done = later(&guest, &guest);
	timeout("10000");
	begin = guest_now();
	assert_int_equal(fences_wait(&guest, done, 0, MILLISECOND), -ETIME);
	assert_int_equal(fences_wait(&guest, done, 0, 30 * SECOND), 0);
	assert_true(guest_now() - begin < 9 * SECOND);
	assert_int_equal(fences_status(&guest, done), -ETIME);
	fences_destroy(&guest, done);
	assert_int_equal(guest_destroy(&guest), 0);
}

static void bad_exports_are_refused(void **state)
{
	struct guest *free_queue = *state, guest;
	const struct guest_options options = {.flags = AXL_QUEUE_BOUNDED};
	uint32_t done = syncobj(free_queue);
	struct drm_axl_fence_export good, args;

	assert_int_equal(guest_create_on(&guest, free_queue->fd, &options), 0);
	good = (struct drm_axl_fence_export){.queue = guest.queue, .sync = {.handle = done}};
#define REFUSED(err, change)                                                                     \
	do {                                                                                     \
		args = good;                                                                     \
		change;                                                                          \
		assert_int_equal(guest_ioctl(guest.fd, DRM_IOCTL_AXL_FENCE_EXPORT, &args), err); \
	} while (0)
	REFUSED(0, );
	REFUSED(-EINVAL, args.queue = free_queue->queue);
	REFUSED(-ENOENT, args.queue = 999);
	REFUSED(-EINVAL, args.pad = 1);
	REFUSED(-EINVAL, args.index = 65);
	REFUSED(-ENOENT, args.sync.handle = 999);
	REFUSED(-EINVAL, args.sync.flags = 2);
	REFUSED(-EINVAL, args.sync.point = 1);
#undef REFUSED
	fences_destroy(&guest, done);
	assert_int_equal(guest_destroy(&guest), 0);
}

/* A queue waits for a word, which the kernel writes when another context's job is done. */
static void a_queue_waits_for_a_fence(void **state)
{
	struct guest *guest = *state;
	uint32_t ctx = context(guest);
	struct guest_bo local;

	assert_int_equal(guest_bo_map(guest->fd, PAGE, DRM_AXL_BO_LOCAL, &local), 0);
	assert_int_equal(guest_bind(guest, local.handle, USER_VA, PAGE, DRM_AXL_BIND_READ | DRM_AXL_BIND_WRITE), 0);
	for (uint64_t i = 1; i <= (uint64_t)loops(); i++) {
		bool in_local = i % 2;
		uint32_t done = syncobj(guest);
		struct drm_axl_sync out = {.handle = done};
		union axl_packet packet = fences_fill(GUEST_SCRATCH + 64, (uint32_t)i, 4);
		struct drm_axl_fence_import import = {
			.sync = out,
			.handle = in_local ? local.handle : guest->data_bo.handle,
			.offset = in_local ? 8 : GUEST_SCRATCH - GUEST_DATA + 8,
			.value = i,
		};
		uint64_t index;

		guest_await(guest, in_local ? USER_VA + 8 : GUEST_SCRATCH + 8, i);
		guest_copy(guest, GUEST_SCRATCH + 128, GUEST_SCRATCH + 64, 4);
		index = guest_submit(guest);
		assert_int_equal(guest_wait(guest, index, MILLISECOND), -ETIME);
		assert_int_equal(fences_submit(guest, ctx, &packet, 1, NULL, &out), 0);
		assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_FENCE_IMPORT, &import), 0);
		assert_int_equal(guest_wait(guest, index, 20 * SECOND), 0);
		assert_int_equal(word(guest, GUEST_SCRATCH + 128), i);
		fences_destroy(guest, done);
	}
	assert_int_equal(guest_unbind(guest, USER_VA, PAGE), 0);
	assert_int_equal(guest_bo_destroy(guest->fd, &local), 0);
	destroy_context(guest, ctx);
}

/* The file is closed while a store waits: it is never made, and nothing is left. */
static void a_file_goes_with_a_store_that_waits(void **state)
{
	const struct guest_options options = {.flags = AXL_QUEUE_BOUNDED};

	(void)state;
	for (int i = 0; i < loops(); i++) {
		struct guest guest;
		struct drm_axl_fence_import import;

		assert_int_equal(guest_create(&guest, &options), 0);
		import = (struct drm_axl_fence_import){
			.sync = {.handle = later(&guest, &guest)}, .handle = guest.data_bo.handle, .value = 1};
		assert_int_equal(guest_ioctl(guest.fd, DRM_IOCTL_AXL_FENCE_IMPORT, &import), 0);
		if (i % 2)
			assert_int_equal(guest_destroy(&guest), 0);
		else
			close(guest.fd);
	}
}

/* ---- events ---- */

static void faults_and_resets_are_events(void **state)
{
	struct guest *guest = *state;
	struct drm_axl_event_config config = {.mask = DRM_AXL_EVENT_MASK_FAULT | DRM_AXL_EVENT_MASK_RESET};
	struct pollfd poller = {.fd = guest->fd, .events = POLLIN};

	assert_int_equal(poll(&poller, 1, 0), 0);
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_EVENT_CONFIG, &config), 0);
	for (int i = 0; i < loops(); i++) {
		struct drm_axl_event event;

		guest_copy(guest, GUEST_SCRATCH, GUEST_NOWHERE, 64);
		guest_submit(guest);
		assert_int_equal(poll(&poller, 1, 20000), 1);
		assert_int_equal(read(guest->fd, &event, sizeof(event)), sizeof(event));
		assert_int_equal(event.type, DRM_AXL_EVENT_FAULT);
		assert_int_equal(event.queue, guest->queue);
		assert_int_equal(event.cause, AXL_CAUSE_NOT_MAPPED);
		assert_int_equal(event.packet, guest->head - 1);
		assert_int_equal(event.address, GUEST_NOWHERE);
		assert_int_equal(guest_reset(guest), 0);
		assert_int_equal(poll(&poller, 1, 20000), 1);
		assert_int_equal(read(guest->fd, &event, sizeof(event)), sizeof(event));
		assert_int_equal(event.type, DRM_AXL_EVENT_RESET);
		assert_int_equal(event.queue, guest->queue);
	}
	config.mask = 4;
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_EVENT_CONFIG, &config), -EINVAL);
	config = (struct drm_axl_event_config){.pad = 1};
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_EVENT_CONFIG, &config), -EINVAL);
	config = (struct drm_axl_event_config){0};
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_EVENT_CONFIG, &config), 0);
	guest_copy(guest, GUEST_SCRATCH, GUEST_NOWHERE, 64);
	guest_submit(guest);
	assert_int_equal(poll(&poller, 1, 100), 0);
	assert_int_equal(guest_reset(guest), 0);
}

static void an_eventfd_is_signalled(void **state)
{
	struct guest *guest = *state;
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	struct drm_axl_event_config config = {
		.mask = DRM_AXL_EVENT_MASK_FAULT, .flags = DRM_AXL_EVENT_FD, .eventfd = fd};
	struct pollfd poller = {.fd = fd, .events = POLLIN};

	assert_true(fd >= 0);
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_EVENT_CONFIG, &config), 0);
	/* More than the file's queue of events has room for. */
	for (int i = 0; i < 150; i++) {
		uint64_t count = 0;

		guest_copy(guest, GUEST_SCRATCH, GUEST_NOWHERE, 64);
		guest_submit(guest);
		assert_int_equal(poll(&poller, 1, 20000), 1);
		assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
		assert_int_equal(count, 1);
		assert_int_equal(guest_reset(guest), 0);
	}
	config.eventfd = guest->fd; /* a file, but no eventfd */
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_EVENT_CONFIG, &config), -EINVAL);
	config.eventfd = 999;
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_EVENT_CONFIG, &config), -EBADF);
	config.flags = 0;
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_EVENT_CONFIG, &config), -EINVAL);
	/* The one from before is still there, and goes with the next that has none. */
	guest_copy(guest, GUEST_SCRATCH, GUEST_NOWHERE, 64);
	guest_submit(guest);
	assert_int_equal(poll(&poller, 1, 20000), 1);
	config.eventfd = 0;
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_EVENT_CONFIG, &config), 0);
	assert_int_equal(read(fd, &(uint64_t){0}, 8), 8);
	assert_int_equal(guest_reset(guest), 0);
	guest_copy(guest, GUEST_SCRATCH, GUEST_NOWHERE, 64);
	guest_submit(guest);
	assert_int_equal(poll(&poller, 1, 100), 0);
	assert_int_equal(guest_reset(guest), 0);
	close(fd);
}

/* ---- memory of the process ---- */

static int bind_user(struct guest *guest, void *memory, uint64_t size, uint32_t rights)
{
	struct drm_axl_bind_op op = {
		.op = DRM_AXL_BIND_MAP_USER, .flags = rights, .va = USER_VA, .offset = (uintptr_t)memory, .size = size};
	struct drm_axl_vm_bind args = {.vm = guest->vm, .num_ops = 1, .stride = sizeof(op), .ops = (uintptr_t)&op};

	return guest_ioctl(guest->fd, DRM_IOCTL_AXL_VM_BIND, &args);
}

static void memory_of_the_process_can_be_bound(void **state)
{
	struct guest *guest = *state;

	for (int i = 0; i < loops(); i++) {
		uint64_t size = (uint64_t)(1 + i % 40) * PAGE;
		uint8_t *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE * (i % 2), -1, 0);

		assert_true(memory != MAP_FAILED);
		assert_int_equal(bind_user(guest, memory, size, DRM_AXL_BIND_READ | DRM_AXL_BIND_WRITE), 0);
		guest_fill(guest, USER_VA + size - PAGE, 0x5a5a0000u + (uint32_t)i, PAGE);
		assert_int_equal(guest_wait(guest, guest_submit(guest), 20 * SECOND), 0);
		assert_int_equal(*(uint32_t *)(memory + size - 4), 0x5a5a0000u + (uint32_t)i);
		/* Pinned: the process may take its mapping away. */
		if (i % 3 == 0)
			munmap(memory, size);
		guest_copy(guest, GUEST_SCRATCH, USER_VA + size - PAGE, 4);
		assert_int_equal(guest_wait(guest, guest_submit(guest), 20 * SECOND), 0);
		assert_int_equal(word(guest, GUEST_SCRATCH), 0x5a5a0000u + (uint32_t)i);
		assert_int_equal(guest_unbind(guest, USER_VA, size), 0);
		if (i % 3)
			munmap(memory, size);
	}
}

static void memory_that_is_not_there_or_not_for_writing_is_refused(void **state)
{
	struct guest *guest = *state;
	uint8_t *memory = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t both = DRM_AXL_BIND_READ | DRM_AXL_BIND_WRITE;

	assert_int_equal(bind_user(guest, memory + 1, PAGE, both), -EINVAL);
	assert_int_equal(munmap(memory + 2 * PAGE, PAGE), 0);
	assert_int_equal(bind_user(guest, memory, 4 * PAGE, both), -EFAULT);
	assert_int_equal(mprotect(memory, PAGE, PROT_READ), 0);
	assert_int_equal(bind_user(guest, memory, PAGE, both), -EFAULT);
	assert_int_equal(bind_user(guest, memory, PAGE, DRM_AXL_BIND_READ), 0);
	guest_fill(guest, USER_VA, 1, 4);
	assert_int_equal(guest_wait(guest, guest_submit(guest), 20 * SECOND), -EIO);
	assert_int_equal(guest_reset(guest), 0);
	assert_int_equal(guest_unbind(guest, USER_VA, PAGE), 0);
	munmap(memory, 2 * PAGE);
	munmap(memory + 3 * PAGE, PAGE);
	assert_int_equal(guest_job(guest, 1), 0);
}

static void pinned_memory_counts(void **state)
{
	struct guest *guest = *state;
	int pid = fork();

	if (!pid) {
		const struct rlimit limit = {.rlim_cur = 16 * PAGE, .rlim_max = 16 * PAGE};
		uint32_t both = DRM_AXL_BIND_READ | DRM_AXL_BIND_WRITE;
		struct guest own;
		uint8_t *memory;

		if (guest_create(&own, NULL) || setrlimit(RLIMIT_MEMLOCK, &limit) || setresuid(65534, 65534, 65534))
			_exit(1);
		memory = mmap(NULL, 32 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (bind_user(&own, memory, 17 * PAGE, both) != -ENOMEM)
			_exit(2);
		for (int i = 0; i < 10; i++)
			if (bind_user(&own, memory, 16 * PAGE, both) || guest_unbind(&own, USER_VA, 16 * PAGE))
				_exit(3);
		if (bind_user(&own, memory, 10 * PAGE, both))
			_exit(4);
		_exit(guest_destroy(&own) ? 5 : 0);
	}
	assert_int_equal(guest_reap(pid, 60 * SECOND), 0);
	assert_int_equal(guest_job(guest, 2), 0);
}

/* ---- accounting ---- */

static unsigned long long busy(const struct guest *guest)
{
	unsigned long long cycles = 0;
	char path[64], line[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", guest->fd);
	file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		sscanf(line, "drm-cycles-npu: %llu", &cycles);
	fclose(file);
	return cycles;
}

/* The kernel saw none of the jobs. */
static void work_past_the_kernel_is_accounted(void **state)
{
	struct guest *guest = *state, other;
	unsigned long long before = busy(guest), after;

	for (int i = 0; i < 20; i++)
		assert_int_equal(guest_job(guest, (uint32_t)i), 0);
	after = busy(guest);
	assert_true(after > before);
	assert_int_equal(guest_create_on(&other, guest->fd, NULL), 0);
	assert_int_equal(guest_job(&other, 1), 0);
	assert_true(busy(guest) > after);
	after = busy(guest);
	assert_int_equal(guest_destroy(&other), 0);
	assert_true(busy(guest) >= after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHECK(jobs_run_in_their_order),
		CHECK(contexts_take_turns_on_a_timeline),
		CHECK(a_faulting_job_fails_alone),
		CHECK(an_endless_job_fails_alone),
		CHECK(a_context_goes_with_jobs_that_wait),
		CHECK(contexts_go_while_their_jobs_fault),
		CHECK(bad_submissions_are_refused),
		CHECK(the_range_of_the_driver_is_its_own),
		CHECK(a_bounded_queue_gives_fences),
		CHECK(fences_by_the_thousand_end),
		CHECK(a_fence_of_a_faulted_queue_has_its_error),
		CHECK(a_fence_ends_with_its_queue),
		CHECK(a_fence_that_does_not_come_ends_in_time),
		CHECK(bad_exports_are_refused),
		CHECK(a_queue_waits_for_a_fence),
		CHECK(a_file_goes_with_a_store_that_waits),
		CHECK(faults_and_resets_are_events),
		CHECK(an_eventfd_is_signalled),
		CHECK(memory_of_the_process_can_be_bound),
		CHECK(memory_that_is_not_there_or_not_for_writing_is_refused),
		CHECK(pinned_memory_counts),
		CHECK(work_past_the_kernel_is_accounted),
	};

	return check_run("fences", tests, NULL, NULL);
}
