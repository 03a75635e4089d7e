// SPDX-License-Identifier: MIT
/*
 * Granularities of quantization: see quant_runs.h.
 */
#include "runtime/cpu/quant_runs.h"

#include <errno.h>
#include <inttypes.h>

#include "runtime/cpu/shape_rules.h"

/* The scale has the shape of @x, but for the axis, where there is one for each block. */
static int init_blocks(struct op_call *call, const struct tensor *x, const struct tensor *scale, int64_t axis,
		       struct quant_runs *runs)
{
	for (int i = 0; i < scale->rank && scale->rank == x->rank; i++) {
		int64_t expected = i == axis ? (x->dims[i] + runs->block - 1) / runs->block : x->dims[i];

		if (scale->dims[i] != expected)
			return op_fail(call, -EINVAL,
				       "%s: dimension %d of the scale is %" PRId64 ", with block_size %" PRId64
				       " on axis %" PRId64 " it must be %" PRId64,
				       call->node->op_type, i, scale->dims[i], runs->block, axis, expected);
	}
	if (scale->rank != x->rank)
		return op_fail(call, -EINVAL,
			       "%s: the scale has rank %d, the input rank %d; with block_size they are equal",
			       call->node->op_type, scale->rank, x->rank);
	runs->blocks = scale->dims[axis];
	return 0;
}

int quant_runs_init(struct op_call *call, const struct tensor *x, const struct tensor *scale, const struct tensor *zero,
		    struct quant_runs *runs)
{
	int64_t count = tensor_count(scale), axis = op_attr_int(call->node, "axis", 1);

	*runs = (struct quant_runs){.block = op_attr_int(call->node, "block_size", 0)};
	if (runs->block < 0)
		return op_fail(call, -EINVAL, "%s: block_size is %" PRId64, call->node->op_type, runs->block);
	if (zero && tensor_count(zero) != count)
		return op_fail(call, -EINVAL, "%s: the zero point has %" PRId64 " elements, the scale %" PRId64,
			       call->node->op_type, tensor_count(zero), count);
	if (count == 1)
		return 0;
	if (normalize_axis(&axis, x->rank))
		return op_fail(call, -EINVAL, "%s: axis %" PRId64 " is none of an input of rank %d",
			       call->node->op_type, axis, x->rank);
	runs->size = x->dims[axis];
	runs->inner = 1;
	for (int i = (int)axis + 1; i < x->rank; i++)
		runs->inner *= x->dims[i];
	if (runs->block)
		return init_blocks(call, x, scale, axis, runs);
	if (scale->rank != 1 || count != runs->size)
		return op_fail(call, -EINVAL, "%s: the scale has %" PRId64 " elements, which do not fit axis %" PRId64,
			       call->node->op_type, count, axis);
	return 0;
}

int64_t quant_run(const struct quant_runs *runs, int64_t begin, int64_t end, int64_t *index, int64_t *step)
{
	int64_t at, row, stop;

	*index = 0;
	*step = 0;
	if (!runs->size)
		return end;
	row = begin / runs->inner; /* over outer and axis together */
	at = row % runs->size;
	if (runs->inner > 1) {
		int64_t inside = begin % runs->inner;

		*step = runs->block ? 1 : 0;
		*index = runs->block ? (row / runs->size * runs->blocks + at / runs->block) * runs->inner + inside : at;
		stop = begin + runs->inner - inside;
	} else if (runs->block) {
		int64_t rest = runs->block - at % runs->block;

		*index = row / runs->size * runs->blocks + at / runs->block;
		stop = begin + (rest < runs->size - at ? rest : runs->size - at);
	} else {
		*step = 1;
		*index = at;
		stop = begin + runs->size - at;
	}
	return stop < end ? stop : end;
}
