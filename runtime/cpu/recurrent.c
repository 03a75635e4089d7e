// SPDX-License-Identifier: MIT
/*
 * RNN, GRU and LSTM: inputs, weights, and the loop over time steps. What the three differ in is in recurrent_cell.c.
 *
 * Computed in float32; other float types are converted. Constant weights are packed once. The two directions of a
 * bidirectional operator run side by side; a single direction shares the columns of each step's product among threads.
 */
#include "runtime/cpu/recurrent.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/large_memory.h"
#include "runtime/cpu/pool.h"
#include "runtime/cpu/scratch.h"
#include "runtime/cpu/sgemm.h"

#define MAX_DIRECTIONS 2

/* Multiply-adds of a step's product that are worth a second thread, which takes some 2 us to come and to go. */
#define STEP_GRAIN 131072

enum { IN_X, IN_W, IN_R, IN_B, IN_LENGTHS, IN_H, IN_C, IN_P, NUM_INPUTS };
enum { OUT_Y, OUT_H, OUT_C, NUM_OUTPUTS };

/* ---- weights ---- */

static int pack_transposed(int64_t k, int64_t n, const float *matrix, struct packed_operand *out)
{
	struct sgemm_matrix transposed = {.b = matrix, .row_stride = 1, .column_stride = k};
	size_t size = sgemm_packed_b_size(k, n);

	*out = (struct packed_operand){.k = k, .n = n};
	if (!k || !n)
		return 0;
	out->panels = size ? large_memory(size) : NULL;
	if (!out->panels)
		return -ENOMEM;
	sgemm_pack_b(k, n, &transposed, out->panels);
	return 0;
}

static void release_weights(struct recurrent_weights *weights)
{
	for (int d = 0; d < MAX_DIRECTIONS; d++) {
		free(weights[d].w.panels);
		free(weights[d].r.panels);
		free(weights[d].last.panels);
	}
}

/* @w: [directions, gates * hidden, inputs], @r: [directions, gates * hidden, hidden]. On error nothing is left allocated. */
static int pack_weights(const struct cell *cell, const struct tensor *w, const struct tensor *r,
			struct recurrent_weights *out)
{
	int64_t directions = w->dims[0], width = w->dims[1], inputs = w->dims[2], n = r->dims[2];
	int err = 0;

	memset(out, 0, MAX_DIRECTIONS * sizeof(*out));
	for (int64_t d = 0; d < directions && !err; d++) {
		const float *from = (const float *)r->data + d * width * n;

		err = pack_transposed(inputs, width, (const float *)w->data + d * width * inputs, &out[d].w);
		if (!err)
			err = pack_transposed(n, cell->early * n, from, &out[d].r);
		if (!err)
			err = pack_transposed(n, width - cell->early * n, from + cell->early * n * n, &out[d].last);
	}
	if (err)
		release_weights(out);
	return err;
}

static int prepare_recurrent(const struct cell *cell, const struct tensor *const *constants, void **out)
{
	const struct tensor *w = constants[IN_W], *r = constants[IN_R];
	struct recurrent_weights *weights;
	int err;

	/* Anything odd is left to run_recurrent(), which says what is wrong. */
	if (!w || !r || w->dtype != DTYPE_F32 || r->dtype != DTYPE_F32 || w->rank != 3 || r->rank != 3 ||
	    w->dims[0] > MAX_DIRECTIONS || w->dims[0] != r->dims[0] || w->dims[1] != r->dims[1] ||
	    w->dims[1] % cell->gates || r->dims[2] != w->dims[1] / cell->gates)
		return 0;
	weights = calloc(MAX_DIRECTIONS, sizeof(*weights));
	if (!weights)
		return -ENOMEM;
	err = pack_weights(cell, w, r, weights);
	if (err) {
		free(weights);
		return err;
	}
	*out = weights;
	return 0;
}

static void release_recurrent(void *state)
{
	release_weights(state);
	free(state);
}

/* ---- products ---- */

/* One product over the pool, in blocks of columns or of both. */
struct product_job {
	struct sgemm product;
	const float *row; /* the left operand when it is a single row */
	int64_t block_rows, block_columns, column_blocks;
};

static void multiply_block(void *arg, size_t index)
{
	struct product_job *job = arg;
	const struct sgemm *p = &job->product;
	int64_t row = (int64_t)index / job->column_blocks * job->block_rows;
	int64_t column = (int64_t)index % job->column_blocks * job->block_columns;
	int64_t rows = p->m - row < job->block_rows ? p->m - row : job->block_rows;
	int64_t columns = p->n - column < job->block_columns ? p->n - column : job->block_columns;

	if (job->row)
		sgemm_row(p->k, p->n, job->row, p->panels, column, columns, p->c);
	else
		sgemm_block(p, row, rows, column, columns); /* can not fail: with B packed it needs no memory */
}

static void multiply(struct product_job *job, struct cpu_pool *pool, size_t threads)
{
	const struct sgemm *p = &job->product;

	if (p->m < 1 || p->n < 1)
		return;
	sgemm_split(p->m, p->n, 1, threads, &job->block_rows, &job->block_columns);
	if (threads < 2) /* rows are not split then */
		job->block_columns = p->n;
	job->column_blocks = (p->n + job->block_columns - 1) / job->block_columns;
	cpu_pool_for(pool, (size_t)(job->column_blocks * ((p->m + job->block_rows - 1) / job->block_rows)),
		     multiply_block, job);
}

/* sums[b][first …] = from[b] * R for all batch elements. */
static void multiply_state(const struct recurrent *r, struct cpu_pool *pool, const struct packed_operand *weights,
			   const float *from, int64_t first)
{
	struct product_job job = {
		.product = {.m = r->batch,
			    .n = weights->n,
			    .k = weights->k,
			    .a = r->left,
			    .panels = weights->panels,
			    .c = r->sums + first,
			    .c_stride = r->cell->gates * r->hidden},
		.row = r->batch == 1 ? from : NULL,
	};
	bool worth = r->batch * weights->n * weights->k >= STEP_GRAIN;

	if (r->batch > 1)
		sgemm_pack(r->batch, weights->k, from, r->hidden, 1, r->left);
	multiply(&job, pool, worth ? cpu_pool_threads(pool) : 1);
}

/* ---- one direction over all steps ---- */

/* Element (t, b) of something over time: @data + t * @step + b * @batch. */
struct sequence {
	float *data;
	int64_t step, batch;
};

static float *sequence_at(const struct sequence *s, int64_t t, int64_t b)
{
	return s->data + t * s->step + b * s->batch;
}

/* The time of step @s for an element of @length steps, or -1 when it is over: its state stays, its output is zero. */
static int64_t time_of(int64_t s, int64_t length, bool reverse)
{
	return s >= length ? -1 : reverse ? length - 1 - s : s;
}

static void run_steps(const struct recurrent *r, struct cpu_pool *pool, bool reverse, const struct sequence *projected,
		      const int64_t *lengths, const struct sequence *y)
{
	const struct cell *cell = r->cell;

	for (int64_t s = 0; s < r->steps; s++) {
		multiply_state(r, pool, &r->weights->r, r->h, 0);
		for (int64_t b = 0; b < r->batch; b++) {
			int64_t t = time_of(s, lengths ? lengths[b] : r->steps, reverse);

			if (t >= 0)
				cell->begin(r, b, sequence_at(projected, t, b));
		}
		if (cell->end)
			multiply_state(r, pool, &r->weights->last, r->gated, cell->early * r->hidden);
		for (int64_t b = 0; b < r->batch; b++) {
			int64_t t = time_of(s, lengths ? lengths[b] : r->steps, reverse);

			if (t >= 0 && cell->end)
				cell->end(r, b, sequence_at(projected, t, b));
			if (t >= 0 && y->data)
				memcpy(sequence_at(y, t, b), r->h + b * r->hidden, (size_t)r->hidden * sizeof(float));
		}
	}
}

/* ---- the call ---- */

/*
 * struct recurrent_call - the inputs as f32, where results go, and the working memory of a call
 * @batch_first: layout 1 (opset 14): X [batch, steps, inputs], states [batch, directions, hidden]
 * @in, @out:    float32, views where the caller's tensors are
 * @made:        weights that are no constants, packed for this call
 * @memory:      of direction d: from d * @stride on
 */
struct recurrent_call {
	const struct cell *cell;
	struct cpu_pool *pool;
	int64_t directions, steps, batch, inputs, hidden;
	bool batch_first, backwards;
	struct tensor in[NUM_INPUTS], lengths, out[NUM_OUTPUTS];
	const struct recurrent_weights *weights;
	struct recurrent_weights made[MAX_DIRECTIONS];
	struct recurrent network[MAX_DIRECTIONS];
	float *x; /* packed */
	float *memory;
	int64_t stride;
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
		else if (in->dtype == DTYPE_F32)
			err = tensor_init_view(&rc->in[i], DTYPE_F32, in->rank, in->dims, in->data, in->size);
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
static int read_activations(struct op_call *call, const struct cell *cell, int64_t d, struct recurrent *r)
{
	const struct attr *names = op_attr(call->node, "activations");
	const struct attr *alphas = op_attr(call->node, "activation_alpha");
	const struct attr *betas = op_attr(call->node, "activation_beta");
	size_t count = (size_t)cell->activations, first = (size_t)d * count;

	if (names && (names->type != ATTR_STRINGS || names->count < first + count))
		return op_fail(call, -EINVAL, "%s: attribute activations does not name %zu functions",
			       call->node->op_type, first + count);
	for (size_t i = 0; i < count; i++) {
		struct tensor_string name = {(char *)cell->defaults[i], strlen(cell->defaults[i])};

		if (names)
			name = names->strings[first + i];
		if (!cell_activation_find(&name, &r->f[i]))
			return op_fail(call, -EINVAL, "%s: unknown activation \"%.*s\"", call->node->op_type,
				       (int)(name.size < 40 ? name.size : 40), name.data);
		if (names && alphas && alphas->type == ATTR_FLOATS && first + i < alphas->count)
			r->f[i].alpha = alphas->floats[first + i];
		if (names && betas && betas->type == ATTR_FLOATS && first + i < betas->count)
			r->f[i].beta = betas->floats[first + i];
	}
	return 0;
}

/* Output @index as float32: the caller's memory, or a tensor to be converted. Left empty when nobody reads it. */
static int make_output(struct op_call *call, size_t index, int rank, const int64_t *dims, struct tensor *out)
{
	int err;

	if (index >= call->node->num_outputs || !op_wanted(call, index))
		return 0;
	if (call->inputs[0]->dtype != DTYPE_F32)
		return tensor_init(out, DTYPE_F32, rank, dims);
	err = op_output(call, index, DTYPE_F32, rank, dims);
	if (!err)
		err = tensor_init_view(out, DTYPE_F32, rank, dims, call->outputs[index]->data,
				       call->outputs[index]->size);
	return err;
}

static int make_outputs(struct op_call *call, struct recurrent_call *rc)
{
	int64_t d = rc->directions, b = rc->batch, n = rc->hidden;
	int64_t y[] = {rc->steps, d, b, n}, y_batch[] = {b, rc->steps, d, n};
	int64_t state[] = {d, b, n}, state_batch[] = {b, d, n};
	int err = make_output(call, OUT_Y, 4, rc->batch_first ? y_batch : y, &rc->out[OUT_Y]);

	for (size_t i = OUT_H; i < (rc->cell->has_cell_state ? NUM_OUTPUTS : OUT_C) && !err; i++)
		err = make_output(call, i, 3, rc->batch_first ? state_batch : state, &rc->out[i]);
	/* Steps past the end of a sequence are not written. */
	if (!err && rc->lengths.data && rc->out[OUT_Y].data)
		memset(rc->out[OUT_Y].data, 0, tensor_bytes(&rc->out[OUT_Y]));
	return err;
}

static int convert_outputs(struct op_call *call, struct recurrent_call *rc)
{
	enum dtype type = call->inputs[0]->dtype;
	int err = 0;

	for (size_t i = 0; i < NUM_OUTPUTS && !err && type != DTYPE_F32; i++) {
		const struct tensor *from = &rc->out[i];

		if (!from->data)
			continue;
		err = op_output(call, i, type, from->rank, from->dims);
		if (!err && tensor_count(from))
			cast_row(DTYPE_F32, type)(tensor_count(from), from->data, call->outputs[i]->data);
	}
	return err;
}

/* Working memory: the packed input, then what each direction has. */
static int allocate(struct op_call *call, struct recurrent_call *rc)
{
	int64_t width = rc->cell->gates * rc->hidden, state = rc->batch * rc->hidden, rows, projected, packed, total;
	int64_t left = (int64_t)(sgemm_packed_size(rc->batch, rc->hidden) / sizeof(float));

	if (__builtin_mul_overflow(rc->steps, rc->batch, &rows) || __builtin_mul_overflow(rows, width, &projected) ||
	    projected > INT64_MAX / 64 || (rc->inputs && rows && !sgemm_packed_size(rows, rc->inputs)))
		return op_fail(call, -EOVERFLOW, "%s: the gates overflow", call->node->op_type);
	packed = (int64_t)(sgemm_packed_size(rows, rc->inputs) / sizeof(float));
	rc->stride = width + projected + rc->batch * width + 3 * state + left;
	total = packed + rc->directions * rc->stride;
	rc->x = scratch_get_for(SCRATCH_IMAGE, (size_t)(total + 1) * sizeof(float));
	if (!rc->x)
		return op_fail(call, -ENOMEM, "%s: no memory for %" PRId64 " steps", call->node->op_type, rc->steps);
	rc->memory = rc->x + packed;
	return 0;
}

/* Between the state of one direction [batch, hidden] and a tensor of all directions. */
static void move_state(const struct recurrent_call *rc, int64_t d, const struct tensor *all, float *state, bool out)
{
	for (int64_t b = 0; b < rc->batch && all->data; b++) {
		int64_t at = rc->batch_first ? b * rc->directions + d : d * rc->batch + b;
		float *there = (float *)all->data + at * rc->hidden, *here = state + b * rc->hidden;

		memcpy(out ? there : here, out ? here : there, (size_t)rc->hidden * sizeof(float));
	}
}

/* Both halves of B, so far as they may be added to the input's part: R's bias of a late gate goes through its reset. */
static void join_biases(const struct recurrent *r, const float *b, int64_t width, float *bias)
{
	for (int64_t i = 0; i < width; i++)
		bias[i] = b ? b[i] + (i < r->cell->early * r->hidden ? b[width + i] : 0) : 0;
}

static void run_direction(void *arg, size_t index)
{
	struct recurrent_call *rc = arg;
	struct recurrent *r = &rc->network[index];
	int64_t d = (int64_t)index, n = rc->hidden, width = rc->cell->gates * n, rows = rc->steps * rc->batch;
	const float *b = rc->in[IN_B].data ? (const float *)rc->in[IN_B].data + d * 2 * width : NULL;
	float *bias = rc->memory + d * rc->stride, *projected = bias + width, *after = projected + rows * width;
	struct product_job job = {.product = {.m = rows,
					      .n = width,
					      .k = rc->inputs,
					      .a = rc->x,
					      .panels = rc->weights[d].w.panels,
					      .c = projected,
					      .c_stride = width,
					      .epilogue = {.residual = bias}}};
	struct sequence input = {projected, rc->batch_first ? width : rc->batch * width,
				 rc->batch_first ? rc->steps * width : width};
	struct sequence y = {rc->out[OUT_Y].data, rc->directions * rc->batch * n, n};

	if (rc->batch_first)
		y.step = rc->directions * n, y.batch = rc->steps * rc->directions * n;
	if (y.data)
		y.data += rc->batch_first ? d * n : d * rc->batch * n;
	r->weights = &rc->weights[d];
	r->rb = b ? b + width : NULL;
	r->p = rc->in[IN_P].data ? (const float *)rc->in[IN_P].data + d * 3 * n : NULL;
	r->sums = after;
	r->h = r->sums + rc->batch * width;
	r->c = r->h + rc->batch * n;
	r->gated = r->c + rc->batch * n;
	r->left = r->gated + rc->batch * n;
	memset(r->h, 0, (size_t)(2 * rc->batch * n) * sizeof(float));
	move_state(rc, d, &rc->in[IN_H], r->h, false);
	move_state(rc, d, &rc->in[IN_C], r->c, false);
	join_biases(r, b, width, bias);
	if (rc->inputs)
		multiply(&job, rc->pool, cpu_pool_threads(rc->pool));
	else
		for (int64_t i = 0; i < rows; i++)
			memcpy(projected + i * width, bias, (size_t)width * sizeof(*bias));
	run_steps(r, rc->pool, rc->backwards || d == 1, &input, rc->lengths.data, &y);
	move_state(rc, d, &rc->out[OUT_H], r->h, true);
	move_state(rc, d, &rc->out[OUT_C], r->c, true);
}

static int read_networks(struct op_call *call, struct recurrent_call *rc)
{
	int err = 0;

	for (int64_t d = 0; d < rc->directions && !err; d++) {
		rc->network[d] = (struct recurrent){
			.cell = rc->cell,
			.steps = rc->steps,
			.batch = rc->batch,
			.inputs = rc->inputs,
			.hidden = rc->hidden,
			.coupled = op_attr_int(call->node, "input_forget", 0) != 0,
			.linear_before_reset = op_attr_int(call->node, "linear_before_reset", 0) != 0,
			.clip = op_attr_float(call->node, "clip", 0),
		};
		err = read_activations(call, rc->cell, d, &rc->network[d]);
	}
	return err;
}

static int run_network(struct op_call *call, struct recurrent_call *rc)
{
	int err = allocate(call, rc);

	if (err)
		return err;
	rc->weights = call->state;
	if (!rc->weights) {
		err = pack_weights(rc->cell, &rc->in[IN_W], &rc->in[IN_R], rc->made);
		rc->weights = rc->made;
	}
	if (err)
		return err;
	sgemm_pack(rc->steps * rc->batch, rc->inputs, rc->in[IN_X].data, rc->inputs, 1, rc->x);
	cpu_pool_for(rc->pool, (size_t)rc->directions, run_direction, rc);
	return 0;
}

static void finish_call(struct recurrent_call *rc)
{
	for (size_t i = 0; i < NUM_INPUTS; i++)
		tensor_finish(&rc->in[i]);
	for (size_t i = 0; i < NUM_OUTPUTS; i++)
		tensor_finish(&rc->out[i]);
	tensor_finish(&rc->lengths);
	release_weights(rc->made);
}

static int run_recurrent(struct op_call *call, const struct cell *cell)
{
	struct recurrent_call rc = {
		.cell = cell, .pool = call->pool, .batch_first = op_attr_int(call->node, "layout", 0) != 0};
	int err = read_direction(call, &rc);

	if (!err)
		err = read_inputs(call, &rc);
	if (!err)
		err = check_shapes(call, &rc);
	if (!err)
		err = read_networks(call, &rc);
	if (!err)
		err = make_outputs(call, &rc);
	if (!err && rc.batch > 0)
		err = run_network(call, &rc);
	if (!err)
		err = convert_outputs(call, &rc);
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

static int prepare_rnn(const struct op_node *node, const struct tensor *const *constants, void **state)
{
	(void)node;
	return prepare_recurrent(&rnn_cell, constants, state);
}

static int prepare_gru(const struct op_node *node, const struct tensor *const *constants, void **state)
{
	(void)node;
	return prepare_recurrent(&gru_cell, constants, state);
}

static int prepare_lstm(const struct op_node *node, const struct tensor *const *constants, void **state)
{
	(void)node;
	return prepare_recurrent(&lstm_cell, constants, state);
}

const struct op_kernel ops_recurrent[] = {
	{"", "GRU", 1, 0, 3, 6, 0, 2, run_gru, prepare_gru, release_recurrent},
	{"", "LSTM", 1, 0, 3, 8, 0, 3, run_lstm, prepare_lstm, release_recurrent},
	{"", "RNN", 1, 0, 3, 6, 0, 2, run_rnn, prepare_rnn, release_recurrent},
};
const size_t ops_recurrent_count = sizeof(ops_recurrent) / sizeof(ops_recurrent[0]);
