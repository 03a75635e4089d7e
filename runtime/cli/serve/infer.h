/* SPDX-License-Identifier: MIT */
/*
 * Bodies of inference requests and answers of the Open Inference Protocol: from bytes to tensors, and back. Knows nothing of HTTP.
 *
 * A body is a JSON object, or (the binary tensor extension) a JSON object and behind it the bytes of those tensors that say
 * "binary_data_size": in their order, little-endian, row-major, without gaps. An element of BYTES is a 32-bit size and the bytes.
 *
 *	request   {"id", "parameters": {"binary_data_output"}, "outputs": [{"name", "parameters": {"binary_data"}}],
 *		   "inputs": [{"name", "shape", "datatype", "data" | "parameters": {"binary_data_size"}}]}
 *	answer    {"model_name", "model_version", "id", "outputs": [{"name", "datatype", "shape",
 *		   "data" | "parameters": {"binary_data_size"}}]}
 *
 * Members and parameters that are not known are ignored, as the protocol wants it of a server, but for those that would change the
 * answer: shared_memory_*, classification and sequence_* are refused.
 */
#ifndef RUNTIME_CLI_SERVE_INFER_H
#define RUNTIME_CLI_SERVE_INFER_H

#include <accel/runtime.h>

#include "runtime/cpu/tensor.h"

/* What a body is judged by; borrowed. */
struct infer_model {
	const char *name;
	const struct accel_value_info *inputs, *outputs;
	size_t num_inputs, num_outputs;
};

/* @index: of the model's output */
struct infer_output {
	size_t index;
	bool binary;
};

/*
 * @id:      @id_size bytes (any but NULL means that it was given)
 * @inputs:  in the model's order, with memory of their own
 * @outputs: what is asked for, in the order of the request; all, when it names none
 */
struct infer_request {
	char *id;
	size_t id_size;
	struct tensor *inputs;
	size_t num_inputs;
	struct infer_output *outputs;
	size_t num_outputs;
};

/*
 * Read a request: @size bytes at @body, of which @json_size are JSON. Types and the number of elements are checked; whether the model
 * takes the shape is the session's to say. -EINVAL: the request is wrong, @error names where; -ENOMEM. On error there is nothing to
 * finish. @error has @error_size > 0 bytes.
 */
int infer_read(const struct infer_model *model, const char *body, size_t size, size_t json_size,
	       struct infer_request *request, char *error, size_t error_size);
void infer_finish(struct infer_request *request);

/*
 * Write the answer to @request into @bytes (the caller's to free): @json_size of its @size bytes are JSON. @outputs: as in
 * request->outputs. NaN and infinities, which JSON has not, are null. -EINVAL: a string that is not UTF-8 was asked for as JSON;
 * -ENOMEM.
 */
int infer_write(const struct infer_model *model, const struct infer_request *request, const struct tensor *outputs,
		char **bytes, size_t *size, size_t *json_size, char *error, size_t error_size);

#endif
