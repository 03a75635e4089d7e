/* SPDX-License-Identifier: MIT */
/* See report_page.h. */
#include <inttypes.h>

#include "compiler/report/chains.h"
#include "runtime/cli/report_page.h"

static double percent(double part, double whole)
{
	return whole > 0 ? 100 * part / whole : 0;
}

static void write_name(const struct report *report, uint32_t node, FILE *out)
{
	const char *name = axm_string(report->axm, report->axm->nodes[node].name);

	fputs("<td class=\"n\" title=\"", out);
	report_text(out, name);
	fputs("\">", out);
	report_text(out, name);
	fputs("</td>", out);
}

/* ---- chains ---- */

static void write_chain(const struct report *report, const struct chain *chain, FILE *out)
{
	struct roofline roofline;
	uint64_t cycles = 0, bytes = 0;
	double r;

	for (uint32_t n = chain->first; n < chain->first + chain->count; n++) {
		cycles += report_node_cycles(report, n);
		bytes += node_work_bytes(&report->work[n]);
	}
	roofline_of_nodes(report->axm, chain->first, chain->count, &roofline);
	r = roofline_cycles(&roofline, NULL);
	fputs("<tr>", out);
	write_name(report, chain->first, out);
	write_name(report, chain->first + chain->count - 1, out);
	fprintf(out,
		"<td>%u</td><td>%" PRIu64
		"</td><td>%.1f</td><td class=\"t\">%s</td><td>%.1f</td><td>%.0f</td><td>%.1f</td><td>%" PRIu64
		"</td><td>%" PRIu64 "</td><td>%" PRIu64 "</td></tr>\n",
		chain->count, cycles, percent((double)cycles, (double)report_cycles(report)),
		report_bound(report, chain->first, chain->count),
		percent(roofline.cycles[ROOFLINE_MATRIX], (double)cycles), r, percent(r, (double)cycles), bytes,
		roofline.bytes, roofline.operand_bytes);
}

void report_chains(const struct report *report, FILE *out)
{
	struct chain chain;

	if (!chain_next(report->axm, 0, &chain)) {
		fputs("<h2>Chains</h2><p>No node keeps its result in the scratchpad for the next.</p>\n", out);
		return;
	}
	fputs("<h2>Chains</h2><p>Nodes that hand tensors to each other in the scratchpad: no preemption point stands "
	      "between them. <i>Alone</i> is what they would have to move if each were run by itself.</p><table><tr>"
	      "<th class=\"t\">from</th><th class=\"t\">to</th><th>nodes</th><th>cycles</th><th>% of all</th><th "
	      "class=\"t\">bound</th><th>% of peak</th><th>R</th><th>% of R</th><th>bytes moved</th><th>compulsory</th>"
	      "<th>alone</th></tr>\n",
	      out);
	for (uint32_t n = 0; chain_next(report->axm, n, &chain); n = chain.first + chain.count)
		write_chain(report, &chain, out);
	fputs("</table>\n", out);
}

/* ---- tilings ---- */

static void write_tiling(const struct report *report, const struct axm_tiling *taken, const struct axm_tiling *tiling,
			 FILE *out)
{
	bool first = tiling == taken;

	fputs("<tr>", out);
	if (first)
		write_name(report, tiling->node, out);
	else
		fputs("<td></td>", out);
	fprintf(out,
		"<td>%u</td><td>%u</td><td>%u</td><td>%u x %u</td><td class=\"t\">%s</td><td "
		"class=\"t\">%s</td><td>%" PRIu64 "</td><td>%+.1f %%</td><td>%" PRIu64 "</td><td class=\"t\">",
		tiling->rows, tiling->channels, tiling->depth, tiling->chunk_h, tiling->chunk_w,
		tiling->flags & AXM_TILING_KEEP_WEIGHTS ? "kept" : "streamed", report_tiles_share(report->axm, tiling),
		tiling->cycles, percent((double)tiling->cycles, (double)taken->cycles) - 100, tiling->bytes);
	if (first)
		fprintf(out, "<b>taken</b> of %u", tiling->compared);
	else
		fputs(report_why_lost(taken, tiling), out);
	fputs("</td></tr>\n", out);
}

void report_tilings(const struct report *report, FILE *out)
{
	const struct axm *axm = report->axm;
	const struct axm_tiling *taken = axm->tilings;

	fputs("<h2>Tilings</h2><p>What the search took for each node's matrix work, and the best of the other kinds "
	      "that it "
	      "compared. Rows of the output that are made at a time (a stripe), output channels of a block of weights, "
	      "input channels that are summed at a time, positions that share an accumulator buffer; whether weights "
	      "are fetched once or for each stripe, and what tiles divide among them. Cycles and bytes are the "
	      "search's own estimate, of this work alone; within a 64th of the cycles the fewer bytes win.</p>",
	      out);
	if (!axm->num_tilings) {
		fputs("<p>No node has matrix work.</p>\n", out);
		return;
	}
	fputs("<details open><summary>All searches</summary><table><tr><th class=\"t\">node</th><th>rows</th>"
	      "<th>channels</th><th>depth</th><th>chunk</th><th class=\"t\">weights</th><th class=\"t\">tiles</th>"
	      "<th>cycles</th><th></th><th>bytes</th><th class=\"t\">why</th></tr>\n",
	      out);
	for (uint32_t i = 0; i < axm->num_tilings; i++) {
		taken = axm->tilings[i].flags & AXM_TILING_TAKEN ? &axm->tilings[i] : taken;
		write_tiling(report, taken, &axm->tilings[i], out);
	}
	fputs("</table></details>\n", out);
}
