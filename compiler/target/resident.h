/* SPDX-License-Identifier: MIT */
/*
 * Residency: which tensors stay in the scratchpad from the node that makes them to the last that reads them, so that
 * they never travel to local memory and back. One-tile targets only: with several, producer and consumer would have to
 * cut their work alike.
 *
 * What is resident is alive across nodes, and nothing may be alive at a preemption point: the chain is cut when the
 * cycles since the last YIELD pass a bound, which keeps the time to preempt a stated one.
 */
#ifndef COMPILER_TARGET_RESIDENT_H
#define COMPILER_TARGET_RESIDENT_H

#include "compiler/target/lower.h"

/* Cycles that may pass between two preemption points. */
#define RESIDENT_MAX_CYCLES 100000
/* Inside a node a part of the work that would end later than this after the last one gets one in front. */
#define RESIDENT_PAUSE_CYCLES (RESIDENT_MAX_CYCLES / 10 * 9)

/*
 * Whether @value's tensor of @bytes should be made resident now; if so it counts until its last reader has been
 * lowered.
 */
bool resident_take(struct lower *lower, const struct graph_value *value, uint64_t bytes);
/*
 * The node that is being lowered reads @value: where that lies in memory and later nodes read it too, it is loaded once and is
 * resident from here until its last reader has been lowered, if it may be. 0, or -ENOMEM with lower->error.
 */
int resident_bring(struct lower *lower, const struct graph_value *value);
/*
 * As resident_take() for @bytes of each tile's scratchpad (cut.h), from node number @born until @last has been lowered. A chain
 * that is long enough ends where one tensor alone is alive, which then goes through memory: else all of them would.
 */
bool resident_hold(struct lower *lower, size_t born, size_t last, uint64_t bytes);
/* The result of the node that is being lowered stays until number @last has been lowered: for the report. */
void resident_keep(struct lower *lower, size_t last);
/* Node number @node of the graph has been lowered. True: nothing is resident, a YIELD may follow. */
bool resident_end_node(struct lower *lower, size_t node);
/*
 * Inside a long node, before a part of it of about @cycles that reads nothing from the scratchpad that earlier parts
 * left there: a YIELD when one is due (*@paused; what was kept is to be fetched again) and nothing is resident. 0, or
 * program_yield()'s error.
 */
int resident_pause(struct lower *lower, uint64_t cycles, bool *paused);

/* The tensor lies in a scratchpad. */
bool tensor_is_resident(const struct lower *lower, const struct dev_tensor *tensor);

#endif
