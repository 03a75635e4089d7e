/* SPDX-License-Identifier: MIT */
/* Headers of instructions that a device takes: what is behind the opcode can be anything then. END ends a stream and is not here. */
#ifndef TESTS_FUZZ_LEGAL_HEADERS_H
#define TESTS_FUZZ_LEGAL_HEADERS_H

#include <stdint.h>

#include <axl/axl_isa.h>

static const struct legal_header {
	uint8_t opcode, pipe, slots;
} legal_headers[] = {
	{AXL_OP_YIELD, AXL_PIPE_SEQ, 1},     {AXL_OP_LOOP, AXL_PIPE_SEQ, 1},    {AXL_OP_ENDLOOP, AXL_PIPE_SEQ, 1},
	{AXL_OP_ADDBASE, AXL_PIPE_SEQ, 1},   {AXL_OP_SYNC, AXL_PIPE_STORE, 1},  {AXL_OP_LOAD, AXL_PIPE_LOAD, 2},
	{AXL_OP_LOAD, AXL_PIPE_WEIGHT, 2},   {AXL_OP_STORE, AXL_PIPE_STORE, 2}, {AXL_OP_CONV, AXL_PIPE_MATRIX, 2},
	{AXL_OP_DWCONV, AXL_PIPE_MATRIX, 2}, {AXL_OP_DRAIN, AXL_PIPE_DRAIN, 2}, {AXL_OP_VEC, AXL_PIPE_VECTOR, 2},
};

#define NUM_LEGAL_HEADERS (sizeof(legal_headers) / sizeof(legal_headers[0]))

#endif
