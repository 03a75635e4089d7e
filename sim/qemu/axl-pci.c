/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * AXL neural-network accelerator: the PCI function over the device core (sim/core).
 *
 * The core computes on its own threads. Register writes and doorbells reach it directly: they only latch and wake, no vCPU
 * waits for work. What the core wants of QEMU (guest memory by bus address, interrupts) goes through bottom halves in the
 * main loop, guarded against re-entrancy. Only RAM is ever handed out: a transfer can not reach a register, its own included.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qemu/thread.h"
#include "qemu/units.h"
#include "exec/memory.h"
#include "hw/pci/msix.h"
#include "hw/pci/pci_device.h"
#include "hw/pci/pcie.h"
#include "hw/qdev-properties.h"
#include "migration/vmstate.h"

#include <axl/axl_regs.h>

#include "sim/core/device.h"

#define TYPE_AXL "axl"
OBJECT_DECLARE_SIMPLE_TYPE(AxlState, AXL)

enum { AXL_BAR_REGS = 0, AXL_BAR_MSIX = 1, AXL_BAR_DOORBELLS = 2, AXL_BAR_LOCAL = 4 };

/* A question of the device's thread to the main loop: one at a time. */
typedef struct AxlMapRequest {
    uint64_t addr, size;
    bool write, pending;
    void *answer;
} AxlMapRequest;

struct AxlState {
    PCIDevice parent;

    /* properties */
    char *target;
    uint32_t tiles;
    uint64_t mem;
    uint32_t threads;

    struct device *device;
    MemoryRegion regs, doorbells, local;
    QEMUBH *map_bh, *irq_bh;
    QemuMutex lock; /* map, closing */
    QemuCond answered;
    AxlMapRequest map;
    bool closing;
    uint32_t irqs; /* atomic: vectors to raise */
};

/* ---- what the core asks of the machine ---- */

static void axl_map_bh(void *opaque)
{
    AxlState *s = opaque;
    AddressSpace *as = pci_get_address_space(&s->parent);
    hwaddr xlat, len;
    MemoryRegion *mr;

    WITH_QEMU_LOCK_GUARD(&s->lock) {
        if (!s->map.pending) {
            return;
        }
        s->map.answer = NULL;
        len = s->map.size;
        if (pci_get_word(s->parent.config + PCI_COMMAND) & PCI_COMMAND_MASTER) {
            RCU_READ_LOCK_GUARD();
            mr = address_space_translate(as, s->map.addr, &xlat, &len, s->map.write, MEMTXATTRS_UNSPECIFIED);
            if (len == s->map.size && memory_access_is_direct(mr, s->map.write, MEMTXATTRS_UNSPECIFIED)) {
                s->map.answer = (uint8_t *)memory_region_get_ram_ptr(mr) + xlat;
            }
        }
        s->map.pending = false;
        qemu_cond_broadcast(&s->answered);
    }
}

/* On the device's thread. */
static void *axl_map(void *opaque, uint64_t addr, uint64_t size, bool write)
{
    AxlState *s = opaque;
    void *answer = NULL;

    qemu_mutex_lock(&s->lock);
    if (!s->closing) {
        s->map = (AxlMapRequest){ .addr = addr, .size = size, .write = write, .pending = true };
        qemu_bh_schedule(s->map_bh);
        while (s->map.pending && !s->closing) {
            qemu_cond_wait(&s->answered, &s->lock);
        }
        answer = s->closing ? NULL : s->map.answer;
    }
    qemu_mutex_unlock(&s->lock);
    return answer;
}

static void axl_irq_bh(void *opaque)
{
    AxlState *s = opaque;
    uint32_t vectors = qatomic_xchg(&s->irqs, 0);

    for (unsigned v = 0; v < AXL_NUM_VECTORS; v++) {
        if (vectors >> v & 1) {
            msix_notify(&s->parent, v);
        }
    }
}

static void axl_irq(void *opaque, unsigned int vector)
{
    AxlState *s = opaque;

    qatomic_or(&s->irqs, 1u << vector);
    qemu_bh_schedule(s->irq_bh);
}

static const struct device_host_ops axl_host_ops = {
    .map = axl_map,
    .irq = axl_irq,
};

/* ---- BARs ---- */

static uint64_t axl_regs_read(void *opaque, hwaddr addr, unsigned size)
{
    AxlState *s = opaque;

    return device_reg_read(s->device, addr, size);
}

static void axl_regs_write(void *opaque, hwaddr addr, uint64_t value, unsigned size)
{
    AxlState *s = opaque;

    device_reg_write(s->device, addr, value, size);
}

static const MemoryRegionOps axl_regs_ops = {
    .read = axl_regs_read,
    .write = axl_regs_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    /* The core refuses what the contract does not allow, with all ones; QEMU would refuse it with zeros. */
    .valid = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
    .impl = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
};

static uint64_t axl_doorbell_read(void *opaque, hwaddr addr, unsigned size)
{
    return 0;
}

static void axl_doorbell_write(void *opaque, hwaddr addr, uint64_t value, unsigned size)
{
    AxlState *s = opaque;

    /* The contract's stores are whole words at the start of a slot; anything else rings nothing. */
    if (size >= 4 && addr % 8 == 0) {
        device_doorbell(s->device, addr);
    }
}

static const MemoryRegionOps axl_doorbell_ops = {
    .read = axl_doorbell_read,
    .write = axl_doorbell_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
    .impl = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
};

/* ---- life ---- */

static void axl_reset(DeviceState *dev)
{
    AxlState *s = AXL(dev);

    device_reg_write(s->device, AXL_REG_CONTROL, AXL_CONTROL_RESET, 4);
}

static void axl_write_config(PCIDevice *pci, uint32_t addr, uint32_t value, int len)
{
    pci_default_write_config(pci, addr, value, len);
    pcie_cap_flr_write_config(pci, addr, value, len);
}

static bool axl_configure(AxlState *s, struct device_config *config, Error **errp)
{
    const struct engine_config *engine = engine_config_find(s->target ? s->target : "axl-edge");

    if (!engine) {
        error_setg(errp, "axl: no target '%s'", s->target);
        return false;
    }
    *config = (struct device_config){ .engine = *engine, .threads = s->threads, .timing = true, .spin_us = 50 };
    if (s->tiles) {
        config->engine.tiles = s->tiles;
    }
    if (s->mem) {
        config->engine.mem_bytes = s->mem;
    }
    if (config->engine.tiles > AXL_MAX_TILES || s->threads > 64) {
        error_setg(errp, "axl: at most %d tiles and 64 threads", AXL_MAX_TILES);
        return false;
    }
    if (config->engine.mem_bytes < 2 * MiB || !is_power_of_2(config->engine.mem_bytes)) {
        error_setg(errp, "axl: mem is a power of two of at least 2 MiB");
        return false;
    }
    return true;
}

static void axl_realize(PCIDevice *pci, Error **errp)
{
    AxlState *s = AXL(pci);
    DeviceState *dev = DEVICE(pci);
    struct device_config config;
    int err;

    if (!axl_configure(s, &config, errp)) {
        return;
    }
    qemu_mutex_init(&s->lock);
    qemu_cond_init(&s->answered);
    s->map_bh = qemu_bh_new_guarded(axl_map_bh, s, &dev->mem_reentrancy_guard);
    s->irq_bh = qemu_bh_new_guarded(axl_irq_bh, s, &dev->mem_reentrancy_guard);
    err = device_create(&config, &axl_host_ops, s, &s->device);
    if (err) {
        error_setg_errno(errp, -err, "axl: the device can not be created");
        goto err_locks;
    }
    memory_region_init_io(&s->regs, OBJECT(s), &axl_regs_ops, s, "axl-regs", AXL_BAR0_BYTES);
    memory_region_init_io(&s->doorbells, OBJECT(s), &axl_doorbell_ops, s, "axl-doorbells",
                          (uint64_t)AXL_MAX_CONTEXTS * AXL_DOORBELL_STRIDE);
    memory_region_init_ram_ptr(&s->local, OBJECT(s), "axl-local", config.engine.mem_bytes,
                               device_local_memory(s->device));
    pci_register_bar(pci, AXL_BAR_REGS, PCI_BASE_ADDRESS_SPACE_MEMORY, &s->regs);
    pci_register_bar(pci, AXL_BAR_DOORBELLS, PCI_BASE_ADDRESS_SPACE_MEMORY | PCI_BASE_ADDRESS_MEM_TYPE_64, &s->doorbells);
    pci_register_bar(pci, AXL_BAR_LOCAL,
                     PCI_BASE_ADDRESS_SPACE_MEMORY | PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH,
                     &s->local);
    if (msix_init_exclusive_bar(pci, AXL_NUM_VECTORS, AXL_BAR_MSIX, errp)) {
        goto err_device;
    }
    for (unsigned v = 0; v < AXL_NUM_VECTORS; v++) {
        msix_vector_use(pci, v);
    }
    if (pcie_endpoint_cap_init(pci, 0) < 0) {
        error_setg(errp, "axl: no room for the PCIe capability");
        goto err_msix;
    }
    pcie_cap_flr_init(pci);
    return;

err_msix:
    msix_uninit_exclusive_bar(pci);
err_device:
    device_destroy(s->device);
    s->device = NULL;
err_locks:
    qemu_bh_delete(s->map_bh);
    qemu_bh_delete(s->irq_bh);
    qemu_cond_destroy(&s->answered);
    qemu_mutex_destroy(&s->lock);
}

static void axl_exit(PCIDevice *pci)
{
    AxlState *s = AXL(pci);

    /* The device's thread may wait for a bottom half that will not run any more. */
    qemu_mutex_lock(&s->lock);
    s->closing = true;
    qemu_cond_broadcast(&s->answered);
    qemu_mutex_unlock(&s->lock);
    device_destroy(s->device);
    qemu_bh_delete(s->map_bh);
    qemu_bh_delete(s->irq_bh);
    pcie_cap_exit(pci);
    msix_uninit_exclusive_bar(pci);
    qemu_cond_destroy(&s->answered);
    qemu_mutex_destroy(&s->lock);
}

static const Property axl_properties[] = {
    DEFINE_PROP_STRING("target", AxlState, target),
    DEFINE_PROP_UINT32("tiles", AxlState, tiles, 0),
    DEFINE_PROP_SIZE("mem", AxlState, mem, 0),
    DEFINE_PROP_UINT32("threads", AxlState, threads, 0),
};

/* Tiles, queues and local memory would all have to travel: not written. */
static const VMStateDescription vmstate_axl = {
    .name = TYPE_AXL,
    .unmigratable = 1,
};

static void axl_class_init(ObjectClass *class, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(class);
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(class);

    pc->realize = axl_realize;
    pc->exit = axl_exit;
    pc->config_write = axl_write_config;
    pc->vendor_id = AXL_PCI_VENDOR;
    pc->device_id = AXL_PCI_DEVICE;
    pc->class_id = AXL_PCI_CLASS >> 8;
    pc->revision = 1;
    dc->desc = "AXL neural-network accelerator";
    dc->vmsd = &vmstate_axl;
    device_class_set_legacy_reset(dc, axl_reset);
    device_class_set_props(dc, axl_properties);
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
}

static const TypeInfo axl_types[] = {
    {
        .name = TYPE_AXL,
        .parent = TYPE_PCI_DEVICE,
        .instance_size = sizeof(AxlState),
        .class_init = axl_class_init,
        .interfaces = (InterfaceInfo[]) {
            { INTERFACE_PCIE_DEVICE },
            { },
        },
    },
};

DEFINE_TYPES(axl_types)
