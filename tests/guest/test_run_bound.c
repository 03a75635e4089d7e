/* SPDX-License-Identifier: MIT */
/*
 * A model's input and output in dma-bufs of another driver (udmabuf): the device behind axl.ko reads and writes them in place, with the bits
 * of a run that copies. Local memory the same. The digits network is where vm.sh puts it.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include <accel/accel.h>
#include <accel/runtime.h>

#include "check.h"

#define MODEL "/tests/digits/digits.onnx"
#define DEVICE "/dev/accel/accel0"
#define PAGE 4096u
#define PIXELS 64
#define CLASSES 10

/* Memory that is bound: as a test sees it, whatever the buffer shows. */
struct place {
	struct accel_buffer *buffer;
	struct accel_binding *binding;
	uint8_t *data;
};

static struct accel_session *open_session(void)
{
	const struct accel_session_options options = {.device = DEVICE, .threads = 1, .cache = "off"};
	struct accel_session *session;
	char error[512] = "";

	if (accel_session_create(MODEL, &options, &session, error, sizeof(error)))
		fail_msg("%s", error);
	return session;
}

static void bind_place(struct accel_session *session, struct place *place, unsigned int use)
{
	char error[256] = "";

	if (accel_binding_create(session, place->buffer, 0, PAGE, use, &place->binding, error, sizeof(error)))
		fail_msg("%s", error);
	memset(place->data, 0xa5, PAGE);
}

static struct place foreign(struct accel_session *session, unsigned int use)
{
	struct place place = {0};
	void *data;
	int fd = guest_foreign(PAGE, &data);

	assert_true(fd >= 0);
	place.data = data;
	assert_int_equal(
		accel_buffer_import_fd(accel_session_device(session, 0), fd, ACCEL_BUFFER_UNBOUND, &place.buffer), 0);
	close(fd);
	bind_place(session, &place, use);
	return place;
}

static struct place local(struct accel_session *session, unsigned int use)
{
	struct place place = {0};

	assert_int_equal(accel_buffer_create(accel_session_device(session, 0), PAGE, ACCEL_BUFFER_LOCAL, &place.buffer),
			 0);
	place.data = accel_buffer_data(place.buffer);
	bind_place(session, &place, use);
	return place;
}

static void give_back(struct place *place)
{
	bool own = place->data != accel_buffer_data(place->buffer);

	/* It can not go before the binding does. */
	assert_int_equal(accel_buffer_destroy(place->buffer), -EBUSY);
	assert_int_equal(accel_binding_destroy(place->binding), 0);
	assert_int_equal(accel_buffer_destroy(place->buffer), 0);
	if (own)
		munmap(place->data, PAGE);
}

static void make_image(float image[PIXELS], unsigned int seed)
{
	for (unsigned int i = 0; i < PIXELS; i++)
		image[i] = (float)((i * 7 + seed * 13) % 17);
}

static void check_runs(struct accel_session *session, struct place in, struct place out)
{
	for (unsigned int n = 0; n < 10; n++) {
		float image[PIXELS], scores[CLASSES];
		struct accel_tensor copied_in = {
			.dtype = 1, .rank = 4, .dims = {1, 1, 8, 8}, .data = image, .size = sizeof(image)};
		struct accel_tensor copied_out = {.data = scores, .size = sizeof(scores)};
		struct accel_tensor input = copied_in, output = {.binding = out.binding};
		struct accel_run_stats stats;
		char error[256] = "";

		make_image(image, n);
		assert_int_equal(accel_session_run(session, &copied_in, 1, &copied_out, 1, NULL, 0), 0);
		memcpy(in.data, image, sizeof(image));
		input.data = NULL;
		input.binding = in.binding;
		if (accel_session_run(session, &input, 1, &output, 1, error, sizeof(error)))
			fail_msg("%s", error);
		assert_int_equal(accel_session_stats(session, &stats), 0);
		assert_true(!stats.copied_in && !stats.copied_out);
		assert_true(stats.in_place_inputs == 1 && stats.in_place_outputs == 1);
		assert_int_equal(output.size, sizeof(scores));
		assert_memory_equal(out.data, scores, sizeof(scores));
	}
	for (size_t i = sizeof(float) * CLASSES; i < PAGE; i++)
		assert_int_equal(out.data[i], 0xa5);
	give_back(&in);
	give_back(&out);
}

static void a_model_runs_on_dma_bufs_of_another_driver(void **state)
{
	struct accel_session *session = open_session();

	(void)state;
	check_runs(session, foreign(session, ACCEL_BINDING_INPUT), foreign(session, ACCEL_BINDING_OUTPUT));
	check_runs(session, foreign(session, ACCEL_BINDING_INPUT), local(session, ACCEL_BINDING_OUTPUT));
	check_runs(session, local(session, ACCEL_BINDING_INPUT), foreign(session, ACCEL_BINDING_OUTPUT));
	accel_session_destroy(session);
}

static void what_is_no_dma_buf_is_no_buffer(void **state)
{
	struct accel_session *session = open_session();
	struct accel_buffer *buffer;
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)state;
	assert_int_equal(accel_buffer_import_fd(accel_session_device(session, 0), fd, 0, &buffer), -EINVAL);
	assert_null(buffer);
	close(fd);
	accel_session_destroy(session);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHECK(a_model_runs_on_dma_bufs_of_another_driver),
		CHECK(what_is_no_dma_buf_is_no_buffer),
	};

	return check_run("run_bound", tests, NULL, NULL);
}
