/* SPDX-License-Identifier: MIT */
/*
 * To whom a cycle of the device belongs.
 *
 * Instructions of neighbouring nodes overlap, so "from a node's begin to its end" would count cycles twice, and
 * "whoever began first" would leave a product that runs while another node's results are stored with less than its own
 * work. Each cycle of a tile belongs to one node: to that of the matrix unit's instruction where one runs, else to the
 * one of the oldest instruction that runs; where none runs, to the one that begins next, which is what waited, and at the
 * tile's end to the one that ends last anywhere. A cycle of the device is a tile-cycle of each tile. So the nodes' cycles
 * add up to the execution's, and no node is above the peak.
 */
#ifndef COMPILER_REPORT_NODE_CYCLES_H
#define COMPILER_REPORT_NODE_CYCLES_H

#include <stddef.h>
#include <stdint.h>

#include <axl/axl_queue.h>

/*
 * Set the cycles of @count nodes, whose instructions carry the tags @first + i, from an execution of @cycles cycles:
 * @records in the order in which the instructions began. The sum is @cycles when all records are there and are
 * these nodes'; a node's share of a cycle of several tiles goes up or down.
 */
void node_cycles_attribute(const struct axl_trace_record *records, size_t num_records, uint64_t cycles, uint32_t first,
			   uint32_t count, uint64_t *nodes);

#endif
