/* SPDX-License-Identifier: MIT */
/* See datatype.h. */
#include "runtime/cli/serve/datatype.h"

#include <string.h>

/* @most: 0 for what is no integer */
static const struct {
	enum dtype type;
	const char *name;
	int64_t least;
	uint64_t most;
} table[] = {
	{DTYPE_BOOL, "BOOL", 0, 0},
	{DTYPE_U8, "UINT8", 0, UINT8_MAX},
	{DTYPE_U16, "UINT16", 0, UINT16_MAX},
	{DTYPE_U32, "UINT32", 0, UINT32_MAX},
	{DTYPE_U64, "UINT64", 0, UINT64_MAX},
	{DTYPE_S8, "INT8", INT8_MIN, INT8_MAX},
	{DTYPE_S16, "INT16", INT16_MIN, INT16_MAX},
	{DTYPE_S32, "INT32", INT32_MIN, INT32_MAX},
	{DTYPE_S64, "INT64", INT64_MIN, INT64_MAX},
	{DTYPE_F16, "FP16", 0, 0},
	{DTYPE_BF16, "BF16", 0, 0},
	{DTYPE_F32, "FP32", 0, 0},
	{DTYPE_F64, "FP64", 0, 0},
	{DTYPE_STRING, "BYTES", 0, 0},
};

enum { TYPES = sizeof(table) / sizeof(table[0]) };

const char *datatype_name(enum dtype type)
{
	for (int i = 0; i < TYPES; i++)
		if (table[i].type == type)
			return table[i].name;
	return NULL;
}

enum dtype datatype_from_name(const char *name)
{
	for (int i = 0; i < TYPES; i++)
		if (!strcmp(table[i].name, name))
			return table[i].type;
	return DTYPE_UNDEFINED;
}

bool datatype_bounds(enum dtype type, int64_t *least, uint64_t *most)
{
	for (int i = 0; i < TYPES; i++)
		if (table[i].type == type && table[i].most) {
			*least = table[i].least;
			*most = table[i].most;
			return true;
		}
	return false;
}
