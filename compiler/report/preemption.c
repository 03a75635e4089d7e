/* SPDX-License-Identifier: MIT */
/* See preemption.h. */
#include "compiler/report/preemption.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <axl/axl_regs.h>

#include "compiler/target/stream.h"

/* The records of each pipe in its order: indices into the trace, lanes one behind the other. */
struct lanes {
	size_t *list;
	size_t first[AXL_MAX_TILES][AXL_NUM_PIPES], count[AXL_MAX_TILES][AXL_NUM_PIPES];
};

/*
 * Of a tile at a mark: the start, a YIELD or the end.
 * @read:   when its sequencer read it
 * @passed: when all before it had ended
 */
struct mark {
	uint64_t read, passed;
	uint16_t tag;
};

/* @marks: of each tile @count, all tiles have as many */
struct marks {
	struct mark *list[AXL_MAX_TILES];
	size_t count;
};

static bool lane_of(const struct axl_trace_record *record)
{
	return record->tile < AXL_MAX_TILES && record->pipe < AXL_NUM_PIPES;
}

static int sort_records(const struct axl_trace_record *records, size_t num_records, struct lanes *lanes)
{
	size_t at = 0;

	memset(lanes, 0, sizeof(*lanes));
	lanes->list = malloc((num_records + 1) * sizeof(*lanes->list));
	if (!lanes->list)
		return -ENOMEM;
	for (size_t i = 0; i < num_records; i++) {
		if (!lane_of(&records[i]))
			return -EINVAL;
		lanes->count[records[i].tile][records[i].pipe]++;
	}
	for (int t = 0; t < AXL_MAX_TILES; t++)
		for (int p = 0; p < AXL_NUM_PIPES; p++) {
			lanes->first[t][p] = at;
			at += lanes->count[t][p];
			lanes->count[t][p] = 0;
		}
	for (size_t i = 0; i < num_records; i++) {
		unsigned int t = records[i].tile, p = records[i].pipe;

		lanes->list[lanes->first[t][p] + lanes->count[t][p]++] = i;
	}
	return 0;
}

static int add_mark(struct marks *marks, unsigned int tile, size_t number, struct mark mark)
{
	struct mark *grown;

	if (number >= 64 && (number & (number - 1)) == 0) {
		grown = realloc(marks->list[tile], number * 2 * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		marks->list[tile] = grown;
	}
	marks->list[tile][number] = mark;
	return 0;
}

/* The sequencer of @tile again, with the times at which its pipes took what it gave them. */
static int find_marks(const uint8_t *code, const struct axl_trace_record *records, const struct lanes *lanes,
		      unsigned int tile, struct marks *marks)
{
	size_t used[AXL_NUM_PIPES] = {0}, count = 1;
	struct mark now = {0, 0, 0};
	struct stream_cursor cursor;
	union axl_insn insn;
	uint32_t offset;
	int err;

	marks->list[tile] = calloc(64, sizeof(*marks->list[tile]));
	if (!marks->list[tile])
		return -ENOMEM;
	stream_begin(&cursor, code, tile);
	while (stream_next(&cursor, &insn, &offset)) {
		unsigned int p = insn.header.pipe;
		const size_t *lane = lanes->list + lanes->first[tile][p];
		const struct axl_trace_record *record;
		size_t n;

		now.read += insn.header.slots;
		if (p != AXL_PIPE_SEQ) {
			n = used[p]++;
			if (n >= lanes->count[tile][p] || records[lane[n]].offset != offset)
				return -EINVAL;
			/* Its place in the FIFO came back when the one that had it began. */
			if (n >= AXL_FIFO_DEPTH && records[lane[n - AXL_FIFO_DEPTH]].begin > now.read)
				now.read = records[lane[n - AXL_FIFO_DEPTH]].begin;
			record = &records[lane[n]];
			if (record->end >= now.passed) {
				now.passed = record->end;
				now.tag = record->tag;
			}
		} else if (insn.header.opcode == AXL_OP_YIELD) {
			if (now.passed < now.read) /* nothing was left to do before it was read */
				now.passed = now.read;
			err = add_mark(marks, tile, count++, now);
			if (err)
				return err;
		}
	}
	err = add_mark(marks, tile, count++, now);
	if (!err && tile && count != marks->count)
		err = -EINVAL;
	marks->count = count;
	return err;
}

static void measure(const struct marks *marks, unsigned int tiles, struct preemption *preemption)
{
	memset(preemption, 0, sizeof(*preemption));
	preemption->yields = (uint32_t)(marks->count - 2);
	for (size_t k = 1; k < marks->count; k++) {
		uint64_t stands = 0, asked = UINT64_MAX;

		for (unsigned int t = 0; t < tiles; t++) {
			const struct mark *before = &marks->list[t][k - 1], *mark = &marks->list[t][k];

			if (mark->passed > before->passed && mark->passed - before->passed > preemption->distance) {
				preemption->distance = mark->passed - before->passed;
				preemption->tag = mark->tag;
			}
			/* The first tile to leave a YIELD behind makes the next one the one at which all stop. */
			asked = before->read < asked ? before->read : asked;
			stands = mark->passed > stands ? mark->passed : stands;
		}
		if (stands > asked && stands - asked > preemption->latency)
			preemption->latency = stands - asked;
	}
}

int preemption_measure(const uint8_t *code, const struct axl_trace_record *records, size_t num_records,
		       struct preemption *preemption)
{
	unsigned int tiles = stream_tiles(code);
	struct marks marks = {{NULL}, 0};
	struct lanes lanes;
	int err = sort_records(records, num_records, &lanes);

	for (unsigned int t = 0; t < tiles && !err; t++)
		err = find_marks(code, records, &lanes, t, &marks);
	if (!err)
		measure(&marks, tiles, preemption);
	for (unsigned int t = 0; t < tiles; t++)
		free(marks.list[t]);
	free(lanes.list);
	return err;
}
