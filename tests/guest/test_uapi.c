/* SPDX-License-Identifier: MIT */
/* Each error path of each ioctl and each mapping, with only that error wrong, and next to it the twin that is right. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>

#include "check.h"
#include "ioctl_args.h"

#define PAGE 4096ull

/* ---- the frame of a struct: page edges, short and long ---- */

/* What arguments point to, and objects that calls use up. */
static struct drm_axl_dev_info info;
static struct drm_axl_bind_op bind_op;
static struct drm_axl_wait_entry wait_entry;
static struct axl_fault_record fault_record;

static void good_query(struct guest *guest, union args *args)
{
	(void)guest;
	args->query = (struct drm_axl_dev_query){.size = sizeof(info), .data = (uintptr_t)&info};
}

static void good_time(struct guest *guest, union args *args)
{
	(void)guest;
	args->time = (struct drm_axl_get_time){0};
}

static void good_bo_create(struct guest *guest, union args *args)
{
	(void)guest;
	args->bo_create = (struct drm_axl_bo_create){.size = 1};
}

static void good_bo_info(struct guest *guest, union args *args)
{
	args->bo_info = (struct drm_axl_bo_info){.handle = guest->data_bo.handle};
}

static void good_vm_create(struct guest *guest, union args *args)
{
	(void)guest;
	args->vm = (struct drm_axl_vm_create){0};
}

static void good_vm_destroy(struct guest *guest, union args *args)
{
	args->vm = (struct drm_axl_vm_create){0};
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_VM_CREATE, &args->vm), 0);
}

static void good_bind(struct guest *guest, union args *args)
{
	static uint64_t va = 0x10000000;

	bind_op = (struct drm_axl_bind_op){.op = DRM_AXL_BIND_MAP,
					   .flags = DRM_AXL_BIND_READ,
					   .handle = guest->data_bo.handle,
					   .va = va += 2 * PAGE,
					   .size = PAGE};
	args->bind = (struct drm_axl_vm_bind){
		.vm = guest->vm, .num_ops = 1, .stride = sizeof(bind_op), .ops = (uintptr_t)&bind_op};
}

static void good_ctx_create(struct guest *guest, union args *args)
{
	args->ctx_create = (struct drm_axl_ctx_create){.vm = guest->vm};
}

static void good_ctx_destroy(struct guest *guest, union args *args)
{
	struct drm_axl_ctx_create create = {.vm = guest->vm};

	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_CTX_CREATE, &create), 0);
	args->ctx_destroy = (struct drm_axl_ctx_destroy){.ctx = create.ctx};
}

static void good_queue_create(struct guest *guest, union args *args)
{
	args->queue_create = (struct drm_axl_queue_create){
		.ctx = guest->ctx, .slots = guest->slots, .ring = GUEST_RING, .index = GUEST_INDEX};
}

static void good_queue_destroy(struct guest *guest, union args *args)
{
	uint32_t slot;
	int queue = guest_queue_create(guest, NULL, &slot);

	assert_true(queue > 0);
	args->queue_op = (struct drm_axl_queue_op){.queue = (uint32_t)queue};
}

static void good_queue_query(struct guest *guest, union args *args)
{
	args->queue_query = (struct drm_axl_queue_query){.queue = guest->queue, .record = (uintptr_t)&fault_record};
}

static void good_queue_reset(struct guest *guest, union args *args)
{
	args->queue_op = (struct drm_axl_queue_op){.queue = guest->queue};
}

static void good_queue_suspend(struct guest *guest, union args *args)
{
	args->queue_op = (struct drm_axl_queue_op){.queue = guest->queue};
	guest_ioctl(guest->fd, DRM_IOCTL_AXL_QUEUE_RESUME, &args->queue_op); /* if it was */
}

static void good_queue_resume(struct guest *guest, union args *args)
{
	args->queue_op = (struct drm_axl_queue_op){.queue = guest->queue};
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_QUEUE_SUSPEND, &args->queue_op), 0);
}

/* Index 0 has retired whatever came. */
static void good_wait(struct guest *guest, union args *args)
{
	wait_entry = (struct drm_axl_wait_entry){.queue = guest->queue};
	args->wait = (struct drm_axl_wait){.entries = (uintptr_t)&wait_entry, .num_entries = 1};
}

/* @least: the shortest struct that means something. */
static const struct call {
	const char *name;
	unsigned long request;
	void (*good)(struct guest *guest, union args *args);
	size_t size, least;
} calls[] = {
#define CALL(name, request, struct_name, least)                                                             \
	{                                                                                                   \
#request, DRM_IOCTL_AXL_##request, good_##name, sizeof(struct drm_axl_##struct_name), least \
	}
	CALL(query, DEV_QUERY, dev_query, 8),
	CALL(time, GET_TIME, get_time, 8),
	CALL(bo_create, BO_CREATE, bo_create, 8),
	CALL(bo_info, BO_INFO, bo_info, 8),
	CALL(vm_create, VM_CREATE, vm_create, 4),
	CALL(vm_destroy, VM_DESTROY, vm_destroy, 4),
	CALL(bind, VM_BIND, vm_bind, 24), /* as it was before it had syncobjs */
	CALL(ctx_create, CTX_CREATE, ctx_create, 4),
	CALL(ctx_destroy, CTX_DESTROY, ctx_destroy, 4),
	CALL(queue_create, QUEUE_CREATE, queue_create, 24),
	CALL(queue_destroy, QUEUE_DESTROY, queue_op, 4),
	CALL(queue_query, QUEUE_QUERY, queue_query, 8),
	CALL(queue_reset, QUEUE_RESET, queue_op, 4),
	CALL(queue_suspend, QUEUE_SUSPEND, queue_op, 4),
	CALL(queue_resume, QUEUE_RESUME, queue_op, 4),
	CALL(wait, WAIT, wait, 12),
#undef CALL
};

#define NUM_CALLS (sizeof(calls) / sizeof(calls[0]))

static unsigned long resized(unsigned long request, size_t size)
{
	return _IOC(_IOC_DIR(request), _IOC_TYPE(request), _IOC_NR(request), size);
}

/* A page, and one behind it that nobody may touch. */
static uint8_t *page_edge(void)
{
	uint8_t *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(pages != MAP_FAILED);
	assert_int_equal(mprotect(pages + PAGE, PAGE, PROT_NONE), 0);
	return pages + PAGE;
}

static void every_struct_may_end_at_an_unmapped_page(void **state)
{
	struct guest *guest = *state;
	uint8_t *edge = page_edge();

	for (size_t i = 0; i < NUM_CALLS; i++) {
		union args args = {0};

		calls[i].good(guest, &args);
		memcpy(edge - calls[i].size, &args, calls[i].size);
		if (guest_ioctl(guest->fd, calls[i].request, edge - calls[i].size))
			fail_msg("%s", calls[i].name);
	}
	munmap(edge - PAGE, 2 * PAGE);
}

static void every_struct_over_an_unmapped_page_is_refused(void **state)
{
	struct guest *guest = *state;
	uint8_t *edge = page_edge();

	for (size_t i = 0; i < NUM_CALLS; i++) {
		union args args = {0};

		calls[i].good(guest, &args);
		memcpy(edge - calls[i].size / 2, &args, calls[i].size / 2);
		if (guest_ioctl(guest->fd, calls[i].request, edge - calls[i].size / 2) != -EFAULT)
			fail_msg("%s over the edge", calls[i].name);
		if (guest_ioctl(guest->fd, calls[i].request, NULL) != -EFAULT)
			fail_msg("%s at NULL", calls[i].name);
		if (guest_ioctl(guest->fd, calls[i].request, (void *)0xffff888000000000) != -EFAULT)
			fail_msg("%s in the kernel", calls[i].name);
	}
	munmap(edge - PAGE, 2 * PAGE);
}

/* What is left out counts as zero, and nothing is written behind the end. */
static void shorter_structs_of_older_programs_are_understood(void **state)
{
	struct guest *guest = *state;
	uint8_t *edge = page_edge();

	for (size_t i = 0; i < NUM_CALLS; i++) {
		union args args = {0};
		size_t size = calls[i].least;

		calls[i].good(guest, &args);
		memcpy(edge - size, &args, size);
		if (guest_ioctl(guest->fd, resized(calls[i].request, size), edge - size))
			fail_msg("%s of %zu bytes", calls[i].name, size);
	}
	munmap(edge - PAGE, 2 * PAGE);
}

static void longer_structs_of_newer_programs_are_understood_when_zero(void **state)
{
	struct guest *guest = *state;

	for (size_t i = 0; i < NUM_CALLS; i++) {
		union args args = {0};

		calls[i].good(guest, &args);
		if (guest_ioctl(guest->fd, resized(calls[i].request, calls[i].size + 16), &args))
			fail_msg("%s", calls[i].name);
	}
}

static void longer_structs_with_more_to_say_are_refused(void **state)
{
	struct guest *guest = *state;

	for (size_t i = 0; i < NUM_CALLS; i++) {
		union args args = {0};
		int err;

		calls[i].good(guest, &args);
		args.bytes[calls[i].size + 8] = 1;
		err = guest_ioctl(guest->fd, resized(calls[i].request, calls[i].size + 16), &args);
		if (err != -EINVAL && err != -E2BIG)
			fail_msg("%s: %d", calls[i].name, err);
	}
}

static void an_unknown_ioctl_is_refused(void **state)
{
	struct guest *guest = *state;
	union args args = {0};

	for (unsigned int nr = DRM_AXL_QUEUE_RESUME + 1; nr < DRM_COMMAND_END - DRM_COMMAND_BASE; nr++) {
		int err = guest_ioctl(guest->fd, DRM_IOWR(DRM_COMMAND_BASE + nr, union args), &args);

		assert_true(err == -EINVAL || err == -ENOTTY);
	}
}

/* ---- one error each ---- */

/* The call of @index with one change of its good arguments. */
#define REFUSED(guest, call_name, err, change)                                       \
	do {                                                                         \
		union args args = {0};                                               \
		int got;                                                             \
                                                                                     \
		good_##call_name(guest, &args);                                      \
		change;                                                              \
		got = guest_ioctl((guest)->fd, request_of(good_##call_name), &args); \
		if (got != (err))                                                    \
			fail_msg("%s: %d, expected %d", #change, got, (err));        \
	} while (0)

#define ACCEPTED(guest, call_name, change) REFUSED(guest, call_name, 0, change)

static unsigned long request_of(void (*good)(struct guest *, union args *))
{
	for (size_t i = 0; i < NUM_CALLS; i++)
		if (calls[i].good == good)
			return calls[i].request;
	return 0;
}

static void dev_query(void **state)
{
	struct guest *guest = *state;
	struct drm_axl_counters counters;
	struct drm_axl_pipe_counters pipes = {0};
	uint8_t *edge = page_edge();

	ACCEPTED(guest, query, );
	assert_true(info.max_contexts > 0 && info.tiles > 0 && info.pad == 0);
	assert_int_equal(info.interface_version, AXL_REG_INTERFACE_VERSION);
	ACCEPTED(guest, query, args.query.type = DRM_AXL_QUERY_COUNTERS; args.query.size = sizeof(counters);
		 args.query.data = (uintptr_t)&counters);
	ACCEPTED(guest, query, args.query.type = DRM_AXL_QUERY_PIPES; args.query.size = sizeof(pipes);
		 args.query.data = (uintptr_t)&pipes);
	assert_true(info.features & AXL_FEATURE_PIPE_COUNTERS);
	for (unsigned int p = 0; p < DRM_AXL_MAX_PIPES; p++)
		assert_true(pipes.busy[p] <= pipes.cycles * info.tiles);
	ACCEPTED(guest, query, args.query.data = 0);
	ACCEPTED(guest, query, args.query.size = 8; args.query.data = (uintptr_t)(edge - 8));
	ACCEPTED(guest, query, args.query.size = 0);
	/* More than there is: what there is. */
	ACCEPTED(guest, query, args.query.size = 1 << 20; args.query.data = (uintptr_t)(edge - sizeof(info)));
	REFUSED(guest, query, -EINVAL, args.query.type = 3);
	REFUSED(guest, query, -EINVAL, args.query.type = ~0u);
	REFUSED(guest, query, -EFAULT, args.query.data = (uintptr_t)edge);
	REFUSED(guest, query, -EFAULT, args.query.data = (uintptr_t)(edge - 8));
	munmap(edge - PAGE, 2 * PAGE);
}

static void dev_query_says_how_much_there_is(void **state)
{
	struct guest *guest = *state;
	struct drm_axl_dev_query args = {.type = DRM_AXL_QUERY_INFO};

	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_DEV_QUERY, &args), 0);
	assert_int_equal(args.size, sizeof(info));
}

static void get_time(void **state)
{
	struct guest *guest = *state;
	struct drm_axl_get_time first = {0}, second = {0};
	int64_t before = guest_now();

	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_GET_TIME, &first), 0);
	assert_int_equal(guest_job(guest, 1), 0);
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_GET_TIME, &second), 0);
	assert_true(second.cycles > first.cycles && second.cpu_ns > first.cpu_ns);
	assert_true((int64_t)first.cpu_ns >= before && (int64_t)second.cpu_ns <= guest_now());
}

static void bo_create(void **state)
{
	struct guest *guest = *state;

	ACCEPTED(guest, bo_create, );
	ACCEPTED(guest, bo_create, args.bo_create.flags = DRM_AXL_BO_LOCAL);
	REFUSED(guest, bo_create, -EINVAL, args.bo_create.size = 0);
	REFUSED(guest, bo_create, -EINVAL, args.bo_create.size = ~0ull);
	REFUSED(guest, bo_create, -EINVAL, args.bo_create.size = ~0ull - PAGE + 1);
	REFUSED(guest, bo_create, -EINVAL, args.bo_create.size = (1ull << 40) + 1);
	REFUSED(guest, bo_create, -EINVAL, args.bo_create.flags = 2);
	REFUSED(guest, bo_create, -EINVAL, args.bo_create.flags = 0x80000001);
	REFUSED(guest, bo_create, -ENOSPC, args.bo_create.flags = DRM_AXL_BO_LOCAL; args.bo_create.size = 1ull << 39);
}

static void bo_create_says_the_size_and_clears_it(void **state)
{
	struct guest *guest = *state;
	struct guest_bo bo;

	for (uint32_t flags = 0; flags < 2; flags++) {
		assert_int_equal(guest_bo_map(guest->fd, 3 * PAGE + 1, flags, &bo), 0);
		assert_int_equal(bo.size, 4 * PAGE);
		for (uint64_t i = 0; i < bo.size; i++)
			assert_int_equal(((uint8_t *)bo.data)[i], 0);
		assert_int_equal(guest_bo_destroy(guest->fd, &bo), 0);
	}
}

static void bo_info(void **state)
{
	struct guest *guest = *state;
	struct drm_axl_bo_info local = {0};
	struct guest_bo bo;

	ACCEPTED(guest, bo_info, );
	REFUSED(guest, bo_info, -ENOENT, args.bo_info.handle = 0);
	REFUSED(guest, bo_info, -ENOENT, args.bo_info.handle = 999);
	REFUSED(guest, bo_info, -ENOENT, args.bo_info.handle = ~0u);
	assert_int_equal(guest_bo_create(guest->fd, 2 * PAGE, DRM_AXL_BO_LOCAL, &bo), 0);
	local.handle = bo.handle;
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_BO_INFO, &local), 0);
	assert_true(local.flags == DRM_AXL_BO_LOCAL && local.size == 2 * PAGE && local.mmap_offset);
	assert_int_equal(guest_bo_destroy(guest->fd, &bo), 0);
	REFUSED(guest, bo_info, -ENOENT, args.bo_info.handle = local.handle);
}

static void vm_create(void **state)
{
	struct guest *guest = *state;

	ACCEPTED(guest, vm_create, );
	REFUSED(guest, vm_create, -EINVAL, args.vm.flags = 1);
	REFUSED(guest, vm_create, -EINVAL, args.vm.flags = 0x80000000);
	REFUSED(guest, vm_create, -EINVAL, args.vm.vm = 1);
}

static void vm_destroy(void **state)
{
	struct guest *guest = *state;
	struct drm_axl_vm_create twice = {0};

	ACCEPTED(guest, vm_destroy, );
	REFUSED(guest, vm_destroy, -EINVAL, args.vm.flags = 1);
	REFUSED(guest, vm_destroy, -ENOENT, args.vm.vm = 0);
	REFUSED(guest, vm_destroy, -ENOENT, args.vm.vm = 999);
	REFUSED(guest, vm_destroy, -ENOENT, args.vm.vm = ~0u);
	REFUSED(guest, vm_destroy, -EBUSY, args.vm.vm = guest->vm);
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_VM_CREATE, &twice), 0);
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_VM_DESTROY, &twice), 0);
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_VM_DESTROY, &twice), -ENOENT);
	assert_int_equal(guest_job(guest, 2), 0);
}

static void address_spaces_run_out_with_an_error(void **state)
{
	struct guest *guest = *state;
	struct drm_axl_vm_create vm = {0};
	int err, count = 0;

	while (!(err = guest_ioctl(guest->fd, DRM_IOCTL_AXL_VM_CREATE, &vm)) && count++ < 5000)
		vm = (struct drm_axl_vm_create){0};
	assert_true(count >= 64 && count < 5000);
	assert_true(err == -ENOSPC || err == -EBUSY || err == -ENOMEM);
	assert_int_equal(vm.vm, 0);
	assert_int_equal(guest_job(guest, 3), 0);
}

static void vm_bind(void **state)
{
	struct guest *guest = *state;
	uint8_t *edge = page_edge();
	struct drm_axl_bind_op *many = calloc(257, sizeof(*many));

	ACCEPTED(guest, bind, );
	REFUSED(guest, bind, -ENOENT, args.bind.vm = 0);
	REFUSED(guest, bind, -ENOENT, args.bind.vm = 999);
	REFUSED(guest, bind, -EINVAL, args.bind.flags = 1);
	REFUSED(guest, bind, -EINVAL, args.bind.num_ops = 0);
	REFUSED(guest, bind, -EINVAL, args.bind.num_ops = ~0u);
	REFUSED(guest, bind, -EINVAL, args.bind.stride = 0);
	REFUSED(guest, bind, -EINVAL, args.bind.stride = sizeof(bind_op) - 8);
	REFUSED(guest, bind, -EINVAL, args.bind.stride = sizeof(bind_op) + 8);
	REFUSED(guest, bind, -EFAULT, args.bind.ops = 0);
	REFUSED(guest, bind, -EFAULT, args.bind.ops = (uintptr_t)edge);
	REFUSED(guest, bind, -EFAULT, args.bind.ops = (uintptr_t)(edge - 8));
	ACCEPTED(guest, bind, memcpy(edge - sizeof(bind_op), &bind_op, sizeof(bind_op));
		 args.bind.ops = (uintptr_t)(edge - sizeof(bind_op)));
	for (int i = 0; i < 257; i++)
		many[i] = (struct drm_axl_bind_op){.flags = DRM_AXL_BIND_READ,
						   .handle = guest->data_bo.handle,
						   .va = 0x20000000 + 2 * PAGE * (uint64_t)i,
						   .size = PAGE};
	REFUSED(guest, bind, -EINVAL, args.bind.ops = (uintptr_t)many; args.bind.num_ops = 257);
	ACCEPTED(guest, bind, args.bind.ops = (uintptr_t)many; args.bind.num_ops = 256);
	free(many);
	munmap(edge - PAGE, 2 * PAGE);
}

static void vm_bind_map(void **state)
{
	struct guest *guest = *state;

	for (uint32_t rights = 1; rights < 8; rights++)
		ACCEPTED(guest, bind, bind_op.flags = rights);
	REFUSED(guest, bind, -EINVAL, bind_op.op = 2);
	REFUSED(guest, bind, -EINVAL, bind_op.op = ~0u);
	REFUSED(guest, bind, -EINVAL, bind_op.flags = 0);
	REFUSED(guest, bind, -EINVAL, bind_op.flags = 8);
	REFUSED(guest, bind, -EINVAL, bind_op.flags |= 0x80000000);
	REFUSED(guest, bind, -EINVAL, bind_op.pad = 1);
	REFUSED(guest, bind, -ENOENT, bind_op.handle = 0);
	REFUSED(guest, bind, -ENOENT, bind_op.handle = 999);
	REFUSED(guest, bind, -EINVAL, bind_op.va += 1);
	REFUSED(guest, bind, -EINVAL, bind_op.va += 2048);
	REFUSED(guest, bind, -EINVAL, bind_op.offset = 64);
	REFUSED(guest, bind, -EINVAL, bind_op.size = 0);
	REFUSED(guest, bind, -EINVAL, bind_op.size = 2048);
	REFUSED(guest, bind, -EINVAL, bind_op.size = PAGE + 1);
	REFUSED(guest, bind, -EINVAL, bind_op.size = guest->data_bo.size + PAGE);
	REFUSED(guest, bind, -EINVAL, bind_op.offset = guest->data_bo.size);
	REFUSED(guest, bind, -EINVAL, bind_op.offset = ~0ull - PAGE + 1);
	REFUSED(guest, bind, -EINVAL, bind_op.size = ~0ull - PAGE + 1);
	REFUSED(guest, bind, -EINVAL, bind_op.va = 1ull << AXL_VA_BITS);
	REFUSED(guest, bind, -EINVAL, bind_op.va = ~0ull - PAGE + 1);
	REFUSED(guest, bind, -EINVAL, bind_op.va = (1ull << AXL_VA_BITS) - PAGE; bind_op.size = 2 * PAGE);
	ACCEPTED(guest, bind, bind_op.va = (1ull << AXL_VA_BITS) - PAGE);
	ACCEPTED(guest, bind, bind_op.va = 0);
	ACCEPTED(guest, bind, bind_op.offset = guest->data_bo.size - PAGE);
	REFUSED(guest, bind, -EEXIST, bind_op.va = GUEST_DATA);
	REFUSED(guest, bind, -EEXIST, bind_op.va = GUEST_DATA - PAGE; bind_op.size = 2 * PAGE);
	REFUSED(guest, bind, -EEXIST, bind_op.va = GUEST_DATA + GUEST_DATA_BYTES - PAGE);
	assert_int_equal(guest_job(guest, 4), 0);
}

/* The operation is an unmap of four pages. */
static void unmap_op(uint64_t va)
{
	bind_op = (struct drm_axl_bind_op){.op = DRM_AXL_BIND_UNMAP, .va = va, .size = 4 * PAGE};
}

static void vm_bind_unmap(void **state)
{
	struct guest *guest = *state;
	const uint64_t va = 0x30000000;

	assert_int_equal(guest_bind(guest, guest->data_bo.handle, va, 4 * PAGE, DRM_AXL_BIND_READ), 0);
	REFUSED(guest, bind, -EINVAL, unmap_op(va); bind_op.flags = DRM_AXL_BIND_READ);
	REFUSED(guest, bind, -EINVAL, unmap_op(va); bind_op.handle = guest->data_bo.handle);
	REFUSED(guest, bind, -EINVAL, unmap_op(va); bind_op.offset = PAGE);
	REFUSED(guest, bind, -EINVAL, unmap_op(va); bind_op.pad = 1);
	REFUSED(guest, bind, -EINVAL, unmap_op(va); bind_op.va += 8);
	REFUSED(guest, bind, -EINVAL, unmap_op(va); bind_op.size = 0);
	REFUSED(guest, bind, -ENOENT, unmap_op(va); bind_op.size = PAGE);
	REFUSED(guest, bind, -ENOENT, unmap_op(va); bind_op.size = 5 * PAGE);
	REFUSED(guest, bind, -ENOENT, unmap_op(va); bind_op.va += PAGE; bind_op.size = 3 * PAGE);
	REFUSED(guest, bind, -ENOENT, unmap_op(va); bind_op.va -= PAGE);
	ACCEPTED(guest, bind, unmap_op(va));
	REFUSED(guest, bind, -ENOENT, unmap_op(va));
	ACCEPTED(guest, bind, bind_op.va = va);
}

/* 0 when something is mapped at @va for reading. */
static int readable(struct guest *guest, uint64_t va)
{
	int err;

	guest_copy(guest, GUEST_SCRATCH, va, 64);
	err = guest_wait(guest, guest_submit(guest), 20 * SECOND);
	if (err)
		guest_reset(guest);
	return err;
}

static int bind_two(struct guest *guest, struct drm_axl_bind_op first, struct drm_axl_bind_op second)
{
	struct drm_axl_bind_op ops[2] = {first, second};
	struct drm_axl_vm_bind args = {.vm = guest->vm, .num_ops = 2, .stride = sizeof(ops[0]), .ops = (uintptr_t)ops};

	return guest_ioctl(guest->fd, DRM_IOCTL_AXL_VM_BIND, &args);
}

static void a_map_before_a_refused_operation_is_taken_back(void **state)
{
	struct guest *guest = *state;
	const uint64_t va = 0x30000000;
	struct drm_axl_bind_op map = {
		.flags = DRM_AXL_BIND_READ, .handle = guest->data_bo.handle, .va = va, .size = PAGE};
	struct drm_axl_bind_op bad = map;

	bad.handle = 999;
	bad.va = va + PAGE;
	assert_int_equal(bind_two(guest, map, bad), -ENOENT);
	assert_int_equal(readable(guest, va), -EIO);
	assert_int_equal(bind_two(guest, map, map), -EEXIST);
	assert_int_equal(readable(guest, va), -EIO);
	bad.handle = map.handle;
	assert_int_equal(bind_two(guest, map, bad), 0);
	assert_int_equal(readable(guest, va), 0);
}

static void an_unmap_before_a_refused_operation_is_taken_back(void **state)
{
	struct guest *guest = *state;
	const uint64_t va = 0x30000000;
	struct drm_axl_bind_op unmap = {.op = DRM_AXL_BIND_UNMAP, .va = va, .size = PAGE};
	struct drm_axl_bind_op bad = {.flags = DRM_AXL_BIND_READ, .handle = 999, .va = va + PAGE, .size = PAGE};

	assert_int_equal(guest_bind(guest, guest->data_bo.handle, va, PAGE, DRM_AXL_BIND_READ), 0);
	assert_int_equal(bind_two(guest, unmap, bad), -ENOENT);
	assert_int_equal(readable(guest, va), 0);
}

static void ring_and_index_page_stay_mapped_under_a_queue(void **state)
{
	struct guest *guest = *state;

	assert_int_equal(guest_unbind(guest, GUEST_RING, guest->ring_bo.size), -EBUSY);
	assert_int_equal(guest_unbind(guest, GUEST_INDEX, guest->index_bo.size), -EBUSY);
	assert_int_equal(guest_job(guest, 5), 0);
	assert_int_equal(guest_queue_op(guest, DRM_IOCTL_AXL_QUEUE_DESTROY, guest->queue), 0);
	guest->queue = 0;
	assert_int_equal(guest_unbind(guest, GUEST_RING, guest->ring_bo.size), 0);
	assert_int_equal(guest_unbind(guest, GUEST_INDEX, guest->index_bo.size), 0);
}

static void ctx_create(void **state)
{
	struct guest *guest = *state;

	ACCEPTED(guest, ctx_create, );
	REFUSED(guest, ctx_create, -ENOENT, args.ctx_create.vm = 0);
	REFUSED(guest, ctx_create, -ENOENT, args.ctx_create.vm = 999);
	REFUSED(guest, ctx_create, -EINVAL, args.ctx_create.flags = 2);
	REFUSED(guest, ctx_create, -EINVAL, args.ctx_create.flags = 0x80000000);
	REFUSED(guest, ctx_create, -EINVAL, args.ctx_create.pad = 1);
	REFUSED(guest, ctx_create, -EINVAL, args.ctx_create.ctx = 1);
	REFUSED(guest, ctx_create, -EINVAL, args.ctx_create.doorbell_offset = 4096);
	REFUSED(guest, ctx_create, -EINVAL, args.ctx_create.status_offset = 4096);
}

static void contexts_run_out_with_an_error_and_come_back(void **state)
{
	struct guest *guest = *state;
	unsigned int room = guest_context_room();

	assert_true(room > 0 && room < AXL_MAX_CONTEXTS);
	assert_int_equal(guest_context_room(), room);
	for (unsigned int i = 0; i < room; i++)
		ACCEPTED(guest, ctx_create, );
	REFUSED(guest, ctx_create, -ENOSPC, );
	assert_int_equal(guest_job(guest, 6), 0);
}

static void ctx_destroy(void **state)
{
	struct guest *guest = *state;
	struct drm_axl_ctx_create create = {.vm = guest->vm};
	struct drm_axl_ctx_destroy twice = {0};

	ACCEPTED(guest, ctx_destroy, );
	REFUSED(guest, ctx_destroy, -ENOENT, args.ctx_destroy.ctx = 0);
	REFUSED(guest, ctx_destroy, -ENOENT, args.ctx_destroy.ctx = 999);
	REFUSED(guest, ctx_destroy, -EINVAL, args.ctx_destroy.pad = 1);
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_CTX_CREATE, &create), 0);
	twice.ctx = create.ctx;
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_CTX_DESTROY, &twice), 0);
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_CTX_DESTROY, &twice), -ENOENT);
}

static void the_queues_of_a_destroyed_context_are_gone(void **state)
{
	struct guest *guest = *state;
	struct drm_axl_ctx_destroy destroy = {.ctx = guest->ctx};

	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_CTX_DESTROY, &destroy), 0);
	assert_int_equal(guest_wait(guest, 1, 0), -ENOENT);
	assert_int_equal(guest_reset(guest), -ENOENT);
	assert_int_equal(guest_queue_op(guest, DRM_IOCTL_AXL_QUEUE_DESTROY, guest->queue), -ENOENT);
}

static void queue_create(void **state)
{
	struct guest *guest = *state;

#define QUEUE args.queue_create
	ACCEPTED(guest, queue_create, );
	ACCEPTED(guest, queue_create, QUEUE.slots = AXL_RING_MIN_SLOTS);
	ACCEPTED(guest, queue_create, QUEUE.flags = AXL_QUEUE_BOUNDED);
	ACCEPTED(guest, queue_create, QUEUE.priority = 3);
	ACCEPTED(guest, queue_create, QUEUE.timeslice = 10; QUEUE.watchdog = 10);
	REFUSED(guest, queue_create, -ENOENT, QUEUE.ctx = 0);
	REFUSED(guest, queue_create, -ENOENT, QUEUE.ctx = 999);
	REFUSED(guest, queue_create, -EINVAL, QUEUE.slots = 0);
	REFUSED(guest, queue_create, -EINVAL, QUEUE.slots = 4);
	REFUSED(guest, queue_create, -EINVAL, QUEUE.slots = 65);
	REFUSED(guest, queue_create, -EINVAL, QUEUE.slots = 2 * AXL_RING_MAX_SLOTS);
	REFUSED(guest, queue_create, -EINVAL, QUEUE.slots = 0x80000000);
	REFUSED(guest, queue_create, -EINVAL, QUEUE.ring += 8);
	REFUSED(guest, queue_create, -EINVAL, QUEUE.ring = 1ull << AXL_VA_BITS);
	REFUSED(guest, queue_create, -EINVAL, QUEUE.index += 64);
	REFUSED(guest, queue_create, -EINVAL, QUEUE.index = 1ull << AXL_VA_BITS);
	REFUSED(guest, queue_create, -EINVAL, QUEUE.priority = 4);
	REFUSED(guest, queue_create, -EINVAL, QUEUE.priority = ~0u);
	REFUSED(guest, queue_create, -EINVAL, QUEUE.flags = 2);
	REFUSED(guest, queue_create, -EINVAL, QUEUE.queue = 1);
	REFUSED(guest, queue_create, -EINVAL, QUEUE.slot = 1);
	assert_int_equal(guest_job(guest, 7), 0);
}

/* Else a program that tries again with the same struct is refused for another reason. */
static void a_refused_queue_create_leaves_its_outputs_zero(void **state)
{
	struct guest *guest = *state;
	union args args;

	good_queue_create(guest, &args);
	args.queue_create.slots = 65;
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_QUEUE_CREATE, &args), -EINVAL);
	assert_int_equal(args.queue_create.queue, 0);
	assert_int_equal(args.queue_create.slot, 0);
}

static void slots_of_a_context_run_out_with_an_error_and_come_back(void **state)
{
	struct guest *guest = *state;
	struct drm_axl_queue_op op;

	for (int i = 1; i < AXL_QUEUES_PER_CONTEXT; i++)
		ACCEPTED(guest, queue_create, op.queue = QUEUE.queue);
	REFUSED(guest, queue_create, -ENOSPC, );
	op = (struct drm_axl_queue_op){.queue = guest->queue + 5};
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_QUEUE_DESTROY, &op), 0);
	ACCEPTED(guest, queue_create, );
	assert_int_equal(guest_job(guest, 8), 0);
}

/* In a child, since what is given away does not come back. */
static int without_privilege(uint32_t priority)
{
	struct guest_options options = {.priority = priority};
	int pid = fork();

	if (!pid) {
		struct guest guest;

		if (guest_create(&guest, NULL) || setgid(65534) || setuid(65534))
			_exit(100);
		_exit(-guest_queue_create(&guest, &options, &guest.slot) & 0x7f);
	}
	return guest_reap(pid, 20 * SECOND);
}

/* Pieces of a sixteenth of local memory that one file without privilege gets; negative: not for want of its share. */
static int pieces_without_privilege(void)
{
	int pid = fork();

	if (!pid) {
		struct drm_axl_dev_query query = {.size = sizeof(info), .data = (uintptr_t)&info};
		int fd = guest_open(), count = 0, err;
		struct guest_bo bo = {0}, last = {0};

		if (fd < 0 || guest_ioctl(fd, DRM_IOCTL_AXL_DEV_QUERY, &query) || setgid(65534) || setuid(65534))
			_exit(100);
		while (!(err = guest_bo_create(fd, info.mem_bytes / 16, DRM_AXL_BO_LOCAL, &bo)) && count < 99) {
			last = bo;
			count++;
		}
		/* What is given back can be had again, and nothing more. */
		if (err != -EDQUOT || guest_bo_destroy(fd, &last) ||
		    guest_bo_create(fd, info.mem_bytes / 16, DRM_AXL_BO_LOCAL, &bo) ||
		    guest_bo_create(fd, PAGE, DRM_AXL_BO_LOCAL, &last) != -EDQUOT ||
		    guest_bo_create(fd, info.mem_bytes, DRM_AXL_BO_LOCAL, &last) != -EDQUOT)
			_exit(101);
		_exit(count);
	}
	return guest_reap(pid, 60 * SECOND);
}

static void a_file_has_a_quarter_of_local_memory(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(pieces_without_privilege(), 4);
}

static void high_priorities_need_a_privilege(void **state)
{
	(void)state;
	assert_int_equal(without_privilege(2), EPERM);
	assert_int_equal(without_privilege(3), EPERM);
	/* A handle, not an errno: 2 is the second queue's. */
	assert_int_equal(without_privilege(0), -2 & 0x7f);
	assert_int_equal(without_privilege(1), -2 & 0x7f);
}

static void queue_destroy_and_reset(void **state)
{
	struct guest *guest = *state;

	ACCEPTED(guest, queue_destroy, );
	ACCEPTED(guest, queue_reset, );
	REFUSED(guest, queue_destroy, -EINVAL, args.queue_op.flags = 1);
	REFUSED(guest, queue_destroy, -ENOENT, args.queue_op.queue = 0);
	REFUSED(guest, queue_destroy, -ENOENT, args.queue_op.queue = 999);
	REFUSED(guest, queue_reset, -EINVAL, args.queue_op.flags = 1);
	REFUSED(guest, queue_reset, -ENOENT, args.queue_op.queue = 0);
	REFUSED(guest, queue_reset, -ENOENT, args.queue_op.queue = 999);
	assert_int_equal(guest_job(guest, 9), 0);
}

static void queue_query(void **state)
{
	struct guest *guest = *state;
	uint8_t *edge = page_edge();

	ACCEPTED(guest, queue_query, );
	ACCEPTED(guest, queue_query, args.queue_query.record = (uintptr_t)edge);
	REFUSED(guest, queue_query, -ENOENT, args.queue_query.queue = 0);
	REFUSED(guest, queue_query, -ENOENT, args.queue_query.queue = 999);
	assert_int_equal(guest_fault(guest, &fault_record), 0);
	guest_fill(guest, GUEST_NOWHERE, 1, 64);
	assert_int_equal(guest_wait(guest, guest_submit(guest), 20 * SECOND), -EIO);
	/* How soon it is there is test_failures' to say. */
	for (int64_t deadline = guest_in(SECOND); !guest_fault(guest, &fault_record) && guest_now() < deadline;)
		;
	assert_int_equal(guest_fault(guest, &fault_record), 1);
	assert_int_equal(fault_record.cause, AXL_CAUSE_NOT_MAPPED);
	assert_true(fault_record.address == GUEST_NOWHERE && fault_record.packet == 0 && fault_record.tag == 1);
	ACCEPTED(guest, queue_query, args.queue_query.record = 0);
	ACCEPTED(guest, queue_query, args.queue_query.record = (uintptr_t)(edge - sizeof(fault_record)));
	REFUSED(guest, queue_query, -EFAULT, args.queue_query.record = (uintptr_t)edge);
	REFUSED(guest, queue_query, -EFAULT, args.queue_query.record = (uintptr_t)(edge - 64));
	munmap(edge - PAGE, 2 * PAGE);
}

static void wait_arguments(void **state)
{
	struct guest *guest = *state;
	struct drm_axl_wait_entry many[65];
	uint8_t *edge = page_edge();
	void *constant = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (int i = 0; i < 65; i++)
		many[i] = (struct drm_axl_wait_entry){.queue = guest->queue};
	ACCEPTED(guest, wait, );
	ACCEPTED(guest, wait, args.wait.flags = DRM_AXL_WAIT_ALL);
	ACCEPTED(guest, wait, args.wait.entries = (uintptr_t)many; args.wait.num_entries = 64);
	ACCEPTED(guest, wait, args.wait.deadline_ns = -1);
	REFUSED(guest, wait, -EINVAL, args.wait.entries = (uintptr_t)many; args.wait.num_entries = 65);
	REFUSED(guest, wait, -EINVAL, args.wait.num_entries = 0);
	REFUSED(guest, wait, -EINVAL, args.wait.num_entries = ~0u);
	REFUSED(guest, wait, -EINVAL, args.wait.flags = 2);
	REFUSED(guest, wait, -EINVAL, args.wait.pad = 1);
	REFUSED(guest, wait, -EFAULT, args.wait.entries = 0);
	REFUSED(guest, wait, -EFAULT, args.wait.entries = (uintptr_t)edge);
	REFUSED(guest, wait, -EFAULT, args.wait.entries = (uintptr_t)(edge - 8));
	REFUSED(guest, wait, -ENOENT, wait_entry.queue = 0);
	REFUSED(guest, wait, -ENOENT, wait_entry.queue = 999);
	many[63].queue = 999;
	REFUSED(guest, wait, -ENOENT, args.wait.entries = (uintptr_t)many; args.wait.num_entries = 64);
	memcpy(constant, &many[0], sizeof(many[0]));
	assert_int_equal(mprotect(constant, PAGE, PROT_READ), 0);
	REFUSED(guest, wait, -EFAULT, args.wait.entries = (uintptr_t)constant);
	munmap(constant, PAGE);
	munmap(edge - PAGE, 2 * PAGE);
}

static void wait_times(void **state)
{
	struct guest *guest = *state;
	int64_t begin = guest_now();

	REFUSED(guest, wait, -ETIME, wait_entry.index = 1);
	assert_int_equal(wait_entry.result, -ETIME);
	REFUSED(guest, wait, -ETIME, wait_entry.index = 1; args.wait.deadline_ns = 1);
	REFUSED(guest, wait, -ETIME, wait_entry.index = ~0ull; args.wait.deadline_ns = guest_in(1));
	assert_true(guest_now() - begin < 5 * SECOND);
	begin = guest_now();
	REFUSED(guest, wait, -ETIME, wait_entry.index = 1; args.wait.deadline_ns = guest_in(50 * MILLISECOND));
	assert_true(guest_now() - begin >= 50 * MILLISECOND);
	guest_nop(guest);
	guest_submit(guest);
	ACCEPTED(guest, wait, wait_entry.index = 1; args.wait.deadline_ns = INT64_MAX);
	assert_int_equal(wait_entry.result, 0);
	ACCEPTED(guest, wait, wait_entry.index = 1; args.wait.deadline_ns = INT64_MIN);
}

/* ANY: one that ended is enough, and the results say which; ALL: it is not. */
static void wait_any_and_all(void **state)
{
	struct guest *guest = *state;
	struct drm_axl_wait_entry two[2] = {{.queue = guest->queue, .index = 9}, {.queue = guest->queue, .index = 0}};

	ACCEPTED(guest, wait, args.wait.entries = (uintptr_t)two; args.wait.num_entries = 2);
	assert_true(two[0].result == -ETIME && two[1].result == 0);
	REFUSED(guest, wait, -ETIME, args.wait.entries = (uintptr_t)two; args.wait.num_entries = 2;
		args.wait.flags = DRM_AXL_WAIT_ALL);
	assert_true(two[0].result == -ETIME && two[1].result == 0);
	guest_fill(guest, GUEST_NOWHERE, 1, 64);
	guest_submit(guest);
	/* A fault ends every entry that can not come any more. */
	ACCEPTED(guest, wait, args.wait.entries = (uintptr_t)two; args.wait.num_entries = 2;
		 args.wait.flags = DRM_AXL_WAIT_ALL; args.wait.deadline_ns = guest_in(20 * SECOND));
	assert_true(two[0].result == -EIO && two[1].result == 0);
}

/* ---- mappings ---- */

static int map_error(struct guest *guest, uint64_t offset, size_t size, int rights, int flags)
{
	void *at = mmap(NULL, size, rights, flags, guest->fd, (off_t)offset);

	if (at == MAP_FAILED)
		return -errno;
	munmap(at, size);
	return 0;
}

static void a_doorbell_page_is_one_shared_page_for_writing(void **state)
{
	struct guest *guest = *state;
	uint64_t at = guest->doorbell_offset;

	assert_int_equal(map_error(guest, at, PAGE, PROT_WRITE, MAP_SHARED), 0);
	assert_int_equal(map_error(guest, at, 2 * PAGE, PROT_WRITE, MAP_SHARED), -EINVAL);
	assert_int_equal(map_error(guest, at, AXL_DOORBELL_STRIDE, PROT_WRITE, MAP_SHARED), -EINVAL);
	assert_int_equal(map_error(guest, at, PAGE, PROT_WRITE, MAP_PRIVATE), -EINVAL);
	assert_int_equal(map_error(guest, at, PAGE, PROT_READ, MAP_SHARED), -EACCES);
	assert_int_equal(map_error(guest, at, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED), -EACCES);
	assert_int_equal(map_error(guest, at, PAGE, PROT_WRITE | PROT_EXEC, MAP_SHARED), -EACCES);
}

static void a_status_page_is_one_shared_page_for_reading(void **state)
{
	struct guest *guest = *state;
	uint64_t at = guest->status_offset;

	assert_int_equal(map_error(guest, at, PAGE, PROT_READ, MAP_SHARED), 0);
	assert_int_equal(map_error(guest, at, 2 * PAGE, PROT_READ, MAP_SHARED), -EINVAL);
	assert_int_equal(map_error(guest, at, PAGE, PROT_READ, MAP_PRIVATE), -EINVAL);
	assert_int_equal(map_error(guest, at, PAGE, PROT_WRITE, MAP_SHARED), -EACCES);
	assert_int_equal(map_error(guest, at, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED), -EACCES);
	assert_int_equal(map_error(guest, at, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED), -EACCES);
}

static void other_offsets_are_refused(void **state)
{
	struct guest *guest = *state;
	const uint64_t bad[] = {
		0,
		PAGE,
		guest->doorbell_offset + PAGE,
		guest->doorbell_offset - PAGE,
		guest->doorbell_offset + AXL_DOORBELL_STRIDE, /* another context's */
		guest->status_offset + PAGE,
		guest->status_offset - PAGE,
		guest->status_offset + 65536,
		guest->data_bo.offset + (1ull << 40),
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (map_error(guest, bad[i], PAGE, PROT_WRITE, MAP_SHARED) != -EINVAL)
			fail_msg("offset %#llx for writing", (unsigned long long)bad[i]);
		if (map_error(guest, bad[i], PAGE, PROT_READ, MAP_SHARED) != -EINVAL)
			fail_msg("offset %#llx for reading", (unsigned long long)bad[i]);
	}
}

/* An alias would be a mapping that nobody takes back. */
static void no_page_has_a_second_offset(void **state)
{
	struct guest *guest = *state;
	uint64_t both = guest->doorbell_offset | guest->status_offset;

	assert_int_equal(map_error(guest, both, PAGE, PROT_READ, MAP_SHARED), -EINVAL);
	for (int bit = 26; bit < 30; bit++) {
		assert_int_equal(map_error(guest, guest->doorbell_offset | 1ull << bit, PAGE, PROT_WRITE, MAP_SHARED),
				 -EINVAL);
		assert_int_equal(map_error(guest, guest->status_offset | 1ull << bit, PAGE, PROT_READ, MAP_SHARED),
				 -EINVAL);
	}
}

static void rights_of_the_status_page_do_not_grow(void **state)
{
	struct guest *guest = *state;
	void *status = (void *)(uintptr_t)guest->status;

	assert_int_equal(mprotect(status, PAGE, PROT_READ), 0);
	assert_true(mprotect(status, PAGE, PROT_READ | PROT_WRITE) < 0 && errno == EACCES);
	assert_true(mprotect(status, PAGE, PROT_WRITE) < 0 && errno == EACCES);
	assert_true(guest_store(status, 1) == SIGSEGV);
	assert_int_equal(guest_job(guest, 10), 0);
}

static void pages_do_not_become_executable(void **state)
{
	struct guest *guest = *state;

	assert_true(mprotect((void *)(uintptr_t)guest->status, PAGE, PROT_READ | PROT_EXEC) < 0 && errno == EACCES);
	assert_true(mprotect(guest->doorbells, PAGE, PROT_WRITE | PROT_EXEC) < 0 && errno == EACCES);
}

static void a_doorbell_page_does_not_become_readable(void **state)
{
	struct guest *guest = *state;

	assert_true(mprotect(guest->doorbells, PAGE, PROT_READ | PROT_WRITE) < 0 && errno == EACCES);
}

static void mappings_do_not_grow(void **state)
{
	struct guest *guest = *state;

	assert_true(mremap(guest->doorbells, PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED);
	assert_true(mremap((void *)(uintptr_t)guest->status, PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED);
	assert_int_equal(guest_job(guest, 11), 0);
}

static void a_buffer_maps_as_far_as_it_goes(void **state)
{
	struct guest *guest = *state;
	struct guest_bo bo;

	for (uint32_t flags = 0; flags < 2; flags++) {
		assert_int_equal(guest_bo_create(guest->fd, 2 * PAGE, flags, &bo), 0);
		assert_int_equal(map_error(guest, bo.offset, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED), 0);
		assert_int_equal(map_error(guest, bo.offset, PAGE, PROT_READ, MAP_SHARED), 0);
		assert_int_equal(map_error(guest, bo.offset, 3 * PAGE, PROT_READ, MAP_SHARED), -EINVAL);
		assert_int_equal(map_error(guest, bo.offset + PAGE, 2 * PAGE, PROT_READ, MAP_SHARED), -EINVAL);
		assert_int_equal(guest_bo_destroy(guest->fd, &bo), 0);
	}
}

/* A fault in a copy-on-write mapping of raw pages is a BUG of the kernel: with AXL_CRASH=1 the test proves it. */
static void a_buffer_has_no_private_mapping(void **state)
{
	struct guest *guest = *state;
	struct guest_bo bo;
	uint64_t value = 0;

	for (uint32_t flags = 0; flags < 2; flags++) {
		void *at;

		assert_int_equal(guest_bo_create(guest->fd, PAGE, flags, &bo), 0);
		at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, guest->fd, (off_t)bo.offset);
		if (at != MAP_FAILED && guest_setting("AXL_CRASH", 0))
			guest_load(at, &value);
		assert_true(at == MAP_FAILED);
		assert_int_equal(errno, EINVAL);
		assert_int_equal(guest_bo_destroy(guest->fd, &bo), 0);
	}
}

static void another_files_offsets_are_refused(void **state)
{
	struct guest *guest = *state;
	struct guest other;

	assert_int_equal(guest_create(&other, NULL), 0);
	assert_int_equal(map_error(guest, other.data_bo.offset, PAGE, PROT_READ, MAP_SHARED), -EACCES);
	assert_int_equal(map_error(&other, guest->data_bo.offset, PAGE, PROT_READ, MAP_SHARED), -EACCES);
	assert_int_equal(guest_destroy(&other), 0);
}

/* Handles count anew for each file: what a file maps at an offset is its own page. */
static void offsets_count_for_their_file(void **state)
{
	struct guest *guest = *state;
	struct guest other;

	assert_int_equal(guest_create(&other, NULL), 0);
	assert_true(other.status_offset == guest->status_offset);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(guest_job(&other, i), 0);
	assert_true(guest_status(guest)->retired == 0);
	assert_true(guest_status(&other)->retired == other.head);
	assert_int_equal(guest_destroy(&other), 0);
	assert_int_equal(guest_job(guest, 12), 0);
}

static void a_doorbell_of_a_destroyed_context_rings_nothing(void **state)
{
	struct guest *guest = *state;
	struct drm_axl_ctx_destroy destroy = {.ctx = guest->ctx};
	struct drm_axl_counters before, after;

	assert_int_equal(guest_store(guest->doorbells, 0), 0);
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_CTX_DESTROY, &destroy), 0);
	assert_int_equal(guest_counters(guest->fd, &before), 0);
	guest_store(guest->doorbells, 0);
	assert_int_equal(guest_counters(guest->fd, &after), 0);
	assert_true(before.doorbells == after.doorbells);
	assert_int_equal(map_error(guest, guest->doorbell_offset, PAGE, PROT_WRITE, MAP_SHARED), -EINVAL);
	assert_int_equal(map_error(guest, guest->status_offset, PAGE, PROT_READ, MAP_SHARED), -EINVAL);
}

/* A program must not die of a context that another of its threads destroyed. */
static void pages_of_a_destroyed_context_give_no_signal(void **state)
{
	struct guest *guest = *state;
	struct drm_axl_ctx_destroy destroy = {.ctx = guest->ctx};
	uint64_t value;

	assert_int_equal(guest_job(guest, 13), 0);
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_CTX_DESTROY, &destroy), 0);
	assert_int_equal(guest_store(guest->doorbells, 0), 0);
	assert_int_equal(guest_load((const uint64_t *)&guest->status->queue[0].retired, &value), 0);
}

/* The handle is somebody else's now, and the offset with it. */
static void old_mappings_do_not_reach_the_next_context(void **state)
{
	struct guest *guest = *state;
	struct drm_axl_ctx_destroy destroy = {.ctx = guest->ctx};
	struct drm_axl_counters before, after;
	struct guest next;

	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_CTX_DESTROY, &destroy), 0);
	assert_int_equal(guest_create_on(&next, guest->fd, NULL), 0);
	assert_int_equal(guest_job(&next, 14), 0);
	assert_int_equal(guest_counters(guest->fd, &before), 0);
	guest_store(guest->doorbells, 0);
	assert_int_equal(guest_counters(guest->fd, &after), 0);
	assert_int_equal(guest_destroy(&next), 0);
	assert_true(before.doorbells == after.doorbells);
}

static void mappings_live_on_after_close(void **state)
{
	struct guest *guest = *state;
	struct guest other;
	int fd;

	assert_int_equal(guest_create(&other, NULL), 0);
	fd = other.fd;
	close(fd);
	guest_fill(&other, GUEST_RESULT, 0x12345678, 4096);
	assert_int_equal(guest_poll(&other, guest_submit(&other), 20 * SECOND), 0);
	assert_int_equal(*(uint32_t *)guest_at(&other, GUEST_RESULT + 4092), 0x12345678);
	munmap(other.doorbells, PAGE);
	munmap((void *)(uintptr_t)other.status, PAGE);
	munmap(other.ring_bo.data, other.ring_bo.size);
	munmap(other.index_bo.data, other.index_bo.size);
	munmap(other.code_bo.data, other.code_bo.size);
	munmap(other.data_bo.data, other.data_bo.size);
	assert_int_equal(guest_job(guest, 15), 0);
}

/* Its pages would be pinned all at once: with AXL_CRASH=1 the test binds it, and the machine is out of memory. */
static void a_buffer_larger_than_the_machine_is_refused(void **state)
{
	struct guest *guest = *state;
	struct guest_bo bo;
	struct sysinfo machine;
	int err;

	assert_int_equal(sysinfo(&machine), 0);
	err = guest_bo_create(guest->fd, (uint64_t)machine.totalram * machine.mem_unit * 2, 0, &bo);
	if (!err && guest_setting("AXL_CRASH", 0))
		err = guest_bind(guest, bo.handle, 0x40000000, PAGE, DRM_AXL_BIND_READ);
	assert_true(err == -ENOMEM || err == -EINVAL || err == -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHECK(every_struct_may_end_at_an_unmapped_page),
		CHECK(every_struct_over_an_unmapped_page_is_refused),
		CHECK(shorter_structs_of_older_programs_are_understood),
		CHECK(longer_structs_of_newer_programs_are_understood_when_zero),
		CHECK(longer_structs_with_more_to_say_are_refused),
		CHECK(an_unknown_ioctl_is_refused),
		CHECK(dev_query),
		CHECK(dev_query_says_how_much_there_is),
		CHECK(get_time),
		CHECK(bo_create),
		CHECK(bo_create_says_the_size_and_clears_it),
		CHECK(bo_info),
		CHECK(vm_create),
		CHECK(vm_destroy),
		CHECK(address_spaces_run_out_with_an_error),
		CHECK(vm_bind),
		CHECK(vm_bind_map),
		CHECK(vm_bind_unmap),
		CHECK(a_map_before_a_refused_operation_is_taken_back),
		CHECK(an_unmap_before_a_refused_operation_is_taken_back),
		CHECK(ring_and_index_page_stay_mapped_under_a_queue),
		CHECK(ctx_create),
		CHECK(contexts_run_out_with_an_error_and_come_back),
		CHECK(ctx_destroy),
		CHECK(the_queues_of_a_destroyed_context_are_gone),
		CHECK(queue_create),
		CHECK(a_refused_queue_create_leaves_its_outputs_zero),
		CHECK(slots_of_a_context_run_out_with_an_error_and_come_back),
		CHECK(high_priorities_need_a_privilege),
		CHECK(a_file_has_a_quarter_of_local_memory),
		CHECK(queue_destroy_and_reset),
		CHECK(queue_query),
		CHECK(wait_arguments),
		CHECK(wait_times),
		CHECK(wait_any_and_all),
		CHECK(a_doorbell_page_is_one_shared_page_for_writing),
		CHECK(a_status_page_is_one_shared_page_for_reading),
		CHECK(other_offsets_are_refused),
		CHECK(no_page_has_a_second_offset),
		CHECK(rights_of_the_status_page_do_not_grow),
		CHECK(pages_do_not_become_executable),
		CHECK(a_doorbell_page_does_not_become_readable),
		CHECK(mappings_do_not_grow),
		CHECK(a_buffer_maps_as_far_as_it_goes),
		CHECK(a_buffer_has_no_private_mapping),
		CHECK(another_files_offsets_are_refused),
		CHECK(offsets_count_for_their_file),
		CHECK(a_doorbell_of_a_destroyed_context_rings_nothing),
		CHECK(pages_of_a_destroyed_context_give_no_signal),
		CHECK(old_mappings_do_not_reach_the_next_context),
		CHECK(mappings_live_on_after_close),
		CHECK(a_buffer_larger_than_the_machine_is_refused),
	};

	return check_run("uapi", tests, NULL, NULL);
}
