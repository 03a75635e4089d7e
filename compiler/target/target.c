/* SPDX-License-Identifier: MIT */
/* Named targets; where the figures come from is said in the specification's chapter on timing. */
#include "compiler/target/target.h"

#include <stddef.h>
#include <string.h>

static const struct target targets[] = {
	{"axl-edge", 1, 2u << 20, 256u << 10, 16, 1000000, 1ull << 30, 128, 300, 16, 1000},
	{"axl-pro", 4, 1u << 20, 256u << 10, 16, 1000000, 4ull << 30, 256, 300, 16, 1000},
};

const struct target *target_at(unsigned int index)
{
	return index < sizeof(targets) / sizeof(targets[0]) ? &targets[index] : NULL;
}

const struct target *target_find(const char *name)
{
	for (unsigned int i = 0; target_at(i); i++)
		if (!strcmp(target_at(i)->name, name))
			return target_at(i);
	return NULL;
}
