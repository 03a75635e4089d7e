/* SPDX-License-Identifier: MIT */
/* The reader of dumps against a good one and against dumps with one thing wrong. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/replay/dump.h"
#include "tests/unit/replay/sample.h"

/* From memory that ends where the file does. */
static int try_open(const uint8_t *bytes, size_t size, char error[256])
{
	uint8_t *copy = malloc(size + !size);
	struct dump dump;
	int err;

	assert_non_null(copy);
	if (size)
		memcpy(copy, bytes, size);
	err = dump_open(copy, size, &dump, error, 256);
	if (!err)
		dump_finish(&dump);
	free(copy);
	return err;
}

static int try_sample(const struct sample *sample, char error[256])
{
	size_t size;
	uint8_t *bytes = sample_write(sample, &size, NULL);
	int err = try_open(bytes, size, error);

	free(bytes);
	return err;
}

static void a_good_dump_opens(void **state)
{
	struct sample sample;
	char error[256];
	struct dump dump;
	uint8_t *bytes;
	size_t size;

	(void)state;
	sample_init(&sample);
	bytes = sample_write(&sample, &size, NULL);
	assert_int_equal(dump_open(bytes, size, &dump, error, sizeof(error)), 0);
	assert_memory_equal(&dump.device, &sample.device, sizeof(sample.device));
	assert_memory_equal(&dump.queue, &sample.queue, sizeof(sample.queue));
	assert_memory_equal(&dump.fault, &sample.fault, sizeof(sample.fault));
	assert_int_equal(dump.num_packets, SAMPLE_PACKETS);
	assert_memory_equal(dump.packets, sample.packets, sizeof(sample.packets));
	assert_int_equal(dump.num_ranges, SAMPLE_RANGES);
	assert_memory_equal(dump.ranges, sample.ranges, sizeof(sample.ranges));
	assert_int_equal(dump.num_memories, 1);
	assert_int_equal(dump.memories[0].bytes, sizeof(sample.code));
	assert_memory_equal(dump.memories[0].data, &sample.code, sizeof(sample.code));
	dump_finish(&dump);
	free(bytes);
}

static void a_dump_cut_off_at_any_byte_is_refused(void **state)
{
	struct sample sample;
	struct axl_dump_header header;
	char error[256];
	uint8_t *bytes;
	size_t size;

	(void)state;
	sample_init(&sample);
	bytes = sample_write(&sample, &size, NULL);
	for (size_t length = 0; length < size; length++) {
		assert_int_equal(try_open(bytes, length, error), -EINVAL);
		assert_true(*error);
	}
	/* And when the header has the length that there is. */
	memcpy(&header, bytes, sizeof(header));
	for (size_t length = sizeof(header); length < size; length++) {
		header.size = length;
		memcpy(bytes, &header, sizeof(header));
		assert_int_equal(try_open(bytes, length, error), -EINVAL);
		assert_true(*error);
	}
	free(bytes);
}

static void more_bytes_than_the_header_says_are_refused(void **state)
{
	struct sample sample;
	char error[256];
	uint8_t *bytes;
	size_t size;

	(void)state;
	sample_init(&sample);
	bytes = sample_write(&sample, &size, NULL);
	assert_int_equal(try_open(bytes, size + 8, error), -EINVAL);
	((struct axl_dump_header *)(void *)bytes)->size = size + 8;
	assert_int_equal(try_open(bytes, size + 8, error), -EINVAL);
	assert_non_null(strstr(error, "behind the last section"));
	free(bytes);
}

/* Each wrong value by itself: the field, what is written there, and what the reader says. */
static void each_field_is_checked(void **state)
{
#define CASE(field, value, words)                                         \
	do {                                                              \
		struct sample sample;                                     \
		char error[256];                                          \
		sample_init(&sample);                                     \
		sample.field = value;                                     \
		assert_int_equal(try_sample(&sample, error), -EINVAL);    \
		if (!strstr(error, words))                                \
			fail_msg("%s = %s: '%s'", #field, #value, error); \
	} while (0)
	(void)state;
	CASE(header.magic, 0x12345678, "not a dump");
	CASE(header.version, 2, "version 2");
	CASE(header.version, 0, "version 0");
	CASE(header.flags, 0x80, "flags 0x80");
	CASE(header.reserved, 1, "reserved 0x1");
	CASE(header.sections, 5, "behind the last section");
	CASE(header.sections, 7, "ends in a section's header");
	CASE(header.sections, ~0u, "ends in a section's header");

	CASE(queue.desc.slots, 0, "0 slots");
	CASE(queue.desc.slots, 12, "12 slots");
	CASE(queue.desc.slots, 131072, "131072 slots");
	CASE(queue.desc.ring, SAMPLE_RING + 8, "a ring at");
	CASE(queue.desc.ring, (1ull << 48) - 256, "a ring at");
	CASE(queue.desc.ring, ~63ull, "a ring at");
	CASE(queue.desc.ring, SAMPLE_NOWHERE, "lie in no range");
	CASE(queue.desc.ring, SAMPLE_RING + 4096 - 64, "lie in no range");
	CASE(queue.desc.index, SAMPLE_INDEX + 64, "an index page at");
	CASE(queue.desc.index, 1ull << 48, "an index page at");
	CASE(queue.desc.index, SAMPLE_INDEX + 4096, "lie in no range");
	CASE(queue.desc.slot, 32, "slot 32");
	CASE(queue.desc.priority, 4, "priority 4");
	CASE(queue.desc.flags, 2, "flags 0x2");
	CASE(queue.status.state, AXL_QUEUE_RUNNING, "stands in state 1");
	CASE(queue.status.error, AXL_CAUSE_BUS, "error 8");
	CASE(queue.status.retired, SAMPLE_PACKET + 1, "stands in state");
	CASE(fault.record.cause, AXL_CAUSE_NONE, "cause 0");
	CASE(fault.record.packet, 0, "packet 0");

	CASE(packets[0].index, 0, "behind packet");
	CASE(packets[3].index, SAMPLE_PACKET, "behind packet");

	CASE(ranges[0].va, SAMPLE_RING + 1, "range 0");
	CASE(ranges[0].size, 0, "range 0");
	CASE(ranges[0].size, 100, "range 0");
	CASE(ranges[0].size, SAMPLE_INDEX, "range 1");
	CASE(ranges[0].address, 4096, "range 0");
	CASE(ranges[0].bits, 0, "range 0: bits 0");
	CASE(ranges[0].bits, AXL_PTE_READ | AXL_PTE_VALID, "range 0: bits");
	CASE(ranges[0].flags, 2, "range 0: bits");
	CASE(ranges[2].va, 1ull << 48, "range 2");
	CASE(ranges[2].va, 0xfffffffff000ull, "range 2");
	CASE(ranges[2].va, ~0xfffull, "range 2");
	CASE(ranges[2].size, 1ull << 47, "range 2");
	CASE(ranges[2].address, 64u << 20, "of memory at");
	CASE(ranges[2].address, ~0xfffull, "of memory at");
	CASE(ranges[2].size, 64u << 20, "of memory at");
	CASE(device.mem_size, 0x41000, "of memory at");

	CASE(memory.va, SAMPLE_NOWHERE, "which lie in no range");
	CASE(memory.va, SAMPLE_CODE + 8192 - 8, "which lie in no range");
	CASE(memory.va, ~0ull - 8, "which lie in no range");
	CASE(memory.bytes, sizeof(sample.code) + 1, "memory says");
	CASE(memory.bytes, ~0ull, "memory says");
	CASE(memory.bytes, sizeof(sample.code) - 8, "memory says");
#undef CASE
}

/* A queue that may not be bounded without a watchdog; ranges that are each good but too much together. */
static void fields_are_checked_together(void **state)
{
	struct sample sample;
	char error[256];

	(void)state;
	sample_init(&sample);
	sample.queue.desc.flags = AXL_QUEUE_BOUNDED;
	assert_int_equal(try_sample(&sample, error), 0);
	sample.queue.desc.watchdog = 0;
	assert_int_equal(try_sample(&sample, error), -EINVAL);
	sample_init(&sample);
	sample.ranges[2].bits &= ~AXL_PTE_LOCAL;
	sample.ranges[2].address = 0;
	sample.ranges[2].size = DUMP_MAX_MAPPED - 8192;
	assert_int_equal(try_sample(&sample, error), 0);
	sample.ranges[2].size += 4096;
	assert_int_equal(try_sample(&sample, error), -EINVAL);
	sample_init(&sample);
	sample.queue.status.error = sample.fault.record.cause = AXL_NUM_CAUSES;
	assert_int_equal(try_sample(&sample, error), -EINVAL);
	/* The packet at which it stands is none of those that are there. */
	sample_init(&sample);
	for (uint64_t i = 0; i < SAMPLE_PACKETS; i++)
		sample.packets[i].index += 3;
	assert_int_equal(try_sample(&sample, error), -EINVAL);
	assert_non_null(strstr(error, "is not there"));
}

static void section_headers_are_checked(void **state)
{
	static const struct {
		size_t field;
		uint64_t value;
	} wrong[] = {
		{offsetof(struct axl_dump_section, type), 0},
		{offsetof(struct axl_dump_section, type), AXL_DUMP_MEMORY},
		{offsetof(struct axl_dump_section, type), 99},
		{offsetof(struct axl_dump_section, item), 0},
		{offsetof(struct axl_dump_section, item), 8},
		{offsetof(struct axl_dump_section, item), 4},
		{offsetof(struct axl_dump_section, item), 1u << 31},
		{offsetof(struct axl_dump_section, size), 0},
		{offsetof(struct axl_dump_section, size), 4},
		{offsetof(struct axl_dump_section, size), 1ull << 40},
		{offsetof(struct axl_dump_section, size), ~7ull},
	};
	size_t offsets[SAMPLE_SECTIONS + 1], size;
	struct sample sample;
	char error[256];

	(void)state;
	sample_init(&sample);
	for (int type = 1; type <= SAMPLE_SECTIONS; type++)
		for (size_t w = 0; w < sizeof(wrong) / sizeof(wrong[0]); w++) {
			uint8_t *bytes = sample_write(&sample, &size, offsets);
			uint8_t *field = bytes + offsets[type] - sizeof(struct axl_dump_section) + wrong[w].field;
			size_t width = wrong[w].field == offsetof(struct axl_dump_section, size) ? 8 : 4;
			/* A memory section that nobody knows is passed over. */
			bool same = type == AXL_DUMP_MEMORY && !wrong[w].field && wrong[w].value;

			memcpy(field, &wrong[w].value, width);
			if (try_open(bytes, size, error) != (same ? 0 : -EINVAL))
				fail_msg("section %d, case %zu: '%s'", type, w, error);
			free(bytes);
		}
}

/* Sections that are longer, unknown, or in another order: a newer writer's. */
static void what_a_newer_writer_adds_is_passed_over(void **state)
{
	size_t offsets[SAMPLE_SECTIONS + 1], size, at = sizeof(struct axl_dump_header);
	const struct axl_dump_section unknown = {4711, 8, 24};
	struct sample sample;
	uint8_t *bytes, *made;
	char error[256];
	struct dump dump;

	(void)state;
	sample_init(&sample);
	sample.header.sections = SAMPLE_SECTIONS + 1;
	bytes = sample_write(&sample, &size, offsets);
	made = calloc(1, size + 4096);
	assert_non_null(made);
	for (int type = SAMPLE_SECTIONS; type; type--) {
		struct axl_dump_section section;
		size_t done;

		memcpy(&section, bytes + offsets[type] - sizeof(section), sizeof(section));
		done = section.size;
		/* Every item has eight more bytes; of MEMORY the struct before the bytes has. */
		section.size += 8 * (type == AXL_DUMP_MEMORY ? 1 : section.size / section.item);
		section.item += 8;
		memcpy(made + at, &section, sizeof(section));
		at += sizeof(section);
		for (size_t from = 0; from < done; at += 8) {
			size_t part = type == AXL_DUMP_MEMORY && from ? done - from : section.item - 8;

			memcpy(made + at, bytes + offsets[type] + from, part);
			from += part;
			at += part;
			if (type == AXL_DUMP_MEMORY && from == done)
				at -= 8;
		}
	}
	memcpy(made + at, &unknown, sizeof(unknown));
	at += sizeof(unknown) + unknown.size;
	memcpy(made, bytes, sizeof(struct axl_dump_header));
	((struct axl_dump_header *)(void *)made)->size = at;
	if (dump_open(made, at, &dump, error, sizeof(error)))
		fail_msg("%s", error);
	assert_memory_equal(&dump.queue, &sample.queue, sizeof(sample.queue));
	assert_memory_equal(dump.packets, sample.packets, sizeof(sample.packets));
	assert_memory_equal(dump.ranges, sample.ranges, sizeof(sample.ranges));
	assert_memory_equal(dump.memories[0].data, &sample.code, sizeof(sample.code));
	dump_finish(&dump);
	free(made);
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_dump_opens),
		cmocka_unit_test(a_dump_cut_off_at_any_byte_is_refused),
		cmocka_unit_test(more_bytes_than_the_header_says_are_refused),
		cmocka_unit_test(each_field_is_checked),
		cmocka_unit_test(fields_are_checked_together),
		cmocka_unit_test(section_headers_are_checked),
		cmocka_unit_test(what_a_newer_writer_adds_is_passed_over),
	};

	return cmocka_run_group_tests_name("dump", tests, NULL, NULL);
}
