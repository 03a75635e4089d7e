// SPDX-License-Identifier: MIT
/*
 * Signal processing: DFT, STFT, MelWeightMatrix and the windows (Hann, Hamming, Blackman).
 *
 * All compute in double and round once to the tensor's type. A complex tensor is one whose last dimension has 2 elements,
 * real and imaginary part; 1 means real.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/fft.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/shape_rules.h"
#include "runtime/cpu/strided_copy.h"
#include "runtime/cpu/work_type.h"

/* ---- lines: what DFT and STFT have in common ---- */

/*
 * struct line_job - transform many lines of double
 * @components:  1 or 2 doubles a number, of the input and of the output
 * @count_in:    numbers read of a line; the rest up to the plan's length is zero
 * @count_out:   numbers written
 * @length:      of the transform
 * @symmetric:   the input is half of a spectrum: the other half is its mirrored conjugate
 * @window:      factors for the input, or NULL; @rounds: their products are float32
 * @place:       where line @line begins and how far its numbers are apart, in numbers
 */
struct line_job {
	const struct fft *plan;
	const double *in, *window;
	double *out;
	int64_t components_in, components_out;
	int64_t count_in, count_out, length;
	double scale;
	bool symmetric, rounds;
	bool failed;
	void (*place)(const struct line_job *job, int64_t line, int64_t *in, int64_t *in_step, int64_t *out,
		      int64_t *out_step);
	int64_t inner, axis_in, frames, frame_step, signal;
};

static void read_line(const struct line_job *job, const double *in, int64_t step, struct fft_number *x)
{
	int64_t c = job->components_in;

	for (int64_t k = 0; k < job->count_in; k++) {
		double weight = job->window ? job->window[k] : 1;
		struct fft_number product = {in[k * step * c] * weight, c == 2 ? in[k * step * c + 1] * weight : 0};

		/* The standard weighs the signal before it transforms it: in the signal's type. */
		x[k] = job->rounds ? (struct fft_number){(float)product.re, (float)product.im} : product;
	}
	memset(x + job->count_in, 0, (size_t)(job->length - job->count_in) * sizeof(*x));
	if (!job->symmetric)
		return;
	/* The first number, and the middle one of an even length, have no imaginary part in a real signal's spectrum. */
	x[0].im = 0;
	if (job->length % 2 == 0)
		x[job->length / 2].im = 0;
	for (int64_t k = job->length / 2 + 1; k < job->length; k++)
		x[k] = (struct fft_number){x[job->length - k].re, -x[job->length - k].im};
}

static void transform_lines(void *arg, int64_t begin, int64_t end)
{
	struct line_job *job = arg;
	int64_t n = job->length;
	struct fft_number *x = malloc((size_t)(2 * n + fft_work_size(job->plan)) * sizeof(*x));

	if (!x) {
		__atomic_store_n(&job->failed, true, __ATOMIC_RELAXED);
		return;
	}
	for (int64_t line = begin; line < end; line++) {
		int64_t in, in_step, out, out_step;
		const struct fft_number *y = x + n;

		job->place(job, line, &in, &in_step, &out, &out_step);
		read_line(job, job->in + in * job->components_in, in_step, x);
		fft_run(job->plan, x, x + n, x + 2 * n);
		for (int64_t k = 0; k < job->count_out; k++) {
			double *to = job->out + (out + k * out_step) * job->components_out;

			to[0] = y[k].re * job->scale;
			if (job->components_out == 2)
				to[1] = y[k].im * job->scale;
		}
	}
	free(x);
}

static int run_lines(struct op_call *call, struct line_job *job, bool inverse, int64_t lines)
{
	struct fft *plan;
	int err = fft_create(job->length, inverse, &plan);

	if (err)
		return op_fail(call, err, "%s: a transform of length %" PRId64 " %s", call->node->op_type, job->length,
			       err == -EINVAL ? "is not possible" : "needs more memory than there is");
	job->plan = plan;
	parallel_range(call->pool, lines, PARALLEL_GRAIN / 8 / job->length + 1, transform_lines, job);
	fft_destroy(plan);
	return job->failed ? op_fail(call, -ENOMEM, "%s: no memory for a line", call->node->op_type) : 0;
}

/* ---- DFT ---- */

/* Line = (outer, inner) of a tensor seen as [outer, axis, inner, components]. */
static void place_axis(const struct line_job *job, int64_t line, int64_t *in, int64_t *in_step, int64_t *out,
		       int64_t *out_step)
{
	int64_t outer = line / job->inner, inner = line % job->inner;

	*in = outer * job->axis_in * job->inner + inner;
	*out = outer * job->count_out * job->inner + inner;
	*in_step = *out_step = job->inner;
}

/* The axis: an attribute in opset 17, input 2 since 20. The last dimension holds the components and is no axis. */
static int dft_axis(struct op_call *call, int64_t *axis)
{
	const struct tensor *in = call->inputs[0];
	int64_t given;
	int err = 0;

	if (call->node->opset < 20)
		given = op_attr_int(call->node, "axis", 1);
	else
		err = op_input_scalar(call, 2, -2, &given);
	if (err)
		return err;
	if (in->rank < 2 || (in->dims[in->rank - 1] != 1 && in->dims[in->rank - 1] != 2))
		return op_fail(call, -EINVAL, "DFT: the last dimension of input 0 is neither 1 (real) nor 2 (complex)");
	*axis = given;
	if (normalize_axis(axis, in->rank) || *axis == in->rank - 1)
		return op_fail(call, -EINVAL, "DFT: axis %" PRId64 " is no signal axis of an input of rank %d", given,
			       in->rank);
	return 0;
}

/* Lengths and components of the forms: whole, one-sided forward (real to half a spectrum), one-sided inverse (back). */
static int dft_form(struct op_call *call, struct line_job *job, int64_t axis, bool inverse)
{
	const struct tensor *in = call->inputs[0];
	bool onesided = op_attr_int(call->node, "onesided", 0) != 0;
	int64_t used, length;
	int err;

	job->axis_in = in->dims[axis];
	job->components_in = in->dims[in->rank - 1];
	job->symmetric = onesided && inverse;
	if (onesided && !inverse && job->components_in != 1)
		return op_fail(call, -EINVAL, "DFT: attribute onesided = 1 with a complex input 0");
	if (job->symmetric && job->components_in != 2)
		return op_fail(call, -EINVAL, "DFT: attributes onesided = 1 and inverse = 1 with a real input 0");
	err = op_input_scalar(call, 1, job->symmetric ? 2 * (job->axis_in - 1) : job->axis_in, &length);
	if (err)
		return err;
	if (length < 1)
		return op_fail(call, -EINVAL, "DFT: a transform of length %" PRId64, length);
	job->length = length;
	used = job->symmetric ? length / 2 + 1 : length;
	job->count_in = job->axis_in < used ? job->axis_in : used;
	job->count_out = onesided && !inverse ? length / 2 + 1 : length;
	job->components_out = job->symmetric ? 1 : 2;
	job->scale = inverse ? 1.0 / (double)length : 1;
	return 0;
}

static int run_dft(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	bool inverse = op_attr_int(call->node, "inverse", 0) != 0;
	struct line_job job = {.place = place_axis};
	struct tensor wide = {0}, work = {0};
	int64_t axis, dims[TENSOR_MAX_RANK], outer;
	int err;

	if (!op_wanted(call, 0))
		return 0;
	err = dft_axis(call, &axis);
	if (!err)
		err = dft_form(call, &job, axis, inverse);
	if (err)
		return err;
	memcpy(dims, in->dims, sizeof(dims));
	dims[axis] = job.count_out;
	dims[in->rank - 1] = job.components_out;
	outer = dims_count((int)axis, dims);
	job.inner = dims_count(in->rank - (int)axis - 2, dims + axis + 1);
	err = op_input_float(call, 0, DTYPE_F64, &wide);
	if (!err && tensor_init(&work, DTYPE_F64, in->rank, dims))
		err = op_fail(call, -ENOMEM, "DFT: no memory for a transform of length %" PRId64, job.length);
	if (!err && tensor_count(&work) > 0) {
		job.in = wide.data;
		job.out = work.data;
		err = run_lines(call, &job, inverse, outer * job.inner);
	}
	if (!err)
		err = op_output_cast(call, 0, in->dtype, &work);
	tensor_finish(&wide);
	tensor_finish(&work);
	return err;
}

/* ---- STFT ---- */

/* Line = (batch, frame) of a signal [batch, signal, components]. */
static void place_frame(const struct line_job *job, int64_t line, int64_t *in, int64_t *in_step, int64_t *out,
			int64_t *out_step)
{
	*in = line / job->frames * job->signal + line % job->frames * job->frame_step;
	*out = line * job->count_out;
	*in_step = *out_step = 1;
}

static int stft_form(struct op_call *call, struct line_job *job)
{
	const struct tensor *in = call->inputs[0], *window = op_input(call, 2);
	bool onesided = op_attr_int(call->node, "onesided", 1) != 0;
	int64_t length, fallback;
	int err;

	if (in->rank != 2 && (in->rank != 3 || (in->dims[2] != 1 && in->dims[2] != 2)))
		return op_fail(call, -EINVAL, "STFT: input 0 of rank %d is no signal of shape [batch, length, 1 or 2]",
			       in->rank);
	if (window && (window->rank != 1 || window->dtype != in->dtype))
		return op_fail(call, -EINVAL, "STFT: the window (input 2) is %s of rank %d, expected %s of rank 1",
			       dtype_name(window->dtype), window->rank, dtype_name(in->dtype));
	job->signal = in->dims[1];
	job->components_in = in->rank == 3 ? in->dims[2] : 1;
	fallback = window ? window->dims[0] : job->signal;
	err = op_input_scalar(call, 1, 0, &job->frame_step);
	if (!err)
		err = op_input_scalar(call, 3, fallback, &length);
	if (err)
		return err;
	if (job->frame_step < 1)
		return op_fail(call, -EINVAL, "STFT: frame_step (input 1) is %" PRId64, job->frame_step);
	if (length < 1 || length > job->signal)
		return op_fail(call, -EINVAL, "STFT: frames of %" PRId64 " samples in a signal of %" PRId64, length,
			       job->signal);
	if (window && window->dims[0] != length)
		return op_fail(call, -EINVAL, "STFT: the window (input 2) has %" PRId64 " elements, a frame %" PRId64,
			       window->dims[0], length);
	if (onesided && job->components_in == 2)
		return op_fail(call, -EINVAL, "STFT: attribute onesided = 1 with a complex input 0");
	job->frames = 1 + (job->signal - length) / job->frame_step;
	job->length = job->count_in = length;
	job->count_out = onesided ? length / 2 + 1 : length;
	job->components_out = 2;
	job->scale = 1;
	return 0;
}

static int run_stft(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	struct tensor wide = {0}, window = {0}, work = {0};
	struct line_job job = {.place = place_frame};
	int err;

	if (!op_wanted(call, 0))
		return 0;
	err = stft_form(call, &job);
	if (!err)
		err = op_input_float(call, 0, DTYPE_F64, &wide);
	if (!err && op_input(call, 2))
		err = op_input_float(call, 2, DTYPE_F64, &window);
	if (!err && tensor_init(&work, DTYPE_F64, 4, (int64_t[]){in->dims[0], job.frames, job.count_out, 2}))
		err = op_fail(call, -ENOMEM, "STFT: no memory for %" PRId64 " frames", job.frames);
	if (!err && tensor_count(&work) > 0) {
		job.in = wide.data;
		job.window = window.data;
		job.rounds = window.data && in->dtype != DTYPE_F64;
		job.out = work.data;
		err = run_lines(call, &job, false, in->dims[0] * job.frames);
	}
	if (!err)
		err = op_output_cast(call, 0, in->dtype, &work);
	tensor_finish(&wide);
	tensor_finish(&window);
	tensor_finish(&work);
	return err;
}

/* ---- windows ---- */

/* The type that the attribute output_datatype names: any number. */
static int output_type(struct op_call *call, enum dtype *type)
{
	int64_t number = op_attr_int(call->node, "output_datatype", DTYPE_F32);

	*type = (enum dtype)number;
	if (number < 0 || number > INT32_MAX || (!dtype_is_float(*type) && !dtype_is_integer(*type)))
		return op_fail(call, -EINVAL, "%s: attribute output_datatype = %" PRId64 " is no number type",
			       call->node->op_type, number);
	return 0;
}

/*
 * w[n] = a0 - a1 cos(2 pi n / N) + a2 cos(4 pi n / N), N being the size for a periodic window and one less for a symmetric
 * one (ONNX, HannWindow, HammingWindow and BlackmanWindow; the coefficients are those of their function bodies).
 */
static int run_window(struct op_call *call, double a0, double a1, double a2)
{
	bool periodic = op_attr_int(call->node, "periodic", 1) != 0;
	struct tensor work;
	enum dtype type;
	int64_t size;
	double *w;
	int err;

	if (!op_wanted(call, 0))
		return 0;
	err = output_type(call, &type);
	if (!err)
		err = op_input_scalar(call, 0, 0, &size);
	if (err)
		return err;
	if (size < 0)
		return op_fail(call, -EINVAL, "%s: size (input 0) is %" PRId64, call->node->op_type, size);
	err = tensor_init(&work, DTYPE_F64, 1, &size);
	if (err)
		return op_fail(call, err, "%s: no memory for %" PRId64 " elements", call->node->op_type, size);
	w = work.data;
	for (int64_t n = 0; n < size; n++) {
		double turn = 6.283185307179586 * (double)n / (double)(periodic ? size : size - 1);

		/* A symmetric window of one element is its middle. */
		w[n] = size == 1 && !periodic ? 1 : a0 - a1 * cos(turn) + a2 * cos(2 * turn);
	}
	err = op_output_cast(call, 0, type, &work);
	tensor_finish(&work);
	return err;
}

static int run_hann(struct op_call *call)
{
	return run_window(call, 0.5, 0.5, 0);
}

static int run_hamming(struct op_call *call)
{
	return run_window(call, 25.0 / 46, 21.0 / 46, 0);
}

static int run_blackman(struct op_call *call)
{
	return run_window(call, 0.42, 0.5, 0.08);
}

/* ---- MelWeightMatrix ---- */

struct mel {
	int64_t num_bins, dft_length, sample_rate;
	double lower, upper;
};

static int real_scalar(struct op_call *call, size_t index, double *value)
{
	struct tensor t;
	int err = op_input_float(call, index, DTYPE_F64, &t);

	if (err)
		return err;
	if (tensor_count(&t) == 1)
		*value = *(const double *)t.data;
	else
		err = op_fail(call, -EINVAL, "%s: input %zu is no scalar", call->node->op_type, index);
	tensor_finish(&t);
	return err;
}

static int read_mel(struct op_call *call, struct mel *mel)
{
	int err = op_input_scalar(call, 0, 0, &mel->num_bins);

	if (!err)
		err = op_input_scalar(call, 1, 0, &mel->dft_length);
	if (!err)
		err = op_input_scalar(call, 2, 0, &mel->sample_rate);
	if (!err)
		err = real_scalar(call, 3, &mel->lower);
	if (!err)
		err = real_scalar(call, 4, &mel->upper);
	if (err)
		return err;
	if (mel->num_bins < 1 || mel->num_bins > INT32_MAX || mel->dft_length < 1 || mel->dft_length > INT32_MAX ||
	    mel->sample_rate < 1)
		return op_fail(call, -EINVAL,
			       "MelWeightMatrix: num_mel_bins = %" PRId64 ", dft_length = %" PRId64
			       ", sample_rate = %" PRId64 " (inputs 0 to 2)",
			       mel->num_bins, mel->dft_length, mel->sample_rate);
	if (!(mel->lower >= 0 && mel->upper >= mel->lower && mel->upper < 1e12))
		return op_fail(call, -EINVAL, "MelWeightMatrix: edges of %g and %g Hz (inputs 3 and 4)", mel->lower,
			       mel->upper);
	return 0;
}

static double to_mel(double hertz)
{
	return 2595 * log10(1 + hertz / 700);
}

/* The bin of the spectrum at edge @i of the num_bins + 2 that lie evenly on the mel scale. */
static int64_t mel_edge(const struct mel *mel, int64_t i)
{
	double low = to_mel(mel->lower), step = (to_mel(mel->upper) - low) / (double)(mel->num_bins + 2);
	double hertz = 700 * (pow(10, ((double)i * step + low) / 2595) - 1);

	return (int64_t)floor((double)(mel->dft_length + 1) * hertz / (double)mel->sample_rate);
}

/* Triangle @i: up from the left edge to the centre, down to the right one. */
static void fill_mel(const struct mel *mel, int64_t i, int64_t rows, double *out)
{
	int64_t left = mel_edge(mel, i), centre = mel_edge(mel, i + 1), right = mel_edge(mel, i + 2);

	if (left == centre && centre < rows)
		out[centre * mel->num_bins + i] = 1;
	for (int64_t j = left; left < centre && j <= centre && j < rows; j++)
		out[j * mel->num_bins + i] = (double)(j - left) / (double)(centre - left);
	for (int64_t j = centre; j < right && j < rows; j++)
		out[j * mel->num_bins + i] = (double)(right - j) / (double)(right - centre);
}

static int run_mel(struct op_call *call)
{
	struct tensor work;
	enum dtype type;
	struct mel mel;
	int64_t rows;
	int err;

	if (!op_wanted(call, 0))
		return 0;
	err = output_type(call, &type);
	if (!err)
		err = read_mel(call, &mel);
	if (err)
		return err;
	rows = mel.dft_length / 2 + 1;
	err = tensor_init(&work, DTYPE_F64, 2, (int64_t[]){rows, mel.num_bins});
	if (err)
		return op_fail(call, err, "MelWeightMatrix: no memory for %" PRId64 " x %" PRId64, rows, mel.num_bins);
	for (int64_t i = 0; i < mel.num_bins; i++)
		fill_mel(&mel, i, rows, work.data);
	err = op_output_cast(call, 0, type, &work);
	tensor_finish(&work);
	return err;
}

const struct op_kernel ops_signal[] = {
	{"", "BlackmanWindow", 17, 0, 1, 1, 1, 1, run_blackman},
	{"", "DFT", 17, 19, 1, 2, 1, 1, run_dft},
	{"", "DFT", 20, 0, 1, 3, 1, 1, run_dft},
	{"", "HammingWindow", 17, 0, 1, 1, 1, 1, run_hamming},
	{"", "HannWindow", 17, 0, 1, 1, 1, 1, run_hann},
	{"", "MelWeightMatrix", 17, 0, 5, 5, 1, 1, run_mel},
	{"", "STFT", 17, 0, 2, 4, 1, 1, run_stft},
};
const size_t ops_signal_count = sizeof(ops_signal) / sizeof(ops_signal[0]);
