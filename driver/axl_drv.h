/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Objects of the driver. Locks, outermost first: axl_device.objects (contexts, queues, address spaces of all files), axl_vm.lock
 * (page tables), axl_device.command_lock (the mailbox), axl_device.fault_lock (interrupt handler).
 */
#ifndef AXL_DRV_H
#define AXL_DRV_H

#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/xarray.h>
#include <drm/drm_device.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem_shmem_helper.h>
#include <drm/drm_mm.h>

#include <axl/axl_queue.h>
#include <axl/axl_regs.h>
#include <drm/axl_accel.h>

#define AXL_MAX_QUEUES 256
#define AXL_FAULT_RECORDS 64
#define AXL_DEFAULT_WATCHDOG 4000000 /* units of 1024 cycles: four seconds at 1 GHz */

struct axl_table {
	u64 *entries;
	dma_addr_t address;
	struct axl_table **child; /* not at level 0 */
};

/**
 * struct axl_vm - an address space
 * @axl: its device
 * @ref: the file's handle, and each context
 * @lock: protects @space, @tables
 * @space: the mappings, by page
 * @root: level-3 table
 * @contexts: a bit for each hardware context that uses it; under axl_device.objects
 */
struct axl_vm {
	struct axl_device *axl;
	struct kref ref;
	struct mutex lock;
	struct drm_mm space;
	struct axl_table *root;
	u64 contexts;
};

struct axl_mapping {
	struct drm_mm_node node;
	struct drm_gem_object *gem;
};

/**
 * struct axl_context - a hardware context
 * @axl: its device
 * @vm: its address space
 * @number: of the hardware; the doorbell page's too
 * @status: status page, written by the device
 * @status_dma: its bus address
 * @slots: a bit for each slot that is taken
 */
struct axl_context {
	struct axl_device *axl;
	struct axl_vm *vm;
	unsigned int number;
	struct page *status_page;
	struct axl_status_page *status;
	dma_addr_t status_dma;
	u32 slots;
};

/**
 * struct axl_queue - a hardware queue
 * @ref: the file's handle, and each waiter
 * @context: its context, valid while the handle lives
 * @number: of the hardware
 * @slot: in the context
 * @dead: destroyed, or the device is gone
 */
struct axl_queue {
	struct kref ref;
	struct axl_context *context;
	struct axl_queue_status *status;
	struct page *status_page;
	unsigned int number;
	unsigned int slot;
	bool dead;
};

struct axl_file {
	struct axl_device *axl;
	struct xarray vms;
	struct xarray contexts;
	struct xarray queues;
};

struct axl_bo {
	struct drm_gem_shmem_object base;
	struct drm_mm_node node;
	bool local;
};

struct axl_device {
	struct drm_device drm;
	struct pci_dev *pdev;
	void __iomem *regs;
	phys_addr_t doorbells;
	phys_addr_t local;
	void __iomem *local_map;
	struct drm_axl_dev_info info;

	struct mutex objects;
	struct drm_mm local_mm; /* under local_lock */
	struct mutex local_lock;
	struct axl_context_desc *context_table;
	struct axl_queue_desc *queue_table;
	struct axl_fault_record *fault_ring;
	dma_addr_t context_dma, queue_dma, fault_dma;
	struct dma_pool *tables;

	struct mutex command_lock;
	wait_queue_head_t irq; /* an interrupt came */
	spinlock_t fault_lock;
	u32 fault_read;
	struct axl_fault_record *faults; /* the last of each queue */
	DECLARE_BITMAP(has_fault, AXL_MAX_QUEUES);
	bool wedged;
};

static inline struct axl_device *to_axl(struct drm_device *drm)
{
	return container_of(drm, struct axl_device, drm);
}

static inline struct axl_bo *to_axl_bo(struct drm_gem_object *gem)
{
	return container_of(gem, struct axl_bo, base.base);
}

/* axl_hw.c */
u64 axl_read(struct axl_device *axl, enum axl_reg reg);
u64 axl_read64(struct axl_device *axl, enum axl_reg reg);
int axl_command(struct axl_device *axl, enum axl_command command, u64 arg);
int axl_hw_init(struct axl_device *axl);
void axl_hw_fini(struct axl_device *axl);

/* axl_gem.c */
struct drm_gem_object *axl_gem_create_object(struct drm_device *drm, size_t size);
int axl_bo_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int axl_bo_info_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

/* axl_vm.c */
int axl_vm_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int axl_vm_destroy_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int axl_vm_bind_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
void axl_vm_put(struct axl_vm *vm);

/* axl_queue.c */
int axl_ctx_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int axl_ctx_destroy_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int axl_queue_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int axl_queue_destroy_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int axl_queue_query_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int axl_queue_reset_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int axl_wait_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
void axl_file_release(struct axl_file *file);
int axl_mmap(struct file *filp, struct vm_area_struct *vma);

#define axl_refuse(axl, err, fmt, ...)                                                                                 \
	({                                                                                                             \
		drm_dbg_driver(&(axl)->drm, "%s: " fmt "\n", __func__, ##__VA_ARGS__);                                 \
		(err);                                                                                                 \
	})

#endif
