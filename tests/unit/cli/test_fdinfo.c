/* SPDX-License-Identifier: MIT */
/* What accel top reads of the kernel: texts as the driver and drm_show_fdinfo() write them, and wrong ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "runtime/cli/top/fdinfo.h"

#define HEAD                                                                                                          \
	"pos:\t0\nflags:\t02500002\nmnt_id:\t26\nino:\t393\ndrm-driver:\taxl\ndrm-client-id:\t7\ndrm-pdev:\t0000:01:" \
	"00.0\n"

static void a_client_is_read(void **state)
{
	struct fdinfo info;

	(void)state;
	assert_int_equal(
		fdinfo_parse(HEAD "drm-cycles-npu:\t123456789012\ndrm-total-cycles-npu:\t987654321098\n"
				  "drm-engine-npu:\t98765432 ns\ndrm-maxfreq-npu:\t1250000 KHz\n"
				  "drm-total-system:\t2052 KiB\ndrm-shared-system:\t0\ndrm-resident-system:\t2 MiB\n"
				  "drm-total-local:\t3 MiB\ndrm-shared-local:\t4 KiB\ndrm-resident-local:\t3 MiB\n",
			     &info),
		0);
	assert_string_equal(info.pci, "0000:01:00.0");
	assert_int_equal(info.client, 7);
	assert_int_equal(info.cycles, 123456789012);
	assert_int_equal(info.total_cycles, 987654321098);
	assert_int_equal(info.engine_ns, 98765432);
	assert_int_equal(info.system, 2052 << 10);
	assert_int_equal(info.resident, 2 << 20);
	assert_int_equal(info.local, 3 << 20);
}

/* While the device is away there is no total, and a device without a known clock has no time. */
static void what_is_not_there_is_zero(void **state)
{
	struct fdinfo info;

	(void)state;
	assert_int_equal(fdinfo_parse(HEAD "drm-cycles-npu:\t5\ndrm-total-system:\t0", &info), 0);
	assert_int_equal(info.cycles, 5);
	assert_int_equal(info.total_cycles, 0);
	assert_int_equal(info.engine_ns, 0);
	assert_int_equal(info.local, 0);
}

static void other_files_are_not_ours(void **state)
{
	struct fdinfo info;

	(void)state;
	assert_int_equal(fdinfo_parse("", &info), -ENOENT);
	assert_int_equal(fdinfo_parse("pos:\t0\nflags:\t02\n", &info), -ENOENT);
	assert_int_equal(fdinfo_parse("drm-driver:\tamdgpu\ndrm-client-id:\t7\ndrm-pdev:\t0000:02:00.0\n", &info),
			 -ENOENT);
	assert_int_equal(fdinfo_parse("drm-driver:\taxle\ndrm-pdev:\t0000:02:00.0\n", &info), -ENOENT);
}

static void what_breaks_the_format_is_refused(void **state)
{
	static const char *const texts[] = {
		"drm-driver:\taxl\n",
		"drm-driver:\taxl\ndrm-pdev:\n",
		"drm-driver:\taxl\ndrm-pdev:\t0000000000000000000000000000000000:01:00.0\n",
		HEAD "drm-cycles-npu:\t\n",
		HEAD "drm-cycles-npu:\t-1\n",
		HEAD "drm-cycles-npu:\tmany\n",
		HEAD "drm-cycles-npu:\t12x\n",
		HEAD "drm-cycles-npu:\t99999999999999999999\n",
		HEAD "drm-total-local:\t4 GiB\n",
		HEAD "drm-total-local:\t18446744073709551615 KiB\n",
		HEAD "drm-total-local\n" HEAD "drm-total-local:\n",
	};
	struct fdinfo info;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (fdinfo_parse(texts[i], &info) != -EINVAL)
			fail_msg("text %zu was read: %s", i, texts[i]);
}

static void a_text_may_end_anywhere(void **state)
{
	static const char whole[] = HEAD "drm-cycles-npu:\t12\ndrm-total-local:\t3 MiB\n";
	char text[sizeof(whole)];
	struct fdinfo info;

	(void)state;
	for (size_t length = 0; length < sizeof(whole); length++) {
		int err;

		memset(text, 'x', sizeof(text));
		memcpy(text, whole, length);
		text[length] = '\0';
		err = fdinfo_parse(text, &info);
		assert_true(err == 0 || err == -ENOENT || err == -EINVAL);
	}
	assert_int_equal(info.local, 3 << 20);
}

static void queues_are_read(void **state)
{
	struct queue_line queue;

	(void)state;
	assert_int_equal(
		queue_line_parse("context 0 queue 3 (kernel): state 1 error 0 retired 42 busy 777 generation 2",
				 &queue),
		0);
	assert_int_equal(queue.queue, 3);
	assert_true(queue.kernel);
	assert_int_equal(queue.state, 1);
	assert_int_equal(queue.retired, 42);
	assert_int_equal(queue.busy, 777);
	assert_int_equal(queue.generation, 2);
	assert_int_equal(
		queue_line_parse("context 11 queue 0: state 2 error 6 retired 0 busy 0 generation 1\n", &queue), 0);
	assert_int_equal(queue.context, 11);
	assert_false(queue.kernel);
	assert_int_equal(queue.error, 6);
	assert_int_equal(queue_line_parse("", &queue), -EINVAL);
	assert_int_equal(queue_line_parse("context 1 queue 0", &queue), -EINVAL);
	assert_int_equal(queue_line_parse("context 1 queue 0: state 1 error 0 retired x", &queue), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_is_read),         cmocka_unit_test(what_is_not_there_is_zero),
		cmocka_unit_test(other_files_are_not_ours), cmocka_unit_test(what_breaks_the_format_is_refused),
		cmocka_unit_test(a_text_may_end_anywhere),  cmocka_unit_test(queues_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
