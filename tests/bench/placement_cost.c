// SPDX-License-Identifier: MIT
/*
 * What the partitioner's table (compiler/partition/cpu_rates.h) holds, measured: rates of the CPU backend by class of operator, and what
 * a call of the device and copies to and from it cost.
 *
 *	placement_cost [SECONDS]		a tenth of a second for each measurement
 *
 * Every class is measured by one operator in two shapes, tiny and middle-sized: the first gives the cost of a call, the
 * difference the cost of a unit of work. All times are the best of many. Copies are counted on the device's own clock.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <accel/accel.h>
#include <accel/queue.h>
#include <axl/axl_isa.h>

#include "compiler/partition/cpu_cost.h"
#include "runtime/cpu/pool.h"

#define MOST_INPUTS 9
#define SCALAR(type)      \
	{                 \
		type, 0,  \
		{         \
			0 \
		}         \
	}

struct operand {
	enum dtype type;
	int rank;
	int64_t dims[4];
};

/*
 * @kernel, @group: attributes of windows, 0: none; @axes: rank of an attribute perm that reverses
 * @operands: the first of type 0 ends them; dimension 0 stands for the shape's size, -1 for an image's: tiny or 28
 */
struct sample {
	enum cpu_class class;
	const char *domain, *op_type;
	int opset;
	int64_t kernel;
	bool depthwise, permute;
	int64_t small, large; /* what stands in dimensions that are 0 */
	struct operand operands[MOST_INPUTS];
};

static const struct sample samples[] = {
	{CPU_PRODUCT, "", "MatMul", 13, 0, false, false, 4, 256, {{DTYPE_F32, 2, {0, 0}}, {DTYPE_F32, 2, {0, 0}}}},
	{CPU_CONV,
	 "",
	 "Conv",
	 11,
	 3,
	 false,
	 false,
	 4,
	 128,
	 {{DTYPE_F32, 4, {1, 0, -1, -1}}, {DTYPE_F32, 4, {0, 0, 3, 3}}}},
	{CPU_DEPTHWISE,
	 "",
	 "Conv",
	 11,
	 3,
	 true,
	 false,
	 4,
	 256,
	 {{DTYPE_F32, 4, {1, 0, -1, -1}}, {DTYPE_F32, 4, {0, 1, 3, 3}}}},
	{CPU_PRODUCT_INT8,
	 "",
	 "QLinearMatMul",
	 10,
	 0,
	 false,
	 false,
	 4,
	 256,
	 {{DTYPE_U8, 2, {0, 0}},
	  SCALAR(DTYPE_F32),
	  SCALAR(DTYPE_U8),
	  {DTYPE_S8, 2, {0, 0}},
	  SCALAR(DTYPE_F32),
	  SCALAR(DTYPE_S8),
	  SCALAR(DTYPE_F32),
	  SCALAR(DTYPE_U8)}},
	{CPU_CONV_INT8,
	 "",
	 "QLinearConv",
	 10,
	 3,
	 false,
	 false,
	 4,
	 128,
	 {{DTYPE_U8, 4, {1, 0, -1, -1}},
	  SCALAR(DTYPE_F32),
	  SCALAR(DTYPE_U8),
	  {DTYPE_S8, 4, {0, 0, 3, 3}},
	  SCALAR(DTYPE_F32),
	  SCALAR(DTYPE_S8),
	  SCALAR(DTYPE_F32),
	  SCALAR(DTYPE_U8)}},
	{CPU_DEPTHWISE_INT8,
	 "",
	 "QLinearConv",
	 10,
	 3,
	 true,
	 false,
	 4,
	 256,
	 {{DTYPE_U8, 4, {1, 0, -1, -1}},
	  SCALAR(DTYPE_F32),
	  SCALAR(DTYPE_U8),
	  {DTYPE_S8, 4, {0, 1, 3, 3}},
	  SCALAR(DTYPE_F32),
	  SCALAR(DTYPE_S8),
	  SCALAR(DTYPE_F32),
	  SCALAR(DTYPE_U8)}},
	{CPU_ATTENTION,
	 "",
	 "Attention",
	 23,
	 0,
	 false,
	 false,
	 4,
	 128,
	 {{DTYPE_F32, 4, {1, 8, 0, 64}}, {DTYPE_F32, 4, {1, 8, 0, 64}}, {DTYPE_F32, 4, {1, 8, 0, 64}}}},
	{CPU_STREAM, "", "Add", 14, 0, false, false, 4, 300, {{DTYPE_F32, 2, {0, 0}}, {DTYPE_F32, 2, {0, 0}}}},
	{CPU_FUNCTION, "", "Sigmoid", 13, 0, false, false, 4, 400, {{DTYPE_F32, 2, {0, 0}}}},
	{CPU_NORMALIZE, "", "Softmax", 13, 0, false, false, 4, 400, {{DTYPE_F32, 2, {0, 0}}}},
	{CPU_WINDOW, "", "MaxPool", 12, 3, false, false, 2, 256, {{DTYPE_F32, 4, {1, 0, -1, -1}}}},
	{CPU_REDUCE, "", "GlobalAveragePool", 1, 0, false, false, 4, 1024, {{DTYPE_F32, 4, {1, 0, 14, 14}}}},
	{CPU_QUANTIZED,
	 "com.microsoft",
	 "QLinearAdd",
	 1,
	 0,
	 false,
	 false,
	 4,
	 500,
	 {{DTYPE_U8, 2, {0, 0}},
	  SCALAR(DTYPE_F32),
	  SCALAR(DTYPE_U8),
	  {DTYPE_U8, 2, {0, 0}},
	  SCALAR(DTYPE_F32),
	  SCALAR(DTYPE_U8),
	  SCALAR(DTYPE_F32),
	  SCALAR(DTYPE_U8)}},
	{CPU_MOVE, "", "Transpose", 13, 0, false, true, 4, 400, {{DTYPE_F32, 2, {0, 0}}}},
	{CPU_RESHAPE, "", "Flatten", 13, 0, false, false, 4, 500, {{DTYPE_F32, 2, {0, 0}}}},
	{CPU_OTHER, "", "LpPool", 18, 3, false, false, 2, 256, {{DTYPE_F32, 4, {1, 0, -1, -1}}}},
};

static double seconds_each = 0.1;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void need(bool good, const char *what)
{
	if (!good) {
		fprintf(stderr, "placement_cost: %s\n", what);
		exit(1);
	}
}

/* ---- the CPU ---- */

static void fill(struct tensor *tensor, const struct operand *operand, int64_t size)
{
	int64_t dims[4];

	for (int d = 0; d < operand->rank; d++)
		dims[d] = operand->dims[d] > 0 ? operand->dims[d] : !operand->dims[d] ? size : size < 8 ? 4 : 28;
	need(!tensor_init(tensor, operand->type, operand->rank, dims), "out of memory");
	for (int64_t i = 0; i < tensor_count(tensor); i++)
		if (operand->type == DTYPE_F32)
			((float *)tensor->data)[i] = operand->rank ? (float)((i * 7919) % 1000) * 1e-3f - 0.5f : 0.01f;
		else
			((uint8_t *)tensor->data)[i] = operand->rank ? (uint8_t)((i * 7919) % 120) : 0;
}

static struct graph_node *make_node(struct graph *graph, const struct sample *s, int64_t size, struct tensor *tensors,
				    size_t *count)
{
	struct graph_value *inputs[MOST_INPUTS], *output = graph_add_value(graph, "y", DTYPE_F32, -1, NULL);
	int64_t kernel[2] = {s->kernel, s->kernel}, pads[4] = {1, 1, 1, 1}, perm[2] = {1, 0};
	struct graph_node *node;
	bool good = output != NULL;

	for (*count = 0; *count < MOST_INPUTS && s->operands[*count].type; (*count)++) {
		struct tensor *tensor = &tensors[*count];

		fill(tensor, &s->operands[*count], size);
		inputs[*count] = graph_add_value(graph, NULL, tensor->dtype, tensor->rank, tensor->dims);
		good &= inputs[*count] != NULL;
	}
	need(good, "out of memory");
	node = graph_add_node(graph, NULL, s->domain, s->op_type, s->opset, "node", *count, inputs, 1, &output);
	need(node != NULL, "out of memory");
	if (s->kernel)
		good = !graph_node_set_ints(graph, node, "kernel_shape", 2, kernel) &&
		       !graph_node_set_ints(graph, node, "pads", 4, pads);
	if (s->depthwise)
		good &= !graph_node_set_int(graph, node, "group", size);
	if (s->permute)
		good &= !graph_node_set_ints(graph, node, "perm", 2, perm);
	need(good, "out of memory");
	return node;
}

/* Best seconds of a call; *work: its units. */
static double measure(const struct sample *s, int64_t size, struct cpu_pool *pool, double *work)
{
	struct tensor tensors[MOST_INPUTS] = {0}, y = {0}, *outputs[1] = {&y};
	const struct tensor *inputs[MOST_INPUTS], *constants[MOST_INPUTS] = {0};
	const struct op_kernel *kernel = op_find(s->domain, s->op_type, s->opset);
	struct graph_node *node;
	struct graph *graph;
	double best = HUGE_VAL;
	size_t count;

	need(!graph_create("bench", &graph) && kernel, s->op_type);
	node = make_node(graph, s, size, tensors, &count);
	for (size_t i = 0; i < count; i++) {
		inputs[i] = &tensors[i];
		constants[i] = i && s->class <= CPU_DEPTHWISE_INT8 ? &tensors[i] : NULL;
	}
	struct op_node op = graph_op_node(node);
	struct op_call call = {.node = &op, .inputs = inputs, .outputs = outputs, .pool = pool};

	need(!op_prepare(kernel, &op, constants, &call.state), s->op_type);
	cpu_pool_begin(pool);
	for (double begin = now(); now() - begin < seconds_each;) {
		double start = now();
		bool good = !op_run(kernel, &call);

		start = now() - start;
		need(good, call.error);
		best = start < best ? start : best;
	}
	cpu_pool_end(pool);
	node->outputs[0]->dtype = y.dtype;
	node->outputs[0]->rank = y.rank;
	memcpy(node->outputs[0]->dims, y.dims, sizeof(y.dims));
	*work = (double)cpu_work_of(node);
	need(cpu_class_of(node) == s->class || s->class == CPU_OTHER, "a sample is not of its class");
	if (s->class == CPU_OTHER) /* counted in bytes, whatever the operator */
		*work = (double)(tensor_bytes(&tensors[0]) + tensor_bytes(&y));
	op_release(kernel, call.state);
	tensor_finish(&y);
	for (size_t i = 0; i < count; i++)
		tensor_finish(&tensors[i]);
	graph_destroy(graph);
	return best;
}

static void measure_class(const struct sample *s, struct cpu_pool *one, struct cpu_pool *two)
{
	static const char *const units[] = {"MACS", "BYTES", "ELEMENTS", "INPUTS", "TAPS"};
	const struct cpu_rate *held = cpu_rate_at(s->class);
	double work_small, work, small = measure(s, s->small, one, &work_small),
				 large = measure(s, s->large, one, &work);
	double large_two = measure(s, s->large, two, &work), call, rate, rate_two;

	rate = (large - small) / (work - work_small);
	call = small - rate * work_small;
	call = call < 0 ? 0 : call;
	rate_two = (large_two - call) / work;
	printf("\tX(%s, %s, %.0f, %.0f, %.0f) \\\t\theld: %llu, %llu, %llu\t%s\n", held->name, units[held->unit],
	       call * 1e9, rate * 1e15, rate_two * 1e15, (unsigned long long)held->call_ns,
	       (unsigned long long)held->one_fs, (unsigned long long)held->two_fs, s->op_type);
}

/* ---- the device ---- */

static double launch_seconds(struct accel_device *device)
{
	uint32_t size = sizeof(struct axl_cmdbuf) + AXL_SLOT_BYTES;
	union axl_insn end = {.header = {.opcode = AXL_OP_END, .slots = 1, .pipe = AXL_PIPE_SEQ}};
	struct accel_buffer *code;
	double best = HUGE_VAL;

	need(!accel_buffer_create(device, size, ACCEL_BUFFER_LOCAL | ACCEL_BUFFER_EXEC, &code), "no buffer");
	*(struct axl_cmdbuf *)accel_buffer_data(code) = (struct axl_cmdbuf){
		.magic = AXL_CMDBUF_MAGIC,
		.version = AXL_ISA_VERSION,
		.num_tiles = 1,
		.size = size,
		.streams[0] = {sizeof(struct axl_cmdbuf), AXL_SLOT_BYTES},
	};
	memcpy((struct axl_cmdbuf *)accel_buffer_data(code) + 1, &end, AXL_SLOT_BYTES);
	for (double begin = now(); now() - begin < 10 * seconds_each;) {
		struct axl_fault_record fault;
		struct axl_exec_stats stats;
		double start = now();

		need(!accel_execute(device, code, size, NULL, 0, &stats, NULL, 0, &fault),
		     "the device did not run an empty buffer");
		start = now() - start;
		best = start < best ? start : best;
	}
	accel_buffer_destroy(code);
	return best;
}

/* Device cycles of a copy of @size bytes from host to local memory, or back. */
static uint64_t copy_cycles(struct accel_device *device, struct accel_queue *queue, uint64_t size, bool back)
{
	struct accel_buffer *host = NULL, *local = NULL;
	struct accel_counters before, after;

	need(!accel_buffer_create(device, size, ACCEL_BUFFER_WRITE, &host) &&
		     !accel_buffer_create(device, size, ACCEL_BUFFER_WRITE | ACCEL_BUFFER_LOCAL, &local),
	     "no buffer");
	accel_device_counters(device, &before);
	accel_packet_copy(accel_queue_next(queue), accel_buffer_address(back ? host : local),
			  accel_buffer_address(back ? local : host), size);
	need(!accel_queue_wait(queue, accel_queue_submit(queue), ACCEL_FOREVER), "a copy failed");
	accel_device_counters(device, &after);
	accel_buffer_destroy(local);
	accel_buffer_destroy(host);
	return after.cycles - before.cycles;
}

static void measure_device(const char *name)
{
	struct accel_device_info info;
	struct accel_context *context = NULL;
	struct accel_device *device;
	struct accel_queue *queue = NULL;
	char error[200];

	need(!accel_open(name, &device, error, sizeof(error)), error);
	accel_device_info(device, &info);
	need(!accel_context_create(accel_device_vm(device), &context) && !accel_queue_create(context, NULL, &queue),
	     "no queue");
	printf("%s: a call %.0f ns (held: %d)\n", name, launch_seconds(device) * 1e9, PARTITION_LAUNCH_NS);
	for (int back = 0; back < 2; back++) {
		uint64_t small = copy_cycles(device, queue, 16, back),
			 large = copy_cycles(device, queue, 1 << 20, back);
		double rate = ((1 << 20) - 16) / (double)(large - small);

		printf("%s: %s %.1f bytes a cycle (target: %u), %.0f cycles before (target: %u)\n", name,
		       back ? "to the host" : "from the host", rate, info.host_rate, (double)small - 16 / rate,
		       info.host_latency);
	}
	accel_queue_destroy(queue);
	accel_context_destroy(context);
	accel_close(device);
}

int main(int argc, char **argv)
{
	struct cpu_pool *one, *two;

	if (argc > 1)
		seconds_each = atof(argv[1]);
	need(!cpu_pool_create(1, &one) && !cpu_pool_create(2, &two), "no threads");
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
		measure_class(&samples[i], one, two);
	cpu_pool_destroy(two);
	cpu_pool_destroy(one);
	measure_device("sim:target=axl-edge,threads=1,spin=1000000");
	measure_device("sim:target=axl-pro,threads=1,spin=1000000");
	return 0;
}
