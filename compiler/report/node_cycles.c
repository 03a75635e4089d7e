/* SPDX-License-Identifier: MIT */
/* See node_cycles.h. */
#include "compiler/report/node_cycles.h"

#include <stdbool.h>

#include <axl/axl_isa.h>

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static bool is_matrix(const struct axl_trace_record *record)
{
	return record->pipe == AXL_PIPE_MATRIX;
}

/* The first matrix instruction of @tile at or after record @i that ends after @time. */
static size_t next_matrix(const struct axl_trace_record *records, size_t num_records, unsigned int tile, size_t i,
			  uint64_t time)
{
	while (i < num_records && (records[i].tile != tile || !is_matrix(&records[i]) || records[i].end <= time))
		i++;
	return i;
}

static void give(const struct axl_trace_record *record, uint64_t cycles, uint32_t first, uint32_t count,
		 uint64_t *nodes)
{
	if (record->tag >= first && record->tag - first < count)
		nodes[record->tag - first] += cycles;
}

/* Cycles in which an instruction ran. */
static void busy_cycles(const struct axl_trace_record *records, size_t num_records, unsigned int tile, uint32_t first,
			uint32_t count, uint64_t *nodes)
{
	uint64_t reached = 0; /* cycles before it are given */
	size_t matrix = 0;

	for (size_t i = 0; i < num_records; i++) {
		const struct axl_trace_record *record = &records[i];
		uint64_t mine = 0;

		if (record->tile != tile)
			continue;
		if (is_matrix(record)) {
			mine = record->end - record->begin;
		} else {
			for (uint64_t at = max(record->begin, reached); at < record->end; at = reached) {
				matrix = next_matrix(records, num_records, tile, matrix, at);
				if (matrix < num_records && records[matrix].begin <= at) {
					reached = records[matrix].end;
					continue;
				}
				reached = record->end;
				if (matrix < num_records && records[matrix].begin < reached)
					reached = records[matrix].begin;
				mine += reached - at;
			}
		}
		give(record, mine, first, count, nodes);
	}
}

/* Cycles in which none ran: whoever began after them waited for something; behind the tile's last, for @last of all tiles. */
static void idle_cycles(const struct axl_trace_record *records, size_t num_records, unsigned int tile, uint64_t cycles,
			const struct axl_trace_record *last, uint32_t first, uint32_t count, uint64_t *nodes)
{
	uint64_t covered = 0;

	for (size_t i = 0; i < num_records; i++) {
		if (records[i].tile != tile)
			continue;
		if (records[i].begin > covered)
			give(&records[i], records[i].begin - covered, first, count, nodes);
		covered = max(covered, records[i].end);
	}
	if (cycles > covered)
		give(last, cycles - covered, first, count, nodes);
}

void node_cycles_attribute(const struct axl_trace_record *records, size_t num_records, uint64_t cycles, uint32_t first,
			   uint32_t count, uint64_t *nodes)
{
	const struct axl_trace_record *last = records;
	unsigned int tiles = 1;
	uint64_t given = 0, sum = 0;

	for (uint32_t n = 0; n < count; n++)
		nodes[n] = 0;
	for (size_t i = 0; i < num_records; i++) {
		tiles = records[i].tile >= tiles ? records[i].tile + 1u : tiles;
		last = records[i].end > last->end ? &records[i] : last;
	}
	for (unsigned int tile = 0; tile < tiles && num_records; tile++) {
		busy_cycles(records, num_records, tile, first, count, nodes);
		idle_cycles(records, num_records, tile, cycles, last, first, count, nodes);
	}
	/* Tile-cycles to cycles: what one node's division leaves, the next one gets. */
	for (uint32_t n = 0; n < count; n++) {
		sum += nodes[n];
		nodes[n] = sum / tiles - given;
		given += nodes[n];
	}
}
