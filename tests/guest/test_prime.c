/* SPDX-License-Identifier: MIT */
/*
 * Buffers of others: a dma-buf that another driver made (udmabuf, from a memfd) is bound and the device reads and writes it,
 * byte for byte; whoever closes first, the memory stays as long as somebody has it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <drm.h>

#include "check.h"

#define PAGE 4096ull
#define VA 0x60000000ull
#define BYTES (64 * PAGE)
#define READ DRM_AXL_BIND_READ
#define WRITE DRM_AXL_BIND_WRITE

/* A dma-buf, what the process sees of it, and its handle in the guest's file. */
struct foreign {
	int dmabuf;
	uint8_t *data;
	uint32_t handle;
};

static void foreign_create(struct guest *guest, struct foreign *foreign)
{
	void *data;
	int handle;

	foreign->dmabuf = guest_foreign(BYTES, &data);
	assert_true(foreign->dmabuf >= 0);
	foreign->data = data;
	handle = guest_import(guest->fd, foreign->dmabuf);
	assert_true(handle > 0);
	foreign->handle = (uint32_t)handle;
}

static int close_handle(struct guest *guest, const struct foreign *foreign)
{
	struct drm_gem_close args = {.handle = foreign->handle};

	return guest_ioctl(guest->fd, DRM_IOCTL_GEM_CLOSE, &args);
}

static void pattern(uint8_t *bytes, uint64_t size, unsigned int seed)
{
	for (uint64_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i * 7 + i / PAGE * 31 + seed);
}

/* The device copies the @size bytes at the binding's @offset out and back in elsewhere; both are compared. */
static void device_copies(struct guest *guest, struct foreign *foreign, uint64_t offset, uint64_t size,
			  unsigned int seed)
{
	uint8_t *scratch = guest_at(guest, GUEST_SCRATCH);

	pattern(foreign->data, BYTES, seed);
	memset(scratch, 0, size);
	guest_copy(guest, GUEST_SCRATCH, VA + offset, size);
	assert_int_equal(guest_wait(guest, guest_submit(guest), 20 * SECOND), 0);
	assert_memory_equal(scratch, foreign->data + offset, size);
	pattern(scratch, size, seed + 1);
	guest_copy(guest, VA + offset, GUEST_SCRATCH, size);
	assert_int_equal(guest_wait(guest, guest_submit(guest), 20 * SECOND), 0);
	assert_memory_equal(foreign->data + offset, scratch, size);
}

static void the_device_reads_and_writes_a_foreign_buffer(void **state)
{
	struct guest *guest = *state;
	struct drm_axl_bo_info info = {0};
	struct foreign foreign;
	uint8_t *expected;

	foreign_create(guest, &foreign);
	info.handle = foreign.handle;
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_BO_INFO, &info), 0);
	assert_true(info.size == BYTES);
	assert_int_equal(info.flags, 0);
	assert_int_equal(guest_bind(guest, foreign.handle, VA, BYTES, READ | WRITE), 0);
	device_copies(guest, &foreign, 0, PAGE, 1);
	/* Over the edges of its pages, which lie anywhere. */
	device_copies(guest, &foreign, PAGE - 100, 16 * PAGE + 200, 2);
	device_copies(guest, &foreign, BYTES - 8 * PAGE, 8 * PAGE, 3);
	/* What nobody asked for is as it was. */
	expected = malloc(BYTES);
	pattern(expected, BYTES, 3);
	assert_memory_equal(foreign.data, expected, BYTES - 8 * PAGE);
	free(expected);
	assert_int_equal(guest_unbind(guest, VA, BYTES), 0);
	assert_int_equal(close_handle(guest, &foreign), 0);
	close(foreign.dmabuf);
	munmap(foreign.data, BYTES);
}

/* A job's command buffer and data may lie in it as well. */
static void a_command_buffer_runs_from_a_foreign_buffer(void **state)
{
	struct guest *guest = *state;
	struct guest_program program;
	struct foreign foreign;

	foreign_create(guest, &foreign);
	assert_int_equal(guest_bind(guest, foreign.handle, VA, BYTES, READ | WRITE | DRM_AXL_BIND_EXEC), 0);
	guest_program_copy(&program, VA + 8 * PAGE, VA + 16 * PAGE, 2048);
	pattern(foreign.data + 16 * PAGE, 2048, 9);
	memcpy(foreign.data, program.bytes, program.size);
	guest_execute(guest, VA, program.size);
	assert_int_equal(guest_wait(guest, guest_submit(guest), 20 * SECOND), 0);
	assert_memory_equal(foreign.data + 8 * PAGE, foreign.data + 16 * PAGE, 2048);
	assert_int_equal(guest_unbind(guest, VA, BYTES), 0);
	assert_int_equal(close_handle(guest, &foreign), 0);
	close(foreign.dmabuf);
	munmap(foreign.data, BYTES);
}

static void rights_of_its_binding_hold(void **state)
{
	struct guest *guest = *state;
	struct axl_fault_record record;
	struct foreign foreign;

	foreign_create(guest, &foreign);
	memset(foreign.data, 0x5a, BYTES);
	/* Not more than there is of it, and none of it twice at one address. */
	assert_int_equal(guest_bind(guest, foreign.handle, VA, BYTES + PAGE, READ), -EINVAL);
	assert_int_equal(guest_bind(guest, foreign.handle, VA, BYTES, READ), 0);
	assert_int_equal(guest_bind(guest, foreign.handle, VA, BYTES, READ), -EEXIST);
	guest_fill(guest, VA + PAGE, 0, 64);
	assert_int_equal(guest_wait(guest, guest_submit(guest), 20 * SECOND), -EIO);
	assert_int_equal(guest_fault(guest, &record), 1);
	assert_int_equal(record.cause, AXL_CAUSE_PERMISSION);
	assert_true(record.address == VA + PAGE);
	assert_int_equal(guest_reset(guest), 0);
	for (uint64_t i = 0; i < BYTES; i++)
		assert_int_equal(foreign.data[i], 0x5a);
	assert_int_equal(guest_unbind(guest, VA, BYTES), 0);
	guest_copy(guest, GUEST_SCRATCH, VA, 64);
	assert_int_equal(guest_wait(guest, guest_submit(guest), 20 * SECOND), -EIO);
	assert_int_equal(guest_reset(guest), 0);
	assert_int_equal(close_handle(guest, &foreign), 0);
	close(foreign.dmabuf);
	munmap(foreign.data, BYTES);
}

/* Everything that holds it, let go in each order; what is still there works. */
static void it_is_closed_in_any_order(void **state)
{
	struct guest *guest = *state;

	for (unsigned int order = 0; order < 6; order++) {
		static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
		struct foreign foreign;
		bool bound = true;

		foreign_create(guest, &foreign);
		assert_int_equal(guest_bind(guest, foreign.handle, VA, BYTES, READ | WRITE), 0);
		device_copies(guest, &foreign, 0, PAGE, order);
		for (int step = 0; step < 3; step++) {
			switch (orders[order][step]) {
			case 0:
				close(foreign.dmabuf);
				break;
			case 1:
				assert_int_equal(close_handle(guest, &foreign), 0);
				break;
			default:
				assert_int_equal(guest_unbind(guest, VA, BYTES), 0);
				bound = false;
			}
			if (bound)
				device_copies(guest, &foreign, 5 * PAGE - 8, 3 * PAGE, order + 10);
		}
		munmap(foreign.data, BYTES);
		assert_int_equal(guest_job(guest, order), 0);
	}
}

/* The file goes with handle, binding and jobs in flight; the memory is the process' own again. */
static void a_file_goes_with_an_import(void **state)
{
	for (int i = 0; i < 10; i++) {
		struct foreign foreign;
		struct guest other;

		assert_int_equal(guest_create(&other, NULL), 0);
		foreign_create(&other, &foreign);
		if (i & 1)
			close(foreign.dmabuf);
		assert_int_equal(guest_bind(&other, foreign.handle, VA, BYTES, WRITE), 0);
		for (int k = 0; k < 50; k++)
			guest_fill(&other, VA, 0xa5a5a5a5, BYTES);
		guest_submit(&other);
		guest_destroy(&other);
		memset(foreign.data, 0, BYTES);
		guest_sleep(2 * MILLISECOND);
		for (uint64_t b = 0; b < BYTES; b++)
			assert_int_equal(foreign.data[b], 0);
		if (!(i & 1))
			close(foreign.dmabuf);
		munmap(foreign.data, BYTES);
		assert_int_equal(guest_job(*state, (uint32_t)i), 0);
	}
}

/* One dma-buf is one buffer of a file; of another file it is another, of the same bytes. */
static void it_is_one_buffer_however_often_it_comes(void **state)
{
	struct guest *guest = *state, other;
	struct foreign foreign;
	int again;

	foreign_create(guest, &foreign);
	assert_int_equal(guest_import(guest->fd, foreign.dmabuf), foreign.handle);
	assert_int_equal(guest_create(&other, NULL), 0);
	again = guest_import(other.fd, foreign.dmabuf);
	assert_true(again > 0);
	assert_int_equal(guest_bind(guest, foreign.handle, VA, BYTES, READ), 0);
	assert_int_equal(guest_bind(&other, (uint32_t)again, VA, BYTES, WRITE), 0);
	pattern(guest_at(&other, GUEST_SCRATCH), PAGE, 5);
	guest_copy(&other, VA + PAGE, GUEST_SCRATCH, PAGE);
	assert_int_equal(guest_wait(&other, guest_submit(&other), 20 * SECOND), 0);
	guest_copy(guest, GUEST_SCRATCH, VA + PAGE, PAGE);
	assert_int_equal(guest_wait(guest, guest_submit(guest), 20 * SECOND), 0);
	assert_memory_equal(guest_at(guest, GUEST_SCRATCH), guest_at(&other, GUEST_SCRATCH), PAGE);
	assert_int_equal(guest_destroy(&other), 0);
	assert_int_equal(guest_unbind(guest, VA, BYTES), 0);
	assert_int_equal(close_handle(guest, &foreign), 0);
	close(foreign.dmabuf);
	munmap(foreign.data, BYTES);
}

/* Through the driver's file the process sees the same memory. */
static void its_mapping_is_the_foreign_memory(void **state)
{
	struct guest *guest = *state;
	struct drm_axl_bo_info info = {0};
	struct foreign foreign;
	uint8_t *bytes;

	foreign_create(guest, &foreign);
	info.handle = foreign.handle;
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_AXL_BO_INFO, &info), 0);
	bytes = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, guest->fd, (off_t)info.mmap_offset);
	assert_true(bytes != MAP_FAILED);
	pattern(foreign.data, BYTES, 17);
	assert_memory_equal(bytes, foreign.data, BYTES);
	bytes[3 * PAGE] = 0xee;
	assert_int_equal(foreign.data[3 * PAGE], 0xee);
	assert_true(mmap(NULL, BYTES, PROT_READ, MAP_PRIVATE, guest->fd, (off_t)info.mmap_offset) == MAP_FAILED);
	/* It outlives handle and descriptor. */
	assert_int_equal(close_handle(guest, &foreign), 0);
	close(foreign.dmabuf);
	assert_int_equal(bytes[3 * PAGE], 0xee);
	munmap(bytes, BYTES);
	munmap(foreign.data, BYTES);
}

/* The other way: what the driver exported is there when the file that made it has gone, and goes with its last user. */
static void an_export_outlives_its_file(void **state)
{
	for (int i = 0; i < 10; i++) {
		struct drm_prime_handle prime = {.flags = DRM_CLOEXEC | DRM_RDWR};
		struct guest other, *guest = *state;
		struct drm_gem_close destroy = {0};
		uint8_t *bytes;

		assert_int_equal(guest_create(&other, NULL), 0);
		prime.handle = other.data_bo.handle;
		pattern(other.data_bo.data, GUEST_DATA_BYTES, (unsigned int)i);
		assert_int_equal(guest_ioctl(other.fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime), 0);
		assert_int_equal(guest_destroy(&other), 0);
		bytes = mmap(NULL, GUEST_DATA_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, prime.fd, 0);
		assert_true(bytes != MAP_FAILED);
		prime.handle = 0;
		assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime), 0);
		destroy.handle = prime.handle;
		close(prime.fd);
		assert_int_equal(guest_bind(guest, destroy.handle, VA, GUEST_DATA_BYTES, READ), 0);
		guest_copy(guest, GUEST_SCRATCH, VA + 3 * PAGE, 2 * PAGE);
		assert_int_equal(guest_wait(guest, guest_submit(guest), 20 * SECOND), 0);
		assert_memory_equal(guest_at(guest, GUEST_SCRATCH), bytes + 3 * PAGE, 2 * PAGE);
		assert_int_equal(guest_unbind(guest, VA, GUEST_DATA_BYTES), 0);
		assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_GEM_CLOSE, &destroy), 0);
		assert_int_equal(bytes[PAGE], (uint8_t)(PAGE * 7 + 31 + (unsigned int)i));
		munmap(bytes, GUEST_DATA_BYTES);
	}
}

/* ---- local memory ---- */

/* What fdinfo says of a region, in bytes. */
static uint64_t fdinfo(int fd, const char *key)
{
	char path[64], text[128], unit[8] = "";
	unsigned long long value = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(text, sizeof(text), file)) {
		char *at = strchr(text, ':');

		if (!at || (size_t)(at - text) != strlen(key) || strncmp(text, key, strlen(key)))
			continue;
		assert_true(sscanf(at + 1, "%llu %7s", &value, unit) >= 1);
		fclose(file);
		return value * (!strcmp(unit, "KiB") ? 1024 : !strcmp(unit, "MiB") ? 1 << 20 : 1);
	}
	fclose(file);
	fail_msg("no %s in fdinfo", key);
	return 0;
}

static int export_local(struct guest *guest, struct guest_bo *bo)
{
	struct drm_prime_handle prime = {.flags = DRM_CLOEXEC | DRM_RDWR};

	assert_int_equal(guest_bo_map(guest->fd, BYTES, DRM_AXL_BO_LOCAL, bo), 0);
	prime.handle = bo->handle;
	assert_int_equal(guest_ioctl(guest->fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime), 0);
	return prime.fd;
}

/* By its dma-buf, in the same memory: what the other's device work writes is there, also when its maker has gone. */
static void local_memory_is_shared_by_files_of_the_device(void **state)
{
	struct guest *other = *state;

	for (int i = 0; i < 10; i++) {
		struct drm_axl_bo_info info = {0};
		struct guest_bo bo;
		struct guest maker;
		int dmabuf, handle;
		uint64_t value, before = fdinfo(other->fd, "drm-total-local");
		uint64_t *words;

		assert_int_equal(guest_create(&maker, NULL), 0);
		dmabuf = export_local(&maker, &bo);
		assert_true(fdinfo(maker.fd, "drm-total-local") == BYTES);
		assert_true(fdinfo(maker.fd, "drm-resident-local") == BYTES);
		handle = guest_import(other->fd, dmabuf);
		assert_true(handle > 0);
		assert_int_equal(guest_import(other->fd, dmabuf), handle);
		assert_true(fdinfo(other->fd, "drm-total-local") == before + BYTES);
		assert_true(fdinfo(other->fd, "drm-shared-local") == before + BYTES);
		info.handle = (uint32_t)handle;
		assert_int_equal(guest_ioctl(other->fd, DRM_IOCTL_AXL_BO_INFO, &info), 0);
		assert_true(info.flags == DRM_AXL_BO_LOCAL && info.size == BYTES);
		assert_int_equal(guest_bind(other, (uint32_t)handle, VA, BYTES, READ | WRITE), 0);
		guest_fill(other, VA + BYTES - 64, 0x10ca1000u + (uint32_t)i, 64);
		assert_int_equal(guest_wait(other, guest_submit(other), 20 * SECOND), 0);
		value = ((volatile uint32_t *)bo.data)[BYTES / 4 - 1];
		assert_int_equal(value, 0x10ca1000u + (uint32_t)i);
		/* Its pages are a file's of the device; the dma-buf has none. */
		assert_true(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, dmabuf, 0) == MAP_FAILED);
		guest_bo_destroy(maker.fd, &bo);
		assert_int_equal(guest_destroy(&maker), 0);
		if (i % 2)
			close(dmabuf);
		words = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, other->fd, (off_t)info.mmap_offset);
		assert_true(words != MAP_FAILED);
		assert_int_equal((uint32_t)words[BYTES / 8 - 1], 0x10ca1000u + (uint32_t)i);
		munmap(words, BYTES);
		assert_int_equal(guest_unbind(other, VA, BYTES), 0);
		assert_int_equal(
			guest_ioctl(other->fd, DRM_IOCTL_GEM_CLOSE, &(struct drm_gem_close){.handle = info.handle}), 0);
		if (!(i % 2))
			close(dmabuf);
		assert_true(fdinfo(other->fd, "drm-total-local") == before);
	}
}

/* It has no pages, and transfers from device to device would have to keep this one awake and here. */
static void local_memory_is_not_for_another_device(void **state)
{
	struct guest *guest = *state;
	int second = open("/dev/accel/accel1", O_RDWR | O_CLOEXEC), dmabuf;
	struct guest_bo bo;

	if (second < 0)
		skip(); /* this machine has one */
	dmabuf = export_local(guest, &bo);
	assert_int_equal(guest_import(second, dmabuf), -EOPNOTSUPP);
	close(dmabuf);
	close(second);
	guest_bo_destroy(guest->fd, &bo);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHECK(the_device_reads_and_writes_a_foreign_buffer),
		CHECK(a_command_buffer_runs_from_a_foreign_buffer),
		CHECK(rights_of_its_binding_hold),
		CHECK(it_is_closed_in_any_order),
		CHECK(a_file_goes_with_an_import),
		CHECK(it_is_one_buffer_however_often_it_comes),
		CHECK(its_mapping_is_the_foreign_memory),
		CHECK(an_export_outlives_its_file),
		CHECK(local_memory_is_shared_by_files_of_the_device),
		CHECK(local_memory_is_not_for_another_device),
	};

	return check_run("prime", tests, NULL, NULL);
}
