// SPDX-License-Identifier: MIT
/*
 * Speed of the CPU backend's convolutions and products on shapes of real networks.
 *
 *	cpu_conv [THREADS]		a table: shape, best of some runs, GFLOP/s (GOP/s for the 8-bit forms)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/cpu/op.h"
#include "runtime/cpu/pool.h"

struct shape {
	const char *name;
	int64_t group, inputs, size, channels, kernel, stride; /* inputs and channels over all groups */
};

static const struct shape shapes[] = {
	{"resnet50 stem 7x7/2", 1, 3, 224, 64, 7, 2},
	{"resnet50 1x1 64-64", 1, 64, 56, 64, 1, 1},
	{"resnet50 3x3 64", 1, 64, 56, 64, 3, 1},
	{"resnet50 1x1 64-256", 1, 64, 56, 256, 1, 1},
	{"resnet50 1x1 256-64", 1, 256, 56, 64, 1, 1},
	{"resnet50 3x3/2 128", 1, 128, 56, 128, 3, 2},
	{"resnet50 3x3 128", 1, 128, 28, 128, 3, 1},
	{"resnet50 1x1 512-128", 1, 512, 28, 128, 1, 1},
	{"resnet50 3x3 256", 1, 256, 14, 256, 3, 1},
	{"resnet50 1x1 1024-256", 1, 1024, 14, 256, 1, 1},
	{"resnet50 1x1/2 1024-2048", 1, 1024, 14, 2048, 1, 2},
	{"resnet50 3x3 512", 1, 512, 7, 512, 3, 1},
	{"resnet50 1x1 2048-512", 1, 2048, 7, 512, 1, 1},
	{"vgg19 3x3 64", 1, 64, 224, 64, 3, 1},
	{"vgg19 3x3 512", 1, 512, 14, 512, 3, 1},
	{"mobilenet dw 3x3 32", 32, 32, 112, 32, 3, 1},
	{"mobilenet dw 3x3/2 96", 96, 96, 112, 96, 3, 2},
	{"mobilenet dw 3x3 576", 576, 576, 14, 576, 3, 1},
	{"shufflenet 1x1 g4", 4, 240, 28, 240, 1, 1},
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static struct tensor make(enum dtype type, int rank, const int64_t *dims)
{
	struct tensor t;

	if (tensor_init(&t, type, rank, dims))
		abort();
	for (int64_t i = 0; i < tensor_count(&t); i++)
		if (type == DTYPE_F32)
			((float *)t.data)[i] = (float)((i * 7919) % 1000) * 1e-3f - 0.5f;
		else if (dtype_size(type) == 1)
			((uint8_t *)t.data)[i] = (uint8_t)((i * 7919) % 251);
	return t;
}

/* Best time of one call, in seconds. */
static double measure(const char *domain, const char *op_type, const struct shape *s, size_t num_inputs,
		      const struct tensor *const *inputs, struct cpu_pool *pool)
{
	int64_t pads[4], strides[2] = {s->stride, s->stride};
	struct attr attrs[] = {{.name = "group", .type = ATTR_INT, .i = s->group},
			       {.name = "pads", .type = ATTR_INTS, .count = 4, .ints = pads},
			       {.name = "strides", .type = ATTR_INTS, .count = 2, .ints = strides}};
	struct op_node node = {.name = "",
			       .domain = domain,
			       .op_type = op_type,
			       .opset = 11,
			       .num_attrs = 3,
			       .attrs = attrs,
			       .num_inputs = num_inputs,
			       .num_outputs = 1};
	const struct op_kernel *kernel = op_find(domain, op_type, 11);
	struct tensor y = {0}, *outputs[1] = {&y};
	struct op_call call = {.node = &node, .inputs = inputs, .outputs = outputs, .pool = pool};
	const struct tensor *constants[10] = {0};
	double best = 1e9, begin = now();

	for (int i = 0; i < 4; i++)
		pads[i] = s->kernel / 2;
	for (size_t i = 1; i < num_inputs; i++)
		constants[i] = inputs[i];
	if (op_prepare(kernel, &node, constants, &call.state))
		abort();
	for (int i = 0; i < 200 && now() - begin < 0.15; i++) {
		double start = now();

		if (op_run(kernel, &call)) {
			fprintf(stderr, "%s: %s\n", s->name, call.error);
			exit(1);
		}
		start = now() - start;
		best = start < best ? start : best;
	}
	op_release(kernel, call.state);
	tensor_finish(&y);
	return best;
}

static void bench_shape(const struct shape *s, struct cpu_pool *pool)
{
	int64_t x_dims[4] = {1, s->inputs, s->size, s->size};
	int64_t w_dims[4] = {s->channels, s->inputs / s->group, s->kernel, s->kernel};
	int64_t out = (s->size + 2 * (s->kernel / 2) - s->kernel) / s->stride + 1;
	double flops = 2.0 * (double)(s->channels * out * out * w_dims[1] * s->kernel * s->kernel);
	struct tensor x = make(DTYPE_F32, 4, x_dims), w = make(DTYPE_F32, 4, w_dims), bias = make(DTYPE_F32, 1, w_dims);
	struct tensor qx = make(DTYPE_U8, 4, x_dims), qw = make(DTYPE_S8, 4, w_dims), scale = make(DTYPE_F32, 0, NULL);
	struct tensor zx = make(DTYPE_U8, 0, NULL), zw = make(DTYPE_S8, 0, NULL);
	const struct tensor *inputs[] = {&x, &w, &bias};
	const struct tensor *quantized[] = {&qx, &scale, &zx, &qw, &scale, &zw, &scale, &zx};
	double f32 = measure("", "Conv", s, 3, inputs, pool);
	double u8 = measure("", "QLinearConv", s, 8, quantized, pool);

	printf("%-28s %9.1f us %8.1f GFLOP/s   8 bit %9.1f us %8.1f GOP/s\n", s->name, f32 * 1e6, flops / f32 * 1e-9,
	       u8 * 1e6, flops / u8 * 1e-9);
	tensor_finish(&zw);
	tensor_finish(&zx);
	tensor_finish(&scale);
	tensor_finish(&qw);
	tensor_finish(&qx);
	tensor_finish(&bias);
	tensor_finish(&w);
	tensor_finish(&x);
}

int main(int argc, char **argv)
{
	struct cpu_pool *pool;

	if (cpu_pool_create(argc > 1 ? strtoul(argv[1], NULL, 0) : 1, &pool))
		return 1;
	printf("%zu thread(s)\n", cpu_pool_threads(pool));
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		bench_shape(&shapes[i], pool);
	cpu_pool_destroy(pool);
	return 0;
}
