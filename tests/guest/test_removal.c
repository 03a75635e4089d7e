/* SPDX-License-Identifier: MIT */
/*
 * The device is taken from the driver, and given back, while files are open, jobs run, threads wait and pages are
 * mapped: everybody gets an error, nobody a signal, and afterwards a new file works. AXL_LOOPS / 10 times each. What is
 * wrong here mostly takes the kernel with it: a program of its own, to be run last.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "check.h"
#include "fences.h"

static char address[64];

static int loops(void)
{
	return (int)guest_setting("AXL_LOOPS", 50) / 10 + 1;
}

/* ---- sysfs ---- */

static int find_device(void **state)
{
	(void)state;
	return guest_find_device(address) ? 0 : -1;
}

static void take_away(void)
{
	assert_int_equal(guest_write_text(GUEST_DRIVER "/unbind", address), 0);
}

/* The minor is taken anew: an old file that is still open keeps its number. */
static void await_node(void)
{
	int64_t deadline = guest_in(20 * SECOND);
	DIR *folder;
	struct dirent *entry;
	char path[PATH_MAX] = "";

	while (!*path && guest_now() < deadline) {
		char name[PATH_MAX];

		snprintf(name, sizeof(name), "/sys/bus/pci/devices/%s/accel", address);
		folder = opendir(name);
		while (folder && (entry = readdir(folder)))
			if (!strncmp(entry->d_name, "accel", 5))
				snprintf(path, sizeof(path), "/dev/accel/%.32s", entry->d_name);
		if (folder)
			closedir(folder);
	}
	setenv("AXL_NODE", path, 1);
	for (int fd = -1; fd < 0 && guest_now() < deadline; fd < 0 ? (void)0 : (void)close(fd))
		fd = guest_open();
}

static void give_back(void)
{
	assert_int_equal(guest_write_text(GUEST_DRIVER "/bind", address), 0);
	await_node();
}

/* ---- tests ---- */

static int begin(void **state)
{
	(void)state;
	alarm((unsigned int)guest_setting("AXL_TIMEOUT", 300));
	check_taint = guest_taint();
	return 0;
}

static int finish(void **state)
{
	struct guest guest;

	(void)state;
	assert_int_equal(guest_create(&guest, NULL), 0);
	assert_int_equal(guest_job(&guest, 1), 0);
	assert_int_equal(guest_destroy(&guest), 0);
	assert_true(guest_taint() == check_taint);
	alarm(0);
	return 0;
}

#define REMOVAL(name) cmocka_unit_test_setup_teardown(name, begin, finish)

static void nobody_has_it_open(void **state)
{
	(void)state;
	for (int i = 0; i < loops(); i++) {
		struct guest guest;

		assert_int_equal(guest_create(&guest, NULL), 0);
		assert_int_equal(guest_job(&guest, 1), 0);
		assert_int_equal(guest_destroy(&guest), 0);
		take_away();
		give_back();
	}
}

static void an_open_file_gets_errors(void **state)
{
	(void)state;
	for (int i = 0; i < loops(); i++) {
		struct drm_axl_get_time time = {0};
		struct drm_axl_vm_create vm = {0};
		struct guest_bo bo;
		struct guest guest;
		int fd = guest_open();

		assert_true(fd >= 0);
		assert_int_equal(guest_create(&guest, NULL), 0);
		take_away();
		assert_int_equal(guest_ioctl(fd, DRM_IOCTL_AXL_GET_TIME, &time), -ENODEV);
		assert_int_equal(guest_ioctl(fd, DRM_IOCTL_AXL_VM_CREATE, &vm), -ENODEV);
		assert_int_equal(guest_bo_create(guest.fd, 4096, 0, &bo), -ENODEV);
		assert_int_equal(guest_reset(&guest), -ENODEV);
		assert_int_equal(guest_wait(&guest, 1, SECOND), -ENODEV);
		close(fd);
		guest_destroy(&guest);
		give_back();
	}
}

/* Pages of a device that is gone: memory that means nothing. */
static void mappings_give_no_signal(void **state)
{
	(void)state;
	for (int i = 0; i < loops(); i++) {
		struct guest_bo local;
		struct guest guest;
		uint64_t value;

		assert_int_equal(guest_create(&guest, NULL), 0);
		assert_int_equal(guest_bo_map(guest.fd, 4096, DRM_AXL_BO_LOCAL, &local), 0);
		*(volatile uint64_t *)local.data = 1;
		take_away();
		assert_int_equal(guest_store(guest.doorbells, 0), 0);
		assert_int_equal(guest_load((const uint64_t *)guest.status, &value), 0);
		assert_int_equal(guest_load(guest.index_bo.data, &value), 0);
		guest_load(local.data, &value);
		guest_bo_destroy(guest.fd, &local);
		guest_destroy(&guest);
		give_back();
	}
}

/* A dma-buf of another driver, bound: the device lets go of it, the process keeps it. */
/* The link goes before the driver is told: what needs the device is refused, and leaves nothing behind. */
static void a_dead_link_refuses_a_queue(void **state)
{
	(void)state;
	for (int i = 0; i < loops(); i++) {
		struct guest guest;
		char path[128];
		uint32_t slot;

		assert_int_equal(guest_create(&guest, NULL), 0);
		assert_int_equal(guest_machine_set("npu", "link", "false"), 0);
		assert_int_equal(guest_queue_create(&guest, NULL, &slot), -EIO);
		assert_int_equal(guest_wait(&guest, guest.head + 1, guest_in(20 * SECOND)), -EIO);
		guest_destroy(&guest);
		/* Behind a link that comes back it is as after power-on: found anew. */
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/remove", address);
		assert_int_equal(guest_write_text(path, "1"), 0);
		assert_int_equal(guest_machine_set("npu", "link", "true"), 0);
		assert_int_equal(guest_write_text("/sys/bus/pci/rescan", "1"), 0);
		await_node();
	}
}

static void a_foreign_buffer_stays(void **state)
{
	const uint64_t size = 64 * 4096, va = 0x60000000;

	(void)state;
	for (int i = 0; i < loops(); i++) {
		struct drm_gem_close destroy = {0};
		struct guest guest;
		void *data;
		int dmabuf = guest_foreign(size, &data), handle;

		assert_true(dmabuf >= 0);
		assert_int_equal(guest_create(&guest, NULL), 0);
		handle = guest_import(guest.fd, dmabuf);
		assert_true(handle > 0);
		destroy.handle = (uint32_t)handle;
		assert_int_equal(guest_bind(&guest, destroy.handle, va, size, DRM_AXL_BIND_WRITE), 0);
		for (int k = 0; k < 40; k++)
			guest_fill(&guest, va, 0xa5a5a5a5, size);
		guest_submit(&guest);
		/* Closed before the device goes, after it, or with the file. */
		if (i % 3 == 0)
			close(dmabuf);
		take_away();
		memset(data, 0, size);
		guest_sleep(2 * MILLISECOND);
		for (uint64_t w = 0; w < size / 8; w++)
			assert_true(!((uint64_t *)data)[w]);
		if (i % 3 == 1)
			assert_int_equal(guest_ioctl(guest.fd, DRM_IOCTL_GEM_CLOSE, &destroy), -ENODEV);
		if (i % 3)
			close(dmabuf);
		guest_destroy(&guest);
		munmap(data, size);
		give_back();
	}
}

struct waiter {
	struct guest *guest;
	int result;
};

static void *wait_for_long(void *arg)
{
	struct waiter *waiter = arg;

	waiter->result = guest_wait(waiter->guest, waiter->guest->head, 60 * SECOND);
	return NULL;
}

/* With a job that never ends, and a thread that sleeps on it. */
static void a_sleeper_learns_of_it(void **state)
{
	(void)state;
	for (int i = 0; i < loops(); i++) {
		struct guest_program program;
		struct guest guest;
		struct waiter waiter = {.guest = &guest, .result = 1};
		int64_t begin_ns;
		pthread_t thread;

		assert_int_equal(guest_create(&guest, NULL), 0);
		guest_program_endless(&program);
		guest_run(&guest, &program, 0);
		guest_submit(&guest);
		assert_int_equal(pthread_create(&thread, NULL, wait_for_long, &waiter), 0);
		guest_sleep(i % 3 * 5 * MILLISECOND);
		take_away();
		begin_ns = guest_now();
		pthread_join(thread, NULL);
		assert_int_equal(waiter.result, -ENODEV);
		assert_true(guest_now() - begin_ns < 2 * SECOND);
		guest_destroy(&guest);
		give_back();
	}
}

/* Binds that wait for a fence end with the device, and their memory comes back. */
static void binds_that_wait_end_with_it(void **state)
{
	(void)state;
	for (int i = 0; i < loops(); i++) {
		const struct guest_options options = {.flags = AXL_QUEUE_BOUNDED};
		struct guest guest, bounded;
		struct drm_axl_sync in = {0}, out = {0};
		struct drm_axl_bind_op op = {.flags = DRM_AXL_BIND_READ, .va = 0x60000000, .size = 4096};
		struct drm_axl_bind_op unmap = {.op = DRM_AXL_BIND_UNMAP, .va = op.va, .size = op.size};

		assert_int_equal(guest_create(&guest, NULL), 0);
		assert_int_equal(guest_create_on(&bounded, guest.fd, &options), 0);
		in.handle = fences_later(&guest, &bounded);
		out.handle = fences_create(&guest);
		op.handle = guest.data_bo.handle;
		assert_int_equal(fences_bind(&guest, &op, 1, i % 2 ? &in : NULL, NULL), 0);
		assert_int_equal(fences_bind(&guest, &unmap, 1, &in, &out), 0);
		take_away();
		assert_int_equal(fences_wait(&guest, out.handle, 0, 0), -ENODEV);
		assert_int_equal(fences_bind(&guest, &op, 1, NULL, NULL), -ENODEV);
		guest_destroy(&guest);
		guest_destroy(&bounded);
		give_back();
	}
}

/* A process at work meets an error, one that is killed ends beside the device. */
static void processes_end_beside_it(void **state)
{
	(void)state;
	for (int i = 0; i < loops(); i++) {
		int at_work[2], pid, result;
		char byte;

		assert_int_equal(pipe(at_work), 0);
		pid = fork();
		if (!pid) {
			struct guest guest;
			int err = guest_create(&guest, NULL);

			for (uint32_t k = 0; !err; k++) {
				err = guest_job(&guest, k);
				if (k == 0 && write(at_work[1], "", 1) != 1)
					_exit(2);
			}
			_exit(err == -ENODEV || err == -EIO ? 0 : 1);
		}
		close(at_work[1]);
		assert_int_equal(read(at_work[0], &byte, 1), 1);
		close(at_work[0]);
		guest_sleep(50 * MILLISECOND);
		/* Its files are closed while the device goes. */
		if (i % 2)
			kill(pid, SIGKILL);
		take_away();
		/* The signal may find it at its end. */
		result = guest_reap(pid, 30 * SECOND);
		assert_true(!result || (i % 2 && result == -EINTR));
		give_back();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REMOVAL(nobody_has_it_open),          REMOVAL(an_open_file_gets_errors),
		REMOVAL(mappings_give_no_signal),     REMOVAL(a_dead_link_refuses_a_queue),
		REMOVAL(a_foreign_buffer_stays),      REMOVAL(a_sleeper_learns_of_it),
		REMOVAL(binds_that_wait_end_with_it), REMOVAL(processes_end_beside_it),
	};

	return check_run("removal", tests, find_device, NULL);
}
