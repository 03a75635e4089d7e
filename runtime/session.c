/* SPDX-License-Identifier: MIT */
/* A session's life, what its model is, and the figures of its last run. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/fail.h"
#include "runtime/monotonic_cond.h"
#include "runtime/session.h"
#include "runtime/session_internal.h"

#define DEFAULT_DEPTH 4
#define DEPTH_A_DEVICE 2

/* ---- devices ---- */

/* Where in @list the next name begins: behind a comma that a name follows, not an option. NULL: @list is the last. */
static const char *next_name(const char *list)
{
	static const char *const starts[] = {"sim:", "pci:", "/", "accel"};

	for (const char *comma = strchr(list, ','); comma; comma = strchr(comma + 1, ','))
		for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
			if (!strncmp(comma + 1, starts[i], strlen(starts[i])))
				return comma + 1;
	return NULL;
}

static int open_device(struct accel_session *session, const char *text, size_t length, char *error, size_t size)
{
	size_t index = session->host.num_devices;
	struct runtime_device **device = &session->opened[index];
	char name[256];
	int err;

	if (index == ACCEL_MAX_DEVICES)
		return fail(error, size, -EINVAL, "more than %d devices", ACCEL_MAX_DEVICES);
	snprintf(name, sizeof(name), "%s%.*s", strncmp(text, "accel", 5) ? "" : "/dev/accel/", (int)length, text);
	err = runtime_device_open(name, session->options.threads, device, error, size);
	if (err)
		return err;
	session->host.num_devices++;
	session->devices[index].device = *device;
	session->devices[index].stats.name = runtime_device_name(*device);
	if (strcmp(runtime_device_target(*device), runtime_device_target(session->opened[0])))
		return fail(error, size, -EINVAL,
			    "device %s is of target %s, device %s of target %s: one model, one target", name,
			    runtime_device_target(*device), runtime_device_name(session->opened[0]),
			    runtime_device_target(session->opened[0]));
	return 0;
}

static int open_devices(struct accel_session *session, const char *list, char *error, size_t size)
{
	const char *next;
	int err = 0;

	if (!strcmp(list, "cpu"))
		return 0;
	for (; list && !err; list = next) {
		next = next_name(list);
		err = open_device(session, list, next ? (size_t)(next - 1 - list) : strlen(list), error, size);
	}
	return err;
}

static void close_devices(struct accel_session *session)
{
	for (size_t d = 0; d < session->host.num_devices; d++) {
		for (size_t i = 0; i < session->devices[d].num_idle; i++)
			runtime_lane_destroy(session->devices[d].idle[i]);
		runtime_device_close(session->opened[d]);
	}
}

/* ---- life ---- */

static int copy_text(const char *from, char **to)
{
	*to = from ? strdup(from) : NULL;
	return from && !*to ? -ENOMEM : 0;
}

static int copy_texts(struct accel_session *session, const char *path)
{
	int err = copy_text(path, &session->path);

	if (!err)
		err = copy_text(session->options.calibration, &session->calibration);
	if (!err)
		err = copy_text(session->options.disable, &session->disable);
	return err ? err : copy_text(session->options.calibration_method, &session->method);
}

static struct accel_session *make_session(const struct accel_session_options *options)
{
	struct accel_session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->options = options ? *options : (struct accel_session_options){0};
	if (!s->options.device)
		s->options.device = "sim:";
	s->waiting_end = &s->waiting;
	s->ready_end = &s->ready;
	pthread_mutex_init(&s->compiling, NULL);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->work, NULL);
	pthread_cond_init(&s->room, NULL);
	pthread_cond_init(&s->released, NULL);
	monotonic_cond_init(&s->deadline);
	return s;
}

static int open_cache(struct accel_session *session, char *error, size_t size)
{
	int err = cache_create(session->options.cache, session->options.cache_bytes, &session->cache);

	return err == -EINVAL ? fail(error, size, err, "ACCEL_CACHE_SIZE: '%s' is no size", getenv("ACCEL_CACHE_SIZE"))
	       : err          ? fail(error, size, err, "cache: %s", strerror(-err))
			      : 0;
}

/* How many at a time; what all plans share. */
static int set_up(struct accel_session *session, char *error, size_t size)
{
	struct accel_session_options *options = &session->options;
	unsigned int devices = (unsigned int)session->host.num_devices * DEPTH_A_DEVICE;

	if (options->depth > ACCEL_MAX_DEPTH)
		return fail(error, size, -EINVAL, "depth %u, at most %d are possible", options->depth, ACCEL_MAX_DEPTH);
	if (!options->depth)
		options->depth = devices > DEFAULT_DEPTH ? devices : DEFAULT_DEPTH;
	if (options->batch > ACCEL_MAX_BATCH)
		return fail(error, size, -EINVAL, "batches of %u, at most %d are possible", options->batch,
			    ACCEL_MAX_BATCH);
	if (!options->queue)
		options->queue = options->depth * (options->batch ? options->batch : 1);
	session->host.devices = session->opened;
	session->host.trace = options->trace;
	session->cpu_host = (struct plan_host){.pool = session->host.pool, .trace = options->trace};
	return 0;
}

int accel_session_create(const char *path, const struct accel_session_options *options, struct accel_session **session,
			 char *error, size_t error_size)
{
	struct accel_session *s = make_session(options);
	int err;

	*session = NULL;
	if (error_size)
		error[0] = '\0';
	if (!s)
		return fail(error, error_size, -ENOMEM, "out of memory");
	err = copy_texts(s, path);
	if (err)
		fail(error, error_size, err, "out of memory");
	if (!err) {
		err = cpu_pool_create(s->options.threads, &s->host.pool);
		if (err)
			fail(error, error_size, err, "threads: %s", strerror(-err));
	}
	if (!err)
		err = open_devices(s, s->options.device, error, error_size);
	if (!err)
		err = set_up(s, error, error_size);
	if (!err)
		err = open_cache(s, error, error_size);
	if (!err)
		err = specialise_first(s, error, error_size);
	if (!err)
		err = specialise_check_batch(s, error, error_size);
	if (!err) {
		err = request_prepare(s);
		if (err)
			fail(error, error_size, err, "out of memory");
	}
	if (err) {
		accel_session_destroy(s);
		return err;
	}
	s->options.progress = NULL; /* its context may go */
	*session = s;
	return 0;
}

void accel_session_destroy(struct accel_session *session)
{
	if (!session)
		return;
	request_finish(session);
	specialise_finish(session);
	close_devices(session);
	cpu_pool_destroy(session->host.pool);
	cache_destroy(session->cache);
	free(session->path);
	free(session->calibration);
	free(session->disable);
	free(session->method);
	pthread_cond_destroy(&session->work);
	pthread_cond_destroy(&session->room);
	pthread_cond_destroy(&session->released);
	pthread_cond_destroy(&session->deadline);
	pthread_mutex_destroy(&session->lock);
	pthread_mutex_destroy(&session->compiling);
	free(session);
}

/* ---- inputs and outputs ---- */

/* What inputs and outputs are called is the same in all plans. */
static const struct axm *package_of(const struct accel_session *session)
{
	return &session->plans[0]->plan->axm;
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

const char *session_output_name(const struct accel_session *session, size_t index)
{
	const struct axm *axm = package_of(session);

	return axm_string(axm, axm->values[axm->ids[axm->model->outputs_first + index]].name);
}

/* ---- figures ---- */

int accel_session_stats(const struct accel_session *session, struct accel_run_stats *stats)
{
	/* The lock changes, what it guards does not. */
	struct accel_session *s = (struct accel_session *)(uintptr_t)session;

	pthread_mutex_lock(&s->lock);
	*stats = s->last_stats;
	stats->compilations = s->compilations;
	stats->cached = s->cached;
	stats->cache_note = cache_message(s->cache);
	stats->note = s->notes.precision;
	stats->opset_note = s->notes.opset;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

int accel_session_trace(const struct accel_session *session, const char *path)
{
	return session->last && session->last->trace
		       ? runtime_trace_write(session->last->trace, &session->last->stats, path)
		       : -ENODATA;
}

const struct axl_trace_record *session_records(const struct accel_session *session, uint32_t region, size_t *count)
{
	*count = 0;
	return session->last && session->last->trace ? runtime_trace_records(session->last->trace, region, count)
						     : NULL;
}

size_t accel_session_num_devices(const struct accel_session *session)
{
	return session->host.num_devices;
}

struct accel_device *accel_session_device(struct accel_session *session, size_t index)
{
	return index < session->host.num_devices ? runtime_device_handle(session->opened[index]) : NULL;
}

int accel_session_device_stats(struct accel_session *session, size_t index, struct accel_device_stats *stats)
{
	if (index >= session->host.num_devices)
		return -EINVAL;
	pthread_mutex_lock(&session->lock);
	*stats = session->devices[index].stats;
	pthread_mutex_unlock(&session->lock);
	return 0;
}
