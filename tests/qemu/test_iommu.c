/* SPDX-License-Identifier: MIT */
/*
 * An IOMMU between the device and memory. The device keeps pointers to pages that it has used; when the IOMMU takes one
 * away, its owner is not asked, and the next access must follow the new translation, or fault.
 */
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/qemu/axl_rig.h"

/* VT-d: registers, and the entries of its tables; legacy mode, three levels, register-based invalidation. */
#define VTD 0xfed90000ull
#define VTD_GCMD 0x18
#define VTD_GSTS 0x1c
#define VTD_RTADDR 0x20
#define VTD_CCMD 0x28
#define VTD_IOTLB 0xf8
#define GCMD_TE (1u << 31)
#define GCMD_SRTP (1u << 30)
#define IVT (1ull << 63)
#define IOTLB_GLOBAL (1ull << 60)
#define IOTLB_DOMAIN (2ull << 60)
#define CCMD_GLOBAL (1ull << 61)
#define DOMAIN 5
#define PTE_RW 3ull
#define PTE_LARGE (1ull << 7)

#define WINDOW 0x10000000ull /* 512 pages that lead where the test says; RAM below maps to itself */

static struct qtest qt;
static struct axl the_axl;
static struct axl *axl = &the_axl;
static struct producer queue;
static uint64_t *window;

static uint64_t page_table(void)
{
	uint64_t top = qtest_alloc(&qt, 4096), middle = qtest_alloc(&qt, 4096), leaves = qtest_alloc(&qt, 4096);
	uint64_t *large = qtest_at(&qt, middle);

	*(uint64_t *)qtest_at(&qt, top) = middle | PTE_RW;
	for (uint64_t at = 0; at < QTEST_RAM_BYTES; at += 2 << 20)
		large[at >> 21] = at | PTE_RW | PTE_LARGE;
	large[WINDOW >> 21] = leaves | PTE_RW;
	window = qtest_at(&qt, leaves);
	return top;
}

static void invalidate(uint64_t how)
{
	qtest_store(&qt, VTD + VTD_IOTLB, IVT | how, 8);
	QTEST_WAIT(!(qtest_load(&qt, VTD + VTD_IOTLB, 8) & IVT));
}

static void enable_iommu(void)
{
	uint64_t root = qtest_alloc(&qt, 4096), context = qtest_alloc(&qt, 4096);
	uint64_t *entry = qtest_at(&qt, context + 16 * (4 << 3));

	entry[0] = page_table() | 1;
	entry[1] = DOMAIN << 8 | 1; /* 39 bits */
	*(uint64_t *)qtest_at(&qt, root) = context | 1;
	qtest_store(&qt, VTD + VTD_RTADDR, root, 8);
	qtest_store(&qt, VTD + VTD_GCMD, GCMD_SRTP, 4);
	qtest_store(&qt, VTD + VTD_CCMD, IVT | CCMD_GLOBAL, 8);
	invalidate(IOTLB_GLOBAL);
	qtest_store(&qt, VTD + VTD_GCMD, GCMD_TE, 4);
	QTEST_WAIT(qtest_load(&qt, VTD + VTD_GSTS, 4) & GCMD_TE);
}

static int setup(void **state)
{
	(void)state;
	qtest_start(&qt, "-device intel-iommu,intremap=off " RIG_DEVICE);
	axl_attach(axl, &qt, 0, 0, 4 << 3);
	enable_iommu();
	axl_bring_up(axl);
	axl_context(axl, 0);
	queue = axl_queue(axl, 0, 0, 0, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(qtest_qom_get(&qt, RIG_PATH, "dma-violations"), 0);
	qtest_stop(&qt);
	return 0;
}

static uint32_t first_word(uint64_t page)
{
	return *(uint32_t *)qtest_at(&qt, page);
}

static void work_goes_through_the_translation(void **state)
{
	uint64_t page = qtest_alloc(&qt, 4096);
	struct axl_packet_fill fill = axl_fill(axl_map_page(axl, 0, 0, WINDOW | RIG_RIGHTS), 4, 1);

	(void)state;
	window[0] = page | PTE_RW;
	axl_run(&queue, &fill);
	assert_int_equal(first_word(page), 1);
	axl_assert_works(&queue);
}

/* What the device's tables and the IOMMU give as one stretch is scattered in memory, as pages of a driver's buffer are.
 */
static void a_large_page_may_be_scattered_behind_it(void **state)
{
	uint64_t pages = qtest_alloc(&qt, 2 << 20);
	uint64_t *large = qtest_at(&qt, axl->contexts[0].page_table);
	const uint64_t va = 0x20000000000ull;
	struct axl_packet_fill fill = axl_fill(va, 2 << 20, 0);
	struct axl_packet_fence signal;

	(void)state;
	/* Under a root entry of its own: level 2, then the leaf in level 1. */
	for (int level = 3; level > 1; level--) {
		uint64_t table = qtest_alloc(&qt, 4096);

		large[va >> (12 + 9 * level) & 511] = table | AXL_PTE_VALID;
		large = qtest_at(&qt, table);
	}
	large[va >> 21 & 511] = WINDOW | RIG_RIGHTS | AXL_PTE_LEAF;
	for (uint64_t i = 0; i < 512; i++)
		window[i] = (pages + (511 - i) * 4096) | PTE_RW;
	axl_run(&queue, &fill);
	for (uint64_t i = 0; i < 512; i++) {
		signal = axl_signal(va + i * 4096 + 8, i + 1);
		axl_run(&queue, &signal);
	}
	for (uint64_t i = 0; i < 512; i++)
		assert_int_equal(*(uint64_t *)qtest_at(&qt, pages + (511 - i) * 4096 + 8), i + 1);
	/* A hole in it is a hole of one page. */
	window[7] = 0;
	invalidate(IOTLB_GLOBAL);
	axl_run(&queue, &signal);
	signal.address = va + 7 * 4096;
	assert_int_equal(axl_run_faulting(&queue, &signal).level, 1);
	assert_int_equal(queue.status->error, AXL_CAUSE_BUS);
}

static void a_page_that_moves_is_found_where_it_is(void **state)
{
	const uint64_t hows[] = {IOTLB_GLOBAL, IOTLB_DOMAIN | (uint64_t)DOMAIN << 32};
	uint64_t va = axl_map_page(axl, 0, 0, WINDOW | RIG_RIGHTS), from = qtest_alloc(&qt, 4096);
	struct axl_packet_fill fill = axl_fill(va, 4, 1);

	(void)state;
	window[0] = from | PTE_RW;
	axl_run(&queue, &fill);
	for (uint32_t i = 0; i < 20; i++) {
		uint64_t to = qtest_alloc(&qt, 4096);

		/* The device is told nothing. */
		window[0] = to | PTE_RW;
		invalidate(hows[i % 2]);
		fill.pattern = i + 100;
		axl_run(&queue, &fill);
		assert_int_equal(first_word(to), i + 100);
		assert_int_equal(first_word(from), i ? i + 99 : 1);
		from = to;
	}
}

static void a_page_that_goes_faults(void **state)
{
	uint64_t va = axl_map_page(axl, 0, 0, WINDOW | RIG_RIGHTS), page = qtest_alloc(&qt, 4096);
	struct axl_packet_fill fill = axl_fill(va, 4, 1);
	struct axl_fault_record record;

	(void)state;
	window[0] = page | PTE_RW;
	axl_run(&queue, &fill);
	window[0] = 0;
	invalidate(IOTLB_GLOBAL);
	fill.pattern = 2;
	record = axl_run_faulting(&queue, &fill);
	assert_int_equal(record.cause, AXL_CAUSE_BUS);
	assert_int_equal(record.address, va);
	assert_int_equal(first_word(page), 1);
	axl_recover(&queue);
	axl_assert_works(&queue);
}

static void a_page_may_go_while_it_is_written(void **state)
{
	uint64_t va = axl_map_page(axl, 0, 0, WINDOW | RIG_RIGHTS), page = qtest_alloc(&qt, 4096);
	uint64_t *words = qtest_at(&qt, page);

	(void)state;
	for (uint32_t round = 0; round < 100; round++) {
		struct axl_packet_fence signal = axl_signal(va, round + 1);
		uint64_t seen;

		window[0] = page | PTE_RW;
		for (int i = 0; i < 8; i++)
			axl_push(&queue, &signal);
		window[0] = 0;
		invalidate(IOTLB_GLOBAL);
		/* From here on it belongs to somebody else. */
		seen = words[0];
		words[0] = seen ^ 1ull << 63;
		QTEST_WAIT(queue.status->retired == queue.index->write || queue.status->state == AXL_QUEUE_FAULTED);
		assert_true(words[0] == (seen ^ 1ull << 63));
		words[0] = seen;
		if (queue.status->state == AXL_QUEUE_FAULTED) {
			assert_int_equal(queue.status->error, AXL_CAUSE_BUS);
			axl_write(axl, AXL_REG_FAULT_READ, axl_read(axl, AXL_REG_FAULT_WRITE));
			axl_recover(&queue);
		}
	}
	axl_assert_works(&queue);
}

static void without_its_status_page_a_context_is_gone_and_the_others_are_not(void **state)
{
	uint64_t word = qtest_alloc(&qt, 4096), page;
	struct axl_packet_fence wait = axl_wait(user_va(word), 1);
	struct producer lost;

	(void)state;
	axl_context(axl, 1);
	page = axl->contexts[1].status;
	window[3] = page | PTE_RW;
	axl->contexts[1].status = WINDOW + 3 * 4096;
	assert_int_equal(axl_command(axl, AXL_CMD_CONTEXT_UPDATE, 1), AXL_CMD_OK);
	lost = axl_queue(axl, 1, 1, 0, 0);
	axl_assert_works(&lost);
	axl_push(&lost, &wait);
	QTEST_WAIT(__atomic_load_n(&lost.index->read, __ATOMIC_ACQUIRE) == 2);
	window[3] = 0;
	invalidate(IOTLB_GLOBAL);
	__atomic_store_n((uint64_t *)qtest_at(&qt, word), 1, __ATOMIC_RELEASE);
	qtest_store(&qt, axl->doorbells, 1, 8);
	axl_assert_works(&queue);
	assert_int_equal(lost.status->retired, 1);
	assert_int_equal(lost.status->state, AXL_QUEUE_RUNNING); /* the last that could be written */
	assert_int_equal(axl_command(axl, AXL_CMD_QUEUE_STOP, 1), AXL_CMD_BAD_ARGUMENT);
	/* With a page again it is a context again. */
	window[3] = page | PTE_RW;
	assert_int_equal(axl_command(axl, AXL_CMD_CONTEXT_UPDATE, 1), AXL_CMD_OK);
	assert_int_equal(axl_command(axl, AXL_CMD_QUEUE_START, 1), AXL_CMD_OK);
	axl_wait_retired(&lost, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(work_goes_through_the_translation),
		TEST(a_large_page_may_be_scattered_behind_it),
		TEST(a_page_that_moves_is_found_where_it_is),
		TEST(a_page_that_goes_faults),
		TEST(a_page_may_go_while_it_is_written),
		TEST(without_its_status_page_a_context_is_gone_and_the_others_are_not),
	};

	if (!qtest_binary())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
