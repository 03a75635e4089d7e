/* SPDX-License-Identifier: MIT */
/*
 * See report_page.h. Both drawings have time from left to right. Of the scratchpad a cell is a slice of addresses in a slice of
 * time: it has the colour of the node whose bytes were written there last, as long as somebody still reads them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <axl/axl_disasm.h>

#include "runtime/cli/report_page.h"
#include "runtime/cli/report_timeline.h"
#include "runtime/cli/scratchpad_map.h"

enum { COLUMNS = 400, CELL_W = 2, CELL_H = 3, LANE_H = 14, LEFT = 70, WIDTH = LEFT + COLUMNS * CELL_W, FOOT = 14 };

/* @busy: cycles by lane and column; @tiles: that have code */
struct drawing {
	const struct report *report;
	uint32_t region;
	const struct timeline *timeline;
	unsigned int tiles;
	FILE *out;
};

static const char *node_name(const struct drawing *d, uint32_t node)
{
	return axm_string(d->report->axm, d->report->axm->nodes[node].name);
}

static uint64_t column_of(const struct drawing *d, uint64_t cycle)
{
	uint64_t column = cycle * COLUMNS / (d->timeline->cycles ? d->timeline->cycles : 1);

	return column < COLUMNS ? column : COLUMNS - 1;
}

/* ---- pipes ---- */

/* Cycles of @record that fall into each column, added to @busy. */
static void add_busy(const struct drawing *d, const struct axl_trace_record *record, double *busy)
{
	double cycle = (double)d->timeline->cycles / COLUMNS;

	for (uint64_t c = column_of(d, record->begin); c <= column_of(d, record->end); c++) {
		double from = (double)c * cycle, to = from + cycle;

		from = (double)record->begin > from ? (double)record->begin : from;
		to = (double)record->end < to ? (double)record->end : to;
		busy[c] += to > from ? (to - from) / cycle : 0;
	}
}

static void draw_lane(const struct drawing *d, unsigned int tile, unsigned int pipe, const char *name, unsigned int y)
{
	double busy[COLUMNS] = {0};

	for (size_t i = 0; i < d->timeline->count; i++)
		if (d->timeline->records[i].tile == tile && d->timeline->records[i].pipe == pipe)
			add_busy(d, &d->timeline->records[i], busy);
	fprintf(d->out, "<text x=\"%d\" y=\"%u\" text-anchor=\"end\">%u %s</text>", LEFT - 6, y + LANE_H - 4, tile,
		name);
	for (int c = 0; c < COLUMNS; c++)
		if (busy[c] > 0.005)
			fprintf(d->out,
				"<rect x=\"%d\" y=\"%u\" width=\"%d\" height=\"%d\" "
				"fill-opacity=\"%.2f\"/>",
				LEFT + c * CELL_W, y, CELL_W, LANE_H - 2, busy[c] > 1 ? 1 : busy[c]);
}

/* Cycles along the lower edge of a drawing of @height. */
static void draw_time(const struct drawing *d, unsigned int height)
{
	for (unsigned int i = 0; i <= 4; i++)
		fprintf(d->out, "<text x=\"%d\" y=\"%u\" text-anchor=\"%s\">%" PRIu64 "</text>",
			LEFT + (int)i * COLUMNS * CELL_W / 4, height + FOOT - 4,
			i == 0   ? "start"
			: i == 4 ? "end"
				 : "middle",
			d->timeline->cycles * i / 4);
}

static void draw_pipes(const struct drawing *d)
{
	unsigned int lanes = d->tiles * (AXL_NUM_PIPES - AXL_PIPE_LOAD), y = 0;

	fprintf(d->out,
		"<h2>Pipes over time</h2><p>A row is a pipe of a tile, from the first cycle to cycle %" PRIu64
		"; the stronger its colour, the more of the time an instruction was in it (of transfers: under "
		"way).</p>"
		"<svg class=\"busy\" viewBox=\"0 0 %d %u\" role=\"img\">",
		d->timeline->cycles, WIDTH, lanes * LANE_H + FOOT);
	for (unsigned int tile = 0; tile < d->tiles; tile++)
		for (unsigned int pipe = AXL_PIPE_LOAD; pipe < AXL_NUM_PIPES; pipe++, y += LANE_H)
			draw_lane(d, tile, pipe, axl_pipe_text(pipe), y);
	draw_time(d, y);
	fputs("</svg>\n", d->out);
}

/* ---- the scratchpad of tile 0 ---- */

static void draw_use(void *context, const struct scratchpad_use *use)
{
	const struct drawing *d = context;
	uint64_t first = column_of(d, use->from), last = column_of(d, use->to);

	fprintf(d->out, "<rect x=\"%" PRIu64 "\" y=\"%u\" width=\"%" PRIu64 "\" height=\"%d\" fill=\"%s\"><title>",
		LEFT + first * CELL_W, use->slice * CELL_H, (last - first + 1) * CELL_W, CELL_H,
		report_colour(use->node));
	report_text(d->out, node_name(d, use->node));
	fprintf(d->out, ", cycles %" PRIu64 " to %" PRIu64 "</title></rect>", use->from, use->to);
}

static void draw_scratchpad(struct drawing *d)
{
	fprintf(d->out,
		"<h2>Scratchpad of tile 0 over time</h2><p>From address 0 (top) to %u (bottom) in %d slices. A colour "
		"is the node "
		"that wrote the bytes, until they are read for the last time; what has no colour is free. Point at a "
		"rectangle for "
		"its "
		"node.</p><svg class=\"map\" viewBox=\"0 0 %d %d\" role=\"img\">",
		d->report->axm->model->spad_bytes, SCRATCHPAD_SLICES, WIDTH, SCRATCHPAD_SLICES * CELL_H + FOOT);
	for (unsigned int i = 0; i <= 4; i++)
		fprintf(d->out, "<text x=\"%d\" y=\"%u\" text-anchor=\"end\">%u KiB</text>", LEFT - 6,
			i * SCRATCHPAD_SLICES * CELL_H / 4 + (i == 0   ? 9
							      : i == 4 ? 0
								       : 4),
			d->report->axm->model->spad_bytes / 4 * i >> 10);
	fprintf(d->out, "<rect x=\"%d\" y=\"0\" width=\"%d\" height=\"%d\" class=\"frame\"/>", LEFT, COLUMNS * CELL_W,
		SCRATCHPAD_SLICES * CELL_H);
	scratchpad_map(d->report->axm, d->region, d->timeline->records, d->timeline->count, 0, draw_use, d);
	draw_time(d, SCRATCHPAD_SLICES * CELL_H);
	fputs("</svg>\n", d->out);
}

/* ---- both ---- */

int report_drawings(const struct report *report, FILE *out)
{
	const struct axm *axm = report->axm;
	struct timeline timeline;
	struct drawing drawing = {.report = report, .timeline = &timeline, .out = out};
	uint32_t largest = report_region(report);
	int err = largest == axm->num_regions ? -ENODATA : timeline_of_region(report, largest, &timeline);

	if (err == -ENODATA) {
		fputs("<p>No drawings: the package has no code for a target that is known here.</p>\n", out);
		return 0;
	}
	if (err)
		return err;
	drawing.region = largest;
	for (size_t i = 0; i < timeline.count; i++)
		if (timeline.records[i].tile >= drawing.tiles)
			drawing.tiles = timeline.records[i].tile + 1u;
	fprintf(out, "<p>The drawings are of region %u, the largest of %u, %s.</p>\n", largest, axm->num_regions,
		timeline.of_run ? "as the device ran it" : "by the compiler's estimate: there was no run to draw");
	draw_pipes(&drawing);
	draw_scratchpad(&drawing);
	timeline_finish(&timeline);
	return 0;
}
