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

static _Thread_local struct scratch scratch[SCRATCH_USES];

/* The keys' only purpose is their destructor, which frees the memory when the thread ends. */
static pthread_key_t scratch_keys[SCRATCH_USES];
static int scratch_key_error;
static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;

static void create_keys(void)
{
	for (int use = 0; use < SCRATCH_USES && !scratch_key_error; use++)
		scratch_key_error = pthread_key_create(&scratch_keys[use], free);
}

void *scratch_get_for(enum scratch_use use, size_t size)
{
	void *data;

	if (size <= scratch[use].size)
		return scratch[use].data;
	pthread_once(&scratch_once, create_keys);
	if (scratch_key_error || size > (size_t)PTRDIFF_MAX - 4096)
		return NULL;
	size = (size + 4095) / 4096 * 4096;
	data = aligned_alloc(64, size);
	if (!data)
		return NULL;
	if (pthread_setspecific(scratch_keys[use], data)) {
		free(data);
		return NULL;
	}
	free(scratch[use].data);
	scratch[use] = (struct scratch){data, size};
	return data;
}
