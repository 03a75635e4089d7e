/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * AXL accelerator: deterministic=on, the device on the machine's virtual clock.
 *
 * The core lives on a coroutine that a timer of QEMU_CLOCK_VIRTUAL enters;
 * where a thread would sleep or compute ahead of time it yields until the clock
 * has come there. With -icount that clock counts the guest's instructions, so
 * that all that the device does, and when, follows from the guest's program;
 * nothing goes through bottom halves, whose time record and replay does not
 * know.
 */
#include "hw/misc/axl/axl.h"

#include "hw/misc/axl/trace-axl.h"

static void axl_clock_enter(AxlState *s)
{
    if (!s->life_over) {
        qemu_coroutine_enter(s->life);
    }
}

static void axl_clock_tick(void *opaque)
{
    AxlState *s = opaque;
    MemReentrancyGuard *guard = &DEVICE(s)->mem_reentrancy_guard;

    trace_axl_clock(s, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL));
    axl_clock_enter(s);
    /*
     * As QEMU does around a guarded bottom half: a message may be addressed to
     * the device itself.
     */
    guard->engaged_in_io = true;
    axl_irq_flush(s);
    guard->engaged_in_io = false;
}

static void coroutine_fn axl_clock_life(void *opaque)
{
    AxlState *s = opaque;

    device_main(s->device);
    s->life_over = true;
}

uint64_t axl_clock_now(void *opaque)
{
    return qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
}

void axl_clock_sleep(void *opaque, uint64_t until)
{
    AxlState *s = opaque;
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);

    /* A timer that came earlier stays: the core looks at the clock again. */
    if (until <= INT64_MAX) {
        timer_mod_anticipate_ns(s->clock, MAX((int64_t)until, now + 1));
    }
    qemu_coroutine_yield();
}

void axl_clock_wake(void *opaque)
{
    AxlState *s = opaque;

    timer_mod_anticipate_ns(s->clock, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) +
                                          s->wake_ns);
}

void axl_clock_run(AxlState *s)
{
    axl_clock_enter(s);
}

void axl_clock_start(AxlState *s, const struct engine_config *engine)
{
    /* A store on its way to the device: half of the round trip. */
    s->wake_ns = engine->host_latency / 2 * 1000000ull / engine->clock_khz;
    s->life_over = false;
    s->life = qemu_coroutine_create(axl_clock_life, s);
    axl_clock_enter(s);
}

void axl_clock_init(AxlState *s)
{
    s->clock = timer_new_ns(QEMU_CLOCK_VIRTUAL, axl_clock_tick, s);
    s->life = NULL;
}

void axl_clock_finish(AxlState *s)
{
    if (s->life) {
        device_quit(s->device);
        while (!s->life_over) {
            axl_clock_enter(s);
        }
        s->life = NULL;
    }
    timer_free(s->clock);
}
