/* SPDX-License-Identifier: MIT */
/*
 * What RNN, GRU and LSTM have in common, for recurrent.c (the operators) and recurrent_cell.c (one time step).
 *
 * The input's part of all gates is one product over all steps, the state's part one product a step:
 *
 *	X [steps * batch, inputs] * W^T  + biases  ──►  projected [steps, batch, gates * hidden]
 *	h [batch, hidden] * R^T                    ──►  sums [batch, gates * hidden], + projected[t] ──► cell ──► h, c
 */
#ifndef RUNTIME_CPU_RECURRENT_H
#define RUNTIME_CPU_RECURRENT_H

#include "runtime/cpu/op.h"

#define RECURRENT_MAX_ACTIVATIONS 3

/* An activation over an array, in place. */
struct cell_activation {
	void (*apply)(int64_t n, float *values, float alpha, float beta);
	float alpha, beta;
};

/* The activation of this name with ONNX's default alpha and beta; letter case does not matter. False when unknown. */
bool cell_activation_find(const struct tensor_string *name, struct cell_activation *out);

/* A constant right operand [k, n], packed by sgemm_pack_b(). */
struct packed_operand {
	int64_t k, n;
	float *panels;
};

/*
 * struct recurrent_weights - one direction's W^T and R^T
 * @r:    the gates whose sums come from the state itself
 * @last: GRU's last gate, whose sums come from the reset state; else empty
 */
struct recurrent_weights {
	struct packed_operand w, r, last;
};

struct recurrent;

/*
 * struct cell - what RNN, GRU and LSTM differ in
 * @gates:       gate vectors in W, R and half of B
 * @early:       how many of them are computed from the state before the step; the rest from @gated
 * @activations: functions a direction needs, by default @defaults
 * @begin:       for batch element @b, from the sums of the early gates and @input: those gates; new state or @gated
 * @end:         the same from the sums of the last gate: the new state; NULL when there are no late gates
 * @input:       biases included, but R's of a late gate
 */
struct cell {
	int gates, early, activations;
	const char *defaults[RECURRENT_MAX_ACTIVATIONS];
	void (*begin)(const struct recurrent *r, int64_t b, const float *input);
	void (*end)(const struct recurrent *r, int64_t b, const float *input);
	bool has_cell_state;
};

extern const struct cell rnn_cell, gru_cell, lstm_cell;

/*
 * struct recurrent - one direction of a call
 * @rb:        R's bias, by gate, or NULL
 * @p:         peepholes in the order i, o, f, or NULL
 * @h, @c:     state [batch, hidden], in and out
 * @sums:      [batch, gates * hidden]
 * @gated:     [batch, hidden]: GRU's reset state
 * @left:      the state packed as a product's left operand
 */
struct recurrent {
	const struct cell *cell;
	const struct recurrent_weights *weights;
	int64_t steps, batch, inputs, hidden;
	bool coupled, linear_before_reset;
	float clip;
	struct cell_activation f[RECURRENT_MAX_ACTIVATIONS];
	const float *rb, *p;
	float *h, *c, *sums, *gated, *left;
};

#endif
