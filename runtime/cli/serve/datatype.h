/* SPDX-License-Identifier: MIT */
/* The element types of the Open Inference Protocol, by their names there. */
#ifndef RUNTIME_CLI_SERVE_DATATYPE_H
#define RUNTIME_CLI_SERVE_DATATYPE_H

#include "runtime/cpu/tensor.h"

/* "FP32", "BYTES" …; NULL for a type that the protocol has not. */
const char *datatype_name(enum dtype type);

/* DTYPE_UNDEFINED for what is none. */
enum dtype datatype_from_name(const char *name);

/* An integer type's bounds; false for other types. */
bool datatype_bounds(enum dtype type, int64_t *least, uint64_t *most);

#endif
