/* SPDX-License-Identifier: MIT */
/*
 * Which element types a CPU kernel takes, found by asking it: the kernel runs on small inputs of the type, of several shapes and
 * values. What it says is true of it by construction, where a column in a table would be a claim. Kernels that need a graph, or
 * inputs that nothing here makes, answer nothing.
 */
#ifndef COMPILER_ONNX_SCHEMA_PROBE_H
#define COMPILER_ONNX_SCHEMA_PROBE_H

#include "compiler/onnx/schema/schema.h"

/* REFUSES: no run succeeded, and the kernel named the type as the reason. */
enum probe_answer { PROBE_UNKNOWN, PROBE_TAKES, PROBE_REFUSES };

/*
 * Does the kernel that serves @schema take tensors of element type @type where it stands for @variable, a type variable of one of
 * its inputs? The other operands get types that the standard allows. UNKNOWN also when there is no kernel.
 */
enum probe_answer schema_probe(const struct schema *schema, struct schema_text variable, int type);
/* Type variable @index of the operator's inputs and the tensor types that it stands for; false past the last. */
bool schema_variable_at(const struct schema *schema, size_t index, struct schema_text *variable, uint32_t *types);

#endif
