/* SPDX-License-Identifier: MIT */
/*
 * Scan: a body run once for each position of one axis of some inputs, with state from one run to the next.
 *
 * Opset 8 has a batch around it (dimension 0 of everything, optional lengths of the sequences, always axis 1); since opset 9 there is
 * none, and axes and directions are attributes. Both come down to scan_rows(): one sequence.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/families.h"
#include "runtime/cpu/scan_output.h"
#include "runtime/cpu/shape_rules.h"
#include "runtime/cpu/strided_copy.h"

/*
 * struct scan - one node
 * @num_state, @num_scans, @num_outputs: state variables, scanned inputs, scan outputs
 * @state:  pointers to the tensors where the state of each variable goes
 * @slices: by scanned input, one position of it
 * @own:    memory of what is nowhere else: state, slices, scan outputs of the body
 */
struct scan {
	const struct attr *body;
	size_t num_state, num_scans, num_outputs;
	struct tensor *own;
	struct tensor **state;
	struct tensor *slices;
	const struct tensor **inputs;
	struct tensor **outputs;
	struct scan_output *collected;
};

static int64_t entry(const struct op_node *node, const char *name, size_t i)
{
	const int64_t *values;
	size_t count = op_attr_ints(node, name, &values);

	return i < count ? values[i] : 0;
}

/* @first: index of the first state input. */
static int scan_create(struct op_call *call, struct scan *scan, size_t first)
{
	const struct op_node *node = call->node;
	int64_t scans = op_attr_int(node, "num_scan_inputs", 0);
	size_t operands = node->num_inputs > first ? node->num_inputs - first : 0;

	*scan = (struct scan){.body = op_body(call, "body")};
	if (!scan->body)
		return -EINVAL;
	if (scans < 1 || (uint64_t)scans > operands)
		return op_fail(call, -EINVAL, "Scan: num_scan_inputs is %" PRId64 ", the node has %zu operands", scans,
			       operands);
	scan->num_scans = (size_t)scans;
	scan->num_state = operands - scan->num_scans;
	if (node->num_outputs < scan->num_state)
		return op_fail(call, -EINVAL, "Scan: %zu state variables and only %zu outputs", scan->num_state,
			       node->num_outputs);
	for (size_t i = first; i < node->num_inputs; i++)
		if (!call->inputs[i] || dtype_is_nested(call->inputs[i]->dtype))
			return op_fail(call, -EINVAL, "Scan: input %zu is %s", i,
				       call->inputs[i] ? "no tensor" : "missing");
	scan->num_outputs = node->num_outputs - scan->num_state;
	scan->own = calloc(node->num_outputs + 1, sizeof(*scan->own));
	scan->state = calloc(scan->num_state + 1, sizeof(*scan->state));
	scan->slices = calloc(scan->num_scans, sizeof(*scan->slices));
	scan->inputs = calloc(operands, sizeof(*scan->inputs));
	scan->outputs = calloc(node->num_outputs + 1, sizeof(*scan->outputs));
	scan->collected = calloc(scan->num_outputs + 1, sizeof(*scan->collected));
	if (!scan->own || !scan->state || !scan->slices || !scan->inputs || !scan->outputs || !scan->collected)
		return op_fail(call, -ENOMEM, "Scan: out of memory");
	for (size_t k = 0; k < node->num_outputs; k++)
		scan->outputs[k] = &scan->own[k];
	return 0;
}

static void scan_destroy(struct op_call *call, struct scan *scan)
{
	for (size_t k = 0; scan->own && k < call->node->num_outputs; k++)
		tensor_finish(&scan->own[k]);
	for (size_t k = 0; scan->slices && k < scan->num_scans; k++)
		tensor_finish(&scan->slices[k]);
	free(scan->own);
	free(scan->state);
	free(scan->slices);
	free(scan->inputs);
	free(scan->outputs);
	free(scan->collected);
}

/* Position @at of @axis of @in, dense. */
static int take_slice(struct op_call *call, const struct tensor *in, int axis, int64_t at, struct tensor *slice)
{
	struct strided_copy copy = {.rank = in->rank - 1, .size = dtype_size(in->dtype)};
	int64_t strides[TENSOR_MAX_RANK], dims[TENSOR_MAX_RANK];
	int err = 0;

	dense_strides(in->rank, in->dims, strides);
	for (int d = 0, to = 0; d < in->rank; d++)
		if (d != axis) {
			dims[to] = copy.dims[to] = in->dims[d];
			copy.src_strides[to++] = strides[d];
		}
	dense_strides(copy.rank, dims, copy.dst_strides);
	copy.src = (const uint8_t *)in->data + (size_t)(at * strides[axis]) * copy.size;
	if (axis == 0 || dtype_owns_memory(in->dtype))
		tensor_finish(slice);
	if (axis == 0) { /* it is dense where it is */
		err = tensor_init_view(slice, in->dtype, copy.rank, dims, (void *)(uintptr_t)copy.src,
				       (size_t)dims_count(copy.rank, dims) * copy.size);
	} else if (!slice->data) {
		err = tensor_init(slice, in->dtype, copy.rank, dims);
	}
	if (err)
		return op_fail(call, err, "Scan: no memory for a slice of a scanned input");
	copy.dst = slice->data;
	if (!axis || !tensor_bytes(slice))
		return 0;
	strided_copy_run(copy, call->pool);
	return dtype_owns_memory(in->dtype) ? strings_own(call, slice) : 0;
}

/*
 * One sequence of @length positions. @initial: state before, by variable; state[k] gets each next one. @scanned: the scanned inputs
 * with their axes; @backward[k]: from the last position to the first.
 */
static int scan_rows(struct op_call *call, struct scan *scan, const struct tensor *const *initial,
		     const struct tensor *const *scanned, const int64_t *axes, const bool *backward, int64_t length)
{
	int err = 0;

	for (size_t k = 0; k < scan->num_state; k++)
		scan->inputs[k] = initial[k];
	for (int64_t i = 0; i < length && !err; i++) {
		for (size_t k = 0; k < scan->num_scans && !err; k++) {
			err = take_slice(call, scanned[k], (int)axes[k], backward[k] ? length - 1 - i : i,
					 &scan->slices[k]);
			scan->inputs[scan->num_state + k] = &scan->slices[k];
		}
		for (size_t k = 0; k < scan->num_state; k++)
			scan->outputs[k] = scan->state[k];
		if (!err)
			err = call->runner->run(call, scan->body, scan->inputs, scan->num_state + scan->num_scans,
						scan->outputs, scan->num_state + scan->num_outputs);
		for (size_t k = 0; k < scan->num_state && !err; k++)
			scan->inputs[k] = scan->state[k];
		for (size_t k = 0; k < scan->num_outputs && !err; k++)
			err = scan_output_append(call, &scan->collected[k], scan->outputs[scan->num_state + k]);
	}
	for (size_t k = 0; k < scan->num_state && !err && length == 0; k++) {
		struct tensor same = *initial[k];

		same.owned = false;
		if (tensor_give(scan->state[k], &same))
			err = op_fail(call, -ENOMEM, "Scan: out of memory");
	}
	return err;
}

/* ---- since opset 9 ---- */

static int scan_geometry(struct op_call *call, const struct scan *scan, int64_t *axes, bool *backward, int64_t *length)
{
	const struct op_node *node = call->node;

	for (size_t k = 0; k < scan->num_scans; k++) {
		const struct tensor *in = call->inputs[scan->num_state + k];

		axes[k] = entry(node, "scan_input_axes", k);
		backward[k] = entry(node, "scan_input_directions", k) != 0;
		if (normalize_axis(&axes[k], in->rank))
			return op_fail(call, -EINVAL, "Scan: axis %" PRId64 " of input %zu, which has rank %d", axes[k],
				       scan->num_state + k, in->rank);
		if (k && in->dims[axes[k]] != *length)
			return op_fail(call, -EINVAL,
				       "Scan: input %zu has %" PRId64 " positions, the first scanned input %" PRId64,
				       scan->num_state + k, in->dims[axes[k]], *length);
		*length = in->dims[axes[k]];
	}
	return 0;
}

static int run_scan(struct op_call *call)
{
	const struct op_node *node = call->node;
	struct scan scan;
	int64_t *axes = calloc(node->num_inputs + 1, sizeof(*axes)), length = 0;
	bool *backward = calloc(node->num_inputs + 1, sizeof(*backward));
	int err = scan_create(call, &scan, 0);

	if (!err && (!axes || !backward))
		err = op_fail(call, -ENOMEM, "Scan: out of memory");
	if (!err)
		err = scan_geometry(call, &scan, axes, backward, &length);
	for (size_t k = 0; k < scan.num_state && !err; k++)
		scan.state[k] = op_wanted(call, k) ? call->outputs[k] : &scan.own[k];
	for (size_t k = 0; k < scan.num_outputs && !err; k++) {
		size_t output = scan.num_state + k;

		scan_output_begin(&scan.collected[k], op_wanted(call, output) ? call->outputs[output] : NULL,
				  entry(node, "scan_output_axes", k), entry(node, "scan_output_directions", k) != 0,
				  length);
	}
	if (!err)
		err = scan_rows(call, &scan, call->inputs, call->inputs + scan.num_state, axes, backward, length);
	for (size_t k = 0; k < scan.num_outputs && !err; k++)
		err = scan_output_end(call, &scan.collected[k], scan.body, scan.num_state + k);
	scan_destroy(call, &scan);
	free(axes);
	free(backward);
	return err;
}

/* ---- opset 8 ---- */

/* Element @b of dimension 0, as a view. */
static void batch_view(const struct tensor *in, int64_t b, struct tensor *view)
{
	size_t bytes = tensor_bytes(in) / (size_t)in->dims[0];

	tensor_init_view(view, in->dtype, in->rank - 1, in->dims + 1, (uint8_t *)in->data + (size_t)b * bytes, bytes);
}

static int batch_geometry(struct op_call *call, const struct scan *scan, int64_t *batch, int64_t *length)
{
	const struct tensor *first = call->inputs[1 + scan->num_state], *lengths = op_input(call, 0);

	for (size_t i = 1; i < call->node->num_inputs; i++) {
		const struct tensor *in = call->inputs[i];
		bool scanned = i >= 1 + scan->num_state;

		if (in->rank < (scanned ? 2 : 1) || in->dims[0] != first->dims[0] ||
		    (scanned && in->dims[1] != first->dims[1]) || in->dims[0] < 1 || dtype_owns_memory(in->dtype))
			return op_fail(call, -EINVAL,
				       "Scan: batch, sequence length, rank or type of input %zu does not fit", i);
	}
	*batch = first->dims[0];
	*length = first->dims[1];
	if (lengths && (lengths->dtype != DTYPE_S64 || lengths->rank != 1 || lengths->dims[0] != *batch))
		return op_fail(call, -EINVAL, "Scan: sequence_lens (input 0) is not one int64 for each of the %" PRId64,
			       *batch);
	return 0;
}

/* Result @value of batch element @b to output @index; a scan output is filled with zeros up to @length positions. */
static int store_batch(struct op_call *call, size_t index, const struct tensor *value, int64_t b, int64_t batch,
		       bool scanned, int64_t length)
{
	int64_t dims[TENSOR_MAX_RANK] = {batch};
	struct tensor *out;
	size_t bytes;
	int err;

	if (!op_wanted(call, index))
		return 0;
	out = call->outputs[index];
	if (value->rank == TENSOR_MAX_RANK || dtype_owns_memory(value->dtype))
		return op_fail(call, -ENOTSUP, "Scan: output %zu: %s of rank %d in a batch", index,
			       dtype_name(value->dtype), value->rank);
	memcpy(dims + 1, value->dims, (size_t)value->rank * sizeof(*dims));
	if (scanned)
		dims[1] = length;
	if (b == 0) {
		err = op_output(call, index, value->dtype, value->rank + 1, dims);
		if (err)
			return err;
		memset(out->data, 0, tensor_bytes(out));
	} else if (out->dtype != value->dtype || out->rank != value->rank + 1 ||
		   memcmp(out->dims, dims, (size_t)out->rank * sizeof(*dims))) {
		return op_fail(call, -EINVAL, "Scan: output %zu differs in type or shape between batch elements",
			       index);
	}
	bytes = tensor_bytes(out) / (size_t)batch;
	if (tensor_bytes(value))
		memcpy((uint8_t *)out->data + (size_t)b * bytes, value->data, tensor_bytes(value));
	return 0;
}

static int run_batch_element(struct op_call *call, struct scan *scan, struct tensor *views,
			     const struct tensor **pointers, int64_t b, int64_t batch, int64_t length)
{
	static const char *const directions = "directions";
	const struct tensor *lengths = op_input(call, 0);
	int64_t steps = lengths ? tensor_get_s64(lengths, b) : length, *axes;
	size_t operands = scan->num_state + scan->num_scans;
	bool *backward;
	int err = 0;

	if (steps < 0 || steps > length)
		return op_fail(call, -EINVAL, "Scan: sequence_lens[%" PRId64 "] is %" PRId64 ", at most %" PRId64, b,
			       steps, length);
	axes = calloc(scan->num_scans, sizeof(*axes));
	backward = calloc(scan->num_scans, sizeof(*backward));
	if (!axes || !backward)
		err = op_fail(call, -ENOMEM, "Scan: out of memory");
	for (size_t k = 0; k < operands; k++) {
		batch_view(call->inputs[1 + k], b, &views[k]);
		pointers[k] = &views[k];
	}
	for (size_t k = 0; k < scan->num_scans && !err; k++)
		backward[k] = entry(call->node, directions, k) != 0;
	for (size_t k = 0; k < scan->num_outputs; k++)
		scan_output_begin(&scan->collected[k], &views[operands + k], 0, false, steps);
	if (!err)
		err = scan_rows(call, scan, pointers, pointers + scan->num_state, axes, backward, steps);
	for (size_t k = 0; k < scan->num_outputs && !err; k++)
		err = scan_output_end(call, &scan->collected[k], scan->body, scan->num_state + k);
	for (size_t k = 0; k < scan->num_state && !err; k++)
		err = store_batch(call, k, scan->state[k], b, batch, false, 0);
	for (size_t k = 0; k < scan->num_outputs && !err; k++)
		err = store_batch(call, scan->num_state + k, &views[operands + k], b, batch, true, length);
	for (size_t k = 0; k < operands + scan->num_outputs; k++)
		tensor_finish(&views[k]);
	free(axes);
	free(backward);
	return err;
}

static int run_batched_scan(struct op_call *call)
{
	const struct op_node *node = call->node;
	struct tensor *views = calloc(node->num_inputs + node->num_outputs, sizeof(*views));
	const struct tensor **pointers = calloc(node->num_inputs + 1, sizeof(*pointers));
	int64_t batch = 0, length = 0;
	struct scan scan;
	int err = scan_create(call, &scan, 1);

	if (!err && (!views || !pointers))
		err = op_fail(call, -ENOMEM, "Scan: out of memory");
	if (!err)
		err = batch_geometry(call, &scan, &batch, &length);
	for (size_t k = 0; k < scan.num_state && !err; k++)
		scan.state[k] = &scan.own[k];
	for (int64_t b = 0; b < batch && !err; b++)
		err = run_batch_element(call, &scan, views, pointers, b, batch, length);
	scan_destroy(call, &scan);
	free(views);
	free(pointers);
	return err;
}

const struct op_kernel ops_scan[] = {
	{"", "Scan", 8, 8, 0, -1, 1, -1, run_batched_scan},
	{"", "Scan", 9, 0, 1, -1, 1, -1, run_scan},
};
const size_t ops_scan_count = sizeof(ops_scan) / sizeof(ops_scan[0]);
