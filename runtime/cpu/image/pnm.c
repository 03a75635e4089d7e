// SPDX-License-Identifier: MIT
/*
 * Portable anymaps: PBM, PGM and PPM, plain (P1 to P3) and raw (P4 to P6). Netpbm's pbm(5), pgm(5), ppm(5).
 */
#include <ctype.h>
#include <errno.h>

#include "runtime/cpu/image/image.h"

struct pnm {
	const uint8_t *at, *end;
};

static void skip_blanks(struct pnm *p)
{
	while (p->at < p->end && (isspace(*p->at) || *p->at == '#')) {
		if (*p->at == '#')
			while (p->at < p->end && *p->at != '\n')
				p->at++;
		else
			p->at++;
	}
}

/* The next number of the header or of a plain map, after blanks and comments; -1 at the end or where there is none. */
static int64_t next_number(struct pnm *p)
{
	int64_t value = 0;

	skip_blanks(p);
	if (p->at == p->end || !isdigit(*p->at))
		return -1;
	for (; p->at < p->end && isdigit(*p->at); p->at++)
		value = value > INT32_MAX ? value : value * 10 + (*p->at - '0');
	return value;
}

/* The digits of a plain bitmap need no blanks between them. */
static int64_t next_bit(struct pnm *p)
{
	skip_blanks(p);
	return p->at < p->end && (*p->at == '0' || *p->at == '1') ? *p->at++ - '0' : -1;
}

static int64_t next_raw(struct pnm *p, int bytes)
{
	int64_t value = 0;

	if (p->end - p->at < bytes)
		return -1;
	for (int i = 0; i < bytes; i++)
		value = value << 8 | *p->at++;
	return value;
}

/* A bitmap of eight pixels a byte, rows padded to bytes; 1 is black. */
static int read_raw_bits(struct pnm *p, struct image_file *file, struct image *image)
{
	int64_t row_bytes = (image->width + 7) / 8;

	if (p->end - p->at < row_bytes * image->height)
		return image_fail(file, -EINVAL, "a PBM file that ends within its pixels");
	for (int64_t i = 0; i < image->width * image->height; i++) {
		int64_t x = i % image->width;
		uint8_t bit = p->at[i / image->width * row_bytes + x / 8] >> (7 - x % 8) & 1;

		for (int c = 0; c < 3; c++)
			image->rgb[3 * i + c] = bit ? 0 : 255;
	}
	return 0;
}

static int read_samples(struct pnm *p, struct image_file *file, struct image *image, char kind, int64_t most)
{
	int64_t pixels = image->width * image->height;
	int samples = kind == '3' || kind == '6' ? 3 : 1, bytes = most > 255 ? 2 : 1;

	for (int64_t i = 0; i < pixels; i++)
		for (int c = 0; c < samples; c++) {
			int64_t value = kind == '1' ? next_bit(p) : kind < '4' ? next_number(p) : next_raw(p, bytes);

			if (value < 0 || value > most)
				return image_fail(file, -EINVAL,
						  value < 0 ? "a PNM file that ends within its pixels"
							    : "a PNM file with a sample above its maximum");
			if (kind == '1')
				value = !value;
			/* Rounded to the nearest of 255 steps. */
			value = (value * 255 + most / 2) / most;
			for (int k = c; k < (samples == 1 ? 3 : c + 1); k++)
				image->rgb[3 * i + k] = (uint8_t)value;
		}
	return 0;
}

int image_decode_pnm(struct image_file *file, struct image *image)
{
	struct pnm p = {file->data + 2, file->data + file->size};
	char kind = (char)file->data[1];
	int64_t width = next_number(&p), height = next_number(&p), most = 1;
	int err;

	*image = (struct image){0};
	if (kind != '1' && kind != '4')
		most = next_number(&p);
	if (width < 0 || height < 0 || most < 1 || most > 65535)
		return image_fail(file, -EINVAL, "a PNM file without width, height or maximum");
	err = image_create(file, image, width, height);
	if (err)
		return err;
	/* One blank ends the header of a raw map. */
	if (kind >= '4' && p.at < p.end)
		p.at++;
	err = kind == '4' ? read_raw_bits(&p, file, image) : read_samples(&p, file, image, kind, most);
	if (err)
		image_finish(image);
	return err;
}
