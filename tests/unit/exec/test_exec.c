/* SPDX-License-Identifier: MIT */
/*
 * The device's fast loops against the scalar reference: every instruction, every operation with every combination of
 * types that is legal, random shapes, layouts and hostile values; identical bits in all of scratchpad and accumulators.
 *
 *	AXL_TEST_SEED=N	another sequence (printed on failure)	AXL_TEST_ROUNDS=N	how many of each
 *	AXL_SIM_ISA	which inner loops (meson runs the test once for each)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <axl/axl_access.h>
#include <axl/axl_disasm.h>
#include <cmocka.h>

#include "sim/core/exec.h"
#include "tests/reference/reference.h"
#include "tests/unit/exec/generate.h"

struct memories {
	struct exec_memory device;
	uint8_t *spad, *acc; /* the reference's */
};

static uint64_t number_from(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

static struct memories memories_new(void)
{
	struct memories m = {.device = {.spad_bytes = GENERATE_SPAD, .acc_bytes = GENERATE_ACC}};

	m.device.spad = aligned_alloc(64, GENERATE_SPAD);
	m.device.acc = aligned_alloc(64, GENERATE_ACC);
	m.spad = malloc(GENERATE_SPAD);
	m.acc = malloc(GENERATE_ACC);
	assert_true(m.device.spad && m.device.acc && m.spad && m.acc);
	return m;
}

static void memories_free(struct memories *m)
{
	free(m->device.spad);
	free(m->device.acc);
	free(m->spad);
	free(m->acc);
}

static void print(const union axl_insn *insn)
{
	char text[2000];

	axl_disassemble(insn, text, sizeof(text));
	fprintf(stderr, "%s\n", text);
}

static void differ(const union axl_insn *insn, const char *memory, const uint8_t *got, const uint8_t *expected,
		   uint64_t seed)
{
	size_t at = 0;
	uint32_t g, e;

	while (got[at] == expected[at])
		at++;
	at &= ~(size_t)3;
	memcpy(&g, got + at, 4);
	memcpy(&e, expected + at, 4);
	fprintf(stderr, "seed %llu: %s at 0x%zx: device %08x, reference %08x\n", (unsigned long long)seed, memory, at,
		g, e);
	print(insn);
	fail();
}

/* One instruction, in one part and in several, from the same memories. */
static void compare(struct memories *m, const union axl_insn *insn, uint64_t seed, struct random *random)
{
	struct exec_error error = {0};
	size_t parts = exec_parts(insn);
	int expected, got = 0;

	if (!exec_check(insn, GENERATE_SPAD, GENERATE_ACC, 1, &error)) {
		print(insn);
		fail_msg("seed %llu: refused: %s", (unsigned long long)seed, error.what);
	}
	if (insn->header.opcode == AXL_OP_CONV && parts == 1)
		parts = random_in(random, 1, 3);
	memcpy(m->spad, m->device.spad, GENERATE_SPAD);
	memcpy(m->acc, m->device.acc, GENERATE_ACC);
	expected = reference_run(insn, m->spad, m->acc);
	for (size_t part = parts; part-- > 0;)
		got |= exec_run(insn, &m->device, part, parts, &error);
	assert_int_equal(!!got, !!expected);
	if (memcmp(m->spad, m->device.spad, GENERATE_SPAD))
		differ(insn, "scratchpad", m->device.spad, m->spad, seed);
	if (memcmp(m->acc, m->device.acc, GENERATE_ACC))
		differ(insn, "accumulators", m->device.acc, m->acc, seed);
}

static void fresh(struct memories *m, struct random *random)
{
	generate_memory(random, m->device.spad, GENERATE_SPAD);
	generate_memory(random, m->device.acc, GENERATE_ACC);
}

typedef void (*generator)(struct random *random, union axl_insn *insn);

static void dense(struct random *random, union axl_insn *insn)
{
	generate_conv(random, false, insn);
}

static void depthwise(struct random *random, union axl_insn *insn)
{
	generate_conv(random, true, insn);
}

static void compare_many(generator generate, unsigned int rounds)
{
	struct memories m = memories_new();

	for (uint64_t i = 0; i < rounds; i++) {
		uint64_t seed = number_from("AXL_TEST_SEED", 1) * 1000003 + i;
		struct random random = {seed * 0x9e3779b97f4a7c15ull | 1};
		union axl_insn insn;

		if (i % 16 == 0)
			fresh(&m, &random);
		generate(&random, &insn);
		compare(&m, &insn, seed, &random);
	}
	memories_free(&m);
}

static void conv(void **state)
{
	(void)state;
	compare_many(dense, (unsigned int)number_from("AXL_TEST_ROUNDS", 1500));
}

static void dwconv(void **state)
{
	(void)state;
	compare_many(depthwise, (unsigned int)number_from("AXL_TEST_ROUNDS", 1500));
}

static void drain(void **state)
{
	(void)state;
	compare_many(generate_drain, (unsigned int)number_from("AXL_TEST_ROUNDS", 3000));
}

static const uint8_t operations[] = {
#define OPERATION(name, number, class, domains, cost, text) number,
	AXL_VEC_OPS(OPERATION)
#undef OPERATION
};

/* All types for dst and src0, and of the second source as well where there is one. */
static void vec(void **state)
{
	unsigned int rounds = (unsigned int)number_from("AXL_TEST_ROUNDS", 2), legal = 0;
	uint64_t seed = number_from("AXL_TEST_SEED", 1) * 7919;
	struct memories m = memories_new();

	(void)state;
	for (size_t o = 0; o < sizeof(operations); o++)
		for (unsigned int types = 0; types < AXL_NUM_TYPES * AXL_NUM_TYPES * AXL_NUM_TYPES; types++)
			for (unsigned int round = 0; round < rounds; round++) {
				struct random random = {(seed++ * 0x9e3779b97f4a7c15ull) | 1};
				struct exec_error error;
				union axl_insn insn;

				generate_vec(&random, (enum axl_vec_op)operations[o],
					     (enum axl_type)(types % AXL_NUM_TYPES),
					     (enum axl_type)(types / AXL_NUM_TYPES % AXL_NUM_TYPES),
					     (enum axl_type)(types / AXL_NUM_TYPES / AXL_NUM_TYPES), &insn);
				/* The second source's type counts where it is used; one is enough where it is not. */
				if (!vec_is_binary(operations[o]) && insn.vec.src1_type)
					continue;
				if (!exec_check(&insn, GENERATE_SPAD, GENERATE_ACC, 1, &error))
					continue;
				if (legal++ % 64 == 0)
					fresh(&m, &random);
				if (operations[o] == AXL_VEC_GATHER)
					generate_indices(&random, &insn, m.device.spad);
				compare(&m, &insn, seed - 1, &random);
			}
	print_message("%u instructions of %zu operations\n", legal, sizeof(operations));
	assert_true(legal > 40 * sizeof(operations));
	memories_free(&m);
}

static void conversions(void **state)
{
	struct random random = {number_from("AXL_TEST_SEED", 1) * 77 | 1};
	uint8_t from[4096], to[8192], expected[8192];

	(void)state;
	for (unsigned int types = 0; types < AXL_NUM_TYPES * AXL_NUM_TYPES; types++) {
		enum axl_type dst = (enum axl_type)(types % AXL_NUM_TYPES),
			      src = (enum axl_type)(types / AXL_NUM_TYPES);
		size_t dst_size = exec_type_size(dst), src_size = exec_type_size(src);

		for (int round = 0; round < 10 && dst_size && src_size; round++) {
			size_t count = random_in(&random, 1, 500);

			generate_memory(&random, from, sizeof(from));
			memset(to, 0, sizeof(to));
			memset(expected, 0, sizeof(expected));
			exec_convert(to, dst, from, src, count);
			for (size_t i = 0; i < count; i++)
				reference_convert(expected + i * dst_size, dst, from + i * src_size, src);
			if (memcmp(to, expected, sizeof(to)))
				fail_msg("type %u to %u", src, dst);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conversions), cmocka_unit_test(conv), cmocka_unit_test(dwconv),
		cmocka_unit_test(drain),       cmocka_unit_test(vec),
	};

	printf("inner loops: %s\n", exec_isa_name());
	return cmocka_run_group_tests_name("exec", tests, NULL, NULL);
}
