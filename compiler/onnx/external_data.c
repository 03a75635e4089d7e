// SPDX-License-Identifier: MIT
/* See external_data.h. Everything here comes from the model: names of files, offsets, lengths. */
#include "compiler/onnx/external_data.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/fail.h"

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

int onnx_external_path(const char *folder, const char *location, char *path, size_t size, char *error,
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

int onnx_external_fields(const Onnx__TensorProto *proto, struct onnx_external_fields *fields, char *error,
			 size_t error_size)
{
	*fields = (struct onnx_external_fields){0};
	for (size_t i = 0; i < proto->n_external_data; i++) {
		const char *key = proto->external_data[i]->key, *value = proto->external_data[i]->value;
		bool good = true;

		if (!key || !value)
			continue;
		if (!strcmp(key, "location"))
			fields->location = value;
		else if (!strcmp(key, "offset"))
			good = parse_bytes(value, &fields->offset);
		else if (!strcmp(key, "length"))
			good = fields->has_length = parse_bytes(value, &fields->length);
		if (!good)
			return fail(error, error_size, -EINVAL, "external data: %s '%.40s' is no number of bytes", key,
				    value);
	}
	return 0;
}

int onnx_external_map(const Onnx__TensorProto *proto, const char *folder, size_t needed, struct onnx_external *external,
		      char *error, size_t error_size)
{
	struct onnx_external_fields fields;
	char path[PATH_MAX];
	uint64_t length;
	size_t size;
	int err = onnx_external_fields(proto, &fields, error, error_size);

	if (err)
		return err;
	if (!fields.location)
		return fail(error, error_size, -EINVAL, "external data without a location");
	length = fields.has_length ? fields.length : needed;
	err = onnx_external_path(folder, fields.location, path, sizeof(path), error, error_size);
	if (!err)
		err = onnx_map(path, &external->file, &external->file_size, error, error_size);
	if (err)
		return err;
	size = external->file_size;
	if (length == needed && fields.offset <= size && length <= size - fields.offset) {
		external->data = external->file + fields.offset;
		return 0;
	}
	onnx_external_finish(external);
	return fail(error, error_size, -EINVAL, "external data '%.100s': bytes %llu + %llu of %zu; the shape needs %zu",
		    fields.location, (unsigned long long)fields.offset, (unsigned long long)length, size, needed);
}

void onnx_external_finish(struct onnx_external *external)
{
	onnx_unmap(external->file, external->file_size);
	*external = (struct onnx_external){0};
}
