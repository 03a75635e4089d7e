/* SPDX-License-Identifier: MIT */
/* See stream.h. */
#include "compiler/target/stream.h"

#include <string.h>

static void read_header(const uint8_t *code, struct axl_cmdbuf *header)
{
	memcpy(header, code, sizeof(*header));
}

unsigned int stream_tiles(const uint8_t *code)
{
	struct axl_cmdbuf header;

	read_header(code, &header);
	return header.num_tiles;
}

void stream_begin(struct stream_cursor *cursor, const uint8_t *code, unsigned int tile)
{
	struct axl_cmdbuf header;

	read_header(code, &header);
	memset(cursor, 0, sizeof(*cursor));
	cursor->code = code;
	cursor->at = header.streams[tile].offset;
	cursor->end = header.streams[tile].offset + header.streams[tile].size;
}

bool stream_next(struct stream_cursor *cursor, union axl_insn *insn, uint32_t *offset)
{
	const uint8_t *at = cursor->code + cursor->at;

	if (cursor->at >= cursor->end)
		return false;
	memset(insn, 0, sizeof(*insn));
	memcpy(insn, at, AXL_SLOT_BYTES);
	if (insn->header.slots == 2)
		memcpy(insn, at, 2 * (size_t)AXL_SLOT_BYTES);
	*offset = cursor->at;
	cursor->at += insn->header.slots * (uint32_t)AXL_SLOT_BYTES;
	switch (insn->header.opcode) {
	case AXL_OP_END:
		cursor->at = cursor->end;
		return false;
	case AXL_OP_LOOP:
		cursor->loops[cursor->depth].start = cursor->at;
		cursor->loops[cursor->depth++].left = insn->loop.count;
		break;
	case AXL_OP_ENDLOOP:
		if (--cursor->loops[cursor->depth - 1].left)
			cursor->at = cursor->loops[cursor->depth - 1].start;
		else
			cursor->depth--;
		break;
	case AXL_OP_ADDBASE:
		cursor->bases[insn->addbase.reg] += (uint64_t)insn->addbase.value;
		break;
	default:
		break;
	}
	return true;
}
