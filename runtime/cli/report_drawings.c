/* SPDX-License-Identifier: MIT */
/*
 * See report_page.h. Both drawings have time from left to right. Of the scratchpad a cell is a slice of addresses in a slice of
 * time: it has the colour of the node whose bytes were written there last, as long as somebody still reads them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <axl/axl_access.h>

#include "compiler/report/region_estimate.h"
#include "runtime/cli/report_page.h"

enum { COLUMNS = 400, ROWS = 64, CELL_W = 2, CELL_H = 3, LANE_H = 14, LEFT = 70, WIDTH = LEFT + COLUMNS * CELL_W };

/* @busy: cycles by lane and column; @tiles: that have code */
struct drawing {
	const struct report *report;
	const struct axm_region *region;
	const struct estimate *estimate;
	unsigned int tiles;
	FILE *out;
};

static const char *node_name(const struct drawing *d, uint32_t node)
{
	return axm_string(d->report->axm, d->report->axm->nodes[node].name);
}

static uint64_t column_of(const struct drawing *d, uint64_t cycle)
{
	uint64_t column = cycle * COLUMNS / (d->estimate->cycles ? d->estimate->cycles : 1);

	return column < COLUMNS ? column : COLUMNS - 1;
}

/* ---- pipes ---- */

/* Cycles of @record that fall into each column, added to @busy. */
static void add_busy(const struct drawing *d, const struct axl_trace_record *record, double *busy)
{
	double cycle = (double)d->estimate->cycles / COLUMNS;

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

	for (size_t i = 0; i < d->estimate->num_records; i++)
		if (d->estimate->records[i].tile == tile && d->estimate->records[i].pipe == pipe)
			add_busy(d, &d->estimate->records[i], busy);
	fprintf(d->out, "<text x=\"%d\" y=\"%u\" text-anchor=\"end\">%u %s</text>", LEFT - 6, y + LANE_H - 4, tile,
		name);
	for (int c = 0; c < COLUMNS; c++)
		if (busy[c] > 0.005)
			fprintf(d->out,
				"<rect x=\"%d\" y=\"%u\" width=\"%d\" height=\"%d\" fill=\"#1f5fa8\" "
				"fill-opacity=\"%.2f\"/>",
				LEFT + c * CELL_W, y, CELL_W, LANE_H - 2, busy[c] > 1 ? 1 : busy[c]);
}

static void draw_pipes(const struct drawing *d)
{
	static const char *const names[AXL_NUM_PIPES] = {
#define PIPE_NAME(name, number, text) [number] = text,
		AXL_PIPES(PIPE_NAME)
#undef PIPE_NAME
	};
	unsigned int lanes = d->tiles * (AXL_NUM_PIPES - AXL_PIPE_LOAD), y = 0;

	fprintf(d->out,
		"<h2>Pipes over time</h2><p>A row is a pipe of a tile, from the first cycle to cycle %" PRIu64
		"; the darker, the more of the time an instruction was in it (of transfers: under way).</p>"
		"<svg viewBox=\"0 0 %d %u\" role=\"img\">",
		d->estimate->cycles, WIDTH, lanes * LANE_H);
	for (unsigned int tile = 0; tile < d->tiles; tile++)
		for (unsigned int pipe = AXL_PIPE_LOAD; pipe < AXL_NUM_PIPES; pipe++, y += LANE_H)
			draw_lane(d, tile, pipe, names[pipe], y);
	fputs("</svg>\n", d->out);
}

/* ---- the scratchpad of tile 0 ---- */

/* Bytes of one slice: written by @node (plus one; 0: nobody) at @from, read for the last time at @to. */
struct slice {
	uint32_t node;
	uint64_t from, to;
};

static void close_slice(const struct drawing *d, const struct slice *slice, unsigned int row)
{
	uint64_t first = column_of(d, slice->from), last = column_of(d, slice->to);

	if (!slice->node || slice->to <= slice->from)
		return;
	fprintf(d->out, "<rect x=\"%" PRIu64 "\" y=\"%u\" width=\"%" PRIu64 "\" height=\"%d\" fill=\"%s\"><title>",
		LEFT + first * CELL_W, row * CELL_H, (last - first + 1) * CELL_W, CELL_H,
		report_colour(slice->node - 1));
	report_text(d->out, node_name(d, slice->node - 1));
	fprintf(d->out, ", cycles %" PRIu64 " to %" PRIu64 "</title></rect>", slice->from, slice->to);
}

static void touch(const struct drawing *d, struct slice *slices, const struct axl_trace_record *record,
		  const union axl_insn *insn, const struct access *access)
{
	uint64_t bytes = d->report->axm->model->spad_bytes;
	int field = access_field(insn->header.opcode, access->place);
	uint32_t address, node = (uint16_t)(record->tag - d->region->first_node);

	if (access->space != ACCESS_SPAD || field < 0 || node >= d->region->num_nodes)
		return;
	memcpy(&address, insn->bytes + field, sizeof(address));
	for (int64_t row = 0; row < ROWS; row++) {
		int64_t lo = (int64_t)(bytes * (uint64_t)row / ROWS),
			hi = (int64_t)(bytes * ((uint64_t)row + 1) / ROWS);
		struct slice *slice = &slices[row];

		if (address + access->hi <= lo || address + access->lo >= hi)
			continue;
		if (!access->write) {
			slice->to = record->end > slice->to ? record->end : slice->to;
			continue;
		}
		if (slice->node == d->region->first_node + node + 1) {
			slice->to = record->end > slice->to ? record->end : slice->to; /* goes on writing */
			continue;
		}
		close_slice(d, slice, (unsigned int)row);
		*slice = (struct slice){d->region->first_node + node + 1, record->begin, record->end};
	}
}

static void draw_scratchpad(const struct drawing *d)
{
	const uint8_t *code = d->report->axm->data + d->region->code;
	struct slice slices[ROWS] = {{0}};

	fprintf(d->out,
		"<h2>Scratchpad of tile 0 over time</h2><p>From address 0 (top) to %u (bottom) in %d slices. A colour "
		"is the node "
		"that wrote the bytes, until they are read for the last time; white is free. Point at a rectangle for "
		"its "
		"node.</p><svg viewBox=\"0 0 %d %d\" role=\"img\">",
		d->report->axm->model->spad_bytes, ROWS, WIDTH, ROWS * CELL_H);
	fprintf(d->out, "<rect x=\"%d\" y=\"0\" width=\"%d\" height=\"%d\" fill=\"#fff\" stroke=\"#999\"/>", LEFT,
		COLUMNS * CELL_W, ROWS * CELL_H);
	for (size_t i = 0; i < d->estimate->num_records; i++) {
		const struct axl_trace_record *record = &d->estimate->records[i];
		struct access list[ACCESS_MAX];
		union axl_insn insn = {.bytes = {0}};
		size_t count;

		if (record->tile)
			continue;
		memcpy(&insn, code + record->offset, AXL_SLOT_BYTES);
		memcpy(&insn, code + record->offset, insn.header.slots * (size_t)AXL_SLOT_BYTES);
		count = access_list(&insn, list);
		for (int write = 0; write < 2; write++) /* operands are read before results are written */
			for (size_t a = 0; a < count; a++)
				if (list[a].write == write)
					touch(d, slices, record, &insn, &list[a]);
	}
	for (unsigned int row = 0; row < ROWS; row++)
		close_slice(d, &slices[row], row);
	fputs("</svg>\n", d->out);
}

/* ---- both ---- */

int report_drawings(const struct report *report, FILE *out)
{
	const struct axm *axm = report->axm;
	const struct target *target = target_find(axm_string(axm, axm->model->target_name));
	struct estimate estimate;
	struct drawing drawing = {.report = report, .estimate = &estimate, .out = out};
	uint32_t largest = axm->num_regions;
	int err;

	for (uint32_t r = 0; r < axm->num_regions; r++)
		if (axm->regions[r].device &&
		    (largest == axm->num_regions || axm->regions[r].cycles > axm->regions[largest].cycles))
			largest = r;
	if (largest == axm->num_regions || !target) {
		fputs("<p>No drawings: the package has no code for a target that is known here.</p>\n", out);
		return 0;
	}
	err = region_estimate(axm, largest, target, &estimate);
	if (err)
		return err;
	drawing.region = &axm->regions[largest];
	for (size_t i = 0; i < estimate.num_records; i++)
		if (estimate.records[i].tile >= drawing.tiles)
			drawing.tiles = estimate.records[i].tile + 1u;
	fprintf(out, "<p>The drawings are of region %u, the largest of %u, by the compiler's estimate.</p>\n", largest,
		axm->num_regions);
	draw_pipes(&drawing);
	draw_scratchpad(&drawing);
	estimate_finish(&estimate);
	return 0;
}
