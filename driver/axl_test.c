// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of what is pure logic: page tables. A module of its own, axl_test.ko, on kernels with
 * CONFIG_KUNIT.
 */
#include <kunit/test.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "axl_mmu.c"

#define BITS (AXL_PTE_READ | AXL_PTE_WRITE)
#define LARGE ((u64)AXL_LARGE_PAGE_BYTES)
#define PAGE ((u64)AXL_PAGE_BYTES)

/* Tables come from here; @left: how many may still be made; @live: how many there are. */
struct source {
	int left;
	int live;
};

static u64 *source_alloc(void *opaque, u64 *address)
{
	struct source *source = opaque;
	u64 *entries;

	if (!source->left)
		return NULL;
	entries = (u64 *)get_zeroed_page(GFP_KERNEL);
	if (!entries)
		return NULL;
	source->left--;
	source->live++;
	*address = virt_to_phys(entries);
	return entries;
}

static void source_free(void *opaque, u64 *entries, u64 address)
{
	struct source *source = opaque;

	source->live--;
	free_page((unsigned long)entries);
}

static const struct axl_mmu_ops source_ops = {
	.alloc = source_alloc,
	.free = source_free,
};

/* As the device walks: by addresses. 0: not mapped. *@covers: bytes of the page. */
static u64 walk(const struct axl_mmu *mmu, u64 va, u64 *covers)
{
	const u64 *entries = mmu->root->entries;

	for (int level = AXL_TABLE_LEVELS - 1; level >= 0; level--) {
		u64 entry = entries[index_of(va, level)];

		if (!(entry & AXL_PTE_VALID))
			return 0;
		*covers = level ? LARGE : PAGE;
		if (!level || entry & AXL_PTE_LEAF)
			return (entry & ~(u64)AXL_PTE_LEAF) + (va & (*covers - 1));
		entries = phys_to_virt(entry & AXL_PTE_ADDR);
	}
	return 0;
}

static u64 entry_at(const struct axl_mmu *mmu, u64 va)
{
	u64 covers;

	return walk(mmu, va, &covers);
}

static u64 page_at(const struct axl_mmu *mmu, u64 va)
{
	u64 covers = 0;

	walk(mmu, va, &covers);
	return covers;
}

static void expect(struct kunit *test, struct axl_mmu *mmu, u64 va, u64 size, u64 address)
{
	for (u64 at = 0; at < size; at += PAGE)
		KUNIT_ASSERT_EQ_MSG(test, entry_at(mmu, va + at),
				    address ? (address + at) | BITS | AXL_PTE_VALID : 0, "at %#llx",
				    va + at);
}

static void small_pages(struct kunit *test)
{
	struct source source = { .left = 100 };
	struct axl_mmu mmu;

	KUNIT_ASSERT_EQ(test, axl_mmu_init(&mmu, &source_ops, &source), 0);
	KUNIT_ASSERT_EQ(test, axl_mmu_prepare(&mmu, LARGE - 3 * PAGE, 6 * PAGE, AXL_MMU_SCATTERED),
			0);
	expect(test, &mmu, LARGE - 3 * PAGE, 6 * PAGE, 0);
	for (int i = 0; i < 6; i++)
		axl_mmu_map(&mmu, LARGE - (3 - i) * PAGE, PAGE, 0x40000000 + i * 0x10000, BITS);
	for (int i = 0; i < 6; i++)
		expect(test, &mmu, LARGE - (3 - i) * PAGE, PAGE, 0x40000000 + i * 0x10000);
	axl_mmu_clear(&mmu, LARGE - 3 * PAGE, 6 * PAGE);
	expect(test, &mmu, LARGE - 4 * PAGE, 8 * PAGE, 0);
	axl_mmu_fini(&mmu);
	KUNIT_EXPECT_EQ(test, source.live, 0);
}

static void large_pages(struct kunit *test)
{
	struct source source = { .left = 100 };
	struct axl_mmu mmu;

	KUNIT_ASSERT_EQ(test, axl_mmu_init(&mmu, &source_ops, &source), 0);
	/* A page before, two large ones, a page behind: contiguous, and aligned alike. */
	KUNIT_ASSERT_EQ(test,
			axl_mmu_prepare(&mmu, 4 * LARGE - PAGE, 2 * LARGE + 2 * PAGE,
					8 * LARGE - PAGE),
			0);
	axl_mmu_map(&mmu, 4 * LARGE - PAGE, 2 * LARGE + 2 * PAGE, 8 * LARGE - PAGE, BITS);
	expect(test, &mmu, 4 * LARGE - PAGE, 2 * LARGE + 2 * PAGE, 8 * LARGE - PAGE);
	KUNIT_EXPECT_EQ(test, page_at(&mmu, 4 * LARGE), LARGE);
	KUNIT_EXPECT_EQ(test, page_at(&mmu, 4 * LARGE - PAGE), PAGE);
	axl_mmu_clear(&mmu, 4 * LARGE - PAGE, 2 * LARGE + 2 * PAGE);
	expect(test, &mmu, 4 * LARGE - 2 * PAGE, 2 * LARGE + 4 * PAGE, 0);
	axl_mmu_fini(&mmu);
	KUNIT_EXPECT_EQ(test, source.live, 0);
}

/* Memory that is aligned otherwise than its address can not be one page. */
static void misaligned_memory(struct kunit *test)
{
	struct source source = { .left = 100 };
	struct axl_mmu mmu;

	KUNIT_ASSERT_EQ(test, axl_mmu_init(&mmu, &source_ops, &source), 0);
	KUNIT_ASSERT_EQ(test, axl_mmu_prepare(&mmu, LARGE, LARGE, LARGE + PAGE), 0);
	axl_mmu_map(&mmu, LARGE, LARGE, LARGE + PAGE, BITS);
	expect(test, &mmu, LARGE, LARGE, LARGE + PAGE);
	KUNIT_EXPECT_EQ(test, page_at(&mmu, LARGE), PAGE);
	axl_mmu_fini(&mmu);
	KUNIT_EXPECT_EQ(test, source.live, 0);
}

/* What is prepared for the next mapping does not touch the one that is there. */
static void small_pages_over_a_large_one(struct kunit *test)
{
	struct source source = { .left = 100 };
	struct axl_mmu mmu;

	KUNIT_ASSERT_EQ(test, axl_mmu_init(&mmu, &source_ops, &source), 0);
	KUNIT_ASSERT_EQ(test, axl_mmu_prepare(&mmu, LARGE, LARGE, LARGE), 0);
	axl_mmu_map(&mmu, LARGE, LARGE, LARGE, BITS);
	KUNIT_ASSERT_EQ(test, axl_mmu_prepare(&mmu, LARGE + PAGE, 2 * PAGE, AXL_MMU_SCATTERED), 0);
	expect(test, &mmu, LARGE, LARGE, LARGE);
	axl_mmu_clear(&mmu, LARGE, LARGE);
	expect(test, &mmu, LARGE, LARGE, 0);
	axl_mmu_map(&mmu, LARGE + PAGE, PAGE, 0x7000, BITS);
	expect(test, &mmu, LARGE + PAGE, PAGE, 0x7000);
	expect(test, &mmu, LARGE, PAGE, 0);
	axl_mmu_clear(&mmu, LARGE + PAGE, PAGE);
	/* The table stays: the device may be walking it. */
	KUNIT_ASSERT_EQ(test, axl_mmu_prepare(&mmu, LARGE, LARGE, LARGE), 0);
	axl_mmu_map(&mmu, LARGE, LARGE, LARGE, BITS);
	expect(test, &mmu, LARGE, LARGE, LARGE);
	KUNIT_EXPECT_EQ(test, page_at(&mmu, LARGE), PAGE);
	axl_mmu_fini(&mmu);
	KUNIT_EXPECT_EQ(test, source.live, 0);
}

static void the_ends_of_the_space(struct kunit *test)
{
	struct source source = { .left = 100 };
	u64 last = (1ull << AXL_VA_BITS) - PAGE;
	struct axl_mmu mmu;

	KUNIT_ASSERT_EQ(test, axl_mmu_init(&mmu, &source_ops, &source), 0);
	KUNIT_ASSERT_EQ(test, axl_mmu_prepare(&mmu, 0, PAGE, AXL_MMU_SCATTERED), 0);
	KUNIT_ASSERT_EQ(test, axl_mmu_prepare(&mmu, last, PAGE, AXL_MMU_SCATTERED), 0);
	axl_mmu_map(&mmu, 0, PAGE, 0x1000, BITS);
	axl_mmu_map(&mmu, last, PAGE, 0x2000, BITS);
	expect(test, &mmu, 0, PAGE, 0x1000);
	expect(test, &mmu, last, PAGE, 0x2000);
	axl_mmu_fini(&mmu);
	KUNIT_EXPECT_EQ(test, source.live, 0);
}

/* No table left at the n-th: an error, and nothing that was mapped has changed. */
static void no_memory(struct kunit *test)
{
	for (int left = 0; left < 9; left++) {
		struct source source = { .left = 4 };
		struct axl_mmu mmu;
		int err;

		KUNIT_ASSERT_EQ(test, axl_mmu_init(&mmu, &source_ops, &source), 0);
		KUNIT_ASSERT_EQ(test, axl_mmu_prepare(&mmu, 0, PAGE, AXL_MMU_SCATTERED), 0);
		axl_mmu_map(&mmu, 0, PAGE, 0x3000, BITS);
		source.left = left;
		err = axl_mmu_prepare(&mmu, (1ull << 39) - PAGE, 2 * PAGE, AXL_MMU_SCATTERED);
		/* Two directories, a level-2 table, two tables of pages. */
		KUNIT_EXPECT_EQ(test, err, left < 5 ? -ENOMEM : 0);
		expect(test, &mmu, 0, PAGE, 0x3000);
		expect(test, &mmu, (1ull << 39) - PAGE, 2 * PAGE, 0);
		axl_mmu_fini(&mmu);
		KUNIT_EXPECT_EQ(test, source.live, 0);
	}
}

/* Random changes beside a plain array. */
/* What dumps show is what the device reads: large, small, taken away, never there. */
static void walks(struct kunit *test)
{
	struct source source = { .left = 100 };
	u64 entries[AXL_TABLE_LEVELS];
	struct axl_mmu mmu;

	KUNIT_ASSERT_EQ(test, axl_mmu_init(&mmu, &source_ops, &source), 0);
	KUNIT_ASSERT_EQ(test, axl_mmu_prepare(&mmu, LARGE, LARGE + PAGE, 8 * LARGE), 0);
	axl_mmu_map(&mmu, LARGE, LARGE + PAGE, 8 * LARGE, BITS);
	axl_mmu_walk(&mmu, LARGE + 5, entries);
	KUNIT_EXPECT_EQ(test, entries[3] & ~AXL_PTE_ADDR, AXL_PTE_VALID);
	KUNIT_EXPECT_EQ(test, entries[2] & ~AXL_PTE_ADDR, AXL_PTE_VALID);
	KUNIT_EXPECT_EQ(test, entries[1], 8 * LARGE | BITS | AXL_PTE_LEAF | AXL_PTE_VALID);
	KUNIT_EXPECT_EQ(test, entries[0], 0);
	axl_mmu_walk(&mmu, 2 * LARGE, entries);
	KUNIT_EXPECT_EQ(test, entries[1] & ~AXL_PTE_ADDR, AXL_PTE_VALID);
	KUNIT_EXPECT_EQ(test, entries[0], 9 * LARGE | BITS | AXL_PTE_VALID);
	axl_mmu_clear(&mmu, LARGE, LARGE + PAGE);
	axl_mmu_walk(&mmu, 2 * LARGE, entries);
	KUNIT_EXPECT_EQ(test, entries[1] & ~AXL_PTE_ADDR, AXL_PTE_VALID);
	KUNIT_EXPECT_EQ(test, entries[0], 0);
	axl_mmu_walk(&mmu, 1ull << 40, entries);
	KUNIT_EXPECT_EQ(test, entries[3], 0);
	KUNIT_EXPECT_EQ(test, entries[2], 0);
	axl_mmu_fini(&mmu);
	KUNIT_EXPECT_EQ(test, source.live, 0);
}

/* Calls are prepared in their order, before the first of them is mapped: each finds its tables. */
static void prepared_ahead(struct kunit *test)
{
	struct source source = { .left = 100 };
	struct axl_mmu mmu;

	KUNIT_ASSERT_EQ(test, axl_mmu_init(&mmu, &source_ops, &source), 0);
	KUNIT_ASSERT_EQ(test, axl_mmu_prepare(&mmu, LARGE, LARGE, 8 * LARGE), 0);
	KUNIT_ASSERT_EQ(test, axl_mmu_prepare(&mmu, LARGE, LARGE, AXL_MMU_SCATTERED), 0);
	/* The first would be a large page, but for the table that the second has made. */
	axl_mmu_map(&mmu, LARGE, LARGE, 8 * LARGE, BITS);
	for (u64 i = 0; i < 512; i++)
		KUNIT_ASSERT_EQ(test, entry_at(&mmu, LARGE + i * PAGE),
				(8 * LARGE + i * PAGE) | BITS | AXL_PTE_VALID);
	axl_mmu_clear(&mmu, LARGE, LARGE);
	axl_mmu_map(&mmu, LARGE + PAGE, PAGE, 3 * PAGE, BITS);
	KUNIT_EXPECT_EQ(test, entry_at(&mmu, LARGE), 0);
	KUNIT_EXPECT_EQ(test, entry_at(&mmu, LARGE + PAGE), 3 * PAGE | BITS | AXL_PTE_VALID);
	/* A table that is prepared while a large page is there takes over when that has gone. */
	KUNIT_ASSERT_EQ(test, axl_mmu_prepare(&mmu, 4 * LARGE, LARGE, 16 * LARGE), 0);
	axl_mmu_map(&mmu, 4 * LARGE, LARGE, 16 * LARGE, BITS);
	KUNIT_ASSERT_EQ(test, axl_mmu_prepare(&mmu, 4 * LARGE, PAGE, AXL_MMU_SCATTERED), 0);
	KUNIT_EXPECT_EQ(test, entry_at(&mmu, 4 * LARGE + 9 * PAGE),
			(16 * LARGE + 9 * PAGE) | BITS | AXL_PTE_VALID);
	axl_mmu_clear(&mmu, 4 * LARGE, LARGE);
	axl_mmu_map(&mmu, 4 * LARGE, PAGE, 5 * PAGE, BITS);
	KUNIT_EXPECT_EQ(test, entry_at(&mmu, 4 * LARGE), 5 * PAGE | BITS | AXL_PTE_VALID);
	KUNIT_EXPECT_EQ(test, entry_at(&mmu, 4 * LARGE + 9 * PAGE), 0);
	axl_mmu_fini(&mmu);
	KUNIT_EXPECT_EQ(test, source.live, 0);
}

static void random_changes(struct kunit *test)
{
	enum { PAGES = 3 * 512 };
	struct source source = { .left = 1000 };
	u64 *model = kunit_kcalloc(test, PAGES, sizeof(*model), GFP_KERNEL), base = 5 * LARGE;
	u64 state = 1;
	struct axl_mmu mmu;

	KUNIT_ASSERT_NOT_NULL(test, model);
	KUNIT_ASSERT_EQ(test, axl_mmu_init(&mmu, &source_ops, &source), 0);
	for (int step = 0; step < 400; step++) {
		u64 first, count, address, n = 0;

		state = state * 6364136223846793005ull + 1442695040888963407ull;
		first = (state >> 33) % PAGES;
		count = min((state >> 20) % 600 + 1, PAGES - first);
		address = (1 + (state >> 40) % 1000) * (step % 2 ? LARGE : PAGE) +
			  (step % 2 ? first % 512 * PAGE : 0);
		while (n < count && !model[first + n])
			n++;
		if (n) {
			KUNIT_ASSERT_EQ(test,
					axl_mmu_prepare(&mmu, base + first * PAGE, n * PAGE,
							address),
					0);
			axl_mmu_map(&mmu, base + first * PAGE, n * PAGE, address, BITS);
			for (u64 i = 0; i < n; i++)
				model[first + i] = address + i * PAGE;
		} else {
			/* Whole mappings only: back to where its memory does not go on. */
			while (first && model[first - 1] == model[first] - PAGE)
				first--;
			n = 1;
			while (first + n < PAGES && model[first + n] == model[first] + n * PAGE)
				n++;
			axl_mmu_clear(&mmu, base + first * PAGE, n * PAGE);
			memset(model + first, 0, n * sizeof(*model));
		}
		for (u64 i = 0; i < PAGES; i++)
			KUNIT_ASSERT_EQ_MSG(test, entry_at(&mmu, base + i * PAGE),
					    model[i] ? model[i] | BITS | AXL_PTE_VALID : 0,
					    "step %d, page %llu", step, i);
	}
	axl_mmu_fini(&mmu);
	KUNIT_EXPECT_EQ(test, source.live, 0);
}

static struct kunit_case cases[] = { KUNIT_CASE(small_pages),
				     KUNIT_CASE(large_pages),
				     KUNIT_CASE(misaligned_memory),
				     KUNIT_CASE(small_pages_over_a_large_one),
				     KUNIT_CASE(the_ends_of_the_space),
				     KUNIT_CASE(no_memory),
				     KUNIT_CASE(walks),
				     KUNIT_CASE(prepared_ahead),
				     KUNIT_CASE(random_changes),
				     {} };

static struct kunit_suite suite = {
	.name = "axl_mmu",
	.test_cases = cases,
};

kunit_test_suite(suite);

MODULE_DESCRIPTION("AXL driver: KUnit tests");
MODULE_LICENSE("GPL");
