/* SPDX-License-Identifier: MIT */
/* The last stage: what was compiled becomes the bytes of an .axm file. */
#ifndef COMPILER_ASSEMBLE_H
#define COMPILER_ASSEMBLE_H

#include "compiler/compiler.h"
#include "compiler/graph/graph.h"
#include "compiler/region.h"
#include "compiler/target/target.h"

/* A dimension of input @index, or of output @index, that has a name. */
struct assembly_symbol {
	bool output;
	size_t index;
	int dimension;
	const char *name;
};

/*
 * struct assembly - what goes into a package
 * @graph:   after partitioning, nodes by region. Constants that the device's images hold are let go of while assembling.
 * @target:  NULL: everything is on the CPU
 * @images:  by region, of the device regions
 */
struct assembly {
	struct graph *graph;
	const struct target *target;
	uint32_t precision; /* enum compile_precision */
	const struct region *regions;
	int num_regions;
	const struct program_image *images;
	const struct assembly_symbol *symbols;
	size_t num_symbols;
};

/* Sets the package's bytes and the counts of @result. -ENOMEM. */
int assemble_package(const struct assembly *assembly, struct compile_result *result);

#endif
