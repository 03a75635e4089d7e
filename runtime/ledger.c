/* SPDX-License-Identifier: MIT */
/* See ledger.h. */
#include "runtime/ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <axl/axl_timing.h>

/* Something of class @kind begins (+1) or ends (-1). */
struct event {
	uint64_t time;
	int16_t kind, step;
};

struct events {
	struct event *list;
	size_t count;
};

static int by_time(const void *a, const void *b)
{
	const struct event *x = a, *y = b;

	return (x->time > y->time) - (x->time < y->time);
}

static void add_span(struct events *events, enum ledger_class kind, uint64_t begin, uint64_t end)
{
	if (begin >= end)
		return;
	events->list[events->count++] = (struct event){begin, (int16_t)kind, 1};
	events->list[events->count++] = (struct event){end, (int16_t)kind, -1};
}

/* Of one record, as @tile sees it. */
static void add_record(struct events *events, const struct axl_trace_record *record, unsigned int tile)
{
	uint64_t busy = record->end - record->begin - record->stalled;

	if (record->opcode == AXL_OP_SYNC)
		return;
	if (record->pipe == AXL_PIPE_LOAD || record->pipe == AXL_PIPE_WEIGHT || record->pipe == AXL_PIPE_STORE)
		add_span(events, LEDGER_DATA, record->end - busy, record->end); /* the channel is one for all */
	if (record->tile != tile) {
		add_span(events, LEDGER_BALANCE, record->begin, record->end);
		return;
	}
	switch (record->pipe) {
	case AXL_PIPE_MATRIX:
		add_span(events, LEDGER_MATRIX, record->begin, record->end);
		break;
	case AXL_PIPE_DRAIN:
		add_span(events, LEDGER_DRAIN, record->begin, record->end);
		break;
	case AXL_PIPE_VECTOR:
		add_span(events, LEDGER_VECTOR, record->begin, record->end);
		break;
	default:
		add_span(events, LEDGER_LATENCY, record->begin, record->end);
	}
}

/* The class of a moment: the first in the order that is active. */
static enum ledger_class class_of(const int *active, enum roofline_bound bound)
{
	static const enum ledger_class first[] = {LEDGER_MATRIX, LEDGER_VECTOR, LEDGER_DATA};

	if (active[first[bound]])
		return first[bound];
	for (int kind = 0; kind < LEDGER_SEMAPHORE; kind++)
		if (active[kind])
			return (enum ledger_class)kind;
	return LEDGER_SEMAPHORE;
}

static void sweep(struct ledger *ledger, struct events *events, uint64_t cycles, enum roofline_bound bound)
{
	int active[LEDGER_NUM_CLASSES] = {0};
	uint64_t at = 0;

	qsort(events->list, events->count, sizeof(*events->list), by_time);
	for (size_t i = 0; i < events->count; i++) {
		ledger->cycles[class_of(active, bound)] += events->list[i].time - at;
		at = events->list[i].time;
		active[events->list[i].kind] += events->list[i].step;
	}
	ledger->cycles[LEDGER_SEMAPHORE] += cycles > at ? cycles - at : 0;
}

/* Of the array of @tile: the cycles in which it filled, and in which banks kept it waiting. */
static void count_matrix(struct ledger *ledger, const struct axl_trace_record *records, size_t num_records,
			 unsigned int tile)
{
	uint64_t end = 0;

	for (size_t i = 0; i < num_records; i++) {
		const struct axl_trace_record *record = &records[i];

		if (record->tile != tile || record->pipe != AXL_PIPE_MATRIX)
			continue;
		if (record->opcode != AXL_OP_SYNC && (!end || record->begin > end + AXL_T_ARRAY_IDLE))
			ledger->fill += AXL_T_ARRAY_LATENCY;
		ledger->bank += record->stalled;
		end = record->end;
	}
}

int ledger_add(struct ledger *ledger, const struct axl_trace_record *records, size_t num_records,
	       const struct axl_exec_stats *stats, unsigned int tiles, uint64_t cycles, enum roofline_bound bound)
{
	static const enum axl_pipe transfers[] = {AXL_PIPE_LOAD, AXL_PIPE_WEIGHT, AXL_PIPE_STORE};
	struct events events = {malloc((num_records * 4 + 1) * sizeof(*events.list)), 0};

	if (!events.list)
		return -ENOMEM;
	for (unsigned int tile = 0; tile < tiles; tile++) {
		events.count = 0;
		for (size_t i = 0; i < num_records; i++)
			add_record(&events, &records[i], tile);
		sweep(ledger, &events, cycles, bound);
		count_matrix(ledger, records, num_records, tile);
		for (size_t p = 0; p < sizeof(transfers) / sizeof(transfers[0]); p++) {
			ledger->walks += stats->pipe[tile][transfers[p]][AXL_STALL_TLB];
			ledger->waits += stats->pipe[tile][transfers[p]][AXL_STALL_DRAM] +
					 stats->pipe[tile][transfers[p]][AXL_STALL_HOST];
		}
	}
	for (int purpose = 0; purpose < AXL_NUM_PURPOSES; purpose++)
		ledger->bytes += stats->bytes[purpose][0] + stats->bytes[purpose][1];
	free(events.list);
	return 0;
}

void ledger_causes(const struct ledger *ledger, const struct roofline *roofline, unsigned int tiles,
		   double causes[ACCEL_NUM_CAUSES])
{
	enum roofline_bound bound;
	double r = roofline_cycles(roofline, &bound), cycles[LEDGER_NUM_CLASSES];
	double spill =
		ledger->bytes > roofline->bytes ? (double)(ledger->bytes - roofline->bytes) / (double)ledger->bytes : 0;
	double walks = ledger->walks ? (double)ledger->walks / (double)(ledger->walks + ledger->waits) : 0;

	memset(causes, 0, ACCEL_NUM_CAUSES * sizeof(*causes));
	for (int kind = 0; kind < LEDGER_NUM_CLASSES; kind++)
		cycles[kind] = (double)ledger->cycles[kind] / tiles;
	if (bound == ROOFLINE_MATRIX) {
		causes[ACCEL_CAUSE_FILL] = (double)ledger->fill / tiles;
		causes[ACCEL_CAUSE_BANK] = (double)ledger->bank / tiles;
		causes[ACCEL_CAUSE_PADDING] =
			cycles[LEDGER_MATRIX] - causes[ACCEL_CAUSE_FILL] - causes[ACCEL_CAUSE_BANK] - r;
	} else {
		causes[ACCEL_CAUSE_MATRIX] = cycles[LEDGER_MATRIX];
	}
	causes[ACCEL_CAUSE_DRAIN] = cycles[LEDGER_DRAIN];
	causes[ACCEL_CAUSE_VECTOR] = cycles[LEDGER_VECTOR] - (bound == ROOFLINE_VECTOR ? r : 0);
	causes[ACCEL_CAUSE_SPILL] = cycles[LEDGER_DATA] * spill;
	causes[ACCEL_CAUSE_DRAM] = cycles[LEDGER_DATA] * (1 - spill) - (bound == ROOFLINE_MEMORY ? r : 0);
	causes[ACCEL_CAUSE_TLB] = cycles[LEDGER_LATENCY] * walks;
	causes[ACCEL_CAUSE_LATENCY] = cycles[LEDGER_LATENCY] * (1 - walks);
	causes[ACCEL_CAUSE_BALANCE] = cycles[LEDGER_BALANCE];
	causes[ACCEL_CAUSE_SEMAPHORE] = cycles[LEDGER_SEMAPHORE];
}

const char *accel_cause_name(enum accel_cause cause)
{
	static const char *const names[ACCEL_NUM_CAUSES] = {
		[ACCEL_CAUSE_PADDING] = "padding", [ACCEL_CAUSE_FILL] = "fill",
		[ACCEL_CAUSE_BANK] = "bank",       [ACCEL_CAUSE_MATRIX] = "matrix",
		[ACCEL_CAUSE_DRAIN] = "drain",     [ACCEL_CAUSE_VECTOR] = "vector",
		[ACCEL_CAUSE_DRAM] = "dram",       [ACCEL_CAUSE_SPILL] = "spill",
		[ACCEL_CAUSE_LATENCY] = "latency", [ACCEL_CAUSE_TLB] = "tlb",
		[ACCEL_CAUSE_BALANCE] = "balance", [ACCEL_CAUSE_SEMAPHORE] = "semaphore",
	};

	return (unsigned int)cause < ACCEL_NUM_CAUSES ? names[cause] : "unknown";
}
