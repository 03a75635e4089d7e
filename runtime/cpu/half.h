/* SPDX-License-Identifier: MIT */
/*
 * Kernels that compute in float32 serve float16 and bfloat16 through conversion of whole tensors.
 */
#ifndef RUNTIME_CPU_HALF_H
#define RUNTIME_CPU_HALF_H

#include "runtime/cpu/op.h"

/* True when an input of the call is float16 or bfloat16. */
bool call_has_half(const struct op_call *call);

/*
 * Run @kernel with every half input converted to float32 and its float32 outputs rounded as kernel->half_in_f32 says.
 * Other inputs and outputs pass unchanged. The call's state is passed as NULL: it was prepared for float32.
 */
int run_half_in_f32(struct op_call *call, const struct op_kernel *kernel);

#endif
