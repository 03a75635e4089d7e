/* SPDX-License-Identifier: MIT */
/*
 * Pictures of a compiled model: nodes and the values between them, device regions and CPU regions coloured.
 */
#ifndef RUNTIME_CLI_DRAW_H
#define RUNTIME_CLI_DRAW_H

#include <stdio.h>

#include "compiler/package/axm.h"

int draw_dot(const struct axm *axm, FILE *out);     /* Graphviz */
int draw_mermaid(const struct axm *axm, FILE *out); /* Mermaid flowchart */
int draw_svg(const struct axm *axm, FILE *out);     /* layered, self-contained; -ENOMEM */

#endif
