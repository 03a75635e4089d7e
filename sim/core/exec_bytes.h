/* SPDX-License-Identifier: MIT */
/* CONV of bytes on hosts that multiply bytes: exec_conv.c asks, and does without where the answer is no. */
#ifndef SIM_CORE_EXEC_BYTES_H
#define SIM_CORE_EXEC_BYTES_H

#include <stdbool.h>

#include "sim/core/exec.h"

/* Can this host, and this convolution's padding be a byte? */
bool exec_bytes_can(void);
bool exec_bytes_will_do(const struct axl_conv *conv);

/* Output positions [first, last) of columns [n_first, n_last), neither empty, @n_first a multiple of AXL_ARRAY_N. */
void exec_bytes_conv(const struct axl_conv *conv, const struct exec_memory *memory, uint32_t first, uint32_t last,
		     uint32_t n_first, uint32_t n_last);

#endif
