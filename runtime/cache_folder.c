/* SPDX-License-Identifier: MIT */
/* See cache_folder.h. */
#include "runtime/cache_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/cache.h"

#define TEMPORARY "new-"

/* ---- where ---- */

static int set_folder(char folder[CACHE_FOLDER_BYTES], const char *base, const char *below)
{
	return (size_t)snprintf(folder, CACHE_FOLDER_BYTES, "%s%s", base, below) < CACHE_FOLDER_BYTES ? 0
												      : -ENAMETOOLONG;
}

int cache_folder_find(const char *where, char folder[CACHE_FOLDER_BYTES])
{
	const char *said = getenv("ACCEL_CACHE"), *caches = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	folder[0] = '\0';
	if (!where && said && *said)
		where = said;
	if (where)
		return strcmp(where, "off") ? set_folder(folder, where, "") : 0;
	/* The base directory specification: a path that is not absolute counts as none. */
	if (caches && *caches == '/')
		return set_folder(folder, caches, "/accel");
	return home && *home == '/' ? set_folder(folder, home, "/.cache/accel") : 0;
}

int cache_folder_limit(uint64_t *bytes)
{
	const char *text = getenv("ACCEL_CACHE_SIZE"), *units = "KMG", *unit;
	unsigned long long number;
	unsigned int shift = 0;
	char *end;

	*bytes = CACHE_DEFAULT_BYTES;
	if (!text || !*text)
		return 0;
	errno = 0;
	number = strtoull(text, &end, 10);
	unit = *end ? strchr(units, *end) : NULL;
	if (unit) {
		shift = 10 * (unsigned int)(unit - units + 1);
		end++;
	}
	if (errno || *end || *text < '0' || *text > '9' || !number || number > UINT64_MAX >> shift)
		return -EINVAL;
	*bytes = (uint64_t)number << shift;
	return 0;
}

/* With all folders above it, for this user only. */
static int make_folder(const char *folder)
{
	char path[CACHE_FOLDER_BYTES];

	snprintf(path, sizeof(path), "%s", folder);
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0700) && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return mkdir(path, 0700) && errno != EEXIST ? -errno : 0;
}

int cache_folder_temporary(const char *folder, char path[CACHE_PATH_BYTES], int *fd)
{
	struct stat status;
	int err = make_folder(folder);

	while (!err) {
		snprintf(path, CACHE_PATH_BYTES, "%s/" TEMPORARY "XXXXXX", folder);
		*fd = mkostemp(path, O_CLOEXEC);
		if (*fd < 0)
			return -errno;
		/* Another process may have found it before it was locked, and removed it: another one, then. */
		if (flock(*fd, LOCK_EX | LOCK_NB) && errno != EWOULDBLOCK)
			err = -errno;
		else if (!fstat(*fd, &status) && status.st_nlink)
			return 0;
		unlink(path);
		close(*fd);
	}
	return err;
}

/* ---- what is in it ---- */

static int is_entry(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name), suffix = strlen(CACHE_SUFFIX);

	return length > suffix && !strcmp(entry->d_name + length - suffix, CACHE_SUFFIX);
}

static int is_temporary(const struct dirent *entry)
{
	return !strncmp(entry->d_name, TEMPORARY, strlen(TEMPORARY));
}

/* A file of the cache: its name, its size, when it was used. */
struct file {
	char name[NAME_MAX + 1];
	uint64_t bytes;
	struct timespec used;
};

static int by_use(const void *a, const void *b)
{
	const struct file *x = a, *y = b;

	if (x->used.tv_sec != y->used.tv_sec)
		return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
	if (x->used.tv_nsec != y->used.tv_nsec)
		return x->used.tv_nsec < y->used.tv_nsec ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* The files that @wanted takes, by use; one that is gone meanwhile is none. free(@files). */
static int find_files(const char *folder, int (*wanted)(const struct dirent *), struct file **files, size_t *count)
{
	struct dirent **entries;
	int found = scandir(folder, &entries, wanted, NULL);
	char path[CACHE_PATH_BYTES + NAME_MAX];

	*count = 0;
	*files = NULL;
	if (found < 0)
		return errno == ENOENT ? 0 : -errno;
	*files = calloc((size_t)found + 1, sizeof(**files));
	for (int i = 0; i < found; i++) {
		struct stat status;

		snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
		if (*files && !lstat(path, &status) && S_ISREG(status.st_mode)) {
			struct file *file = &(*files)[(*count)++];

			snprintf(file->name, sizeof(file->name), "%s", entries[i]->d_name);
			file->bytes = (uint64_t)status.st_size;
			file->used = status.st_mtim;
		}
		free(entries[i]);
	}
	free(entries);
	if (!*files)
		return -ENOMEM;
	qsort(*files, *count, sizeof(**files), by_use);
	return 0;
}

static int remove_file(const char *folder, const char *name)
{
	char path[CACHE_PATH_BYTES + NAME_MAX];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return unlink(path) && errno != ENOENT ? -errno : 0;
}

/* ---- what has to go ---- */

/* Nobody writes to it any more when it can be locked. */
static void remove_abandoned(const char *folder, const char *name)
{
	char path[CACHE_PATH_BYTES + NAME_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	if (!flock(fd, LOCK_EX | LOCK_NB))
		unlink(path);
	close(fd);
}

int cache_folder_trim(const char *folder, uint64_t max_bytes)
{
	struct file *files;
	size_t count;
	uint64_t bytes = 0;
	int err = find_files(folder, is_temporary, &files, &count);

	for (size_t i = 0; i < count; i++)
		remove_abandoned(folder, files[i].name);
	free(files);
	if (!err)
		err = find_files(folder, is_entry, &files, &count);
	if (err)
		return err;
	for (size_t i = 0; i < count; i++)
		bytes += files[i].bytes;
	for (size_t i = 0; i < count && bytes > max_bytes && !err; i++) {
		err = remove_file(folder, files[i].name);
		bytes -= files[i].bytes;
	}
	free(files);
	return err;
}

static void read_header(const char *folder, const char *name, struct cache_header *header)
{
	char path[CACHE_PATH_BYTES + NAME_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, header, sizeof(*header)) != sizeof(*header) ||
	    memcmp(header->magic, CACHE_MAGIC, sizeof(header->magic)))
		memset(header, 0, sizeof(*header));
	header->target[sizeof(header->target) - 1] = '\0';
	header->path[sizeof(header->path) - 1] = '\0';
	if (fd >= 0)
		close(fd);
}

int cache_list(const struct cache *cache, struct cache_entry **entries, size_t *count)
{
	struct file *files = NULL;
	int err = 0;

	*count = 0;
	if (cache)
		err = find_files(cache_folder(cache), is_entry, &files, count);
	*entries = calloc(*count + 1, sizeof(**entries));
	if (!err && !*entries)
		err = -ENOMEM;
	for (size_t i = 0; i < *count && !err; i++) {
		struct cache_entry *entry = &(*entries)[i];

		memcpy(entry->name, files[i].name, sizeof(entry->name));
		entry->bytes = files[i].bytes;
		entry->used = files[i].used.tv_sec;
		read_header(cache_folder(cache), entry->name, &entry->header);
	}
	free(files);
	if (err) {
		free(*entries);
		*entries = NULL;
		*count = 0;
	}
	return err;
}

int cache_clear(const struct cache *cache)
{
	return cache ? cache_folder_trim(cache_folder(cache), 0) : 0;
}
