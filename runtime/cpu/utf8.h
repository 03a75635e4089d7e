/* SPDX-License-Identifier: MIT */
/*
 * UTF-8 (RFC 3629), one character at a time. Strings of tensors may hold any bytes: what is no character passes as itself.
 */
#ifndef RUNTIME_CPU_UTF8_H
#define RUNTIME_CPU_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UTF8_MAX_SIZE 4

/*
 * The character at the start of @text (@size >= 1 bytes): its code point, and in *used its bytes. A byte that begins no
 * character: -1, *used is 1.
 */
int32_t utf8_decode(const char *text, size_t size, size_t *used);

/* Write @point, a code point, to @text. Returns the bytes, 1 to UTF8_MAX_SIZE. */
size_t utf8_encode(int32_t point, char *text);

/* Unicode's property White_Space. */
bool utf8_is_space(int32_t point);

#endif
