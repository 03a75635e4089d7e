/* SPDX-License-Identifier: MIT */
/*
 * A form of com.microsoft FusedMatMul that is transpositions and the plain form.
 */
#ifndef RUNTIME_CPU_MS_FORWARD_H
#define RUNTIME_CPU_MS_FORWARD_H

#include "runtime/cpu/op.h"

/* FusedMatMul with transBatchA or transBatchB: that operand's first axis goes behind the batch axes, then the rest follows. */
int run_matmul_trans_batch(struct op_call *call);

#endif
