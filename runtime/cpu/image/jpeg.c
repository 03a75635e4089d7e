// SPDX-License-Identifier: MIT
/*
 * JPEG through libjpeg: integer DCT and "fancy" upsampling of chroma, its defaults, which are what ONNX's ImageDecoder asks
 * for. Four-component files (CMYK, YCCK) are inverted CMYK, as Adobe writes them.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/cpu/image/image.h"

#ifdef CPU_IMAGE_JPEG
#include <jerror.h>
#include <jpeglib.h>

/*
 * struct jpeg - libjpeg's state; errors jump back to decode()
 */
struct jpeg {
	struct jpeg_decompress_struct info;
	struct jpeg_error_mgr errors;
	jmp_buf failed;
	struct image_file *file;
};

static struct jpeg *jpeg_of(j_common_ptr info)
{
	return (struct jpeg *)((char *)info - offsetof(struct jpeg, info));
}

static void on_error(j_common_ptr info)
{
	struct jpeg *j = jpeg_of(info);
	char text[JMSG_LENGTH_MAX];

	info->err->format_message(info, text);
	image_fail(j->file, -EINVAL, "a JPEG file: %.120s", text);
	longjmp(j->failed, 1);
}

/* Warnings that mean lost pixels are errors; the rest libjpeg mends without loss. */
static void on_message(j_common_ptr info, int level)
{
	int code = info->err->msg_code;

	if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE))
		on_error(info);
}

static void convert_cmyk(const uint8_t *cmyk, int64_t pixels, uint8_t *rgb)
{
	for (int64_t i = 0; i < pixels; i++)
		for (int c = 0; c < 3; c++)
			rgb[3 * i + c] = (uint8_t)((cmyk[4 * i + c] * cmyk[4 * i + 3] + 127) / 255);
}

/* What is allocated is reachable through @image and @row, so that the jump loses nothing. */
static int decode(struct jpeg *j, struct image *image, uint8_t **row)
{
	struct jpeg_decompress_struct *info = &j->info;
	int err;

	if (setjmp(j->failed))
		return -EINVAL;
	jpeg_mem_src(info, j->file->data, j->file->size);
	jpeg_read_header(info, TRUE);
	err = image_create(j->file, image, info->image_width, info->image_height);
	if (err)
		return err;
	info->out_color_space = info->num_components == 4 ? JCS_CMYK : JCS_RGB;
	*row = malloc((size_t)image->width * 4);
	if (!*row)
		return image_fail(j->file, -ENOMEM, "no memory for a row");
	jpeg_start_decompress(info);
	while (info->output_scanline < info->output_height) {
		uint8_t *to = image->rgb + 3 * image->width * info->output_scanline;
		JSAMPROW target = info->num_components == 4 ? *row : to;

		jpeg_read_scanlines(info, &target, 1);
		if (info->num_components == 4)
			convert_cmyk(*row, image->width, to);
	}
	jpeg_finish_decompress(info);
	return 0;
}

int image_decode_jpeg(struct image_file *file, struct image *image)
{
	struct jpeg j = {.file = file};
	uint8_t *row = NULL;
	int err;

	*image = (struct image){0};
	j.info.err = jpeg_std_error(&j.errors);
	j.errors.error_exit = on_error;
	j.errors.emit_message = on_message;
	jpeg_create_decompress(&j.info);
	err = decode(&j, image, &row);
	jpeg_destroy_decompress(&j.info);
	free(row);
	if (err)
		image_finish(image);
	return err;
}
#else
int image_decode_jpeg(struct image_file *file, struct image *image)
{
	*image = (struct image){0};
	return image_fail(file, -ENOTSUP, "a JPEG file: this build has no libjpeg");
}
#endif
