/* SPDX-License-Identifier: MIT */
/*
 * In a machine whose IOMMU is between the device and memory: a device that was not told to forget a translation reaches
 * nothing by it. When the driver unmaps the memory, the IOMMU's own invalidation makes the device ask anew, and what it then
 * finds is nothing: its queue faults and says where, nobody's memory changes, and everybody else works on. Without an IOMMU
 * such a device would write to memory that is another's by now.
 *
 * The device loses the driver's invalidation at the monitor's word (sim/qemu/README.md).
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "check.h"

#define PAGE 4096ull
#define VA 0x60000000ull
#define BYTES (16 * PAGE)

static const uint32_t patterns[] = {0x11111111, 0x22222222};

static bool filled(const uint32_t *words, uint32_t pattern)
{
	for (uint64_t w = 0; w < BYTES / 4; w++)
		if (words[w] != pattern)
			return false;
	return true;
}

/* The device has the page's translation cached when the driver takes it away, and does not hear of it. */
static void take_away_unheard(struct guest *guest, uint32_t *words)
{
	struct drm_axl_bind_op op = {.op = DRM_AXL_BIND_MAP_USER,
				     .flags = DRM_AXL_BIND_READ | DRM_AXL_BIND_WRITE,
				     .va = VA,
				     .offset = (uintptr_t)words,
				     .size = BYTES};
	struct drm_axl_vm_bind args = {.vm = guest->vm, .num_ops = 1, .stride = sizeof(op), .ops = (uintptr_t)&op};

	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_VM_BIND, &args), 0);
	guest_fill(guest, VA, patterns[0], BYTES);
	assert_int_equal(guest_wait(guest, guest_submit(guest), 20 * SECOND), 0);
	assert_true(filled(words, patterns[0]));
	assert_int_equal(guest_machine_set("npu", "fault-rules", "\"site=invalidate,action=drop,count=1\""), 0);
	assert_int_equal(guest_unbind(guest, VA, BYTES), 0);
	assert_int_equal(guest_machine_set("npu", "fault-rules", "\"\""), 0);
}

static void expect_refused(struct guest *guest, uint64_t address, enum axl_access access)
{
	struct axl_fault_record record = {0};

	assert_int_equal(guest_wait(guest, guest_submit(guest), 20 * SECOND), -EIO);
	assert_int_equal(guest_fault(guest, &record), 1);
	if (record.cause != AXL_CAUSE_NOT_MAPPED || record.address != address || record.access != access)
		fail_msg("cause %u, access %u at %#llx", record.cause, record.access,
			 (unsigned long long)record.address);
	assert_int_equal(guest_status(guest)->state, AXL_QUEUE_FAULTED);
	assert_int_equal(guest_reset(guest), 0);
}

static void a_stale_translation_reaches_nothing(void **state)
{
	uint32_t *words = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct guest_stream *stream = guest_stream_start();
	struct guest *guest = *state;

	assert_true(words != MAP_FAILED);
	assert_non_null(stream);
	for (int i = 0; i < 5; i++) {
		unsigned long jobs = stream->jobs;
		int64_t deadline = guest_in(20 * SECOND);

		take_away_unheard(guest, words);
		guest_fill(guest, VA + (uint64_t)i * PAGE, patterns[1], 64);
		expect_refused(guest, VA + (uint64_t)i * PAGE, AXL_ACCESS_WRITE);
		assert_true(filled(words, patterns[0]));
		assert_int_equal(guest_job(guest, (uint32_t)i), 0);
		while (stream->jobs == jobs && guest_now() < deadline)
			guest_sleep(MILLISECOND);
		assert_true(stream->jobs > jobs);
	}
	assert_int_equal(guest_stream_end(stream), 0);
	munmap(words, BYTES);
}

static void a_stale_translation_tells_nothing(void **state)
{
	uint32_t *words = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct guest *guest = *state;

	assert_true(words != MAP_FAILED);
	take_away_unheard(guest, words);
	memset(guest_at(guest, GUEST_SCRATCH), 0x5a, 64);
	guest_copy(guest, GUEST_SCRATCH, VA, 64);
	expect_refused(guest, VA, AXL_ACCESS_READ);
	for (int i = 0; i < 64; i++)
		assert_int_equal(((uint8_t *)guest_at(guest, GUEST_SCRATCH))[i], 0x5a);
	assert_int_equal(guest_job(guest, 1), 0);
	munmap(words, BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHECK(a_stale_translation_reaches_nothing),
		CHECK(a_stale_translation_tells_nothing),
	};

	return check_run("iommu", tests, NULL, NULL);
}
