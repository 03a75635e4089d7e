// SPDX-License-Identifier: MIT
/*
 * Operators whose output size depends on the data because they choose among items: NonMaxSuppression and Unique.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/families.h"
#include "runtime/cpu/shape_rules.h"
#include "runtime/cpu/strided_copy.h"

/* ---- NonMaxSuppression ---- */

struct box {
	float y0, x0, y1, x1, area;
};

struct candidate {
	float score;
	int64_t index;
};

/*
 * struct suppression - limits, and the triples (image, class, box) chosen so far
 */
struct suppression {
	int64_t images, classes, boxes;
	int64_t most;
	float overlap, least_score;
	bool has_least, centres;
	const float *box_data, *scores;
	int64_t *chosen;
	size_t num_chosen, room;
};

/* Corners in either order, or centre and size (x, y, width, height); as corners in order. */
static struct box read_box(const float *data, bool centres)
{
	struct box b;

	if (centres) {
		b.x0 = data[0] - data[2] / 2;
		b.x1 = data[0] + data[2] / 2;
		b.y0 = data[1] - data[3] / 2;
		b.y1 = data[1] + data[3] / 2;
	} else {
		b.y0 = fminf(data[0], data[2]);
		b.y1 = fmaxf(data[0], data[2]);
		b.x0 = fminf(data[1], data[3]);
		b.x1 = fmaxf(data[1], data[3]);
	}
	b.area = (b.y1 - b.y0) * (b.x1 - b.x0);
	return b;
}

static bool overlaps(const struct box *a, const struct box *b, float limit)
{
	float high = fminf(a->y1, b->y1) - fmaxf(a->y0, b->y0), wide = fminf(a->x1, b->x1) - fmaxf(a->x0, b->x0);
	float common, all;

	if (!(high > 0) || !(wide > 0) || a->area <= 0 || b->area <= 0)
		return false;
	common = high * wide;
	all = a->area + b->area - common;
	return all > 0 && common / all > limit;
}

/* Best score first, then the earlier box. */
static int compare_candidates(const void *left, const void *right)
{
	const struct candidate *a = left, *b = right;

	if (a->score != b->score)
		return a->score > b->score ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

static int choose_box(struct suppression *s, int64_t image, int64_t class, int64_t box)
{
	if (s->num_chosen == s->room) {
		size_t room = s->room ? s->room * 2 : 64;
		int64_t *grown = realloc(s->chosen, room * 3 * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		s->chosen = grown;
		s->room = room;
	}
	memcpy(s->chosen + 3 * s->num_chosen++, (int64_t[]){image, class, box}, 3 * sizeof(int64_t));
	return 0;
}

/* @candidates and @kept have room for all boxes. */
static int suppress_class(struct suppression *s, int64_t image, int64_t class, struct candidate *candidates,
			  struct box *kept)
{
	const float *scores = s->scores + (image * s->classes + class) * s->boxes;
	int64_t count = 0, num_kept = 0;
	int err = 0;

	for (int64_t i = 0; i < s->boxes; i++)
		if (scores[i] == scores[i] && (!s->has_least || scores[i] > s->least_score))
			candidates[count++] = (struct candidate){scores[i], i};
	qsort(candidates, count, sizeof(*candidates), compare_candidates);
	for (int64_t i = 0; !err && i < count && num_kept < s->most; i++) {
		struct box b = read_box(s->box_data + (image * s->boxes + candidates[i].index) * 4, s->centres);
		bool hidden = false;

		for (int64_t k = 0; !hidden && k < num_kept; k++)
			hidden = overlaps(&b, &kept[k], s->overlap);
		if (hidden)
			continue;
		kept[num_kept++] = b;
		err = choose_box(s, image, class, candidates[i].index);
	}
	return err;
}

static int suppress(struct suppression *s)
{
	struct candidate *candidates = calloc(s->boxes + 1, sizeof(*candidates));
	struct box *kept = calloc(s->boxes + 1, sizeof(*kept));
	int err = candidates && kept ? 0 : -ENOMEM;

	for (int64_t image = 0; !err && image < s->images; image++)
		for (int64_t class = 0; !err && class < s->classes; class ++)
			err = suppress_class(s, image, class, candidates, kept);
	free(candidates);
	free(kept);
	return err;
}

/* An optional scalar input as a number. */
static int scalar_input(struct op_call *call, size_t index, double fallback, double *value)
{
	const struct tensor *in = op_input(call, index);

	*value = fallback;
	if (!in || tensor_count(in) == 0)
		return 0;
	if (tensor_count(in) != 1)
		return op_fail(call, -EINVAL, "%s: input %zu is not a scalar", call->node->op_type, index);
	*value = dtype_is_float(in->dtype) ? tensor_get_f64(in, 0) : (double)tensor_get_s64(in, 0);
	return 0;
}

static int run_non_max_suppression(struct op_call *call)
{
	const struct tensor *boxes = call->inputs[0], *scores = call->inputs[1];
	struct suppression s = {.centres = op_attr_int(call->node, "center_point_box", 0) != 0};
	double most, overlap, least;
	int err;

	if (!op_wanted(call, 0))
		return 0;
	if (boxes->dtype != DTYPE_F32 || scores->dtype != DTYPE_F32 || boxes->rank != 3 || boxes->dims[2] != 4 ||
	    scores->rank != 3 || scores->dims[0] != boxes->dims[0] || scores->dims[2] != boxes->dims[1])
		return op_fail(call, -EINVAL,
			       "NonMaxSuppression: boxes [n,m,4] and scores [n,c,m] (inputs 0 and 1) do "
			       "not fit each other");
	err = scalar_input(call, 2, 0, &most);
	if (!err)
		err = scalar_input(call, 3, 0, &overlap);
	if (!err)
		err = scalar_input(call, 4, 0, &least);
	if (err)
		return err;
	s.images = scores->dims[0];
	s.classes = scores->dims[1];
	s.boxes = scores->dims[2];
	s.most = most > 0 ? (most < 0x1p62 ? (int64_t)most : INT64_MAX) : 0;
	s.overlap = (float)overlap;
	s.least_score = (float)least;
	s.has_least = op_input(call, 4) != NULL;
	s.box_data = boxes->data;
	s.scores = scores->data;
	if (tensor_count(scores) > 0 && s.most > 0)
		err = suppress(&s);
	if (err)
		err = op_fail(call, err, "NonMaxSuppression: no memory for %" PRId64 " boxes", s.boxes);
	if (!err)
		err = op_output(call, 0, DTYPE_S64, 2, (int64_t[]){s.num_chosen, 3});
	if (!err && s.num_chosen > 0)
		memcpy(call->outputs[0]->data, s.chosen, s.num_chosen * 3 * sizeof(int64_t));
	free(s.chosen);
	return err;
}

/* ---- Unique ---- */

/*
 * struct slices - a tensor as the items that Unique compares: [outer, count, inner], item k being all of [:, k, :]
 * Without an axis every element is an item.
 */
struct slices {
	const struct tensor *in;
	int64_t outer, count, inner;
};

static int compare_elements(const struct tensor *t, int64_t a, int64_t b)
{
	if (t->dtype == DTYPE_STRING) {
		const struct tensor_string *x = (const struct tensor_string *)t->data + a;
		const struct tensor_string *y = (const struct tensor_string *)t->data + b;
		size_t n = x->size < y->size ? x->size : y->size;
		int order = n ? memcmp(x->data, y->data, n) : 0;

		return order ? order : (x->size > y->size) - (x->size < y->size);
	}
	if (dtype_is_float(t->dtype)) {
		double x = tensor_get_f64(t, a), y = tensor_get_f64(t, b);

		/* NaN after everything, and NaN like NaN, so that the order is one. */
		if (x != x || y != y)
			return (x != x) - (y != y);
		return (x > y) - (x < y);
	}
	if (t->dtype == DTYPE_U64) {
		uint64_t x = ((const uint64_t *)t->data)[a], y = ((const uint64_t *)t->data)[b];

		return (x > y) - (x < y);
	}
	return (tensor_get_s64(t, a) > tensor_get_s64(t, b)) - (tensor_get_s64(t, a) < tensor_get_s64(t, b));
}

static int compare_slices(const void *left, const void *right, void *arg)
{
	const struct slices *s = arg;
	int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;

	for (int64_t o = 0; o < s->outer; o++)
		for (int64_t i = 0; i < s->inner; i++) {
			int order = compare_elements(s->in, (o * s->count + a) * s->inner + i,
						     (o * s->count + b) * s->inner + i);

			if (order)
				return order;
		}
	return 0;
}

/* The same, with the position deciding among equals: the first of a group is its first occurrence. */
static int compare_occurrences(const void *left, const void *right, void *arg)
{
	int order = compare_slices(left, right, arg);
	int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;

	return order ? order : (a > b) - (a < b);
}

static int compare_numbers(const void *left, const void *right)
{
	int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;

	return (a > b) - (a < b);
}

/*
 * struct groups - equal items
 * @order:  items by value; @group: by item, its group's number; @first, @count: by group
 */
struct groups {
	int64_t num;
	int64_t *order, *group, *first, *count, *rank;
};

static void finish_groups(struct groups *g)
{
	free(g->order);
	free(g->group);
	free(g->first);
	free(g->count);
	free(g->rank);
}

static int find_groups(struct slices *s, bool sorted, struct groups *g)
{
	memset(g, 0, sizeof(*g));
	g->order = calloc(s->count + 1, sizeof(int64_t));
	g->group = calloc(s->count + 1, sizeof(int64_t));
	g->first = calloc(s->count + 1, sizeof(int64_t));
	g->count = calloc(s->count + 1, sizeof(int64_t));
	g->rank = calloc(s->count + 1, sizeof(int64_t));
	if (!g->order || !g->group || !g->first || !g->count || !g->rank)
		return -ENOMEM;
	for (int64_t i = 0; i < s->count; i++)
		g->order[i] = i;
	qsort_r(g->order, s->count, sizeof(int64_t), compare_occurrences, s);
	for (int64_t i = 0; i < s->count; i++)
		if (i == 0 || compare_slices(&g->order[i - 1], &g->order[i], s))
			g->first[g->num++] = g->order[i];
	/* By occurrence instead of by value: sort the groups by their first item. */
	if (!sorted)
		qsort(g->first, g->num, sizeof(int64_t), compare_numbers);
	for (int64_t i = 0; i < g->num; i++)
		g->rank[g->first[i]] = i;
	for (int64_t i = 0, leader = 0; i < s->count; i++) {
		if (i == 0 || compare_slices(&g->order[i - 1], &g->order[i], s))
			leader = g->order[i];
		g->group[g->order[i]] = g->rank[leader];
		g->count[g->rank[leader]]++;
	}
	return 0;
}

static int output_numbers(struct op_call *call, size_t index, int64_t count, const int64_t *values)
{
	int err;

	if (!op_wanted(call, index))
		return 0;
	err = op_output(call, index, DTYPE_S64, 1, &count);
	if (!err && count > 0)
		memcpy(call->outputs[index]->data, values, count * sizeof(*values));
	return err;
}

static int output_slices(struct op_call *call, const struct slices *s, const struct groups *g, int rank,
			 const int64_t *dims)
{
	size_t size = dtype_size(s->in->dtype);
	int err;

	if (!op_wanted(call, 0))
		return 0;
	err = op_output(call, 0, s->in->dtype, rank, dims);
	if (err || tensor_count(call->outputs[0]) == 0)
		return err;
	for (int64_t o = 0; o < s->outer; o++)
		for (int64_t i = 0; i < g->num; i++)
			memcpy((char *)call->outputs[0]->data + (o * g->num + i) * s->inner * size,
			       (const char *)s->in->data + (o * s->count + g->first[i]) * s->inner * size,
			       s->inner * size);
	return s->in->dtype == DTYPE_STRING ? strings_own(call, call->outputs[0]) : 0;
}

static int run_unique(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	const struct attr *attr = op_attr(call->node, "axis");
	struct slices s = {in, 1, tensor_count(in), 1};
	int64_t axis = attr ? attr->i : 0, dims[TENSOR_MAX_RANK];
	int rank = attr ? in->rank : 1, err;
	struct groups groups;

	if (attr && normalize_axis(&axis, in->rank))
		return op_fail(call, -EINVAL, "Unique: axis %" PRId64 " is out of range for rank %d", axis, in->rank);
	if (attr) {
		s.outer = dims_count(axis, in->dims);
		s.count = in->dims[axis];
		s.inner = dims_count(in->rank - axis - 1, in->dims + axis + 1);
		if (s.outer < 0 || s.inner < 0)
			return op_fail(call, -EOVERFLOW, "Unique: the dimensions overflow");
		memcpy(dims, in->dims, sizeof(dims));
	}
	err = find_groups(&s, op_attr_int(call->node, "sorted", 1) != 0, &groups);
	if (err)
		err = op_fail(call, err, "Unique: no memory for %" PRId64 " items", s.count);
	dims[axis] = groups.num;
	if (!err)
		err = output_slices(call, &s, &groups, rank, dims);
	if (!err)
		err = output_numbers(call, 1, groups.num, groups.first);
	if (!err)
		err = output_numbers(call, 2, s.count, groups.group);
	if (!err)
		err = output_numbers(call, 3, groups.num, groups.count);
	finish_groups(&groups);
	return err;
}

const struct op_kernel ops_select[] = {
	{"", "NonMaxSuppression", 10, 0, 2, 5, 1, 1, run_non_max_suppression},
	{"", "Unique", 11, 0, 1, 1, 1, 4, run_unique},
};
const size_t ops_select_count = sizeof(ops_select) / sizeof(ops_select[0]);
