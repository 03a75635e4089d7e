// SPDX-License-Identifier: MIT
/*
 * What the decoders share: see image.h.
 */
#include "runtime/cpu/image/image.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int image_fail(struct image_file *file, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(file->error, sizeof(file->error), format, args);
	va_end(args);
	return err;
}

int image_create(struct image_file *file, struct image *image, int64_t width, int64_t height)
{
	*image = (struct image){0};
	if (width < 1 || height < 1)
		return image_fail(file, -EINVAL, "an image of %" PRId64 " x %" PRId64 " pixels", width, height);
	if (width > IMAGE_MAX_SIDE || height > IMAGE_MAX_SIDE || width * height > IMAGE_MAX_PIXELS)
		return image_fail(file, -ENOTSUP, "an image of %" PRId64 " x %" PRId64 " pixels", width, height);
	image->rgb = calloc((size_t)(width * height), 3);
	if (!image->rgb)
		return image_fail(file, -ENOMEM, "no memory for %" PRId64 " x %" PRId64 " pixels", width, height);
	image->width = width;
	image->height = height;
	return 0;
}

void image_finish(struct image *image)
{
	free(image->rgb);
	*image = (struct image){0};
}
