/* SPDX-License-Identifier: MIT */
/* See chains.h. */
#include "compiler/report/chains.h"

bool chain_next(const struct axm *axm, uint32_t from, struct chain *chain)
{
	uint32_t first = from, last;

	while (first < axm->num_region_nodes && !axm->nodes[first].kept_until)
		first++;
	if (first >= axm->num_region_nodes)
		return false;
	last = axm->nodes[first].kept_until;
	for (uint32_t n = first + 1; n <= last; n++) /* what the last one leaves goes on with it */
		if (axm->nodes[n].kept_until > last)
			last = axm->nodes[n].kept_until;
	*chain = (struct chain){axm->nodes[first].region, first, last - first + 1};
	return true;
}
