/* SPDX-License-Identifier: MIT */
/* See json_text.h. */
#include "runtime/json_text.h"

#include <stdint.h>

#include "runtime/cpu/utf8.h"

void json_put_text(FILE *out, const char *text, size_t size)
{
	size_t used;

	for (; size; text += used, size -= used) {
		unsigned char c = (unsigned char)*text;

		if (utf8_decode(text, size, &used) >= 0x80) {
			fwrite(text, 1, used, out);
			continue;
		}
		used = 1;
		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			fprintf(out, "\\u%04x", c);
		else
			fputc(c, out);
	}
}
