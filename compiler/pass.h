/* SPDX-License-Identifier: MIT */
/*
 * The optimisations that can be left out, one row each: X(NAME, name on the command line, what it does). Results do not
 * depend on them beyond rounding, cycles do; the ablation table is made by leaving them out in turn.
 */
#ifndef COMPILER_PASS_H
#define COMPILER_PASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COMPILE_PASSES(X)                                                                                      \
	X(QDQ, "qdq", "make integer operators of operators between dequantize and quantize steps")             \
	X(CONSTANTS, "constants", "fold constants again after that")                                           \
	X(BATCHNORM, "batchnorm", "fold batch normalizations into the convolution before them")                \
	X(SCALE, "scale", "fold factors and addends of channels into what is before them")                     \
	X(NORM, "norm", "make a batch normalization that is left a depthwise convolution")                     \
	X(CONCAT_RELU, "concat-relu", "do a Relu behind a concatenation in the convolutions before it")        \
	X(RESIDUAL, "residual", "add the residual in the convolution's drain")                                 \
	X(ACTIVATION, "activation", "do activations in the drain of convolutions and products")                \
	X(LAYERNORM, "layernorm", "recognise layer normalizations")                                            \
	X(GELU, "gelu", "recognise GELU")                                                                      \
	X(ATTENTION, "attention", "do attention as one tiled kernel")                                          \
	X(LINEAR, "linear", "do residual and activation in the drain of linear layers")                        \
	X(CONCAT_SCALES, "concat-scales", "int8: give all inputs of a concatenation its output's scale")       \
	X(CONCAT_PLACE, "concat-place", "let producers write into the result of a concatenation")              \
	X(SHUFFLE, "shuffle", "let convolutions read shuffled channels from where they lie")                   \
	X(POOL_MATRIX, "pool-matrix", "do average pools on the matrix unit")                                   \
	X(POOL_DRAIN, "pool-drain", "take maxima of windows side by side in the convolution's drain")          \
	X(PLACEMENT, "placement", "leave on the CPU what is faster there")                                     \
	X(RESIDENT, "resident", "keep tensors in the scratchpad between nodes")                                \
	X(SHARE, "share", "load once what several nodes read of memory, where that costs next to nothing")     \
	X(IMAGES, "images", "lower the images of a batch one after another where that is faster")              \
	X(GRIDS, "grids", "cut all images over tiles in blocks where that moves less than strips of rows")     \
	X(STRIPES, "stripes", "work on two convolutions by stripes where the image between them is too large") \
	X(INTERLEAVE, "interleave", "list instructions of neighbouring nodes in the order in which they can start")

enum compile_pass {
#define COMPILE_PASS_ENUM(name, text, sentence) PASS_##name,
	COMPILE_PASSES(COMPILE_PASS_ENUM)
#undef COMPILE_PASS_ENUM
		NUM_PASSES
};

/* A set of passes that are left out: bit PASS_x. */
static inline bool pass_runs(uint32_t disabled, enum compile_pass pass)
{
	return !(disabled >> pass & 1);
}

/* Name and sentence of pass @index; NULL past the end. */
const char *compile_pass_name(size_t index);
const char *compile_pass_text(size_t index);

/*
 * The set that @names, separated by commas, stand for (NULL: the empty one). 0, or -EINVAL with *@bad at a name that no
 * pass has and *@length its length.
 */
int compile_pass_set(const char *names, uint32_t *set, const char **bad, size_t *length);

#endif
