/* SPDX-License-Identifier: MIT */
/* Plans for the shapes that a session meets: found among those that are there, else compiled. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/package/axm.h"
#include "runtime/fail.h"
#include "runtime/session_internal.h"

/* ---- making plans ---- */

static void destroy_specialisation(struct specialisation *s)
{
	if (!s)
		return;
	for (struct instance *instance = s->idle, *next; instance; instance = next) {
		next = instance->next;
		instance_destroy(instance);
	}
	plan_destroy(s->plan);
	free(s);
}

/*
 * Take out the plan that was used longest ago, when there is no room; not the first, whose names the caller may have, nor one that is
 * in use or whose figures are the last. The lock is held.
 */
static struct specialisation *make_room(struct accel_session *session)
{
	struct specialisation *s;
	size_t oldest = 0;

	if (session->num_plans < ACCEL_MAX_SPECIALISATIONS)
		return NULL;
	for (size_t i = 1; i < session->num_plans; i++) {
		s = session->plans[i];
		if (!s->users && !(session->last && session->last->plan == s->plan) &&
		    (!oldest || s->used < session->plans[oldest]->used))
			oldest = i;
	}
	if (!oldest)
		return NULL;
	s = session->plans[oldest];
	session->plans[oldest] = session->plans[--session->num_plans];
	return s;
}

static int add_plan(struct accel_session *session, bool cpu, struct axm *axm, uint8_t *bytes, char *error, size_t size)
{
	struct specialisation *s = calloc(1, sizeof(*s)), *old;
	int err;

	if (!s) {
		axm_close(axm);
		free(bytes);
		return fail(error, size, -ENOMEM, "out of memory");
	}
	err = plan_create(cpu ? &session->cpu_host : &session->host, axm, bytes, &s->plan, error, size);
	if (err) {
		free(s);
		return err;
	}
	s->cpu = cpu;
	s->limit = session->options.depth;
	pthread_mutex_lock(&session->lock);
	old = make_room(session);
	s->used = ++session->clock;
	session->plans[session->num_plans++] = s;
	pthread_mutex_unlock(&session->lock);
	destroy_specialisation(old);
	return 0;
}

/* Compile the ONNX file for @dims. The compiling lock is held, or the session is not there yet. */
static int compile_plan(struct accel_session *session, bool cpu, const struct compile_dim *dims, size_t num_dims,
			char *error, size_t size)
{
	struct compile_options compile = {
		.target = cpu || !session->host.num_devices ? "cpu" : runtime_device_target(session->opened[0]),
		.precision = (enum compile_precision)session->options.precision,
		.num_dims = num_dims,
		.dims = dims,
		.calibration = session->calibration,
		.method = session->method,
		.seed = session->options.seed,
		.threads = session->options.threads,
		.disable = session->disable,
		/* Of the first; the CPU's, should the device fail, would begin at 0 again. */
		.progress = session->num_plans ? NULL : session->options.progress,
		.progress_context = session->options.progress_context,
	};
	struct cache_package package;
	int err = cache_compile(session->cache, session->path, &compile, &package, error, size);

	if (err)
		return err;
	pthread_mutex_lock(&session->lock);
	session->compilations += package.compiled;
	session->cached += !package.compiled;
	if (!cpu)
		session->notes = package.notes;
	pthread_mutex_unlock(&session->lock);
	return add_plan(session, cpu, &package.axm, package.bytes, error, size);
}

static bool is_package(const char *path)
{
	size_t length = strlen(path);

	return length >= 4 && !strcmp(path + length - 4, ".axm");
}

/* The device has no memory for the model: then all of it runs on the CPU, if that is what the caller wants. */
static int compile_first(struct accel_session *session, const struct compile_dim *dims, char *error, size_t size)
{
	bool fallback = session->options.on_fault == ACCEL_FAULT_CPU && session->host.num_devices;
	int err = compile_plan(session, false, dims, session->options.num_dims, error, size);

	if (!fallback || (err && err != -ENOSPC))
		return err;
	session->cpu_only = err == -ENOSPC;
	return compile_plan(session, true, dims, session->options.num_dims, error, size);
}

int specialise_first(struct accel_session *session, char *error, size_t size)
{
	const struct accel_session_options *options = &session->options;
	struct compile_dim *dims;
	struct axm axm;
	int err;

	if (is_package(session->path)) {
		if (options->on_fault == ACCEL_FAULT_CPU && session->host.num_devices)
			return fail(error, size, -ENOTSUP,
				    "%s: what is compiled for a device can not run on the CPU when that fails; give "
				    "the ONNX file",
				    session->path);
		err = axm_open(session->path, &axm, error, size);
		return err ? err : add_plan(session, false, &axm, NULL, error, size);
	}
	dims = calloc(options->num_dims + 1, sizeof(*dims));
	if (!dims)
		return fail(error, size, -ENOMEM, "out of memory");
	for (size_t i = 0; i < options->num_dims; i++)
		dims[i] = (struct compile_dim){options->dim_names[i], options->dim_sizes[i]};
	err = compile_first(session, dims, error, size);
	free(dims);
	return err;
}

int specialise_check_batch(struct accel_session *session, char *error, size_t size)
{
	if (session->options.batch < 2)
		return 0;
	if (is_package(session->path))
		return fail(error, size, -ENOTSUP,
			    "%s was compiled for one number of rows: requests can not be joined; give the ONNX file",
			    session->path);
	return compile_check_rows(session->path, error, size);
}

void specialise_finish(struct accel_session *session)
{
	for (size_t i = 0; i < session->num_plans; i++)
		destroy_specialisation(session->plans[i]);
}

/* The sizes that @inputs give to the symbolic dimensions. One name has one size. */
static int bind_symbols(const struct axm *axm, const struct tensor *inputs, struct compile_dim *dims, size_t *count,
			char *error, size_t size)
{
	*count = 0;
	for (uint32_t i = 0; i < axm->num_dims; i++) {
		const struct axm_dim *dim = &axm->dims[i];
		const char *symbol = axm_string(axm, dim->symbol);
		size_t known = 0;
		int64_t length = -1;

		for (uint32_t k = 0; k < axm->model->num_inputs; k++)
			if (axm->ids[axm->model->inputs_first + k] == dim->value)
				length = inputs[k].dims[dim->dimension];
		if (length < 0) /* of an output: follows */
			continue;
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

/* 0: every input fits @plan; SPECIALISE_OTHER_SIZES: only symbolic dimensions do not. */
static int check_inputs(const struct plan *plan, const struct tensor *inputs, char *error, size_t size)
{
	int other = 0;

	for (size_t i = 0; i < plan->axm.model->num_inputs; i++) {
		int fit = plan_check_input(plan, i, &inputs[i], error, size);

		if (fit < 0)
			return fit;
		other |= fit;
	}
	return other ? SPECIALISE_OTHER_SIZES : 0;
}

int specialise_find(struct accel_session *session, const struct tensor *inputs, bool cpu, struct specialisation **plan,
		    char *error, size_t size)
{
	for (size_t i = 0; i < session->num_plans; i++) {
		int fit = check_inputs(session->plans[i]->plan, inputs, error, size);

		if (fit < 0)
			return fit;
		if (fit || session->plans[i]->cpu != cpu)
			continue;
		*plan = session->plans[i];
		(*plan)->used = ++session->clock;
		return 0;
	}
	return SPECIALISE_OTHER_SIZES;
}

/* Names come from the first plan, which stays. */
int specialise_make(struct accel_session *session, const struct tensor *inputs, bool cpu, char *error, size_t size)
{
	const struct axm *axm = &session->plans[0]->plan->axm;
	struct specialisation *known;
	struct compile_dim *dims;
	size_t count;
	int err;

	if (is_package(session->path))
		return fail(error, size, -EINVAL,
			    "%s was compiled for other sizes of its symbolic dimensions; give the ONNX file to compile "
			    "for these",
			    session->path);
	dims = calloc(axm->num_dims + 1, sizeof(*dims));
	if (!dims)
		return fail(error, size, -ENOMEM, "out of memory");
	pthread_mutex_lock(&session->compiling);
	pthread_mutex_lock(&session->lock);
	err = specialise_find(session, inputs, cpu, &known, error, size);
	pthread_mutex_unlock(&session->lock);
	if (err == SPECIALISE_OTHER_SIZES) {
		err = bind_symbols(axm, inputs, dims, &count, error, size);
		if (!err)
			err = compile_plan(session, cpu, dims, count, error, size);
	}
	pthread_mutex_unlock(&session->compiling);
	free(dims);
	return err;
}
