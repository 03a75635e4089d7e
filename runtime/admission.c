/* SPDX-License-Identifier: MIT */
/* Whose turn it is: at most options.depth requests run, the others wait in the order in which they came. */
#include <errno.h>

#include "runtime/monotonic_cond.h"
#include "runtime/session_internal.h"

void admission_give_turns(struct accel_session *session)
{
	while (session->waiting && session->running < session->options.depth) {
		struct ticket *ticket = session->waiting;

		session->waiting = ticket->next;
		if (!session->waiting)
			session->waiting_end = &session->waiting;
		session->running++;
		ticket->admitted = true;
		ticket->next = NULL;
		if (ticket->request) {
			*session->ready_end = ticket;
			session->ready_end = &ticket->next;
			pthread_cond_signal(&session->work);
		} else {
			pthread_cond_signal(&ticket->turn);
		}
	}
}

void admission_queue(struct accel_session *session, struct ticket *ticket)
{
	ticket->admitted = false;
	ticket->next = NULL;
	*session->waiting_end = ticket;
	session->waiting_end = &ticket->next;
	admission_give_turns(session);
}

bool admission_withdraw(struct accel_session *session, struct ticket *ticket)
{
	struct ticket **link = &session->waiting;

	while (*link && *link != ticket)
		link = &(*link)->next;
	if (!*link)
		return false;
	*link = ticket->next;
	if (!*link)
		session->waiting_end = link;
	return true;
}

static int wait_for_turn(struct accel_session *session, int64_t deadline_ns)
{
	const struct timespec until = monotonic_cond_time(deadline_ns);
	struct ticket ticket = {0};
	int late = 0;

	monotonic_cond_init(&ticket.turn);
	admission_queue(session, &ticket);
	while (!ticket.admitted && !late)
		late = deadline_ns == INT64_MAX ? pthread_cond_wait(&ticket.turn, &session->lock)
						: pthread_cond_timedwait(&ticket.turn, &session->lock, &until);
	if (!ticket.admitted)
		admission_withdraw(session, &ticket);
	pthread_cond_destroy(&ticket.turn);
	return ticket.admitted ? 0 : -ETIMEDOUT;
}

int admission_enter(struct accel_session *session, int64_t deadline_ns)
{
	int err = 0;

	pthread_mutex_lock(&session->lock);
	if (!session->waiting && session->running < session->options.depth)
		session->running++;
	else
		err = wait_for_turn(session, deadline_ns);
	pthread_mutex_unlock(&session->lock);
	return err;
}

void admission_leave(struct accel_session *session)
{
	pthread_mutex_lock(&session->lock);
	session->running--;
	admission_give_turns(session);
	pthread_mutex_unlock(&session->lock);
}
