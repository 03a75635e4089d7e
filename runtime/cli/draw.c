/* SPDX-License-Identifier: MIT */
/*
 * See draw.h. The SVG layout is the layered one: a node's row is one below its lowest producer; inside a row nodes are
 * ordered by the mean place of their producers.
 */
#include "runtime/cli/draw.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/op.h"

enum { BOX_WIDTH = 168, BOX_HEIGHT = 40, GAP_X = 24, GAP_Y = 36, MARGIN = 24, LEGEND = 40 };

static const char *const device_fill[] = {"#bfe3c8", "#a9d6e5", "#c9d7f8", "#d5e8b0"};
static const char cpu_fill[] = "#f6d6ad";

static const char *fill_of(const struct axm *axm, const struct axm_node *node)
{
	return axm->regions[node->region].device ? device_fill[node->region / 2 % 4] : cpu_fill;
}

/* Text with the characters that XML, DOT strings and Mermaid give a meaning replaced. */
static void put_plain(FILE *out, const char *text, size_t most)
{
	for (size_t i = 0; text[i] && i < most; i++)
		fputc(strchr("<>&\"'\\[]{}|`", text[i]) || (unsigned char)text[i] < 0x20 ? '_' : text[i], out);
}

/* A body's inputs come from its node; without inputs the first node of the body stands for it. */
static void enter_bodies(const struct axm *axm, uint32_t n, uint32_t *producer,
			 void (*edge)(uint32_t from, uint32_t to, void *arg), void *arg)
{
	const struct axm_node *node = &axm->nodes[n];

	for (uint32_t a = node->attrs_first; a < node->attrs_first + node->num_attrs; a++) {
		const struct axm_graph *body;

		if (axm->attrs[a].type != ATTR_GRAPH)
			continue;
		body = &axm->graphs[axm->attrs[a].i];
		for (uint32_t i = 0; i < body->num_inputs; i++)
			producer[axm->ids[body->inputs_first + i]] = n;
		if (!body->num_inputs && body->num_nodes)
			edge(n, body->first_node, arg);
	}
}

/* The attribute that body @g is, and its node. */
static const struct axm_attr *body_attr(const struct axm *axm, uint32_t g, const struct axm_node **node)
{
	for (uint32_t n = 0; n < axm->num_nodes; n++)
		for (uint32_t a = axm->nodes[n].attrs_first; a < axm->nodes[n].attrs_first + axm->nodes[n].num_attrs;
		     a++)
			if (axm->attrs[a].type == ATTR_GRAPH && axm->attrs[a].i == g) {
				*node = &axm->nodes[n];
				return &axm->attrs[a];
			}
	*node = NULL;
	return NULL;
}

/* "then_branch of If NAME" */
static void put_body_label(const struct axm *axm, uint32_t g, FILE *out)
{
	const struct axm_node *node;
	const struct axm_attr *attr = body_attr(axm, g, &node);

	if (!attr)
		return;
	put_plain(out, axm_string(axm, attr->name), 64);
	fputs(" of ", out);
	put_plain(out, axm_string(axm, node->op_type), 64);
	fputs(" ", out);
	put_plain(out, axm_string(axm, node->name), 64);
}

/* Both are in one device region, where a node's sources say all. */
static bool inside(const struct axm *axm, uint32_t from, uint32_t to)
{
	return axm->nodes[from].region == axm->nodes[to].region && axm->regions[axm->nodes[to].region].device;
}

/* Calls edge(from, to, arg) for every pair of nodes with a value between them. */
static int for_edges(const struct axm *axm, void (*edge)(uint32_t from, uint32_t to, void *arg), void *arg)
{
	uint32_t *producer = malloc((axm->num_values + 1) * sizeof(*producer));

	if (!producer)
		return -ENOMEM;
	memset(producer, 0xff, (axm->num_values + 1) * sizeof(*producer));
	for (uint32_t n = 0; n < axm->num_nodes; n++) {
		const struct axm_node *node = &axm->nodes[n];

		for (uint32_t i = 0; i < node->num_inputs; i++) {
			uint32_t id = axm->ids[node->inputs_first + i];

			if (id != AXM_NO_ID && producer[id] != AXM_NO_ID && !inside(axm, producer[id], n))
				edge(producer[id], n, arg);
		}
		for (uint32_t i = 0; i < node->num_sources; i++)
			edge(axm->ids[node->sources_first + i], n, arg);
		enter_bodies(axm, n, producer, edge, arg);
		for (uint32_t i = 0; i < node->num_outputs; i++) {
			uint32_t id = axm->ids[node->outputs_first + i];

			if (id != AXM_NO_ID)
				producer[id] = n;
		}
	}
	free(producer);
	return 0;
}

static void dot_edge(uint32_t from, uint32_t to, void *arg)
{
	fprintf(arg, "\tn%u -> n%u;\n", from, to);
}

static void dot_nodes(const struct axm *axm, uint32_t first, uint32_t count, FILE *out)
{
	for (uint32_t n = first; n < first + count; n++) {
		fprintf(out, "\t\tn%u [fillcolor=\"%s\", label=\"", n, fill_of(axm, &axm->nodes[n]));
		put_plain(out, axm_string(axm, axm->nodes[n].op_type), 64);
		fputs("\\n", out);
		put_plain(out, axm_string(axm, axm->nodes[n].name), 64);
		fputs("\"];\n", out);
	}
	fputs("\t}\n", out);
}

int draw_dot(const struct axm *axm, FILE *out)
{
	int err;

	fputs("digraph model {\n\tnode [shape=box, style=filled, fontname=\"sans-serif\"];\n", out);
	for (uint32_t r = 0; r < axm->num_regions; r++) {
		const struct axm_region *region = &axm->regions[r];

		fprintf(out, "\tsubgraph cluster_%u {\n\t\tlabel=\"%s region %u\";\n", r,
			region->device ? "NPU" : "CPU", r);
		dot_nodes(axm, region->first_node, region->num_nodes, out);
	}
	for (uint32_t g = 0; g < axm->num_graphs; g++) {
		fprintf(out, "\tsubgraph cluster_body_%u {\n\t\tstyle=dashed;\n\t\tlabel=\"", g);
		put_body_label(axm, g, out);
		fputs("\";\n", out);
		dot_nodes(axm, axm->graphs[g].first_node, axm->graphs[g].num_nodes, out);
	}
	err = for_edges(axm, dot_edge, out);
	fputs("}\n", out);
	return err;
}

static void mermaid_edge(uint32_t from, uint32_t to, void *arg)
{
	fprintf(arg, "    n%u --> n%u\n", from, to);
}

static void mermaid_nodes(const struct axm *axm, uint32_t first, uint32_t count, FILE *out)
{
	for (uint32_t n = first; n < first + count; n++) {
		fprintf(out, "        n%u[\"", n);
		put_plain(out, axm_string(axm, axm->nodes[n].op_type), 64);
		fputs(" ", out);
		put_plain(out, axm_string(axm, axm->nodes[n].name), 64);
		fprintf(out, "\"]\n        style n%u fill:%s\n", n, fill_of(axm, &axm->nodes[n]));
	}
	fputs("    end\n", out);
}

int draw_mermaid(const struct axm *axm, FILE *out)
{
	int err;

	fputs("flowchart TD\n", out);
	for (uint32_t r = 0; r < axm->num_regions; r++) {
		const struct axm_region *region = &axm->regions[r];

		fprintf(out, "    subgraph r%u [\"%s region %u\"]\n", r, region->device ? "NPU" : "CPU", r);
		mermaid_nodes(axm, region->first_node, region->num_nodes, out);
	}
	for (uint32_t g = 0; g < axm->num_graphs; g++) {
		fprintf(out, "    subgraph b%u [\"", g);
		put_body_label(axm, g, out);
		fputs("\"]\n", out);
		mermaid_nodes(axm, axm->graphs[g].first_node, axm->graphs[g].num_nodes, out);
	}
	err = for_edges(axm, mermaid_edge, out);
	return err;
}

/* ---- SVG ---- */

struct place {
	uint32_t row, column;
	double wish; /* mean column of the producers */
	uint32_t producers;
};

struct layout {
	struct place *places;
	uint32_t *sorted;
	uint32_t rows, columns;
	FILE *out;
};

static void layout_row(uint32_t from, uint32_t to, void *arg)
{
	struct layout *layout = arg;

	/* Nodes come in topological order, so the producer's row is final. */
	if (layout->places[to].row <= layout->places[from].row)
		layout->places[to].row = layout->places[from].row + 1;
	if (layout->places[to].row >= layout->rows)
		layout->rows = layout->places[to].row + 1;
}

static void layout_wish(uint32_t from, uint32_t to, void *arg)
{
	struct layout *layout = arg;

	layout->places[to].wish += layout->places[from].column;
	layout->places[to].producers++;
}

static struct layout *sorting; /* qsort has no argument; one drawing at a time */

static int by_place(const void *a, const void *b)
{
	const struct place *x = &sorting->places[*(const uint32_t *)a], *y = &sorting->places[*(const uint32_t *)b];

	if (x->row != y->row)
		return x->row < y->row ? -1 : 1;
	if (x->wish != y->wish)
		return x->wish < y->wish ? -1 : 1;
	return *(const uint32_t *)a < *(const uint32_t *)b ? -1 : 1;
}

static void svg_edge(uint32_t from, uint32_t to, void *arg)
{
	struct layout *layout = arg;
	const struct place *a = &layout->places[from], *b = &layout->places[to];
	double x1 = MARGIN + a->column * (BOX_WIDTH + GAP_X) + BOX_WIDTH / 2,
	       y1 = LEGEND + a->row * (BOX_HEIGHT + GAP_Y) + BOX_HEIGHT;
	double x2 = MARGIN + b->column * (BOX_WIDTH + GAP_X) + BOX_WIDTH / 2,
	       y2 = LEGEND + b->row * (BOX_HEIGHT + GAP_Y);

	if (a->column == b->column && b->row > a->row + 1) { /* past the boxes between, not behind them */
		double side = x1 + BOX_WIDTH / 2, out = side + GAP_X * 1.2;

		fprintf(layout->out, "<path d=\"M%.0f %.0f C%.0f %.0f %.0f %.0f %.0f %.0f\"/>\n", side,
			y1 - BOX_HEIGHT / 2, out, y1, out, y2, side, y2 + BOX_HEIGHT / 2);
		return;
	}
	fprintf(layout->out, "<path d=\"M%.0f %.0f C%.0f %.0f %.0f %.0f %.0f %.0f\"/>\n", x1, y1, x1, y1 + GAP_Y, x2,
		y2 - GAP_Y, x2, y2);
}

static int place_nodes(const struct axm *axm, struct layout *layout)
{
	int err = for_edges(axm, layout_row, layout);

	for (uint32_t n = 0; n < axm->num_nodes; n++)
		layout->sorted[n] = n;
	/* Two sweeps: first by topological order, then by where the producers went. */
	for (int sweep = 0; sweep < 2 && !err; sweep++) {
		uint32_t row = ~0u, column = 0;

		sorting = layout;
		qsort(layout->sorted, axm->num_nodes, sizeof(*layout->sorted), by_place);
		for (uint32_t i = 0; i < axm->num_nodes; i++) {
			struct place *place = &layout->places[layout->sorted[i]];

			column = place->row == row ? column + 1 : 0;
			row = place->row;
			place->column = column;
			if (column >= layout->columns)
				layout->columns = column + 1;
		}
		for (uint32_t n = 0; n < axm->num_nodes; n++) {
			layout->places[n].wish = 0;
			layout->places[n].producers = 0;
		}
		err = for_edges(axm, layout_wish, layout);
		for (uint32_t n = 0; n < axm->num_nodes; n++)
			if (layout->places[n].producers)
				layout->places[n].wish /= layout->places[n].producers;
	}
	return err;
}

static void svg_node(const struct axm *axm, uint32_t n, const struct layout *layout)
{
	const struct axm_node *node = &axm->nodes[n];
	unsigned int x = MARGIN + layout->places[n].column * (BOX_WIDTH + GAP_X);
	unsigned int y = LEGEND + layout->places[n].row * (BOX_HEIGHT + GAP_Y);

	fprintf(layout->out, "<g><title>");
	put_plain(layout->out, axm_string(axm, node->origin), 400);
	fprintf(layout->out, " region %u ", node->region);
	put_plain(layout->out, axm_string(axm, node->reason), 200);
	fprintf(layout->out,
		"</title><rect x=\"%u\" y=\"%u\" width=\"%d\" height=\"%d\" rx=\"5\" fill=\"%s\" stroke=\"#555\"/>", x,
		y, BOX_WIDTH, BOX_HEIGHT, fill_of(axm, node));
	fprintf(layout->out, "<text x=\"%u\" y=\"%u\" font-weight=\"bold\">", x + BOX_WIDTH / 2, y + 17);
	put_plain(layout->out, axm_string(axm, node->op_type), 22);
	fprintf(layout->out, "</text><text x=\"%u\" y=\"%u\" fill=\"#444\" font-size=\"10\">", x + BOX_WIDTH / 2,
		y + 32);
	put_plain(layout->out, axm_string(axm, node->name), 26);
	fputs("</text></g>\n", layout->out);
}

int draw_svg(const struct axm *axm, FILE *out)
{
	struct layout layout = {.out = out, .rows = 1, .columns = 1};
	int err = -ENOMEM;

	layout.places = calloc(axm->num_nodes + 1, sizeof(*layout.places));
	layout.sorted = calloc(axm->num_nodes + 1, sizeof(*layout.sorted));
	if (layout.places && layout.sorted)
		err = place_nodes(axm, &layout);
	if (!err) {
		unsigned int width = 2 * MARGIN + layout.columns * (BOX_WIDTH + GAP_X) - GAP_X;

		fprintf(out,
			"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" "
			"font-family=\"sans-serif\" "
			"font-size=\"12\" text-anchor=\"middle\">\n<rect width=\"100%%\" height=\"100%%\" "
			"fill=\"white\"/>\n",
			width < 240 ? 240 : width, LEGEND + layout.rows * (BOX_HEIGHT + GAP_Y));
		fprintf(out,
			"<g text-anchor=\"start\"><rect x=\"%d\" y=\"10\" width=\"14\" height=\"14\" "
			"fill=\"%s\"/><text x=\"%d\" "
			"y=\"22\">NPU</text><rect x=\"%d\" y=\"10\" width=\"14\" height=\"14\" fill=\"%s\"/><text "
			"x=\"%d\" "
			"y=\"22\">CPU</text></g>\n",
			MARGIN, device_fill[0], MARGIN + 20, MARGIN + 70, cpu_fill, MARGIN + 90);
		fputs("<g fill=\"none\" stroke=\"#888\">\n", out);
		err = for_edges(axm, svg_edge, &layout);
		fputs("</g>\n", out);
		for (uint32_t n = 0; n < axm->num_nodes; n++)
			svg_node(axm, n, &layout);
		fputs("</svg>\n", out);
	}
	free(layout.places);
	free(layout.sorted);
	return err;
}
