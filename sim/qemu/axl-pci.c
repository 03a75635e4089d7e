/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * AXL neural-network accelerator: the PCI function over the device core
 * (sim/core).
 *
 * The core computes on its own threads. Register writes and doorbells reach it
 * directly: they only latch and wake, no vCPU waits for work. What the core
 * wants of QEMU goes through bottom halves in the main loop, guarded against
 * re-entrancy: guest memory in axl-dma.c, interrupts in axl-irq.c.
 */
#include "hw/misc/axl/axl.h"

#include "qapi/error.h"
#include "qemu/module.h"
#include "qemu/units.h"
#include "hw/pci/msix.h"
#include "hw/pci/pci.h"
#include "hw/pci/pcie.h"
#include "hw/pci/pcie_aer.h"
#include "hw/qdev-properties.h"
#include "migration/vmstate.h"
#include "system/runstate.h"
#include "hw/misc/axl/trace-axl.h"

enum {
    AXL_BAR_REGS = 0,
    AXL_BAR_MSIX = 1,
    AXL_BAR_DOORBELLS = 2,
    AXL_BAR_LOCAL = 4
};

#define AXL_AER_OFFSET  PCI_CONFIG_SPACE_SIZE
#define AXL_MAX_THREADS 64
#define AXL_MIN_MEM     (2 * MiB)
#define AXL_MAX_MEM     (1 * TiB)

static unsigned axl_power_state(AxlState *s)
{
    return pci_get_word(s->parent.config + s->parent.pm_cap + PCI_PM_CTRL) &
           PCI_PM_CTRL_STATE_MASK;
}

static bool axl_bus_master(AxlState *s)
{
    return pci_get_word(s->parent.config + PCI_COMMAND) & PCI_COMMAND_MASTER;
}

bool axl_on_bus(AxlState *s)
{
    return s->link && !axl_power_state(s) && axl_bus_master(s);
}

AxlFaultAction axl_fault_here(AxlState *s, AxlFaultSite site, int queue,
                              int vector, uint64_t *value)
{
    const AxlFaultPoint point = { .site = site,
                                  .queue = queue,
                                  .vector = vector };

    return axl_fault_at(&s->fault, &point, value);
}

static bool axl_fault_core(void *opaque, enum device_fault_site site,
                           unsigned int queue, uint64_t *value)
{
    static const AxlFaultSite sites[DEVICE_NUM_SITES] = {
        [DEVICE_SITE_FETCH] = AXL_FAULT_FETCH,
        [DEVICE_SITE_PACKET] = AXL_FAULT_PACKET,
        [DEVICE_SITE_PIPE] = AXL_FAULT_PIPE,
        [DEVICE_SITE_RETIRE] = AXL_FAULT_RETIRE,
        [DEVICE_SITE_RESET] = AXL_FAULT_RESET,
        [DEVICE_SITE_INVALIDATE] = AXL_FAULT_INVALIDATE,
        [DEVICE_SITE_ANSWER] = AXL_FAULT_ANSWER,
        [DEVICE_SITE_RESULT] = AXL_FAULT_RESULT,
    };

    if (site == DEVICE_SITE_FETCH) {
        uint64_t unused;
        AxlFaultAction severity = axl_fault_here(opaque, AXL_FAULT_AER, queue,
                                                 -1, &unused);

        if (severity != AXL_FAULT_NONE) {
            axl_irq_error(opaque, severity);
        }
    }
    return axl_fault_here(opaque, sites[site], queue, -1, value) !=
           AXL_FAULT_NONE;
}

/*
 * Down: as if the card had been pulled out. It comes back as it would be
 * plugged in: reset.
 */
static void axl_change_link(AxlState *s, bool up)
{
    if (up == s->link) {
        return;
    }
    trace_axl_link(s, up);
    s->link = up;
    if (!s->device) {
        return;
    }
    memory_region_set_enabled(&s->local_down, !up);
    memory_region_set_enabled(&s->msix_down, !up);
    if (up) {
        pci_device_reset(&s->parent);
    } else {
        axl_irq_reset(s);
        axl_dma_revoke(s);
    }
}

/* ---- BARs ---- */

/*
 * The BARs are still mapped for a moment when the device has gone: who held the
 * region before comes late.
 */
static bool axl_answers(AxlState *s)
{
    return s->device && s->link;
}

static uint64_t axl_regs_read(void *opaque, hwaddr addr, unsigned size)
{
    AxlState *s = opaque;
    uint64_t value = UINT64_MAX, unused;
    AxlFaultAction action = AXL_FAULT_NONE;

    if (axl_answers(s)) {
        action = axl_fault_here(s, AXL_FAULT_READ, -1, -1, &unused);
    }
    if (action == AXL_FAULT_ONES) {
        return value;
    }
    if (action == AXL_FAULT_LINK_DOWN) {
        axl_change_link(s, false);
    }
    if (axl_answers(s)) {
        value = device_reg_read(s->device, addr, size);
        trace_axl_reg_read(s, addr, size, value);
    } else {
        trace_axl_bar_refused(s, "regs", addr, size);
    }
    return value;
}

static void axl_trace_command(AxlState *s, uint64_t command)
{
    static const char *const names[] = {
        [AXL_CMD_CONTEXT_UPDATE] = "CONTEXT_UPDATE",
        [AXL_CMD_TLB_INVALIDATE] = "TLB_INVALIDATE",
        [AXL_CMD_QUEUE_START] = "QUEUE_START",
        [AXL_CMD_QUEUE_STOP] = "QUEUE_STOP",
        [AXL_CMD_QUEUE_RESET] = "QUEUE_RESET",
        [AXL_CMD_TILE_RESET] = "TILE_RESET",
    };
    const char *name = command < ARRAY_SIZE(names) ? names[command] : NULL;

    trace_axl_command(s, name ?: "unknown",
                      device_reg_read(s->device, AXL_REG_COMMAND_ARG, 8));
}

static void axl_regs_write(void *opaque, hwaddr addr, uint64_t value,
                           unsigned size)
{
    AxlState *s = opaque;

    if (axl_answers(s)) {
        trace_axl_reg_write(s, addr, size, value);
        if (addr == AXL_REG_COMMAND && size == 4 &&
            trace_event_get_state_backends(TRACE_AXL_COMMAND)) {
            axl_trace_command(s, value);
        }
        device_reg_write(s->device, addr, value, size);
    } else {
        trace_axl_bar_refused(s, "regs", addr, size);
    }
}

static const MemoryRegionOps axl_regs_ops = {
    .read = axl_regs_read,
    .write = axl_regs_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    /*
     * The core refuses what the contract does not allow, with all ones; QEMU
     * would refuse it with zeros.
     */
    .valid = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
    .impl = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
};

static uint64_t axl_doorbell_read(void *opaque, hwaddr addr, unsigned size)
{
    return axl_answers(opaque) ? 0 : UINT64_MAX;
}

static void axl_doorbell_write(void *opaque, hwaddr addr, uint64_t value,
                               unsigned size)
{
    AxlState *s = opaque;

    /*
     * The contract's stores are whole words at the start of a slot; anything
     * else rings nothing.
     */
    if (axl_answers(s) && size >= 4 && addr % 8 == 0) {
        trace_axl_doorbell(s, addr / AXL_DOORBELL_STRIDE,
                           addr % AXL_DOORBELL_STRIDE / 8);
        device_doorbell(s->device, addr);
    } else {
        trace_axl_bar_refused(s, "doorbells", addr, size);
    }
}

static const MemoryRegionOps axl_doorbell_ops = {
    .read = axl_doorbell_read,
    .write = axl_doorbell_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
    .impl = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
};

static uint64_t axl_down_read(void *opaque, hwaddr addr, unsigned size)
{
    return UINT64_MAX;
}

static void axl_down_write(void *opaque, hwaddr addr, uint64_t value,
                           unsigned size)
{
}

static const MemoryRegionOps axl_down_ops = {
    .read = axl_down_read,
    .write = axl_down_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
    .impl = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
};

static void axl_add_down_region(AxlState *s, MemoryRegion *down,
                                MemoryRegion *bar, const char *name)
{
    memory_region_init_io(down, OBJECT(s), &axl_down_ops, s, name,
                          memory_region_size(bar));
    memory_region_set_enabled(down, !s->link);
    memory_region_add_subregion_overlap(bar, 0, down, 2);
}

static bool axl_init_bars(AxlState *s, Error **errp)
{
    PCIDevice *pci = &s->parent;
    uint64_t mem = memory_region_size(&s->local);

    memory_region_init_io(&s->regs, OBJECT(s), &axl_regs_ops, s, "axl-regs",
                          AXL_BAR0_BYTES);
    memory_region_init_io(&s->doorbells, OBJECT(s), &axl_doorbell_ops, s,
                          "axl-doorbells",
                          (uint64_t)AXL_MAX_CONTEXTS * AXL_DOORBELL_STRIDE);
    memory_region_init(&s->local_bar, OBJECT(s), "axl-local-bar", mem);
    pci_register_bar(pci, AXL_BAR_REGS, PCI_BASE_ADDRESS_SPACE_MEMORY,
                     &s->regs);
    pci_register_bar(pci, AXL_BAR_DOORBELLS,
                     PCI_BASE_ADDRESS_SPACE_MEMORY |
                         PCI_BASE_ADDRESS_MEM_TYPE_64,
                     &s->doorbells);
    pci_register_bar(pci, AXL_BAR_LOCAL,
                     PCI_BASE_ADDRESS_SPACE_MEMORY |
                         PCI_BASE_ADDRESS_MEM_TYPE_64 |
                         PCI_BASE_ADDRESS_MEM_PREFETCH,
                     &s->local_bar);
    if (msix_init_exclusive_bar(pci, AXL_NUM_VECTORS, AXL_BAR_MSIX, errp)) {
        return false;
    }
    for (unsigned v = 0; v < AXL_NUM_VECTORS; v++) {
        msix_vector_use(pci, v);
    }
    memory_region_add_subregion(&s->local_bar, 0, &s->local);
    axl_add_down_region(s, &s->local_down, &s->local_bar, "axl-local-down");
    axl_add_down_region(s, &s->msix_down, &pci->msix_exclusive_bar,
                        "axl-msix-down");
    return true;
}

/* ---- configuration space ---- */

static uint32_t axl_read_config(PCIDevice *pci, uint32_t addr, int len)
{
    return AXL(pci)->link ? pci_default_read_config(pci, addr, len)
                          : UINT32_MAX;
}

static void axl_write_config(PCIDevice *pci, uint32_t addr, uint32_t value,
                             int len)
{
    AxlState *s = AXL(pci);
    bool on_bus = axl_on_bus(s), master = axl_bus_master(s);
    unsigned power = axl_power_state(s);

    if (!s->link) {
        return;
    }
    pci_default_write_config(pci, addr, value, len);
    pcie_aer_write_config(pci, addr, value, len);
    pcie_cap_flr_write_config(pci, addr, value, len);
    if (power != axl_power_state(s)) {
        trace_axl_power(s, power, axl_power_state(s));
    }
    if (master != axl_bus_master(s)) {
        trace_axl_bus_master(s, axl_bus_master(s));
    }
    /* No_Soft_Reset is 0: the way back from D3hot is a reset. */
    if (power && !axl_power_state(s)) {
        pci_device_reset(pci);
    }
    /* When the write has ended, so has every access of the device. */
    if (on_bus && !axl_on_bus(s)) {
        axl_dma_revoke(s);
    }
}

static bool axl_init_capabilities(AxlState *s, Error **errp)
{
    PCIDevice *pci = &s->parent;

    if (pci_pm_init(pci, 0, errp) < 0) {
        return false;
    }
    pci_set_word(pci->config + pci->pm_cap + PCI_PM_PMC,
                 3); /* version 1.2, D0 and D3 only, no PME */
    pci_set_word(pci->wmask + pci->pm_cap + PCI_PM_CTRL,
                 PCI_PM_CTRL_STATE_MASK);
    if (pcie_endpoint_cap_init(pci, 0) < 0) {
        error_setg(errp, "axl: no room for the PCIe capability");
        return false;
    }
    pcie_cap_flr_init(pci);
    pcie_cap_deverr_init(pci);
    if (pcie_aer_init(pci, PCI_ERR_VER, AXL_AER_OFFSET, PCI_ERR_SIZEOF, errp) <
        0) {
        pcie_cap_exit(pci);
        return false;
    }
    /*
     * What the device has to report are internal errors, which start masked and
     * which no driver of an endpoint unmasks.
     */
    pci_long_test_and_clear_mask(
        pci->config + AXL_AER_OFFSET + PCI_ERR_UNCOR_MASK, PCI_ERR_UNC_INTN);
    pci_long_test_and_clear_mask(
        pci->config + AXL_AER_OFFSET + PCI_ERR_COR_MASK, PCI_ERR_COR_INTERNAL);
    return true;
}

/* ---- life ---- */

/* On the virtual clock the device stops with it. */
static void axl_vm_state(void *opaque, bool running, RunState state)
{
    AxlState *s = opaque;

    if (s->device && !s->deterministic) {
        trace_axl_pause(s, !running);
        axl_dma_pause(s, !running);
    }
}

static void axl_reset_hold(Object *obj, ResetType type)
{
    AxlState *s = AXL(obj);

    if (!s->device) {
        return;
    }
    /* PCI leaves the bit set while it resets the function because of it. */
    trace_axl_reset(s, pci_get_word(s->parent.config + s->parent.exp.exp_cap +
                                    PCI_EXP_DEVCTL) &
                           PCI_EXP_DEVCTL_BCR_FLR);
    axl_dma_revoke(s);
    axl_irq_reset(s);
    device_reg_write(s->device, AXL_REG_CONTROL, AXL_CONTROL_RESET, 4);
}

static bool axl_configure(AxlState *s, struct device_config *config,
                          Error **errp)
{
    const struct engine_config *engine = engine_config_find(
        s->target ? s->target : "axl-edge");

    if (!engine) {
        error_setg(errp, "axl: 'target' names no device: '%s'", s->target);
        return false;
    }
    *config = (struct device_config){
        .engine = *engine,
        .threads = s->threads,
        .timing = s->timing,
        .race_check = s->race_check,
        .spin_us = s->spin_us,
        .watchdog = s->watchdog,
    };
    if (s->tiles) {
        config->engine.tiles = s->tiles;
    }
    if (s->mem) {
        config->engine.mem_bytes = s->mem;
    }
    if (s->deterministic && !s->timing) {
        error_setg(errp, "axl: 'deterministic' is nothing without 'timing'");
        return false;
    }
    if (s->deterministic && !s->threads) {
        config->threads = 1;
    }
    if (config->engine.tiles > AXL_MAX_TILES) {
        error_setg(errp, "axl: 'tiles' is %" PRIu32 ", at most %d are possible",
                   s->tiles, AXL_MAX_TILES);
        return false;
    }
    if (s->threads > AXL_MAX_THREADS) {
        error_setg(errp,
                   "axl: 'threads' is %" PRIu32 ", at most %d are possible",
                   s->threads, AXL_MAX_THREADS);
        return false;
    }
    if (s->spin_us > 1000000) {
        error_setg(
            errp, "axl: 'spin-us' is %" PRIu32 ", at most a second is possible",
            s->spin_us);
        return false;
    }
    if (config->engine.mem_bytes < AXL_MIN_MEM ||
        config->engine.mem_bytes > AXL_MAX_MEM ||
        !is_power_of_2(config->engine.mem_bytes)) {
        error_setg(errp, "axl: 'mem' is no power of two from 2 MiB to 1 TiB");
        return false;
    }
    return true;
}

static const struct device_host_ops axl_host_ops = {
    .map = axl_dma_map,
    .irq = axl_irq_raise,
    .fault = axl_fault_core,
    .stale = axl_dma_stale,
};

static const struct device_host_ops axl_clocked_ops = {
    .map = axl_dma_map,
    .irq = axl_irq_raise,
    .fault = axl_fault_core,
    .stale = axl_dma_stale,
    .now = axl_clock_now,
    .sleep = axl_clock_sleep,
    .wake = axl_clock_wake,
};

static bool axl_create_device(AxlState *s, struct device_config *config,
                              Error **errp)
{
    int err;

    /*
     * QEMU's RAM, because it outlives the device: others may have it mapped,
     * and vCPUs write to it until they look.
     */
    if (!memory_region_init_ram_flags_nomigrate(
            &s->local, OBJECT(s), "axl-local", config->engine.mem_bytes,
            RAM_NORESERVE, errp)) {
        return false;
    }
    config->local = memory_region_get_ram_ptr(&s->local);
    err = device_create(config,
                        s->deterministic ? &axl_clocked_ops : &axl_host_ops, s,
                        &s->device);
    if (err) {
        error_setg_errno(errp, -err, "axl: the device can not be created");
        return false;
    }
    if (s->deterministic) {
        axl_clock_start(s, &config->engine);
    }
    axl_vm_state(s, runstate_is_running(), runstate_get());
    s->vm_state = qdev_add_vm_change_state_handler(DEVICE(s), axl_vm_state, s);
    return true;
}

static void axl_destroy_device(AxlState *s)
{
    /*
     * The device's thread may wait for a bottom half that will not run any
     * more.
     */
    axl_dma_close(s);
    g_clear_pointer(&s->vm_state, qemu_del_vm_change_state_handler);
    axl_clock_finish(s);
    device_destroy(s->device);
    s->device = NULL;
    axl_irq_finish(s);
    axl_dma_finish(s);
}

static void axl_realize(PCIDevice *pci, Error **errp)
{
    AxlState *s = AXL(pci);
    struct device_config config;

    if (!axl_configure(s, &config, errp)) {
        return;
    }
    /* First what the core's thread may call. */
    if (!axl_init_capabilities(s, errp)) {
        return;
    }
    axl_dma_init(s);
    axl_irq_init(s);
    axl_clock_init(s);
    if (!axl_create_device(s, &config, errp)) {
        goto err_device;
    }
    if (!axl_init_bars(s, errp)) {
        goto err_device;
    }
    trace_axl_realize(s, config.engine.tiles, config.engine.mem_bytes);
    return;

err_device:
    axl_destroy_device(s);
    pcie_aer_exit(pci);
    pcie_cap_exit(pci);
}

static void axl_exit(PCIDevice *pci)
{
    AxlState *s = AXL(pci);

    trace_axl_exit(s);
    axl_destroy_device(s);
    /* Each holds the device through its owner: nothing would ever free it. */
    memory_region_del_subregion(&s->local_bar, &s->local);
    memory_region_del_subregion(&s->local_bar, &s->local_down);
    memory_region_del_subregion(&pci->msix_exclusive_bar, &s->msix_down);
    msix_uninit_exclusive_bar(pci);
    pcie_aer_exit(pci);
    pcie_cap_exit(pci);
}

/* ---- properties ---- */

static bool axl_get_link(Object *obj, Error **errp)
{
    return AXL(obj)->link;
}

static void axl_set_link(Object *obj, bool up, Error **errp)
{
    axl_change_link(AXL(obj), up);
}

static void axl_instance_init(Object *obj)
{
    AxlState *s = AXL(obj);

    s->link = true;
    object_property_add_bool(obj, "link", axl_get_link, axl_set_link);
    object_property_add_uint64_ptr(obj, "interrupts-sent", &s->interrupts_sent,
                                   OBJ_PROP_FLAG_READ);
    object_property_add_uint64_ptr(obj, "dma-violations", &s->violations,
                                   OBJ_PROP_FLAG_READ);
    object_initialize_child(obj, "fault", &s->fault, TYPE_AXL_FAULT);
    object_property_add_alias(obj, "fault-rules", OBJECT(&s->fault), "rules");
    object_property_add_alias(obj, "fault-seed", OBJECT(&s->fault), "seed");
}

static const Property axl_properties[] = {
    DEFINE_PROP_STRING("target", AxlState, target),
    DEFINE_PROP_UINT32("tiles", AxlState, tiles, 0),
    DEFINE_PROP_SIZE("mem", AxlState, mem, 0),
    DEFINE_PROP_UINT32("threads", AxlState, threads, 0),
    DEFINE_PROP_UINT32("spin-us", AxlState, spin_us, 50),
    DEFINE_PROP_UINT32("watchdog", AxlState, watchdog, 0),
    DEFINE_PROP_BOOL("timing", AxlState, timing, true),
    DEFINE_PROP_BOOL("race-check", AxlState, race_check, false),
    DEFINE_PROP_BOOL("deterministic", AxlState, deterministic, false),
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
    ResettableClass *rc = RESETTABLE_CLASS(class);

    pc->realize = axl_realize;
    pc->exit = axl_exit;
    pc->config_read = axl_read_config;
    pc->config_write = axl_write_config;
    pc->vendor_id = AXL_PCI_VENDOR;
    pc->device_id = AXL_PCI_DEVICE;
    pc->class_id = AXL_PCI_CLASS >> 8;
    pc->revision = 1;
    rc->phases.hold = axl_reset_hold;
    dc->desc = "AXL neural-network accelerator";
    dc->vmsd = &vmstate_axl;
    device_class_set_props(dc, axl_properties);
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
}

static const TypeInfo axl_types[] = {
    {
        .name = TYPE_AXL,
        .parent = TYPE_PCI_DEVICE,
        .instance_size = sizeof(AxlState),
        .instance_init = axl_instance_init,
        .class_init = axl_class_init,
        .interfaces =
            (InterfaceInfo[]){
                { INTERFACE_PCIE_DEVICE },
                {},
            },
    },
};

DEFINE_TYPES(axl_types)
