/* SPDX-License-Identifier: MIT */
/* Which part of the reference an instruction goes to. */
#include <errno.h>

#include "tests/reference/parts.h"
#include "tests/reference/reference.h"

int reference_run(const union axl_insn *insn, uint8_t *spad, uint8_t *acc)
{
	switch (insn->header.opcode) {
	case AXL_OP_CONV:
	case AXL_OP_DWCONV:
		return reference_conv(&insn->conv, spad, acc);
	case AXL_OP_DRAIN:
		return reference_drain(&insn->drain, spad, acc);
	case AXL_OP_VEC:
		return reference_vec(&insn->vec, spad);
	default:
		return -ENOTSUP;
	}
}
