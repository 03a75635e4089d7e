// SPDX-License-Identifier: MIT
/*
 * WebP, lossy and lossless, through libwebp.
 */
#include <errno.h>

#include "runtime/cpu/image/image.h"

#ifdef CPU_IMAGE_WEBP
#include <webp/decode.h>

int image_decode_webp(struct image_file *file, struct image *image)
{
	WebPBitstreamFeatures features;
	int err;

	*image = (struct image){0};
	if (WebPGetFeatures(file->data, file->size, &features) != VP8_STATUS_OK)
		return image_fail(file, -EINVAL, "a WebP file with a damaged header");
	if (features.has_animation)
		return image_fail(file, -ENOTSUP, "an animated WebP file");
	err = image_create(file, image, features.width, features.height);
	if (err)
		return err;
	if (!WebPDecodeRGBInto(file->data, file->size, image->rgb, (size_t)(3 * image->width * image->height),
			       (int)(3 * image->width))) {
		image_finish(image);
		return image_fail(file, -EINVAL, "a WebP file that is damaged or ends within the image");
	}
	return 0;
}
#else
int image_decode_webp(struct image_file *file, struct image *image)
{
	*image = (struct image){0};
	return image_fail(file, -ENOTSUP, "a WebP file: this build has no libwebp");
}
#endif
