/* SPDX-License-Identifier: MIT */
/* The frame of the guest's test programs: cmocka, one line a test, a time limit, and no warning of the kernel. */
#ifndef TESTS_GUEST_CHECK_H
#define TESTS_GUEST_CHECK_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "guest.h"

#include <cmocka.h>

/* The kernel's taint that tests answered for, and what was there before them. */
static unsigned long check_taint;

/* *state is a struct guest with a queue of its own file. */
static inline int check_setup(void **state)
{
	static bool first = true;
	struct guest *guest = calloc(1, sizeof(*guest));

	if (first)
		check_taint = guest_taint();
	first = false;
	alarm((unsigned int)guest_setting("AXL_TIMEOUT", 300));
	assert_int_equal(guest_create(guest, NULL), 0);
	*state = guest;
	return 0;
}

static inline int check_teardown(void **state)
{
	unsigned long now = guest_taint();
	bool tainted = now & ~check_taint;

	check_taint |= now;
	guest_destroy(*state);
	free(*state);
	alarm(0);
	/* A warning or an oops is the fault of the test during which it came. */
	assert_false(tainted);
	return 0;
}

#define CHECK(name) cmocka_unit_test_setup_teardown(name, check_setup, check_teardown)

/* TAP: one line a test. AXL_FILTER picks tests by a pattern. */
#define check_run(name, tests, setup, teardown)                                         \
	(cmocka_set_message_output(CM_OUTPUT_TAP),                                      \
	 getenv("AXL_FILTER") ? cmocka_set_test_filter(getenv("AXL_FILTER")) : (void)0, \
	 cmocka_run_group_tests_name(name, tests, setup, teardown))

#endif
