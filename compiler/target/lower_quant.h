/* SPDX-License-Identifier: MIT */
/* Quantization that other lowerings do on their way. */
#ifndef COMPILER_TARGET_LOWER_QUANT_H
#define COMPILER_TARGET_LOWER_QUANT_H

#include "compiler/target/lower.h"

/*
 * The QuantizeLinear of one scale and zero point that reads @node's first output, in its region, and has not been
 * lowered; NULL: there is none. Whoever writes its output as well marks it LOWER_DONE. *only: nobody else reads that
 * output of @node.
 */
struct graph_node *quantize_behind(const struct lower *lower, const struct graph_node *node, float *scale, int *zero,
				   bool *only);

#endif
