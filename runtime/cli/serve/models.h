/* SPDX-License-Identifier: MIT */
/* The models that a server has, each with its session. */
#ifndef RUNTIME_CLI_SERVE_MODELS_H
#define RUNTIME_CLI_SERVE_MODELS_H

#include <pthread.h>

#include <accel/runtime.h>

#include "runtime/cli/serve/infer.h"

/*
 * @free: requests of the session that nobody uses now, @num_free of them; @lock is theirs
 * @inputs, @outputs: what metadata say: sizes that a request may choose are -1
 * @is_package: an .axm file, whose symbolic dimensions have the sizes that it was compiled for
 */
struct serve_model {
	char *name;
	struct accel_session *session;
	struct infer_model interface;
	struct accel_value_info *inputs, *outputs;
	bool is_package;
	pthread_mutex_t lock;
	struct accel_request *free[ACCEL_MAX_DEPTH];
	size_t num_free;
};

struct serve_models {
	struct serve_model *models;
	size_t count;
};

/*
 * Load @count models; each of @operands is PATH or NAME=PATH, the name else being the file's without its ending. 0, or a negative errno
 * after a complaint: what accel_session_create() says; -EINVAL: a name that is empty, has a '/' or is there twice; -ENOTSUP: inputs or
 * outputs of types that the protocol has not.
 */
int serve_models_load(struct serve_models *models, const char *const *operands, size_t count,
		      const struct accel_session_options *options);
void serve_models_finish(struct serve_models *models);

/* NULL: there is none. */
struct serve_model *serve_models_find(const struct serve_models *models, const char *name, size_t length);

/*
 * Run @request; @outputs[i] gets a copy of what request->outputs[i] names, to be finished by the caller. *cycles: of the device.
 * Any thread may call it; runs of several go on at the same time. What accel_session_run() says; on error there is nothing to finish.
 */
int serve_model_run(struct serve_model *model, const struct infer_request *request, struct tensor *outputs,
		    uint64_t *cycles, char *error, size_t error_size);

#endif
