// SPDX-License-Identifier: MIT
/*
 * JPEG 2000 through OpenJPEG: JP2 files and bare code streams; grey, RGB and YCC, each with or without alpha, components of
 * any depth and sampling.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "runtime/cpu/image/image.h"

#ifdef CPU_IMAGE_JPEG2000
#include <openjpeg.h>

/* struct reader - what of the file OpenJPEG has not read yet */
struct reader {
	struct image_file *file;
	size_t at;
};

static OPJ_SIZE_T read_bytes(void *to, OPJ_SIZE_T count, void *data)
{
	struct reader *r = data;
	size_t left = r->file->size - r->at;

	if (!left)
		return (OPJ_SIZE_T)-1;
	count = count < left ? count : left;
	memcpy(to, r->file->data + r->at, count);
	r->at += count;
	return count;
}

static OPJ_OFF_T skip_bytes(OPJ_OFF_T count, void *data)
{
	struct reader *r = data;
	size_t left = r->file->size - r->at;

	if (count < 0)
		return -1;
	count = (uint64_t)count < left ? count : (OPJ_OFF_T)left;
	r->at += (size_t)count;
	return count;
}

static OPJ_BOOL seek(OPJ_OFF_T at, void *data)
{
	struct reader *r = data;

	if (at < 0 || (uint64_t)at > r->file->size)
		return OPJ_FALSE;
	r->at = (size_t)at;
	return OPJ_TRUE;
}

/* The first error is the cause; what follows is its consequence. */
static void on_error(const char *text, void *data)
{
	struct image_file *file = data;

	if (!file->error[0])
		image_fail(file, -EINVAL, "a JPEG 2000 file: %.*s", (int)strcspn(text, "\n"), text);
}

static void on_message(const char *text, void *data)
{
	(void)text;
	(void)data;
}

/* Component @c at pixel (@x, @y), as 0 to 255. */
static int sample(const opj_image_comp_t *c, int64_t x, int64_t y)
{
	int64_t column = x / c->dx, row = y / c->dy, value, most = ((int64_t)1 << c->prec) - 1;

	column = column < c->w ? column : c->w - 1;
	row = row < c->h ? row : c->h - 1;
	value = c->data[row * c->w + column] + (c->sgnd ? (int64_t)1 << (c->prec - 1) : 0);
	value = value < 0 ? 0 : value > most ? most : value;
	return (int)((value * 255 + most / 2) / most);
}

static uint8_t clamp(double x)
{
	return x < 0 ? 0 : x > 255 ? 255 : (uint8_t)(x + 0.5);
}

/* ITU-R BT.601, full range, as in JFIF. */
static void ycc_to_rgb(uint8_t *rgb)
{
	double y = rgb[0], cb = rgb[1] - 128.0, cr = rgb[2] - 128.0;

	rgb[0] = clamp(y + 1.402 * cr);
	rgb[1] = clamp(y - 0.344136 * cb - 0.714136 * cr);
	rgb[2] = clamp(y + 1.772 * cb);
}

static int convert(struct image_file *file, const opj_image_t *from, struct image *image)
{
	bool ycc = from->color_space == OPJ_CLRSPC_SYCC || from->color_space == OPJ_CLRSPC_EYCC;
	/* One component, or one and alpha: grey. */
	int step = from->numcomps >= 3;
	int err;

	if (from->color_space == OPJ_CLRSPC_CMYK)
		return image_fail(file, -ENOTSUP, "a JPEG 2000 file in CMYK");
	for (uint32_t i = 0; i < from->numcomps && i < 3; i++) {
		const opj_image_comp_t *c = &from->comps[i];

		if (!c->data || !c->w || !c->h || !c->dx || !c->dy || c->prec < 1 || c->prec > 31)
			return image_fail(file, -EINVAL, "a JPEG 2000 file without data for component %u", i);
	}
	err = image_create(file, image, (int64_t)from->x1 - from->x0, (int64_t)from->y1 - from->y0);
	if (err)
		return err;
	for (int64_t y = 0; y < image->height; y++)
		for (int64_t x = 0; x < image->width; x++) {
			uint8_t *rgb = image->rgb + 3 * (y * image->width + x);

			for (int c = 0; c < 3; c++)
				rgb[c] = (uint8_t)sample(&from->comps[c * step], x, y);
			if (ycc && step)
				ycc_to_rgb(rgb);
		}
	return 0;
}

/* The header first: what it claims is checked before anything of that size is allocated. */
static int decode(struct image_file *file, opj_codec_t *codec, opj_stream_t *stream, opj_image_t **decoded)
{
	opj_dparameters_t parameters;
	opj_image_t *header;

	opj_set_default_decoder_parameters(&parameters);
	if (!opj_setup_decoder(codec, &parameters) || !opj_decoder_set_strict_mode(codec, OPJ_TRUE) ||
	    !opj_read_header(stream, codec, decoded))
		return file->error[0] ? -EINVAL : image_fail(file, -EINVAL, "a JPEG 2000 file with a damaged header");
	header = *decoded;
	if (header->x1 <= header->x0 || header->y1 <= header->y0 || header->x1 - header->x0 > IMAGE_MAX_SIDE ||
	    header->y1 - header->y0 > IMAGE_MAX_SIDE ||
	    (int64_t)(header->x1 - header->x0) * (header->y1 - header->y0) > IMAGE_MAX_PIXELS || !header->numcomps ||
	    header->numcomps > 16)
		return image_fail(file, -EINVAL, "a JPEG 2000 file of %u components, from (%u, %u) to (%u, %u)",
				  header->numcomps, header->x0, header->y0, header->x1, header->y1);
	if (!opj_decode(codec, stream, header) || !opj_end_decompress(codec, stream))
		return file->error[0] ? -EINVAL : image_fail(file, -EINVAL, "a JPEG 2000 file with damaged pixels");
	return 0;
}

int image_decode_jpeg2000(struct image_file *file, struct image *image)
{
	/* A JP2 file begins with the length of its first box, a bare code stream with a marker. */
	bool bare = file->data[0] == 0xff;
	opj_codec_t *codec = opj_create_decompress(bare ? OPJ_CODEC_J2K : OPJ_CODEC_JP2);
	opj_stream_t *stream = opj_stream_default_create(OPJ_TRUE);
	struct reader reader = {.file = file};
	opj_image_t *decoded = NULL;
	int err;

	*image = (struct image){0};
	file->error[0] = '\0';
	if (codec && stream) {
		opj_set_error_handler(codec, on_error, file);
		opj_set_warning_handler(codec, on_message, NULL);
		opj_set_info_handler(codec, on_message, NULL);
		opj_stream_set_read_function(stream, read_bytes);
		opj_stream_set_skip_function(stream, skip_bytes);
		opj_stream_set_seek_function(stream, seek);
		opj_stream_set_user_data(stream, &reader, NULL);
		opj_stream_set_user_data_length(stream, file->size);
		err = decode(file, codec, stream, &decoded);
	} else {
		err = image_fail(file, -ENOMEM, "no memory for OpenJPEG");
	}
	if (!err)
		err = convert(file, decoded, image);
	if (decoded)
		opj_image_destroy(decoded);
	if (codec)
		opj_destroy_codec(codec);
	if (stream)
		opj_stream_destroy(stream);
	return err;
}
#else
int image_decode_jpeg2000(struct image_file *file, struct image *image)
{
	*image = (struct image){0};
	return image_fail(file, -ENOTSUP, "a JPEG 2000 file: this build has no libopenjp2");
}
#endif
