/* SPDX-License-Identifier: MIT */
/*
 * Still images from memory: one decoder for each file format, all to 8-bit RGB.
 *
 * Samples of other depths are scaled to 8 bits; grey becomes three equal samples, palettes their colours; alpha is dropped,
 * not blended. Of files with several images the first one counts. A file that is cut short or damaged is an error, not half
 * an image. Decoders keep no state: any number of threads may use them.
 */
#ifndef RUNTIME_CPU_IMAGE_IMAGE_H
#define RUNTIME_CPU_IMAGE_IMAGE_H

#include <stddef.h>
#include <stdint.h>

/* The largest image that is decoded: a file of a few bytes may claim any size. */
#define IMAGE_MAX_SIDE 65535
#define IMAGE_MAX_PIXELS ((int64_t)1 << 28)
#define IMAGE_ERROR_SIZE 160

/*
 * struct image_file - an encoded image
 * @error: what is wrong with it, set when a decoder fails
 */
struct image_file {
	const uint8_t *data;
	size_t size;
	char error[IMAGE_ERROR_SIZE];
};

/* struct image - pixels, rows from the top; freed with free(rgb) */
struct image {
	int64_t width, height;
	uint8_t *rgb;
};

/*
 * Decode @file. 0; -EINVAL (damaged), -ENOTSUP (a form of the format, a format that this build has no library for, or an image beyond the
 * limits), -ENOMEM; file->error says which, and @image holds no memory then.
 */
int image_decode_bmp(struct image_file *file, struct image *image);
int image_decode_jpeg(struct image_file *file, struct image *image);
int image_decode_jpeg2000(struct image_file *file, struct image *image);
int image_decode_png(struct image_file *file, struct image *image);
int image_decode_pnm(struct image_file *file, struct image *image);
int image_decode_tiff(struct image_file *file, struct image *image);
int image_decode_webp(struct image_file *file, struct image *image);

/* For decoders: memory for @width x @height pixels, all black. -EINVAL for an empty one, -ENOTSUP for a size beyond the limits, -ENOMEM. */
int image_create(struct image_file *file, struct image *image, int64_t width, int64_t height);
void image_finish(struct image *image);
/* For decoders: set file->error (printf) and return @err. */
int image_fail(struct image_file *file, int err, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
