/* SPDX-License-Identifier: MIT */
/* See pass.h. */
#include "compiler/pass.h"

#include <errno.h>
#include <string.h>

static const struct {
	const char *name, *text;
} passes[NUM_PASSES] = {
#define PASS_ROW(name, text, sentence) {text, sentence},
	COMPILE_PASSES(PASS_ROW)
#undef PASS_ROW
};

const char *compile_pass_name(size_t index)
{
	return index < NUM_PASSES ? passes[index].name : NULL;
}

const char *compile_pass_text(size_t index)
{
	return index < NUM_PASSES ? passes[index].text : NULL;
}

int compile_pass_set(const char *names, uint32_t *set, const char **bad, size_t *length)
{
	*set = 0;
	while (names && *names) {
		size_t i = 0;

		*bad = names;
		*length = strcspn(names, ",");
		while (i < NUM_PASSES && (strlen(passes[i].name) != *length || strncmp(passes[i].name, names, *length)))
			i++;
		if (i == NUM_PASSES)
			return -EINVAL;
		*set |= 1u << i;
		names += *length + (names[*length] == ',');
	}
	return 0;
}
