// SPDX-License-Identifier: MIT
/*
 * The way back from windows to images: MaxUnpool and Col2Im.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/shape_rules.h"
#include "runtime/cpu/strided_copy.h"
#include "runtime/cpu/work_type.h"

#define MAX_SPATIAL (TENSOR_MAX_RANK - 2)

/* Attribute @name with @count entries of at least @least, each @fallback where it is absent. */
static int read_list(struct op_call *call, const char *name, size_t count, int64_t least, int64_t fallback,
		     int64_t *list)
{
	const int64_t *values;
	size_t given = op_attr_ints(call->node, name, &values);

	if (given && given != count)
		return op_fail(call, -EINVAL, "%s: attribute %s has %zu entries, expected %zu", call->node->op_type,
			       name, given, count);
	for (size_t i = 0; i < count; i++) {
		list[i] = given ? values[i] : fallback;
		if (list[i] < least || list[i] > INT32_MAX)
			return op_fail(call, -EINVAL, "%s: attribute %s has the entry %" PRId64, call->node->op_type,
				       name, list[i]);
	}
	return 0;
}

/* ---- MaxUnpool ---- */

/* The shape that a MaxPool with these attributes had as input, as far as the output tells. */
static int unpooled_shape(struct op_call *call, int64_t *dims)
{
	const struct tensor *in = call->inputs[0];
	int64_t kernel[MAX_SPATIAL], strides[MAX_SPATIAL], pads[2 * MAX_SPATIAL];
	size_t spatial = (size_t)in->rank - 2;
	int err = read_list(call, "kernel_shape", spatial, 1, 0, kernel);

	if (!err)
		err = read_list(call, "strides", spatial, 1, 1, strides);
	if (!err)
		err = read_list(call, "pads", 2 * spatial, 0, 0, pads);
	if (err)
		return err;
	memcpy(dims, in->dims, 2 * sizeof(*dims));
	for (size_t i = 0; i < spatial; i++)
		dims[2 + i] = in->dims[2 + i] ? conv_transpose_output_dim(in->dims[2 + i], kernel[i], strides[i], 1,
									  pads[i], pads[spatial + i], 0)
					      : 0;
	return dims_count(in->rank, dims) < 0 ? op_fail(call, -EOVERFLOW, "MaxUnpool: the dimensions overflow") : 0;
}

/* Input 2, where given, must have room for the shape that the attributes make. */
static int requested_shape(struct op_call *call, const int64_t *least, int64_t *dims)
{
	int rank = call->inputs[0]->rank;
	struct tensor shape;
	int err;

	memcpy(dims, least, (size_t)rank * sizeof(*dims));
	if (!op_input(call, 2))
		return 0;
	err = op_input_s64(call, 2, false, &shape);
	if (err)
		return err;
	if (tensor_count(&shape) != rank)
		err = op_fail(call, -EINVAL, "MaxUnpool: output_shape (input 2) has %" PRId64 " entries, expected %d",
			      tensor_count(&shape), rank);
	for (int i = 0; i < rank && !err; i++) {
		dims[i] = ((const int64_t *)shape.data)[i];
		if (dims[i] < least[i] || (i < 2 && dims[i] != least[i]))
			err = op_fail(call, -EINVAL,
				      "MaxUnpool: output_shape (input 2) has %" PRId64
				      " at axis %d, expected %s%" PRId64,
				      dims[i], i, i < 2 ? "" : "at least ", least[i]);
	}
	tensor_finish(&shape);
	return err;
}

/* Element @index of a tensor of shape @dims as an element of one of shape @into, which is nowhere smaller. */
static int64_t embed_index(int64_t index, int rank, const int64_t *dims, const int64_t *into)
{
	int64_t at = 0, stride = 1;

	for (int i = rank - 1; i >= 0; i--) {
		at += index % dims[i] * stride;
		index /= dims[i];
		stride *= into[i];
	}
	return at;
}

static int scatter_maxima(struct op_call *call, const int64_t *indices, const int64_t *dims, const int64_t *into)
{
	const struct tensor *in = call->inputs[0];
	int64_t count = dims_count(in->rank, dims);
	size_t size = dtype_size(in->dtype);
	char *out = call->outputs[0]->data;

	memset(out, 0, tensor_bytes(call->outputs[0]));
	for (int64_t i = 0; i < tensor_count(in); i++) {
		if (indices[i] < 0 || indices[i] >= count)
			return op_fail(call, -EINVAL, "MaxUnpool: index %" PRId64 " (input 1) of %" PRId64 " elements",
				       indices[i], count);
		memcpy(out + (size_t)embed_index(indices[i], in->rank, dims, into) * size,
		       (const char *)in->data + (size_t)i * size, size);
	}
	return 0;
}

static int run_max_unpool(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	int64_t dims[TENSOR_MAX_RANK], into[TENSOR_MAX_RANK];
	struct tensor indices;
	int err;

	if (!op_wanted(call, 0))
		return 0;
	if (in->rank < 3 || !dtype_is_float(in->dtype) || !tensor_same_shape(in, call->inputs[1]))
		return op_fail(call, -EINVAL,
			       "MaxUnpool: input 0 is %s of rank %d, or the indices (input 1) have another shape",
			       dtype_name(in->dtype), in->rank);
	err = unpooled_shape(call, dims);
	if (!err)
		err = requested_shape(call, dims, into);
	if (!err)
		err = op_input_s64(call, 1, false, &indices);
	if (err)
		return err;
	err = op_output(call, 0, in->dtype, in->rank, into);
	if (!err)
		err = scatter_maxima(call, indices.data, dims, into);
	tensor_finish(&indices);
	return err;
}

/* ---- Col2Im ---- */

/*
 * struct col2im - columns [batch, channels * block, windows] to images [batch, channels, image…]
 * @windows: positions of the block by axis
 */
struct col2im {
	int spatial;
	int64_t planes, block_count, window_count, image_count;
	int64_t image[MAX_SPATIAL], block[MAX_SPATIAL], windows[MAX_SPATIAL];
	int64_t strides[MAX_SPATIAL], dilations[MAX_SPATIAL], pads[2 * MAX_SPATIAL];
	const double *in;
	double *out;
};

/* Split @index over @dims, the last one fastest. */
static void unravel(int64_t index, int rank, const int64_t *dims, int64_t *at)
{
	for (int i = rank - 1; i >= 0; i--) {
		at[i] = index % dims[i];
		index /= dims[i];
	}
}

/* Add one plane's columns; element @b of the block in window @w lies at w * stride + b * dilation - pad. */
static void add_plane(const struct col2im *c, const double *columns, double *image)
{
	int64_t b[MAX_SPATIAL], w[MAX_SPATIAL];

	for (int64_t i = 0; i < c->block_count; i++) {
		unravel(i, c->spatial, c->block, b);
		for (int64_t j = 0; j < c->window_count; j++) {
			int64_t at = 0;
			bool inside = true;

			unravel(j, c->spatial, c->windows, w);
			for (int d = 0; d < c->spatial; d++) {
				int64_t x = w[d] * c->strides[d] + b[d] * c->dilations[d] - c->pads[d];

				inside &= x >= 0 && x < c->image[d];
				at = at * c->image[d] + x;
			}
			if (inside)
				image[at] += columns[i * c->window_count + j];
		}
	}
}

static void add_planes(void *arg, int64_t begin, int64_t end)
{
	const struct col2im *c = arg;

	for (int64_t plane = begin; plane < end; plane++)
		add_plane(c, c->in + plane * c->block_count * c->window_count, c->out + plane * c->image_count);
}

/* Input @index, a list of sizes, into @list. */
static int read_sizes(struct op_call *call, size_t index, int *count, int64_t *list)
{
	struct tensor sizes;
	int err = op_input_s64(call, index, false, &sizes);

	if (err)
		return err;
	if (sizes.rank != 1 || sizes.dims[0] < 1 || sizes.dims[0] > MAX_SPATIAL)
		err = op_fail(call, -EINVAL, "Col2Im: input %zu is no list of 1 to %d sizes", index, MAX_SPATIAL);
	for (int64_t i = 0; !err && i < sizes.dims[0]; i++) {
		list[i] = ((const int64_t *)sizes.data)[i];
		if (list[i] < 1 || list[i] > INT32_MAX)
			err = op_fail(call, -EINVAL, "Col2Im: input %zu has the entry %" PRId64, index, list[i]);
	}
	*count = err ? 0 : (int)sizes.dims[0];
	tensor_finish(&sizes);
	return err;
}

static int read_col2im(struct op_call *call, struct col2im *c)
{
	const struct tensor *in = call->inputs[0];
	int block_rank, err = read_sizes(call, 1, &c->spatial, c->image);
	size_t spatial;

	if (!err)
		err = read_sizes(call, 2, &block_rank, c->block);
	if (!err && block_rank != c->spatial)
		err = op_fail(call, -EINVAL, "Col2Im: image_shape (input 1) has %d entries, block_shape (input 2) %d",
			      c->spatial, block_rank);
	spatial = (size_t)c->spatial;
	if (!err)
		err = read_list(call, "strides", spatial, 1, 1, c->strides);
	if (!err)
		err = read_list(call, "dilations", spatial, 1, 1, c->dilations);
	if (!err)
		err = read_list(call, "pads", 2 * spatial, 0, 0, c->pads);
	if (err)
		return err;
	for (size_t i = 0; i < spatial; i++)
		c->windows[i] = conv_output_dim(c->image[i], c->block[i], c->strides[i], c->dilations[i], c->pads[i],
						c->pads[spatial + i], false);
	c->block_count = dims_count(c->spatial, c->block);
	c->image_count = dims_count(c->spatial, c->image);
	c->window_count = dims_count(c->spatial, c->windows);
	if (c->block_count < 1 || c->image_count < 1 || c->window_count < 1)
		return op_fail(call, -EINVAL, "Col2Im: a block (input 2) that does not fit the image (input 1)");
	if (in->rank != 3 || in->dims[1] % c->block_count || in->dims[2] != c->window_count)
		return op_fail(call, -EINVAL,
			       "Col2Im: input 0 is not [batch, channels * %" PRId64 ", %" PRId64 "], as the block "
			       "(input 2) and the image (input 1) need",
			       c->block_count, c->window_count);
	c->planes = in->dims[0] * (in->dims[1] / c->block_count);
	return 0;
}

static int run_col2im(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	struct tensor wide = {0}, work = {0};
	int64_t dims[TENSOR_MAX_RANK];
	struct col2im c = {0};
	int err;

	if (!op_wanted(call, 0))
		return 0;
	err = read_col2im(call, &c);
	if (err)
		return err;
	if (!cast_row(in->dtype, DTYPE_F64))
		return op_fail(call, -ENOTSUP, "Col2Im: elements of type %s", dtype_name(in->dtype));
	dims[0] = in->dims[0];
	dims[1] = in->dims[1] / c.block_count;
	memcpy(dims + 2, c.image, (size_t)c.spatial * sizeof(*dims));
	err = tensor_cast(in, DTYPE_F64, &wide);
	if (!err)
		err = tensor_init(&work, DTYPE_F64, 2 + c.spatial, dims);
	if (!err) {
		c.in = wide.data;
		c.out = work.data;
		parallel_range(call->pool, c.planes, PARALLEL_GRAIN / 4 / c.block_count / c.window_count + 1,
			       add_planes, &c);
		err = op_output_cast(call, 0, in->dtype, &work);
	}
	tensor_finish(&wide);
	tensor_finish(&work);
	return err;
}

const struct op_kernel ops_unpool[] = {
	{"", "Col2Im", 18, 0, 3, 3, 1, 1, run_col2im},
	{"", "MaxUnpool", 9, 0, 2, 3, 1, 1, run_max_unpool},
};
const size_t ops_unpool_count = sizeof(ops_unpool) / sizeof(ops_unpool[0]);
