/* SPDX-License-Identifier: MIT */
/*
 * A session that has run once allocates nothing in the runs that follow. The linker sends every allocation of this
 * program's own code here (--wrap); the C library's are its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <accel/runtime.h>

static atomic_int allocations;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

void *__wrap_malloc(size_t size)
{
	atomic_fetch_add(&allocations, 1);
	return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	atomic_fetch_add(&allocations, 1);
	return __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	atomic_fetch_add(&allocations, 1);
	return __real_realloc(memory, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	atomic_fetch_add(&allocations, 1);
	return __real_aligned_alloc(alignment, size);
}

static void run(struct accel_session *session)
{
	static float image[64], scores[10];
	struct accel_tensor input = {.dtype = 1, .rank = 4, .dims = {1, 1, 8, 8}, .data = image, .size = sizeof(image)};
	struct accel_tensor output = {.data = scores, .size = sizeof(scores)};
	char error[512] = "";

	for (int i = 0; i < 64; i++)
		image[i] = (float)i / 64;
	if (accel_session_run(session, &input, 1, &output, 1, error, sizeof(error)))
		fail_msg("%s", error);
}

static void the_cpu_allocates_in_the_first_run_only(void **state)
{
	(void)state;
	for (unsigned int threads = 1; threads <= 3; threads += 2) {
		struct accel_session_options options = {.device = "cpu", .threads = threads};
		struct accel_session *session;
		char error[512] = "";
		int before;

		allocations = 0;
		if (accel_session_create(getenv("AXL_TEST_MODEL"), &options, &session, error, sizeof(error)))
			fail_msg("%s", error);
		assert_true(allocations > 0); /* the counter counts */
		/* Which thread takes which piece differs, and each grows its own scratch memory once. */
		for (int i = 0; i < (threads == 1 ? 1 : 200); i++)
			run(session);
		before = allocations;
		for (int i = 0; i < 20; i++)
			run(session);
		if (threads == 1)
			assert_int_equal(allocations, before);
		else
			assert_in_range(allocations - before, 0, threads); /* a thread that came late */
		accel_session_destroy(session);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(the_cpu_allocates_in_the_first_run_only)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
