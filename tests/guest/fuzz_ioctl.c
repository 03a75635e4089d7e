/* SPDX-License-Identifier: MIT */
/*
 * Random calls of the driver: valid objects with single fields that are not, garbage in structs, in rings and in
 * command buffers, mappings and files that come and go in other threads, processes that are killed in the middle.
 *
 *	fuzz_ioctl [--seconds N] [--seed S] [--processes P]	10 seconds, seed 1, 3 processes of two threads
 *
 * No call may take longer than CALL_LIMIT, the kernel may not warn, and a job at the end has to be right. A process'
 * calls follow from the seed and its number alone, though not their timing. Exit status 0, or 1 with what went wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"
#include "ioctl_args.h"

#define PAGE 4096ull
#define CALL_LIMIT 20 /* seconds; the driver gives up on the device after five */
#define MAX_PROCESSES 16
/* The DMA debugger takes more than seven mappings of one page for a leak. */
#define USER_PAGES 256

enum kind {
	DEV_QUERY,
	GET_TIME,
	BO_CREATE,
	BO_INFO,
	VM_CREATE,
	VM_DESTROY,
	VM_BIND,
	CTX_CREATE,
	CTX_DESTROY,
	QUEUE_CREATE,
	QUEUE_DESTROY,
	QUEUE_QUERY,
	QUEUE_RESET,
	WAIT,
	SUBMIT,
	FENCE_EXPORT,
	FENCE_IMPORT,
	EVENT_CONFIG,
	PERF_OPEN,
	QUEUE_SUSPEND,
	QUEUE_RESUME,
	SYNC_CREATE,
	SYNC_DESTROY,
	GEM_CLOSE,
	PRIME_EXPORT,
	PRIME_IMPORT,
	MMAP,
	OPEN,
	NUM_KINDS
};

static const char *const names[NUM_KINDS] = {
	"DEV_QUERY",   "GET_TIME",     "BO_CREATE",    "BO_INFO",       "VM_CREATE",    "VM_DESTROY",    "VM_BIND",
	"CTX_CREATE",  "CTX_DESTROY",  "QUEUE_CREATE", "QUEUE_DESTROY", "QUEUE_QUERY",  "QUEUE_RESET",   "WAIT",
	"SUBMIT",      "FENCE_EXPORT", "FENCE_IMPORT", "EVENT_CONFIG",  "PERF_OPEN",    "QUEUE_SUSPEND", "QUEUE_RESUME",
	"SYNC_CREATE", "SYNC_DESTROY", "GEM_CLOSE",    "PRIME_EXPORT",  "PRIME_IMPORT", "MMAP",          "OPEN"};

static const unsigned long requests[] = {
	DRM_IOCTL_AXL_DEV_QUERY,      DRM_IOCTL_AXL_GET_TIME,      DRM_IOCTL_AXL_BO_CREATE,
	DRM_IOCTL_AXL_BO_INFO,        DRM_IOCTL_AXL_VM_CREATE,     DRM_IOCTL_AXL_VM_DESTROY,
	DRM_IOCTL_AXL_VM_BIND,        DRM_IOCTL_AXL_CTX_CREATE,    DRM_IOCTL_AXL_CTX_DESTROY,
	DRM_IOCTL_AXL_QUEUE_CREATE,   DRM_IOCTL_AXL_QUEUE_DESTROY, DRM_IOCTL_AXL_QUEUE_QUERY,
	DRM_IOCTL_AXL_QUEUE_RESET,    DRM_IOCTL_AXL_WAIT,          DRM_IOCTL_AXL_SUBMIT,
	DRM_IOCTL_AXL_FENCE_EXPORT,   DRM_IOCTL_AXL_FENCE_IMPORT,  DRM_IOCTL_AXL_EVENT_CONFIG,
	DRM_IOCTL_AXL_PERF_OPEN,      DRM_IOCTL_AXL_QUEUE_SUSPEND, DRM_IOCTL_AXL_QUEUE_RESUME,
	DRM_IOCTL_SYNCOBJ_CREATE,     DRM_IOCTL_SYNCOBJ_DESTROY,   DRM_IOCTL_GEM_CLOSE,
	DRM_IOCTL_PRIME_HANDLE_TO_FD, DRM_IOCTL_PRIME_FD_TO_HANDLE};

/* In memory that the processes share: what survives them. */
static struct report {
	unsigned long made[NUM_KINDS], succeeded[NUM_KINDS];
	volatile int calling[MAX_PROCESSES]; /* kind + 1 of the main thread's call */
} * report;

/* ---- one fuzzer: a process with a file, and a thread that disturbs it ---- */

struct fuzzer {
	struct guest guest;
	uint64_t state;
	unsigned int number;
	volatile bool stop;
	/* Objects that were made at one time or another. */
	uint32_t bos[16], vms[4], ctxs[8], queues[16], syncs[8];
	uint64_t offsets[16];
	uint8_t *memory; /* of the program, to be bound: USER_PAGES */
};

static uint64_t draw(struct fuzzer *fuzzer)
{
	uint64_t z = fuzzer->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static bool chance(struct fuzzer *fuzzer, unsigned int one_in)
{
	return draw(fuzzer) % one_in == 0;
}

/* A number of the kind that breaks things. */
static uint64_t odd_number(struct fuzzer *fuzzer)
{
	static const uint64_t odd[] = {0,          1,          2,           3,          7,          8,
				       63,         64,         65,          256,        257,        4095,
				       4096,       4097,       1 << 21,     0x7fffffff, 1ull << 31, 0xffffffff,
				       1ull << 32, 1ull << 40, 1ull << 47,  1ull << 48, 1ull << 63, ~0ull - 4095,
				       ~0ull,      GUEST_RING, GUEST_INDEX, GUEST_CODE, GUEST_DATA, GUEST_NOWHERE};

	if (chance(fuzzer, 4))
		return draw(fuzzer) >> draw(fuzzer) % 64;
	return odd[draw(fuzzer) % (sizeof(odd) / sizeof(odd[0]))];
}

#define NUMBER(list) (sizeof(list) / sizeof((list)[0]))
#define PICK(fuzzer, list) ((list)[draw(fuzzer) % NUMBER(list)])
/* The first of a list is what the life began with: used more often, and given up less often, so that calls get
 * somewhere. */
#define KEEP(fuzzer, list, value) ((list)[1 + draw(fuzzer) % (NUMBER(list) - 1)] = (value))
#define USE(fuzzer, list) (chance(fuzzer, 2) ? (list)[0] : PICK(fuzzer, list))
#define GIVE_UP(fuzzer, list) (chance(fuzzer, 16) ? (list)[0] : (list)[1 + draw(fuzzer) % (NUMBER(list) - 1)])

static void too_long(int signal)
{
	static const char text[] = "fuzz_ioctl: a call does not end\n";

	(void)signal;
	if (write(2, text, sizeof(text) - 1) < 0)
		_exit(4);
	_exit(3);
}

static void count(enum kind kind, bool succeeded)
{
	__atomic_fetch_add(&report->made[kind], 1, __ATOMIC_RELAXED);
	if (succeeded)
		__atomic_fetch_add(&report->succeeded[kind], 1, __ATOMIC_RELAXED);
}

/* Memory is what the machine has little of: sizes that are taken at their word stay small. */
static uint64_t some_size(struct fuzzer *fuzzer)
{
	return chance(fuzzer, 20) ? ~0ull << (41 + draw(fuzzer) % 20) : draw(fuzzer) % (2 << 20);
}

/* What arguments point to; the second page of it may not be touched. */
static __thread uint8_t *extra;

static struct drm_axl_vm_bind some_bind(struct fuzzer *fuzzer)
{
	unsigned int count = chance(fuzzer, 2) ? 1 : 1 + (unsigned int)(draw(fuzzer) % 4);
	struct drm_axl_bind_op *ops = (void *)(extra + PAGE - count * sizeof(*ops));
	struct drm_axl_sync *syncs = (void *)(extra + PAGE - 1024);
	bool later = chance(fuzzer, 2);

	for (unsigned int i = 0; i < count; i++) {
		bool map = !chance(fuzzer, 3);

		ops[i] = (struct drm_axl_bind_op){
			.op = map ? DRM_AXL_BIND_MAP : DRM_AXL_BIND_UNMAP,
			.flags = map ? 1 + (uint32_t)(draw(fuzzer) % 7) : 0,
			.handle = map ? PICK(fuzzer, fuzzer->bos) : 0,
			.va = 0x40000000 + draw(fuzzer) % 64 * 0x80000,
			.size = PAGE << draw(fuzzer) % (chance(fuzzer, 4) ? 10 : 3),
			.offset = map ? draw(fuzzer) % 4 * PAGE : 0,
		};
		/* Sometimes memory of the program itself. */
		if (map && chance(fuzzer, 6)) {
			ops[i].op = DRM_AXL_BIND_MAP_USER;
			ops[i].handle = 0;
			ops[i].offset =
				(uintptr_t)(chance(fuzzer, 8) ? fuzzer->guest.data_bo.data
							      : fuzzer->memory + draw(fuzzer) % USER_PAGES * PAGE);
		}
		/* Sometimes what its own queue lives on. */
		if (chance(fuzzer, 30))
			ops[i].va = GUEST_RING + draw(fuzzer) % 64 * 0x10000;
		if (chance(fuzzer, 16))
			((uint64_t *)&ops[i])[draw(fuzzer) % 5] = odd_number(fuzzer);
	}
	for (int i = 0; i < 4; i++)
		syncs[i] = (struct drm_axl_sync){.handle = PICK(fuzzer, fuzzer->syncs)};
	if (chance(fuzzer, 4))
		syncs[draw(fuzzer) % 4] =
			(struct drm_axl_sync){PICK(fuzzer, fuzzer->syncs), DRM_AXL_SYNC_TIMELINE, odd_number(fuzzer)};
	return (struct drm_axl_vm_bind){
		.vm = PICK(fuzzer, fuzzer->vms),
		.num_ops = count,
		.stride = sizeof(*ops),
		.ops = (uintptr_t)ops,
		.num_in = (uint32_t)(later ? draw(fuzzer) % 3 : 0),
		.num_out = (uint32_t)(later ? draw(fuzzer) % 3 : 0),
		.in = (uintptr_t)syncs,
		.out = (uintptr_t)(syncs + 2),
	};
}

static struct drm_axl_wait some_wait(struct fuzzer *fuzzer)
{
	unsigned int count = 1 + (unsigned int)(draw(fuzzer) % 8);
	struct drm_axl_wait_entry *entries = (void *)(extra + PAGE - count * sizeof(*entries));

	for (unsigned int i = 0; i < count; i++)
		entries[i] = (struct drm_axl_wait_entry){.queue = USE(fuzzer, fuzzer->queues),
							 .index = chance(fuzzer, 4) ? odd_number(fuzzer)
										    : draw(fuzzer) % 200};
	return (struct drm_axl_wait){.entries = (uintptr_t)entries,
				     .num_entries = count,
				     .flags = (uint32_t)(draw(fuzzer) % 2),
				     .deadline_ns =
					     chance(fuzzer, 2) ? 0 : guest_in((int64_t)(draw(fuzzer) % 3000000))};
}

static struct drm_axl_submit some_submit(struct fuzzer *fuzzer)
{
	unsigned int count = 1 + (unsigned int)(draw(fuzzer) % 4);
	union axl_packet *packets = (void *)(extra + PAGE - 1024);
	struct drm_axl_sync *syncs = (void *)(extra + PAGE - 2048);

	for (unsigned int i = 0; i < count; i++) {
		packets[i].fill = (struct axl_packet_fill){
			.header.opcode = chance(fuzzer, 8) ? (uint8_t)(draw(fuzzer) % 8) : AXL_PKT_FILL,
			.dst = GUEST_SCRATCH,
			.size = draw(fuzzer) % 4096 * 4};
		if (chance(fuzzer, 8))
			packets[i].fill.dst = odd_number(fuzzer);
		syncs[i] = (struct drm_axl_sync){.handle = PICK(fuzzer, fuzzer->syncs)};
		if (chance(fuzzer, 8))
			syncs[i] = (struct drm_axl_sync){syncs[i].handle, DRM_AXL_SYNC_TIMELINE, odd_number(fuzzer)};
	}
	return (struct drm_axl_submit){.ctx = PICK(fuzzer, fuzzer->ctxs),
				       .num_packets = count,
				       .packets = (uintptr_t)packets,
				       .num_in = (uint32_t)(draw(fuzzer) % 2),
				       .in = (uintptr_t)syncs,
				       .num_out = (uint32_t)(draw(fuzzer) % count),
				       .out = (uintptr_t)(syncs + 1)};
}

static struct drm_axl_queue_create some_queue(struct fuzzer *fuzzer)
{
	return (struct drm_axl_queue_create){.ctx = USE(fuzzer, fuzzer->ctxs),
					     .slots = 8u << draw(fuzzer) % 5,
					     .ring = GUEST_RING,
					     .index = GUEST_INDEX,
					     .priority = (uint32_t)(draw(fuzzer) % 4),
					     .flags = (uint32_t)(draw(fuzzer) % 2),
					     .timeslice = (uint32_t)(draw(fuzzer) % 16),
					     .watchdog = 16};
}

/* Arguments that may well be right. */
static void fill_args(struct fuzzer *fuzzer, enum kind kind, union args *args)
{
	memset(args, 0, sizeof(*args));
	switch (kind) {
	case DEV_QUERY:
		args->query.type = (uint32_t)(draw(fuzzer) % 3);
		args->query.size = (uint32_t)(draw(fuzzer) % 128);
		args->query.data = (uintptr_t)(extra + PAGE - 128);
		break;
	case BO_CREATE:
		args->bo_create.size = some_size(fuzzer);
		args->bo_create.flags = (uint32_t)(draw(fuzzer) % 2);
		break;
	case BO_INFO:
		args->bo_info.handle = PICK(fuzzer, fuzzer->bos);
		break;
	case VM_DESTROY:
		args->vm.vm = GIVE_UP(fuzzer, fuzzer->vms);
		break;
	case VM_BIND:
		args->bind = some_bind(fuzzer);
		break;
	case VM_CREATE:
		args->vm.kernel_va = chance(fuzzer, 2) ? 0x200000000 : 0;
		args->vm.kernel_size = args->vm.kernel_va ? (1 + draw(fuzzer) % 4) << 21 : 0;
		break;
	case CTX_CREATE:
		args->ctx_create.vm = USE(fuzzer, fuzzer->vms);
		args->ctx_create.flags = (uint32_t)(draw(fuzzer) % 2);
		break;
	case SUBMIT:
		args->submit = some_submit(fuzzer);
		break;
	case FENCE_EXPORT:
		args->fence_export.queue = USE(fuzzer, fuzzer->queues);
		args->fence_export.index = draw(fuzzer) % 100;
		args->fence_export.sync.handle = PICK(fuzzer, fuzzer->syncs);
		break;
	case FENCE_IMPORT:
		args->fence_import.sync.handle = PICK(fuzzer, fuzzer->syncs);
		args->fence_import.handle = PICK(fuzzer, fuzzer->bos);
		args->fence_import.offset = draw(fuzzer) % 512 * 8;
		break;
	case EVENT_CONFIG:
		args->event_config.mask = (uint32_t)(draw(fuzzer) % 4);
		break;
	case PERF_OPEN:
		args->perf.ctx = USE(fuzzer, fuzzer->ctxs);
		args->perf.flags = chance(fuzzer, 4) ? DRM_AXL_PERF_DEVICE : 0;
		args->perf.period_ns = DRM_AXL_PERF_MIN_PERIOD + draw(fuzzer) % 1000000;
		break;
	case SYNC_CREATE:
		args->sync_create.flags = chance(fuzzer, 2) ? DRM_SYNCOBJ_CREATE_SIGNALED : 0;
		break;
	case SYNC_DESTROY:
		args->sync_destroy.handle = PICK(fuzzer, fuzzer->syncs);
		break;
	case CTX_DESTROY:
		args->ctx_destroy.ctx = GIVE_UP(fuzzer, fuzzer->ctxs);
		break;
	case QUEUE_CREATE:
		args->queue_create = some_queue(fuzzer);
		break;
	case QUEUE_DESTROY:
	case QUEUE_RESET:
	case QUEUE_SUSPEND:
	case QUEUE_RESUME:
		args->queue_op.queue = USE(fuzzer, fuzzer->queues);
		break;
	case QUEUE_QUERY:
		args->queue_query.queue = USE(fuzzer, fuzzer->queues);
		args->queue_query.record = (uintptr_t)(extra + PAGE - sizeof(struct axl_fault_record));
		break;
	case WAIT:
		args->wait = some_wait(fuzzer);
		break;
	case GEM_CLOSE:
		args->close.handle = GIVE_UP(fuzzer, fuzzer->bos);
		break;
	case PRIME_EXPORT:
		args->prime.handle = PICK(fuzzer, fuzzer->bos);
		args->prime.flags = DRM_CLOEXEC | DRM_RDWR;
		break;
	case PRIME_IMPORT:
		args->prime.fd = (int)(draw(fuzzer) % 32);
		break;
	default:
		break;
	}
}

/* What a call of this kind made: another one can use it. */
static void keep_result(struct fuzzer *fuzzer, enum kind kind, const union args *args)
{
	if (kind == BO_CREATE)
		KEEP(fuzzer, fuzzer->bos, args->bo_create.handle);
	else if (kind == BO_INFO)
		KEEP(fuzzer, fuzzer->offsets, args->bo_info.mmap_offset);
	else if (kind == VM_CREATE)
		KEEP(fuzzer, fuzzer->vms, args->vm.vm);
	else if (kind == CTX_CREATE) {
		KEEP(fuzzer, fuzzer->ctxs, args->ctx_create.ctx);
		KEEP(fuzzer, fuzzer->offsets, args->ctx_create.doorbell_offset);
		KEEP(fuzzer, fuzzer->offsets, args->ctx_create.status_offset);
	} else if (kind == QUEUE_CREATE)
		KEEP(fuzzer, fuzzer->queues, args->queue_create.queue);
	else if (kind == SYNC_CREATE)
		KEEP(fuzzer, fuzzer->syncs, args->sync_create.handle);
	else if (kind == PRIME_IMPORT)
		KEEP(fuzzer, fuzzer->bos, args->prime.handle);
}

/* One field, one word, or a struct of another size. Never a wait for ever: that is what it would do. */
static unsigned long mutate(struct fuzzer *fuzzer, enum kind kind, union args *args)
{
	unsigned long request = requests[kind];
	unsigned int size = _IOC_SIZE(request);
	int64_t deadline = args->wait.deadline_ns;

	switch (draw(fuzzer) % 8) {
	case 0:
		args->words[draw(fuzzer) % (size / 8 + 1)] = odd_number(fuzzer);
		break;
	case 1:
	case 2:
		*(uint32_t *)(args->bytes + draw(fuzzer) % (size / 4) * 4) = (uint32_t)odd_number(fuzzer);
		break;
	case 3:
		args->bytes[draw(fuzzer) % size] ^= (uint8_t)(1u << draw(fuzzer) % 8);
		break;
	case 4:
		request = _IOC(draw(fuzzer) % 4, _IOC_TYPE(request), _IOC_NR(request), draw(fuzzer) % sizeof(*args));
		break;
	case 5:
		request += 1 << _IOC_SIZESHIFT;
		break;
	default:
		break;
	}
	if (kind == WAIT)
		args->wait.deadline_ns = deadline;
	/* A size by mistake would be taken at its word as well. */
	if (kind == BO_CREATE && args->bo_create.size > 4 << 20 && args->bo_create.size <= 1ull << 40)
		args->bo_create.size = PAGE;
	return request;
}

static void call(struct fuzzer *fuzzer, int fd, enum kind kind)
{
	union args args;
	unsigned long request = requests[kind];
	int err;

	fill_args(fuzzer, kind, &args);
	if (chance(fuzzer, 3))
		request = mutate(fuzzer, kind, &args);
	report->calling[fuzzer->number] = kind + 1;
	alarm(CALL_LIMIT);
	err = guest_ioctl(fd, request, chance(fuzzer, 50) ? (void *)(extra + PAGE - 8) : &args);
	alarm(0);
	report->calling[fuzzer->number] = 0;
	count(kind, !err);
	if (!err)
		keep_result(fuzzer, kind, &args);
	if (!err && kind == PRIME_EXPORT && chance(fuzzer, 2))
		close(args.prime.fd);
	if (!err && kind == PERF_OPEN && !chance(fuzzer, 16))
		close(args.perf.fd);
}

/* ---- mappings ---- */

static void map_something(struct fuzzer *fuzzer, int fd)
{
	static const int shapes[] = {PROT_READ, PROT_WRITE, PROT_READ | PROT_WRITE, PROT_NONE, PROT_EXEC | PROT_READ};
	uint64_t offset = chance(fuzzer, 8) ? odd_number(fuzzer) & ~(PAGE - 1) : PICK(fuzzer, fuzzer->offsets);
	size_t size = chance(fuzzer, 3) ? (1 + draw(fuzzer) % 64) * PAGE : PAGE;
	int rights = PICK(fuzzer, shapes), flags = chance(fuzzer, 6) ? MAP_PRIVATE : MAP_SHARED;
	uint64_t *at = mmap(NULL, size, rights, flags, fd, (off_t)offset), value = 0;

	count(MMAP, at != MAP_FAILED);
	if (at == MAP_FAILED)
		return;
	guest_load(&at[draw(fuzzer) % (size / 8)], &value);
	guest_store(&at[draw(fuzzer) % (size / 8)], draw(fuzzer));
	if (chance(fuzzer, 4))
		mprotect(at, size, PICK(fuzzer, shapes));
	if (chance(fuzzer, 4))
		guest_store(&at[draw(fuzzer) % (size / 8)], draw(fuzzer));
	/* Some stay, and go with the process. */
	if (!chance(fuzzer, 32))
		munmap(at, size);
}

/* ---- rings ---- */

static void garbage_packets(struct fuzzer *fuzzer)
{
	struct guest *guest = &fuzzer->guest;
	unsigned int packets = 1 + (unsigned int)(draw(fuzzer) % 16);
	struct guest_program program;

	for (unsigned int i = 0; i < packets; i++) {
		uint64_t at = GUEST_SCRATCH + draw(fuzzer) % 4096 * 8;
		union axl_packet *packet = &guest->ring[guest->head & (guest->slots - 1)];

		switch (draw(fuzzer) % 7) {
		case 0:
			guest_fill(guest, at, 0, draw(fuzzer) % 4096 * 4);
			break;
		case 1:
			guest_copy(guest, at, GUEST_SOURCE, draw(fuzzer) % 4096);
			break;
		case 2:
			guest_signal(guest, at, 1);
			break;
		case 3:
			guest_program_copy(&program, GUEST_MIDDLE, GUEST_SOURCE, 1024);
			if (chance(fuzzer, 2))
				program.bytes[draw(fuzzer) % program.size] ^= (uint8_t)draw(fuzzer);
			guest_run(guest, &program, (uint32_t)(draw(fuzzer) % 8) * 4096);
			break;
		case 4:
			guest_program_endless(&program);
			guest_run(guest, &program, (uint32_t)(draw(fuzzer) % 8) * 4096);
			break;
		default:
			guest_timestamp(guest, at);
			break;
		}
		if (chance(fuzzer, 4))
			((uint32_t *)packet)[draw(fuzzer) % 16] = (uint32_t)odd_number(fuzzer);
	}
	/* Not guest_submit(): the status page it reads can go at any moment. */
	__atomic_store_n(&guest->index->write, guest->head, __ATOMIC_SEQ_CST);
	guest_store(&guest->doorbells[guest->slot], guest->head);
}

/* The file's own queue may be destroyed, faulted or full: its memory is here whatever happened to it. */
static void use_ring(struct fuzzer *fuzzer)
{
	struct guest *guest = &fuzzer->guest;
	uint64_t retired;

	if (chance(fuzzer, 20)) {
		guest->index->write = odd_number(fuzzer);
		guest_store(&guest->doorbells[draw(fuzzer) % 512], 0);
	} else {
		garbage_packets(fuzzer);
	}
	if (chance(fuzzer, 4) && !guest_load((const uint64_t *)&guest_status(guest)->retired, &retired)) {
		guest->head = retired;
		guest->index->write = guest->head;
		guest_reset(guest);
	}
}

/* ---- threads and processes ---- */

/* Pages, and one behind them that may not be touched. */
static uint8_t *page_edge(size_t count)
{
	uint8_t *pages = mmap(NULL, (count + 1) * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED || mprotect(pages + count * PAGE, PAGE, PROT_NONE))
		exit(5);
	return pages;
}

/* A second thread: maps, closes and resets what the first one uses. Signals of accesses land in their own thread. */
static void *disturb(void *arg)
{
	struct fuzzer *fuzzer = arg, own = *fuzzer;

	extra = page_edge(1);
	own.state ^= 0x5555555555555555ull;
	while (!fuzzer->stop) {
		static const enum kind kinds[] = {QUEUE_RESET, SUBMIT,      FENCE_EXPORT, GEM_CLOSE, VM_BIND,
						  CTX_CREATE,  CTX_DESTROY, WAIT,         BO_INFO};
		union args args;
		enum kind kind = PICK(&own, kinds);
		int fd;

		memcpy(own.bos, fuzzer->bos, sizeof(own.bos));
		memcpy(own.vms, fuzzer->vms, sizeof(own.vms));
		memcpy(own.ctxs, fuzzer->ctxs, sizeof(own.ctxs));
		memcpy(own.queues, fuzzer->queues, sizeof(own.queues));
		memcpy(own.syncs, fuzzer->syncs, sizeof(own.syncs));
		memcpy(own.offsets, fuzzer->offsets, sizeof(own.offsets));
		map_something(&own, fuzzer->guest.fd);
		fill_args(&own, kind, &args);
		count(kind, !guest_ioctl(fuzzer->guest.fd, requests[kind], &args));
		fd = chance(&own, 8) ? guest_open() : -1;
		if (fd >= 0) {
			count(OPEN, true);
			fill_args(&own, CTX_CREATE, &args);
			count(CTX_CREATE, !guest_ioctl(fd, requests[CTX_CREATE], &args));
			close(fd);
		}
	}
	return NULL;
}

static void learn(struct fuzzer *fuzzer)
{
	const struct guest *guest = &fuzzer->guest;
	const uint32_t bos[] = {guest->ring_bo.handle, guest->index_bo.handle, guest->code_bo.handle,
				guest->data_bo.handle};

	for (int i = 0; i < 16; i++) {
		fuzzer->bos[i] = bos[i % 4];
		fuzzer->offsets[i] = i % 3 == 0   ? guest->doorbell_offset
				     : i % 3 == 1 ? guest->status_offset
						  : guest->data_bo.offset;
	}
	fuzzer->queues[0] = guest->queue;
	fuzzer->ctxs[0] = guest->ctx;
	fuzzer->vms[0] = guest->vm;
}

/* One life: a file, some hundred calls, and an end of one kind or another. */
static int live(struct fuzzer *fuzzer, int64_t deadline)
{
	const struct guest_options options = {.watchdog = 16, .flags = draw(fuzzer) % 2 ? AXL_QUEUE_BOUNDED : 0};
	unsigned int calls = 200 + (unsigned int)(draw(fuzzer) % 800);
	pthread_t thread;
	int err = guest_create(&fuzzer->guest, &options);

	/* All contexts can be taken at this moment. */
	if (err)
		return err == -ENOSPC || err == -ENOMEM ? 0 : 6;
	learn(fuzzer);
	fuzzer->stop = false;
	if (pthread_create(&thread, NULL, disturb, fuzzer))
		return 7;
	for (unsigned int i = 0; i < calls && guest_now() < deadline; i++) {
		unsigned int what = (unsigned int)(draw(fuzzer) % (MMAP + 8));

		if (what < MMAP)
			call(fuzzer, fuzzer->guest.fd, (enum kind)what);
		else if (what < MMAP + 5)
			use_ring(fuzzer);
		else
			map_something(fuzzer, fuzzer->guest.fd);
	}
	/* The process may end here, with everything in use. */
	if (chance(fuzzer, 2))
		_exit(0);
	fuzzer->stop = true;
	pthread_join(thread, NULL);
	close(fuzzer->guest.fd);
	return 0;
}

static int be_fuzzer(uint64_t seed, unsigned int number, int64_t deadline)
{
	struct sigaction action = {.sa_handler = too_long};
	struct fuzzer *fuzzer = calloc(1, sizeof(*fuzzer));

	if (!fuzzer)
		return 8;
	fuzzer->state = seed;
	fuzzer->number = number;
	extra = page_edge(1);
	fuzzer->memory = page_edge(USER_PAGES);
	sigaction(SIGALRM, &action, NULL);
	return live(fuzzer, deadline);
}

/* ---- the parent ---- */

struct options {
	int seconds;
	unsigned long seed;
	unsigned int processes;
};

static bool parse(int argc, char **argv, struct options *options)
{
	*options = (struct options){.seconds = 10, .seed = 1, .processes = 3};
	for (int i = 1; i < argc; i += 2) {
		if (i + 1 == argc)
			return false;
		if (!strcmp(argv[i], "--seconds"))
			options->seconds = atoi(argv[i + 1]);
		else if (!strcmp(argv[i], "--seed"))
			options->seed = strtoul(argv[i + 1], NULL, 0);
		else if (!strcmp(argv[i], "--processes"))
			options->processes = (unsigned int)atoi(argv[i + 1]);
		else
			return false;
	}
	return options->seconds > 0 && options->processes > 0 && options->processes <= MAX_PROCESSES;
}

/* Lives one after another until the time is over. 0, or what a life ended with. */
static int keep_busy(unsigned int number, uint64_t seed, int64_t deadline)
{
	for (uint64_t life = 0; guest_now() < deadline; life++) {
		uint64_t own = seed * 1000003 + number * 10007 + life;
		int pid = fork(), status;

		if (!pid)
			_exit(be_fuzzer(own, number, deadline));
		/* Some are killed wherever they are. */
		if (own % 5 == 0) {
			guest_sleep((int64_t)(own % 97) * MILLISECOND);
			kill(pid, SIGKILL);
		}
		/* It ends by itself at the deadline, if none of its calls takes too long. */
		status = guest_reap(pid, deadline - guest_now() + 2 * CALL_LIMIT * SECOND);
		if (status && !(status == -EINTR && own % 5 == 0)) {
			int kind = report->calling[number];

			fprintf(stderr, "process %u, life %llu: %d%s%s\n", number, (unsigned long long)life, status,
				kind ? ", in " : "", kind ? names[kind - 1] : "");
			return 1;
		}
	}
	return 0;
}

static void print_report(void)
{
	unsigned long made = 0, succeeded = 0;

	for (int k = 0; k < NUM_KINDS; k++) {
		printf("%-13s %9lu calls, %9lu succeeded\n", names[k], report->made[k], report->succeeded[k]);
		made += report->made[k];
		succeeded += report->succeeded[k];
	}
	printf("%-13s %9lu calls, %9lu succeeded\n", "all", made, succeeded);
}

/* What the device is like afterwards. */
static int afterwards(unsigned long taint, unsigned int contexts)
{
	unsigned int room = guest_context_room();
	struct guest guest;
	int err = guest_create(&guest, NULL);

	for (uint32_t i = 0; i < 20 && !err; i++)
		err = guest_job(&guest, i);
	if (err)
		fprintf(stderr, "the job at the end: %s\n", strerror(-err));
	if (room != contexts)
		fprintf(stderr, "room for %u contexts, before it was %u\n", room, contexts);
	if (guest_taint() & ~taint)
		fprintf(stderr, "the kernel warned\n");
	return err || room != contexts || guest_taint() & ~taint;
}

int main(int argc, char **argv)
{
	unsigned long taint = guest_taint();
	struct options options;
	int failed = 0;
	int64_t deadline;
	unsigned int contexts;
	int pids[MAX_PROCESSES];

	if (!parse(argc, argv, &options)) {
		fprintf(stderr, "usage: fuzz_ioctl [--seconds N] [--seed S] [--processes P]\n");
		return 2;
	}
	report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (report == MAP_FAILED)
		return 2;
	contexts = guest_context_room();
	deadline = guest_in(options.seconds * SECOND);
	for (unsigned int p = 0; p < options.processes; p++) {
		pids[p] = fork();
		if (!pids[p])
			_exit(keep_busy(p, options.seed, deadline));
	}
	for (unsigned int p = 0; p < options.processes; p++)
		failed |= guest_reap(pids[p], (options.seconds + 3 * CALL_LIMIT) * SECOND);
	print_report();
	failed |= afterwards(taint, contexts);
	printf("fuzz_ioctl --seconds %d --seed %lu --processes %u: %s\n", options.seconds, options.seed,
	       options.processes, failed ? "FAILED" : "ok");
	return failed ? 1 : 0;
}
