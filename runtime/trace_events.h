/* SPDX-License-Identifier: MIT */
/* What a trace holds: of trace.c, which records it, and trace_write.c, which writes it. */
#ifndef RUNTIME_TRACE_EVENTS_H
#define RUNTIME_TRACE_EVENTS_H

#include <pthread.h>

#include "runtime/trace.h"

/* What a thread of the host did. START has COPY_IN inside of it, COPY_OUT and ANALYSIS lie behind a packet's end. */
enum trace_kind { TRACE_RUN, TRACE_NODE, TRACE_START, TRACE_COPY_IN, TRACE_WAIT, TRACE_COPY_OUT, TRACE_ANALYSIS };

/*
 * @thread: 0: that of the run, else a thread of the pool
 * @index:  of the node, or of the region
 * @bytes:  that were copied
 */
struct trace_event {
	uint8_t kind;
	uint16_t thread;
	uint32_t index;
	uint64_t bytes, start, end;
};

/*
 * A packet of the device's queue.
 * @copied, @submitted: when the host had copied its inputs, and had put it into the queue
 * @start, @end: when it ran
 * @first, @count: its instructions, of the trace's records
 * @dropped: it did not end well; @lost: some of its instructions are not there
 */
struct trace_packet {
	uint32_t region;
	bool dropped, lost;
	uint64_t copied, submitted, start, end, cycles;
	size_t first, count;
};

/* Room for more of something. */
struct trace_room {
	size_t count, capacity;
};

/*
 * @node:    that the thread of the run is in; read by the pool's threads while they work for it
 * @free_at: when the device had ended the last packet
 * @open:    by region: the packet that is under way, copied and submitted, or zeros
 * @dropped: events, packets and records for which there was no room
 * @lock:    of @events, to which the pool's threads add
 */
struct runtime_trace {
	const char *device;
	uint64_t began, ended, free_at;
	uint32_t num_regions, node;
	struct trace_packet *open;
	pthread_mutex_t lock;
	struct trace_event *events;
	struct trace_packet *packets;
	struct axl_trace_record *records;
	struct trace_room event_room, packet_room, record_room;
	size_t dropped;
};

#endif
