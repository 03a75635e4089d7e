/* SPDX-License-Identifier: MIT */
/*
 * State of the device, shared by its front (device.c), commands (command.c), queues (queue.c), packets (packet.c) and
 * fault reporting (fault.c).
 *
 * Threads: @lock guards the registers, which any thread reads and writes. Queues, contexts, MMU and engine belong to
 * the device's thread alone. Other threads reach it by setting bits of @attention and waking it.
 */
#ifndef SIM_CORE_DEVICE_INTERNAL_H
#define SIM_CORE_DEVICE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "sim/core/device.h"
#include "sim/core/mmu.h"

/* What a register write or doorbell wants of the device's thread. */
enum attention {
	ATTENTION_COMMAND = 1,
	ATTENTION_RESET = 2,
	ATTENTION_DOORBELL = 4,
	ATTENTION_CONTROL = 8,
	ATTENTION_QUIT = 16,
	ATTENTION_REVOKE = 32,
	ATTENTION_REFRESH = 64,
	ATTENTION_PAUSE = 128,
};

/* What has been asked of the execution that the engine runs. */
enum verdict { VERDICT_NONE = 0, VERDICT_SUSPEND, VERDICT_DROP /* its queue was reset */, VERDICT_TILE_RESET };

/*
 * A command buffer that runs or is suspended.
 * @code: private copy, as is the trace in @job; @state: NULL while it runs or before it started; @charged: cycles that
 * are accounted already; @hung: DEVICE_SITE_PIPE, the engine does not run it
 */
struct execution {
	struct engine_job job;
	struct engine_state *state;
	struct axl_exec_stats stats;
	struct mmu_context memory;
	uint8_t *code;
	uint64_t charged;
	bool hung;
};

/*
 * @status:  entry of the context's status page, written with atomic stores
 * @desc:    private copy of the descriptor
 * @read:    packets copied; the one in @packet is number read - 1 while @busy
 * @written: last write index seen and checked
 * @busy:    @packet was copied and has not retired
 * @moved, @spent: COPY, FILL: bytes done and cycles that they took
 * @stopping: QUEUE_STOP came while its command buffer ran
 * @interrupt: a packet that asked for one has retired
 * @hung: the packet in hand never ends (DEVICE_SITE_PACKET)
 * @excess: what the status page's retired index says too much (DEVICE_SITE_RETIRE)
 */
struct queue {
	struct axl_queue_desc desc;
	struct axl_queue_status *status;
	enum axl_queue_state state;
	uint64_t read, written, retired;
	union axl_packet packet;
	bool busy, stopping, interrupt, hung;
	uint64_t excess;
	uint64_t moved, spent;
	uint64_t cycles; /* busy_cycles */
	uint64_t slice;  /* cycles used since its turn began */
	uint64_t turn;   /* when it last began to run: least recent goes first */
	struct execution *execution;
};

struct context {
	bool valid;
	uint8_t *status; /* the status page, and its bus address */
	uint64_t status_address;
	struct mmu_context memory;
};

struct device {
	struct device_config config;
	const struct device_host_ops *ops;
	void *opaque;
	struct engine *engine;
	uint8_t *local;
	pthread_t thread;
	bool has_thread;

	pthread_mutex_t lock;
	pthread_cond_t wake; /* with @lock: attention changed */
	atomic_uint attention;

	/* Registers, under @lock. */
	uint32_t control, ready, command, command_busy, command_result;
	uint64_t context_table, queue_table, fault_ring, command_arg;
	uint32_t fault_size, fault_write, fault_read, fault_dropped;
	uint32_t irq_pending, irq_mask, irq_cause;
	uint64_t irq_contexts;

	/* Counters: written by the device's thread, read by any. */
	_Atomic uint64_t cycles, packets, doorbells, faults, tlb_misses, busy, dram_bytes, host_bytes;
	_Atomic uint64_t pipes[AXL_NUM_PIPES]; /* busy, over all tiles */
	atomic_bool idle;
	atomic_bool pause, parked;                /* @pause is asked for, @parked: nothing moves */
	atomic_uint revokes_wanted, revokes_done; /* wanted: under @lock */

	/* The device's thread only. */
	struct mmu mmu;
	struct context contexts[AXL_MAX_CONTEXTS];
	struct queue queues[DEVICE_NUM_QUEUES];
	unsigned int num_live; /* queues below this number may be in use */
	struct queue *running; /* whose execution the engine runs */
	enum verdict verdict;
	uint64_t ready_at;         /* a reset that is slow: when it ends, ns; ~0: never; 0: none */
	uint64_t answer_at;        /* a command that is carried out: when it says so, ns; 0: none */
	uint32_t answer;           /* its result */
	unsigned int tile_context; /* whose data lies in the tiles; AXL_MAX_CONTEXTS: nobody's */
	uint64_t turns;
	unsigned int checks;
	/* On the host's clock: when @paced_cycles of @cycles were over. */
	uint64_t paced_ns, paced_cycles;
};

/* ---- device.c ---- */
void device_reset(struct device *device); /* CONTROL.RESET, on the device's thread */
/* Serve commands and resets that arrived. */
void device_attend(struct device *device);
void device_interrupt(struct device *device, unsigned int vector, uint32_t cause, uint64_t contexts);
/* Attention has changed; the lock is held. */
void device_wake(struct device *device);
/* While a pause is asked for: nothing moves until it is over, or there is something that can not wait. */
void device_park(struct device *device);
/*
 * Devices on the host's clock: until the clock has come to what was computed so far. Commands are served meanwhile: any
 * queue may be another one when it returns. Before anything that says that work has ended.
 */
void device_pace(struct device *device);
/* Out of reset, and CONTROL.ENABLE: queues may be looked at. */
bool device_enabled(struct device *device);

static inline bool device_fault(struct device *device, enum device_fault_site site, unsigned int queue, uint64_t *value)
{
	return device->ops->fault && device->ops->fault(device->opaque, site, queue, value);
}

static inline bool device_is_clocked(const struct device *device)
{
	return device->ops->sleep;
}

/* ---- command.c ---- */
enum axl_command_result device_command(struct device *device, enum axl_command command, uint64_t arg);

/* ---- queue.c: one queue's ring and status ---- */
/* Let every queue retire what needs no tile. True: something moved. */
bool queue_front_pass(struct device *device);
/*
 * Before sleep: publish at which index a doorbell is wanted. True: packets came in meanwhile, do not sleep. The
 * disarming counterpart says that the device is awake and wants none.
 */
bool queue_arm_events(struct device *device);
void queue_disarm_events(struct device *device);
/* A WAIT packet is at the head of some queue: memory has to be looked at again. */
bool queue_waits_for_memory(const struct device *device);
/* No queue has a packet in hand. */
bool queue_all_idle(const struct device *device);
/* New state, published, with the context's interrupt. */
void queue_set_state(struct device *device, struct queue *queue, enum axl_queue_state state);
/* Retire the packet in hand; told to the host by queue_publish(). */
void queue_retire(struct device *device, struct queue *queue);
/* Indices and cycles to status and index page; interrupts that are due. */
void queue_publish(struct device *device, struct queue *queue);
/* Free what it holds; nothing is published. */
void queue_abandon(struct queue *queue);
void queue_interrupt(struct device *device, const struct queue *queue);
/* Device cycles spent for a queue. */
void queue_spend(struct device *device, struct queue *queue, uint64_t cycles);

/* ---- schedule.c: whose command buffer the tiles run ---- */
/* Run or resume the one whose turn it is. False: none waits. */
bool schedule_execute(struct device *device);
/* Cycles of the command buffer that runs which are not accounted yet. */
uint64_t schedule_uncharged(const struct device *device);
void schedule_free(struct execution *execution);

/* ---- packet.c: what packets do ---- */
enum packet_result { PACKET_DONE, PACKET_AGAIN /* more of the same */, PACKET_BLOCKED, PACKET_TILES, PACKET_FAULT };
/* 0, or -EFAULT with the cause in *fault: the packet in hand is malformed. */
int packet_check(const struct queue *queue, struct engine_fault *fault);
enum packet_result packet_run(struct device *device, struct queue *queue, struct engine_fault *fault);

/* ---- fault.c ---- */
/* Stop @queue with a fault record. */
void fault_report(struct device *device, struct queue *queue, const struct engine_fault *fault);

#endif
