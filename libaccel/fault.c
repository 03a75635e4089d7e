/* SPDX-License-Identifier: MIT */
/* Fault records in words. */
#include <stdio.h>

#include <accel/accel.h>
#include <axl/axl_disasm.h>

char *accel_fault_text(const struct axl_fault_record *fault, char *text, size_t size)
{
	static const char *const causes[AXL_NUM_CAUSES] = {
#define CAUSE_TEXT(name, number, words) [number] = words,
		AXL_CAUSES(CAUSE_TEXT)
#undef CAUSE_TEXT
	};
	const char *cause = fault->cause < AXL_NUM_CAUSES ? causes[fault->cause] : "unknown cause";

	if (!fault->cmdbuf)
		snprintf(text, size, "%s; packet %llu of queue %u, address 0x%llx", cause,
			 (unsigned long long)fault->packet, fault->queue, (unsigned long long)fault->address);
	else
		snprintf(text, size, "%s; tile %u, pipe %s, instruction at offset %u, address 0x%llx", cause,
			 fault->tile, axl_pipe_text(fault->pipe), fault->offset, (unsigned long long)fault->address);
	return text;
}
