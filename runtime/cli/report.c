/* SPDX-License-Identifier: MIT */
/* See report.h. */
#include "runtime/cli/report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Share of the peak that @macs in @cycles are, in per cent. */
static double utilisation(uint64_t macs, uint64_t cycles, double peak)
{
	return cycles && peak > 0 ? 100.0 * (double)macs / ((double)cycles * peak) : 0;
}

/* Of @cycles what a bound of @least allows; 0 where nothing ran on a device. */
static double share(double least, uint64_t cycles)
{
	return cycles ? least / (double)cycles : 0;
}

void report_regions(const struct accel_run_stats *stats, FILE *out)
{
	fprintf(out, "%-6s %-4s %6s %12s %8s %12s %12s %10s %10s\n", "region", "on", "nodes", "cycles", "util %",
		"MACs", "local bytes", "PCIe bytes", "ms");
	for (size_t i = 0; i < stats->num_regions; i++) {
		const struct accel_region_stats *region = &stats->regions[i];

		fprintf(out, "%-6zu %-4s %6u ", i, region->device ? "NPU" : "CPU", region->num_nodes);
		if (region->device)
			fprintf(out, "%12" PRIu64 " %8.1f %12" PRIu64 " %12" PRIu64 " %10" PRIu64, region->cycles,
				utilisation(region->macs, region->cycles, stats->peak_macs), region->macs,
				region->local_bytes, region->host_bytes);
		else
			fprintf(out, "%12s %8s %12" PRIu64 " %12s %10s", "", "", region->macs, "", "");
		fprintf(out, " %10.3f\n", (double)region->ns / 1e6);
	}
	fprintf(out,
		"total: %" PRIu64 " device cycles, %.1f %% of the roofline, %.1f %% with layers in order, %.1f %% of "
		"peak, %.2f %% of the MACs on the device, "
		"%.3f ms\n",
		stats->cycles, 100.0 * share(stats->roofline_cycles, stats->cycles),
		100.0 * share(stats->in_order_cycles, stats->cycles),
		utilisation(stats->macs_device, stats->cycles, stats->peak_macs),
		stats->macs ? 100.0 * (double)stats->macs_device / (double)stats->macs : 100.0,
		(double)stats->ns / 1e6);
}

static const struct accel_node_stats *sorting; /* qsort has no argument; one report at a time */

static int by_cost(const void *a, const void *b)
{
	const struct accel_node_stats *x = &sorting[*(const size_t *)a], *y = &sorting[*(const size_t *)b];
	uint64_t cost_x = x->cycles + x->cpu_ns, cost_y = y->cycles + y->cpu_ns;

	return cost_x != cost_y ? (cost_x < cost_y) - (cost_x > cost_y) : (x > y) - (x < y);
}

void report_nodes(const struct accel_run_stats *stats, size_t most, FILE *out)
{
	size_t *order = malloc((stats->num_nodes + 1) * sizeof(*order));

	if (!order)
		return;
	for (size_t i = 0; i < stats->num_nodes; i++)
		order[i] = i;
	sorting = stats->nodes;
	qsort(order, stats->num_nodes, sizeof(*order), by_cost);
	fprintf(out, "%-28s %-18s %6s %10s %8s %10s\n", "node", "operator", "region", "cycles", "util %", "CPU us");
	for (size_t i = 0; i < stats->num_nodes && i < most; i++) {
		const struct accel_node_stats *node = &stats->nodes[order[i]];

		fprintf(out, "%-28.28s %-18.18s %6u %10" PRIu64 " %8.1f %10.1f\n", node->name, node->op_type,
			node->region, node->cycles, utilisation(node->macs, node->cycles, stats->peak_macs),
			(double)node->cpu_ns / 1e3);
	}
	free(order);
}

void report_reasons(const struct accel_run_stats *stats, FILE *out)
{
	for (size_t i = 0; i < stats->num_nodes; i++)
		if (!stats->nodes[i].device)
			fprintf(out, "CPU: %s (%s): %s\n", stats->nodes[i].name, stats->nodes[i].op_type,
				stats->nodes[i].reason);
}

void report_notes(const struct accel_run_stats *stats, const struct options *options)
{
	if (*stats->cache_note && !options->quiet)
		complain(0, "%s", stats->cache_note);
	if (*stats->opset_note)
		complain(0, "%s", stats->opset_note);
	if (options->verbose)
		printf("packages: %" PRIu64 " compiled, %" PRIu64 " from the cache\n", stats->compilations,
		       stats->cached);
}

void report_json(const struct accel_run_stats *stats, struct json *json)
{
	json_unsigned(json, "compilations", stats->compilations);
	json_unsigned(json, "from_cache", stats->cached);
	json_text(json, "cache_note", stats->cache_note);
	json_text(json, "opset_note", stats->opset_note);
	json_unsigned(json, "device_cycles", stats->cycles);
	json_number(json, "roofline_cycles", stats->roofline_cycles);
	json_number(json, "roofline_share", share(stats->roofline_cycles, stats->cycles));
	json_number(json, "in_order_cycles", stats->in_order_cycles);
	json_number(json, "in_order_share", share(stats->in_order_cycles, stats->cycles));
	json_unsigned(json, "macs", stats->macs);
	json_unsigned(json, "macs_on_device", stats->macs_device);
	json_number(json, "utilisation", utilisation(stats->macs_device, stats->cycles, stats->peak_macs) / 100);
	json_unsigned(json, "ns", stats->ns);
	json_array(json, "regions");
	for (size_t i = 0; i < stats->num_regions; i++) {
		const struct accel_region_stats *region = &stats->regions[i];

		json_object(json, NULL);
		json_text(json, "on", region->device ? "npu" : "cpu");
		json_unsigned(json, "nodes", region->num_nodes);
		json_unsigned(json, "cycles", region->cycles);
		json_unsigned(json, "estimated_cycles", region->estimate);
		json_unsigned(json, "macs", region->macs);
		json_number(json, "utilisation", utilisation(region->macs, region->cycles, stats->peak_macs) / 100);
		json_unsigned(json, "local_bytes", region->local_bytes);
		json_unsigned(json, "host_bytes", region->host_bytes);
		json_unsigned(json, "ns", region->ns);
		json_close(json);
	}
	json_close(json);
	json_array(json, "nodes");
	for (size_t i = 0; i < stats->num_nodes; i++) {
		const struct accel_node_stats *node = &stats->nodes[i];

		json_object(json, NULL);
		json_text(json, "name", node->name);
		json_text(json, "op_type", node->op_type);
		json_text(json, "origin", node->origin);
		json_unsigned(json, "region", node->region);
		json_text(json, "on", node->device ? "npu" : "cpu");
		if (!node->device)
			json_text(json, "reason", node->reason);
		json_unsigned(json, "macs", node->macs);
		json_unsigned(json, "cycles", node->cycles);
		json_unsigned(json, "estimated_cycles", node->estimate);
		json_number(json, "utilisation", utilisation(node->macs, node->cycles, stats->peak_macs) / 100);
		json_unsigned(json, "cpu_ns", node->cpu_ns);
		json_close(json);
	}
	json_close(json);
}
