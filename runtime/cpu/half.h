/* SPDX-License-Identifier: MIT */
/*
 * Kernels that compute in float32 serve float16 and bfloat16 through conversion of whole tensors.
 */
#ifndef RUNTIME_CPU_HALF_H
#define RUNTIME_CPU_HALF_H

#include "runtime/cpu/op.h"

/* Elements that kernels widen to float32 at a time: both copies stay in the first-level cache. */
#define HALF_BLOCK 512

/* True when an input of the call is float16 or bfloat16. */
bool call_has_half(const struct op_call *call);

/*
 * For kernels with half_in_f32: what op_prepare(), op_run() and op_release() do.
 *
 * half_prepare() converts half constants to float32 once and prepares the kernel with those. half_run() runs the kernel with
 * every half input converted to float32 and its float32 outputs rounded as kernel->half_in_f32 says; other inputs and outputs
 * pass unchanged. @call->state is what half_prepare() made, or NULL. half_release(NULL) does nothing.
 */
int half_prepare(const struct op_kernel *kernel, const struct op_node *node, const struct tensor *const *constants,
		 void **state);
int half_run(struct op_call *call, const struct op_kernel *kernel);
void half_release(const struct op_kernel *kernel, void *state);

#endif
