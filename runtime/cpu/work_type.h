/* SPDX-License-Identifier: MIT */
/*
 * Operators that compute in another type than that of their tensors: inputs widened to the working type, results narrowed.
 */
#ifndef RUNTIME_CPU_WORK_TYPE_H
#define RUNTIME_CPU_WORK_TYPE_H

#include "runtime/cpu/op.h"

/*
 * Input @index as @work (DTYPE_F32 or DTYPE_F64): a view where it has that type already, else a converted copy. The caller
 * finishes @out, also after an error. -EINVAL with the call's error set when the input is missing, -ENOTSUP when it is not
 * of a float type, -ENOMEM.
 */
int op_input_float(struct op_call *call, size_t index, enum dtype work, struct tensor *out);

/*
 * Input @index as one integer: a scalar or a tensor of one element, int32 or int64. @fallback where it is omitted. -EINVAL
 * with the call's error set for anything else.
 */
int op_input_scalar(struct op_call *call, size_t index, int64_t fallback, int64_t *value);

/* Output @index of @type with the shape and the values of @work. Errors as op_output(); -ENOTSUP when the types do not convert. */
int op_output_cast(struct op_call *call, size_t index, enum dtype type, const struct tensor *work);

#endif
