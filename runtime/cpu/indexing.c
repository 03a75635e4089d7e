// SPDX-License-Identifier: MIT
/*
 * Operators whose positions are data: the Gather and Scatter families, OneHot, NonZero, Compress.
 *
 * Indices are read as s64, count from the end when negative, and are all checked before an element is moved.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/scatter_update.h"
#include "runtime/cpu/scratch.h"
#include "runtime/cpu/shape_rules.h"
#include "runtime/cpu/strided_copy.h"

/*
 * Indices of input @index in [0, length), as a tensor in the thread's scratch memory: one at a time. The caller finishes it, also
 * after an error.
 */
static int load_indices(struct op_call *call, size_t index, int64_t length, struct tensor *out)
{
	const struct tensor *in = call->inputs[index];
	int64_t *values;
	int err;

	memset(out, 0, sizeof(*out));
	if (in->dtype != DTYPE_S64 && in->dtype != DTYPE_S32)
		return op_fail(call, -EINVAL, "%s: indices (input %zu) are %s, not int32 or int64", call->node->op_type,
			       index, dtype_name(in->dtype));
	values = scratch_get_for(SCRATCH_IMAGE, (size_t)(tensor_count(in) + 1) * sizeof(*values));
	err = values ? tensor_init_view(out, DTYPE_S64, in->rank, in->dims, values,
					(size_t)tensor_count(in) * sizeof(*values))
		     : -ENOMEM;
	if (err)
		return op_fail(call, err, "%s: no memory for the indices", call->node->op_type);
	if (tensor_count(in) > 0)
		cast_row(in->dtype, DTYPE_S64)(tensor_count(in), in->data, values);
	for (int64_t i = 0; length >= 0 && i < tensor_count(in); i++) {
		if (values[i] < -length || values[i] >= length)
			return op_fail(call, -EINVAL,
				       "%s: index %" PRId64 " (input %zu) is out of range for %" PRId64 " elements",
				       call->node->op_type, values[i], index, length);
		if (values[i] < 0)
			values[i] += length;
	}
	return 0;
}

static int finish_output(struct op_call *call)
{
	struct tensor *out = call->outputs[0];

	return out->dtype == DTYPE_STRING ? strings_own(call, out) : 0;
}

static int read_axis(struct op_call *call, int64_t fallback, int64_t *axis)
{
	*axis = op_attr_int(call->node, "axis", fallback);
	if (normalize_axis(axis, call->inputs[0]->rank))
		return op_fail(call, -EINVAL, "%s: axis %" PRId64 " is out of range for rank %d", call->node->op_type,
			       *axis, call->inputs[0]->rank);
	return 0;
}

/* ---- Gather ---- */

struct gather_job {
	const char *in;
	char *out;
	const int64_t *indices;
	int64_t num_indices, length;
	size_t line; /* bytes of one slice */
};

static void gather_lines(void *arg, int64_t begin, int64_t end)
{
	const struct gather_job *job = arg;

	for (int64_t i = begin; i < end; i++) {
		int64_t from = i / job->num_indices * job->length + job->indices[i % job->num_indices];

		if (job->line == 4)
			memcpy(job->out + i * 4, job->in + from * 4, 4);
		else
			memcpy(job->out + i * job->line, job->in + from * job->line, job->line);
	}
}

static int run_gather(struct op_call *call)
{
	const struct tensor *in = call->inputs[0], *at = call->inputs[1];
	int64_t dims[2 * TENSOR_MAX_RANK], axis, outer, inner;
	struct tensor indices = {0};
	struct gather_job job;
	int err;

	if (!op_wanted(call, 0))
		return 0;
	err = read_axis(call, 0, &axis);
	if (!err)
		err = load_indices(call, 1, in->dims[axis], &indices);
	if (err)
		goto out_finish;
	memcpy(dims, in->dims, axis * sizeof(*dims));
	memcpy(dims + axis, at->dims, at->rank * sizeof(*dims));
	memcpy(dims + axis + at->rank, in->dims + axis + 1, (in->rank - axis - 1) * sizeof(*dims));
	err = op_output(call, 0, in->dtype, in->rank - 1 + at->rank, dims);
	if (err || tensor_count(call->outputs[0]) == 0)
		goto out_finish;
	outer = dims_count(axis, in->dims);
	inner = dims_count(in->rank - axis - 1, in->dims + axis + 1);
	job = (struct gather_job){in->data,         call->outputs[0]->data, indices.data,
				  tensor_count(at), in->dims[axis],         inner * dtype_size(in->dtype)};
	parallel_range(call->pool, outer * job.num_indices, PARALLEL_GRAIN / inner + 1, gather_lines, &job);
	err = finish_output(call);
out_finish:
	tensor_finish(&indices);
	return err;
}

/* ---- GatherElements, ScatterElements: an index for every element of input 1 ---- */

/* Where position @index of @indices, with its coordinate on @axis replaced, lies in a tensor of these strides. */
static int64_t element_offset(const struct tensor *indices, const int64_t *strides, int64_t axis, int64_t i)
{
	int64_t offset = ((const int64_t *)indices->data)[i] * strides[axis];

	for (int d = indices->rank - 1; d >= 0; d--) {
		if (d != axis)
			offset += i % indices->dims[d] * strides[d];
		i /= indices->dims[d];
	}
	return offset;
}

/* Indices may cover less than the data, never more. */
static int check_elements(struct op_call *call, int64_t axis)
{
	const struct tensor *in = call->inputs[0], *at = call->inputs[1];
	bool fits = at->rank == in->rank;

	for (int i = 0; fits && i < in->rank; i++)
		fits = i == axis || at->dims[i] <= in->dims[i];
	return fits ? 0
		    : op_fail(call, -EINVAL, "%s: the shape of the indices (input 1) does not fit the data",
			      call->node->op_type);
}

static int run_gather_elements(struct op_call *call)
{
	const struct tensor *in = call->inputs[0], *at = call->inputs[1];
	int64_t strides[TENSOR_MAX_RANK], axis;
	size_t size = dtype_size(in->dtype);
	struct tensor indices = {0};
	int err;

	if (!op_wanted(call, 0))
		return 0;
	err = read_axis(call, 0, &axis);
	if (!err)
		err = check_elements(call, axis);
	if (!err)
		err = load_indices(call, 1, in->dims[axis], &indices);
	if (!err)
		err = op_output(call, 0, in->dtype, at->rank, at->dims);
	if (!err) {
		dense_strides(in->rank, in->dims, strides);
		for (int64_t i = 0; i < tensor_count(at); i++)
			memcpy((char *)call->outputs[0]->data + i * size,
			       (const char *)in->data + element_offset(&indices, strides, axis, i) * (int64_t)size,
			       size);
		err = finish_output(call);
	}
	tensor_finish(&indices);
	return err;
}

/* The reduction attribute and its loop for the type. none: NULL and 0. */
static int choose_update(struct op_call *call, scatter_update *update)
{
	static const char *const names[] = {"none", "add", "mul", "max", "min"};
	const struct tensor *in = call->inputs[0];

	*update = NULL;
	for (int i = 0; i < 5; i++) {
		if (!op_attr_is(call->node, "reduction", "none", names[i]))
			continue;
		if (i > 0)
			*update = scatter_update_for(i - 1, in->dtype);
		if (i > 0 && !*update)
			return op_fail(call, -ENOTSUP, "%s: reduction %s of %s", call->node->op_type, names[i],
				       dtype_name(in->dtype));
		return 0;
	}
	return op_fail(call, -EINVAL, "%s: attribute reduction is none of none, add, mul, max, min",
		       call->node->op_type);
}

static int check_updates(struct op_call *call)
{
	if (call->inputs[2]->dtype != call->inputs[0]->dtype)
		return op_fail(call, -EINVAL, "%s: updates (input 2) are %s but the data is %s", call->node->op_type,
			       dtype_name(call->inputs[2]->dtype), dtype_name(call->inputs[0]->dtype));
	return 0;
}

/* The data goes to the output first. Strings keep borrowed bytes until all updates are in. */
static int start_scatter(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	int err = op_output(call, 0, in->dtype, in->rank, in->dims);

	if (!err && tensor_count(in) > 0 && call->outputs[0]->data != in->data)
		memcpy(call->outputs[0]->data, in->data, tensor_bytes(in));
	return err;
}

static int run_scatter_elements(struct op_call *call)
{
	const struct tensor *in = call->inputs[0], *at = call->inputs[1], *updates = call->inputs[2];
	int64_t strides[TENSOR_MAX_RANK], axis;
	size_t size = dtype_size(in->dtype);
	struct tensor indices = {0};
	scatter_update update;
	int err;

	if (!op_wanted(call, 0))
		return 0;
	err = read_axis(call, 0, &axis);
	if (!err)
		err = check_elements(call, axis);
	if (!err)
		err = check_updates(call);
	if (!err && !tensor_same_shape(at, updates))
		err = op_fail(call, -EINVAL, "%s: indices and updates (inputs 1 and 2) differ in shape",
			      call->node->op_type);
	if (!err)
		err = choose_update(call, &update);
	if (!err)
		err = load_indices(call, 1, in->dims[axis], &indices);
	if (!err)
		err = start_scatter(call);
	if (!err) {
		dense_strides(in->rank, in->dims, strides);
		for (int64_t i = 0; i < tensor_count(at); i++) {
			char *to = (char *)call->outputs[0]->data +
				   element_offset(&indices, strides, axis, i) * (int64_t)size;
			const char *from = (const char *)updates->data + i * size;

			if (update)
				update(1, to, from);
			else
				memcpy(to, from, size);
		}
		err = finish_output(call);
	}
	tensor_finish(&indices);
	return err;
}

/* ---- GatherND, ScatterND: the last dimension of the indices is a position ---- */

/*
 * struct positions - the slices that a tensor of index tuples points at
 * @offset: first element of each slice in the data; owned
 */
struct positions {
	int64_t count, batches;
	int depth;     /* indices in a tuple */
	int64_t slice; /* elements of a slice */
	int64_t *offset;
};

/* The first @batch dimensions of data and indices run in step. */
static int find_positions(struct op_call *call, int64_t batch, struct positions *p)
{
	const struct tensor *in = call->inputs[0], *at = call->inputs[1];
	int64_t strides[TENSOR_MAX_RANK], per_batch, batch_stride;
	struct tensor indices = {0};
	const int64_t *tuple;
	int err;

	memset(p, 0, sizeof(*p));
	if (at->rank < 1 || batch < 0 || batch >= at->rank || batch > in->rank ||
	    at->dims[at->rank - 1] > in->rank - batch || at->dims[at->rank - 1] < 0)
		return op_fail(call, -EINVAL, "%s: indices (input 1) hold tuples too long for data of rank %d",
			       call->node->op_type, in->rank);
	for (int i = 0; i < batch; i++)
		if (at->dims[i] != in->dims[i])
			return op_fail(call, -EINVAL, "%s: batch dimension %d of data and indices differ",
				       call->node->op_type, i);
	p->depth = at->dims[at->rank - 1];
	p->count = dims_count(at->rank - 1, at->dims);
	p->batches = dims_count(batch, in->dims);
	p->slice = dims_count(in->rank - batch - p->depth, in->dims + batch + p->depth);
	if (p->count < 0 || p->batches < 0 || p->slice < 0)
		return op_fail(call, -EOVERFLOW, "%s: the dimensions overflow", call->node->op_type);
	if (p->count == 0)
		return 0;
	p->offset = calloc(p->count, sizeof(*p->offset));
	if (!p->offset)
		return op_fail(call, -ENOMEM, "%s: no memory for %" PRId64 " positions", call->node->op_type, p->count);
	err = load_indices(call, 1, -1, &indices);
	dense_strides(in->rank, in->dims, strides);
	per_batch = p->count / p->batches;
	batch_stride = batch > 0 ? strides[batch - 1] : 0;
	tuple = indices.data;
	for (int64_t i = 0; !err && i < p->count; i++, tuple += p->depth) {
		p->offset[i] = i / per_batch * batch_stride;
		for (int d = 0; d < p->depth; d++) {
			int64_t length = in->dims[batch + d], index = tuple[d] < 0 ? tuple[d] + length : tuple[d];

			if (index < 0 || index >= length) {
				err = op_fail(call, -EINVAL,
					      "%s: index %" PRId64 " is out of range for axis %" PRId64 " of %" PRId64
					      " elements",
					      call->node->op_type, tuple[d], batch + d, length);
				break;
			}
			p->offset[i] += index * strides[batch + d];
		}
	}
	tensor_finish(&indices);
	return err;
}

static int run_gather_nd(struct op_call *call)
{
	const struct tensor *in = call->inputs[0], *at = call->inputs[1];
	int64_t batch = op_attr_int(call->node, "batch_dims", 0), dims[2 * TENSOR_MAX_RANK];
	size_t size = dtype_size(in->dtype);
	struct positions p;
	int tail, err;

	if (!op_wanted(call, 0))
		return 0;
	err = find_positions(call, batch, &p);
	if (!err) {
		tail = in->rank - batch - p.depth;
		memcpy(dims, at->dims, (at->rank - 1) * sizeof(*dims));
		memcpy(dims + at->rank - 1, in->dims + batch + p.depth, tail * sizeof(*dims));
		err = op_output(call, 0, in->dtype, at->rank - 1 + tail, dims);
	}
	for (int64_t i = 0; !err && i < p.count && p.slice > 0; i++)
		memcpy((char *)call->outputs[0]->data + i * p.slice * size,
		       (const char *)in->data + p.offset[i] * (int64_t)size, p.slice * size);
	if (!err)
		err = finish_output(call);
	free(p.offset);
	return err;
}

static int run_scatter_nd(struct op_call *call)
{
	const struct tensor *in = call->inputs[0], *updates = call->inputs[2];
	size_t size = dtype_size(in->dtype);
	scatter_update update;
	struct positions p;
	int64_t needed;
	int err;

	if (!op_wanted(call, 0))
		return 0;
	err = find_positions(call, 0, &p);
	if (!err)
		err = check_updates(call);
	if (!err)
		err = choose_update(call, &update);
	if (!err && (__builtin_mul_overflow(p.count, p.slice, &needed) || tensor_count(updates) != needed))
		err = op_fail(call, -EINVAL,
			      "ScatterND: %" PRId64 " updates (input 2) for %" PRId64 " slices of %" PRId64,
			      tensor_count(updates), p.count, p.slice);
	if (!err)
		err = start_scatter(call);
	for (int64_t i = 0; !err && i < p.count && p.slice > 0; i++) {
		char *to = (char *)call->outputs[0]->data + p.offset[i] * (int64_t)size;
		const char *from = (const char *)updates->data + i * p.slice * (int64_t)size;

		if (update)
			update(p.slice, to, from);
		else
			memcpy(to, from, p.slice * size);
	}
	if (!err)
		err = finish_output(call);
	free(p.offset);
	return err;
}

/* ---- TensorScatter: a cache gets the new rows of a sequence ---- */

/* Batch element b of the update goes along the axis to write_indices[b] on; circular: around the end of the cache. */
static int run_tensor_scatter(struct op_call *call)
{
	const struct tensor *in = call->inputs[0], *update = call->inputs[1];
	int64_t axis = op_attr_int(call->node, "axis", -2), length, rows, inner, outer;
	bool circular = op_attr_is(call->node, "mode", "linear", "circular"), fits;
	struct tensor starts = {0};
	size_t line;
	int err;

	if (!circular && !op_attr_is(call->node, "mode", "linear", "linear"))
		return op_fail(call, -EINVAL, "TensorScatter: attribute mode is neither linear nor circular");
	if (in->rank < 2 || normalize_axis(&axis, in->rank) || axis == 0)
		return op_fail(call, -EINVAL, "TensorScatter: axis %" PRId64 " of rank %d; the batch (axis 0) is none",
			       axis, in->rank);
	fits = update->rank == in->rank && update->dtype == in->dtype;
	for (int i = 0; fits && i < in->rank; i++)
		fits = i == axis ? update->dims[i] <= in->dims[i] : update->dims[i] == in->dims[i];
	if (!fits)
		return op_fail(call, -EINVAL, "TensorScatter: the update (input 1) does not fit the cache");
	if (op_input(call, 2))
		err = load_indices(call, 2, -1, &starts);
	else
		err = tensor_init(&starts, DTYPE_S64, 1, in->dims);
	if (!err && (starts.rank != 1 || starts.dims[0] != in->dims[0]))
		err = op_fail(call, -EINVAL, "TensorScatter: write_indices (input 2) must be [%" PRId64 "]",
			      in->dims[0]);
	if (!err)
		err = start_scatter(call);
	if (err || !op_wanted(call, 0) || tensor_count(update) == 0)
		goto out_finish;
	length = in->dims[axis];
	rows = update->dims[axis];
	outer = dims_count((int)axis, in->dims);
	inner = dims_count(in->rank - (int)axis - 1, in->dims + axis + 1);
	line = (size_t)inner * dtype_size(in->dtype);
	for (int64_t i = 0; i < outer * rows; i++) {
		int64_t start = ((int64_t *)starts.data)[i / rows / (outer / in->dims[0])], to = start + i % rows;

		if (start < 0 || start >= length || (to >= length && !circular)) {
			err = op_fail(call, -EINVAL,
				      "TensorScatter: %" PRId64 " rows at %" PRId64 " (input 2) of a cache of %" PRId64,
				      rows, start, length);
			goto out_finish;
		}
		memcpy((char *)call->outputs[0]->data + (size_t)(i / rows * length + to % length) * line,
		       (const char *)update->data + (size_t)i * line, line);
	}
	err = finish_output(call);
out_finish:
	tensor_finish(&starts);
	return err;
}

/* ---- OneHot ---- */

static int run_one_hot(struct op_call *call)
{
	const struct tensor *at = call->inputs[0], *values = call->inputs[2];
	int64_t axis = op_attr_int(call->node, "axis", -1), depth, dims[TENSOR_MAX_RANK + 1], inner;
	size_t size = dtype_size(values->dtype);
	const char *off = values->data, *on;
	struct tensor depths;
	char *out;
	int err;

	if (!op_wanted(call, 0))
		return 0;
	if (tensor_count(values) != 2)
		return op_fail(call, -EINVAL, "OneHot: values (input 2) do not have 2 elements");
	if (!cast_row(at->dtype, DTYPE_S64) || tensor_count(call->inputs[1]) != 1)
		return op_fail(call, -EINVAL,
			       "OneHot: indices or depth (inputs 0 and 1) are not numbers, or depth is "
			       "not a scalar");
	err = tensor_cast(call->inputs[1], DTYPE_S64, &depths);
	if (err)
		return op_fail(call, err, "OneHot: depth (input 1) is no number");
	depth = ((int64_t *)depths.data)[0];
	tensor_finish(&depths);
	if (at->rank >= TENSOR_MAX_RANK || normalize_axis(&axis, at->rank + 1) || depth < 1)
		return op_fail(call, -EINVAL, "OneHot: axis %" PRId64 " or depth %" PRId64 " does not fit rank %d",
			       axis, depth, at->rank);
	for (int i = 0; i <= at->rank; i++)
		dims[i] = i < axis ? at->dims[i] : i == axis ? depth : at->dims[i - 1];
	err = op_output(call, 0, values->dtype, at->rank + 1, dims);
	if (err || tensor_count(at) == 0)
		return err;
	inner = dims_count(at->rank - axis, at->dims + axis);
	on = off + size;
	out = call->outputs[0]->data;
	for (int64_t i = 0; i < tensor_count(call->outputs[0]); i++)
		memcpy(out + i * size, off, size);
	for (int64_t i = 0; i < tensor_count(at); i++) {
		int64_t index = tensor_get_s64(at, i);

		if (index >= -depth && index < depth)
			memcpy(out + (i / inner * depth * inner + (index < 0 ? index + depth : index) * inner +
				      i % inner) *
					       size,
			       on, size);
	}
	return finish_output(call);
}

/* ---- NonZero, Compress ---- */

static bool is_set(const struct tensor *t, int64_t i)
{
	if (t->dtype == DTYPE_STRING)
		return ((const struct tensor_string *)t->data)[i].size > 0;
	return dtype_is_float(t->dtype) ? tensor_get_f64(t, i) != 0 : tensor_get_s64(t, i) != 0;
}

static int run_non_zero(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	int64_t dims[2] = {in->rank, 0}, strides[TENSOR_MAX_RANK], at = 0, *out;
	int err;

	if (!op_wanted(call, 0))
		return 0;
	for (int64_t i = 0; i < tensor_count(in); i++)
		dims[1] += is_set(in, i);
	err = op_output(call, 0, DTYPE_S64, 2, dims);
	if (err)
		return err;
	out = call->outputs[0]->data;
	dense_strides(in->rank, in->dims, strides);
	for (int64_t i = 0; i < tensor_count(in); i++) {
		if (!is_set(in, i))
			continue;
		for (int d = 0; d < in->rank; d++)
			out[d * dims[1] + at] = i / strides[d] % in->dims[d];
		at++;
	}
	return 0;
}

static int run_compress(struct op_call *call)
{
	const struct tensor *in = call->inputs[0], *keep = call->inputs[1];
	const struct attr *attr = op_attr(call->node, "axis");
	int64_t axis = attr ? attr->i : 0, dims[TENSOR_MAX_RANK], outer = 1, inner = 1, length, taken = 0, at = 0;
	size_t size = dtype_size(in->dtype);
	int rank = attr ? in->rank : 1, err;

	if (!op_wanted(call, 0))
		return 0;
	if (attr && normalize_axis(&axis, in->rank))
		return op_fail(call, -EINVAL, "Compress: axis %" PRId64 " is out of range for rank %d", axis, in->rank);
	if (keep->dtype != DTYPE_BOOL || keep->rank != 1)
		return op_fail(call, -EINVAL, "Compress: condition (input 1) is no list of booleans");
	length = attr ? in->dims[axis] : tensor_count(in);
	if (keep->dims[0] < length)
		length = keep->dims[0];
	for (int64_t i = 0; i < length; i++)
		taken += ((const uint8_t *)keep->data)[i] != 0;
	if (attr) {
		memcpy(dims, in->dims, sizeof(dims));
		outer = dims_count(axis, dims);
		inner = dims_count(in->rank - axis - 1, dims + axis + 1);
	}
	dims[axis] = taken;
	err = op_output(call, 0, in->dtype, rank, dims);
	if (err || tensor_count(call->outputs[0]) == 0)
		return err;
	for (int64_t o = 0; o < outer; o++)
		for (int64_t i = 0; i < length; i++) {
			int64_t from = (o * (attr ? in->dims[axis] : 0) + i) * inner;

			if (!((const uint8_t *)keep->data)[i])
				continue;
			memcpy((char *)call->outputs[0]->data + at * size, (const char *)in->data + from * size,
			       inner * size);
			at += inner;
		}
	return finish_output(call);
}

const struct op_kernel ops_indexing[] = {
	{"", "Compress", 9, 0, 2, 2, 1, 1, run_compress},
	{"", "Gather", 1, 0, 2, 2, 1, 1, run_gather},
	{"", "GatherElements", 11, 0, 2, 2, 1, 1, run_gather_elements},
	{"", "GatherND", 11, 0, 2, 2, 1, 1, run_gather_nd},
	{"", "NonZero", 9, 0, 1, 1, 1, 1, run_non_zero},
	{"", "OneHot", 9, 0, 3, 3, 1, 1, run_one_hot},
	{"", "Scatter", 9, 10, 3, 3, 1, 1, run_scatter_elements},
	{"", "ScatterElements", 11, 0, 3, 3, 1, 1, run_scatter_elements},
	{"", "ScatterND", 11, 0, 3, 3, 1, 1, run_scatter_nd},
	{"", "TensorScatter", 24, 0, 2, 3, 1, 1, run_tensor_scatter},
};
const size_t ops_indexing_count = sizeof(ops_indexing) / sizeof(ops_indexing[0]);
