/* SPDX-License-Identifier: MIT */
/* See colour.h. */
#include "runtime/cli/colour.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *colour(FILE *out, enum colour colour)
{
	static const char *const escapes[] = {
		[COLOUR_NONE] = "\033[0m", [COLOUR_BAD] = "\033[31m", [COLOUR_GOOD] = "\033[32m"};
	const char *off = getenv("NO_COLOR"), *terminal = getenv("TERM");

	return (off && *off) || (terminal && !strcmp(terminal, "dumb")) || !isatty(fileno(out)) ? "" : escapes[colour];
}
