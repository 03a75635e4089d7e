// SPDX-License-Identifier: MIT
/*
 * ImageDecoder: bytes of an image file to [height, width, channels]. The formats are in image/.
 *
 * What can not be decoded because it is damaged, or of no format that the specification names, gives an empty tensor, as it says. What
 * this build can not decode (a form that the decoders lack, an image beyond their limits) is an error.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "runtime/cpu/families.h"
#include "runtime/cpu/image/image.h"

/* A format is known by its first bytes; '?' stands for any byte. */
static const struct {
	const char *magic;
	size_t size;
	int (*decode)(struct image_file *file, struct image *image);
} formats[] = {
	{"BM", 2, image_decode_bmp},
	{"\xff\xd8\xff", 3, image_decode_jpeg},
	{"\0\0\0\x0cjP  \r\n\x87\n", 12, image_decode_jpeg2000},
	{"\xff\x4f\xff\x51", 4, image_decode_jpeg2000},
	{"\x89PNG\r\n\x1a\n", 8, image_decode_png},
	{"P1", 2, image_decode_pnm},
	{"P2", 2, image_decode_pnm},
	{"P3", 2, image_decode_pnm},
	{"P4", 2, image_decode_pnm},
	{"P5", 2, image_decode_pnm},
	{"P6", 2, image_decode_pnm},
	{"II*\0", 4, image_decode_tiff},
	{"MM\0*", 4, image_decode_tiff},
	{"II+\0", 4, image_decode_tiff},
	{"MM\0+", 4, image_decode_tiff},
	{"RIFF????WEBP", 12, image_decode_webp},
};

static bool begins_with(const struct image_file *file, const char *magic, size_t size)
{
	if (file->size < size)
		return false;
	for (size_t i = 0; i < size; i++)
		if (magic[i] != '?' && (uint8_t)magic[i] != file->data[i])
			return false;
	return true;
}

static int decode(struct image_file *file, struct image *image)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (begins_with(file, formats[i].magic, formats[i].size))
			return formats[i].decode(file, image);
	return image_fail(file, -EINVAL, "no BMP, JPEG, JPEG 2000, PNG, PNM, TIFF or WebP file");
}

enum pixel_format { PIXEL_RGB, PIXEL_BGR, PIXEL_GREY };

/* ITU-R BT.601 luma in 16-bit fixed point, rounded. */
static uint8_t luma(const uint8_t *rgb)
{
	return (uint8_t)((rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 0x8000u) >> 16);
}

static void write_pixels(const struct image *image, enum pixel_format format, uint8_t *out)
{
	int64_t count = image->width * image->height;

	for (int64_t i = 0; i < count; i++) {
		const uint8_t *rgb = image->rgb + 3 * i;

		if (format == PIXEL_GREY)
			out[i] = luma(rgb);
		else
			for (int c = 0; c < 3; c++)
				out[3 * i + c] = rgb[format == PIXEL_BGR ? 2 - c : c];
	}
}

static int run_image_decoder(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	const struct op_node *node = call->node;
	struct image_file file = {.data = in->data, .size = (size_t)tensor_count(in)};
	enum pixel_format format = PIXEL_RGB;
	struct image image;
	int err;

	if (!op_wanted(call, 0))
		return 0;
	if (in->dtype != DTYPE_U8 || in->rank != 1)
		return op_fail(call, -EINVAL, "ImageDecoder: input 0 is %s of rank %d, expected uint8 of rank 1",
			       dtype_name(in->dtype), in->rank);
	if (op_attr_is(node, "pixel_format", "RGB", "BGR"))
		format = PIXEL_BGR;
	else if (op_attr_is(node, "pixel_format", "RGB", "Grayscale"))
		format = PIXEL_GREY;
	else if (!op_attr_is(node, "pixel_format", "RGB", "RGB"))
		return op_fail(call, -EINVAL, "ImageDecoder: attribute pixel_format is none of RGB, BGR, Grayscale");
	err = decode(&file, &image);
	if (err == -EINVAL)
		image = (struct image){0};
	else if (err)
		return op_fail(call, err, "ImageDecoder: input 0 is %s", file.error);
	err = op_output(call, 0, DTYPE_U8, 3, (int64_t[]){image.height, image.width, format == PIXEL_GREY ? 1 : 3});
	if (!err && image.rgb)
		write_pixels(&image, format, call->outputs[0]->data);
	image_finish(&image);
	return err;
}

const struct op_kernel ops_image_decoder[] = {
	{"", "ImageDecoder", 20, 0, 1, 1, 1, 1, run_image_decoder},
};
const size_t ops_image_decoder_count = sizeof(ops_image_decoder) / sizeof(ops_image_decoder[0]);
