// SPDX-License-Identifier: MIT
/*
 * One time step of RNN, GRU and LSTM: see recurrent.h. Equations and the order of gates are the specification's.
 *
 * Every operation runs over a whole gate vector, so that it vectorises whatever the activations are.
 */
#include <math.h>
#include <string.h>
#include <strings.h>

#include "runtime/cpu/cpu_clones.h"
#include "runtime/cpu/recurrent.h"
#include "runtime/cpu/vector_math.h"

/* ---- activations by name ---- */

#define ACTIVATION(name, expression)                                                            \
	CPU_CLONES static void name(int64_t n, float *restrict values, float alpha, float beta) \
	{                                                                                       \
		(void)alpha, (void)beta;                                                        \
		for (int64_t i = 0; i < n; i++) {                                               \
			float x = values[i];                                                    \
                                                                                                \
			values[i] = (expression);                                               \
		}                                                                               \
	}
ACTIVATION(relu, x < 0 ? 0 : x)
ACTIVATION(hyperbolic, vector_tanhf(x))
ACTIVATION(sigmoid, vector_sigmoidf(x))
ACTIVATION(affine, alpha *x + beta)
ACTIVATION(leaky_relu, x < 0 ? alpha * x : x)
ACTIVATION(thresholded_relu, x > alpha ? x : 0)
ACTIVATION(scaled_tanh, alpha *vector_tanhf(beta *x))
ACTIVATION(hard_sigmoid, fminf(fmaxf(alpha *x + beta, 0), 1))
ACTIVATION(elu, x < 0 ? alpha * vector_expm1f(x) : x)
ACTIVATION(softsign, x / (1 + fabsf(x)))
ACTIVATION(softplus, (x > 0 ? x : 0) + log1pf(vector_expf(-fabsf(x))))

static const struct {
	const char *name;
	struct cell_activation activation;
} activations[] = {
	{"Relu", {relu, 0, 0}},
	{"Tanh", {hyperbolic, 0, 0}},
	{"Sigmoid", {sigmoid, 0, 0}},
	{"Affine", {affine, 1, 0}},
	{"LeakyRelu", {leaky_relu, 0.01f, 0}},
	{"ThresholdedRelu", {thresholded_relu, 1, 0}},
	{"ScaledTanh", {scaled_tanh, 1, 1}},
	{"HardSigmoid", {hard_sigmoid, 0.2f, 0.5f}},
	{"Elu", {elu, 1, 0}},
	{"Softsign", {softsign, 0, 0}},
	{"Softplus", {softplus, 0, 0}},
};

bool cell_activation_find(const struct tensor_string *name, struct cell_activation *out)
{
	for (size_t i = 0; i < sizeof(activations) / sizeof(activations[0]); i++) {
		const char *known = activations[i].name;

		/* Names are matched without regard to case, as ONNX Runtime does. */
		if (strlen(known) == name->size && !strncasecmp(known, name->data, name->size)) {
			*out = activations[i].activation;
			return true;
		}
	}
	return false;
}

/* ---- loops over gate vectors ---- */

CPU_CLONES static void clip(int64_t n, float *restrict v, float limit)
{
	for (int64_t i = 0; i < n; i++) {
		float x = v[i] < -limit ? -limit : v[i];

		v[i] = x > limit ? limit : x;
	}
}

/* y += x */
CPU_CLONES static void add(int64_t n, const float *restrict x, float *restrict y)
{
	for (int64_t i = 0; i < n; i++)
		y[i] += x[i];
}

/* y *= x */
CPU_CLONES static void multiply(int64_t n, const float *restrict x, float *restrict y)
{
	for (int64_t i = 0; i < n; i++)
		y[i] *= x[i];
}

/* y += p * x */
CPU_CLONES static void add_product(int64_t n, const float *restrict p, const float *restrict x, float *restrict y)
{
	for (int64_t i = 0; i < n; i++)
		y[i] += p[i] * x[i];
}

/* y = 1 - x */
CPU_CLONES static void complement(int64_t n, const float *restrict x, float *restrict y)
{
	for (int64_t i = 0; i < n; i++)
		y[i] = 1 - x[i];
}

/* c = f * c + i * g */
CPU_CLONES static void update_cell(int64_t n, const float *restrict f, const float *restrict i, const float *restrict g,
				   float *restrict c)
{
	for (int64_t k = 0; k < n; k++)
		c[k] = f[k] * c[k] + i[k] * g[k];
}

/* h = (1 - z) * candidate + z * h */
CPU_CLONES static void blend(int64_t n, const float *restrict z, const float *restrict candidate, float *restrict h)
{
	for (int64_t i = 0; i < n; i++)
		h[i] = (1 - z[i]) * candidate[i] + z[i] * h[i];
}

static void activate(const struct recurrent *r, int index, int64_t n, float *values)
{
	const struct cell_activation *f = &r->f[index];

	if (r->clip > 0)
		clip(n, values, r->clip);
	f->apply(n, values, f->alpha, f->beta);
}

/* ---- the cells ---- */

static float *sums_of(const struct recurrent *r, int64_t b)
{
	return r->sums + b * r->cell->gates * r->hidden;
}

/* H = f(X W + H R + B) */
static void step_rnn(const struct recurrent *r, int64_t b, const float *input)
{
	float *sums = sums_of(r, b);

	add(r->hidden, input, sums);
	activate(r, 0, r->hidden, sums);
	memcpy(r->h + b * r->hidden, sums, (size_t)r->hidden * sizeof(*sums));
}

/* Gates z and r, and the state that the candidate is made of. */
static void begin_gru(const struct recurrent *r, int64_t b, const float *input)
{
	int64_t n = r->hidden;
	float *sums = sums_of(r, b), *gated = r->gated + b * n;

	add(2 * n, input, sums);
	activate(r, 0, 2 * n, sums);
	memcpy(gated, r->h + b * n, (size_t)n * sizeof(*gated));
	if (!r->linear_before_reset)
		multiply(n, sums + n, gated);
}

/* The candidate, reset after its product when linear_before_reset says so, and the new state. */
static void end_gru(const struct recurrent *r, int64_t b, const float *input)
{
	int64_t n = r->hidden;
	float *z = sums_of(r, b), *reset = z + n, *candidate = z + 2 * n;

	if (r->rb)
		add(n, r->rb + 2 * n, candidate);
	if (r->linear_before_reset)
		multiply(n, reset, candidate);
	add(n, input + 2 * n, candidate);
	activate(r, 1, n, candidate);
	blend(n, z, candidate, r->h + b * n);
}

/* Gates i, o, f, c; peepholes in the order i, o, f. */
static void step_lstm(const struct recurrent *r, int64_t b, const float *input)
{
	int64_t n = r->hidden;
	float *i = sums_of(r, b), *o = i + n, *f = o + n, *g = f + n, *h = r->h + b * n, *c = r->c + b * n;

	add(4 * n, input, i);
	if (r->p)
		add_product(n, r->p, c, i);
	activate(r, 0, n, i);
	if (r->p)
		add_product(n, r->p + 2 * n, c, f);
	if (r->coupled)
		complement(n, i, f);
	else
		activate(r, 0, n, f);
	activate(r, 1, n, g);
	update_cell(n, f, i, g, c);
	if (r->p)
		add_product(n, r->p + n, c, o);
	activate(r, 0, n, o);
	memcpy(h, c, (size_t)n * sizeof(*h));
	r->f[2].apply(n, h, r->f[2].alpha, r->f[2].beta);
	multiply(n, o, h);
}

const struct cell rnn_cell = {1, 1, 1, {"Tanh"}, step_rnn, NULL, false};
const struct cell gru_cell = {3, 2, 2, {"Sigmoid", "Tanh"}, begin_gru, end_gru, false};
const struct cell lstm_cell = {4, 4, 3, {"Sigmoid", "Tanh", "Tanh"}, step_lstm, NULL, true};
