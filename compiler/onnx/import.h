/* SPDX-License-Identifier: MIT */
/*
 * Import: an ONNX file to a graph.
 *
 * Every IR version from 3 on; initializers that are inputs as well (IR 3) become constants; external data must stay in
 * the model's folder; sparse initializers become dense ones; calls of model-local functions are replaced by their
 * bodies; subgraphs (If, Loop, Scan) become graphs of their own in the node's attribute, in which a value that nothing writes
 * is one of the graphs around; Gradient nodes become the nodes of their derivatives (compiler/graph/gradient.h). Refused by
 * name: sparse initializers in a subgraph of a function.
 */
#ifndef COMPILER_ONNX_IMPORT_H
#define COMPILER_ONNX_IMPORT_H

#include <stddef.h>
#include <stdint.h>

#include "compiler/graph/graph.h"

struct Onnx__ModelProto; /* onnx.pb-c.h */

/* -EINVAL: the model breaks a rule; -ENOTSUP; the file's errors; -ENOMEM. @error names graph, node and rule. */
int onnx_import_file(const char *path, struct graph **graph, char *error, size_t error_size);
/* From memory; @folder is where external data may lie, NULL: nowhere. */
int onnx_import_bytes(const uint8_t *bytes, size_t size, const char *folder, struct graph **graph, char *error,
		      size_t error_size);
/*
 * The rest of it: a message that check_message() let pass. Bytes of its tensors are taken over, so that the message is good for
 * names and types only afterwards; it stays the caller's.
 */
int onnx_import_message(struct Onnx__ModelProto *model, const char *folder, struct graph **graph, char *error,
			size_t error_size);

#endif
