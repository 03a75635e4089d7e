/* SPDX-License-Identifier: MIT */
/*
 * Core dumps of faulted queues: each kind of fault is made, its dump is read from sysfs, and the replay, in this process
 * or as `accel replay`, comes to the same fault from it. And their life: one at a time, for root alone, none left when
 * the driver goes.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "check.h"
#include "fences.h"
#include "sim/replay/replay.h"

#define DUMPS "/sys/class/devcoredump"
#define COPY "/tmp/axl-dump"
#define REPORT "/tmp/axl-replay.json"
#define MOST (64u << 20)

static char address[64]; /* of the device on the bus */

/* ---- dumps in sysfs ---- */

/* The path of the device's dump, if there is one. */
static bool find_dump(char path[PATH_MAX])
{
	DIR *folder = opendir(DUMPS);
	struct dirent *entry;
	bool found = false;

	while (folder && !found && (entry = readdir(folder)))
		if (!strncmp(entry->d_name, "devcd", 5)) {
			snprintf(path, PATH_MAX, DUMPS "/%s/data", entry->d_name);
			/* The folder comes before what is in it. */
			found = !access(path, F_OK);
		}
	if (folder)
		closedir(folder);
	return found;
}

static bool dump_within(int64_t ns, char path[PATH_MAX])
{
	int64_t deadline = guest_in(ns);

	while (!find_dump(path)) {
		if (guest_now() > deadline)
			return false;
		guest_sleep(MILLISECOND);
	}
	return true;
}

/* The link goes last: while it is there, the kernel takes no other dump of the device. */
static bool is_linked(void)
{
	char link[PATH_MAX];
	struct stat info;

	snprintf(link, sizeof(link), "/sys/bus/pci/devices/%s/devcoredump", address);
	/* Itself, not the folder behind it, which goes before. */
	return !lstat(link, &info);
}

/* Nobody's dump is there any more. */
static void free_dumps(void)
{
	int64_t deadline = guest_in(10 * SECOND);
	char path[PATH_MAX];

	while (find_dump(path) || is_linked()) {
		/* It may go by itself meanwhile. */
		guest_write_text(path, "1");
		guest_sleep(MILLISECOND);
		assert_true(guest_now() < deadline);
	}
}

static uint8_t *read_file(const char *path, size_t *size)
{
	uint8_t *bytes = malloc(MOST);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = 1;

	*size = 0;
	assert_non_null(bytes);
	assert_true(fd >= 0);
	for (; got > 0; *size += (size_t)got) {
		got = read(fd, bytes + *size, MOST - *size);
		assert_true(got >= 0);
	}
	close(fd);
	return bytes;
}

static void write_file(const char *path, const uint8_t *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
}

/* As `accel replay` does, without a program's start, which takes seconds on the checked kernel. */
static void expect_same_fault(const struct dump *dump)
{
	const struct replay_options options = {.deadline_ns = guest_in(120 * SECOND)};
	struct replay_result result;
	const char *difference;
	char error[256];

	if (replay_run(dump, &options, &result, error, sizeof(error)))
		fail_msg("cause %u: %s", dump->fault.record.cause, error);
	assert_int_equal(result.end, REPLAY_FAULTED);
	difference = replay_difference(&dump->fault.record, &result.record);
	if (difference)
		fail_msg("cause %u: the replay's fault has another %s", dump->fault.record.cause, difference);
}

/* The exit status of accel replay. */
static int replay(const char *path)
{
	char command[PATH_MAX + 64];
	int status;

	snprintf(command, sizeof(command), "accel replay %s --json " REPORT " >/tmp/axl-replay 2>&1", path);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void expect_replay(const char *path, int status)
{
	int got = replay(path);

	if (got == status)
		return;
	system("cat /tmp/axl-replay; cat " REPORT);
	fail_msg("accel replay ended with %d, not %d", got, status);
}

/* ---- one fault ---- */

/* The dump that is there holds the fault in which the queue stands, and leads to it again. */
static void expect_dump(const struct axl_fault_record *record, enum axl_cause cause, bool kernel)
{
	char path[PATH_MAX], error[256];
	struct dump dump;
	uint8_t *bytes;
	size_t size;
	int err;

	if (!dump_within(10 * SECOND, path))
		fail_msg("no dump of cause %u", cause);
	bytes = read_file(path, &size);
	err = dump_open(bytes, size, &dump, error, sizeof(error));
	if (err)
		fail_msg("cause %u, %zu bytes: %s", cause, size, error);
	assert_int_equal(dump.fault.record.cause, cause);
	assert_int_equal(!!(dump.queue.flags & AXL_DUMP_QUEUE_KERNEL), kernel);
	assert_int_equal(dump.flags, 0);
	if (record)
		assert_memory_equal(&dump.fault.record, record, sizeof(*record));
	expect_same_fault(&dump);
	dump_finish(&dump);
	free(bytes);
	free_dumps();
}

/* What was submitted faults with @cause; its dump; and the queue goes on. */
static void faults_as_dumped(struct guest *guest, enum axl_cause cause)
{
	struct axl_fault_record record = {0};
	int err = guest_wait(guest, guest_submit(guest), 60 * SECOND);

	assert_int_equal(err, -EIO);
	assert_int_equal(guest_fault(guest, &record), 1);
	if (record.cause != cause)
		fail_msg("cause %u at %#llx, not %u", record.cause, (unsigned long long)record.address, cause);
	expect_dump(&record, cause, false);
	assert_int_equal(guest_reset(guest), 0);
	assert_int_equal(guest_job(guest, 1), 0);
}

static void run_faults(struct guest *guest, const struct guest_program *program, enum axl_cause cause)
{
	/* Not the first of its ring. */
	guest_nop(guest);
	guest_run(guest, program, 4096);
	faults_as_dumped(guest, cause);
}

static void a_page_fault_of_each_pipe(void **state)
{
	static const enum axl_pipe pipes[] = {AXL_PIPE_LOAD, AXL_PIPE_WEIGHT, AXL_PIPE_STORE};
	struct guest *guest = *state;
	struct guest_program program;

	for (int i = 0; i < 3; i++) {
		guest_program_access(&program, pipes[i], GUEST_NOWHERE + 64 * (uint64_t)i);
		run_faults(guest, &program, AXL_CAUSE_NOT_MAPPED);
	}
	guest_program_access(&program, AXL_PIPE_STORE, GUEST_CODE);
	run_faults(guest, &program, AXL_CAUSE_PERMISSION);
}

static void a_page_fault_of_the_code_fetch(void **state)
{
	struct guest *guest = *state;

	guest_execute(guest, GUEST_NOWHERE, 512);
	faults_as_dumped(guest, AXL_CAUSE_NOT_MAPPED);
	guest_execute(guest, GUEST_SCRATCH, 512);
	faults_as_dumped(guest, AXL_CAUSE_PERMISSION);
	guest_execute(guest, GUEST_CODE + GUEST_CODE_BYTES - 128, 512);
	faults_as_dumped(guest, AXL_CAUSE_NOT_MAPPED);
}

static void a_page_fault_of_a_packet(void **state)
{
	struct guest *guest = *state;

	/* In the middle: what lies before it is mapped. */
	guest_copy(guest, GUEST_DATA + GUEST_DATA_BYTES - 64, GUEST_SOURCE, 128);
	faults_as_dumped(guest, AXL_CAUSE_NOT_MAPPED);
	guest_fill(guest, GUEST_CODE, 0, 64);
	faults_as_dumped(guest, AXL_CAUSE_PERMISSION);
	guest_signal(guest, GUEST_NOWHERE, 1);
	faults_as_dumped(guest, AXL_CAUSE_NOT_MAPPED);
	guest_await(guest, GUEST_NOWHERE, 1);
	faults_as_dumped(guest, AXL_CAUSE_NOT_MAPPED);
}

static void a_malformed_packet(void **state)
{
	struct guest *guest = *state;

	memset(guest_next(guest), 0xff, AXL_PACKET_BYTES);
	faults_as_dumped(guest, AXL_CAUSE_PACKET);
	guest_execute(guest, GUEST_CODE, 64);
	faults_as_dumped(guest, AXL_CAUSE_PACKET);
	guest_fill(guest, GUEST_SCRATCH, 0, 6);
	faults_as_dumped(guest, AXL_CAUSE_PACKET);
}

static void a_write_index_that_lies(void **state)
{
	struct guest *guest = *state;
	struct axl_fault_record record = {0};

	assert_int_equal(guest_job(guest, 1), 0);
	guest->index->write = guest->head + guest->slots + 1;
	guest_ring(guest);
	assert_int_equal(guest_wait(guest, ~0ull, 60 * SECOND), -EIO);
	assert_int_equal(guest_fault(guest, &record), 1);
	expect_dump(&record, AXL_CAUSE_RING, false);
}

static void a_bad_command_buffer(void **state)
{
	struct guest *guest = *state;
	struct guest_program program;

	guest_program_copy(&program, GUEST_MIDDLE, GUEST_SOURCE, 64);
	program.bytes[0] ^= 0xff;
	run_faults(guest, &program, AXL_CAUSE_CMDBUF);
	guest_program_copy(&program, GUEST_MIDDLE, GUEST_SOURCE, 64);
	program.bytes[sizeof(struct axl_cmdbuf) + 128] = 0xee;
	run_faults(guest, &program, AXL_CAUSE_BAD_OPCODE);
	guest_program_begin(&program);
	guest_program_move(&program, AXL_PIPE_LOAD, GUEST_SOURCE, ~63u, 64);
	guest_program_end(&program);
	run_faults(guest, &program, AXL_CAUSE_SPAD_RANGE);
	guest_program_begin(&program);
	guest_program_add(&program, AXL_OP_LOOP, AXL_PIPE_SEQ, 1)->loop.count = 2;
	guest_program_end(&program);
	run_faults(guest, &program, AXL_CAUSE_LOOP);
}

static void a_deadlock(void **state)
{
	struct guest_program program;

	guest_program_begin(&program);
	guest_program_move(&program, AXL_PIPE_LOAD, GUEST_SOURCE, 0, 64)->header.wait[0] = (struct axl_sem_op){3, 1};
	guest_program_end(&program);
	run_faults(*state, &program, AXL_CAUSE_DEADLOCK);
}

/* Indices come from memory: the one that is out of range has to be in the dump. */
static void gather(struct guest_program *program, uint64_t indices)
{
	union axl_insn *insn;

	guest_program_begin(program);
	guest_program_move(program, AXL_PIPE_LOAD, indices, 0, 64)->header.signal[0] = (struct axl_sem_op){0, 1};
	insn = guest_program_add(program, AXL_OP_VEC, AXL_PIPE_VECTOR, 2);
	insn->header.wait[0] = (struct axl_sem_op){0, 1};
	insn->vec.op = AXL_VEC_GATHER;
	insn->vec.dst = 4096;
	insn->vec.src0 = 8192;
	insn->vec.src1 = 0;
	for (int d = 0; d < 5; d++)
		insn->vec.dims[d] = 1;
	insn->vec.dims[4] = 16;
	insn->vec.dst_stride[4] = insn->vec.src1_stride[4] = 4;
	insn->vec.gather_stride = 4;
	insn->vec.limit = 100;
	insn->vec.dst_type = insn->vec.src0_type = insn->vec.src1_type = AXL_TYPE_S32;
	guest_program_end(program);
}

static void an_index_that_lies_in_system_memory(void **state)
{
	struct guest *guest = *state;
	struct guest_program program;

	memset(guest_at(guest, GUEST_SCRATCH), 0, 64);
	((uint32_t *)guest_at(guest, GUEST_SCRATCH))[9] = 100;
	gather(&program, GUEST_SCRATCH);
	run_faults(guest, &program, AXL_CAUSE_INDEX);
}

static void an_index_that_lies_in_local_memory(void **state)
{
	const uint64_t at = 0x5000000000ull;
	struct guest *guest = *state;
	struct guest_program program;
	struct guest_bo bo;

	assert_int_equal(guest_bo_map(guest->fd, 65536, DRM_AXL_BO_LOCAL, &bo), 0);
	assert_int_equal(guest_bind(guest, bo.handle, at, 65536, DRM_AXL_BIND_READ), 0);
	((volatile uint32_t *)bo.data)[0x8000 / 4 + 5] = 1u << 31;
	gather(&program, at + 0x8000);
	run_faults(guest, &program, AXL_CAUSE_INDEX);
	assert_int_equal(guest_unbind(guest, at, 65536), 0);
	assert_int_equal(guest_bo_destroy(guest->fd, &bo), 0);
}

static void an_index_that_lies_in_memory_of_the_process(void **state)
{
	const uint64_t at = 0x5000000000ull;
	struct guest *guest = *state;
	struct guest_program program;
	uint32_t *memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct drm_axl_bind_op op = {
		.op = DRM_AXL_BIND_MAP_USER,
		.flags = DRM_AXL_BIND_READ,
		.va = at,
		.offset = (uintptr_t)memory,
		.size = 8192,
	};
	struct drm_axl_vm_bind bind = {.vm = guest->vm, .num_ops = 1, .stride = sizeof(op), .ops = (uintptr_t)&op};

	assert_ptr_not_equal(memory, MAP_FAILED);
	memory[1024 + 7] = 101;
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_VM_BIND, &bind), 0);
	gather(&program, at + 4096);
	run_faults(guest, &program, AXL_CAUSE_INDEX);
	assert_int_equal(guest_unbind(guest, at, 8192), 0);
	munmap(memory, 8192);
}

/* Command buffer in local memory, addresses through base registers. */
static void base_registers(void **state)
{
	const uint64_t at = 0x5000200000ull;
	struct guest *guest = *state;
	struct guest_program program;
	struct guest_bo bo;
	uint64_t *bases = guest_at(guest, GUEST_SCRATCH);

	assert_int_equal(guest_bo_map(guest->fd, 4096, DRM_AXL_BO_LOCAL, &bo), 0);
	assert_int_equal(guest_bind(guest, bo.handle, at, 4096, DRM_AXL_BIND_READ | DRM_AXL_BIND_EXEC), 0);
	guest_program_begin(&program);
	/* Base 0 is the first of the table: in the field, 0 says none. */
	guest_program_move(&program, AXL_PIPE_LOAD, 0x40, 0, 64)->dma.base = 2;
	guest_program_end(&program);
	((struct axl_cmdbuf *)program.bytes)->num_bases = 4;
	for (int i = 0; i < 4; i++)
		bases[i] = GUEST_NOWHERE + 0x10000 * (uint64_t)(i + 1);
	memcpy(bo.data, program.bytes, program.size);
	guest_execute(guest, at, program.size);
	guest->ring[(guest->head - 1) & (guest->slots - 1)].execute.args = GUEST_SCRATCH;
	faults_as_dumped(guest, AXL_CAUSE_NOT_MAPPED);
	assert_int_equal(guest_unbind(guest, at, 4096), 0);
	assert_int_equal(guest_bo_destroy(guest->fd, &bo), 0);
}

/* To the same instruction and byte: the replay takes the same time. */
static void the_watchdog(void **state)
{
	const struct guest_options options = {.watchdog = 8, .flags = AXL_QUEUE_BOUNDED};
	struct guest_program program;
	struct guest guest;

	(void)state;
	assert_int_equal(guest_create(&guest, &options), 0);
	guest_program_endless(&program);
	run_faults(&guest, &program, AXL_CAUSE_WATCHDOG);
	guest_program_begin(&program);
	for (int i = 0; i < 14; i++)
		guest_program_move(&program, AXL_PIPE_LOAD, GUEST_DATA, 0, 65536);
	guest_program_end(&program);
	run_faults(&guest, &program, AXL_CAUSE_WATCHDOG);
	guest_fill(&guest, GUEST_DATA, 1, GUEST_DATA_BYTES);
	faults_as_dumped(&guest, AXL_CAUSE_WATCHDOG);
	assert_int_equal(guest_destroy(&guest), 0);
}

/* A queue of the kernel's goes on at once; what it stood in is dumped all the same. */
static void the_kernels_queue(void **state)
{
	const union axl_packet good = fences_fill(GUEST_SCRATCH, 1, 4);
	struct guest *guest = *state;
	uint32_t done = fences_create(guest);
	struct drm_axl_sync out = {.handle = done};
	struct drm_axl_ctx_destroy args;
	struct guest_program program;
	union axl_packet packets[3];
	int ctx = fences_context(guest);

	assert_true(ctx > 0);
	args = (struct drm_axl_ctx_destroy){.ctx = (uint32_t)ctx};
	guest_program_access(&program, AXL_PIPE_STORE, GUEST_NOWHERE);
	memcpy(guest->code_bo.data, program.bytes, program.size);
	for (int i = 0; i < 3; i++) {
		packets[0] = packets[2] = good;
		packets[1] = fences_execute(GUEST_CODE, i ? 64 : program.size);
		assert_int_equal(fences_submit(guest, (uint32_t)ctx, packets, 3, NULL, &out), 0);
		assert_int_equal(fences_wait(guest, done, 0, 20 * SECOND), 0);
		assert_int_equal(fences_status(guest, done), -EIO);
		expect_dump(NULL, i ? AXL_CAUSE_PACKET : AXL_CAUSE_NOT_MAPPED, true);
	}
	fences_destroy(guest, done);
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_CTX_DESTROY, &args), 0);
}

/* ---- their life ---- */

static void make_fault(struct guest *guest, uint64_t at)
{
	guest_signal(guest, at, 1);
	assert_int_equal(guest_poll(guest, guest_submit(guest), 20 * SECOND), -EIO);
}

/* Seen in the status page, before any interrupt: the reset and the end wait for the dump. */
static void a_reset_right_behind_the_fault(void **state)
{
	struct guest *guest = *state;

	for (int i = 0; i < 20; i++) {
		make_fault(guest, GUEST_NOWHERE);
		assert_int_equal(guest_reset(guest), 0);
		expect_dump(NULL, AXL_CAUSE_NOT_MAPPED, false);
	}
}

static void an_end_right_behind_the_fault(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++) {
		struct guest guest;

		assert_int_equal(guest_create(&guest, NULL), 0);
		make_fault(&guest, GUEST_NOWHERE);
		assert_int_equal(guest_destroy(&guest), 0);
		expect_dump(NULL, AXL_CAUSE_NOT_MAPPED, false);
	}
}

static void a_process_that_dies_of_it(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++) {
		int child = fork();

		if (!child) {
			struct guest guest;

			if (guest_create(&guest, NULL))
				_exit(1);
			guest_signal(&guest, GUEST_NOWHERE, 1);
			_exit(guest_poll(&guest, guest_submit(&guest), 20 * SECOND) != -EIO);
		}
		assert_int_equal(guest_reap(child, 60 * SECOND), 0);
		expect_dump(NULL, AXL_CAUSE_NOT_MAPPED, false);
	}
}

static void the_first_is_kept(void **state)
{
	struct guest *guest = *state;
	char path[PATH_MAX], error[256];
	struct dump dump;
	uint8_t *bytes;
	size_t size;

	make_fault(guest, GUEST_NOWHERE);
	assert_int_equal(guest_reset(guest), 0);
	for (uint64_t i = 1; i < 50; i++) {
		make_fault(guest, GUEST_NOWHERE + 4096 * i);
		assert_int_equal(guest_reset(guest), 0);
	}
	assert_true(find_dump(path));
	bytes = read_file(path, &size);
	assert_int_equal(dump_open(bytes, size, &dump, error, sizeof(error)), 0);
	assert_int_equal(dump.fault.record.address, GUEST_NOWHERE);
	dump_finish(&dump);
	free(bytes);
	free_dumps();
}

static void only_root_reads_it(void **state)
{
	struct guest *guest = *state;
	char path[PATH_MAX];
	struct stat info;
	int child;

	make_fault(guest, GUEST_NOWHERE);
	assert_true(dump_within(10 * SECOND, path));
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0600);
	assert_int_equal(info.st_uid, 0);
	child = fork();
	if (!child)
		_exit(setuid(1000) || open(path, O_RDONLY | O_CLOEXEC) >= 0 || errno != EACCES);
	assert_int_equal(guest_reap(child, 20 * SECOND), 0);
	free_dumps();
}

static void what_is_good_makes_none(void **state)
{
	char path[PATH_MAX];

	for (int i = 0; i < 20; i++)
		assert_int_equal(guest_job(*state, (uint32_t)i), 0);
	assert_int_equal(guest_reset(*state), 0);
	assert_false(dump_within(SECOND / 5, path));
}

/* The command says so when it is another fault, or no dump. */
static void the_command_and_a_dump_that_was_changed(void **state)
{
	struct guest *guest = *state;
	char path[PATH_MAX], error[256];
	struct dump dump;
	uint8_t *bytes;
	uint64_t *at;
	size_t size;

	make_fault(guest, GUEST_NOWHERE);
	assert_true(dump_within(10 * SECOND, path));
	bytes = read_file(path, &size);
	assert_int_equal(dump_open(bytes, size, &dump, error, sizeof(error)), 0);
	/* The packet's own address; the record has it too, but there it is another. */
	at = memmem(bytes, size, &dump.fault.record, sizeof(dump.fault.record));
	assert_non_null(at);
	dump_finish(&dump);
	expect_replay(path, 0);
	((struct axl_fault_record *)(void *)at)->address += 8;
	write_file(COPY, bytes, size);
	expect_replay(COPY, 1);
	write_file(COPY, bytes, size - 8);
	expect_replay(COPY, 2);
	free(bytes);
	free_dumps();
}

/* Many faults, dumps read and freed while more come: nothing is left and nobody stumbles. */
static void dumps_that_are_freed_while_others_come(void **state)
{
	struct guest *guest = *state;
	int child = fork();

	if (!child) {
		char path[PATH_MAX];

		for (int64_t deadline = guest_in(2 * SECOND); guest_now() < deadline;)
			if (find_dump(path))
				guest_write_text(path, "1");
		_exit(0);
	}
	do {
		make_fault(guest, GUEST_NOWHERE);
		assert_int_equal(guest_reset(guest), 0);
	} while (!waitpid(child, NULL, WNOHANG));
	assert_int_equal(guest_job(guest, 1), 0);
	free_dumps();
}

/* ---- the driver goes ---- */

static void none_is_left_when_the_driver_goes(void **state)
{
	char path[PATH_MAX];
	int64_t deadline;
	struct guest guest;

	(void)state;
	for (int i = 0; i < 5; i++) {
		assert_int_equal(guest_create(&guest, NULL), 0);
		make_fault(&guest, GUEST_NOWHERE);
		if (i % 2)
			assert_true(dump_within(10 * SECOND, path));
		assert_int_equal(guest_write_text(GUEST_DRIVER "/unbind", address), 0);
		assert_false(find_dump(path));
		guest_destroy(&guest);
		assert_false(find_dump(path));
		assert_int_equal(guest_write_text(GUEST_DRIVER "/bind", address), 0);
		for (deadline = guest_in(20 * SECOND); guest_create(&guest, NULL); guest_sleep(10 * MILLISECOND))
			assert_true(guest_now() < deadline);
		assert_int_equal(guest_job(&guest, 1), 0);
		assert_int_equal(guest_destroy(&guest), 0);
	}
}

static int begin(void **state)
{
	(void)state;
	if (!guest_find_device(address))
		return -1;
	free_dumps();
	return 0;
}

static int end(void **state)
{
	(void)state;
	free_dumps();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHECK(a_page_fault_of_each_pipe),
		CHECK(a_page_fault_of_the_code_fetch),
		CHECK(a_page_fault_of_a_packet),
		CHECK(a_malformed_packet),
		CHECK(a_write_index_that_lies),
		CHECK(a_bad_command_buffer),
		CHECK(a_deadlock),
		CHECK(an_index_that_lies_in_system_memory),
		CHECK(an_index_that_lies_in_local_memory),
		CHECK(an_index_that_lies_in_memory_of_the_process),
		CHECK(base_registers),
		CHECK(the_watchdog),
		CHECK(the_kernels_queue),
		CHECK(a_reset_right_behind_the_fault),
		CHECK(an_end_right_behind_the_fault),
		CHECK(a_process_that_dies_of_it),
		CHECK(the_first_is_kept),
		CHECK(only_root_reads_it),
		CHECK(what_is_good_makes_none),
		CHECK(the_command_and_a_dump_that_was_changed),
		CHECK(dumps_that_are_freed_while_others_come),
		cmocka_unit_test(none_is_left_when_the_driver_goes),
	};

	return check_run("dumps", tests, begin, end);
}
