/* SPDX-License-Identifier: MIT */
/* Packets of dumps run again: to the same fault, to another, to none, never; and what the command makes of it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "sim/replay/replay.h"
#include "tests/unit/replay/sample.h"

#define MILLISECOND 1000000ll

static int64_t in(int64_t ns)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec + ns;
}

/* What replay_run() says of a file; -EINVAL too when it is no dump. */
static int run_bytes(const uint8_t *bytes, size_t size, const char *target, int64_t ns, struct replay_result *result,
		     char error[256])
{
	const struct replay_options options = {.target = target, .threads = 1, .deadline_ns = in(ns)};
	struct dump dump;
	int err = dump_open(bytes, size, &dump, error, 256);

	if (err)
		return err;
	err = replay_run(&dump, &options, result, error, 256);
	dump_finish(&dump);
	return err;
}

static int run_sample(const struct sample *sample, const char *target, int64_t ns, struct replay_result *result,
		      char error[256])
{
	size_t size;
	uint8_t *bytes = sample_write(sample, &size, NULL);
	int err = run_bytes(bytes, size, target, ns, result, error);

	free(bytes);
	return err;
}

static void expect_same(const struct sample *sample)
{
	struct replay_result result;
	const char *difference;
	char error[256] = "";

	if (run_sample(sample, NULL, 60000 * MILLISECOND, &result, error))
		fail_msg("%s", error);
	assert_int_equal(result.end, REPLAY_FAULTED);
	assert_string_equal(result.target, "axl-edge");
	difference = replay_difference(&sample->fault.record, &result.record);
	if (difference)
		fail_msg("different: %s, cause %u at %#llx", difference, result.record.cause,
			 (unsigned long long)result.record.address);
}

static void the_same_fault(void **state)
{
	struct sample sample;

	(void)state;
	sample_init(&sample);
	expect_same(&sample);
	/* At any place of the ring, from its first packet to the last that an index can count. */
	for (uint64_t i = 0; i < 2 * SAMPLE_SLOTS; i++) {
		uint64_t at = i < SAMPLE_SLOTS ? 2 + i : ~0ull - 16 + i;

		sample.queue.status.retired = sample.fault.record.packet = at;
		for (uint64_t p = 0; p < SAMPLE_PACKETS; p++)
			sample.packets[p].index = at - 2 + p;
		expect_same(&sample);
	}
}

static void a_fault_of_every_other_field(void **state)
{
	struct sample sample;
	struct axl_fault_record other;

	(void)state;
	sample_init(&sample);
#define DIFFERS(field)                                                                        \
	do {                                                                                  \
		other = sample.fault.record;                                                  \
		other.field++;                                                                \
		assert_string_equal(replay_difference(&sample.fault.record, &other), #field); \
	} while (0)
	DIFFERS(cause);
	DIFFERS(address);
	DIFFERS(packet);
	DIFFERS(offset);
	DIFFERS(tile);
	DIFFERS(pipe);
	DIFFERS(access);
	DIFFERS(cmdbuf);
	DIFFERS(tag);
	DIFFERS(insn_tag);
	DIFFERS(other_offset);
#undef DIFFERS
	other = sample.fault.record;
	other.insn[127]++;
	assert_string_equal(replay_difference(&sample.fault.record, &other), "insn");
	other = sample.fault.record;
	other.sequence++, other.cycle++, other.context++, other.queue++, other.level++, other.sems[0]++,
		other.pipe_offset[0]++;
	assert_null(replay_difference(&sample.fault.record, &other));
}

/* The same command buffer where the store's address is mapped: it ends; mapped without the right: another fault. */
static void another_end(void **state)
{
	struct replay_result result;
	struct sample sample;
	char error[256] = "";

	(void)state;
	sample_init(&sample);
	sample.code.store.offset = SAMPLE_INDEX + 2048;
	assert_int_equal(run_sample(&sample, NULL, 60000 * MILLISECOND, &result, error), 0);
	assert_int_equal(result.end, REPLAY_RETIRED);
	sample.code.store.offset = SAMPLE_RING;
	assert_int_equal(run_sample(&sample, NULL, 60000 * MILLISECOND, &result, error), 0);
	assert_int_equal(result.end, REPLAY_FAULTED);
	assert_string_equal(replay_difference(&sample.fault.record, &result.record), "cause");
	assert_int_equal(result.record.cause, AXL_CAUSE_PERMISSION);
	/* The packets behind it are not run, whatever they are. */
	sample_init(&sample);
	memset(&sample.packets[3].packet, 0xff, AXL_PACKET_BYTES);
	sample.code.store.offset = SAMPLE_INDEX + 2048;
	assert_int_equal(run_sample(&sample, NULL, 60000 * MILLISECOND, &result, error), 0);
	assert_int_equal(result.end, REPLAY_RETIRED);
}

static void no_end(void **state)
{
	struct replay_result result;
	struct sample sample;
	char error[256] = "";

	(void)state;
	sample_init(&sample);
	sample.packets[2].packet = (union axl_packet){
		.fence = {.header.opcode = AXL_PKT_WAIT, .address = SAMPLE_INDEX + 2048, .value = 1}};
	assert_int_equal(run_sample(&sample, NULL, 50 * MILLISECOND, &result, error), 0);
	assert_int_equal(result.end, REPLAY_LATE);
}

static void an_index_that_lies(void **state)
{
	struct sample sample;

	(void)state;
	sample_init(&sample);
	sample.queue.write = SAMPLE_PACKET + SAMPLE_SLOTS + 1;
	sample.queue.status.error = AXL_CAUSE_RING;
	sample.fault.record = (struct axl_fault_record){
		.packet = SAMPLE_PACKET, .cause = AXL_CAUSE_RING, .address = SAMPLE_PACKET + SAMPLE_SLOTS + 1};
	expect_same(&sample);
}

static void devices(void **state)
{
	struct replay_result result;
	struct sample sample;
	char error[256] = "";

	(void)state;
	sample_init(&sample);
	assert_int_equal(run_sample(&sample, "axl-pro", 60000 * MILLISECOND, &result, error), 0);
	assert_string_equal(result.target, "axl-pro");
	assert_null(replay_difference(&sample.fault.record, &result.record));
	assert_int_equal(run_sample(&sample, "axl-none", MILLISECOND, &result, error), -EINVAL);
	assert_non_null(strstr(error, "axl-none"));
	sample.device.tiles = AXL_MAX_TILES + 1;
	assert_int_equal(run_sample(&sample, NULL, MILLISECOND, &result, error), -EINVAL);
	sample.device.tiles = 0;
	assert_int_equal(run_sample(&sample, NULL, MILLISECOND, &result, error), -EINVAL);
	sample.device.tiles = 2;
	assert_int_equal(run_sample(&sample, NULL, 60000 * MILLISECOND, &result, error), 0);
	sample.device.mem_size = 3u << 20;
	assert_int_equal(run_sample(&sample, NULL, MILLISECOND, &result, error), -EINVAL);
	sample.device.mem_size = 1ull << 50;
	assert_int_equal(run_sample(&sample, NULL, MILLISECOND, &result, error), -EINVAL);
	sample_init(&sample);
	sample.device.dram_rate++;
	assert_int_equal(run_sample(&sample, NULL, MILLISECOND, &result, error), -EINVAL);
	assert_non_null(strstr(error, "no target has"));
	sample_init(&sample);
	sample.device.version++;
	assert_int_equal(run_sample(&sample, NULL, MILLISECOND, &result, error), -EINVAL);
	assert_non_null(strstr(error, "registers"));
}

/* Each byte wrong by itself: it is refused or it runs to some end. */
static void any_byte_may_be_wrong(void **state)
{
	unsigned int refused = 0, ran = 0;
	struct sample sample;
	uint8_t *bytes;
	size_t size;

	(void)state;
	sample_init(&sample);
	bytes = sample_write(&sample, &size, NULL);
	for (size_t i = 0; i < size; i++) {
		struct replay_result result;
		char error[256] = "";
		int err;

		bytes[i] ^= 0xff;
		err = run_bytes(bytes, size, NULL, 20 * MILLISECOND, &result, error);
		bytes[i] ^= 0xff;
		assert_true(!err || *error);
		refused += err != 0;
		ran += !err;
	}
	free(bytes);
	assert_true(refused > 100 && ran > 100);
}

/* ---- the command ---- */

static int command(const struct sample *sample, size_t less, const char *options)
{
	char path[] = "/tmp/axl-replay-XXXXXX", line[512];
	int fd = mkstemp(path), status;
	size_t size;
	uint8_t *bytes = sample_write(sample, &size, NULL);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size - less), size - less);
	close(fd);
	free(bytes);
	snprintf(line, sizeof(line), "%s replay %s %s >/dev/null 2>&1", getenv("AXL_ACCEL"), path, options);
	status = system(line);
	unlink(path);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void the_command_says_it_with_its_exit_code(void **state)
{
	struct sample sample;

	(void)state;
	sample_init(&sample);
	assert_int_equal(command(&sample, 0, ""), 0);
	assert_int_equal(command(&sample, 0, "--device sim:target=axl-pro --threads 1"), 0);
	assert_int_equal(command(&sample, 1, ""), 2);
	assert_int_equal(command(&sample, 0, "--device /dev/accel/accel0"), 2);
	assert_int_equal(command(&sample, 0, "--device sim:target=axl-none"), 2);
	assert_int_equal(command(&sample, 0, "--json /nowhere/file"), 2);
	sample.fault.record.address += 8;
	assert_int_equal(command(&sample, 0, "--json /dev/null"), 1);
	sample.device.spad_bytes /= 2;
	assert_int_equal(command(&sample, 0, ""), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_fault),        cmocka_unit_test(a_fault_of_every_other_field),
		cmocka_unit_test(another_end),           cmocka_unit_test(no_end),
		cmocka_unit_test(an_index_that_lies),    cmocka_unit_test(devices),
		cmocka_unit_test(any_byte_may_be_wrong), cmocka_unit_test(the_command_says_it_with_its_exit_code),
	};

	return cmocka_run_group_tests_name("replay", tests, NULL, NULL);
}
