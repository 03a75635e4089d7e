// SPDX-License-Identifier: MIT
/*
 * Working memory of a thread: see scratch.h.
 */
#include "runtime/cpu/scratch.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

struct scratch {
	void *data;
	size_t size;
};

static _Thread_local struct scratch scratch;

/* The key's only purpose is its destructor, which frees the memory when the thread ends. */
static pthread_key_t scratch_key;
static int scratch_key_error;
static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;

static void create_key(void)
{
	scratch_key_error = pthread_key_create(&scratch_key, free);
}

void *scratch_get(size_t size)
{
	void *data;

	if (size <= scratch.size)
		return scratch.data;
	pthread_once(&scratch_once, create_key);
	if (scratch_key_error || size > (size_t)PTRDIFF_MAX - 4096)
		return NULL;
	size = (size + 4095) / 4096 * 4096;
	data = aligned_alloc(64, size);
	if (!data)
		return NULL;
	if (pthread_setspecific(scratch_key, data)) {
		free(data);
		return NULL;
	}
	free(scratch.data);
	scratch = (struct scratch){data, size};
	return data;
}
