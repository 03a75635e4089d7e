/* SPDX-License-Identifier: MIT */
/* See trace.h. */
#include "runtime/trace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <axl/axl_isa.h>

/* One complete event. Names belong to the session's package. @lane: 0 the CPU, else 1 + tile * AXL_NUM_PIPES + pipe. */
struct event {
	const char *name, *detail;
	double start_us, duration_us;
	uint64_t cycles;
	unsigned int lane;
};

struct runtime_trace {
	struct event *events;
	size_t count, capacity, dropped;
};

static const char *const pipe_names[AXL_NUM_PIPES] = {
#define PIPE_NAME(name, number, text) [number] = text,
	AXL_PIPES(PIPE_NAME)
#undef PIPE_NAME
};

int runtime_trace_create(struct runtime_trace **trace)
{
	*trace = calloc(1, sizeof(**trace));
	return *trace ? 0 : -ENOMEM;
}

void runtime_trace_destroy(struct runtime_trace *trace)
{
	if (trace)
		free(trace->events);
	free(trace);
}

void runtime_trace_reset(struct runtime_trace *trace)
{
	if (trace)
		trace->count = trace->dropped = 0;
}

static void add(struct runtime_trace *trace, const struct event *event)
{
	if (trace->count == trace->capacity) {
		size_t capacity = trace->capacity * 2 + 1024;
		struct event *grown = realloc(trace->events, capacity * sizeof(*grown));

		if (!grown) {
			trace->dropped++;
			return;
		}
		trace->events = grown;
		trace->capacity = capacity;
	}
	trace->events[trace->count++] = *event;
}

void runtime_trace_cpu(struct runtime_trace *trace, const char *name, const char *op_type, uint64_t start, uint64_t end)
{
	struct event event = {name, op_type, (double)start / 1e3, (double)(end - start) / 1e3, 0, 0};

	if (trace)
		add(trace, &event);
}

void runtime_trace_device(struct runtime_trace *trace, const struct axm *axm, uint64_t start, uint64_t end,
			  uint64_t cycles, const struct axl_trace_record *records, size_t count)
{
	double scale = cycles ? (double)(end - start) / 1e3 / (double)cycles : 0;

	for (size_t i = 0; trace && i < count; i++) {
		const struct axl_trace_record *record = &records[i];
		bool known = record->tag < axm->num_nodes;
		struct event event = {
			.name = known ? axm_string(axm, axm->nodes[record->tag].name) : "",
			.detail = known ? axm_string(axm, axm->nodes[record->tag].op_type) : "",
			.start_us = (double)start / 1e3 + (double)record->begin * scale,
			.duration_us = (double)(record->end - record->begin) * scale,
			.cycles = record->end - record->begin,
			.lane = 1u + record->tile * AXL_NUM_PIPES + record->pipe,
		};

		add(trace, &event);
	}
}

static void put_text(FILE *out, const char *text)
{
	for (; *text; text++)
		if (*text == '"' || *text == '\\' || (unsigned char)*text < 0x20 || (unsigned char)*text >= 0x7f)
			fprintf(out, "\\u%04x", (unsigned char)*text);
		else
			fputc(*text, out);
}

static void write_event(FILE *out, const struct event *event, double origin)
{
	fputs("{\"ph\":\"X\",\"name\":\"", out);
	put_text(out, event->name);
	fputs("\",\"cat\":\"", out);
	put_text(out, event->detail);
	fprintf(out, "\",\"pid\":%d,\"tid\":%u,\"ts\":%.3f,\"dur\":%.3f", event->lane ? 2 : 1, event->lane,
		event->start_us - origin, event->duration_us);
	if (event->lane)
		fprintf(out, ",\"args\":{\"cycles\":%llu}", (unsigned long long)event->cycles);
	fputs("},\n", out);
}

int runtime_trace_write(const struct runtime_trace *trace, const char *path)
{
	FILE *out = fopen(path, "w");
	double origin = trace->count ? trace->events[0].start_us : 0;
	bool used[1 + 256 * AXL_NUM_PIPES] = {false};
	int err = 0;

	if (!out)
		return -errno;
	for (size_t i = 0; i < trace->count; i++) {
		origin = trace->events[i].start_us < origin ? trace->events[i].start_us : origin;
		used[trace->events[i].lane] = true;
	}
	fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n", out);
	for (size_t i = 0; i < trace->count; i++)
		write_event(out, &trace->events[i], origin);
	for (unsigned int lane = 1; lane < sizeof(used); lane++)
		if (used[lane])
			fprintf(out,
				"{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":2,\"tid\":%u,\"args\":{\"name\":\"tile "
				"%u %s\"}},\n",
				lane, (lane - 1) / AXL_NUM_PIPES, pipe_names[(lane - 1) % AXL_NUM_PIPES]);
	fprintf(out,
		"{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":1,\"args\":{\"name\":\"CPU\"}},\n"
		"{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":2,\"args\":{\"name\":\"NPU\"}}\n],\"otherData\":{"
		"\"dropped\":%zu}}\n",
		trace->dropped);
	if (ferror(out))
		err = -EIO;
	if (fclose(out) && !err)
		err = -errno;
	return err;
}
