// SPDX-License-Identifier: MIT
/*
 * RNN, GRU and LSTM.
 *
 * The input's part of every gate is one matrix product over all time steps; the state's part is one a step. What the
 * three differ in is a cell: the number of gates, the function from gate sums to the new state (struct cell). Equations
 * and the order of gates are the specification's. Computed in f32.
 */
#include <cblas.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/strided_copy.h"
#include "runtime/cpu/vector_math.h"

/* ---- activations by name ---- */

struct activation {
	float (*apply)(float x, float alpha, float beta);
	float alpha, beta;
};

#define ACTIVATION(name, expression)                        \
	static float name(float x, float alpha, float beta) \
	{                                                   \
		(void)alpha, (void)beta;                    \
		return (expression);                        \
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
	struct activation activation;
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

static bool find_activation(const struct tensor_string *name, struct activation *out)
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

/* ---- the network ---- */

struct recurrent;

/*
 * struct cell - what RNN, GRU and LSTM differ in
 * @gates:       gate vectors in W, R and half of B
 * @activations: functions a direction needs, by default @defaults
 * @step:        from the gate sums of batch element @b to its new state
 */
struct cell {
	int gates, activations;
	const char *defaults[3];
	void (*step)(const struct recurrent *r, int64_t b, const float *input, float *sums);
	bool has_cell_state;
};

/*
 * struct recurrent - one direction of a call
 * @w, @wb, @rb, @r, @p: weights, biases (zeros when absent) and peepholes (NULL when absent) of the direction
 * @h, @c: state [batch, hidden], in and out
 * @gated: GRU's reset hidden state
 */
struct recurrent {
	const struct cell *cell;
	int64_t steps, batch, inputs, hidden;
	bool coupled, linear_before_reset;
	float clip;
	struct activation f[3];
	const float *w, *r, *wb, *rb, *p;
	float *h, *c, *gated;
};

static float clipped(const struct recurrent *r, float x)
{
	return r->clip > 0 ? fminf(fmaxf(x, -r->clip), r->clip) : x;
}

static float activate(const struct recurrent *r, int index, float x)
{
	return r->f[index].apply(clipped(r, x), r->f[index].alpha, r->f[index].beta);
}

/* H = f(X W + H R + B) */
static void step_rnn(const struct recurrent *r, int64_t b, const float *input, float *sums)
{
	for (int64_t i = 0; i < r->hidden; i++)
		r->h[b * r->hidden + i] = activate(r, 0, input[i] + sums[i] + r->wb[i] + r->rb[i]);
}

/* Gates z, r, h. The sums of h come from the reset state, unless linear_before_reset. */
static void step_gru(const struct recurrent *r, int64_t b, const float *input, float *sums)
{
	int64_t n = r->hidden;
	float *h = r->h + b * n;

	for (int64_t i = 0; i < n; i++) {
		float z = activate(r, 0, input[i] + sums[i] + r->wb[i] + r->rb[i]);
		float recurrent = sums[2 * n + i] + r->rb[2 * n + i];
		float candidate;

		if (r->linear_before_reset)
			recurrent *= activate(r, 0, input[n + i] + sums[n + i] + r->wb[n + i] + r->rb[n + i]);
		candidate = activate(r, 1, input[2 * n + i] + r->wb[2 * n + i] + recurrent);
		h[i] = (1 - z) * candidate + z * h[i];
	}
}

/* The state through the reset gate, and its product with the weights of h, into the sums of all batch elements. */
static void reset_gru(const struct recurrent *r, const float *const *input, float *sums)
{
	int64_t n = r->hidden;

	for (int64_t b = 0; b < r->batch; b++)
		for (int64_t i = 0; i < n; i++) {
			float x = (input[b] ? input[b][n + i] : 0) + sums[b * 3 * n + n + i] + r->wb[n + i] +
				  r->rb[n + i];

			r->gated[b * n + i] = activate(r, 0, x) * r->h[b * n + i];
		}
	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, r->batch, n, n, 1, r->gated, n, r->r + 2 * n * n, n, 0,
		    sums + 2 * n, 3 * n);
}

/* Gates i, o, f, c; peepholes in the order i, o, f. */
static void step_lstm(const struct recurrent *r, int64_t b, const float *input, float *sums)
{
	int64_t n = r->hidden;
	float *h = r->h + b * n, *c = r->c + b * n;

	for (int64_t k = 0; k < 4 * n; k++)
		sums[k] += input[k] + r->wb[k] + r->rb[k];
	for (int64_t k = 0; k < n; k++) {
		float peep = r->p ? r->p[k] * c[k] : 0, i = activate(r, 0, sums[k] + peep), f;

		f = r->coupled ? 1 - i : activate(r, 0, sums[2 * n + k] + (r->p ? r->p[2 * n + k] * c[k] : 0));
		c[k] = f * c[k] + i * activate(r, 1, sums[3 * n + k]);
		h[k] = activate(r, 0, sums[n + k] + (r->p ? r->p[n + k] * c[k] : 0)) *
		       r->f[2].apply(c[k], r->f[2].alpha, r->f[2].beta);
	}
}

static const struct cell rnn_cell = {1, 1, {"Tanh"}, step_rnn, false};
static const struct cell gru_cell = {3, 2, {"Sigmoid", "Tanh"}, step_gru, false};
static const struct cell lstm_cell = {4, 3, {"Sigmoid", "Tanh", "Tanh"}, step_lstm, true};

/* ---- one direction over all steps ---- */

/* Where results go: element (t, b, i) of this direction at y[t * step + b * batch + i]; NULL when nobody reads it. */
struct sequence_output {
	float *y;
	int64_t step, batch;
};

/*
 * @projected: [steps, batch, gates * hidden]; @lengths: by batch element or NULL; @sums, @input: scratch of
 * batch * gates * hidden floats and batch pointers.
 */
static void run_steps(const struct recurrent *r, bool reverse, const float *projected, const int64_t *lengths,
		      const struct sequence_output *out, float *sums, const float **input)
{
	int64_t width = r->cell->gates * r->hidden;

	for (int64_t s = 0; s < r->steps; s++) {
		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, r->batch, width, r->hidden, 1, r->h, r->hidden,
			    r->r, r->hidden, 0, sums, width);
		for (int64_t b = 0; b < r->batch; b++) {
			int64_t length = lengths ? lengths[b] : r->steps, t = reverse ? length - 1 - s : s;

			/* Past the end of this element's sequence: the state stays, the output stays zero. */
			input[b] = s < length ? projected + (t * r->batch + b) * width : NULL;
		}
		if (r->gated && !r->linear_before_reset)
			reset_gru(r, input, sums);
		for (int64_t b = 0; b < r->batch; b++) {
			int64_t length = lengths ? lengths[b] : r->steps, t = reverse ? length - 1 - s : s;

			if (!input[b])
				continue;
			r->cell->step(r, b, input[b], sums + b * width);
			if (out->y)
				memcpy(out->y + t * out->step + b * out->batch, r->h + b * r->hidden,
				       r->hidden * sizeof(float));
		}
	}
}

/* ---- the call ---- */

enum { IN_X, IN_W, IN_R, IN_B, IN_LENGTHS, IN_H, IN_C, IN_P, NUM_INPUTS };

/*
 * struct recurrent_call - the inputs as f32, and the scratch of a call
 * @batch_first: layout 1 (opset 14): X [batch, steps, inputs], states [batch, directions, hidden]
 */
struct recurrent_call {
	const struct cell *cell;
	int64_t directions, steps, batch, inputs, hidden;
	bool batch_first, backwards;
	struct tensor in[NUM_INPUTS], lengths, x; /* x: [steps, batch, inputs] */
	struct tensor y, h, c;                    /* results in the layout of the outputs */
	float *zeros, *projected, *sums, *gated, *state_h, *state_c;
	const float **rows;
};

static int read_inputs(struct op_call *call, struct recurrent_call *rc)
{
	for (size_t i = 0; i < NUM_INPUTS; i++) {
		const struct tensor *in = op_input(call, i);
		int err = 0;

		if (!in)
			continue;
		if (i == IN_LENGTHS)
			err = op_input_s64(call, i, false, &rc->lengths);
		else if (!dtype_is_float(in->dtype))
			err = op_fail(call, -ENOTSUP, "%s: input %zu is %s", call->node->op_type, i,
				      dtype_name(in->dtype));
		else
			err = tensor_cast(in, DTYPE_F32, &rc->in[i]);
		if (err)
			return err;
	}
	return 0;
}

static bool has_shape(const struct tensor *t, int rank, int64_t a, int64_t b, int64_t c)
{
	return t->rank == rank && t->dims[0] == a && t->dims[1] == b && (rank < 3 || t->dims[2] == c);
}

static int check_shapes(struct op_call *call, struct recurrent_call *rc)
{
	const struct tensor *in = rc->in;
	int64_t g = rc->cell->gates, d, n;
	const char *wrong = NULL;

	if (in[IN_X].rank != 3 || in[IN_W].rank != 3 || in[IN_R].rank != 3)
		return op_fail(call, -EINVAL, "%s: X, W or R (inputs 0 to 2) does not have rank 3",
			       call->node->op_type);
	rc->steps = in[IN_X].dims[rc->batch_first ? 1 : 0];
	rc->batch = in[IN_X].dims[rc->batch_first ? 0 : 1];
	rc->inputs = in[IN_X].dims[2];
	n = rc->hidden = in[IN_R].dims[2];
	d = rc->directions;
	if (n < 1 || n > INT32_MAX / 8 || rc->inputs > INT32_MAX || rc->batch > INT32_MAX ||
	    op_attr_int(call->node, "hidden_size", n) != n || !has_shape(&in[IN_R], 3, d, g * n, n))
		wrong = "R (input 2)";
	else if (!has_shape(&in[IN_W], 3, d, g * n, rc->inputs))
		wrong = "W (input 1)";
	else if (op_input(call, IN_B) && !has_shape(&in[IN_B], 2, d, 2 * g * n, 0))
		wrong = "B (input 3)";
	else if (op_input(call, IN_LENGTHS) && tensor_count(&rc->lengths) != rc->batch)
		wrong = "sequence_lens (input 4)";
	else if (op_input(call, IN_P) && !has_shape(&in[IN_P], 2, d, 3 * n, 0))
		wrong = "P (input 7)";
	for (size_t i = IN_H; !wrong && i <= IN_C; i++)
		if (op_input(call, i) &&
		    !has_shape(&in[i], 3, rc->batch_first ? rc->batch : d, rc->batch_first ? d : rc->batch, n))
			wrong = i == IN_H ? "initial_h (input 5)" : "initial_c (input 6)";
	for (int64_t b = 0; !wrong && rc->lengths.data && b < rc->batch; b++)
		if (((int64_t *)rc->lengths.data)[b] < 0 || ((int64_t *)rc->lengths.data)[b] > rc->steps)
			wrong = "a length in sequence_lens (input 4)";
	return wrong ? op_fail(call, -EINVAL, "%s: %s does not fit the other shapes", call->node->op_type, wrong) : 0;
}

static int read_direction(struct op_call *call, struct recurrent_call *rc)
{
	bool both = op_attr_is(call->node, "direction", "forward", "bidirectional");

	rc->directions = both ? 2 : 1;
	rc->backwards = op_attr_is(call->node, "direction", "forward", "reverse");
	if (!both && !rc->backwards && !op_attr_is(call->node, "direction", "forward", "forward"))
		return op_fail(call, -EINVAL, "%s: attribute direction is none of forward, reverse, bidirectional",
			       call->node->op_type);
	return 0;
}

/* Activations of direction @d: named ones with their alphas and betas in order, or the defaults. */
static int read_activations(struct op_call *call, const struct recurrent_call *rc, int64_t d, struct recurrent *r)
{
	const struct attr *names = op_attr(call->node, "activations");
	const struct attr *alphas = op_attr(call->node, "activation_alpha");
	const struct attr *betas = op_attr(call->node, "activation_beta");
	size_t count = rc->cell->activations, first = d * count;

	if (names && (names->type != ATTR_STRINGS || names->count < first + count))
		return op_fail(call, -EINVAL, "%s: attribute activations does not name %zu functions",
			       call->node->op_type, first + count);
	for (size_t i = 0; i < count; i++) {
		struct tensor_string name = {(char *)rc->cell->defaults[i], strlen(rc->cell->defaults[i])};

		if (names)
			name = names->strings[first + i];
		if (!find_activation(&name, &r->f[i]))
			return op_fail(call, -EINVAL, "%s: unknown activation \"%.*s\"", call->node->op_type,
				       (int)(name.size < 40 ? name.size : 40), name.data);
		if (names && alphas && alphas->type == ATTR_FLOATS && first + i < alphas->count)
			r->f[i].alpha = alphas->floats[first + i];
		if (names && betas && betas->type == ATTR_FLOATS && first + i < betas->count)
			r->f[i].beta = betas->floats[first + i];
	}
	return 0;
}

/* Scratch, and the results in the layout of the outputs. */
static int allocate(struct op_call *call, struct recurrent_call *rc)
{
	int64_t gates = rc->cell->gates, state = rc->batch * rc->hidden;
	int64_t d = rc->directions, b = rc->batch, n = rc->hidden, width, total;
	int64_t y[] = {rc->steps, d, b, n}, y_batch[] = {b, rc->steps, d, n};
	int64_t s[] = {d, b, n}, s_batch[] = {b, d, n};
	int err;

	width = gates * rc->hidden;
	if (__builtin_mul_overflow(rc->steps * 1, rc->batch, &total) || __builtin_mul_overflow(total, width, &total) ||
	    total > INT64_MAX / 16)
		return op_fail(call, -EOVERFLOW, "%s: the gates overflow", call->node->op_type);
	err = tensor_init(&rc->y, DTYPE_F32, 4, rc->batch_first ? y_batch : y);
	if (!err)
		err = tensor_init(&rc->h, DTYPE_F32, 3, rc->batch_first ? s_batch : s);
	if (!err)
		err = tensor_init(&rc->c, DTYPE_F32, 3, rc->batch_first ? s_batch : s);
	if (!err)
		err = tensor_init(&rc->x, DTYPE_F32, 3, (int64_t[]){rc->steps, b, rc->inputs});
	rc->zeros = calloc(2 * width, sizeof(float));
	rc->projected = calloc(total + 1, sizeof(float));
	rc->sums = calloc(b * width + 1, sizeof(float));
	rc->gated = calloc(state + 1, sizeof(float));
	rc->state_h = calloc(state + 1, sizeof(float));
	rc->state_c = calloc(state + 1, sizeof(float));
	rc->rows = calloc(b + 1, sizeof(*rc->rows));
	if (!err &&
	    (!rc->zeros || !rc->projected || !rc->sums || !rc->gated || !rc->state_h || !rc->state_c || !rc->rows))
		err = -ENOMEM;
	return err ? op_fail(call, err, "%s: no memory for %" PRId64 " steps", call->node->op_type, rc->steps) : 0;
}

static void order_input(struct op_call *call, struct recurrent_call *rc)
{
	struct strided_copy copy = {.rank = 3, .size = sizeof(float), .dst = rc->x.data, .src = rc->in[IN_X].data};

	memcpy(copy.dims, rc->x.dims, 3 * sizeof(int64_t));
	dense_strides(3, copy.dims, copy.dst_strides);
	dense_strides(3, copy.dims, copy.src_strides);
	if (rc->batch_first) {
		copy.src_strides[0] = rc->inputs;
		copy.src_strides[1] = rc->steps * rc->inputs;
	}
	if (tensor_count(&rc->x) > 0)
		strided_copy_run(copy, call->pool);
}

/* Between the state of one direction [batch, hidden] and a tensor of all directions. */
static void move_state(const struct recurrent_call *rc, int64_t d, struct tensor *all, float *state, bool out)
{
	for (int64_t b = 0; b < rc->batch; b++) {
		int64_t at = rc->batch_first ? b * rc->directions + d : d * rc->batch + b;
		float *there = (float *)all->data + at * rc->hidden, *here = state + b * rc->hidden;

		memcpy(out ? there : here, out ? here : there, rc->hidden * sizeof(float));
	}
}

static int run_direction(struct op_call *call, struct recurrent_call *rc, int64_t d)
{
	int64_t n = rc->hidden, width = rc->cell->gates * n;
	const float *b = rc->in[IN_B].data ? (float *)rc->in[IN_B].data + d * 2 * width : rc->zeros;
	struct recurrent r = {
		.cell = rc->cell,
		.steps = rc->steps,
		.batch = rc->batch,
		.inputs = rc->inputs,
		.hidden = n,
		.coupled = op_attr_int(call->node, "input_forget", 0) != 0,
		.linear_before_reset = op_attr_int(call->node, "linear_before_reset", 0) != 0,
		.clip = op_attr_float(call->node, "clip", 0),
		.w = (float *)rc->in[IN_W].data + d * width * rc->inputs,
		.r = (float *)rc->in[IN_R].data + d * width * n,
		.wb = b,
		.rb = b + width,
		.p = rc->in[IN_P].data ? (float *)rc->in[IN_P].data + d * 3 * n : NULL,
		.h = rc->state_h,
		.c = rc->state_c,
		.gated = rc->cell == &gru_cell ? rc->gated : NULL,
	};
	struct sequence_output out = {
		rc->batch_first ? (float *)rc->y.data + d * n : (float *)rc->y.data + d * rc->batch * n,
		rc->batch_first ? rc->directions * n : rc->directions * rc->batch * n,
		rc->batch_first ? rc->steps * rc->directions * n : n,
	};
	int err = read_activations(call, rc, d, &r);

	if (err)
		return err;
	memset(rc->state_h, 0, rc->batch * n * sizeof(float));
	memset(rc->state_c, 0, rc->batch * n * sizeof(float));
	if (rc->in[IN_H].data)
		move_state(rc, d, &rc->in[IN_H], rc->state_h, false);
	if (rc->in[IN_C].data)
		move_state(rc, d, &rc->in[IN_C], rc->state_c, false);
	if (rc->inputs > 0)
		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rc->steps * rc->batch, width, rc->inputs, 1,
			    rc->x.data, rc->inputs, r.w, rc->inputs, 0, rc->projected, width);
	run_steps(&r, rc->backwards || d == 1, rc->projected, rc->lengths.data, &out, rc->sums, rc->rows);
	move_state(rc, d, &rc->h, rc->state_h, true);
	move_state(rc, d, &rc->c, rc->state_c, true);
	return 0;
}

static int write_result(struct op_call *call, size_t index, const struct tensor *result)
{
	enum dtype type = call->inputs[0]->dtype;
	int err;

	if (index >= call->node->num_outputs || !op_wanted(call, index))
		return 0;
	err = op_output(call, index, type, result->rank, result->dims);
	if (err || tensor_count(result) == 0)
		return err;
	if (type == DTYPE_F32)
		memcpy(call->outputs[index]->data, result->data, tensor_bytes(result));
	else
		cast_row(DTYPE_F32, type)(tensor_count(result), result->data, call->outputs[index]->data);
	return 0;
}

static void finish_call(struct recurrent_call *rc)
{
	for (size_t i = 0; i < NUM_INPUTS; i++)
		tensor_finish(&rc->in[i]);
	tensor_finish(&rc->lengths);
	tensor_finish(&rc->x);
	tensor_finish(&rc->y);
	tensor_finish(&rc->h);
	tensor_finish(&rc->c);
	free(rc->zeros);
	free(rc->projected);
	free(rc->sums);
	free(rc->gated);
	free(rc->state_h);
	free(rc->state_c);
	free(rc->rows);
}

static int run_recurrent(struct op_call *call, const struct cell *cell)
{
	struct recurrent_call rc = {.cell = cell, .batch_first = op_attr_int(call->node, "layout", 0) != 0};
	int err = read_direction(call, &rc);

	if (!err)
		err = read_inputs(call, &rc);
	if (!err)
		err = check_shapes(call, &rc);
	if (!err && rc.batch > 0 && rc.steps > INT32_MAX / rc.batch)
		err = op_fail(call, -ENOTSUP, "%s: more than 2^31 rows in X", call->node->op_type);
	if (!err)
		err = allocate(call, &rc);
	if (!err && rc.batch > 0) {
		order_input(call, &rc);
		for (int64_t d = 0; !err && d < rc.directions; d++)
			err = run_direction(call, &rc, d);
	}
	if (!err)
		err = write_result(call, 0, &rc.y);
	if (!err)
		err = write_result(call, 1, &rc.h);
	if (!err && cell->has_cell_state)
		err = write_result(call, 2, &rc.c);
	finish_call(&rc);
	return err;
}

static int run_rnn(struct op_call *call)
{
	return run_recurrent(call, &rnn_cell);
}

static int run_gru(struct op_call *call)
{
	return run_recurrent(call, &gru_cell);
}

static int run_lstm(struct op_call *call)
{
	return run_recurrent(call, &lstm_cell);
}

const struct op_kernel ops_recurrent[] = {
	{"", "GRU", 7, 0, 3, 6, 0, 2, run_gru},
	{"", "LSTM", 7, 0, 3, 8, 0, 3, run_lstm},
	{"", "RNN", 7, 0, 3, 6, 0, 2, run_rnn},
};
const size_t ops_recurrent_count = sizeof(ops_recurrent) / sizeof(ops_recurrent[0]);
