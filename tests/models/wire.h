/* SPDX-License-Identifier: MIT */
/*
 * The protobuf wire format, as much as the model tools need: walk the fields of a message in place, and write fields.
 * Knows nothing of ONNX.  Every length is checked against the enclosing message; nothing is copied.
 */
#ifndef TESTS_MODELS_WIRE_H
#define TESTS_MODELS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

/* Bytes that belong to somebody else (a mapped file). */
struct span {
	const uint8_t *data;
	size_t size;
};

bool span_equal(struct span a, struct span b);
bool span_is(struct span a, const char *text);

struct wire_reader {
	const uint8_t *at, *end;
	bool malformed; /* set once, and wire_next() answers false from then on */
};

struct wire_field {
	uint32_t number;
	enum wire_type type;
	uint64_t value;    /* WIRE_VARINT */
	struct span bytes; /* every other type: the payload */
	struct span whole; /* tag included, to be copied as it is */
};

struct wire_reader wire_open(struct span message);

/* The next field; false at the end or when malformed. */
bool wire_next(struct wire_reader *reader, struct wire_field *field);

/* A varint of a packed field; false at the end or when malformed. */
bool wire_next_packed(struct wire_reader *reader, uint64_t *value);

/* Growing output.  After an allocation failure `failed` is set and further calls do nothing. */
struct wire_buffer {
	uint8_t *data;
	size_t size, capacity;
	bool failed;
};

void wire_finish(struct wire_buffer *buffer);
void wire_append(struct wire_buffer *buffer, const void *data, size_t size);
void wire_put_number(struct wire_buffer *buffer, uint32_t field, uint64_t value);
void wire_put_bytes(struct wire_buffer *buffer, uint32_t field, const void *data, size_t size);

/* Tag and length of a bytes field whose payload the caller writes afterwards. */
void wire_put_length(struct wire_buffer *buffer, uint32_t field, uint64_t size);

/* A whole file, mapped read-only; *file is {NULL, 0} on error.  0, or a negative errno.  wire_unmap() ends it. */
int wire_map_file(const char *path, struct span *file);
void wire_unmap(struct span *file);

#endif
