/* SPDX-License-Identifier: MIT */
/*
 * Every allocation and every copy of every call fails once, in turn (/proc/self/fail-nth): N = 1, 2, … until the call
 * comes through with nothing left to fail. Each failed call says so and leaves nothing; afterwards the same call works,
 * and so does a job.
 *
 * Probe and resume: test_fail_probe.c.
 *
 * Needs a kernel with CONFIG_FAULT_INJECTION, FAILSLAB and FAIL_PAGE_ALLOC.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "check.h"
#include "failing.h"
#include "fences.h"

#include <drm.h>

#define PAGE 4096ull
#define VA 0x30000000ull

/* What the calls are about, made before anything fails. */
struct rig {
	struct guest guest;
	uint32_t ctx, syncobj, bo;
	void *memory;
	int injected; /* what a call that sets fail-nth back has found, else -1 */
};

/* ---- the calls: 0 or a negative errno; what was made is taken back ---- */

static int call_open(struct rig *rig)
{
	int fd = guest_open();

	(void)rig;
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static int call_bo(struct rig *rig, uint32_t flags)
{
	struct guest_bo bo;
	int err = guest_bo_map(rig->guest.fd, 4 * PAGE, flags, &bo);
	uint64_t value;

	if (err)
		return err;
	/* Pages come with the first touch, and may fail to. */
	guest_load(bo.data, &value);
	guest_bo_destroy(rig->guest.fd, &bo);
	return 0;
}

static int call_bo_system(struct rig *rig)
{
	return call_bo(rig, 0);
}

static int call_bo_local(struct rig *rig)
{
	return call_bo(rig, DRM_AXL_BO_LOCAL);
}

static int call_vm(struct rig *rig)
{
	struct drm_axl_vm_create vm = {.kernel_va = GUEST_KERNEL, .kernel_size = AXL_LARGE_PAGE_BYTES};
	int err = guest_ioctl(rig->guest.fd, DRM_IOCTL_AXL_VM_CREATE, &vm);

	return err ? err : guest_ioctl(rig->guest.fd, DRM_IOCTL_AXL_VM_DESTROY, &vm);
}

static int call_bind(struct rig *rig)
{
	struct guest_bo bo;
	int err = guest_bo_create(rig->guest.fd, 8 * PAGE, 0, &bo);

	if (err)
		return err;
	/* Far from everything, so that tables are missing. */
	err = guest_bind(&rig->guest, bo.handle, 0x600000000000ull, 8 * PAGE, DRM_AXL_BIND_READ);
	if (!err && guest_unbind(&rig->guest, 0x600000000000ull, 8 * PAGE))
		guest_unbind(&rig->guest, 0x600000000000ull, 8 * PAGE);
	guest_bo_destroy(rig->guest.fd, &bo);
	return err;
}

/* Three operations: none of them happens when one fails. */
static int call_bind_many(struct rig *rig)
{
	struct drm_axl_bind_op ops[3] = {
		{.op = DRM_AXL_BIND_MAP, .flags = 1, .handle = rig->bo, .va = VA, .size = PAGE},
		{.op = DRM_AXL_BIND_MAP_USER,
		 .flags = 3,
		 .va = VA + PAGE,
		 .offset = (uintptr_t)rig->memory,
		 .size = 4 * PAGE},
		{.op = DRM_AXL_BIND_MAP, .flags = 1, .handle = rig->bo, .va = VA + (1ull << 40), .size = PAGE},
	};
	struct drm_axl_vm_bind args = {
		.vm = rig->guest.vm, .num_ops = 3, .stride = sizeof(ops[0]), .ops = (uintptr_t)ops};
	int err = guest_ioctl(rig->guest.fd, DRM_IOCTL_AXL_VM_BIND, &args);

	rig->injected = failing_struck();
	failing_set(0);
	for (int i = 0; i < 3; i++)
		if (guest_unbind(&rig->guest, ops[i].va, ops[i].size) != (err ? -ENOENT : 0))
			return -EBADMSG;
	return err;
}

/* Behind one fence and before another: what it is refused for leaves nothing that waits. */
static int call_bind_later(struct rig *rig)
{
	struct drm_axl_sync in = {.handle = rig->syncobj, .flags = DRM_AXL_SYNC_TIMELINE, .point = 1};
	struct drm_axl_sync out = {.handle = rig->syncobj, .flags = DRM_AXL_SYNC_TIMELINE, .point = 2};
	struct drm_axl_bind_op ops[2] = {
		{.op = DRM_AXL_BIND_MAP, .flags = 1, .handle = rig->bo, .va = VA, .size = PAGE},
		{.op = DRM_AXL_BIND_MAP_USER,
		 .flags = 3,
		 .va = VA + (1ull << 41),
		 .offset = (uintptr_t)rig->memory,
		 .size = 4 * PAGE},
	};
	int err = fences_bind(&rig->guest, ops, 2, &in, &out);

	rig->injected = failing_struck();
	failing_set(0);
	for (int i = 0; i < 2; i++)
		if (guest_unbind(&rig->guest, ops[i].va, ops[i].size) != (err ? -ENOENT : 0))
			return -EBADMSG;
	return err;
}

static int call_context(struct rig *rig)
{
	struct drm_axl_ctx_create args = {.vm = rig->guest.vm};
	struct drm_axl_ctx_destroy destroy = {0};
	int err = guest_ioctl(rig->guest.fd, DRM_IOCTL_AXL_CTX_CREATE, &args);

	destroy.ctx = args.ctx;
	return err ? err : guest_ioctl(rig->guest.fd, DRM_IOCTL_AXL_CTX_DESTROY, &destroy);
}

static int call_context_submit(struct rig *rig)
{
	struct drm_axl_ctx_destroy destroy;
	int ctx = fences_context(&rig->guest);

	destroy = (struct drm_axl_ctx_destroy){.ctx = (uint32_t)ctx};
	return ctx < 0 ? ctx : guest_ioctl(rig->guest.fd, DRM_IOCTL_AXL_CTX_DESTROY, &destroy);
}

static int call_queue(struct rig *rig)
{
	uint32_t slot;
	int queue = guest_queue_create(&rig->guest, NULL, &slot);

	return queue < 0 ? queue : guest_queue_op(&rig->guest, DRM_IOCTL_AXL_QUEUE_DESTROY, (uint32_t)queue);
}

static int call_query(struct rig *rig)
{
	struct axl_fault_record record;
	int err = guest_fault(&rig->guest, &record);

	return err < 0 ? err : 0;
}

static int call_reset(struct rig *rig)
{
	return guest_reset(&rig->guest);
}

static int call_suspend(struct rig *rig)
{
	int err = guest_queue_op(&rig->guest, DRM_IOCTL_AXL_QUEUE_SUSPEND, rig->guest.queue);

	return err ? err : guest_queue_op(&rig->guest, DRM_IOCTL_AXL_QUEUE_RESUME, rig->guest.queue);
}

static int call_wait(struct rig *rig)
{
	return guest_wait(&rig->guest, 0, SECOND);
}

static int call_submit(struct rig *rig)
{
	struct drm_axl_sync sync = {.handle = rig->syncobj, .flags = DRM_AXL_SYNC_TIMELINE, .point = 1};
	union axl_packet packet = fences_fill(GUEST_SCRATCH, 1, 4);

	return fences_submit(&rig->guest, rig->ctx, &packet, 1, NULL, &sync);
}

static int call_import(struct rig *rig)
{
	struct drm_axl_sync sync = {.handle = rig->syncobj, .flags = DRM_AXL_SYNC_TIMELINE};
	struct drm_axl_fence_import args = {.sync = sync, .handle = rig->bo, .value = 1};

	return guest_ioctl(rig->guest.fd, DRM_IOCTL_AXL_FENCE_IMPORT, &args);
}

static int call_prime(struct rig *rig)
{
	struct drm_prime_handle prime = {.handle = rig->bo, .flags = DRM_CLOEXEC | DRM_RDWR};
	int err = guest_ioctl(rig->guest.fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime);

	if (!err)
		close(prime.fd);
	return err;
}

static const struct call {
	const char *name;
	int (*call)(struct rig *rig);
} calls[] = {
	{"open", call_open},
	{"BO_CREATE in system memory, mapped", call_bo_system},
	{"BO_CREATE in local memory, mapped", call_bo_local},
	{"VM_CREATE", call_vm},
	{"VM_BIND", call_bind},
	{"VM_BIND of three", call_bind_many},
	{"VM_BIND behind a fence", call_bind_later},
	{"CTX_CREATE", call_context},
	{"CTX_CREATE for SUBMIT", call_context_submit},
	{"QUEUE_CREATE", call_queue},
	{"QUEUE_QUERY", call_query},
	{"QUEUE_RESET", call_reset},
	{"QUEUE_SUSPEND and QUEUE_RESUME", call_suspend},
	{"WAIT", call_wait},
	{"SUBMIT", call_submit},
	{"FENCE_IMPORT", call_import},
	{"PRIME export", call_prime},
};

/* ---- the sweep ---- */

/* Returns how many failures of the @kind the call knows, all of which it survived. */
static int sweep(struct rig *rig, enum failing_kind kind, const char *name, int (*call)(struct rig *rig))
{
	assert_int_equal(failing_only(kind, NULL), 0);
	for (int n = 1; n < FAILING_MOST; n++) {
		int err;
		bool did;

		rig->injected = -1;
		assert_int_equal(failing_set(n), 0);
		err = call(rig);
		did = rig->injected < 0 ? failing_struck() : rig->injected;
		failing_set(0);
		if (!did && !err)
			return n - 1;
		if (err && !failing_explains(err))
			fail_msg("%s, failure %d: error %d", name, n, err);
		err = call(rig);
		if (err)
			fail_msg("%s after failure %d: error %d", name, n, err);
	}
	fail_msg("%s does not come to an end", name);
	return 0;
}

static int begin(void **state)
{
	const char *missing = failing_begin();
	struct rig *rig = calloc(1, sizeof(*rig));
	struct guest_bo bo;
	int ctx;

	if (missing)
		fail_msg("%s: this kernel injects no failures", missing);
	alarm(900);
	assert_int_equal(guest_create(&rig->guest, NULL), 0);
	ctx = fences_context(&rig->guest);
	assert_true(ctx > 0);
	rig->ctx = (uint32_t)ctx;
	rig->syncobj = fences_create(&rig->guest);
	assert_int_equal(guest_bo_create(rig->guest.fd, PAGE, 0, &bo), 0);
	rig->bo = bo.handle;
	rig->memory = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	assert_int_equal(call_submit(rig), 0);
	*state = rig;
	return 0;
}

static int finish(void **state)
{
	struct rig *rig = *state;
	struct drm_axl_ctx_destroy destroy = {.ctx = rig->ctx};

	guest_ioctl(rig->guest.fd, DRM_IOCTL_AXL_CTX_DESTROY, &destroy);
	fences_destroy(&rig->guest, rig->syncobj);
	guest_destroy(&rig->guest);
	free(rig);
	return 0;
}

static void every_failure_of_every_call_is_survived(void **state)
{
	struct rig *rig = *state;

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		int objects = sweep(rig, FAILING_OBJECTS, calls[i].name, calls[i].call);
		int pages = sweep(rig, FAILING_PAGES, calls[i].name, calls[i].call);

		printf("figure %s: %d failures survived, %d of them of pages\n", calls[i].name, objects + pages, pages);
		assert_int_equal(guest_job(&rig->guest, (uint32_t)i), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_failure_of_every_call_is_survived, begin, finish),
	};

	return check_run("fail-nth", tests, NULL, NULL);
}
