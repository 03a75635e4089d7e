/* SPDX-License-Identifier: MIT */
/* Tensors in a model: contents in the right field, as many as the dimensions say; external data; sparse tensors. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "compiler/onnx/check/checker.h"
#include "compiler/onnx/external_data.h"
#include "compiler/onnx/tensor_proto.h"
#include "runtime/cpu/tensor.h"

/* Where a TensorProto may have its contents. */
struct field {
	const char *name;
	size_t entries;
};

#define NUM_FIELDS 7

static void list_fields(const Onnx__TensorProto *tensor, struct field fields[NUM_FIELDS])
{
	const struct field all[NUM_FIELDS] = {
		{"float_data", tensor->n_float_data},
		{"int32_data", tensor->n_int32_data},
		{"string_data", tensor->n_string_data},
		{"int64_data", tensor->n_int64_data},
		{"double_data", tensor->n_double_data},
		{"uint64_data", tensor->n_uint64_data},
		{"raw_data", tensor->has_raw_data ? tensor->raw_data.len : 0},
	};

	memcpy(fields, all, sizeof(all));
}

static void check_external(struct checker *checker, const struct check_scope *scope, const char *what,
			   const Onnx__TensorProto *tensor, size_t bytes)
{
	const char *name = check_text(tensor->name);
	struct onnx_external_fields data;
	char path[PATH_MAX], reason[300];
	struct stat status;
	int err;

	if (onnx_external_fields(tensor, &data, reason, sizeof(reason))) {
		check_found(checker, scope, RULE_EXTERNAL_NUMBER, name, "%s: %s", what, reason);
		return;
	}
	if (!data.location || !*data.location) {
		check_found(checker, scope, RULE_EXTERNAL_LOCATION, name, "%s: external data without a location", what);
		return;
	}
	err = onnx_external_path(checker->folder, data.location, path, sizeof(path), reason, sizeof(reason));
	if (!err && stat(path, &status)) {
		err = -errno;
		strerror_r(errno, reason, sizeof(reason));
	}
	if (err) {
		check_found(checker, scope, err == -EINVAL ? RULE_EXTERNAL_OUTSIDE : RULE_EXTERNAL_MISSING, name,
			    "%s: %s", what, reason);
		return;
	}
	if (data.has_length && data.length != bytes)
		check_found(checker, scope, RULE_TENSOR_SIZE, name,
			    "%s: %llu bytes of external data, the shape needs %llu", what,
			    (unsigned long long)data.length, (unsigned long long)bytes);
	else if (data.offset > (uint64_t)status.st_size || bytes > (uint64_t)status.st_size - data.offset)
		check_found(checker, scope, RULE_EXTERNAL_RANGE, name, "%s: bytes %llu + %llu of '%s', which has %lld",
			    what, (unsigned long long)data.offset, (unsigned long long)bytes, data.location,
			    (long long)status.st_size);
}

/* Elements, -1: it has no dimensions that could be. */
static int64_t count_elements(struct checker *checker, const struct check_scope *scope, const char *what, size_t rank,
			      const int64_t *dims, size_t element)
{
	int64_t count = rank > INT_MAX ? -1 : dims_count((int)rank, dims);

	if (count >= 0 && (uint64_t)count <= (uint64_t)PTRDIFF_MAX / element)
		return count;
	check_found(checker, scope, RULE_TENSOR_DIMS, "", "%s: its dimensions are negative or too large", what);
	return -1;
}

/* The contents are in one field, where the type has them, and as many as there must be. */
static void check_contents(struct checker *checker, const struct check_scope *scope, const char *what,
			   const Onnx__TensorProto *tensor, enum dtype type, int64_t count)
{
	struct field fields[NUM_FIELDS];
	size_t given, needed;
	const char *typed = onnx_typed_field(tensor, type, count, &given, &needed), *right = typed;

	list_fields(tensor, fields);
	if (tensor->has_raw_data && tensor->raw_data.len && type != DTYPE_STRING) {
		right = "raw_data";
		given = tensor->raw_data.len;
		needed = onnx_wire_bytes(type, count);
	}
	for (int f = 0; f < NUM_FIELDS; f++)
		if (fields[f].entries && strcmp(fields[f].name, right)) {
			check_found(checker, scope, RULE_TENSOR_FIELD, check_text(tensor->name),
				    "%s: contents in %s, those of a tensor of %s are in %s%s", what, fields[f].name,
				    schema_element_name((int)type), typed,
				    type == DTYPE_STRING ? "" : " or raw_data, not in both");
			return;
		}
	if (given != needed)
		check_found(checker, scope, RULE_TENSOR_SIZE, check_text(tensor->name),
			    "%s: %zu %s in %s, the shape needs %zu", what, given, right == typed ? "values" : "bytes",
			    right, needed);
}

void check_tensor(struct checker *checker, const struct check_scope *scope, const char *what,
		  const Onnx__TensorProto *tensor)
{
	enum dtype type = (enum dtype)tensor->data_type;
	int64_t count;

	if (!check_element_type(tensor->data_type)) {
		check_found(checker, scope, RULE_ELEMENT_TYPE, check_text(tensor->name),
			    "%s has element type %d, which does not exist", what, tensor->data_type);
		return;
	}
	check_element_feature(checker, scope, check_text(tensor->name), tensor->data_type);
	count = count_elements(checker, scope, what, tensor->n_dims, tensor->dims, dtype_size(type));
	if (count < 0)
		return;
	if (tensor->data_location == 1 && type == DTYPE_STRING)
		check_found(checker, scope, RULE_TENSOR_FIELD, check_text(tensor->name),
			    "%s: strings can not lie in external data", what);
	else if (tensor->data_location == 1)
		check_external(checker, scope, what, tensor, onnx_wire_bytes(type, count));
	else
		check_contents(checker, scope, what, tensor, type, count);
}

/* ---- sparse tensors ---- */

/* Entry @i of the indices, whose contents are in the message. */
static int64_t index_at(const Onnx__TensorProto *indices, size_t i)
{
	int64_t value;

	if (!indices->has_raw_data || !indices->raw_data.len)
		return indices->int64_data[i];
	memcpy(&value, indices->raw_data.data + i * sizeof(value), sizeof(value));
	return value;
}

/* Position of entry @i in row-major order, -1: outside the dimensions. */
static int64_t position_of(const Onnx__SparseTensorProto *sparse, int64_t count, size_t i)
{
	size_t rank = sparse->n_dims;
	int64_t position = 0;

	if (sparse->indices->n_dims == 1) {
		position = index_at(sparse->indices, i);
		return position >= 0 && position < count ? position : -1;
	}
	for (size_t d = 0; d < rank; d++) {
		int64_t at = index_at(sparse->indices, i * rank + d);

		if (at < 0 || at >= sparse->dims[d])
			return -1;
		position = position * sparse->dims[d] + at;
	}
	return position;
}

static void check_indices(struct checker *checker, const struct check_scope *scope, const char *what,
			  const Onnx__SparseTensorProto *sparse, int64_t count)
{
	const char *name = check_text(sparse->values->name);
	int64_t last = -1;

	for (int64_t i = 0; i < sparse->values->dims[0]; i++) {
		int64_t position = position_of(sparse, count, (size_t)i);

		if (position < 0) {
			check_found(checker, scope, RULE_SPARSE_INDEX, name,
				    "%s: entry %lld lies outside the dimensions", what, (long long)i);
			return;
		}
		if (position <= last) {
			check_found(checker, scope, RULE_SPARSE_ORDER, name,
				    "%s: the index of entry %lld is not above the one before it", what, (long long)i);
			return;
		}
		last = position;
	}
}

void check_sparse_tensor(struct checker *checker, const struct check_scope *scope, const char *what,
			 const Onnx__SparseTensorProto *sparse)
{
	const Onnx__TensorProto *values = sparse->values, *indices = sparse->indices;
	size_t before = checker->report->count;
	int64_t count;

	check_feature(checker, scope, values ? check_text(values->name) : "", 5, "a sparse tensor");
	if (!values || !indices) {
		check_found(checker, scope, RULE_SPARSE_PARTS, "", "%s is without values or indices", what);
		return;
	}
	check_tensor(checker, scope, what, values);
	check_tensor(checker, scope, what, indices);
	count = count_elements(checker, scope, what, sparse->n_dims, sparse->dims, 16);
	if (checker->report->count != before || count < 0)
		return;
	if (values->n_dims != 1 || indices->data_type != DTYPE_S64 ||
	    !((indices->n_dims == 1 && indices->dims[0] == values->dims[0]) ||
	      (indices->n_dims == 2 && indices->dims[0] == values->dims[0] &&
	       indices->dims[1] == (int64_t)sparse->n_dims)))
		check_found(checker, scope, RULE_SPARSE_PARTS, check_text(values->name),
			    "%s: sparse values and indices do not fit each other", what);
	else if (indices->data_location != 1)
		check_indices(checker, scope, what, sparse, count);
}
