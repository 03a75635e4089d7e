/* SPDX-License-Identifier: MIT */
/* See report_timeline.h. */
#include "runtime/cli/report_timeline.h"

#include <errno.h>

#include "compiler/report/region_estimate.h"
#include "runtime/session.h"

int timeline_of_region(const struct report *report, uint32_t region, struct timeline *timeline)
{
	const struct axm *axm = report->axm;
	const struct target *target = target_find(axm_string(axm, axm->model->target_name));
	int err;

	*timeline = (struct timeline){0};
	if (report->session)
		timeline->records = session_records(report->session, region, &timeline->count);
	if (timeline->records) {
		timeline->cycles = report->stats.regions[region].cycles;
		timeline->of_run = true;
		return 0;
	}
	if (!target)
		return -ENODATA;
	err = region_estimate(axm, region, target, &timeline->estimate);
	if (err)
		return err;
	timeline->records = timeline->estimate.records;
	timeline->count = timeline->estimate.num_records;
	timeline->cycles = timeline->estimate.cycles;
	return 0;
}

void timeline_finish(struct timeline *timeline)
{
	if (!timeline->of_run)
		estimate_finish(&timeline->estimate);
}
