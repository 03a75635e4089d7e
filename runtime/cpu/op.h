/* SPDX-License-Identifier: MIT */
/*
 * The CPU operator library: one registry of kernels, called by the runtime's scheduler and by the compiler's constant folding.
 *
 * A node is described by struct op_node (name, domain, opset version, attributes); a registry entry (struct op_kernel) says
 * which (domain, operator, opset range) it serves. Kernels are pure: they read inputs, write outputs, keep no global state.
 * Any number of threads may run kernels at once, also the same prepared node.
 *
 *	op_find()        which kernel serves the node?           -> const struct op_kernel *
 *	op_prepare()     optional: pack constant inputs once     -> void *state
 *	op_run()         inputs -> outputs
 *	op_release()     free the state
 */
#ifndef RUNTIME_CPU_OP_H
#define RUNTIME_CPU_OP_H

#include "runtime/cpu/tensor.h"

struct cpu_pool; /* runtime/cpu/pool.h */

/* Attribute kinds carry the numbers of onnx.AttributeProto.AttributeType. */
enum attr_type {
	ATTR_UNDEFINED = 0,
	ATTR_FLOAT = 1,
	ATTR_INT = 2,
	ATTR_STRING = 3,
	ATTR_TENSOR = 4,
	ATTR_GRAPH = 5,
	ATTR_FLOATS = 6,
	ATTR_INTS = 7,
	ATTR_STRINGS = 8,
	ATTR_TENSORS = 9,
	ATTR_GRAPHS = 10,
	ATTR_SPARSE_TENSOR = 11, /* in files; the importer makes a dense ATTR_TENSOR of it */
	ATTR_TYPE = 13, /* says what an output's type is, nothing that a kernel needs */
};

/*
 * struct attr - one attribute of a node; which members count is said by @type
 * @count: elements of @ints, @floats, @strings, or tensors at @tensor (ATTR_TENSORS)
 * @graph: for ATTR_GRAPH, a `struct graph *` of compiler/graph (opaque here); not owned by the op library
 */
struct attr {
	const char *name;
	enum attr_type type;
	float f;
	int64_t i;
	struct tensor_string s;
	struct tensor *tensor;
	void *graph;
	size_t count;
	float *floats;
	int64_t *ints;
	struct tensor_string *strings;
};

/*
 * struct op_node - a node as a kernel sees it; everything is borrowed from the caller
 * @name:    the node's name in the model, for messages ("" when it has none)
 * @domain:  "" is ai.onnx; "com.microsoft", "ai.onnx.ml", …
 * @opset:   the version of @domain that the model imports
 * @num_captures: values of the graph around that the node's bodies (ATTR_GRAPH) read; a call has them behind its inputs
 */
struct op_node {
	const char *name;
	const char *domain;
	const char *op_type;
	int opset;
	size_t num_attrs;
	const struct attr *attrs;
	size_t num_inputs;
	size_t num_outputs;
	size_t num_captures;
};

/* Attribute look-up; the getters return @fallback when it is absent or of another type. */
const struct attr *op_attr(const struct op_node *node, const char *name);
int64_t op_attr_int(const struct op_node *node, const char *name, int64_t fallback);
float op_attr_float(const struct op_node *node, const char *name, float fallback);
/* True when the string attribute @name (or @fallback where absent) equals @value. */
bool op_attr_is(const struct op_node *node, const char *name, const char *fallback, const char *value);
/* Integers of @name: their count, 0 when absent; *values is NULL then. */
size_t op_attr_ints(const struct op_node *node, const char *name, const int64_t **values);
/* The same for floats and strings. */
size_t op_attr_floats(const struct op_node *node, const char *name, const float **values);
size_t op_attr_strings(const struct op_node *node, const char *name, const struct tensor_string **values);

struct op_call;

/*
 * struct op_runner - runs the bodies of branches and loops for their kernels; whoever calls op_run() on such nodes gives one
 *
 * @run: run @body->graph once. @inputs: in the graph's order, borrowed for the call. @outputs: get the graph's outputs by
 *	 tensor_give() after the last node has run, so that an output may be the tensor that an input is; NULL where nobody wants
 *	 one. What the body captures it knows by itself. The counts must be the graph's: -EINVAL. Errors are in @call->error.
 * @output_type: what is known of an output without running: *dtype may be DTYPE_UNDEFINED, *rank -1, a dimension -1.
 */
struct op_runner {
	int (*run)(struct op_call *call, const struct attr *body, const struct tensor *const *inputs, size_t num_inputs,
		   struct tensor *const *outputs, size_t num_outputs);
	void (*output_type)(const struct op_call *call, const struct attr *body, size_t index, enum dtype *dtype,
			    int *rank, int64_t *dims);
};

/*
 * struct op_call - one execution
 * @inputs:  num_inputs pointers; NULL for an omitted optional input; num_captures more behind them
 * @outputs: num_outputs pointers; NULL for an output nobody reads. On entry each is empty (data == NULL: the kernel calls
 *           op_output() to shape and allocate it) or has memory of @size bytes given by the caller, which op_output() uses
 *           when it is large enough.
 * @state:   what op_prepare() returned, or NULL
 * @pool:    threads to use; NULL runs on the calling thread
 * @runner:  for nodes with bodies; @context is the runner's own
 * @error:   a text of at most ERROR_SIZE bytes that says which input, attribute or shape was wrong
 */
#define OP_ERROR_SIZE 256
struct op_call {
	const struct op_node *node;
	const struct tensor *const *inputs;
	struct tensor *const *outputs;
	void *state;
	struct cpu_pool *pool;
	const struct op_runner *runner;
	void *context;
	char error[OP_ERROR_SIZE];
};

/*
 * How a kernel that computes in float32 serves float16 and bfloat16 (half.h): half inputs are converted to float32, and
 * each float32 output is rounded to the type of input output_like[index]: input 0 where NULL or omitted, float32 where
 * negative.
 */
struct op_widen {
	const signed char *output_like;
};
extern const struct op_widen op_half_in_f32; /* all outputs as input 0 */

struct op_kernel {
	const char *domain;
	const char *op_type;
	int since; /* first opset version served */
	int until; /* last opset version served, 0: no end */
	int min_inputs, max_inputs;
	int min_outputs, max_outputs;
	int (*run)(struct op_call *call);
	/* Optional. @constants[i] is input i when it is known for ever, else NULL. */
	int (*prepare)(const struct op_node *node, const struct tensor *const *constants, void **state);
	void (*release)(void *state);
	/* Optional: half inputs never reach @run. */
	const struct op_widen *half_in_f32;
};

/* The kernel that serves the node's (domain, op_type, opset), or NULL. */
const struct op_kernel *op_find(const char *domain, const char *op_type, int opset);

/* Walk the registry: kernel @index, NULL past the end. The order is by domain, then name, then version. */
const struct op_kernel *op_at(size_t index);

/* As struct op_kernel says; *state stays NULL where a kernel has nothing to prepare. 0 or negative errno. */
int op_prepare(const struct op_kernel *kernel, const struct op_node *node, const struct tensor *const *constants,
	       void **state);
void op_release(const struct op_kernel *kernel, void *state);

/*
 * Run. Checks the input and output counts, clears call->error, runs.
 * 0; -EINVAL (shapes, types or attributes do not fit, call->error says which); -ENOTSUP (a form of the operator that is not
 * implemented, call->error names it); -ENOMEM.
 */
int op_run(const struct op_kernel *kernel, struct op_call *call);

/* For kernels: shape output @index, using the caller's memory or allocating. Outputs nobody reads get a scratch tensor of no
 * size: check op_wanted() first. */
int op_output(struct op_call *call, size_t index, enum dtype type, int rank, const int64_t *dims);
bool op_wanted(const struct op_call *call, size_t index);
/* For kernels: the body that attribute @name is, NULL with call->error set when it is missing or nobody can run it. */
const struct attr *op_body(struct op_call *call, const char *name);
/* For kernels: set call->error (printf) and return @err. */
int op_fail(struct op_call *call, int err, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
