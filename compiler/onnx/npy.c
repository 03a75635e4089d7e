/* SPDX-License-Identifier: MIT */
/* See npy.h. The file is untrusted: the header's length and shape are checked against the file's size. */
#include "compiler/onnx/npy.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *descr;
	enum dtype dtype;
} types[] = {
	{"<f4", DTYPE_F32}, {"<f8", DTYPE_F64},  {"<f2", DTYPE_F16}, {"|u1", DTYPE_U8},    {"|i1", DTYPE_S8},
	{"<u2", DTYPE_U16}, {"<i2", DTYPE_S16},  {"<i4", DTYPE_S32}, {"<i8", DTYPE_S64},   {"<u4", DTYPE_U32},
	{"<u8", DTYPE_U64}, {"|b1", DTYPE_BOOL}, {"<c8", DTYPE_C64}, {"<c16", DTYPE_C128},
};

static int fail(char *error, size_t size, const char *path, const char *text)
{
	snprintf(error, size, "%s: %s", path, text);
	return -EINVAL;
}

/*
 * Types that numpy has from ml_dtypes are saved as bytes without a meaning: '<V2' is bfloat16, '|V1' any type of one byte or
 * less, one byte an element.
 */
static const char *descr_of(enum dtype dtype)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (types[i].dtype == dtype)
			return types[i].descr;
	if (dtype_is_narrow_float(dtype) || dtype_is_narrow_integer(dtype))
		return "|V1";
	return dtype == DTYPE_BF16 ? "<V2" : NULL;
}

/* The header is a Python dictionary: 'descr', 'fortran_order', 'shape'. */
static int parse_header(const char *header, enum dtype expected, enum dtype *dtype, int *rank, int64_t *dims)
{
	const char *at = strstr(header, "'descr':");
	char descr[8];

	*dtype = DTYPE_UNDEFINED;
	if (!at || sscanf(at, "'descr': '%7[^']'", descr) != 1)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (!strcmp(types[i].descr, descr))
			*dtype = types[i].dtype;
	if (*dtype == DTYPE_UNDEFINED && descr_of(expected) && strchr(descr, 'V') &&
	    !strcmp(descr + 1, descr_of(expected) + 1))
		*dtype = expected;
	at = strstr(header, "'fortran_order':");
	if (!at || !strstr(at, "False") || *dtype == DTYPE_UNDEFINED)
		return -ENOTSUP;
	at = strstr(header, "'shape':");
	at = at ? strchr(at, '(') : NULL;
	if (!at)
		return -EINVAL;
	for (*rank = 0, at++; *rank < TENSOR_MAX_RANK;) {
		char *end;
		long long dim = strtoll(at, &end, 10);

		if (end == at)
			break;
		if (dim < 0)
			return -EINVAL;
		dims[(*rank)++] = dim;
		at = end + strspn(end, ", ");
	}
	return *at == ')' ? 0 : -EINVAL;
}

/* Bytes without a meaning may hold what is no element of a type of 6, 4 or 2 bits. */
static bool are_elements(const struct tensor *tensor)
{
	const uint8_t *bytes = tensor->data;
	int unused = 8 - dtype_bits(tensor->dtype);
	bool is_signed = tensor->dtype == DTYPE_S4 || tensor->dtype == DTYPE_S2;

	for (int64_t i = 0; unused > 0 && i < tensor_count(tensor); i++) {
		uint8_t high = (uint8_t)(bytes[i] << unused);

		if (bytes[i] != (is_signed ? (uint8_t)((int8_t)high >> unused) : (uint8_t)(high >> unused)))
			return false;
	}
	return true;
}

int npy_read(const char *path, enum dtype expected, struct tensor *tensor, char *error, size_t error_size)
{
	uint8_t magic[8], length[4] = {0};
	char *header = NULL;
	enum dtype dtype;
	int64_t dims[TENSOR_MAX_RANK];
	size_t bytes, width;
	int rank, err;
	FILE *file = fopen(path, "rb");

	memset(tensor, 0, sizeof(*tensor));
	if (!file) {
		err = -errno;
		snprintf(error, error_size, "%s: %s", path, strerror(-err));
		return err;
	}
	err = fail(error, error_size, path, "not a .npy file");
	if (fread(magic, 1, 8, file) != 8 || memcmp(magic, "\x93NUMPY", 6) || magic[6] < 1 || magic[6] > 3)
		goto out;
	width = magic[6] == 1 ? 2 : 4;
	if (fread(length, 1, width, file) != width)
		goto out;
	bytes = length[0] | (size_t)length[1] << 8 | (size_t)length[2] << 16 | (size_t)length[3] << 24;
	if (bytes > 65536)
		goto out;
	header = calloc(1, bytes + 1);
	if (!header || fread(header, 1, bytes, file) != bytes)
		goto out;
	if (parse_header(header, expected, &dtype, &rank, dims)) {
		err = fail(error, error_size, path, "element type, order or shape not supported (C order, numbers)");
		goto out;
	}
	err = tensor_init(tensor, dtype, rank, dims);
	if (err) {
		snprintf(error, error_size, "%s: %s", path, strerror(-err));
		goto out;
	}
	if (fread(tensor->data, 1, tensor_bytes(tensor), file) != tensor_bytes(tensor)) {
		tensor_finish(tensor);
		err = fail(error, error_size, path, "shorter than its header says");
	} else if (!are_elements(tensor)) {
		tensor_finish(tensor);
		err = fail(error, error_size, path, "a byte in it is no number of the element type");
	}
out:
	free(header);
	fclose(file);
	return err;
}

int npy_write(const char *path, const struct tensor *tensor)
{
	char header[256], shape[192] = "";
	size_t at = 0, total;
	const char *descr = descr_of(tensor->dtype);
	FILE *file;
	int err = 0;

	if (!descr)
		return -ENOTSUP;
	for (int d = 0; d < tensor->rank; d++)
		at += (size_t)snprintf(shape + at, sizeof(shape) - at, "%lld,", (long long)tensor->dims[d]);
	total = (size_t)snprintf(header, sizeof(header), "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }",
				 descr, shape);
	/* Header and the ten bytes before it end at a multiple of 64, with a newline. */
	while ((total + 11) % 64)
		header[total++] = ' ';
	header[total++] = '\n';
	file = fopen(path, "wb");
	if (!file)
		return -errno;
	fwrite("\x93NUMPY\x01\x00", 1, 8, file);
	fputc((int)(total & 0xff), file);
	fputc((int)(total >> 8), file);
	fwrite(header, 1, total, file);
	fwrite(tensor->data, 1, tensor_bytes(tensor), file);
	if (ferror(file))
		err = -EIO;
	if (fclose(file) && !err)
		err = -errno;
	return err;
}
