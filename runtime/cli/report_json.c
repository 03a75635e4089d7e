/* SPDX-License-Identifier: MIT */
/* See report_json.h. */
#include "runtime/cli/report_json.h"

#include <errno.h>

#include "compiler/report/chains.h"
#include "runtime/cli/json.h"
#include "runtime/cli/report_timeline.h"
#include "runtime/cli/scratchpad_map.h"

static double share(double part, double whole)
{
	return whole > 0 ? part / whole : 0;
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
	json_unsigned(json, "estimated_cycles", report_estimate(report->axm));
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

/* What the tile searches of @node took and what it won against. */
static void write_tilings(const struct axm *axm, uint32_t node, struct json *json)
{
	const struct axm_tiling *taken = NULL;

	json_array(json, "tilings");
	for (uint32_t i = 0; i < axm->num_tilings; i++) {
		const struct axm_tiling *tiling = &axm->tilings[i];

		if (tiling->node != node)
			continue;
		taken = tiling->flags & AXM_TILING_TAKEN ? tiling : taken;
		json_object(json, NULL);
		json_bool(json, "taken", tiling == taken);
		if (tiling == taken)
			json_unsigned(json, "compared", tiling->compared);
		else
			json_text(json, "why_not", report_why_lost(taken, tiling));
		json_text(json, "tiles_share", report_tiles_share(axm, tiling));
		json_unsigned(json, "rows", tiling->rows);
		json_unsigned(json, "channels", tiling->channels);
		json_unsigned(json, "depth", tiling->depth);
		json_unsigned(json, "chunk_h", tiling->chunk_h);
		json_unsigned(json, "chunk_w", tiling->chunk_w);
		json_bool(json, "keep_weights", tiling->flags & AXM_TILING_KEEP_WEIGHTS);
		json_unsigned(json, "search_cycles", tiling->cycles);
		json_unsigned(json, "search_bytes", tiling->bytes);
		json_close(json);
	}
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
		json_text(json, "bound", report_bound(report, node, 1));
		json_number(json, "pcie_cycles", report_pcie_cycles(report, node, 1));
		write_tilings(axm, node, json);
	}
	json_close(json);
}

/* Nodes that hand tensors to each other in the scratchpad. */
static void write_chain(const struct report *report, const struct chain *chain, struct json *json)
{
	uint64_t cycles = 0, bytes = 0;
	struct roofline roofline;
	enum roofline_bound bound;

	for (uint32_t n = chain->first; n < chain->first + chain->count; n++) {
		cycles += report_node_cycles(report, n);
		bytes += node_work_bytes(&report->work[n]);
	}
	roofline_of_nodes(report->axm, chain->first, chain->count, &roofline);
	json_object(json, NULL);
	json_unsigned(json, "region", chain->region);
	json_unsigned(json, "first_node", chain->first);
	json_unsigned(json, "nodes", chain->count);
	json_unsigned(json, "chain_cycles", cycles);
	json_number(json, "roofline_cycles", roofline_cycles(&roofline, &bound));
	json_text(json, "roofline_bound", roofline_bound_name(bound));
	json_number(json, "mac_utilisation", share(roofline.cycles[ROOFLINE_MATRIX], (double)cycles));
	json_unsigned(json, "bytes_moved", bytes);
	json_unsigned(json, "compulsory_bytes", roofline.bytes);
	json_unsigned(json, "operand_bytes", roofline.operand_bytes);
	json_text(json, "bound", report_bound(report, chain->first, chain->count));
	json_close(json);
}

static void write_use(void *context, const struct scratchpad_use *use)
{
	struct json *json = context;

	json_object(json, NULL);
	json_unsigned(json, "slice", use->slice);
	json_unsigned(json, "node", use->node);
	json_unsigned(json, "from", use->from);
	json_unsigned(json, "to", use->to);
	json_close(json);
}

/* Who has which part of tile 0's scratchpad when, of the largest region; one line, it is long. */
static int write_scratchpad(const struct report *report, struct json *json)
{
	const struct axm *axm = report->axm;
	uint32_t region = report_region(report);
	struct timeline timeline;
	int err = region == axm->num_regions ? -ENODATA : timeline_of_region(report, region, &timeline);

	if (err)
		return err == -ENODATA ? 0 : err;
	json_object(json, "scratchpad");
	json_unsigned(json, "region", region);
	json_unsigned(json, "tile", 0);
	json_unsigned(json, "slices", SCRATCHPAD_SLICES);
	json_unsigned(json, "slice_bytes", axm->model->spad_bytes / SCRATCHPAD_SLICES);
	json_bool(json, "of_run", timeline.of_run);
	json_unsigned(json, "region_cycles", timeline.cycles);
	json_array(json, "uses");
	json->compact = true;
	scratchpad_map(axm, region, timeline.records, timeline.count, 0, write_use, json);
	json_close(json);
	json->compact = false;
	json_close(json);
	timeline_finish(&timeline);
	return 0;
}

int report_write_json(const struct report *report, FILE *out)
{
	struct chain chain;
	struct json json;
	int err;

	json_begin(&json, out);
	json_text(&json, "model", report->options->model);
	json_text(&json, "precision", report->options->precision);
	write_totals(report, &json);
	write_ledger(report, &json);
	json_array(&json, "nodes");
	for (uint32_t n = 0; n < report->axm->num_region_nodes; n++)
		write_node(report, n, &json);
	json_close(&json);
	json_array(&json, "chains");
	for (uint32_t n = 0; chain_next(report->axm, n, &chain); n = chain.first + chain.count)
		write_chain(report, &chain, &json);
	json_close(&json);
	json_array(&json, "regions");
	for (uint32_t r = 0; r < report->axm->num_regions; r++)
		write_region(report, r, &json);
	json_close(&json);
	err = write_scratchpad(report, &json);
	return json_end(&json) ? -EIO : err;
}
