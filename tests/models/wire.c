/* SPDX-License-Identifier: MIT */
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

bool span_equal(struct span a, struct span b)
{
	return a.size == b.size && (!a.size || !memcmp(a.data, b.data, a.size));
}

bool span_is(struct span a, const char *text)
{
	return span_equal(a, (struct span){(const uint8_t *)text, strlen(text)});
}

struct wire_reader wire_open(struct span message)
{
	return (struct wire_reader){message.data, message.size ? message.data + message.size : message.data, false};
}

static uint64_t read_varint(struct wire_reader *reader)
{
	uint64_t value = 0;

	for (unsigned int shift = 0; shift < 64 && reader->at < reader->end; shift += 7) {
		uint8_t byte = *reader->at++;

		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return value;
	}
	reader->malformed = true;
	return 0;
}

static struct span read_payload(struct wire_reader *reader, uint64_t size)
{
	struct span payload = {reader->at, size};

	if (size > (uint64_t)(reader->end - reader->at)) {
		reader->malformed = true;
		return (struct span){NULL, 0};
	}
	reader->at += size;
	return payload;
}

bool wire_next(struct wire_reader *reader, struct wire_field *field)
{
	const uint8_t *start = reader->at;
	uint64_t tag;

	if (reader->malformed || reader->at == reader->end)
		return false;
	*field = (struct wire_field){0};
	tag = read_varint(reader);
	field->type = tag & 7;
	field->number = (uint32_t)(tag >> 3);
	switch (field->type) {
	case WIRE_VARINT:
		field->value = read_varint(reader);
		break;
	case WIRE_FIXED64:
		field->bytes = read_payload(reader, 8);
		break;
	case WIRE_BYTES:
		field->bytes = read_payload(reader, read_varint(reader));
		break;
	case WIRE_FIXED32:
		field->bytes = read_payload(reader, 4);
		break;
	default: /* groups are not in proto3 and not in ONNX */
		reader->malformed = true;
	}
	if (!field->number || tag >> 32)
		reader->malformed = true;
	field->whole = (struct span){start, (size_t)(reader->at - start)};
	return !reader->malformed;
}

bool wire_next_packed(struct wire_reader *reader, uint64_t *value)
{
	if (reader->malformed || reader->at == reader->end)
		return false;
	*value = read_varint(reader);
	return !reader->malformed;
}

void wire_finish(struct wire_buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct wire_buffer){0};
}

void wire_append(struct wire_buffer *buffer, const void *data, size_t size)
{
	if (buffer->failed || !size)
		return;
	if (size > buffer->capacity - buffer->size) {
		size_t capacity = buffer->capacity * 2 + size;
		uint8_t *grown = capacity >= size ? realloc(buffer->data, capacity) : NULL;

		if (!grown) {
			buffer->failed = true;
			return;
		}
		buffer->data = grown;
		buffer->capacity = capacity;
	}
	memcpy(buffer->data + buffer->size, data, size);
	buffer->size += size;
}

static void put_varint(struct wire_buffer *buffer, uint64_t value)
{
	uint8_t bytes[10];
	size_t n = 0;

	do {
		bytes[n++] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
		value >>= 7;
	} while (value);
	wire_append(buffer, bytes, n);
}

void wire_put_number(struct wire_buffer *buffer, uint32_t field, uint64_t value)
{
	put_varint(buffer, (uint64_t)field << 3 | WIRE_VARINT);
	put_varint(buffer, value);
}

void wire_put_length(struct wire_buffer *buffer, uint32_t field, uint64_t size)
{
	put_varint(buffer, (uint64_t)field << 3 | WIRE_BYTES);
	put_varint(buffer, size);
}

void wire_put_bytes(struct wire_buffer *buffer, uint32_t field, const void *data, size_t size)
{
	wire_put_length(buffer, field, size);
	wire_append(buffer, data, size);
}

int wire_map_file(const char *path, struct span *file)
{
	struct stat status;
	void *map;
	int fd, error = 0;

	*file = (struct span){NULL, 0};
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) < 0) {
		error = -errno;
		goto err_close;
	}
	if (!S_ISREG(status.st_mode) || !status.st_size) {
		error = -EINVAL;
		goto err_close;
	}
	map = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		error = -errno;
	else
		*file = (struct span){map, (size_t)status.st_size};
err_close:
	close(fd);
	return error;
}

void wire_unmap(struct span *file)
{
	if (file->data)
		munmap((void *)(uintptr_t)file->data, file->size);
	*file = (struct span){NULL, 0};
}
