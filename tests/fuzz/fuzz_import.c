/* SPDX-License-Identifier: MIT */
/* Any bytes as an ONNX model: checked; imported, or refused for what the checker found; every finding has a place and a rule. */
#include <stddef.h>
#include <stdint.h>

#include "compiler/onnx/check/check.h"
#include "compiler/onnx/import.h"
#include "onnx.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* True: a finding refuses the model. */
static int check(const uint8_t *data, size_t size)
{
	Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, size, data);
	struct check_report report;
	int refused = 1;
	char line[200];

	if (!model)
		return refused;
	if (!check_message(model, NULL, &report)) {
		for (size_t i = 0; i < report.count; i++)
			check_finding_text(&report.findings[i], line, sizeof(line));
		refused = check_report_refusal(&report) != NULL;
		check_report_finish(&report);
	}
	onnx__model_proto__free_unpacked(model, NULL);
	return refused;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct graph *graph;
	char error[512];
	int refused = check(data, size);

	if (!onnx_import_bytes(data, size, NULL, &graph, error, sizeof(error))) {
		if (refused || graph_validate(graph, error, sizeof(error)))
			__builtin_trap();
		graph_destroy(graph);
	}
	return 0;
}
