/* SPDX-License-Identifier: MIT */
/* Building programs: buffers and instructions; see program.h. */
#include "compiler/target/program.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <axl/axl_access.h>
#include "compiler/target/program_internal.h"

int program_fail(struct program *program, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(program->error, sizeof(program->error), format, args);
	va_end(args);
	return err;
}

const char *program_error(const struct program *program)
{
	return program->error;
}

int program_create(const struct target *target, struct program **program)
{
	struct program *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->target = *target;
	p->num_buffers = 1;
	*program = p;
	return 0;
}

void program_destroy(struct program *program)
{
	if (!program)
		return;
	for (size_t i = 1; i < program->num_buffers; i++)
		free(program->buffers[i].data);
	free(program->buffers);
	free(program->instructions);
	free(program->written);
	free(program->hash);
	free(program);
}

const struct target *program_target(const struct program *program)
{
	return &program->target;
}

unsigned int program_tiles(const struct program *program)
{
	unsigned int tiles = 1;

	for (size_t i = 0; i < program->count; i++)
		if (program->instructions[i].tile != PROGRAM_ALL_TILES && program->instructions[i].tile >= tiles)
			tiles = program->instructions[i].tile + 1u;
	return tiles;
}

/* ---- buffers ---- */

static program_buf add_buffer(struct program *program, enum program_space space, uint8_t tiles, uint64_t bytes,
			      const char *name)
{
	struct buffer *buffer;

	if (program->num_buffers >= program->max_buffers) {
		size_t capacity = program->max_buffers * 2 + 64;
		struct buffer *grown = realloc(program->buffers, capacity * sizeof(*grown));

		if (!grown)
			return program_fail(program, 0, "out of memory");
		if (!program->buffers)
			memset(&grown[0], 0, sizeof(grown[0])); /* "no buffer" is nothing anywhere */
		program->buffers = grown;
		program->max_buffers = capacity;
	}
	if (bytes > 1ull << 40)
		return program_fail(program, 0, "buffer %s: %llu bytes", name, (unsigned long long)bytes);
	buffer = &program->buffers[program->num_buffers];
	memset(buffer, 0, sizeof(*buffer));
	buffer->space = space;
	buffer->tiles = tiles;
	buffer->bytes = bytes;
	buffer->first = SIZE_MAX;
	snprintf(buffer->name, sizeof(buffer->name), "%s", name ? name : "");
	return (program_buf)program->num_buffers++;
}

program_buf program_spad(struct program *program, unsigned int tile, uint64_t bytes, const char *name)
{
	return add_buffer(program, PROGRAM_SPAD, (uint8_t)(1u << tile), bytes, name);
}

void program_pin(struct program *program, program_buf buf)
{
	program->buffers[buf].pinned = true;
}

program_buf program_multicast(struct program *program, uint8_t tiles, uint64_t bytes, const char *name)
{
	return add_buffer(program, PROGRAM_MULTICAST, tiles, bytes, name);
}

program_buf program_acc(struct program *program, unsigned int tile, uint64_t bytes, const char *name)
{
	return add_buffer(program, PROGRAM_ACC, (uint8_t)(1u << tile), bytes, name);
}

program_buf program_arena(struct program *program, uint64_t bytes, const char *name)
{
	return add_buffer(program, PROGRAM_ARENA, 0, bytes, name);
}

program_buf program_input(struct program *program, unsigned int index, uint64_t bytes, const char *name)
{
	program_buf buf = add_buffer(program, PROGRAM_INPUT, 0, bytes, name);

	if (buf) {
		program->buffers[buf].index = index;
		program->num_inputs = index + 1 > program->num_inputs ? index + 1 : program->num_inputs;
	}
	return buf;
}

program_buf program_output(struct program *program, unsigned int index, uint64_t bytes, const char *name)
{
	program_buf buf = add_buffer(program, PROGRAM_OUTPUT, 0, bytes, name);

	if (buf) {
		program->buffers[buf].index = index;
		program->num_outputs = index + 1 > program->num_outputs ? index + 1 : program->num_outputs;
	}
	return buf;
}

program_buf program_weight_alloc(struct program *program, uint64_t bytes, const char *name, void **data)
{
	program_buf buf = add_buffer(program, PROGRAM_WEIGHT, 0, bytes, name);

	if (!buf)
		return 0;
	program->buffers[buf].data = calloc(1, bytes ? bytes : 1);
	if (!program->buffers[buf].data) {
		program->num_buffers--;
		return program_fail(program, 0, "out of memory for %llu bytes of weights", (unsigned long long)bytes);
	}
	*data = program->buffers[buf].data;
	return buf;
}

/* FNV-1a over the bytes; only small tables come here. */
static uint64_t hash_bytes(const uint8_t *data, uint64_t bytes)
{
	uint64_t hash = 0xcbf29ce484222325ull ^ bytes;

	for (uint64_t i = 0; i < bytes; i++)
		hash = (hash ^ data[i]) * 0x100000001b3ull;
	return hash;
}

static uint32_t *hash_slot(struct program *program, uint32_t *table, size_t size, const void *data, uint64_t bytes)
{
	size_t slot = hash_bytes(data, bytes) & (size - 1);

	for (; table[slot]; slot = (slot + 1) & (size - 1)) {
		const struct buffer *buffer = &program->buffers[table[slot]];

		if (buffer->bytes == bytes && !memcmp(buffer->data, data, bytes))
			break;
	}
	return &table[slot];
}

static bool grow_hash(struct program *program)
{
	size_t size = program->hash_size ? program->hash_size * 2 : 256;
	uint32_t *table = calloc(size, sizeof(*table));

	if (!table)
		return false;
	for (size_t i = 0; i < program->hash_size; i++)
		if (program->hash[i]) {
			const struct buffer *buffer = &program->buffers[program->hash[i]];

			*hash_slot(program, table, size, buffer->data, buffer->bytes) = program->hash[i];
		}
	free(program->hash);
	program->hash = table;
	program->hash_size = size;
	return true;
}

program_buf program_weight(struct program *program, const void *data, uint64_t bytes, const char *name)
{
	uint32_t *slot;
	program_buf buf;
	void *copy = NULL;

	if (program->num_weights * 2 >= program->hash_size && !grow_hash(program))
		return program_fail(program, 0, "out of memory");
	slot = hash_slot(program, program->hash, program->hash_size, data, bytes);
	if (*slot)
		return *slot;
	buf = program_weight_alloc(program, bytes, name, &copy);
	if (!buf)
		return 0;
	memcpy(copy, data, bytes);
	*slot = buf;
	program->num_weights++;
	return buf;
}

enum program_space program_buf_space(const struct program *program, program_buf buf)
{
	return program->buffers[buf].space;
}

uint64_t program_buf_bytes(const struct program *program, program_buf buf)
{
	return program->buffers[buf].bytes;
}

/* ---- instructions ---- */

static struct instruction *add_instruction(struct program *program)
{
	if (program->count == program->capacity) {
		size_t capacity = program->capacity * 2 + 256;
		struct instruction *grown = realloc(program->instructions, capacity * sizeof(*grown));

		if (!grown) {
			program_fail(program, -ENOMEM, "out of memory for instructions");
			return NULL;
		}
		program->instructions = grown;
		program->capacity = capacity;
	}
	memset(&program->instructions[program->count], 0, sizeof(struct instruction));
	return &program->instructions[program->count++];
}

static const struct {
	uint8_t slots, pipe;
	const char *name;
} opcodes[256] = {
#define AXL_PIPE_ANY AXL_PIPE_SEQ
#define OPCODE_ROW(name, number, format, pipe, slots, text) [number] = {slots, AXL_PIPE_##pipe, text},
	AXL_OPCODES(OPCODE_ROW)
#undef OPCODE_ROW
#undef AXL_PIPE_ANY
};

/* The space that a place may be in. @tiles: where a multicast LOAD writes, 0 for everything else. */
static bool place_fits(const struct buffer *buffer, const struct access *access, unsigned int tile, uint8_t tiles)
{
	bool there = buffer->tiles >> tile & 1;

	switch (access->space) {
	case ACCESS_SPAD:
		if (access->write && tiles)
			return buffer->space == PROGRAM_MULTICAST && !(tiles & ~buffer->tiles);
		return there &&
		       (buffer->space == PROGRAM_SPAD || (buffer->space == PROGRAM_MULTICAST && !access->write));
	case ACCESS_ACC:
		return buffer->space == PROGRAM_ACC && there;
	default:
		return buffer->space >= PROGRAM_WEIGHT && buffer->space <= PROGRAM_OUTPUT &&
		       (!access->write || buffer->space == PROGRAM_ARENA || buffer->space == PROGRAM_OUTPUT);
	}
}

static int check_places(struct program *program, const struct instruction *new, size_t index)
{
	struct access list[ACCESS_MAX];
	size_t count = access_list(&new->insn, list);

	for (size_t i = 0; i < count; i++) {
		const struct program_place *place = &new->places[list[i].place];
		struct buffer *buffer = &program->buffers[place->buf];
		int64_t lo = (int64_t)place->offset + list[i].lo, hi = (int64_t)place->offset + list[i].hi;

		if (!place->buf || place->buf >= program->num_buffers)
			return program_fail(program, -EINVAL, "%s: operand %d has no buffer",
					    opcodes[new->insn.header.opcode].name, list[i].place);
		if (!place_fits(buffer, &list[i], new->tile,
				new->insn.header.opcode == AXL_OP_LOAD ? new->insn.dma.tiles : 0))
			return program_fail(program, -EINVAL, "%s: operand %d may not be in buffer %s",
					    opcodes[new->insn.header.opcode].name, list[i].place, buffer->name);
		if (hi > lo && (lo < 0 || hi > (int64_t)buffer->bytes))
			return program_fail(program, -EINVAL,
					    "%s: operand %d: bytes %lld to %lld of buffer %s, which has %llu",
					    opcodes[new->insn.header.opcode].name, list[i].place, (long long)lo,
					    (long long)hi, buffer->name, (unsigned long long)buffer->bytes);
		if (place->offset % list[i].align)
			return program_fail(program, -EINVAL, "%s: operand %d is not aligned",
					    opcodes[new->insn.header.opcode].name, list[i].place);
		buffer->first = buffer->first == SIZE_MAX ? index : buffer->first;
		buffer->last = index;
	}
	return 0;
}

int program_append(struct program *program, unsigned int tile, const union axl_insn *insn,
		   const struct program_place *places)
{
	struct instruction *new = add_instruction(program);
	int err;

	if (!new)
		return -ENOMEM;
	new->insn = *insn;
	new->tile = (uint8_t)tile;
	memcpy(new->places, places, sizeof(new->places));
	if (!opcodes[insn->header.opcode].slots || tile >= program->target.tiles) {
		program->count--;
		return program_fail(program, -EINVAL, "opcode %u on tile %u", insn->header.opcode, tile);
	}
	new->insn.header.slots = opcodes[insn->header.opcode].slots;
	if (insn->header.opcode != AXL_OP_LOAD || !insn->header.pipe)
		new->insn.header.pipe = opcodes[insn->header.opcode].pipe;
	new->insn.header.tag = program->tag;
	err = check_places(program, new, program->count - 1);
	if (err)
		program->count--;
	return err;
}

void program_set_tag(struct program *program, uint16_t tag)
{
	program->tag = tag;
}

int program_yield(struct program *program)
{
	struct instruction *new;

	if (program->count && program->instructions[program->count - 1].tile == PROGRAM_ALL_TILES)
		return 0;
	new = add_instruction(program);
	if (!new)
		return -ENOMEM;
	new->tile = PROGRAM_ALL_TILES;
	new->insn.header =
		(struct axl_header){.opcode = AXL_OP_YIELD, .slots = 1, .pipe = AXL_PIPE_SEQ, .tag = program->tag};
	return 0;
}

void program_spread(struct program *program)
{
	program->spread = true;
}

uint16_t program_failed_tag(const struct program *program)
{
	return program->failed_tag;
}

void program_get_stats(const struct program *program, struct program_stats *stats)
{
	*stats = program->stats;
	stats->instructions = program->count;
}

int program_print(const struct program *program, FILE *out)
{
	for (size_t i = 0; i < program->count; i++) {
		const struct instruction *instruction = &program->instructions[i];
		struct access list[ACCESS_MAX];
		size_t count = access_list(&instruction->insn, list);

		fprintf(out, "%6zu t%u %-8s", i, instruction->tile == PROGRAM_ALL_TILES ? 0 : instruction->tile,
			opcodes[instruction->insn.header.opcode].name);
		for (int w = 0; w < instruction->num_waits; w++)
			fprintf(out, " ?s%u", instruction->waits[w]);
		for (int s = 0; s < instruction->num_signals; s++)
			fprintf(out, " !s%u", instruction->signals[s]);
		for (size_t a = 0; a < count; a++) {
			const struct program_place *place = &instruction->places[list[a].place];
			const struct buffer *buffer = &program->buffers[place->buf];

			fprintf(out, " %s%s#%u", list[a].write ? "->" : "", buffer->name, place->buf);
			if (program->allocated)
				fprintf(out, "@%llx", (unsigned long long)(buffer->address + place->offset));
			else
				fprintf(out, "+%llx", (unsigned long long)place->offset);
			fprintf(out, "[%lld,%lld)", (long long)list[a].lo, (long long)list[a].hi);
		}
		fputc('\n', out);
	}
	return ferror(out) ? -EIO : 0;
}
