/* SPDX-License-Identifier: MIT */
/* Quantization of small float graphs: what must hold whatever the numbers are. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compiler/graph/passes.h"
#include "compiler/onnx/import.h"
#include "compiler/quant/plan.h"
#include "compiler/quant/walk.h"
#include "compiler/quant/wide.h"
#include "tests/unit/graph/model.h"
#include "tests/unit/runtime/shares.h"

#define CHANNELS 8
#define LONG_SUM 40000

static const int64_t image[] = {1, 3, 8, 8}, first[] = {CHANNELS, 3, 3, 3}, depth[] = {CHANNELS, 1, 3, 3},
		     point[] = {10, CHANNELS, 1, 1}, channels[] = {CHANNELS};
static char error[400];

static float noise(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return (float)((double)(*state >> 33) / 1073741824.0 - 1);
}

static struct graph *inferred(struct model *model)
{
	struct graph *graph;
	size_t size;
	uint8_t *bytes = model_pack(model, &size);

	if (onnx_import_bytes(bytes, size, NULL, &graph, error, sizeof(error)) ||
	    graph_infer(graph, 0, error, sizeof(error)))
		fail_msg("%s", error);
	free(bytes);
	return graph;
}

static void add_weights(struct model *model, const char *name, size_t rank, const int64_t *dims, size_t count,
			uint64_t seed)
{
	float *values = malloc(count * sizeof(*values));

	for (size_t i = 0; i < count; i++)
		values[i] = noise(&seed);
	model_initializer(model, model_floats(model, name, rank, dims, count, values));
	free(values);
}

/* Conv, Relu, depthwise Conv, Relu, pointwise Conv; channels of the first differ by up to 2^7 in size. */
static struct graph *depthwise_network(struct model *model)
{
	float *w;

	model_init(model);
	model_input(model, "x", 1, 4, image);
	add_weights(model, "w1", 4, first, CHANNELS * 27, 1);
	w = model->proto.graph->initializer[0]->float_data;
	for (int i = 0; i < CHANNELS * 27; i++)
		w[i] = ldexpf(w[i], -(i / 27));
	add_weights(model, "b1", 1, channels, CHANNELS, 2);
	for (int i = 0; i < CHANNELS; i++)
		model->proto.graph->initializer[1]->float_data[i] *= ldexpf(1, -i);
	add_weights(model, "w2", 4, depth, CHANNELS * 9, 3);
	for (int i = 0; i < CHANNELS * 9; i++)
		model->proto.graph->initializer[2]->float_data[i] *= ldexpf(1, i / 9);
	add_weights(model, "w3", 4, point, 10 * CHANNELS, 4);
	model_node(model, "Conv", NAMES("x", "w1", "b1"), NAMES("c1"));
	model_node(model, "Relu", NAMES("c1"), NAMES("r1"));
	{
		Onnx__NodeProto *node = model_node(model, "Conv", NAMES("r1", "w2"), NAMES("c2"));

		model_attribute(model, node, "group", ATTR_INT)->has_i = 1;
		node->attribute[0]->i = CHANNELS;
	}
	model_node(model, "Relu", NAMES("c2"), NAMES("r2"));
	model_node(model, "Conv", NAMES("r2", "w3"), NAMES("y"));
	model_output(model, "y");
	return inferred(model);
}

/* ---- runs ---- */

struct output {
	float values[4096];
	size_t count;
};

static int keep_output(void *context, const struct graph_value *value, const struct tensor *tensor)
{
	struct output *output = context;

	if (value->is_output) {
		output->count = (size_t)tensor_count(tensor);
		memcpy(output->values, tensor->data, tensor_bytes(tensor));
	}
	return 0;
}

static void run(const struct graph *graph, const struct quant_sample *sample, struct output *output)
{
	const struct quant_visitor visitor = {.context = output, .value = keep_output};

	if (quant_walk(graph, sample, 1, &visitor, error, sizeof(error)))
		fail_msg("%s", error);
}

static double loss_of(const struct quant_options *options, struct quant_report *report)
{
	struct quant_sample *samples;
	struct model model;
	struct graph *graph = depthwise_network(&model);

	assert_int_equal(quant_make_samples(graph, 1, 4, &samples), 0);
	if (quant_graph(graph, samples, 4, options, report, NULL, error, sizeof(error)))
		fail_msg("%s", error);
	if (graph_validate(graph, error, sizeof(error)))
		fail_msg("%s", error);
	quant_samples_free(samples, 4, 1);
	graph_destroy(graph);
	model_finish(&model);
	return report->loss;
}

/* ---- tests ---- */

static void equalization_leaves_the_float_network_its_bits(void **state)
{
	static struct output before, scaled, undone;
	struct quant_sample *samples;
	struct quant_stats *stats;
	struct model model;
	struct graph *graph = depthwise_network(&model);
	size_t pairs, values = graph->num_values;

	(void)state;
	assert_int_equal(quant_make_samples(graph, 1, 2, &samples), 0);
	assert_int_equal(quant_calibrate(graph, samples, 2, QUANT_MINMAX, NULL, &stats, error, sizeof(error)), 0);
	run(graph, samples, &before);
	assert_int_equal(quant_equalize(graph, stats, false, &pairs), 0);
	assert_int_equal(pairs, 1);
	run(graph, samples, &scaled);
	assert_int_equal(quant_equalize(graph, stats, true, &pairs), 0);
	run(graph, samples, &undone);
	assert_true(before.count > 0);
	assert_memory_equal(before.values, scaled.values, before.count * sizeof(float));
	assert_memory_equal(before.values, undone.values, before.count * sizeof(float));
	quant_stats_free(stats, values);
	quant_samples_free(samples, 2, 1);
	graph_destroy(graph);
	model_finish(&model);
}

static void equalization_makes_a_depthwise_network_better(void **state)
{
	struct quant_report plain = {0}, equalized = {0};
	double without = loss_of(&(struct quant_options){.plain = true}, &plain);
	double with = loss_of(&(struct quant_options){0}, &equalized);

	(void)state;
	assert_int_equal(plain.equalized, 0);
	assert_int_equal(equalized.equalized, 1);
	assert_true(with < without);
	quant_report_finish(&plain);
	quant_report_finish(&equalized);
}

/* y = tiny(A(x)) + B(x): channels of A differ by up to 2^7, so that both have the most noise of their own, and nothing of it reaches y. */
static struct graph *misleading_network(struct model *model)
{
	static const int64_t weights[] = {CHANNELS, 3, 1, 1}, tiny[] = {CHANNELS, CHANNELS, 1, 1};

	model_init(model);
	model_input(model, "x", 1, 4, image);
	add_weights(model, "wa", 4, weights, CHANNELS * 3, 1);
	for (int i = 0; i < CHANNELS * 3; i++)
		model->proto.graph->initializer[0]->float_data[i] *= ldexpf(1, -(i / 3));
	add_weights(model, "wt", 4, tiny, CHANNELS * CHANNELS, 2);
	for (int i = 0; i < CHANNELS * CHANNELS; i++)
		model->proto.graph->initializer[1]->float_data[i] *= 1e-4f;
	add_weights(model, "wb", 4, weights, CHANNELS * 3, 3);
	model_node(model, "Conv", NAMES("x", "wa"), NAMES("a"))->name = (char *)(uintptr_t) "A";
	model_node(model, "Conv", NAMES("a", "wt"), NAMES("t"))->name = (char *)(uintptr_t) "tiny";
	model_node(model, "Conv", NAMES("x", "wb"), NAMES("b"))->name = (char *)(uintptr_t) "B";
	model_node(model, "Add", NAMES("t", "b"), NAMES("y"))->name = (char *)(uintptr_t) "sum";
	model_output(model, "y");
	return inferred(model);
}

static const struct quant_layer *layer_named(const struct quant_report *report, const char *name)
{
	for (size_t i = 0; i < report->num_layers; i++)
		if (!strcmp(report->layers[i].name, name))
			return &report->layers[i];
	fail_msg("no layer %s", name);
	return NULL;
}

static void layers_stay_float_by_what_they_do_to_the_outputs(void **state)
{
	struct quant_options options = {0};

	(void)state;
	for (int round = 0; round < 2; round++) {
		struct quant_sample *samples;
		struct quant_report report;
		struct model model;
		struct graph *graph = misleading_network(&model);

		assert_int_equal(quant_make_samples(graph, 1, 4, &samples), 0);
		if (quant_graph(graph, samples, 4, &options, &report, NULL, error, sizeof(error)))
			fail_msg("%s", error);
		if (!round) {
			assert_int_equal(report.integer, 4);
			for (int i = 0; i < 2; i++) {
				const struct quant_layer *lost = layer_named(&report, i ? "tiny" : "A");

				assert_true(lost->own_db < layer_named(&report, "B")->own_db);
				assert_true(lost->own_db < layer_named(&report, "sum")->own_db);
			}
			options.target_loss = report.loss * 0.9;
		} else {
			assert_true(report.loss <= options.target_loss);
			assert_int_equal(report.kept_float, 1);
			assert_true(layer_named(&report, "A")->integer && layer_named(&report, "tiny")->integer);
		}
		quant_report_finish(&report);
		quant_samples_free(samples, 4, 1);
		graph_destroy(graph);
		model_finish(&model);
	}
}

static void layers_stay_float_until_the_target_is_met(void **state)
{
	struct quant_report all = {0}, some = {0}, none = {0};
	double loss = loss_of(&(struct quant_options){0}, &all);

	(void)state;
	assert_true(loss > 0 && loss < 0.2);
	assert_int_equal(all.integer, 3);
	assert_int_equal(all.kept_float, 0);
	assert_true(loss_of(&(struct quant_options){.target_loss = loss * 0.8}, &some) <= loss * 0.8);
	assert_true(some.kept_float > 0 && some.kept_float <= 3);
	assert_true(loss_of(&(struct quant_options){.target_loss = 1e-12}, &none) == 0);
	assert_int_equal(none.integer, 0);
	for (size_t i = 0; i < none.num_layers; i++)
		assert_string_equal(none.layers[i].reason, "kept float for the target");
	quant_report_finish(&all);
	quant_report_finish(&some);
	quant_report_finish(&none);
}

static void signed_activations_lose_what_unsigned_ones_lose(void **state)
{
	struct quant_report u8 = {0}, s8 = {0};

	(void)state;
	assert_true(fabs(loss_of(&(struct quant_options){0}, &u8) -
			 loss_of(&(struct quant_options){.is_signed = true}, &s8)) < 1e-6);
	quant_report_finish(&u8);
	quant_report_finish(&s8);
}

/* 40,000 weights of one size: at 127 each, inputs of 255 would pass 32 bits by a factor of 0.6; a bias of 1e4 comes on top. */
static void no_sum_can_leave_32_bits(void **state)
{
	static const int64_t x_dims[] = {1, LONG_SUM}, w_dims[] = {LONG_SUM, 2}, two[] = {2};
	struct quant_sample *samples;
	struct quant_report report;
	struct quant_options options = {0};
	struct model model;
	struct graph *graph;
	bool seen = false;
	float *ones = malloc(2 * LONG_SUM * sizeof(*ones));

	(void)state;
	for (int i = 0; i < 2 * LONG_SUM; i++)
		ones[i] = i % 2 ? 1 : -3;
	model_init(&model);
	model_input(&model, "x", 1, 2, x_dims);
	model_initializer(&model, model_floats(&model, "w", 2, w_dims, 2 * LONG_SUM, ones));
	model_initializer(&model, model_floats(&model, "b", 1, two, 2, (float[]){1e4f, -1e4f}));
	model_node(&model, "Gemm", NAMES("x", "w", "b"), NAMES("y"));
	model_output(&model, "y");
	free(ones);
	graph = inferred(&model);
	assert_int_equal(quant_make_samples(graph, 1, 2, &samples), 0);
	assert_int_equal(quant_graph(graph, samples, 2, &options, &report, NULL, error, sizeof(error)), 0);
	assert_int_equal(report.integer, 1);
	for (size_t i = 0; i < graph->num_values; i++) {
		const struct tensor *w = graph->values[i]->constant;

		if (!w || w->dtype != DTYPE_S8 || tensor_count(w) != 2 * LONG_SUM)
			continue;
		for (int c = 0; c < 2; c++) {
			int64_t sum = 0;

			for (int k = 0; k < LONG_SUM; k++)
				sum += abs(((const int8_t *)w->data)[2 * k + c]);
			for (size_t b = 0; b < graph->num_values; b++)
				if (graph->values[b]->constant && graph->values[b]->dtype == DTYPE_S32)
					sum = 255 * sum +
					      llabs((long long)tensor_get_s64(graph->values[b]->constant, c));
			assert_true(sum > 0 && sum <= INT32_MAX);
			seen = true;
		}
	}
	assert_true(seen);
	quant_report_finish(&report);
	quant_samples_free(samples, 2, 1);
	graph_destroy(graph);
	model_finish(&model);
}

/* The product is in integers; the Softmax is not, and reads what binary16 can not hold. Scores of -1e9 are a mask. */
static void layers_beyond_fp16_are_named(void **state)
{
	static const int64_t x_dims[] = {4, 64}, w_dims[] = {64, 8}, masks[] = {8};
	struct quant_options options = {0};
	struct model model;
	struct graph *graph;

	(void)state;
	for (int large = 0; large < 2; large++) {
		struct quant_sample *samples;
		struct quant_wide wide;
		float w[64 * 8], mask[8];

		for (int i = 0; i < 64 * 8; i++)
			w[i] = (large ? 2e4f : 1) * (float)(i % 17 - 8);
		for (int i = 0; i < 8; i++)
			mask[i] = i < 4 ? 0 : -1e9f;
		model_init(&model);
		model_input(&model, "x", 1, 2, x_dims);
		model_initializer(&model, model_floats(&model, "w", 2, w_dims, 64 * 8, w));
		model_initializer(&model, model_floats(&model, "mask", 1, masks, 8, mask));
		model_node(&model, "MatMul", NAMES("x", "w"), NAMES("scores"));
		model_node(&model, "Add", NAMES("scores", "mask"), NAMES("masked"));
		model_node(&model, "Softmax", NAMES("masked"), NAMES("y"));
		model_output(&model, "y");
		graph = inferred(&model);
		assert_int_equal(quant_make_samples(graph, 1, 2, &samples), 0);
		assert_int_equal(quant_graph(graph, samples, 2, &options, NULL, &wide, error, sizeof(error)), 0);
		assert_int_equal(wide.count, large ? 2 : 0);
		if (large) {
			assert_string_equal(wide.op_type, "Add");
			assert_string_equal(wide.name, "masked");
			assert_true(wide.largest > QUANT_F16_MOST);
		}
		quant_samples_free(samples, 2, 1);
		graph_destroy(graph);
		model_finish(&model);
	}
}

/* The plan's rounding of one layer, by hand: the noise is what the measurement says. */
static void the_noise_of_a_layer_is_measured(void **state)
{
	struct quant_report report = {0};

	(void)state;
	loss_of(&(struct quant_options){0}, &report);
	assert_int_equal(report.num_layers, 3);
	/* 8 bits of a signal that fills its range to a third or so: about 30 to 50 dB. */
	for (size_t i = 0; i < report.num_layers; i++)
		assert_true(report.layers[i].own_db > 25 && report.layers[i].own_db < 60);
	/* Nothing but its own noise comes to the first; the last hands on what the outputs have. */
	assert_true(report.layers[0].own_db == report.layers[0].db);
	assert_true(fabs(report.layers[2].db - report.db) < 1e-9);
	assert_true(fabs(report.loss - pow(10, -report.db / 20)) < 1e-9);
	quant_report_finish(&report);
}

/* Never back, whatever is tried on the way; and near the end when it ends. */
static void who_wants_to_know_is_told_how_far_it_is(void **state)
{
	static const struct quant_options cases[] = {{.plain = true},
						     {.method = QUANT_ENTROPY},
						     {.method = QUANT_MSE, .target_loss = 1e-3},
						     {.target_loss = 0.01}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct quant_options options = cases[i];
		struct quant_report report;
		struct shares shares = {0};

		options.share = (struct work_share){shares_note, &shares, 0.25, 0.75};
		loss_of(&options, &report);
		assert_false(shares.back);
		assert_true(shares.count > 10);
		assert_true(shares.last > 0.26 && shares.last <= 0.75);
		if (cases[i].plain)
			assert_true(shares.last > 0.749);
		quant_report_finish(&report);
	}
}

static void methods_are_known_by_name(void **state)
{
	(void)state;
	assert_int_equal(quant_method_find("minmax"), QUANT_MINMAX);
	assert_int_equal(quant_method_find("percentile"), QUANT_PERCENTILE);
	assert_int_equal(quant_method_find("entropy"), QUANT_ENTROPY);
	assert_int_equal(quant_method_find("mse"), QUANT_MSE);
	assert_int_equal(quant_method_find("best"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equalization_leaves_the_float_network_its_bits),
		cmocka_unit_test(equalization_makes_a_depthwise_network_better),
		cmocka_unit_test(layers_stay_float_until_the_target_is_met),
		cmocka_unit_test(layers_stay_float_by_what_they_do_to_the_outputs),
		cmocka_unit_test(signed_activations_lose_what_unsigned_ones_lose),
		cmocka_unit_test(no_sum_can_leave_32_bits),
		cmocka_unit_test(layers_beyond_fp16_are_named),
		cmocka_unit_test(the_noise_of_a_layer_is_measured),
		cmocka_unit_test(who_wants_to_know_is_told_how_far_it_is),
		cmocka_unit_test(methods_are_known_by_name),
	};

	return cmocka_run_group_tests_name("quantize", tests, NULL, NULL);
}
