// SPDX-License-Identifier: MIT
/*
 * Einsum.
 *
 * The equation gives every dimension a label. Two operands of floats whose labels divide into batch, rows, columns and
 * summed ones are a batched matrix product and become one (MatMul's kernel, after two strided copies); everything else
 * is the plain loop over all labels, which is right for any number of operands, traces and outer products.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/strided_copy.h"

#define MAX_OPERANDS 16
/* The letters of both cases and the dimensions under the ellipsis. */
#define ELLIPSIS_LABEL 52
#define MAX_LABELS (ELLIPSIS_LABEL + TENSOR_MAX_RANK)

/*
 * struct term - the labels of one operand or of the output
 */
struct term {
	int rank;
	int label[TENSOR_MAX_RANK];
};

/*
 * struct equation - the parsed equation
 * @size: by label, the size of its dimension, -1 while not met
 */
struct equation {
	size_t num_operands;
	struct term operand[MAX_OPERANDS], output;
	int ellipsis_rank; /* the most dimensions an ellipsis covers */
	int64_t size[MAX_LABELS];
};

static int letter_label(char c)
{
	return c >= 'a' && c <= 'z' ? c - 'a' + 26 : c >= 'A' && c <= 'Z' ? c - 'A' : -1;
}

/* One term, @ellipsis dimensions being under "...". */
static int parse_term(const char *text, size_t size, int ellipsis, int ellipsis_rank, struct term *term)
{
	bool seen = false;

	term->rank = 0;
	for (size_t i = 0; i < size; i++) {
		int label = letter_label(text[i]);

		if (text[i] == ' ')
			continue;
		if (label >= 0) {
			if (term->rank == TENSOR_MAX_RANK)
				return -EINVAL;
			term->label[term->rank++] = label;
			continue;
		}
		if (seen || i + 3 > size || memcmp(text + i, "...", 3) || term->rank + ellipsis > TENSOR_MAX_RANK)
			return -EINVAL;
		/* Aligned at the right, as broadcasting is. */
		for (int d = 0; d < ellipsis; d++)
			term->label[term->rank++] = ELLIPSIS_LABEL + ellipsis_rank - ellipsis + d;
		seen = true;
		i += 2;
	}
	return 0;
}

static int count_letters(const char *text, size_t size)
{
	int count = 0;

	for (size_t i = 0; i < size; i++)
		count += letter_label(text[i]) >= 0;
	return count;
}

/* The output when the equation does not name it: the ellipsis, then the labels that appear once, in alphabetical order.
 */
static void imply_output(struct equation *e)
{
	int count[MAX_LABELS] = {0};

	for (size_t k = 0; k < e->num_operands; k++)
		for (int d = 0; d < e->operand[k].rank; d++)
			count[e->operand[k].label[d]]++;
	for (int d = 0; d < e->ellipsis_rank; d++)
		e->output.label[e->output.rank++] = ELLIPSIS_LABEL + d;
	for (int label = 0; label < ELLIPSIS_LABEL; label++)
		if (count[label] == 1 && e->output.rank < TENSOR_MAX_RANK)
			e->output.label[e->output.rank++] = label;
}

static int parse_operands(struct op_call *call, const char *text, size_t size, struct equation *e)
{
	const char *start[MAX_OPERANDS];
	size_t length[MAX_OPERANDS];

	for (size_t i = 0, begin = 0; i <= size; i++) {
		if (i < size && text[i] != ',')
			continue;
		if (e->num_operands == MAX_OPERANDS)
			return op_fail(call, -ENOTSUP, "Einsum: more than %d operands", MAX_OPERANDS);
		start[e->num_operands] = text + begin;
		length[e->num_operands++] = i - begin;
		begin = i + 1;
	}
	if (e->num_operands != call->node->num_inputs)
		return op_fail(call, -EINVAL, "Einsum: the equation has %zu operands but there are %zu inputs",
			       e->num_operands, call->node->num_inputs);
	for (size_t k = 0; k < e->num_operands; k++) {
		int covered = call->inputs[k]->rank - count_letters(start[k], length[k]);

		if (memchr(start[k], '.', length[k]) && covered > e->ellipsis_rank)
			e->ellipsis_rank = covered;
	}
	for (size_t k = 0; k < e->num_operands; k++) {
		int covered = call->inputs[k]->rank - count_letters(start[k], length[k]);

		if (covered < 0 || (!memchr(start[k], '.', length[k]) && covered != 0) ||
		    parse_term(start[k], length[k], covered, e->ellipsis_rank, &e->operand[k]))
			return op_fail(call, -EINVAL, "Einsum: term \"%.*s\" does not fit input %zu of rank %d",
				       (int)(length[k] < 40 ? length[k] : 40), start[k], k, call->inputs[k]->rank);
	}
	return 0;
}

static int parse_equation(struct op_call *call, struct equation *e)
{
	const struct attr *attr = op_attr(call->node, "equation");
	const char *text, *arrow;
	size_t size;
	int err;

	memset(e, 0, sizeof(*e));
	if (!attr || attr->type != ATTR_STRING || attr->s.size == 0)
		return op_fail(call, -EINVAL, "Einsum: attribute equation is missing");
	text = attr->s.data;
	size = attr->s.size;
	arrow = memmem(text, size, "->", 2);
	err = parse_operands(call, text, arrow ? (size_t)(arrow - text) : size, e);
	if (err)
		return err;
	if (!arrow) {
		imply_output(e);
	} else {
		arrow += 2;
		if (parse_term(arrow, text + size - arrow, e->ellipsis_rank, e->ellipsis_rank, &e->output))
			return op_fail(call, -EINVAL, "Einsum: the output of the equation cannot be read");
	}
	return 0;
}

/* Sizes of the labels; a 1 broadcasts under the ellipsis and, as in numpy, elsewhere. */
static int find_sizes(struct op_call *call, struct equation *e)
{
	bool used[MAX_LABELS] = {0};

	for (int label = 0; label < MAX_LABELS; label++)
		e->size[label] = -1;
	for (size_t k = 0; k < e->num_operands; k++)
		for (int d = 0; d < e->operand[k].rank; d++) {
			int64_t *size = &e->size[e->operand[k].label[d]], dim = call->inputs[k]->dims[d];

			if (*size < 0 || *size == 1)
				*size = dim;
			else if (dim != *size && dim != 1)
				return op_fail(call, -EINVAL,
					       "Einsum: axis %d of input %zu has %" PRId64
					       " elements, elsewhere %" PRId64,
					       d, k, dim, *size);
		}
	for (int d = 0; d < e->output.rank; d++) {
		int label = e->output.label[d];

		if (e->size[label] < 0 || used[label])
			return op_fail(call, -EINVAL, "Einsum: a label of the output is not in the operands, or twice");
		used[label] = true;
	}
	return 0;
}

/* Strides of operand @t by label: a repeated label walks the diagonal, a stretched one stands still. */
static void label_strides(const struct equation *e, const struct term *term, const struct tensor *t, int64_t *strides)
{
	int64_t dense[TENSOR_MAX_RANK];

	dense_strides(t->rank, t->dims, dense);
	memset(strides, 0, MAX_LABELS * sizeof(*strides));
	for (int d = 0; d < term->rank; d++)
		if (t->dims[d] == e->size[term->label[d]])
			strides[term->label[d]] += t->dims[d] == 1 ? 0 : dense[d];
}

/* ---- the plain loop ---- */

struct einsum_job {
	const struct equation *e;
	size_t num_operands;
	bool integers;
	const void *data[MAX_OPERANDS]; /* double or int64_t */
	int64_t strides[MAX_OPERANDS][MAX_LABELS];
	int num_summed;
	int summed[MAX_LABELS];
	void *out;
};

static double multiply_f64(const struct einsum_job *job, const int64_t *offset)
{
	double product = 1;

	for (size_t k = 0; k < job->num_operands; k++)
		product *= ((const double *)job->data[k])[offset[k]];
	return product;
}

static uint64_t multiply_s64(const struct einsum_job *job, const int64_t *offset)
{
	uint64_t product = 1;

	for (size_t k = 0; k < job->num_operands; k++)
		product *= ((const uint64_t *)job->data[k])[offset[k]];
	return product;
}

/* Sum over all summed labels from the operands' offsets of one output element. */
static void sum_element(const struct einsum_job *job, int64_t *offset, int64_t at)
{
	int64_t index[MAX_LABELS] = {0};
	double real = 0;
	uint64_t whole = 0;
	int i;

	for (i = 0; i < job->num_summed; i++)
		if (job->e->size[job->summed[i]] == 0)
			goto out_store;
	do {
		if (job->integers)
			whole += multiply_s64(job, offset);
		else
			real += multiply_f64(job, offset);
		for (i = job->num_summed - 1; i >= 0; i--) {
			int label = job->summed[i];

			for (size_t k = 0; k < job->num_operands; k++)
				offset[k] += job->strides[k][label];
			if (++index[i] < job->e->size[label])
				break;
			for (size_t k = 0; k < job->num_operands; k++)
				offset[k] -= job->e->size[label] * job->strides[k][label];
			index[i] = 0;
		}
	} while (i >= 0);
out_store:
	if (job->integers)
		((uint64_t *)job->out)[at] = whole;
	else
		((double *)job->out)[at] = real;
}

static void sum_elements(void *arg, int64_t begin, int64_t end)
{
	const struct einsum_job *job = arg;

	for (int64_t at = begin; at < end; at++) {
		int64_t offset[MAX_OPERANDS] = {0}, rest = at;

		for (int d = job->e->output.rank - 1; d >= 0; d--) {
			int label = job->e->output.label[d];
			int64_t i = rest % job->e->size[label];

			rest /= job->e->size[label];
			for (size_t k = 0; k < job->num_operands; k++)
				offset[k] += i * job->strides[k][label];
		}
		sum_element(job, offset, at);
	}
}

static int run_loop(struct op_call *call, const struct equation *e, const int64_t *dims)
{
	enum dtype type = call->inputs[0]->dtype, wide_type = dtype_is_integer(type) ? DTYPE_S64 : DTYPE_F64;
	struct einsum_job job = {.e = e, .num_operands = e->num_operands, .integers = wide_type == DTYPE_S64};
	struct tensor wide[MAX_OPERANDS] = {0}, sums = {0};
	bool kept[MAX_LABELS] = {0};
	int64_t terms = 1;
	int err = 0;

	for (int d = 0; d < e->output.rank; d++)
		kept[e->output.label[d]] = true;
	for (int label = 0; label < MAX_LABELS; label++)
		if (e->size[label] >= 0 && !kept[label]) {
			job.summed[job.num_summed++] = label;
			terms = e->size[label] < PARALLEL_GRAIN / terms ? terms * (e->size[label] + 1) : PARALLEL_GRAIN;
		}
	for (size_t k = 0; !err && k < e->num_operands; k++) {
		err = tensor_cast(call->inputs[k], wide_type, &wide[k]);
		job.data[k] = wide[k].data;
		label_strides(e, &e->operand[k], call->inputs[k], job.strides[k]);
	}
	if (!err)
		err = tensor_init(&sums, wide_type, e->output.rank, dims);
	if (err) {
		op_fail(call, err, "Einsum: no memory, or elements of type %s", dtype_name(type));
	} else {
		job.out = sums.data;
		parallel_range(call->pool, tensor_count(&sums), PARALLEL_GRAIN / terms, sum_elements, &job);
		if (tensor_count(&sums) > 0)
			cast_row(wide_type, type)(tensor_count(&sums), sums.data, call->outputs[0]->data);
	}
	for (size_t k = 0; k < e->num_operands; k++)
		tensor_finish(&wide[k]);
	tensor_finish(&sums);
	return err;
}

/* ---- as a matrix product ---- */

enum role { ROLE_NONE, ROLE_BATCH, ROLE_ROW, ROLE_COLUMN, ROLE_SUM };

/* What each label is in A x B; false when the equation is no matrix product. */
static bool find_roles(const struct op_call *call, const struct equation *e, enum role *roles)
{
	int in_a[MAX_LABELS] = {0}, in_b[MAX_LABELS] = {0}, in_out[MAX_LABELS] = {0};

	if (e->num_operands != 2 || call->inputs[0]->dtype != DTYPE_F32)
		return false;
	for (int d = 0; d < e->operand[0].rank; d++)
		in_a[e->operand[0].label[d]] += call->inputs[0]->dims[d] == e->size[e->operand[0].label[d]] ? 1 : 2;
	for (int d = 0; d < e->operand[1].rank; d++)
		in_b[e->operand[1].label[d]] += call->inputs[1]->dims[d] == e->size[e->operand[1].label[d]] ? 1 : 2;
	for (int d = 0; d < e->output.rank; d++)
		in_out[e->output.label[d]] = 1;
	for (int label = 0; label < MAX_LABELS; label++) {
		int where = in_a[label] * 4 + in_b[label] * 2 + in_out[label];

		/* A stretched or repeated label counts 2, and a label summed in one operand alone is none of these. */
		if (in_a[label] > 1 || in_b[label] > 1)
			return false;
		switch (where) {
		case 0:
			roles[label] = ROLE_NONE;
			break;
		case 7:
			roles[label] = ROLE_BATCH;
			break;
		case 6:
			roles[label] = ROLE_SUM;
			break;
		case 5:
			roles[label] = ROLE_ROW;
			break;
		case 3:
			roles[label] = ROLE_COLUMN;
			break;
		default:
			return false;
		}
	}
	return true;
}

/* Labels of @role, in the order of the output where they are in it: appended to @list. Their product of sizes. */
static int64_t list_role(const struct equation *e, const enum role *roles, enum role role, int *list, int *count)
{
	int64_t size = 1;

	for (int d = 0; d < e->output.rank; d++)
		if (roles[e->output.label[d]] == role)
			list[(*count)++] = e->output.label[d];
	for (int label = 0; role == ROLE_SUM && label < MAX_LABELS; label++)
		if (roles[label] == role)
			list[(*count)++] = label;
	for (int label = 0; label < MAX_LABELS; label++)
		if (roles[label] == role)
			size *= e->size[label];
	return size;
}

/* Bring operand @k into the order of @list, as a matrix stack of @dims. */
static int arrange(struct op_call *call, const struct equation *e, size_t k, const int *list, int count,
		   const int64_t *dims, struct tensor *out)
{
	struct strided_copy copy = {.rank = count, .size = dtype_size(call->inputs[k]->dtype)};
	int64_t strides[MAX_LABELS];
	int err = tensor_init(out, call->inputs[k]->dtype, 3, dims);

	if (err)
		return op_fail(call, err, "Einsum: no memory for input %zu in another order", k);
	label_strides(e, &e->operand[k], call->inputs[k], strides);
	for (int i = 0; i < count; i++) {
		copy.dims[i] = e->size[list[i]];
		copy.src_strides[i] = strides[list[i]];
	}
	dense_strides(count, copy.dims, copy.dst_strides);
	copy.src = call->inputs[k]->data;
	copy.dst = out->data;
	strided_copy_run(copy, call->pool);
	return 0;
}

static int multiply(struct op_call *call, const struct op_kernel *kernel, struct tensor *a, struct tensor *b,
		    struct tensor *product)
{
	const struct tensor *inputs[] = {a, b};
	struct tensor *outputs[] = {product};
	struct op_node node = {.name = call->node->name,
			       .domain = "",
			       .op_type = "MatMul",
			       .opset = 13,
			       .num_inputs = 2,
			       .num_outputs = 1};
	struct op_call inner = {.node = &node, .inputs = inputs, .outputs = outputs, .pool = call->pool};
	int err = op_run(kernel, &inner);

	return err ? op_fail(call, err, "Einsum: %.200s", inner.error) : 0;
}

static int run_product(struct op_call *call, const struct op_kernel *kernel, const struct equation *e,
		       const enum role *roles)
{
	int a_list[MAX_LABELS], b_list[MAX_LABELS], c_list[MAX_LABELS], na = 0, nb = 0, nc = 0;
	int64_t batch, rows, columns, summed, by_label[MAX_LABELS], strides[TENSOR_MAX_RANK];
	struct strided_copy copy = {.rank = e->output.rank, .size = sizeof(float)};
	struct tensor a = {0}, b = {0}, c = {0};
	int err;

	batch = list_role(e, roles, ROLE_BATCH, a_list, &na);
	list_role(e, roles, ROLE_BATCH, b_list, &nb);
	list_role(e, roles, ROLE_BATCH, c_list, &nc);
	rows = list_role(e, roles, ROLE_ROW, a_list, &na);
	list_role(e, roles, ROLE_ROW, c_list, &nc);
	summed = list_role(e, roles, ROLE_SUM, a_list, &na);
	list_role(e, roles, ROLE_SUM, b_list, &nb);
	columns = list_role(e, roles, ROLE_COLUMN, b_list, &nb);
	list_role(e, roles, ROLE_COLUMN, c_list, &nc);
	err = arrange(call, e, 0, a_list, na, (int64_t[]){batch, rows, summed}, &a);
	if (!err)
		err = arrange(call, e, 1, b_list, nb, (int64_t[]){batch, summed, columns}, &b);
	if (!err)
		err = multiply(call, kernel, &a, &b, &c);
	if (!err) {
		int64_t stride = 1;

		for (int i = nc - 1; i >= 0; i--) {
			by_label[c_list[i]] = stride;
			stride *= e->size[c_list[i]];
		}
		for (int d = 0; d < e->output.rank; d++) {
			copy.dims[d] = e->size[e->output.label[d]];
			copy.src_strides[d] = by_label[e->output.label[d]];
		}
		dense_strides(copy.rank, copy.dims, strides);
		memcpy(copy.dst_strides, strides, sizeof(strides));
		copy.src = c.data;
		copy.dst = call->outputs[0]->data;
		strided_copy_run(copy, call->pool);
	}
	tensor_finish(&a);
	tensor_finish(&b);
	tensor_finish(&c);
	return err;
}

static int run_einsum(struct op_call *call)
{
	const struct op_kernel *matmul = op_find("", "MatMul", 13);
	int64_t dims[TENSOR_MAX_RANK], work = 1;
	enum role roles[MAX_LABELS];
	struct equation e;
	int err;

	if (!op_wanted(call, 0))
		return 0;
	for (size_t k = 0; k < call->node->num_inputs; k++)
		if (!call->inputs[k] || call->inputs[k]->dtype != call->inputs[0]->dtype)
			return op_fail(call, -EINVAL, "Einsum: input %zu is missing or of another type than input 0",
				       k);
	err = parse_equation(call, &e);
	if (!err)
		err = find_sizes(call, &e);
	if (err)
		return err;
	for (int d = 0; d < e.output.rank; d++)
		dims[d] = e.size[e.output.label[d]];
	err = op_output(call, 0, call->inputs[0]->dtype, e.output.rank, dims);
	if (err)
		return err;
	for (int label = 0; label < MAX_LABELS; label++)
		if (e.size[label] >= 0 && __builtin_mul_overflow(work, e.size[label], &work))
			return op_fail(call, -EOVERFLOW, "Einsum: more products than can be counted");
	/* Nothing to multiply is the loop's business, which writes zeros. */
	if (matmul && work > 0 && find_roles(call, &e, roles))
		return run_product(call, matmul, &e, roles);
	return run_loop(call, &e, dims);
}

const struct op_kernel ops_einsum[] = {
	{"", "Einsum", 12, 0, 1, -1, 1, 1, run_einsum},
};
const size_t ops_einsum_count = sizeof(ops_einsum) / sizeof(ops_einsum[0]);
