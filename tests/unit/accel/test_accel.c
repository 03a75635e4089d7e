/* SPDX-License-Identifier: MIT */
/* libaccel: what each call promises, and what it refuses; on the in-process device, and in a guest behind the driver. */
#include <errno.h>
#include <fcntl.h>
#include <linux/udmabuf.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xf86drm.h>

#include "rig.h"

/* ---- devices ---- */

static void bad_names_are_refused_with_a_reason(void **state)
{
	static const struct {
		const char *name, *says;
		int err;
	} bad[] = {
		{"", "sim:", -ENOTSUP},
		{"/dev/accel/accel77", "/dev/accel/accel77", -ENOENT},
		{"/dev/accel/accel77", "PCI bus", -ENOENT},
		{"0000:00:04.0", "0000:00:04.0", -ENOTSUP},
		{"pci:0000:ff:1f.7", "'pci:0000:ff:1f.7': ", -ENODEV},
		{"pci:00:20.0", "'00:20.0' is no PCI address", -EINVAL},
		{"pci:0000:00:04.0x", "no PCI address", -EINVAL},
		{"sim:target=axl-huge", "axl-huge", -EINVAL},
		{"sim:threads=0", "1 to 64", -EINVAL},
		{"sim:threads=65", "1 to 64", -EINVAL},
		{"sim:threads=2x", "1 to 64", -EINVAL},
		{"sim:threads=", "1 to 64", -EINVAL},
		{"sim:spin=-1", "microseconds", -EINVAL},
		{"sim:timing=2", "0 or 1", -EINVAL},
		{"sim:race-check=yes", "0 or 1", -EINVAL},
		{"sim:colour=red", "colour=red", -EINVAL},
		{"sim:fault-hang=0", "fault-hang=0", -EINVAL},
		{"sim:fault-packet=x", "fault-packet=x", -EINVAL},
		{"sim:fault-gone=-1", "fault-gone=-1", -EINVAL},
		{"sim:fault-back=0", "fault-back=0", -EINVAL},
		{"sim:fault-becomes=axl-huge", "axl-huge", -EINVAL},
		{"sim:memory=3000000", "memory=3000000", -EINVAL},
		{"sim:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		 "too long", -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct accel_device *device;
		char error[300] = "";

		assert_int_equal(accel_open(bad[i].name, &device, error, sizeof(error)), bad[i].err);
		assert_null(device);
		if (!strstr(error, bad[i].says))
			fail_msg("'%s' says '%s'", bad[i].name, error);
		assert_int_equal(accel_open(bad[i].name, &device, NULL, 0), bad[i].err);
	}
	accel_close(NULL);
}

static void a_device_says_what_it_is(void **state)
{
	struct accel_device_info info;
	struct accel_device *device;
	char error[100];

	(void)state;
	assert_int_equal(accel_open("sim:target=axl-pro,threads=1,timing=0", &device, error, sizeof(error)), 0);
	accel_device_info(device, &info);
	assert_string_equal(info.target, "axl-pro");
	assert_int_equal(info.tiles, 4);
	assert_int_equal(info.spad_bytes, 1 << 20);
	assert_true(info.mem_bytes == 4ull << 30);
	assert_int_equal(info.isa_version, AXL_ISA_VERSION);
	assert_int_equal(info.interface_version, AXL_REG_INTERFACE_VERSION);
	assert_int_equal(strncmp(accel_version(), "0.", 2), 0);
	accel_close(device);
}

/* Let the device, which goes behind one packet, go. */
static void let_go(struct accel_device *device)
{
	struct accel_context *context;
	struct accel_buffer *buffer;
	struct accel_queue *queue;
	uint64_t index = 0;

	assert_int_equal(accel_context_create(accel_device_vm(device), &context), 0);
	assert_int_equal(accel_queue_create(context, NULL, &queue), 0);
	for (int i = 0; i < 2; i++) {
		accel_packet_nop(accel_queue_next(queue));
		index = accel_queue_submit(queue);
	}
	assert_int_equal(accel_queue_wait(queue, index, ACCEL_FOREVER), -ENODEV);
	assert_int_equal(accel_buffer_create(device, 4096, 0, &buffer), -ENODEV);
	accel_queue_destroy(queue);
	assert_int_equal(accel_context_destroy(context), 0);
}

static void what_comes_back_can_be_opened_again(void **state)
{
	struct accel_device *device, *again;
	struct accel_device_info info;
	char error[200] = "";

	(void)state;
	assert_int_equal(accel_open("sim:threads=1,timing=0,fault-gone=1,fault-back=3", &device, error, sizeof(error)),
			 0);
	let_go(device);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(accel_open_again(device, &again, error, sizeof(error)), -ENODEV);
		assert_null(again);
		assert_non_null(strstr(error, "not been put in again"));
	}
	assert_int_equal(accel_open_again(device, &again, NULL, 0), 0);
	accel_close(device);
	/* It is as new, and goes and comes as the first did. */
	let_go(again);
	assert_int_equal(accel_open_again(again, &device, error, sizeof(error)), -ENODEV);
	accel_close(again);

	/* What comes back may be something else. One that is there is opened once more. */
	assert_int_equal(accel_open("sim:threads=1,timing=0,fault-gone=1,fault-back=1,fault-becomes=axl-pro", &device,
				    error, sizeof(error)),
			 0);
	let_go(device);
	assert_int_equal(accel_open_again(device, &again, error, sizeof(error)), 0);
	accel_device_info(again, &info);
	assert_string_equal(info.target, "axl-pro");
	accel_close(device);
	assert_int_equal(accel_open_again(again, &device, error, sizeof(error)), 0);
	accel_close(again);
	accel_close(device);
}

static void what_is_listed_can_be_opened(void **state)
{
	struct accel_device_entry entries[8], first;
	size_t count = accel_device_list(entries, 8);
	char error[200];

	(void)state;
	assert_true(count >= 2 && count <= 8);
	assert_true(accel_device_list(NULL, 0) == count && accel_device_list(&first, 1) == count);
	assert_string_equal(first.name, entries[0].name);
	for (size_t i = 0; i < count; i++) {
		struct accel_device *device;
		struct accel_device_info info;

		assert_int_equal(accel_open(entries[i].name, &device, error, sizeof(error)), 0);
		accel_device_info(device, &info);
		assert_non_null(strstr(entries[i].text, info.target));
		accel_close(device);
	}
}

static void counters_count(void **state)
{
	struct rig *rig = *state;
	struct accel_counters before, after;
	uint64_t index = 0;

	accel_device_counters(rig->device, &before);
	for (int i = 0; i < 10; i++) {
		accel_packet_nop(accel_queue_next(rig->queue));
		index = accel_queue_submit(rig->queue);
	}
	assert_int_equal(accel_queue_wait(rig->queue, index, in(10 * SECOND)), 0);
	accel_device_counters(rig->device, &after);
	assert_true(after.packets == before.packets + 10);
	assert_true(after.cycles > before.cycles);
	assert_true(accel_queue_cycles(rig->queue) == after.cycles - before.cycles);
	assert_true(after.faults == before.faults);
}

/* An instruction for each pipe: what the device counts is what the execution itself says. */
static void pipes_are_counted(void **state)
{
	struct rig *rig = *state;
	uint64_t before[AXL_NUM_PIPES], after[AXL_NUM_PIPES];
	struct accel_buffer *code;
	struct axl_exec_stats stats;
	struct axl_fault_record fault;
	uint32_t slots = AXL_NUM_PIPES - AXL_PIPE_LOAD + 1, size = sizeof(struct axl_cmdbuf) + slots * AXL_SLOT_BYTES;
	union axl_insn insn = {.header = {.opcode = AXL_OP_SYNC, .slots = 1}};
	uint8_t *bytes;

	assert_int_equal(accel_buffer_create(rig->device, size, ACCEL_BUFFER_EXEC, &code), 0);
	bytes = accel_buffer_data(code);
	*(struct axl_cmdbuf *)bytes = (struct axl_cmdbuf){
		.magic = AXL_CMDBUF_MAGIC,
		.version = AXL_ISA_VERSION,
		.num_tiles = 1,
		.size = size,
		.streams[0] = {sizeof(struct axl_cmdbuf), slots * AXL_SLOT_BYTES},
	};
	bytes += sizeof(struct axl_cmdbuf);
	for (uint8_t p = AXL_PIPE_LOAD; p < AXL_NUM_PIPES; p++, bytes += AXL_SLOT_BYTES) {
		insn.header.pipe = p;
		memcpy(bytes, &insn, AXL_SLOT_BYTES);
	}
	insn.header = (struct axl_header){.opcode = AXL_OP_END, .slots = 1, .pipe = AXL_PIPE_SEQ};
	memcpy(bytes, &insn, AXL_SLOT_BYTES);
	assert_int_equal(accel_device_pipes(rig->device, before), 0);
	assert_int_equal(accel_execute(rig->device, code, size, NULL, 0, &stats, NULL, 0, &fault), 0);
	assert_int_equal(accel_device_pipes(rig->device, after), 0);
	for (int p = 0; p < AXL_NUM_PIPES; p++) {
		uint64_t busy = 0;

		for (int tile = 0; tile < AXL_MAX_TILES; tile++)
			busy += stats.pipe[tile][p][AXL_STALL_BUSY];
		assert_int_equal(after[p] - before[p], busy);
		assert_true(busy > 0 || p == AXL_PIPE_SEQ);
	}
	assert_int_equal(accel_buffer_destroy(code), 0);
}

/* ---- memory ---- */

static void buffers_are_zeroed_and_limited(void **state)
{
	struct rig *rig = *state;
	struct accel_buffer *buffer, *more;
	struct accel_device_info info;

	accel_device_info(rig->device, &info);
	assert_int_equal(accel_buffer_create(rig->device, 0, 0, &buffer), -EINVAL);
	assert_null(buffer);
	assert_int_equal(accel_buffer_create(rig->device, 1, 0x10, &buffer), -EINVAL);
	assert_int_equal(accel_buffer_create(rig->device, 1, ACCEL_BUFFER_UNBOUND | ACCEL_BUFFER_EXEC, &buffer),
			 -EINVAL);
	assert_int_equal(accel_buffer_create(rig->device, ~0ull, 0, &buffer), -EINVAL);
	assert_int_equal(accel_buffer_create(rig->device, info.mem_bytes + 1, ACCEL_BUFFER_LOCAL, &buffer), -ENOSPC);
	assert_int_equal(accel_buffer_create(rig->device, 5000, ACCEL_BUFFER_LOCAL, &buffer), 0);
	assert_true(accel_buffer_size(buffer) == 5000 && accel_buffer_address(buffer));
	assert_int_equal(accel_buffer_flags(buffer), ACCEL_BUFFER_LOCAL);
	for (int i = 0; i < 5000; i++)
		assert_int_equal(((uint8_t *)accel_buffer_data(buffer))[i], 0);
	assert_int_equal(accel_buffer_create(rig->device, info.mem_bytes, ACCEL_BUFFER_LOCAL, &more), -ENOSPC);
	assert_int_equal(accel_buffer_destroy(buffer), 0);
	assert_int_equal(accel_buffer_destroy(NULL), 0);
	/* An emulated processor zeroes a gigabyte for minutes. */
	if (rig_is_kernel())
		return;
	assert_int_equal(accel_buffer_create(rig->device, info.mem_bytes, ACCEL_BUFFER_LOCAL, &more), 0);
	assert_int_equal(accel_buffer_destroy(more), 0);
}

static void binding_keeps_its_rules(void **state)
{
	struct rig *rig = *state;
	struct accel_vm *vm;
	struct accel_buffer *buffer;
	uint64_t first = 0, second = 0, fixed = 0x500000000ull;

	assert_int_equal(accel_vm_create(rig->device, &vm), 0);
	assert_int_equal(accel_buffer_create(rig->device, 8192, ACCEL_BUFFER_UNBOUND, &buffer), 0);
	assert_true(accel_buffer_address(buffer) == 0);
	assert_int_equal(accel_vm_bind(vm, buffer, 0, 8192, ACCEL_READ, &first), 0);
	assert_int_equal(accel_vm_bind(vm, buffer, 4096, 4096, ACCEL_WRITE, &second), 0);
	assert_true(second >= first + 8192 + 4096);
	assert_int_equal(accel_vm_bind(vm, buffer, 0, 4096, ACCEL_EXEC, &fixed), 0);
	assert_int_equal(accel_vm_bind(vm, buffer, 0, 4096, ACCEL_EXEC, &fixed), -EEXIST);
	fixed = 0x500000001ull;
	assert_int_equal(accel_vm_bind(vm, buffer, 0, 4096, ACCEL_EXEC, &fixed), -EINVAL);
	fixed = 0x600000000ull;
	assert_int_equal(accel_vm_bind(vm, buffer, 4096, 8192, ACCEL_READ, &fixed), -EINVAL);
	assert_int_equal(accel_vm_bind(vm, buffer, 0, 4096, 0, &fixed), -EINVAL);
	assert_int_equal(accel_vm_bind(vm, buffer, 0, 4096, 0x10, &fixed), -EINVAL);
	assert_int_equal(accel_vm_unbind(vm, first, 4096), -ENOENT);
	assert_int_equal(accel_buffer_destroy(buffer), -EBUSY);
	assert_int_equal(accel_vm_unbind(vm, first, 8192), 0);
	assert_int_equal(accel_vm_unbind(vm, first, 8192), -ENOENT);
	/* What is bound still goes with the address space. */
	assert_int_equal(accel_vm_destroy(vm), 0);
	assert_int_equal(accel_buffer_destroy(buffer), 0);
	assert_int_equal(accel_vm_destroy(NULL), 0);
}

static void chosen_and_given_addresses_keep_apart(void **state)
{
	struct rig *rig = *state;
	struct accel_vm *vm;
	struct accel_buffer *buffer;
	uint64_t given = ACCEL_VM_CHOSEN - 4096, chosen = 0, again = 0;

	assert_int_equal(accel_vm_create(rig->device, &vm), 0);
	assert_int_equal(accel_buffer_create(rig->device, 8192, ACCEL_BUFFER_UNBOUND, &buffer), 0);
	assert_int_equal(accel_vm_bind(vm, buffer, 0, 4096, ACCEL_READ, &given), 0);
	assert_int_equal(accel_vm_unbind(vm, given, 4096), 0);
	assert_int_equal(accel_vm_bind(vm, buffer, 0, 8192, ACCEL_READ, &given), -EINVAL);
	given = ACCEL_VM_CHOSEN;
	assert_int_equal(accel_vm_bind(vm, buffer, 0, 4096, ACCEL_READ, &given), -EINVAL);
	given = ~0xfffull;
	assert_int_equal(accel_vm_bind(vm, buffer, 0, 4096, ACCEL_READ, &given), -EINVAL);
	assert_int_equal(accel_vm_bind(vm, buffer, 0, 0, ACCEL_READ, &chosen), -EINVAL);
	assert_int_equal(accel_vm_bind(vm, buffer, 0, ~0ull << 12, ACCEL_READ, &chosen), -EINVAL);
	assert_int_equal(accel_vm_bind(vm, buffer, ~0ull << 12, 8192, ACCEL_READ, &chosen), -EINVAL);
	assert_true(chosen == 0);
	assert_int_equal(accel_vm_bind(vm, buffer, 0, 8192, ACCEL_READ, &chosen), 0);
	assert_int_equal(accel_vm_unbind(vm, chosen, 8192), 0);
	assert_int_equal(accel_vm_bind(vm, buffer, 0, 8192, ACCEL_READ, &again), 0);
	assert_true(chosen >= ACCEL_VM_CHOSEN && again >= chosen + 8192 + 4096);
	assert_int_equal(accel_vm_destroy(vm), 0);
	assert_int_equal(accel_buffer_destroy(buffer), 0);
}

static void a_buffer_bound_twice_outlives_its_first_destroy(void **state)
{
	struct rig *rig = *state;
	struct accel_buffer *buffer;
	struct accel_vm *vm;
	uint64_t at = 0, old;

	assert_int_equal(accel_vm_create(rig->device, &vm), 0);
	assert_int_equal(accel_buffer_create(rig->device, 4096, ACCEL_BUFFER_WRITE, &buffer), 0);
	assert_int_equal(accel_vm_bind(vm, buffer, 0, 4096, ACCEL_READ, &at), 0);
	old = accel_buffer_address(buffer);
	assert_int_equal(accel_buffer_destroy(buffer), -EBUSY);
	assert_true(accel_buffer_address(buffer) == 0);
	accel_packet_fill(accel_queue_next(rig->queue), old, 1, 64);
	assert_int_equal(accel_queue_wait(rig->queue, accel_queue_submit(rig->queue), in(10 * SECOND)), -EIO);
	assert_int_equal(((uint8_t *)accel_buffer_data(buffer))[0], 0);
	assert_int_equal(accel_vm_unbind(vm, at, 4096), 0);
	assert_int_equal(accel_buffer_destroy(buffer), 0);
	assert_int_equal(accel_vm_destroy(vm), 0);
}

static void devices_do_not_share_objects(void **state)
{
	struct rig *rig = *state, *other;
	struct accel_buffer *code;
	struct axl_exec_stats stats;
	struct axl_fault_record fault;
	struct accel_wait waits[2];
	void *second;
	uint64_t at = 0;

	rig_setup(&second);
	other = second;
	assert_int_equal(accel_buffer_create(other->device, 4096, ACCEL_BUFFER_EXEC, &code), 0);
	assert_int_equal(accel_vm_bind(accel_device_vm(rig->device), code, 0, 4096, ACCEL_READ, &at), -EINVAL);
	assert_int_equal(accel_execute(rig->device, code, 4096, NULL, 0, &stats, NULL, 0, &fault), -EINVAL);
	waits[0] = (struct accel_wait){rig->queue, 0, 0};
	waits[1] = (struct accel_wait){other->queue, 0, 0};
	assert_int_equal(accel_wait_many(waits, 2, true, 0), -EINVAL);
	assert_int_equal(accel_buffer_destroy(code), 0);
	rig_teardown(&second);
}

static void address_spaces_do_not_see_each_other(void **state)
{
	struct rig *rig = *state;
	struct accel_vm *vm;
	struct accel_context *context;
	struct accel_queue *queue;
	struct accel_buffer *buffer;
	struct axl_fault_record fault;

	assert_int_equal(accel_vm_create(rig->device, &vm), 0);
	assert_int_equal(accel_context_create(vm, &context), 0);
	assert_int_equal(accel_vm_destroy(vm), -EBUSY);
	assert_int_equal(accel_queue_create(context, NULL, &queue), 0);
	assert_int_equal(accel_context_destroy(context), -EBUSY);
	assert_int_equal(accel_buffer_create(rig->device, 1 << 22, ACCEL_BUFFER_WRITE, &buffer), 0);
	accel_packet_fill(accel_queue_next(queue), accel_buffer_address(buffer) + (3 << 20), 1, 64);
	assert_int_equal(accel_queue_wait(queue, accel_queue_submit(queue), in(10 * SECOND)), -EIO);
	assert_int_equal(accel_queue_fault(queue, &fault), 0);
	assert_int_equal(fault.cause, AXL_CAUSE_NOT_MAPPED);
	assert_int_equal(accel_queue_fault(rig->queue, &fault), -ENOENT);
	accel_queue_destroy(queue);
	assert_int_equal(accel_context_destroy(context), 0);
	assert_int_equal(accel_vm_destroy(vm), 0);
	assert_int_equal(accel_buffer_destroy(buffer), 0);
}

static void rights_hold(void **state)
{
	struct rig *rig = *state;
	struct accel_buffer *buffer;
	struct axl_fault_record fault;
	char text[200];

	assert_int_equal(accel_buffer_create(rig->device, 4096, 0, &buffer), 0);
	accel_packet_fill(accel_queue_next(rig->queue), accel_buffer_address(buffer), 1, 64);
	accel_packet_tag(&rig->queue->ring[0], 4711);
	assert_int_equal(accel_queue_wait(rig->queue, accel_queue_submit(rig->queue), in(10 * SECOND)), -EIO);
	assert_int_equal(accel_queue_state(rig->queue), AXL_QUEUE_FAULTED);
	assert_int_equal(accel_queue_fault(rig->queue, &fault), 0);
	assert_int_equal(fault.cause, AXL_CAUSE_PERMISSION);
	assert_int_equal(fault.tag, 4711);
	assert_non_null(strstr(accel_fault_text(&fault, text, sizeof(text)), "right"));
	assert_int_equal(((uint8_t *)accel_buffer_data(buffer))[0], 0);
	assert_int_equal(accel_queue_reset(rig->queue), 0);
	assert_int_equal(accel_buffer_destroy(buffer), 0);
}

/* ---- memory of others ---- */

static void *pages(size_t count, int protection)
{
	void *memory = mmap(NULL, count * 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	return memory;
}

/* Two buffers behind a fence that comes later, one address chosen; then both away, behind the fence of that. */
static void an_address_space_changes_behind_fences(void **state)
{
	struct rig *rig = *state;
	int fd = accel_device_fd(rig->device);
	struct accel_vm_op ops[2] = {{.size = 4096, .rights = ACCEL_READ | ACCEL_WRITE},
				     {.size = 4096, .address = 0x123000, .rights = ACCEL_READ | ACCEL_WRITE}};
	struct accel_sync bound = {0}, line = {0};
	struct accel_buffer *buffer;
	uint32_t *words;

	assert_int_equal(accel_buffer_create(rig->device, 4096, ACCEL_BUFFER_UNBOUND, &buffer), 0);
	ops[0].buffer = ops[1].buffer = buffer;
	if (!rig_is_kernel()) {
		assert_int_equal(fd, -ENOTSUP);
		assert_int_equal(accel_vm_update(accel_device_vm(rig->device), ops, 2, NULL, 0, NULL, 0), -ENOTSUP);
		assert_int_equal(accel_buffer_destroy(buffer), 0);
		return;
	}
	assert_true(fd >= 0);
	assert_int_equal(drmSyncobjCreate(fd, 0, &bound.syncobj), 0);
	assert_int_equal(drmSyncobjCreate(fd, 0, &line.syncobj), 0);
	line.point = 1;
	/* All or none, and nobody's fence. */
	ops[1].size = 8192;
	assert_int_equal(accel_vm_update(accel_device_vm(rig->device), ops, 2, NULL, 0, &bound, 1), -EINVAL);
	assert_true(!ops[0].address);
	ops[1].size = 4096;
	assert_int_equal(accel_vm_update(accel_device_vm(rig->device), ops, 2, &bound, 1, &line, 1), -EINVAL);
	assert_int_equal(accel_vm_update(accel_device_vm(rig->device), ops, 0, NULL, 0, NULL, 0), -EINVAL);
	assert_int_equal(accel_vm_update(accel_device_vm(rig->device), ops, 2, NULL, 0, NULL, 65), -EINVAL);
	assert_int_equal(accel_vm_update(accel_device_vm(rig->device), ops, 2, NULL, 0, &bound, 1), 0);
	assert_true(ops[0].address >= ACCEL_VM_CHOSEN && ops[1].address == 0x123000);
	assert_int_equal(drmSyncobjWait(fd, &bound.syncobj, 1, in(20 * SECOND), 0, NULL), 0);
	words = accel_buffer_data(buffer);
	for (int i = 0; i < 2; i++) {
		accel_packet_fill(accel_queue_next(rig->queue), ops[i].address, 0x600du + (uint32_t)i, 4096);
		assert_int_equal(accel_queue_wait(rig->queue, accel_queue_submit(rig->queue), in(20 * SECOND)), 0);
		assert_int_equal(words[1023], 0x600d + i);
	}
	assert_int_equal(accel_buffer_destroy(buffer), -EBUSY);
	for (int i = 0; i < 2; i++)
		ops[i] = (struct accel_vm_op){.address = ops[i].address, .size = 4096};
	assert_int_equal(accel_vm_update(accel_device_vm(rig->device), ops, 2, &bound, 1, &line, 1), 0);
	assert_int_equal(drmSyncobjTimelineWait(fd, &line.syncobj, &line.point, 1, in(20 * SECOND), 0, NULL), 0);
	assert_int_equal(accel_vm_unbind(accel_device_vm(rig->device), 0x123000, 4096), -ENOENT);
	assert_int_equal(accel_buffer_destroy(buffer), 0);
	drmSyncobjDestroy(fd, bound.syncobj);
	drmSyncobjDestroy(fd, line.syncobj);
}

static void the_device_works_on_memory_of_the_program(void **state)
{
	struct rig *rig = *state;
	struct accel_buffer *source, *target, *again;
	uint8_t *from = pages(3, PROT_READ | PROT_WRITE), *to = pages(3, PROT_READ | PROT_WRITE);

	for (int i = 0; i < 3 * 4096; i++)
		from[i] = (uint8_t)(i * 7 + i / 256);
	assert_int_equal(accel_buffer_import_memory(rig->device, from, 3 * 4096, 0, &source), 0);
	assert_int_equal(accel_buffer_import_memory(rig->device, to, 3 * 4096, ACCEL_BUFFER_WRITE, &target), 0);
	assert_true(accel_buffer_data(source) == from && accel_buffer_size(source) == 3 * 4096);
	accel_packet_copy(accel_queue_next(rig->queue), accel_buffer_address(target) + 100,
			  accel_buffer_address(source) + 3, 10000);
	assert_int_equal(accel_queue_wait(rig->queue, accel_queue_submit(rig->queue), in(20 * SECOND)), 0);
	assert_memory_equal(to + 100, from + 3, 10000);
	assert_true(to[99] == 0 && to[10100] == 0);
	/* The same memory twice, and a part of it: each goes by itself. */
	assert_int_equal(accel_buffer_import_memory(rig->device, to + 4096, 4096, ACCEL_BUFFER_WRITE, &again), 0);
	assert_int_equal(accel_buffer_destroy(target), 0);
	accel_packet_fill(accel_queue_next(rig->queue), accel_buffer_address(again), 0x55555555, 4096);
	assert_int_equal(accel_queue_wait(rig->queue, accel_queue_submit(rig->queue), in(20 * SECOND)), 0);
	assert_true(to[4095] == from[4095 - 97] && to[4096] == 0x55 && to[8191] == 0x55 && to[8192] == from[8192 - 97]);
	assert_int_equal(accel_buffer_destroy(again), 0);
	/* It is the program's again, unchanged. */
	assert_int_equal(accel_buffer_destroy(source), 0);
	assert_true(from[5] == 35 && to[4096] == 0x55);
	munmap(from, 3 * 4096);
	munmap(to, 3 * 4096);
}

static void memory_that_went_is_out_of_reach(void **state)
{
	struct rig *rig = *state;
	struct accel_buffer *buffer;
	uint8_t *memory = pages(1, PROT_READ | PROT_WRITE);
	struct axl_fault_record fault;
	uint64_t old;

	assert_int_equal(accel_buffer_import_memory(rig->device, memory, 4096, ACCEL_BUFFER_WRITE, &buffer), 0);
	old = accel_buffer_address(buffer);
	assert_int_equal(accel_buffer_destroy(buffer), 0);
	accel_packet_fill(accel_queue_next(rig->queue), old, 1, 64);
	assert_int_equal(accel_queue_wait(rig->queue, accel_queue_submit(rig->queue), in(20 * SECOND)), -EIO);
	assert_int_equal(accel_queue_fault(rig->queue, &fault), 0);
	assert_int_equal(fault.cause, AXL_CAUSE_NOT_MAPPED);
	assert_int_equal(memory[0], 0);
	munmap(memory, 4096);
}

static void memory_that_can_not_be_imported_is_refused(void **state)
{
	struct rig *rig = *state;
	uint8_t *memory = pages(4, PROT_READ | PROT_WRITE), *constant = pages(1, PROT_READ);
	struct accel_buffer *buffer;
	uint64_t at = 0;

	assert_int_equal(accel_buffer_import_memory(rig->device, memory + 1, 4096, 0, &buffer), -EINVAL);
	assert_null(buffer);
	assert_int_equal(accel_buffer_import_memory(rig->device, memory, 4095, 0, &buffer), -EINVAL);
	assert_int_equal(accel_buffer_import_memory(rig->device, memory, 0, 0, &buffer), -EINVAL);
	assert_int_equal(accel_buffer_import_memory(rig->device, NULL, 4096, 0, &buffer), -EINVAL);
	assert_int_equal(accel_buffer_import_memory(rig->device, memory, 4096, ACCEL_BUFFER_LOCAL, &buffer), -EINVAL);
	/* A hole in it. */
	munmap(memory + 8192, 4096);
	assert_int_equal(accel_buffer_import_memory(rig->device, memory, 4 * 4096, 0, &buffer), -EFAULT);
	assert_null(buffer);
	assert_int_equal(accel_buffer_import_memory(rig->device, memory, 2 * 4096, ACCEL_BUFFER_WRITE, &buffer), 0);
	assert_int_equal(accel_buffer_destroy(buffer), 0);
	/* What the program may not write, the device may not either. */
	assert_int_equal(accel_buffer_import_memory(rig->device, constant, 4096, ACCEL_BUFFER_WRITE, &buffer), -EFAULT);
	assert_int_equal(accel_buffer_import_memory(rig->device, constant, 4096, ACCEL_BUFFER_UNBOUND, &buffer), 0);
	assert_int_equal(accel_vm_bind(accel_device_vm(rig->device), buffer, 0, 4096, ACCEL_WRITE, &at), -EFAULT);
	assert_int_equal(accel_vm_bind(accel_device_vm(rig->device), buffer, 0, 4096, ACCEL_READ, &at), 0);
	assert_int_equal(accel_buffer_destroy(buffer), -EBUSY);
	assert_int_equal(accel_vm_unbind(accel_device_vm(rig->device), at, 4096), 0);
	assert_int_equal(accel_buffer_destroy(buffer), 0);
	munmap(memory, 2 * 4096);
	munmap(memory + 3 * 4096, 4096);
	munmap(constant, 4096);
}

/* From one open device to another: two of a process, as two processes would. */
static void a_buffer_is_shared_by_its_dma_buf(void **state)
{
	struct rig *rig = *state, *other;
	struct accel_buffer *buffer, *theirs, *same;
	uint64_t again = 0;
	uint8_t *data;
	void *second;
	int fd;

	if (!rig_is_kernel())
		skip();
	rig_setup(&second);
	other = second;
	assert_int_equal(accel_buffer_create(rig->device, 8192, ACCEL_BUFFER_WRITE, &buffer), 0);
	assert_int_equal(accel_buffer_export_fd(buffer, &fd), 0);
	assert_true(fd >= 0 && fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(accel_buffer_import_fd(other->device, fd, ACCEL_BUFFER_WRITE, &theirs), 0);
	/* The kernel gives this one the handle that it has already: closing one leaves the other. */
	assert_int_equal(accel_buffer_import_fd(rig->device, fd, ACCEL_BUFFER_WRITE, &same), 0);
	close(fd);
	assert_true(accel_buffer_size(theirs) == 8192 && accel_buffer_size(same) == 8192);
	accel_packet_fill(accel_queue_next(other->queue), accel_buffer_address(theirs), 0x11111111, 8192);
	assert_int_equal(accel_queue_wait(other->queue, accel_queue_submit(other->queue), in(20 * SECOND)), 0);
	assert_int_equal(accel_buffer_destroy(buffer), 0);
	assert_int_equal(accel_vm_bind(accel_device_vm(rig->device), same, 0, 4096, ACCEL_READ, &again), 0);
	assert_int_equal(accel_vm_unbind(accel_device_vm(rig->device), again, 4096), 0);
	data = accel_buffer_data(same);
	assert_true(data && data[0] == 0x11 && data[8191] == 0x11);
	accel_packet_fill(accel_queue_next(rig->queue), accel_buffer_address(same) + 4096, 0x22222222, 4096);
	assert_int_equal(accel_queue_wait(rig->queue, accel_queue_submit(rig->queue), in(20 * SECOND)), 0);
	assert_int_equal(accel_buffer_destroy(same), 0);
	data = accel_buffer_data(theirs);
	assert_true(data && data[4095] == 0x11 && data[4096] == 0x22 && data[8191] == 0x22);
	assert_int_equal(accel_buffer_destroy(theirs), 0);
	rig_teardown(&second);
}

static int sealed_memfd(off_t size, unsigned int seals)
{
	int fd = memfd_create("foreign", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

/* udmabuf makes a dma-buf of a memfd: another driver's memory. The in-process device takes the memfd as it is. */
static int foreign_dmabuf(int *memory)
{
	struct udmabuf_create create = {.size = 8192, .flags = UDMABUF_FLAGS_CLOEXEC};
	int control = rig_is_kernel() ? open("/dev/udmabuf", O_RDWR | O_CLOEXEC) : -1, fd;

	*memory = -1;
	if (rig_is_kernel() && control < 0)
		return -1;
	*memory = sealed_memfd(8192, F_SEAL_SHRINK);
	if (!rig_is_kernel())
		return dup(*memory);
	create.memfd = (uint32_t)*memory;
	fd = ioctl(control, UDMABUF_CREATE, &create);
	close(control);
	return fd;
}

static void a_foreign_dma_buf_is_read_and_written(void **state)
{
	struct rig *rig = *state;
	struct accel_buffer *buffer;
	int memory = -1, fd = foreign_dmabuf(&memory);
	uint8_t byte = 0x77;

	if (fd < 0)
		skip(); /* no udmabuf in this kernel */
	assert_int_equal(pwrite(memory, &byte, 1, 5), 1);
	assert_int_equal(accel_buffer_import_fd(rig->device, fd, ACCEL_BUFFER_WRITE, &buffer), 0);
	close(fd);
	assert_true(accel_buffer_size(buffer) == 8192);
	accel_packet_copy(accel_queue_next(rig->queue), accel_buffer_address(buffer) + 4096,
			  accel_buffer_address(buffer), 4096);
	assert_int_equal(accel_queue_wait(rig->queue, accel_queue_submit(rig->queue), in(20 * SECOND)), 0);
	byte = 0;
	assert_int_equal(pread(memory, &byte, 1, 4096 + 5), 1);
	assert_int_equal(byte, 0x77);
	assert_int_equal(accel_buffer_destroy(buffer), 0);
	close(memory);
}

/* The device's threads would die of a page that goes, or that can not be written. */
static void memfds_that_may_change_are_refused(void **state)
{
	const struct {
		off_t size;
		unsigned int seals;
		int error;
	} cases[] = {
		{8192, F_SEAL_GROW, -EINVAL},
		{0, F_SEAL_SHRINK, -EINVAL},
		{4097, F_SEAL_SHRINK, -EINVAL},
		{8192, F_SEAL_SHRINK | F_SEAL_WRITE, -EPERM},
	};
	struct rig *rig = *state;
	struct accel_buffer *buffer;

	if (rig_is_kernel())
		skip();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int fd = sealed_memfd(cases[i].size, cases[i].seals);

		assert_int_equal(accel_buffer_import_fd(rig->device, fd, 0, &buffer), cases[i].error);
		assert_null(buffer);
		close(fd);
	}
}

/* By its dma-buf, in another file of the same device: the same memory, and local there as well. */
static void local_memory_is_shared_by_its_dma_buf(void **state)
{
	struct rig *rig = *state;
	struct accel_buffer *local, *same;
	int fd = 0;

	assert_int_equal(accel_buffer_create(rig->device, 4096, ACCEL_BUFFER_LOCAL, &local), 0);
	if (!rig_is_kernel()) {
		assert_int_equal(accel_buffer_export_fd(local, &fd), -ENOTSUP);
		assert_int_equal(fd, -1);
		assert_int_equal(accel_buffer_destroy(local), 0);
		return;
	}
	assert_int_equal(accel_buffer_export_fd(local, &fd), 0);
	assert_int_equal(accel_buffer_import_fd(rig->device, fd, 0, &same), 0);
	*(volatile uint32_t *)accel_buffer_data(local) = 0x10ca1;
	assert_int_equal(*(volatile uint32_t *)accel_buffer_data(same), 0x10ca1);
	close(fd);
	assert_int_equal(accel_buffer_destroy(local), 0);
	assert_int_equal(*(volatile uint32_t *)accel_buffer_data(same), 0x10ca1);
	assert_int_equal(accel_buffer_destroy(same), 0);
}

static void what_is_no_dma_buf_is_refused(void **state)
{
	struct rig *rig = *state;
	struct accel_buffer *buffer, *own;
	void *memory = pages(1, PROT_READ | PROT_WRITE);
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC), out = 0;

	assert_int_equal(accel_buffer_import_fd(rig->device, fd, ACCEL_BUFFER_LOCAL, &buffer), -EINVAL);
	assert_int_equal(accel_buffer_import_fd(rig->device, fd, 0, &buffer), rig_is_kernel() ? -EINVAL : -ENOTSUP);
	assert_null(buffer);
	assert_int_equal(accel_buffer_import_fd(rig->device, -1, 0, &buffer), -EBADF);
	close(fd);
	assert_int_equal(accel_buffer_import_memory(rig->device, memory, 4096, 0, &own), 0);
	assert_int_equal(accel_buffer_export_fd(own, &out), -ENOTSUP);
	assert_int_equal(out, -1);
	assert_int_equal(accel_buffer_destroy(own), 0);
	munmap(memory, 4096);
}

/* ---- queues ---- */

static void queue_options_are_checked(void **state)
{
	static const struct accel_queue_options bad[] = {
		{.slots = 7},
		{.slots = 4},
		{.slots = 12},
		{.slots = 1 << 17},
		{.priority = 4},
		{.flags = 2},
		{.flags = AXL_QUEUE_BOUNDED},
	};
	struct rig *rig = *state;
	struct accel_queue *queue, *all[AXL_QUEUES_PER_CONTEXT];
	int count = 0;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(accel_queue_create(rig->context, &bad[i], &queue), -EINVAL);
	while (count < AXL_QUEUES_PER_CONTEXT && !accel_queue_create(rig->context, NULL, &all[count]))
		count++;
	assert_int_equal(count, AXL_QUEUES_PER_CONTEXT - 1);
	assert_int_equal(accel_queue_create(rig->context, NULL, &queue), -ENOSPC);
	while (count--)
		accel_queue_destroy(all[count]);
	accel_queue_destroy(NULL);
	assert_int_equal(accel_context_destroy(NULL), 0);
}

static void a_full_ring_hands_out_nothing_until_the_device_moves(void **state)
{
	struct rig *rig = *state;
	struct accel_fence *fence;
	uint64_t index;
	int count = 0;

	assert_int_equal(accel_fence_create(accel_device_vm(rig->device), &fence), 0);
	assert_true(accel_queue_space(rig->queue) == 256);
	accel_packet_wait(accel_queue_next(rig->queue), accel_fence_address(fence), AXL_WAIT_GE, 1);
	for (union axl_packet *packet; (packet = accel_queue_next(rig->queue)); count++)
		accel_packet_nop(packet);
	assert_int_equal(count, 255);
	assert_true(accel_queue_space(rig->queue) == 0);
	index = accel_queue_submit(rig->queue);
	assert_true(accel_queue_submit(rig->queue) == index);
	assert_null(accel_queue_next(rig->queue));
	assert_false(accel_queue_done(rig->queue, index));
	accel_fence_signal(fence, 1);
	assert_int_equal(accel_queue_wait(rig->queue, index, in(10 * SECOND)), 0);
	assert_true(accel_queue_done(rig->queue, index) && accel_queue_retired(rig->queue) == 256);
	assert_non_null(accel_queue_next(rig->queue));
	rig->queue->head--; /* handed back: nothing was written */
	accel_fence_destroy(fence);
	accel_fence_destroy(NULL);
}

static void copies_fills_fences_and_timestamps(void **state)
{
	struct rig *rig = *state;
	struct accel_buffer *host, *local;
	struct accel_fence *fence;
	uint64_t *words, at;

	assert_int_equal(accel_buffer_create(rig->device, 1 << 16, ACCEL_BUFFER_WRITE, &host), 0);
	assert_int_equal(accel_buffer_create(rig->device, 1 << 16, ACCEL_BUFFER_WRITE | ACCEL_BUFFER_LOCAL, &local), 0);
	assert_int_equal(accel_fence_create(accel_device_vm(rig->device), &fence), 0);
	words = accel_buffer_data(host);
	at = accel_buffer_address(host);
	accel_packet_timestamp(accel_queue_next(rig->queue), at);
	accel_packet_fill(accel_queue_next(rig->queue), accel_buffer_address(local), 0xabcd1234, 1 << 16);
	accel_packet_copy(accel_queue_next(rig->queue), at + 4096, accel_buffer_address(local) + 17, 40000);
	accel_packet_timestamp(accel_queue_next(rig->queue), at + 8);
	accel_packet_signal(accel_queue_next(rig->queue), accel_fence_address(fence), 9);
	accel_queue_submit(rig->queue);
	assert_int_equal(accel_fence_wait(fence, 9, in(10 * SECOND)), 0);
	assert_true(accel_fence_value(fence) == 9);
	assert_int_equal(accel_fence_wait(fence, 10, in(SECOND / 1000)), -ETIMEDOUT);
	assert_true(words[1] > words[0]);
	assert_memory_equal((uint8_t *)words + 4096, (uint8_t *)accel_buffer_data(local) + 17, 40000);
	assert_int_equal(((uint8_t *)words)[4096], 0x12);
	accel_fence_destroy(fence);
	assert_int_equal(accel_buffer_destroy(host), 0);
	assert_int_equal(accel_buffer_destroy(local), 0);
}

static void waiting_for_any_and_for_all(void **state)
{
	struct rig *rig = *state;
	struct accel_queue *other;
	struct accel_fence *fence;
	struct accel_wait waits[2];

	assert_int_equal(accel_queue_create(rig->context, NULL, &other), 0);
	assert_int_equal(accel_fence_create(accel_device_vm(rig->device), &fence), 0);
	accel_packet_wait(accel_queue_next(other), accel_fence_address(fence), AXL_WAIT_GE, 1);
	accel_packet_nop(accel_queue_next(rig->queue));
	waits[0] = (struct accel_wait){other, accel_queue_submit(other), 0};
	waits[1] = (struct accel_wait){rig->queue, accel_queue_submit(rig->queue), 0};
	assert_int_equal(accel_wait_many(waits, 2, false, in(10 * SECOND)), 1);
	assert_int_equal(waits[0].result, -ETIMEDOUT);
	assert_int_equal(waits[1].result, 0);
	assert_int_equal(accel_wait_many(waits, 2, true, in(SECOND / 100)), -ETIMEDOUT);
	assert_int_equal(accel_wait_many(waits, 2, true, 0), -ETIMEDOUT);
	accel_fence_signal(fence, 1);
	assert_int_equal(accel_wait_many(waits, 2, true, in(10 * SECOND)), 2);
	assert_int_equal(accel_wait_many(NULL, 0, true, 0), -EINVAL);
	assert_int_equal(accel_wait_many(waits, ACCEL_WAIT_MAX + 1, true, 0), -EINVAL);
	/* Before the clock began: it looks, and does not sleep for ever. */
	assert_int_equal(accel_queue_wait(rig->queue, accel_queue_retired(rig->queue) + 1, -5), -ETIMEDOUT);
	accel_queue_destroy(other);
	accel_fence_destroy(fence);
}

static void suspend_and_resume(void **state)
{
	struct rig *rig = *state;
	uint64_t index;

	assert_int_equal(accel_queue_resume(rig->queue), -EINVAL);
	assert_int_equal(accel_queue_suspend(rig->queue), 0);
	assert_int_equal(accel_queue_suspend(rig->queue), -EINVAL);
	accel_packet_nop(accel_queue_next(rig->queue));
	index = accel_queue_submit(rig->queue);
	assert_int_equal(accel_queue_wait(rig->queue, index, in(SECOND / 100)), -ETIMEDOUT);
	assert_int_equal(accel_queue_resume(rig->queue), 0);
	assert_int_equal(accel_queue_wait(rig->queue, index, ACCEL_FOREVER), 0);
}

static void a_reset_gets_a_queue_out_of_a_hang(void **state)
{
	struct rig *rig = *state;
	struct accel_fence *fence;
	uint64_t hung, next;

	assert_int_equal(accel_fence_create(accel_device_vm(rig->device), &fence), 0);
	accel_packet_wait(accel_queue_next(rig->queue), accel_fence_address(fence), AXL_WAIT_EQ, 99);
	hung = accel_queue_submit(rig->queue);
	accel_packet_nop(accel_queue_next(rig->queue));
	next = accel_queue_submit(rig->queue);
	assert_int_equal(accel_queue_wait(rig->queue, hung, in(SECOND / 100)), -ETIMEDOUT);
	assert_int_equal(accel_queue_reset(rig->queue), 0);
	assert_int_equal(accel_queue_wait(rig->queue, hung, in(10 * SECOND)), -ECANCELED);
	assert_int_equal(accel_queue_wait(rig->queue, next, in(10 * SECOND)), 0);
	accel_fence_destroy(fence);
}

/* ---- command buffers ---- */

static void make_code(struct accel_buffer *buffer, uint8_t opcode)
{
	struct axl_cmdbuf *header = accel_buffer_data(buffer);
	union axl_insn insn = {.header = {.opcode = opcode, .slots = 1, .pipe = AXL_PIPE_SEQ}};

	*header = (struct axl_cmdbuf){
		.magic = AXL_CMDBUF_MAGIC,
		.version = AXL_ISA_VERSION,
		.num_tiles = 1,
		.size = sizeof(*header) + AXL_SLOT_BYTES,
		.streams[0] = {sizeof(*header), AXL_SLOT_BYTES},
	};
	memcpy(header + 1, &insn, AXL_SLOT_BYTES);
}

static void execute_reports_what_it_did_and_what_stopped_it(void **state)
{
	struct rig *rig = *state;
	struct accel_buffer *code;
	struct axl_exec_stats stats;
	struct axl_trace_record trace[4];
	struct axl_fault_record fault;
	uint32_t size = sizeof(struct axl_cmdbuf) + AXL_SLOT_BYTES;

	assert_int_equal(accel_buffer_create(rig->device, size, ACCEL_BUFFER_EXEC, &code), 0);
	make_code(code, AXL_OP_END);
	assert_int_equal(accel_execute(rig->device, code, size + 1, NULL, 0, &stats, NULL, 0, &fault), -EINVAL);
	assert_int_equal(accel_execute(rig->device, code, size, NULL, 33, &stats, NULL, 0, &fault), -EINVAL);
	assert_int_equal(accel_execute(rig->device, code, size, NULL, 0, &stats, trace, 4, &fault), 0);
	assert_true(stats.instructions == 1 && stats.trace_records == 0);
	for (int i = 0; i < 3; i++) {
		make_code(code, 250);
		assert_int_equal(accel_execute(rig->device, code, size, NULL, 0, &stats, trace, 4, &fault), -EFAULT);
		assert_int_equal(fault.cause, AXL_CAUSE_BAD_OPCODE);
		assert_int_equal(fault.offset, sizeof(struct axl_cmdbuf));
		make_code(code, AXL_OP_END);
		assert_int_equal(accel_execute(rig->device, code, size, NULL, 0, &stats, NULL, 0, &fault), 0);
	}
	assert_int_equal(accel_buffer_destroy(code), 0);
}

/* ---- threads ---- */

static void *produce(void *arg)
{
	struct accel_queue *queue = arg;

	for (int i = 0; i < 3000; i++) {
		union axl_packet *packet;

		while (!(packet = accel_queue_next(queue)))
			;
		accel_packet_nop(packet);
		accel_queue_submit(queue);
	}
	return NULL;
}

static void *wait_for(void *arg)
{
	return (void *)(intptr_t)accel_queue_wait(arg, 3000, in(60 * SECOND));
}

static void producers_and_waiters_in_their_own_threads(void **state)
{
	struct rig *rig = *state;
	struct accel_queue *queues[2] = {rig->queue};
	pthread_t threads[4];
	void *result;

	assert_int_equal(accel_queue_create(rig->context, &(struct accel_queue_options){.slots = 16}, &queues[1]), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, i < 2 ? produce : wait_for, queues[i % 2]), 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &result);
		assert_null(result);
	}
	accel_queue_destroy(queues[1]);
}

static void closing_with_work_in_flight_ends_it(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		struct accel_device *device;
		struct accel_context *context;
		struct accel_queue *queue;
		struct accel_fence *fence;
		char error[100];

		assert_int_equal(accel_open(rig_device(), &device, error, sizeof(error)), 0);
		assert_int_equal(accel_context_create(accel_device_vm(device), &context), 0);
		assert_int_equal(accel_queue_create(context, NULL, &queue), 0);
		assert_int_equal(accel_fence_create(accel_device_vm(device), &fence), 0);
		accel_packet_wait(accel_queue_next(queue), accel_fence_address(fence), AXL_WAIT_EQ, 1);
		accel_queue_submit(queue);
		accel_queue_destroy(queue);
		accel_fence_destroy(fence);
		assert_int_equal(accel_context_destroy(context), 0);
		accel_close(device);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_names_are_refused_with_a_reason),
		cmocka_unit_test(a_device_says_what_it_is),
		cmocka_unit_test(what_comes_back_can_be_opened_again),
		cmocka_unit_test(what_is_listed_can_be_opened),
		RIG_TEST(counters_count),
		RIG_TEST(pipes_are_counted),
		RIG_TEST(buffers_are_zeroed_and_limited),
		RIG_TEST(binding_keeps_its_rules),
		RIG_TEST(chosen_and_given_addresses_keep_apart),
		RIG_TEST(a_buffer_bound_twice_outlives_its_first_destroy),
		RIG_TEST(devices_do_not_share_objects),
		RIG_TEST(address_spaces_do_not_see_each_other),
		RIG_TEST(rights_hold),
		RIG_TEST(an_address_space_changes_behind_fences),
		RIG_TEST(the_device_works_on_memory_of_the_program),
		RIG_TEST(memory_that_went_is_out_of_reach),
		RIG_TEST(memory_that_can_not_be_imported_is_refused),
		RIG_TEST(a_buffer_is_shared_by_its_dma_buf),
		RIG_TEST(a_foreign_dma_buf_is_read_and_written),
		RIG_TEST(memfds_that_may_change_are_refused),
		RIG_TEST(local_memory_is_shared_by_its_dma_buf),
		RIG_TEST(what_is_no_dma_buf_is_refused),
		RIG_TEST(queue_options_are_checked),
		RIG_TEST(a_full_ring_hands_out_nothing_until_the_device_moves),
		RIG_TEST(copies_fills_fences_and_timestamps),
		RIG_TEST(waiting_for_any_and_for_all),
		RIG_TEST(suspend_and_resume),
		RIG_TEST(a_reset_gets_a_queue_out_of_a_hang),
		RIG_TEST(execute_reports_what_it_did_and_what_stopped_it),
		RIG_TEST(producers_and_waiters_in_their_own_threads),
		cmocka_unit_test(closing_with_work_in_flight_ends_it),
	};

	return cmocka_run_group_tests_name("accel", tests, NULL, NULL);
}
