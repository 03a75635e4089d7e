/* SPDX-License-Identifier: MIT */
/* DepthToSpace and SpaceToDepth, in both orders of their channels: the CPU and both devices against the definition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/control/body.h"

enum {
	BATCH = 2,
	CHANNELS = 5,
	HEIGHT = 3,
	WIDTH = 4,
	BLOCK = 3,
	COUNT = BATCH * CHANNELS * HEIGHT * WIDTH * BLOCK * BLOCK
};

static const int64_t deep_dims[] = {BATCH, CHANNELS *BLOCK *BLOCK, HEIGHT, WIDTH};
static const int64_t wide_dims[] = {BATCH, CHANNELS, HEIGHT *BLOCK, WIDTH *BLOCK};

/*
 * Where element @i of the image lies in the deep tensor: channels are in the order row of the block, column of the block,
 * channel (DCR), or channel, row, column (CRD). Source: ONNX, DepthToSpace-13.
 */
static int deep_position(int i, bool crd)
{
	int x = i % (WIDTH * BLOCK), y = i / (WIDTH * BLOCK) % (HEIGHT * BLOCK);
	int plane = i / (WIDTH * BLOCK * HEIGHT * BLOCK), n = plane / CHANNELS, c = plane % CHANNELS;
	int in_block = y % BLOCK * BLOCK + x % BLOCK;
	int channel = crd ? c * BLOCK * BLOCK + in_block : in_block * CHANNELS + c;

	return ((n * CHANNELS * BLOCK * BLOCK + channel) * HEIGHT + y / BLOCK) * WIDTH + x / BLOCK;
}

static void block_model(struct model *model, const char *op_type, const char *mode)
{
	bool to_depth = !strcmp(op_type, "SpaceToDepth");
	Onnx__NodeProto *node;

	model_init(model);
	model->proto.opset_import[0]->version = 28; /* the first in which both have a mode */
	model_input(model, "x", FLOAT, 4, to_depth ? wide_dims : deep_dims);
	model_output(model, "y");
	node = model_node(model, op_type, NAMES("x"), NAMES("y"));
	body_int(model, node, "blocksize", BLOCK);
	if (mode)
		body_text(model, node, "mode", mode);
}

/* All nodes on the device, unless it is the CPU. */
static void expect_place(struct accel_session *session, const char *device)
{
	struct accel_run_stats stats;

	accel_session_stats(session, &stats);
	for (size_t i = 0; i < stats.num_nodes; i++)
		assert_int_equal(stats.nodes[i].device, strcmp(device, "cpu") != 0);
}

static void blocks_go_where_the_mode_says(void **state)
{
	static const char *const devices[] = {"cpu", "sim:target=axl-edge", "sim:target=axl-pro"};
	static const char *const modes[] = {NULL, "DCR", "CRD"};
	static const char *const op_types[] = {"DepthToSpace", "SpaceToDepth"};
	float deep[COUNT], wide[COUNT];

	(void)state;
	for (int trial = 0; trial < 2 * 3 * 3; trial++) {
		const char *device = devices[trial % 3], *mode = modes[trial / 3 % 3], *op_type = op_types[trial / 9];
		struct accel_session_options options = {.device = device, .disable = "placement"};
		bool to_depth = !strcmp(op_type, "SpaceToDepth");
		struct accel_tensor input = floats_of(to_depth ? wide : deep, 4, to_depth ? wide_dims : deep_dims);
		struct accel_tensor output = {0};
		struct accel_session *session;
		struct model model;
		char error[512] = "";

		for (int i = 0; i < COUNT; i++)
			deep[deep_position(i, mode && !strcmp(mode, "CRD"))] = wide[i] = (float)i;
		block_model(&model, op_type, mode);
		if (accel_session_create(body_file(&model), &options, &session, error, sizeof(error)) ||
		    accel_session_run(session, &input, 1, &output, 1, error, sizeof(error)))
			fail_msg("%s %s on %s: %s", op_type, mode ? mode : "without a mode", device, error);
		assert_int_equal(output.size, sizeof(deep));
		if (memcmp(output.data, to_depth ? deep : wide, sizeof(deep)))
			fail_msg("%s %s on %s: elements are not where they belong", op_type,
				 mode ? mode : "without a mode", device);
		expect_place(session, device);
		accel_session_destroy(session);
		model_finish(&model);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(blocks_go_where_the_mode_says)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
