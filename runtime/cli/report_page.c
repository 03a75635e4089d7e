/* SPDX-License-Identifier: MIT */
/* See report_page.h. */
#include "runtime/cli/report_page.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Colours by name, so that the page follows the reader's choice of light or dark. */
static const char style[] =
	":root{color-scheme:light "
	"dark;--text:#222;--page:#fff;--stripe:#f6f7f9;--line:#999;--grid:#e3e3e3;--busy:#1f5fa8}"
	"@media(prefers-color-scheme:dark){:root{--text:#ddd;--page:#16181c;--stripe:#1f2329;--line:#778;--grid:#"
	"33373f;"
	"--busy:#6aa9e9}}"
	"body{font:14px/1.45 system-ui,sans-serif;color:var(--text);background:var(--page);max-width:1100px;margin:2em "
	"auto;padding:0 1em}"
	"h1{font-size:1.5em;overflow-wrap:anywhere}h2{font-size:1.15em;margin-top:2em}p{max-width:75ch}"
	"table{border-collapse:collapse;font-size:13px}td,th{padding:2px 10px 2px "
	"0;text-align:right;white-space:nowrap}"
	"th{border-bottom:1px solid var(--line);position:sticky;top:0;background:var(--page)}td.t,th.t{text-align:left}"
	"td.n{text-align:left;max-width:26ch;overflow:hidden;text-overflow:ellipsis}"
	"tr:nth-child(even) td{background:var(--stripe)}svg{width:100%;height:auto;font:10px system-ui,sans-serif}"
	"svg text{fill:var(--text)}.grid{stroke:var(--grid)}.roof{stroke:var(--text);stroke-width:1.5;fill:none}"
	".all{fill:var(--text);stroke:var(--page)}.dot{stroke:var(--page);stroke-width:.5;fill-opacity:.75}"
	".busy rect{fill:var(--busy)}.busy,.map{shape-rendering:crispEdges}.frame{fill:none;stroke:var(--line)}"
	".bar{display:flex;height:22px;margin:.6em 0}.bar span{display:block;height:100%}";

void report_text(FILE *out, const char *text)
{
	for (; *text; text++)
		switch (*text) {
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '&':
			fputs("&amp;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		default:
			fputc((unsigned char)*text < 0x20 ? ' ' : *text, out);
		}
}

const char *report_colour(uint32_t node)
{
	static const char *const colours[] = {"#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2", "#b07aa1",
					      "#edc948", "#9c755f", "#ff9da7", "#86a83a", "#5b5ea6", "#8c8c8c"};

	return colours[node % (sizeof(colours) / sizeof(colours[0]))];
}

static double percent(double part, double whole)
{
	return whole > 0 ? 100 * part / whole : 0;
}

/* ---- head ---- */

static void write_head(const struct report *report, FILE *out)
{
	const struct axm_model *model = report->axm->model;
	double cycles = (double)report_cycles(report);
	enum roofline_bound bound;
	double r = roofline_cycles(&report->total, &bound);

	fputs("<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>", out);
	report_text(out, report->options->model);
	fprintf(out, "</title><style>%s</style></head><body><h1>", style);
	report_text(out, report->options->model);
	fprintf(out, "</h1><p>For %s (%u tile%s at %.3g GHz) in %s: <b>%.0f cycles</b>, ",
		axm_string(report->axm, model->target_name), model->tiles, model->tiles == 1 ? "" : "s",
		model->clock_khz / 1e6, report->options->precision, cycles);
	if (report->stats.num_nodes) {
		fputs("from a run on ", out);
		report_text(out, report->ran_on);
		fputs(".", out);
	} else {
		fputs("the compiler's estimate; there was no run: ", out);
		report_text(out, report->not_run);
		fputc('.', out);
	}
	fprintf(out,
		" That is <b>%.1f %% of the roofline</b> and %.1f %% of the matrix unit's peak. %.3g MB are moved, "
		"%.2f times "
		"the compulsory ones.</p>",
		percent(r, cycles), percent(report->total.cycles[ROOFLINE_MATRIX], cycles),
		(double)report_bytes(report) / 1e6,
		percent((double)report_bytes(report), (double)report->total.bytes) / 100);
	fprintf(out,
		"<p>The roofline R is the largest of three times that no program can go below: %" PRIu64
		" MACs at the array's peak, %.0f cycles; %" PRIu64
		" operations that only the vector unit can do, %.0f cycles; %" PRIu64
		" compulsory bytes (constants, inputs, outputs) at the memory's rate, %.0f cycles. Here it is the "
		"%s's: %.0f. A program that runs the layers one after the other, with weights fetched ahead only as "
		"far as the scratchpad has room, needs at least %.0f; that is <b>%.1f %%</b> of what "
		"the code takes.</p>\n",
		report->total.macs, report->total.cycles[ROOFLINE_MATRIX], report->total.vector_ops,
		report->total.cycles[ROOFLINE_VECTOR], report->total.bytes, report->total.cycles[ROOFLINE_MEMORY],
		roofline_bound_name(bound), r, report->in_order, percent(report->in_order, cycles));
}

/* ---- the roofline plot: MACs a byte against MACs a cycle, both logarithmic ---- */

enum { PLOT_W = 760, PLOT_H = 330, PLOT_LEFT = 60, PLOT_TOP = 12, PLOT_RIGHT = 26, PLOT_BOTTOM = 34 };

/* Powers of ten at the edges. */
static const double x_low = -2, x_high = 5, y_low = -1, y_high = 5;

static double plot_x(double value)
{
	double power = value > 0 ? log10(value) : x_low;

	power = power < x_low ? x_low : power > x_high ? x_high : power;
	return PLOT_LEFT + (power - x_low) / (x_high - x_low) * (PLOT_W - PLOT_LEFT - PLOT_RIGHT);
}

static double plot_y(double value)
{
	double power = value > 0 ? log10(value) : y_low;

	power = power < y_low ? y_low : power > y_high ? y_high : power;
	return PLOT_H - PLOT_BOTTOM - (power - y_low) / (y_high - y_low) * (PLOT_H - PLOT_TOP - PLOT_BOTTOM);
}

static void plot_axes(FILE *out)
{
	for (int power = (int)x_low; power <= (int)x_high; power++) {
		double x = plot_x(pow(10, power));

		fprintf(out,
			"<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" class=\"grid\"/><text x=\"%.1f\" "
			"y=\"%d\" "
			"text-anchor=\"middle\">%g</text>",
			x, PLOT_TOP, x, PLOT_H - PLOT_BOTTOM, x, PLOT_H - PLOT_BOTTOM + 13, pow(10, power));
	}
	for (int power = (int)y_low; power <= (int)y_high; power++) {
		double y = plot_y(pow(10, power));

		fprintf(out,
			"<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" class=\"grid\"/><text x=\"%d\" "
			"y=\"%.1f\" "
			"text-anchor=\"end\">%g</text>",
			PLOT_LEFT, y, PLOT_W - PLOT_RIGHT, y, PLOT_LEFT - 5, y + 3, pow(10, power));
	}
	fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">MACs a byte moved</text>", PLOT_W / 2, PLOT_H - 6);
	fprintf(out,
		"<text x=\"14\" y=\"%d\" text-anchor=\"middle\" transform=\"rotate(-90 14 %d)\">MACs a cycle</text>",
		PLOT_H / 2, PLOT_H / 2);
}

/* The memory's slope up to the ridge, then the array's peak for operands of @size bytes. */
static void plot_roof(const struct report *report, unsigned int size, FILE *out)
{
	double peak = roofline_peak_macs(report->axm, size), rate = report->axm->model->dram_rate;

	fprintf(out,
		"<polyline class=\"roof\" points=\"%.1f,%.1f %.1f,%.1f "
		"%.1f,%.1f\"/>"
		"<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%u-bit peak</text>",
		plot_x(pow(10, x_low)), plot_y(rate * pow(10, x_low)), plot_x(peak / rate), plot_y(peak),
		plot_x(pow(10, x_high)), plot_y(peak), PLOT_W - PLOT_RIGHT - 4, plot_y(peak) - 3, size * 8);
}

/* @fill: NULL for the whole network's. */
static void plot_dot(double macs, double bytes, double cycles, const char *fill, double radius, const char *name,
		     FILE *out)
{
	fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\" class=\"%s\"",
		plot_x(bytes > 0 ? macs / bytes : pow(10, x_high)), plot_y(macs / cycles), radius,
		fill ? "dot" : "all");
	if (fill)
		fprintf(out, " fill=\"%s\"", fill);
	fputs("><title>", out);
	report_text(out, name);
	fprintf(out, ": %.0f MACs, %.0f bytes, %.0f cycles</title></circle>", macs, bytes, cycles);
}

static void write_plot(const struct report *report, FILE *out)
{
	const struct axm *axm = report->axm;
	double cycles = (double)report_cycles(report), bytes = (double)report_bytes(report);
	bool sizes[5] = {false};

	fprintf(out,
		"<h2>Roofline</h2><p>A dot is a node with MACs, its area the node's cycles; the one in the colour of "
		"the "
		"text is the whole network. The roof is "
		"what memory (the slope) and the array (level) allow; a dot far below it waits for something else. "
		"Nodes that move "
		"nothing stand at the right edge. Point at a dot for its name.</p><svg viewBox=\"0 0 %d %d\" "
		"role=\"img\">",
		PLOT_W, PLOT_H);
	plot_axes(out);
	for (uint32_t n = 0; n < axm->num_region_nodes; n++)
		if (axm->nodes[n].macs && axm->nodes[n].mac_size)
			sizes[axm->nodes[n].mac_size] = true;
	for (unsigned int size = 1; size < 5; size++)
		if (sizes[size])
			plot_roof(report, size, out);
	for (uint32_t n = 0; n < axm->num_region_nodes; n++) {
		double mine = (double)report_node_cycles(report, n);

		if (axm->regions[axm->nodes[n].region].device && axm->nodes[n].macs && mine > 0)
			plot_dot((double)axm->nodes[n].macs, (double)node_work_bytes(&report->work[n]), mine,
				 report_colour(n), 2 + 40 * sqrt(mine / cycles), axm_string(axm, axm->nodes[n].name),
				 out);
	}
	if (cycles > 0 && report->total.macs)
		plot_dot((double)report->total.macs, bytes, cycles, NULL, 6, "the whole network", out);
	fputs("</svg>\n", out);
}

/* ---- the ledger ---- */

static void write_ledger(const struct report *report, FILE *out)
{
	static const char *const texts[ACCEL_NUM_CAUSES] = {
		[ACCEL_CAUSE_PADDING] = "parts of the array that layers leave empty; weights slower than the array",
		[ACCEL_CAUSE_FILL] = "the array starts up after a pause",
		[ACCEL_CAUSE_BANK] = "the array waits for scratchpad banks that other pipes use",
		[ACCEL_CAUSE_MATRIX] = "the array works and the unit that bounds the network does not",
		[ACCEL_CAUSE_DRAIN] = "only the drain behind the array works",
		[ACCEL_CAUSE_VECTOR] = "only the vector unit computes",
		[ACCEL_CAUSE_DRAM] = "compulsory bytes move and nothing computes; refresh, rows and short bursts",
		[ACCEL_CAUSE_SPILL] = "bytes beyond the compulsory ones move and nothing computes",
		[ACCEL_CAUSE_LATENCY] = "transfers are under way and none moves data",
		[ACCEL_CAUSE_TLB] = "the same, for page walks",
		[ACCEL_CAUSE_BALANCE] = "a tile has nothing to do while another has",
		[ACCEL_CAUSE_SEMAPHORE] = "nothing runs: signals on their way, the first and the last instruction",
	};
	const struct accel_run_stats *stats = &report->stats;
	double gap = (double)stats->cycles - stats->roofline_cycles;

	fputs("<h2>Ledger: where the cycles above R went</h2>", out);
	if (!stats->num_nodes || !stats->has_ledger) {
		fputs("<p>There is none without a traced run.</p>\n", out);
		return;
	}
	fprintf(out,
		"<p>%.0f cycles of %" PRIu64
		" are above R. Each has one cause; the shares add up to 100 %%.</p><div class=\"bar\">",
		gap, stats->cycles);
	for (int c = 0; c < ACCEL_NUM_CAUSES; c++)
		if (stats->causes[c] > 0)
			fprintf(out, "<span style=\"width:%.3f%%;background:%s\" title=\"%s\"></span>",
				percent(stats->causes[c], gap), report_colour((uint32_t)c),
				accel_cause_name((enum accel_cause)c));
	fputs("</div><table><tr><th class=\"t\">cause</th><th>cycles</th><th>share</th><th class=\"t\">what it "
	      "means</th></tr>",
	      out);
	for (int c = 0; c < ACCEL_NUM_CAUSES; c++)
		if (stats->causes[c] != 0)
			fprintf(out,
				"<tr><td class=\"t\"><span style=\"color:%s\">&#9632;</span> "
				"%s</td><td>%.0f</td><td>%.1f %%</td>"
				"<td class=\"t\">%s</td></tr>",
				report_colour((uint32_t)c), accel_cause_name((enum accel_cause)c), stats->causes[c],
				percent(stats->causes[c], gap), texts[c]);
	fputs("</table>\n", out);
}

/* ---- memory ---- */

static void write_memory(const struct report *report, FILE *out)
{
	fputs("<h2>Memory</h2><p>By device region, in bytes. <i>Live</i> is the most that is needed at one moment: no "
	      "plan takes less. A "
	      "scratchpad is filled beyond it on purpose: what is loaded ahead lies beside what is in "
	      "use.</p><table><tr>"
	      "<th>region</th><th>weights</th><th>code</th><th>arena</th><th>live</th><th>scratchpad</th><th>live</"
	      "th></tr>\n",
	      out);
	for (uint32_t r = 0; r < report->axm->num_regions; r++) {
		const struct axm_region *region = &report->axm->regions[r];

		if (region->device)
			fprintf(out,
				"<tr><td>%u</td><td>%" PRIu64 "</td><td>%" PRIu64 "</td><td>%" PRIu64
				"</td><td>%" PRIu64 "</td><td>%" PRIu64 "</td><td>%" PRIu64 "</td></tr>\n",
				r, region->weight_bytes, region->code_bytes, region->arena_bytes, region->arena_bound,
				region->spad_bytes, region->spad_bound);
	}
	fputs("</table>\n", out);
}

/* ---- the nodes ---- */

static void write_node(const struct report *report, uint32_t node, FILE *out)
{
	const struct axm *axm = report->axm;
	const struct axm_node *from = &axm->nodes[node];
	double cycles = (double)report_node_cycles(report, node);
	struct roofline roofline;

	fputs("<tr><td class=\"n\" title=\"", out);
	report_text(out, axm_string(axm, from->name));
	fputs("\">", out);
	report_text(out, axm_string(axm, from->name));
	fputs("</td><td class=\"t\">", out);
	report_text(out, axm_string(axm, from->op_type));
	if (!axm->regions[from->region].device) {
		fputs("</td><td class=\"t\" colspan=\"9\">on the CPU: ", out);
		report_text(out, axm_string(axm, from->reason));
		fputs("</td></tr>\n", out);
		return;
	}
	roofline_of_node(axm, node, &roofline);
	fprintf(out,
		"</td><td>%.0f</td><td>%" PRIu64
		"</td><td>%.1f</td><td class=\"t\">%s</td><td>%.1f</td><td>%.1f</td><td>%.0f</td>"
		"<td>%" PRIu64 "</td><td>%" PRIu64 "</td></tr>\n",
		cycles, from->cycles, percent(cycles, (double)report_cycles(report)), report_bound(report, node, 1),
		percent(roofline.cycles[ROOFLINE_MATRIX], cycles),
		percent((double)roofline.macs, (double)report->work[node].macs_issued),
		roofline_cycles(&roofline, NULL), node_work_bytes(&report->work[node]), roofline.bytes);
}

static void write_nodes(const struct report *report, FILE *out)
{
	fputs("<h2>Nodes</h2><p>In the order of execution. A cycle belongs to the node on the matrix unit, else to the "
	      "one whose "
	      "instruction is the oldest, else to the one that waits: they add up to the network's. <i>Bound</i> is "
	      "the unit that "
	      "works for at least half of the node's cycles, else dependence: it waits; PCIe where its bytes to or "
	      "from the "
	      "host take longer than that. <i>Array</i> is the share of "
	      "the array's "
	      "places that do something while it works. <i>R</i> is the node's own: its MACs, its vector operations, "
	      "its compulsory "
	      "bytes.</p><table><tr><th class=\"t\">node</th><th "
	      "class=\"t\">operator</th><th>cycles</th><th>estimate</th>"
	      "<th>% of all</th><th class=\"t\">bound</th><th>% of peak</th><th>% of array</th><th>R</th><th>bytes "
	      "moved</th>"
	      "<th>compulsory</th></tr>\n",
	      out);
	for (uint32_t n = 0; n < report->axm->num_region_nodes; n++)
		write_node(report, n, out);
	fputs("</table>\n", out);
}

int report_page(const struct report *report, FILE *out)
{
	int err;

	write_head(report, out);
	write_plot(report, out);
	write_ledger(report, out);
	write_memory(report, out);
	err = report_drawings(report, out);
	if (err)
		return err;
	write_nodes(report, out);
	report_chains(report, out);
	report_tilings(report, out);
	fputs("</body></html>\n", out);
	return ferror(out) ? -EIO : 0;
}
