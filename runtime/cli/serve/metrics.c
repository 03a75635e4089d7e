/* SPDX-License-Identifier: MIT */
/* See metrics.h. */
#include "runtime/cli/serve/metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* What the server answers with; the last counts what is none of them, of which there should be none. */
static const unsigned int statuses[METRICS_STATUSES - 1] = {200, 400, 404, 405, 413, 415, 500, 503};

/* Upper bounds, ns. */
static const uint64_t bounds[METRICS_BUCKETS] = {100000,    250000,    500000,     1000000,    2500000,
						 5000000,   10000000,  25000000,   50000000,   100000000,
						 250000000, 500000000, 1000000000, 10000000000};

int metrics_init(struct metrics *metrics, size_t num_models)
{
	metrics->models = calloc(num_models, sizeof(*metrics->models));
	metrics->num_models = metrics->models ? num_models : 0;
	return metrics->models ? 0 : -ENOMEM;
}

void metrics_finish(struct metrics *metrics)
{
	free(metrics->models);
}

void metrics_count(struct metrics *metrics, struct metrics_model *model, unsigned int status)
{
	int index = 0;

	while (index < METRICS_STATUSES - 1 && statuses[index] != status)
		index++;
	(model ? model->statuses : metrics->other)[index]++;
}

void metrics_time(struct metrics_model *model, uint64_t ns)
{
	int bucket = 0;

	while (bucket < METRICS_BUCKETS && ns > bounds[bucket])
		bucket++;
	model->buckets[bucket]++;
	model->duration_ns += ns;
}

static void put_head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* `{model="NAME"`, escaped as the format wants it; the caller goes on. */
static void put_model(FILE *out, const char *metric, const char *name)
{
	fprintf(out, "%s{model=\"", metric);
	for (; *name; name++) {
		if (*name == '\n') {
			fputs("\\n", out);
			continue;
		}
		if (*name == '"' || *name == '\\')
			fputc('\\', out);
		fputc(*name, out);
	}
	fputc('"', out);
}

static void put_statuses(FILE *out, const char *model, const _Atomic uint64_t *counts)
{
	for (int i = 0; i < METRICS_STATUSES; i++) {
		if (!counts[i])
			continue;
		put_model(out, "accel_requests_total", model);
		if (i < METRICS_STATUSES - 1)
			fprintf(out, ",code=\"%u\"} %" PRIu64 "\n", statuses[i], counts[i]);
		else
			fprintf(out, ",code=\"other\"} %" PRIu64 "\n", counts[i]);
	}
}

static void put_histogram(FILE *out, const struct metrics_model *model)
{
	uint64_t below = 0;

	for (int i = 0; i <= METRICS_BUCKETS; i++) {
		below += model->buckets[i];
		put_model(out, "accel_infer_duration_seconds_bucket", model->name);
		if (i < METRICS_BUCKETS)
			fprintf(out, ",le=\"%g\"} %" PRIu64 "\n", (double)bounds[i] / 1e9, below);
		else
			fprintf(out, ",le=\"+Inf\"} %" PRIu64 "\n", below);
	}
	put_model(out, "accel_infer_duration_seconds_sum", model->name);
	fprintf(out, "} %.9g\n", (double)model->duration_ns / 1e9);
	/* The same sum: a request between two reads must not make the histogram disagree with itself. */
	put_model(out, "accel_infer_duration_seconds_count", model->name);
	fprintf(out, "} %" PRIu64 "\n", below);
}

void metrics_write(struct metrics *metrics, FILE *out)
{
	put_head(out, "accel_requests_total", "counter",
		 "Requests by status; of a model: inference requests, with an empty name: all others.");
	put_statuses(out, "", metrics->other);
	for (size_t i = 0; i < metrics->num_models; i++)
		put_statuses(out, metrics->models[i].name, metrics->models[i].statuses);
	put_head(out, "accel_infer_duration_seconds", "histogram",
		 "From the last byte of an inference request to its answer, good ones only.");
	for (size_t i = 0; i < metrics->num_models; i++)
		put_histogram(out, &metrics->models[i]);
	put_head(out, "accel_infer_in_flight", "gauge", "Inference requests that run or wait for the model.");
	fprintf(out, "accel_infer_in_flight %" PRIu64 "\n", metrics->in_flight);
	put_head(out, "accel_device_cycles_total", "counter", "Cycles that the device worked on a model.");
	for (size_t i = 0; i < metrics->num_models; i++) {
		put_model(out, "accel_device_cycles_total", metrics->models[i].name);
		fprintf(out, "} %" PRIu64 "\n", metrics->models[i].cycles);
	}
}
