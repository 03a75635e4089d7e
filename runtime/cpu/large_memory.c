// SPDX-License-Identifier: MIT
/*
 * Memory in large pages: see large_memory.h.
 *
 * A stream of weights in pages of 4 KiB waits for the look-up of an address every 64 lines, which in a virtual machine is two
 * dozen reads: 9 GB/s where large pages give 14.
 */
#include "runtime/cpu/large_memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#define LINE ((size_t)64)

void *large_memory(size_t size)
{
	size_t pages = size / LARGE_PAGE * LARGE_PAGE;
	void *memory;

	if (size > PTRDIFF_MAX - LARGE_PAGE)
		return NULL;
	if (posix_memalign(&memory, pages ? LARGE_PAGE : LINE, size ? (size + LINE - 1) / LINE * LINE : LINE))
		return NULL;
	/* A wish: without it everything works as well. The rest stays in small pages, so that nothing is wasted. */
	if (pages)
		madvise(memory, pages, MADV_HUGEPAGE);
	return memory;
}
