/* SPDX-License-Identifier: MIT */
/*
 * Requests that wait for their turn end at their deadline, whoever waits for them or does not: by a thread that the session has from the
 * first on that had to wait with one.
 */
#include <errno.h>

#include "runtime/monotonic_cond.h"
#include "runtime/request.h"

/* The first in the queue that is late at @now, or NULL; *next: the earliest deadline of those that are not. The lock is held. */
static struct accel_request *find_late(const struct accel_session *session, int64_t now, int64_t *next)
{
	*next = INT64_MAX;
	for (const struct ticket *ticket = session->waiting; ticket; ticket = ticket->next) {
		int64_t deadline = ticket->request ? ticket->request->options.deadline_ns : 0;

		if (deadline && deadline <= now)
			return ticket->request;
		if (deadline && deadline < *next)
			*next = deadline;
	}
	return NULL;
}

static void *watch(void *arg)
{
	struct accel_session *session = arg;

	pthread_mutex_lock(&session->lock);
	while (!session->quit) {
		int64_t next;
		struct accel_request *late = find_late(session, (int64_t)instance_now(), &next);
		const struct timespec until = monotonic_cond_time(next);

		if (late) {
			request_expire(late);
			pthread_mutex_lock(&session->lock);
		} else if (next == INT64_MAX) {
			pthread_cond_wait(&session->deadline, &session->lock);
		} else {
			pthread_cond_timedwait(&session->deadline, &session->lock, &until);
		}
	}
	pthread_mutex_unlock(&session->lock);
	return NULL;
}

int deadline_watch(struct accel_session *session)
{
	int err = session->has_watch ? 0 : pthread_create(&session->watch, NULL, watch, session);

	session->has_watch = !err;
	pthread_cond_signal(&session->deadline);
	return err ? -ENOMEM : 0;
}
