/* SPDX-License-Identifier: MIT */
/* Memory objects: host memory, the caller's own, and local memory by first fit over a list of free spans. See inproc.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "sim/inproc/inproc_internal.h"

int local_memory_init(struct inproc *device)
{
	return spans_insert(&device->local_free, 0, device->config.mem_bytes);
}

/* Take @size bytes, aligned to large pages when that long: -ENOSPC, -ENOMEM. */
static int local_take(struct inproc *device, uint64_t size, uint64_t *offset)
{
	uint64_t align = size >= AXL_LARGE_PAGE_BYTES ? AXL_LARGE_PAGE_BYTES : AXL_PAGE_BYTES;

	for (size_t i = 0; i < device->local_free.count; i++) {
		struct span span = device->local_free.item[i];
		uint64_t start = (span.start + align - 1) & ~(align - 1), end = span.start + span.size;

		if (start > end || end - start < size)
			continue;
		/* The piece behind goes in first: that can fail, the rest can not. */
		if (end > start + size && spans_insert(&device->local_free, start + size, end - start - size))
			return -ENOMEM;
		device->local_free.item[i].size = start - span.start;
		if (start == span.start)
			spans_remove(&device->local_free, i);
		*offset = start;
		return 0;
	}
	return -ENOSPC;
}

static void local_give(struct inproc *device, uint64_t offset, uint64_t size)
{
	struct spans *spans = &device->local_free;
	size_t after = 0;

	while (after < spans->count && spans->item[after].start < offset)
		after++;
	if (after && spans->item[after - 1].start + spans->item[after - 1].size == offset) {
		spans->item[--after].size += size;
	} else if (spans_insert(spans, offset, size)) {
		return; /* out of memory: these bytes are lost to the device, nothing else is */
	}
	if (after + 1 < spans->count &&
	    spans->item[after].start + spans->item[after].size == spans->item[after + 1].start) {
		spans->item[after].size += spans->item[after + 1].size;
		spans_remove(spans, after + 1);
	}
}

int inproc_memory_create(struct inproc *device, uint64_t size, bool local, struct inproc_memory **memory, void **data)
{
	struct inproc_memory *m;
	int err;

	if (!size || size > 1ull << 40)
		return -EINVAL;
	err = inproc_ask(device);
	if (err)
		return err;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->device = device;
	m->local = local;
	m->size = (size + AXL_PAGE_BYTES - 1) & ~(uint64_t)(AXL_PAGE_BYTES - 1);
	if (local) {
		pthread_mutex_lock(&device->lock);
		err = local_take(device, m->size, &m->offset);
		pthread_mutex_unlock(&device->lock);
		m->data = err ? NULL : (uint8_t *)device_local_memory(device->device) + m->offset;
	} else {
		m->data = bus_alloc(device, m->size);
		err = m->data ? 0 : -ENOMEM;
	}
	if (err) {
		free(m);
		return err;
	}
	*memory = m;
	*data = m->data;
	return 0;
}

int inproc_memory_import(struct inproc *device, void *data, uint64_t size, struct inproc_memory **memory)
{
	struct inproc_memory *m;

	if (!size || size > 1ull << 40 || ((uintptr_t)data | size) % AXL_PAGE_BYTES)
		return -EINVAL;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->device = device;
	m->imported = true;
	m->data = data;
	m->size = size;
	pthread_mutex_lock(&device->bus_lock);
	m->next = device->imported;
	device->imported = m;
	pthread_mutex_unlock(&device->bus_lock);
	*memory = m;
	return 0;
}

/* Other files have no seals; those of tmpfs, which do, can not get F_SEAL_SHRINK. */
static int check_memfd(int fd, uint64_t *size)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat file;

	if (seals < 0)
		return errno == EBADF ? -EBADF : -ENOTSUP;
	if (fstat(fd, &file))
		return -errno;
	if (!(seals & F_SEAL_SHRINK) || file.st_size <= 0 || file.st_size % AXL_PAGE_BYTES)
		return -EINVAL;
	*size = (uint64_t)file.st_size;
	return 0;
}

int inproc_memory_import_fd(struct inproc *device, int fd, struct inproc_memory **memory, void **data, uint64_t *size)
{
	int err = check_memfd(fd, size);
	void *map;

	if (err)
		return err;
	map = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	err = inproc_memory_import(device, map, *size, memory);
	if (err) {
		munmap(map, *size);
		return err;
	}
	(*memory)->mapped = true;
	*data = map;
	return 0;
}

static void forget_imported(struct inproc_memory *memory)
{
	struct inproc_memory **link = &memory->device->imported;

	pthread_mutex_lock(&memory->device->bus_lock);
	while (*link != memory)
		link = &(*link)->next;
	*link = memory->next;
	pthread_mutex_unlock(&memory->device->bus_lock);
}

/* The device's own thread would die of a page that is not there: the kernel's list of maps is asked first. */
int imported_access(const struct inproc_memory *memory, uint64_t offset, uint64_t size, bool write)
{
	uint64_t at = (uintptr_t)memory->data + offset, last = at + size;
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[256];

	if (!maps)
		return -EFAULT;
	while (at < last && fgets(line, sizeof(line), maps)) {
		unsigned long long start, end;
		char rights[5];

		/* Rests of lines with long names are none. */
		if (sscanf(line, "%llx-%llx %4s", &start, &end, rights) != 3 || end <= at)
			continue;
		if (start > at || rights[0] != 'r' || (write && rights[1] != 'w'))
			break;
		at = end;
	}
	fclose(maps);
	return at < last ? -EFAULT : 0;
}

int inproc_memory_destroy(struct inproc_memory *memory)
{
	struct inproc *device;

	if (!memory)
		return 0;
	device = memory->device;
	pthread_mutex_lock(&device->lock);
	if (memory->bound) {
		pthread_mutex_unlock(&device->lock);
		return -EBUSY;
	}
	if (memory->imported) {
		forget_imported(memory);
		if (memory->mapped)
			munmap(memory->data, memory->size);
	} else if (memory->local) {
		madvise(memory->data, memory->size, MADV_DONTNEED); /* zero for the next owner */
		local_give(device, memory->offset, memory->size);
	} else {
		bus_free(device, memory->data, memory->size);
	}
	pthread_mutex_unlock(&device->lock);
	free(memory);
	return 0;
}
