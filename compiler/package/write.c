/* SPDX-License-Identifier: MIT */
/* Builds the bytes of an .axm file; see axm.h for the format. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "compiler/package/axm.h"
#include "compiler/package/checksum.h"
#include "runtime/cpu/large_memory.h"

/* A growing array of bytes. */
struct bytes {
	uint8_t *data;
	uint64_t size, capacity;
};

/* A piece of DATA: weights are hundreds of megabytes, so they are borrowed until the file is put together. */
struct chunk {
	const void *data;
	uint64_t offset, size;
	bool owned, consumed;
};

/*
 * @sections: all but DATA
 * @index:    hash table of the offsets of the strings, 0 empty, always less than half full
 */
struct axm_builder {
	struct bytes sections[AXM_NUM_SECTIONS];
	struct chunk *chunks;
	size_t num_chunks, max_chunks;
	uint64_t data_size;
	uint32_t *index;
	uint32_t index_size, num_strings;
	bool failed;
};

int axm_builder_create(struct axm_builder **builder)
{
	struct axm_builder *b = calloc(1, sizeof(*b));
	static const struct axm_model none;

	if (!b)
		return -ENOMEM;
	*builder = b;
	axm_add_string(b, "");
	axm_set_model(b, &none);
	return b->failed ? axm_builder_destroy(b), -ENOMEM : 0;
}

void axm_builder_destroy(struct axm_builder *builder)
{
	if (!builder)
		return;
	for (int i = 0; i < AXM_NUM_SECTIONS; i++)
		free(builder->sections[i].data);
	for (size_t i = 0; i < builder->num_chunks; i++)
		if (builder->chunks[i].owned)
			free((void *)builder->chunks[i].data);
	free(builder->chunks);
	free(builder->index);
	free(builder);
}

/* Append, return the offset; ~0 when out of memory. */
static uint64_t append(struct axm_builder *builder, enum axm_section_type type, const void *data, uint64_t size)
{
	struct bytes *bytes = &builder->sections[type];
	uint64_t start = bytes->size;

	if (builder->failed)
		return ~0ull;
	if (start + size > bytes->capacity) {
		uint64_t capacity = (start + size) + (start + size) / 2 + 256;
		uint8_t *grown = realloc(bytes->data, capacity);

		if (!grown) {
			builder->failed = true;
			return ~0ull;
		}
		bytes->data = grown;
		bytes->capacity = capacity;
	}
	if (size)
		memcpy(bytes->data + start, data, size);
	bytes->size = start + size;
	return start;
}

static uint32_t append_entry(struct axm_builder *builder, enum axm_section_type type, const void *entry, uint64_t size)
{
	uint64_t offset = append(builder, type, entry, size);

	return offset == ~0ull ? AXM_NO_ID : (uint32_t)(offset / size);
}

static uint32_t string_slot(const struct axm_builder *builder, const uint32_t *index, uint32_t size, const char *text)
{
	uint64_t hash = checksum_text(text);
	uint32_t slot = (uint32_t)hash & (size - 1);

	while (index[slot] && strcmp((const char *)builder->sections[AXM_STRINGS].data + index[slot], text))
		slot = (slot + 1) & (size - 1);
	return slot;
}

static bool grow_index(struct axm_builder *builder)
{
	uint32_t size = builder->index_size ? builder->index_size * 2 : 256;
	uint32_t *index = calloc(size, sizeof(*index));

	if (!index)
		return false;
	for (uint32_t i = 0; i < builder->index_size; i++)
		if (builder->index[i])
			index[string_slot(builder, index, size,
					  (const char *)builder->sections[AXM_STRINGS].data + builder->index[i])] =
				builder->index[i];
	free(builder->index);
	builder->index = index;
	builder->index_size = size;
	return true;
}

uint32_t axm_add_string(struct axm_builder *builder, const char *text)
{
	uint32_t slot;

	if (!text || !*text) {
		if (!builder->sections[AXM_STRINGS].size)
			append(builder, AXM_STRINGS, "", 1);
		return 0;
	}
	if (builder->num_strings * 2 >= builder->index_size && !grow_index(builder)) {
		builder->failed = true;
		return AXM_NO_ID;
	}
	slot = string_slot(builder, builder->index, builder->index_size, text);
	if (!builder->index[slot]) {
		builder->index[slot] = (uint32_t)append(builder, AXM_STRINGS, text, strlen(text) + 1);
		builder->num_strings++;
	}
	return builder->index[slot];
}

static uint64_t add_chunk(struct axm_builder *builder, const void *bytes, uint64_t size, bool owned)
{
	uint64_t offset = (builder->data_size + 63) & ~63ull;

	if (!builder->failed && builder->num_chunks == builder->max_chunks) {
		size_t capacity = builder->max_chunks * 2 + 64;
		struct chunk *grown = realloc(builder->chunks, capacity * sizeof(*grown));

		builder->failed = !grown;
		if (grown) {
			builder->chunks = grown;
			builder->max_chunks = capacity;
		}
	}
	if (builder->failed) {
		if (owned)
			free((void *)bytes);
		return ~0ull;
	}
	builder->chunks[builder->num_chunks++] = (struct chunk){bytes, offset, size, owned};
	builder->data_size = offset + size;
	return offset;
}

uint64_t axm_add_data(struct axm_builder *builder, const void *bytes, uint64_t size)
{
	void *copy = malloc(size ? size : 1);

	if (!copy) {
		builder->failed = true;
		return ~0ull;
	}
	memcpy(copy, bytes, size);
	return add_chunk(builder, copy, size, true);
}

uint64_t axm_borrow_data(struct axm_builder *builder, const void *bytes, uint64_t size)
{
	return add_chunk(builder, bytes, size, false);
}

uint64_t axm_consume_data(struct axm_builder *builder, void *bytes, uint64_t size)
{
	uint64_t offset = add_chunk(builder, bytes, size, false);

	if (offset != ~0ull)
		builder->chunks[builder->num_chunks - 1].consumed = true;
	return offset;
}

uint32_t axm_add_ids(struct axm_builder *builder, const uint32_t *ids, uint32_t count)
{
	uint64_t offset = append(builder, AXM_IDS, ids, (uint64_t)count * sizeof(*ids));

	return offset == ~0ull ? AXM_NO_ID : (uint32_t)(offset / sizeof(*ids));
}

uint32_t axm_add_value(struct axm_builder *builder, const struct axm_value *value)
{
	return append_entry(builder, AXM_VALUES, value, sizeof(*value));
}

uint32_t axm_add_node(struct axm_builder *builder, const struct axm_node *node)
{
	return append_entry(builder, AXM_NODES, node, sizeof(*node));
}

uint32_t axm_add_attr(struct axm_builder *builder, const struct axm_attr *attr)
{
	return append_entry(builder, AXM_ATTRS, attr, sizeof(*attr));
}

uint32_t axm_add_region(struct axm_builder *builder, const struct axm_region *region)
{
	return append_entry(builder, AXM_REGIONS, region, sizeof(*region));
}

uint32_t axm_add_graph(struct axm_builder *builder, const struct axm_graph *graph)
{
	return append_entry(builder, AXM_GRAPHS, graph, sizeof(*graph));
}

uint32_t axm_add_dim(struct axm_builder *builder, const struct axm_dim *dim)
{
	return append_entry(builder, AXM_DIMS, dim, sizeof(*dim));
}

uint32_t axm_add_tiling(struct axm_builder *builder, const struct axm_tiling *tiling)
{
	return append_entry(builder, AXM_TILINGS, tiling, sizeof(*tiling));
}

uint64_t axm_add_strings(struct axm_builder *builder, const struct tensor_string *strings, uint64_t count,
			 uint64_t *size)
{
	uint64_t *ends, total = (count + 1) * sizeof(*ends);
	uint8_t *bytes;

	for (uint64_t i = 0; i < count; i++)
		total += strings[i].size;
	*size = total;
	ends = malloc(total);
	if (!ends) {
		builder->failed = true;
		return ~0ull;
	}
	bytes = (uint8_t *)(ends + count + 1);
	ends[0] = 0;
	for (uint64_t i = 0; i < count; i++) {
		if (strings[i].size)
			memcpy(bytes + ends[i], strings[i].data, strings[i].size);
		ends[i + 1] = ends[i] + strings[i].size;
	}
	return add_chunk(builder, ends, total, true);
}

void axm_set_model(struct axm_builder *builder, const struct axm_model *model)
{
	builder->sections[AXM_MODEL].size = 0;
	append(builder, AXM_MODEL, model, sizeof(*model));
}

#define COPY_STEP (256u << 10)

/* Only whole pages inside [begin, end): what shares a page with it is somebody else's. */
static void give_back(uint8_t *begin, uint8_t *end)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t first = ((uintptr_t)begin + page - 1) & ~(page - 1), last = (uintptr_t)end & ~(page - 1);

	if (first < last)
		madvise((void *)first, last - first, MADV_DONTNEED); /* where it fails, the pages just stay */
}

/*
 * To byte @at of @file, in steps whose sum is taken while they are in the caches. What is not needed any more goes back in
 * large pages, of which a part alone would not.
 */
static void copy_chunk(uint8_t *file, uint64_t at, const struct chunk *chunk, struct checksum *sum)
{
	uint8_t *from = (uint8_t *)(uintptr_t)chunk->data;
	uint64_t given = 0;

	for (uint64_t done = 0, size; done < chunk->size;) {
		size = chunk->size - done < COPY_STEP ? chunk->size - done : COPY_STEP;
		memcpy(file + at + done, from + done, size);
		done += size;
		checksum_more(sum, file, at + done);
		if (chunk->consumed && chunk->size >= COPY_STEP &&
		    (done - given == LARGE_PAGE || done == chunk->size)) {
			give_back(from + given, from + done);
			given = done;
		}
	}
}

int axm_builder_finish(struct axm_builder *builder, uint8_t **bytes, size_t *size)
{
	struct axm_header header = {.magic = AXM_MAGIC, .version = AXM_VERSION, .num_sections = AXM_NUM_SECTIONS};
	struct axm_section table[AXM_NUM_SECTIONS] = {0};
	struct checksum sum = checksum_begin();
	uint64_t end = sizeof(header) + sizeof(table);
	uint8_t *file;

	if (builder->failed)
		return -ENOMEM;
	for (uint32_t i = 0; i < AXM_NUM_SECTIONS; i++) {
		end = (end + 63) & ~63ull;
		table[i].type = i;
		table[i].offset = end;
		table[i].size = i == AXM_DATA ? builder->data_size : builder->sections[i].size;
		end += table[i].size;
	}
	header.file_size = (end + 63) & ~63ull;
	file = large_memory(header.file_size);
	if (!file)
		return -ENOMEM;
	memset(file, 0, table[AXM_DATA].offset);
	memcpy(file, &header, sizeof(header));
	memcpy(file + sizeof(header), table, sizeof(table));
	for (uint32_t i = 0; i < AXM_DATA; i++)
		if (table[i].size)
			memcpy(file + table[i].offset, builder->sections[i].data, table[i].size);
	end = table[AXM_DATA].offset;
	for (size_t i = 0; i < builder->num_chunks; i++) {
		const struct chunk *chunk = &builder->chunks[i];
		uint64_t at = table[AXM_DATA].offset + chunk->offset;

		memset(file + end, 0, at - end);
		copy_chunk(file, at, chunk, &sum);
		end = at + chunk->size;
	}
	memset(file + end, 0, header.file_size - end);
	checksum_more(&sum, file, header.file_size);
	header.checksum = checksum_end(&sum);
	memcpy(file, &header, sizeof(header));
	*bytes = file;
	*size = header.file_size;
	return 0;
}
