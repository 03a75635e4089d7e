/* SPDX-License-Identifier: MIT */
/* See gate.h. */
#include "tests/unit/runtime/gate.h"

void gate_pass(void *context, struct accel_request *request, int result)
{
	struct gate *gate = context;

	(void)request;
	pthread_mutex_lock(&gate->lock);
	gate->calls++;
	gate->result = result;
	gate->reached = true;
	pthread_cond_broadcast(&gate->changed);
	while (!gate->open)
		pthread_cond_wait(&gate->changed, &gate->lock);
	pthread_mutex_unlock(&gate->lock);
}

void gate_init(struct gate *gate)
{
	*gate = (struct gate){0};
	pthread_mutex_init(&gate->lock, NULL);
	pthread_cond_init(&gate->changed, NULL);
}

void gate_await(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	while (!gate->reached)
		pthread_cond_wait(&gate->changed, &gate->lock);
	pthread_mutex_unlock(&gate->lock);
}

void gate_open(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	gate->open = true;
	pthread_cond_broadcast(&gate->changed);
	pthread_mutex_unlock(&gate->lock);
}

void gate_finish(struct gate *gate)
{
	pthread_mutex_destroy(&gate->lock);
	pthread_cond_destroy(&gate->changed);
}
