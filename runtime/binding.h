/* SPDX-License-Identifier: MIT */
/*
 * What an accel_binding is inside, and who has it: a piece of a device's buffer, bound once more in the device's address space, so that
 * neither its rights nor its life depend on the caller's own binding. What a run does with it is in_place.h's.
 */
#ifndef RUNTIME_BINDING_H
#define RUNTIME_BINDING_H

#include <stdatomic.h>

#include <accel/runtime.h>

struct accel_vm;

/*
 * struct accel_binding
 * @next:    in the session's list
 * @buffer, @offset, @size: as the caller gave them; @bytes: whole pages
 * @device:  an index of the session's devices; @vm: its address space, where the piece lies at @address
 * @data:    the piece in this process; NULL: it can not be seen here
 * @local:   it lies in the device's own memory; @lost: which is gone
 * @readers: runs under way that have it as an input; @writer: one that has it as an output. Under the session's lock
 */
struct accel_binding {
	struct accel_binding *next;
	struct accel_session *session;
	struct accel_buffer *buffer;
	uint64_t offset, size, bytes, address;
	size_t device;
	struct accel_vm *vm;
	void *data;
	unsigned int use, readers;
	bool writer, local;
	atomic_bool lost;
};

/*
 * The bindings of a run into @bound: of its inputs, then of its outputs, NULL for tensors without one. Whether there is one at all.
 */
bool binding_collect(const struct accel_tensor *inputs, size_t num_inputs, const struct accel_tensor *outputs,
		     size_t num_outputs, struct accel_binding **bound);

/*
 * Take all of @bound for a run of @session, or none: -EINVAL: of another session, or not for this use; -EBUSY: another run under way, or
 * another tensor of this one, writes it, or would while it is read. The session's lock is held; also for giving them back.
 */
int binding_hold(const struct accel_session *session, struct accel_binding *const *bound, size_t num_inputs,
		 size_t num_outputs, char *error, size_t size);
void binding_release(struct accel_binding *const *bound, size_t num_inputs, size_t num_outputs);

#endif
