/* SPDX-License-Identifier: MIT */
/*
 * A package made ready to run: its CPU nodes prepared, its code and weights on every device of the session. A session has one for each
 * set of input shapes that it compiled for. It does not change after it was made, but for what it has on a device that is gone: any
 * number of requests run it at once, each with an instance (instance.h) for what it writes.
 */
#ifndef RUNTIME_PLAN_H
#define RUNTIME_PLAN_H

#include <accel/runtime.h>

#include "compiler/package/axm.h"
#include "compiler/report/roofline.h"
#include "runtime/cpu/op.h"
#include "runtime/cpu/pool.h"
#include "runtime/cpu/tensor.h"
#include "runtime/device.h"
#include "runtime/region_order.h"

/* What all plans of a session share; outlives them. No device: "cpu". */
struct plan_host {
	struct runtime_device **devices;
	size_t num_devices;
	struct cpu_pool *pool;
	bool trace;
};

/* A CPU node, prepared. */
struct plan_node {
	const struct op_kernel *kernel;
	struct op_node node;
	struct attr *attrs;
	void *state;
};

/*
 * struct plan
 * @number:    from 1, of all plans of the process: no other plan had it or will have it
 * @bytes:     the package when it was made here, else NULL: it is mapped
 * @constants: by value id: views of the package; the others are empty
 * @strings:   memory of the elements of string constants and attributes, one piece each
 * @nodes:     by node id, those of bodies too; kernel NULL for device nodes
 * @programs:  by device, then by region; NULL for CPU regions, and for a device that was gone when they were made
 * @roofline, @in_order: the bounds of its device regions; zero without a device
 * @launches:  how many regions are the device's; @longest: the compiler's estimate of the longest, cycles
 */
struct plan {
	uint64_t number;
	struct plan_host host;
	struct axm axm;
	uint8_t *bytes;
	struct tensor *constants;
	struct tensor_string **strings;
	size_t num_strings;
	struct plan_node *nodes;
	struct runtime_program **programs;
	struct region_order order;
	struct roofline roofline;
	double in_order;
	size_t launches;
	uint64_t longest;
};

/*
 * Takes over @axm and, when it is not NULL, @bytes, the malloc'ed package that @axm looks into (both also on failure). -ENOTSUP: a
 * CPU node without a kernel; -ENODEV: device code and no device; what uploading gives; -ENOMEM. The reason is in @error.
 */
int plan_create(const struct plan_host *host, struct axm *axm, uint8_t *bytes, struct plan **plan, char *error,
		size_t size);
void plan_destroy(struct plan *plan); /* NULL is fine; its instances are gone before */

/*
 * Its programs on @device, all of them or none. Upload: there are none. Drop: no instance has launches there. Not while instances are placed.
 * Errors as runtime_program_create(); -ENODEV: the device is gone.
 */
int plan_upload(struct plan *plan, size_t device, char *error, size_t size);
void plan_drop(struct plan *plan, size_t device);

/*
 * Does @input fit input @index? 0; 1: all but symbolic dimensions fit, so that a plan for its shape is possible; -EINVAL with what is
 * wrong in @error.
 */
int plan_check_input(const struct plan *plan, size_t index, const struct tensor *input, char *error, size_t size);

#endif
