/* SPDX-License-Identifier: MIT */
/* See device.h. */
#include "runtime/device.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <axl/axl_isa.h>

#include "compiler/report/region_estimate.h"
#include "runtime/fail.h"

/*
 * How long to look at the device before sleeping: waking up costs some 10 us, in a virtual machine 50, and the launches of small
 * networks take less.
 */
#define LOOKS 2000

/*
 * The device stops a launch that takes WATCHDOG_FACTOR times the compiler's estimate, which knows everything but the other queues, and
 * WATCHDOG_BASE units of 1024 cycles.
 */
#define WATCHDOG_FACTOR 4
#define WATCHDOG_BASE 256
#define WATCHDOG_UNIT 1024

/*
 * @device, @context, @info: of what was opened last; they change while nothing else is there of the device
 * @given:  @device is known outside of the runtime
 * @before: such that were opened earlier and are gone, @num_before of them
 * @lock:   of @device, @given and @before
 */
struct runtime_device {
	char *name;
	struct accel_device *device;
	struct accel_context *context;
	struct accel_device_info info;
	pthread_mutex_t lock;
	bool given;
	struct accel_device **before;
	size_t num_before;
};

struct runtime_program {
	struct runtime_device *device;
	struct accel_buffer *code, *weights;
	uint32_t code_bytes;
};

/* @lock: of @queue, which a reset replaces while others may kill; NULL when that failed. */
struct runtime_lane {
	struct runtime_device *device;
	struct accel_queue_options options;
	pthread_mutex_t lock;
	struct accel_queue *queue;
};

/*
 * @buffers:  arena, then operands: inputs and outputs; NULL where a region has no bytes
 * @exchange: base registers, in the order weights, then @buffers; statistics behind them
 * @places:   by operand: where it lies when it is not in its buffer, else 0
 * @lane, @index: where it was started last, and of its packet
 */
struct runtime_launch {
	struct runtime_program *program;
	struct runtime_lane *lane;
	struct accel_buffer *buffers[AXL_NUM_BASES - 1], *exchange, *trace;
	uint32_t num_inputs, num_outputs;
	uint64_t places[AXL_NUM_BASES - 2];
	uint64_t index;
};

#define STATS_OFFSET (AXL_NUM_BASES * sizeof(uint64_t))

/* ---- devices ---- */

int runtime_device_open(const char *name, unsigned int threads, struct runtime_device **device, char *error,
			size_t error_size)
{
	struct runtime_device *d = calloc(1, sizeof(*d));
	char full[256];
	int err = -ENOMEM;

	*device = NULL;
	if (d)
		d->name = strdup(name);
	if (!d || !d->name) {
		fail(error, error_size, err, "out of memory");
		goto err_free;
	}
	snprintf(full, sizeof(full), "%s", name);
	if (threads && !strncmp(name, "sim:", 4) && !strstr(name, "threads="))
		snprintf(full, sizeof(full), "%s%sthreads=%u", name, name[4] ? "," : "", threads);
	err = accel_open(full, &d->device, error, error_size);
	if (err)
		goto err_free;
	err = accel_context_create(accel_device_vm(d->device), &d->context);
	if (err) {
		fail(error, error_size, err, "device %s: no context: %s", name, strerror(-err));
		goto err_close;
	}
	accel_device_info(d->device, &d->info);
	pthread_mutex_init(&d->lock, NULL);
	*device = d;
	return 0;

err_close:
	accel_close(d->device);
err_free:
	if (d)
		free(d->name);
	free(d);
	return err;
}

void runtime_device_close(struct runtime_device *device)
{
	if (!device)
		return;
	accel_context_destroy(device->context);
	accel_close(device->device);
	for (size_t i = 0; i < device->num_before; i++)
		accel_close(device->before[i]);
	pthread_mutex_destroy(&device->lock);
	free(device->before);
	free(device->name);
	free(device);
}

/* Whether programs, and what is compiled later, fit as before. How fast it is and how much memory it has do not matter here. */
static int check_same(const struct runtime_device *device, const struct accel_device_info *info, char *error,
		      size_t size)
{
	const struct accel_device_info *before = &device->info;

	if (strcmp(info->target, before->target) || info->tiles != before->tiles ||
	    info->spad_bytes != before->spad_bytes || info->acc_bytes != before->acc_bytes ||
	    info->spad_banks != before->spad_banks)
		return fail(error, size, -EINVAL,
			    "what came back is of target %s (%u tiles with %u bytes of scratchpad), what went was of "
			    "target %s (%u with %u)",
			    info->target, info->tiles, info->spad_bytes, before->target, before->tiles,
			    before->spad_bytes);
	if (info->isa_version != before->isa_version || info->interface_version != before->interface_version)
		return fail(error, size, -EINVAL,
			    "what came back has instruction set %u and interface %u, what went had %u and %u",
			    info->isa_version, info->interface_version, before->isa_version, before->interface_version);
	return 0;
}

/* The device is @again from now on. -ENOMEM. */
static int replace(struct runtime_device *device, struct accel_device *again)
{
	struct accel_device *old = NULL, **grown;
	int err = 0;

	pthread_mutex_lock(&device->lock);
	if (device->given) {
		grown = realloc(device->before, (device->num_before + 1) * sizeof(*grown));
		err = grown ? 0 : -ENOMEM;
		if (grown) {
			grown[device->num_before++] = device->device;
			device->before = grown;
		}
	} else {
		old = device->device;
	}
	if (!err) {
		device->device = again;
		device->given = false;
	}
	pthread_mutex_unlock(&device->lock);
	/* Nobody else has it: its context was destroyed before. */
	if (!err)
		accel_close(old);
	return err;
}

int runtime_device_reopen(struct runtime_device *device, char *error, size_t error_size)
{
	struct accel_device_info info;
	struct accel_context *context;
	struct accel_device *again;
	int err = accel_open_again(device->device, &again, error, error_size);

	if (err)
		return err;
	accel_device_info(again, &info);
	err = check_same(device, &info, error, error_size);
	if (err)
		goto err_close;
	err = accel_context_create(accel_device_vm(again), &context);
	if (err) {
		fail(error, error_size, err, "no context: %s", strerror(-err));
		goto err_close;
	}
	accel_context_destroy(device->context);
	device->context = NULL;
	err = replace(device, again);
	if (err) {
		fail(error, error_size, err, "out of memory");
		goto err_context;
	}
	device->context = context;
	device->info = info;
	return 0;

err_context:
	accel_context_destroy(context);
err_close:
	accel_close(again);
	return err;
}

const char *runtime_device_name(const struct runtime_device *device)
{
	return device->name;
}

const char *runtime_device_target(const struct runtime_device *device)
{
	return device->info.target;
}

struct accel_device *runtime_device_handle(struct runtime_device *device)
{
	struct accel_device *handle;

	pthread_mutex_lock(&device->lock);
	device->given = true;
	handle = device->device;
	pthread_mutex_unlock(&device->lock);
	return handle;
}

struct accel_vm *runtime_device_vm(struct runtime_device *device)
{
	struct accel_vm *vm;

	pthread_mutex_lock(&device->lock);
	vm = accel_device_vm(device->device);
	pthread_mutex_unlock(&device->lock);
	return vm;
}

/* Nothing is slower by more than the slower of the two: bytes, and the wait for the first of them. */
uint64_t runtime_device_host_cycles(const struct runtime_device *device, uint64_t cycles)
{
	const struct accel_device_info *info = &device->info;
	uint64_t rate = info->host_rate ? info->dram_rate / info->host_rate : 0;
	uint64_t latency = info->dram_latency ? info->host_latency / info->dram_latency : 0;
	uint64_t factor = (rate > latency ? rate : latency) + 1;

	return cycles < UINT64_MAX / factor ? cycles * factor : UINT64_MAX;
}

/* A buffer with a copy of @data, or zeroed. Empty ones are none. */
static int make_buffer(struct runtime_device *device, const void *data, uint64_t size, unsigned int flags,
		       struct accel_buffer **buffer)
{
	uint64_t mask = size >= ESTIMATE_LARGE_PAGES_FROM ? AXL_LARGE_PAGE_BYTES - 1 : 0;
	int err = size ? accel_buffer_create(device->device, (size + mask) & ~mask, flags, buffer) : 0;

	if (!err && size && data)
		memcpy(accel_buffer_data(*buffer), data, size);
	return err;
}

static uint64_t address_of(const struct accel_buffer *buffer)
{
	return buffer ? accel_buffer_address(buffer) : 0;
}

/* ---- programs ---- */

int runtime_program_create(struct runtime_device *device, const struct axm *axm, uint32_t index,
			   struct runtime_program **program, char *error, size_t error_size)
{
	const struct axm_region *region = &axm->regions[index];
	struct runtime_program *p;
	int err;

	*program = NULL;
	if (axm->model->tiles > device->info.tiles || axm->model->spad_bytes > device->info.spad_bytes ||
	    axm->model->acc_bytes > device->info.acc_bytes)
		return fail(error, error_size, -EINVAL,
			    "the package is for %u tiles with %u bytes of scratchpad, the device (%s) has %u with %u",
			    axm->model->tiles, axm->model->spad_bytes, device->info.target, device->info.tiles,
			    device->info.spad_bytes);
	p = calloc(1, sizeof(*p));
	if (!p)
		return fail(error, error_size, -ENOMEM, "out of memory");
	p->device = device;
	p->code_bytes = (uint32_t)region->code_bytes;
	err = make_buffer(device, axm->data + region->code, region->code_bytes, ACCEL_BUFFER_LOCAL | ACCEL_BUFFER_EXEC,
			  &p->code);
	if (!err)
		err = make_buffer(device, axm->data + region->weights, region->weight_bytes, ACCEL_BUFFER_LOCAL,
				  &p->weights);
	if (err) {
		runtime_program_destroy(p);
		return fail(error, error_size, err, "region %u: %s", index, strerror(-err));
	}
	*program = p;
	return 0;
}

void runtime_program_destroy(struct runtime_program *program)
{
	if (!program)
		return;
	accel_buffer_destroy(program->code);
	accel_buffer_destroy(program->weights);
	free(program);
}

/* ---- lanes ---- */

int runtime_lane_create(struct runtime_device *device, struct runtime_lane **lane)
{
	*lane = calloc(1, sizeof(**lane));
	if (!*lane)
		return -ENOMEM;
	(*lane)->device = device;
	(*lane)->options = (struct accel_queue_options){.slots = AXL_RING_MIN_SLOTS, .priority = 1};
	pthread_mutex_init(&(*lane)->lock, NULL);
	return 0;
}

int runtime_lane_fit(struct runtime_lane *lane, size_t launches, uint64_t cycles)
{
	uint64_t watchdog = cycles / WATCHDOG_UNIT * WATCHDOG_FACTOR + WATCHDOG_BASE;
	struct accel_queue_options *options = &lane->options;

	watchdog = watchdog < UINT32_MAX ? watchdog : UINT32_MAX;
	if (lane->queue && options->slots >= launches && options->watchdog >= watchdog)
		return 0;
	while (options->slots < launches && options->slots < AXL_RING_MAX_SLOTS)
		options->slots *= 2;
	if (options->watchdog < watchdog)
		options->watchdog = (uint32_t)watchdog;
	return runtime_lane_reset(lane);
}

void runtime_lane_destroy(struct runtime_lane *lane)
{
	if (!lane)
		return;
	accel_queue_destroy(lane->queue);
	pthread_mutex_destroy(&lane->lock);
	free(lane);
}

/* A new queue: whatever state the old one was in, and whatever was in its ring, goes with it. */
int runtime_lane_reset(struct runtime_lane *lane)
{
	int err;

	pthread_mutex_lock(&lane->lock);
	accel_queue_destroy(lane->queue);
	err = accel_queue_create(lane->device->context, &lane->options, &lane->queue);
	pthread_mutex_unlock(&lane->lock);
	return err;
}

void runtime_lane_kill(struct runtime_lane *lane)
{
	pthread_mutex_lock(&lane->lock);
	if (lane->queue)
		accel_queue_reset(lane->queue);
	pthread_mutex_unlock(&lane->lock);
}

/* ---- launches ---- */

static int make_buffers(struct runtime_launch *launch, const struct axm *axm, const struct axm_region *region,
			size_t trace_records)
{
	struct runtime_device *device = launch->program->device;
	uint64_t *bases;
	int err = make_buffer(device, NULL, region->arena_bytes, ACCEL_BUFFER_LOCAL | ACCEL_BUFFER_WRITE,
			      &launch->buffers[0]);

	for (uint32_t i = 0; i < region->num_inputs + region->num_outputs && !err; i++) {
		bool output = i >= region->num_inputs;
		uint32_t id = output ? axm->ids[region->outputs_first + i - region->num_inputs]
				     : axm->ids[region->inputs_first + i];

		err = make_buffer(device, NULL, axm_value_bytes(&axm->values[id]),
				  ACCEL_BUFFER_LOCAL | (output ? ACCEL_BUFFER_WRITE : 0), &launch->buffers[1 + i]);
	}
	if (!err)
		err = make_buffer(device, NULL, STATS_OFFSET + sizeof(struct axl_exec_stats), ACCEL_BUFFER_WRITE,
				  &launch->exchange);
	if (!err)
		err = make_buffer(device, NULL, trace_records * sizeof(struct axl_trace_record), ACCEL_BUFFER_WRITE,
				  &launch->trace);
	if (err)
		return err;
	bases = accel_buffer_data(launch->exchange);
	bases[0] = address_of(launch->program->weights);
	for (uint32_t i = 0; i < AXL_NUM_BASES - 1; i++)
		bases[1 + i] = address_of(launch->buffers[i]);
	return 0;
}

int runtime_launch_create(struct runtime_program *program, const struct axm *axm, uint32_t index, size_t trace_records,
			  struct runtime_launch **launch, char *error, size_t error_size)
{
	const struct axm_region *region = &axm->regions[index];
	struct runtime_launch *l = calloc(1, sizeof(*l));
	int err;

	*launch = NULL;
	if (!l)
		return fail(error, error_size, -ENOMEM, "out of memory");
	l->program = program;
	l->num_inputs = region->num_inputs;
	l->num_outputs = region->num_outputs;
	err = make_buffers(l, axm, region, trace_records);
	if (err) {
		runtime_launch_destroy(l);
		return fail(error, error_size, err, "region %u: %s", index, strerror(-err));
	}
	*launch = l;
	return 0;
}

void runtime_launch_destroy(struct runtime_launch *launch)
{
	if (!launch)
		return;
	for (int i = 0; i < AXL_NUM_BASES - 1; i++)
		accel_buffer_destroy(launch->buffers[i]);
	accel_buffer_destroy(launch->exchange);
	accel_buffer_destroy(launch->trace);
	free(launch);
}

void runtime_launch_place(struct runtime_launch *launch, uint32_t index, uint64_t address)
{
	uint64_t *bases = accel_buffer_data(launch->exchange);

	launch->places[index] = address;
	bases[2 + index] = address ? address : address_of(launch->buffers[1 + index]);
}

uint64_t runtime_launch_load(struct runtime_launch *launch, const struct tensor *const *inputs)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < launch->num_inputs; i++) {
		if (!launch->buffers[1 + i] || launch->places[i])
			continue;
		memcpy(accel_buffer_data(launch->buffers[1 + i]), inputs[i]->data, tensor_bytes(inputs[i]));
		bytes += tensor_bytes(inputs[i]);
	}
	return bytes;
}

int runtime_launch_start(struct runtime_launch *launch, struct runtime_lane *lane)
{
	uint64_t exchange = accel_buffer_address(launch->exchange);
	union axl_packet *packet = lane->queue ? accel_queue_next(lane->queue) : NULL;

	if (!packet)
		return -EIO;
	memset((uint8_t *)accel_buffer_data(launch->exchange) + STATS_OFFSET, 0, sizeof(struct axl_exec_stats));
	accel_packet_execute(packet, accel_buffer_address(launch->program->code), launch->program->code_bytes, exchange,
			     exchange + STATS_OFFSET);
	packet->execute.trace = address_of(launch->trace);
	packet->execute.trace_size = launch->trace ? (uint32_t)accel_buffer_size(launch->trace) : 0;
	launch->lane = lane;
	launch->index = accel_queue_submit(lane->queue);
	return 0;
}

bool runtime_launch_done(const struct runtime_launch *launch)
{
	return accel_queue_done(launch->lane->queue, launch->index);
}

static int describe_fault(struct accel_queue *queue, char *error, size_t error_size)
{
	struct axl_fault_record fault;
	char text[200];

	if (accel_queue_fault(queue, &fault))
		return fail(error, error_size, -EIO, "device: stopped without a fault record");
	return fail(error, error_size, -EIO, "device fault: %s", accel_fault_text(&fault, text, sizeof(text)));
}

int runtime_launch_wait(struct runtime_launch *launch, int64_t deadline_ns, char *error, size_t error_size)
{
	struct accel_queue *queue = launch->lane->queue;
	int err;

	for (int i = 0; i < LOOKS && !accel_queue_done(queue, launch->index); i++)
#if defined(__x86_64__)
		__builtin_ia32_pause();
#else
		;
#endif
	/* Who has nothing to wait for makes no call: behind the driver that would be one of the system. */
	if (accel_queue_done(queue, launch->index) &&
	    __atomic_load_n(&queue->status->dropped, __ATOMIC_RELAXED) != launch->index)
		return 0;
	err = accel_queue_wait(queue, launch->index, deadline_ns);
	if (err == -EIO)
		return describe_fault(queue, error, error_size);
	return err ? fail(error, error_size, err, "device: %s", strerror(-err)) : 0;
}

uint64_t runtime_launch_finish(const struct runtime_launch *launch, struct tensor *const *outputs,
			       const struct axl_exec_stats **stats, const struct axl_trace_record **trace)
{
	const uint8_t *exchange = accel_buffer_data(launch->exchange);
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < launch->num_outputs; i++) {
		uint32_t operand = launch->num_inputs + i;

		if (!launch->buffers[1 + operand] || launch->places[operand])
			continue;
		memcpy(outputs[i]->data, accel_buffer_data(launch->buffers[1 + operand]), tensor_bytes(outputs[i]));
		bytes += tensor_bytes(outputs[i]);
	}
	*stats = (const void *)(exchange + STATS_OFFSET);
	*trace = launch->trace ? accel_buffer_data(launch->trace) : NULL;
	return bytes;
}

/* Its command buffer lies in the device's memory as well, and begins with a word that is known. */
bool runtime_launch_is_true(const struct runtime_launch *launch)
{
	const volatile uint32_t *magic = accel_buffer_data(launch->program->code);

	/* Loads before it are done. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return *magic == AXL_CMDBUF_MAGIC;
}
