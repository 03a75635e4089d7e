/* SPDX-License-Identifier: MIT */
/*
 * axl-model-randomize: give a model seeded random parameters.
 *
 * Published test models often carry ConstantOfShape nodes of one value in place of their weights: every channel then
 * computes the same number, and a permuted or dropped channel goes unseen.  This tool replaces the parameters by random
 * ones whose scale keeps activations in range through the network, and copies every other byte of the file as it was.
 *
 * Which constant is a parameter, and of what kind, follows from where it is used (the table `place`), through Reshape,
 * Unsqueeze, Squeeze and Identity.  The numbers depend on seed, name and index alone; see prng.h.
 */
#include "prng.h"
#include "scan.h"
#include "wire.h"

#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "raw_data is little-endian and is written as it lies in memory");

enum { MODEL_GRAPH = 7, GRAPH_NODE = 1, GRAPH_INITIALIZER = 5, GRAPH_INPUT = 11 };
enum { TENSOR_DIMS = 1, TENSOR_TYPE = 2, TENSOR_NAME = 8, TENSOR_RAW = 9, TENSOR_EXTERNAL = 13, TENSOR_LOCATION = 14 };
enum { TYPE_FLOAT = 1, LOCATION_EXTERNAL = 1, EXTERNAL_THRESHOLD = 1024, EXTERNAL_ALIGN = 4096 };
enum { EXIT_USAGE = 2, FORWARD_DEPTH = 4, RELU_DEPTH = 12 };

enum role {
	ROLE_NONE,
	ROLE_KERNEL,
	ROLE_KERNEL_TRANSPOSED,
	ROLE_GEMM,
	ROLE_MATMUL,
	ROLE_GAIN,
	ROLE_SHIFT,
	ROLE_VARIANCE
};

/* slot -1: any.  vector_only: a scalar in that place is part of the computation (0.5 x), not a parameter. */
static const struct place {
	const char *op;
	int slot;
	enum role role;
	bool vector_only;
} place[] = {
	{"Conv", 1, ROLE_KERNEL, false},
	{"Conv", 2, ROLE_SHIFT, false},
	{"ConvTranspose", 1, ROLE_KERNEL_TRANSPOSED, false},
	{"ConvTranspose", 2, ROLE_SHIFT, false},
	{"Gemm", 1, ROLE_GEMM, false},
	{"Gemm", 2, ROLE_SHIFT, false},
	{"MatMul", 1, ROLE_MATMUL, true},
	{"BatchNormalization", 1, ROLE_GAIN, false},
	{"BatchNormalization", 2, ROLE_SHIFT, false},
	{"BatchNormalization", 3, ROLE_SHIFT, false},
	{"BatchNormalization", 4, ROLE_VARIANCE, false},
	{"InstanceNormalization", 1, ROLE_GAIN, false},
	{"InstanceNormalization", 2, ROLE_SHIFT, false},
	{"LayerNormalization", 1, ROLE_GAIN, false},
	{"LayerNormalization", 2, ROLE_SHIFT, false},
	{"Mul", -1, ROLE_GAIN, true},
	{"Add", -1, ROLE_SHIFT, true},
};

static const char *const forwarding[] = {"Reshape", "Unsqueeze", "Squeeze", "Identity"};

/* One parameter: elements are (float)(mean + deviation * bell). */
struct weight {
	size_t value;
	double mean, deviation;
	uint64_t stream;
	uint64_t bytes;
	uint64_t external_offset;
	bool external;
};

/* The output file is a list of pieces; weights are generated while they are written, never held. */
struct piece {
	const uint8_t *data; /* of the input file, or NULL */
	size_t header, size; /* of `headers`, when data is NULL and weight is SCAN_NONE */
	size_t weight;
};

struct job {
	const char *input, *output, *external;
	uint64_t seed;
	bool repeated_only, verbose;
	struct span file;
	struct scan scan;
	struct weight *weight;
	size_t weights;
	size_t *weight_of; /* value -> weight, or SCAN_NONE */
	struct wire_buffer headers;
	struct piece *piece;
	size_t pieces;
	uint64_t graph_size, external_size;
	char error[512];
};

static int fail(struct job *job, int code, const char *what)
{
	snprintf(job->error, sizeof(job->error), "%s", what);
	return code;
}

/* -- what a constant is for -- */

struct usage {
	enum role role;
	size_t node;
	size_t ndim;
	int64_t dim[SCAN_MAX_DIMS]; /* as the using node sees it */
};

static bool is_forwarding(struct span op)
{
	for (size_t i = 0; i < sizeof(forwarding) / sizeof(*forwarding); i++)
		if (span_is(op, forwarding[i]))
			return true;
	return false;
}

static enum role role_at(const struct scan_node *node, size_t slot, uint64_t elements)
{
	for (size_t i = 0; i < sizeof(place) / sizeof(*place); i++)
		if (span_is(node->op, place[i].op) && (place[i].slot < 0 || (size_t)place[i].slot == slot) &&
		    (elements > 1 || !place[i].vector_only))
			return place[i].role;
	return ROLE_NONE;
}

/* The shape after a Reshape to a constant target (0 copies, -1 is what is left); other forwarders only move ones. */
static void reshape(const struct scan *scan, const struct scan_node *node, uint64_t elements, struct usage *usage)
{
	size_t target = node->inputs > 1 ? scan->input[node->first_input + 1] : SCAN_NONE;
	int64_t dim[SCAN_MAX_DIMS] = {0};
	int64_t known = 1;
	int ndim = target == SCAN_NONE ? -1 : scan_int64(&scan->value[target], dim, SCAN_MAX_DIMS);

	if (!span_is(node->op, "Reshape") || ndim < 0)
		return;
	for (int i = 0; i < ndim; i++) {
		if (dim[i] == 0 && (size_t)i < usage->ndim)
			dim[i] = usage->dim[i];
		if (dim[i] > 0 && __builtin_mul_overflow(known, dim[i], &known))
			return;
	}
	for (int i = 0; i < ndim; i++)
		if (dim[i] < 0)
			dim[i] = (int64_t)(elements / (uint64_t)known);
	usage->ndim = (size_t)ndim;
	memcpy(usage->dim, dim, sizeof(dim));
}

static struct usage find_usage(const struct scan *scan, const struct scan_value *value)
{
	struct usage usage = {.ndim = value->ndim, .node = SCAN_NONE};
	const struct scan_value *at = value;

	memcpy(usage.dim, value->dim, sizeof(usage.dim));
	for (int depth = 0; depth < FORWARD_DEPTH && at; depth++) {
		const struct scan_value *next = NULL;

		for (size_t u = at->first_use; u != SCAN_NONE; u = scan->use[u].next) {
			const struct scan_node *node = &scan->node[scan->use[u].node];

			usage.role = role_at(node, scan->use[u].slot, value->elements);
			usage.node = scan->use[u].node;
			if (usage.role != ROLE_NONE)
				return usage;
			if (!next && scan->use[u].slot == 0 && is_forwarding(node->op) && node->output != SCAN_NONE) {
				next = &scan->value[node->output];
				reshape(scan, node, value->elements, &usage);
			}
		}
		at = next;
	}
	return usage;
}

/* -- how large its elements are -- */

static double fan_in(const struct scan_node *node, const struct usage *usage)
{
	bool matrix = usage->role == ROLE_GEMM || usage->role == ROLE_MATMUL;
	double taps = 1;

	if (matrix) {
		if (usage->ndim < 2)
			return usage->ndim ? (double)usage->dim[0] : 1;
		return (double)usage->dim[usage->ndim - (usage->role == ROLE_GEMM && node->trans_b ? 1 : 2)];
	}
	for (size_t i = 2; i < usage->ndim; i++)
		taps *= (double)usage->dim[i];
	if (usage->ndim < 2)
		return 1;
	/* Conv's weight is [M, C/group, k...], ConvTranspose's [C, M/group, k...]. */
	if (usage->role == ROLE_KERNEL_TRANSPOSED)
		return (double)usage->dim[0] * taps / (double)(node->group > 0 ? node->group : 1);
	return (double)usage->dim[1] * taps;
}

/* A constant, or one behind an Unsqueeze or Reshape. */
static bool is_parameter(const struct scan *scan, size_t value)
{
	for (int depth = 0; depth < FORWARD_DEPTH && value != SCAN_NONE; depth++) {
		const struct scan_node *producer;

		if (scan->value[value].constant != SCAN_NOT_CONSTANT)
			return true;
		if (scan->value[value].producer == SCAN_NONE)
			return false;
		producer = &scan->node[scan->value[value].producer];
		if (!is_forwarding(producer->op) || !producer->inputs)
			return false;
		value = scan->input[producer->first_input];
	}
	return false;
}

/* The node's result is one side of a residual sum. */
static bool feeds_residual(const struct scan *scan, const struct scan_node *node)
{
	if (node->output == SCAN_NONE)
		return false;
	for (size_t u = scan->value[node->output].first_use; u != SCAN_NONE; u = scan->use[u].next) {
		const struct scan_node *user = &scan->node[scan->use[u].node];

		if (!span_is(user->op, "Sum") && !span_is(user->op, "Add"))
			continue;
		for (size_t i = 0; i < user->inputs; i++) {
			size_t other = scan->input[user->first_input + i];

			if (i != scan->use[u].slot && !is_parameter(scan, other))
				return true;
		}
	}
	return false;
}

/* What neither changes the second moment much nor has a parameter of its own scale: looked through for a Relu. */
static bool is_transparent(const struct scan *scan, const struct scan_node *node)
{
	static const char *const ops[] = {
		"BatchNormalization", "Mul", "Concat", "AveragePool", "MaxPool", "Dropout", "Reshape",
		"Transpose",          "LRN"};

	for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++)
		if (span_is(node->op, ops[i]))
			return true;
	return span_is(node->op, "Add") && node->inputs == 2 &&
	       (is_parameter(scan, scan->input[node->first_input]) ||
		is_parameter(scan, scan->input[node->first_input + 1]));
}

/* A rectifier, which halves the second moment, comes before the next parameter or sum. */
static bool feeds_relu(const struct scan *scan, const struct scan_node *node)
{
	static const char *const ops[] = {"Relu", "Clip", "LeakyRelu", "PRelu", "HardSwish"};

	for (int depth = 0; depth < RELU_DEPTH; depth++) {
		size_t use = node->output == SCAN_NONE ? SCAN_NONE : scan->value[node->output].first_use;

		if (use == SCAN_NONE)
			return false;
		node = &scan->node[scan->use[use].node];
		for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++)
			if (span_is(node->op, ops[i]))
				return true;
		if (!is_transparent(scan, node))
			return false;
	}
	return false;
}

/*
 * He et al. 2015 (section 2.2): variance 2 / fan-in keeps the second moment through a layer with a Relu behind it,
 * 1 / fan-in through one without; logits then stay near 1 and a Softmax behind them does not saturate.  A residual
 * block adds its branch to the shortcut: at half the amplitude 16 blocks grow the deviation to 6 instead of 256.
 */
static void set_scale(const struct scan *scan, const struct usage *usage, struct weight *weight)
{
	const struct scan_node *node = &scan->node[usage->node];
	double residual = feeds_residual(scan, node) ? 0.5 : 1.0;
	double gain;

	switch (usage->role) {
	case ROLE_KERNEL:
	case ROLE_KERNEL_TRANSPOSED:
	case ROLE_GEMM:
	case ROLE_MATMUL:
		gain = feeds_relu(scan, node) ? 2.0 : 1.0;
		weight->deviation = residual * sqrt(gain / fmax(1.0, fan_in(node, usage)));
		break;
	case ROLE_GAIN:
		weight->mean = residual;
		weight->deviation = 0.1 * residual;
		break;
	case ROLE_VARIANCE:
		weight->mean = 1.0;
		weight->deviation = 0.1;
		break;
	default:
		weight->deviation = 0.05;
	}
}

static int choose_weights(struct job *job)
{
	struct scan *scan = &job->scan;

	job->weight = calloc(scan->values ? scan->values : 1, sizeof(*job->weight));
	job->weight_of = malloc((scan->values ? scan->values : 1) * sizeof(*job->weight_of));
	if (!job->weight || !job->weight_of)
		return fail(job, -ENOMEM, "out of memory");
	for (size_t i = 0; i < scan->values; i++) {
		const struct scan_value *value = &scan->value[i];
		struct weight *weight = &job->weight[job->weights];
		struct usage usage;

		job->weight_of[i] = SCAN_NONE;
		if (value->constant == SCAN_NOT_CONSTANT || value->type != TYPE_FLOAT || !value->elements ||
		    (job->repeated_only && !scan_repeats(value)))
			continue;
		usage = find_usage(scan, value);
		if (usage.role == ROLE_NONE) {
			printf("kept %.*s: not used as a parameter\n", (int)value->name.size,
			       (const char *)value->name.data);
			continue;
		}
		if (__builtin_mul_overflow(value->elements, sizeof(float), &weight->bytes) || weight->bytes > INT64_MAX)
			return fail(job, -EFBIG, "a weight of more than 2^63 bytes");
		weight->value = i;
		weight->stream = prng_stream(job->seed, value->name.data, value->name.size);
		set_scale(scan, &usage, weight);
		job->weight_of[i] = job->weights++;
	}
	return 0;
}

/* -- the output file -- */

static int add_piece(struct job *job, struct piece piece)
{
	struct piece *grown;

	if (!(job->pieces & (job->pieces - 1))) {
		grown = reallocarray(job->piece, job->pieces ? job->pieces * 2 : 1, sizeof(*grown));
		if (!grown)
			return fail(job, -ENOMEM, "out of memory");
		job->piece = grown;
	}
	job->piece[job->pieces++] = piece;
	if (__builtin_add_overflow(job->graph_size, piece.size, &job->graph_size))
		return fail(job, -EFBIG, "the model is too large");
	return 0;
}

/* The shape operand of replaced ConstantOfShape nodes, read by nothing else. */
static bool is_dead_shape(const struct job *job, const struct scan_value *value)
{
	const struct scan *scan = &job->scan;

	if (scan->subgraphs || value->constant != SCAN_INITIALIZER || value->first_use == SCAN_NONE)
		return false;
	for (size_t u = value->first_use; u != SCAN_NONE; u = scan->use[u].next) {
		const struct scan_node *node = &scan->node[scan->use[u].node];

		if (!node->constant_of_shape || node->output == SCAN_NONE || job->weight_of[node->output] == SCAN_NONE)
			return false;
	}
	return true;
}

static size_t named_value(const struct job *job, struct span message, uint32_t name_field)
{
	struct wire_reader reader = wire_open(message);
	struct wire_field field;

	while (wire_next(&reader, &field))
		if (field.number == name_field && field.type == WIRE_BYTES)
			return scan_find(&job->scan, field.bytes);
	return SCAN_NONE;
}

/* Whether a field of the graph gives way to what is appended in its place. */
static bool is_replaced(const struct job *job, const struct wire_field *field, size_t node)
{
	const struct scan *scan = &job->scan;
	size_t value;

	switch (field->number) {
	case GRAPH_NODE:
		return scan->node[node].constant_of_shape && scan->node[node].output != SCAN_NONE &&
		       job->weight_of[scan->node[node].output] != SCAN_NONE;
	case GRAPH_INITIALIZER:
		value = named_value(job, field->bytes, TENSOR_NAME);
		return value != SCAN_NONE &&
		       (job->weight_of[value] != SCAN_NONE || is_dead_shape(job, &scan->value[value]));
	case GRAPH_INPUT:
		value = named_value(job, field->bytes, 1);
		return value != SCAN_NONE && is_dead_shape(job, &scan->value[value]);
	default:
		return false;
	}
}

static int keep_fields(struct job *job)
{
	struct wire_reader reader = wire_open(job->scan.graph);
	struct wire_field field;
	size_t node = 0;
	int error = 0;

	while (!error && wire_next(&reader, &field)) {
		if (!is_replaced(job, &field, node))
			error = add_piece(job, (struct piece){field.whole.data, 0, field.whole.size, SCAN_NONE});
		node += field.number == GRAPH_NODE;
	}
	return error;
}

static void put_pair(struct wire_buffer *out, const char *key, const char *text)
{
	struct wire_buffer pair = {0};

	wire_put_bytes(&pair, 1, key, strlen(key));
	wire_put_bytes(&pair, 2, text, strlen(text));
	wire_put_bytes(out, TENSOR_EXTERNAL, pair.data, pair.size);
	out->failed |= pair.failed;
	wire_finish(&pair);
}

static void put_external(struct job *job, struct weight *weight, struct wire_buffer *tensor)
{
	char number[32];

	weight->external = true;
	weight->external_offset = (job->external_size + EXTERNAL_ALIGN - 1) / EXTERNAL_ALIGN * EXTERNAL_ALIGN;
	job->external_size = weight->external_offset + weight->bytes;
	put_pair(tensor, "location", job->external);
	snprintf(number, sizeof(number), "%llu", (unsigned long long)weight->external_offset);
	put_pair(tensor, "offset", number);
	snprintf(number, sizeof(number), "%llu", (unsigned long long)weight->bytes);
	put_pair(tensor, "length", number);
	wire_put_number(tensor, TENSOR_LOCATION, LOCATION_EXTERNAL);
}

/* Everything of a TensorProto but the elements; raw_data's tag and length are the last bytes. */
static void put_tensor_header(struct job *job, struct weight *weight, struct wire_buffer *tensor)
{
	const struct scan_value *value = &job->scan.value[weight->value];

	for (size_t i = 0; i < value->ndim; i++)
		wire_put_number(tensor, TENSOR_DIMS, (uint64_t)value->dim[i]);
	wire_put_number(tensor, TENSOR_TYPE, TYPE_FLOAT);
	wire_put_bytes(tensor, TENSOR_NAME, value->name.data, value->name.size);
	if (job->external && weight->bytes >= EXTERNAL_THRESHOLD)
		put_external(job, weight, tensor);
	else
		wire_put_length(tensor, TENSOR_RAW, weight->bytes);
}

static int add_initializer(struct job *job, size_t index)
{
	struct weight *weight = &job->weight[index];
	struct wire_buffer tensor = {0};
	size_t start = job->headers.size;
	int error;

	put_tensor_header(job, weight, &tensor);
	wire_put_length(&job->headers, GRAPH_INITIALIZER, tensor.size + (weight->external ? 0 : weight->bytes));
	wire_append(&job->headers, tensor.data, tensor.size);
	job->headers.failed |= tensor.failed;
	wire_finish(&tensor);
	if (job->headers.failed)
		return fail(job, -ENOMEM, "out of memory");
	error = add_piece(job, (struct piece){NULL, start, job->headers.size - start, SCAN_NONE});
	if (!error && !weight->external)
		error = add_piece(job, (struct piece){NULL, 0, weight->bytes, index});
	return error;
}

/* Up to IR version 3 every initializer is also declared as a graph input: ValueInfoProto{name, TypeProto.Tensor}. */
static int add_input(struct job *job, const struct scan_value *value)
{
	struct wire_buffer shape = {0}, tensor = {0}, type = {0}, info = {0}, dim = {0};
	size_t start = job->headers.size;

	for (size_t i = 0; i < value->ndim; i++) {
		dim.size = 0;
		wire_put_number(&dim, 1, (uint64_t)value->dim[i]);
		wire_put_bytes(&shape, 1, dim.data, dim.size);
	}
	wire_put_number(&tensor, 1, TYPE_FLOAT);
	wire_put_bytes(&tensor, 2, shape.data, shape.size);
	wire_put_bytes(&type, 1, tensor.data, tensor.size);
	wire_put_bytes(&info, 1, value->name.data, value->name.size);
	wire_put_bytes(&info, 2, type.data, type.size);
	wire_put_bytes(&job->headers, GRAPH_INPUT, info.data, info.size);
	job->headers.failed |= dim.failed || shape.failed || tensor.failed || type.failed || info.failed;
	wire_finish(&dim);
	wire_finish(&shape);
	wire_finish(&tensor);
	wire_finish(&type);
	wire_finish(&info);
	if (job->headers.failed)
		return fail(job, -ENOMEM, "out of memory");
	return add_piece(job, (struct piece){NULL, start, job->headers.size - start, SCAN_NONE});
}

static int plan_graph(struct job *job)
{
	int error = keep_fields(job);

	for (size_t i = 0; !error && i < job->weights; i++) {
		const struct scan_value *value = &job->scan.value[job->weight[i].value];

		error = add_initializer(job, i);
		if (!error && job->scan.ir_version < 4 && !value->graph_input)
			error = add_input(job, value);
	}
	if (!error && job->graph_size > INT32_MAX - (1 << 20))
		return fail(job, -EFBIG, "more than 2 GiB, which no protobuf message may have: use --external");
	return error;
}

static int write_weight(struct job *job, const struct weight *weight, FILE *out)
{
	static float block[16384];
	uint64_t elements = weight->bytes / sizeof(float);

	for (uint64_t at = 0; at < elements;) {
		size_t n = 0;

		for (; n < sizeof(block) / sizeof(*block) && at < elements; n++, at++)
			block[n] = (float)(weight->mean + weight->deviation * prng_bell(weight->stream, at));
		if (fwrite(block, sizeof(*block), n, out) != n)
			return fail(job, -EIO, "cannot write the weights");
	}
	return 0;
}

static int write_pieces(struct job *job, FILE *out)
{
	for (size_t i = 0; i < job->pieces; i++) {
		const struct piece *piece = &job->piece[i];
		const uint8_t *data = piece->data ? piece->data : job->headers.data + piece->header;
		int error;

		if (piece->weight != SCAN_NONE) {
			error = write_weight(job, &job->weight[piece->weight], out);
			if (error)
				return error;
		} else if (piece->size && fwrite(data, piece->size, 1, out) != 1) {
			return fail(job, -EIO, "cannot write the model");
		}
	}
	return 0;
}

static int write_model(struct job *job)
{
	struct wire_reader reader = wire_open(job->file);
	struct wire_buffer length = {0};
	struct wire_field field;
	FILE *out = fopen(job->output, "wb");
	int error = 0;

	if (!out)
		return fail(job, -errno, "cannot create the output file");
	wire_put_length(&length, MODEL_GRAPH, job->graph_size);
	while (!error && wire_next(&reader, &field)) {
		/* Of repeated graph fields protobuf would merge; scan_init() took the last, and so does this. */
		if (field.number == MODEL_GRAPH && field.bytes.data != job->scan.graph.data)
			continue;
		if (field.number != MODEL_GRAPH) {
			error = fwrite(field.whole.data, field.whole.size, 1, out) == 1 ? 0 : -EIO;
			continue;
		}
		error = length.failed || fwrite(length.data, length.size, 1, out) != 1 ? -EIO : write_pieces(job, out);
	}
	wire_finish(&length);
	if (fclose(out) && !error)
		error = -EIO;
	return error && !job->error[0] ? fail(job, error, "cannot write the model") : error;
}

/* External data lies beside the model: the location in the file is relative to the model's folder. */
static int write_external(struct job *job)
{
	char folder[PATH_MAX], path[PATH_MAX];
	FILE *out;
	int error = 0;

	if (!job->external)
		return 0;
	if (strchr(job->external, '/') || snprintf(folder, sizeof(folder), "%s", job->output) >= (int)sizeof(folder) ||
	    snprintf(path, sizeof(path), "%s/%s", dirname(folder), job->external) >= (int)sizeof(path))
		return fail(job, -EINVAL, "--external takes a file name without a folder: it lies beside the output");
	out = fopen(path, "wb");
	if (!out)
		return fail(job, -errno, "cannot create the external data file");
	for (size_t i = 0; !error && i < job->weights; i++) {
		if (!job->weight[i].external)
			continue;
		if (fseeko(out, (off_t)job->weight[i].external_offset, SEEK_SET))
			error = fail(job, -errno, "cannot write the external data file");
		else
			error = write_weight(job, &job->weight[i], out);
	}
	if (fclose(out) && !error)
		error = fail(job, -EIO, "cannot write the external data file");
	return error;
}

static void report(const struct job *job)
{
	uint64_t elements = 0;

	for (size_t i = 0; i < job->weights; i++) {
		const struct weight *weight = &job->weight[i];
		const struct scan_value *value = &job->scan.value[weight->value];

		elements += value->elements;
		if (job->verbose)
			printf("%.*s: %llu elements, %g +- %g\n", (int)value->name.size, (const char *)value->name.data,
			       (unsigned long long)value->elements, weight->mean, weight->deviation);
	}
	printf("%s: %zu parameters, %llu elements, seed %llu\n", job->output, job->weights,
	       (unsigned long long)elements, (unsigned long long)job->seed);
}

static int randomize(struct job *job)
{
	int error = wire_map_file(job->input, &job->file);

	if (error)
		return fail(job, error, strerror(-error));
	error = scan_init(&job->scan, job->file);
	if (error)
		return fail(job, error, job->scan.error);
	error = choose_weights(job);
	if (error)
		return error;
	if (!job->weights)
		return fail(job, -EINVAL, "no parameter found in it");
	error = plan_graph(job);
	if (!error)
		error = write_external(job);
	if (!error)
		error = write_model(job);
	if (!error)
		report(job);
	return error;
}

static int usage(void)
{
	fputs("usage: axl-model-randomize [--seed N] [--external FILE] [--repeated-only] [--verbose] MODEL OUTPUT\n"
	      "  --seed N         the numbers (default 1)\n"
	      "  --external FILE  weights of 1 KiB and more go to FILE beside OUTPUT\n"
	      "  --repeated-only  leave parameters alone whose elements differ already\n"
	      "  --verbose        a line for each parameter\n",
	      stderr);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"seed", required_argument, NULL, 's'},
						{"external", required_argument, NULL, 'e'},
						{"repeated-only", no_argument, NULL, 'r'},
						{"verbose", no_argument, NULL, 'v'},
						{0}};
	struct job job = {.seed = 1};
	char *end = NULL;
	int option, error;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 's':
			job.seed = strtoull(optarg, &end, 0);
			if (!*optarg || *end)
				return usage();
			break;
		case 'e':
			job.external = optarg;
			break;
		case 'r':
			job.repeated_only = true;
			break;
		case 'v':
			job.verbose = true;
			break;
		default:
			return usage();
		}
	}
	if (argc - optind != 2)
		return usage();
	job.input = argv[optind];
	job.output = argv[optind + 1];
	error = randomize(&job);
	if (error)
		fprintf(stderr, "axl-model-randomize: %s: %s\n", job.input, job.error);
	scan_finish(&job.scan);
	free(job.weight);
	free(job.weight_of);
	free(job.piece);
	wire_finish(&job.headers);
	wire_unmap(&job.file);
	return error ? EXIT_USAGE : 0;
}
