/* SPDX-License-Identifier: MIT */
/* What a Loop or a Scan collects: one slice an iteration, stacked along a new axis. Used by control.c and scan.c. */
#ifndef RUNTIME_CPU_SCAN_OUTPUT_H
#define RUNTIME_CPU_SCAN_OUTPUT_H

#include "runtime/cpu/op.h"

/*
 * struct scan_output - one output while it grows
 * @into:     NULL: nobody wants it
 * @axis:     the new axis in the result, may count from the end; @backward: the first iteration's slice comes last
 * @limit:    iterations to expect at most
 * @count:    slices so far
 * @capacity: slices that the memory has room for
 * @slice:    type and shape that every slice must have (no data)
 *
 * While it grows the slices lie one behind the other; scan_output_end() brings them in order when that is not the result.
 */
struct scan_output {
	struct tensor *into;
	int64_t axis;
	bool backward;
	int64_t limit, count, capacity;
	struct tensor slice;
};

void scan_output_begin(struct scan_output *scan, struct tensor *into, int64_t axis, bool backward, int64_t limit);

/* Append a copy of @slice. -EINVAL when it is no tensor or has another type or shape than the first; -EOVERFLOW, -ENOMEM. */
int scan_output_append(struct op_call *call, struct scan_output *scan, const struct tensor *slice);

/* All is appended. Without any slice the result is empty and has the type of output @index of @body; what is unknown there is 0. */
int scan_output_end(struct op_call *call, struct scan_output *scan, const struct attr *body, size_t index);

#endif
