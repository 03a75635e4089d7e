/* SPDX-License-Identifier: MIT */
/* The .axm loader against good files and against files with one thing wrong. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compiler/compiler.h"
#include "compiler/package/axm.h"
#include "compiler/package/checksum.h"

static struct compile_result package;

static int setup(void **state)
{
	struct compile_options options = {.target = "axl-edge", .seed = 1};
	char error[512] = "";

	(void)state;
	if (compile_file(getenv("AXL_TEST_MODEL"), &options, &package, error, sizeof(error)))
		fail_msg("%s", error);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	compile_result_finish(&package);
	return 0;
}

static int try_open(const uint8_t *bytes, size_t size, char *error)
{
	struct axm axm;
	int err = axm_open_bytes(bytes, size, &axm, error, 256);

	axm_close(&axm);
	return err;
}

static void a_compiled_package_opens(void **state)
{
	char error[256];

	(void)state;
	assert_int_equal(try_open(package.bytes, package.size, error), 0);
}

static void a_changed_byte_breaks_the_checksum(void **state)
{
	uint8_t *copy = aligned_alloc(64, package.size);
	char error[256];

	(void)state;
	memcpy(copy, package.bytes, package.size);
	copy[package.size / 2] ^= 1;
	assert_true(try_open(copy, package.size, error) < 0);
	assert_non_null(strstr(error, "checksum"));
	free(copy);
}

static void a_truncated_file_is_refused(void **state)
{
	char error[256];

	(void)state;
	for (size_t size = 0; size < package.size; size += 64 * (1 + size / 4096))
		assert_true(try_open(package.bytes, size, error) < 0);
}

/* With the checksum made right again, every other rule has to hold by itself: no crash, and a reason whenever it is
 * refused. */
static void damage_under_a_right_checksum_is_survived(void **state)
{
	uint8_t *copy = aligned_alloc(64, package.size);
	uint64_t seed = 777;
	unsigned int refused = 0;

	(void)state;
	for (int n = 0; n < 3000; n++) {
		struct axm_header header;
		char error[256];
		size_t limit = n % 3 ? package.size : 12288 < package.size ? 12288 : package.size, at;
		int err;

		memcpy(copy, package.bytes, package.size);
		for (int k = 0; k < 1 + n % 4; k++) {
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			at = 64 + (seed >> 24) % (limit - 64);
			copy[at] = (uint8_t)(seed >> 17);
		}
		memcpy(&header, copy, sizeof(header));
		header.checksum = checksum_file(copy, package.size, offsetof(struct axm_header, checksum));
		memcpy(copy, &header, sizeof(header));
		err = try_open(copy, package.size, error);
		refused += err != 0;
		if (err)
			assert_true(error[0] != '\0');
	}
	print_message("%u of 3000 damaged packages refused, seed 777\n", refused);
	assert_true(refused > 300);
	free(copy);
}

/* Change tiling @index of the package, make the checksum right again, and expect to be refused for it. */
static void expect_bad_tiling(uint32_t index, void (*change)(struct axm_tiling *tiling))
{
	uint8_t *copy = aligned_alloc(64, package.size);
	struct axm_section section;
	struct axm_header header;
	char error[256];

	memcpy(copy, package.bytes, package.size);
	memcpy(&section, copy + sizeof(header) + AXM_TILINGS * sizeof(section), sizeof(section));
	assert_true(section.size > (index + 1) * sizeof(struct axm_tiling));
	change((struct axm_tiling *)(copy + section.offset) + index);
	memcpy(&header, copy, sizeof(header));
	header.checksum = checksum_file(copy, package.size, offsetof(struct axm_header, checksum));
	memcpy(copy, &header, sizeof(header));
	assert_int_equal(try_open(copy, package.size, error), -EINVAL);
	assert_non_null(strstr(error, "tiling"));
	free(copy);
}

static void of_no_node(struct axm_tiling *tiling)
{
	tiling->node = 60000;
}

static void with_an_unknown_flag(struct axm_tiling *tiling)
{
	tiling->flags |= 16;
}

static void taken_from_nothing(struct axm_tiling *tiling)
{
	tiling->compared = 0;
}

static void not_taken(struct axm_tiling *tiling)
{
	tiling->flags &= ~AXM_TILING_TAKEN;
	tiling->compared = 0;
}

/* The first node of a device region with a source: where it says so in the file. */
static void a_source_is_before_its_reader(void **state)
{
	uint8_t *copy = aligned_alloc(64, package.size);
	struct axm_section nodes, ids;
	struct axm_header header;
	struct axm_node *node;
	char error[256];

	(void)state;
	memcpy(copy, package.bytes, package.size);
	memcpy(&nodes, copy + sizeof(header) + AXM_NODES * sizeof(nodes), sizeof(nodes));
	memcpy(&ids, copy + sizeof(header) + AXM_IDS * sizeof(ids), sizeof(ids));
	node = (struct axm_node *)(copy + nodes.offset);
	while (!node->num_sources)
		assert_true((uint8_t *)++node < copy + nodes.offset + nodes.size);
	((uint32_t *)(copy + ids.offset))[node->sources_first] =
		(uint32_t)(node - (struct axm_node *)(copy + nodes.offset));
	memcpy(&header, copy, sizeof(header));
	header.checksum = checksum_file(copy, package.size, offsetof(struct axm_header, checksum));
	memcpy(copy, &header, sizeof(header));
	assert_int_equal(try_open(copy, package.size, error), -EINVAL);
	assert_non_null(strstr(error, "source"));
	free(copy);
}

static void tilings_begin_with_what_was_taken(void **state)
{
	struct axm axm;
	char error[256];

	(void)state;
	assert_int_equal(axm_open_bytes(package.bytes, package.size, &axm, error, sizeof(error)), 0);
	assert_true(axm.num_tilings > 4);
	assert_true(axm.tilings[0].flags & AXM_TILING_TAKEN);
	for (uint32_t i = 0; i < axm.num_tilings; i++)
		assert_true(axm.tilings[i].cycles > 0 && axm.tilings[i].channels > 0 && axm.tilings[i].rows > 0);
	axm_close(&axm);
	expect_bad_tiling(0, of_no_node);
	expect_bad_tiling(1, with_an_unknown_flag);
	expect_bad_tiling(0, taken_from_nothing);
	expect_bad_tiling(0, not_taken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_compiled_package_opens),
		cmocka_unit_test(a_changed_byte_breaks_the_checksum),
		cmocka_unit_test(a_truncated_file_is_refused),
		cmocka_unit_test(a_source_is_before_its_reader),
		cmocka_unit_test(tilings_begin_with_what_was_taken),
		cmocka_unit_test(damage_under_a_right_checksum_is_survived),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
