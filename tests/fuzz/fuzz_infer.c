/* SPDX-License-Identifier: MIT */
/* Requests of the inference protocol. The first byte picks the model's type, the next two say how much is JSON; what is read is written. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cli/serve/datatype.h"
#include "runtime/cli/serve/infer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct accel_value_info value = {.name = "a", .type = ""};
	struct infer_model model = {
		.name = "m", .inputs = &value, .outputs = &value, .num_inputs = 1, .num_outputs = 1};
	struct infer_request request;
	struct tensor outputs[1];
	size_t json_size, answer_size;
	char error[256], *answer, *body;

	if (size < 3)
		return 0;
	value.dtype = data[0] % 17;
	if (!datatype_name((enum dtype)value.dtype))
		value.dtype = DTYPE_F32;
	json_size = data[1] | (size_t)data[2] << 8;
	/* A copy of just that size, so that a byte too far is seen. */
	body = malloc(size - 3 + !(size - 3));
	if (!body)
		return 0;
	memcpy(body, data + 3, size - 3);
	if (json_size > size - 3)
		json_size = size - 3;
	if (!infer_read(&model, body, size - 3, json_size, &request, error, sizeof(error))) {
		for (size_t i = 0; i < request.num_outputs; i++)
			outputs[i] = request.inputs[request.outputs[i].index];
		if (!infer_write(&model, &request, outputs, &answer, &answer_size, &json_size, error, sizeof(error)))
			free(answer);
		infer_finish(&request);
	}
	free(body);
	return 0;
}
