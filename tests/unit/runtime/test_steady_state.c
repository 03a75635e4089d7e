/* SPDX-License-Identifier: MIT */
/*
 * A session that has run allocates nothing in the runs that follow: every model of AXL_TEST_MODELS on the CPU, the first one on a
 * device too. The linker sends every allocation of this
 * program's own code here (--wrap); the C library's are its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <accel/accel.h>
#include <accel/runtime.h>

static atomic_int allocations, watched_allocations;
/* The in-process device allocates on threads of its own, which is its business: threads of the session are watched. */
static _Thread_local bool watched;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
int __real_posix_memalign(void **memory, size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t size);

static void count_allocation(void)
{
	atomic_fetch_add(&allocations, 1);
	if (watched)
		atomic_fetch_add(&watched_allocations, 1);
}

void *__wrap_malloc(size_t size)
{
	count_allocation();
	return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	count_allocation();
	return __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	count_allocation();
	return __real_realloc(memory, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	count_allocation();
	return __real_aligned_alloc(alignment, size);
}

int __wrap_posix_memalign(void **memory, size_t alignment, size_t size)
{
	count_allocation();
	return __real_posix_memalign(memory, alignment, size);
}

#define MAX_TENSORS 4
#define MAX_BYTES 65536

/* What runs of a model read and write: memory of the test's own, so that it allocates nothing either. */
struct buffers {
	struct accel_tensor inputs[MAX_TENSORS], outputs[MAX_TENSORS];
	struct accel_binding *bindings[MAX_TENSORS]; /* of the outputs */
	size_t num_inputs, num_outputs;
	_Alignas(64) uint8_t in[MAX_TENSORS][MAX_BYTES], out[MAX_TENSORS][MAX_BYTES];
};

/* ONNX's numbers of the types that the models' inputs have. */
enum { TYPE_FLOAT = 1, TYPE_INT64 = 7, TYPE_BOOL = 9, TYPE_FLOAT16 = 10 };

static size_t fill_element(int type, uint8_t *to, size_t i)
{
	float number = (float)(i % 64) / 64;
	int64_t index = (int64_t)(i % 2);
	uint16_t half = (uint16_t)(0x3000 + i % 64);

	switch (type) {
	case TYPE_FLOAT:
		memcpy(to + i * sizeof(number), &number, sizeof(number));
		return sizeof(number);
	case TYPE_INT64:
		memcpy(to + i * sizeof(index), &index, sizeof(index));
		return sizeof(index);
	case TYPE_FLOAT16:
		memcpy(to + i * sizeof(half), &half, sizeof(half));
		return sizeof(half);
	case TYPE_BOOL:
		to[i] = i % 8 == 7;
		return 1;
	default:
		fail_msg("an input of type %d", type);
		return 0;
	}
}

static void make_buffers(const struct accel_session *session, struct buffers *b)
{
	b->num_inputs = accel_session_num_inputs(session);
	b->num_outputs = accel_session_num_outputs(session);
	assert_in_range(b->num_inputs, 1, MAX_TENSORS);
	assert_in_range(b->num_outputs, 1, MAX_TENSORS);
	for (size_t i = 0; i < b->num_inputs; i++) {
		struct accel_value_info info;
		size_t count = 1, size = 0;

		assert_int_equal(accel_session_input(session, i, &info), 0);
		b->inputs[i] = (struct accel_tensor){.dtype = info.dtype, .rank = info.rank, .data = b->in[i]};
		for (int32_t d = 0; d < info.rank; d++) {
			b->inputs[i].dims[d] = info.dims[d] < 0 ? 1 : info.dims[d];
			count *= (size_t)b->inputs[i].dims[d];
		}
		assert_in_range(count, 1, MAX_BYTES / 8);
		for (size_t e = 0; e < count; e++)
			size += fill_element(info.dtype, b->in[i], e);
		b->inputs[i].size = size;
	}
}

static void run(struct accel_session *session, struct buffers *b)
{
	char error[512] = "";

	for (size_t i = 0; i < b->num_outputs; i++)
		b->outputs[i] = (struct accel_tensor){.data = b->out[i], .size = MAX_BYTES, .binding = b->bindings[i]};
	if (accel_session_run(session, b->inputs, b->num_inputs, b->outputs, b->num_outputs, error, sizeof(error)))
		fail_msg("%s", error);
}

static void check_model(const char *model, unsigned int threads)
{
	static struct buffers buffers;
	struct accel_session_options options = {.device = "cpu", .threads = threads};
	struct accel_session *session;
	char error[512] = "";
	int before, made;

	allocations = 0;
	if (accel_session_create(model, &options, &session, error, sizeof(error)))
		fail_msg("%s: %s", model, error);
	assert_true(allocations > 0); /* the counter counts */
	make_buffers(session, &buffers);
	/* Which thread takes which piece differs, and each grows its own scratch memory once. */
	for (int i = 0; i < (threads == 1 ? 2 : 200); i++)
		run(session, &buffers);
	before = allocations;
	for (int i = 0; i < 20; i++)
		run(session, &buffers);
	made = allocations - before;
	/* With threads: one that came late. */
	if (made > (threads == 1 ? 0 : (int)threads))
		fail_msg("%s: %d allocations in 20 runs on %u threads", model, made, threads);
	accel_session_destroy(session);
}

static void the_cpu_allocates_in_the_first_runs_only(void **state)
{
	const char *models = getenv("AXL_TEST_MODELS");
	char *list, *rest = NULL;

	(void)state;
	assert_non_null(models);
	list = strdup(models);
	for (const char *model = strtok_r(list, ":", &rest); model; model = strtok_r(NULL, ":", &rest))
		for (unsigned int threads = 1; threads <= 3; threads += 2)
			check_model(model, threads);
	free(list);
}

/* ---- with a device ---- */

static void watch_thread(void *context, struct accel_request *request, int result)
{
	(void)context;
	(void)request;
	(void)result;
	watched = true;
}

static void run_request(struct accel_session *session, struct accel_request *request, struct buffers *b)
{
	const struct accel_run_options options = {.done = watch_thread};

	for (size_t i = 0; i < b->num_outputs; i++)
		b->outputs[i] = (struct accel_tensor){.data = b->out[i], .size = MAX_BYTES, .binding = b->bindings[i]};
	assert_int_equal(accel_session_run_async(session, request, b->inputs, b->num_inputs, b->outputs, b->num_outputs,
						 &options),
			 0);
	assert_int_equal(accel_request_wait(request, INT64_MAX), 0);
}

/* The same tensors in a buffer of the device, a page and more each. */
struct bound_tensors {
	struct accel_buffer *buffer;
	struct accel_binding *bindings[2 * MAX_TENSORS];
};

static void bind_all(struct accel_session *session, struct bound_tensors *bound, struct buffers *b)
{
	size_t count = b->num_inputs + b->num_outputs;

	assert_int_equal(accel_buffer_create(accel_session_device(session, 0), count * MAX_BYTES, ACCEL_BUFFER_LOCAL,
					     &bound->buffer),
			 0);
	for (size_t i = 0; i < count; i++) {
		bool input = i < b->num_inputs;

		assert_int_equal(accel_binding_create(session, bound->buffer, i * MAX_BYTES, MAX_BYTES,
						      input ? ACCEL_BINDING_INPUT : ACCEL_BINDING_OUTPUT,
						      &bound->bindings[i], NULL, 0),
				 0);
		if (input)
			memcpy((uint8_t *)accel_buffer_data(bound->buffer) + i * MAX_BYTES, b->in[i],
			       b->inputs[i].size);
	}
}

static void unbind_all(struct bound_tensors *bound)
{
	for (size_t i = 0; i < 2 * MAX_TENSORS; i++)
		assert_int_equal(accel_binding_destroy(bound->bindings[i]), 0);
	assert_int_equal(accel_buffer_destroy(bound->buffer), 0);
}

static void use_bindings(const struct bound_tensors *bound, struct buffers *b)
{
	for (size_t i = 0; i < b->num_inputs; i++)
		b->inputs[i].binding = bound ? bound->bindings[i] : NULL;
	for (size_t i = 0; i < b->num_outputs; i++)
		b->bindings[i] = bound ? bound->bindings[b->num_inputs + i] : NULL;
}

/* With copies and without, on the caller's thread and on that of a request. */
static void run_all(struct accel_session *session, struct accel_request *request, const struct bound_tensors *bound,
		    struct buffers *b)
{
	for (int bind = 0; bind < 2; bind++) {
		use_bindings(bind ? bound : NULL, b);
		run(session, b);
		run_request(session, request, b);
	}
}

/* Its caller's thread, and that of a request. One thread: where a node runs is not left to chance. */
static void runs_on_a_device_allocate_in_the_first_ones_only(void **state)
{
	static struct buffers buffers;
	const struct accel_session_options options = {.device = "sim:", .threads = 1, .depth = 1};
	struct accel_session *session;
	struct accel_request *request;
	struct bound_tensors bound = {0};
	struct accel_run_stats stats;
	char *model = strdup(getenv("AXL_TEST_MODELS")), error[512] = "";

	(void)state;
	model[strcspn(model, ":")] = '\0';
	if (accel_session_create(model, &options, &session, error, sizeof(error)))
		fail_msg("%s: %s", model, error);
	make_buffers(session, &buffers);
	assert_int_equal(accel_request_create(session, &request), 0);
	bind_all(session, &bound, &buffers);
	for (int i = 0; i < 3; i++)
		run_all(session, request, &bound, &buffers);
	assert_int_equal(accel_session_stats(session, &stats), 0);
	assert_true(stats.cycles > 0 && stats.in_place_inputs && stats.in_place_outputs);
	watched = true;
	watched_allocations = 0;
	for (int i = 0; i < 20; i++)
		run_all(session, request, &bound, &buffers);
	assert_int_equal(watched_allocations, 0);
	accel_request_destroy(request);
	assert_int_equal(accel_request_create(session, &request), 0);
	assert_true(watched_allocations > 0); /* the counter counts */
	accel_request_destroy(request);
	watched = false;
	unbind_all(&bound);
	accel_session_destroy(session);
	free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(the_cpu_allocates_in_the_first_runs_only),
					   cmocka_unit_test(runs_on_a_device_allocate_in_the_first_ones_only)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
