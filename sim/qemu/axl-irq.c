/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * AXL accelerator: from the core's threads to MSI-X and AER, which only the
 * main loop may send.
 */
#include "hw/misc/axl/axl.h"

#include "hw/pci/msix.h"
#include "hw/pci/pcie_aer.h"
#include "hw/misc/axl/trace-axl.h"

static void axl_irq_notify(AxlState *s, unsigned vector)
{
    if (!axl_on_bus(s)) {
        trace_axl_irq_off_bus(s, vector);
        return;
    }
    trace_axl_irq_send(s, vector);
    s->interrupts_sent++;
    msix_notify(&s->parent, vector);
}

/*
 * How bad an uncorrectable one is, the guest decides; the words of the rules
 * are what it is unless the guest says otherwise.
 */
static void axl_irq_report(AxlState *s, AxlFaultAction severity)
{
    PCIEAERErr err = { .source_id = pci_requester_id(&s->parent) };

    switch (severity) {
    case AXL_FAULT_CORRECTABLE:
        err.status = PCI_ERR_COR_INTERNAL;
        err.flags = PCIE_AER_ERR_IS_CORRECTABLE;
        break;
    case AXL_FAULT_NONFATAL:
        err.status = PCI_ERR_UNC_POISON_TLP;
        break;
    default:
        err.status = PCI_ERR_UNC_INTN;
        break;
    }
    trace_axl_aer(s, err.status, s->link);
    if (s->link) {
        pcie_aer_inject_error(&s->parent, &err);
    }
}

/* Somebody is to call axl_irq_flush(). On any thread. */
static void axl_irq_wanted(AxlState *s)
{
    if (s->deterministic) {
        axl_clock_wake(s);
    } else {
        qemu_bh_schedule(s->irq_bh);
    }
}

static void axl_irq_timer(void *opaque)
{
    AxlState *s = opaque;
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);

    /* One callback for all timers: whose time it is says due[]. */
    for (unsigned v = 0; v < AXL_NUM_VECTORS; v++) {
        if (s->due[v] && s->due[v] <= now) {
            s->due[v] = 0;
            s->overdue |= 1u << v;
        }
    }
    /*
     * Not from here: a timer has no guard against a message that is addressed
     * to the device itself.
     */
    axl_irq_wanted(s);
}

static void axl_irq_later(AxlState *s, unsigned vector, uint64_t us)
{
    trace_axl_irq_later(s, vector, us);
    s->due[vector] = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + us * SCALE_US;
    timer_mod(s->later[vector], s->due[vector]);
}

static void axl_irq_send(AxlState *s, unsigned vector)
{
    uint64_t us;

    switch (axl_fault_here(s, AXL_FAULT_MSIX, -1, vector, &us)) {
    case AXL_FAULT_DROP:
        return;
    case AXL_FAULT_DELAY:
        axl_irq_later(s, vector, us);
        return;
    case AXL_FAULT_DUPLICATE:
        axl_irq_later(s, vector, us);
        break;
    default:
        break;
    }
    axl_irq_notify(s, vector);
}

void axl_irq_flush(AxlState *s)
{
    uint32_t vectors = qatomic_xchg(&s->irqs, 0), overdue = s->overdue;
    uint32_t errors = qatomic_xchg(&s->errors, 0);

    s->overdue = 0;
    for (unsigned e = 0; errors; e++, errors >>= 1) {
        if (errors & 1) {
            axl_irq_report(s, e);
        }
    }
    for (unsigned v = 0; v < AXL_NUM_VECTORS; v++) {
        if (overdue >> v & 1) {
            axl_irq_notify(s, v);
        }
        if (vectors >> v & 1) {
            axl_irq_send(s, v);
        }
    }
}

static void axl_irq_bh(void *opaque)
{
    axl_irq_flush(opaque);
}

/* On any thread. */
void axl_irq_raise(void *opaque, unsigned int vector)
{
    AxlState *s = opaque;

    qatomic_or(&s->irqs, 1u << vector);
    axl_irq_wanted(s);
}

void axl_irq_error(AxlState *s, AxlFaultAction severity)
{
    qatomic_or(&s->errors, 1u << severity);
    axl_irq_wanted(s);
}

void axl_irq_reset(AxlState *s)
{
    qatomic_set(&s->irqs, 0);
    qatomic_set(&s->errors, 0);
    s->overdue = 0;
    for (unsigned v = 0; v < AXL_NUM_VECTORS; v++) {
        timer_del(s->later[v]);
        s->due[v] = 0;
    }
}

void axl_irq_init(AxlState *s)
{
    for (unsigned v = 0; v < AXL_NUM_VECTORS; v++) {
        s->later[v] = timer_new_ns(QEMU_CLOCK_VIRTUAL, axl_irq_timer, s);
        s->due[v] = 0;
    }
    s->irq_bh = qemu_bh_new_guarded(axl_irq_bh, s,
                                    &DEVICE(s)->mem_reentrancy_guard);
}

void axl_irq_finish(AxlState *s)
{
    for (unsigned v = 0; v < AXL_NUM_VECTORS; v++) {
        timer_free(s->later[v]);
    }
    qemu_bh_delete(s->irq_bh);
}
