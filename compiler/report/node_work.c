/* SPDX-License-Identifier: MIT */
/* See node_work.h. */
#include "compiler/report/node_work.h"

#include <string.h>

#include <axl/axl_timing.h>

#include "compiler/target/cost.h"
#include "compiler/target/stream.h"

static void count(const struct axm *axm, const union axl_insn *insn, struct node_work *work)
{
	struct cost_transfer transfer;
	uint64_t cycles;

	work->instructions++;
	switch (insn->header.opcode) {
	case AXL_OP_LOAD:
	case AXL_OP_STORE:
		cost_transfer(&insn->dma, 0, 1, NULL, &transfer);
		work->bytes[insn->dma.purpose] += transfer.bytes;
		work->pipe[insn->header.pipe] += axl_local_cycles(transfer.lines, transfer.rows, axm->model->dram_rate);
		break;
	default:
		cycles = cost_compute(insn, NULL);
		work->pipe[insn->header.pipe] += cycles;
		if (insn->header.pipe == AXL_PIPE_MATRIX && cycles)
			work->macs_issued += cycles * axl_array_rows(insn->conv.a_type) * AXL_ARRAY_N;
	}
}

void node_work_of_region(const struct axm *axm, uint32_t region, struct node_work *work)
{
	const struct axm_region *r = &axm->regions[region];
	const uint8_t *code = axm->data + r->code;

	memset(work, 0, r->num_nodes * sizeof(*work));
	for (unsigned int tile = 0; tile < stream_tiles(code); tile++) {
		struct stream_cursor cursor;
		union axl_insn insn;
		uint32_t offset;

		stream_begin(&cursor, code, tile);
		while (stream_next(&cursor, &insn, &offset)) {
			uint16_t node = (uint16_t)(insn.header.tag - r->first_node);

			if (insn.header.pipe != AXL_PIPE_SEQ && node < r->num_nodes)
				count(axm, &insn, &work[node]);
		}
	}
}

uint64_t node_work_bytes(const struct node_work *work)
{
	uint64_t bytes = 0;

	for (int p = 0; p < AXL_NUM_PURPOSES; p++)
		bytes += work->bytes[p];
	return bytes;
}
