/* SPDX-License-Identifier: MIT */
/*
 * Where a session's values lie: one block of memory in which values that are never alive together share bytes.
 *
 * A value lives from the node that writes it to the last that reads it; a device region counts as one step. Reshape and
 * its kin write what they read: their output is put where their input is, and nothing has to be copied.
 * What Concat joins is written where the joined value will be, when its inputs lie there one behind the other; the memory of the
 * whole is then taken from the first of its parts on.
 */
#ifndef RUNTIME_MEMORY_PLAN_H
#define RUNTIME_MEMORY_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "compiler/package/axm.h"
#include "runtime/cpu/tensor.h"

#define MEMORY_PLAN_ALIGNMENT 64
#define MEMORY_PLAN_NONE UINT64_MAX

/*
 * struct memory_plan
 * @bytes:   of the block
 * @offsets: by value id; MEMORY_PLAN_NONE for a value with memory of its own: constants, the session's inputs and
 *           outputs, and what has no size before the run (open dimensions, strings, sequences)
 */
struct memory_plan {
	uint64_t bytes;
	uint64_t *offsets;
};

/* Bytes that a value of this type and shape takes in a plan, a multiple of the alignment; 0 when it can not be planned. */
uint64_t memory_plan_value_bytes(const struct axm_value *value);

/*
 * Plan for @axm. A model with bodies (If, Loop, Scan) gets an empty plan: bodies read values that their node does not
 * list. 0 or -ENOMEM; memory_plan_finish() is safe in either case.
 */
int memory_plan_make(const struct axm *axm, struct memory_plan *plan);
void memory_plan_finish(struct memory_plan *plan);

/*
 * Plan, allocate the block (the caller frees it; NULL when there is nothing to plan) and make planned @values views of it.
 * A kernel that needs more than was planned gives its output memory of its own. -ENOMEM.
 */
int memory_plan_place(const struct axm *axm, struct tensor *values, uint8_t **block);

#endif
