/* SPDX-License-Identifier: MIT */
/*
 * Below how many cycles no program gets that runs the layers one after the other.
 *
 * R (roofline.h) takes all of a network at once: the weights of the last layer may come while the first is computed. A scratchpad does
 * not hold them that long. Fully connected layers wait for memory while the array has next to nothing to do, convolutions the other way
 * round, and only what the scratchpad has room for can be fetched ahead. So, layer by layer, in their order:
 *
 *	span  = max(compute, (bytes - ahead) / bandwidth)
 *	ahead = min(window, ahead + span * bandwidth - bytes)		bytes of later layers that are there already
 *
 * The sum of the spans is the bound. @window is the scratchpads of all tiles together, with nothing in them but weights: a program has
 * less, so that this stays a bound. It is counted for the array (compute: MACs at their peak) and for the vector unit, each for itself,
 * as the two may work on different layers at a time; the larger counts, and R where that is larger still. Bytes that leave a region may
 * leave at any time. Regions are executions of their own: none begins with anything fetched ahead.
 *
 * What it does not bound: programs that use weights of a layer before the layer in front of it is done, as with chains cut into stripes.
 * That pays where images are large and weights few; this bound is above R where weights are many.
 */
#ifndef COMPILER_REPORT_IN_ORDER_H
#define COMPILER_REPORT_IN_ORDER_H

#include <stddef.h>

#include "compiler/package/axm.h"

/* @compute: cycles of the unit in question, all tiles together; @bytes: that have to come from memory before the layer can end */
struct in_order_layer {
	double compute, bytes;
};

/* Cycles of @count layers, in their order, with memory that brings @rate bytes a cycle, at most @window of them ahead. Pure. */
double in_order_cycles(const struct in_order_layer *layers, size_t count, double rate, double window);

/* Of all device regions of an open package, one behind the other; never below R, and 0 without a device. */
double in_order_of_package(const struct axm *axm);

#endif
