/* SPDX-License-Identifier: MIT */
/* The compile cache under sessions: what is compiled once is right ever after, whatever happens to the files. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <accel/runtime.h>

#include "folder.h"
#include "runtime/cache.h"

#define PIXELS 64
#define SCORES 10
#define END ".package"

static const char *digits(void)
{
	return getenv("AXL_TEST_MODEL");
}

/*
 * What a session on @path did: @compiled, @cached, what it said, and the scores of one image. Returns what accel_session_create() does; a
 * run fails the test.
 */
struct outcome {
	uint64_t compiled, cached;
	char note[4800], error[512];
	float scores[SCORES];
};

static int try_session(const char *path, const struct accel_session_options *options, struct outcome *outcome)
{
	float image[PIXELS];
	struct accel_tensor input = {.dtype = 1, .rank = 4, .dims = {1, 1, 8, 8}, .data = image, .size = sizeof(image)};
	struct accel_tensor output = {.data = outcome->scores, .size = sizeof(outcome->scores)};
	struct accel_session *session;
	struct accel_run_stats stats;
	int err;

	memset(outcome, 0, sizeof(*outcome));
	for (int i = 0; i < PIXELS; i++)
		image[i] = (float)(i * 7 % 16) / 16.0f;
	err = accel_session_create(path, options, &session, outcome->error, sizeof(outcome->error));
	if (err)
		return err;
	if (accel_session_run(session, &input, 1, &output, 1, outcome->error, sizeof(outcome->error)))
		fail_msg("%s", outcome->error);
	accel_session_stats(session, &stats);
	outcome->compiled = stats.compilations;
	outcome->cached = stats.cached;
	snprintf(outcome->note, sizeof(outcome->note), "%s", stats.cache_note);
	accel_session_destroy(session);
	return 0;
}

static void run(const char *cache, enum accel_precision precision, uint64_t bytes, struct outcome *outcome)
{
	struct accel_session_options options = {
		.precision = precision, .threads = 1, .cache = cache, .cache_bytes = bytes};

	if (try_session(digits(), &options, outcome))
		fail_msg("%s", outcome->error);
}

/* The scores without any cache. */
static void expected(enum accel_precision precision, float scores[SCORES])
{
	struct outcome outcome;

	run("off", precision, 0, &outcome);
	assert_int_equal(outcome.compiled, 1);
	assert_int_equal(outcome.cached, 0);
	assert_string_equal(outcome.note, "");
	memcpy(scores, outcome.scores, sizeof(outcome.scores));
}

static void check(const struct outcome *outcome, const float *scores, bool compiled, const char *note)
{
	assert_memory_equal(outcome->scores, scores, SCORES * sizeof(*scores));
	assert_int_equal(outcome->compiled, compiled);
	assert_int_equal(outcome->cached, !compiled);
	if (*note ? !strstr(outcome->note, note) : *outcome->note)
		fail_msg("'%s' is not there: '%s'", note, outcome->note);
}

static void second_start_compiles_nothing(void **state)
{
	static const enum accel_precision precisions[] = {ACCEL_F32, ACCEL_F16, ACCEL_INT8};
	struct folder folder;
	struct outcome outcome;
	float scores[SCORES];

	(void)state;
	folder_make(&folder);
	for (size_t i = 0; i < 3; i++) {
		expected(precisions[i], scores);
		run(folder.path, precisions[i], 0, &outcome);
		check(&outcome, scores, true, "");
		assert_int_equal(folder_count(folder.path, END, NULL), i + 1);
		run(folder.path, precisions[i], 0, &outcome);
		check(&outcome, scores, false, "");
	}
	assert_int_equal(folder_count(folder.path, "", NULL), 3);
	folder_remove(&folder);
}

static void folders_are_made_where_they_are_missing(void **state)
{
	struct folder folder;
	struct outcome outcome;
	struct stat status;
	char deep[128];

	(void)state;
	folder_make(&folder);
	snprintf(deep, sizeof(deep), "%s/a/b", folder.path);
	run(deep, ACCEL_F32, 0, &outcome);
	assert_int_equal(folder_count(deep, END, NULL), 1);
	assert_int_equal(stat(deep, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0700); /* models are nobody else's business */
	folder_remove(&folder);
}

/* Each damage in turn: the answer is right, the damage is named, and the file is as it was. */
static void damage_is_noticed_and_repaired(void **state)
{
	static const struct {
		double cut;  /* the share of the file that stays */
		double flip; /* the byte that changes, as a share of the file */
	} cases[] = {{0, -1},    {0.001, -1}, {0.5, -1}, {0.99999, -1}, {1, 0},   {1, 0.0002}, {1, 0.0005},
		     {1, 0.003}, {1, 0.011},  {1, 0.05}, {1, 0.3},      {1, 0.7}, {1, 0.9999}, {1.01, -1}};
	struct folder folder;
	struct outcome outcome;
	uint8_t *good, *found;
	float scores[SCORES];
	char path[512];
	size_t size, again;

	(void)state;
	folder_make(&folder);
	expected(ACCEL_F32, scores);
	run(folder.path, ACCEL_F32, 0, &outcome);
	assert_int_equal(folder_count(folder.path, END, path), 1);
	good = file_read(path, &size);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t length = (size_t)((double)size * cases[i].cut);
		uint8_t *bad = calloc(1, length > size ? length : size);

		memcpy(bad, good, size);
		if (cases[i].flip >= 0)
			bad[(size_t)((double)size * cases[i].flip)] ^= 4;
		file_write(path, bad, length);
		run(folder.path, ACCEL_F32, 0, &outcome);
		check(&outcome, scores, true, "was damaged");
		assert_non_null(strstr(outcome.note, path));
		run(folder.path, ACCEL_F32, 0, &outcome);
		check(&outcome, scores, false, "");
		found = file_read(path, &again);
		assert_int_equal(again, size);
		assert_memory_equal(found, good, size);
		free(found);
		free(bad);
	}
	free(good);
	folder_remove(&folder);
}

/* A good file under the name of another is not what its name says. */
static void a_file_with_another_name_is_damaged(void **state)
{
	struct folder folder;
	struct outcome outcome;
	float scores[SCORES];
	char half[512], full[512];
	uint8_t *bytes;
	size_t size;

	(void)state;
	folder_make(&folder);
	expected(ACCEL_F32, scores);
	run(folder.path, ACCEL_F16, 0, &outcome);
	assert_int_equal(folder_count(folder.path, END, half), 1);
	bytes = file_read(half, &size);
	assert_int_equal(unlink(half), 0);
	run(folder.path, ACCEL_F32, 0, &outcome);
	assert_int_equal(folder_count(folder.path, END, full), 1);
	file_write(full, bytes, size);
	run(folder.path, ACCEL_F32, 0, &outcome);
	check(&outcome, scores, true, "it has the name of another");
	free(bytes);
	folder_remove(&folder);
}

/* Root may write everywhere: then as nobody. */
static void become(bool nobody)
{
	static bool was_root;

	if (nobody)
		was_root = geteuid() == 0;
	if (was_root)
		assert_int_equal(seteuid(nobody ? 65534 : 0), 0);
}

static void a_folder_that_can_only_be_read_serves_what_it_has(void **state)
{
	struct folder folder;
	struct outcome outcome;
	float full[SCORES], half[SCORES];
	char cache[128], model[128], entry[512];
	struct accel_session_options options = {.threads = 1, .cache = cache};
	uint8_t *bytes;
	size_t size;

	(void)state;
	folder_make(&folder);
	snprintf(cache, sizeof(cache), "%s/cache", folder.path);
	snprintf(model, sizeof(model), "%s/m.onnx", folder.path); /* where nobody can read it, too */
	bytes = file_read(digits(), &size);
	file_write(model, bytes, size);
	free(bytes);
	assert_int_equal(chmod(model, 0644), 0);
	assert_int_equal(chmod(folder.path, 0755), 0);
	expected(ACCEL_F32, full);
	expected(ACCEL_F16, half);
	run(cache, ACCEL_F32, 0, &outcome);
	assert_int_equal(folder_count(cache, END, entry), 1);
	assert_int_equal(chmod(entry, 0644), 0);
	assert_int_equal(chmod(cache, 0555), 0);

	become(true);
	assert_int_equal(try_session(model, &options, &outcome), 0);
	check(&outcome, full, false, "");
	options.precision = ACCEL_F16;
	assert_int_equal(try_session(model, &options, &outcome), 0);
	check(&outcome, half, true, "Permission denied; the package is not kept");
	become(false);
	assert_int_equal(folder_count(cache, "", NULL), 1);

	/* And where there is no folder at all. */
	options.cache = entry;
	assert_int_equal(try_session(model, &options, &outcome), 0);
	check(&outcome, half, true, "Not a directory");
	assert_int_equal(chmod(cache, 0755), 0);
	folder_remove(&folder);
}

/* Every byte that can not be written: nothing is left but the answer. */
static void a_full_disk_costs_the_package_only(void **state)
{
	struct rlimit before, small;
	struct folder folder;
	struct outcome outcome;
	float scores[SCORES];

	(void)state;
	folder_make(&folder);
	expected(ACCEL_F32, scores);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_IGN);
	for (rlim_t most = 0; most <= 8192; most += 4096) {
		small = (struct rlimit){most, before.rlim_max};
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
		run(folder.path, ACCEL_F32, 0, &outcome);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
		check(&outcome, scores, true, "the package is not kept");
		assert_int_equal(folder_count(folder.path, "", NULL), 0);
	}
	folder_remove(&folder);
}

static void set_used(const char *path, time_t when)
{
	struct timespec times[2] = {{when, 0}, {when, 0}};

	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static uint64_t size_of(const char *path)
{
	struct stat status;

	assert_int_equal(stat(path, &status), 0);
	return (uint64_t)status.st_size;
}

static void what_was_used_longest_ago_goes_first(void **state)
{
	struct folder folder;
	struct outcome outcome;
	char first[512], path[512];
	uint64_t sizes;

	(void)state;
	folder_make(&folder);
	run(folder.path, ACCEL_F32, 0, &outcome);
	folder_count(folder.path, END, first);
	set_used(first, 1000);
	sizes = size_of(first);
	assert_int_equal(rename(first, strcat(strcpy(path, first), "x")), 0);
	run(folder.path, ACCEL_F16, 0, &outcome);
	assert_int_equal(folder_count(folder.path, END, first), 1);
	set_used(first, 2000);
	sizes += size_of(first);
	path[strlen(path) - 1] = '\0';
	strcat(strcpy(first, path), "x");
	assert_int_equal(rename(first, path), 0);

	run(folder.path, ACCEL_F32, 0, &outcome); /* now fp16 is the older one */
	assert_int_equal(outcome.cached, 1);
	run(folder.path, ACCEL_BF16, sizes + 4096, &outcome); /* room for two and a little */
	assert_int_equal(outcome.compiled, 1);
	assert_string_equal(outcome.note, "");
	assert_int_equal(folder_count(folder.path, END, NULL), 2);
	run(folder.path, ACCEL_F32, sizes + 4096, &outcome);
	assert_int_equal(outcome.cached, 1);
	run(folder.path, ACCEL_BF16, sizes + 4096, &outcome);
	assert_int_equal(outcome.cached, 1);
	run(folder.path, ACCEL_F16, sizes + 4096, &outcome);
	assert_int_equal(outcome.compiled, 1);
	folder_remove(&folder);
}

static void a_package_larger_than_the_cache_removes_nothing(void **state)
{
	struct folder folder;
	struct outcome outcome;
	float scores[SCORES];

	(void)state;
	folder_make(&folder);
	expected(ACCEL_F16, scores);
	run(folder.path, ACCEL_F32, 0, &outcome);
	run(folder.path, ACCEL_F16, 5000, &outcome);
	check(&outcome, scores, true, "more than it may hold");
	assert_int_equal(folder_count(folder.path, END, NULL), 1);
	run(folder.path, ACCEL_F32, 5000, &outcome);
	assert_int_equal(outcome.cached, 1);
	folder_remove(&folder);
}

static void what_a_dead_process_left_is_removed(void **state)
{
	struct folder folder;
	struct outcome outcome;
	char dead[128], alive[128];
	int fd;

	(void)state;
	folder_make(&folder);
	snprintf(dead, sizeof(dead), "%s/new-dead00", folder.path);
	snprintf(alive, sizeof(alive), "%s/new-alive0", folder.path);
	file_write(dead, "half", 4);
	file_write(alive, "half", 4);
	fd = open(alive, O_RDONLY);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	run(folder.path, ACCEL_F32, 0, &outcome);
	assert_int_not_equal(access(dead, F_OK), 0);
	assert_int_equal(access(alive, F_OK), 0);
	close(fd);
	folder_remove(&folder);
}

/* Started by one pipe that closes. */
static void processes_at_once_give_one_file(void **state)
{
	enum { PROCESSES = 4, ROUNDS = 3 };
	struct folder folder;
	float scores[SCORES];

	(void)state;
	folder_make(&folder);
	expected(ACCEL_F32, scores);
	for (int round = 0; round < ROUNDS; round++) {
		pid_t children[PROCESSES];
		struct outcome outcome;
		char path[512];
		int start[2];

		assert_int_equal(pipe(start), 0);
		for (int i = 0; i < PROCESSES; i++) {
			struct accel_session_options options = {.threads = 1, .cache = folder.path};
			char byte;

			children[i] = fork();
			assert_true(children[i] >= 0);
			if (children[i])
				continue;
			close(start[1]);
			if (read(start[0], &byte, 1) || try_session(digits(), &options, &outcome))
				_exit(1);
			_exit(memcmp(outcome.scores, scores, sizeof(scores)) || *outcome.note ||
			      outcome.compiled + outcome.cached != 1);
		}
		close(start[0]);
		close(start[1]);
		for (int i = 0; i < PROCESSES; i++) {
			int status;

			assert_int_equal(waitpid(children[i], &status, 0), children[i]);
			assert_int_equal(status, 0);
		}
		assert_int_equal(folder_count(folder.path, "", path), 1);
		run(folder.path, ACCEL_F32, 0, &outcome);
		check(&outcome, scores, false, "");
		assert_int_equal(unlink(path), 0);
	}
	folder_remove(&folder);
}

/* A session keeps what it has mapped. */
static void a_session_outlives_its_file(void **state)
{
	struct accel_session_options options = {.threads = 1};
	struct accel_session *session;
	struct outcome outcome;
	struct folder folder;
	float image[PIXELS] = {0}, first[SCORES], second[SCORES];
	struct accel_tensor input = {.dtype = 1, .rank = 4, .dims = {1, 1, 8, 8}, .data = image, .size = sizeof(image)};
	struct accel_tensor output = {.data = first, .size = sizeof(first)};
	struct cache *cache;

	(void)state;
	folder_make(&folder);
	run(folder.path, ACCEL_F32, 0, &outcome);
	options.cache = folder.path;
	assert_int_equal(accel_session_create(digits(), &options, &session, NULL, 0), 0);
	assert_int_equal(accel_session_run(session, &input, 1, &output, 1, NULL, 0), 0);
	assert_int_equal(cache_create(folder.path, 0, &cache), 0);
	assert_int_equal(cache_clear(cache), 0);
	cache_destroy(cache);
	assert_int_equal(folder_count(folder.path, "", NULL), 0);
	output.data = second;
	assert_int_equal(accel_session_run(session, &input, 1, &output, 1, NULL, 0), 0);
	assert_memory_equal(first, second, sizeof(first));
	accel_session_destroy(session);
	folder_remove(&folder);
}

static void the_list_says_what_is_there(void **state)
{
	struct cache_entry *entries;
	struct outcome outcome;
	struct folder folder;
	struct cache *cache;
	char path[512];
	size_t count;

	(void)state;
	folder_make(&folder);
	assert_int_equal(cache_create(folder.path, 12345, &cache), 0);
	assert_string_equal(cache_folder(cache), folder.path);
	assert_int_equal(cache_limit(cache), 12345);
	assert_int_equal(cache_list(cache, &entries, &count), 0);
	assert_int_equal(count, 0);
	free(entries);
	run(folder.path, ACCEL_F16, 0, &outcome);
	folder_count(folder.path, END, path);
	set_used(path, 1000);
	run(folder.path, ACCEL_F32, 0, &outcome);
	assert_int_equal(cache_list(cache, &entries, &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(entries[0].used, 1000);
	assert_int_equal(entries[0].bytes, size_of(path));
	assert_int_equal(entries[0].header.precision, COMPILE_F16);
	assert_int_equal(entries[1].header.precision, COMPILE_F32);
	assert_string_equal(entries[1].header.path, digits());
	assert_string_equal(entries[1].header.target, "axl-edge");
	free(entries);
	cache_destroy(cache);

	/* A folder that is not there holds nothing. */
	strcat(path, "/none");
	snprintf(path, sizeof(path), "%s/none", folder.path);
	assert_int_equal(cache_create(path, 0, &cache), 0);
	assert_int_equal(cache_list(cache, &entries, &count), 0);
	assert_int_equal(count, 0);
	free(entries);
	assert_int_equal(cache_clear(cache), 0);
	cache_destroy(cache);
	folder_remove(&folder);
}

static void set(const char *name, const char *value)
{
	if (value)
		setenv(name, value, 1);
	else
		unsetenv(name);
}

static void the_environment_says_where_and_how_much(void **state)
{
	static const struct {
		const char *where, *accel, *caches, *home, *folder;
	} places[] = {
		{NULL, NULL, NULL, "/h", "/h/.cache/accel"},
		{NULL, NULL, "/x", "/h", "/x/accel"},
		{NULL, NULL, "x", "/h", "/h/.cache/accel"},
		{NULL, "/a", "/x", "/h", "/a"},
		{NULL, "", "/x", "/h", "/x/accel"},
		{NULL, "off", "/x", "/h", NULL},
		{"/o", "off", "/x", "/h", "/o"},
		{"off", "/a", "/x", "/h", NULL},
		{NULL, NULL, NULL, NULL, NULL},
		{NULL, NULL, "", "h", NULL},
	};
	static const struct {
		const char *text;
		uint64_t bytes; /* 0: refused */
	} sizes[] = {{NULL, 2ull << 30}, {"", 2ull << 30},   {"4096", 4096}, {"3K", 3072},
		     {"5M", 5 << 20},    {"7G", 7ull << 30}, {"0", 0},       {"-1", 0},
		     {"1T", 0},          {"1KB", 0},         {"much", 0},    {"18446744073709551616", 0},
		     {"17179869184G", 0}};
	struct outcome outcome;
	struct cache *cache;

	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		set("ACCEL_CACHE", places[i].accel);
		set("XDG_CACHE_HOME", places[i].caches);
		set("HOME", places[i].home);
		assert_int_equal(cache_create(places[i].where, 0, &cache), 0);
		if (places[i].folder)
			assert_string_equal(cache_folder(cache), places[i].folder);
		else
			assert_null(cache);
		cache_destroy(cache);
	}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		set("ACCEL_CACHE_SIZE", sizes[i].text);
		assert_int_equal(cache_create("/o", 0, &cache), sizes[i].bytes ? 0 : -EINVAL);
		assert_int_equal(cache_limit(cache), sizes[i].bytes);
		cache_destroy(cache);
		assert_int_equal(cache_create("/o", 99, &cache), 0); /* which the caller has said is not looked up */
		assert_int_equal(cache_limit(cache), 99);
		cache_destroy(cache);
	}
	set("ACCEL_CACHE_SIZE", "much");
	assert_int_equal(try_session(digits(), &(struct accel_session_options){.threads = 1, .cache = "/o"}, &outcome),
			 -EINVAL);
	assert_string_equal(outcome.error, "ACCEL_CACHE_SIZE: 'much' is no size");
	set("ACCEL_CACHE_SIZE", NULL);
	set("ACCEL_CACHE", "off");
}

static void a_model_that_does_not_compile_leaves_nothing(void **state)
{
	struct folder folder;
	struct outcome outcome;
	struct accel_session_options options = {.threads = 1, .cache = folder.path, .disable = "none"};

	(void)state;
	folder_make(&folder);
	assert_int_equal(try_session(digits(), &options, &outcome), -EINVAL);
	assert_non_null(strstr(outcome.error, "no pass 'none'"));
	assert_int_equal(try_session("/etc/passwd", &(struct accel_session_options){.cache = folder.path}, &outcome),
			 -EINVAL);
	assert_int_equal(folder_count(folder.path, "", NULL), 0);
	folder_remove(&folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(second_start_compiles_nothing),
		cmocka_unit_test(folders_are_made_where_they_are_missing),
		cmocka_unit_test(damage_is_noticed_and_repaired),
		cmocka_unit_test(a_file_with_another_name_is_damaged),
		cmocka_unit_test(a_folder_that_can_only_be_read_serves_what_it_has),
		cmocka_unit_test(a_full_disk_costs_the_package_only),
		cmocka_unit_test(what_was_used_longest_ago_goes_first),
		cmocka_unit_test(a_package_larger_than_the_cache_removes_nothing),
		cmocka_unit_test(what_a_dead_process_left_is_removed),
		cmocka_unit_test(processes_at_once_give_one_file),
		cmocka_unit_test(a_session_outlives_its_file),
		cmocka_unit_test(the_list_says_what_is_there),
		cmocka_unit_test(the_environment_says_where_and_how_much),
		cmocka_unit_test(a_model_that_does_not_compile_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
