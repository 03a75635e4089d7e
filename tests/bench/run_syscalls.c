/* SPDX-License-Identifier: MIT */
/*
 * Runs of a session in the steady state, between two marks that strace sees: with copies, and with input and output bound. For
 * run_syscalls.sh.
 *	run_syscalls MODEL RUNS		a model of one float input and one output, of at most 4096 elements each
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <accel/accel.h>
#include <accel/runtime.h>

#define MOST 4096
#define BYTES (MOST * sizeof(float))

static struct accel_binding *bind_piece(struct accel_session *session, struct accel_buffer *buffer, uint64_t offset,
					unsigned int use)
{
	struct accel_binding *binding;
	char error[256];

	if (!accel_binding_create(session, buffer, offset, BYTES, use, &binding, error, sizeof(error)))
		return binding;
	fprintf(stderr, "%s\n", error);
	exit(1);
}

static void run(struct accel_session *session, const struct accel_tensor *input, const struct accel_tensor *output,
		int runs)
{
	char error[256];

	for (int i = 0; i < runs; i++) {
		struct accel_tensor given = *output;

		if (accel_session_run(session, input, 1, &given, 1, error, sizeof(error))) {
			fprintf(stderr, "%s\n", error);
			exit(1);
		}
	}
}

static void mark(const char *text, size_t length)
{
	if (write(STDOUT_FILENO, text, length) != (ssize_t)length)
		exit(1);
}

int main(int argc, char **argv)
{
	/* The device polls, so that it need not be woken: that would be a call of its own. */
	const struct accel_session_options options = {.device = "sim:spin=1000000", .threads = 1, .cache = "off"};
	static float in[MOST], out[MOST];
	struct accel_tensor input, output = {.data = out, .size = sizeof(out)}, bound_input, bound_output = {0};
	struct accel_session *session;
	struct accel_value_info info;
	struct accel_buffer *buffer;
	char error[512];
	int runs = argc == 3 ? atoi(argv[2]) : 0;

	if (runs < 1)
		return 2;
	if (accel_session_create(argv[1], &options, &session, error, sizeof(error))) {
		fprintf(stderr, "%s\n", error);
		return 1;
	}
	accel_session_input(session, 0, &info);
	input = (struct accel_tensor){.dtype = info.dtype, .rank = info.rank, .data = in, .size = sizeof(in)};
	for (int d = 0; d < info.rank; d++)
		input.dims[d] = info.dims[d];
	if (accel_buffer_create(accel_session_device(session, 0), 2 * BYTES, ACCEL_BUFFER_LOCAL, &buffer))
		return 1;
	bound_input = input;
	bound_input.binding = bind_piece(session, buffer, 0, ACCEL_BINDING_INPUT);
	bound_output.binding = bind_piece(session, buffer, BYTES, ACCEL_BINDING_OUTPUT);
	run(session, &input, &output, 3);
	run(session, &bound_input, &bound_output, 3);
	mark("begin\n", 6);
	run(session, &input, &output, runs);
	run(session, &bound_input, &bound_output, runs);
	mark("end\n", 4);
	accel_binding_destroy(bound_input.binding);
	accel_binding_destroy(bound_output.binding);
	accel_buffer_destroy(buffer);
	accel_session_destroy(session);
	return 0;
}
