// SPDX-License-Identifier: MIT
/* See external_files.h. Knows the wire format of protobuf and the few fields that lead to a location; looks at nothing else. */
#include "compiler/onnx/external_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A body in an attribute in a node in a graph: four levels each. */
#define MAX_DEPTH 256

enum message { MODEL, TRAINING, FUNCTION, GRAPH, NODE, ATTRIBUTE, SPARSE, TENSOR, ENTRY };

/* The fields of onnx.proto that are messages with locations below them. */
static const struct {
	uint8_t message, child;
	uint32_t field;
} paths[] = {
	{MODEL, GRAPH, 7},       {MODEL, TRAINING, 20},   {MODEL, FUNCTION, 25},     {TRAINING, GRAPH, 1},
	{TRAINING, GRAPH, 2},    {FUNCTION, NODE, 7},     {FUNCTION, ATTRIBUTE, 11}, {GRAPH, NODE, 1},
	{GRAPH, TENSOR, 5},      {GRAPH, SPARSE, 15},     {NODE, ATTRIBUTE, 5},      {ATTRIBUTE, TENSOR, 5},
	{ATTRIBUTE, GRAPH, 6},   {ATTRIBUTE, TENSOR, 10}, {ATTRIBUTE, GRAPH, 11},    {ATTRIBUTE, SPARSE, 22},
	{ATTRIBUTE, SPARSE, 23}, {SPARSE, TENSOR, 1},     {SPARSE, TENSOR, 2},       {TENSOR, ENTRY, 13},
};

/* What is left of a message, or a field's bytes. */
struct span {
	const uint8_t *at, *end;
};

static int read_varint(struct span *span, uint64_t *value)
{
	*value = 0;
	for (unsigned int shift = 0; shift < 64 && span->at < span->end; shift += 7) {
		uint8_t byte = *span->at++;

		*value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return 0;
	}
	return -EINVAL;
}

/* The next field. @content is empty but for length-delimited ones. */
static int read_field(struct span *span, uint32_t *field, struct span *content)
{
	uint64_t tag, length = 0;
	int err = read_varint(span, &tag);

	*content = (struct span){span->at, span->at};
	*field = 0;
	if (err)
		return err;
	switch (tag & 7) {
	case 0:
		return read_varint(span, &length);
	case 1:
		length = 8;
		break;
	case 2:
		err = read_varint(span, &length);
		*field = (uint32_t)(tag >> 3);
		break;
	case 5:
		length = 4;
		break;
	default: /* groups, which ONNX never had */
		return -EINVAL;
	}
	if (err || length > (uint64_t)(span->end - span->at))
		return -EINVAL;
	if (*field)
		*content = (struct span){span->at, span->at + length};
	span->at += length;
	return 0;
}

static int add_location(struct onnx_external_files *files, struct span text)
{
	size_t length = (size_t)(text.end - text.at);
	char **grown;

	for (size_t i = 0; i < files->count; i++)
		if (strlen(files->locations[i]) == length && !memcmp(files->locations[i], text.at, length))
			return 0;
	grown = realloc(files->locations, (files->count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	files->locations = grown;
	grown[files->count] = strndup((const char *)text.at, length);
	return grown[files->count++] ? 0 : -ENOMEM;
}

/* A StringStringEntryProto of external_data: key 1, value 2. */
static int read_entry(struct span span, struct onnx_external_files *files)
{
	struct span key = {0}, value = {0};

	while (span.at < span.end) {
		struct span content;
		uint32_t field;

		if (read_field(&span, &field, &content))
			return -EINVAL;
		if (field == 1)
			key = content;
		else if (field == 2)
			value = content;
	}
	if (key.end - key.at != sizeof("location") - 1 || memcmp(key.at, "location", sizeof("location") - 1))
		return 0;
	return add_location(files, value);
}

static int read_message(enum message message, struct span span, int depth, struct onnx_external_files *files)
{
	if (message == ENTRY)
		return read_entry(span, files);
	if (depth == MAX_DEPTH)
		return -EINVAL;
	while (span.at < span.end) {
		struct span content;
		uint32_t field;
		int err = read_field(&span, &field, &content);

		for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]) && !err; i++)
			if (field && paths[i].message == message && paths[i].field == field)
				err = read_message(paths[i].child, content, depth + 1, files);
		if (err)
			return err;
	}
	return 0;
}

int onnx_external_files(const uint8_t *bytes, size_t size, struct onnx_external_files *files)
{
	*files = (struct onnx_external_files){0};
	return size ? read_message(MODEL, (struct span){bytes, bytes + size}, 0, files) : 0;
}

void onnx_external_files_finish(struct onnx_external_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		free(files->locations[i]);
	free(files->locations);
	*files = (struct onnx_external_files){0};
}
