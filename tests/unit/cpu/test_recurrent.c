// SPDX-License-Identifier: MIT
/*
 * RNN, GRU and LSTM against the specification's equations in double, one number at a time.
 */
#include "tests/unit/cpu/op_case.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum kind { RNN, GRU, LSTM };

static const char *const names[] = {"RNN", "GRU", "LSTM"};
static const int gate_counts[] = {1, 3, 4};

/* One random operator; pointers are to the inputs of the case, NULL where omitted. */
struct network {
	enum kind kind;
	int64_t steps, batch, inputs, hidden, directions;
	bool reverse, batch_first, linear_before_reset, coupled;
	float clip;
	const float *x, *w, *r, *b, *h, *c, *p;
	const int64_t *lengths;
};

static double sigmoid(double x)
{
	return 1 / (1 + exp(-x));
}

static double clipped(const struct network *n, double x)
{
	return n->clip > 0 ? fmin(fmax(x, -n->clip), n->clip) : x;
}

/* Row @row of W or R times a vector. */
static double row_product(const float *matrix, int64_t row, int64_t columns, const double *vector)
{
	double sum = 0;

	for (int64_t i = 0; i < columns; i++)
		sum += (double)matrix[row * columns + i] * vector[i];
	return sum;
}

/* The sums of gate @gate, unit @i: X W + Wb, and H R + Rb apart. */
struct gate_sum {
	double input, state;
};

static struct gate_sum gate(const struct network *n, int64_t d, int g, int64_t i, const double *x, const double *h)
{
	int64_t width = gate_counts[n->kind] * n->hidden, row = g * n->hidden + i;
	struct gate_sum sum = {row_product(n->w + d * width * n->inputs, row, n->inputs, x),
			       row_product(n->r + d * width * n->hidden, row, n->hidden, h)};

	if (n->b) {
		sum.input += n->b[d * 2 * width + row];
		sum.state += n->b[d * 2 * width + width + row];
	}
	return sum;
}

static double both(struct gate_sum sum)
{
	return sum.input + sum.state;
}

static double peephole(const struct network *n, int64_t d, int which, int64_t i, const double *c)
{
	return n->p ? (double)n->p[(d * 3 + which) * n->hidden + i] * c[i] : 0;
}

static void step_lstm(const struct network *n, int64_t d, const double *x, const double *h, double *c, double *next)
{
	for (int64_t k = 0; k < n->hidden; k++) {
		double i = sigmoid(clipped(n, both(gate(n, d, 0, k, x, h)) + peephole(n, d, 0, k, c)));
		double f = sigmoid(clipped(n, both(gate(n, d, 2, k, x, h)) + peephole(n, d, 2, k, c)));
		double g = tanh(clipped(n, both(gate(n, d, 3, k, x, h))));

		c[k] = (n->coupled ? 1 - i : f) * c[k] + i * g;
		next[k] = sigmoid(clipped(n, both(gate(n, d, 1, k, x, h)) + peephole(n, d, 1, k, c))) * tanh(c[k]);
	}
}

static void step_gru(const struct network *n, int64_t d, const double *x, const double *h, double *next)
{
	double reset[64], gated[64];

	for (int64_t k = 0; k < n->hidden; k++) {
		reset[k] = sigmoid(clipped(n, both(gate(n, d, 1, k, x, h))));
		gated[k] = reset[k] * h[k];
	}
	for (int64_t k = 0; k < n->hidden; k++) {
		double z = sigmoid(clipped(n, both(gate(n, d, 0, k, x, h))));
		struct gate_sum sum = gate(n, d, 2, k, x, n->linear_before_reset ? h : gated);

		if (n->linear_before_reset)
			sum.state *= reset[k];
		next[k] = (1 - z) * tanh(clipped(n, both(sum))) + z * h[k];
	}
}

static void step(const struct network *n, int64_t d, const double *x, double *h, double *c)
{
	double next[64];

	if (n->kind == LSTM)
		step_lstm(n, d, x, h, c, next);
	else if (n->kind == GRU)
		step_gru(n, d, x, h, next);
	else
		for (int64_t k = 0; k < n->hidden; k++)
			next[k] = tanh(clipped(n, both(gate(n, d, 0, k, x, h))));
	memcpy(h, next, (size_t)n->hidden * sizeof(*h));
}

/* Where a state of direction @d and batch element @b lies. */
static int64_t state_at(const struct network *n, int64_t d, int64_t b)
{
	return (n->batch_first ? b * n->directions + d : d * n->batch + b) * n->hidden;
}

/* One direction of one batch element, into Y, Y_h and Y_c. */
static void expect_sequence(const struct network *n, int64_t d, int64_t b, float *y, float *last_h, float *last_c)
{
	int64_t length = n->lengths ? n->lengths[b] : n->steps, at = state_at(n, d, b);
	double h[64] = {0}, c[64] = {0}, x[64];

	for (int64_t i = 0; i < n->hidden; i++) {
		h[i] = n->h ? (double)n->h[at + i] : 0;
		c[i] = n->c ? (double)n->c[at + i] : 0;
	}
	for (int64_t s = 0; s < length; s++) {
		int64_t t = n->reverse || d == 1 ? length - 1 - s : s;
		int64_t row = n->batch_first ? b * n->steps + t : t * n->batch + b;
		int64_t out = n->batch_first ? (b * n->steps + t) * n->directions + d
					     : (t * n->directions + d) * n->batch + b;

		for (int64_t i = 0; i < n->inputs; i++)
			x[i] = (double)n->x[row * n->inputs + i];
		step(n, d, x, h, c);
		for (int64_t i = 0; i < n->hidden; i++)
			y[out * n->hidden + i] = (float)h[i];
	}
	for (int64_t i = 0; i < n->hidden; i++) {
		last_h[at + i] = (float)h[i];
		last_c[at + i] = (float)c[i];
	}
}

static const float *maybe_input(struct op_case *cs, bool present, int rank, const int64_t *dims)
{
	if (present)
		return op_case_random(cs, rank, dims);
	op_case_omit(cs);
	return NULL;
}

static const int64_t *maybe_lengths(struct op_case *cs, const struct network *n, int64_t *kept)
{
	int32_t *lengths;

	if (random_below(2)) {
		op_case_omit(cs);
		return NULL;
	}
	lengths = op_case_input(cs, DTYPE_S32, 1, &n->batch)->data;
	for (int64_t b = 0; b < n->batch; b++)
		kept[b] = lengths[b] = (int32_t)random_below((uint32_t)n->steps + 1);
	return kept;
}

static void make_network(struct op_case *cs, struct network *n, int64_t *lengths)
{
	int64_t gates = gate_counts[n->kind], d, width;
	bool initial = random_below(2);

	n->steps = 1 + random_below(6);
	n->batch = random_below(2) ? 1 : 1 + random_below(7);
	n->inputs = 1 + random_below(40);
	n->hidden = 1 + random_below(60);
	n->reverse = random_below(3) == 0;
	d = n->directions = n->reverse ? 1 : 1 + random_below(2);
	n->batch_first = random_below(2);
	n->linear_before_reset = n->kind == GRU && random_below(2);
	n->coupled = n->kind == LSTM && random_below(4) == 0;
	n->clip = random_below(4) ? 0 : 0.5f;
	width = gates * n->hidden;
	op_case_init(cs, "", names[n->kind], 14);
	op_case_string(cs, "direction", d == 2 ? "bidirectional" : n->reverse ? "reverse" : "forward");
	op_case_int(cs, "layout", n->batch_first);
	op_case_int(cs, "hidden_size", n->hidden);
	op_case_float(cs, "clip", n->clip);
	if (n->kind == GRU)
		op_case_int(cs, "linear_before_reset", n->linear_before_reset);
	if (n->kind == LSTM)
		op_case_int(cs, "input_forget", n->coupled);
	n->x = op_case_random(
		cs, 3,
		(int64_t[]){n->batch_first ? n->batch : n->steps, n->batch_first ? n->steps : n->batch, n->inputs});
	n->w = op_case_random(cs, 3, (int64_t[]){d, width, n->inputs});
	n->r = op_case_random(cs, 3, (int64_t[]){d, width, n->hidden});
	n->b = maybe_input(cs, random_below(2), 2, (int64_t[]){d, 2 * width});
	n->lengths = maybe_lengths(cs, n, lengths);
	n->h = maybe_input(cs, initial, 3,
			   (int64_t[]){n->batch_first ? n->batch : d, n->batch_first ? d : n->batch, n->hidden});
	if (n->kind != LSTM)
		return;
	n->c = maybe_input(cs, initial, 3,
			   (int64_t[]){n->batch_first ? n->batch : d, n->batch_first ? d : n->batch, n->hidden});
	n->p = maybe_input(cs, random_below(2), 2, (int64_t[]){d, 3 * n->hidden});
}

static void check_network(enum kind kind)
{
	struct network n = {.kind = kind};
	struct op_case cs;
	int64_t lengths[8];
	float *y, *h, *c;
	size_t states, results;

	make_network(&cs, &n, lengths);
	states = (size_t)(n.directions * n.batch * n.hidden);
	results = (size_t)n.steps * states;
	y = calloc(results, sizeof(*y));
	h = calloc(states, sizeof(*h));
	c = calloc(states, sizeof(*c));
	for (int64_t d = 0; d < n.directions; d++)
		for (int64_t b = 0; b < n.batch; b++)
			expect_sequence(&n, d, b, y, h, c);
	cs.node.num_outputs = kind == LSTM ? 3 : 2;
	/* With and without packed weights, on one thread and on three: the same bits. */
	op_case_expect_ok(&cs);
	expect_near(&cs.outputs[0], y, 1e-4, 1e-5);
	expect_near(&cs.outputs[1], h, 1e-4, 1e-5);
	if (kind == LSTM)
		expect_near(&cs.outputs[2], c, 1e-4, 1e-5);
	memcpy(y, cs.outputs[0].data, results * sizeof(*y));
	cs.constants = 1u << 1 | 1u << 2;
	assert_int_equal(cpu_pool_create(3, &cs.pool), 0);
	op_case_expect_ok(&cs);
	expect_same_bytes(&cs.outputs[0], y);
	cpu_pool_destroy(cs.pool);
	cs.pool = NULL;
	free(y);
	free(h);
	free(c);
	op_case_finish(&cs);
}

static void recurrent_operators_follow_the_equations(void **state)
{
	(void)state;
	for (int round = 0; round < 150; round++)
		check_network((enum kind)(round % 3));
}

/* A step's product that is large enough to be shared: columns go to threads, the bits stay. */
static void a_large_state_gives_the_same_bits_on_any_number_of_threads(void **state)
{
	static float first[5 * 300];

	(void)state;
	for (size_t threads = 1; threads <= 4; threads++) {
		struct op_case cs;

		op_case_init(&cs, "", "LSTM", 14);
		srand48(1);
		for (int i = 0; i < 3; i++) {
			int64_t dims[][3] = {{5, 1, 20}, {1, 1200, 20}, {1, 1200, 300}};
			struct tensor *t = op_case_input(&cs, DTYPE_F32, 3, dims[i]);

			for (int64_t j = 0; j < tensor_count(t); j++)
				((float *)t->data)[j] = (float)(drand48() - 0.5);
		}
		cs.constants = 1u << 1 | 1u << 2;
		assert_int_equal(cpu_pool_create(threads, &cs.pool), 0);
		op_case_expect_ok(&cs);
		if (threads == 1)
			memcpy(first, cs.outputs[0].data, sizeof(first));
		expect_same_bytes(&cs.outputs[0], first);
		cpu_pool_destroy(cs.pool);
		cs.pool = NULL;
		op_case_finish(&cs);
	}
}

static void wrong_shapes_are_named(void **state)
{
	struct op_case cs;

	(void)state;
	op_case_init(&cs, "", "GRU", 14);
	op_case_random(&cs, 3, (int64_t[]){2, 1, 4});
	op_case_random(&cs, 3, (int64_t[]){1, 9, 4});
	op_case_random(&cs, 3, (int64_t[]){1, 9, 4});
	op_case_expect_error(&cs, -EINVAL, "R (input 2)");
	op_case_finish(&cs);
}

static int seed(void **state)
{
	(void)state;
	random_seed();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recurrent_operators_follow_the_equations),
		cmocka_unit_test(a_large_state_gives_the_same_bits_on_any_number_of_threads),
		cmocka_unit_test(wrong_shapes_are_named),
	};

	return cmocka_run_group_tests(tests, seed, NULL);
}
