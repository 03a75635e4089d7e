/* SPDX-License-Identifier: MIT */
/*
 * The roofline of a compiled model: below how many cycles no program of this target can get, and why.
 *
 *	R = max(MACs / peak, vector operations / vector peak, compulsory bytes / bandwidth)
 *
 * over all nodes that are on the device. It is counted from the fused graph in the package, not from the code that was made
 * of it:
 *
 * MACs		the products that ONNX's definition asks for, each at the peak of its operands' type: 64 x 64 of 8 bits a cycle
 *		and tile, half as many of 16, an eighth of binary32.
 * vector	what must run on the vector unit: elements times the cycles that the instruction set gives for each operation
 *		(AXL_VEC_OPS), at the lanes of the operands' type. Free are: whatever has MACs (its bias, scale, activation and
 *		residual are the drain's), layouts and concatenations (the transfers'), an activation or addition behind a node
 *		with MACs that nobody else reads, and a pool there whose windows neither overlap nor need padding (the drain's,
 *		too). Pools are counted row by row, then column by column. Rules: vector_rules[] in roofline.c.
 * bytes	what has to come from memory or go there at least once: constants in the type in which the device holds them, and
 *		the inputs and outputs of device regions. Tensors between nodes count nothing: they might stay in the scratchpad.
 *
 * So R depends on the model, the precision and the target, and on the compiler only by what it fused and placed on the CPU.
 */
#ifndef COMPILER_REPORT_ROOFLINE_H
#define COMPILER_REPORT_ROOFLINE_H

#include <stdint.h>

#include "compiler/graph/graph.h"
#include "compiler/package/axm.h"

enum roofline_bound { ROOFLINE_MATRIX, ROOFLINE_VECTOR, ROOFLINE_MEMORY, ROOFLINE_NUM_BOUNDS };

/*
 * What a node has to do, whatever the code does; the package keeps it (struct axm_node).
 * @vector_ops:	   elements times cycles of their operations, @vector_size: bytes of the widest operand
 * @mac_size:	   bytes of the operands of MACs
 * @bytes:	   compulsory: constants and what crosses the region's border, each counted at the first node that has it
 * @operand_bytes: all operands of the node, wherever they are: the compulsory bytes of the node run alone
 */
struct roofline_work {
	uint64_t macs, vector_ops, bytes, operand_bytes;
	uint32_t mac_size, vector_size;
};

/*
 * Count the nodes of a partitioned graph; @work: one entry a node, those on the CPU all zero. @precision: how the device holds
 * floats, enum axm_precision. 0, or -ENOMEM.
 */
int roofline_count(const struct graph *graph, uint32_t precision, struct roofline_work *work);

/* Of a node or of all device nodes together. @cycles: what each bound alone allows, on all tiles of the target together. */
struct roofline {
	uint64_t macs, vector_ops, bytes, operand_bytes;
	double cycles[ROOFLINE_NUM_BOUNDS];
};

void roofline_of_node(const struct axm *axm, uint32_t node, struct roofline *roofline);
/* Of @count nodes from @first on together: the bounds' sums. */
void roofline_of_nodes(const struct axm *axm, uint32_t first, uint32_t count, struct roofline *total);
void roofline_of_package(const struct axm *axm, struct roofline *total);

/* R: the largest of the bounds, and which it is (@bound may be NULL). */
double roofline_cycles(const struct roofline *roofline, enum roofline_bound *bound);
/* "matrix", "vector", "memory" */
const char *roofline_bound_name(enum roofline_bound bound);
/* MACs a cycle of the whole device for operands of @size bytes; 4: binary32. */
double roofline_peak_macs(const struct axm *axm, unsigned int size);

#endif
