/* SPDX-License-Identifier: MIT */
/* accel disasm: the instructions of every device region, one a line. */
#include <string.h>

#include <axl/axl_disasm.h>

#include "runtime/cli/package_input.h"

static void print_stream(const struct axm *axm, const uint8_t *code, const struct axl_cmdbuf *header, unsigned int tile)
{
	uint32_t at = header->streams[tile].offset, end = at + header->streams[tile].size;

	printf("  tile %u:\n", tile);
	while (at + AXL_SLOT_BYTES <= end) {
		union axl_insn insn = {.bytes = {0}};
		char text[1024];
		uint32_t size = code[at + 1] >= 1 && code[at + 1] <= AXL_MAX_SLOTS ? code[at + 1] * AXL_SLOT_BYTES
										   : AXL_SLOT_BYTES;

		memcpy(insn.bytes, code + at, size);
		axl_disassemble(&insn, text, sizeof(text));
		printf("  %8x  %s", at, text);
		if (insn.header.tag < axm->num_nodes && insn.header.opcode >= AXL_OP_LOAD)
			printf("  ; %s", axm_string(axm, axm->nodes[insn.header.tag].name));
		putchar('\n');
		at += size;
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
	int code;

	if (options_parse(argc, argv, "disasm", "Print the command buffers of a package or model.", "ptmcMszq",
			  &options))
		return EXIT_USAGE;
	if (options.help)
		return EXIT_GOOD;
	code = package_input_open(&options, &input);
	if (code != EXIT_GOOD)
		return code;
	for (uint32_t r = 0; r < input.axm.num_regions; r++) {
		const struct axm_region *region = &input.axm.regions[r];
		const uint8_t *bytes = input.axm.data + region->code;
		struct axl_cmdbuf header;

		if (!region->device)
			continue;
		/* The package was checked when it was opened: header and streams are inside. */
		memcpy(&header, bytes, sizeof(header));
		printf("region %u: %u tiles, %u bytes of scratchpad, %u of accumulators\n", r, header.num_tiles,
		       header.spad_bytes, header.acc_bytes);
		for (unsigned int tile = 0; tile < header.num_tiles; tile++)
			print_stream(&input.axm, bytes, &header, tile);
	}
	print_bodies(&input.axm);
	package_input_close(&input);
	return code;
}
