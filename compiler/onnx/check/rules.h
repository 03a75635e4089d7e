/* SPDX-License-Identifier: MIT */
/*
 * The rules, in the order in which --rules lists them: X(NAME, id, REFUSES or SAYS, section, text). A model that breaks a rule that
 * REFUSES does not run; the others are harmless to execution. Sections are those of the standard's docs/IR.md, docs/Operators.md,
 * docs/ExternalData.md and of onnx.proto.
 */
#ifndef COMPILER_ONNX_CHECK_RULES_H
#define COMPILER_ONNX_CHECK_RULES_H

#define CHECK_RULES(X)                                                                                                 \
	X(IR_VERSION, "ir-version", REFUSES, "IR: Models", "a model has an IR version, 1 or later")                    \
	X(IR_FEATURE, "ir-feature", SAYS, "onnx.proto: Version",                                                       \
	  "what a model uses is in the IR version that it states")                                                     \
	X(OPSET_MISSING, "opset-missing", REFUSES, "IR: Operator Sets", "every domain that a node is of is imported")  \
	X(OPSET_DUPLICATE, "opset-duplicate", SAYS, "IR: Operator Sets", "a domain is imported once")                  \
	X(OPSET_VERSION, "opset-version", REFUSES, "IR: Operator Sets", "an imported version is 1 or later")           \
	X(OPSET_UNKNOWN, "opset-unknown", SAYS, "Operators: Changelog",                                                \
	  "an imported version of a known domain exists")                                                              \
	X(GRAPH_MISSING, "graph-missing", REFUSES, "IR: Models", "a model has a graph")                                \
	X(GRAPH_NAME, "graph-name", SAYS, "IR: Graphs", "a graph has a name")                                          \
	X(NAME_UTF8, "name-utf8", SAYS, "onnx.proto", "names are UTF-8")                                               \
	X(VALUE_NAME, "value-name", REFUSES, "IR: Names Within a Graph",                                               \
	  "inputs, outputs and initializers have names")                                                               \
	X(VALUE_TYPE, "value-type", SAYS, "IR: Graphs", "inputs and outputs of the main graph state their types")      \
	X(ELEMENT_TYPE, "element-type", REFUSES, "onnx.proto: TensorProto.DataType",                                   \
	  "element types are the standard's")                                                                          \
	X(DIMENSION, "dimension-negative", SAYS, "IR: Static tensor shapes", "a stated dimension is not negative")     \
	X(SSA_DUPLICATE, "ssa-duplicate", REFUSES, "IR: Names Within a Graph", "a name is defined once in its graph")  \
	X(SSA_SHADOW, "ssa-shadow", SAYS, "IR: Names Within a Graph",                                                  \
	  "what a node of a subgraph writes has no name of a graph around it")                                         \
	X(NAME_UNDEFINED, "name-undefined", REFUSES, "IR: Nodes", "what a node reads is defined")                      \
	X(NODE_ORDER, "node-order", SAYS, "IR: Graphs", "nodes are sorted: a value is written before it is read")      \
	X(GRAPH_CYCLE, "graph-cycle", REFUSES, "IR: Graphs", "no node needs its own result")                           \
	X(OUTPUT_UNDEFINED, "output-undefined", REFUSES, "IR: Graphs", "what a graph hands out is defined")            \
	X(OPERATOR_MISSING, "operator-missing", REFUSES, "IR: Nodes", "a node has an operator")                        \
	X(OPERATOR_UNKNOWN, "operator-unknown", REFUSES, "Operators", "the operator exists")                           \
	X(OPERATOR_VERSION, "operator-version", REFUSES, "Operators: Changelog",                                       \
	  "the operator is in the imported version")                                                                   \
	X(OPERATOR_EXTRA, "operator-nonstandard", SAYS, "Operators",                                                   \
	  "the operator is the standard's, not one that implementations added to its domain")                          \
	X(OPERATOR_DEPRECATED, "operator-deprecated", SAYS, "Operators: Changelog", "the operator is not deprecated")  \
	X(INPUT_COUNT, "input-count", REFUSES, "Operators", "as many inputs as the operator takes")                    \
	X(INPUT_MISSING, "input-missing", REFUSES, "IR: Optional Inputs and Outputs",                                  \
	  "inputs that are not optional are given")                                                                    \
	X(OUTPUT_COUNT, "output-count", REFUSES, "Operators", "as many outputs as the operator has")                   \
	X(OUTPUT_MISSING, "output-missing", SAYS, "IR: Optional Inputs and Outputs",                                   \
	  "outputs that are not optional have names")                                                                  \
	X(ATTR_NAME, "attr-name", REFUSES, "IR: Attributes", "an attribute has a name")                                \
	X(ATTR_DUPLICATE, "attr-duplicate", REFUSES, "IR: Attributes", "an attribute is given once")                   \
	X(ATTR_UNKNOWN, "attr-unknown", REFUSES, "Operators", "the operator has the attribute")                        \
	X(ATTR_REQUIRED, "attr-required", REFUSES, "Operators", "required attributes are given")                       \
	X(ATTR_TYPE, "attr-type", REFUSES, "Operators; IR: Attributes",                                                \
	  "an attribute has the type that the operator states")                                                        \
	X(ATTR_CONTENT, "attr-content", REFUSES, "IR: Attributes",                                                     \
	  "an attribute has the one value that its type says")                                                         \
	X(ATTR_VALUE, "attr-value", REFUSES, "Operators", "an attribute has a value that the operator allows")         \
	X(ATTR_REFERENCE, "attr-reference", REFUSES, "IR: Functions",                                                  \
	  "attribute references name attributes of the function")                                                      \
	X(TYPE_CONSTRAINT, "type-constraint", SAYS, "Operators", "an operand has a type that the operator allows")     \
	X(TYPE_VARIABLE, "type-variable", REFUSES, "Operators", "operands of one type variable have one type")         \
	X(TYPE_MISMATCH, "type-mismatch", SAYS, "Shape inference",                                                     \
	  "a value has the type that the model states for it")                                                         \
	X(SHAPE_MISMATCH, "shape-mismatch", SAYS, "Shape inference",                                                   \
	  "a value has the shape that the model states for it")                                                        \
	X(SHAPE_INFERENCE, "shape-inference", REFUSES, "Operators", "operands have shapes that fit each other")        \
	X(TENSOR_DIMS, "tensor-dims", REFUSES, "onnx.proto: TensorProto",                                              \
	  "dimensions are not negative, and not too large")                                                            \
	X(TENSOR_FIELD, "tensor-field", REFUSES, "onnx.proto: TensorProto",                                            \
	  "contents are in the field of the element type")                                                             \
	X(TENSOR_SIZE, "tensor-size", REFUSES, "onnx.proto: TensorProto", "as many contents as the dimensions say")    \
	X(INITIALIZER_INPUT, "initializer-input", SAYS, "IR: Graphs",                                                  \
	  "before IR version 4 initializers are inputs as well")                                                       \
	X(INITIALIZER_TYPE, "initializer-type", SAYS, "IR: Graphs", "an initializer has type and shape of its input")  \
	X(EXTERNAL_LOCATION, "external-location", REFUSES, "External data", "external data has a location")            \
	X(EXTERNAL_OUTSIDE, "external-data-outside", REFUSES, "External data security",                                \
	  "external data lies in the model's folder")                                                                  \
	X(EXTERNAL_MISSING, "external-missing", REFUSES, "External data", "the file of external data is there")        \
	X(EXTERNAL_NUMBER, "external-number", REFUSES, "External data", "offset and length are numbers of bytes")      \
	X(EXTERNAL_RANGE, "external-range", REFUSES, "External data", "external data ends within its file")            \
	X(SPARSE_PARTS, "sparse-parts", REFUSES, "onnx.proto: SparseTensorProto",                                      \
	  "values and indices are there and fit")                                                                      \
	X(SPARSE_INDEX, "sparse-index", REFUSES, "onnx.proto: SparseTensorProto", "indices lie within the dimensions") \
	X(SPARSE_ORDER, "sparse-order", REFUSES, "onnx.proto: SparseTensorProto", "indices ascend, each once")         \
	X(SUBGRAPH_INPUTS, "subgraph-inputs", REFUSES, "Operators: If, Loop, Scan",                                    \
	  "a subgraph has the inputs that its node gives")                                                             \
	X(SUBGRAPH_OUTPUTS, "subgraph-outputs", REFUSES, "Operators: If, Loop, Scan",                                  \
	  "a subgraph has the outputs that its node has")                                                              \
	X(SUBGRAPH_TYPE, "subgraph-type", SAYS, "Operators: If", "both branches hand out values of the same types")    \
	X(SUBGRAPH_DEPTH, "subgraph-depth", SAYS, "a limit of this project", "subgraphs nest no deeper than 32")       \
	X(FUNCTION_NAME, "function-name", REFUSES, "IR: Functions", "a function has a name")                           \
	X(FUNCTION_DUPLICATE, "function-duplicate", REFUSES, "IR: Functions",                                          \
	  "domain, name and overload name one function")                                                               \
	X(FUNCTION_FORMAL, "function-formal", REFUSES, "IR: Functions", "formal names are given and unique")           \
	X(FUNCTION_RECURSION, "function-recursion", REFUSES, "IR: Functions",                                          \
	  "no function calls itself, not by others either")                                                            \
	X(FUNCTION_CLASH, "function-clash", SAYS, "IR: Functions", "a function has no name of a standard operator")    \
	X(FUNCTION_CALL, "function-call", REFUSES, "IR: Functions", "a call gives no more than the function takes")    \
	X(FUNCTION_DOMAIN, "function-domain", SAYS, "IR: Functions", "the domain of a called function is imported")    \
	X(FUNCTION_ATTRIBUTE, "function-attribute", SAYS, "IR: Functions",                                             \
	  "a call gives the attributes that have no default")                                                          \
	X(TRAINING_BINDING, "training-binding", SAYS, "IR: Training",                                                  \
	  "bindings name initializers and results of training graphs")                                                 \
	X(IMPORT, "import", REFUSES, "this project's importer", "the model can be read")

#define CHECK_NAME(name, id, refuses, section, text) RULE_##name,
enum check_rule_number { CHECK_RULES(CHECK_NAME) NUM_RULES };
#undef CHECK_NAME

#endif
