/* SPDX-License-Identifier: MIT */
/* See figures.h. */
#include "runtime/figures.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static size_t text_bytes(const struct accel_node_stats *node)
{
	return strlen(node->name) + strlen(node->op_type) + strlen(node->origin) + strlen(node->reason) + 4;
}

static const char *keep(char **at, const char *text)
{
	const char *kept = *at;

	*at = stpcpy(*at, text) + 1;
	return kept;
}

/* Room for the figures of another plan, and its texts. */
static int make_room(struct figures *figures, const struct accel_run_stats *stats)
{
	size_t bytes = 1;
	char *at;

	for (size_t n = 0; n < stats->num_nodes; n++)
		bytes += text_bytes(&stats->nodes[n]);
	figures_finish(figures);
	figures->regions = calloc(stats->num_regions + 1, sizeof(*figures->regions));
	figures->nodes = calloc(stats->num_nodes + 1, sizeof(*figures->nodes));
	figures->texts = malloc(bytes);
	if (!figures->regions || !figures->nodes || !figures->texts) {
		figures_finish(figures);
		return -ENOMEM;
	}
	at = figures->texts;
	for (size_t n = 0; n < stats->num_nodes; n++) {
		const struct accel_node_stats *from = &stats->nodes[n];
		struct accel_node_stats *to = &figures->nodes[n];

		to->name = keep(&at, from->name);
		to->op_type = keep(&at, from->op_type);
		to->origin = keep(&at, from->origin);
		to->reason = keep(&at, from->reason);
	}
	return 0;
}

int figures_take(struct figures *figures, uint64_t plan, const struct accel_run_stats *stats)
{
	int err = plan == figures->plan ? 0 : make_room(figures, stats);

	if (err)
		return err;
	figures->plan = plan;
	for (size_t n = 0; n < stats->num_nodes; n++) {
		struct accel_node_stats *to = &figures->nodes[n], texts = *to;

		*to = stats->nodes[n];
		to->name = texts.name;
		to->op_type = texts.op_type;
		to->origin = texts.origin;
		to->reason = texts.reason;
	}
	if (stats->num_regions)
		memcpy(figures->regions, stats->regions, stats->num_regions * sizeof(*figures->regions));
	figures->stats = *stats;
	figures->stats.regions = figures->regions;
	figures->stats.nodes = figures->nodes;
	return 0;
}

void figures_finish(struct figures *figures)
{
	free(figures->regions);
	free(figures->nodes);
	free(figures->texts);
	*figures = (struct figures){0};
}
