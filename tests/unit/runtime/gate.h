/* SPDX-License-Identifier: MIT */
/* A callback for requests that holds the thread that called it until somebody lets it go. */
#ifndef TESTS_UNIT_RUNTIME_GATE_H
#define TESTS_UNIT_RUNTIME_GATE_H

#include <pthread.h>
#include <stdbool.h>

#include <accel/runtime.h>

struct gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool reached, open;
	int calls, result;
};

void gate_init(struct gate *gate);
void gate_finish(struct gate *gate);
/* For accel_run_options.done; the gate is its context. */
void gate_pass(void *context, struct accel_request *request, int result);
/* Until a thread stands in it. */
void gate_await(struct gate *gate);
void gate_open(struct gate *gate);

#endif
