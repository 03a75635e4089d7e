/* SPDX-License-Identifier: MIT */
/*
 * Lists in text files: a line an entry, "#" begins a comment, lines without text are none. An entry behind "? " holds for some editions
 * of the suite only.
 */
#ifndef TESTS_CONFORMANCE_LINES_H
#define TESTS_CONFORMANCE_LINES_H

#include <stdbool.h>
#include <stddef.h>

/*
 * struct lines - the entries of one file
 * @seen: for whoever compares: an entry that nothing matched is as wrong as a match without an entry
 */
struct lines {
	size_t count;
	struct line {
		char *text;
		bool some_editions;
		bool seen;
	} * at;
};

/* Read @path, without comments and blanks at the ends of lines. -1 with the reason on stderr; lines_finish() either way. */
int lines_read(struct lines *lines, const char *path);
void lines_finish(struct lines *lines);

/* The entry that is @text, or NULL. */
struct line *lines_find(const struct lines *lines, const char *text);

#endif
