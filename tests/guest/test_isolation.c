/* SPDX-License-Identifier: MIT */
/*
 * A program that wants what is not its own, beside a victim that works: whatever it tries is an error, or a fault of
 * its own; it never sees a byte of the victim, and the victim loses no job and no bit.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <drm.h>

#include "check.h"

#define PAGE 4096ull
#define SECRET 0x5ec4e75ec4e75ec4ull
#define SECRET_BYTES 65536u
/* Where the victim has its secret, and the attacker nothing. */
#define SYSTEM_SECRET 0x6000000000ull
#define LOCAL_SECRET 0x6100000000ull
/* Handles that the victim has and the attacker has not. */
#define FOREIGN 6u

/* Between the two processes, which have no other memory in common. */
static struct shared {
	volatile int ready, stop;
	volatile unsigned long jobs;
	volatile uint64_t system_offset, local_offset, doorbell_offset, status_offset;
	volatile uint32_t system_handle, local_handle, vm, ctx, queue;
} * shared;

static int victim_pid;

/* ---- the victim ---- */

static int put_secret(struct guest *guest, uint32_t flags, uint64_t va, struct guest_bo *bo)
{
	int err = guest_bo_map(guest->fd, SECRET_BYTES, flags, bo);

	for (uint32_t w = 0; !err && w < SECRET_BYTES / 8; w++)
		((uint64_t *)bo->data)[w] = SECRET;
	return err ? err : guest_bind(guest, bo->handle, va, bo->size, DRM_AXL_BIND_READ | DRM_AXL_BIND_WRITE);
}

static bool secret_is_whole(const struct guest_bo *bo)
{
	for (uint32_t w = 0; w < SECRET_BYTES / 8; w++)
		if (((uint64_t *)bo->data)[w] != SECRET)
			return false;
	return true;
}

/* Address spaces, contexts and queues with handles that no other file has. */
static int tell_handles(struct guest *guest)
{
	struct drm_axl_vm_create vm = {0};
	struct drm_axl_ctx_create ctx = {0};
	uint32_t slot;
	int queue = 0, err = 0;

	while (vm.vm < FOREIGN && !err) {
		vm = (struct drm_axl_vm_create){0};
		err = guest_ioctl(guest->fd, DRM_IOCTL_AXL_VM_CREATE, &vm);
	}
	while (ctx.ctx < FOREIGN && !err) {
		ctx = (struct drm_axl_ctx_create){.vm = guest->vm};
		err = guest_ioctl(guest->fd, DRM_IOCTL_AXL_CTX_CREATE, &ctx);
	}
	while (queue < (int)FOREIGN && !err)
		err = (queue = guest_queue_create(guest, NULL, &slot)) < 0 ? queue : 0;
	shared->vm = vm.vm;
	shared->ctx = ctx.ctx;
	shared->queue = (uint32_t)queue;
	shared->doorbell_offset = ctx.doorbell_offset;
	shared->status_offset = ctx.status_offset;
	return err;
}

/* Its scratchpad is full of the secret as well, again and again. */
static int use_secret(struct guest *guest)
{
	struct guest_program program;

	guest_program_begin(&program);
	guest_program_move(&program, AXL_PIPE_LOAD, SYSTEM_SECRET, 0, 65536);
	guest_program_end(&program);
	guest_run(guest, &program, 8192);
	guest_copy(guest, LOCAL_SECRET, SYSTEM_SECRET, SECRET_BYTES);
	return guest_wait(guest, guest_submit(guest), 20 * SECOND);
}

static int be_victim(void)
{
	struct guest_bo system, local;
	struct guest guest;
	int err = guest_create(&guest, NULL);

	if (!err)
		err = put_secret(&guest, 0, SYSTEM_SECRET, &system);
	if (!err)
		err = put_secret(&guest, DRM_AXL_BO_LOCAL, LOCAL_SECRET, &local);
	if (!err)
		err = tell_handles(&guest);
	if (err)
		return 1;
	shared->system_offset = system.offset;
	shared->local_offset = local.offset;
	shared->system_handle = system.handle;
	shared->local_handle = local.handle;
	shared->ready = 1;
	while (!shared->stop) {
		uint64_t before = guest.head;

		if (guest_job(&guest, (uint32_t)shared->jobs) || use_secret(&guest))
			return 2;
		if (guest_status(&guest)->retired != guest.head || guest.head - before != 6)
			return 3;
		if (!secret_is_whole(&system) || !secret_is_whole(&local))
			return 4;
		shared->jobs++;
	}
	/* Its other contexts go with the file. */
	close(guest.fd);
	return 0;
}

static int start_victim(void **state)
{
	int64_t deadline = guest_in(20 * SECOND);

	(void)state;
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return -1;
	victim_pid = fork();
	if (!victim_pid)
		_exit(be_victim());
	while (!shared->ready && guest_now() < deadline)
		guest_sleep(MILLISECOND);
	return shared->ready ? 0 : -1;
}

static int stop_victim(void **state)
{
	int status;

	(void)state;
	shared->stop = 1;
	status = guest_reap(victim_pid, 60 * SECOND);
	if (status)
		print_error("the victim: %d\n", status);
	print_message("# the victim did %lu jobs\n", shared->jobs);
	return status ? -1 : 0;
}

/* After each test: it lives, and does another job, with everything right. */
static int victim_is_well(void **state)
{
	unsigned long jobs = shared->jobs;
	int64_t deadline = guest_in(60 * SECOND);

	while (shared->jobs < jobs + 2 && guest_now() < deadline) {
		assert_int_equal(waitpid(victim_pid, NULL, WNOHANG), 0);
		guest_sleep(MILLISECOND);
	}
	assert_true(shared->jobs >= jobs + 2);
	return check_teardown(state);
}

#define ATTACK(name) cmocka_unit_test_setup_teardown(name, check_setup, victim_is_well)

/* ---- what the attacker looks at afterwards ---- */

static void poison(struct guest *guest)
{
	memset(guest_at(guest, GUEST_SCRATCH), 0x11, SECRET_BYTES);
}

static void saw_nothing(struct guest *guest)
{
	const uint64_t *words = guest_at(guest, GUEST_DATA);

	for (uint32_t w = 0; w < GUEST_DATA_BYTES / 8; w++)
		if (words[w] == SECRET)
			fail_msg("the secret is at %#x", 8 * w);
}

/* The attacker's own queue stands, for @cause, at an address in [@at, @at + @size). */
static void own_fault(struct guest *guest, enum axl_cause cause, uint64_t at, uint64_t size)
{
	uint64_t index = guest_submit(guest);
	struct axl_fault_record record = {0};
	int64_t deadline = guest_in(SECOND);
	int err = guest_wait(guest, index, 60 * SECOND);

	while ((guest_fault(guest, &record) != 1 || record.packet != guest_status(guest)->retired) &&
	       guest_now() < deadline)
		;
	if (err != -EIO || record.cause != cause || record.address < at || record.address - at >= size)
		fail_msg("wait %d, cause %u at %#llx; expected cause %u at %#llx", err, record.cause,
			 (unsigned long long)record.address, cause, (unsigned long long)at);
	assert_int_equal(guest_reset(guest), 0);
	saw_nothing(guest);
}

static void good_job(struct guest *guest)
{
	assert_int_equal(guest_job(guest, 0xa77ac), 0);
}

static const uint64_t secrets[] = {SYSTEM_SECRET, LOCAL_SECRET, SYSTEM_SECRET + SECRET_BYTES - 64};

/* ---- the device's side ---- */

static void packets_do_not_read_foreign_memory(void **state)
{
	struct guest *guest = *state;

	poison(guest);
	for (int i = 0; i < 3; i++) {
		guest_copy(guest, GUEST_SCRATCH, secrets[i], 64);
		own_fault(guest, AXL_CAUSE_NOT_MAPPED, secrets[i], 64);
		guest_await(guest, secrets[i], 1);
		own_fault(guest, AXL_CAUSE_NOT_MAPPED, secrets[i], 64);
		guest_execute(guest, secrets[i], 256);
		own_fault(guest, AXL_CAUSE_NOT_MAPPED, secrets[i], 64);
		good_job(guest);
	}
}

static void packets_do_not_write_foreign_memory(void **state)
{
	struct guest *guest = *state;

	for (int i = 0; i < 3; i++) {
		guest_copy(guest, secrets[i], GUEST_SCRATCH, 64);
		own_fault(guest, AXL_CAUSE_NOT_MAPPED, secrets[i], 64);
		guest_fill(guest, secrets[i], 0, 64);
		own_fault(guest, AXL_CAUSE_NOT_MAPPED, secrets[i], 64);
		guest_signal(guest, secrets[i], 0);
		own_fault(guest, AXL_CAUSE_NOT_MAPPED, secrets[i], 64);
		guest_timestamp(guest, secrets[i]);
		own_fault(guest, AXL_CAUSE_NOT_MAPPED, secrets[i], 64);
		good_job(guest);
	}
}

/* An EXECUTE of good code, with one of its other addresses elsewhere. */
static struct axl_packet_execute *good_execute(struct guest *guest)
{
	struct guest_program program;

	guest_program_copy(&program, GUEST_MIDDLE, GUEST_SOURCE, 64);
	((struct axl_cmdbuf *)program.bytes)->num_bases = 1;
	guest_run(guest, &program, 0);
	*(uint64_t *)guest_at(guest, GUEST_SCRATCH) = 0;
	guest->ring[(guest->head - 1) & (guest->slots - 1)].execute.args = GUEST_SCRATCH;
	return &guest->ring[(guest->head - 1) & (guest->slots - 1)].execute;
}

static void tables_of_an_execute_are_not_foreign(void **state)
{
	struct guest *guest = *state;
	struct axl_packet_execute *packet;

	good_execute(guest);
	assert_int_equal(guest_wait(guest, guest_submit(guest), 20 * SECOND), 0);
	for (int i = 0; i < 2; i++) {
		good_execute(guest)->args = secrets[i];
		own_fault(guest, AXL_CAUSE_NOT_MAPPED, secrets[i], 64);
		good_execute(guest)->stats = secrets[i];
		own_fault(guest, AXL_CAUSE_NOT_MAPPED, secrets[i], SECRET_BYTES);
		packet = good_execute(guest);
		packet->trace = secrets[i];
		packet->trace_size = 4096;
		own_fault(guest, AXL_CAUSE_NOT_MAPPED, secrets[i], SECRET_BYTES);
		good_job(guest);
	}
}

static void command_buffers_do_not_reach_foreign_memory(void **state)
{
	static const enum axl_pipe pipes[] = {AXL_PIPE_LOAD, AXL_PIPE_WEIGHT, AXL_PIPE_STORE};
	struct guest *guest = *state;
	struct guest_program program;

	for (int p = 0; p < 3; p++)
		for (int i = 0; i < 3; i++) {
			guest_program_access(&program, pipes[p], secrets[i]);
			guest_run(guest, &program, 4096);
			own_fault(guest, AXL_CAUSE_NOT_MAPPED, secrets[i], 64);
			good_job(guest);
		}
}

/* The address is the attacker's own until ADDBASE, or an overflow, makes it another. */
static void computed_addresses_do_not_reach_foreign_memory(void **state)
{
	struct guest *guest = *state;
	struct guest_program program;

	for (int i = 0; i < 4; i++) {
		uint64_t target = i < 2 ? secrets[i] : ~0ull << (46 + i);
		union axl_insn *insn;

		guest_program_begin(&program);
		insn = guest_program_add(&program, AXL_OP_ADDBASE, AXL_PIPE_SEQ, 1);
		insn->addbase.value = (int64_t)(target - GUEST_SOURCE);
		guest_program_move(&program, AXL_PIPE_LOAD, GUEST_SOURCE, 0, 64);
		guest_program_end(&program);
		guest_run(guest, &program, 4096);
		own_fault(guest, AXL_CAUSE_NOT_MAPPED, target, 64);
		good_job(guest);
	}
}

/* The rights of a mapping are those that were asked for. */
static void rights_hold(void **state)
{
	struct guest *guest = *state;
	struct guest_program program;
	struct guest_bo bo;

	assert_int_equal(guest_bo_map(guest->fd, PAGE, 0, &bo), 0);
	assert_int_equal(guest_bind(guest, bo.handle, 0x50000000, PAGE, DRM_AXL_BIND_READ), 0);
	assert_int_equal(guest_bind(guest, bo.handle, 0x50001000, PAGE, DRM_AXL_BIND_WRITE), 0);
	assert_int_equal(guest_bind(guest, bo.handle, 0x50002000, PAGE, DRM_AXL_BIND_EXEC), 0);
	guest_program_copy(&program, GUEST_MIDDLE, GUEST_SOURCE, 64);
	memcpy(bo.data, program.bytes, program.size);
	guest_fill(guest, 0x50000000, 0, 64);
	own_fault(guest, AXL_CAUSE_PERMISSION, 0x50000000, 64);
	guest_copy(guest, GUEST_SCRATCH, 0x50001000, 64);
	own_fault(guest, AXL_CAUSE_PERMISSION, 0x50001000, 64);
	guest_fill(guest, 0x50002000, 0, 64);
	own_fault(guest, AXL_CAUSE_PERMISSION, 0x50002000, 64);
	guest_execute(guest, 0x50000000, program.size);
	own_fault(guest, AXL_CAUSE_PERMISSION, 0x50000000, 64);
	guest_execute(guest, 0x50001000, program.size);
	own_fault(guest, AXL_CAUSE_PERMISSION, 0x50001000, 64);
	assert_int_equal(memcmp(bo.data, program.bytes, program.size), 0);
	good_job(guest);
}

/* A queue that was bound to what is not mapped: of no use, to anybody. */
static void expect_useless(struct guest *guest, const struct drm_axl_queue_create *queue)
{
	struct drm_axl_wait_entry entry = {.queue = queue->queue, .index = 1};
	struct drm_axl_wait wait = {.entries = (uintptr_t)&entry, .num_entries = 1};

	wait.deadline_ns = guest_in(5 * SECOND);
	__atomic_store_n(&guest->doorbells[queue->slot], 1, __ATOMIC_SEQ_CST);
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_WAIT, &wait), 0);
	assert_int_equal(entry.result, -EIO);
	assert_int_equal(guest_queue_op(guest, DRM_IOCTL_AXL_QUEUE_DESTROY, queue->queue), 0);
}

static void a_ring_does_not_lie_in_foreign_memory(void **state)
{
	const uint64_t va = 0x50000000;
	struct guest *guest = *state;
	struct guest_bo index;

	assert_int_equal(guest_bo_map(guest->fd, PAGE, 0, &index), 0);
	assert_int_equal(guest_bind(guest, index.handle, va, PAGE, DRM_AXL_BIND_READ | DRM_AXL_BIND_WRITE), 0);
	((struct axl_queue_index *)index.data)->write = 1;
	for (int i = 0; i < 4; i++) {
		struct drm_axl_queue_create args = {.ctx = guest->ctx, .slots = 64};

		args.ring = i < 2 ? secrets[i] : GUEST_RING;
		args.index = i < 2 ? va : secrets[i - 2];
		if (!guest_ioctl(guest->fd, DRM_IOCTL_AXL_QUEUE_CREATE, &args))
			expect_useless(guest, &args);
	}
	saw_nothing(guest);
	good_job(guest);
}

/* What a tile holds of the buffer before is not told to the next one, of whoever it was. */
static void the_scratchpad_tells_nothing(void **state)
{
	struct guest *guest = *state;
	struct guest_program program;

	guest_program_begin(&program);
	guest_program_move(&program, AXL_PIPE_STORE, GUEST_SCRATCH, 0, 65536);
	guest_program_end(&program);
	for (int i = 0; i < 100; i++) {
		poison(guest);
		guest_run(guest, &program, 4096);
		assert_int_equal(guest_wait(guest, guest_submit(guest), 20 * SECOND), 0);
		saw_nothing(guest);
	}
	good_job(guest);
}

static void doorbells_reach_their_own_queues_only(void **state)
{
	struct guest *guest = *state;
	uint64_t retired;

	for (int i = 0; i < 20000; i++)
		__atomic_store_n(&guest->doorbells[i % 512], ~0ull, __ATOMIC_RELAXED);
	good_job(guest);
	retired = guest_status(guest)->retired;
	assert_true(retired == guest->head);
	for (int slot = 1; slot < AXL_QUEUES_PER_CONTEXT; slot++)
		assert_int_equal(guest->status->queue[slot].retired, 0);
}

/* ---- page tables ---- */

#define FLIP 0x50000000ull /* a multiple of 2 MiB */
#define LARGE (2ull << 20)

struct flipper {
	struct guest *guest;
	volatile bool stop;
	volatile int err;
	unsigned long rounds;
};

/* A small page and then a large one at one address, again and again: the table of the small one goes away each time. */
static void *flip_tables(void *arg)
{
	struct flipper *flipper = arg;
	struct guest *guest = flipper->guest;
	struct guest_bo small, large;
	int err = guest_bo_create(guest->fd, PAGE, 0, &small);

	if (!err)
		err = guest_bo_create(guest->fd, LARGE, DRM_AXL_BO_LOCAL, &large);
	while (!err && !flipper->stop) {
		err = guest_bind(guest, small.handle, FLIP + PAGE, PAGE, DRM_AXL_BIND_READ);
		if (!err)
			err = guest_unbind(guest, FLIP + PAGE, PAGE);
		if (!err)
			err = guest_bind(guest, large.handle, FLIP, LARGE, DRM_AXL_BIND_READ);
		if (!err)
			err = guest_unbind(guest, FLIP, LARGE);
		flipper->rounds++;
	}
	flipper->err = err;
	return NULL;
}

/* Somebody else, who makes tables that lead to the secret all the time. */
static void *make_tables(void *arg)
{
	struct flipper *flipper = arg;
	struct guest owner = {.fd = guest_open()};
	struct guest_bo secret = {0};
	int err = owner.fd < 0 ? owner.fd : guest_bo_map(owner.fd, LARGE, 0, &secret);

	for (uint64_t w = 0; !err && w < LARGE / 8; w++)
		((uint64_t *)secret.data)[w] = SECRET;
	while (!err && !flipper->stop) {
		struct drm_axl_vm_create vm = {0};

		err = guest_ioctl(owner.fd, DRM_IOCTL_AXL_VM_CREATE, &vm);
		owner.vm = vm.vm;
		for (uint64_t i = 0; i < 256 && !err && !flipper->stop; i++, flipper->rounds++)
			err = guest_bind(&owner, secret.handle, i * LARGE, LARGE, DRM_AXL_BIND_READ);
		if (!err)
			err = guest_ioctl(owner.fd, DRM_IOCTL_AXL_VM_DESTROY, &vm);
	}
	flipper->err = err;
	guest_bo_destroy(owner.fd, &secret);
	close(owner.fd);
	return NULL;
}

/* The device may be in the middle of a walk when a table goes: then it must not become another's. */
static void a_walk_does_not_end_in_a_table_that_went_away(void **state)
{
	struct guest *guest = *state;
	struct flipper mine = {.guest = guest}, theirs = {0};
	uint64_t *seen = guest_at(guest, GUEST_SCRATCH);
	int64_t deadline = guest_in(guest_setting("AXL_LOOPS", 50) * SECOND / 5);
	unsigned long tries = 0, found = 0;
	pthread_t threads[2];

	assert_int_equal(pthread_create(&threads[0], NULL, flip_tables, &mine), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, make_tables, &theirs), 0);
	for (; guest_now() < deadline && !mine.err && !theirs.err; tries++) {
		seen[0] = 0;
		guest_copy(guest, GUEST_SCRATCH, FLIP, 64);
		if (guest_poll(guest, guest_submit(guest), 20 * SECOND) == -EIO && guest_reset(guest))
			break;
		found += seen[0] == SECRET;
	}
	mine.stop = theirs.stop = true;
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	memset(seen, 0, 64);
	if (found || mine.err || theirs.err)
		fail_msg("%lu tries, %lu and %lu tables: the secret %lu times (%d, %d)", tries, mine.rounds,
			 theirs.rounds, found, mine.err, theirs.err);
	good_job(guest);
}

/* ---- the kernel's side ---- */

static void handles_count_for_their_file(void **state)
{
	struct guest *guest = *state;
	uint32_t handles[] = {shared->vm, shared->ctx, shared->queue};
	struct drm_axl_ctx_create ctx = {.vm = handles[0]};
	struct drm_axl_vm_create vm = {.vm = handles[0]};
	struct drm_axl_bind_op op = {.op = DRM_AXL_BIND_UNMAP, .va = SYSTEM_SECRET, .size = SECRET_BYTES};
	struct drm_axl_vm_bind bind = {.vm = handles[0], .num_ops = 1, .stride = sizeof(op), .ops = (uintptr_t)&op};
	struct drm_axl_ctx_destroy destroy = {.ctx = handles[1]};
	struct drm_axl_queue_create queue = {.ctx = handles[1], .slots = 64, .ring = GUEST_RING, .index = GUEST_INDEX};
	struct drm_axl_queue_query query = {.queue = handles[2]};
	struct drm_axl_wait_entry entry = {.queue = handles[2]};
	struct drm_axl_wait wait = {.entries = (uintptr_t)&entry, .num_entries = 1};

	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_CTX_CREATE, &ctx), -ENOENT);
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_VM_DESTROY, &vm), -ENOENT);
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_VM_BIND, &bind), -ENOENT);
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_CTX_DESTROY, &destroy), -ENOENT);
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_QUEUE_CREATE, &queue), -ENOENT);
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_QUEUE_QUERY, &query), -ENOENT);
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_WAIT, &wait), -ENOENT);
	assert_int_equal(guest_queue_op(guest, DRM_IOCTL_AXL_QUEUE_RESET, handles[2]), -ENOENT);
	assert_int_equal(guest_queue_op(guest, DRM_IOCTL_AXL_QUEUE_DESTROY, handles[2]), -ENOENT);
}

static bool own_handle(struct guest *guest, uint32_t handle)
{
	return handle == guest->ring_bo.handle || handle == guest->index_bo.handle || handle == guest->code_bo.handle ||
	       handle == guest->data_bo.handle;
}

static void buffers_count_for_their_file(void **state)
{
	struct guest *guest = *state;

	for (uint32_t handle = 0; handle < 64; handle++) {
		struct drm_axl_bo_info info = {.handle = handle};
		struct drm_gem_close close_args = {.handle = handle};
		struct drm_gem_flink flink = {.handle = handle};
		struct drm_prime_handle prime = {.handle = handle, .fd = -1};

		if (own_handle(guest, handle))
			continue;
		assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_BO_INFO, &info), -ENOENT);
		assert_int_equal(guest_bind(guest, handle, 0x50000000, PAGE, DRM_AXL_BIND_READ), -ENOENT);
		assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_GEM_CLOSE, &close_args), -EINVAL);
		assert_true(guest_ioctl(guest->fd, DRM_IOCTL_GEM_FLINK, &flink) < 0);
		assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime), -ENOENT);
	}
}

/* Names that nobody gave away lead nowhere. */
static void flink_names_lead_nowhere(void **state)
{
	struct guest *guest = *state;

	for (uint32_t name = 0; name < 1000; name++) {
		struct drm_gem_open open_args = {.name = name};

		assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_GEM_OPEN, &open_args), -ENOENT);
	}
}

/* @child's status, as nobody in particular; the node is open to all for that long. */
static int unprivileged(int (*child)(void))
{
	const char *node = getenv("AXL_NODE") ? getenv("AXL_NODE") : "/dev/accel/accel0";
	struct stat before;
	int pid, status;

	assert_int_equal(stat(node, &before), 0);
	assert_int_equal(chmod(node, 0666), 0);
	pid = fork();
	if (!pid)
		_exit(setgid(65534) || setuid(65534) ? 1 : child());
	status = guest_reap(pid, 20 * SECOND);
	assert_int_equal(chmod(node, before.st_mode & 0777), 0);
	return status;
}

/* Names are global, who guesses one has the buffer: they are not for everybody. DRM decides that when the file is
 * opened. */
static int use_names(void)
{
	struct drm_gem_flink flink = {0};
	struct drm_gem_open open_args = {0};
	struct guest other;
	int err;

	err = guest_create(&other, NULL);
	if (err)
		return 2;
	flink.handle = other.data_bo.handle;
	if (guest_ioctl(other.fd, DRM_IOCTL_GEM_FLINK, &flink) != -EACCES)
		return 3;
	if (guest_ioctl(other.fd, DRM_IOCTL_GEM_OPEN, &open_args) != -EACCES)
		return 4;
	return guest_job(&other, 1) ? 5 : 0;
}

static void unprivileged_programs_have_no_flink_names(void **state)
{
	(void)state;
	assert_int_equal(unprivileged(use_names), 0);
}

/* One file can't have all contexts or queues; another one still gets some. */
static int take_all(void)
{
	struct drm_axl_dev_info info = {0};
	struct drm_axl_dev_query query = {.type = DRM_AXL_QUERY_INFO, .size = sizeof(info), .data = (uintptr_t)&info};
	struct guest guest, other;
	unsigned int ctxs = 1, queues = 1;
	int err;

	if (guest_create(&guest, NULL) || guest_ioctl(guest.fd, DRM_IOCTL_AXL_DEV_QUERY, &query))
		return 2;
	for (;;) {
		struct drm_axl_ctx_create ctx = {.vm = guest.vm};

		/* As many as the context has slots, then the next one. */
		for (int slot = ctxs == 1; slot < AXL_QUEUES_PER_CONTEXT; slot++) {
			uint32_t unused;
			int queue = guest_queue_create(&guest, NULL, &unused);

			if (queue == -EMFILE)
				break;
			if (queue < 0)
				return 3;
			queues++;
		}
		err = guest_ioctl(guest.fd, DRM_IOCTL_AXL_CTX_CREATE, &ctx);
		if (err)
			break;
		guest.ctx = ctx.ctx;
		ctxs++;
	}
	if (err != -EMFILE || ctxs != info.max_contexts / 4 || queues != info.max_queues / 4)
		return 4;
	return guest_create(&other, NULL) || guest_job(&other, 1) ? 5 : 0;
}

static void one_program_does_not_take_it_all(void **state)
{
	(void)state;
	assert_int_equal(unprivileged(take_all), 0);
}

/* PRIME: a file descriptor is a buffer to whoever was handed it, and to nobody else. */
static void prime_descriptors_carry_what_they_are_for(void **state)
{
	struct guest *guest = *state;
	struct drm_prime_handle prime = {.handle = guest->data_bo.handle, .flags = DRM_CLOEXEC | DRM_RDWR};
	struct guest other;

	assert_int_equal(guest_create(&other, NULL), 0);
	for (int fd = -1; fd < 20; fd++) {
		struct drm_prime_handle import = {.fd = fd};

		assert_true(guest_ioctl(guest->fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &import) < 0);
	}
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime), 0);
	prime.handle = 0;
	assert_int_equal(guest_ioctl(other.fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime), 0);
	memset(guest_at(guest, GUEST_SCRATCH), 0x77, 64);
	assert_int_equal(guest_bind(&other, prime.handle, 0x50000000, GUEST_DATA_BYTES, DRM_AXL_BIND_READ), 0);
	guest_copy(&other, GUEST_SCRATCH, 0x50000000 + (GUEST_SCRATCH - GUEST_DATA), 64);
	assert_int_equal(guest_wait(&other, guest_submit(&other), 20 * SECOND), 0);
	assert_int_equal(memcmp(guest_at(&other, GUEST_SCRATCH), guest_at(guest, GUEST_SCRATCH), 64), 0);
	close(prime.fd);
	/* It lives as long as the last who has it. */
	good_job(guest);
	assert_int_equal(guest_destroy(guest), 0);
	guest_copy(&other, GUEST_SCRATCH + 64, 0x50000000 + (GUEST_SCRATCH - GUEST_DATA), 64);
	assert_int_equal(guest_wait(&other, guest_submit(&other), 20 * SECOND), 0);
	assert_int_equal(memcmp(guest_at(&other, GUEST_SCRATCH), guest_at(&other, GUEST_SCRATCH + 64), 64), 0);
	assert_int_equal(guest_destroy(&other), 0);
}

/* A read-only mapping of an exported buffer, and one made before BO_INFO gave it an offset. */
static void prime_mappings_are_the_buffers(void **state)
{
	struct guest *guest = *state;

	for (uint32_t flags = 0; flags < 2; flags++) {
		struct drm_axl_bo_create create = {.size = 2 * PAGE, .flags = flags};
		struct drm_axl_bo_info info = {0};
		struct drm_prime_handle prime = {.flags = DRM_CLOEXEC | DRM_RDWR};
		uint64_t *words, value = 1;

		assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_BO_CREATE, &create), 0);
		info.handle = prime.handle = create.handle;
		assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime), 0);
		if (flags & DRM_AXL_BO_LOCAL) {
			assert_true(mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, prime.fd, 0) == MAP_FAILED);
			close(prime.fd);
			break;
		}
		words = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, prime.fd, 0);
		assert_true(words != MAP_FAILED);
		assert_int_equal(guest_load(&words[0], &value), 0);
		assert_int_equal(value, 0);
		assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_BO_INFO, &info), 0);
		assert_int_equal(guest_load(&words[PAGE / 8], &value), 0);
		assert_int_equal(value, 0);
		assert_true(mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE, prime.fd, 0) == MAP_FAILED);
		munmap(words, 2 * PAGE);
		close(prime.fd);
	}
}

static void mmap_offsets_count_for_their_file(void **state)
{
	struct guest *guest = *state;
	const uint64_t buffers[] = {shared->system_offset, shared->local_offset, shared->local_offset + PAGE};
	const uint64_t pages[] = {shared->doorbell_offset, shared->status_offset};

	for (int i = 0; i < 3; i++) {
		assert_true(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, guest->fd, (off_t)buffers[i]) == MAP_FAILED);
		assert_true(errno == EACCES || errno == EINVAL);
	}
	/* Of contexts that only the victim has. */
	for (int i = 0; i < 2; i++) {
		assert_true(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, guest->fd, (off_t)pages[i]) == MAP_FAILED);
		assert_int_equal(errno, EINVAL);
		assert_true(mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, guest->fd, (off_t)pages[i]) == MAP_FAILED);
		assert_int_equal(errno, EINVAL);
	}
}

/* All of the space of offsets that the victim's buffers can be at. */
static void no_offset_leads_to_foreign_memory(void **state)
{
	struct guest *guest = *state;

	for (uint64_t offset = 1ull << 32; offset < (1ull << 32) + (16ull << 20); offset += PAGE) {
		uint64_t *words, value = 0;

		words = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, guest->fd, (off_t)offset);
		if (words == MAP_FAILED)
			continue;
		guest_load(words, &value);
		munmap(words, PAGE);
		assert_true(value != SECRET);
	}
}

/* ---- what the last owner left ---- */

static void new_memory_is_clear(void **state)
{
	struct guest *guest = *state;

	for (uint32_t flags = 0; flags < 2; flags++)
		for (int i = 0; i < 10; i++) {
			struct guest_bo bo;
			struct guest last;
			int fresh = 1;

			assert_int_equal(guest_create(&last, NULL), 0);
			assert_int_equal(put_secret(&last, flags, SYSTEM_SECRET, &bo), 0);
			assert_int_equal(guest_bo_destroy(last.fd, &bo), 0);
			assert_int_equal(guest_destroy(&last), 0);
			assert_int_equal(guest_bo_map(guest->fd, SECRET_BYTES, flags, &bo), 0);
			for (uint32_t w = 0; w < SECRET_BYTES / 8; w++)
				fresh &= !((uint64_t *)bo.data)[w];
			assert_true(fresh);
			assert_int_equal(guest_bo_destroy(guest->fd, &bo), 0);
		}
}

/* Counts and faults of whoever had the hardware's context and queue before. */
static void a_new_context_tells_nothing_of_the_last(void **state)
{
	struct guest *guest = *state;

	for (int i = 0; i < 20; i++) {
		struct axl_fault_record record;
		struct guest last, next;

		assert_int_equal(guest_create(&last, NULL), 0);
		assert_int_equal(guest_job(&last, 1), 0);
		guest_fill(&last, SYSTEM_SECRET, 0, 64);
		assert_int_equal(guest_wait(&last, guest_submit(&last), 20 * SECOND), -EIO);
		guest_destroy(&last);
		assert_int_equal(guest_create(&next, NULL), 0);
		assert_true(next.status->queue[0].retired == 0 && next.status->queue[0].busy_cycles == 0);
		assert_true(next.status->queue[0].generation == 0 && next.status->queue[0].error == 0);
		assert_int_equal(guest_fault(&next, &record), 0);
		assert_int_equal(guest_job(&next, 2), 0);
		assert_int_equal(guest_destroy(&next), 0);
	}
	good_job(guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ATTACK(packets_do_not_read_foreign_memory),
		ATTACK(packets_do_not_write_foreign_memory),
		ATTACK(tables_of_an_execute_are_not_foreign),
		ATTACK(command_buffers_do_not_reach_foreign_memory),
		ATTACK(computed_addresses_do_not_reach_foreign_memory),
		ATTACK(rights_hold),
		ATTACK(a_ring_does_not_lie_in_foreign_memory),
		ATTACK(the_scratchpad_tells_nothing),
		ATTACK(doorbells_reach_their_own_queues_only),
		ATTACK(a_walk_does_not_end_in_a_table_that_went_away),
		ATTACK(handles_count_for_their_file),
		ATTACK(buffers_count_for_their_file),
		ATTACK(flink_names_lead_nowhere),
		ATTACK(unprivileged_programs_have_no_flink_names),
		ATTACK(one_program_does_not_take_it_all),
		ATTACK(prime_descriptors_carry_what_they_are_for),
		ATTACK(prime_mappings_are_the_buffers),
		ATTACK(mmap_offsets_count_for_their_file),
		ATTACK(no_offset_leads_to_foreign_memory),
		ATTACK(new_memory_is_clear),
		ATTACK(a_new_context_tells_nothing_of_the_last),
	};

	return check_run("isolation", tests, start_victim, stop_victim);
}
