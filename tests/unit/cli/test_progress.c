/* SPDX-License-Identifier: MIT */
/* Progress: the line, and that it is painted on a terminal only and leaves nothing there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pty.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/cli/progress.h"

#define SECOND UINT64_C(1000000000)

static void the_line_says_how_far_it_is(void **state)
{
	char line[300];

	(void)state;
	progress_line(line, sizeof(line), 200, "compiling x", 0, 0, 12 * SECOND);
	assert_string_equal(line, "compiling x  12 s");
	progress_line(line, sizeof(line), 200, "running x", 0, 8, 2 * SECOND);
	assert_string_equal(line, "running x  [------------------------------] 0 of 8  2 s");
	progress_line(line, sizeof(line), 200, "running x", 2, 8, 3 * SECOND);
	assert_string_equal(line, "running x  [#######-----------------------] 2 of 8  3 s, 9 s left");
	progress_line(line, sizeof(line), 200, "running x", 9, 8, 3 * SECOND);
	assert_string_equal(line, "running x  [##############################] 9 of 8  3 s, 0 s left");
	progress_line(line, sizeof(line), 200, "compiling x", 0, PROGRESS_SHARE, 2 * SECOND);
	assert_string_equal(line, "compiling x  [------------------------------] 0 %  2 s");
	progress_line(line, sizeof(line), 200, "compiling x", 400, PROGRESS_SHARE, 2 * SECOND);
	assert_string_equal(line, "compiling x  [############------------------] 40 %  2 s, 3 s left");
	progress_line(line, sizeof(line), 200, "compiling x", 1000, PROGRESS_SHARE, 2 * SECOND);
	assert_string_equal(line, "compiling x  [##############################] 100 %  2 s, 0 s left");
}

static void the_line_fits(void **state)
{
	char line[300];

	(void)state;
	assert_int_equal(progress_line(line, sizeof(line), 20, "running x", 2, 8, 3 * SECOND), 20);
	assert_string_equal(line, "running x  [##------");
	/* The bar gives way to the figures, as far as it can. */
	assert_int_equal(progress_line(line, sizeof(line), 50, "running x", 2, 8, 3 * SECOND), 50);
	assert_string_equal(line, "running x  [###------------] 2 of 8  3 s, 9 s left");
	assert_int_equal(progress_line(line, 10, 200, "running x", 2, 8, 3 * SECOND), 9);
	assert_string_equal(line, "running x");
}

/* Reads until @wanted is at the end of what came. */
static void expect_end(int terminal, const char *wanted)
{
	char text[4096];
	size_t size = 0, length = strlen(wanted);

	while (size < length || memcmp(text + size - length, wanted, length)) {
		ssize_t got = read(terminal, text + size, sizeof(text) - size);

		if (got <= 0)
			fail_msg("the terminal said nothing more; '%s' was expected", wanted);
		size += (size_t)got;
	}
}

static void a_terminal_sees_it_and_is_clean_afterwards(void **state)
{
	struct winsize window = {.ws_row = 24, .ws_col = 22};
	struct progress *progress;
	int master, slave;

	(void)state;
	assert_int_equal(openpty(&master, &slave, NULL, NULL, &window), 0);
	progress = progress_start(slave, 0, "running x");
	assert_non_null(progress);
	expect_end(master, "\r\033[Krunning x  0 s");
	/* 21 of the 22 columns. */
	progress_step(progress, 1, 1000);
	expect_end(master, "\r\033[Krunning x  [--------]");
	progress_share(progress, 0.5);
	expect_end(master, "\r\033[Krunning x  [####----]");
	progress_stop(progress);
	expect_end(master, "\r\033[K");
	close(slave);
	close(master);
}

static void what_ends_soon_leaves_no_trace(void **state)
{
	int master, slave;
	char byte;

	(void)state;
	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	progress_stop(progress_start(slave, 3600 * SECOND, "running x"));
	assert_int_equal(fcntl(master, F_SETFL, O_NONBLOCK), 0);
	assert_true(read(master, &byte, 1) < 0);
	close(slave);
	close(master);
}

static void a_file_sees_nothing(void **state)
{
	struct options quiet = {.model = "x", .quiet = true};
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_null(progress_start(ends[1], 0, "running x"));
	assert_null(progress_of(&quiet, "running"));
	progress_step(NULL, 1, 2);
	progress_share(NULL, 0.5);
	progress_stop(NULL);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_line_says_how_far_it_is),
		cmocka_unit_test(the_line_fits),
		cmocka_unit_test(a_terminal_sees_it_and_is_clean_afterwards),
		cmocka_unit_test(what_ends_soon_leaves_no_trace),
		cmocka_unit_test(a_file_sees_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
