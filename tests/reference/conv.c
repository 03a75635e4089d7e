/* SPDX-License-Identifier: MIT */
/* CONV and DWCONV: the sum over k of every accumulator, each element found by the text's address formula. */
#include <math.h>

#include "tests/reference/element.h"
#include "tests/reference/parts.h"

/* Address of the pixel under kernel position (kh, kw) at output (oh, ow), or -1 where it is padding. */
static int64_t pixel_address(const struct axl_conv *conv, int oh, int ow, int kh, int kw)
{
	int y = oh * conv->stride_h + kh * conv->dilation_h - conv->pad_top;
	int x = ow * conv->stride_w + kw * conv->dilation_w - conv->pad_left;

	if (y < 0 || x < 0 || y % conv->in_dil_h || x % conv->in_dil_w)
		return -1;
	y /= conv->in_dil_h;
	x /= conv->in_dil_w;
	if (y >= conv->in_h || x >= conv->in_w)
		return -1;
	return (int64_t)conv->a + (int64_t)y * conv->a_stride_h + (int64_t)x * conv->a_stride_w;
}

static void sum(const struct axl_conv *conv, int oh, int ow, uint32_t n, const uint8_t *spad, uint8_t *acc)
{
	bool depthwise = conv->header.opcode == AXL_OP_DWCONV, floats = element_is_float(conv->a_type);
	uint8_t *at = acc + conv->acc + ((uint64_t)oh * conv->out_w + ow) * conv->acc_stride + 4 * (uint64_t)n;
	bool accumulate = conv->mx_flags & AXL_MX_ACCUMULATE;
	uint32_t integer = accumulate && !floats ? (uint32_t)element_read_int(at, AXL_TYPE_S32) : 0;
	float number = accumulate && floats ? element_read_float(at, AXL_TYPE_F32) : 0;
	uint64_t k = 0;

	for (int kh = 0; kh < conv->kernel_h; kh++)
		for (int kw = 0; kw < conv->kernel_w; kw++)
			for (uint32_t i = 0; i < (depthwise ? 1 : conv->channels); i++, k++) {
				uint32_t c = depthwise ? n : i;
				int64_t pixel = pixel_address(conv, oh, ow, kh, kw);
				const uint8_t *a = spad + pixel + (uint64_t)c * element_size(conv->a_type);
				const uint8_t *w =
					spad + conv->w + k * conv->w_stride_k + (uint64_t)n * conv->w_stride_n;

				if (floats)
					number = fmaf(pixel < 0 ? 0.0f : element_read_float(a, conv->a_type),
						      element_read_float(w, conv->w_type), number);
				else if (pixel >= 0)
					integer += (uint32_t)((element_read_int(a, conv->a_type) - conv->a_zero) *
							      (element_read_int(w, conv->w_type) - conv->w_zero));
			}
	if (floats)
		element_write_float(at, AXL_TYPE_F32, number);
	else
		element_write_int(at, AXL_TYPE_S32, (int32_t)integer);
}

int reference_conv(const struct axl_conv *conv, const uint8_t *spad, uint8_t *acc)
{
	for (int oh = 0; oh < conv->out_h; oh++)
		for (int ow = 0; ow < conv->out_w; ow++)
			for (uint32_t n = 0; n < conv->n; n++)
				sum(conv, oh, ow, n, spad, acc);
	return 0;
}
