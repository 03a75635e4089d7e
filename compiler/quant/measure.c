/* SPDX-License-Identifier: MIT */
/*
 * What a plan does to a network: the float graph and a noisy one run beside each other. In the noisy one an integer node reads
 * what the bytes of its inputs mean, with the numbers that its rounded weights mean, and its result is rounded; sums are
 * those of float32, whose error is far below that of 8 bits. A third run of each integer node, on inputs of the float
 * graph, gives what it adds by itself.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/fuse/pattern.h"
#include "compiler/graph/execute.h"
#include "compiler/quant/walk.h"
#include "compiler/quant/plan.h"

/*
 * @noisy:   by value id, of the noisy network; empty where it is what the float graph has
 * @scratch: by value id, for one run of one node
 * @reads:   of noisy values still to come in this sample; @started: it has been filled
 * @owners:  by value id, the node whose result the value is; NULL: none
 */
struct measurement {
	struct quant_plan *plan;
	struct tensor *noisy, *scratch;
	size_t *reads;
	bool started;
	struct quant_node **owners;
	struct quant_loss *loss;
};

static void round_tensor(const struct quant_plan *plan, const struct quant_value *grid, struct tensor *tensor)
{
	float *x = tensor->data;

	for (int64_t i = 0; tensor->dtype == DTYPE_F32 && i < tensor_count(tensor); i++)
		x[i] = quant_grid_round(plan, grid, x[i]);
}

static void add_noise(const struct tensor *clean, const struct tensor *noisy, double *signal, double *noise)
{
	const float *a = clean->data, *b = noisy->data;

	if (clean->dtype != DTYPE_F32 || noisy->dtype != DTYPE_F32 || !tensor_same_shape(clean, noisy))
		return;
	for (int64_t i = 0; i < tensor_count(clean); i++)
		if (isfinite(a[i]) && isfinite(b[i])) {
			double d = (double)a[i] - (double)b[i];

			*signal += (double)a[i] * (double)a[i];
			*noise += d * d;
		}
}

/* ---- weights as what their integers mean ---- */

static int mean_weights(const struct quant_weights *weights, struct tensor *w)
{
	int64_t inner = quant_weights_inner(weights), count = tensor_count(&weights->q);
	const int8_t *q = weights->q.data;
	int err = tensor_init(w, DTYPE_F32, weights->q.rank, weights->q.dims);

	for (int64_t i = 0; i < count && !err; i++)
		((float *)w->data)[i] = (float)q[i] * weights->scales[i / inner % weights->channels];
	return err;
}

/* The operator multiplies it by @factor. */
static int mean_bias(const struct quant_weights *weights, const struct tensor *old, float factor, struct tensor *bias)
{
	int64_t count = tensor_count(old);
	bool each = count == weights->channels;
	int err = tensor_init(bias, DTYPE_F32, each ? old->rank : 1, each ? old->dims : &weights->channels);

	for (int64_t c = 0; c < weights->channels && !err; c++)
		((float *)bias->data)[c] =
			factor == 0 ? 0 : (float)weights->bias[c] * (weights->x_scale * weights->scales[c]) / factor;
	return err;
}

/* Put the integers' meaning in the place of the constants, or take it away: *w and *bias are what is there else. */
static int swap_weights(struct graph_node *node, const struct quant_node *own, struct tensor *w, struct tensor *bias)
{
	struct op_node op = graph_op_node(node);
	int err = mean_weights(&own->weights, w);

	if (!err && own->weights.bias)
		err = mean_bias(&own->weights, node->inputs[2]->constant,
				own->kind == QUANT_PRODUCT ? op_attr_float(&op, "beta", 1) : 1, bias);
	return err;
}

/* ---- one node ---- */

/* Run @node on scratch[] with the plan's weights where it is an integer node; its outputs are in scratch[]. */
static int run_scratch(struct measurement *m, struct graph_node *node, struct cpu_pool *pool, char *error,
		       size_t error_size)
{
	const struct quant_node *own = &m->plan->nodes[node->id];
	struct tensor w = {0}, bias = {0}, *old_w = NULL, *old_bias = NULL;
	bool swap = own->integer && own->weights.q.data;
	int err = 0;

	if (swap) {
		err = swap_weights(node, own, &w, &bias);
		old_w = node->inputs[1]->constant;
		if (!err)
			node->inputs[1]->constant = &w;
		if (!err && own->weights.bias) {
			old_bias = node->inputs[2]->constant;
			node->inputs[2]->constant = &bias;
		}
	}
	if (!err)
		err = graph_run_node(node, m->scratch, pool, error, error_size);
	if (old_w)
		node->inputs[1]->constant = old_w;
	if (old_bias)
		node->inputs[2]->constant = old_bias;
	tensor_finish(&w);
	tensor_finish(&bias);
	return err;
}

/* scratch[] of what @node reads: from the noisy network or the float one; integer nodes read rounded numbers. */
static int set_inputs(struct measurement *m, const struct graph_node *node, const struct tensor *values, bool noisy)
{
	bool integer = m->plan->nodes[node->id].integer;

	for (size_t i = 0; i < node->num_inputs; i++) {
		const struct graph_value *value = node->inputs[i];
		const struct quant_value *grid;
		struct tensor *to;
		int err = 0;

		if (!value || value->constant)
			continue;
		to = &m->scratch[value->id];
		if (to->data) /* read twice */
			continue;
		grid = &m->plan->values[value->id];
		*to = noisy && m->noisy[value->id].data ? m->noisy[value->id] : values[value->id];
		to->owned = false;
		if (integer && quant_reads_bytes(m->plan->nodes[node->id].kind, i) && grid->used &&
		    !(noisy && grid->integer)) {
			struct tensor copy = {0};

			err = tensor_copy(&copy, to);
			if (!err)
				round_tensor(m->plan, grid, &copy);
			*to = copy;
		}
		if (err)
			return err;
	}
	return 0;
}

static void finish_scratch(struct measurement *m, const struct graph_node *node)
{
	for (size_t i = 0; i < node->num_inputs; i++)
		if (node->inputs[i] && !node->inputs[i]->constant)
			tensor_finish(&m->scratch[node->inputs[i]->id]);
	for (size_t i = 0; i < node->num_outputs; i++)
		if (node->outputs[i])
			tensor_finish(&m->scratch[node->outputs[i]->id]);
}

/* What an integer node adds by itself, at its result: an activation that saturation replaces is a clamp. */
static int measure_own(struct measurement *m, struct graph_node *node, const struct tensor *values,
		       struct cpu_pool *pool, char *error, size_t error_size)
{
	struct quant_node *own = &m->plan->nodes[node->id];
	const struct graph_value *out = node->outputs[0];
	struct tensor clean = {0};
	int err = set_inputs(m, node, values, false);

	if (!err)
		err = run_scratch(m, node, pool, error, error_size);
	if (!err)
		err = tensor_copy(&clean, &values[out->id]);
	if (!err && own->result != out) {
		float limits[2] = {0, INFINITY}, *x = clean.data;

		if (is_op(own->result->producer, "Clip"))
			clip_limits(own->result->producer, limits);
		for (int64_t i = 0; i < tensor_count(&clean); i++)
			x[i] = x[i] < limits[0] ? limits[0] : x[i] > limits[1] ? limits[1] : x[i];
	}
	if (!err) {
		if (!own->floats_out)
			round_tensor(m->plan, &m->plan->values[own->result->id], &m->scratch[out->id]);
		add_noise(&clean, &m->scratch[out->id], &own->own_signal, &own->own_noise);
	}
	tensor_finish(&clean);
	finish_scratch(m, node);
	return err;
}

static bool noisy_inputs(const struct measurement *m, const struct graph_node *node)
{
	for (size_t i = 0; i < node->num_inputs; i++)
		if (node->inputs[i] && m->noisy[node->inputs[i]->id].data)
			return true;
	return m->plan->nodes[node->id].integer;
}

/* The node in the noisy network; its outputs move to noisy[]. */
static int run_noisy(struct measurement *m, struct graph_node *node, const struct tensor *values, struct cpu_pool *pool,
		     char *error, size_t error_size)
{
	int err;

	if (!noisy_inputs(m, node))
		return 0;
	err = set_inputs(m, node, values, true);
	if (!err)
		err = run_scratch(m, node, pool, error, error_size);
	for (size_t i = 0; i < node->num_outputs && !err; i++) {
		const struct graph_value *value = node->outputs[i];

		if (!value)
			continue;
		m->noisy[value->id] = m->scratch[value->id];
		m->scratch[value->id] = (struct tensor){0};
		if (m->plan->values[value->id].integer)
			round_tensor(m->plan, &m->plan->values[value->id], &m->noisy[value->id]);
	}
	finish_scratch(m, node);
	return err;
}

/* ---- the walk ---- */

static void start_sample(struct measurement *m)
{
	for (size_t i = 0; i < m->plan->num_values && !m->started; i++)
		m->reads[i] = m->plan->graph->values[i]->num_uses;
	m->started = true;
}

static int visit_node(void *context, const struct graph_node *const_node, struct tensor *values, struct cpu_pool *pool,
		      char *error, size_t error_size)
{
	struct measurement *m = context;
	struct graph_node *node = m->plan->graph->nodes[const_node->id];
	int err = graph_run_node(node, values, pool, error, error_size);

	start_sample(m);
	if (!err && m->plan->nodes[node->id].integer && m->plan->nodes[node->id].kind != QUANT_MOVING)
		err = measure_own(m, node, values, pool, error, error_size);
	if (!err)
		err = run_noisy(m, node, values, pool, error, error_size);
	for (size_t i = 0; i < node->num_outputs && !err; i++) {
		const struct graph_value *value = node->outputs[i];
		struct quant_node *owner = value ? m->owners[value->id] : NULL;

		if (owner)
			add_noise(&values[value->id],
				  m->noisy[value->id].data ? &m->noisy[value->id] : &values[value->id], &owner->signal,
				  &owner->noise);
	}
	for (size_t i = 0; i < node->num_inputs; i++) {
		const struct graph_value *value = node->inputs[i];

		if (value && !value->constant && --m->reads[value->id] == 0 && !value->is_output)
			tensor_finish(&m->noisy[value->id]);
	}
	return err;
}

static int64_t largest_element(const float *x, int64_t count)
{
	int64_t at = 0;

	for (int64_t i = 1; i < count; i++)
		at = x[i] > x[at] ? i : at;
	return at;
}

/* Rows of the first output whose largest element is the same. */
static void compare_classes(struct quant_loss *loss, const struct tensor *clean, const struct tensor *noisy)
{
	int64_t rows = clean->rank > 1 ? clean->dims[0] : 1, count = tensor_count(clean);

	if (clean->dtype != DTYPE_F32 || !count || count / rows < 2)
		return;
	for (int64_t r = 0; r < rows; r++) {
		int64_t at = r * (count / rows);

		loss->compared++;
		loss->same += largest_element((const float *)clean->data + at, count / rows) ==
			      largest_element((const float *)noisy->data + at, count / rows);
	}
}

static int visit_done(void *context, size_t sample, const struct tensor *values)
{
	struct measurement *m = context;
	const struct graph *graph = m->plan->graph;

	(void)sample;
	for (size_t i = 0; i < graph->num_outputs; i++) {
		const struct graph_value *out = graph->outputs[i];
		const struct tensor *noisy;

		if (out->constant)
			continue;
		noisy = m->noisy[out->id].data ? &m->noisy[out->id] : &values[out->id];
		add_noise(&values[out->id], noisy, &m->loss->signal, &m->loss->noise);
		if (i == 0)
			compare_classes(m->loss, &values[out->id], noisy);
	}
	for (size_t i = 0; i < m->plan->num_values; i++)
		tensor_finish(&m->noisy[i]);
	m->started = false;
	return 0;
}

int quant_measure(struct quant_plan *plan, const struct quant_sample *samples, size_t count,
		  const struct work_share *share, struct quant_loss *loss, char *error, size_t error_size)
{
	struct measurement m = {.plan = plan, .loss = loss};
	const struct quant_visitor visitor = {.context = &m, .node = visit_node, .done = visit_done, .share = share};
	int err = -ENOMEM;

	*loss = (struct quant_loss){0};
	m.noisy = calloc(plan->num_values + 1, sizeof(*m.noisy));
	m.scratch = calloc(plan->num_values + 1, sizeof(*m.scratch));
	m.reads = calloc(plan->num_values + 1, sizeof(*m.reads));
	m.owners = calloc(plan->num_values + 1, sizeof(*m.owners));
	if (m.noisy && m.scratch && m.reads && m.owners) {
		for (size_t n = 0; n < plan->num_nodes; n++) {
			struct quant_node *node = &plan->nodes[n];

			node->signal = node->noise = node->own_signal = node->own_noise = 0;
			if (node->kind != QUANT_FLOAT)
				m.owners[node->result->id] = node;
		}
		err = quant_walk(plan->graph, samples, count, &visitor, error, error_size);
	}
	for (size_t i = 0; m.noisy && m.scratch && i < plan->num_values; i++) {
		tensor_finish(&m.noisy[i]);
		tensor_finish(&m.scratch[i]);
	}
	free(m.noisy);
	free(m.scratch);
	free(m.reads);
	free(m.owners);
	return err;
}
