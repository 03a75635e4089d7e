/* SPDX-License-Identifier: MIT */
/*
 * Plans for the shapes that a session meets, and what a run claims of them: an instance, a device, a lane.
 *
 * What is there already is claimed under one short hold of the session's lock, without allocating; compiling, and making instances and
 * lanes, happens outside of it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/package/axm.h"
#include "runtime/fail.h"
#include "runtime/session_internal.h"

#define OTHER_SIZES 1

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
		memcpy(session->note, package.note, sizeof(session->note));
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

/* 0: every input fits @plan; OTHER_SIZES: only symbolic dimensions do not. */
static int check_inputs(const struct plan *plan, const struct tensor *inputs, char *error, size_t size)
{
	int other = 0;

	for (size_t i = 0; i < plan->axm.model->num_inputs; i++) {
		int fit = plan_check_input(plan, i, &inputs[i], error, size);

		if (fit < 0)
			return fit;
		other |= fit;
	}
	return other ? OTHER_SIZES : 0;
}

/* 0, OTHER_SIZES or -EINVAL. The lock is held. */
static int find_plan(struct accel_session *session, const struct tensor *inputs, bool cpu, struct specialisation **plan,
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
	return OTHER_SIZES;
}

/* Compile for the shapes of @inputs, unless somebody else just did. Names come from the first plan, which stays. */
static int specialise(struct accel_session *session, const struct tensor *inputs, bool cpu, char *error, size_t size)
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
	err = find_plan(session, inputs, cpu, &known, error, size);
	pthread_mutex_unlock(&session->lock);
	if (err == OTHER_SIZES) {
		err = bind_symbols(axm, inputs, dims, &count, error, size);
		if (!err)
			err = compile_plan(session, cpu, dims, count, error, size);
	}
	pthread_mutex_unlock(&session->compiling);
	free(dims);
	return err;
}

/* ---- claims ---- */

/*
 * The one that has the least to do: the one that was given less so far, so that both get the same in device cycles, unless it is behind
 * with its requests by more than half of those that there can be. Then it is slower than it should be.
 */
static bool has_less(const struct accel_session *session, const struct session_device *a,
		     const struct session_device *b)
{
	unsigned int behind = session->options.depth / 2;

	if (a->stats.under_way > b->stats.under_way + behind || b->stats.under_way > a->stats.under_way + behind)
		return a->stats.under_way < b->stats.under_way;
	return a->committed < b->committed;
}

static struct session_device *choose_device(struct accel_session *session)
{
	struct session_device *best = NULL;

	for (size_t i = 0; i < session->host.num_devices; i++) {
		struct session_device *device = &session->devices[i];

		if (!device->stats.gone && (!best || has_less(session, device, best)))
			best = device;
	}
	return best;
}

/* One that has its launches on @device already, if there is one; else any; else NULL. The lock is held. */
static struct instance *take_idle(struct specialisation *s, size_t device)
{
	struct instance **link = &s->idle, *instance;

	for (struct instance **at = &s->idle; *at; at = &(*at)->next)
		if ((*at)->placed[device]) {
			link = at;
			break;
		}
	instance = *link;
	if (instance)
		*link = instance->next;
	return instance;
}

/* What is there, and a number for what has to be made. The lock is held. */
static int take(struct accel_session *session, const struct tensor *inputs, bool cpu, struct claim *claim, char *error,
		size_t size)
{
	struct specialisation *s;
	int err = find_plan(session, inputs, cpu, &claim->plan, error, size);

	if (err)
		return err;
	s = claim->plan;
	s->users++;
	if (s->plan->launches) {
		claim->device = choose_device(session);
		if (!claim->device) {
			s->users--;
			return fail(error, size, -ENODEV, "every device of the session is gone");
		}
		claim->device->stats.under_way++;
		for (uint32_t r = 0; r < s->plan->axm.num_regions; r++)
			claim->device->committed += s->plan->axm.regions[r].device ? s->plan->axm.regions[r].cycles : 0;
		if (claim->device->num_idle)
			claim->lane = claim->device->idle[--claim->device->num_idle];
	}
	while (!(claim->instance = take_idle(s, claim->device ? (size_t)(claim->device - session->devices) : 0)) &&
	       s->instances >= s->limit)
		pthread_cond_wait(&session->released, &session->lock);
	s->instances += !claim->instance;
	return 0;
}

/*
 * Give the claimed instance its launches, or make one. One at a time: of several that share the last memory none might get enough. Without
 * an instance after an error.
 */
static int place_instance(struct accel_session *session, struct claim *claim, char *error, size_t size)
{
	size_t device = claim->device ? (size_t)(claim->device - session->devices) : 0;
	int err = 0;

	if (claim->instance && (!claim->device || claim->instance->placed[device])) {
		claim->instance->device = device;
		return 0;
	}
	pthread_mutex_lock(&session->compiling);
	if (!claim->instance)
		err = instance_create(claim->plan->plan, &claim->instance, error, size);
	if (!err && claim->device)
		err = instance_place(claim->instance, device, error, size);
	if (err) {
		pthread_mutex_lock(&session->lock);
		if (session->last == claim->instance)
			session->last = NULL;
		pthread_mutex_unlock(&session->lock);
		instance_destroy(claim->instance);
		claim->instance = NULL;
	}
	pthread_mutex_unlock(&session->compiling);
	return err;
}

/* Make what was not there. */
static int complete(struct accel_session *session, struct claim *claim, char *error, size_t size)
{
	const struct plan *plan = claim->plan->plan;
	int err = place_instance(session, claim, error, size);

	if (err || !claim->device)
		return err;
	if (!claim->lane)
		err = runtime_lane_create(claim->device->device, &claim->lane);
	if (!err)
		err = runtime_lane_fit(claim->lane, plan->launches, plan->longest);
	return err ? fail(error, size, err, "device %s: no queue: %s", claim->device->stats.name, strerror(-err)) : 0;
}

/* Give @claim back but for its instance. The lock is held. */
static void give_rest(struct claim *claim)
{
	if (claim->lane)
		claim->device->idle[claim->device->num_idle++] = claim->lane;
	if (claim->device)
		claim->device->stats.under_way--;
	claim->plan->users--;
}

/*
 * What was wanted could not be made. True: it is worth another look. There are other instances, one of which will do when there is no
 * room for this one; or the device is gone, and another one is not.
 */
static bool withdraw(struct accel_session *session, struct claim *claim, int err)
{
	struct specialisation *s = claim->plan;
	bool again = err == -ENODEV;

	pthread_mutex_lock(&session->lock);
	if (claim->instance) {
		claim->instance->next = s->idle;
		s->idle = claim->instance;
	} else if (--s->instances && (err == -ENOSPC || err == -ENOMEM)) {
		s->limit = s->instances;
		again = true;
	}
	if (err == -ENODEV)
		claim->device->stats.gone = true;
	give_rest(claim);
	pthread_cond_broadcast(&session->released);
	pthread_mutex_unlock(&session->lock);
	return again;
}

int claim_take(struct accel_session *session, const struct tensor *inputs, bool cpu, struct claim *claim, char *error,
	       size_t size)
{
	for (;;) {
		int err;

		*claim = (struct claim){0};
		pthread_mutex_lock(&session->lock);
		err = take(session, inputs, cpu, claim, error, size);
		pthread_mutex_unlock(&session->lock);
		if (!err) {
			err = complete(session, claim, error, size);
			if (!err)
				return 0;
			if (withdraw(session, claim, err))
				continue;
		} else if (err == OTHER_SIZES) {
			err = specialise(session, inputs, cpu, error, size);
			if (!err)
				continue;
		}
		*claim = (struct claim){0};
		return err;
	}
}

void claim_give(struct accel_session *session, struct claim *claim, int result)
{
	struct instance *instance = claim->instance;

	if (!claim->plan)
		return;
	pthread_mutex_lock(&session->lock);
	instance->next = claim->plan->idle;
	claim->plan->idle = instance;
	if (!result) {
		session->last = instance;
		session->last_stats = instance->stats;
		if (claim->device) {
			claim->device->stats.requests++;
			claim->device->stats.cycles += instance->stats.cycles;
		}
	}
	give_rest(claim);
	pthread_cond_broadcast(&session->released);
	pthread_mutex_unlock(&session->lock);
	*claim = (struct claim){0};
}
