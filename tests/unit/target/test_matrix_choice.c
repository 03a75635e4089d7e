/* SPDX-License-Identifier: MIT */
/* What is kept of a tile search. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "compiler/target/matrix_choice.h"

static void add(struct matrix_choice *choice, int64_t n, int64_t rows, uint64_t cycles)
{
	struct matrix_plan plan = {.n = n, .rows = rows, .cycles = cycles};

	matrix_choice_add(choice, &plan);
}

static void the_cheapest_of_each_kind_stay_in_order(void **state)
{
	static const int64_t n[] = {192, 64, 256, 128, 320};
	static const uint64_t cycles[] = {10, 20, 25, 30, 40};
	struct matrix_choice choice = {0};

	(void)state;
	add(&choice, 64, 1, 50);
	add(&choice, 128, 1, 30);
	add(&choice, 64, 2, 20); /* the same kind, cheaper */
	add(&choice, 64, 3, 60);
	add(&choice, 192, 1, 10);
	add(&choice, 256, 1, 25);
	add(&choice, 320, 1, 40);
	add(&choice, 384, 1, 45); /* no room, and dearer than all */
	assert_int_equal(choice.compared, 8);
	assert_int_equal(choice.count, MATRIX_RUNNERS + 1);
	for (unsigned int i = 0; i < choice.count; i++) {
		assert_int_equal(choice.plans[i].n, n[i]);
		assert_int_equal(choice.plans[i].cycles, cycles[i]);
	}
	add(&choice, 448, 1, 15); /* the last one goes */
	assert_int_equal(choice.count, MATRIX_RUNNERS + 1);
	assert_int_equal(choice.plans[1].n, 448);
	assert_int_equal(choice.plans[MATRIX_RUNNERS].n, 128);
}

static void what_was_taken_comes_first_and_is_alone_of_its_kind(void **state)
{
	struct matrix_choice choice = {0};
	struct matrix_plan taken = {.n = 128, .rows = 7, .cycles = 31};

	(void)state;
	add(&choice, 64, 1, 20);
	add(&choice, 128, 1, 30);
	add(&choice, 192, 1, 40);
	matrix_choice_close(&choice, &taken);
	assert_int_equal(choice.count, 3);
	assert_int_equal(choice.plans[0].rows, 7);
	assert_int_equal(choice.plans[0].cycles, 31);
	assert_int_equal(choice.plans[1].n, 64);
	assert_int_equal(choice.plans[2].n, 192);
}

/* It may move fewer bytes and be none of the fastest. */
static void what_was_taken_may_be_of_a_kind_that_did_not_stay(void **state)
{
	struct matrix_choice choice = {0};
	struct matrix_plan taken = {.n = 1024, .cycles = 99};

	(void)state;
	for (int64_t n = 1; n <= MATRIX_RUNNERS + 1; n++)
		add(&choice, n, 1, (uint64_t)n);
	matrix_choice_close(&choice, &taken);
	assert_int_equal(choice.count, MATRIX_RUNNERS + 1);
	assert_int_equal(choice.plans[0].n, 1024);
	for (unsigned int i = 1; i < choice.count; i++)
		assert_int_equal(choice.plans[i].n, i);
}

static void kinds_differ_in_depth_weights_and_rows_too(void **state)
{
	const struct matrix_plan plans[] = {{.n = 1, .k = 1},
					    {.n = 1, .k = 2},
					    {.n = 1, .k = 1, .keep_weights = true},
					    {.n = 1, .k = 1, .split_rows = true}};
	struct matrix_choice choice = {0};

	(void)state;
	for (unsigned int i = 0; i < 4; i++)
		matrix_choice_add(&choice, &plans[i]);
	assert_int_equal(choice.count, 4);
}

static void the_list_grows(void **state)
{
	struct matrix_choices choices = {0};

	(void)state;
	for (size_t i = 0; i < 100; i++) {
		struct matrix_choice choice = {.node = i};

		assert_int_equal(matrix_choices_append(&choices, &choice), 0);
	}
	assert_int_equal(choices.count, 100);
	for (size_t i = 0; i < choices.count; i++)
		assert_int_equal(choices.list[i].node, i);
	matrix_choices_finish(&choices);
	assert_int_equal(choices.count, 0);
	assert_null(choices.list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_cheapest_of_each_kind_stay_in_order),
		cmocka_unit_test(what_was_taken_comes_first_and_is_alone_of_its_kind),
		cmocka_unit_test(what_was_taken_may_be_of_a_kind_that_did_not_stay),
		cmocka_unit_test(kinds_differ_in_depth_weights_and_rows_too),
		cmocka_unit_test(the_list_grows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
