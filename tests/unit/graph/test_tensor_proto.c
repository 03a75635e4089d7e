/* SPDX-License-Identifier: MIT */
/* TensorProto: every element type in every place where the wire may hold it, and what is wrong with those that are refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "compiler/onnx/tensor_proto.h"
#include "tests/unit/graph/model.h"

#define COUNT 5 /* odd: the last byte of packed elements is not full */

/* struct wire_type - how ONNX stores one element type; @bits on the wire, @field of TensorProto outside raw_data */
enum field { FLOATS, DOUBLES, INT32S, INT64S, UINT64S };
static const struct wire_type {
	enum dtype dtype;
	int bits;
	enum field field;
} wire_types[] = {
	{DTYPE_F32, 32, FLOATS},       {DTYPE_U8, 8, INT32S},         {DTYPE_S8, 8, INT32S},
	{DTYPE_U16, 16, INT32S},       {DTYPE_S16, 16, INT32S},       {DTYPE_S32, 32, INT32S},
	{DTYPE_S64, 64, INT64S},       {DTYPE_BOOL, 8, INT32S},       {DTYPE_F16, 16, INT32S},
	{DTYPE_F64, 64, DOUBLES},      {DTYPE_U32, 32, UINT64S},      {DTYPE_U64, 64, UINT64S},
	{DTYPE_C64, 64, FLOATS},       {DTYPE_C128, 128, DOUBLES},    {DTYPE_BF16, 16, INT32S},
	{DTYPE_F8E4M3FN, 8, INT32S},   {DTYPE_F8E4M3FNUZ, 8, INT32S}, {DTYPE_F8E5M2, 8, INT32S},
	{DTYPE_F8E5M2FNUZ, 8, INT32S}, {DTYPE_U4, 4, INT32S},         {DTYPE_S4, 4, INT32S},
	{DTYPE_F4E2M1, 4, INT32S},     {DTYPE_F8E8M0, 8, INT32S},     {DTYPE_U2, 2, INT32S},
	{DTYPE_S2, 2, INT32S},         {DTYPE_F6E2M3, 6, INT32S},     {DTYPE_F6E3M2, 6, INT32S},
};
#define NUM_TYPES (sizeof(wire_types) / sizeof(wire_types[0]))

/* COUNT elements as the wire's bytes, and the same as this project's memory. */
struct sample {
	uint8_t wire[COUNT * 16], memory[COUNT * 16];
	size_t wire_size, memory_size;
};

static void make_sample(const struct wire_type *type, struct sample *sample)
{
	memset(sample, 0, sizeof(*sample));
	sample->wire_size = (COUNT * (size_t)type->bits + 7) / 8;
	sample->memory_size = COUNT * dtype_size(type->dtype);
	for (size_t i = 0; i < sample->wire_size; i++)
		sample->wire[i] = type->dtype == DTYPE_BOOL ? i & 1 : (uint8_t)(0x9d + 29 * i);
	for (int i = 0; i < COUNT && type->bits < 8; i++) {
		int value = 0;

		for (int bit = 0; bit < type->bits; bit++)
			value |= (sample->wire[(i * type->bits + bit) / 8] >> (i * type->bits + bit) % 8 & 1) << bit;

		if ((type->dtype == DTYPE_S4 || type->dtype == DTYPE_S2) && value >> (type->bits - 1))
			value -= 1 << type->bits;
		sample->memory[i] = (uint8_t)value;
	}
	if (type->bits >= 8)
		memcpy(sample->memory, sample->wire, sample->wire_size);
}

/* A message for COUNT elements without data; list fields point into @fields. */
struct message {
	Onnx__TensorProto proto;
	int64_t dims[1];
	float floats[2 * COUNT + 1];
	double doubles[2 * COUNT + 1];
	int32_t int32s[COUNT + 1];
	int64_t int64s[COUNT + 1];
	uint64_t uint64s[COUNT + 1];
	ProtobufCBinaryData strings[COUNT];
};

static void message_init(struct message *m, int dtype)
{
	memset(m, 0, sizeof(*m));
	onnx__tensor_proto__init(&m->proto);
	m->dims[0] = COUNT;
	m->proto.n_dims = 1;
	m->proto.dims = m->dims;
	m->proto.has_data_type = 1;
	m->proto.data_type = dtype;
	m->proto.float_data = m->floats;
	m->proto.double_data = m->doubles;
	m->proto.int32_data = m->int32s;
	m->proto.int64_data = m->int64s;
	m->proto.uint64_data = m->uint64s;
	m->proto.string_data = m->strings;
}

static void set_raw(struct message *m, const void *bytes, size_t size)
{
	m->proto.has_raw_data = 1;
	m->proto.raw_data.len = size;
	m->proto.raw_data.data = malloc(size + 1); /* the reader may take it over */
	memcpy(m->proto.raw_data.data, bytes, size);
}

/* The sample in the field that the specification names for the type. */
static void set_typed(struct message *m, const struct wire_type *type, const struct sample *sample)
{
	bool packed = type->bits == 2 || type->bits == 4; /* those of six bits have an entry each */
	size_t entries = type->field == FLOATS    ? sample->wire_size / 4
			 : type->field == DOUBLES ? sample->wire_size / 8
			 : packed                 ? sample->wire_size
						  : COUNT;
	size_t size = type->bits < 8 ? 1 : (size_t)type->bits / 8;

	for (size_t i = 0; i < entries && type->field != FLOATS && type->field != DOUBLES; i++) {
		uint64_t value = 0;

		memcpy(&value, (type->bits == 6 ? sample->memory : sample->wire) + i * size, size);
		m->uint64s[i] = value;
		m->int64s[i] = (int64_t)value;
		m->int32s[i] = type->dtype == DTYPE_S8    ? (int8_t)value
			       : type->dtype == DTYPE_S16 ? (int16_t)value
							  : (int32_t)value;
	}
	memcpy(m->floats, sample->wire, type->field == FLOATS ? sample->wire_size : 0);
	memcpy(m->doubles, sample->wire, type->field == DOUBLES ? sample->wire_size : 0);
	*(type->field == FLOATS    ? &m->proto.n_float_data
	  : type->field == DOUBLES ? &m->proto.n_double_data
	  : type->field == INT32S  ? &m->proto.n_int32_data
	  : type->field == INT64S  ? &m->proto.n_int64_data
				   : &m->proto.n_uint64_data) = entries;
}

static void reads_as(struct message *m, const char *folder, const struct wire_type *type, const struct sample *sample)
{
	char error[300] = "";
	struct tensor t;

	if (onnx_tensor_from_proto(&m->proto, folder, &t, error, sizeof(error)))
		fail_msg("%s: %s", dtype_name(type->dtype), error);
	assert_int_equal(t.dtype, type->dtype);
	assert_int_equal(t.rank, 1);
	assert_int_equal(tensor_bytes(&t), sample->memory_size);
	assert_memory_equal(t.data, sample->memory, sample->memory_size);
	tensor_finish(&t);
	free(m->proto.raw_data.data);
}

static void refused(struct message *m, const char *folder, int err, const char *says)
{
	char error[300] = "";
	struct tensor t;
	int got = onnx_tensor_from_proto(&m->proto, folder, &t, error, sizeof(error));

	if (got != err || !strstr(error, says))
		fail_msg("%d '%s', expected %d and '%s'", got, error, err, says);
	free(m->proto.raw_data.data);
}

static void every_type_in_raw_data(void **state)
{
	struct sample sample;
	struct message m;

	(void)state;
	for (size_t i = 0; i < NUM_TYPES; i++) {
		make_sample(&wire_types[i], &sample);
		message_init(&m, wire_types[i].dtype);
		set_raw(&m, sample.wire, sample.wire_size);
		reads_as(&m, NULL, &wire_types[i], &sample);
		for (int more = -1; more <= 1; more += 2) {
			message_init(&m, wire_types[i].dtype);
			set_raw(&m, sample.wire, sample.wire_size + (size_t)more);
			refused(&m, NULL, -EINVAL, "bytes of raw_data, the shape needs");
		}
	}
}

/* What is read from the packed bytes goes back into them; bits that no element has are zero. */
static void narrow_types_pack_as_they_unpack(void **state)
{
	struct sample sample;

	(void)state;
	for (size_t i = 0; i < NUM_TYPES; i++) {
		int used = COUNT * wire_types[i].bits % 8;
		uint8_t bytes[COUNT] = {0};
		struct tensor t;

		if (wire_types[i].bits >= 8)
			continue;
		make_sample(&wire_types[i], &sample);
		assert_int_equal(tensor_init_view(&t, wire_types[i].dtype, 1, (int64_t[]){COUNT}, sample.memory, COUNT),
				 0);
		onnx_pack(&t, bytes);
		sample.wire[sample.wire_size - 1] &= (uint8_t)((1 << used) - 1);
		assert_memory_equal(bytes, sample.wire, sample.wire_size);
		assert_int_equal(onnx_wire_bytes(t.dtype, COUNT), sample.wire_size);
	}
}

static void every_type_in_its_own_field(void **state)
{
	struct sample sample;
	struct message m;

	(void)state;
	for (size_t i = 0; i < NUM_TYPES; i++) {
		size_t *counts[] = {&m.proto.n_float_data, &m.proto.n_double_data, &m.proto.n_int32_data,
				    &m.proto.n_int64_data, &m.proto.n_uint64_data};

		make_sample(&wire_types[i], &sample);
		message_init(&m, wire_types[i].dtype);
		set_typed(&m, &wire_types[i], &sample);
		reads_as(&m, NULL, &wire_types[i], &sample);
		/* An empty raw_data beside it changes nothing. */
		m.proto.has_raw_data = 1;
		m.proto.raw_data = (ProtobufCBinaryData){0};
		reads_as(&m, NULL, &wire_types[i], &sample);
		m.proto.has_raw_data = 0;
		++*counts[wire_types[i].field];
		refused(&m, NULL, -EINVAL, "the shape needs");
		*counts[wire_types[i].field] -= 2;
		refused(&m, NULL, -EINVAL, "the shape needs");
	}
}

static void every_type_in_external_data(void **state)
{
	Onnx__StringStringEntryProto location = ONNX__STRING_STRING_ENTRY_PROTO__INIT, offset = location;
	Onnx__StringStringEntryProto *entries[] = {&location, &offset};
	char folder[] = "/tmp/axl-test-XXXXXX", path[100];

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/w", folder);
	location.key = (char[]){"location"};
	location.value = (char[]){"w"};
	offset.key = (char[]){"offset"};
	offset.value = (char[]){"3"};
	for (size_t i = 0; i < NUM_TYPES; i++) {
		struct sample sample;
		struct message m;
		FILE *file = fopen(path, "wb");

		assert_non_null(file);
		make_sample(&wire_types[i], &sample);
		fwrite("abc", 1, 3, file);
		fwrite(sample.wire, 1, sample.wire_size, file);
		fclose(file);
		message_init(&m, wire_types[i].dtype);
		m.proto.has_data_location = 1;
		m.proto.data_location = 1;
		m.proto.n_external_data = 2;
		m.proto.external_data = entries;
		reads_as(&m, folder, &wire_types[i], &sample);
		m.dims[0] = COUNT + 8;
		refused(&m, folder, -EINVAL, "the shape needs");
		/* What is claimed and not there is not allocated either. */
		m.dims[0] = INT64_C(1) << 56;
		refused(&m, folder, -EINVAL, "the shape needs");
		if (i == 0) {
			m.proto.data_type = DTYPE_STRING;
			m.dims[0] = 1;
			refused(&m, folder, -EINVAL, "strings can not lie in external data");
			m.proto.data_location = 2;
			refused(&m, folder, -ENOTSUP, "data_location 2");
		}
	}
	unlink(path);
	rmdir(folder);
}

static void strings_of_any_bytes(void **state)
{
	const ProtobufCBinaryData values[COUNT] = {
		{0, NULL}, {3, (uint8_t *)"a\0b"}, {1, (uint8_t *)"\xff"}, {0, NULL}, {5, (uint8_t *)"gr\xc3\xbc\n"}};
	struct tensor_string *strings;
	struct message m;
	char error[300];
	struct tensor t;

	(void)state;
	message_init(&m, DTYPE_STRING);
	memcpy(m.strings, values, sizeof(values));
	m.proto.n_string_data = COUNT;
	assert_int_equal(onnx_tensor_from_proto(&m.proto, NULL, &t, error, sizeof(error)), 0);
	strings = t.data;
	for (int i = 0; i < COUNT; i++) {
		assert_int_equal(strings[i].size, values[i].len);
		if (values[i].len)
			assert_memory_equal(strings[i].data, values[i].data, values[i].len);
	}
	tensor_finish(&t);
	m.proto.n_string_data = COUNT - 1;
	refused(&m, NULL, -EINVAL, "4 values of string in string_data, the shape needs 5");
	m.proto.n_string_data = 0;
	set_raw(&m, "abcde", 5);
	refused(&m, NULL, -EINVAL, "strings can not lie in raw_data");
}

/* int32_data and uint64_data are wider than the elements: a number that is none of the type is not cut down to one. */
static void numbers_that_do_not_fit_the_type(void **state)
{
	static const struct {
		enum dtype dtype;
		int32_t low, high; /* the last that fit */
	} ranges[] = {
		{DTYPE_U8, 0, 255},         {DTYPE_S8, -128, 127}, {DTYPE_U16, 0, 65535},
		{DTYPE_S16, -32768, 32767}, {DTYPE_BOOL, 0, 1},    {DTYPE_F16, -32768, 65535},
		{DTYPE_F8E5M2, -128, 255},  {DTYPE_U4, -128, 255}, {DTYPE_F6E2M3, -32, 63},
	};
	struct message m;

	(void)state;
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		for (int side = 0; side < 4; side++) {
			struct tensor t;
			char error[300];

			message_init(&m, ranges[i].dtype);
			m.dims[0] = 1;
			m.proto.n_int32_data = 1;
			m.int32s[0] = side == 0   ? ranges[i].low - 1
				      : side == 1 ? ranges[i].high + 1
				      : side == 2 ? ranges[i].low
						  : ranges[i].high;
			if (side < 2) {
				refused(&m, NULL, -EINVAL, "int32_data[0] is");
				continue;
			}
			assert_int_equal(onnx_tensor_from_proto(&m.proto, NULL, &t, error, sizeof(error)), 0);
			tensor_finish(&t);
		}
	message_init(&m, DTYPE_U32);
	m.proto.n_uint64_data = COUNT;
	m.uint64s[3] = (uint64_t)UINT32_MAX + 1;
	refused(&m, NULL, -EINVAL, "uint64_data[3] is 4294967296, which is no uint32");
}

static void messages_that_are_no_tensor(void **state)
{
	static const int types[] = {0, 29, -1, DTYPE_SEQUENCE, DTYPE_MAP};
	Onnx__TensorProto__Segment segment = ONNX__TENSOR_PROTO__SEGMENT__INIT;
	int64_t dims[TENSOR_MAX_RANK + 1] = {0};
	struct message m;

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		message_init(&m, types[i]);
		refused(&m, NULL, -ENOTSUP, "element type");
	}
	message_init(&m, DTYPE_F32);
	segment.end = 3;
	m.proto.segment = &segment;
	refused(&m, NULL, -ENOTSUP, "a segment (elements 0 to 3)");
	message_init(&m, DTYPE_F32);
	m.proto.dims = dims;
	m.proto.n_dims = TENSOR_MAX_RANK + 1;
	refused(&m, NULL, -ENOTSUP, "rank 13");
	for (int huge = 0; huge < 2; huge++) {
		message_init(&m, DTYPE_S2);
		m.dims[0] = huge ? INT64_MAX : -1;
		refused(&m, NULL, -EINVAL, "negative or too large");
	}
}

/* The dense tensor takes over strings, and is empty where the sparse one has none. */
static void sparse_tensors_of_strings(void **state)
{
	Onnx__SparseTensorProto sparse = ONNX__SPARSE_TENSOR_PROTO__INIT;
	struct message values, indices;
	int64_t dims[] = {2, 3};
	struct tensor_string *strings;
	char error[300];
	struct tensor t;

	(void)state;
	message_init(&values, DTYPE_STRING);
	message_init(&indices, DTYPE_S64);
	values.dims[0] = indices.dims[0] = 2;
	values.proto.n_string_data = indices.proto.n_int64_data = 2;
	values.strings[0] = (ProtobufCBinaryData){3, (uint8_t *)"one"};
	values.strings[1] = (ProtobufCBinaryData){4, (uint8_t *)"four"};
	indices.int64s[0] = 1;
	indices.int64s[1] = 4;
	sparse.values = &values.proto;
	sparse.indices = &indices.proto;
	sparse.n_dims = 2;
	sparse.dims = dims;
	assert_int_equal(onnx_tensor_from_sparse(&sparse, NULL, &t, error, sizeof(error)), 0);
	strings = t.data;
	assert_int_equal(tensor_count(&t), 6);
	assert_int_equal(strings[0].size + strings[2].size + strings[3].size + strings[5].size, 0);
	assert_memory_equal(strings[1].data, "one", 3);
	assert_memory_equal(strings[4].data, "four", 4);
	tensor_finish(&t);
	indices.int64s[0] = 4;
	assert_int_equal(onnx_tensor_from_sparse(&sparse, NULL, &t, error, sizeof(error)), -EINVAL);
	assert_string_equal(error, "sparse entry 1 does not come after the one before it");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_in_raw_data),      cmocka_unit_test(narrow_types_pack_as_they_unpack),
		cmocka_unit_test(every_type_in_its_own_field), cmocka_unit_test(every_type_in_external_data),
		cmocka_unit_test(strings_of_any_bytes),        cmocka_unit_test(numbers_that_do_not_fit_the_type),
		cmocka_unit_test(messages_that_are_no_tensor), cmocka_unit_test(sparse_tensors_of_strings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
