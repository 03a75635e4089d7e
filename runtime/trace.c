/* SPDX-License-Identifier: MIT */
/* See trace.h: the recording. */
#include "runtime/trace_events.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A model that runs a body a million times would fill the memory with what the pool's threads do for it. */
#define MOST_EVENTS ((size_t)1 << 20)

/* ---- life ---- */

int runtime_trace_create(uint32_t num_regions, struct runtime_trace **trace)
{
	struct runtime_trace *t = calloc(1, sizeof(*t));

	*trace = NULL;
	if (!t)
		return -ENOMEM;
	t->num_regions = num_regions;
	t->open = calloc((size_t)num_regions + 1, sizeof(*t->open));
	if (!t->open) {
		free(t);
		return -ENOMEM;
	}
	pthread_mutex_init(&t->lock, NULL);
	*trace = t;
	return 0;
}

void runtime_trace_destroy(struct runtime_trace *trace)
{
	if (!trace)
		return;
	pthread_mutex_destroy(&trace->lock);
	free(trace->open);
	free(trace->events);
	free(trace->packets);
	free(trace->records);
	free(trace);
}

/* Room for @more behind @room->count of *@elements. */
static bool grow(void **elements, struct trace_room *room, size_t more, size_t size)
{
	size_t capacity = room->capacity;
	void *grown;

	if (room->count + more <= capacity)
		return true;
	while (capacity < room->count + more)
		capacity = 2 * capacity + 256;
	grown = realloc(*elements, capacity * size);
	if (!grown)
		return false;
	*elements = grown;
	room->capacity = capacity;
	return true;
}

static void clear(struct runtime_trace *trace)
{
	trace->event_room.count = trace->packet_room.count = trace->record_room.count = trace->dropped = 0;
}

static int copy_list(void **to, struct trace_room *to_room, const void *from, size_t count, size_t size)
{
	if (!grow(to, to_room, count, size))
		return -ENOMEM;
	if (count)
		memcpy(*to, from, count * size);
	return 0;
}

int runtime_trace_copy(struct runtime_trace *to, const struct runtime_trace *from)
{
	int err;

	clear(to);
	err = copy_list((void **)&to->events, &to->event_room, from->events, from->event_room.count,
			sizeof(*to->events));
	if (!err)
		err = copy_list((void **)&to->packets, &to->packet_room, from->packets, from->packet_room.count,
				sizeof(*to->packets));
	if (!err)
		err = copy_list((void **)&to->records, &to->record_room, from->records, from->record_room.count,
				sizeof(*to->records));
	if (err)
		return err;
	to->event_room.count = from->event_room.count;
	to->packet_room.count = from->packet_room.count;
	to->record_room.count = from->record_room.count;
	to->device = from->device;
	to->began = from->began;
	to->ended = from->ended;
	to->dropped = from->dropped;
	return 0;
}

/* ---- the host ---- */

static void add(struct runtime_trace *trace, const struct trace_event *event)
{
	pthread_mutex_lock(&trace->lock);
	if (trace->event_room.count < MOST_EVENTS &&
	    grow((void **)&trace->events, &trace->event_room, 1, sizeof(*event)))
		trace->events[trace->event_room.count++] = *event;
	else
		trace->dropped++;
	pthread_mutex_unlock(&trace->lock);
}

static void add_copy(struct runtime_trace *trace, enum trace_kind kind, uint32_t region, uint64_t bytes, uint64_t start,
		     uint64_t end)
{
	add(trace, &(struct trace_event){(uint8_t)kind, 0, region, bytes, start, end});
}

static void add_event(struct runtime_trace *trace, enum trace_kind kind, uint32_t index, uint64_t start, uint64_t end)
{
	add_copy(trace, kind, index, 0, start, end);
}

void runtime_trace_begin(struct runtime_trace *trace, const char *device, uint64_t start)
{
	if (!trace)
		return;
	clear(trace);
	memset(trace->open, 0, trace->num_regions * sizeof(*trace->open));
	trace->device = device;
	trace->began = trace->ended = trace->free_at = start;
}

void runtime_trace_end(struct runtime_trace *trace, uint64_t end)
{
	if (!trace)
		return;
	trace->ended = end;
	add_event(trace, TRACE_RUN, 0, trace->began, end);
}

void runtime_trace_node_begins(struct runtime_trace *trace, uint32_t node)
{
	if (trace)
		trace->node = node;
}

void runtime_trace_node(struct runtime_trace *trace, uint32_t node, uint64_t start, uint64_t end)
{
	if (trace)
		add_event(trace, TRACE_NODE, node, start, end);
}

void runtime_trace_worker(struct runtime_trace *trace, size_t worker, uint64_t start, uint64_t end)
{
	if (trace)
		add(trace, &(struct trace_event){TRACE_NODE, (uint16_t)worker, trace->node, 0, start, end});
}

void runtime_trace_wait(struct runtime_trace *trace, uint32_t region, uint64_t start, uint64_t end)
{
	if (trace)
		add_event(trace, TRACE_WAIT, region, start, end);
}

void runtime_trace_analysis(struct runtime_trace *trace, uint32_t region, uint64_t start, uint64_t end)
{
	if (trace)
		add_event(trace, TRACE_ANALYSIS, region, start, end);
}

/* ---- the device ---- */

/* The packet of @region that is under way has ended at @end. */
static void close_packet(struct runtime_trace *trace, uint32_t region, struct trace_packet packet, uint64_t end)
{
	packet.region = region;
	packet.start = packet.submitted > trace->free_at ? packet.submitted : trace->free_at;
	packet.end = trace->free_at = end;
	trace->open[region] = (struct trace_packet){0};
	if (grow((void **)&trace->packets, &trace->packet_room, 1, sizeof(packet)))
		trace->packets[trace->packet_room.count++] = packet;
	else
		trace->dropped++;
}

void runtime_trace_submit(struct runtime_trace *trace, uint32_t region, uint64_t bytes, uint64_t start, uint64_t copied,
			  uint64_t submitted)
{
	struct trace_packet *open = trace ? &trace->open[region] : NULL;

	if (!trace)
		return;
	if (open->submitted) {
		open->dropped = true;
		close_packet(trace, region, *open, start);
	}
	add_event(trace, TRACE_START, region, start, submitted);
	add_copy(trace, TRACE_COPY_IN, region, bytes, start, copied);
	open->copied = copied;
	open->submitted = submitted;
}

void runtime_trace_complete(struct runtime_trace *trace, uint32_t region, const struct axl_exec_stats *stats,
			    const struct axl_trace_record *records, uint64_t bytes, uint64_t seen, uint64_t copied)
{
	struct trace_packet packet;
	size_t count = records ? stats->trace_records : 0;

	if (!trace)
		return;
	packet = trace->open[region];
	packet.cycles = stats->end - stats->start;
	packet.lost = !count || stats->trace_dropped;
	trace->dropped += stats->trace_dropped;
	packet.first = trace->record_room.count;
	if (!count) {
		packet.count = 0;
	} else if (grow((void **)&trace->records, &trace->record_room, count, sizeof(*records))) {
		memcpy(trace->records + packet.first, records, count * sizeof(*records));
		trace->record_room.count += count;
		packet.count = count;
	} else {
		packet.lost = true;
		trace->dropped += count;
	}
	close_packet(trace, region, packet, seen);
	add_copy(trace, TRACE_COPY_OUT, region, bytes, seen, copied);
}

const struct axl_trace_record *runtime_trace_records(const struct runtime_trace *trace, uint32_t region, size_t *count)
{
	*count = 0;
	for (size_t i = 0; i < trace->packet_room.count; i++) {
		const struct trace_packet *packet = &trace->packets[i];

		if (packet->region != region || packet->dropped || packet->lost)
			continue;
		*count = packet->count;
		return trace->records + packet->first;
	}
	return NULL;
}
