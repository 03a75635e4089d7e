/* SPDX-License-Identifier: MIT */
/* See shapes.h. */
#include "tests/unit/shapes/shapes.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/control/body.h"

/* Elements of a tensor and multiply-accumulates of a node: a large layer's. Weights are written to a file, so they are fewer. */
#define MOST_ELEMENTS (INT64_C(1) << 23)
#define MOST_WEIGHTS (INT64_C(1) << 20)
#define MOST_MACS (INT64_C(1) << 31)

static uint32_t below(struct shape_case *c, uint32_t bound)
{
	c->random = c->random * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)(c->random >> 8) * bound >> 24);
}

/* 1 to @most, each order of magnitude as likely, a third of them multiples of 8. */
static int64_t size_to(struct shape_case *c, int64_t most)
{
	int64_t limit = 1, size;

	if (most < 1)
		return 1;
	while (limit < most && below(c, 6))
		limit *= 3;
	limit = limit < most ? limit : most;
	size = 1 + below(c, (uint32_t)limit);
	return below(c, 3) || size < 8 ? size : size / 8 * 8;
}

static void say(struct shape_case *c, const char *format, ...)
{
	size_t used = strlen(c->text);
	va_list args;

	va_start(args, format);
	vsnprintf(c->text + used, sizeof(c->text) - used, format, args);
	va_end(args);
}

static void say_dims(struct shape_case *c, const char *name, size_t rank, const int64_t *dims)
{
	say(c, " %s", name);
	for (size_t d = 0; d < rank; d++)
		say(c, "%c%" PRId64, d ? 'x' : '=', dims[d]);
}

static void input(struct shape_case *c, const char *name, size_t rank, const int64_t *dims)
{
	model_input(&c->model, name, FLOAT, rank, dims);
	say_dims(c, name, rank, dims);
}

static void weights(struct shape_case *c, const char *name, size_t rank, const int64_t *dims)
{
	size_t count = 1;
	float *values;

	for (size_t d = 0; d < rank; d++)
		count *= (size_t)dims[d];
	values = model_alloc(&c->model, count * sizeof(*values));
	for (size_t i = 0; i < count; i++)
		values[i] = (float)((int)below(c, 2001) - 1000) / 1000.0f;
	model_initializer(&c->model, model_floats(&c->model, name, rank, dims, count, values));
	say_dims(c, name, rank, dims);
}

static Onnx__NodeProto *node(struct shape_case *c, const char *op, const char *const *inputs)
{
	say(c, " %s", op);
	model_output(&c->model, "y");
	return model_node(&c->model, op, inputs, NAMES("y"));
}

/* A tensor of rank 1 to 5 of at most @most elements. */
static size_t any_dims(struct shape_case *c, int64_t *dims, size_t least_rank, size_t most_rank, int64_t most)
{
	size_t rank = least_rank + below(c, (uint32_t)(most_rank - least_rank + 1));
	size_t large = below(c, (uint32_t)rank);

	for (size_t d = 0; d < rank; d++)
		dims[d] = 1;
	for (size_t d = 0; d < rank; d++) {
		size_t at = (large + d) % rank;

		dims[at] = size_to(c, d ? most < 600 ? most : 600 : most);
		most /= dims[at];
	}
	return rank;
}

/* ---- families ---- */

/* An image with what a window needs of it. */
struct window {
	int64_t dims[4], kernel[2], stride[2], dilation[2], pads[4], out[2];
};

static void make_window(struct shape_case *c, struct window *w, int64_t most_kernel, int64_t most_channels)
{
	int64_t left = MOST_ELEMENTS;

	w->dims[0] = below(c, 4) ? 1 : size_to(c, 8);
	left /= w->dims[0];
	w->dims[1] = size_to(c, most_channels);
	left /= w->dims[1];
	for (int a = 0; a < 2; a++) {
		int64_t reach, least;

		w->kernel[a] = below(c, 2) ? 1 + 2 * below(c, 2) : size_to(c, most_kernel);
		w->stride[a] = below(c, 2) ? 1 : 1 + below(c, 3);
		w->dilation[a] = below(c, 4) ? 1 : 1 + below(c, 4);
		reach = (w->kernel[a] - 1) * w->dilation[a];
		w->pads[a] = below(c, (uint32_t)(w->kernel[a] < 4 ? w->kernel[a] : 4));
		w->pads[2 + a] = below(c, 2) ? w->pads[a] : 0;
		least = reach + 1 - w->pads[a] - w->pads[2 + a];
		least = least < 1 ? 1 : least;
		w->dims[2 + a] = least + size_to(c, a ? left : left < 2000 ? left : 2000) - 1;
		left /= w->dims[2 + a];
		w->out[a] = (w->dims[2 + a] + w->pads[a] + w->pads[2 + a] - reach - 1) / w->stride[a] + 1;
	}
}

static void window_attributes(struct shape_case *c, Onnx__NodeProto *n, const struct window *w, bool dilations)
{
	body_ints(&c->model, n, "kernel_shape", 2, w->kernel);
	body_ints(&c->model, n, "strides", 2, w->stride);
	body_ints(&c->model, n, "pads", 4, w->pads);
	if (dilations)
		body_ints(&c->model, n, "dilations", 2, w->dilation);
	say_dims(c, "kernel", 2, w->kernel);
	say_dims(c, "strides", 2, w->stride);
	say_dims(c, "dilations", 2, w->dilation);
	say_dims(c, "pads", 4, w->pads);
}

static void make_conv(struct shape_case *c, bool transposed)
{
	struct window w;
	int64_t group = 1, out, most, dims[4];
	Onnx__NodeProto *n;

	make_window(c, &w, transposed ? 5 : 11, 2048);
	if (!below(c, 3))
		group = below(c, 2) ? w.dims[1] : w.dims[1] % 4 ? 1 : 4;
	most = MOST_WEIGHTS / (w.dims[1] / group * w.kernel[0] * w.kernel[1]);
	most = most < 2048 ? most : 2048;
	if (w.dims[2] * w.dims[3] * w.dims[1] / group * w.kernel[0] * w.kernel[1] * w.dims[0] > MOST_MACS / most)
		most = MOST_MACS / (w.dims[2] * w.dims[3] * w.dims[1] / group * w.kernel[0] * w.kernel[1] * w.dims[0]);
	if (most > MOST_ELEMENTS / (w.dims[2] * w.dims[3] * w.dims[0] * (transposed ? 9 : 1)))
		most = MOST_ELEMENTS / (w.dims[2] * w.dims[3] * w.dims[0] * (transposed ? 9 : 1));
	out = size_to(c, most / group) * group;
	memcpy(dims, (int64_t[]){out, w.dims[1] / group, w.kernel[0], w.kernel[1]}, sizeof(dims));
	if (transposed) {
		dims[0] = w.dims[1];
		dims[1] = out / group;
		memset(w.pads, 0, sizeof(w.pads));
	}
	input(c, "x", 4, w.dims);
	weights(c, "w", 4, dims);
	n = node(c, transposed ? "ConvTranspose" : "Conv", NAMES("x", "w"));
	window_attributes(c, n, &w, true);
	body_int(&c->model, n, "group", group);
	say(c, " group=%" PRId64, group);
}

static void make_pool(struct shape_case *c)
{
	bool max = below(c, 2);
	struct window w;

	make_window(c, &w, 15, 2048);
	if (!max)
		w.dilation[0] = w.dilation[1] = 1;
	input(c, "x", 4, w.dims);
	window_attributes(c, node(c, max ? "MaxPool" : "AveragePool", NAMES("x")), &w, max);
}

static void make_product(struct shape_case *c)
{
	int64_t k = size_to(c, 4096), m = size_to(c, MOST_ELEMENTS / k), n, batch;
	bool constant = below(c, 2);

	n = MOST_MACS / m / k;
	n = size_to(c, n < MOST_WEIGHTS / k ? n : MOST_WEIGHTS / k);
	m = n * m > MOST_ELEMENTS ? MOST_ELEMENTS / n : m;
	batch = size_to(c, MOST_ELEMENTS / (m * k > n * m ? m * k : n * m));
	batch = batch > 64 || constant ? 1 : batch;
	if (batch * m * k > MOST_MACS / n)
		batch = 1;
	input(c, "x", 3, (int64_t[]){batch, m, k});
	if (constant)
		weights(c, "w", 2, (int64_t[]){k, n});
	else
		input(c, "w", 3, (int64_t[]){batch, k, n});
	node(c, "MatMul", NAMES("x", "w"));
}

static void make_elementwise(struct shape_case *c)
{
	static const char *const unary[] = {"Relu",      "Sigmoid", "Tanh", "Exp", "Gelu",
					    "HardSwish", "Abs",     "Sqrt", "Erf"};
	static const char *const binary[] = {"Add", "Mul", "Sub", "Div", "Max", "Less"};
	int64_t dims[5], other[5];
	size_t rank = any_dims(c, dims, 1, 5, MOST_ELEMENTS);

	input(c, "x", rank, dims);
	if (below(c, 2)) {
		const char *op = unary[below(c, 9)];

		if (!strcmp(op, "Gelu"))
			c->model.proto.opset_import[0]->version = 20;
		node(c, op, NAMES("x"));
		return;
	}
	for (size_t d = 0; d < rank; d++)
		other[d] = below(c, 3) ? dims[d] : 1;
	input(c, "z", rank, other);
	node(c, binary[below(c, 6)], NAMES("x", "z"));
}

static void make_reduction(struct shape_case *c)
{
	static const char *const ops[] = {"ReduceMean", "ReduceMax", "ReduceL2", "ReduceProd"};
	static const char *const along[] = {"Softmax", "LogSoftmax", "ArgMax", "LayerNormalization"};
	int64_t dims[5], axes[5], count = 0;
	size_t rank = any_dims(c, dims, 1, 5, MOST_ELEMENTS);
	const char *op;

	input(c, "x", rank, dims);
	if (below(c, 2)) {
		int64_t axis = below(c, (uint32_t)rank);

		op = along[below(c, 4)];
		if (!strcmp(op, "LayerNormalization")) {
			axis = (int64_t)rank - 1;
			if (dims[axis] > MOST_WEIGHTS)
				op = "Softmax";
		}
		if (!strcmp(op, "LayerNormalization"))
			weights(c, "w", 1, &dims[axis]);
		say(c, " axis=%" PRId64, axis);
		body_int(&c->model, node(c, op, strcmp(op, "LayerNormalization") ? NAMES("x") : NAMES("x", "w")),
			 "axis", axis);
		return;
	}
	for (size_t d = 0; d < rank; d++)
		if (below(c, 2))
			axes[count++] = (int64_t)d;
	if (!count)
		axes[count++] = (int64_t)rank - 1;
	say_dims(c, "axes", (size_t)count, axes);
	body_ints(&c->model, node(c, ops[below(c, 4)], NAMES("x")), "axes", (size_t)count, axes);
}

static void make_movement(struct shape_case *c)
{
	int64_t dims[5], perm[5], pads[10], repeats[5];
	size_t rank = any_dims(c, dims, 2, 5, MOST_ELEMENTS / 4);
	Onnx__NodeProto *n;
	uint32_t axis = below(c, (uint32_t)rank);

	input(c, "x", rank, dims);
	for (size_t d = 0; d < rank; d++)
		perm[d] = (int64_t)d;
	for (size_t d = rank; d-- > 1;) {
		size_t other = below(c, (uint32_t)d + 1);
		int64_t kept = perm[d];

		perm[d] = perm[other];
		perm[other] = kept;
	}
	switch (below(c, 4)) {
	case 0:
		say_dims(c, "perm", rank, perm);
		/* A view alone needs no code: something reads it. */
		n = model_node(&c->model, "Transpose", NAMES("x"), NAMES("t"));
		body_ints(&c->model, n, "perm", rank, perm);
		node(c, "Relu", NAMES("t"));
		break;
	case 1:
		n = node(c, "Concat", NAMES("x", "x", "x"));
		body_int(&c->model, n, "axis", axis);
		say(c, " axis=%u", axis);
		break;
	case 2:
		for (size_t d = 0; d < 2 * rank; d++)
			pads[d] = below(c, 3) || dims[d % rank] > 500 ? 0 : below(c, 3);
		model_initializer(&c->model,
				  model_ints(&c->model, "pads", 1, DIMS((int64_t)(2 * rank)), 2 * rank, pads));
		say_dims(c, "pads", 2 * rank, pads);
		node(c, "Pad", NAMES("x", "pads"));
		break;
	default:
		for (size_t d = 0; d < rank; d++)
			repeats[d] = d == axis ? 1 + below(c, 4) : 1;
		model_initializer(&c->model, model_ints(&c->model, "repeats", 1, DIMS((int64_t)rank), rank, repeats));
		say_dims(c, "repeats", rank, repeats);
		node(c, "Tile", NAMES("x", "repeats"));
	}
}

static void make_image(struct shape_case *c)
{
	int64_t dims[4] = {1, 4 * size_to(c, 500), 0, 0}, left = MOST_ELEMENTS / 4 / dims[1];

	dims[2] = size_to(c, left < 1000 ? left : 1000);
	dims[3] = size_to(c, left / dims[2]);
	input(c, "x", 4, dims);
	switch (below(c, 4)) {
	case 0:
		body_int(&c->model, node(c, "DepthToSpace", NAMES("x")), "blocksize", 2);
		break;
	case 1:
		body_int(&c->model, node(c, "LRN", NAMES("x")), "size", 5);
		break;
	case 2:
		weights(c, "s", 1, &dims[1]);
		weights(c, "b", 1, &dims[1]);
		node(c, "InstanceNormalization", NAMES("x", "s", "b"));
		break;
	default:
		node(c, "GlobalAveragePool", NAMES("x"));
	}
}

static void make_attention(struct shape_case *c)
{
	const int64_t heads = 1 + below(c, 16), width = 8 * (1 + below(c, 16)), queries = size_to(c, 2048);
	const int64_t keys = size_to(
		c, MOST_MACS / heads / width / queries / 2 < 4096 ? MOST_MACS / heads / width / queries / 2 : 4096);

	input(c, "q", 4, (int64_t[]){1, heads, queries, width});
	input(c, "k", 4, (int64_t[]){1, heads, keys, width});
	input(c, "v", 4, (int64_t[]){1, heads, keys, width});
	c->model.proto.opset_import[0]->version = 23;
	node(c, "Attention", NAMES("q", "k", "v"));
}

void shape_case_make(struct shape_case *c, uint32_t seed)
{
	static const char *const targets[] = {"axl-edge", "axl-pro"};
	static const char *const precisions[] = {
		[COMPILE_F32] = "fp32", [COMPILE_F16] = "fp16", [COMPILE_BF16] = "bf16", [COMPILE_INT8] = "int8"};

	*c = (struct shape_case){.random = seed * 2654435761u + 12345};
	model_init(&c->model);
	c->options.target = targets[below(c, 2)];
	c->options.precision = (enum compile_precision)below(c, 4);
	c->options.disable = "placement"; /* what is asked is whether the device can */
	say(c, "%s %s", c->options.target, precisions[c->options.precision]);
	switch (below(c, 12)) {
	case 0:
	case 1:
	case 2:
		make_conv(c, false);
		break;
	case 3:
		make_conv(c, true);
		break;
	case 4:
		make_pool(c);
		break;
	case 5:
	case 6:
		make_product(c);
		break;
	case 7:
		make_elementwise(c);
		break;
	case 8:
		make_reduction(c);
		break;
	case 9:
		make_movement(c);
		break;
	case 10:
		make_image(c);
		break;
	default:
		make_attention(c);
	}
}

int shape_case_compile(const struct shape_case *shape, struct compile_result *result, char *error, size_t error_size)
{
	char path[] = "/tmp/axl_shape_XXXXXX.onnx";
	int file = mkstemps(path, 5), err;
	size_t size;
	uint8_t *bytes = model_pack(&shape->model, &size);

	assert_true(file >= 0);
	assert_int_equal(write(file, bytes, size), size);
	close(file);
	free(bytes);
	err = compile_file(path, &shape->options, result, error, error_size);
	unlink(path);
	return err;
}
