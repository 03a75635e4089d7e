// SPDX-License-Identifier: MIT
/*
 * Windows bitmaps: headers from OS/2's 12 bytes to version 5, 1 to 32 bits a pixel, palettes, bit fields, RLE4 and RLE8.
 * (Microsoft, "Bitmap Storage"; the fields' names are those of BITMAPINFOHEADER.)
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "runtime/cpu/image/image.h"

#define FILE_HEADER 14

enum { BI_RGB, BI_RLE8, BI_RLE4, BI_BITFIELDS, BI_JPEG, BI_PNG, BI_ALPHABITFIELDS };

/*
 * struct bmp - the headers
 * @masks:   of red, green and blue in a pixel of 16 or 32 bits
 * @palette: blue, green, red of each colour, @colour_size bytes apart
 */
struct bmp {
	int64_t width, height;
	bool top_down;
	uint32_t bits, compression, masks[3], num_colours, colour_size;
	const uint8_t *palette, *pixels, *end;
};

static uint32_t read_le(const uint8_t *at, int bytes)
{
	uint32_t value = 0;

	for (int i = bytes - 1; i >= 0; i--)
		value = value << 8 | at[i];
	return value;
}

static int read_info(struct image_file *file, struct bmp *b, uint32_t header)
{
	const uint8_t *at = file->data + FILE_HEADER;
	int64_t height;

	if (header == 12) {
		b->width = read_le(at + 4, 2);
		b->height = read_le(at + 6, 2);
		b->bits = read_le(at + 10, 2);
		b->colour_size = 3;
		return 0;
	}
	b->width = (int32_t)read_le(at + 4, 4);
	height = (int32_t)read_le(at + 8, 4);
	b->top_down = height < 0;
	b->height = height < 0 ? -height : height;
	b->bits = read_le(at + 14, 2);
	b->compression = read_le(at + 16, 4);
	b->num_colours = read_le(at + 32, 4);
	b->colour_size = 4;
	return 0;
}

/* Masks: in the header since version 2, behind the 40 bytes of version 1. */
static int read_masks(struct image_file *file, struct bmp *b)
{
	static const uint32_t five[3] = {0x7c00, 0x03e0, 0x001f}, eight[3] = {0xff0000, 0x00ff00, 0x0000ff};

	memcpy(b->masks, b->bits == 16 ? five : eight, sizeof(b->masks));
	if (b->compression != BI_BITFIELDS && b->compression != BI_ALPHABITFIELDS)
		return 0;
	if (file->size < FILE_HEADER + 40 + 12 || (b->bits != 16 && b->bits != 32))
		return image_fail(file, -EINVAL, "a BMP file with bit fields of %" PRIu32 " bits", b->bits);
	for (int i = 0; i < 3; i++)
		b->masks[i] = read_le(file->data + FILE_HEADER + 40 + 4 * i, 4);
	return 0;
}

static int read_palette(struct image_file *file, struct bmp *b, uint32_t header)
{
	uint32_t most = b->bits <= 8 ? 1u << b->bits : 0;

	if (!most)
		return 0;
	b->num_colours = b->num_colours && b->num_colours < most ? b->num_colours : most;
	b->palette = file->data + FILE_HEADER + header;
	if (b->palette + (size_t)b->num_colours * b->colour_size > b->end)
		return image_fail(file, -EINVAL, "a BMP file that ends within its palette");
	return 0;
}

static int read_headers(struct image_file *file, struct bmp *b)
{
	uint32_t header, offset;
	int err;

	*b = (struct bmp){.end = file->data + file->size};
	if (file->size < FILE_HEADER + 12)
		return image_fail(file, -EINVAL, "a BMP file that ends within its header");
	offset = read_le(file->data + 10, 4);
	header = read_le(file->data + FILE_HEADER, 4);
	if ((header != 12 && header < 40) || header > 256 || file->size < FILE_HEADER + (size_t)header)
		return image_fail(file, -EINVAL, "a BMP file with a header of %" PRIu32 " bytes", header);
	err = read_info(file, b, header);
	if (!err)
		err = read_masks(file, b);
	if (!err)
		err = read_palette(file, b, header);
	if (err)
		return err;
	if (b->compression == BI_JPEG || b->compression == BI_PNG)
		return image_fail(file, -ENOTSUP, "a BMP file that holds a JPEG or PNG");
	if (b->compression > BI_ALPHABITFIELDS || (b->compression == BI_RLE8 && b->bits != 8) ||
	    (b->compression == BI_RLE4 && b->bits != 4))
		return image_fail(file, -EINVAL, "a BMP file of %" PRIu32 " bits with compression %" PRIu32, b->bits,
				  b->compression);
	if (b->bits != 1 && b->bits != 4 && b->bits != 8 && b->bits != 16 && b->bits != 24 && b->bits != 32)
		return image_fail(file, -EINVAL, "a BMP file of %" PRIu32 " bits", b->bits);
	if (offset > file->size)
		return image_fail(file, -EINVAL, "a BMP file that ends before its pixels");
	b->pixels = file->data + offset;
	return 0;
}

/* The field of @mask as 8 bits. */
static uint8_t field(uint32_t pixel, uint32_t mask)
{
	uint64_t most;

	if (!mask)
		return 0;
	most = mask >> __builtin_ctz(mask);
	return (uint8_t)((((uint64_t)(pixel & mask) >> __builtin_ctz(mask)) * 255 + most / 2) / most);
}

static int set_colour(struct image_file *file, const struct bmp *b, uint32_t index, uint8_t *rgb)
{
	if (index >= b->num_colours)
		return image_fail(file, -EINVAL, "a BMP file with colour %" PRIu32 " of %" PRIu32, index,
				  b->num_colours);
	for (int c = 0; c < 3; c++)
		rgb[c] = b->palette[index * b->colour_size + 2 - c];
	return 0;
}

/* Where row @y of the file belongs in the image. */
static uint8_t *row_of(const struct bmp *b, const struct image *image, int64_t y)
{
	return image->rgb + 3 * image->width * (b->top_down ? y : b->height - 1 - y);
}

static int read_row(struct image_file *file, const struct bmp *b, const uint8_t *row, uint8_t *rgb)
{
	int err = 0;

	for (int64_t x = 0; x < b->width && !err; x++, rgb += 3) {
		const uint8_t *at = row + x * b->bits / 8;
		uint32_t pixel;

		if (b->bits <= 8) {
			uint32_t shift = 8 - b->bits - (uint32_t)(x * b->bits % 8);

			err = set_colour(file, b, *at >> shift & ((1u << b->bits) - 1), rgb);
			continue;
		}
		pixel = read_le(at, (int)b->bits / 8);
		for (int c = 0; c < 3; c++)
			rgb[c] = field(pixel, b->masks[c]);
	}
	return err;
}

static int read_rows(struct image_file *file, const struct bmp *b, struct image *image)
{
	int64_t row_bytes = (b->width * b->bits + 31) / 32 * 4;
	int err = 0;

	if (b->end - b->pixels < row_bytes * b->height)
		return image_fail(file, -EINVAL, "a BMP file that ends within its pixels");
	for (int64_t y = 0; y < b->height && !err; y++)
		err = read_row(file, b, b->pixels + y * row_bytes, row_of(b, image, y));
	return err;
}

/*
 * Run lengths: (count, index) repeats; (0, 0) ends a row, (0, 1) the image, (0, 2) moves, (0, n) copies n indices. With
 * four bits a byte holds two indices, high one first.
 */
static int read_runs(struct image_file *file, const struct bmp *b, struct image *image)
{
	const uint8_t *at = b->pixels;
	bool four = b->bits == 4;
	int64_t x = 0, y = 0;

	/* What a move leaves out has the first colour. */
	for (int64_t i = 0; i < b->width * b->height; i++)
		set_colour(file, b, 0, image->rgb + 3 * i);
	while (b->end - at >= 2) {
		uint32_t count = at[0], code = at[1];
		bool literal = count == 0 && code > 2;
		const uint8_t *indices = literal ? at + 2 : at + 1;

		at += 2;
		if (count == 0 && code == 1)
			return 0;
		if (count == 0 && code == 0) {
			x = 0;
			y++;
			continue;
		}
		if (count == 0 && code == 2) {
			if (b->end - at < 2)
				break;
			x += at[0];
			y += at[1];
			at += 2;
			continue;
		}
		if (literal) {
			count = code;
			/* Padded to an even number of bytes. */
			at += four ? (count + 3) / 4 * 2 : (count + 1) / 2 * 2;
			if (at > b->end)
				break;
		}
		if (y >= b->height || x + count > b->width)
			return image_fail(file, -EINVAL, "a BMP file with a run beyond its rows");
		for (uint32_t i = 0; i < count; i++, x++) {
			uint8_t byte = literal ? indices[four ? i / 2 : i] : indices[0];
			uint32_t index = !four ? byte : i % 2 ? byte & 15 : byte >> 4;
			int err = set_colour(file, b, index, row_of(b, image, y) + 3 * x);

			if (err)
				return err;
		}
	}
	return image_fail(file, -EINVAL, "a BMP file that ends within its runs");
}

int image_decode_bmp(struct image_file *file, struct image *image)
{
	struct bmp b;
	int err = read_headers(file, &b);

	*image = (struct image){0};
	if (!err)
		err = image_create(file, image, b.width, b.height);
	if (!err)
		err = b.compression == BI_RLE8 || b.compression == BI_RLE4 ? read_runs(file, &b, image)
									   : read_rows(file, &b, image);
	if (err)
		image_finish(image);
	return err;
}
