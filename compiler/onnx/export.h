/* SPDX-License-Identifier: MIT */
/*
 * The graph as an ONNX model, the importer's inverse: import, export, import gives the same graph. Constants become
 * initializers, symbolic dimensions keep their names, bodies are subgraphs that read outer values by name. What the
 * importer has expanded (functions, Gradient) stays expanded; sparse constants are dense; documentation strings and
 * metadata are gone.
 *
 * A model has one version of each domain. Nodes of another version are written where the standard gives both the same
 * meaning (compiler/onnx/schema) and refused where not: onnx_upgrade() brings them to one version first.
 */
#ifndef COMPILER_ONNX_EXPORT_H
#define COMPILER_ONNX_EXPORT_H

#include <stddef.h>
#include <stdint.h>

#include "compiler/graph/graph.h"

/*
 * The bytes of a ModelProto, malloc'ed, the caller's. -ENOTSUP: a node's version is not that of the model; -EFBIG: more
 * than the 2 GiB of a protobuf message; -ENOMEM. @error says which node. Reads @graph only.
 */
int onnx_export_bytes(const struct graph *graph, uint8_t **bytes, size_t *size, char *error, size_t error_size);

/* Into the file at @path, which is removed when it can not be written whole. The file's errors, too. */
int onnx_export_file(const struct graph *graph, const char *path, char *error, size_t error_size);

/*
 * Rewrite nodes of ai.onnx older than @opset so that they mean the same there, and let the graph import that version at
 * least: attributes that became inputs (axes, limits, shapes), attributes that were dropped, defaults that changed. Types
 * and shapes must be known. Nodes in bodies, too. -ENOTSUP names the node for which no rewriting is known; -ENOMEM.
 */
int onnx_upgrade(struct graph *graph, int opset, char *error, size_t error_size);

#endif
