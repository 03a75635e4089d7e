/* SPDX-License-Identifier: MIT */
/*
 * The event-driven timing against the cycle-by-cycle model, on random command buffers that the compiler's back end has
 * placed and ordered: mean error under 1 %, none above 5 %. And the laws that any timing has to keep.
 *
 *	AXL_TEST_SEED=N	the first seed (default 1)	AXL_TEST_ROUNDS=N	how many (default 300)
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <axl/axl_timing.h>
#include <cmocka.h>

#include "compiler/target/program.h"
#include "sim/core/engine.h"
#include "tests/unit/timing/cycle_model.h"

#define LOCAL_VA 0x10000000ull
#define HOST_VA 0x80000000ull
enum { REGION = 4 << 20, IO = 1 << 20 };

struct random {
	uint64_t state;
};

static uint32_t draw(struct random *random, uint32_t low, uint32_t high)
{
	random->state = random->state * 6364136223846793005ull + 1442695040888963407ull;
	return low + (uint32_t)(random->state >> 33) % (high - low + 1);
}

/* Weights of the kinds of work: which resource a program leans on. */
struct profile {
	const char *name;
	unsigned int m, k, n;                      /* largest sizes of a product */
	unsigned int host, real, vectors, strided; /* percent */
};

static const struct profile profiles[] = {
	{"mixed", 200, 300, 100, 20, 30, 50, 30}, {"array", 1500, 600, 64, 0, 20, 10, 10},
	{"memory", 40, 64, 64, 0, 20, 20, 60},    {"host", 64, 128, 64, 80, 20, 20, 30},
	{"vector", 60, 64, 64, 10, 50, 100, 30},  {"small", 8, 32, 16, 10, 30, 50, 50},
};

struct builder {
	struct random random;
	const struct profile *profile;
	struct program *program;
	const struct target *target;
	program_buf local_in, host_in, local_out, host_out;
};

static bool percent(struct builder *b, unsigned int chance)
{
	return draw(&b->random, 1, 100) <= chance;
}

static void append(struct builder *b, unsigned int tile, const union axl_insn *insn, const struct program_place *places)
{
	if (program_append(b->program, tile, insn, places))
		fail_msg("append: %s", program_error(b->program));
}

/* @bytes in rows, which may lie apart in memory. */
static void transfer(struct builder *b, unsigned int tile, program_buf memory, program_buf spad, uint32_t bytes,
		     bool load, uint8_t pipe)
{
	union axl_insn insn = {.header = {.opcode = load ? AXL_OP_LOAD : AXL_OP_STORE, .pipe = pipe}};
	uint32_t row = percent(b, b->profile->strided) ? draw(&b->random, 8, 300) : bytes, pitch;
	struct program_place places[PROGRAM_MAX_PLACES] = {{memory, 0}, {spad, 0}};

	row = row > bytes ? bytes : row;
	pitch = row == bytes ? row : row + draw(&b->random, 0, 200);
	pitch = bytes / row * pitch >= IO ? row : pitch;
	for (int d = 0; d < 5; d++)
		insn.dma.dims[d] = 1;
	insn.dma.dims[3] = bytes / row;
	insn.dma.dims[4] = row;
	insn.dma.mem_stride[3] = (int32_t)pitch;
	insn.dma.mem_stride[4] = insn.dma.spad_stride[4] = 1;
	insn.dma.spad_stride[3] = (int32_t)row;
	insn.dma.mem_type = insn.dma.spad_type = AXL_TYPE_U8;
	insn.dma.purpose = load ? AXL_PURPOSE_ACTIVATION : AXL_PURPOSE_OUTPUT;
	places[0].offset = draw(&b->random, 0, IO - (bytes / row) * pitch - 1);
	append(b, tile, &insn, places);
}

static program_buf spad(struct builder *b, unsigned int tile, uint32_t bytes)
{
	program_buf buf = program_spad(b->program, tile, bytes, "s");

	assert_true(buf != 0);
	return buf;
}

static program_buf loaded(struct builder *b, unsigned int tile, uint32_t bytes, uint8_t pipe)
{
	program_buf buf = spad(b, tile, bytes);

	transfer(b, tile, percent(b, b->profile->host) ? b->host_in : b->local_in, buf, bytes, true, pipe);
	return buf;
}

/* Load, multiply, drain, perhaps a few vector steps, store. */
static void layer(struct builder *b)
{
	static const uint8_t reals[] = {AXL_TYPE_F16, AXL_TYPE_F32, AXL_TYPE_BF16};
	unsigned int tile = draw(&b->random, 0, b->target->tiles - 1);
	uint32_t m = draw(&b->random, 1, b->profile->m), k = draw(&b->random, 1, b->profile->k);
	uint32_t n = draw(&b->random, 1, b->profile->n);
	uint8_t type = percent(b, b->profile->real) ? reals[draw(&b->random, 0, 2)] : AXL_TYPE_U8;
	uint32_t size = (uint32_t)axl_type_size(type);
	union axl_insn conv = {.header.opcode = AXL_OP_CONV}, drain = {.header.opcode = AXL_OP_DRAIN};
	struct program_place places[PROGRAM_MAX_PLACES] = {{0, 0}};
	bool depthwise = percent(b, 15);
	program_buf acc, out;
	uint32_t out_bytes;

	m = m * n * 4 > b->target->acc_bytes / 2 ? b->target->acc_bytes / 8 / n : m;
	m = m * k * size > 1 << 18 ? (1 << 18) / (k * size) : m;
	if (depthwise) {
		conv.header.opcode = AXL_OP_DWCONV;
		k = n;
	}
	places[0].buf = loaded(b, tile, m * k * size, AXL_PIPE_LOAD);
	places[1].buf = loaded(b, tile, (depthwise ? 1 : k) * n * size, AXL_PIPE_WEIGHT);
	places[2].buf = acc = program_acc(b->program, tile, (uint64_t)m * n * 4, "acc");
	conv.conv.a_stride_w = k * size;
	conv.conv.a_stride_h = m * k * size;
	conv.conv.w_stride_k = n * size;
	conv.conv.w_stride_n = size;
	conv.conv.acc_stride = 4 * n;
	conv.conv.channels = k;
	conv.conv.n = n;
	conv.conv.out_h = conv.conv.in_h = 1;
	conv.conv.out_w = conv.conv.in_w = (uint16_t)m;
	conv.conv.kernel_h = conv.conv.kernel_w = conv.conv.stride_h = conv.conv.stride_w = 1;
	conv.conv.dilation_h = conv.conv.dilation_w = conv.conv.in_dil_h = conv.conv.in_dil_w = 1;
	conv.conv.a_type = conv.conv.w_type = type;
	conv.conv.split = (uint8_t)draw(&b->random, 0, 3);
	append(b, tile, &conv, places);

	memset(places, 0, sizeof(places));
	drain.drain.acc_type = type == AXL_TYPE_U8 ? AXL_TYPE_S32 : AXL_TYPE_F32;
	drain.drain.out_type = percent(b, 40) ? AXL_TYPE_F32 : AXL_TYPE_U8;
	drain.drain.act1 = percent(b, 15) ? AXL_ACT_TANH : AXL_ACT_NONE;
	size = (uint32_t)axl_type_size(drain.drain.out_type);
	out_bytes = m * n * size;
	drain.drain.acc_stride = 4 * n;
	drain.drain.n = n;
	drain.drain.rows_h = 1;
	drain.drain.rows_w = (uint16_t)m;
	drain.drain.out_stride_w = n * size;
	drain.drain.out_stride_h = m * n * size;
	places[0].buf = acc;
	places[1].buf = out = spad(b, tile, out_bytes);
	append(b, tile, &drain, places);

	while (percent(b, b->profile->vectors / 2)) {
		union axl_insn vec = {.header.opcode = AXL_OP_VEC};
		program_buf next = spad(b, tile, out_bytes);

		memset(places, 0, sizeof(places));
		vec.vec.op = percent(b, 50) ? AXL_VEC_ADD : AXL_VEC_EXP;
		vec.vec.dst_type = vec.vec.src0_type = vec.vec.src1_type = drain.drain.out_type;
		for (int d = 0; d < 5; d++)
			vec.vec.dims[d] = 1;
		vec.vec.dims[3] = (uint16_t)m;
		vec.vec.dims[4] = (uint16_t)n;
		vec.vec.dst_stride[3] = vec.vec.src0_stride[3] = vec.vec.src1_stride[3] = (int32_t)(n * size);
		vec.vec.dst_stride[4] = vec.vec.src0_stride[4] = vec.vec.src1_stride[4] = (int32_t)size;
		places[0].buf = next;
		places[1].buf = places[2].buf = out;
		append(b, tile, &vec, places);
		out = next;
	}
	transfer(b, tile, percent(b, b->profile->host) ? b->host_out : b->local_out, out, out_bytes, false,
		 AXL_PIPE_STORE);
}

/* ---- running both ---- */

static uint8_t *memory;

static int translate(void *opaque, uint64_t va, enum axl_access access, struct engine_page *page,
		     struct engine_fault *fault)
{
	bool host = va >= HOST_VA;
	uint64_t at = va - (host ? HOST_VA : LOCAL_VA);

	(void)opaque, (void)access;
	if (at >= REGION) {
		fault->cause = AXL_CAUSE_NOT_MAPPED;
		return -EFAULT;
	}
	*page = (struct engine_page){memory + (host ? REGION : 0) + at, REGION - at, !host, 0};
	return 0;
}

static void keeps_the_laws(const struct engine_config *config, const struct axl_exec_stats *stats, unsigned int tiles)
{
	uint64_t cycles = stats->end - stats->start, local = 0, host = 0;

	for (unsigned int t = 0; t < tiles; t++)
		for (int p = AXL_PIPE_LOAD; p < AXL_NUM_PIPES; p++) {
			uint64_t sum = 0;

			for (int why = 0; why < AXL_NUM_STALLS; why++)
				sum += stats->pipe[t][p][why];
			assert_true(sum == cycles);
		}
	for (int purpose = 0; purpose < 4; purpose++) {
		local += stats->bytes[purpose][0];
		host += stats->bytes[purpose][1];
	}
	assert_true(local <= cycles * config->dram_rate);
	assert_true(host <= cycles * config->host_rate);
	assert_true(stats->macs_useful <= cycles * tiles * AXL_ARRAY_K * AXL_ARRAY_N);
	assert_true(stats->macs_useful <= stats->macs_issued);
}

/* The error of one random buffer; *cycles: the slow model's. */
static double compare(uint64_t seed, uint64_t *cycles)
{
	static const struct engine_memory_ops ops = {.translate = translate};
	struct builder b = {.random = {seed * 0x9e3779b97f4a7c15ull + 1}, .profile = &profiles[seed % 6]};
	const struct engine_config *config = engine_config_find(seed / 6 % 2 ? "axl-pro" : "axl-edge");
	struct cycle_config slow = {config->dram_rate,    config->dram_latency, config->host_rate,
				    config->host_latency, config->spad_banks,   HOST_VA};
	struct engine_job job = {.timing = true, .memory = &ops, .watchdog = 10000000};
	struct engine_state *state = NULL;
	struct program_image image;
	struct axl_exec_stats stats;
	struct engine_fault fault;
	struct engine *engine;
	uint32_t layers = draw(&b.random, 1, 12);

	assert_int_equal(program_create(target_find(config->name), &b.program), 0);
	b.target = program_target(b.program);
	b.local_in = program_input(b.program, 0, IO, "local in");
	b.host_in = program_input(b.program, 1, IO, "host in");
	b.local_out = program_output(b.program, 0, IO, "local out");
	b.host_out = program_output(b.program, 1, IO, "host out");
	while (layers--)
		layer(&b);
	if (program_allocate(b.program) || program_order(b.program) || program_emit(b.program, &image))
		fail_msg("seed %llu: %s", (unsigned long long)seed, program_error(b.program));
	job.cmdbuf = image.code;
	job.size = (uint32_t)image.code_bytes;
	job.bases[0] = LOCAL_VA;
	job.bases[1] = LOCAL_VA;
	job.bases[2] = LOCAL_VA;
	job.bases[3] = HOST_VA;
	job.bases[4] = LOCAL_VA + IO;
	job.bases[5] = HOST_VA + IO;
	assert_int_equal(engine_create(config, 1, &engine), 0);
	if (engine_run(engine, &job, &state, &stats, &fault))
		fail_msg("seed %llu: fault %u at %u", (unsigned long long)seed, fault.cause, fault.offset);
	keeps_the_laws(config, &stats, ((const struct axl_cmdbuf *)(const void *)image.code)->num_tiles);
	*cycles = cycle_model_run(&slow, image.code, job.bases, 10000000);
	if (!*cycles)
		fail_msg("seed %llu: the cycle model does not end", (unsigned long long)seed);
	engine_destroy(engine);
	program_image_finish(&image);
	program_destroy(b.program);
	return fabs((double)(stats.end - stats.start) - (double)*cycles) / (double)*cycles;
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

static void events_and_cycles_agree(void **state)
{
	uint64_t first = number_from("AXL_TEST_SEED", 1), rounds = number_from("AXL_TEST_ROUNDS", 300), worst_seed = 0;
	double sum = 0, worst = 0;

	(void)state;
	memory = calloc(2, REGION);
	for (uint64_t seed = first; seed < first + rounds; seed++) {
		uint64_t cycles;
		double error = compare(seed, &cycles);

		if (getenv("AXL_TEST_VERBOSE"))
			printf("%llu %s %llu cycles %.2f %%\n", (unsigned long long)seed, profiles[seed % 6].name,
			       (unsigned long long)cycles, 100 * error);
		sum += error;
		if (error > worst) {
			worst = error;
			worst_seed = seed;
		}
	}
	free(memory);
	print_message("%llu buffers: mean error %.2f %%, worst %.2f %% (seed %llu)\n", (unsigned long long)rounds,
		      100 * sum / (double)rounds, 100 * worst, (unsigned long long)worst_seed);
	assert_true(sum / (double)rounds < 0.01);
	assert_true(worst < 0.05);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(events_and_cycles_agree)};

	return cmocka_run_group_tests_name("timing", tests, NULL, NULL);
}
