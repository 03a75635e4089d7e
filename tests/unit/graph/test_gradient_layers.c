// SPDX-License-Identifier: MIT
/*
 * Gradient of layers: convolutions, pools, normalizations, activations, movements and losses against differences of what the
 * operator itself computes, in double.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/graph/gradient_case.h"

#define MAX_OPERANDS 6

/* Which numbers an operator takes. */
enum domain { ANY, POSITIVE, UNIT, ABOVE_ONE };

/*
 * struct layer - one node
 * @inputs: "x[2,3] w[4]": doubles by which it is differentiated; "=m[4]": not by this one, and positive; "#1,0": int64 list; "$1":
 *          int64 scalar; "?1,0": truth values; "-": none
 * @attrs:  "pads=0,1 alpha=0.5 mode=edge group=2,": a number with a point is a float, one with commas a list, else an integer
 */
static const struct layer {
	const char *op, *inputs, *attrs;
	int opset;
	enum domain domain;
	int num_outputs;
} layers[] = {
	{"Conv", "x[1,2,5] w[3,2,3] b[3]", ""},
	{"Conv", "x[2,2,4,5] w[3,2,3,2] b[3]", "pads=1,0,2,1 strides=2,2"},
	{"Conv", "x[1,2,7,6] w[2,2,2,3]", "strides=3,2 dilations=2,1"},
	{"Conv", "x[2,4,4,3] w[6,2,2,2]", "group=2 pads=1,1,0,0"},
	{"Conv", "x[1,3,5,5] w[3,1,3,3]", "group=3 auto_pad=SAME_UPPER strides=2,2"},
	{"Conv", "x[1,2,4,4] w[2,2,2,2]", "auto_pad=SAME_LOWER"},
	{"Conv", "x[1,1,3,4,3] w[2,1,2,2,2] b[2]", "auto_pad=VALID"},
	{"ConvTranspose", "x[1,2,4] w[2,3,3] b[3]", "strides=2, pads=1,0"},
	{"ConvTranspose", "x[2,2,3,2] w[2,3,2,3] b[3]", "strides=2,3 output_padding=1,0 dilations=2,1"},
	{"ConvTranspose", "x[1,4,3,3] w[4,1,2,2]", "group=2"},
	{"MaxPool", "x[1,2,5,5]", "kernel_shape=3,3 strides=2,2 pads=1,1,1,1"},
	{"MaxPool", "x[2,1,6]", "kernel_shape=2, strides=2, ceil_mode=1 dilations=2,"},
	{"AveragePool", "x[2,2,5,5]", "kernel_shape=3,3 strides=2,2 pads=1,1,1,1"},
	{"AveragePool", "x[1,2,5,4]", "kernel_shape=2,3 strides=2,1 pads=1,0,0,1 count_include_pad=1"},
	{"AveragePool", "x[1,1,7]", "kernel_shape=3, strides=3,"},
	{"GlobalAveragePool", "x[2,3,2,3]", ""},
	{"GlobalMaxPool", "x[2,3,2,3]", ""},

	{"BatchNormalization", "x[2,3,2,2] s[3] b[3] m[3] =v[3]", ""},
	{"BatchNormalization", "x[2,3] s[3] b[3] m[3] =v[3]", "epsilon=0.5", 9},
	{"BatchNormalization", "x[3,2,2] s[2] b[2] =m[2] =v[2]", "training_mode=1"},
	{"LayerNormalization", "x[2,3,4] s[4] b[4]", ""},
	{"LayerNormalization", "x[2,3,4] s[3,4]", "axis=1 epsilon=0.1"},
	{"InstanceNormalization", "x[2,3,4] s[3] b[3]", ""},
	{"GroupNormalization", "x[2,4,3] s[4] b[4]", "num_groups=2", 21},
	{"RMSNormalization", "x[2,3,4] s[4]", "", 23},
	{"LpNormalization", "x[2,3,4]", "axis=1"},
	{"LpNormalization", "x[2,3,4]", "axis=-1 p=1"},

	{"Slice", "x[4,5] #1,0 #3,5 #0,1 #1,2", ""},
	{"Slice", "x[4,5] #3 #-9 #0 #-2", ""},
	{"Gather", "x[4,3] #2,0,2", ""},
	{"Gather", "x[3,4] $1", "axis=1"},
	{"GatherElements", "x[5] #4,1,1", ""},
	{"Pad", "x[2,3] #1,0,0,2", ""},
	{"Pad", "x[2,3] #1,0,0,2 c[]", ""},
	{"Pad", "x[3,4] #2,0,1,1", "mode=reflect"},
	{"Pad", "x[2,3] #0,1,2,1", "mode=edge"},
	{"Split", "x[4,3] #1,3", "axis=0", 17, ANY, 2},
	{"Tile", "x[2,3] #2,1", ""},
	{"Trilu", "x[3,4]", "upper=0"},
	{"DepthToSpace", "x[1,4,2,2]", "blocksize=2"},
	{"SpaceToDepth", "x[1,1,4,2]", "blocksize=2"},
	{"Compress", "x[4,2] ?1,0,1,1", "axis=0"},
	{"Where", "?1,0,1 x[3] z[3]", ""},
	{"CumSum", "x[2,4] $1", "exclusive=1"},
	{"CumSum", "x[4,2] $0", "reverse=1"},
	{"MatMul", "x[3] w[3,4]", ""},
	{"MatMul", "x[2,3] w[3]", ""},
	{"MatMul", "x[3] w[3]", ""},

	{"ReduceSumSquare", "x[2,3,2]", "axes=1,", 17},
	{"ReduceL1", "x[2,3]", "keepdims=0 axes=0,", 17},
	{"ReduceL2", "x[2,3]", "axes=-1,", 17},
	{"ReduceLogSum", "x[2,3] #1", "", 18, POSITIVE},
	{"ReduceLogSumExp", "x[2,3] #0", "keepdims=0", 18},
	{"ReduceProd", "x[2,3]", "", 17},
	{"ReduceMax", "x[2,3] #1", "keepdims=0", 18},
	{"ReduceMin", "x[2,3]", "axes=0,", 17},
	{"Softmax", "x[2,3,2]", "axis=1", 11},
	{"LogSoftmax", "x[2,3,2]", "axis=2", 11},
	{"Mean", "x[2,3] z[1,3] w[2,1]", ""},
	{"NegativeLogLikelihoodLoss", "x[3,4] #1,3,0", ""},
	{"NegativeLogLikelihoodLoss", "x[3,4] #1,3,0 =w[4]", "ignore_index=3"},
	{"NegativeLogLikelihoodLoss", "x[3,4] #1,3,0 =w[4]", "reduction=none"},
	{"SoftmaxCrossEntropyLoss", "x[3,4] #1,3,0", "reduction=sum"},
	{"SoftmaxCrossEntropyLoss", "x[3,4] #1,3,0 =w[4]", "ignore_index=1"},

	{"PRelu", "x[2,3,2] w[3,1]", ""},
	{"Elu", "x[7]", "alpha=1.5"},
	{"Selu", "x[7]", ""},
	{"Celu", "x[7]", "alpha=0.5"},
	{"ThresholdedRelu", "x[7]", "alpha=1.25"},
	{"HardSigmoid", "x[7]", ""},
	{"HardSwish", "x[12]", ""},
	{"Softsign", "x[7]", ""},
	{"Mish", "x[7]", "", 18},
	{"Gelu", "x[7]", "", 20},
	{"Gelu", "x[7]", "approximate=tanh", 20},
	{"Swish", "x[7]", "alpha=1.5", 24},
	{"Shrink", "x[7]", "lambd=1.1"},
	{"Dropout", "x[5]", ""},
	{"Tan", "x[5]", "", 17, UNIT},
	{"Asin", "x[5]", "", 17, UNIT},
	{"Acos", "x[5]", "", 17, UNIT},
	{"Atan", "x[5]", ""},
	{"Sinh", "x[5]", ""},
	{"Cosh", "x[5]", ""},
	{"Asinh", "x[5]", ""},
	{"Acosh", "x[5]", "", 17, ABOVE_ONE},
	{"Atanh", "x[5]", "", 17, UNIT},
	{"Floor", "x[5]", ""},
};

/* struct operand - a double of the node; @variable: differentiated by it */
struct operand {
	char name[8];
	bool variable;
};

/* Numbers separated by commas, up to @end. */
static size_t read_numbers(const char *text, const char *end, int64_t *values)
{
	size_t count = 0;

	while (text < end && (isdigit((unsigned char)*text) || *text == '-')) {
		char *next;

		values[count++] = strtoll(text, &next, 10);
		text = next + (*next == ',');
	}
	return count;
}

static void add_constant(struct model *model, const char *name, char kind, const char *text, const char *end)
{
	int64_t values[16], count = (int64_t)read_numbers(text, end, values);
	Onnx__TensorProto *tensor = model_ints(model, name, kind == '$' ? 0 : 1, &count, (size_t)count, values);

	if (kind == '?') {
		tensor->data_type = DTYPE_BOOL;
		tensor->int32_data = model_alloc(model, (size_t)count * sizeof(int32_t));
		for (int64_t i = 0; i < count; i++)
			tensor->int32_data[i] = (int32_t)values[i];
		tensor->n_int32_data = (size_t)count;
		tensor->n_int64_data = 0;
	}
	model_initializer(model, tensor);
}

/* The operands of @layer: their names in @names, ended by NULL; the doubles among them in @doubles, whose number is returned. */
static size_t add_operands(struct model *model, const struct layer *layer, const char **names, struct operand *doubles)
{
	static const char *const constants[] = {"c0", "c1", "c2", "c3", "c4", "c5"};
	size_t count = 0, used = 0;

	for (const char *at = layer->inputs; *at;) {
		const char *end = at + strcspn(at, " ");

		if (strchr("#$?", *at)) {
			names[used] = constants[used];
			add_constant(model, constants[used], *at, at + 1, end);
		} else if (*at == '-') {
			names[used] = "";
		} else {
			struct operand *operand = &doubles[count++];
			int64_t dims[8];
			size_t rank = read_numbers(strchr(at, '[') + 1, end, dims);

			operand->variable = *at != '=';
			snprintf(operand->name, sizeof(operand->name), "%c", at[!operand->variable]);
			model_input(model, operand->name, DOUBLE, rank, dims);
			names[used] = operand->name;
		}
		used++;
		at = end + (*end == ' ');
	}
	names[used] = NULL;
	return count;
}

static void add_attribute(struct model *model, Onnx__NodeProto *node, const char *text, const char *end)
{
	const char *equals = strchr(text, '='), *value = equals + 1;
	size_t length = (size_t)(equals - text), size = (size_t)(end - value);
	bool is_number = isdigit((unsigned char)*value) || *value == '-';
	int type = !is_number                 ? ATTR_STRING
		   : memchr(value, '.', size) ? ATTR_FLOAT
		   : memchr(value, ',', size) ? ATTR_INTS
					      : ATTR_INT;
	char *name = model_alloc(model, length + 1);
	Onnx__AttributeProto *attr;

	memcpy(name, text, length);
	attr = model_attribute(model, node, name, type);
	if (type == ATTR_STRING) {
		attr->s.data = model_alloc(model, size);
		memcpy(attr->s.data, value, size);
		attr->s.len = size;
		attr->has_s = 1;
	} else if (type == ATTR_FLOAT) {
		attr->f = strtof(value, NULL);
		attr->has_f = 1;
	} else if (type == ATTR_INTS) {
		attr->ints = model_alloc(model, size * sizeof(int64_t));
		attr->n_ints = read_numbers(value, end, attr->ints);
	} else {
		attr->i = strtoll(value, NULL, 10);
		attr->has_i = 1;
	}
}

/* Numbers no two of which are equal, and none within a step of where an operator bends. */
static void fill(struct tensor *t, enum domain domain, int seed)
{
	for (int64_t i = 0; i < tensor_count(t); i++) {
		double value = 0.53 + (double)((i * 7 + seed) % 11) / 5 + 0.0137 * (double)i;

		if (domain == UNIT)
			value /= 5 + 0.1 * (double)tensor_count(t);
		else if (domain == ABOVE_ONE)
			value += 1;
		((double *)t->data)[i] = i % 2 || domain == POSITIVE || domain == ABOVE_ONE ? value : -value;
	}
}

static void check_layer(const struct layer *layer)
{
	const char *names[MAX_OPERANDS + 1], *variables[MAX_OPERANDS + 1], *derivatives[MAX_OPERANDS + 1];
	struct operand doubles[MAX_OPERANDS];
	char texts[MAX_OPERANDS][16], label[128];
	struct model model;
	struct run run;
	Onnx__NodeProto *node;
	size_t count, used = 0;

	/* Says which it was when one fails. */
	snprintf(label, sizeof(label), "%s %s (AXL_TEST_LAYER=%zu)", layer->op, layer->attrs, (size_t)(layer - layers));
	model_init(&model);
	model.proto.opset_import[0]->version = layer->opset ? layer->opset : 17;
	model_opset(&model, "ai.onnx.preview.training", 1);
	count = add_operands(&model, layer, names, doubles);
	node = model_node(&model, layer->op, names, layer->num_outputs == 2 ? NAMES("rest", "out") : NAMES("out"));
	for (const char *at = layer->attrs; *at;) {
		const char *end = at + strcspn(at, " ");

		add_attribute(&model, node, at, end);
		at = end + (*end == ' ');
	}
	model_node(&model, "Sin", NAMES("out"), NAMES("sines"));
	model_node(&model, "Mul", NAMES("out", "sines"), NAMES("target"));
	for (size_t i = 0; i < count; i++) {
		if (!doubles[i].variable)
			continue;
		snprintf(texts[used], sizeof(texts[used]), "d%.8s", doubles[i].name);
		variables[used] = doubles[i].name;
		derivatives[used] = texts[used];
		used++;
	}
	variables[used] = derivatives[used] = NULL;
	add_gradient(&model, variables, derivatives, "target");
	model_output(&model, "target");
	for (size_t i = 0; i < used; i++)
		model_output(&model, derivatives[i]);
	start(&run, &model);
	for (size_t i = 0; i < count; i++)
		fill(value_of(&run, doubles[i].name), doubles[i].variable ? layer->domain : POSITIVE, 1 + 2 * (int)i);
	for (size_t i = 0; i < used; i++)
		check_derivative(&run, label, variables[i], derivatives[i]);
	finish(&run);
	model_finish(&model);
}

static void layers_are_what_differences_say(void **state)
{
	const char *only = getenv("AXL_TEST_LAYER");

	(void)state;
	for (size_t i = 0; i < sizeof(layers) / sizeof(layers[0]); i++)
		if (!only || strtoul(only, NULL, 10) == i)
			check_layer(&layers[i]);
}

/* Shapes between the nodes are not known when the rules run. */
static void a_convolutional_network_is_differentiated(void **state)
{
	static const int64_t x[] = {1, 1, 6, 6}, w[] = {2, 1, 3, 3}, b[] = {2}, v[] = {8, 3};
	struct model model;
	struct run run;
	Onnx__AttributeProto *attr;
	Onnx__NodeProto *pool;

	(void)state;
	model_init(&model);
	model_opset(&model, "ai.onnx.preview.training", 1);
	model_input(&model, "x", DOUBLE, 4, x);
	model_input(&model, "w", DOUBLE, 4, w);
	model_input(&model, "b", DOUBLE, 1, b);
	model_input(&model, "v", DOUBLE, 2, v);
	model_initializer(&model, model_ints(&model, "class", 1, (int64_t[]){1}, 1, (int64_t[]){2}));
	model_node(&model, "Conv", NAMES("x", "w", "b"), NAMES("c"));
	model_node(&model, "Tanh", NAMES("c"), NAMES("t"));
	pool = model_node(&model, "MaxPool", NAMES("t"), NAMES("p"));
	for (int i = 0; i < 2; i++) {
		attr = model_attribute(&model, pool, i ? "strides" : "kernel_shape", ATTR_INTS);
		attr->ints = model_alloc(&model, 2 * sizeof(int64_t));
		memcpy(attr->ints, (int64_t[]){2, 2}, 16);
		attr->n_ints = 2;
	}
	model_node(&model, "Flatten", NAMES("p"), NAMES("f"));
	model_node(&model, "MatMul", NAMES("f", "v"), NAMES("scores"));
	model_node(&model, "SoftmaxCrossEntropyLoss", NAMES("scores", "class"), NAMES("target"));
	add_gradient(&model, NAMES("x", "w", "b", "v"), NAMES("dx", "dw", "db", "dv"), "target");
	model_output(&model, "target");
	model_output(&model, "dx");
	model_output(&model, "dw");
	model_output(&model, "db");
	model_output(&model, "dv");
	start(&run, &model);
	fill(value_of(&run, "x"), ANY, 1);
	fill(value_of(&run, "w"), UNIT, 3);
	fill(value_of(&run, "b"), UNIT, 5);
	fill(value_of(&run, "v"), UNIT, 7);
	check_derivative(&run, "network", "x", "dx");
	check_derivative(&run, "network", "w", "dw");
	check_derivative(&run, "network", "b", "db");
	check_derivative(&run, "network", "v", "dv");
	finish(&run);
	model_finish(&model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layers_are_what_differences_say),
		cmocka_unit_test(a_convolutional_network_is_differentiated),
	};

	return cmocka_run_group_tests_name("gradient of layers", tests, NULL, NULL);
}
