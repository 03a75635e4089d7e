/* SPDX-License-Identifier: MIT */
/*
 * Runs the packet of a dump again, on an in-process device of the same sizes, with the same ranges mapped, and says how
 * the queue stands then.
 */
#ifndef SIM_REPLAY_REPLAY_H
#define SIM_REPLAY_REPLAY_H

#include <stdbool.h>

#include "sim/replay/dump.h"

/*
 * @target:  of the device; NULL: the one whose sizes and speeds the dump has
 * @threads: host threads that compute, 0: one per processor
 * @deadline_ns: CLOCK_MONOTONIC
 */
struct replay_options {
	const char *target;
	unsigned int threads;
	int64_t deadline_ns;
};

enum replay_end {
	REPLAY_FAULTED, /* @record says why */
	REPLAY_RETIRED, /* the packet came to its end */
	REPLAY_LATE,    /* it had not at the deadline */
};

struct replay_result {
	char target[32];
	enum replay_end end;
	struct axl_fault_record record;
};

/*
 * -EINVAL: no target has the dump's sizes, or none has that name; else what the in-process device could not: -ENOMEM,
 * -EAGAIN. *error says what.
 */
int replay_run(const struct dump *dump, const struct replay_options *options, struct replay_result *result, char *error,
	       size_t error_size);

/*
 * The first field in which two faults differ, or NULL. What belongs to the run and not to the fault does not count:
 * numbers of record, context and queue, the cycle, the level at which a walk ended (a driver keeps empty tables), and
 * how far the other pipes were.
 */
const char *replay_difference(const struct axl_fault_record *a, const struct axl_fault_record *b);

#endif
