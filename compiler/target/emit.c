/* SPDX-License-Identifier: MIT */
/*
 * The command buffer and the weight image of an allocated and ordered program.
 *
 * More than two waits go into SYNC instructions before the one that needs them, more than two signals into SYNCs behind
 * it, in the same pipe.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <axl/axl_access.h>
#include "compiler/target/program_internal.h"

struct stream {
	uint8_t *bytes;
	size_t size, capacity;
};

static int put(struct program *program, struct stream *stream, const union axl_insn *insn)
{
	size_t size = (size_t)insn->header.slots * AXL_SLOT_BYTES;

	if (stream->size + size > stream->capacity) {
		size_t capacity = stream->capacity * 2 + 65536;
		uint8_t *grown = realloc(stream->bytes, capacity);

		if (!grown)
			return program_fail(program, -ENOMEM, "out of memory");
		stream->bytes = grown;
		stream->capacity = capacity;
	}
	memcpy(stream->bytes + stream->size, insn, size);
	stream->size += size;
	return 0;
}

static int put_sync(struct program *program, struct stream *stream, const struct instruction *from,
		    const uint8_t *waits, int num_waits, const uint8_t *signals, int num_signals)
{
	union axl_insn sync = {.header = {.opcode = AXL_OP_SYNC,
					  .slots = 1,
					  .pipe = from->insn.header.pipe,
					  .tag = from->insn.header.tag}};

	for (int i = 0; i < num_waits; i++)
		sync.header.wait[i] = (struct axl_sem_op){waits[i], 1};
	for (int i = 0; i < num_signals; i++)
		sync.header.signal[i] = (struct axl_sem_op){signals[i], 1};
	program->stats.syncs++;
	return put(program, stream, &sync);
}

/* Write the operands' addresses, and the base register of a transfer. */
static void resolve(const struct program *program, const struct instruction *from, union axl_insn *insn)
{
	for (int p = 0; p < PROGRAM_MAX_PLACES; p++) {
		const struct program_place *place = &from->places[p];
		const struct buffer *buffer = &program->buffers[place->buf];
		uint64_t address = buffer->address + place->offset;
		int field = access_field(insn->header.opcode, p);

		if (!place->buf)
			continue;
		if (field >= 0) {
			uint32_t value = (uint32_t)address;

			memcpy(insn->bytes + field, &value, sizeof(value));
			continue;
		}
		insn->dma.offset = address;
		switch (buffer->space) {
		case PROGRAM_WEIGHT:
			insn->dma.base = PROGRAM_BASE_WEIGHT;
			break;
		case PROGRAM_ARENA:
			insn->dma.base = PROGRAM_BASE_ARENA;
			break;
		case PROGRAM_INPUT:
			insn->dma.base = (uint8_t)(PROGRAM_BASE_INPUT + buffer->index);
			break;
		default:
			insn->dma.base = (uint8_t)(PROGRAM_BASE_INPUT + program->num_inputs + buffer->index);
		}
	}
}

static int emit_instruction(struct program *program, struct stream *stream, const struct instruction *from)
{
	union axl_insn insn = from->insn;
	int waits = from->num_waits, signals = from->num_signals, err = 0;

	for (int i = 2; i < waits && !err; i += 2)
		err = put_sync(program, stream, from, from->waits + i, waits - i < 2 ? waits - i : 2, NULL, 0);
	for (int i = 0; i < waits && i < 2; i++)
		insn.header.wait[i] = (struct axl_sem_op){from->waits[i], 1};
	for (int i = 0; i < signals && i < 2; i++)
		insn.header.signal[i] = (struct axl_sem_op){from->signals[i], 1};
	resolve(program, from, &insn);
	if (!err)
		err = put(program, stream, &insn);
	for (int i = 2; i < signals && !err; i += 2)
		err = put_sync(program, stream, from, NULL, 0, from->signals + i, signals - i < 2 ? signals - i : 2);
	return err;
}

static int emit_streams(struct program *program, struct stream *streams, unsigned int tiles)
{
	static const union axl_insn end = {.header = {.opcode = AXL_OP_END, .slots = 1, .pipe = AXL_PIPE_SEQ}};
	int err = 0;

	for (size_t i = 0; i < program->count && !err; i++) {
		const struct instruction *from = &program->instructions[i];

		if (from->tile != PROGRAM_ALL_TILES) {
			err = emit_instruction(program, &streams[from->tile], from);
			continue;
		}
		for (unsigned int tile = 0; tile < tiles && !err; tile++)
			err = put(program, &streams[tile], &from->insn);
	}
	for (unsigned int tile = 0; tile < tiles && !err; tile++)
		err = put(program, &streams[tile], &end);
	return err;
}

static int join_streams(struct program *program, const struct stream *streams, unsigned int tiles,
			struct program_image *image)
{
	struct axl_cmdbuf header = {
		.magic = AXL_CMDBUF_MAGIC,
		.version = AXL_ISA_VERSION,
		.num_tiles = (uint8_t)tiles,
		.num_bases = PROGRAM_BASE_INPUT + program->num_inputs + program->num_outputs,
		.spad_bytes = (uint32_t)program->stats.spad_peak,
		.acc_bytes = (uint32_t)program->stats.acc_peak,
	};
	size_t size = sizeof(header);

	for (unsigned int tile = 0; tile < tiles; tile++) {
		header.streams[tile].offset = (uint32_t)size;
		header.streams[tile].size = (uint32_t)streams[tile].size;
		size += streams[tile].size;
	}
	if (size > UINT32_MAX)
		return program_fail(program, -ENOSPC, "the command buffer is larger than 4 GiB");
	header.size = (uint32_t)size;
	image->code = malloc(size);
	if (!image->code)
		return program_fail(program, -ENOMEM, "out of memory");
	memcpy(image->code, &header, sizeof(header));
	for (unsigned int tile = 0; tile < tiles; tile++)
		memcpy(image->code + header.streams[tile].offset, streams[tile].bytes, streams[tile].size);
	image->code_bytes = size;
	program->stats.code_bytes = size;
	return 0;
}

int program_emit(struct program *program, struct program_image *image)
{
	unsigned int tiles = program_tiles(program);
	struct stream streams[AXL_MAX_TILES] = {{0}};
	int err;

	memset(image, 0, sizeof(*image));
	if (!program->allocated || !program->ordered)
		return program_fail(program, -EINVAL, "a program is emitted after it was allocated and ordered");
	err = emit_streams(program, streams, tiles);
	if (!err)
		err = join_streams(program, streams, tiles, image);
	for (unsigned int tile = 0; tile < tiles; tile++)
		free(streams[tile].bytes);
	image->weight_bytes = program->stats.weight_bytes;
	image->arena_bytes = program->stats.arena_bytes;
	image->arena_bound = program->stats.arena_bound;
	image->spad_bytes = program->stats.spad_peak;
	image->spad_bound = program->stats.spad_bound;
	image->num_inputs = program->num_inputs;
	image->num_outputs = program->num_outputs;
	if (err)
		program_image_finish(image);
	return err;
}

/* Copies the weights and lets go of the originals as it goes: both together would be twice the model. */
int program_emit_weights(struct program *program, struct program_image *image)
{
	image->weights = calloc(1, image->weight_bytes ? image->weight_bytes : 1);
	if (!image->weights)
		return program_fail(program, -ENOMEM, "out of memory for %llu bytes of weights",
				    (unsigned long long)image->weight_bytes);
	for (size_t b = 1; b < program->num_buffers; b++) {
		struct buffer *buffer = &program->buffers[b];

		if (buffer->space != PROGRAM_WEIGHT || !buffer->data)
			continue;
		if (buffer->first != SIZE_MAX)
			memcpy(image->weights + buffer->address, buffer->data, buffer->bytes);
		free(buffer->data);
		buffer->data = NULL;
	}
	return 0;
}

void program_image_finish(struct program_image *image)
{
	free(image->code);
	free(image->weights);
	free(image->node_cycles);
	free(image->stretches);
	matrix_choices_finish(&image->choices);
	free(image->kept_until);
	memset(image, 0, sizeof(*image));
}
