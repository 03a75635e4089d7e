/* SPDX-License-Identifier: MIT */
/*
 * Devices that went and came back.
 *
 * Who begins a run looks for what is gone, not sooner than some time after it was looked for last, twice as long each time; a session
 * whose devices are all there reads one number for it. When nobody has anything of the device any more, it is opened again and the
 * programs of all plans are uploaded; instances get their launches when they are placed there next. All of that is done by the thread of
 * one request, under the compiling lock, while others run on what devices there are.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/fail.h"
#include "runtime/session_internal.h"

/* Between two tries; a hot-plugged card takes a second or so to come up, one that was taken out for good should cost nothing. */
#define SHORTEST_NS (10 * UINT64_C(1000000))
#define LONGEST_NS (5 * UINT64_C(1000000000))

static void try_later(struct session_device *device)
{
	device->try_ns = instance_now() + device->wait_ns;
	device->wait_ns = device->wait_ns < LONGEST_NS / 2 ? 2 * device->wait_ns : LONGEST_NS;
}

void reattach_note_gone(struct accel_session *session, struct session_device *device)
{
	size_t index = (size_t)(device - session->devices);

	if (device->stats.gone)
		return;
	device->stats.gone = true;
	session->gone++;
	/* One that goes again without having done anything good is not tried more often for that. */
	if (!device->wait_ns || device->stats.requests > device->served)
		device->wait_ns = SHORTEST_NS;
	device->served = device->stats.requests;
	try_later(device);
	for (struct accel_binding *b = session->bindings; b; b = b->next)
		if (b->device == index && b->local)
			atomic_store(&b->lost, true);
}

struct session_device *reattach_due(struct accel_session *session)
{
	uint64_t now;

	if (!session->gone || session->trying)
		return NULL;
	now = instance_now();
	for (size_t d = 0; d < session->host.num_devices; d++) {
		struct session_device *device = &session->devices[d];

		if (!device->stats.gone || device->stats.under_way || device->try_ns > now)
			continue;
		session->trying = true;
		return device;
	}
	return NULL;
}

/* What the session has on the device. Nobody uses it: the device is gone and nothing is under way there. The compiling lock is held. */
static void detach(struct accel_session *session, size_t index)
{
	struct session_device *device = &session->devices[index];

	for (size_t i = 0; i < session->num_plans; i++) {
		struct specialisation *s = session->plans[i];

		if (s->cpu)
			continue;
		for (struct instance *instance = s->all; instance; instance = instance->sibling)
			instance_displace(instance, index);
		plan_drop(s->plan, index);
	}
	while (device->num_idle)
		runtime_lane_destroy(device->idle[--device->num_idle]);
}

static int attach(struct accel_session *session, size_t index, char *error, size_t size)
{
	int err;

	detach(session, index);
	err = runtime_device_reopen(session->opened[index], error, size);
	for (size_t i = 0; i < session->num_plans && !err; i++)
		if (!session->plans[i]->cpu)
			err = plan_upload(session->plans[i]->plan, index, error, size);
	if (err)
		detach(session, index);
	return err;
}

/* It begins with as much as who has got least: not with all requests until it has caught up. */
static void use_again(struct accel_session *session, struct session_device *device)
{
	uint64_t least = UINT64_MAX;

	for (size_t d = 0; d < session->host.num_devices; d++)
		if (!session->devices[d].stats.gone && session->devices[d].committed < least)
			least = session->devices[d].committed;
	if (least != UINT64_MAX && device->committed < least)
		device->committed = least;
	device->stats.gone = false;
	device->stats.returns++;
	session->gone--;
}

void reattach_try(struct accel_session *session, struct session_device *device)
{
	char why[sizeof(device->stats.why)] = "";
	/* Who compiles has the lock for long; this request has other things to do. */
	bool busy = pthread_mutex_trylock(&session->compiling);
	int err = -EBUSY;

	if (!busy) {
		err = attach(session, (size_t)(device - session->devices), why, sizeof(why));
		pthread_mutex_unlock(&session->compiling);
	}
	pthread_mutex_lock(&session->lock);
	session->trying = false;
	if (busy) {
		device->try_ns = instance_now() + SHORTEST_NS;
	} else {
		memcpy(device->stats.why, why, sizeof(why));
		if (err)
			try_later(device);
		else
			use_again(session, device);
	}
	pthread_cond_broadcast(&session->released);
	pthread_mutex_unlock(&session->lock);
}

int reattach_explain(const struct accel_session *session, char *error, size_t size)
{
	for (size_t d = 0; d < session->host.num_devices; d++) {
		const struct accel_device_stats *stats = &session->devices[d].stats;

		if (stats->why[0])
			return fail(error, size, -ENODEV, "every device of the session is gone: %s: %s", stats->name,
				    stats->why);
	}
	return fail(error, size, -ENODEV, "every device of the session is gone");
}
