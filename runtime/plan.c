/* SPDX-License-Identifier: MIT */
/* See plan.h. The package is the only thing a plan knows of the model. */
#include "runtime/plan.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/report/in_order.h"
#include "runtime/fail.h"

/* ---- loading ---- */

/* @count strings at @offset of the package's data; their bytes stay there. NULL when out of memory. */
static struct tensor_string *read_strings(struct plan *plan, uint64_t offset, uint64_t count)
{
	struct tensor_string **grown = realloc(plan->strings, (plan->num_strings + 1) * sizeof(*grown));
	struct tensor_string *strings = calloc(count + 1, sizeof(*strings));

	if (grown)
		plan->strings = grown;
	if (!grown || !strings) {
		free(strings);
		return NULL;
	}
	for (uint64_t i = 0; i < count; i++)
		strings[i] = axm_string_at(&plan->axm, offset, count, i);
	plan->strings[plan->num_strings++] = strings;
	return strings;
}

static int make_constants(struct plan *plan, char *error, size_t size)
{
	const struct axm *axm = &plan->axm;

	plan->constants = calloc(axm->num_values + 1, sizeof(*plan->constants));
	if (!plan->constants)
		return fail(error, size, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < axm->num_values; i++) {
		const struct axm_value *value = &axm->values[i];
		/* Kernels never write to inputs, so the mapping may be read-only. */
		void *data = (void *)(uintptr_t)(axm->data + value->data);
		uint64_t bytes = value->size;
		int err;

		if (!(value->flags & AXM_VALUE_CONSTANT))
			continue;
		if (value->dtype == DTYPE_STRING) {
			uint64_t count = (uint64_t)dims_count((int)value->rank, value->dims);

			data = read_strings(plan, value->data, count);
			bytes = count * sizeof(struct tensor_string);
			if (!data)
				return fail(error, size, -ENOMEM, "out of memory");
		}
		err = tensor_init_view(&plan->constants[i], (enum dtype)value->dtype, (int)value->rank, value->dims,
				       data, bytes);
		if (err)
			return fail(error, size, err, "constant %s", axm_string(axm, value->name));
	}
	return 0;
}

static int read_attr(struct plan *plan, const struct axm_attr *from, struct attr *attr)
{
	const struct axm *axm = &plan->axm;
	void *data = (void *)(uintptr_t)(axm->data + from->data);

	*attr = (struct attr){
		.name = axm_string(axm, from->name), .type = (enum attr_type)from->type, .f = from->f, .i = from->i};
	attr->count = from->count;
	if (from->type == ATTR_STRING)
		attr->s = (struct tensor_string){data, from->count};
	else if (from->type == ATTR_INTS)
		attr->ints = data;
	else if (from->type == ATTR_FLOATS)
		attr->floats = data;
	else if (from->type == ATTR_TENSOR)
		attr->tensor = &plan->constants[from->i];
	else if (from->type == ATTR_GRAPH)
		attr->graph = (void *)(uintptr_t)&axm->graphs[from->i];
	else if (from->type == ATTR_STRINGS) {
		attr->strings = read_strings(plan, from->data, from->count);
		return attr->strings ? 0 : -ENOMEM;
	}
	return 0;
}

static int prepare_node(struct plan *plan, uint32_t index, char *error, size_t size)
{
	const struct axm *axm = &plan->axm;
	const struct axm_node *from = &axm->nodes[index];
	struct plan_node *node = &plan->nodes[index];
	const struct tensor **constants;
	int err = 0;

	node->kernel = op_find(axm_string(axm, from->domain), axm_string(axm, from->op_type), (int)from->opset);
	if (!node->kernel)
		return fail(error, size, -ENOTSUP, "node %s: the CPU has no %s%s%s of opset %u",
			    axm_string(axm, from->name), axm_string(axm, from->domain),
			    *axm_string(axm, from->domain) ? "::" : "", axm_string(axm, from->op_type), from->opset);
	node->attrs = calloc(from->num_attrs + 1, sizeof(*node->attrs));
	constants = calloc(from->num_inputs + 1, sizeof(*constants));
	if (!node->attrs || !constants)
		err = -ENOMEM;
	for (uint32_t i = 0; i < from->num_attrs && !err; i++)
		err = read_attr(plan, &axm->attrs[from->attrs_first + i], &node->attrs[i]);
	if (err) {
		free(constants);
		return fail(error, size, err, "out of memory");
	}
	for (uint32_t i = 0; i < from->num_inputs; i++) {
		uint32_t id = axm->ids[from->inputs_first + i];

		if (id != AXM_NO_ID && axm->values[id].flags & AXM_VALUE_CONSTANT)
			constants[i] = &plan->constants[id];
	}
	node->node = (struct op_node){
		.name = axm_string(axm, from->name),
		.domain = axm_string(axm, from->domain),
		.op_type = axm_string(axm, from->op_type),
		.opset = (int)from->opset,
		.num_attrs = from->num_attrs,
		.attrs = node->attrs,
		.num_inputs = from->num_inputs,
		.num_outputs = from->num_outputs,
	};
	err = op_prepare(node->kernel, &node->node, constants, &node->state);
	free(constants);
	return err ? fail(error, size, err, "node %s: can not be prepared: %s", node->node.name, strerror(-err)) : 0;
}

void plan_drop(struct plan *plan, size_t device)
{
	struct runtime_program **programs = &plan->programs[device * plan->axm.num_regions];

	for (uint32_t r = 0; r < plan->axm.num_regions; r++) {
		runtime_program_destroy(programs[r]);
		programs[r] = NULL;
	}
}

int plan_upload(struct plan *plan, size_t device, char *error, size_t size)
{
	struct runtime_program **programs = &plan->programs[device * plan->axm.num_regions];
	int err = 0;

	for (uint32_t r = 0; r < plan->axm.num_regions && !err; r++)
		if (plan->axm.regions[r].device)
			err = runtime_program_create(plan->host.devices[device], &plan->axm, r, &programs[r], error,
						     size);
	if (err)
		plan_drop(plan, device);
	return err;
}

/* On every device of the session but those that are gone: they get it when they are back. */
static int upload_everywhere(struct plan *plan, char *error, size_t size)
{
	bool somewhere = false;

	if (!plan->host.num_devices)
		return fail(error, size, -ENODEV, "the package has code for a device, and no device was opened");
	for (size_t d = 0; d < plan->host.num_devices; d++) {
		int err = plan_upload(plan, d, error, size);

		if (err && err != -ENODEV)
			return err;
		somewhere |= !err;
	}
	return somewhere ? 0 : -ENODEV;
}

static int prepare_regions(struct plan *plan, char *error, size_t size)
{
	const struct axm *axm = &plan->axm;
	int err = region_order_make(axm, &plan->order);

	plan->nodes = calloc(axm->num_nodes + 1, sizeof(*plan->nodes));
	plan->programs = calloc(axm->num_regions * plan->host.num_devices + 1, sizeof(struct runtime_program *));
	if (err || !plan->nodes || !plan->programs)
		return fail(error, size, -ENOMEM, "out of memory");
	for (uint32_t r = 0; r < axm->num_regions && !err; r++) {
		const struct axm_region *region = &axm->regions[r];

		plan->launches += region->device != 0;
		if (region->device && region->cycles > plan->longest)
			plan->longest = region->cycles;
		for (uint32_t n = region->first_node;
		     n < region->first_node + region->num_nodes && !err && !region->device; n++)
			err = prepare_node(plan, n, error, size);
	}
	for (uint32_t n = axm->num_region_nodes; n < axm->num_nodes && !err; n++)
		err = prepare_node(plan, n, error, size);
	return err || !plan->launches ? err : upload_everywhere(plan, error, size);
}

/* ---- inputs ---- */

static bool is_symbolic(const struct axm *axm, uint32_t id, uint32_t dimension)
{
	for (uint32_t i = 0; i < axm->num_dims; i++)
		if (axm->dims[i].value == id && axm->dims[i].dimension == dimension)
			return true;
	return false;
}

int plan_check_input(const struct plan *plan, size_t index, const struct tensor *input, char *error, size_t size)
{
	const struct axm *axm = &plan->axm;
	uint32_t id = axm->ids[axm->model->inputs_first + index];
	const struct axm_value *value = &axm->values[id];
	const char *name = axm_string(axm, value->name);
	bool unranked = value->flags & AXM_VALUE_UNRANKED || dtype_is_nested((enum dtype)value->dtype);
	int other = 0;

	if (value->dtype && input->dtype != (enum dtype)value->dtype)
		return fail(error, size, -EINVAL, "input %s: is %s, the model wants %s", name, dtype_name(input->dtype),
			    *axm_string(axm, value->type) ? axm_string(axm, value->type)
							  : dtype_name((enum dtype)value->dtype));
	if (!unranked && input->rank != (int)value->rank)
		return fail(error, size, -EINVAL, "input %s: is of rank %d, the model wants rank %u", name, input->rank,
			    value->rank);
	for (uint32_t d = 0; d < value->rank && !unranked; d++) {
		if (value->dims[d] < 0 || input->dims[d] == value->dims[d])
			continue;
		if (!is_symbolic(axm, id, d))
			return fail(error, size, -EINVAL, "input %s: dimension %u is %lld, the model wants %lld", name,
				    d, (long long)input->dims[d], (long long)value->dims[d]);
		other = 1;
	}
	return other;
}

/* ---- life ---- */

/* Plans of the process so far. */
static atomic_uint_least64_t made;

int plan_create(const struct plan_host *host, struct axm *axm, uint8_t *bytes, struct plan **plan, char *error,
		size_t size)
{
	struct plan *p = calloc(1, sizeof(*p));
	int err;

	*plan = NULL;
	if (!p) {
		axm_close(axm);
		free(bytes);
		return fail(error, size, -ENOMEM, "out of memory");
	}
	p->host = *host;
	p->axm = *axm;
	p->bytes = bytes;
	p->number = atomic_fetch_add(&made, 1) + 1;
	err = make_constants(p, error, size);
	if (!err)
		err = prepare_regions(p, error, size);
	if (err) {
		plan_destroy(p);
		return err;
	}
	if (host->num_devices) {
		roofline_of_package(&p->axm, &p->roofline);
		p->in_order = in_order_of_package(&p->axm);
	}
	*plan = p;
	return 0;
}

void plan_destroy(struct plan *plan)
{
	if (!plan)
		return;
	for (uint32_t n = 0; plan->nodes && n < plan->axm.num_nodes; n++) {
		if (plan->nodes[n].kernel)
			op_release(plan->nodes[n].kernel, plan->nodes[n].state);
		free(plan->nodes[n].attrs);
	}
	for (size_t d = 0; plan->programs && d < plan->host.num_devices; d++)
		plan_drop(plan, d);
	for (size_t i = 0; i < plan->num_strings; i++)
		free(plan->strings[i]);
	free(plan->strings);
	free(plan->nodes);
	free(plan->programs);
	free(plan->constants);
	region_order_finish(&plan->order);
	axm_close(&plan->axm);
	free(plan->bytes);
	free(plan);
}
