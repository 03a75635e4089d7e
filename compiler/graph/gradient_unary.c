/* SPDX-License-Identifier: MIT */
/*
 * Derivatives of functions of one number and of activations; see gradient_rules.h. What jumps or bends has the derivative that every
 * framework gives it: that of the left side at zero for Relu and its like, zero for steps.
 */
#include "compiler/graph/gradient_rules.h"

#include <math.h>

#define TWO_OVER_ROOT_PI 1.1283791670955126
#define ROOT_HALF 0.70710678118654752
#define BELL_TOP 0.39894228040143268 /* of the normal distribution: 1 / sqrt(2 pi) */
#define ROOT_TWO_OVER_PI 0.79788456080286536

/* dx = dy times an expression of x and y. */
#define FACTOR(name, expression)                                                \
	RULE(name)                                                              \
	{                                                                       \
		struct graph_value *x = node->inputs[0], *y = node->outputs[0]; \
                                                                                \
		(void)active, (void)x, (void)y;                                 \
		dx[0] = times(g, dy, expression);                               \
		return 0;                                                       \
	}

static double attribute(const struct graph_node *node, const char *name, double fallback)
{
	struct op_node op = graph_op_node(node);
	const struct attr *attr = op_attr(&op, name);

	return attr && attr->type == ATTR_FLOAT ? (double)attr->f : fallback;
}

static struct graph_value *square(struct gradient *g, struct graph_value *x)
{
	return times(g, x, x);
}

static struct graph_value *constant(struct gradient *g, double value, struct graph_value *like)
{
	return gradient_scalar(g, value, like);
}

/* number - x */
static struct graph_value *below(struct gradient *g, double number, struct graph_value *x)
{
	return minus(g, constant(g, number, x), x);
}

static struct graph_value *positive(struct gradient *g, struct graph_value *x)
{
	return compare(g, "Greater", x, 0);
}

/* ---- copies and steps ---- */

RULE(copy)
{
	(void)g, (void)node, (void)active;
	dx[0] = dy;
	return 0;
}

/* Steps: flat wherever they have a derivative. */
RULE(flat)
{
	(void)g, (void)node, (void)dy, (void)active, (void)dx;
	return 0;
}

RULE(negate)
{
	(void)node, (void)active;
	dx[0] = one(g, "Neg", dy);
	return 0;
}

/* ---- powers, exponentials, logarithms ---- */

FACTOR(exponential, y)
FACTOR(logarithm, one(g, "Reciprocal", x))
FACTOR(root, one(g, "Reciprocal", plus(g, y, y)))
FACTOR(reciprocal, one(g, "Neg", square(g, y)))
FACTOR(absolute, one(g, "Sign", x))
/* The derivative of erf is 2 / sqrt(pi) exp(-x^2). */
FACTOR(error_function, scaled(g, one(g, "Exp", one(g, "Neg", square(g, x))), TWO_OVER_ROOT_PI))

/* ---- trigonometry ---- */

FACTOR(sine, one(g, "Cos", x))
FACTOR(cosine, one(g, "Neg", one(g, "Sin", x)))
FACTOR(tangent, shifted(g, square(g, y), 1))
FACTOR(arc_sine, one(g, "Reciprocal", one(g, "Sqrt", below(g, 1, square(g, x)))))
FACTOR(arc_cosine, one(g, "Neg", one(g, "Reciprocal", one(g, "Sqrt", below(g, 1, square(g, x))))))
FACTOR(arc_tangent, one(g, "Reciprocal", shifted(g, square(g, x), 1)))
FACTOR(hyperbolic_sine, one(g, "Cosh", x))
FACTOR(hyperbolic_cosine, one(g, "Sinh", x))
FACTOR(hyperbolic_tangent, below(g, 1, square(g, y)))
FACTOR(area_sine, one(g, "Reciprocal", one(g, "Sqrt", shifted(g, square(g, x), 1))))
FACTOR(area_cosine, one(g, "Reciprocal", one(g, "Sqrt", shifted(g, square(g, x), -1))))
FACTOR(area_tangent, one(g, "Reciprocal", below(g, 1, square(g, x))))

/* ---- activations ---- */

FACTOR(sigmoid, times(g, y, below(g, 1, y)))
FACTOR(softplus, one(g, "Sigmoid", x))
FACTOR(softsign, one(g, "Reciprocal", square(g, shifted(g, one(g, "Abs", x), 1))))
FACTOR(leaky_rectifier,
       choose(g, positive(g, x), constant(g, 1, x), constant(g, attribute(node, "alpha", (double)0.01f), x)))
FACTOR(threshold,
       choose(g, compare(g, "Greater", x, attribute(node, "alpha", 1)), constant(g, 1, x), constant(g, 0, x)))
/* Below zero y = alpha (exp(x) - 1), whose derivative is y + alpha. */
FACTOR(exponential_linear, choose(g, positive(g, x), constant(g, 1, x), shifted(g, y, attribute(node, "alpha", 1))))
/* Below zero y = alpha (exp(x / alpha) - 1). */
FACTOR(continuous_exponential_linear,
       choose(g, positive(g, x), constant(g, 1, x), one(g, "Exp", scaled(g, x, 1 / attribute(node, "alpha", 1)))))

FACTOR(scaled_exponential_linear,
       choose(g, positive(g, x), constant(g, attribute(node, "gamma", (double)1.05070102214813232421875f), x),
	      shifted(g, y,
		      attribute(node, "gamma", (double)1.05070102214813232421875f) *
			      attribute(node, "alpha", (double)1.67326319217681884765625f))))

/* alpha where y is neither 0 nor 1 */
FACTOR(hard_sigmoid, choose(g, two(g, "And", positive(g, y), compare(g, "Less", y, 1)),
			    constant(g, attribute(node, "alpha", (double)0.2f), x), constant(g, 0, x)))

/* x max(0, min(1, x / 6 + 1 / 2)): between -3 and 3 the derivative is x / 3 + 1 / 2. */
FACTOR(hard_swish,
       choose(g, compare(g, "Greater", x, 3), constant(g, 1, x),
	      choose(g, compare(g, "Greater", x, -3), shifted(g, scaled(g, x, 1.0 / 3), 0.5), constant(g, 0, x))))

/* y = x s(alpha x): s + alpha x s (1 - s) */
static struct graph_value *swish_slope(struct gradient *g, struct graph_value *x, double alpha)
{
	struct graph_value *s = one(g, "Sigmoid", scaled(g, x, alpha));

	return plus(g, s, times(g, scaled(g, x, alpha), times(g, s, below(g, 1, s))));
}
FACTOR(swish, swish_slope(g, x, attribute(node, "alpha", 1)))

/* y = x t, t = tanh(softplus(x)): t + x (1 - t^2) s(x) */
static struct graph_value *mish_slope(struct gradient *g, struct graph_value *x)
{
	struct graph_value *t = one(g, "Tanh", one(g, "Softplus", x));

	return plus(g, t, times(g, times(g, x, below(g, 1, square(g, t))), one(g, "Sigmoid", x)));
}
FACTOR(mish, mish_slope(g, x))

/* y = x P(x): P + x p, with the normal distribution P and its density p. */
static struct graph_value *gelu_slope(struct gradient *g, struct graph_value *x)
{
	struct graph_value *p = scaled(g, one(g, "Exp", scaled(g, square(g, x), -0.5)), BELL_TOP);

	return plus(g, scaled(g, shifted(g, one(g, "Erf", scaled(g, x, ROOT_HALF)), 1), 0.5), times(g, x, p));
}

/* y = x (1 + t) / 2, t = tanh(u), u = sqrt(2 / pi) (x + 0.044715 x^3) */
static struct graph_value *gelu_tanh_slope(struct gradient *g, struct graph_value *x)
{
	struct graph_value *cubic = scaled(g, square(g, x), 0.044715);
	struct graph_value *t = one(g, "Tanh", scaled(g, times(g, x, shifted(g, cubic, 1)), ROOT_TWO_OVER_PI));
	struct graph_value *du = scaled(g, shifted(g, scaled(g, cubic, 3), 1), ROOT_TWO_OVER_PI);

	return scaled(g, plus(g, shifted(g, t, 1), times(g, x, times(g, below(g, 1, square(g, t)), du))), 0.5);
}

RULE(gelu)
{
	struct op_node op = graph_op_node(node);
	struct graph_value *x = node->inputs[0];

	(void)active;
	dx[0] = times(g, dy, op_attr_is(&op, "approximate", "none", "tanh") ? gelu_tanh_slope(g, x) : gelu_slope(g, x));
	return 0;
}

RULE(rectifier)
{
	struct graph_value *x = node->inputs[0];

	(void)active;
	dx[0] = choose(g, positive(g, x), dy, constant(g, 0, x));
	return 0;
}

RULE(parametric_rectifier)
{
	struct graph_value *x = node->inputs[0], *slope = node->inputs[1], *above = positive(g, x);

	if (active[0])
		dx[0] = choose(g, above, dy, times(g, dy, slope));
	if (active[1])
		dx[1] = unstretch(g, choose(g, above, constant(g, 0, x), times(g, dy, x)), slope, node->outputs[0]);
	return 0;
}

/* Shrink: one outside of -lambd to lambd. */
FACTOR(shrink, choose(g, compare(g, "Greater", one(g, "Abs", x), attribute(node, "lambd", 0.5)), constant(g, 1, x),
		      constant(g, 0, x)))

/* @dy where @x is beyond @limit, summed. */
static struct graph_value *beyond(struct gradient *g, const char *relation, const struct graph_node *node, size_t limit,
				  struct graph_value *dy)
{
	struct graph_value *x = node->inputs[0], *at = node->inputs[limit];
	struct graph_value *cut = gradient_emit(g, relation, NULL, 2, (struct graph_value *[]){x, at});

	return unstretch(g, choose(g, cut, dy, constant(g, 0, dy)), at, NULL);
}

/* What is between the limits counts for x, what was cut off for the limit. */
RULE(clip)
{
	struct graph_value *x = node->inputs[0], *same;

	same = gradient_emit(g, "Equal", NULL, 2, (struct graph_value *[]){x, node->outputs[0]});
	if (active[0])
		dx[0] = choose(g, same, dy, constant(g, 0, dy));
	if (node->num_inputs > 1 && active[1])
		dx[1] = beyond(g, "Less", node, 1, dy);
	if (node->num_inputs > 2 && active[2])
		dx[2] = beyond(g, "Greater", node, 2, dy);
	return 0;
}

RULE(dropout)
{
	struct op_node op = graph_op_node(node);
	bool trains = node->opset < 12 ? false : node->num_inputs > 2 && node->inputs[2];

	(void)active;
	if (trains || op_attr(&op, "is_test"))
		return no_rule(g, node, "in training");
	dx[0] = dy;
	return 0;
}

const struct gradient_rule gradient_unary_rules[] = {
	{"Abs", absolute},
	{"Acos", arc_cosine},
	{"Acosh", area_cosine},
	{"Asin", arc_sine},
	{"Asinh", area_sine},
	{"Atan", arc_tangent},
	{"Atanh", area_tangent},
	{"Ceil", flat},
	{"Celu", continuous_exponential_linear},
	{"Clip", clip},
	{"Cos", cosine},
	{"Cosh", hyperbolic_cosine},
	{"Dropout", dropout},
	{"Elu", exponential_linear},
	{"Erf", error_function},
	{"Exp", exponential},
	{"Floor", flat},
	{"Gelu", gelu},
	{"HardSigmoid", hard_sigmoid},
	{"HardSwish", hard_swish},
	{"Identity", copy},
	{"LeakyRelu", leaky_rectifier},
	{"Log", logarithm},
	{"Mish", mish},
	{"Neg", negate},
	{"PRelu", parametric_rectifier},
	{"Reciprocal", reciprocal},
	{"Relu", rectifier},
	{"Round", flat},
	{"Selu", scaled_exponential_linear},
	{"Shrink", shrink},
	{"Sigmoid", sigmoid},
	{"Sign", flat},
	{"Sin", sine},
	{"Sinh", hyperbolic_sine},
	{"Softplus", softplus},
	{"Softsign", softsign},
	{"Sqrt", root},
	{"Swish", swish},
	{"Tan", tangent},
	{"Tanh", hyperbolic_tangent},
	{"ThresholdedRelu", threshold},
	{NULL, NULL},
};
