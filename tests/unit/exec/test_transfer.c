/* SPDX-License-Identifier: MIT */
/*
 * LOAD and STORE on the device against the scalar reference: random blocks with padding, negative and zero strides,
 * gathers, conversions, multicast, memory in pages that do not lie together. What a STORE leaves in memory, and what a
 * LOAD leaves in every scratchpad (seen by storing all of it), is compared.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <axl/axl_access.h>
#include <axl/axl_disasm.h>
#include <cmocka.h>

#include "sim/core/engine.h"
#include "tests/reference/reference.h"
#include "tests/unit/exec/generate.h"

enum { TILES = 4, SPAD = 64 << 10, MEMORY = 1 << 20, PAGE = 4096, DUMP = 512 << 10 };

/* Virtual page p lies at page 255 - p of @memory. */
struct world {
	struct engine *engine;
	uint8_t *memory, *flat; /* the device's; as the program sees it */
	uint8_t *spads[TILES];
};

static int translate(void *opaque, uint64_t va, enum axl_access access, struct engine_page *page,
		     struct engine_fault *fault)
{
	struct world *world = opaque;

	if (va >= MEMORY) {
		fault->cause = AXL_CAUSE_NOT_MAPPED;
		fault->access = access;
		return -EFAULT;
	}
	page->host = world->memory + (MEMORY / PAGE - 1 - va / PAGE) * PAGE + va % PAGE;
	page->bytes = PAGE - va % PAGE;
	page->local = va / PAGE % 2;
	page->walk = 0;
	return 0;
}

static const struct engine_memory_ops memory_ops = {.translate = translate};

static void scatter(struct world *world)
{
	for (unsigned int p = 0; p < MEMORY / PAGE; p++)
		memcpy(world->memory + (MEMORY / PAGE - 1 - p) * PAGE, world->flat + p * PAGE, PAGE);
}

static const uint8_t types[] = {AXL_TYPE_U8, AXL_TYPE_S8, AXL_TYPE_F16, AXL_TYPE_BF16, AXL_TYPE_F32, AXL_TYPE_S32};

/* False: it would reach beyond the area below DUMP. */
static bool generate(struct random *random, bool load, struct axl_dma *dma)
{
	int64_t low = 0, high = 0, size;

	memset(dma, 0, sizeof(*dma));
	dma->header = (struct axl_header){.opcode = load ? AXL_OP_LOAD : AXL_OP_STORE,
					  .slots = 2,
					  .pipe = load ? AXL_PIPE_LOAD + random_bits(random) % 2 : AXL_PIPE_STORE};
	dma->mem_type = types[random_bits(random) % sizeof(types)];
	dma->spad_type = types[random_bits(random) % sizeof(types)];
	size = access_type_bytes(dma->spad_type);
	for (int d = 0; d < 5; d++) {
		dma->dims[d] = random_in(random, 1, d == 4 ? 40 : 4);
		if (random_bits(random) % 3 == 0) {
			dma->lo[d] = (uint16_t)random_in(random, 0, dma->dims[d]);
			dma->hi[d] = (uint16_t)random_in(random, 0, dma->dims[d]);
		}
	}
	for (int64_t d = 4, stride = size; d >= 0; d--) {
		dma->spad_stride[d] = (int32_t)stride;
		stride *= dma->dims[d];
	}
	dma->spad = (uint32_t)size * random_in(random, 0, 30);
	for (int d = 0; d < 5; d++) {
		int32_t stride = (int32_t)random_in(random, 0, 6000) - 3000;

		/* STORE: distinct destinations, so dense; LOAD: anything, also unaligned, backwards and again. */
		if (!load || random_bits(random) % 2)
			stride = d == 4 ? (int32_t)access_type_bytes(dma->mem_type)
					: (int32_t)(41 * 4 *
						    (d == 3   ? 1
						     : d == 2 ? 5
						     : d == 1 ? 25
							      : 125));
		dma->mem_stride[d] = stride;
		if (stride < 0)
			low += (int64_t)stride * dma->dims[d];
		else
			high += (int64_t)stride * dma->dims[d];
	}
	if (load && random_bits(random) % 4 == 0) {
		dma->dma_flags = AXL_DMA_GATHER;
		dma->index_addr = SPAD - 1024;
		dma->index_limit = random_in(random, 1, 20);
		low += dma->mem_stride[0] < 0 ? (int64_t)dma->mem_stride[0] * 20 : 0;
		high += dma->mem_stride[0] > 0 ? (int64_t)dma->mem_stride[0] * 20 : 0;
	}
	dma->offset = (uint64_t)(-low + (int64_t)random_in(random, 0, 5000));
	dma->fill = random_bits(random);
	dma->tiles = load && random_bits(random) % 2 ? (uint8_t)random_in(random, 1, 15) : 0;
	return (int64_t)dma->offset + high < DUMP;
}

static void put(uint8_t *stream, uint32_t *at, const union axl_insn *insn)
{
	memcpy(stream + *at, insn, insn->header.slots * AXL_SLOT_BYTES);
	*at += insn->header.slots * AXL_SLOT_BYTES;
}

/*
 * One buffer: every tile loads its scratchpad from memory (an area of its own), tile 1 makes the transfer, every tile
 * stores its scratchpad. Three buffers would forget the scratchpads' contents in between.
 */
static int run(struct world *world, const struct axl_dma *dma)
{
	static uint8_t code[sizeof(struct axl_cmdbuf) + TILES * 16 * AXL_SLOT_BYTES];
	struct axl_cmdbuf *header = (struct axl_cmdbuf *)(void *)code;
	struct engine_job job = {.timing = true, .memory = &memory_ops, .memory_opaque = world};
	struct engine_state *state = NULL;
	struct engine_fault fault;
	struct axl_exec_stats stats;
	uint32_t at = sizeof(*header);

	memset(code, 0, sizeof(code));
	*header = (struct axl_cmdbuf){
		.magic = AXL_CMDBUF_MAGIC, .version = AXL_ISA_VERSION, .num_tiles = TILES, .num_bases = 1};
	for (unsigned int t = 0; t < TILES; t++) {
		union axl_insn move = {.dma = {.header = {.opcode = AXL_OP_LOAD, .slots = 2, .pipe = AXL_PIPE_LOAD},
					       .offset = DUMP + t * SPAD,
					       .mem_type = AXL_TYPE_U8,
					       .spad_type = AXL_TYPE_U8,
					       .dims = {1, 1, 1, 1, SPAD},
					       .mem_stride[4] = 1,
					       .spad_stride[4] = 1}};
		union axl_insn insn = {.dma = *dma}, end = {.header = {.opcode = AXL_OP_END, .slots = 1}};

		header->streams[t].offset = at;
		/* Loaded: global semaphore 0, once a tile, for tile 1. Transferred: one each for every tile. */
		move.header.signal[0] = (struct axl_sem_op){64, 1};
		put(code, &at, &move);
		if (t == 1) {
			union axl_insn go = {.header = {.opcode = AXL_OP_SYNC, .slots = 1, .pipe = AXL_PIPE_LOAD}};

			go.header.pipe = dma->header.pipe;
			go.header.wait[0] = (struct axl_sem_op){64, TILES};
			put(code, &at, &go);
			insn.header.signal[0] = (struct axl_sem_op){65, TILES};
			put(code, &at, &insn);
		}
		move.header = (struct axl_header){.opcode = AXL_OP_STORE, .slots = 2, .pipe = AXL_PIPE_STORE};
		move.header.wait[0] = (struct axl_sem_op){65, 1};
		put(code, &at, &move);
		put(code, &at, &end);
		header->streams[t].size = at - header->streams[t].offset;
	}
	header->size = at;
	job.cmdbuf = code;
	job.size = at;
	return engine_run(world->engine, &job, &state, &stats, &fault);
}

static void transfers(void **state)
{
	const char *given = getenv("AXL_TEST_SEED");
	uint64_t first = given ? strtoull(given, NULL, 10) : 1;
	struct world world = {0};

	(void)state;
	assert_int_equal(engine_create(engine_config_find("axl-pro"), 1, &world.engine), 0);
	world.memory = malloc(MEMORY);
	world.flat = malloc(MEMORY);
	for (uint64_t seed = first; seed < first + 600; seed++) {
		struct random random = {seed * 0x9e3779b97f4a7c15ull | 1};
		union axl_insn insn;
		int expected;

		generate_memory(&random, world.flat, MEMORY);
		while (!generate(&random, seed % 3, &insn.dma))
			;
		for (unsigned int t = 0; t < TILES; t++) {
			world.spads[t] = world.flat + DUMP + t * SPAD;
			for (uint32_t at = SPAD - 1024; insn.dma.dma_flags && at < SPAD; at += 4) {
				uint32_t index = random_in(&random, 0, insn.dma.index_limit - 1 + (seed % 60 == 0));

				memcpy(world.spads[t] + at, &index, 4);
			}
		}
		scatter(&world);
		expected = reference_transfer(&insn.dma, world.spads, TILES, 1, world.flat);
		if (!!run(&world, &insn.dma) != !!expected)
			fail_msg("seed %llu: the device %s", (unsigned long long)seed,
				 expected ? "takes a bad index" : "faults");
		for (unsigned int p = 0; p < MEMORY / PAGE && !expected; p++)
			if (memcmp(world.memory + (MEMORY / PAGE - 1 - p) * PAGE, world.flat + p * PAGE, PAGE)) {
				char text[2000];

				axl_disassemble(&insn, text, sizeof(text));
				fail_msg("seed %llu: page %u differs: %s", (unsigned long long)seed, p, text);
			}
	}
	engine_destroy(world.engine);
	free(world.memory);
	free(world.flat);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(transfers)};

	return cmocka_run_group_tests_name("transfer", tests, NULL, NULL);
}
