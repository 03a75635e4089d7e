/* SPDX-License-Identifier: MIT */
/* Any bytes as an ONNX model: imported or refused. */
#include <stddef.h>
#include <stdint.h>

#include "compiler/onnx/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct graph *graph;
	char error[512];

	if (!onnx_import_bytes(data, size, NULL, &graph, error, sizeof(error))) {
		if (graph_validate(graph, error, sizeof(error)))
			__builtin_trap();
		graph_destroy(graph);
	}
	return 0;
}
