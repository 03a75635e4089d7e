/* SPDX-License-Identifier: MIT */
/*
 * What the CPU backend takes, by class of operator: one table for the cost model (cpu_cost.c) and for the tool that measures it.
 *
 *	X(NAME, unit of work, nanoseconds a call, femtoseconds a unit on one thread, the same on two threads)
 *
 * Measured with
 *
 *	build/tests/bench/placement_cost
 *
 * which prints these rows as it finds them, beside the ones that are held here. The reference host: two processors of x86-64 with
 * AVX-512; the best of many calls, since others share it. A class is measured by one operator on one shape of a middle-sized
 * network (about a megabyte of operands); single operators are up to twice as fast or slow, see README.md.
 */
#ifndef COMPILER_PARTITION_CPU_RATES_H
#define COMPILER_PARTITION_CPU_RATES_H

/* clang-format off */
#define PARTITION_CPU_RATES(X)                            \
	X(PRODUCT,        MACS,       210,   12015,    9187) \
	X(CONV,           MACS,       916,   12901,    7004) \
	X(DEPTHWISE,      MACS,       658,   54319,   33602) \
	X(PRODUCT_INT8,   MACS,       365,   10846,   10846) \
	X(CONV_INT8,      MACS,      2421,   10416,    5957) \
	X(DEPTHWISE_INT8, MACS,       920,  167929,   85153) \
	X(ATTENTION,      MACS,      5788,   27695,   13896) \
	X(STREAM,         BYTES,      109,   10182,    6348) \
	X(FUNCTION,       ELEMENTS,    73,  628250,  322370) \
	X(NORMALIZE,      INPUTS,     345,  939844,  476269) \
	X(WINDOW,         TAPS,       491,   52832,   26568) \
	X(REDUCE,         INPUTS,     130,   92212,   92212) \
	X(QUANTIZED,      ELEMENTS,   166,  354315,  354315) \
	X(MOVE,           BYTES,      105,   47387,   47387) \
	X(RESHAPE,        BYTES,       97,   16750,   16750) \
	X(OTHER,          BYTES,      560,  439187,  439187)

/*
 * A call of the device, in nanoseconds: from accel_execute() of an empty command buffer to its return, by the same tool. The copies
 * of inputs and outputs are counted at the target's own rate and latency (struct target), which the tool compares with copies that
 * the device makes.
 */
#define PARTITION_LAUNCH_NS 17000

/*
 * What the model may be wrong by: a call takes a tenth of that when the caller looks all the time instead of sleeping, and twice that on a
 * busy host; single operators are up to a quarter off. A device that was asked for is left unused only where that gains more than this.
 */
#define PARTITION_ERROR_NS(ns) (2 * PARTITION_LAUNCH_NS + (ns) / 4)
/* clang-format on */

#endif
