/* SPDX-License-Identifier: MIT */
/* Working memory of the threads that compute. */
#include <pthread.h>
#include <stdlib.h>

#include "sim/core/exec_internal.h"

/* Scratch of one thread, grown when needed, kept, and freed when the thread ends. */
struct scratch {
	void *memory;
	size_t size;
};

static pthread_key_t scratch_key;
static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;

static void scratch_free(void *arg)
{
	struct scratch *scratch = arg;

	for (int i = 0; i < EXEC_SCRATCHES; i++)
		free(scratch[i].memory);
	free(scratch);
}

static void scratch_init(void)
{
	pthread_key_create(&scratch_key, scratch_free);
}

void *exec_scratch(enum exec_scratch_use which, size_t size)
{
	struct scratch *scratch;

	pthread_once(&scratch_once, scratch_init);
	scratch = pthread_getspecific(scratch_key);
	if (!scratch) {
		scratch = calloc(EXEC_SCRATCHES, sizeof(*scratch));
		pthread_setspecific(scratch_key, scratch);
	}
	if (scratch && scratch[which].size < size) {
		free(scratch[which].memory);
		scratch[which].size = (size + 4095) & ~(size_t)4095;
		scratch[which].memory = aligned_alloc(64, scratch[which].size);
	}
	if (!scratch || !scratch[which].memory)
		abort(); /* a few hundred kilobytes: the machine is at its end */
	return scratch[which].memory;
}
