/* SPDX-License-Identifier: MIT */
/* See compile_report.h. */
#include "runtime/cli/compile_report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/cli/inputs.h"
#include "runtime/cli/json.h"
#include "runtime/cli/report_page.h"
#include "runtime/fail.h"
#include "runtime/value.h"

/* ---- the run ---- */

/* A session reads files; the package becomes one, and is gone again when the session has it. */
static int write_temporary(const struct axm *axm, char *path, size_t size)
{
	const char *folder = getenv("TMPDIR");
	int file, err = 0;

	snprintf(path, size, "%s/accel-report-XXXXXX.axm", folder && *folder ? folder : "/tmp");
	file = mkstemps(path, 4);
	if (file < 0)
		return -errno;
	for (uint64_t at = 0; at < axm->size && !err;) {
		ssize_t written = write(file, axm->bytes + at, axm->size - at);

		if (written < 0)
			err = -errno;
		else
			at += (uint64_t)written;
	}
	if (close(file) && !err)
		err = -errno;
	if (err)
		unlink(path);
	return err;
}

static int run_session(const struct options *options, struct accel_session *session, char *error, size_t size)
{
	size_t num_outputs = accel_session_num_outputs(session);
	const struct accel_value **outputs;
	struct inputs inputs = {0};
	int err = inputs_load(session, options, &inputs);

	if (err) {
		snprintf(error, size, "no inputs");
		return err;
	}
	outputs = calloc(num_outputs + 1, sizeof(*outputs));
	err = outputs ? accel_session_run_values(session, inputs.values, inputs.count, outputs, num_outputs, error,
						 size)
		      : fail(error, size, -ENOMEM, "out of memory");
	free(outputs);
	inputs_finish(&inputs);
	return err;
}

/* Run the package once. Without a run *session is NULL and report->not_run says why. */
static void run_package(struct report *report, struct accel_session **session)
{
	struct accel_session_options session_options = {.trace = true, .threads = report->options->threads};
	char device[64], path[4096], error[512] = "";
	int err;

	*session = NULL;
	if (!report->axm->model->tiles) {
		snprintf(report->not_run, sizeof(report->not_run), "the package has no code for a device");
		return;
	}
	snprintf(device, sizeof(device), "sim:target=%.32s", axm_string(report->axm, report->axm->model->target_name));
	session_options.device = device;
	err = write_temporary(report->axm, path, sizeof(path));
	if (err) {
		snprintf(report->not_run, sizeof(report->not_run), "%.400s: %s", path, strerror(-err));
		return;
	}
	err = accel_session_create(path, &session_options, session, error, sizeof(error));
	unlink(path);
	if (!err)
		err = run_session(report->options, *session, error, sizeof(error));
	if (!err)
		err = accel_session_stats(*session, &report->stats);
	if (err) {
		snprintf(report->not_run, sizeof(report->not_run), "%s", error[0] ? error : strerror(-err));
		accel_session_destroy(*session);
		*session = NULL;
		memset(&report->stats, 0, sizeof(report->stats));
	}
}

/* ---- figures ---- */

static double share(double part, double whole)
{
	return whole > 0 ? part / whole : 0;
}

uint64_t report_node_cycles(const struct report *report, uint32_t node)
{
	return report->stats.num_nodes ? report->stats.nodes[node].cycles : report->axm->nodes[node].cycles;
}

static uint64_t estimated_cycles(const struct axm *axm)
{
	uint64_t cycles = 0;

	for (uint32_t r = 0; r < axm->num_regions; r++)
		cycles += axm->regions[r].cycles;
	return cycles;
}

uint64_t report_cycles(const struct report *report)
{
	return report->stats.num_nodes ? report->stats.cycles : estimated_cycles(report->axm);
}

uint64_t report_bytes(const struct report *report)
{
	uint64_t bytes = 0;

	for (uint32_t n = 0; n < report->axm->num_region_nodes; n++)
		bytes += node_work_bytes(&report->work[n]);
	return bytes;
}

const char *report_node_bound(const struct report *report, uint32_t node)
{
	static const struct {
		enum axl_pipe pipes[3];
		const char *name;
	} units[] = {
		{{AXL_PIPE_MATRIX, AXL_PIPE_SEQ, AXL_PIPE_SEQ}, "matrix"},
		{{AXL_PIPE_DRAIN, AXL_PIPE_SEQ, AXL_PIPE_SEQ}, "drain"},
		{{AXL_PIPE_VECTOR, AXL_PIPE_SEQ, AXL_PIPE_SEQ}, "vector"},
		{{AXL_PIPE_LOAD, AXL_PIPE_WEIGHT, AXL_PIPE_STORE}, "local memory"},
	};
	const struct node_work *work = &report->work[node];
	const char *name = "none";
	double most = 0;

	for (size_t u = 0; u < sizeof(units) / sizeof(units[0]); u++) {
		double busy = 0;

		for (int i = 0; i < 3; i++)
			busy += units[u].pipes[i] == AXL_PIPE_SEQ ? 0 : (double)work->pipe[units[u].pipes[i]];
		if (strcmp(units[u].name, "local memory"))
			busy /= report->axm->model->tiles; /* the channel is one for all tiles */
		if (busy > most) {
			most = busy;
			name = units[u].name;
		}
	}
	return most * 2 < (double)report_node_cycles(report, node) ? "dependence" : name;
}

static void write_totals(const struct report *report, struct json *json)
{
	const struct axm_model *model = report->axm->model;
	const struct roofline *total = &report->total;
	enum roofline_bound bound;
	double r = roofline_cycles(total, &bound);
	uint64_t bytes = report_bytes(report), cycles = report_cycles(report);
	char from[300];

	json_text(json, "target", axm_string(report->axm, model->target_name));
	snprintf(from, sizeof(from), "a run on %s", report->ran_on);
	json_text(json, "cycles_from", report->stats.num_nodes ? from : "the compiler's estimate");
	if (!report->stats.num_nodes)
		json_text(json, "not_run", report->not_run);
	json_unsigned(json, "cycles", cycles);
	json_unsigned(json, "estimated_cycles", estimated_cycles(report->axm));
	json_object(json, "roofline");
	json_number(json, "cycles", r);
	json_text(json, "bound", roofline_bound_name(bound));
	json_number(json, "share", share(r, (double)cycles));
	json_unsigned(json, "macs", total->macs);
	json_number(json, "matrix_cycles", total->cycles[ROOFLINE_MATRIX]);
	json_unsigned(json, "vector_ops", total->vector_ops);
	json_number(json, "vector_cycles", total->cycles[ROOFLINE_VECTOR]);
	json_unsigned(json, "compulsory_bytes", total->bytes);
	json_number(json, "memory_cycles", total->cycles[ROOFLINE_MEMORY]);
	json_number(json, "in_order_cycles", report->in_order);
	json_number(json, "in_order_share", share(report->in_order, (double)cycles));
	json_close(json);
	json_number(json, "mac_utilisation", share(total->cycles[ROOFLINE_MATRIX], (double)cycles));
	json_unsigned(json, "bytes_moved", bytes);
	json_number(json, "traffic", share((double)bytes, (double)total->bytes));
}

/* What the run showed of a region. */
static void write_run(const struct accel_region_stats *stats, struct json *json)
{
	json_unsigned(json, "cycles", stats->cycles);
	json_unsigned(json, "yields", stats->yields);
	json_unsigned(json, "yield_distance", stats->yield_distance);
	json_unsigned(json, "preempt_latency", stats->preempt_latency);
}

static void write_region(const struct report *report, uint32_t r, struct json *json)
{
	const struct axm_region *region = &report->axm->regions[r];

	json_object(json, NULL);
	json_text(json, "on", region->device ? "npu" : "cpu");
	json_unsigned(json, "first_node", region->first_node);
	json_unsigned(json, "nodes", region->num_nodes);
	if (region->device) {
		json_unsigned(json, "estimated_cycles", region->cycles);
		if (report->stats.num_nodes)
			write_run(&report->stats.regions[r], json);
		json_unsigned(json, "code_bytes", region->code_bytes);
		json_unsigned(json, "weight_bytes", region->weight_bytes);
		json_unsigned(json, "arena_bytes", region->arena_bytes);
		json_unsigned(json, "arena_live_bytes", region->arena_bound);
		json_unsigned(json, "spad_bytes", region->spad_bytes);
		json_unsigned(json, "spad_live_bytes", region->spad_bound);
	}
	json_close(json);
}

/* The gap between R and the cycles, by cause; the shares add up to 1. */
static void write_ledger(const struct report *report, struct json *json)
{
	const struct accel_run_stats *stats = &report->stats;
	double gap = (double)stats->cycles - stats->roofline_cycles;

	if (!stats->num_nodes || !stats->has_ledger)
		return;
	json_object(json, "ledger");
	json_number(json, "gap", gap);
	json_array(json, "causes");
	for (int cause = 0; cause < ACCEL_NUM_CAUSES; cause++) {
		if (stats->causes[cause] == 0)
			continue;
		json_object(json, NULL);
		json_text(json, "cause", accel_cause_name((enum accel_cause)cause));
		json_number(json, "cycles", stats->causes[cause]);
		json_number(json, "share", share(stats->causes[cause], gap));
		json_close(json);
	}
	json_close(json);
	json_close(json);
}

static void write_node(const struct report *report, uint32_t node, struct json *json)
{
	const struct axm *axm = report->axm;
	const struct axm_node *from = &axm->nodes[node];
	const struct node_work *work = &report->work[node];
	bool device = axm->regions[from->region].device, ran = report->stats.num_nodes;
	uint64_t cycles = report_node_cycles(report, node);
	struct roofline roofline;
	enum roofline_bound bound;

	json_object(json, NULL);
	json_text(json, "name", axm_string(axm, from->name));
	json_text(json, "op_type", axm_string(axm, from->op_type));
	json_text(json, "origin", axm_string(axm, from->origin));
	json_unsigned(json, "region", from->region);
	json_text(json, "on", device ? "npu" : "cpu");
	if (!device)
		json_text(json, "reason", axm_string(axm, from->reason));
	if (device) {
		roofline_of_node(axm, node, &roofline);
		json_unsigned(json, "macs", roofline.macs);
		json_unsigned(json, "vector_ops", roofline.vector_ops);
		json_unsigned(json, "compulsory_bytes", roofline.bytes);
		json_unsigned(json, "operand_bytes", roofline.operand_bytes);
		json_unsigned(json, "bytes_moved", node_work_bytes(work));
		json_number(json, "roofline_cycles", roofline_cycles(&roofline, &bound));
		json_text(json, "roofline_bound", roofline_bound_name(bound));
		json_unsigned(json, "estimated_cycles", from->cycles);
		if (ran)
			json_unsigned(json, "cycles", cycles);
		json_number(json, "mac_utilisation", share(roofline.cycles[ROOFLINE_MATRIX], (double)cycles));
		json_text(json, "bound", report_node_bound(report, node));
	}
	json_close(json);
}

static int write_json(const struct report *report, FILE *file)
{
	struct json json;

	json_begin(&json, file);
	json_text(&json, "model", report->options->model);
	json_text(&json, "precision", report->options->precision);
	write_totals(report, &json);
	write_ledger(report, &json);
	json_array(&json, "nodes");
	for (uint32_t n = 0; n < report->axm->num_region_nodes; n++)
		write_node(report, n, &json);
	json_close(&json);
	json_array(&json, "regions");
	for (uint32_t r = 0; r < report->axm->num_regions; r++)
		write_region(report, r, &json);
	json_close(&json);
	return json_end(&json);
}

/* ---- the whole ---- */

/* What is known without a run. -ENOMEM after a complaint. */
static int prepare(struct report *report)
{
	const struct axm *axm = report->axm;

	report->work = calloc(axm->num_region_nodes + 1, sizeof(*report->work));
	if (!report->work)
		return complain(-ENOMEM, "out of memory");
	for (uint32_t r = 0; r < axm->num_regions; r++)
		if (axm->regions[r].device)
			node_work_of_region(axm, r, &report->work[axm->regions[r].first_node]);
	roofline_of_package(axm, &report->total);
	report->in_order = in_order_of_package(axm);
	return 0;
}

bool report_is_page(const char *path)
{
	size_t length = strlen(path);

	return length > 5 && !strcmp(path + length - 5, ".html");
}

/* Into @file, which is at @path and gets closed. */
static int write_report(const struct report *report, FILE *file, const char *path)
{
	int err = report_is_page(path) ? report_page(report, file) : write_json(report, file);

	if (fclose(file) || err)
		return complain(EXIT_USAGE, "%s: can not be written", path);
	return EXIT_GOOD;
}

static FILE *open_report(const char *path)
{
	FILE *file = fopen(path, "w");

	if (!file)
		complain(0, "%s: %s", path, strerror(errno));
	return file;
}

int compile_report(const struct options *options, const struct package_input *input)
{
	struct report report = {.options = options, .axm = &input->axm, .ran_on = "the in-process device"};
	struct accel_session *session = NULL;
	FILE *file = open_report(options->report); /* before the run, which may take long */
	int code;

	if (!file)
		return EXIT_USAGE;
	if (prepare(&report)) {
		fclose(file);
		return EXIT_USAGE;
	}
	run_package(&report, &session);
	code = write_report(&report, file, options->report);
	accel_session_destroy(session);
	free(report.work);
	return code;
}

int run_report(const struct options *options, const struct axm *axm, const struct accel_run_stats *stats,
	       const char *path)
{
	struct report report = {.options = options, .axm = axm, .ran_on = options->device};
	FILE *file = open_report(path);
	int code;

	if (!file)
		return EXIT_USAGE;
	if (prepare(&report)) {
		fclose(file);
		return EXIT_USAGE;
	}
	if (axm->model->tiles)
		report.stats = *stats;
	else
		snprintf(report.not_run, sizeof(report.not_run), "the package has no code for a device");
	code = write_report(&report, file, path);
	free(report.work);
	return code;
}
