/* SPDX-License-Identifier: MIT */
/* Colours, on a terminal only, and not where NO_COLOR is set to something (https://no-color.org). */
#ifndef RUNTIME_CLI_COLOUR_H
#define RUNTIME_CLI_COLOUR_H

#include <stdio.h>

enum colour { COLOUR_NONE, COLOUR_BAD, COLOUR_GOOD };

/* What changes to @colour when it is written to @out; "" where there are no colours. */
const char *colour(FILE *out, enum colour colour);

#endif
