/* SPDX-License-Identifier: MIT */
#ifndef RUNTIME_JSON_TEXT_H
#define RUNTIME_JSON_TEXT_H

#include <stddef.h>
#include <stdio.h>

/*
 * @size bytes of @text, which may hold NUL, as the inside of a string of JSON (RFC 8259, section 7). What is no valid UTF-8 is
 * written byte by byte as U+00XX.
 */
void json_put_text(FILE *out, const char *text, size_t size);

#endif
