/* SPDX-License-Identifier: MIT */
/*
 * See tensor_proto.h. Every count in the message is untrusted: the shape decides how much data there must be, and
 * whatever the message has must be exactly that.
 */
#include "compiler/onnx/tensor_proto.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compiler/onnx/tensor_file.h"

static int __attribute__((format(printf, 4, 5))) fail(char *error, size_t size, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, size, format, args);
	va_end(args);
	return err;
}

int onnx_map(const char *path, uint8_t **bytes, size_t *size, char *error, size_t error_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err = 0;
	struct stat status;
	void *mapping;

	*bytes = NULL;
	*size = 0;
	if (fd < 0 || fstat(fd, &status)) {
		err = fail(error, error_size, -errno, "%s: %s", path, strerror(errno));
	} else if (!S_ISREG(status.st_mode)) {
		err = fail(error, error_size, -EINVAL, "%s: not a file", path);
	} else if (status.st_size > 0) {
		mapping = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (mapping == MAP_FAILED) {
			err = fail(error, error_size, -errno, "%s: %s", path, strerror(errno));
		} else {
			*bytes = mapping;
			*size = (size_t)status.st_size;
		}
	}
	if (fd >= 0)
		close(fd);
	return err;
}

void onnx_unmap(uint8_t *bytes, size_t size)
{
	if (bytes)
		munmap(bytes, size);
}

/* ---- external data ---- */

/* A path below the model's folder: relative, no "..", and still inside when symbolic links are followed. */
static int resolve_external(const char *folder, const char *location, char *path, size_t size, char *error,
			    size_t error_size)
{
	char real_folder[PATH_MAX], real_path[PATH_MAX];
	size_t length;

	if (!folder)
		return fail(error, error_size, -EINVAL, "external data is not allowed here");
	if (location[0] == '/' || !strcmp(location, "..") || !strncmp(location, "../", 3) || strstr(location, "/../") ||
	    (strlen(location) >= 3 && !strcmp(location + strlen(location) - 3, "/..")))
		return fail(error, error_size, -EINVAL, "external data '%.100s' leaves the model's folder", location);
	if ((size_t)snprintf(path, size, "%s/%s", folder, location) >= size)
		return fail(error, error_size, -ENAMETOOLONG, "external data '%.100s': the path is too long", location);
	if (!realpath(folder, real_folder) || !realpath(path, real_path))
		return fail(error, error_size, -errno, "external data '%.100s': %s", location, strerror(errno));
	length = strlen(real_folder);
	if (strncmp(real_folder, real_path, length) || real_path[length] != '/')
		return fail(error, error_size, -EINVAL, "external data '%.100s' leads out of the model's folder",
			    location);
	return 0;
}

/* Decimal digits and nothing else. */
static bool parse_bytes(const char *text, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && !errno;
}

static int read_external(const Onnx__TensorProto *proto, const char *folder, struct tensor *tensor, char *error,
			 size_t error_size)
{
	const char *location = NULL;
	uint64_t offset = 0, length = tensor_bytes(tensor);
	char path[PATH_MAX];
	uint8_t *bytes;
	size_t size;
	int err;

	for (size_t i = 0; i < proto->n_external_data; i++) {
		const char *key = proto->external_data[i]->key, *value = proto->external_data[i]->value;

		if (!key || !value)
			continue;
		if (!strcmp(key, "location"))
			location = value;
		else if ((!strcmp(key, "offset") && !parse_bytes(value, &offset)) ||
			 (!strcmp(key, "length") && !parse_bytes(value, &length)))
			return fail(error, error_size, -EINVAL, "external data: %s '%.40s' is no number of bytes", key,
				    value);
	}
	if (!location)
		return fail(error, error_size, -EINVAL, "external data without a location");
	err = resolve_external(folder, location, path, sizeof(path), error, error_size);
	if (!err)
		err = onnx_map(path, &bytes, &size, error, error_size);
	if (err)
		return err;
	if (length != tensor_bytes(tensor) || offset > size || length > size - offset)
		err = fail(error, error_size, -EINVAL,
			   "external data '%.100s': bytes %llu + %llu of %zu; the shape needs %zu", location,
			   (unsigned long long)offset, (unsigned long long)length, size, tensor_bytes(tensor));
	else
		memcpy(tensor->data, bytes + offset, length);
	onnx_unmap(bytes, size);
	return err;
}

/* ---- typed fields ---- */

/* int32_data holds every narrow type, a half or bfloat16 as its bits. */
static void narrow(struct tensor *tensor, int64_t i, int32_t value)
{
	switch (dtype_size(tensor->dtype)) {
	case 1:
		((uint8_t *)tensor->data)[i] = (uint8_t)value;
		break;
	case 2:
		((uint16_t *)tensor->data)[i] = (uint16_t)value;
		break;
	default:
		((int32_t *)tensor->data)[i] = value;
	}
}

static int copy_strings(const Onnx__TensorProto *proto, struct tensor *tensor)
{
	struct tensor_string *strings = tensor->data;

	for (size_t i = 0; i < proto->n_string_data; i++) {
		strings[i].data = malloc(proto->string_data[i].len + 1);
		if (!strings[i].data)
			return -ENOMEM;
		memcpy(strings[i].data, proto->string_data[i].data, proto->string_data[i].len);
		strings[i].data[proto->string_data[i].len] = '\0';
		strings[i].size = proto->string_data[i].len;
	}
	return 0;
}

static int copy_typed(const Onnx__TensorProto *proto, struct tensor *tensor, char *error, size_t error_size)
{
	int64_t count = tensor_count(tensor);
	size_t given;

	switch (tensor->dtype) {
	case DTYPE_F32:
	case DTYPE_C64:
		given = tensor->dtype == DTYPE_C64 ? proto->n_float_data / 2 : proto->n_float_data;
		break;
	case DTYPE_F64:
	case DTYPE_C128:
		given = tensor->dtype == DTYPE_C128 ? proto->n_double_data / 2 : proto->n_double_data;
		break;
	case DTYPE_S64:
		given = proto->n_int64_data;
		break;
	case DTYPE_U32:
	case DTYPE_U64:
		given = proto->n_uint64_data;
		break;
	case DTYPE_STRING:
		given = proto->n_string_data;
		break;
	default:
		given = proto->n_int32_data;
	}
	if (given != (size_t)count)
		return fail(error, error_size, -EINVAL, "%zu values, the shape needs %lld", given, (long long)count);
	if (!count)
		return 0;
	switch (tensor->dtype) {
	case DTYPE_F32:
	case DTYPE_C64:
		memcpy(tensor->data, proto->float_data, tensor_bytes(tensor));
		break;
	case DTYPE_F64:
	case DTYPE_C128:
		memcpy(tensor->data, proto->double_data, tensor_bytes(tensor));
		break;
	case DTYPE_S64:
		memcpy(tensor->data, proto->int64_data, tensor_bytes(tensor));
		break;
	case DTYPE_U64:
		memcpy(tensor->data, proto->uint64_data, tensor_bytes(tensor));
		break;
	case DTYPE_U32:
		for (int64_t i = 0; i < count; i++)
			((uint32_t *)tensor->data)[i] = (uint32_t)proto->uint64_data[i];
		break;
	case DTYPE_STRING:
		return copy_strings(proto, tensor);
	default:
		for (int64_t i = 0; i < count; i++)
			narrow(tensor, i, proto->int32_data[i]);
	}
	return 0;
}

int onnx_tensor_from_proto(Onnx__TensorProto *proto, const char *folder, struct tensor *tensor, char *error,
			   size_t error_size)
{
	enum dtype type = (enum dtype)proto->data_type;
	int64_t count;
	size_t bytes;
	int err;

	memset(tensor, 0, sizeof(*tensor));
	if (!dtype_size(type) || dtype_bits(type) < 8)
		return fail(error, error_size, -ENOTSUP, "element type %d", proto->data_type);
	if (proto->n_dims > TENSOR_MAX_RANK)
		return fail(error, error_size, -ENOTSUP, "rank %zu, at most %d is possible", proto->n_dims,
			    TENSOR_MAX_RANK);
	count = dims_count((int)proto->n_dims, proto->dims);
	if (count < 0 || (uint64_t)count > (uint64_t)PTRDIFF_MAX / dtype_size(type))
		return fail(error, error_size, -EINVAL, "its dimensions are negative or too large");
	bytes = (size_t)count * dtype_size(type);
	if (proto->has_raw_data && type != DTYPE_STRING && proto->data_location != 1) {
		if (proto->raw_data.len != bytes)
			return fail(error, error_size, -EINVAL, "%zu bytes of raw data, the shape needs %zu",
				    proto->raw_data.len, bytes);
		err = tensor_init_view(tensor, type, (int)proto->n_dims, proto->dims, proto->raw_data.data, bytes);
		if (err)
			return fail(error, error_size, err, "%s", strerror(-err));
		tensor->owned = true; /* malloc'ed by the parser */
		proto->raw_data.data = NULL;
		proto->raw_data.len = 0;
		return 0;
	}
	/* A claim that no data backs must not make us allocate: external files are checked against their size. */
	if (proto->data_location != 1 && count > INT_MAX)
		return fail(error, error_size, -EINVAL, "its dimensions are too large for data inside the model");
	err = tensor_init(tensor, type, (int)proto->n_dims, proto->dims);
	if (err)
		return fail(error, error_size, err, "%s", strerror(-err));
	err = proto->data_location == 1 ? read_external(proto, folder, tensor, error, error_size)
					: copy_typed(proto, tensor, error, error_size);
	if (err)
		tensor_finish(tensor);
	return err;
}

/* Row-major position of entry @i, or -1: outside the shape. Indices are positions, or coordinates in rows of @rank. */
static int64_t sparse_position(const struct tensor *indices, int rank, const int64_t *dims, int64_t count, int64_t i)
{
	const int64_t *index = indices->data;
	int64_t position = 0;

	if (indices->rank == 1)
		return index[i] >= 0 && index[i] < count ? index[i] : -1;
	for (int d = 0; d < rank; d++) {
		int64_t at = index[i * rank + d];

		if (at < 0 || at >= dims[d])
			return -1;
		position = position * dims[d] + at;
	}
	return position;
}

static int scatter(const Onnx__SparseTensorProto *proto, const struct tensor *values, const struct tensor *indices,
		   struct tensor *tensor, char *error, size_t error_size)
{
	size_t size = dtype_size(values->dtype);
	int rank = (int)proto->n_dims;
	int64_t count = dims_count(rank, proto->dims), nnz = tensor_count(values);
	int err;

	if (values->rank != 1 || values->dtype == DTYPE_STRING || indices->dtype != DTYPE_S64 ||
	    !((indices->rank == 1 && indices->dims[0] == nnz) ||
	      (indices->rank == 2 && indices->dims[0] == nnz && indices->dims[1] == rank)))
		return fail(error, error_size, -EINVAL, "sparse values and indices do not fit each other");
	if (count < 0 || count > INT_MAX || (uint64_t)count > (uint64_t)PTRDIFF_MAX / size)
		return fail(error, error_size, -EINVAL, "its dimensions are negative or too large");
	err = tensor_init(tensor, values->dtype, rank, proto->dims);
	if (err)
		return fail(error, error_size, err, "%s", strerror(-err));
	memset(tensor->data, 0, tensor_bytes(tensor));
	for (int64_t i = 0; i < nnz; i++) {
		int64_t at = sparse_position(indices, rank, proto->dims, count, i);

		if (at < 0) {
			tensor_finish(tensor);
			return fail(error, error_size, -EINVAL, "sparse entry %lld lies outside the shape",
				    (long long)i);
		}
		memcpy((uint8_t *)tensor->data + (size_t)at * size, (const uint8_t *)values->data + (size_t)i * size,
		       size);
	}
	return 0;
}

int onnx_tensor_from_sparse(Onnx__SparseTensorProto *proto, const char *folder, struct tensor *tensor, char *error,
			    size_t error_size)
{
	struct tensor values, indices;
	int err;

	memset(tensor, 0, sizeof(*tensor));
	if (!proto->values || !proto->indices || proto->n_dims > TENSOR_MAX_RANK)
		return fail(error, error_size, -EINVAL,
			    "a sparse tensor without values or indices, or of too high a rank");
	err = onnx_tensor_from_proto(proto->values, folder, &values, error, error_size);
	if (err)
		return err;
	err = onnx_tensor_from_proto(proto->indices, folder, &indices, error, error_size);
	if (!err) {
		err = scatter(proto, &values, &indices, tensor, error, error_size);
		tensor_finish(&indices);
	}
	tensor_finish(&values);
	return err;
}

int onnx_tensor_read(const char *path, struct tensor *tensor, char *error, size_t error_size)
{
	Onnx__TensorProto *proto;
	char reason[200];
	uint8_t *bytes;
	size_t size;
	int err;

	memset(tensor, 0, sizeof(*tensor));
	err = onnx_map(path, &bytes, &size, error, error_size);
	if (err)
		return err;
	proto = onnx__tensor_proto__unpack(NULL, size, bytes);
	onnx_unmap(bytes, size);
	if (!proto)
		return fail(error, error_size, -EINVAL, "%s: not a TensorProto", path);
	err = onnx_tensor_from_proto(proto, NULL, tensor, reason, sizeof(reason));
	onnx__tensor_proto__free_unpacked(proto, NULL);
	return err ? fail(error, error_size, err, "%s: %s", path, reason) : 0;
}
