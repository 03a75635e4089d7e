/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * AXL accelerator: faults that a test injects at run time.
 *
 * An object "fault" below the device holds rules, a seed and counters. Every
 * place that can fail asks it with what it knows; the first rule that matches
 * decides.
 */
#ifndef HW_MISC_AXL_FAULT_H
#define HW_MISC_AXL_FAULT_H

#include "qemu/osdep.h"
#include "qemu/thread.h"
#include "hw/qdev-core.h"

#define TYPE_AXL_FAULT "axl-fault"
OBJECT_DECLARE_SIMPLE_TYPE(AxlFault, AXL_FAULT)

typedef enum AxlFaultSite {
    AXL_FAULT_MSIX,       /* a vector is about to be sent */
    AXL_FAULT_FETCH,      /* a packet was copied */
    AXL_FAULT_AER,        /* the same */
    AXL_FAULT_PACKET,     /* a packet that needs no tile begins */
    AXL_FAULT_PIPE,       /* a command buffer begins, or goes on */
    AXL_FAULT_RETIRE,     /* a retired index is published */
    AXL_FAULT_RESET,      /* a reset begins */
    AXL_FAULT_INVALIDATE, /* TLB_INVALIDATE */
    AXL_FAULT_ANSWER,     /* a command was carried out, and is about to say so */
    AXL_FAULT_RESULT,     /* the same */
    AXL_FAULT_MAP,        /* a page of guest memory is asked for */
    AXL_FAULT_READ,       /* a register is read */
    AXL_FAULT_NUM_SITES
} AxlFaultSite;

typedef enum AxlFaultAction {
    AXL_FAULT_NONE,
    AXL_FAULT_DROP,
    AXL_FAULT_DUPLICATE,
    AXL_FAULT_DELAY,
    AXL_FAULT_CORRUPT,
    AXL_FAULT_HANG,
    AXL_FAULT_WRONG,
    AXL_FAULT_SLOW,
    AXL_FAULT_FAIL,
    AXL_FAULT_REFUSE,
    AXL_FAULT_ONES,
    AXL_FAULT_LINK_DOWN,
    AXL_FAULT_CORRECTABLE,
    AXL_FAULT_NONFATAL,
    AXL_FAULT_FATAL,
    AXL_FAULT_NUM_ACTIONS
} AxlFaultAction;

/* What a place knows; @size 0: no address, queue or vector < 0: none. */
typedef struct AxlFaultPoint {
    AxlFaultSite site;
    int queue, vector;
    uint64_t address, size;
} AxlFaultPoint;

typedef struct AxlFaultRule {
    AxlFaultSite site;
    AxlFaultAction action;
    int64_t queue, vector; /* -1: any */
    bool has_address;
    uint64_t address;
    uint64_t nth, count;  /* 0: every one, no limit */
    uint64_t probability; /* percent */
    uint64_t delay;       /* us */
    bool has_value;
    uint64_t value;
    uint64_t seen, injected;
} AxlFaultRule;

struct AxlFault {
    Object parent;

    QemuMutex lock; /* everything below: the core's threads ask as well */
    char *text;
    AxlFaultRule *rules;
    unsigned num_rules;
    uint64_t seed, random;
    uint64_t injected[AXL_FAULT_NUM_SITES], total;
};

/*
 * What is to happen at @point. @value: what the rule says, or by action: delay
 * in us; a random number. On any thread.
 */
AxlFaultAction axl_fault_at(AxlFault *fault, const AxlFaultPoint *point,
                            uint64_t *value);

#endif
