/* SPDX-License-Identifier: MIT */
/*
 * What tests inside a guest begin with: a file of the driver with an address space, a context and a queue, by the raw
 * ioctls. No libaccel, so that everything can be misused; nothing here asserts, so that forked children can use it as
 * well. Calls return 0 or a negative errno if they say nothing else.
 */
#ifndef TESTS_GUEST_GUEST_H
#define TESTS_GUEST_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <axl/axl_isa.h>
#include <axl/axl_queue.h>
#include <axl/axl_regs.h>
#include <drm/axl_accel.h>

#define SECOND 1000000000ll
#define MILLISECOND 1000000ll

/* Where things are in every address space that guest_create() makes. What nobody maps is GUEST_NOWHERE. */
#define GUEST_RING 0x100000ull
#define GUEST_INDEX 0x300000ull
#define GUEST_CODE 0x310000ull
#define GUEST_DATA 0x400000ull
#define GUEST_NOWHERE 0x7000000000ull
#define GUEST_KERNEL 0x10000000000ull /* the driver's range */
#define GUEST_CODE_BYTES 0x10000u
#define GUEST_DATA_BYTES 0x40000u

/* In the data: what guest_job() uses, and where tests may write. */
#define GUEST_SOURCE (GUEST_DATA + 0x0000)
#define GUEST_MIDDLE (GUEST_DATA + 0x1000)
#define GUEST_RESULT (GUEST_DATA + 0x2000)
#define GUEST_FENCE (GUEST_DATA + 0x3000)
#define GUEST_SCRATCH (GUEST_DATA + 0x8000)
#define GUEST_JOB_BYTES 1024u

/**
 * struct guest_bo - a buffer and its mapping
 * @handle: GEM handle, 0: none
 * @data: NULL when it is not mapped
 */
struct guest_bo {
	uint32_t handle;
	uint64_t size;
	uint64_t offset;
	void *data;
};

/* Fields of struct drm_axl_queue_create; zero: 64 slots, and the driver's defaults. */
struct guest_options {
	uint32_t slots, priority, flags, timeslice, watchdog;
};

/**
 * struct guest - a file with one queue
 * @owned: the file goes with it
 * @head: packets produced
 * @rings: doorbells that guest_submit() rang
 * @always_ring: it rings whatever the device asked for
 */
struct guest {
	int fd;
	bool owned, always_ring;
	uint32_t vm, ctx, queue, slot, slots;
	uint64_t doorbell_offset, status_offset;
	const struct axl_status_page *status;
	uint64_t *doorbells;
	struct guest_bo ring_bo, index_bo, code_bo, data_bo;
	union axl_packet *ring;
	struct axl_queue_index *index;
	uint64_t head;
	uint64_t rings;
};

/* ---- files and objects ---- */

/* A new file of the node AXL_NODE, or /dev/accel/accel0. */
int guest_open(void);
/* Interrupted calls are begun again. */
int guest_ioctl(int fd, unsigned long request, void *args);

/* guest_create() opens a file; guest_create_on() uses one that stays the caller's. @options may be NULL. */
int guest_create(struct guest *guest, const struct guest_options *options);
int guest_create_on(struct guest *guest, int fd, const struct guest_options *options);
/* Every object, in order. The first error, after which it went on. */
int guest_destroy(struct guest *guest);

int guest_bo_create(int fd, uint64_t size, uint32_t flags, struct guest_bo *bo);
/* The same, and mapped. */
int guest_bo_map(int fd, uint64_t size, uint32_t flags, struct guest_bo *bo);
int guest_bo_destroy(int fd, struct guest_bo *bo);

/* A dma-buf that is no driver's: @size bytes of this process' memory at *data (udmabuf). Its descriptor. */
int guest_foreign(uint64_t size, void **data);
/* The handle of a dma-buf. */
int guest_import(int fd, int dmabuf);

int guest_bind(struct guest *guest, uint32_t handle, uint64_t va, uint64_t size, uint32_t rights);
int guest_unbind(struct guest *guest, uint64_t va, uint64_t size);

/* A queue with ring and index where guest_create() has them; the handle, or a negative errno. */
int guest_queue_create(struct guest *guest, const struct guest_options *options, uint32_t *slot);
int guest_queue_op(struct guest *guest, unsigned long request, uint32_t queue);

/* ---- packets ---- */

/* The next slot, zeroed. Nobody looks whether there is room. */
union axl_packet *guest_next(struct guest *guest);
void guest_nop(struct guest *guest);
void guest_fill(struct guest *guest, uint64_t dst, uint32_t pattern, uint64_t size);
void guest_copy(struct guest *guest, uint64_t dst, uint64_t src, uint64_t size);
void guest_signal(struct guest *guest, uint64_t address, uint64_t value);
void guest_await(struct guest *guest, uint64_t address, uint64_t value);
void guest_timestamp(struct guest *guest, uint64_t address);
void guest_execute(struct guest *guest, uint64_t cmdbuf, uint32_t size);

/* Publish what was written, ring if the device sleeps; the index to wait for. */
uint64_t guest_submit(struct guest *guest);
void guest_ring(struct guest *guest);
const struct axl_queue_status *guest_status(const struct guest *guest);

/* Until the index retired (0), the queue faulted (-EIO) or @ns passed (-ETIME), without the kernel. */
int guest_poll(struct guest *guest, uint64_t index, int64_t ns);
/* The same by the WAIT ioctl: the entry's result, or what the call refused. */
int guest_wait(struct guest *guest, uint64_t index, int64_t ns);
/* 1 with a record, 0 without. */
int guest_fault(struct guest *guest, struct axl_fault_record *record);
int guest_reset(struct guest *guest);

/* Where the CPU sees an address of the data. */
void *guest_at(struct guest *guest, uint64_t va);

/*
 * A job with every step checked: copies through a command buffer and a packet, a fill, a fence. 0 when each byte is
 * right; else a negative errno, -EBADMSG for wrong bytes.
 */
int guest_job(struct guest *guest, uint32_t seed);

/* A process that runs one job after another, beside whatever is done to others: @jobs were right so far. */
struct guest_stream {
	volatile int stop;
	volatile unsigned long jobs;
	int pid;
};

/* NULL: it could not be started. */
struct guest_stream *guest_stream_start(void);
/* 0: all of its jobs were right, and its queue lost no packet. */
int guest_stream_end(struct guest_stream *stream);

/* ---- command buffers ---- */

struct guest_program {
	uint32_t size;
	uint8_t bytes[4096];
};

void guest_program_begin(struct guest_program *program);
union axl_insn *guest_program_add(struct guest_program *program, enum axl_opcode opcode, enum axl_pipe pipe,
				  unsigned int slots);
/* @bytes between scratchpad and memory, by @pipe: LOAD, WEIGHT or STORE. */
union axl_insn *guest_program_move(struct guest_program *program, enum axl_pipe pipe, uint64_t va, uint32_t spad,
				   uint32_t bytes);
/* END, and the header. */
void guest_program_end(struct guest_program *program);
/* A whole one: copies through the scratchpad; runs for ever; works for about @rounds times 1024 cycles, with a YIELD in
 * every round; one access that may fault. */
void guest_program_copy(struct guest_program *program, uint64_t dst, uint64_t src, uint32_t bytes);
void guest_program_endless(struct guest_program *program);
void guest_program_work(struct guest_program *program, uint32_t rounds);
void guest_program_access(struct guest_program *program, enum axl_pipe pipe, uint64_t va);
/* Into the code at @offset, and an EXECUTE of it. */
void guest_run(struct guest *guest, const struct guest_program *program, uint32_t offset);

/* ---- the machine ---- */

int64_t guest_now(void);
int64_t guest_in(int64_t ns);
void guest_sleep(int64_t ns);
/* The signal that an access raised, or 0. For mappings that may be gone. */
int guest_load(const volatile uint64_t *at, uint64_t *value);
int guest_store(volatile uint64_t *at, uint64_t value);
/* Bits of the kernel's taint that a warning or an oops sets. */
unsigned long guest_taint(void);
/* How many buffers of @size of local memory there are room for. */
unsigned int guest_local_room(uint64_t size);
/* How many more contexts there are room for. */
unsigned int guest_context_room(void);
int guest_counters(int fd, struct drm_axl_counters *counters);
/* The first line of a file of sysfs, or ""; writing one: 0 or a negative errno. */
void guest_read_text(const char *path, char *text, size_t size);
int guest_write_text(const char *path, const char *text);
/* The number of the environment's variable, else @otherwise. */
long guest_setting(const char *name, long otherwise);
#define GUEST_DRIVER "/sys/bus/pci/drivers/axl"
/* The address on the bus of the first device that the driver has; false: none. */
bool guest_find_device(char address[64]);
/* A command of the machine's monitor (tests/vm/guest/qmp): a property of the device @id. @value is JSON. */
int guest_machine_set(const char *id, const char *property, const char *value);
/* The child's exit status; -ETIME when it does not end in time, then it is killed; -EINTR when a signal ended it. */
int guest_reap(int pid, int64_t ns);

#endif
