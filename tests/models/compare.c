/* SPDX-License-Identifier: MIT */
/*
 * axl-compare-ort: what ONNX Runtime answers.
 *
 * Runs a model on inputs from a data set or on seeded random ones, says what the outputs look like, writes both as a
 * data set in the ONNX backend test form, and compares with the expected outputs of a data set.  ONNX Runtime is loaded
 * from $ORT_LIB.  Exit: 0 good, 1 outputs differ, 2 bad usage or model, 3 ORT_LIB is not set.
 */
#include "ort.h"
#include "prng.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { EXIT_GOOD, EXIT_DIFFER, EXIT_USAGE, EXIT_NO_LIBRARY, MAX_DIM_OPTIONS = 32 };
enum { IMAGE_LEAST = 16, IMAGE_PATCHES = 4 };

struct range {
	double low, high;
};

struct job {
	const char *model, *data_set, *write_to;
	struct ort_options options;
	const char *dim[MAX_DIM_OPTIONS + 1];
	uint64_t seed;
	struct range floats, integers;
	double rtol, atol;
	struct ort *ort;
	struct array *input, *output;
	bool differ;
};

static int complain(const char *what, const char *why)
{
	fprintf(stderr, "axl-compare-ort: %s: %s\n", what, why);
	return EXIT_USAGE;
}

/* -- inputs -- */

static bool is_float(int type)
{
	return type == ARRAY_FLOAT || type == ARRAY_DOUBLE || type == ARRAY_FLOAT16 || type == ARRAY_BFLOAT16;
}

/*
 * A random image is patches of one grey level with noise on top, a quarter of the amplitude: noise alone averages out
 * on its way to a classifier, whose answer would then be the same for every seed and hide errors of position.
 */
static double patch_uniform(const struct array *tensor, uint64_t stream, uint64_t index)
{
	uint64_t height = (uint64_t)tensor->dim[2], width = (uint64_t)tensor->dim[3];
	uint64_t x = index % width, y = index / width % height, plane = index / width / height;
	uint64_t patch =
		(plane * IMAGE_PATCHES + y * IMAGE_PATCHES / height) * IMAGE_PATCHES + x * IMAGE_PATCHES / width;

	return 0.75 * prng_uniform(~stream, patch) + 0.25 * prng_uniform(stream, index);
}

/* Floats in [low, high); integers uniform from low to high, both included; bool a coin. */
static void fill_random(const struct job *job, struct array *tensor)
{
	uint64_t stream = prng_stream(job->seed, tensor->name, strlen(tensor->name));
	struct range range = is_float(tensor->type) ? job->floats : job->integers;
	bool image = is_float(tensor->type) && tensor->ndim == 4 && tensor->dim[2] >= IMAGE_LEAST &&
		     tensor->dim[3] >= IMAGE_LEAST;

	if (tensor->type == ARRAY_BOOL)
		range = (struct range){0, 1};
	if (!is_float(tensor->type))
		range.high += 1;
	for (uint64_t i = 0; i < tensor->elements; i++) {
		double uniform = image ? patch_uniform(tensor, stream, i) : prng_uniform(stream, i);
		double number = range.low + (range.high - range.low) * uniform;

		array_set_element(tensor, i, is_float(tensor->type) ? number : floor(number));
	}
}

static int make_inputs(struct job *job)
{
	for (size_t i = 0; i < ort_inputs(job->ort); i++) {
		struct array *tensor = &job->input[i];

		if (ort_input_info(job->ort, i, tensor))
			return complain(job->model, ort_error(job->ort));
		if (array_allocate(tensor))
			return complain(tensor->name, "too large");
		fill_random(job, tensor);
	}
	return EXIT_GOOD;
}

static size_t input_named(const struct job *job, const char *name, size_t otherwise)
{
	for (size_t i = 0; i < ort_inputs(job->ort); i++)
		if (!strcmp(name, ort_input_name(job->ort, i)))
			return i;
	return otherwise;
}

/* input_N.pb goes to the input of its name, without one to input N; a missing file leaves an optional input unfed. */
static int read_inputs(struct job *job)
{
	for (size_t i = 0; i < ort_inputs(job->ort); i++) {
		struct array tensor;
		char path[PATH_MAX];
		size_t slot;
		int error;

		snprintf(path, sizeof(path), "%s/input_%zu.pb", job->data_set, i);
		error = array_read(&tensor, path);
		if (error == -ENOENT)
			continue;
		if (error)
			return complain(path, strerror(-error));
		slot = input_named(job, tensor.name, i);
		array_finish(&job->input[slot]);
		job->input[slot] = tensor;
	}
	return EXIT_GOOD;
}

/* -- outputs -- */

static void print_shape(const struct array *tensor)
{
	printf("%s[", array_type_name(tensor->type));
	for (size_t i = 0; i < tensor->ndim; i++)
		printf("%s%lld", i ? "," : "", (long long)tensor->dim[i]);
	printf("]");
}

/* One line an output, fields separated by tabs; three_way.sh reads maxabs. */
static void describe(size_t index, const struct array *tensor)
{
	double low = INFINITY, high = -INFINITY, sum = 0, squares = 0, largest = 0;
	uint64_t bad = 0, finite;

	for (uint64_t i = 0; i < tensor->elements; i++) {
		double number = array_element(tensor, i);

		if (!isfinite(number)) {
			bad++;
			continue;
		}
		low = fmin(low, number);
		high = fmax(high, number);
		largest = fmax(largest, fabs(number));
		sum += number;
		squares += number * number;
	}
	finite = tensor->elements - bad;
	sum /= finite ? (double)finite : 1;
	squares /= finite ? (double)finite : 1;
	printf("output\t%zu\t%s\t", index, tensor->name);
	print_shape(tensor);
	printf("\tmin %.6g\tmax %.6g\tmean %.6g\tstd %.6g\tnonfinite %llu\tmaxabs %.9g\n", low, high, sum,
	       sqrt(fmax(0, squares - sum * sum)), (unsigned long long)bad, largest);
}

static bool same_shape(const struct array *a, const struct array *b)
{
	return a->type == b->type && a->ndim == b->ndim && !memcmp(a->dim, b->dim, a->ndim * sizeof(*a->dim));
}

/* |got - want| <= atol + rtol |want| for every element; NaN equals NaN. */
static bool compare(const struct job *job, const struct array *got, const struct array *want)
{
	double worst = 0;
	uint64_t beyond = 0, first = 0;

	if (!same_shape(got, want)) {
		printf("compare\t%s\tDIFFER: ", got->name);
		print_shape(got);
		printf(" instead of ");
		print_shape(want);
		putchar('\n');
		return false;
	}
	for (uint64_t i = 0; i < got->elements; i++) {
		double a = array_element(got, i), b = array_element(want, i), distance = fabs(a - b);

		if (a == b || (isnan(a) && isnan(b)))
			continue;
		if (!(distance <= job->atol + job->rtol * fabs(b)) && !beyond++)
			first = i;
		worst = fmax(worst, distance);
	}
	printf("compare\t%s\t%s: largest difference %.3g, %llu of %llu beyond rtol %g atol %g", got->name,
	       beyond ? "DIFFER" : "same", worst, (unsigned long long)beyond, (unsigned long long)got->elements,
	       job->rtol, job->atol);
	if (beyond)
		printf(", first [%llu] %.9g instead of %.9g", (unsigned long long)first, array_element(got, first),
		       array_element(want, first));
	putchar('\n');
	return !beyond;
}

static int compare_outputs(struct job *job)
{
	size_t compared = 0;

	for (size_t i = 0; i < ort_outputs(job->ort); i++) {
		struct array want;
		char path[PATH_MAX];
		int error;

		snprintf(path, sizeof(path), "%s/output_%zu.pb", job->data_set, i);
		error = array_read(&want, path);
		if (error == -ENOENT)
			continue;
		if (error)
			return complain(path, strerror(-error));
		job->differ |= !compare(job, &job->output[i], &want);
		compared++;
		array_finish(&want);
	}
	if (!compared)
		printf("compare\t-\tno output_N.pb in %s\n", job->data_set);
	return EXIT_GOOD;
}

static int write_tensors(const struct job *job, const char *kind, const struct array *tensor, size_t count)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < count; i++) {
		int error;

		if (!tensor[i].data)
			continue;
		snprintf(path, sizeof(path), "%s/%s_%zu.pb", job->write_to, kind, i);
		error = array_write(&tensor[i], path);
		if (error)
			return complain(path, strerror(-error));
	}
	return EXIT_GOOD;
}

static int write_data_set(const struct job *job)
{
	int code;

	if (mkdir(job->write_to, 0777) && errno != EEXIST)
		return complain(job->write_to, strerror(errno));
	code = write_tensors(job, "input", job->input, ort_inputs(job->ort));
	return code ? code : write_tensors(job, "output", job->output, ort_outputs(job->ort));
}

/* -- the whole -- */

static int run(struct job *job)
{
	int code;

	job->input = calloc(ort_inputs(job->ort) + 1, sizeof(*job->input));
	job->output = calloc(ort_outputs(job->ort) + 1, sizeof(*job->output));
	if (!job->input || !job->output)
		return complain(job->model, "out of memory");
	code = job->data_set ? read_inputs(job) : make_inputs(job);
	if (code)
		return code;
	if (ort_run(job->ort, job->input, job->output))
		return complain(job->model, ort_error(job->ort));
	printf("ONNX Runtime %s\n", ort_version(job->ort));
	for (size_t i = 0; i < ort_outputs(job->ort); i++)
		describe(i, &job->output[i]);
	if (job->write_to)
		code = write_data_set(job);
	if (!code && job->data_set)
		code = compare_outputs(job);
	return code ? code : job->differ ? EXIT_DIFFER : EXIT_GOOD;
}

static void finish(struct job *job)
{
	for (size_t i = 0; job->input && i < ort_inputs(job->ort); i++)
		array_finish(&job->input[i]);
	for (size_t i = 0; job->output && i < ort_outputs(job->ort); i++)
		array_finish(&job->output[i]);
	free(job->input);
	free(job->output);
	ort_destroy(job->ort);
}

static int usage(void)
{
	fputs("usage: ORT_LIB=.../libonnxruntime.so.1 axl-compare-ort [options] MODEL\n"
	      "  --seed N              random inputs of that seed (default 1)\n"
	      "  --range LOW:HIGH      of random floats (default 0:1)\n"
	      "  --int-range LOW:HIGH  of random integers, both included (default 0:9)\n"
	      "  --data-set DIR        inputs from DIR/input_N.pb; compare with DIR/output_N.pb\n"
	      "  --rtol R --atol A     of that comparison (default 1e-3 and 1e-6)\n"
	      "  --write-data-set DIR  write the inputs and ONNX Runtime's outputs there\n"
	      "  --dim NAME=SIZE       size of a symbolic dimension (default 1); repeatable\n"
	      "  --threads N           of ONNX Runtime (default 1)\n"
	      "  --unoptimized         ONNX Runtime rewrites nothing in the graph\n",
	      stderr);
	return EXIT_USAGE;
}

static bool parse_number(const char *text, double *number)
{
	char *end;

	*number = strtod(text, &end);
	return *text && !*end && isfinite(*number);
}

static bool parse_range(const char *text, struct range *range)
{
	char *end;

	range->low = strtod(text, &end);
	return end != text && *end == ':' && parse_number(end + 1, &range->high) && range->high >= range->low;
}

static bool parse_option(struct job *job, int option, const char *text)
{
	char *end = NULL;
	size_t n = 0;
	double number;

	switch (option) {
	case 's':
		job->seed = strtoull(text, &end, 0);
		return *text && !*end;
	case 'r':
		return parse_range(text, &job->floats);
	case 'i':
		return parse_range(text, &job->integers);
	case 'd':
		job->data_set = text;
		return true;
	case 'w':
		job->write_to = text;
		return true;
	case 'R':
		return parse_number(text, &job->rtol) && job->rtol >= 0;
	case 'A':
		return parse_number(text, &job->atol) && job->atol >= 0;
	case 'D':
		while (job->dim[n])
			n++;
		job->dim[n] = n < MAX_DIM_OPTIONS ? text : NULL;
		return n < MAX_DIM_OPTIONS;
	case 't':
		if (!parse_number(text, &number) || number < 1 || number > 1024)
			return false;
		job->options.threads = (int)number;
		return true;
	case 'u':
		job->options.unoptimized = true;
		return true;
	default:
		return false;
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"seed", required_argument, NULL, 's'},
						{"range", required_argument, NULL, 'r'},
						{"int-range", required_argument, NULL, 'i'},
						{"data-set", required_argument, NULL, 'd'},
						{"write-data-set", required_argument, NULL, 'w'},
						{"rtol", required_argument, NULL, 'R'},
						{"atol", required_argument, NULL, 'A'},
						{"dim", required_argument, NULL, 'D'},
						{"threads", required_argument, NULL, 't'},
						{"unoptimized", no_argument, NULL, 'u'},
						{0}};
	struct job job = {.seed = 1, .floats = {0, 1}, .integers = {0, 9}, .rtol = 1e-3, .atol = 1e-6};
	const char *library = getenv("ORT_LIB");
	int option, code;

	job.options.threads = 1;
	job.options.dim = job.dim;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (!parse_option(&job, option, optarg))
			return usage();
	if (argc - optind != 1)
		return usage();
	job.model = argv[optind];
	if (!library || !*library) {
		fputs("axl-compare-ort: ORT_LIB is not set: it names libonnxruntime.so\n", stderr);
		return EXIT_NO_LIBRARY;
	}
	if (ort_create(&job.ort, library, job.model, &job.options))
		code = complain(job.model, ort_error(job.ort));
	else
		code = run(&job);
	finish(&job);
	return code;
}
