/* SPDX-License-Identifier: MIT */
/* Traces: what was recorded by hand, written and read back: tracks, times, arrows, names, and what was lost. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <json-c/json.h>

#include <axl/axl_isa.h>

#include "runtime/trace.h"
#include "tests/unit/runtime/trace_file.h"

#define BEGAN UINT64_C(5000000000123)

static const struct accel_node_stats nodes[] = {
	{.name = "first \"\\\n\xc3\xa9\xff", .op_type = "Conv"},
	{.name = "second", .op_type = "Relu"},
};
static const struct accel_run_stats stats = {.num_nodes = 2, .nodes = nodes, .cycles = 1000};

/* Written and read back; the caller's. */
static struct json_object *read_back(const struct runtime_trace *trace)
{
	char path[] = "/tmp/axl_trace_XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(runtime_trace_write(trace, &stats, path), 0);
	return trace_file_read(path);
}

static void assert_event(struct json_object *event, int pid, int tid, int64_t ts, int64_t dur)
{
	assert_non_null(event);
	assert_int_equal(json_object_get_int(trace_file_member(event, "pid")), pid);
	assert_int_equal(json_object_get_int(trace_file_member(event, "tid")), tid);
	assert_int_equal(trace_file_time(event, "ts"), ts);
	assert_int_equal(trace_file_time(event, "dur"), dur);
}

static uint64_t dropped(struct json_object *root)
{
	return (uint64_t)json_object_get_int64(trace_file_member(trace_file_member(root, "otherData"), "dropped"));
}

/* A node, a worker beside it, a packet with two transfers under way at once and a product behind the first. */
static void record(struct runtime_trace *trace)
{
	static const struct axl_trace_record records[] = {
		{.begin = 0, .end = 400, .tag = 0, .tile = 1, .pipe = AXL_PIPE_LOAD},
		{.begin = 100, .end = 500, .tag = 0, .tile = 1, .pipe = AXL_PIPE_LOAD},
		{.begin = 400, .end = 1000, .tag = 1, .tile = 1, .pipe = AXL_PIPE_MATRIX},
		{.begin = 400, .end = 600, .tag = 1, .tile = 1, .pipe = AXL_PIPE_LOAD},
	};
	const struct axl_exec_stats exec = {.start = 7000, .end = 8000, .trace_records = 4};

	runtime_trace_begin(trace, "sim:", BEGAN);
	runtime_trace_node_begins(trace, 0);
	runtime_trace_worker(trace, 2, BEGAN + 1100, BEGAN + 1900);
	runtime_trace_node(trace, 0, BEGAN + 1000, BEGAN + 2000);
	runtime_trace_submit(trace, 1, 256, BEGAN + 2000, BEGAN + 2500, BEGAN + 3000);
	runtime_trace_wait(trace, 1, BEGAN + 3100, BEGAN + 13000);
	runtime_trace_complete(trace, 1, &exec, records, 40, BEGAN + 13000, BEGAN + 13400);
	runtime_trace_analysis(trace, 1, BEGAN + 13400, BEGAN + 14000);
	runtime_trace_end(trace, BEGAN + 15000);
}

static void what_was_recorded_is_there(void **state)
{
	struct runtime_trace *trace;
	struct json_object *root, *event;

	(void)state;
	assert_int_equal(runtime_trace_create(2, &trace), 0);
	record(trace);
	root = read_back(trace);
	assert_int_equal(dropped(root), 0);
	assert_int_equal(json_object_get_int64(trace_file_member(trace_file_member(root, "otherData"), "origin_ns")),
			 BEGAN);
	assert_event(trace_file_event(root, "X", "run", 0), 1, 1, 0, 15000);
	/* The name as it is; the byte that is no character by its number. */
	assert_event(trace_file_event(root, "X", "first \"\\\n\xc3\xa9\xc3\xbf", 0), 1, 1, 1000, 1000);
	assert_event(trace_file_event(root, "X", "first \"\\\n\xc3\xa9\xc3\xbf", 1), 1, 3, 1100, 800);
	assert_event(trace_file_event(root, "X", "start region", 0), 1, 1, 2000, 1000);
	event = trace_file_event(root, "X", "copy to the device", 0);
	assert_event(event, 1, 1, 2000, 500);
	assert_int_equal(json_object_get_int(trace_file_member(trace_file_member(event, "args"), "bytes")), 256);
	assert_event(trace_file_event(root, "X", "wait for the device", 0), 1, 1, 3100, 9900);
	event = trace_file_event(root, "X", "copy from the device", 0);
	assert_event(event, 1, 1, 13000, 400);
	assert_int_equal(json_object_get_int(trace_file_member(trace_file_member(event, "args"), "bytes")), 40);
	assert_event(trace_file_event(root, "X", "read the device's records", 0), 1, 1, 13400, 600);
	event = trace_file_event(root, "X", "region 1", 0);
	assert_event(event, 3, 1, 3000, 10000);
	assert_int_equal(json_object_get_int(trace_file_member(trace_file_member(event, "args"), "cycles")), 1000);
	/* It did not wait in the queue. */
	assert_null(trace_file_event(root, "b", "region 1", 0));
	json_object_put(root);
	runtime_trace_destroy(trace);
}

/* 1000 cycles in 10 us; what is under way at the same time in one pipe has a track of its own, what comes behind it has the first again. */
static void instructions_of_a_track_do_not_overlap(void **state)
{
	const int load = 1 + AXL_NUM_PIPES + AXL_PIPE_LOAD, matrix = 1 + AXL_NUM_PIPES + AXL_PIPE_MATRIX;
	struct runtime_trace *trace;
	struct json_object *root;

	(void)state;
	assert_int_equal(runtime_trace_create(2, &trace), 0);
	record(trace);
	root = read_back(trace);
	assert_event(trace_file_event(root, "X", "first \"\\\n\xc3\xa9\xc3\xbf", 2), 2, load, 3000, 4000);
	assert_event(trace_file_event(root, "X", "first \"\\\n\xc3\xa9\xc3\xbf", 3), 2, load + 4096, 4000, 4000);
	assert_event(trace_file_event(root, "X", "second", 0), 2, matrix, 7000, 6000);
	assert_event(trace_file_event(root, "X", "second", 1), 2, load, 7000, 2000);
	json_object_put(root);
	runtime_trace_destroy(trace);
}

static void arrows_lead_from_the_submission_to_the_first_instruction(void **state)
{
	static const struct {
		const char *phase;
		int pid;
		int64_t ts;
	} steps[] = {{"s", 1, 2500}, {"t", 3, 3000}, {"f", 2, 3000}};
	struct runtime_trace *trace;
	struct json_object *root;

	(void)state;
	assert_int_equal(runtime_trace_create(2, &trace), 0);
	record(trace);
	root = read_back(trace);
	for (int i = 0; i < 3; i++) {
		struct json_object *step = trace_file_event(root, steps[i].phase, "launch", 0);

		assert_non_null(step);
		assert_int_equal(json_object_get_int(trace_file_member(step, "pid")), steps[i].pid);
		assert_int_equal(trace_file_time(step, "ts"), steps[i].ts);
		assert_int_equal(json_object_get_int(trace_file_member(step, "id")), 1);
		assert_null(trace_file_event(root, steps[i].phase, "launch", 1));
	}
	json_object_put(root);
	runtime_trace_destroy(trace);
}

/* The second packet waits for the first; a packet that is started again was dropped. */
static void packets_of_a_queue_run_one_after_another(void **state)
{
	const struct axl_exec_stats exec = {.start = 0, .end = 10};
	struct runtime_trace *trace;
	struct json_object *root;

	(void)state;
	assert_int_equal(runtime_trace_create(2, &trace), 0);
	runtime_trace_begin(trace, "sim:", BEGAN);
	runtime_trace_submit(trace, 0, 0, BEGAN, BEGAN + 10, BEGAN + 100);
	runtime_trace_submit(trace, 1, 0, BEGAN + 100, BEGAN + 110, BEGAN + 200);
	runtime_trace_submit(trace, 0, 0, BEGAN + 1000, BEGAN + 1010, BEGAN + 1100);
	runtime_trace_submit(trace, 1, 0, BEGAN + 1100, BEGAN + 1110, BEGAN + 1200);
	runtime_trace_complete(trace, 0, &exec, NULL, 0, BEGAN + 2000, BEGAN + 2000);
	runtime_trace_complete(trace, 1, &exec, NULL, 0, BEGAN + 3000, BEGAN + 3000);
	runtime_trace_end(trace, BEGAN + 4000);
	root = read_back(trace);
	assert_event(trace_file_event(root, "X", "region 0", 0), 3, 1, 100, 900);
	assert_string_equal(trace_file_text(trace_file_event(root, "X", "region 0", 0), "cat"), "dropped");
	assert_event(trace_file_event(root, "X", "region 1", 0), 3, 1, 1000, 100);
	assert_string_equal(trace_file_text(trace_file_event(root, "X", "region 1", 0), "cat"), "dropped");
	assert_event(trace_file_event(root, "X", "region 0", 1), 3, 1, 1100, 900);
	assert_event(trace_file_event(root, "X", "region 1", 1), 3, 1, 2000, 1000);
	assert_string_equal(trace_file_text(trace_file_event(root, "X", "region 1", 1), "cat"), "packet");
	assert_int_equal(trace_file_time(trace_file_event(root, "b", "region 1", 1), "ts"), 1200);
	assert_int_equal(trace_file_time(trace_file_event(root, "e", "region 1", 1), "ts"), 2000);
	/* Without instructions the arrow ends at the packet. */
	assert_null(trace_file_event(root, "t", "launch", 0));
	assert_non_null(trace_file_event(root, "f", "launch", 3));
	json_object_put(root);
	runtime_trace_destroy(trace);
}

static void a_run_forgets_the_one_before_and_a_copy_does_not(void **state)
{
	struct runtime_trace *trace, *copy;
	struct json_object *root;
	size_t count;

	(void)state;
	assert_int_equal(runtime_trace_create(2, &trace), 0);
	assert_int_equal(runtime_trace_create(0, &copy), 0);
	record(trace);
	assert_non_null(runtime_trace_records(trace, 1, &count));
	assert_int_equal(count, 4);
	assert_null(runtime_trace_records(trace, 0, &count));
	assert_int_equal(runtime_trace_copy(copy, trace), 0);
	runtime_trace_begin(trace, NULL, BEGAN + 100000);
	runtime_trace_end(trace, BEGAN + 100500);
	assert_null(runtime_trace_records(trace, 1, &count));
	root = read_back(trace);
	assert_event(trace_file_event(root, "X", "run", 0), 1, 1, 0, 500);
	assert_null(trace_file_event(root, "X", "region 1", 0));
	/* Nothing of a device, nor its name. */
	assert_null(trace_file_event(root, "M", "process_name", 1));
	json_object_put(root);
	runtime_trace_destroy(trace);
	root = read_back(copy);
	assert_event(trace_file_event(root, "X", "region 1", 0), 3, 1, 3000, 10000);
	assert_non_null(trace_file_event(root, "M", "process_name", 2));
	json_object_put(root);
	runtime_trace_destroy(copy);
}

/* What the device could not record, and a tile that the format has no track for. */
static void what_is_lost_is_counted(void **state)
{
	static const struct axl_trace_record record = {.end = 10, .tile = 200};
	const struct axl_exec_stats exec = {.end = 10, .trace_records = 1, .trace_dropped = 5};
	struct runtime_trace *trace;
	struct json_object *root;
	size_t count;

	(void)state;
	assert_int_equal(runtime_trace_create(1, &trace), 0);
	runtime_trace_begin(trace, "sim:", BEGAN);
	runtime_trace_submit(trace, 0, 0, BEGAN, BEGAN, BEGAN);
	runtime_trace_complete(trace, 0, &exec, &record, 0, BEGAN + 10, BEGAN + 10);
	runtime_trace_end(trace, BEGAN + 20);
	assert_null(runtime_trace_records(trace, 0, &count));
	root = read_back(trace);
	assert_int_equal(dropped(root), 6);
	json_object_put(root);
	assert_int_equal(runtime_trace_write(trace, &stats, "/nonexistent/trace.json"), -ENOENT);
	runtime_trace_destroy(trace);
	/* Nobody traces. */
	runtime_trace_begin(NULL, NULL, 0);
	runtime_trace_node(NULL, 0, 0, 1);
	runtime_trace_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_recorded_is_there),
		cmocka_unit_test(instructions_of_a_track_do_not_overlap),
		cmocka_unit_test(arrows_lead_from_the_submission_to_the_first_instruction),
		cmocka_unit_test(packets_of_a_queue_run_one_after_another),
		cmocka_unit_test(a_run_forgets_the_one_before_and_a_copy_does_not),
		cmocka_unit_test(what_is_lost_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
