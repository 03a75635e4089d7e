/* SPDX-License-Identifier: MIT */
/* See models.h. */
#include "runtime/cli/serve/models.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cli/command.h"
#include "runtime/cli/inputs.h"
#include "runtime/cli/serve/datatype.h"
#include "runtime/fail.h"
#include "runtime/session.h"

/* The name and the path in @operand; the name is the caller's to free. */
static char *split_operand(const char *operand, const char **path)
{
	const char *equals = strchr(operand, '='), *slash, *point;

	*path = equals ? equals + 1 : operand;
	if (equals)
		return strndup(operand, (size_t)(equals - operand));
	slash = strrchr(operand, '/');
	slash = slash ? slash + 1 : operand;
	point = strrchr(slash, '.');
	return point && point > slash ? strndup(slash, (size_t)(point - slash)) : strdup(slash);
}

static int check_value(const struct serve_model *model, const char *what, const struct accel_value_info *info)
{
	if (!*info->type && datatype_name((enum dtype)info->dtype))
		return 0;
	return complain(-ENOTSUP, "model '%s': %s '%s' is %s, which the protocol has not", model->name, what,
			info->name, *info->type ? info->type : dtype_name((enum dtype)info->dtype));
}

/* Sizes with a name, which a request may choose, are -1 in the metadata; of a package they are fixed. */
static void show_symbols(struct serve_model *model)
{
	const struct axm *axm = session_package(model->session);

	for (uint32_t d = 0; d < axm->num_dims && !model->is_package; d++) {
		const struct axm_dim *dim = &axm->dims[d];

		for (size_t i = 0; i < model->interface.num_inputs; i++)
			if (axm->ids[axm->model->inputs_first + i] == dim->value)
				model->inputs[i].dims[dim->dimension] = -1;
		for (size_t i = 0; i < model->interface.num_outputs; i++)
			if (axm->ids[axm->model->outputs_first + i] == dim->value)
				model->outputs[i].dims[dim->dimension] = -1;
	}
}

static int read_interface(struct serve_model *model)
{
	struct infer_model *interface = &model->interface;
	int err = 0;

	*interface = (struct infer_model){.name = model->name,
					  .num_inputs = accel_session_num_inputs(model->session),
					  .num_outputs = accel_session_num_outputs(model->session)};
	interface->inputs = model->inputs = calloc(interface->num_inputs + 1, sizeof(*model->inputs));
	interface->outputs = model->outputs = calloc(interface->num_outputs + 1, sizeof(*model->outputs));
	if (!model->inputs || !model->outputs)
		return complain(-ENOMEM, "out of memory");
	for (size_t i = 0; i < interface->num_inputs && !err; i++) {
		accel_session_input(model->session, i, &model->inputs[i]);
		err = check_value(model, "input", &model->inputs[i]);
	}
	for (size_t i = 0; i < interface->num_outputs && !err; i++) {
		accel_session_output(model->session, i, &model->outputs[i]);
		err = check_value(model, "output", &model->outputs[i]);
	}
	if (!err)
		show_symbols(model);
	return err;
}

static int load(struct serve_models *models, const char *operand, const struct accel_session_options *options)
{
	struct serve_model *model = &models->models[models->count];
	const char *path;
	char error[512];
	int err;

	model->name = split_operand(operand, &path);
	if (!model->name)
		return complain(-ENOMEM, "out of memory");
	pthread_mutex_init(&model->lock, NULL);
	models->count++;
	if (!*model->name || strchr(model->name, '/'))
		return complain(-EINVAL, "'%s': '%s' is no name for a model", operand, model->name);
	if (serve_models_find(models, model->name, strlen(model->name)) != model)
		return complain(-EINVAL, "two models are called '%s'; NAME=FILE gives another name", model->name);
	model->is_package = strlen(path) > 4 && !strcmp(path + strlen(path) - 4, ".axm");
	err = accel_session_create(path, options, &model->session, error, sizeof(error));
	return err ? complain(err, "%s", error) : read_interface(model);
}

int serve_models_load(struct serve_models *models, const char *const *operands, size_t count,
		      const struct accel_session_options *options)
{
	int err = 0;

	*models = (struct serve_models){.models = calloc(count, sizeof(*models->models))};
	if (!models->models)
		return complain(-ENOMEM, "out of memory");
	for (size_t i = 0; i < count && !err; i++)
		err = load(models, operands[i], options);
	if (err)
		serve_models_finish(models);
	return err;
}

void serve_models_finish(struct serve_models *models)
{
	for (size_t i = 0; i < models->count; i++) {
		struct serve_model *model = &models->models[i];

		while (model->num_free)
			accel_request_destroy(model->free[--model->num_free]);
		accel_session_destroy(model->session);
		free(model->inputs);
		free(model->outputs);
		free(model->name);
		pthread_mutex_destroy(&model->lock);
	}
	free(models->models);
	*models = (struct serve_models){0};
}

struct serve_model *serve_models_find(const struct serve_models *models, const char *name, size_t length)
{
	for (size_t i = 0; i < models->count; i++)
		if (strlen(models->models[i].name) == length && !memcmp(models->models[i].name, name, length))
			return &models->models[i];
	return NULL;
}

/* Copies of what @request asks for. */
static int copy_outputs(const struct infer_request *request, const struct accel_tensor *all, struct tensor *outputs)
{
	int err = 0;
	size_t i;

	for (i = 0; i < request->num_outputs && !err; i++) {
		const struct accel_tensor *from = &all[request->outputs[i].index];
		struct tensor view;

		err = tensor_init_view(&view, (enum dtype)from->dtype, from->rank, from->dims, from->data, from->size);
		if (!err)
			err = tensor_copy(&outputs[i], &view);
	}
	while (err && i--)
		tensor_finish(&outputs[i]);
	return err;
}

/* A request that nobody uses; a new one where there is none. NULL: no memory. */
static struct accel_request *take_request(struct serve_model *model)
{
	struct accel_request *request = NULL;

	pthread_mutex_lock(&model->lock);
	if (model->num_free)
		request = model->free[--model->num_free];
	pthread_mutex_unlock(&model->lock);
	if (!request && accel_request_create(model->session, &request))
		return NULL;
	return request;
}

static void give_request(struct serve_model *model, struct accel_request *request)
{
	pthread_mutex_lock(&model->lock);
	if (model->num_free < ACCEL_MAX_DEPTH) {
		model->free[model->num_free++] = request;
		request = NULL;
	}
	pthread_mutex_unlock(&model->lock);
	accel_request_destroy(request);
}

/* Begin, wait, and what it cost. */
static int run_request(struct serve_model *model, struct accel_request *run, const struct accel_tensor *inputs,
		       struct accel_tensor *outputs, uint64_t *cycles, char *error, size_t error_size)
{
	struct accel_run_stats stats;
	int err = accel_session_run_async(model->session, run, inputs, model->interface.num_inputs, outputs,
					  model->interface.num_outputs, NULL);

	if (err)
		return fail(error, error_size, err, "the run does not begin: %s", strerror(-err));
	err = accel_request_wait(run, INT64_MAX);
	if (err)
		return fail(error, error_size, err, "%s", accel_request_error(run));
	/* Its part of a run that was for several. */
	if (!accel_request_stats(run, &stats))
		*cycles = stats.cycles / stats.joined;
	return 0;
}

int serve_model_run(struct serve_model *model, const struct infer_request *request, struct tensor *outputs,
		    uint64_t *cycles, char *error, size_t error_size)
{
	size_t num_inputs = model->interface.num_inputs, num_outputs = model->interface.num_outputs;
	struct accel_tensor *inputs = calloc(num_inputs + num_outputs + 1, sizeof(*inputs));
	struct accel_request *run = inputs ? take_request(model) : NULL;
	int err;

	if (!run) {
		free(inputs);
		return fail(error, error_size, -ENOMEM, "out of memory");
	}
	for (size_t i = 0; i < num_inputs; i++)
		inputs[i] = inputs_view(&request->inputs[i]);
	memset(outputs, 0, request->num_outputs * sizeof(*outputs));
	err = run_request(model, run, inputs, inputs + num_inputs, cycles, error, error_size);
	if (!err) {
		err = copy_outputs(request, inputs + num_inputs, outputs);
		if (err)
			fail(error, error_size, err, "out of memory");
	}
	give_request(model, run);
	free(inputs);
	return err;
}
