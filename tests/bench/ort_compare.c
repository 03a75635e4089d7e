// SPDX-License-Identifier: MIT
/*
 * The CPU backend beside ONNX Runtime: the same model, the same inputs, one process, run in turn.
 *
 *	ORT_LIB=…/libonnxruntime.so.1 ort_compare [--threads N] [--rounds N] [--dim NAME=SIZE]… MODEL…
 *
 * The library comes with `npm pack onnxruntime-node@1.30.0` (package/bin/napi-v6/linux/x64 in the archive). Without
 * --threads: one thread, then two. Printed for each model and number of threads:
 *
 *	time	medians of --rounds runs (default 15), each after one run that is not counted and, with several threads,
 *		after the other's idle threads have gone to sleep
 *	cpu	the same as processor time, with one thread only: what other processes do to the machine is not in it
 *	first	from opening the file to the first answer, compiling included, the median of three new processes
 *	memory	peak resident memory of such a process after four runs
 *
 * Exit code 1 when the outputs differ by more than 1 % of their largest value, 2 when something can not be run.
 */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <accel/runtime.h>

#include "tests/models/ort.h"

#define MAX_DIMS_GIVEN 16
#define MAX_ROUNDS 1000
#define STARTS 3
/*
 * ONNX Runtime's idle threads look for work before they sleep: 50 ms and more where the processor's pause is long, on the
 * processor that the other's thread needs.
 */
#define PAUSE_NS 10000000
#define PAUSES 100

struct options {
	int threads; /* 0: one, then two */
	int rounds;
	const char *library;
	const char *dim[MAX_DIMS_GIVEN + 1]; /* NAME=SIZE, NULL-terminated */
};

enum backend { AXL, ORT, BACKENDS };

/* One model opened by one backend, or by both for the comparison. */
struct run {
	const struct options *options;
	const char *model;
	int threads;
	struct accel_session *session;
	struct ort *ort;
	size_t num_inputs, num_outputs;
	struct array *inputs, *ort_outputs;
	struct accel_tensor *views, *outputs;
};

/* What a child process tells; plain numbers through a pipe. */
struct start {
	double first_ms, peak_mb;
};

struct speed {
	double wall_ms[BACKENDS], cpu_ms[BACKENDS];
	double difference; /* of the outputs, as part of the largest value */
};

static double now_ms(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, int count)
{
	qsort(values, (size_t)count, sizeof(*values), by_value);
	return values[count / 2];
}

/* ---- running one backend ---- */

static int open_axl(struct run *run)
{
	char name[MAX_DIMS_GIVEN][ARRAY_NAME_SIZE], error[512];
	const char *names[MAX_DIMS_GIVEN];
	int64_t sizes[MAX_DIMS_GIVEN];
	struct accel_session_options options = {.cache = "off",
						.device = "cpu",
						.threads = (unsigned int)run->threads,
						.dim_names = names,
						.dim_sizes = sizes};
	int err;

	for (; run->options->dim[options.num_dims]; options.num_dims++) {
		const char *text = run->options->dim[options.num_dims], *equals = strrchr(text, '=');

		if (!equals)
			return fprintf(stderr, "--dim is NAME=SIZE, not %s\n", text), -EINVAL;
		snprintf(name[options.num_dims], sizeof(name[0]), "%.*s", (int)(equals - text), text);
		names[options.num_dims] = name[options.num_dims];
		sizes[options.num_dims] = strtoll(equals + 1, NULL, 0);
	}
	err = accel_session_create(run->model, &options, &run->session, error, sizeof(error));
	if (err)
		fprintf(stderr, "%s\n", error);
	return err;
}

static int open_ort(struct run *run)
{
	struct ort_options options = {.threads = run->threads, .dim = run->options->dim};
	int err = ort_create(&run->ort, run->options->library, run->model, &options);

	if (err)
		fprintf(stderr, "ONNX Runtime: %s\n", ort_error(run->ort));
	return err;
}

static int run_axl(struct run *run)
{
	char error[512];
	int err;

	for (size_t i = 0; i < run->num_outputs; i++)
		run->outputs[i] = (struct accel_tensor){0};
	err = accel_session_run(run->session, run->views, run->num_inputs, run->outputs, run->num_outputs, error,
				sizeof(error));
	if (err)
		fprintf(stderr, "%s\n", error);
	return err;
}

static int run_ort(struct run *run)
{
	int err;

	for (size_t i = 0; i < run->num_outputs; i++)
		array_finish(&run->ort_outputs[i]);
	err = ort_run(run->ort, run->inputs, run->ort_outputs);
	if (err)
		fprintf(stderr, "ONNX Runtime: %s\n", ort_error(run->ort));
	return err;
}

static int (*const open_backend[])(struct run *run) = {open_axl, open_ort};
static int (*const run_backend[])(struct run *run) = {run_axl, run_ort};

static void close_run(struct run *run)
{
	for (size_t i = 0; run->inputs && i < run->num_inputs; i++)
		array_finish(&run->inputs[i]);
	for (size_t i = 0; run->ort_outputs && i < run->num_outputs; i++)
		array_finish(&run->ort_outputs[i]);
	accel_session_destroy(run->session);
	ort_destroy(run->ort);
	free(run->inputs);
	free(run->ort_outputs);
	free(run->views);
	free(run->outputs);
}

/* Floats in [-1, 1), other numbers 0 and 1 in turn (indices must exist). The same for both backends. */
static int fill_input(struct array *input)
{
	int err = array_allocate(input);

	for (uint64_t i = 0; !err && i < input->elements; i++)
		array_set_element(input, i,
				  input->type == ARRAY_FLOAT || input->type == ARRAY_DOUBLE ? drand48() * 2 - 1
											    : (double)(i % 2));
	return err;
}

static int axl_input_info(const struct run *run, size_t index, struct array *input)
{
	struct accel_value_info info;
	int err = accel_session_input(run->session, index, &info);

	*input = (struct array){.type = info.dtype, .ndim = (size_t)info.rank};
	if (!err && info.rank > ARRAY_MAX_DIMS)
		return -ENOTSUP;
	for (int i = 0; !err && i < info.rank; i++)
		input->dim[i] = info.dims[i] < 0 ? 1 : info.dims[i];
	return err;
}

/* Inputs as either backend describes them, the other's count must agree. */
static int make_inputs(struct run *run)
{
	run->num_inputs = run->session ? accel_session_num_inputs(run->session) : ort_inputs(run->ort);
	run->num_outputs = run->session ? accel_session_num_outputs(run->session) : ort_outputs(run->ort);
	run->inputs = calloc(run->num_inputs + 1, sizeof(*run->inputs));
	run->views = calloc(run->num_inputs + 1, sizeof(*run->views));
	run->outputs = calloc(run->num_outputs + 1, sizeof(*run->outputs));
	run->ort_outputs = calloc(run->num_outputs + 1, sizeof(*run->ort_outputs));
	if (!run->inputs || !run->views || !run->outputs || !run->ort_outputs)
		return -ENOMEM;
	if (run->ort && (ort_inputs(run->ort) != run->num_inputs || ort_outputs(run->ort) != run->num_outputs))
		return fprintf(stderr, "%s: the backends see different inputs or outputs\n", run->model), -EINVAL;
	srand48(1);
	for (size_t i = 0; i < run->num_inputs; i++) {
		struct array *input = &run->inputs[i];
		int err = run->session ? axl_input_info(run, i, input) : ort_input_info(run->ort, i, input);

		if (!err)
			err = fill_input(input);
		if (err)
			return fprintf(stderr, "%s: input %zu can not be made: %s\n", run->model, i, strerror(-err)),
			       err;
		run->views[i] = (struct accel_tensor){
			.dtype = input->type, .rank = (int32_t)input->ndim, .data = input->data, .size = input->size};
		memcpy(run->views[i].dims, input->dim, input->ndim * sizeof(*input->dim));
	}
	return 0;
}

/* ---- what a child measures ---- */

static double peak_mb(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[256];
	double kb = NAN;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "VmHWM: %lf", &kb) == 1)
			break;
	if (file)
		fclose(file);
	return kb / 1024;
}

static int measure_start(struct run *run, enum backend backend, struct start *start)
{
	double begin = now_ms(CLOCK_MONOTONIC);
	int err = open_backend[backend](run);

	if (!err)
		err = make_inputs(run);
	if (!err)
		err = run_backend[backend](run);
	start->first_ms = now_ms(CLOCK_MONOTONIC) - begin;
	for (int i = 0; i < 3 && !err; i++)
		err = run_backend[backend](run);
	start->peak_mb = peak_mb();
	return err;
}

static double largest_difference(struct run *run)
{
	double largest = 0;

	for (size_t i = 0; i < run->num_outputs; i++) {
		struct array *peer = &run->ort_outputs[i];
		struct array own = {
			.type = run->outputs[i].dtype, .data = run->outputs[i].data, .elements = peer->elements};
		double scale = 1e-3, difference = 0; /* smaller values are as good as zero */

		if (own.type != peer->type || run->outputs[i].size != peer->size)
			return INFINITY;
		for (uint64_t j = 0; j < peer->elements; j++) {
			double x = array_element(&own, j), y = array_element(peer, j);

			scale = fmax(scale, fabs(y));
			difference = isnan(x) != isnan(y) ? INFINITY : fmax(difference, fabs(x - y));
		}
		largest = fmax(largest, difference / scale);
	}
	return largest;
}

/* Until all threads of this process sleep: it needs less than a tenth of a processor. */
static int wait_until_idle(void)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};

	for (int i = 0; i < PAUSES; i++) {
		double cpu = now_ms(CLOCK_PROCESS_CPUTIME_ID), wall = now_ms(CLOCK_MONOTONIC);

		nanosleep(&pause, NULL);
		cpu = now_ms(CLOCK_PROCESS_CPUTIME_ID) - cpu;
		if (cpu < (now_ms(CLOCK_MONOTONIC) - wall) / 10)
			return 0;
	}
	fprintf(stderr, "threads that do not sleep when there is nothing to do\n");
	return -EBUSY;
}

static int measure_speed(struct run *run, struct speed *speed)
{
	double wall[BACKENDS][MAX_ROUNDS], cpu[BACKENDS][MAX_ROUNDS];
	int err = open_axl(run);

	if (!err)
		err = open_ort(run);
	if (!err)
		err = make_inputs(run);
	for (int i = 0; i < run->options->rounds && !err; i++)
		for (enum backend b = AXL; b < BACKENDS && !err; b++) {
			if (run->threads > 1)
				err = wait_until_idle();
			if (!err)
				err = run_backend[b](run);
			wall[b][i] = now_ms(CLOCK_MONOTONIC);
			cpu[b][i] = now_ms(CLOCK_PROCESS_CPUTIME_ID);
			if (!err)
				err = run_backend[b](run);
			wall[b][i] = now_ms(CLOCK_MONOTONIC) - wall[b][i];
			cpu[b][i] = now_ms(CLOCK_PROCESS_CPUTIME_ID) - cpu[b][i];
		}
	if (err)
		return err;
	for (enum backend b = AXL; b < BACKENDS; b++) {
		speed->wall_ms[b] = median(wall[b], run->options->rounds);
		speed->cpu_ms[b] = median(cpu[b], run->options->rounds);
	}
	speed->difference = largest_difference(run);
	return 0;
}

/* ---- children ---- */

enum task { START_AXL = AXL, START_ORT = ORT, SPEED };

/* Memory and threads of one measurement must not be the next one's: each has a process of its own. */
static int in_child(const struct options *options, const char *model, int threads, enum task task, void *result,
		    size_t size)
{
	int ends[2], status = 0;
	pid_t child;
	ssize_t got;

	if (pipe(ends))
		return -errno;
	fflush(NULL);
	child = fork();
	if (child == 0) {
		struct run run = {.options = options, .model = model, .threads = threads};
		int err = task == SPEED ? measure_speed(&run, result) : measure_start(&run, (enum backend)task, result);

		if (!err && write(ends[1], result, size) != (ssize_t)size)
			err = -EIO;
		close_run(&run);
		_exit(err ? 1 : 0);
	}
	close(ends[1]);
	got = child < 0 ? -1 : read(ends[0], result, size);
	close(ends[0]);
	if (child > 0)
		waitpid(child, &status, 0);
	return got == (ssize_t)size && !status ? 0 : -EIO;
}

static int measure_starts(const struct options *options, const char *model, int threads, struct start *medians)
{
	double first[BACKENDS][STARTS], peak[BACKENDS][STARTS];

	for (int i = 0; i < STARTS; i++)
		for (enum backend b = AXL; b < BACKENDS; b++) {
			struct start start;
			int err = in_child(options, model, threads, (enum task)b, &start, sizeof(start));

			if (err)
				return err;
			first[b][i] = start.first_ms;
			peak[b][i] = start.peak_mb;
		}
	for (enum backend b = AXL; b < BACKENDS; b++)
		medians[b] = (struct start){median(first[b], STARTS), median(peak[b], STARTS)};
	return 0;
}

/* The last folder and the file, or the file alone: "resnet50/model.onnx". */
static const char *short_name(const char *path)
{
	const char *name = path + strlen(path);

	for (int slashes = 0; name > path; name--)
		if (name[-1] == '/' && ++slashes == 2)
			break;
	return name;
}

static int compare(const struct options *options, const char *model, int threads)
{
	struct start start[BACKENDS];
	struct speed speed;
	int err = in_child(options, model, threads, SPEED, &speed, sizeof(speed));

	if (!err)
		err = measure_starts(options, model, threads, start);
	if (err) {
		printf("%-28s %d  can not be measured\n", short_name(model), threads);
		return 2;
	}
	printf("%-28s %d %9.2f %9.2f %6.2f", short_name(model), threads, speed.wall_ms[AXL], speed.wall_ms[ORT],
	       speed.wall_ms[AXL] / speed.wall_ms[ORT]);
	if (threads == 1)
		printf(" %6.2f", speed.cpu_ms[AXL] / speed.cpu_ms[ORT]);
	else
		printf("      -");
	printf(" %8.1f %8.1f %6.2f %8.1f %8.1f %6.2f  %.0e\n", start[AXL].first_ms, start[ORT].first_ms,
	       start[AXL].first_ms / start[ORT].first_ms, start[AXL].peak_mb, start[ORT].peak_mb,
	       start[AXL].peak_mb / start[ORT].peak_mb, speed.difference);
	return speed.difference <= 0.01 ? 0 : 1;
}

static int usage(void)
{
	fprintf(stderr, "usage: ORT_LIB=libonnxruntime.so.1 ort_compare [--threads N] [--rounds N] [--dim NAME=SIZE]… "
			"MODEL…\nThe library is in the archive that `npm pack onnxruntime-node@1.30.0` fetches.\n");
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {{"threads", required_argument, NULL, 't'},
					      {"rounds", required_argument, NULL, 'r'},
					      {"dim", required_argument, NULL, 'D'},
					      {0}};
	struct options options = {.rounds = 15, .library = getenv("ORT_LIB")};
	int option, dims = 0, worst = 0;

	while ((option = getopt_long(argc, argv, "t:r:D:", longs, NULL)) != -1) {
		if (option == 't')
			options.threads = atoi(optarg);
		else if (option == 'r')
			options.rounds = atoi(optarg);
		else if (option == 'D' && dims < MAX_DIMS_GIVEN)
			options.dim[dims++] = optarg;
		else
			return usage();
	}
	if (!options.library || optind == argc || options.threads < 0 || options.rounds < 1 ||
	    options.rounds > MAX_ROUNDS)
		return usage();
	printf("%-28s %s %9s %9s %6s %6s %8s %8s %6s %8s %8s %6s  %s\n", "model", "t", "axl ms", "ort ms", "time",
	       "cpu", "first", "ort", "ratio", "peak MB", "ort", "ratio", "difference");
	for (; optind < argc; optind++)
		for (int threads = options.threads ? options.threads : 1;
		     threads <= (options.threads ? options.threads : 2); threads++) {
			int code = compare(&options, argv[optind], threads);

			fflush(stdout);
			worst = code > worst ? code : worst;
		}
	return worst;
}
