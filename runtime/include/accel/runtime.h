/* SPDX-License-Identifier: MIT */
/*
 * libaccel-runtime: run a model on an AXL device and the CPU.
 *
 *	struct accel_session *session;
 *	struct accel_session_options options = {.device = "sim:"};
 *	char error[256];
 *
 *	accel_session_create("model.onnx", &options, &session, error, sizeof(error));
 *	accel_session_run(session, &input, 1, &output, 1, error, sizeof(error));
 *	accel_session_destroy(session);
 *
 * A model is an ONNX file, compiled on the fly and kept in a cache, or an .axm file. Its regions run on the device or on the CPU, each when
 * its inputs are there, on both at the same time where the model allows; what the device can not do, the CPU does. Every function
 * returns 0 or a negative errno; where there is an @error, it gets a text
 * that names what and where (at most @error_size bytes with the NUL; may be NULL with size 0).
 *
 * Threads: sessions and their functions may be used by any number of threads at the same time, but for accel_session_create() and
 * accel_session_destroy(). One session runs up to options.depth requests at once, from accel_session_run() in several threads or from
 * accel_session_run_async(); others wait, first come, first served. While one request is on the device another's nodes run on the CPU.
 */
#ifndef ACCEL_RUNTIME_H
#define ACCEL_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ACCEL_MAX_RANK 12

struct accel_binding;
struct accel_buffer; /* <accel/accel.h> */
struct accel_device;

/*
 * A tensor: dense, row-major ("C order").
 * @dtype: TensorProto.DataType of ONNX (1 float32, 2 uint8, 3 int8, 6 int32, 7 int64, 9 bool, 10 float16, 11 float64 …)
 *         elements of type string (8) are struct accel_string
 * @dims:  sizes, @rank of them
 * @data, @size: memory and its bytes. As an input: the caller's, not written. As an output: the caller's memory when @data is
 *         not NULL on entry (-ENOSPC when it is too small), else memory that the session owns, valid until the next run in any
 *         thread or the end of the session.
 * @binding: NULL, or memory of a device where the tensor lies instead (accel_binding_create()); @data and @size are not read then
 */
struct accel_tensor {
	int32_t dtype;
	int32_t rank;
	int64_t dims[ACCEL_MAX_RANK];
	void *data;
	size_t size;
	struct accel_binding *binding;
};

/* A string element; the bytes need not end in NUL, and belong to whom the tensor's memory belongs. */
struct accel_string {
	char *data;
	size_t size;
};

enum accel_precision { ACCEL_F32, ACCEL_F16, ACCEL_BF16, ACCEL_INT8 };

/*
 * What to do when the device faults, hangs, does not answer, is reset by somebody else, or goes.
 *	REPORT	the run ends with the error
 *	RETRY	it is done again on the device after its reset, up to three times, and on another of the session's when it is gone
 *		(-ENODEV when that was the last) or does not answer
 *	CPU	the request is done on the CPU from its beginning (ONNX files only: -ENOTSUP for others, when the session is made);
 *		also when the device has no memory for it
 * A device that went is used again when it is back: requests that begin look for it, at most every 10 ms and at least every 5 s. It has
 * to be of the same target, instruction set and interface as before; what else is there is left alone (accel_device_stats says why).
 */
enum accel_on_fault { ACCEL_FAULT_REPORT, ACCEL_FAULT_RETRY, ACCEL_FAULT_CPU };

#define ACCEL_MAX_DEPTH 32
#define ACCEL_MAX_BATCH 64
#define ACCEL_MAX_DEVICES 8

/*
 * Options; a zeroed struct means the defaults.
 * @device:	 "sim:" (default) and its options, "cpu", /dev/accel/accelN …; see accel_open() of libaccel. Several of one target,
 *		 separated by commas ("sim:,sim:", "accel0,accel1"): each request goes to the one that has the least to do
 * @precision:	 how floats are held on the device (ONNX files; an .axm has its own)
 * @threads:	 of the CPU backend and of an in-process device; 0: one per processor
 * @num_dims, @dim_names, @dim_sizes: sizes of symbolic dimensions that the session starts with; others start as 1. A run whose inputs
 *		 have other sizes there compiles for them (ONNX files only) and keeps the last ACCEL_MAX_SPECIALISATIONS of those
 * @calibration: samples for ACCEL_INT8, a folder or an .npy file, or NULL: samples made from @seed
 * @calibration_method: "minmax" (or NULL), "percentile", "entropy" or "mse": how ranges follow from the samples
 * @trace:	 record a trace of each run (accel_session_trace())
 * @disable:	 compiler passes to leave out, separated by commas, or NULL ('accel compile --help' lists them)
 * @cache:	 folder that keeps compiled packages for later sessions, of any process; "off": none is kept; NULL: what ACCEL_CACHE says (a
 *		 folder or "off"), else $XDG_CACHE_HOME/accel, else $HOME/.cache/accel. Only accel_session_create() reads it
 * @cache_bytes: most bytes of that folder; what was used longest ago goes first. 0: what ACCEL_CACHE_SIZE says (a number, with K, M or G
 *		 behind it for 2^10, 2^20, 2^30), else 2 GiB
 * @depth:	 requests that run at the same time, at most ACCEL_MAX_DEPTH; 0: four, or two a device where that is more. Each of them
 *		 has memory for values of its own, made when it is needed first
 * @queue:	 requests of accel_session_run_async() that wait behind those; 0: as many as @depth, times @batch
 * @batch:	 requests of accel_session_run_async() that wait for their turn are joined into one run of up to so many rows (the size of
 *		 the first dimension of the inputs; a request may have several), at most ACCEL_MAX_BATCH; 0 or 1: none are. Only a model
 *		 whose rows do not depend on each other, which the compiler has to see: -ENOTSUP when the session is made, with the node
 *		 that stands against it. Joined are requests without bindings whose inputs have the same shapes otherwise. A joined run
 *		 has a power of two of rows (or @batch), for each of which the model is compiled once, when it comes first. Floats may
 *		 differ in the last bits from those of a run alone, where they do between batch sizes; with ACCEL_INT8 and samples made
 *		 from the seed, the ranges too. A request's errors, deadline and cancellation are its own; a device that fails is all of
 *		 theirs
 * @batch_wait_us: how long a request that has its turn waits for others to join, microseconds; 0: it takes those that are there
 * @on_fault:	 when the device fails
 * @timeout_ns: of every run without a deadline of its own, from its begin on; 0: none
 * @progress:	 told with @progress_context, on the caller's thread, how far accel_session_create() is with compiling: from 0 to 1, never
 *		 less than before; how long the rest takes is a guess. Not called for what is compiled already. NULL: nobody is told
 */
#define ACCEL_MAX_SPECIALISATIONS 8

struct accel_session_options {
	const char *device;
	enum accel_precision precision;
	unsigned int threads;
	size_t num_dims;
	const char *const *dim_names;
	const int64_t *dim_sizes;
	const char *calibration;
	const char *calibration_method;
	uint64_t seed;
	bool trace;
	const char *disable;
	const char *cache;
	uint64_t cache_bytes;
	unsigned int depth, queue;
	unsigned int batch, batch_wait_us;
	enum accel_on_fault on_fault;
	uint64_t timeout_ns;
	void (*progress)(void *context, double done);
	void *progress_context;
};

struct accel_session;

/*
 * Load and, when needed, compile @path; open the device; upload weights. @options may be NULL. -ENOENT and the like for the file,
 * -EINVAL for a model that breaks a rule, -ENOTSUP for what nothing here can run, -ENODEV for the device, -ENOMEM.
 */
int accel_session_create(const char *path, const struct accel_session_options *options, struct accel_session **session,
			 char *error, size_t error_size);
/* No run may be in flight, and its requests have been destroyed. NULL is fine. */
void accel_session_destroy(struct accel_session *session);

/*
 * Inputs and outputs in the model's order. @info: name (the session's memory), type and shape; @rank of -1 and dims of -1 are known only
 * after a run. Symbolic dimensions have the size that the session started with. @type: of a sequence, optional or map, as ONNX writes
 * it ("seq(tensor(float32))"); "" for a tensor, whose element type is @dtype.
 */
struct accel_value_info {
	const char *name;
	const char *type;
	int32_t dtype;
	int32_t rank;
	int64_t dims[ACCEL_MAX_RANK];
};
size_t accel_session_num_inputs(const struct accel_session *session);
size_t accel_session_num_outputs(const struct accel_session *session);
int accel_session_input(const struct accel_session *session, size_t index, struct accel_value_info *info);
int accel_session_output(const struct accel_session *session, size_t index, struct accel_value_info *info);

/*
 * Inputs and outputs in memory of the device, which runs read and write in place: nothing is copied.
 *
 *	accel_buffer_create(accel_session_device(session, 0), bytes, ACCEL_BUFFER_LOCAL, &buffer);	<accel/accel.h>
 *	accel_binding_create(session, buffer, 0, bytes, ACCEL_BINDING_INPUT, &binding, error, sizeof(error));
 *	struct accel_tensor input = {.dtype = 1, .rank = 4, .dims = {1, 3, 224, 224}, .binding = binding};
 *	… fill accel_buffer_data(buffer), accel_session_run(), as often as wanted …
 *	accel_binding_destroy(binding);
 *	accel_buffer_destroy(buffer);
 *
 * Any buffer of libaccel will do: local memory, memory of the host, the caller's own, or a dma-buf of another device's driver
 * (accel_buffer_import_fd()); made with ACCEL_BUFFER_UNBOUND or not. The device reads memory that is not its own over the bus, which
 * takes more of its cycles than a copy into local memory would save when a network reads its input often.
 *
 * The tensor begins where the binding does, dense and row-major, of the element type and shape of the model's value; the binding may be
 * larger, and what lies behind the tensor is not touched. An output gets its shape with every run, its @size the bytes of it, and its
 * @data what the process sees of the binding (NULL: nothing).
 *
 * A run goes to the device of its first binding. Everything is right also where in place is impossible, at the price of a copy: a binding
 * of another device than that; every binding of memory that is not the device's own, when the device is gone and another one, or the CPU,
 * does the run, and when it has come back; an output that is an input, a constant or another output at the same time. What lay in the own
 * memory of a device that is gone is lost: -ENODEV, also when it has come back. Nodes on the CPU read and write bindings where they are,
 * as this process sees them. struct accel_run_stats says what was in place and how many bytes were not. Of a binding that the process can
 * not see (a dma-buf that lets no processor look at it) both are impossible: -ENOTSUP.
 *
 * Bindings are of one session. Any thread may use them, and one of many runs at a time, as long as none of these writes it: a run that
 * would write a binding which another run under way has, or read one that another writes, is refused with -EBUSY; so is one tensor's
 * binding as another's when one of them is an output. The caller's own accesses, and those of other sessions, are his to order: a run
 * reads inputs at any time from its begin to its end, and outputs hold nothing certain before the end, or after a bad one.
 */
struct accel_binding;

/*
 * Device @index of the session, for libaccel's calls; the session's, until its end. NULL: there are not so many. One that was gone and came
 * back is another one: what was made of the old stays the caller's to destroy, and is of no more use.
 */
struct accel_device *accel_session_device(struct accel_session *session, size_t index);

#define ACCEL_BINDING_INPUT 0x1u  /* runs may read it */
#define ACCEL_BINDING_OUTPUT 0x2u /* and may write it */

/*
 * Bind bytes [offset, offset + size) of @buffer for inputs, outputs or both (@use). @offset: a multiple of 4096; the range is inside of
 * the buffer, rounded up to pages. -EINVAL: range, use, or the buffer is of none of the session's devices; -ENODEV: its device is gone;
 * -EEXIST: a binding of this session has some of these bytes; -ENOMEM; of memory of the caller's own and of dma-bufs also what
 * accel_vm_bind() says. Any thread. The buffer stays the caller's and can not be destroyed before the binding: accel_buffer_destroy()
 * answers -EBUSY, and its own address is gone, the binding is as good as before.
 */
int accel_binding_create(struct accel_session *session, struct accel_buffer *buffer, uint64_t offset, uint64_t size,
			 unsigned int use, struct accel_binding **binding, char *error, size_t error_size);
/* Before its session's end. -EBUSY: a run under way has it, and nothing happens. NULL is fine. Any thread. */
int accel_binding_destroy(struct accel_binding *binding);

/*
 * Run once. @inputs and @outputs in the model's order, all of them. Blocks; the work is done on the calling thread. -EINVAL: type or
 * shape of an input; -ENOSPC: an output's memory, or the device's; -EIO: the device faulted (the text says how); -ETIMEDOUT:
 * options.timeout_ns; -ENODEV: it is gone; -EBUSY and -ENOTSUP: of bindings, as said above.
 */
int accel_session_run(struct accel_session *session, const struct accel_tensor *inputs, size_t num_inputs,
		      struct accel_tensor *outputs, size_t num_outputs, char *error, size_t error_size);

/*
 * Requests: runs that go on by themselves.
 *
 *	accel_request_create(session, &request);
 *	accel_session_run_async(session, request, &input, 1, &output, 1, NULL);
 *	…
 *	err = accel_request_wait(request, INT64_MAX);
 *	accel_session_run_async(session, request, …);		again
 *	accel_request_destroy(request);
 *
 * A request is one run at a time, and is used again for the next, which then allocates nothing. Its end can be waited for, looked at,
 * told to a callback and read from a file descriptor; every request that was accepted ends exactly once. The work is done by threads of
 * the session, which it starts at the first call, as many as options.depth.
 */
struct accel_request;

/* -ENOMEM. @request belongs to the caller, who destroys it before the session. */
int accel_request_create(struct accel_session *session, struct accel_request **request);
/* Cancels it and waits for its end when it is under way. Not from its own callback. NULL is fine. */
void accel_request_destroy(struct accel_request *request);

/*
 * @deadline_ns: CLOCK_MONOTONIC, after which the run ends with -ETIMEDOUT; 0: as options.timeout_ns says. A run that waits for its turn
 *		 ends then, too
 * @nonblock:	 -EAGAIN when depth + queue requests are under way, instead of waiting until one ends
 * @done:	 called once on a thread of the session, or on that of accel_request_cancel() or accel_request_wait(), with the run's
 *		 result, before anybody else sees that it has ended. It may start other requests, with @nonblock, but not wait for one
 */
struct accel_run_options {
	int64_t deadline_ns;
	bool nonblock;
	void (*done)(void *context, struct accel_request *request, int result);
	void *context;
};

/*
 * Begin a run. @inputs as accel_session_run(): the struct is copied, what it points to is the caller's and stays as it is until the end.
 * @outputs: the caller's until the end, when it is filled; where its data is NULL it gets memory of the request, valid until its next
 * run or its end. Bindings are in use from the call to the end. @options may be NULL. Errors of the call: -EBUSY: @request is under way,
 * or a binding is in use; -EINVAL: counts, or a binding that is not for this; -EAGAIN; -ENOMEM. All others are the run's result.
 */
int accel_session_run_async(struct accel_session *session, struct accel_request *request,
			    const struct accel_tensor *inputs, size_t num_inputs, struct accel_tensor *outputs,
			    size_t num_outputs, const struct accel_run_options *options);

/*
 * Sleep until the run has ended, or until @deadline_ns of CLOCK_MONOTONIC (INT64_MAX: for ever; 0: only look). The run's result: 0, an
 * error of accel_session_run(), or -ECANCELED; -EINPROGRESS: it has not ended. -EINVAL: there was none. Any thread.
 */
int accel_request_wait(struct accel_request *request, int64_t deadline_ns);
/* The reason of a result that is not 0, or why a binding was refused; the request's, until its next run. "" after a good one. */
const char *accel_request_error(const struct accel_request *request);
/*
 * An eventfd that becomes readable when a run ends, and stays so until it is read or the next run begins; the request's, made at the
 * first call. -EBUSY: a run is under way and there is none yet; -EMFILE and the like.
 */
int accel_request_fd(struct accel_request *request);
/*
 * Let the run end with -ECANCELED if it has not ended. Returns at once; the end comes as any other. What the device has just been given
 * and not begun runs on to its end. Any thread; nothing happens when no run is under way.
 */
void accel_request_cancel(struct accel_request *request);

/*
 * Values that are no tensors: sequences, optionals and maps. A value is made by the caller, copies what it is made of, and is never
 * changed; a value that a session gives belongs to the session, until its next run.
 *	sequence   any number of elements
 *	optional   none or one
 *	map	   two: the keys (a tensor of rank 1, int64 or string) and the values (a tensor, or a sequence, of as many elements)
 */
enum accel_value_kind { ACCEL_SEQUENCE = 0x101, ACCEL_OPTIONAL = 0x102, ACCEL_MAP = 0x103 };

struct accel_value;

/* A tensor as a value. -EINVAL: its type or size; -ENOMEM. */
int accel_value_create_tensor(const struct accel_tensor *from, struct accel_value **value);
/* @type: enum accel_value_kind. -EINVAL: a count or elements that it can not have; -ENOMEM. */
int accel_value_create_nested(int32_t type, struct accel_value *const *elements, size_t count,
			      struct accel_value **value);
/* For values that the caller made. NULL is fine. */
void accel_value_destroy(struct accel_value *value);

/* enum accel_value_kind, or the element type of a tensor. */
int32_t accel_value_type(const struct accel_value *value);
/* Elements of a nested value; 0 of a tensor. */
size_t accel_value_count(const struct accel_value *value);
/* Element @index, part of @value; NULL past the end. */
const struct accel_value *accel_value_element(const struct accel_value *value, size_t index);
/* A tensor's shape and memory, part of @value. -EINVAL: it is no tensor. */
int accel_value_tensor(const struct accel_value *value, struct accel_tensor *tensor);

/*
 * As accel_session_run(), for any types: @outputs[i] gets a value of the session. accel_session_run() is for models whose inputs and
 * outputs are all tensors, and answers -EINVAL for others.
 */
int accel_session_run_values(struct accel_session *session, const struct accel_value *const *inputs, size_t num_inputs,
			     const struct accel_value **outputs, size_t num_outputs, char *error, size_t error_size);

/*
 * Figures of the last run that ended well. Arrays belong to the session and stay until the next run in any thread: while others run only
 * the numbers mean something.
 * Nodes: @cycles of the device, each given to one node: on each tile to the one on the matrix unit, else to the one whose
 * instruction is the oldest, else to the one that waits; over the tiles the mean. They add up to the region's.
 * @cpu_ns on the CPU.
 */
struct accel_node_stats {
	const char *name, *op_type, *origin;
	const char *reason; /* why on the CPU; "" on the device */
	uint32_t region;
	bool device;
	uint64_t macs;
	uint64_t cycles;
	uint64_t estimate; /* the compiler's, cycles */
	uint64_t cpu_ns;
};

/*
 * @yields, @yield_distance, @preempt_latency: points of each tile at which another queue may have the tiles; most cycles from one to
 * the next; most cycles from a request until they stand there. Only of a traced run on the device, else 0.
 */
struct accel_region_stats {
	bool device;
	uint32_t num_nodes;
	uint64_t cycles;
	uint64_t macs;
	uint64_t local_bytes, host_bytes; /* moved from and to each memory by the device */
	uint64_t ns;                      /* wall clock */
	uint64_t estimate;                /* the compiler's, cycles */
	uint32_t yields;
	uint64_t yield_distance, preempt_latency;
};

/*
 * Why a run takes longer than its roofline: cycles above it, by cause.
 *	PADDING	  rows, columns or positions of the array that layers leave empty, weights slower than the array
 *	FILL	  the array's start-up			BANK	   the array waits for scratchpad banks
 *	MATRIX	  the array works alone (only where another unit bounds the network)
 *	DRAIN, VECTOR  nothing else computes		DRAM	   compulsory bytes move, nothing computes
 *	SPILL	  bytes beyond the compulsory ones	LATENCY	   transfers are under way, none moves data
 *	TLB	  of that time, page walks		BALANCE	   a tile has nothing to do while another has
 *	SEMAPHORE nothing runs: signals on their way, first and last instructions
 */
enum accel_cause {
	ACCEL_CAUSE_PADDING,
	ACCEL_CAUSE_FILL,
	ACCEL_CAUSE_BANK,
	ACCEL_CAUSE_MATRIX,
	ACCEL_CAUSE_DRAIN,
	ACCEL_CAUSE_VECTOR,
	ACCEL_CAUSE_DRAM,
	ACCEL_CAUSE_SPILL,
	ACCEL_CAUSE_LATENCY,
	ACCEL_CAUSE_TLB,
	ACCEL_CAUSE_BALANCE,
	ACCEL_CAUSE_SEMAPHORE,
	ACCEL_NUM_CAUSES
};

/* "padding" …; "unknown" for what is none. */
const char *accel_cause_name(enum accel_cause cause);

/*
 * @copied_in, @copied_out: bytes that the host copied to and from memory of devices
 * @in_place_inputs, @in_place_outputs: of the first 64 inputs and outputs, a bit each, by index: it has a binding, and was not copied
 * @joined: requests that the run was for (options.batch); all figures are those of the whole run
 * @has_ledger: the run was traced, and no record of the trace was lost; then @causes add up to @cycles - @roofline_cycles
 */
struct accel_run_stats {
	size_t num_regions, num_nodes;
	const struct accel_region_stats *regions;
	const struct accel_node_stats *nodes;
	uint64_t cycles; /* device */
	uint64_t macs, macs_device;
	uint64_t copied_in, copied_out;
	uint64_t in_place_inputs, in_place_outputs;
	uint64_t joined;
	uint64_t ns;
	uint64_t
		compilations; /* of this session so far: one for each set of sizes that was not in the cache; 0 for an .axm file */
	uint64_t cached; /* packages of this session that came from the cache */
	double roofline_cycles; /* below which no program of this target gets: compiler/report/roofline.h; 0 without a device */
	double in_order_cycles; /* the same for programs that run layers one after the other: compiler/report/in_order.h */
	bool has_ledger;
	double causes[ACCEL_NUM_CAUSES];
	double peak_macs; /* of the device, per cycle, at the model's precision; 0 without a device */
	const char *
		cache_note; /* what was wrong with the cache when a package was last needed, and what was done; or "" */
	const char
		*note; /* of the compiler: which layer has numbers that fp16 can not hold, and what was done; or "" */
	const char *
		opset_note; /* that the model imports a newer opset than is known, and what its operators are taken as; or "" */
};
int accel_session_stats(const struct accel_session *session, struct accel_run_stats *stats);
/*
 * The same of a request's last run. What @stats points to is the request's, until its next run or its end, but for the notes, which are the
 * session's. -EINPROGRESS; -EINVAL: there was none that ended well.
 */
int accel_request_stats(struct accel_request *request, struct accel_run_stats *stats);

/*
 * What a device of the session did since its creation. Any thread.
 * @name:     as options.device has it; the session's
 * @requests: that it ended well, and the @cycles that they took there
 * @faults:   launches that failed on it, or were not made because it did not answer
 * @under_way: requests that are on it now
 * @gone:     it is not there; requests that begin look for it, up to every five seconds, and it is used again when it is back
 * @returns:  how often it came back
 * @why:      what was found when it was looked for last, "" when it is there
 */
struct accel_device_stats {
	const char *name;
	uint64_t requests, cycles, faults;
	unsigned int under_way;
	bool gone;
	uint64_t returns;
	char why[256];
};
size_t accel_session_num_devices(const struct accel_session *session); /* 0: "cpu" */
/* -EINVAL: there are not so many. */
int accel_session_device_stats(struct accel_session *session, size_t index, struct accel_device_stats *stats);

/*
 * Write the trace of the last run to @path, as JSON in the Trace Event Format, which Perfetto and chrome://tracing open: on one clock the
 * thread of the run with its nodes and its copies to and from the device, the threads of the pool, the packets of the device's queue from
 * their submission to their end, and each pipe of the device. Times are microseconds since the begin of the run, which was
 * otherData.origin_ns of CLOCK_MONOTONIC: traces of several requests can be laid over each other. Needs options.trace: -ENODATA; a
 * file's errno; -ENOMEM. Not while a run is under way.
 */
int accel_session_trace(const struct accel_session *session, const char *path);
/* The same of a request's last run, by its owner. Also -EINPROGRESS; -EINVAL: there was none that ended well. */
int accel_request_trace(struct accel_request *request, const char *path);

#ifdef __cplusplus
}
#endif

#endif
