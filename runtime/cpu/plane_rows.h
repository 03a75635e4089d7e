/* SPDX-License-Identifier: MIT */
/*
 * Rows of an image plane taken from one pitch to another: short copies, many of them, where a call of memcpy() or a vector
 * loop's scalar end cost more than the copy.
 */
#ifndef RUNTIME_CPU_PLANE_ROWS_H
#define RUNTIME_CPU_PLANE_ROWS_H

#include <stddef.h>
#include <stdint.h>

/* Copy @rows rows of @n floats. The two do not overlap. */
void plane_rows_copy(int64_t rows, int64_t n, const float *from, int64_t from_pitch, float *to, int64_t to_pitch);

/*
 * Part the columns of @rows rows: the first @evens of columns 0, 2, 4… go to @even, the first @odds of columns 1, 3, 5… to
 * @odd. No column behind the last that is asked for is read. Nothing overlaps.
 */
void plane_rows_part(int64_t rows, int64_t evens, int64_t odds, const float *from, int64_t from_pitch, float *even,
		     float *odd, int64_t to_pitch);

/* Form @index of plane_rows_copy() and plane_rows_part() that this processor can run, the best first. For tests. */
struct plane_rows_form {
	void (*copy)(int64_t rows, int64_t n, const float *from, int64_t from_pitch, float *to, int64_t to_pitch);
	void (*part)(int64_t rows, int64_t evens, int64_t odds, const float *from, int64_t from_pitch, float *even,
		     float *odd, int64_t to_pitch);
};
const struct plane_rows_form *plane_rows_form_at(size_t index); /* NULL past the last */

#endif
