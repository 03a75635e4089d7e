/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * AXL accelerator: from the core's threads to MSI-X, which only the main loop
 * may send.
 */
#include "hw/misc/axl/axl.h"

#include "hw/pci/msix.h"
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
    qemu_bh_schedule(s->irq_bh);
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

static void axl_irq_bh(void *opaque)
{
    AxlState *s = opaque;
    uint32_t vectors = qatomic_xchg(&s->irqs, 0), overdue = s->overdue;

    s->overdue = 0;
    for (unsigned v = 0; v < AXL_NUM_VECTORS; v++) {
        if (overdue >> v & 1) {
            axl_irq_notify(s, v);
        }
        if (vectors >> v & 1) {
            axl_irq_send(s, v);
        }
    }
}

/* On any thread. */
void axl_irq_raise(void *opaque, unsigned int vector)
{
    AxlState *s = opaque;

    qatomic_or(&s->irqs, 1u << vector);
    qemu_bh_schedule(s->irq_bh);
}

void axl_irq_reset(AxlState *s)
{
    qatomic_set(&s->irqs, 0);
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
