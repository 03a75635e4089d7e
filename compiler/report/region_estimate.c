/* SPDX-License-Identifier: MIT */
/* See region_estimate.h. */
#include "compiler/report/region_estimate.h"

#include <axl/axl_isa.h>

static uint64_t value_bytes(const struct axm *axm, uint32_t id)
{
	const struct axm_value *value = &axm->values[id];

	return (uint64_t)dims_count((int)value->rank, value->dims) * dtype_size((enum dtype)value->dtype);
}

int region_estimate(const struct axm *axm, uint32_t region, const struct target *target, struct estimate *estimate)
{
	const struct axm_region *r = &axm->regions[region];
	uint64_t bases[AXL_NUM_BASES] = {r->weight_bytes, r->arena_bytes};
	struct estimate_job job = {.target = target,
				   .code = axm->data + r->code,
				   .code_bytes = r->code_bytes,
				   .bases = bases,
				   .num_bases = 2};

	for (uint32_t i = 0; i < r->num_inputs; i++)
		bases[job.num_bases++] = value_bytes(axm, axm->ids[r->inputs_first + i]);
	for (uint32_t i = 0; i < r->num_outputs; i++)
		bases[job.num_bases++] = value_bytes(axm, axm->ids[r->outputs_first + i]);
	return estimate_run(&job, estimate);
}
