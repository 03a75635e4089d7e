/* SPDX-License-Identifier: MIT */
/* See in_place.h. */
#include "runtime/in_place.h"

#include <errno.h>
#include <string.h>

#include "runtime/fail.h"

#define BITS 64

static uint64_t bit(size_t index)
{
	return index < BITS ? UINT64_C(1) << index : 0;
}

static uint32_t input_id(const struct axm *axm, size_t index)
{
	return axm->ids[axm->model->inputs_first + index];
}

static uint32_t output_id(const struct axm *axm, size_t index)
{
	return axm->ids[axm->model->outputs_first + index];
}

static const char *name_of(const struct axm *axm, uint32_t id)
{
	return axm_string(axm, axm->values[id].name);
}

static bool lists(const struct axm *axm, uint32_t first, uint32_t count, uint32_t id)
{
	for (uint32_t i = first; i < first + count; i++)
		if (axm->ids[i] == id)
			return true;
	return false;
}

/* Whether a node of the CPU, of a body too, reads or writes the value. */
static bool is_on_cpu(const struct axm *axm, uint32_t id)
{
	for (uint32_t n = 0; n < axm->num_nodes; n++) {
		const struct axm_node *node = &axm->nodes[n];

		if (n < axm->num_region_nodes && axm->regions[node->region].device)
			continue;
		if (lists(axm, node->inputs_first, node->num_inputs, id) ||
		    lists(axm, node->outputs_first, node->num_outputs, id))
			return true;
	}
	return false;
}

/* Where on the instance's device the binding lies; 0: nowhere. A device that came back has another address space than before. */
static uint64_t address_of(const struct instance *instance, const struct accel_binding *binding)
{
	struct runtime_device *const *devices = instance->plan->host.devices;

	if (!instance->plan->launches || binding->device != instance->device ||
	    binding->vm != runtime_device_vm(devices[instance->device]))
		return 0;
	return binding->address;
}

/* What was in the memory of a device that is gone means nothing any more, whoever copies it. */
static int check_there(const struct axm *axm, uint32_t id, const struct accel_binding *binding, char *error,
		       size_t size)
{
	if (!atomic_load(&binding->lost))
		return 0;
	return fail(error, size, -ENODEV, "%s: its binding lies in the memory of a device that is gone",
		    name_of(axm, id));
}

static int can_not_see(const struct axm *axm, uint32_t id, char *error, size_t size)
{
	return fail(error, size, -ENOTSUP,
		    "%s: the processor has to read or write it, and its binding has no memory that it can see",
		    name_of(axm, id));
}

/* ---- the begin ---- */

static int begin_input(struct instance *instance, size_t index, const struct accel_binding *binding, char *error,
		       size_t size)
{
	const struct axm *axm = &instance->plan->axm;
	uint32_t id = input_id(axm, index);
	int err = check_there(axm, id, binding, error, size);

	if (err)
		return err;
	instance->addresses[id] = address_of(instance, binding);
	if (!binding->data && (!instance->addresses[id] || is_on_cpu(axm, id)))
		return can_not_see(axm, id, error, size);
	if (instance->addresses[id] || !instance->plan->launches)
		instance->stats.in_place_inputs |= bit(index);
	return 0;
}

/* The first output that is value @id. */
static size_t first_of(const struct axm *axm, uint32_t id)
{
	size_t index = 0;

	while (output_id(axm, index) != id)
		index++;
	return index;
}

static bool has_shape(const struct axm_value *value)
{
	if (value->flags & AXM_VALUE_UNRANKED || !dtype_size((enum dtype)value->dtype))
		return false;
	for (uint32_t d = 0; d < value->rank; d++)
		if (value->dims[d] < 0)
			return false;
	return true;
}

/* An output that has no memory of its own to exchange for the binding's. */
static int begin_copy(struct instance *instance, size_t index, const struct accel_binding *binding, char *error,
		      size_t size)
{
	const struct axm *axm = &instance->plan->axm;
	uint32_t id = output_id(axm, index);
	size_t first = first_of(axm, id);
	const struct accel_binding *from = instance->bound[axm->model->num_inputs + first];

	for (uint32_t i = 0; i < axm->model->num_inputs; i++)
		if (input_id(axm, i) == id)
			from = instance->bound[i];
	return !binding->data || (from && !from->data) ? can_not_see(axm, id, error, size) : 0;
}

static int begin_output(struct instance *instance, size_t index, const struct accel_binding *binding, char *error,
			size_t size)
{
	const struct axm *axm = &instance->plan->axm;
	uint32_t id = output_id(axm, index);
	const struct axm_value *value = &axm->values[id];
	struct tensor *tensor = &instance->values[id];
	int err = check_there(axm, id, binding, error, size);

	if (err)
		return err;
	if (dtype_owns_memory((enum dtype)value->dtype))
		return fail(error, size, -EINVAL, "output %s: %s have no place in a buffer", name_of(axm, id),
			    dtype_name((enum dtype)value->dtype));
	if (has_shape(value) && axm_value_bytes(value) > binding->size)
		return fail(error, size, -ENOSPC, "output %s: needs %llu bytes, its binding has %llu", name_of(axm, id),
			    (unsigned long long)axm_value_bytes(value), (unsigned long long)binding->size);
	if (value->flags & (AXM_VALUE_INPUT | AXM_VALUE_CONSTANT) || first_of(axm, id) != index)
		return begin_copy(instance, index, binding, error, size);
	instance->addresses[id] = address_of(instance, binding);
	if (!binding->data && (!instance->addresses[id] || is_on_cpu(axm, id)))
		return can_not_see(axm, id, error, size);
	instance->own[index] = *tensor;
	instance->lent[index] = true;
	/* Who computes it says its shape, if nobody could before. */
	*tensor = (struct tensor){.data = binding->data, .size = binding->size};
	if (has_shape(value)) {
		tensor->dtype = (enum dtype)value->dtype;
		tensor->rank = (int)value->rank;
		memcpy(tensor->dims, value->dims, value->rank * sizeof(*tensor->dims));
	}
	return 0;
}

int in_place_begin(struct instance *instance, struct accel_binding *const *bound, char *error, size_t size)
{
	const struct axm_model *model = instance->plan->axm.model;
	int err = 0;

	instance->bound = bound;
	instance->stats.in_place_inputs = instance->stats.in_place_outputs = 0;
	if (!bound)
		return 0;
	for (uint32_t i = 0; i < model->num_inputs && !err; i++)
		if (bound[i])
			err = begin_input(instance, i, bound[i], error, size);
	for (uint32_t i = 0; i < model->num_outputs && !err; i++)
		if (bound[model->num_inputs + i])
			err = begin_output(instance, i, bound[model->num_inputs + i], error, size);
	return err;
}

/* ---- the end ---- */

int in_place_output(struct instance *instance, size_t index, struct accel_tensor *output, char *error, size_t size)
{
	const struct axm *axm = &instance->plan->axm;
	const struct accel_binding *binding = instance->bound[axm->model->num_inputs + index];
	uint32_t id = output_id(axm, index);
	const struct tensor *value = &instance->values[id];
	size_t bytes = tensor_bytes(value);

	if (bytes > binding->size)
		return fail(error, size, -ENOSPC, "output %s: needs %zu bytes, its binding has %llu", name_of(axm, id),
			    bytes, (unsigned long long)binding->size);
	if (value->data != binding->data && bytes) {
		memcpy(binding->data, value->data, bytes);
		instance->stats.copied_out += bytes;
	} else if (instance->addresses[id] || !instance->plan->launches) {
		instance->stats.in_place_outputs |= bit(index);
	}
	output->dtype = (int32_t)value->dtype;
	output->rank = value->rank;
	memcpy(output->dims, value->dims, sizeof(output->dims));
	output->data = binding->data;
	output->size = bytes;
	return 0;
}

void in_place_end(struct instance *instance)
{
	const struct axm *axm = &instance->plan->axm;

	if (!instance->bound)
		return;
	for (uint32_t i = 0; i < axm->model->num_inputs; i++)
		instance->addresses[input_id(axm, i)] = 0;
	for (uint32_t i = 0; i < axm->model->num_outputs; i++) {
		struct tensor *tensor = &instance->values[output_id(axm, i)];

		instance->addresses[output_id(axm, i)] = 0;
		if (!instance->lent[i])
			continue;
		/* A kernel may have given it memory of its own. */
		tensor_finish(tensor);
		*tensor = instance->own[i];
		instance->lent[i] = false;
	}
	instance->bound = NULL;
}
