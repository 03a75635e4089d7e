/* SPDX-License-Identifier: MIT */
/*
 * What is going on, on one line of a terminal, for work that takes longer than a second: a bar where there is something to count or a share
 * is known, else the time that has passed. The line is gone when the work ends; what is no terminal never sees any of it.
 */
#ifndef RUNTIME_CLI_PROGRESS_H
#define RUNTIME_CLI_PROGRESS_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/cli/command.h"

struct progress;

/*
 * Show @text ("compiling x.onnx") on @fd from @delay_ns on, until progress_stop(). NULL: @fd is no terminal, or there is no thread for it;
 * the other functions do nothing then. Nobody else writes to the terminal in between.
 */
struct progress *progress_start(int fd, uint64_t delay_ns, const char *text);

/* As progress_start(), on the standard error after a second; not with --quiet. The line is "@verb MODEL". */
struct progress *progress_of(const struct options *options, const char *verb);

/* @done of @total; any thread. */
void progress_step(struct progress *progress, uint64_t done, uint64_t total);
/* The share @done, 0 to 1, as percent. @progress: as above; the callback of who compiles. */
void progress_share(void *progress, double done);

/* Takes the line away. */
void progress_stop(struct progress *progress);

/* A total that stands for a share: @done is of PROGRESS_WHOLE. */
#define PROGRESS_SHARE UINT64_MAX
#define PROGRESS_WHOLE 1000

/*
 * The line, of at most @width columns, into @line of @size bytes. @total 0: nothing is counted. Returns its length.
 */
size_t progress_line(char *line, size_t size, unsigned int width, const char *text, uint64_t done, uint64_t total,
		     uint64_t elapsed_ns);

#endif
