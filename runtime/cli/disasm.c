/* SPDX-License-Identifier: MIT */
/* accel disasm: the instructions of every device region, one a line. */
#include <string.h>

#include <axl/axl_disasm.h>

#include "runtime/cli/json_file.h"
#include "runtime/cli/package_input.h"

/* One instruction of a stream. @node: whose; "" for those of nobody */
struct line {
	uint32_t at, size;
	char text[1024];
	const char *node;
};

/* The instruction at @at of @code, which ends at @end. False: there is none any more. */
static bool read_line(const struct axm *axm, const uint8_t *code, uint32_t at, uint32_t end, struct line *line)
{
	union axl_insn insn = {.bytes = {0}};
	uint8_t slots;

	if (at + AXL_SLOT_BYTES > end)
		return false;
	slots = code[at + 1];
	line->at = at;
	line->size = slots >= 1 && slots <= AXL_MAX_SLOTS ? slots * AXL_SLOT_BYTES : AXL_SLOT_BYTES;
	memcpy(insn.bytes, code + at, line->size);
	axl_disassemble(&insn, line->text, sizeof(line->text));
	line->node = insn.header.tag < axm->num_nodes && insn.header.opcode >= AXL_OP_LOAD
			     ? axm_string(axm, axm->nodes[insn.header.tag].name)
			     : "";
	return true;
}

/* @json: NULL, print */
static void put_stream(const struct axm *axm, const uint8_t *code, const struct axl_cmdbuf *header, unsigned int tile,
		       struct json *json)
{
	uint32_t at = header->streams[tile].offset, end = at + header->streams[tile].size;
	struct line line;

	if (json)
		json_array(json, NULL);
	else
		printf("  tile %u:\n", tile);
	for (; read_line(axm, code, at, end, &line); at += line.size) {
		if (!json) {
			printf("  %8x  %s%s%s\n", at, line.text, *line.node ? "  ; " : "", line.node);
			continue;
		}
		json_object(json, NULL);
		json_unsigned(json, "offset", at);
		json_text(json, "text", line.text);
		json_text(json, "node", line.node);
		json_close(json);
	}
	if (json)
		json_close(json);
}

static void put_region(const struct axm *axm, uint32_t r, struct json *json)
{
	const uint8_t *bytes = axm->data + axm->regions[r].code;
	struct axl_cmdbuf header;

	/* The package was checked when it was opened: header and streams are inside. */
	memcpy(&header, bytes, sizeof(header));
	if (json) {
		json_object(json, NULL);
		json_unsigned(json, "region", r);
		json_unsigned(json, "spad_bytes", header.spad_bytes);
		json_unsigned(json, "acc_bytes", header.acc_bytes);
		json_array(json, "tiles");
	} else {
		printf("region %u: %u tiles, %u bytes of scratchpad, %u of accumulators\n", r, header.num_tiles,
		       header.spad_bytes, header.acc_bytes);
	}
	for (unsigned int tile = 0; tile < header.num_tiles; tile++)
		put_stream(axm, bytes, &header, tile, json);
	if (json) {
		json_close(json);
		json_close(json);
	}
}

/* Bodies of branches and loops: no instructions, their nodes run on the CPU. */
static void print_bodies(const struct axm *axm)
{
	for (uint32_t g = 0; g < axm->num_graphs; g++) {
		const struct axm_graph *graph = &axm->graphs[g];

		printf("body %u %s: %u inputs, %u outputs, on the CPU\n", g, axm_string(axm, graph->name),
		       graph->num_inputs, graph->num_outputs);
		for (uint32_t n = graph->first_node; n < graph->first_node + graph->num_nodes; n++)
			printf("  %8u  %s  ; %s\n", n, axm_string(axm, axm->nodes[n].op_type),
			       axm_string(axm, axm->nodes[n].name));
	}
}

int command_disasm(int argc, char **argv)
{
	struct package_input input;
	struct options options;
	struct json json;
	int code;

	if (options_parse(argc, argv, "disasm", "Print the command buffers of a package or model.", "ptmcMszjq",
			  &options))
		return EXIT_USAGE;
	if (options.help)
		return EXIT_GOOD;
	code = package_input_open(&options, &input);
	if (code != EXIT_GOOD)
		return code;
	if (options.json && json_open(&json, options.json)) {
		package_input_close(&input);
		return EXIT_USAGE;
	}
	if (options.json)
		json_array(&json, "regions");
	for (uint32_t r = 0; r < input.axm.num_regions; r++)
		if (input.axm.regions[r].device)
			put_region(&input.axm, r, options.json ? &json : NULL);
	if (!options.json) {
		print_bodies(&input.axm);
	} else {
		json_close(&json);
		code = json_finish(&json, options.json) ? EXIT_USAGE : EXIT_GOOD;
	}
	package_input_close(&input);
	return code;
}
