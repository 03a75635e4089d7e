/* SPDX-License-Identifier: MIT */
/* The pieces behind reference_run(). */
#ifndef TESTS_REFERENCE_PARTS_H
#define TESTS_REFERENCE_PARTS_H

#include <stdint.h>

#include <axl/axl_isa.h>

int reference_conv(const struct axl_conv *conv, const uint8_t *spad, uint8_t *acc);
int reference_drain(const struct axl_drain *drain, uint8_t *spad, const uint8_t *acc);
int reference_vec(const struct axl_vec *vec, uint8_t *spad);

/* A binary operation on two binary32 values; -ENOTSUP for an operation that is not binary. */
int reference_binary(enum axl_vec_op op, float x, float y, float *result);

#endif
