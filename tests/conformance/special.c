/* SPDX-License-Identifier: MIT */
/* See special.h. */
#include "tests/conformance/special.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compiler/onnx/model_file.h"
#include "onnx.pb-c.h"
#include "tests/conformance/compare.h"

#define REPEATS 200 /* runs of a case without a seed, for its distribution */
#define SIGMAS 5.0  /* a right generator fails once in 1.7 million checks */

/*
 * struct special
 * @judge:   NULL: by the files, with the model corrected by @correct
 * @seeded:  the same numbers in every run
 * @flipped: a one has the probability 1 - x
 */
struct special {
	const char *name, *reason;
	bool (*judge)(const struct special *special, struct runner *runner, const struct tensor *inputs,
		      const struct tensor *outputs, char *why);
	int (*correct)(Onnx__ModelProto *model);
	bool seeded, flipped;
};

const char *special_reason(const struct special *special)
{
	return special->reason;
}

bool special_by_files(const struct special *special)
{
	return !special->judge;
}

/* ---- conversions to bfloat16 ---- */

/* Round to nearest, ties to even, from the bits of the input: independent of the kernels. */
static uint16_t rounded(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	if ((bits & 0x7fffffff) > 0x7f800000)
		return (uint16_t)(bits >> 16 | 0x40);
	return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static bool judge_rounding(const struct special *special, struct runner *runner, const struct tensor *inputs,
			   const struct tensor *outputs, char *why)
{
	(void)special;
	(void)runner;
	for (int64_t i = 0; i < tensor_count(&outputs[0]); i++) {
		uint16_t got = ((const uint16_t *)outputs[0].data)[i];
		float from = ((const float *)inputs[0].data)[i];

		if (got == rounded(from) || (isnan(from) && (got & 0x7fff) > 0x7f80))
			continue;
		snprintf(why, TEXT_SIZE, "output[%lld] is 0x%04x, %.9g rounds to 0x%04x", (long long)i, got, from,
			 rounded(from));
		return false;
	}
	return true;
}

/* ---- random numbers ---- */

/* @ones of @trials with mean @mean and variance @variance. */
static bool plausible(double ones, double mean, double variance, const char *what, char *why)
{
	if (fabs(ones - mean) <= SIGMAS * sqrt(variance) + 0.5)
		return true;
	snprintf(why, TEXT_SIZE, "%s: %.0f, expected about %.1f with a deviation of %.1f", what, ones, mean,
		 sqrt(variance));
	return false;
}

static bool same_again(struct runner *runner, const struct tensor *inputs, const struct tensor *outputs, char *why)
{
	struct tensor again = {0};
	bool same = !runner->run(runner, inputs, &again, why) && compare_values(&again, outputs, "a second run", why);

	tensor_finish(&again);
	return same;
}

/* Zeros and ones of the right frequency: over the elements where a seed fixes them, else of every element over many runs. */
static bool judge_bernoulli(const struct special *special, struct runner *runner, const struct tensor *inputs,
			    const struct tensor *outputs, char *why)
{
	int64_t count = tensor_count(&outputs[0]);
	double *ones = calloc((size_t)count + 1, sizeof(*ones)), sum = 0, mean = 0, variance = 0;
	int runs = special->seeded ? 1 : REPEATS;
	bool good = ones != NULL;

	for (int r = 0; r < runs && good; r++) {
		struct tensor more = {0};
		const struct tensor *drawn = r ? &more : outputs;

		good = !r || !runner->run(runner, inputs, &more, why);
		for (int64_t i = 0; i < count && good; i++) {
			double value = tensor_get_f64(drawn, i);

			good = value == 0 || value == 1;
			if (!good)
				snprintf(why, TEXT_SIZE, "output[%lld] is %g, neither 0 nor 1", (long long)i, value);
			ones[i] += value;
		}
		tensor_finish(&more);
	}
	for (int64_t i = 0; i < count && good; i++) {
		double p = tensor_get_f64(&inputs[0], i);

		p = special->flipped ? 1 - p : p;
		sum += ones[i];
		mean += runs * p;
		variance += runs * p * (1 - p);
		if (!special->seeded)
			good = plausible(ones[i], runs * p, runs * p * (1 - p), "ones of an element", why);
	}
	if (good)
		good = plausible(sum, mean, variance, "ones of all elements", why);
	if (good && special->seeded)
		good = same_again(runner, inputs, outputs, why);
	free(ones);
	return good;
}

/* Elements are dropped or scaled, as the mask says where there is one, and about as many as the ratio says. */
static bool judge_dropout(const struct special *special, struct runner *runner, const struct tensor *inputs,
			  const struct tensor *outputs, char *why)
{
	const struct tensor *x = &inputs[0], *mask = runner->num_outputs > 1 ? &outputs[1] : NULL;
	double ratio = tensor_get_f64(&inputs[1], 0), dropped = 0;
	int64_t count = tensor_count(x);

	for (int64_t i = 0; i < count; i++) {
		double y = tensor_get_f64(&outputs[0], i), kept = tensor_get_f64(x, i) / (1 - ratio);
		bool zero = y == 0 && kept != 0;

		if ((!zero && !compare_near(y, kept)) || (mask && tensor_get_s64(mask, i) != !zero)) {
			snprintf(why, TEXT_SIZE, "y[%lld] is %g, neither 0 nor %g, or the mask says otherwise",
				 (long long)i, y, kept);
			return false;
		}
		dropped += zero;
	}
	return plausible(dropped, (double)count * ratio, (double)count * ratio * (1 - ratio), "dropped elements",
			 why) &&
	       (runner->num_outputs > 1 || !special->seeded || same_again(runner, inputs, outputs, why));
}

/* ---- corrected models ---- */

/* The expectation was computed with epsilon 1e-2; the model left it out. */
static int add_epsilon(Onnx__ModelProto *model)
{
	Onnx__NodeProto *node = model->graph && model->graph->n_node == 1 ? model->graph->node[0] : NULL;
	Onnx__AttributeProto **grown, *epsilon;

	if (!node)
		return -EINVAL;
	grown = realloc(node->attribute, (node->n_attribute + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	node->attribute = grown;
	epsilon = malloc(sizeof(*epsilon)); /* freed with the message */
	if (!epsilon)
		return -ENOMEM;
	onnx__attribute_proto__init(epsilon);
	grown[node->n_attribute++] = epsilon;
	epsilon->name = strdup("epsilon");
	epsilon->has_f = 1;
	epsilon->f = 1e-2f;
	epsilon->has_type = 1;
	epsilon->type = 1;
	return epsilon->name ? 0 : -ENOMEM;
}

/* Input like, which only says a type, has another shape in its file than in the model: the model says none. */
static int forget_shape(Onnx__ModelProto *model)
{
	Onnx__TypeProto *type = model->graph && model->graph->n_input == 2 ? model->graph->input[1]->type : NULL;

	if (!type || !type->tensor_type)
		return -EINVAL;
	if (type->tensor_type->shape)
		onnx__tensor_shape_proto__free_unpacked(type->tensor_type->shape, NULL);
	type->tensor_type->shape = NULL;
	return 0;
}

static int write_copy(const Onnx__ModelProto *model, char *copy)
{
	const char *folder = getenv("TMPDIR");
	size_t size = onnx__model_proto__get_packed_size(model);
	uint8_t *bytes = malloc(size);
	int fd, err = 0;

	if (!bytes)
		return -ENOMEM;
	onnx__model_proto__pack(model, bytes);
	snprintf(copy, PATH_SIZE, "%s/corrected_XXXXXX.onnx", folder ? folder : "/tmp");
	fd = mkstemps(copy, 5);
	if (fd < 0)
		err = -errno;
	else if (write(fd, bytes, size) != (ssize_t)size)
		err = -EIO;
	if (fd >= 0)
		close(fd);
	free(bytes);
	return err;
}

int special_model(const struct special *special, const char *path, char *copy)
{
	Onnx__ModelProto *model;
	char error[256];
	int err;

	*copy = '\0';
	if (!special->correct)
		return 0;
	err = onnx_model_read(path, &model, error, sizeof(error));
	if (err)
		return err;
	err = special->correct(model);
	if (!err)
		err = write_copy(model, copy);
	onnx__model_proto__free_unpacked(model, NULL);
	return err;
}

/* ---- the list ---- */

#define TRUNCATED "the packaged expectation cuts the low bits off; the specification says round to nearest even"
#define LIKE "the file of input like has one element, its model says 3 x 4"
#define OPEN "random: the standard defines no generator"
#define FLIPPED OPEN "; the packaged function body asks for random > x"

static const struct special specials[] = {
	{"test_adam_multiple", "the packaged model lacks the epsilon that its expectation was computed with", NULL,
	 add_epsilon, false, false},
	{"test_bernoulli", OPEN, judge_bernoulli, NULL, false, false},
	{"test_bernoulli_double", OPEN, judge_bernoulli, NULL, false, false},
	{"test_bernoulli_double_expanded", FLIPPED, judge_bernoulli, NULL, false, true},
	{"test_bernoulli_expanded", FLIPPED, judge_bernoulli, NULL, false, true},
	{"test_bernoulli_seed", OPEN, judge_bernoulli, NULL, true, false},
	{"test_bernoulli_seed_expanded", FLIPPED, judge_bernoulli, NULL, true, true},
	{"test_cast_FLOAT_to_BFLOAT16", TRUNCATED, judge_rounding, NULL, false, false},
	{"test_castlike_BFLOAT16_to_FLOAT", LIKE, NULL, forget_shape, false, false},
	{"test_castlike_BFLOAT16_to_FLOAT_expanded", LIKE, NULL, forget_shape, false, false},
	{"test_castlike_FLOAT_to_BFLOAT16", TRUNCATED "; " LIKE, judge_rounding, forget_shape, false, false},
	{"test_castlike_FLOAT_to_BFLOAT16_expanded", TRUNCATED "; " LIKE, judge_rounding, forget_shape, false, false},
	{"test_training_dropout", OPEN, judge_dropout, NULL, true, false},
	{"test_training_dropout_default", OPEN, judge_dropout, NULL, true, false},
	{"test_training_dropout_default_mask", OPEN, judge_dropout, NULL, true, false},
	{"test_training_dropout_mask", OPEN, judge_dropout, NULL, true, false},
};

const struct special *special_find(const char *name)
{
	for (size_t i = 0; i < sizeof(specials) / sizeof(specials[0]); i++)
		if (!strcmp(specials[i].name, name))
			return &specials[i];
	return NULL;
}

/* Type and shape are never open: they are those of the files. */
bool special_judge(const struct special *special, struct runner *runner, const struct tensor *inputs,
		   const struct tensor *outputs, const struct tensor *expected, char *why)
{
	for (size_t i = 0; i < runner->num_outputs; i++) {
		char a[128], b[128];

		if (outputs[i].dtype == expected[i].dtype && tensor_same_shape(&outputs[i], &expected[i]))
			continue;
		compare_describe(&outputs[i], a, sizeof(a));
		compare_describe(&expected[i], b, sizeof(b));
		snprintf(why, TEXT_SIZE, "output %zu is %s, expected %s", i, a, b);
		return false;
	}
	return special->judge(special, runner, inputs, outputs, why);
}
