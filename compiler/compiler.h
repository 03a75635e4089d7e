/* SPDX-License-Identifier: MIT */
/*
 * The compiler's public interface: ONNX in, .axm out.
 *
 * Eight stages, each printable after it ran (struct compile_options.print_after):
 *
 *	import	   ONNX file -> graph			    compiler/onnx
 *	graph	   shapes, folding, simplification	    compiler/graph
 *	quantize   precision int8 only			    compiler/quant
 *	fuse	   patterns into fused and integer operators  compiler/fuse
 *	partition  NPU or CPU, with reasons		    compiler/partition
 *	lower	   regions to programs			    compiler/target
 *	schedule   addresses and semaphores		    compiler/target
 *	emit	   command buffers, verified; the package   compiler/target, compiler/package
 *
 * Thread-safe: no state outlives a call. The same input gives the same bytes.
 */
#ifndef COMPILER_COMPILER_H
#define COMPILER_COMPILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum compile_precision { COMPILE_F32, COMPILE_F16, COMPILE_BF16, COMPILE_INT8 };

/* Sizes of symbolic dimensions, "N=1". */
struct compile_dim {
	const char *name;
	int64_t size;
};

/*
 * struct compile_options - zeroed means defaults
 * @target:	 name of a target ("axl-edge", the default, or "axl-pro"), or "cpu" for none
 * @dims:	 sizes of symbolic dimensions; those not named become 1
 * @calibration: samples for int8: a folder or an .npy file (compiler/quant/samples.h); NULL: samples made from @seed. With fp16
 *		 they tell which layers it can not hold (compile_notes.precision); with int8 such float parts are held in bf16
 * @method:	 how ranges follow from them: "minmax" (the default), "percentile", "entropy" or "mse"
 * @print_after: name of a stage after which its result is printed to @print; NULL: none
 * @threads:	 of the CPU backend that nodes on the CPU will have, for the choice of where they run; 0: two
 * @disable:	 names of passes to leave out, separated by commas, or NULL: none (compiler/pass.h lists them)
 * @progress:	 told with @progress_context, on the caller's thread, how much is done: from 0 to 1, never less than before, 1 when it ended
 *		 well; of how long the rest takes it is a guess. NULL: nobody is told
 */
struct compile_options {
	const char *target;
	enum compile_precision precision;
	size_t num_dims;
	const struct compile_dim *dims;
	const char *calibration;
	const char *method;
	uint64_t seed;
	unsigned int threads;
	const char *print_after;
	FILE *print;
	const char *disable;
	void (*progress)(void *context, double done);
	void *progress_context;
};

/*
 * What is to be known of a package, a sentence each, or "".
 * @precision: which layer needs more than fp16 has
 * @opset:     the model imports one that is newer than what is known here
 */
struct compile_notes {
	char precision[256], opset[128];
};

/*
 * The package. @bytes is 64-byte aligned, malloc'ed, the caller's: compile_result_finish() frees it.
 * @cpu_nodes of @nodes are on the CPU; @macs_npu of @macs multiply-accumulates on the device.
 * @ns: how long a run is expected to take, in nanoseconds of the reference host and of the device's clock (compiler/partition);
 *	@ns_cpu with everything on the CPU, @ns_device with all on the device that it can do.
 */
struct compile_result {
	uint8_t *bytes;
	size_t size;
	size_t nodes, cpu_nodes;
	uint64_t macs, macs_npu;
	uint64_t ns, ns_cpu, ns_device;
	double seconds;
	struct compile_notes notes;
};

/*
 * Compile the ONNX file at @path. 0; -EINVAL: the model breaks a rule; -ENOTSUP: it needs what is not there; -ENOENT,
 * -EIO …: the file; -ENOMEM. @error gets a text that names file, node and rule.
 */
int compile_file(const char *path, const struct compile_options *options, struct compile_result *result, char *error,
		 size_t error_size);
void compile_result_finish(struct compile_result *result);

/*
 * The key of the package that compile_file() makes of @path with @options: SHA-256 over the compiler's own object code, the target's
 * description, every option that can change the package, and the bytes of all files that it reads: the model, external data, samples.
 * Equal keys mean equal packages; names of folders and what is only printed are no part of it. Every file is read once.
 *
 * -EINVAL: no model, an unknown target, pass or method; a file's errno; -ENOMEM. @error says which.
 */
#define COMPILE_KEY_BYTES 32
int compile_key(const char *path, const struct compile_options *options, uint8_t key[COMPILE_KEY_BYTES], char *error,
		size_t error_size);

/*
 * Whether the rows of the ONNX file's inputs (their first dimension) go through it side by side: it has a name, the same in all inputs and
 * outputs, and row i of every output depends on row i of the inputs alone, and not on how many there are. -ENOTSUP: not so, or not known
 * to be so, with the value or node in @error; otherwise as compile_file().
 */
int compile_check_rows(const char *path, char *error, size_t error_size);

/* Names of the stages in order, NULL-terminated. */
extern const char *const compile_stages[];

#endif
