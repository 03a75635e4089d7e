// SPDX-License-Identifier: MIT
/*
 * ai.onnx.ml operators that prepare features: Scaler, Normalizer, Imputer, Binarizer, OneHotEncoder,
 * ArrayFeatureExtractor, FeatureVectorizer.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/ml_scores.h"
#include "runtime/cpu/parallel.h"

/* An attribute of one value, or one for each of @features; *step says which. */
static int check_per_feature(struct op_call *call, const char *name, size_t count, int64_t features, int64_t *step)
{
	*step = count > 1;
	if (count <= 1 || count == (size_t)features)
		return 0;
	return op_fail(call, -EINVAL, "%s: attribute %s has %zu values, expected 1 or the input's %lld features",
		       call->node->op_type, name, count, (long long)features);
}

/* ---- Scaler ---- */

struct scaler {
	cast_fn read;
	const char *x;
	size_t size;
	float *y;
	const float *offset, *scale;
	int64_t features, offset_step, scale_step;
};

static void scale_rows(void *arg, int64_t begin, int64_t end)
{
	const struct scaler *job = arg;

	for (int64_t i = begin; i < end; i++) {
		int64_t f = i % job->features;
		double value;

		job->read(1, job->x + (size_t)i * job->size, &value);
		value -= job->offset ? (double)job->offset[f * job->offset_step] : 0;
		job->y[i] = (float)(value * (job->scale ? (double)job->scale[f * job->scale_step] : 1));
	}
}

static int run_scaler(struct op_call *call)
{
	const struct tensor *x = call->inputs[0];
	struct scaler job = {.x = x->data, .size = dtype_size(x->dtype)};
	size_t num_offset = op_attr_floats(call->node, "offset", &job.offset);
	size_t num_scale = op_attr_floats(call->node, "scale", &job.scale);
	int err = ml_check_number(call);

	if (err)
		return err;
	job.features = x->dims[x->rank - 1];
	err = check_per_feature(call, "offset", num_offset, job.features, &job.offset_step);
	if (!err)
		err = check_per_feature(call, "scale", num_scale, job.features, &job.scale_step);
	if (!err)
		err = op_output(call, 0, DTYPE_F32, x->rank, x->dims);
	if (err || !op_wanted(call, 0))
		return err;
	job.read = cast_row(x->dtype, DTYPE_F64);
	job.y = call->outputs[0]->data;
	parallel_range(call->pool, tensor_count(x), PARALLEL_GRAIN / 4, scale_rows, &job);
	return 0;
}

/* ---- Normalizer ---- */

enum norm { NORM_MAX, NORM_L1, NORM_L2 };

struct normalizer {
	struct ml_rows x;
	enum norm norm;
	float *y;
};

/* A row whose divisor is zero stays as it is. */
static void normalize_row(const struct normalizer *job, int64_t row)
{
	int64_t n = job->x.features;
	const float *x = (const float *)job->x.x.data + row * n;
	float *y = job->y + row * n;
	double divisor = job->norm == NORM_MAX ? -INFINITY : 0;

	for (int64_t i = 0; i < n; i++) {
		double v = (double)x[i];

		divisor = job->norm == NORM_MAX  ? fmax(divisor, v)
			  : job->norm == NORM_L1 ? divisor + fabs(v)
						 : divisor + v * v;
	}
	if (job->norm == NORM_L2)
		divisor = sqrt(divisor);
	for (int64_t i = 0; i < n; i++)
		y[i] = divisor != 0 ? (float)((double)x[i] / divisor) : x[i];
}

static void normalize_rows(void *arg, int64_t begin, int64_t end)
{
	for (int64_t row = begin; row < end; row++)
		normalize_row(arg, row);
}

static int run_normalizer(struct op_call *call)
{
	static const char *const names[] = {"MAX", "L1", "L2"};
	const struct tensor *x = call->inputs[0];
	struct normalizer job = {0};
	size_t norm = 0;
	int err;

	while (norm < 3 && !op_attr_is(call->node, "norm", "MAX", names[norm]))
		norm++;
	if (norm == 3)
		return op_fail(call, -EINVAL, "Normalizer: attribute norm is none of MAX, L1 and L2");
	job.norm = (enum norm)norm;
	err = ml_rows_read(call, &job.x);
	if (!err)
		err = op_output(call, 0, DTYPE_F32, x->rank, x->dims);
	if (!err && op_wanted(call, 0)) {
		job.y = call->outputs[0]->data;
		parallel_range(call->pool, job.x.rows, PARALLEL_GRAIN / (job.x.features + 1) + 1, normalize_rows, &job);
	}
	tensor_finish(&job.x.x);
	return err;
}

/* ---- Imputer ---- */

struct imputer {
	enum dtype dtype;
	const void *x;
	void *y;
	const float *floats;
	const int64_t *ints;
	float replaced_float;
	int64_t replaced_int, features, step;
};

/* NaN, as the value to be replaced, means every NaN. */
#define IMPUTE(T, is_replaced, values)                                                           \
	for (int64_t i = begin; i < end; i++) {                                                  \
		T x = ((const T *)job->x)[i];                                                    \
                                                                                                 \
		((T *)job->y)[i] = (is_replaced) ? (T)values[i % job->features * job->step] : x; \
	}

static void impute_range(void *arg, int64_t begin, int64_t end)
{
	const struct imputer *job = arg;
	bool nan = isnan(job->replaced_float);

	switch (job->dtype) {
	case DTYPE_F32:
		IMPUTE(float, nan ? isnan(x) : x == job->replaced_float, job->floats)
		break;
	case DTYPE_F64:
		IMPUTE(double, nan ? isnan(x) : x == (double)job->replaced_float, job->floats)
		break;
	case DTYPE_S32:
		IMPUTE(int32_t, x == job->replaced_int, job->ints)
		break;
	default:
		IMPUTE(int64_t, x == job->replaced_int, job->ints)
		break;
	}
}

static int run_imputer(struct op_call *call)
{
	const struct tensor *x = call->inputs[0];
	bool is_float = dtype_is_float(x->dtype);
	const char *name = is_float ? "imputed_value_floats" : "imputed_value_int64s";
	struct imputer job = {.dtype = x->dtype,
			      .x = x->data,
			      .replaced_float = op_attr_float(call->node, "replaced_value_float", 0),
			      .replaced_int = op_attr_int(call->node, "replaced_value_int64", 0)};
	size_t count =
		is_float ? op_attr_floats(call->node, name, &job.floats) : op_attr_ints(call->node, name, &job.ints);
	int err = ml_check_number(call);

	if (!err && !count)
		err = op_fail(call, -EINVAL, "Imputer: attribute %s, which a %s input needs, is missing", name,
			      dtype_name(x->dtype));
	if (err)
		return err;
	job.features = x->dims[x->rank - 1];
	err = check_per_feature(call, name, count, job.features, &job.step);
	if (!err)
		err = op_output(call, 0, x->dtype, x->rank, x->dims);
	if (err || !op_wanted(call, 0))
		return err;
	job.y = call->outputs[0]->data;
	parallel_range(call->pool, tensor_count(x), PARALLEL_GRAIN, impute_range, &job);
	return 0;
}

/* ---- Binarizer ---- */

static int run_binarizer(struct op_call *call)
{
	const struct tensor *x = call->inputs[0];
	double threshold = (double)op_attr_float(call->node, "threshold", 0);
	cast_fn read, write;
	int err = ml_check_number(call);

	if (!err)
		err = op_output(call, 0, x->dtype, x->rank, x->dims);
	if (err || !op_wanted(call, 0))
		return err;
	read = cast_row(x->dtype, DTYPE_F64);
	write = cast_row(DTYPE_F64, x->dtype);
	for (int64_t i = 0; i < tensor_count(x); i++) {
		size_t at = (size_t)i * dtype_size(x->dtype);
		double value;

		read(1, (const char *)x->data + at, &value);
		value = value > threshold;
		write(1, &value, (char *)call->outputs[0]->data + at);
	}
	return 0;
}

/* ---- OneHotEncoder ---- */

static int64_t find_category(const struct tensor *x, int64_t i, const int64_t *ints,
			     const struct tensor_string *strings, size_t count)
{
	if (strings) {
		const struct tensor_string *s = (const struct tensor_string *)x->data + i;

		for (size_t c = 0; c < count; c++)
			if (strings[c].size == s->size && (!s->size || !memcmp(strings[c].data, s->data, s->size)))
				return (int64_t)c;
	} else {
		int64_t value = tensor_get_s64(x, i);

		for (size_t c = 0; c < count; c++)
			if (ints[c] == value)
				return (int64_t)c;
	}
	return -1;
}

static int run_one_hot_encoder(struct op_call *call)
{
	const struct tensor *x = call->inputs[0];
	bool ignore = op_attr_int(call->node, "zeros", 1) != 0;
	int64_t dims[TENSOR_MAX_RANK + 1];
	struct ml_labels cats;
	int err = x->dtype == DTYPE_STRING ? 0 : ml_check_number(call);

	if (!err)
		err = ml_labels_read(call, "cats_int64s", "cats_strings", &cats);
	if (err)
		return err;
	if ((x->dtype == DTYPE_STRING) != (cats.strings != NULL))
		return op_fail(call, -EINVAL, "OneHotEncoder: input 0 is %s but the categories are %s",
			       dtype_name(x->dtype), cats.strings ? "strings" : "integers");
	memcpy(dims, x->dims, sizeof(x->dims));
	dims[x->rank] = (int64_t)cats.count;
	err = op_output(call, 0, DTYPE_F32, x->rank + 1, dims);
	if (err || !op_wanted(call, 0))
		return err;
	memset(call->outputs[0]->data, 0, tensor_bytes(call->outputs[0]));
	for (int64_t i = 0; i < tensor_count(x); i++) {
		int64_t category = find_category(x, i, cats.ints, cats.strings, cats.count);

		if (category >= 0)
			((float *)call->outputs[0]->data)[i * dims[x->rank] + category] = 1;
		else if (!ignore)
			return op_fail(
				call, -EINVAL,
				"OneHotEncoder: element %lld of input 0 is none of the categories, and zeros is 0",
				(long long)i);
	}
	return 0;
}

/* ---- ArrayFeatureExtractor ---- */

/* A vector is one row: the output has rank 2 then, as ONNX Runtime's. */
static int run_array_feature_extractor(struct op_call *call)
{
	const struct tensor *x = call->inputs[0], *y = call->inputs[1];
	int64_t features, count = tensor_count(y), dims[TENSOR_MAX_RANK] = {1}, rows;
	int rank = x->rank > 1 ? x->rank : 2, err;
	size_t size = dtype_size(x->dtype);

	if (x->rank < 1)
		return op_fail(call, -EINVAL, "ArrayFeatureExtractor: input 0 is a scalar");
	if (x->dtype != DTYPE_STRING && !cast_row(x->dtype, DTYPE_F64))
		return op_fail(call, -EINVAL, "ArrayFeatureExtractor: input 0 is %s", dtype_name(x->dtype));
	if (y->dtype != DTYPE_S64)
		return op_fail(call, -EINVAL, "ArrayFeatureExtractor: input 1 is %s, expected int64",
			       dtype_name(y->dtype));
	features = x->dims[x->rank - 1];
	for (int64_t i = 0; i < count; i++)
		if (tensor_get_s64(y, i) < 0 || tensor_get_s64(y, i) >= features)
			return op_fail(call, -EINVAL, "ArrayFeatureExtractor: index %lld (input 1) of %lld features",
				       (long long)tensor_get_s64(y, i), (long long)features);
	if (x->rank > 1)
		memcpy(dims, x->dims, sizeof(dims));
	dims[rank - 1] = count;
	err = op_output(call, 0, x->dtype, rank, dims);
	if (err || !op_wanted(call, 0))
		return err;
	rows = features ? tensor_count(x) / features : 0;
	for (int64_t i = 0; i < rows * count && !err; i++) {
		int64_t from = i / count * features + ((const int64_t *)y->data)[i % count];

		if (x->dtype == DTYPE_STRING) {
			const struct tensor_string *s = (const struct tensor_string *)x->data + from;

			err = tensor_string_set((struct tensor_string *)call->outputs[0]->data + i, s->data, s->size);
		} else {
			memcpy((char *)call->outputs[0]->data + (size_t)i * size,
			       (const char *)x->data + (size_t)from * size, size);
		}
	}
	return err;
}

/* ---- FeatureVectorizer ---- */

/* Each input's width is its entry of inputdimensions; wider inputs are cut and narrower ones padded with zeros. */
static int run_feature_vectorizer(struct op_call *call)
{
	const int64_t *widths;
	size_t num_widths = op_attr_ints(call->node, "inputdimensions", &widths), inputs = call->node->num_inputs;
	int64_t dims[2] = {-1, 0}, column = 0;
	int err;

	if (num_widths && num_widths != inputs)
		return op_fail(call, -EINVAL,
			       "FeatureVectorizer: attribute inputdimensions has %zu entries for %zu inputs",
			       num_widths, inputs);
	for (size_t i = 0; i < inputs; i++) {
		const struct tensor *x = call->inputs[i];
		int64_t rows, width;

		if (!x || x->rank < 1 || x->rank > 2 || !cast_row(x->dtype, DTYPE_F32))
			return op_fail(call, -EINVAL, "FeatureVectorizer: input %zu is not [N, C] or [C] of numbers",
				       i);
		rows = x->rank == 2 ? x->dims[0] : 1;
		width = num_widths ? widths[i] : x->dims[x->rank - 1];
		if (dims[0] >= 0 && rows != dims[0])
			return op_fail(call, -EINVAL,
				       "FeatureVectorizer: input %zu has %lld rows, those before it %lld", i,
				       (long long)rows, (long long)dims[0]);
		dims[0] = rows;
		if (width < 0 || __builtin_add_overflow(dims[1], width, &dims[1]))
			return op_fail(call, -EINVAL, "FeatureVectorizer: entry %zu of inputdimensions is %lld", i,
				       (long long)width);
	}
	err = op_output(call, 0, DTYPE_F32, 2, dims);
	if (err || !op_wanted(call, 0))
		return err;
	memset(call->outputs[0]->data, 0, tensor_bytes(call->outputs[0]));
	for (size_t i = 0; i < inputs; i++) {
		const struct tensor *x = call->inputs[i];
		int64_t has = x->dims[x->rank - 1], width = num_widths ? widths[i] : has;

		for (int64_t row = 0; row < dims[0]; row++)
			cast_row(x->dtype,
				 DTYPE_F32)((size_t)(has < width ? has : width),
					    (const char *)x->data + (size_t)(row * has) * dtype_size(x->dtype),
					    (float *)call->outputs[0]->data + row * dims[1] + column);
		column += width;
	}
	return 0;
}

const struct op_kernel ops_ml_feature[] = {
	{"ai.onnx.ml", "ArrayFeatureExtractor", 1, 0, 2, 2, 1, 1, run_array_feature_extractor, NULL, NULL, NULL},
	{"ai.onnx.ml", "Binarizer", 1, 0, 1, 1, 1, 1, run_binarizer, NULL, NULL, NULL},
	{"ai.onnx.ml", "FeatureVectorizer", 1, 0, 1, -1, 1, 1, run_feature_vectorizer, NULL, NULL, NULL},
	{"ai.onnx.ml", "Imputer", 1, 0, 1, 1, 1, 1, run_imputer, NULL, NULL, NULL},
	{"ai.onnx.ml", "Normalizer", 1, 0, 1, 1, 1, 1, run_normalizer, NULL, NULL, NULL},
	{"ai.onnx.ml", "OneHotEncoder", 1, 0, 1, 1, 1, 1, run_one_hot_encoder, NULL, NULL, NULL},
	{"ai.onnx.ml", "Scaler", 1, 0, 1, 1, 1, 1, run_scaler, NULL, NULL, NULL},
};
const size_t ops_ml_feature_count = sizeof(ops_ml_feature) / sizeof(ops_ml_feature[0]);
