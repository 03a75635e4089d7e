/* SPDX-License-Identifier: MIT */
/* An error's text, for the functions of this folder that have no importer to keep it. */
#ifndef COMPILER_ONNX_FAIL_H
#define COMPILER_ONNX_FAIL_H

#include <stdarg.h>
#include <stdio.h>

/* Print the reason into @error and return @err. */
static inline int __attribute__((format(printf, 4, 5)))
onnx_fail(char *error, size_t size, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, size, format, args);
	va_end(args);
	return err;
}

#endif
