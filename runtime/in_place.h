/* SPDX-License-Identifier: MIT */
/*
 * Inputs and outputs of one run in the memory that its caller bound (binding.h): which of them the device's regions read and write where
 * they lie, which nodes of the CPU do, and which have to be copied.
 *
 * A region takes a bound value in place when the instance runs on the binding's device; on another device, or on the CPU, the value is
 * the binding's memory as this process sees it. An output that is an input, a constant, or an output once more is copied at the end.
 */
#ifndef RUNTIME_IN_PLACE_H
#define RUNTIME_IN_PLACE_H

#include "runtime/binding.h"
#include "runtime/instance.h"

/*
 * For the next run, of the device that the instance was placed on: @bound as binding_collect() gives it, until in_place_end(); NULL: the
 * run has none. -ENOSPC: an output is larger than its binding; -ENOTSUP: this process would have to read or write a binding that it can
 * not see; -EINVAL: strings. After an error in_place_end() as well.
 */
int in_place_begin(struct instance *instance, struct accel_binding *const *bound, char *error, size_t size);
/* Values have their own memory again. Nothing happens when there was no in_place_begin(). */
void in_place_end(struct instance *instance);

/*
 * After a good run: let output @index, which is bound, lie in its binding, whoever computed it, and describe it. -ENOSPC: its shape came
 * from the run, and it is larger.
 */
int in_place_output(struct instance *instance, size_t index, struct accel_tensor *output, char *error, size_t size);

#endif
