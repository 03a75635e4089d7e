/* SPDX-License-Identifier: MIT */
/* See campaign.h. */
#include "tests/unit/runtime/campaign.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* @wrong: answers that are not what they should be, or ends that may not be. */
struct state {
	const struct campaign *campaign;
	struct accel_session *session;
	atomic_uint good, failed, wrong, ended, callbacks;
};

float (*campaign_on_device)[DIGITS_CLASSES], (*campaign_on_cpu)[DIGITS_CLASSES];

int campaign_make_answers(void **state)
{
	(void)state;
	campaign_on_device = digits_expected("sim:", CAMPAIGN_IMAGES);
	campaign_on_cpu = digits_expected("cpu", CAMPAIGN_IMAGES);
	return 0;
}

int campaign_free_answers(void **state)
{
	(void)state;
	free(campaign_on_device);
	free(campaign_on_cpu);
	return 0;
}

static void count_end(void *context, struct accel_request *request, int result)
{
	struct state *state = context;

	(void)request;
	(void)result;
	atomic_fetch_add(&state->callbacks, 1);
}

static void judge(struct state *state, int result, bool may_fail, unsigned int seed, const float *scores)
{
	const float *on_device = campaign_on_device[seed], *on_cpu = campaign_on_cpu[seed];
	bool right = !memcmp(scores, on_device, sizeof(campaign_on_device[seed])) ||
		     !memcmp(scores, on_cpu, sizeof(campaign_on_cpu[seed]));

	atomic_fetch_add(&state->ended, 1);
	if (result ? may_fail || state->campaign->may_fail : right) {
		atomic_fetch_add(result ? &state->failed : &state->good, 1);
		/* Who is told that it is not there does not ask at once again. */
		if (result == -ENODEV)
			nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
		return;
	}
	atomic_fetch_add(&state->wrong, 1);
	fprintf(stderr, "image %u: result %d, scores %g %g %g … instead of %g %g %g …\n", seed, result,
		(double)scores[0], (double)scores[1], (double)scores[2], (double)on_device[0], (double)on_device[1],
		(double)on_device[2]);
}

static void *attack(void *arg)
{
	struct state *state = arg;
	struct accel_request *request;
	unsigned int random = (unsigned int)(uintptr_t)&request;

	if (accel_request_create(state->session, &request))
		return NULL;
	for (unsigned int n = 0; n < state->campaign->runs; n++) {
		float image[DIGITS_PIXELS], scores[DIGITS_CLASSES] = {0};
		struct accel_tensor input = digits_input(image), output = digits_output(scores);
		struct accel_run_options run = {.done = count_end, .context = state};
		unsigned int seed = n % CAMPAIGN_IMAGES, kind;
		int err;

		random = random * 1664525u + 1013904223u;
		kind = random >> 24;
		digits_image(image, seed);
		if (kind < 100) {
			judge(state, digits_run(state->session, seed, scores, NULL, 0), false, seed, scores);
			atomic_fetch_add(&state->callbacks, 1);
			continue;
		}
		if (kind >= 240)
			run.deadline_ns = digits_deadline(200);
		err = accel_session_run_async(state->session, request, &input, 1, &output, 1, &run);
		if (err) {
			atomic_fetch_add(&state->wrong, 1);
			fprintf(stderr, "image %u: not taken, %d\n", seed, err);
			continue;
		}
		if (kind < 116)
			accel_request_cancel(request);
		judge(state, accel_request_wait(request, INT64_MAX), kind < 116 || kind >= 240, seed, scores);
	}
	accel_request_destroy(request);
	return NULL;
}

void campaign_run(struct campaign *campaign, struct accel_session *session)
{
	struct state state = {.campaign = campaign, .session = session};
	const unsigned int requests = CAMPAIGN_THREADS * campaign->runs;
	pthread_t threads[CAMPAIGN_THREADS];
	struct accel_device_stats stats;

	for (int i = 0; i < CAMPAIGN_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, attack, &state), 0);
	for (int i = 0; i < CAMPAIGN_THREADS; i++)
		pthread_join(threads[i], NULL);
	campaign->good = state.good;
	campaign->failed = state.failed;
	campaign->faults = campaign->returns = 0;
	for (size_t d = 0; d < accel_session_num_devices(session); d++) {
		assert_int_equal(accel_session_device_stats(session, d, &stats), 0);
		assert_int_equal(stats.under_way, 0);
		campaign->faults += stats.faults + stats.gone;
		campaign->returns += stats.returns;
	}
	assert_int_equal(state.wrong, 0);
	assert_int_equal(state.ended, requests);
	assert_int_equal(state.callbacks, requests);
}
