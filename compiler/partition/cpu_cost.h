/* SPDX-License-Identifier: MIT */
/*
 * What a node takes on the CPU, by measured rates (cpu_rates.h).
 */
#ifndef COMPILER_PARTITION_CPU_COST_H
#define COMPILER_PARTITION_CPU_COST_H

#include "compiler/graph/graph.h"
#include "compiler/partition/cpu_rates.h"

/*
 * What the work of a class is counted in: multiply-accumulates; bytes of all operands; elements of the results, or of input 0; values
 * that a window reads.
 */
enum cpu_unit { CPU_MACS, CPU_BYTES, CPU_ELEMENTS, CPU_INPUTS, CPU_TAPS };

enum cpu_class {
#define CPU_CLASS_ENUM(name, unit, call, one, two) CPU_##name,
	PARTITION_CPU_RATES(CPU_CLASS_ENUM)
#undef CPU_CLASS_ENUM
		CPU_NUM_CLASSES
};

struct cpu_rate {
	const char *name;
	enum cpu_unit unit;
	uint64_t call_ns, one_fs, two_fs;
};

/* Class @index; NULL past the end. */
const struct cpu_rate *cpu_rate_at(size_t index);

enum cpu_class cpu_class_of(const struct graph_node *node);
/* Units of work of @node, counted as its class asks; 0 where a shape is not known. */
uint64_t cpu_work_of(const struct graph_node *node);

/* Nanoseconds of @node with @threads threads (at least 1). More than two scale as two do: each adds the same share. */
uint64_t cpu_cost_ns(const struct graph_node *node, unsigned int threads);

#endif
