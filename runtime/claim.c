/* SPDX-License-Identifier: MIT */
/*
 * What a run has while it runs: an instance of the plan for its shapes, a device, a lane.
 *
 * What is there already is claimed under one short hold of the session's lock, without allocating; making instances and lanes happens
 * outside of it.
 */
#include <errno.h>
#include <string.h>

#include "runtime/fail.h"
#include "runtime/in_place.h"
#include "runtime/session_internal.h"

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

static struct session_device *choose_device(struct accel_session *session, size_t wanted)
{
	struct session_device *best = NULL;

	if (wanted != CLAIM_ANY_DEVICE && !session->devices[wanted].stats.gone)
		return &session->devices[wanted];

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
static int take(struct accel_session *session, const struct tensor *inputs, bool cpu, size_t device,
		struct claim *claim, char *error, size_t size)
{
	struct specialisation *s;
	int err = specialise_find(session, inputs, cpu, &claim->plan, error, size);

	if (err)
		return err;
	s = claim->plan;
	s->users++;
	if (s->plan->launches) {
		while (!(claim->device = choose_device(session, device)) && session->trying)
			pthread_cond_wait(&session->released, &session->lock);
		if (!claim->device) {
			s->users--;
			return reattach_explain(session, error, size);
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

static void forget(struct specialisation *s, struct instance *instance)
{
	struct instance **link = &s->all;

	while (*link != instance)
		link = &(*link)->sibling;
	*link = instance->sibling;
	instance_destroy(instance);
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
	if (!claim->instance) {
		err = instance_create(claim->plan->plan, &claim->instance, error, size);
		if (!err) {
			claim->instance->sibling = claim->plan->all;
			claim->plan->all = claim->instance;
		}
	}
	if (!err && claim->device)
		err = instance_place(claim->instance, device, error, size);
	if (err && claim->instance) {
		pthread_mutex_lock(&session->lock);
		if (session->last == claim->instance)
			session->last = NULL;
		pthread_mutex_unlock(&session->lock);
		forget(claim->plan, claim->instance);
		claim->instance = NULL;
	}
	pthread_mutex_unlock(&session->compiling);
	return err;
}

/* Make what was not there. @bound: the device's regions may have to wait for memory of the host. */
static int complete(struct accel_session *session, struct claim *claim, bool bound, char *error, size_t size)
{
	const struct plan *plan = claim->plan->plan;
	uint64_t longest = plan->longest;
	int err = place_instance(session, claim, error, size);

	if (err || !claim->device)
		return err;
	if (!claim->lane)
		err = runtime_lane_create(claim->device->device, &claim->lane);
	if (!err)
		err = runtime_lane_fit(claim->lane, plan->launches,
				       bound ? runtime_device_host_cycles(claim->device->device, longest) : longest);
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
		reattach_note_gone(session, claim->device);
	else if (err == -EIO && claim->device)
		claim->device->stats.faults++;
	give_rest(claim);
	pthread_cond_broadcast(&session->released);
	pthread_mutex_unlock(&session->lock);
	return again;
}

int claim_take(struct accel_session *session, const struct tensor *inputs, bool cpu, size_t device, struct claim *claim,
	       char *error, size_t size)
{
	for (;;) {
		struct session_device *due;
		int err = 0;

		*claim = (struct claim){0};
		pthread_mutex_lock(&session->lock);
		due = cpu ? NULL : reattach_due(session);
		if (!due)
			err = take(session, inputs, cpu, device, claim, error, size);
		pthread_mutex_unlock(&session->lock);
		if (due) {
			reattach_try(session, due);
			continue;
		}
		if (!err) {
			err = complete(session, claim, device != CLAIM_ANY_DEVICE, error, size);
			if (!err)
				return 0;
			if (withdraw(session, claim, err))
				continue;
		} else if (err == SPECIALISE_OTHER_SIZES) {
			err = specialise_make(session, inputs, cpu, error, size);
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
	in_place_end(instance);
	pthread_mutex_lock(&session->lock);
	instance->next = claim->plan->idle;
	claim->plan->idle = instance;
	if (!result) {
		session->last = instance;
		session->last_stats = instance->stats;
		if (claim->device) {
			claim->device->stats.requests += claim->requests ? claim->requests : 1;
			claim->device->stats.cycles += instance->stats.cycles;
		}
	}
	give_rest(claim);
	pthread_cond_broadcast(&session->released);
	pthread_mutex_unlock(&session->lock);
	*claim = (struct claim){0};
}
