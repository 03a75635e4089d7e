/* SPDX-License-Identifier: MIT */
/* Elements in memory: reading them into a domain (binary32, integers) and writing them back. */
#ifndef TESTS_REFERENCE_ELEMENT_H
#define TESTS_REFERENCE_ELEMENT_H

#include <stdbool.h>
#include <stdint.h>

#include <axl/axl_isa.h>

bool element_is_float(unsigned int type);
unsigned int element_size(unsigned int type);

/* The element at @at as binary32, rounded where it must be. */
float element_read_float(const uint8_t *at, unsigned int type);
/* Write @value as @type: rounded, or truncated and saturated. A NaN is stored as the quiet NaN of the type. */
void element_write_float(uint8_t *at, unsigned int type, float value);

/* The element at @at; integers and BOOL only. */
int64_t element_read_int(const uint8_t *at, unsigned int type);
/* Write @value as @type: saturated, or rounded (through binary32). */
void element_write_int(uint8_t *at, unsigned int type, int64_t value);

/* Memory to memory; equal types move the bits. */
void element_copy(uint8_t *dst, unsigned int dst_type, const uint8_t *src, unsigned int src_type);

/* rne() and sat() of the text. */
int32_t round_to_int(float value);
int64_t saturate(int64_t value, unsigned int type);

/* Bits of a binary32 operand field. */
float float_from_bits(uint32_t bits);

#endif
