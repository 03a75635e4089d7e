/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * AXL accelerator: state shared by the files of the PCI function.
 *
 * Locking: the BQL guards everything that is not marked. The core's threads
 * come in through the host operations (axl-dma.c, axl-irq.c) without it and
 * touch only what is marked. With deterministic=on there are no such threads.
 */
#ifndef HW_MISC_AXL_H
#define HW_MISC_AXL_H

#include "qemu/osdep.h"
#include "qemu/coroutine.h"
#include "qemu/main-loop.h"
#include "qemu/thread.h"
#include "qemu/timer.h"
#include "exec/memory.h"
#include "hw/pci/pci_device.h"
#include "hw/misc/axl/axl-fault.h"

#include <axl/axl_regs.h>

#include "sim/core/device.h"

#define TYPE_AXL "axl"
OBJECT_DECLARE_SIMPLE_TYPE(AxlState, AXL)

/* A question of the device's thread to the main loop: one at a time. */
typedef struct AxlMapRequest {
    uint64_t addr, size;
    bool write, pending;
    void *answer;
} AxlMapRequest;

/* A part of the function's address space that an IOMMU translates. */
typedef struct AxlIommu {
    AxlState *dev;
    IOMMUMemoryRegion *mr;
    IOMMUNotifier notifier;
    QLIST_ENTRY(AxlIommu) next;
} AxlIommu;

struct AxlState {
    PCIDevice parent;

    /* properties */
    char *target;
    uint32_t tiles;
    uint64_t mem;
    uint32_t threads;
    uint32_t spin_us;
    uint32_t watchdog;
    bool timing;
    bool race_check;
    bool deterministic;

    /* NULL: not realized, or gone; BARs read as all ones then. */
    struct device *device;
    AxlFault fault;
    bool link; /* false: surprise-removed as far as the bus can tell */
    MemoryRegion regs, doorbells, local_bar, local;
    /* Over what no handler guards, while the link is down. */
    MemoryRegion local_down, msix_down;

    /* axl-dma.c */
    QEMUBH *map_bh;
    QemuMutex lock; /* map, closing */
    QemuCond answered;
    AxlMapRequest map;
    bool closing;
    /* Atomic: accesses through translations that were to be forgotten. */
    uint64_t violations;
    MemoryListener listener; /* of the function's address space */
    QLIST_HEAD(, AxlIommu) iommus;
    GHashTable *pins; /* memory regions that the core may have pointers into */
    bool stale_view;  /* one of them has gone from the address space */

    VMChangeStateEntry *vm_state;

    /* axl-clock.c, with deterministic=on */
    QEMUTimer *clock;
    Coroutine *life; /* the core's */
    bool life_over;
    int64_t wake_ns; /* from a store to what the device does about it */

    /* axl-irq.c */
    QEMUBH *irq_bh;
    uint32_t errors;                   /* atomic: AxlFaultActions to report */
    uint32_t irqs;                     /* atomic: vectors to raise */
    QEMUTimer *later[AXL_NUM_VECTORS]; /* interrupts that a fault holds back, */
    int64_t due[AXL_NUM_VECTORS];      /* and when they come, 0: none */
    uint32_t overdue;                  /* whose time has come */
    uint64_t interrupts_sent;
};

/* The function may use the bus: bus master, D0, link up. */
bool axl_on_bus(AxlState *s);

/* ---- axl-dma.c: pointers into guest memory for the core ---- */
void axl_dma_init(AxlState *s);
/* After the core is gone. */
void axl_dma_finish(AxlState *s);
/*
 * No request is answered any more but with a refusal: the core's threads can be
 * joined.
 */
void axl_dma_close(AxlState *s);
/*
 * The core has no pointer into guest memory when this returns. Waits for an
 * instruction's end at most.
 */
void axl_dma_revoke(AxlState *s);
/*
 * The core asks anew for every pointer that it uses from here on. Waits as
 * axl_dma_revoke() does.
 */
void axl_dma_refresh(AxlState *s);
/*
 * The core stands still when this returns, until it is let go. Waits as
 * axl_dma_revoke() does.
 */
void axl_dma_pause(AxlState *s, bool pause);
/* device_host_ops.map, .stale */
void *axl_dma_map(void *opaque, uint64_t addr, uint64_t size, bool write);
void axl_dma_stale(void *opaque, unsigned int context, uint64_t va);

/* Asks the fault object; queue and vector < 0 where there is none. */
AxlFaultAction axl_fault_here(AxlState *s, AxlFaultSite site, int queue,
                              int vector, uint64_t *value);

/* ---- axl-irq.c ---- */
void axl_irq_init(AxlState *s);
void axl_irq_finish(AxlState *s);
void axl_irq_reset(AxlState *s); /* forget what has not been sent */
void axl_irq_flush(AxlState *s); /* send what there is to send */
/* Report an error by AER. On any thread. */
void axl_irq_error(AxlState *s, AxlFaultAction severity);
void axl_irq_raise(void *opaque, unsigned int vector); /* device_host_ops.irq */

/* ---- axl-clock.c: the core without a thread, for deterministic=on ---- */
void axl_clock_init(AxlState *s);
void axl_clock_start(AxlState *s, const struct engine_config *engine);
void axl_clock_finish(AxlState *s); /* before the core goes */
/* Let the core see what is asked of it now, not when the clock says. */
void axl_clock_run(AxlState *s);
/* device_host_ops.now, .sleep, .wake */
uint64_t axl_clock_now(void *opaque);
void axl_clock_sleep(void *opaque, uint64_t until);
void axl_clock_wake(void *opaque);

#endif
