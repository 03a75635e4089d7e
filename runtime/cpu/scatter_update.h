/* SPDX-License-Identifier: MIT */
/*
 * The reductions of ScatterElements and ScatterND: to[i] = to[i] (op) from[i].
 */
#ifndef RUNTIME_CPU_SCATTER_UPDATE_H
#define RUNTIME_CPU_SCATTER_UPDATE_H

#include "runtime/cpu/tensor.h"

enum scatter_reduction { SCATTER_ADD, SCATTER_MUL, SCATTER_MAX, SCATTER_MIN };

typedef void (*scatter_update)(int64_t n, void *to, const void *from);

/* The loop for @type; NULL where there is none. On bool, add and max are "or", mul and min are "and". */
scatter_update scatter_update_for(enum scatter_reduction reduction, enum dtype type);

#endif
