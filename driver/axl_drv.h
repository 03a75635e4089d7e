/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Objects of the driver: device -> VM -> context -> queue. Each of the last three is counted: a
 * handle of the file holds one reference, a context one on its VM, a queue one on its context, and
 * whoever works with one outside the locks holds one more.
 *
 * Locks, outermost first:
 *	axl_device.objects	who exists: handles, hardware numbers, the files' tables
 *	axl_device.vms_lock	the list of VMs
 *	axl_vm.lock		an address space: its mappings and page tables
 *	axl_device.bo_lock	the list of buffers
 *	(mmap_lock, reservation locks)
 *	axl_device.map_lock	pages of the device that programs have mapped: whether there are any,
 *				whose doorbell and status pages they are
 *	axl_device.command_lock	the mailbox and the tables that its commands read; nothing is
 *				allocated under it
 *	axl_device.irq_lock	hardware number -> context, for the interrupt handler
 *	axl_queue.lock		fences of a queue, its notify word
 *	axl_vm.bind_lock	binds that wait for fences
 *	axl_dump.lock		whose fault is being dumped
 * From an interrupt to the signalling of a fence nothing but the last five is taken, and nothing
 * is allocated.
 */
#ifndef AXL_DRV_H
#define AXL_DRV_H

#include <linux/dma-fence.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <drm/drm_device.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem_shmem_helper.h>
#include <drm/drm_gpuvm.h>
#include <drm/drm_mm.h>
#include <drm/drm_print.h>
#include <drm/gpu_scheduler.h>

#include <axl/axl_dump.h>
#include <axl/axl_queue.h>
#include <axl/axl_regs.h>
#include <drm/axl_accel.h>

#include "axl_compat.h"
#include "axl_mmu.h"

#define AXL_MAX_QUEUES 256
#define AXL_MAX_HANDLES 1024 /* of each kind, in a file */
#define AXL_FILE_SHARE                                                                             \
	4 /* a file has one in so many of all there is at most, unless privileged */
#define AXL_FAULT_RECORDS 64
#define AXL_DEFAULT_WATCHDOG 4000000 /* units of 1024 cycles: four seconds at 1 GHz */
#define AXL_SUBMIT_SLOTS 64
#define AXL_SUBMIT_WATCHDOG 1000000 /* one second at 1 GHz */
#define AXL_JOB_TIMEOUT_MS 10000 /* beyond the watchdogs, which come first */
#define AXL_POLL (HZ / 20) /* how long anybody sleeps before he looks: interrupts get lost */
#define AXL_MAX_SYNCS 64   /* of a call, each way */
#define AXL_DROPS 64	   /* resets of a queue whose dropped packets are remembered */

struct axl_dump;
struct axl_user_pages;
struct axl_submit_queue;
struct eventfd_ctx;

/**
 * struct axl_vm - an address space
 * @link: axl_device.vms
 * @lock: protects base's mappings, making of tables, writes of @contexts and @ending
 * @contexts: a bit for each hardware context that is attached to it
 * @ending: nothing is bound any more: what those that waited ended with
 * @binds, @ended: struct axl_bind that wait, in their order, and that are to be freed; under
 *	@bind_lock
 */
struct axl_vm {
	struct drm_gpuvm base;
	struct list_head link;
	struct axl_device *axl;
	struct kref ref;
	struct mutex lock; /* see above */
	struct axl_mmu mmu;
	u64 contexts;
	int ending;
	spinlock_t bind_lock; /* see above */
	struct list_head binds;
	struct list_head ended;
	struct work_struct bind_work;
	struct work_struct ended_work;
	wait_queue_head_t bind_idle; /* no bind waits any more */
	u64 bind_context;	     /* of their fences */
	u64 bind_seqno;
};

/**
 * struct axl_mapping - what one operation has mapped
 * @user: of memory of a process; else base.gem
 * @sgt: of either, NULL: in local memory
 * @bound: the tables have it
 * @pins: queues whose ring or index page lie in it
 * @bits: AXL_PTE_* of its rights
 */
struct axl_mapping {
	struct drm_gpuva base;
	struct axl_user_pages *user;
	struct sg_table *sgt;
	bool bound;
	struct list_head lost; /* axl_device.lost_mappings */
	unsigned int pins;
	u64 bits;
};

/**
 * struct axl_ctx - a hardware context
 * @number: of the hardware; the doorbell page's too
 * @handle: in the file
 * @id: of this context alone, never given twice
 * @queues: by slot, under axl_device.irq_lock
 * @submit: the kernel's own queue, or NULL
 */
struct axl_ctx {
	struct kref ref;
	struct axl_device *axl;
	struct axl_vm *vm;
	struct axl_file *file;
	unsigned int number;
	u32 handle;
	struct list_head lost; /* axl_device.lost_ctxs; under objects */
	unsigned long id;
	struct page *status_page;
	struct axl_status_page *status;
	dma_addr_t status_dma;
	struct axl_queue *queues[AXL_QUEUES_PER_CONTEXT];
	struct axl_submit_queue *submit;
};

/**
 * struct axl_queue - a hardware queue
 * @number: of the hardware
 * @slot: in the context
 * @desc: as it was started
 * @on: the number is its own; under command_lock
 * @kernel: the driver's own (SUBMIT): its faults are the scheduler's affair
 * @dead: destroyed, or the device is gone: no status will change any more
 * @lock: protects @fences, @reported, @dropped and the writes of status->notify
 * @fences: struct axl_fence, pending
 * @reported: the fault it stands in has been told
 * @dropped, @num_dropped: what status->dropped was after each of the last resets, a ring
 * @fence_context, @fence_seqno: of its dma_fences
 */
struct axl_queue {
	struct kref ref;
	struct axl_ctx *ctx;
	struct axl_queue_status *status;
	struct axl_queue_desc desc;
	unsigned int number;
	unsigned int slot;
	u32 handle;
	bool on;
	bool kernel;
	bool dead;
	spinlock_t lock; /* see above */
	struct list_head fences;
	bool reported;
	u64 dropped[AXL_DROPS];
	unsigned int num_dropped;
	u64 fence_context;
	atomic64_t fence_seqno;
};

/* It signals when status.retired has come to @until; packets after @after are its own. */
struct axl_fence {
	struct dma_fence base;
	spinlock_t lock; /* of @base: it may outlive its queue */
	struct list_head link;
	u64 after;
	u64 until;
	unsigned long deadline; /* jiffies, when the driver steps in; 0: the scheduler's affair */
};

/* @dummy: what doorbell, status and local memory mappings show when what they were of is gone */
struct axl_file {
	struct list_head link; /* axl_device.files */
	struct axl_device *axl;
	struct drm_file *drm;
	struct page *dummy;
	struct xarray vms;
	struct xarray ctxs;
	struct xarray queues;
	unsigned int num_ctxs; /* under objects, as are the next two */
	unsigned int num_queues;
	u64 busy_cycles;       /* of queues that are gone */
	u64 local_bytes;       /* under local_lock */
	spinlock_t event_lock; /* protects events, eventfd */
	u32 events;
	struct eventfd_ctx *eventfd;
	struct list_head stores; /* FENCE_IMPORT; under store_lock */
};

/**
 * struct axl_bo - a buffer
 * @link: axl_device.bos
 * @node: where it is in local memory, if @local
 * @file: whose share of local memory it is of, until that is closed; under local_lock
 */
struct axl_bo {
	struct drm_gem_shmem_object base;
	struct list_head link;
	struct drm_mm_node node;
	struct axl_file *file;
	bool local;
};

/* A fence that knows all that it may be asked for, whatever is gone. @cb: of what it follows. */
struct axl_done {
	struct dma_fence base;
	spinlock_t lock; /* of @base */
	const char *timeline;
	struct dma_fence_cb cb;
};

/* What an interrupt handler gets. */
struct axl_vector {
	struct axl_device *axl;
	unsigned int number;
};

/* One reading of all that a device counts; @pipes is zero without AXL_FEATURE_PIPE_COUNTERS. */
struct axl_counters {
	struct drm_axl_counters device;
	struct drm_axl_pipe_counters pipes;
};

struct axl_device {
	struct drm_device drm;
	struct pci_dev *pdev;
	void __iomem *regs;
	void __iomem *doorbells_map;
	phys_addr_t doorbells;
	phys_addr_t local;
	u64 local_bytes; /* as many as there are and BAR4 shows */
	struct drm_axl_dev_info info;

	struct mutex objects; /* who exists: see the top */
	struct list_head files;
	struct mutex vms_lock; /* protects vms */
	struct list_head vms;
	struct mutex bo_lock; /* protects bos, lost_mappings */
	struct list_head bos;
	/* What a wedged device may still reach, kept until it goes. */
	struct list_head lost_mappings;
	struct list_head lost_ctxs;
	struct mutex map_lock;	 /* whose pages are mapped: axl_mmap.c */
	bool stopped;		 /* under map_lock: nothing of the device is mapped now */
	struct mutex local_lock; /* protects local_mm and whose it is */
	struct drm_mm local_mm;

	struct mutex command_lock; /* the mailbox and the tables it reads */
	struct axl_context_desc *context_table;
	struct axl_queue_desc *queue_table;
	struct axl_fault_record *fault_ring;
	dma_addr_t context_dma, queue_dma, fault_dma;
	struct dma_pool *tables;
	bool wedged;
	bool gone;   /* wedged, as it reads all ones */
	bool asleep; /* under irq_lock too: its registers are not there */
	struct axl_counters before_reset;
	/* Queues that a reset took from the device, until they are restarted. */
	DECLARE_BITMAP(lost, AXL_MAX_QUEUES);
	/* Queues that were asked to suspend, until they are resumed or reset; under command_lock */
	DECLARE_BITMAP(suspended, AXL_MAX_QUEUES);

	struct axl_vector vectors[AXL_NUM_VECTORS];
	wait_queue_head_t irq; /* an interrupt came, or something ended */
	spinlock_t irq_lock;
	struct axl_ctx *ctxs[AXL_MAX_CONTEXTS];
	unsigned long last_id; /* of a context; under objects */
	u32 fault_read;
	struct axl_fault_record *faults; /* the last of each queue */
	DECLARE_BITMAP(has_fault, AXL_MAX_QUEUES);

	struct workqueue_struct *recovery; /* ordered: timeouts, resets */
	struct delayed_work poll;	   /* while fences are pending: interrupts get lost */
	atomic_t pending_fences;
	struct axl_dump *dump;
	struct workqueue_struct *stores;
	struct workqueue_struct *binds;
	atomic_t pending_binds;	 /* and those that are to be freed */
	struct mutex store_lock; /* protects axl_file.stores */
	atomic64_t resets;
	atomic64_t lost_interrupts; /* found by looking */
};

/* What the device stores after the packet's results: whoever sees it sees them. */
static inline u64 axl_retired(const struct axl_queue_status *status)
{
	return smp_load_acquire(&status->retired); /* pairs with the device's release */
}

/* It answers neither command nor reset, and is there: it may go on writing. */
static inline bool axl_is_loose(struct axl_device *axl)
{
	return READ_ONCE(axl->wedged) && !READ_ONCE(axl->gone) && !drm_dev_is_unplugged(&axl->drm);
}

/* Stored after the error that explains it. */
static inline u32 axl_state(const struct axl_queue_status *status)
{
	return smp_load_acquire(&status->state); /* pairs with the device's release */
}

/* The next queue of the @contexts, a bit each, from place *@at on, which moves; NULL: no more. */
static inline struct axl_queue *axl_next_queue(struct axl_device *axl, u64 contexts,
					       unsigned int *at)
{
	while (*at < AXL_MAX_CONTEXTS * AXL_QUEUES_PER_CONTEXT) {
		unsigned int c = *at / AXL_QUEUES_PER_CONTEXT, s = *at % AXL_QUEUES_PER_CONTEXT;
		struct axl_ctx *ctx = contexts >> c & 1 ? axl->ctxs[c] : NULL;

		*at += ctx ? 1 : AXL_QUEUES_PER_CONTEXT;
		if (ctx && ctx->queues[s])
			return ctx->queues[s];
	}
	return NULL;
}

/* Under irq_lock or objects. */
#define axl_for_each_queue(axl, contexts, queue, at)                                               \
	for (unsigned int at = 0; ((queue) = axl_next_queue(axl, contexts, &(at)));)

static inline struct axl_device *to_axl(struct drm_device *drm)
{
	return container_of(drm, struct axl_device, drm);
}

static inline struct axl_mapping *to_mapping(struct drm_gpuva *va)
{
	return container_of(va, struct axl_mapping, base);
}

static inline struct axl_bo *to_axl_bo(struct drm_gem_object *gem)
{
	return container_of(gem, struct axl_bo, base.base);
}

/* axl_drv.c */
extern unsigned int axl_job_timeout_ms;

/* In jiffies; a queue made before the parameter was written keeps what it had. */
static inline unsigned long axl_job_timeout(void)
{
	return max(msecs_to_jiffies(READ_ONCE(axl_job_timeout_ms)), 1ul);
}

/* axl_hw.c */
u32 axl_read(struct axl_device *axl, enum axl_reg reg);
u64 axl_read64(struct axl_device *axl, enum axl_reg reg);
int axl_context_update(struct axl_device *axl, unsigned int number,
		       const struct axl_context_desc *desc);
int axl_queue_start(struct axl_queue *queue);
int axl_queue_restart(struct axl_queue *queue);
int axl_queue_suspend(struct axl_queue *queue);
int axl_queue_resume(struct axl_queue *queue);
void axl_queue_off(struct axl_queue *queue);
int axl_tlb_invalidate(struct axl_vm *vm);
bool axl_drain_faults(struct axl_device *axl);
int axl_hw_init(struct axl_device *axl);
void axl_hw_fini(struct axl_device *axl);
bool axl_hw_idle(struct axl_device *axl);
void axl_hw_check(struct axl_device *axl);
void axl_hw_suspend(struct axl_device *axl);
void axl_hw_resume(struct axl_device *axl, bool queues);
void axl_read_counters(struct axl_device *axl, struct axl_counters *counters);

/* axl_pm.c */
int axl_enter(struct axl_device *axl, int *idx);
void axl_exit(struct axl_device *axl, int idx);
void axl_awake_get(struct axl_device *axl);
void axl_awake_put(struct axl_device *axl);
void axl_pm_init(struct axl_device *axl);
void axl_pm_fini(struct axl_device *axl);
extern const struct dev_pm_ops axl_pm_ops;
extern const struct pci_error_handlers axl_error_handlers;

/* axl_gem.c */
struct drm_gem_object *axl_gem_create_object(struct drm_device *drm, size_t size);
struct drm_gem_object *axl_gem_import(struct drm_device *drm, struct dma_buf *dma_buf);
void axl_bos_release(struct axl_file *priv);
void __iomem *axl_local_map(struct axl_bo *bo, u64 offset, u64 size);
void axl_bos_abandon(struct axl_device *axl);
void axl_bos_revoke(struct axl_device *axl);
int axl_bo_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int axl_bo_info_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

/* axl_user.c */
struct axl_user_pages *axl_user_pages_get(struct axl_device *axl, u64 address, u64 size,
					  bool write);
void axl_user_pages_put(struct axl_device *axl, struct axl_user_pages *user);
struct sg_table *axl_user_pages_sgt(struct axl_user_pages *user);
struct page *axl_user_pages_at(struct axl_user_pages *user, u64 offset);

/* axl_vm.c */
int axl_vm_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int axl_vm_destroy_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
struct axl_vm *axl_vm_get(struct axl_file *priv, u32 handle);
void axl_vm_put(struct axl_vm *vm);
void axl_vms_abandon(struct axl_device *axl);
int axl_vm_pin(struct axl_vm *vm, u64 va, u64 size, u64 bits);
void axl_vm_unpin(struct axl_vm *vm, u64 va, u64 size);
int axl_vm_map_kernel(struct axl_vm *vm, u64 va, dma_addr_t address, u64 size, u64 bits);
void axl_vm_unmap_kernel(struct axl_vm *vm, u64 va, u64 size);
void axl_vm_describe(struct drm_gpuva *va, struct axl_dump_range *range);
int axl_vm_read_page(struct axl_vm *vm, u64 va, void *to);

/* axl_mapping.c */
bool axl_mapping_is_local(const struct axl_mapping *mapping);
u64 axl_mapping_local_address(const struct axl_mapping *mapping);
struct axl_mapping *axl_mapping_create(struct axl_vm *vm, const struct drm_axl_bind_op *op,
				       struct drm_file *file);
void axl_mapping_free(struct axl_device *axl, struct axl_mapping *mapping);
void axl_mapping_release(struct axl_device *axl, struct axl_mapping *mapping, bool told);
void axl_mappings_abandon(struct axl_device *axl);

/* axl_bind.c */
void axl_binds_init(struct axl_vm *vm);
void axl_binds_cancel(struct axl_vm *vm, int ending);
int axl_vm_bind_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

/* axl_ctx.c */
int axl_ctx_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int axl_ctx_destroy_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
void axl_ctx_put(struct axl_ctx *ctx);
void axl_file_release(struct axl_file *priv);
void axl_ctxs_abandon(struct axl_device *axl);

/* axl_queue.c */
int axl_queue_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int axl_queue_destroy_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int axl_queue_query_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int axl_queue_reset_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int axl_queue_suspend_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int axl_queue_resume_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
struct axl_queue *axl_queue_add(struct axl_ctx *ctx, struct axl_queue_desc *desc);
void axl_queue_kill(struct axl_queue *queue);
int axl_queue_recover(struct axl_queue *queue);
int axl_queue_outcome(const struct axl_queue *queue, u64 after, u64 until);
void axl_queue_expire(struct axl_queue *queue, bool all);
struct axl_queue *axl_queue_get(struct axl_file *priv, u32 handle);
void axl_queue_put(struct axl_queue *queue);
void axl_queue_progress(struct axl_queue *queue);
void axl_queue_notify(struct axl_queue *queue, u64 index);
void axl_progress_contexts(struct axl_device *axl, u64 contexts);

/* axl_fence.c */
struct axl_fence *axl_fence_alloc(void);
void axl_fence_emit(struct axl_queue *queue, struct axl_fence *fence, u64 after, u64 until,
		    unsigned long deadline);
bool axl_fence_overdue(const struct axl_fence *fence);
void axl_fence_poll(struct work_struct *work);
void axl_fence_release(struct axl_file *priv);
int axl_fence_export_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int axl_fence_import_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

/* axl_submit.c */
int axl_submit_queue_create(struct axl_ctx *ctx);
void axl_submit_queue_destroy(struct axl_ctx *ctx);
void axl_submit_fault(struct axl_queue *queue);
bool axl_submit_ring(struct axl_queue *queue, union axl_packet *ring,
		     struct axl_queue_index *index);
int axl_submit_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

/* axl_sync.c */
struct axl_out;
struct drm_axl_sync *axl_syncs_copy(u64 from, u32 count);
int axl_sync_fence(struct drm_file *file, const struct drm_axl_sync *sync,
		   struct dma_fence **fence);
struct axl_done *axl_done_alloc(const char *timeline);
void axl_done_init(struct axl_done *done, u64 context, u64 seqno);
struct axl_out *axl_syncs_prepare(struct drm_file *file, const struct drm_axl_sync *syncs,
				  u32 count);
void axl_syncs_signal(struct axl_out *outs, u32 count, struct dma_fence *fence);
void axl_syncs_free(struct axl_out *outs, u32 count);

/* axl_wait.c */
int axl_wait_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

/* axl_mmap.c */
u64 axl_doorbell_offset(u32 handle);
u64 axl_status_offset(u32 handle);
int axl_mmap(struct file *filp, struct vm_area_struct *vma);
void axl_mmap_revoke(struct axl_device *axl);
vm_fault_t axl_fault_begin(struct axl_device *axl, struct vm_fault *vmf, int *idx);
void axl_fault_end(struct axl_device *axl, int idx);

/* axl_event.c */
int axl_event_config_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
void axl_event_config(struct axl_file *priv, u32 mask, struct eventfd_ctx *eventfd);
void axl_event_send(struct axl_queue *queue, u32 type, const struct axl_fault_record *record);

/* axl_perf.c */
int axl_perf_open_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

/* axl_dump.c */
int axl_dump_init(struct axl_device *axl);
void axl_dump_request(struct axl_queue *queue);
void axl_dump_wait(struct axl_queue *queue);
void axl_dump_drop(struct axl_device *axl);

/* axl_debugfs.c */
void axl_debugfs_init(struct axl_device *axl);
void axl_show_fdinfo(struct drm_printer *p, struct drm_file *file);

#define axl_refuse(axl, err, fmt, ...)                                                             \
	({                                                                                         \
		drm_dbg_driver(&(axl)->drm, "%s: " fmt "\n", __func__, ##__VA_ARGS__);             \
		(err);                                                                             \
	})

#endif
