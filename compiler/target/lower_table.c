/* SPDX-License-Identifier: MIT */
/* The families of lowerings, each a table that ends with a NULL name. */
#include <string.h>

#include "compiler/target/lower.h"

extern const struct lower_op lower_ops_conv[], lower_ops_gemm[], lower_ops_elementwise[], lower_ops_elementwise_forms[],
	lower_ops_reduce[], lower_ops_pool[], lower_ops_average[], lower_ops_lrn[], lower_ops_movement[],
	lower_ops_quant[], lower_ops_attention[];

static const struct lower_op *const families[] = {
	lower_ops_conv,     lower_ops_gemm,  lower_ops_elementwise, lower_ops_elementwise_forms,
	lower_ops_reduce,   lower_ops_pool,  lower_ops_average,     lower_ops_lrn,
	lower_ops_movement, lower_ops_quant, lower_ops_attention,
};

enum { FAMILIES = sizeof(families) / sizeof(families[0]) };

const struct lower_op *lower_find(const struct graph_node *node)
{
	for (int f = 0; f < FAMILIES; f++)
		for (const struct lower_op *op = families[f]; op->op_type; op++)
			if (!strcmp(op->op_type, node->op_type) && !strcmp(op->domain, node->domain))
				return op;
	return NULL;
}

const struct lower_op *lower_at(size_t index)
{
	for (int f = 0; f < FAMILIES; f++)
		for (const struct lower_op *op = families[f]; op->op_type; op++)
			if (index-- == 0)
				return op;
	return NULL;
}
