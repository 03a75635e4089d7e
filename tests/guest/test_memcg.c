/* SPDX-License-Identifier: MIT */
/*
 * The memory limit of a cgroup: buffers count for who makes the kernel find their pages, a program that wants more than its
 * group may have is told so, and nobody is killed for it. Needs a kernel with CONFIG_MEMCG.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "check.h"

#define GROUPS "/tmp/cgroups"
#define GROUP GROUPS "/axl"
#define LIMIT (48u << 20)
#define CHUNK (2u << 20)
#define ROOM_VA 0x40000000ull

/* What memory.events counted under @name. */
static long events(const char *name)
{
	FILE *file = fopen(GROUP "/memory.events", "r");
	char word[64];
	long count = -1, n;

	if (!file)
		return -1;
	while (fscanf(file, "%63s %ld", word, &n) == 2)
		if (!strcmp(word, name))
			count = n;
	fclose(file);
	return count;
}

static int group_setup(void **state)
{
	char limit[32];

	(void)state;
	mkdir(GROUPS, 0755);
	if (mount("cgroup2", GROUPS, "cgroup2", 0, NULL) ||
	    guest_write_text(GROUPS "/cgroup.subtree_control", "+memory"))
		return -1;
	snprintf(limit, sizeof(limit), "%u", LIMIT);
	return mkdir(GROUP, 0755) || guest_write_text(GROUP "/memory.max", limit) ? -1 : 0;
}

static int group_teardown(void **state)
{
	(void)state;
	return rmdir(GROUP) || umount(GROUPS) ? -1 : 0;
}

static bool join_group(void)
{
	char pid[32];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	return !guest_write_text(GROUP "/cgroup.procs", pid);
}

/* Make buffers and bind them, which finds their pages, until it is refused. The error, *count buffers were had; the last goes. */
static int take_buffers(struct guest *guest, unsigned int *count)
{
	struct guest_bo bo = {0};
	int err = 0;

	for (*count = 0; !err && *count < 4 * LIMIT / CHUNK; *count += !err) {
		err = guest_bo_create(guest->fd, CHUNK, 0, &bo);
		if (!err)
			err = guest_bind(guest, bo.handle, ROOM_VA + (uint64_t)*count * CHUNK, CHUNK,
					 DRM_AXL_BIND_READ | DRM_AXL_BIND_WRITE);
	}
	guest_bo_destroy(guest->fd, &bo);
	return err;
}

/* 0: it had most of its limit, then -ENOMEM, and its next job is right. */
static int want_too_much(void)
{
	unsigned int count;
	struct guest guest;
	int err;

	if (!join_group() || guest_create(&guest, NULL))
		return 2;
	/* Its own pages are there before the group is full: the kernel has no error for them, only a signal. */
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		return 2;
	err = take_buffers(&guest, &count);
	printf("figure memory limit of %u MiB: %u MiB of buffers, then %s\n", LIMIT >> 20, count * (CHUNK >> 20),
	       err ? strerror(-err) : "no error");
	fflush(stdout);
	if (err != -ENOMEM)
		return 3;
	if (count * CHUNK < LIMIT / 2 || count * CHUNK > LIMIT)
		return 4;
	return guest_job(&guest, 1) ? 5 : 0;
}

static int run_child(int (*child)(void))
{
	int pid = fork();

	if (!pid)
		_exit(child());
	return guest_reap(pid, 60 * SECOND);
}

static void the_limit_is_an_error(void **state)
{
	struct guest *guest = *state;
	struct guest_stream *stream = guest_stream_start();
	unsigned long jobs;

	assert_non_null(stream);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(run_child(want_too_much), 0);
		assert_int_equal(guest_job(guest, (uint32_t)i), 0);
	}
	jobs = stream->jobs;
	assert_true(jobs > 0);
	assert_int_equal(guest_stream_end(stream), 0);
	/* The limit was met, and killed nobody. */
	assert_true(events("max") > 0);
	assert_int_equal(events("oom_kill"), 0);
}

/* What a group's program takes by a mapping alone: the page fault is its own, and so is the signal. */
static int touch_too_much(void)
{
	struct guest guest;

	if (!join_group() || guest_create(&guest, NULL))
		return 2;
	for (unsigned int i = 0; i < 4 * LIMIT / CHUNK; i++) {
		struct guest_bo bo;
		int err = guest_bo_map(guest.fd, CHUNK, 0, &bo);

		if (err)
			return err == -ENOMEM ? 0 : 3;
		for (uint64_t at = 0; at < CHUNK; at += 4096)
			if (guest_store((volatile uint64_t *)((char *)bo.data + at), 1))
				return 0;
	}
	return 4;
}

static void a_mapping_counts_as_well(void **state)
{
	struct guest *guest = *state;

	assert_int_equal(run_child(touch_too_much), 0);
	assert_int_equal(events("oom_kill"), 0);
	assert_int_equal(guest_job(guest, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHECK(the_limit_is_an_error),
		CHECK(a_mapping_counts_as_well),
	};

	return check_run("memcg", tests, group_setup, group_teardown);
}
