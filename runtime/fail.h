/* SPDX-License-Identifier: MIT */
/* An error's text, for functions that have a caller's buffer for it and no object to keep it. */
#ifndef RUNTIME_FAIL_H
#define RUNTIME_FAIL_H

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

/* Print the reason into @error, which may have no room (@size 0), and return @err. */
static inline int __attribute__((format(printf, 4, 5))) fail(char *error, size_t size, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (size)
		vsnprintf(error, size, format, args);
	va_end(args);
	return err;
}

#endif
