// SPDX-License-Identifier: MIT
/*
 * PNG through libpng. Sixteen bits a sample keep the upper eight.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/image/image.h"

#ifdef CPU_IMAGE_PNG
#include <png.h>

/* struct reader - what of the file libpng has not read yet */
struct reader {
	struct image_file *file;
	size_t at;
};

static void read_bytes(png_structp png, png_bytep to, png_size_t count)
{
	struct reader *r = png_get_io_ptr(png);

	if (r->file->size - r->at < count)
		png_error(png, "the file ends within the image");
	memcpy(to, r->file->data + r->at, count);
	r->at += count;
}

static void on_error(png_structp png, png_const_charp text)
{
	struct reader *r = png_get_error_ptr(png);

	image_fail(r->file, -EINVAL, "a PNG file: %.120s", text);
	png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
	(void)png;
	(void)text;
}

/* What is allocated is reachable through @image and @rows, so that the jump loses nothing. */
static int decode(struct image_file *file, png_structp png, png_infop info, struct image *image, png_bytep **rows)
{
	int err;

	if (setjmp(png_jmpbuf(png)))
		return -EINVAL;
	png_read_info(png, info);
	err = image_create(file, image, png_get_image_width(png, info), png_get_image_height(png, info));
	if (err)
		return err;
	png_set_expand(png);
	png_set_strip_16(png);
	png_set_strip_alpha(png);
	png_set_gray_to_rgb(png);
	png_set_interlace_handling(png);
	png_read_update_info(png, info);
	if (png_get_rowbytes(png, info) != (size_t)image->width * 3)
		return image_fail(file, -EINVAL, "a PNG file with rows of another size than its width says");
	*rows = malloc((size_t)image->height * sizeof(**rows));
	if (!*rows)
		return image_fail(file, -ENOMEM, "no memory for the rows");
	for (int64_t y = 0; y < image->height; y++)
		(*rows)[y] = image->rgb + 3 * image->width * y;
	png_read_image(png, *rows);
	png_read_end(png, NULL);
	return 0;
}

int image_decode_png(struct image_file *file, struct image *image)
{
	struct reader reader = {.file = file};
	png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, on_error, on_warning);
	png_infop info = png ? png_create_info_struct(png) : NULL;
	png_bytep *rows = NULL;
	int err;

	*image = (struct image){0};
	if (info) {
		png_set_read_fn(png, &reader, read_bytes);
		err = decode(file, png, info, image, &rows);
	} else {
		err = image_fail(file, -ENOMEM, "no memory for libpng");
	}
	png_destroy_read_struct(&png, &info, NULL);
	free(rows);
	if (err)
		image_finish(image);
	return err;
}
#else
int image_decode_png(struct image_file *file, struct image *image)
{
	*image = (struct image){0};
	return image_fail(file, -ENOTSUP, "a PNG file: this build has no libpng");
}
#endif
