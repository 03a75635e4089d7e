/* SPDX-License-Identifier: MIT */
/* See session_options.h. */
#include "runtime/cli/session_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	enum accel_precision precision;
} precisions[] = {{"fp32", ACCEL_F32}, {"fp16", ACCEL_F16}, {"bf16", ACCEL_BF16}, {"int8", ACCEL_INT8}};

static const struct {
	const char *name;
	enum accel_on_fault policy;
} policies[] = {{"report", ACCEL_FAULT_REPORT}, {"retry", ACCEL_FAULT_RETRY}, {"cpu", ACCEL_FAULT_CPU}};

static int parse_dim(const char *text, struct session_setup *setup, size_t index)
{
	const char *equals = strchr(text, '=');
	size_t length = (size_t)(equals - text);
	char *end;

	if (length >= sizeof(setup->text[index]))
		return complain(-EINVAL, "--dim: the name in '%s' is too long", text);
	memcpy(setup->text[index], text, length);
	setup->text[index][length] = '\0';
	setup->names[index] = setup->text[index];
	setup->sizes[index] = strtoll(equals + 1, &end, 10);
	if (end == equals + 1 || *end || setup->sizes[index] < 1)
		return complain(-EINVAL, "--dim: '%s' is not NAME=N with N >= 1", text);
	setup->dims[index] = (struct compile_dim){setup->names[index], setup->sizes[index]};
	return 0;
}

int session_setup(const struct options *options, struct session_setup *setup)
{
	int precision = -1, policy = -1;

	memset(setup, 0, sizeof(*setup));
	for (size_t i = 0; i < sizeof(precisions) / sizeof(precisions[0]); i++)
		if (!strcmp(precisions[i].name, options->precision))
			precision = (int)precisions[i].precision;
	if (precision < 0)
		return complain(-EINVAL, "--precision: '%s' is not fp32, fp16, bf16 or int8", options->precision);
	for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++)
		if (!strcmp(policies[i].name, options->on_fault))
			policy = (int)policies[i].policy;
	if (policy < 0)
		return complain(-EINVAL, "--on-fault: '%s' is not report, retry or cpu", options->on_fault);
	for (size_t i = 0; i < options->num_dims; i++) {
		int err = parse_dim(options->dims[i], setup, i);

		if (err)
			return err;
	}
	setup->options = (struct accel_session_options){
		.device = options->device,
		.precision = (enum accel_precision)precision,
		.threads = options->threads,
		.num_dims = options->num_dims,
		.dim_names = setup->names,
		.dim_sizes = setup->sizes,
		.calibration = options->calibration,
		.calibration_method = options->method,
		.seed = options->seed,
		.disable = options->disable,
		.cache = options->cache,
		.depth = options->jobs,
		.batch = options->batch,
		.batch_wait_us = options->batch_wait_us,
		.on_fault = (enum accel_on_fault)policy,
	};
	setup->compile = (struct compile_options){
		.target = options->target,
		.precision = (enum compile_precision)precision,
		.num_dims = options->num_dims,
		.dims = setup->dims,
		.calibration = options->calibration,
		.method = options->method,
		.seed = options->seed,
		.threads = options->threads,
		.print_after = options->print_after,
		.print = stdout,
		.disable = options->disable,
	};
	return 0;
}
