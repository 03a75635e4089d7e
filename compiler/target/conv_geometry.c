/* SPDX-License-Identifier: MIT */
/* See conv_geometry.h. */
#include "compiler/target/conv_geometry.h"

#include <string.h>

#include "compiler/target/lower.h"

static const struct conv_form forms[] = {
	{"Conv", 0, 1, 2, -1, -1, -1, -1, -1, -1, -1, false},
	{"FusedConv", 0, 1, 2, 3, -1, -1, -1, -1, -1, -1, false},
	{"ConvTranspose", 0, 1, 2, -1, -1, -1, -1, -1, -1, -1, true},
	{"QLinearConv", 0, 3, 8, -1, 1, 2, 4, 5, 6, 7, false},
	{"ConvInteger", 0, 1, -1, -1, -1, 2, -1, 3, -1, -1, false},
};

const struct conv_form *conv_form_find(const struct graph_node *node)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (!strcmp(forms[i].op_type, node->op_type))
			return &forms[i];
	return NULL;
}

const struct graph_value *conv_input(const struct graph_node *node, int index)
{
	return index >= 0 && (size_t)index < node->num_inputs ? node->inputs[index] : NULL;
}

/* Attribute @name as one integer a spatial dimension. */
static void spatial_ints(const struct op_node *node, const char *name, int64_t fallback, int spatial, int64_t *out)
{
	const int64_t *values;
	size_t count = op_attr_ints(node, name, &values);

	for (int i = 0; i < spatial; i++)
		out[i] = (size_t)i < count ? values[i] : fallback;
}

/* auto_pad SAME_*: the padding that makes out = ceil(in / stride) (Conv), or out = in * stride (ConvTranspose). */
static void resolve_padding(const struct op_node *node, struct conv_geometry *geo)
{
	const int64_t *pads;
	size_t count = op_attr_ints(node, "pads", &pads);
	bool upper = op_attr_is(node, "auto_pad", "NOTSET", "SAME_UPPER");
	bool lower = op_attr_is(node, "auto_pad", "NOTSET", "SAME_LOWER");

	for (int i = 0; i < geo->spatial; i++) {
		int64_t total, span = (geo->kernel[i] - 1) * geo->dilation[i] + 1;

		geo->begin[i] = count == 2 * (size_t)geo->spatial ? pads[i] : 0;
		geo->end[i] = count == 2 * (size_t)geo->spatial ? pads[i + geo->spatial] : 0;
		if (geo->transposed) {
			/* The node's output shape decides: it covers output_shape, output_padding and SAME_*. */
			total = geo->stride[i] * (geo->in[i] - 1) + geo->out_pad[i] + span - geo->out[i];
			if (upper || lower || op_attr(node, "output_shape")) {
				geo->begin[i] = upper ? total / 2 : total - total / 2;
				geo->end[i] = total - geo->begin[i];
			}
			continue;
		}
		if (upper || lower) {
			total = (geo->out[i] - 1) * geo->stride[i] + span - geo->in[i];
			total = total > 0 ? total : 0;
			geo->begin[i] = upper ? total / 2 : total - total / 2;
			geo->end[i] = total - geo->begin[i];
		}
	}
}

int conv_geometry_read(const struct graph_node *node, const struct conv_form *form, struct conv_geometry *geo,
		       char *reason, size_t size)
{
	const struct graph_value *x = conv_input(node, form->x), *w = conv_input(node, form->w), *y = node->outputs[0];
	struct op_node op = graph_op_node(node);

	if (!graph_value_is_static(x) || !graph_value_is_static(y))
		return refuse(reason, size, "its shapes are not known at compile time; bind the symbolic dimensions");
	if (!w->constant)
		return refuse(reason, size,
			      "its weights are computed at run time; the device packs constant weights only");
	memset(geo, 0, sizeof(*geo));
	geo->spatial = x->rank - 2;
	if (geo->spatial < 1 || geo->spatial > CONV_MAX_SPATIAL)
		return refuse(reason, size, "the device convolves 1-D and 2-D images only");
	geo->transposed = form->transposed;
	geo->groups = op_attr_int(&op, "group", 1);
	geo->batch = x->dims[0];
	geo->channels = x->dims[1];
	geo->out_channels = y->dims[1];
	spatial_ints(&op, "strides", 1, geo->spatial, geo->stride);
	spatial_ints(&op, "dilations", 1, geo->spatial, geo->dilation);
	spatial_ints(&op, "output_padding", 0, geo->spatial, geo->out_pad);
	for (int i = 0; i < geo->spatial; i++) {
		geo->kernel[i] = w->constant->dims[2 + i];
		geo->in[i] = x->dims[2 + i];
		geo->out[i] = y->dims[2 + i];
		geo->pool[i] = 1;
		if (geo->kernel[i] > 255 || geo->stride[i] > 255 || geo->dilation[i] > 255)
			return refuse(reason, size, "kernel, stride or dilation above 255");
		if (geo->in[i] > 65535 || geo->out[i] < 1 || geo->in[i] < 1)
			return refuse(reason, size, "an image side above 65535, or an empty image");
	}
	resolve_padding(&op, geo);
	for (int i = 0; i < geo->spatial; i++)
		if (geo->begin[i] > 4096 || geo->begin[i] < -4096)
			return refuse(reason, size, "padding above 4096");
	return 0;
}

void conv_geometry_set(struct matrix_work *work, const struct conv_geometry *geo, const struct tensor *w)
{
	bool flat = geo->spatial == 1;
	int64_t kx = flat ? 1 : geo->kernel[1], ky = geo->kernel[0], taps = ky * kx;
	int64_t in_group = w->dims[1];

	work->groups = geo->groups;
	work->oc = geo->out_channels;
	work->ic = geo->channels / geo->groups;
	work->ih = geo->in[0];
	work->iw = flat ? 1 : geo->in[1];
	work->oh = geo->out[0];
	work->ow = flat ? 1 : geo->out[1];
	work->kh = ky;
	work->kw = kx;
	work->dh = geo->dilation[0];
	work->dw = flat ? 1 : geo->dilation[1];
	work->depthwise = geo->groups > 1 && work->ic == 1 && geo->out_channels == geo->groups;
	work->weight.data = w->data;
	work->weight.dtype = w->dtype;
	if (!geo->transposed) {
		work->sh = geo->stride[0];
		work->sw = flat ? 1 : geo->stride[1];
		work->in_dil_h = work->in_dil_w = 1;
		work->pt = geo->begin[0];
		work->pl = flat ? 0 : geo->begin[1];
		work->weight.so = in_group * taps;
		work->weight.sc = taps;
		work->weight.sy = kx;
		work->weight.sx = 1;
		return;
	}
	/* A transposed convolution is one with stride 1 over the dilated input, the kernel turned around. */
	work->sh = work->sw = 1;
	work->in_dil_h = geo->stride[0];
	work->in_dil_w = flat ? 1 : geo->stride[1];
	work->pt = work->dh * (ky - 1) - geo->begin[0];
	work->pl = flat ? 0 : work->dw * (kx - 1) - geo->begin[1];
	work->weight.so = taps;
	work->weight.sc = in_group * taps;
	work->weight.sg = (work->ic - 1) * in_group * taps;
	work->weight.sy = -kx;
	work->weight.sx = -1;
	work->weight.data = (const uint8_t *)w->data + (size_t)(taps - 1) * dtype_size(w->dtype);
}

bool conv_geometry_cuts(const struct conv_geometry *geo, const struct target *target)
{
	return geo->spatial == 2 && !geo->transposed &&
	       cut_pays(target, geo->batch, geo->out[0] / geo->pool[0], geo->out[1] / geo->pool[1]);
}

struct cut_grid conv_geometry_grid(const struct conv_geometry *geo, const struct target *target)
{
	return cut_grid(target, geo->batch, geo->out[0] / geo->pool[0], geo->out[1] / geo->pool[1]);
}

struct cut_box conv_geometry_owned(const struct conv_geometry *geo, const struct target *target, unsigned int tile)
{
	return cut_owned_windows(conv_geometry_grid(geo, target), geo->out[0], geo->out[1], geo->pool, tile);
}

bool conv_geometry_steps(const struct conv_geometry *geo)
{
	for (int i = 0; i < geo->spatial; i++)
		if (geo->transposed || geo->kernel[i] != 1 || geo->begin[i] ||
		    (geo->in[i] - 1) / geo->stride[i] + 1 < geo->out[i])
			return false;
	return true;
}
