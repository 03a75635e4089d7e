/* SPDX-License-Identifier: MIT */
/* What a server counts, and its text in Prometheus' exposition format (version 0.0.4). */
#ifndef RUNTIME_CLI_SERVE_METRICS_H
#define RUNTIME_CLI_SERVE_METRICS_H

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

#define METRICS_BUCKETS 14
#define METRICS_STATUSES 16

/*
 * Of one model. Every field is counted up by many threads.
 * @statuses: inference requests by the status that they were answered with: an index of metrics_status_index()
 * @buckets:  by how long they took from their last byte to their answer; each counted in one, the last has no bound
 */
struct metrics_model {
	const char *name;
	_Atomic uint64_t statuses[METRICS_STATUSES], buckets[METRICS_BUCKETS + 1], duration_ns, cycles;
};

/* @other: requests that are no inference of a model, by status */
struct metrics {
	struct metrics_model *models;
	size_t num_models;
	_Atomic uint64_t other[METRICS_STATUSES];
	_Atomic uint64_t in_flight; /* inference requests that run or wait for the session */
};

/* The names of the models are for the caller to set; they must outlive @metrics. -ENOMEM. */
int metrics_init(struct metrics *metrics, size_t num_models);
void metrics_finish(struct metrics *metrics);

/* @model: NULL for what is no inference of a model. Any thread. */
void metrics_count(struct metrics *metrics, struct metrics_model *model, unsigned int status);
void metrics_time(struct metrics_model *model, uint64_t ns);

void metrics_write(struct metrics *metrics, FILE *out);

#endif
