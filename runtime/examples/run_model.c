/* SPDX-License-Identifier: MIT */
/*
 * The runtime in one page: any model whose inputs are tensors, run once on inputs of zeros.
 *
 *	cc run_model.c $(pkg-config --cflags --libs accel-runtime) -o run_model && ./run_model MODEL.onnx [DEVICE]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <accel/runtime.h>

#define MOST 16

/* Memory for input @index, all zeros; 16 bytes are enough for an element of any type of ONNX. */
static int make_input(const struct accel_session *session, size_t index, struct accel_tensor *input)
{
	struct accel_value_info info;

	accel_session_input(session, index, &info);
	input->dtype = info.dtype;
	input->rank = info.rank;
	input->size = 16;
	for (int d = 0; d < info.rank; d++) {
		input->dims[d] = info.dims[d];
		input->size *= (size_t)info.dims[d];
	}
	input->data = calloc(1, input->size);
	printf("input  %s: rank %d\n", info.name, (int)info.rank);
	return input->data ? 0 : -1;
}

int main(int argc, char **argv)
{
	struct accel_session_options options = {0};
	struct accel_tensor inputs[MOST] = {{0}}, outputs[MOST] = {{0}};
	struct accel_session *session = NULL;
	struct accel_run_stats stats;
	size_t num_inputs = 0, num_outputs = 0;
	char error[512] = "a model, please";
	int err = -1;

	if (argc > 2)
		options.device = argv[2]; /* else the model of the device in this process */
	if (argc > 1)
		err = accel_session_create(argv[1], &options, &session, error, sizeof(error));
	if (!err) {
		num_inputs = accel_session_num_inputs(session);
		num_outputs = accel_session_num_outputs(session);
	}
	if (num_inputs > MOST || num_outputs > MOST)
		err = snprintf(error, sizeof(error), "more than %d inputs or outputs", MOST);
	for (size_t i = 0; i < num_inputs && !err; i++)
		err = make_input(session, i, &inputs[i]);
	if (!err)
		err = accel_session_run(session, inputs, num_inputs, outputs, num_outputs, error, sizeof(error));
	if (err) {
		fprintf(stderr, "%s\n", error);
	} else {
		for (size_t i = 0; i < num_outputs; i++) /* the session's memory, until its next run */
			printf("output %zu: %zu bytes, the first float is %g\n", i, outputs[i].size,
			       outputs[i].dtype == 1 && outputs[i].size ? *(const float *)outputs[i].data : 0.0);
		accel_session_stats(session, &stats);
		printf("%" PRIu64 " device cycles, %" PRIu64 " of %" PRIu64 " MACs on the device\n", stats.cycles,
		       stats.macs_device, stats.macs);
	}
	for (size_t i = 0; i < num_inputs && i < MOST; i++)
		free(inputs[i].data);
	accel_session_destroy(session);
	return err != 0;
}
