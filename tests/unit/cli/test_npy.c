/* SPDX-License-Identifier: MIT */
/* .npy files: what is written is read again, in every type; what is no such file is refused with a reason. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "compiler/onnx/npy.h"

static char path[] = "/tmp/axl-npy-XXXXXX";

static int make_path(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 ? -1 : close(fd);
}

static int remove_path(void **state)
{
	(void)state;
	return unlink(path);
}

/* Patterns that are elements of the type: small numbers, negative ones where there are such. */
static void fill(struct tensor *t)
{
	for (size_t i = 0; i < tensor_bytes(t); i++)
		((uint8_t *)t->data)[i] = t->dtype == DTYPE_S4 || t->dtype == DTYPE_S2 ? (uint8_t)((int)(i % 4) - 2)
					  : dtype_bits(t->dtype) < 8                   ? (uint8_t)(i % 4)
										       : (uint8_t)(i % 2);
}

static void every_type_comes_back(void **state)
{
	const int64_t dims[] = {2, 3};

	(void)state;
	for (int type = 1; dtype_is_element(type); type++)
		for (int rank = 0; rank <= 2; rank++) {
			struct tensor t, back;
			char error[300] = "";

			assert_int_equal(tensor_init(&t, (enum dtype)type, rank, dims), 0);
			if (type == DTYPE_STRING) {
				assert_int_equal(npy_write(path, &t), -ENOTSUP);
				tensor_finish(&t);
				continue;
			}
			fill(&t);
			assert_int_equal(npy_write(path, &t), 0);
			if (npy_read(path, (enum dtype)type, &back, error, sizeof(error)))
				fail_msg("%s: %s", dtype_name((enum dtype)type), error);
			assert_int_equal(back.dtype, type);
			assert_true(tensor_same_shape(&t, &back));
			assert_memory_equal(t.data, back.data, tensor_bytes(&t));
			tensor_finish(&back);
			tensor_finish(&t);
		}
}

static void refused(enum dtype expected, const char *says)
{
	char error[300] = "";
	struct tensor t;

	assert_true(npy_read(path, expected, &t, error, sizeof(error)) < 0);
	assert_null(t.data);
	if (!strstr(error, says))
		fail_msg("'%s', expected '%s'", error, says);
}

static void write_bytes(const char *dictionary, const void *data, size_t size)
{
	FILE *file = fopen(path, "wb");
	size_t length = strlen(dictionary);

	assert_non_null(file);
	fwrite("\x93NUMPY\x01\x00", 1, 8, file);
	fputc((int)(length & 0xff), file);
	fputc((int)(length >> 8), file);
	fwrite(dictionary, 1, length, file);
	fwrite(data, 1, size, file);
	fclose(file);
}

static void files_that_are_none(void **state)
{
	static const uint8_t bytes[] = {1, 7, 200, 0};

	(void)state;
	/* Bytes without a meaning need a model that says what they are, of the same size, and must be that. */
	write_bytes("{'descr': '|V1', 'fortran_order': False, 'shape': (4,), }\n", bytes, 4);
	refused(DTYPE_UNDEFINED, "element type, order or shape not supported");
	refused(DTYPE_U8, "element type, order or shape not supported");
	refused(DTYPE_BF16, "element type, order or shape not supported");
	refused(DTYPE_S4, "a byte in it is no number of the element type");
	write_bytes("{'descr': '|V1', 'fortran_order': False, 'shape': (5,), }\n", bytes, 4);
	refused(DTYPE_F8E5M2, "shorter than its header says");
	write_bytes("{'descr': '<f4', 'fortran_order': True, 'shape': (1,), }\n", bytes, 4);
	refused(DTYPE_F32, "element type, order or shape not supported");
	write_bytes("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }\n", bytes, 4);
	refused(DTYPE_F32, "not supported");
	write_bytes("{'descr': '<U4', 'fortran_order': False, 'shape': (1,), }\n", bytes, 4);
	refused(DTYPE_STRING, "not supported");
	assert_int_equal(truncate(path, 7), 0);
	refused(DTYPE_F32, "not a .npy file");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_comes_back),
		cmocka_unit_test(files_that_are_none),
	};

	return cmocka_run_group_tests_name("npy", tests, make_path, remove_path);
}
