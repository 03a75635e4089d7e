/* SPDX-License-Identifier: MIT */
/*
 * Sessions: a model, the plans that it was compiled to (one for each set of input shapes), and the requests that run on them.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <accel/runtime.h>

#include "compiler/compiler.h"
#include "compiler/package/axm.h"
#include "runtime/cache.h"
#include "runtime/cpu/pool.h"
#include "runtime/device.h"
#include "runtime/fail.h"
#include "runtime/plan.h"
#include "runtime/session.h"
#include "runtime/trace.h"
#include "runtime/value.h"

/* @used: when, by the session's clock of requests */
struct specialisation {
	struct plan *plan;
	uint64_t used;
};

/*
 * @plans:   the first is that of accel_session_create(), @current ran last
 * @views:   what accel_session_run_values() gives: views of the plan's outputs
 * @note:    what the compiler said of the precision
 * @cache:   packages of earlier sessions; @cached: how many came from it
 * @lock:    one run at a time
 */
struct accel_session {
	struct accel_session_options options;
	char *path, *calibration, *method, *disable;
	struct runtime_device *device;
	struct cpu_pool *pool;
	struct runtime_trace *trace;
	struct cache *cache;
	struct specialisation plans[ACCEL_MAX_SPECIALISATIONS];
	size_t num_plans;
	struct plan *current;
	uint64_t clock, compilations, cached;
	struct accel_value *views;
	char note[sizeof(((struct compile_result *)0)->note)];
	pthread_mutex_t lock;
};

/* ---- plans ---- */

static bool has_suffix(const char *text, const char *suffix)
{
	size_t length = strlen(text), end = strlen(suffix);

	return length >= end && !strcmp(text + length - end, suffix);
}

/* The plan that was used longest ago goes when there is no room; not the first, whose names the caller may have, nor the current. */
static void make_room(struct accel_session *session)
{
	size_t oldest = 0;

	if (session->num_plans < ACCEL_MAX_SPECIALISATIONS)
		return;
	for (size_t i = 1; i < session->num_plans; i++)
		if (session->plans[i].plan != session->current &&
		    (!oldest || session->plans[i].used < session->plans[oldest].used))
			oldest = i;
	plan_destroy(session->plans[oldest].plan);
	session->plans[oldest] = session->plans[--session->num_plans];
}

static int add_plan(struct accel_session *session, struct axm *axm, uint8_t *bytes, char *error, size_t size)
{
	struct plan_host host = {session->device, session->pool, session->trace};
	struct plan *plan;
	int err;

	make_room(session);
	err = plan_create(&host, axm, bytes, session->options.trace, &plan, error, size);
	if (err)
		return err;
	session->plans[session->num_plans++] = (struct specialisation){plan, ++session->clock};
	session->current = plan;
	return 0;
}

/* Compile the ONNX file for @dims. */
static int compile_plan(struct accel_session *session, const struct compile_dim *dims, size_t num_dims, char *error,
			size_t size)
{
	struct compile_options compile = {
		.target = session->device ? runtime_device_target(session->device) : "cpu",
		.precision = (enum compile_precision)session->options.precision,
		.num_dims = num_dims,
		.dims = dims,
		.calibration = session->calibration,
		.method = session->method,
		.seed = session->options.seed,
		.disable = session->disable,
	};
	struct cache_package package;
	int err = cache_compile(session->cache, session->path, &compile, &package, error, size);

	if (err)
		return err;
	session->compilations += package.compiled;
	session->cached += !package.compiled;
	memcpy(session->note, package.note, sizeof(session->note));
	return add_plan(session, &package.axm, package.bytes, error, size);
}

static bool is_package(const struct accel_session *session)
{
	return has_suffix(session->path, ".axm");
}

static int load_first(struct accel_session *session, const struct accel_session_options *options, char *error,
		      size_t size)
{
	struct compile_dim *dims;
	struct axm axm;
	int err;

	if (is_package(session)) {
		err = axm_open(session->path, &axm, error, size);
		return err ? err : add_plan(session, &axm, NULL, error, size);
	}
	dims = calloc(options->num_dims + 1, sizeof(*dims));
	if (!dims)
		return fail(error, size, -ENOMEM, "out of memory");
	for (size_t i = 0; i < options->num_dims; i++)
		dims[i] = (struct compile_dim){options->dim_names[i], options->dim_sizes[i]};
	err = compile_plan(session, dims, options->num_dims, error, size);
	free(dims);
	return err;
}

/* The sizes that @inputs give to the symbolic dimensions of the current plan. One name has one size. */
static int bind_symbols(const struct accel_session *session, const struct tensor *inputs, struct compile_dim *dims,
			size_t *count, char *error, size_t size)
{
	const struct axm *axm = plan_package(session->current);

	*count = 0;
	for (uint32_t i = 0; i < axm->num_dims; i++) {
		const struct axm_dim *dim = &axm->dims[i];
		const char *symbol = axm_string(axm, dim->symbol);
		size_t known = 0;
		int64_t length = 0;

		for (uint32_t k = 0; k < axm->model->num_inputs; k++)
			if (axm->ids[axm->model->inputs_first + k] == dim->value)
				length = inputs[k].dims[dim->dimension];
		while (known < *count && strcmp(dims[known].name, symbol))
			known++;
		if (known == *count)
			dims[(*count)++] = (struct compile_dim){symbol, length};
		else if (dims[known].size != length)
			return fail(error, size, -EINVAL,
				    "input %s: dimension %u is %lld, and %s is %lld in another place",
				    axm_string(axm, axm->values[dim->value].name), dim->dimension, (long long)length,
				    symbol, (long long)dims[known].size);
	}
	return 0;
}

/* 0: every input fits @plan; 1: only symbolic dimensions do not. */
static int check_inputs(const struct plan *plan, const struct tensor *inputs, char *error, size_t size)
{
	int other = 0;

	for (size_t i = 0; i < plan_package(plan)->model->num_inputs; i++) {
		int fit = plan_check_input(plan, i, &inputs[i], error, size);

		if (fit < 0)
			return fit;
		other |= fit;
	}
	return other;
}

/* Compile for the shapes of @inputs. Names come from the current plan, which may be the one that has to go. */
static int specialise(struct accel_session *session, const struct tensor *inputs, char *error, size_t size)
{
	const struct axm *axm = plan_package(session->current);
	struct compile_dim *dims;
	size_t count;
	int err;

	if (is_package(session))
		return fail(error, size, -EINVAL,
			    "%s was compiled for other sizes of its symbolic dimensions; give the ONNX file to compile "
			    "for these",
			    session->path);
	dims = calloc(axm->num_dims + 1, sizeof(*dims));
	if (!dims)
		return fail(error, size, -ENOMEM, "out of memory");
	err = bind_symbols(session, inputs, dims, &count, error, size);
	if (!err)
		err = compile_plan(session, dims, count, error, size);
	free(dims);
	return err;
}

/* The plan for the shapes of @inputs becomes the current one. */
static int choose_plan(struct accel_session *session, const struct tensor *inputs, char *error, size_t size)
{
	for (size_t i = 0; i < session->num_plans; i++) {
		int fit = check_inputs(session->plans[i].plan, inputs, error, size);

		if (fit < 0)
			return fit;
		if (fit == 0) {
			session->plans[i].used = ++session->clock;
			session->current = session->plans[i].plan;
			return 0;
		}
	}
	return specialise(session, inputs, error, size);
}

/* ---- life ---- */

static int copy_text(const char *from, char **to)
{
	*to = from ? strdup(from) : NULL;
	return from && !*to ? -ENOMEM : 0;
}

static int open_cache(struct accel_session *session, char *error, size_t size)
{
	int err = cache_create(session->options.cache, session->options.cache_bytes, &session->cache);

	return err == -EINVAL ? fail(error, size, err, "ACCEL_CACHE_SIZE: '%s' is no size", getenv("ACCEL_CACHE_SIZE"))
	       : err          ? fail(error, size, err, "cache: %s", strerror(-err))
			      : 0;
}

int accel_session_create(const char *path, const struct accel_session_options *options, struct accel_session **session,
			 char *error, size_t error_size)
{
	struct accel_session_options defaults = options ? *options : (struct accel_session_options){0};
	struct accel_session *s = calloc(1, sizeof(*s));
	int err;

	*session = NULL;
	if (error_size)
		error[0] = '\0';
	if (!s)
		return fail(error, error_size, -ENOMEM, "out of memory");
	if (!defaults.device)
		defaults.device = "sim:";
	s->options = defaults;
	pthread_mutex_init(&s->lock, NULL);
	err = copy_text(path, &s->path);
	if (!err)
		err = copy_text(defaults.calibration, &s->calibration);
	if (!err)
		err = copy_text(defaults.disable, &s->disable);
	if (!err)
		err = copy_text(defaults.calibration_method, &s->method);
	if (err)
		fail(error, error_size, err, "out of memory");
	if (!err) {
		err = cpu_pool_create(defaults.threads, &s->pool);
		if (err)
			fail(error, error_size, err, "threads: %s", strerror(-err));
	}
	if (!err && strcmp(defaults.device, "cpu"))
		err = runtime_device_open(defaults.device, defaults.threads, &s->device, error, error_size);
	if (!err && defaults.trace) {
		err = runtime_trace_create(&s->trace);
		if (err)
			fail(error, error_size, err, "out of memory");
	}
	if (!err)
		err = open_cache(s, error, error_size);
	if (!err)
		err = load_first(s, &defaults, error, error_size);
	if (err) {
		accel_session_destroy(s);
		return err;
	}
	*session = s;
	return 0;
}

void accel_session_destroy(struct accel_session *session)
{
	if (!session)
		return;
	for (size_t i = 0; i < session->num_plans; i++)
		plan_destroy(session->plans[i].plan);
	runtime_device_close(session->device);
	cpu_pool_destroy(session->pool);
	runtime_trace_destroy(session->trace);
	cache_destroy(session->cache);
	free(session->views);
	free(session->path);
	free(session->calibration);
	free(session->disable);
	free(session->method);
	pthread_mutex_destroy(&session->lock);
	free(session);
}

/* ---- inputs and outputs ---- */

/* What inputs and outputs are called is the same in all plans. */
static const struct axm *package_of(const struct accel_session *session)
{
	return plan_package(session->plans[0].plan);
}

const struct axm *session_package(const struct accel_session *session)
{
	return package_of(session);
}

size_t accel_session_num_inputs(const struct accel_session *session)
{
	return package_of(session)->model->num_inputs;
}

size_t accel_session_num_outputs(const struct accel_session *session)
{
	return package_of(session)->model->num_outputs;
}

static int value_info(const struct accel_session *session, uint32_t list, size_t index, struct accel_value_info *info)
{
	const struct axm *axm = package_of(session);
	const struct axm_value *value = &axm->values[axm->ids[list + index]];

	info->name = axm_string(axm, value->name);
	info->type = axm_string(axm, value->type);
	info->dtype = (int32_t)value->dtype;
	info->rank = value->flags & AXM_VALUE_UNRANKED ? -1 : (int32_t)value->rank;
	memcpy(info->dims, value->dims, sizeof(info->dims));
	return 0;
}

int accel_session_input(const struct accel_session *session, size_t index, struct accel_value_info *info)
{
	return index < accel_session_num_inputs(session)
		       ? value_info(session, package_of(session)->model->inputs_first, index, info)
		       : -EINVAL;
}

int accel_session_output(const struct accel_session *session, size_t index, struct accel_value_info *info)
{
	return index < accel_session_num_outputs(session)
		       ? value_info(session, package_of(session)->model->outputs_first, index, info)
		       : -EINVAL;
}

static const char *output_name(const struct accel_session *session, size_t index)
{
	const struct axm *axm = package_of(session);

	return axm_string(axm, axm->values[axm->ids[axm->model->outputs_first + index]].name);
}

static int view_input(const struct accel_session *session, size_t index, const struct accel_tensor *input,
		      struct tensor *view, char *error, size_t size)
{
	struct accel_value_info info;
	int err = accel_session_input(session, index, &info);

	if (err)
		return err;
	if (dtype_is_nested((enum dtype)info.dtype))
		return fail(error, size, -EINVAL, "input %s: is %s: use accel_session_run_values()", info.name,
			    info.type);
	err = tensor_init_view(view, (enum dtype)input->dtype, input->rank, input->dims, input->data, input->size);
	if (!err)
		return 0;
	/* A wrong shape is a better reason than too few bytes for it. */
	*view = (struct tensor){.dtype = (enum dtype)input->dtype, .rank = input->rank};
	memcpy(view->dims, input->dims, sizeof(view->dims));
	if (plan_check_input(session->plans[0].plan, index, view, error, size) < 0)
		return -EINVAL;
	return fail(error, size, err, "input %s: %zu bytes are too few for its shape, or the shape is impossible",
		    info.name, input->size);
}

static int give_output(const struct accel_session *session, size_t index, struct accel_tensor *output, char *error,
		       size_t size)
{
	const struct tensor *value = plan_output(session->current, index);
	size_t bytes = tensor_bytes(value);

	if (dtype_is_nested(value->dtype))
		return fail(error, size, -EINVAL, "output %s: is a %s: use accel_session_run_values()",
			    output_name(session, index), dtype_name(value->dtype));
	if (output->data && output->size < bytes)
		return fail(error, size, -ENOSPC, "output %s: needs %zu bytes, has %zu", output_name(session, index),
			    bytes, output->size);
	output->dtype = (int32_t)value->dtype;
	output->rank = value->rank;
	memcpy(output->dims, value->dims, sizeof(output->dims));
	if (output->data)
		memcpy(output->data, value->data, bytes);
	else
		output->data = value->data;
	output->size = bytes;
	return 0;
}

/* ---- running ---- */

static int check_counts(const struct accel_session *session, size_t num_inputs, size_t num_outputs, char *error,
			size_t size)
{
	if (size)
		error[0] = '\0';
	if (num_inputs == accel_session_num_inputs(session) && num_outputs == accel_session_num_outputs(session))
		return 0;
	return fail(error, size, -EINVAL, "%zu inputs and %zu outputs, the model has %zu and %zu", num_inputs,
		    num_outputs, accel_session_num_inputs(session), accel_session_num_outputs(session));
}

static int run_locked(struct accel_session *session, const struct tensor *inputs, char *error, size_t size)
{
	int err = choose_plan(session, inputs, error, size);

	return err ? err : plan_run(session->current, inputs, error, size);
}

int accel_session_run(struct accel_session *session, const struct accel_tensor *inputs, size_t num_inputs,
		      struct accel_tensor *outputs, size_t num_outputs, char *error, size_t error_size)
{
	int err = check_counts(session, num_inputs, num_outputs, error, error_size);
	struct tensor few[16], *views = few;

	if (err)
		return err;
	if (num_inputs > sizeof(few) / sizeof(few[0])) {
		views = calloc(num_inputs, sizeof(*views));
		if (!views)
			return fail(error, error_size, -ENOMEM, "out of memory");
	}
	pthread_mutex_lock(&session->lock);
	for (size_t i = 0; i < num_inputs && !err; i++)
		err = view_input(session, i, &inputs[i], &views[i], error, error_size);
	if (!err)
		err = run_locked(session, views, error, error_size);
	for (size_t i = 0; i < num_outputs && !err; i++)
		err = give_output(session, i, &outputs[i], error, error_size);
	pthread_mutex_unlock(&session->lock);
	if (views != few)
		free(views);
	return err;
}

int accel_session_run_values(struct accel_session *session, const struct accel_value *const *inputs, size_t num_inputs,
			     const struct accel_value **outputs, size_t num_outputs, char *error, size_t error_size)
{
	int err = check_counts(session, num_inputs, num_outputs, error, error_size);
	struct tensor *tensors;

	if (err)
		return err;
	tensors = calloc(num_inputs + 1, sizeof(*tensors));
	if (!tensors)
		return fail(error, error_size, -ENOMEM, "out of memory");
	pthread_mutex_lock(&session->lock);
	if (!session->views)
		session->views = calloc(num_outputs + 1, sizeof(*session->views));
	if (!session->views)
		err = fail(error, error_size, -ENOMEM, "out of memory");
	for (size_t i = 0; i < num_inputs; i++)
		tensors[i] = inputs[i]->tensor;
	if (!err)
		err = run_locked(session, tensors, error, error_size);
	for (size_t i = 0; i < num_outputs && !err; i++) {
		session->views[i].tensor = *plan_output(session->current, i);
		session->views[i].tensor.owned = false;
		outputs[i] = &session->views[i];
	}
	pthread_mutex_unlock(&session->lock);
	free(tensors);
	return err;
}

int accel_session_stats(const struct accel_session *session, struct accel_run_stats *stats)
{
	*stats = *plan_stats(session->current);
	stats->compilations = session->compilations;
	stats->cached = session->cached;
	stats->cache_note = cache_message(session->cache);
	stats->note = session->note;
	return 0;
}

int accel_session_trace(const struct accel_session *session, const char *path)
{
	return session->trace ? runtime_trace_write(session->trace, path) : -ENODATA;
}
