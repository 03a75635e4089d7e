/* SPDX-License-Identifier: MIT */
/*
 * The verifier against command buffers that the compiler wrote, and against the same with one thing broken.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compiler/compiler.h"
#include "compiler/package/axm.h"
#include "compiler/target/verify.h"
#include "runtime/cpu/tensor.h"

/* A compiled network's first device region, with what the verifier wants to know. */
struct subject {
	struct compile_result compiled;
	struct axm axm;
	uint8_t *code;
	uint64_t size;
	struct verify_region regions[AXL_NUM_BASES];
	unsigned int num_regions;
	const struct target *target;
};

static uint64_t value_bytes(const struct axm *axm, uint32_t id)
{
	return (uint64_t)dims_count((int)axm->values[id].rank, axm->values[id].dims) *
	       dtype_size((enum dtype)axm->values[id].dtype);
}

static void compile_subject(struct subject *subject, const char *target, enum compile_precision precision)
{
	struct compile_options options = {.target = target, .precision = precision, .seed = 1, .disable = "placement"};
	const struct axm_region *region;
	char error[512] = "";

	memset(subject, 0, sizeof(*subject));
	if (compile_file(getenv("AXL_TEST_MODEL"), &options, &subject->compiled, error, sizeof(error)))
		fail_msg("%s", error);
	assert_int_equal(
		axm_open_bytes(subject->compiled.bytes, subject->compiled.size, &subject->axm, error, sizeof(error)),
		0);
	region = &subject->axm.regions[0];
	assert_true(region->device);
	subject->size = region->code_bytes;
	subject->code = malloc(subject->size);
	memcpy(subject->code, subject->axm.data + region->code, subject->size);
	subject->regions[0] = (struct verify_region){region->weight_bytes, false};
	subject->regions[1] = (struct verify_region){region->arena_bytes, true};
	subject->num_regions = 2;
	for (uint32_t i = 0; i < region->num_inputs; i++)
		subject->regions[subject->num_regions++] = (struct verify_region){
			value_bytes(&subject->axm, subject->axm.ids[region->inputs_first + i]), false};
	for (uint32_t i = 0; i < region->num_outputs; i++)
		subject->regions[subject->num_regions++] = (struct verify_region){
			value_bytes(&subject->axm, subject->axm.ids[region->outputs_first + i]), true};
	subject->target = target_find(target);
}

static void drop_subject(struct subject *subject)
{
	free(subject->code);
	axm_close(&subject->axm);
	compile_result_finish(&subject->compiled);
}

static enum verify_rule verdict(const struct subject *subject)
{
	struct verify_limits limits = {0};
	struct verify_report report;

	verify_command_buffer(subject->code, subject->size, subject->target, subject->num_regions, subject->regions,
			      &limits, &report);
	return report.rule;
}

/* Calls visit(header) for every instruction of every stream. */
static void for_instructions(struct subject *subject, void (*visit)(struct subject *subject, struct axl_header *header))
{
	struct axl_cmdbuf header;

	memcpy(&header, subject->code, sizeof(header));
	for (unsigned int t = 0; t < header.num_tiles; t++)
		for (uint32_t at = header.streams[t].offset; at < header.streams[t].offset + header.streams[t].size;) {
			struct axl_header *insn = (struct axl_header *)(void *)(subject->code + at);

			at += insn->slots * AXL_SLOT_BYTES;
			visit(subject, insn);
		}
}

static unsigned int removed, found;

/* Without one of its waits, a buffer is a race, or its signal is left over: the verifier says something every time. */
static void remove_wait(struct subject *subject, struct axl_header *header)
{
	for (int i = 0; i < 2; i++) {
		struct axl_sem_op wait = header->wait[i];

		if (!wait.count)
			continue;
		header->wait[i] = (struct axl_sem_op){0, 0};
		removed++;
		found += verdict(subject) != VERIFY_OK;
		header->wait[i] = wait;
	}
}

static void remove_signal(struct subject *subject, struct axl_header *header)
{
	for (int i = 0; i < 2; i++) {
		struct axl_sem_op signal = header->signal[i];

		if (!signal.count)
			continue;
		header->signal[i] = (struct axl_sem_op){0, 0};
		removed++;
		found += verdict(subject) != VERIFY_OK;
		header->signal[i] = signal;
	}
}

static void every_removed_wait_and_signal_is_found(void **state)
{
	static const char *const targets[] = {"axl-edge", "axl-pro"};

	(void)state;
	for (int t = 0; t < 2; t++) {
		struct subject subject;

		compile_subject(&subject, targets[t], COMPILE_F32);
		assert_int_equal(verdict(&subject), VERIFY_OK);
		removed = found = 0;
		for_instructions(&subject, remove_wait);
		for_instructions(&subject, remove_signal);
		print_message("%s: %u of %u mutations found\n", targets[t], found, removed);
		assert_true(removed > 20);
		assert_int_equal(found, removed);
		drop_subject(&subject);
	}
}

/* Random bytes anywhere: any verdict is fine, reading outside the buffer is not (the sanitizers watch). */
static void any_bytes_get_a_verdict(void **state)
{
	struct subject subject;
	uint64_t seed = 12345;

	(void)state;
	compile_subject(&subject, "axl-edge", COMPILE_F16);
	for (int n = 0; n < 2000; n++) {
		uint8_t old;
		size_t at;

		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		at = (seed >> 20) % subject.size;
		old = subject.code[at];
		subject.code[at] = (uint8_t)(seed >> 50);
		verdict(&subject);
		subject.code[at] = old;
	}
	assert_int_equal(verdict(&subject), VERIFY_OK);
	drop_subject(&subject);
}

static void the_same_model_gives_the_same_bytes(void **state)
{
	struct subject a, b;

	(void)state;
	compile_subject(&a, "axl-pro", COMPILE_INT8);
	compile_subject(&b, "axl-pro", COMPILE_INT8);
	assert_int_equal(a.compiled.size, b.compiled.size);
	assert_memory_equal(a.compiled.bytes, b.compiled.bytes, a.compiled.size);
	drop_subject(&a);
	drop_subject(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_removed_wait_and_signal_is_found),
		cmocka_unit_test(any_bytes_get_a_verdict),
		cmocka_unit_test(the_same_model_gives_the_same_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
