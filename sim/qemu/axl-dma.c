/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * AXL accelerator: guest memory for the core.
 *
 * The core's thread asks for a pointer, the main loop answers: address spaces,
 * bus-master state and IOMMUs are looked at under the BQL only. Nothing but RAM
 * is ever handed out, so that no transfer can reach a register, the device's
 * own included (CVE-2021-3929 and its kind): there is no path by which a
 * transfer re-enters a device model.
 *
 * The core keeps a pointer until the driver invalidates it. When what it leads
 * to changes without the driver's word to the device (an IOMMU unmaps, memory
 * is unplugged, a BAR that it lies in moves) the core is made to ask again
 * before the change is complete. Until the core has let go of everything, the
 * memory regions are held as well.
 */
#include "hw/misc/axl/axl.h"

#include "qemu/error-report.h"
#include "hw/pci/pci.h"
#include "hw/misc/axl/trace-axl.h"

#define REVOKE_POLL_US 20

/* The BQL and s->lock are held. */
static void axl_dma_answer(AxlState *s)
{
    AddressSpace *as = pci_get_address_space(&s->parent);
    const AxlFaultPoint point = {
        .site = AXL_FAULT_MAP,
        .queue = -1,
        .vector = -1,
        .address = s->map.addr,
        .size = s->map.size,
    };
    hwaddr addr = s->map.addr, xlat, len = s->map.size;
    AxlFaultAction action = AXL_FAULT_REFUSE;
    MemoryRegion *mr;
    uint64_t value;

    s->map.answer = NULL;
    if (axl_on_bus(s)) {
        action = axl_fault_at(&s->fault, &point, &value);
    }
    if (action == AXL_FAULT_WRONG) {
        addr = value & -s->map.size;
    }
    if (action != AXL_FAULT_REFUSE) {
        RCU_READ_LOCK_GUARD();
        mr = address_space_translate(as, addr, &xlat, &len, s->map.write,
                                     MEMTXATTRS_UNSPECIFIED);
        if (len == s->map.size &&
            memory_access_is_direct(mr, s->map.write, MEMTXATTRS_UNSPECIFIED)) {
            if (g_hash_table_add(s->pins, mr)) {
                memory_region_ref(mr);
            }
            s->map.answer = (uint8_t *)memory_region_get_ram_ptr(mr) + xlat;
        }
    }
    if (s->map.answer) {
        trace_axl_dma_map(s, s->map.addr, s->map.size, s->map.write,
                          s->map.answer);
    } else {
        trace_axl_dma_refused(s, s->map.addr, s->map.size, s->map.write);
    }
    s->map.pending = false;
    qemu_cond_broadcast(&s->answered);
}

static void axl_dma_bh(void *opaque)
{
    AxlState *s = opaque;

    WITH_QEMU_LOCK_GUARD(&s->lock)
    {
        if (s->map.pending) {
            axl_dma_answer(s);
        }
    }
}

/* On the device's thread, without the BQL. */
void *axl_dma_map(void *opaque, uint64_t addr, uint64_t size, bool write)
{
    AxlState *s = opaque;
    void *answer = NULL;

    qemu_mutex_lock(&s->lock);
    if (!s->closing) {
        s->map = (AxlMapRequest){
            .addr = addr, .size = size, .write = write, .pending = true
        };
        if (s->deterministic) {
            axl_dma_answer(s); /* the BQL is held */
        } else {
            qemu_bh_schedule(s->map_bh);
        }
        while (s->map.pending && !s->closing) {
            qemu_cond_wait(&s->answered, &s->lock);
        }
        answer = s->closing ? NULL : s->map.answer;
    }
    qemu_mutex_unlock(&s->lock);
    return answer;
}

/* On the device's thread. The first of a flood is enough to look for. */
void axl_dma_stale(void *opaque, unsigned int context, uint64_t va)
{
    AxlState *s = opaque;

    trace_axl_dma_stale(s, context, va);
    if (!qatomic_fetch_inc(&s->violations)) {
        warn_report("axl: context %u uses 0x%" PRIx64
                    " through a translation that it was told to forget",
                    context, va);
    }
}

static void axl_dma_unpin(gpointer mr, gpointer value, gpointer opaque)
{
    memory_region_unref(mr);
}

/* Until @done(), which the core is about to make true. */
static void axl_dma_wait_for(AxlState *s, bool (*done)(struct device *device))
{
    while (!done(s->device)) {
        if (s->deterministic) {
            axl_clock_run(s);
            continue;
        }
        /*
         * The bottom half does not run while the BQL is held here: what the
         * core asks is answered on the spot.
         */
        WITH_QEMU_LOCK_GUARD(&s->lock)
        {
            if (s->map.pending) {
                axl_dma_answer(s);
            }
        }
        g_usleep(REVOKE_POLL_US);
    }
}

static void axl_dma_wait(AxlState *s)
{
    GHashTable *old = s->pins;

    /* What is asked for from here on is held anew. */
    s->pins = g_hash_table_new(NULL, NULL);
    axl_dma_wait_for(s, device_revoked);
    trace_axl_dma_revoked(s, g_hash_table_size(old));
    g_hash_table_foreach(old, axl_dma_unpin, NULL);
    g_hash_table_destroy(old);
}

void axl_dma_revoke(AxlState *s)
{
    if (s->device) {
        trace_axl_dma_revoke(s);
        device_revoke(s->device);
        axl_dma_wait(s);
    }
}

void axl_dma_refresh(AxlState *s)
{
    if (s->device) {
        trace_axl_dma_refresh(s);
        device_refresh(s->device);
        axl_dma_wait(s);
    }
}

void axl_dma_pause(AxlState *s, bool pause)
{
    device_pause(s->device, pause);
    if (pause) {
        axl_dma_wait_for(s, device_paused);
    }
}

/* ---- what happens to the address space ---- */

static void axl_dma_iommu_unmap(IOMMUNotifier *n, IOMMUTLBEntry *entry)
{
    AxlIommu *iommu = container_of(n, AxlIommu, notifier);

    trace_axl_dma_unmap(iommu->dev, entry->iova, entry->addr_mask);
    axl_dma_refresh(iommu->dev);
}

static void axl_dma_region_add(MemoryListener *listener,
                               MemoryRegionSection *section)
{
    AxlState *s = container_of(listener, AxlState, listener);
    Error *err = NULL;
    AxlIommu *iommu;
    Int128 last;

    if (!memory_region_is_iommu(section->mr)) {
        return;
    }
    iommu = g_new0(AxlIommu, 1);
    iommu->dev = s;
    iommu->mr = IOMMU_MEMORY_REGION(section->mr);
    /*
     * All 2^64 bytes of a region have no size in 64 bits; their last one has an
     * address.
     */
    last = int128_add(int128_make64(section->offset_within_region),
                      int128_sub(section->size, int128_one()));
    iommu_notifier_init(
        &iommu->notifier, axl_dma_iommu_unmap, IOMMU_NOTIFIER_UNMAP,
        section->offset_within_region, int128_get64(last),
        memory_region_iommu_attrs_to_index(iommu->mr, MEMTXATTRS_UNSPECIFIED));
    if (memory_region_register_iommu_notifier(section->mr, &iommu->notifier,
                                              &err)) {
        /*
         * The guest may have switched this on: no reason to end the machine.
         * axl_dma_answer() refuses such memory.
         */
        warn_report_err(err);
        g_free(iommu);
        return;
    }
    QLIST_INSERT_HEAD(&s->iommus, iommu, next);
}

static void axl_dma_region_del(MemoryListener *listener,
                               MemoryRegionSection *section)
{
    AxlState *s = container_of(listener, AxlState, listener);
    AxlIommu *iommu, *after;

    QLIST_FOREACH_SAFE(iommu, &s->iommus, next, after)
    {
        if (MEMORY_REGION(iommu->mr) == section->mr &&
            iommu->notifier.start == section->offset_within_region) {
            memory_region_unregister_iommu_notifier(section->mr,
                                                    &iommu->notifier);
            QLIST_REMOVE(iommu, next);
            g_free(iommu);
            s->stale_view = true;
        }
    }
    s->stale_view |= g_hash_table_contains(s->pins, section->mr);
}

/*
 * All of a change is known: the regions that take the place of what went are
 * there.
 */
static void axl_dma_commit(MemoryListener *listener)
{
    AxlState *s = container_of(listener, AxlState, listener);

    if (s->stale_view) {
        s->stale_view = false;
        axl_dma_refresh(s);
    }
}

void axl_dma_init(AxlState *s)
{
    qemu_mutex_init(&s->lock);
    qemu_cond_init(&s->answered);
    s->closing = false;
    s->map = (AxlMapRequest){ 0 };
    s->pins = g_hash_table_new(NULL, NULL);
    s->map_bh = qemu_bh_new_guarded(axl_dma_bh, s,
                                    &DEVICE(s)->mem_reentrancy_guard);
    QLIST_INIT(&s->iommus);
    s->stale_view = false;
    s->listener = (MemoryListener){
        .name = "axl",
        .region_add = axl_dma_region_add,
        .region_del = axl_dma_region_del,
        .commit = axl_dma_commit,
    };
    memory_listener_register(&s->listener, pci_get_address_space(&s->parent));
}

void axl_dma_close(AxlState *s)
{
    memory_listener_unregister(&s->listener);
    WITH_QEMU_LOCK_GUARD(&s->lock)
    {
        s->closing = true;
        qemu_cond_broadcast(&s->answered);
    }
}

void axl_dma_finish(AxlState *s)
{
    g_hash_table_foreach(s->pins, axl_dma_unpin, NULL);
    g_clear_pointer(&s->pins, g_hash_table_destroy);
    qemu_bh_delete(s->map_bh);
    qemu_cond_destroy(&s->answered);
    qemu_mutex_destroy(&s->lock);
}
