/* SPDX-License-Identifier: MIT */
/*
 * The operator families: one file, one table of kernels each. op.c concatenates the tables listed here.
 *
 * A family file NAME.c defines
 *	const struct op_kernel ops_NAME[] = { … };
 *	const size_t ops_NAME_count = sizeof(ops_NAME) / sizeof(ops_NAME[0]);
 * in any order of entries; the registry sorts.
 */
#ifndef RUNTIME_CPU_FAMILIES_H
#define RUNTIME_CPU_FAMILIES_H

#include "runtime/cpu/op.h"

#define OP_FAMILIES(X)       \
	X(activation)        \
	X(affine_grid)       \
	X(attention)         \
	X(cast)              \
	X(center_crop_pad)   \
	X(clip)              \
	X(control)           \
	X(conv)              \
	X(conv_transpose)    \
	X(deform_conv)       \
	X(det)               \
	X(dropout)           \
	X(einsum)            \
	X(elementwise)       \
	X(flex_attention)    \
	X(gemm)              \
	X(image_decoder)     \
	X(indexing)          \
	X(linear)            \
	X(loss)              \
	X(ml_feature)        \
	X(ml_label)          \
	X(ml_linear)         \
	X(ml_map)            \
	X(ml_svm)            \
	X(ml_tree)           \
	X(movement)          \
	X(ms_attention)      \
	X(ms_block_quant)    \
	X(ms_channels_last)  \
	X(ms_forward)        \
	X(ms_group_norm)     \
	X(ms_group_query)    \
	X(ms_linear_algebra) \
	X(ms_position_bias)  \
	X(ms_quantized)      \
	X(normalization)     \
	X(optimizer)         \
	X(order)             \
	X(pad)               \
	X(plain_norm)        \
	X(pooling)           \
	X(pow)               \
	X(qlinear)           \
	X(qlinear_conv)      \
	X(qlinear_gemm)      \
	X(quantized)         \
	X(random)            \
	X(recurrent)         \
	X(reduce)            \
	X(regex)             \
	X(resize)            \
	X(roi_pool)          \
	X(sampling)          \
	X(scan)              \
	X(select)            \
	X(sequence)          \
	X(shape)             \
	X(signal)            \
	X(softmax)           \
	X(streaming)         \
	X(strings)           \
	X(tfidf)             \
	X(unpool)            \
	X(where)

#define OP_FAMILY_DECLARE(name)                     \
	extern const struct op_kernel ops_##name[]; \
	extern const size_t ops_##name##_count;
OP_FAMILIES(OP_FAMILY_DECLARE)
#undef OP_FAMILY_DECLARE

/* Input @index, NULL when it is omitted: by an empty name or by being past the node's last. */
static inline const struct tensor *op_input(const struct op_call *call, size_t index)
{
	return index < call->node->num_inputs ? call->inputs[index] : NULL;
}

#endif
