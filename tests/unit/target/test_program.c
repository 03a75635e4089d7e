/* SPDX-License-Identifier: MIT */
/*
 * Random programs through placement, ordering and emission: the verifier accepts what comes out, misses none of its
 * waits when one is taken away, and the device computes what one instruction at a time computes.
 *
 * The scratchpad is made small on purpose, so that addresses are used again many times in one program. All values are
 * s32, whose addition wraps: any wrong order that reaches the output shows in its bits.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <accel/accel.h>
#include <cmocka.h>

#include "compiler/target/program.h"
#include "compiler/target/verify.h"

#define SMALL_SPAD (48u << 10)
#define MAX_ELEMS 1024u
#define IO_ELEMS 4096u
#define MAX_LIVE 6
#define MAX_ARENA 8
#define PAGE 4096u

/* A buffer of the program and what it holds when instructions run one at a time. */
struct shadow {
	program_buf buf;
	uint32_t elems;
	uint8_t tiles; /* scratchpad: tiles that hold it */
	int32_t *data;
};

struct walk {
	uint64_t seed;
	struct target target;
	struct program *program;
	struct program_image image;
	struct shadow input, output;
	struct shadow live[MAX_LIVE], arena[MAX_ARENA];
	unsigned int num_live, num_arena;
};

static uint32_t draw(struct walk *walk, uint32_t below)
{
	walk->seed = walk->seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((walk->seed >> 33) % below);
}

static void shadow_init(struct shadow *shadow, program_buf buf, uint32_t elems, uint8_t tiles)
{
	assert_true(buf != 0);
	*shadow = (struct shadow){buf, elems, tiles, calloc(elems, sizeof(int32_t))};
	assert_non_null(shadow->data);
}

/* Makes room by forgetting a random buffer: its lifetime ends with its last instruction. */
static struct shadow *new_live(struct walk *walk)
{
	if (walk->num_live == MAX_LIVE) {
		uint32_t victim = draw(walk, MAX_LIVE);

		free(walk->live[victim].data);
		walk->live[victim] = walk->live[--walk->num_live];
	}
	return &walk->live[walk->num_live++];
}

static unsigned int draw_tile(struct walk *walk, uint8_t tiles)
{
	unsigned int tile = draw(walk, walk->target.tiles);

	while (!(tiles >> tile & 1))
		tile = (tile + 1) % walk->target.tiles;
	return tile;
}

static void append(struct walk *walk, unsigned int tile, const union axl_insn *insn, const struct program_place *places)
{
	if (program_append(walk->program, tile, insn, places))
		fail_msg("append: %s", program_error(walk->program));
}

/* @rows rows of @cols elements, @pitch elements apart in memory, dense in the scratchpad. */
struct block {
	uint32_t rows, cols, pitch, at;
};

static struct block draw_block(struct walk *walk, uint32_t spad_elems, uint32_t memory_elems)
{
	struct block block;

	block.rows = 1 + draw(walk, spad_elems < 4 || memory_elems < 4 ? 1 : 4);
	block.cols = 1 + draw(walk, (spad_elems < memory_elems ? spad_elems : memory_elems) / block.rows);
	block.pitch = block.cols + draw(walk, (memory_elems - block.rows * block.cols) / block.rows + 1);
	block.at = draw(walk, memory_elems - ((block.rows - 1) * block.pitch + block.cols) + 1);
	return block;
}

static void append_dma(struct walk *walk, enum axl_opcode opcode, unsigned int tile, const struct shadow *memory,
		       const struct shadow *spad, const struct block *block)
{
	union axl_insn insn = {.header = {.opcode = (uint8_t)opcode}};
	struct program_place places[PROGRAM_MAX_PLACES] = {{memory->buf, block->at * 4ull}, {spad->buf, 0}};

	for (int d = 0; d < 5; d++)
		insn.dma.dims[d] = 1;
	insn.dma.dims[3] = block->rows;
	insn.dma.dims[4] = block->cols;
	insn.dma.mem_stride[3] = (int32_t)block->pitch * 4;
	insn.dma.mem_stride[4] = 4;
	insn.dma.spad_stride[3] = (int32_t)block->cols * 4;
	insn.dma.spad_stride[4] = 4;
	insn.dma.mem_type = insn.dma.spad_type = AXL_TYPE_S32;
	insn.dma.purpose = opcode == AXL_OP_LOAD ? AXL_PURPOSE_ACTIVATION : AXL_PURPOSE_OUTPUT;
	if (opcode == AXL_OP_LOAD) {
		insn.header.pipe = draw(walk, 2) ? AXL_PIPE_LOAD : AXL_PIPE_WEIGHT;
		if (spad->tiles & (spad->tiles - 1))
			insn.dma.tiles = spad->tiles;
	}
	append(walk, tile, &insn, places);
	for (uint32_t r = 0; r < block->rows; r++) {
		int32_t *in_memory = memory->data + block->at + r * block->pitch;
		int32_t *in_spad = spad->data + r * block->cols;

		if (opcode == AXL_OP_LOAD)
			memcpy(in_spad, in_memory, block->cols * sizeof(int32_t));
		else
			memcpy(in_memory, in_spad, block->cols * sizeof(int32_t));
	}
}

/* A new scratchpad buffer of exactly what it loads, in one tile or in several. */
static void step_load(struct walk *walk)
{
	struct shadow *memory =
		walk->num_arena && draw(walk, 2) ? &walk->arena[draw(walk, walk->num_arena)] : &walk->input;
	struct block block = draw_block(walk, MAX_ELEMS, memory->elems);
	uint8_t tiles = (uint8_t)(1u << draw(walk, walk->target.tiles));
	struct shadow *spad = new_live(walk);
	program_buf buf;

	if (draw(walk, 4) == 0)
		tiles |= (uint8_t)(1u << draw(walk, walk->target.tiles));
	if (tiles & (tiles - 1))
		buf = program_multicast(walk->program, tiles, block.rows * block.cols * 4ull, "multicast");
	else
		buf = program_spad(walk->program, draw_tile(walk, tiles), block.rows * block.cols * 4ull, "loaded");
	shadow_init(spad, buf, block.rows * block.cols, tiles);
	append_dma(walk, AXL_OP_LOAD, draw_tile(walk, tiles), memory, spad, &block);
}

/* To a new arena buffer as a whole, to a part of an old one, or to a part of the output. */
static void step_store(struct walk *walk)
{
	struct shadow *spad, *memory = &walk->output;
	struct block block;

	if (!walk->num_live)
		return;
	spad = &walk->live[draw(walk, walk->num_live)];
	if (walk->num_arena < MAX_ARENA && draw(walk, 3) == 0) {
		memory = &walk->arena[walk->num_arena++];
		shadow_init(memory, program_arena(walk->program, spad->elems * 4ull, "arena"), spad->elems, 0);
		block = (struct block){1, spad->elems, spad->elems, 0};
	} else {
		if (walk->num_arena && draw(walk, 2))
			memory = &walk->arena[draw(walk, walk->num_arena)];
		block = draw_block(walk, spad->elems, memory->elems);
	}
	append_dma(walk, AXL_OP_STORE, draw_tile(walk, spad->tiles), memory, spad, &block);
}

/* dst = a + b over a part: in place, or into a new buffer of that size. */
static void step_vector(struct walk *walk)
{
	union axl_insn insn = {.header = {.opcode = AXL_OP_VEC}};
	struct program_place places[PROGRAM_MAX_PLACES] = {{0}};
	struct shadow a, b, *dst = NULL;
	uint32_t elems, at_a, at_b, at = 0;
	unsigned int tile;

	if (!walk->num_live)
		return;
	a = walk->live[draw(walk, walk->num_live)];
	b = walk->live[draw(walk, walk->num_live)];
	if (!(a.tiles & b.tiles))
		b = a;
	tile = draw_tile(walk, a.tiles & b.tiles);
	elems = 1 + draw(walk, a.elems < b.elems ? a.elems : b.elems);
	at_a = draw(walk, a.elems - elems + 1);
	at_b = draw(walk, b.elems - elems + 1);
	for (unsigned int i = 0; i < walk->num_live && draw(walk, 2); i++)
		if (walk->live[i].tiles == 1u << tile && walk->live[i].elems >= elems && walk->live[i].buf != a.buf &&
		    walk->live[i].buf != b.buf)
			dst = &walk->live[i];
	if (dst) {
		at = draw(walk, dst->elems - elems + 1);
	} else if (walk->num_live < MAX_LIVE) {
		dst = new_live(walk);
		shadow_init(dst, program_spad(walk->program, tile, elems * 4ull, "sum"), elems, (uint8_t)(1u << tile));
	} else {
		return;
	}
	for (int d = 0; d < 5; d++)
		insn.vec.dims[d] = 1;
	insn.vec.dims[4] = (uint16_t)elems;
	insn.vec.dst_stride[4] = insn.vec.src0_stride[4] = insn.vec.src1_stride[4] = 4;
	insn.vec.op = AXL_VEC_ADD;
	insn.vec.dst_type = insn.vec.src0_type = insn.vec.src1_type = AXL_TYPE_S32;
	places[0] = (struct program_place){dst->buf, at * 4ull};
	places[1] = (struct program_place){a.buf, at_a * 4ull};
	places[2] = (struct program_place){b.buf, at_b * 4ull};
	append(walk, tile, &insn, places);
	for (uint32_t i = 0; i < elems; i++)
		dst->data[at + i] = (int32_t)((uint32_t)a.data[at_a + i] + (uint32_t)b.data[at_b + i]);
}

static void step_yield(struct walk *walk)
{
	while (walk->num_live)
		free(walk->live[--walk->num_live].data);
	assert_int_equal(program_yield(walk->program), 0);
}

static void walk_init(struct walk *walk, const char *target, uint64_t seed, unsigned int steps)
{
	memset(walk, 0, sizeof(*walk));
	walk->seed = seed;
	walk->target = *target_find(target);
	walk->target.spad_bytes = SMALL_SPAD;
	assert_int_equal(program_create(&walk->target, &walk->program), 0);
	shadow_init(&walk->input, program_input(walk->program, 0, IO_ELEMS * 4, "in"), IO_ELEMS, 0);
	shadow_init(&walk->output, program_output(walk->program, 0, IO_ELEMS * 4, "out"), IO_ELEMS, 0);
	for (uint32_t i = 0; i < IO_ELEMS; i++)
		walk->input.data[i] = (int32_t)draw(walk, UINT32_C(0x7fffffff));
	for (unsigned int i = 0; i < steps; i++) {
		uint32_t dice = draw(walk, 32);

		if (dice < 9)
			step_load(walk);
		else if (dice < 21)
			step_vector(walk);
		else if (dice < 31)
			step_store(walk);
		else
			step_yield(walk);
	}
	/* Half of them in another order, where that fits. */
	if (draw(walk, 2)) {
		const uint64_t most = 5000;

		assert_int_equal(program_interleave(walk->program, &most, 1), 0);
		if (program_allocate(walk->program))
			program_restore(walk->program);
	}
	if (program_allocate(walk->program) || program_order(walk->program) ||
	    program_emit(walk->program, &walk->image) || program_emit_weights(walk->program, &walk->image))
		fail_msg("%s, seed %llu: %s", target, (unsigned long long)seed, program_error(walk->program));
}

static void walk_finish(struct walk *walk)
{
	while (walk->num_live)
		free(walk->live[--walk->num_live].data);
	while (walk->num_arena)
		free(walk->arena[--walk->num_arena].data);
	free(walk->input.data);
	free(walk->output.data);
	program_image_finish(&walk->image);
	program_destroy(walk->program);
}

static enum verify_rule verdict(const struct walk *walk, struct verify_report *report)
{
	struct verify_region regions[] = {{walk->image.weight_bytes, false},
					  {walk->image.arena_bytes, true},
					  {IO_ELEMS * 4, false},
					  {IO_ELEMS * 4, true}};
	struct verify_limits limits = {0};

	memset(report, 0, sizeof(*report));
	verify_command_buffer(walk->image.code, walk->image.code_bytes, &walk->target, 4, regions, &limits, report);
	return report->rule;
}

static const char *const targets[] = {"axl-edge", "axl-pro"};

static uint64_t first_seed(void)
{
	const char *given = getenv("AXL_TEST_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : 1;

	print_message("AXL_TEST_SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

static void random_programs_pass_the_verifier(void **state)
{
	uint64_t seed = first_seed();
	size_t semaphores = 0;

	(void)state;
	for (unsigned int n = 0; n < 200; n++) {
		struct verify_report report;
		struct program_stats stats;
		struct walk walk;

		walk_init(&walk, targets[n % 2], seed + n, 150);
		if (verdict(&walk, &report) != VERIFY_OK)
			fail_msg("%s, seed %llu: %s", targets[n % 2], (unsigned long long)(seed + n), report.text);
		program_get_stats(walk.program, &stats);
		assert_true(stats.spad_bound <= stats.spad_peak && stats.spad_peak <= SMALL_SPAD);
		semaphores += stats.semaphores;
		walk_finish(&walk);
	}
	assert_true(semaphores > 200);
}

/* Takes the wait away, asks the verifier, puts it back. */
static bool is_noticed(struct walk *walk, struct axl_sem_op *wait)
{
	struct axl_sem_op kept = *wait;
	struct verify_report report;
	bool noticed;

	*wait = (struct axl_sem_op){0, 0};
	noticed = verdict(walk, &report) != VERIFY_OK;
	*wait = kept;
	return noticed;
}

static void every_removed_wait_of_a_random_program_is_found(void **state)
{
	uint64_t seed = first_seed();
	unsigned int removed = 0, found = 0;

	(void)state;
	for (unsigned int n = 0; n < 6; n++) {
		struct axl_cmdbuf header;
		struct walk walk;

		walk_init(&walk, targets[n % 2], seed + 1000 + n, 150);
		memcpy(&header, walk.image.code, sizeof(header));
		for (unsigned int t = 0; t < header.num_tiles; t++)
			for (uint32_t at = 0; at < header.streams[t].size;) {
				struct axl_header *insn =
					(struct axl_header *)(void *)(walk.image.code + header.streams[t].offset + at);

				for (int w = 0; w < 2; w++)
					if (insn->wait[w].count) {
						removed++;
						found += is_noticed(&walk, &insn->wait[w]);
					}
				at += insn->slots * AXL_SLOT_BYTES;
			}
		walk_finish(&walk);
	}
	print_message("%u of %u removed waits found\n", found, removed);
	assert_true(removed > 100);
	assert_int_equal(found, removed);
}

/* A buffer with a copy of @data. */
static struct accel_buffer *place(struct accel_device *device, const void *data, uint64_t bytes, unsigned int flags,
				  uint64_t *address)
{
	struct accel_buffer *buffer;

	/* One byte more: a region may be empty. */
	assert_int_equal(accel_buffer_create(device, bytes + 1, ACCEL_BUFFER_LOCAL | flags, &buffer), 0);
	if (data)
		memcpy(accel_buffer_data(buffer), data, bytes);
	*address = accel_buffer_address(buffer);
	return buffer;
}

/* Runs the walk's command buffer on @device; the cause of its fault, or AXL_CAUSE_NONE and the output. */
static enum axl_cause run_on(struct accel_device *device, struct walk *walk, int32_t *output)
{
	struct axl_fault_record fault = {.cause = AXL_CAUSE_NONE};
	struct axl_exec_stats stats;
	struct accel_buffer *buffers[5];
	uint64_t bases[4], code;
	int err;

	buffers[0] = place(device, walk->image.weights, walk->image.weight_bytes, 0, &bases[0]);
	buffers[1] = place(device, NULL, walk->image.arena_bytes, ACCEL_BUFFER_WRITE, &bases[1]);
	buffers[2] = place(device, walk->input.data, IO_ELEMS * 4, 0, &bases[2]);
	buffers[3] = place(device, NULL, IO_ELEMS * 4, ACCEL_BUFFER_WRITE, &bases[3]);
	buffers[4] = place(device, walk->image.code, walk->image.code_bytes, ACCEL_BUFFER_EXEC, &code);
	err = accel_execute(device, buffers[4], (uint32_t)walk->image.code_bytes, bases, 4, &stats, NULL, 0, &fault);
	assert_int_equal(err != 0, fault.cause != AXL_CAUSE_NONE);
	memcpy(output, accel_buffer_data(buffers[3]), IO_ELEMS * 4);
	for (int i = 0; i < 5; i++)
		assert_int_equal(accel_buffer_destroy(buffers[i]), 0);
	return fault.cause;
}

static struct accel_device *open_target(const char *target, const char *options)
{
	struct accel_device *device;
	char name[64], error[200];

	snprintf(name, sizeof(name), "sim:target=%s,threads=1%s", target, options);
	if (accel_open(name, &device, error, sizeof(error)))
		fail_msg("%s: %s", name, error);
	return device;
}

static void the_device_computes_what_one_at_a_time_computes(void **state)
{
	uint64_t seed = first_seed();
	int32_t *output = malloc(IO_ELEMS * sizeof(*output));
	unsigned int written = 0;

	(void)state;
	assert_non_null(output);
	for (unsigned int n = 0; n < 60; n++) {
		struct accel_device *device = open_target(targets[n % 2], "");
		enum axl_cause cause;
		struct walk walk;

		walk_init(&walk, targets[n % 2], seed + 2000 + n, 200);
		cause = run_on(device, &walk, output);
		if (cause != AXL_CAUSE_NONE)
			fail_msg("%s: the device faulted, cause %u", targets[n % 2], (unsigned int)cause);
		if (memcmp(output, walk.output.data, IO_ELEMS * 4))
			fail_msg("%s, seed %llu: wrong output", targets[n % 2], (unsigned long long)(seed + 2000 + n));
		for (uint32_t i = 0; i < IO_ELEMS; i++)
			written += output[i] != 0;
		walk_finish(&walk);
		accel_close(device);
	}
	assert_true(written > 60 * 100);
	free(output);
}

/*
 * Of the waits of one program, how many the race check misses when they are gone. It compares bytes where
 * program_order() and the verifier compare ranges: transfers of rows which lie between each other's are ordered and
 * need not be.
 */
static unsigned int missed_by_race_check(const char *target, uint64_t seed, unsigned int *removed)
{
	struct accel_device *device = open_target(target, ",race-check=1");
	int32_t *output = malloc(IO_ELEMS * sizeof(*output));
	unsigned int missed = 0;
	struct axl_cmdbuf header;
	struct walk walk;

	assert_non_null(output);
	walk_init(&walk, target, seed, 150);
	assert_int_equal(run_on(device, &walk, output), AXL_CAUSE_NONE);
	memcpy(&header, walk.image.code, sizeof(header));
	for (unsigned int t = 0; t < header.num_tiles; t++)
		for (uint32_t at = 0; at < header.streams[t].size;) {
			struct axl_header *insn =
				(struct axl_header *)(void *)(walk.image.code + header.streams[t].offset + at);

			for (int w = 0; w < 2; w++) {
				struct axl_sem_op kept = insn->wait[w];
				enum axl_cause cause;

				if (!kept.count)
					continue;
				insn->wait[w] = (struct axl_sem_op){0, 0};
				cause = run_on(device, &walk, output);
				insn->wait[w] = kept;
				*removed += 1;
				missed += cause == AXL_CAUSE_NONE;
				if (cause != AXL_CAUSE_NONE && cause != AXL_CAUSE_RACE &&
				    cause != AXL_CAUSE_UNINITIALIZED)
					fail_msg("%s, seed %llu, tile %u at %u: cause %u", target,
						 (unsigned long long)seed, t, at, (unsigned int)cause);
			}
			at += insn->slots * AXL_SLOT_BYTES;
		}
	walk_finish(&walk);
	accel_close(device);
	free(output);
	return missed;
}

static void the_race_check_finds_removed_waits(void **state)
{
	uint64_t seed = first_seed() + 3000;
	unsigned int one = 0, four = 0, missed = 0;

	(void)state;
	for (unsigned int n = 0; n < 3; n++) {
		missed += missed_by_race_check("axl-edge", seed + n, &one);
		missed += missed_by_race_check("axl-pro", seed + 10 + n, &four);
	}
	print_message("%u of %u removed waits found\n", one + four - missed, one + four);
	assert_true(one > 50 && four > 100);
	assert_true(missed * 20 <= one + four);
}

static void a_buffer_live_across_a_yield_is_refused(void **state)
{
	struct walk walk;
	struct shadow kept;
	struct block block = {1, 16, 16, 0};

	(void)state;
	walk_init(&walk, "axl-edge", 1, 0);
	shadow_init(&kept, program_spad(walk.program, 0, 64, "kept"), 16, 1);
	append_dma(&walk, AXL_OP_LOAD, 0, &walk.input, &kept, &block);
	assert_int_equal(program_yield(walk.program), 0);
	append_dma(&walk, AXL_OP_STORE, 0, &walk.output, &kept, &block);
	assert_true(program_allocate(walk.program) || program_order(walk.program));
	assert_true(program_error(walk.program)[0] != 0);
	free(kept.data);
	walk_finish(&walk);
}

static void a_buffer_larger_than_the_scratchpad_is_named(void **state)
{
	struct walk walk;
	struct shadow huge;
	struct block block = {1, 16, 16, 0};

	(void)state;
	walk_init(&walk, "axl-edge", 1, 0);
	shadow_init(&huge, program_spad(walk.program, 0, SMALL_SPAD + 64, "huge"), 16, 1);
	append_dma(&walk, AXL_OP_LOAD, 0, &walk.input, &huge, &block);
	assert_int_equal(program_allocate(walk.program), -ENOSPC);
	assert_non_null(strstr(program_error(walk.program), "huge"));
	free(huge.data);
	walk_finish(&walk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_programs_pass_the_verifier),
		cmocka_unit_test(every_removed_wait_of_a_random_program_is_found),
		cmocka_unit_test(the_device_computes_what_one_at_a_time_computes),
		cmocka_unit_test(the_race_check_finds_removed_waits),
		cmocka_unit_test(a_buffer_live_across_a_yield_is_refused),
		cmocka_unit_test(a_buffer_larger_than_the_scratchpad_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
