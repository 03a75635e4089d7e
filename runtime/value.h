/* SPDX-License-Identifier: MIT */
/* What an accel_value is inside. */
#ifndef RUNTIME_VALUE_H
#define RUNTIME_VALUE_H

#include <accel/runtime.h>

#include "runtime/cpu/tensor.h"

/* @tensor: owned, or (in a session's own values) a view of the plan's */
struct accel_value {
	struct tensor tensor;
};

#endif
