/* SPDX-License-Identifier: MIT */
/* The report as one HTML page: nothing in it comes from a network, nothing of it is a script. */
#ifndef RUNTIME_CLI_REPORT_PAGE_H
#define RUNTIME_CLI_REPORT_PAGE_H

#include "runtime/cli/compile_report.h"

/* 0, -ENOMEM, -EIO: the stream. */
int report_page(const struct report *report, FILE *out);

/*
 * Two drawings of the largest device region, of the run or from the compiler's estimate (report_timeline.h): what each pipe does over
 * time, and whose bytes each part of a scratchpad holds. 0, -ENOMEM.
 */
int report_drawings(const struct report *report, FILE *out);

/* Tables: chains of nodes that keep tensors in the scratchpad, and the tilings that the search took with its runners-up. */
void report_chains(const struct report *report, FILE *out);
void report_tilings(const struct report *report, FILE *out);

/* @text with what HTML gives a meaning replaced. */
void report_text(FILE *out, const char *text);
/* A colour of node @node; neighbours differ. */
const char *report_colour(uint32_t node);

#endif
