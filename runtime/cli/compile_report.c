/* SPDX-License-Identifier: MIT */
/* See compile_report.h. */
#include "runtime/cli/compile_report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/cli/inputs.h"
#include "runtime/cli/progress.h"
#include "runtime/cli/report_json.h"
#include "runtime/cli/report_page.h"
#include "runtime/fail.h"
#include "runtime/session.h"
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

uint64_t report_node_cycles(const struct report *report, uint32_t node)
{
	return report->stats.num_nodes ? report->stats.nodes[node].cycles : report->axm->nodes[node].cycles;
}

uint64_t report_estimate(const struct axm *axm)
{
	uint64_t cycles = 0;

	for (uint32_t r = 0; r < axm->num_regions; r++)
		cycles += axm->regions[r].cycles;
	return cycles;
}

uint64_t report_cycles(const struct report *report)
{
	return report->stats.num_nodes ? report->stats.cycles : report_estimate(report->axm);
}

uint64_t report_bytes(const struct report *report)
{
	uint64_t bytes = 0;

	for (uint32_t n = 0; n < report->axm->num_region_nodes; n++)
		bytes += node_work_bytes(&report->work[n]);
	return bytes;
}

uint32_t report_region(const struct report *report)
{
	const struct axm *axm = report->axm;
	uint32_t largest = axm->num_regions;

	for (uint32_t r = 0; r < axm->num_regions; r++)
		if (axm->regions[r].device &&
		    (largest == axm->num_regions || axm->regions[r].cycles > axm->regions[largest].cycles))
			largest = r;
	return largest;
}

/* Whether @id is one of a list of values. */
static bool in_list(const struct axm *axm, uint32_t first, uint32_t count, uint32_t id)
{
	for (uint32_t i = 0; i < count; i++)
		if (axm->ids[first + i] == id)
			return true;
	return false;
}

/* Bytes of what region @region gets for @node, which is the first of it to read them, or gives away of @node's. */
static uint64_t border_bytes(const struct axm *axm, const struct axm_region *region, uint32_t node)
{
	const struct axm_node *from = &axm->nodes[node];
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < from->num_inputs; i++) {
		uint32_t id = axm->ids[from->inputs_first + i], reader = region->first_node;

		if (!in_list(axm, region->inputs_first, region->num_inputs, id) ||
		    in_list(axm, from->inputs_first, i, id))
			continue;
		while (!in_list(axm, axm->nodes[reader].inputs_first, axm->nodes[reader].num_inputs, id))
			reader++;
		bytes += reader == node ? axm_value_bytes(&axm->values[id]) : 0;
	}
	for (uint32_t i = 0; i < from->num_outputs; i++) {
		uint32_t id = axm->ids[from->outputs_first + i];

		if (in_list(axm, region->outputs_first, region->num_outputs, id))
			bytes += axm_value_bytes(&axm->values[id]);
	}
	return bytes;
}

double report_pcie_cycles(const struct report *report, uint32_t first, uint32_t count)
{
	const struct axm *axm = report->axm;
	uint64_t bytes = 0;

	for (uint32_t n = first; n < first + count; n++)
		if (axm->regions[axm->nodes[n].region].device)
			bytes += border_bytes(axm, &axm->regions[axm->nodes[n].region], n);
	return axm->model->host_rate ? (double)bytes / axm->model->host_rate : 0;
}

const char *report_bound(const struct report *report, uint32_t first, uint32_t count)
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
	const char *name = "none";
	uint64_t cycles = 0;
	double most = 0;

	for (uint32_t n = first; n < first + count; n++)
		cycles += report_node_cycles(report, n);
	for (size_t u = 0; u < sizeof(units) / sizeof(units[0]); u++) {
		double busy = 0;

		for (uint32_t n = first; n < first + count; n++)
			for (int i = 0; i < 3; i++)
				busy += units[u].pipes[i] == AXL_PIPE_SEQ
						? 0
						: (double)report->work[n].pipe[units[u].pipes[i]];
		if (strcmp(units[u].name, "local memory"))
			busy /= report->axm->model->tiles; /* the channel is one for all tiles */
		if (busy > most) {
			most = busy;
			name = units[u].name;
		}
	}
	if (report_pcie_cycles(report, first, count) > (double)cycles)
		return "PCIe";
	return most * 2 < (double)cycles ? "dependence" : name;
}

const char *report_tiles_share(const struct axm *axm, const struct axm_tiling *tiling)
{
	if (tiling->flags & AXM_TILING_CUT)
		return "parts";
	if (axm->model->tiles == 1)
		return "-";
	return tiling->flags & AXM_TILING_SPLIT_ROWS ? "rows" : "channels";
}

const char *report_why_lost(const struct axm_tiling *taken, const struct axm_tiling *other)
{
	/* Within a 64th the search holds cycles for equal. */
	if (other->cycles > taken->cycles + taken->cycles / 64)
		return "slower";
	if (other->bytes > taken->bytes)
		return "as fast, moves more bytes";
	return "no better";
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
	int err = report_is_page(path) ? report_page(report, file) : report_write_json(report, file);

	if (fclose(file) || err)
		return complain(EXIT_USAGE, "%s: can not be written", path);
	return EXIT_GOOD;
}

/* Before the run, which may take long. NULL after a complaint. */
static FILE *open_report(struct report *report, const char *path)
{
	FILE *file = fopen(path, "w");

	if (!file) {
		complain(0, "%s: %s", path, strerror(errno));
	} else if (prepare(report)) {
		fclose(file);
		file = NULL;
	}
	return file;
}

int compile_report(const struct options *options, const struct package_input *input)
{
	struct report report = {.options = options, .axm = &input->axm, .ran_on = "the in-process device"};
	struct accel_session *session = NULL;
	struct progress *progress;
	FILE *file = open_report(&report, options->report);
	int code;

	if (!file)
		return EXIT_USAGE;
	progress = progress_of(options, "running");
	run_package(&report, &session);
	report.session = session;
	progress_stop(progress);
	code = write_report(&report, file, options->report);
	accel_session_destroy(session);
	free(report.work);
	return code;
}

int run_report(const struct options *options, const struct accel_session *session, const struct accel_run_stats *stats,
	       const char *path)
{
	struct report report = {.options = options, .axm = session_package(session), .ran_on = options->device};
	FILE *file = open_report(&report, path);
	int code;

	if (!file)
		return EXIT_USAGE;
	if (report.axm->model->tiles) {
		report.stats = *stats;
		report.session = session;
	} else {
		snprintf(report.not_run, sizeof(report.not_run), "the package has no code for a device");
	}
	code = write_report(&report, file, path);
	free(report.work);
	return code;
}
