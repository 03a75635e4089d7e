/* SPDX-License-Identifier: MIT */
/*
 * A trace as the JSON that Perfetto and chrome://tracing open: "Trace Event Format" (docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU), JSON
 * Object Format. Of its events: complete ones (X) on tracks, flows (s, t, f) from a packet's submission to its execution and to its
 * first instruction, asynchronous ones (b, e) for packets that wait in the queue, metadata (M) for names and order of tracks.
 *
 *	process 1  CPU	   thread 1: of the run; 1 + N: thread N of the pool
 *	process 2  device  1 + tile * AXL_NUM_PIPES + pipe; of what is under way at the same time in one pipe, LANE_TID * N more
 *	process 3  queue   thread 1
 *
 * Times are microseconds from the begin of the run, to the nanosecond, and a track's events do not overlap but by lying in one another.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <axl/axl_disasm.h>

#include "runtime/json_text.h"
#include "runtime/trace_events.h"

enum { CPU = 1, DEVICE = 2, QUEUE = 3, LANE_TID = 4096 };

#define MAX_TRACKS (8 * AXL_NUM_PIPES) /* tiles and pipes */
#define MAX_LANES 256

_Static_assert(LANE_TID > MAX_TRACKS, "a lane's numbers are its own");

/*
 * @busy: by track and lane, until when; @lanes: by track, how many were needed
 * @left_out: records for which there was no lane
 */
struct writer {
	FILE *out;
	const struct runtime_trace *trace;
	const struct accel_run_stats *stats;
	uint64_t (*busy)[MAX_LANES];
	unsigned int lanes[MAX_TRACKS];
	bool filled;
	size_t left_out;
};

/* ---- events ---- */

static void begin_event(struct writer *w, const char *phase, const char *name, const char *category, int pid,
			unsigned int tid)
{
	fputs(w->filled ? ",\n{\"name\":\"" : "\n{\"name\":\"", w->out);
	w->filled = true;
	json_put_text(w->out, name, strlen(name));
	fputs("\",\"cat\":\"", w->out);
	json_put_text(w->out, category, strlen(category));
	fprintf(w->out, "\",\"ph\":\"%s\",\"pid\":%d,\"tid\":%u", phase, pid, tid);
}

static void put_time(struct writer *w, const char *key, uint64_t ns)
{
	fprintf(w->out, ",\"%s\":%llu.%03u", key, (unsigned long long)(ns / 1000), (unsigned int)(ns % 1000));
}

/* A complete event; its arguments and its end are the caller's. */
static void begin_complete(struct writer *w, const char *name, const char *category, int pid, unsigned int tid,
			   uint64_t start, uint64_t end)
{
	begin_event(w, "X", name, category, pid, tid);
	put_time(w, "ts", start - w->trace->began);
	put_time(w, "dur", end - start);
}

/* @phase: "s", "t" or "f" of the arrows of packet @id. */
static void put_flow(struct writer *w, const char *phase, size_t id, int pid, unsigned int tid, uint64_t time)
{
	begin_event(w, phase, "launch", "launch", pid, tid);
	put_time(w, "ts", time - w->trace->began);
	fprintf(w->out, ",\"id\":%zu%s}", id, *phase == 's' ? "" : ",\"bp\":\"e\"");
}

static void put_name(struct writer *w, const char *what, int pid, unsigned int tid, const char *name)
{
	begin_event(w, "M", what, "__metadata", pid, tid);
	fputs(",\"args\":{\"name\":\"", w->out);
	json_put_text(w->out, name, strlen(name));
	fputs("\"}}", w->out);
}

static void put_order(struct writer *w, int pid, unsigned int tid, unsigned int order)
{
	begin_event(w, "M", "thread_sort_index", "__metadata", pid, tid);
	fprintf(w->out, ",\"args\":{\"sort_index\":%u}}", order);
}

/* ---- the host ---- */

static const struct accel_node_stats *node_of(const struct writer *w, uint32_t node)
{
	static const struct accel_node_stats unknown = {.name = "?", .op_type = "?"};

	return node < w->stats->num_nodes ? &w->stats->nodes[node] : &unknown;
}

static void write_host_event(struct writer *w, const struct trace_event *event)
{
	static const struct {
		const char *name, *category;
	} kinds[] = {
		[TRACE_RUN] = {"run", "run"},
		[TRACE_NODE] = {NULL, NULL},
		[TRACE_START] = {"start region", "submit"},
		[TRACE_COPY_IN] = {"copy to the device", "transfer"},
		[TRACE_WAIT] = {"wait for the device", "wait"},
		[TRACE_COPY_OUT] = {"copy from the device", "transfer"},
		[TRACE_ANALYSIS] = {"read the device's records", "profiling"},
	};
	const struct accel_node_stats *node = node_of(w, event->index);
	bool is_node = event->kind == TRACE_NODE;

	begin_complete(w, is_node ? node->name : kinds[event->kind].name,
		       is_node ? node->op_type : kinds[event->kind].category, CPU, 1u + event->thread, event->start,
		       event->end);
	if (event->kind == TRACE_RUN)
		fprintf(w->out, ",\"args\":{\"cycles\":%llu}}", (unsigned long long)w->stats->cycles);
	else if (is_node)
		fprintf(w->out, ",\"args\":{\"node\":%u}}", event->index);
	else if (event->kind == TRACE_COPY_IN || event->kind == TRACE_COPY_OUT)
		fprintf(w->out, ",\"args\":{\"region\":%u,\"bytes\":%llu}}", event->index,
			(unsigned long long)event->bytes);
	else
		fprintf(w->out, ",\"args\":{\"region\":%u}}", event->index);
}

/* By begin; what lies in another event of the same begin is behind it. */
static int by_time(const void *a, const void *b)
{
	const struct trace_event *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	if (x->end != y->end)
		return x->end > y->end ? -1 : 1;
	return (x->kind > y->kind) - (x->kind < y->kind);
}

static int write_host(struct writer *w)
{
	size_t count = w->trace->event_room.count;
	struct trace_event *events = malloc((count + 1) * sizeof(*events));
	unsigned int threads = 0;

	if (!events)
		return -ENOMEM;
	if (count)
		memcpy(events, w->trace->events, count * sizeof(*events));
	qsort(events, count, sizeof(*events), by_time);
	for (size_t i = 0; i < count; i++) {
		write_host_event(w, &events[i]);
		threads = events[i].thread > threads ? events[i].thread : threads;
	}
	free(events);
	put_name(w, "process_name", CPU, 0, "CPU");
	put_name(w, "thread_name", CPU, 1, "thread of the run");
	for (unsigned int thread = 1; thread <= threads; thread++) {
		char name[40];

		snprintf(name, sizeof(name), "thread %u of the pool", thread);
		put_name(w, "thread_name", CPU, 1 + thread, name);
	}
	for (unsigned int thread = 0; thread <= threads; thread++)
		put_order(w, CPU, 1 + thread, thread);
	return 0;
}

/* ---- the device ---- */

/* When @cycle of @packet was. */
static uint64_t time_of(const struct trace_packet *packet, uint64_t cycle)
{
	double share = packet->cycles ? (double)cycle / (double)packet->cycles : 0;
	uint64_t time = packet->start + (uint64_t)((double)(packet->end - packet->start) * share);

	return time < packet->end ? time : packet->end;
}

/* A lane of the pipe's in which nothing is under way at @start; it is taken until @end. MAX_LANES: there is none. */
static unsigned int take_lane(struct writer *w, unsigned int track, uint64_t start, uint64_t end)
{
	unsigned int lane = 0;

	while (lane < w->lanes[track] && w->busy[track][lane] > start)
		lane++;
	if (lane == MAX_LANES)
		return lane;
	w->lanes[track] += lane == w->lanes[track];
	w->busy[track][lane] = end;
	return lane;
}

/* @id: of the packet, for the arrow to its first instruction; 0: it is another. */
static void write_record(struct writer *w, const struct trace_packet *packet, const struct axl_trace_record *record,
			 size_t id)
{
	uint64_t start = time_of(packet, record->begin), end = time_of(packet, record->end);
	const struct accel_node_stats *node = node_of(w, record->tag);
	unsigned int track = (unsigned int)record->tile * AXL_NUM_PIPES + record->pipe, lane, tid;

	lane = track < MAX_TRACKS ? take_lane(w, track, start, end) : MAX_LANES;
	if (lane == MAX_LANES) {
		w->left_out++;
		return;
	}
	tid = 1 + track + lane * LANE_TID;
	begin_complete(w, node->name, node->op_type, DEVICE, tid, start, end);
	fprintf(w->out, ",\"args\":{\"node\":%u,\"cycles\":%llu,\"stalled\":%u}}", record->tag,
		(unsigned long long)(record->end - record->begin), record->stalled);
	if (id)
		put_flow(w, "f", id, DEVICE, tid, start);
}

static void write_packet(struct writer *w, const struct trace_packet *packet, size_t id)
{
	char name[40];

	snprintf(name, sizeof(name), "region %u", packet->region);
	if (packet->start > packet->submitted) {
		begin_event(w, "b", name, "queued", QUEUE, 1);
		put_time(w, "ts", packet->submitted - w->trace->began);
		fprintf(w->out, ",\"id\":%zu}", id);
		begin_event(w, "e", name, "queued", QUEUE, 1);
		put_time(w, "ts", packet->start - w->trace->began);
		fprintf(w->out, ",\"id\":%zu}", id);
	}
	begin_complete(w, name, packet->dropped ? "dropped" : "packet", QUEUE, 1, packet->start, packet->end);
	fprintf(w->out, ",\"args\":{\"region\":%u,\"submitted\":%llu.%03u,\"cycles\":%llu}}", packet->region,
		(unsigned long long)((packet->submitted - w->trace->began) / 1000),
		(unsigned int)((packet->submitted - w->trace->began) % 1000), (unsigned long long)packet->cycles);
	put_flow(w, "s", id, CPU, 1, packet->copied);
	put_flow(w, packet->count ? "t" : "f", id, QUEUE, 1, packet->start);
	for (size_t i = 0; i < packet->count; i++)
		write_record(w, packet, &w->trace->records[packet->first + i], i ? 0 : id);
}

static void name_pipes(struct writer *w)
{
	for (unsigned int track = 0; track < MAX_TRACKS; track++)
		for (unsigned int lane = 0; lane < w->lanes[track]; lane++) {
			char name[64];
			int length = snprintf(name, sizeof(name), "tile %u %s", track / AXL_NUM_PIPES,
					      axl_pipe_text(track % AXL_NUM_PIPES));

			if (lane)
				snprintf(name + length, sizeof(name) - (size_t)length, " (%u)", lane + 1);
			put_name(w, "thread_name", DEVICE, 1 + track + lane * LANE_TID, name);
			put_order(w, DEVICE, 1 + track + lane * LANE_TID, track * MAX_LANES + lane);
		}
}

static void write_device(struct writer *w)
{
	const struct runtime_trace *trace = w->trace;
	char name[300];

	if (!trace->device)
		return;
	for (size_t i = 0; i < trace->packet_room.count; i++)
		write_packet(w, &trace->packets[i], i + 1);
	snprintf(name, sizeof(name), "NPU %.280s", trace->device);
	put_name(w, "process_name", DEVICE, 0, name);
	snprintf(name, sizeof(name), "queue of %.280s", trace->device);
	put_name(w, "process_name", QUEUE, 0, name);
	put_name(w, "thread_name", QUEUE, 1, "packets");
	name_pipes(w);
}

/* ---- the file ---- */

int runtime_trace_write(const struct runtime_trace *trace, const struct accel_run_stats *stats, const char *path)
{
	struct writer w = {.trace = trace, .stats = stats, .out = fopen(path, "w")};
	int err = 0;

	if (!w.out)
		return -errno;
	w.busy = calloc(MAX_TRACKS, sizeof(*w.busy));
	if (!w.busy) {
		fclose(w.out);
		return -ENOMEM;
	}
	fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[", w.out);
	err = write_host(&w);
	write_device(&w);
	fprintf(w.out, "\n],\"otherData\":{\"clock\":\"CLOCK_MONOTONIC\",\"origin_ns\":%llu,\"dropped\":%zu}}\n",
		(unsigned long long)trace->began, trace->dropped + w.left_out);
	if (ferror(w.out) && !err)
		err = -EIO;
	if (fclose(w.out) && !err)
		err = -errno;
	free(w.busy);
	return err;
}
