/* SPDX-License-Identifier: MIT */
/* Files, objects and queues of the driver for tests inside a guest. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/udmabuf.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

#define PAGE 4096ull

/* ---- files and objects ---- */

int guest_open(void)
{
	const char *node = getenv("AXL_NODE");
	int fd = open(node ? node : "/dev/accel/accel0", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int guest_ioctl(int fd, unsigned long request, void *args)
{
	int ret;

	do
		ret = ioctl(fd, request, args);
	while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : 0;
}

int guest_bo_create(int fd, uint64_t size, uint32_t flags, struct guest_bo *bo)
{
	struct drm_axl_bo_create create = {.size = size, .flags = flags};
	struct drm_axl_bo_info info = {0};
	int err = guest_ioctl(fd, DRM_IOCTL_AXL_BO_CREATE, &create);

	*bo = (struct guest_bo){0};
	if (err)
		return err;
	bo->handle = info.handle = create.handle;
	bo->size = create.size;
	err = guest_ioctl(fd, DRM_IOCTL_AXL_BO_INFO, &info);
	bo->offset = info.mmap_offset;
	return err;
}

int guest_bo_map(int fd, uint64_t size, uint32_t flags, struct guest_bo *bo)
{
	int err = guest_bo_create(fd, size, flags, bo);
	void *data;

	if (err)
		return err;
	data = mmap(NULL, bo->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)bo->offset);
	if (data == MAP_FAILED)
		return -errno;
	bo->data = data;
	return 0;
}

int guest_bo_destroy(int fd, struct guest_bo *bo)
{
	struct drm_gem_close args = {.handle = bo->handle};
	int err = 0;

	if (bo->data)
		munmap(bo->data, bo->size);
	if (bo->handle)
		err = guest_ioctl(fd, DRM_IOCTL_GEM_CLOSE, &args);
	*bo = (struct guest_bo){0};
	return err;
}

/* Its pages keep their place as long as the dma-buf lives: that is what the seal is for. */
int guest_foreign(uint64_t size, void **data)
{
	struct udmabuf_create create = {.flags = UDMABUF_FLAGS_CLOEXEC, .size = size};
	int memfd = memfd_create("foreign", MFD_CLOEXEC | MFD_ALLOW_SEALING), device, dmabuf = -1;
	int err = 0;

	if (memfd < 0)
		return -errno;
	create.memfd = (uint32_t)memfd;
	if (ftruncate(memfd, (off_t)size) || fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK)) {
		err = -errno;
		close(memfd);
		return err;
	}
	*data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	device = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	if (*data == MAP_FAILED || device < 0 || (dmabuf = ioctl(device, UDMABUF_CREATE, &create)) < 0)
		err = -errno;
	if (device >= 0)
		close(device);
	close(memfd);
	if (err && *data != MAP_FAILED)
		munmap(*data, size);
	return err ? err : dmabuf;
}

int guest_import(int fd, int dmabuf)
{
	struct drm_prime_handle args = {.fd = dmabuf};
	int err = guest_ioctl(fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &args);

	return err ? err : (int)args.handle;
}

static int bind_op(struct guest *guest, struct drm_axl_bind_op op)
{
	struct drm_axl_vm_bind args = {.vm = guest->vm, .num_ops = 1, .stride = sizeof(op), .ops = (uintptr_t)&op};

	return guest_ioctl(guest->fd, DRM_IOCTL_AXL_VM_BIND, &args);
}

int guest_bind(struct guest *guest, uint32_t handle, uint64_t va, uint64_t size, uint32_t rights)
{
	return bind_op(guest,
		       (struct drm_axl_bind_op){
			       .op = DRM_AXL_BIND_MAP, .flags = rights, .handle = handle, .va = va, .size = size});
}

int guest_unbind(struct guest *guest, uint64_t va, uint64_t size)
{
	return bind_op(guest, (struct drm_axl_bind_op){.op = DRM_AXL_BIND_UNMAP, .va = va, .size = size});
}

static int create_buffers(struct guest *guest)
{
	const uint32_t rw = DRM_AXL_BIND_READ | DRM_AXL_BIND_WRITE;
	const struct {
		struct guest_bo *bo;
		uint64_t va, size;
		uint32_t rights;
	} all[] = {
		{&guest->ring_bo, GUEST_RING, guest->slots * sizeof(union axl_packet), DRM_AXL_BIND_READ},
		{&guest->index_bo, GUEST_INDEX, PAGE, rw},
		{&guest->code_bo, GUEST_CODE, GUEST_CODE_BYTES, DRM_AXL_BIND_READ | DRM_AXL_BIND_EXEC},
		{&guest->data_bo, GUEST_DATA, GUEST_DATA_BYTES, rw},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		int err = guest_bo_map(guest->fd, all[i].size, 0, all[i].bo);

		if (!err)
			err = guest_bind(guest, all[i].bo->handle, all[i].va, all[i].bo->size, all[i].rights);
		if (err)
			return err;
	}
	guest->ring = guest->ring_bo.data;
	guest->index = guest->index_bo.data;
	return 0;
}

static int create_context(struct guest *guest)
{
	struct drm_axl_ctx_create args = {.vm = guest->vm};
	int err = guest_ioctl(guest->fd, DRM_IOCTL_AXL_CTX_CREATE, &args);
	void *page;

	if (err)
		return err;
	guest->ctx = args.ctx;
	guest->doorbell_offset = args.doorbell_offset;
	guest->status_offset = args.status_offset;
	page = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, guest->fd, (off_t)args.status_offset);
	if (page == MAP_FAILED)
		return -errno;
	guest->status = page;
	page = mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, guest->fd, (off_t)args.doorbell_offset);
	if (page == MAP_FAILED)
		return -errno;
	guest->doorbells = page;
	return 0;
}

int guest_queue_create(struct guest *guest, const struct guest_options *options, uint32_t *slot)
{
	struct drm_axl_queue_create args = {
		.ctx = guest->ctx,
		.slots = guest->slots,
		.ring = GUEST_RING,
		.index = GUEST_INDEX,
		.priority = options ? options->priority : 0,
		.flags = options ? options->flags : 0,
		.timeslice = options ? options->timeslice : 0,
		.watchdog = options ? options->watchdog : 0,
	};
	int err = guest_ioctl(guest->fd, DRM_IOCTL_AXL_QUEUE_CREATE, &args);

	*slot = args.slot;
	return err ? err : (int)args.queue;
}

int guest_create_on(struct guest *guest, int fd, const struct guest_options *options)
{
	struct drm_axl_vm_create vm = {.kernel_va = GUEST_KERNEL, .kernel_size = AXL_LARGE_PAGE_BYTES};
	int err;

	*guest = (struct guest){.fd = fd, .slots = options && options->slots ? options->slots : 64};
	err = guest_ioctl(fd, DRM_IOCTL_AXL_VM_CREATE, &vm);
	if (err)
		return err;
	guest->vm = vm.vm;
	err = create_buffers(guest);
	if (!err)
		err = create_context(guest);
	if (!err)
		err = guest_queue_create(guest, options, &guest->slot);
	if (err > 0)
		guest->queue = (uint32_t)err;
	if (err < 0)
		guest_destroy(guest);
	return err < 0 ? err : 0;
}

int guest_create(struct guest *guest, const struct guest_options *options)
{
	int fd = guest_open(), err;

	*guest = (struct guest){.fd = -1};
	if (fd < 0)
		return fd;
	err = guest_create_on(guest, fd, options);
	if (err)
		close(fd);
	guest->owned = !err;
	return err;
}

int guest_queue_op(struct guest *guest, unsigned long request, uint32_t queue)
{
	struct drm_axl_queue_op args = {.queue = queue};

	return guest_ioctl(guest->fd, request, &args);
}

static int destroy_context(struct guest *guest)
{
	struct drm_axl_ctx_destroy args = {.ctx = guest->ctx};

	if (guest->status)
		munmap((void *)(uintptr_t)guest->status, PAGE);
	if (guest->doorbells)
		munmap(guest->doorbells, PAGE);
	return guest->ctx ? guest_ioctl(guest->fd, DRM_IOCTL_AXL_CTX_DESTROY, &args) : 0;
}

int guest_destroy(struct guest *guest)
{
	struct drm_axl_vm_create vm = {.vm = guest->vm};
	struct guest_bo *bos[] = {&guest->ring_bo, &guest->index_bo, &guest->code_bo, &guest->data_bo};
	int first = 0, err;

	if (guest->fd < 0)
		return 0;
	if (guest->queue)
		first = guest_queue_op(guest, DRM_IOCTL_AXL_QUEUE_DESTROY, guest->queue);
	err = destroy_context(guest);
	first = first ? first : err;
	for (int i = 0; i < 4; i++) {
		err = guest_bo_destroy(guest->fd, bos[i]);
		first = first ? first : err;
	}
	err = guest->vm ? guest_ioctl(guest->fd, DRM_IOCTL_AXL_VM_DESTROY, &vm) : 0;
	first = first ? first : err;
	if (guest->owned)
		close(guest->fd);
	*guest = (struct guest){.fd = -1};
	return first;
}

/* ---- packets ---- */

union axl_packet *guest_next(struct guest *guest)
{
	union axl_packet *packet = &guest->ring[guest->head++ & (guest->slots - 1)];

	memset(packet, 0, sizeof(*packet));
	packet->header.tag = (uint32_t)guest->head;
	return packet;
}

void guest_nop(struct guest *guest)
{
	guest_next(guest)->header.opcode = AXL_PKT_NOP;
}

void guest_fill(struct guest *guest, uint64_t dst, uint32_t pattern, uint64_t size)
{
	struct axl_packet_fill *fill = &guest_next(guest)->fill;

	fill->header.opcode = AXL_PKT_FILL;
	fill->dst = dst;
	fill->pattern = pattern;
	fill->size = size;
}

void guest_copy(struct guest *guest, uint64_t dst, uint64_t src, uint64_t size)
{
	struct axl_packet_copy *copy = &guest_next(guest)->copy;

	copy->header.opcode = AXL_PKT_COPY;
	copy->dst = dst;
	copy->src = src;
	copy->size = size;
}

static void fence(struct guest *guest, uint8_t opcode, uint64_t address, uint64_t value, uint32_t op)
{
	struct axl_packet_fence *packet = &guest_next(guest)->fence;

	packet->header.opcode = opcode;
	packet->address = address;
	packet->value = value;
	packet->op = op;
}

void guest_signal(struct guest *guest, uint64_t address, uint64_t value)
{
	fence(guest, AXL_PKT_SIGNAL, address, value, 0);
}

void guest_await(struct guest *guest, uint64_t address, uint64_t value)
{
	fence(guest, AXL_PKT_WAIT, address, value, AXL_WAIT_GE);
}

void guest_timestamp(struct guest *guest, uint64_t address)
{
	struct axl_packet_timestamp *packet = &guest_next(guest)->timestamp;

	packet->header.opcode = AXL_PKT_TIMESTAMP;
	packet->address = address;
}

void guest_execute(struct guest *guest, uint64_t cmdbuf, uint32_t size)
{
	struct axl_packet_execute *packet = &guest_next(guest)->execute;

	packet->header.opcode = AXL_PKT_EXECUTE;
	packet->cmdbuf = cmdbuf;
	packet->size = size;
}

const struct axl_queue_status *guest_status(const struct guest *guest)
{
	return &guest->status->queue[guest->slot];
}

void guest_ring(struct guest *guest)
{
	__atomic_store_n(&guest->doorbells[guest->slot], guest->head, __ATOMIC_RELAXED);
	guest->rings++;
}

uint64_t guest_submit(struct guest *guest)
{
	uint64_t before = guest->index->write, event;

	__atomic_store_n(&guest->index->write, guest->head, __ATOMIC_RELEASE);
	/* Pairs with the device's barrier between its store of event and its load of write. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	event = __atomic_load_n(&guest_status(guest)->event, __ATOMIC_RELAXED);
	if (guest->always_ring || (event >= before && event < guest->head))
		guest_ring(guest);
	return guest->head;
}

int guest_poll(struct guest *guest, uint64_t index, int64_t ns)
{
	const struct axl_queue_status *status = guest_status(guest);
	int64_t deadline = guest_in(ns);

	for (;;) {
		uint32_t state = __atomic_load_n(&status->state, __ATOMIC_ACQUIRE);

		if (__atomic_load_n(&status->retired, __ATOMIC_ACQUIRE) >= index)
			return 0;
		if (state == AXL_QUEUE_FAULTED)
			return -EIO;
		if (guest_now() > deadline)
			return -ETIME;
	}
}

int guest_wait(struct guest *guest, uint64_t index, int64_t ns)
{
	struct drm_axl_wait_entry entry = {.queue = guest->queue, .index = index};
	struct drm_axl_wait args = {
		.entries = (uintptr_t)&entry, .num_entries = 1, .deadline_ns = ns ? guest_in(ns) : 0};
	int err = guest_ioctl(guest->fd, DRM_IOCTL_AXL_WAIT, &args);

	return err ? err : entry.result;
}

int guest_fault(struct guest *guest, struct axl_fault_record *record)
{
	struct drm_axl_queue_query args = {.queue = guest->queue, .record = (uintptr_t)record};
	int err = guest_ioctl(guest->fd, DRM_IOCTL_AXL_QUEUE_QUERY, &args);

	return err ? err : (int)args.valid;
}

int guest_reset(struct guest *guest)
{
	return guest_queue_op(guest, DRM_IOCTL_AXL_QUEUE_RESET, guest->queue);
}

void *guest_at(struct guest *guest, uint64_t va)
{
	return (uint8_t *)guest->data_bo.data + (va - GUEST_DATA);
}

static uint32_t prng(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

int guest_job(struct guest *guest, uint32_t seed)
{
	uint32_t *source = guest_at(guest, GUEST_SOURCE), state = seed * 2654435761u | 1;
	volatile uint64_t *word = guest_at(guest, GUEST_FENCE);
	struct guest_program program;
	int err;

	for (uint32_t i = 0; i < GUEST_JOB_BYTES / 4; i++)
		source[i] = prng(&state);
	*word = 0;
	guest_fill(guest, GUEST_RESULT, ~seed, GUEST_JOB_BYTES + 64);
	guest_program_copy(&program, GUEST_MIDDLE, GUEST_SOURCE, GUEST_JOB_BYTES);
	guest_run(guest, &program, 0);
	guest_copy(guest, GUEST_RESULT, GUEST_MIDDLE, GUEST_JOB_BYTES);
	guest_signal(guest, GUEST_FENCE, seed | 1ull << 40);
	err = guest_wait(guest, guest_submit(guest), 20 * SECOND);
	if (err)
		return err;
	if (*word != (seed | 1ull << 40) || memcmp(guest_at(guest, GUEST_RESULT), source, GUEST_JOB_BYTES))
		return -EBADMSG;
	for (int i = 0; i < 16; i++)
		if (((uint32_t *)guest_at(guest, GUEST_RESULT + GUEST_JOB_BYTES))[i] != ~seed)
			return -EBADMSG;
	return 0;
}

static int run_stream(struct guest_stream *stream)
{
	struct guest guest;
	uint64_t packets;

	if (guest_create(&guest, NULL))
		return 1;
	while (!stream->stop) {
		packets = guest.head;
		if (guest_job(&guest, (uint32_t)stream->jobs))
			return 2;
		if (guest_status(&guest)->retired != packets + 4)
			return 3;
		stream->jobs++;
	}
	if (guest_status(&guest)->dropped || guest_status(&guest)->error)
		return 4;
	return guest_destroy(&guest) ? 5 : 0;
}

struct guest_stream *guest_stream_start(void)
{
	struct guest_stream *stream =
		mmap(NULL, sizeof(*stream), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (stream == MAP_FAILED)
		return NULL;
	stream->pid = fork();
	if (!stream->pid) {
		/* A test that fails ends it as well. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(run_stream(stream));
	}
	return stream->pid < 0 ? NULL : stream;
}

int guest_stream_end(struct guest_stream *stream)
{
	int err;

	stream->stop = 1;
	err = guest_reap(stream->pid, 60 * SECOND);
	munmap(stream, sizeof(*stream));
	return err;
}

/* ---- command buffers ---- */

void guest_program_begin(struct guest_program *program)
{
	memset(program, 0, sizeof(*program));
	program->size = sizeof(struct axl_cmdbuf);
}

union axl_insn *guest_program_add(struct guest_program *program, enum axl_opcode opcode, enum axl_pipe pipe,
				  unsigned int slots)
{
	union axl_insn *insn = (void *)(program->bytes + program->size);

	insn->header.opcode = (uint8_t)opcode;
	insn->header.pipe = (uint8_t)pipe;
	insn->header.slots = (uint8_t)slots;
	program->size += slots * AXL_SLOT_BYTES;
	return insn;
}

union axl_insn *guest_program_move(struct guest_program *program, enum axl_pipe pipe, uint64_t va, uint32_t spad,
				   uint32_t bytes)
{
	bool store = pipe == AXL_PIPE_STORE;
	union axl_insn *insn = guest_program_add(program, store ? AXL_OP_STORE : AXL_OP_LOAD, pipe, 2);

	insn->dma.offset = va;
	insn->dma.spad = spad;
	insn->dma.mem_type = insn->dma.spad_type = AXL_TYPE_U8;
	for (int d = 0; d < 5; d++)
		insn->dma.dims[d] = 1;
	insn->dma.dims[4] = bytes;
	insn->dma.mem_stride[4] = insn->dma.spad_stride[4] = 1;
	insn->dma.purpose = store ? AXL_PURPOSE_OUTPUT : AXL_PURPOSE_ACTIVATION;
	return insn;
}

void guest_program_end(struct guest_program *program)
{
	struct axl_cmdbuf *header = (void *)program->bytes;

	guest_program_add(program, AXL_OP_END, AXL_PIPE_SEQ, 1);
	header->magic = AXL_CMDBUF_MAGIC;
	header->version = AXL_ISA_VERSION;
	header->num_tiles = 1;
	header->size = program->size;
	header->spad_bytes = 65536;
	header->streams[0].offset = sizeof(*header);
	header->streams[0].size = program->size - (uint32_t)sizeof(*header);
}

void guest_program_copy(struct guest_program *program, uint64_t dst, uint64_t src, uint32_t bytes)
{
	guest_program_begin(program);
	guest_program_move(program, AXL_PIPE_LOAD, src, 0, bytes)->header.signal[0] = (struct axl_sem_op){0, 1};
	guest_program_move(program, AXL_PIPE_STORE, dst, 0, bytes)->header.wait[0] = (struct axl_sem_op){0, 1};
	guest_program_end(program);
}

void guest_program_endless(struct guest_program *program)
{
	guest_program_begin(program);
	for (int i = 0; i < AXL_LOOP_DEPTH; i++)
		guest_program_add(program, AXL_OP_LOOP, AXL_PIPE_SEQ, 1)->loop.count = ~0u;
	guest_program_add(program, AXL_OP_SYNC, AXL_PIPE_VECTOR, 1);
	for (int i = 0; i < AXL_LOOP_DEPTH; i++)
		guest_program_add(program, AXL_OP_ENDLOOP, AXL_PIPE_SEQ, 1);
	guest_program_end(program);
}

void guest_program_work(struct guest_program *program, uint32_t rounds)
{
	guest_program_begin(program);
	guest_program_add(program, AXL_OP_LOOP, AXL_PIPE_SEQ, 1)->loop.count = rounds;
	guest_program_add(program, AXL_OP_LOOP, AXL_PIPE_SEQ, 1)->loop.count = 512;
	guest_program_add(program, AXL_OP_SYNC, AXL_PIPE_VECTOR, 1);
	guest_program_add(program, AXL_OP_ENDLOOP, AXL_PIPE_SEQ, 1);
	guest_program_add(program, AXL_OP_YIELD, AXL_PIPE_SEQ, 1);
	guest_program_add(program, AXL_OP_ENDLOOP, AXL_PIPE_SEQ, 1);
	guest_program_end(program);
}

void guest_program_access(struct guest_program *program, enum axl_pipe pipe, uint64_t va)
{
	guest_program_begin(program);
	/* What a STORE takes from the scratchpad has to be somebody's. */
	guest_program_move(program, AXL_PIPE_LOAD, GUEST_SOURCE, 0, 64)->header.signal[0] = (struct axl_sem_op){0, 1};
	guest_program_move(program, pipe, va, pipe == AXL_PIPE_STORE ? 0 : 64, 64)->header.wait[0] =
		(struct axl_sem_op){0, 1};
	guest_program_end(program);
}

void guest_run(struct guest *guest, const struct guest_program *program, uint32_t offset)
{
	memcpy((uint8_t *)guest->code_bo.data + offset, program->bytes, program->size);
	guest_execute(guest, GUEST_CODE + offset, program->size);
}

/* ---- the machine ---- */

int64_t guest_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * SECOND + time.tv_nsec;
}

int64_t guest_in(int64_t ns)
{
	return guest_now() + ns;
}

void guest_sleep(int64_t ns)
{
	struct timespec time = {.tv_sec = ns / SECOND, .tv_nsec = ns % SECOND};

	while (nanosleep(&time, &time) && errno == EINTR)
		;
}

static __thread sigjmp_buf landing;
static __thread volatile sig_atomic_t armed;

/* The handler is the process', the access a thread's: a signal of anything else ends the program, as it would without.
 */
static void land(int number)
{
	if (armed)
		siglongjmp(landing, number);
	signal(number, SIG_DFL);
}

/* Run one access with both signals caught. The handler stays, since another thread can be in here as well. */
static int caught(volatile uint64_t *at, uint64_t *value, bool write)
{
	struct sigaction action = {.sa_handler = land};
	int number;

	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	number = sigsetjmp(landing, 1);
	armed = !number;
	if (!number && write)
		*at = *value;
	else if (!number)
		*value = *at;
	armed = 0;
	return number;
}

int guest_load(const volatile uint64_t *at, uint64_t *value)
{
	return caught((volatile uint64_t *)(uintptr_t)at, value, false);
}

int guest_store(volatile uint64_t *at, uint64_t value)
{
	return caught(at, &value, true);
}

unsigned long guest_taint(void)
{
	FILE *file = fopen("/proc/sys/kernel/tainted", "r");
	unsigned long taint = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%lu", &taint) != 1)
		taint = 0;
	fclose(file);
	return taint & (1ul << 7 | 1ul << 9);
}

unsigned int guest_local_room(uint64_t size)
{
	int fd = guest_open();
	unsigned int count = 0;
	struct guest_bo bo;

	while (!guest_bo_create(fd, size, DRM_AXL_BO_LOCAL, &bo))
		count++;
	close(fd);
	return count;
}

unsigned int guest_context_room(void)
{
	struct drm_axl_ctx_create args = {0};
	struct drm_axl_vm_create vm = {0};
	int fd = guest_open();
	unsigned int count = 0;

	guest_ioctl(fd, DRM_IOCTL_AXL_VM_CREATE, &vm);
	for (args.vm = vm.vm; !guest_ioctl(fd, DRM_IOCTL_AXL_CTX_CREATE, &args); count++)
		args = (struct drm_axl_ctx_create){.vm = vm.vm};
	close(fd);
	return count;
}

int guest_counters(int fd, struct drm_axl_counters *counters)
{
	struct drm_axl_dev_query args = {
		.type = DRM_AXL_QUERY_COUNTERS, .size = sizeof(*counters), .data = (uintptr_t)counters};

	return guest_ioctl(fd, DRM_IOCTL_AXL_DEV_QUERY, &args);
}

void guest_read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	text[got < 0 ? 0 : got] = 0;
	text[strcspn(text, "\n")] = 0;
}

int guest_write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return err;
}

long guest_setting(const char *name, long otherwise)
{
	const char *text = getenv(name);

	return text && *text ? atol(text) : otherwise;
}

bool guest_find_device(char address[64])
{
	DIR *folder = opendir(GUEST_DRIVER);
	struct dirent *entry;

	*address = '\0';
	while (folder && (entry = readdir(folder)))
		if (!strncmp(entry->d_name, "0000:", 5))
			snprintf(address, 64, "%.60s", entry->d_name);
	if (folder)
		closedir(folder);
	return *address;
}

int guest_machine_set(const char *id, const char *property, const char *value)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "qmp qom-set '{\"path\":\"/machine/peripheral/%s\",\"property\":\"%s\",\"value\":%s}' >/tmp/qmp", id,
		 property, value);
	return system(command) ? -EIO : 0;
}

int guest_reap(int pid, int64_t ns)
{
	int64_t deadline = guest_in(ns);
	int status, got;

	while (!(got = waitpid(pid, &status, WNOHANG))) {
		if (guest_now() > deadline) {
			kill(pid, SIGKILL);
			return -ETIME;
		}
		guest_sleep(MILLISECOND);
	}
	if (got < 0)
		return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EINTR;
}
