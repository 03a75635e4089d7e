/* SPDX-License-Identifier: MIT */
/* See binding.h. */
#include "runtime/binding.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <accel/accel.h>

#include "runtime/fail.h"
#include "runtime/session_internal.h"

#define USES (ACCEL_BINDING_INPUT | ACCEL_BINDING_OUTPUT)

/* ---- life ---- */

static int check_range(const struct accel_binding *binding, char *error, size_t size)
{
	/* Buffers are whole pages, whatever size was asked for. */
	uint64_t end = (accel_buffer_size(binding->buffer) + AXL_PAGE_BYTES - 1) & ~(uint64_t)(AXL_PAGE_BYTES - 1);

	if (!binding->use || binding->use & ~USES)
		return fail(error, size, -EINVAL, "binding: for inputs, outputs or both, not 0x%x", binding->use);
	if (binding->offset % AXL_PAGE_BYTES)
		return fail(error, size, -EINVAL, "binding: it begins at byte %llu, not at a multiple of %d",
			    (unsigned long long)binding->offset, AXL_PAGE_BYTES);
	if (!binding->size || binding->offset > end || binding->size > end - binding->offset)
		return fail(error, size, -EINVAL, "binding: %llu bytes from %llu on, of a buffer of %llu",
			    (unsigned long long)binding->size, (unsigned long long)binding->offset,
			    (unsigned long long)accel_buffer_size(binding->buffer));
	return 0;
}

/* On the device whose buffer it is: the others refuse it. */
static int bind_in_device(struct accel_binding *binding, char *error, size_t size)
{
	struct accel_session *session = binding->session;
	unsigned int rights = ACCEL_READ | (binding->use & ACCEL_BINDING_OUTPUT ? ACCEL_WRITE : 0);
	int err = -EINVAL;

	binding->bytes = (binding->size + AXL_PAGE_BYTES - 1) & ~(uint64_t)(AXL_PAGE_BYTES - 1);
	for (size_t d = 0; d < session->host.num_devices && err == -EINVAL; d++) {
		binding->device = d;
		binding->vm = accel_device_vm(accel_session_device(session, d));
		err = accel_vm_bind(binding->vm, binding->buffer, binding->offset, binding->bytes, rights,
				    &binding->address);
	}
	if (err == -EINVAL)
		return fail(error, size, err, "binding: the buffer is of no device of this session");
	return err ? fail(error, size, err, "binding: %s", strerror(-err)) : 0;
}

static bool overlap(const struct accel_binding *a, const struct accel_binding *b)
{
	return a->buffer == b->buffer && a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
}

/* Two of the same bytes would each look unused while the other is written. */
static int join_list(struct accel_binding *binding, char *error, size_t size)
{
	struct accel_session *session = binding->session;
	const struct accel_binding *other;

	pthread_mutex_lock(&session->lock);
	if (session->devices[binding->device].stats.gone ||
	    binding->vm != runtime_device_vm(session->opened[binding->device])) {
		pthread_mutex_unlock(&session->lock);
		return fail(error, size, -ENODEV, "binding: the buffer's device is gone");
	}
	for (other = session->bindings; other && !overlap(binding, other); other = other->next)
		;
	if (!other) {
		binding->next = session->bindings;
		session->bindings = binding;
	}
	pthread_mutex_unlock(&session->lock);
	return other ? fail(error, size, -EEXIST, "binding: another one of this session has part of these bytes") : 0;
}

int accel_binding_create(struct accel_session *session, struct accel_buffer *buffer, uint64_t offset, uint64_t size,
			 unsigned int use, struct accel_binding **binding, char *error, size_t error_size)
{
	struct accel_binding *b = calloc(1, sizeof(*b));
	int err;

	*binding = NULL;
	if (error_size)
		error[0] = '\0';
	if (!b)
		return fail(error, error_size, -ENOMEM, "out of memory");
	*b = (struct accel_binding){.session = session, .buffer = buffer, .offset = offset, .size = size, .use = use};
	b->local = accel_buffer_flags(buffer) & ACCEL_BUFFER_LOCAL;
	err = check_range(b, error, error_size);
	if (!err)
		err = bind_in_device(b, error, error_size);
	if (err)
		goto err_free;
	if (accel_buffer_data(buffer))
		b->data = (uint8_t *)accel_buffer_data(buffer) + offset;
	err = join_list(b, error, error_size);
	if (err)
		goto err_unbind;
	*binding = b;
	return 0;

err_unbind:
	accel_vm_unbind(b->vm, b->address, b->bytes);
err_free:
	free(b);
	return err;
}

int accel_binding_destroy(struct accel_binding *binding)
{
	struct accel_binding **link;
	bool busy;

	if (!binding)
		return 0;
	pthread_mutex_lock(&binding->session->lock);
	busy = binding->readers || binding->writer;
	for (link = &binding->session->bindings; *link != binding; link = &(*link)->next)
		;
	if (!busy)
		*link = binding->next;
	pthread_mutex_unlock(&binding->session->lock);
	if (busy)
		return -EBUSY;
	/* A device that is gone has no bindings to take away. */
	accel_vm_unbind(binding->vm, binding->address, binding->bytes);
	free(binding);
	return 0;
}

/* ---- runs ---- */

bool binding_collect(const struct accel_tensor *inputs, size_t num_inputs, const struct accel_tensor *outputs,
		     size_t num_outputs, struct accel_binding **bound)
{
	bool any = false;

	for (size_t i = 0; i < num_inputs + num_outputs; i++) {
		bound[i] = i < num_inputs ? inputs[i].binding : outputs[i - num_inputs].binding;
		any |= bound[i] != NULL;
	}
	return any;
}

static int hold(const struct accel_session *session, struct accel_binding *binding, bool output, size_t index,
		char *error, size_t size)
{
	const char *what = output ? "output" : "input";

	if (binding->session != session)
		return fail(error, size, -EINVAL, "%s %zu: its binding is of another session", what, index);
	if (!(binding->use & (output ? ACCEL_BINDING_OUTPUT : ACCEL_BINDING_INPUT)))
		return fail(error, size, -EINVAL, "%s %zu: its binding is not for %ss", what, index, what);
	if (binding->writer || (output && binding->readers))
		return fail(error, size, -EBUSY, "%s %zu: its binding is in use, and would be written meanwhile", what,
			    index);
	if (output)
		binding->writer = true;
	else
		binding->readers++;
	return 0;
}

/* The first @count of them. */
static void release(struct accel_binding *const *bound, size_t num_inputs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (bound[i] && i < num_inputs)
			bound[i]->readers--;
		else if (bound[i])
			bound[i]->writer = false;
}

int binding_hold(const struct accel_session *session, struct accel_binding *const *bound, size_t num_inputs,
		 size_t num_outputs, char *error, size_t size)
{
	for (size_t i = 0; i < num_inputs + num_outputs; i++) {
		bool output = i >= num_inputs;
		int err = bound[i] ? hold(session, bound[i], output, output ? i - num_inputs : i, error, size) : 0;

		if (err) {
			release(bound, num_inputs, i);
			return err;
		}
	}
	return 0;
}

void binding_release(struct accel_binding *const *bound, size_t num_inputs, size_t num_outputs)
{
	release(bound, num_inputs, num_inputs + num_outputs);
}
