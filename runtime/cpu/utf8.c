// SPDX-License-Identifier: MIT
/*
 * UTF-8: see utf8.h.
 */
#include "runtime/cpu/utf8.h"

int32_t utf8_decode(const char *text, size_t size, size_t *used)
{
	/* By length: the first byte's marker and its mask, the least code point (anything below is an overlong form). */
	static const struct {
		uint8_t mask, marker;
		int32_t least;
	} forms[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
	const uint8_t *bytes = (const uint8_t *)text;

	*used = 1;
	for (size_t length = 1; length <= UTF8_MAX_SIZE && length <= size; length++) {
		int32_t point;

		if ((bytes[0] & forms[length - 1].mask) != forms[length - 1].marker)
			continue;
		point = bytes[0] & (uint8_t)~forms[length - 1].mask;
		for (size_t i = 1; i < length; i++) {
			if ((bytes[i] & 0xc0) != 0x80)
				return -1;
			point = point << 6 | (bytes[i] & 0x3f);
		}
		if (point < forms[length - 1].least || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
			return -1;
		*used = length;
		return point;
	}
	return -1;
}

size_t utf8_encode(int32_t point, char *text)
{
	size_t length = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
	static const uint8_t markers[] = {0x00, 0xc0, 0xe0, 0xf0};

	for (size_t i = length - 1; i > 0; i--) {
		text[i] = (char)(0x80 | (point & 0x3f));
		point >>= 6;
	}
	text[0] = (char)(markers[length - 1] | point);
	return length;
}

bool utf8_is_space(int32_t point)
{
	return (point >= 0x09 && point <= 0x0d) || point == 0x20 || point == 0x85 || point == 0xa0 || point == 0x1680 ||
	       (point >= 0x2000 && point <= 0x200a) || point == 0x2028 || point == 0x2029 || point == 0x202f ||
	       point == 0x205f || point == 0x3000;
}
