// SPDX-License-Identifier: MIT
/*
 * TIFF through libtiff's RGBA interface: strips and tiles, any compression it was built with, turned as the file says.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/image/image.h"

#ifdef CPU_IMAGE_TIFF
#include <tiffio.h>

/* struct reader - the file as libtiff reads it; the offset may lie behind the end */
struct reader {
	struct image_file *file;
	uint64_t at;
};

static tmsize_t read_bytes(thandle_t handle, void *to, tmsize_t count)
{
	struct reader *r = handle;
	uint64_t left = r->at < r->file->size ? r->file->size - r->at : 0;

	if (count < 0)
		return -1;
	if ((uint64_t)count > left)
		count = (tmsize_t)left;
	memcpy(to, r->file->data + (left ? r->at : 0), (size_t)count);
	r->at += (uint64_t)count;
	return count;
}

static tmsize_t write_bytes(thandle_t handle, void *from, tmsize_t count)
{
	(void)handle;
	(void)from;
	(void)count;
	return -1;
}

static toff_t seek(thandle_t handle, toff_t offset, int whence)
{
	struct reader *r = handle;

	r->at = whence == SEEK_SET ? offset : whence == SEEK_CUR ? r->at + offset : r->file->size + offset;
	return r->at;
}

static int close_nothing(thandle_t handle)
{
	(void)handle;
	return 0;
}

static toff_t size_of(thandle_t handle)
{
	return ((struct reader *)handle)->file->size;
}

/* The first error is the cause; what follows is its consequence. */
static int on_error(TIFF *tiff, void *data, const char *module, const char *format, va_list args)
{
	struct image_file *file = data;
	char text[120];

	(void)tiff;
	(void)module;
	vsnprintf(text, sizeof(text), format, args);
	if (!file->error[0])
		image_fail(file, -EINVAL, "a TIFF file: %s", text);
	return 1;
}

static int on_warning(TIFF *tiff, void *data, const char *module, const char *format, va_list args)
{
	(void)tiff;
	(void)data;
	(void)module;
	(void)format;
	(void)args;
	return 1;
}

static int decode(struct image_file *file, TIFF *tiff, struct image *image)
{
	uint32_t width = 0, height = 0, *raster;
	char reason[1024] = "";
	int err;

	if (!TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width) || !TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &height))
		return image_fail(file, -EINVAL, "a TIFF file without width or height");
	if (!TIFFRGBAImageOK(tiff, reason))
		return image_fail(file, -ENOTSUP, "a TIFF file: %.120s", reason);
	err = image_create(file, image, width, height);
	if (err)
		return err;
	raster = calloc((size_t)width * height, sizeof(*raster));
	if (!raster)
		return image_fail(file, -ENOMEM, "no memory for %u x %u pixels", width, height);
	/* The last argument: stop at the first error. */
	if (!TIFFReadRGBAImageOriented(tiff, width, height, raster, ORIENTATION_TOPLEFT, 1))
		err = file->error[0] ? -EINVAL : image_fail(file, -EINVAL, "a TIFF file with damaged pixels");
	for (size_t i = 0; !err && i < (size_t)width * height; i++) {
		image->rgb[3 * i] = TIFFGetR(raster[i]);
		image->rgb[3 * i + 1] = TIFFGetG(raster[i]);
		image->rgb[3 * i + 2] = TIFFGetB(raster[i]);
	}
	free(raster);
	return err;
}

int image_decode_tiff(struct image_file *file, struct image *image)
{
	struct reader reader = {.file = file};
	TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
	TIFF *tiff = NULL;
	int err;

	*image = (struct image){0};
	file->error[0] = '\0';
	if (options) {
		TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, file);
		TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, NULL);
		tiff = TIFFClientOpenExt("", "rm", &reader, read_bytes, write_bytes, seek, close_nothing, size_of, NULL,
					 NULL, options);
		TIFFOpenOptionsFree(options);
	}
	if (!options)
		return image_fail(file, -ENOMEM, "no memory for libtiff");
	if (!tiff)
		return file->error[0] ? -EINVAL : image_fail(file, -EINVAL, "a TIFF file with a damaged header");
	err = decode(file, tiff, image);
	TIFFClose(tiff);
	if (err)
		image_finish(image);
	return err;
}
#else
int image_decode_tiff(struct image_file *file, struct image *image)
{
	*image = (struct image){0};
	return image_fail(file, -ENOTSUP, "a TIFF file: this build has no libtiff 4.5");
}
#endif
