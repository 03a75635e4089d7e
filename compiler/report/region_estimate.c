/* SPDX-License-Identifier: MIT */
/* See region_estimate.h. */
#include "compiler/report/region_estimate.h"

#include <axl/axl_isa.h>

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
		bases[job.num_bases++] = axm_value_bytes(&axm->values[axm->ids[r->inputs_first + i]]);
	for (uint32_t i = 0; i < r->num_outputs; i++)
		bases[job.num_bases++] = axm_value_bytes(&axm->values[axm->ids[r->outputs_first + i]]);
	return estimate_run(&job, estimate);
}
