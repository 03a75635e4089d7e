// SPDX-License-Identifier: GPL-2.0-only
/*
 * Core dumps of queues that faulted (uapi/axl/axl_dump.h), handed to devcoredump. The interrupt
 * only notes which queue it is and how it stands; the rest is read by a work of its own, outside
 * the path that fences are signalled in. One at a time: what faults meanwhile is not dumped.
 *
 * The work looks at the queue without a reference. Whoever ends a queue waits for the work first
 * (axl_dump_wait()), so that it keeps nothing alive; and a reset by the queue's owner waits too, so
 * that the queue still stands while it is looked at.
 */
#include <linux/devcoredump.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/vmalloc.h>
#include <drm/drm_managed.h>

#include <axl/axl_isa.h>

#include "axl_drv.h"

#define MAX_RANGES 65536u
#define MAX_CODE (16u << 20)
#define MAX_RANGE_DATA (MAX_DATA / 4) /* a range that is larger is not held ... */
#define MAX_DATA (4u << 20)	      /* ... nor are those beyond this sum */
#define MAX_PACKETS 32u
#define MEMORY_BYTES (sizeof(struct axl_dump_section) + sizeof(struct axl_dump_memory) + 8)

/*
 * @lock: protects @queue; nothing is taken under it
 * @queue: that is being dumped, NULL: none. Set under the lock, cleared by the work alone; what is
 * below is the work's while it is set
 * @status: as it stood
 * @ring, @index: of a queue of the driver's own, which goes on at once
 * @page: of memory, on its way
 */
struct axl_dump {
	struct axl_device *axl;
	struct workqueue_struct *wq;
	struct work_struct work;
	spinlock_t lock; /* see above */
	struct axl_queue *queue;
	struct axl_queue_status status;
	struct axl_queue_index index;
	union axl_packet ring[AXL_SUBMIT_SLOTS];
	u8 page[AXL_PAGE_BYTES];
};

/* ---- writing ---- */

/* @size: bytes at @data, enough for everything: counted before, under the same vm->lock */
struct writer {
	u8 *data;
	size_t size;
	size_t at;
	struct axl_dump_header header;
};

static void emit(struct writer *w, const void *from, size_t bytes)
{
	if (WARN_ON_ONCE(bytes > w->size - w->at))
		return;
	memcpy(w->data + w->at, from, bytes);
	w->at += bytes;
}

/* Where the section begins, for section_end(). */
static size_t section_begin(struct writer *w, enum axl_dump_type type, u32 item)
{
	const struct axl_dump_section section = { .type = type, .item = item };
	size_t begin = w->at;

	emit(w, &section, sizeof(section));
	return begin;
}

static void section_end(struct writer *w, size_t begin)
{
	struct axl_dump_section *section = (void *)(w->data + begin);
	static const u8 zeros[8];

	emit(w, zeros, ALIGN(w->at, 8) - w->at);
	section->size = w->at - begin - sizeof(*section);
	w->header.sections++;
}

static void emit_section(struct writer *w, enum axl_dump_type type, const void *from, u32 bytes)
{
	size_t begin = section_begin(w, type, bytes);

	emit(w, from, bytes);
	section_end(w, begin);
}

/* ---- what it holds ---- */

static void emit_device(struct axl_dump *dump, struct writer *w)
{
	const struct drm_axl_dev_info *info = &dump->axl->info;
	const struct axl_dump_device device = {
		.version = info->isa_version << 16 | info->interface_version,
		.tiles = info->tiles,
		.spad_bytes = info->spad_bytes,
		.acc_bytes = info->acc_bytes,
		.clock_khz = info->clock_khz,
		.dram_rate = info->dram_rate,
		.host_rate = info->host_rate,
		.dram_latency = info->dram_latency,
		.host_latency = info->host_latency,
		.spad_banks = info->spad_banks,
		.features = info->features,
		.control = axl_read(dump->axl, AXL_REG_CONTROL),
		.mem_size = info->mem_bytes,
	};

	emit_section(w, AXL_DUMP_DEVICE, &device, sizeof(device));
}

static int emit_queue(struct axl_dump *dump, struct writer *w)
{
	const struct axl_queue *queue = dump->queue;
	struct axl_dump_queue out = {
		.context = dump->axl->context_table[queue->ctx->number],
		.desc = queue->desc,
		.status = dump->status,
		.number = queue->number,
		.flags = queue->kernel ? AXL_DUMP_QUEUE_KERNEL : 0,
	};

	if (!queue->kernel) {
		int err = axl_vm_read_page(queue->ctx->vm, queue->desc.index, dump->page);

		if (err)
			return err;
		memcpy(&dump->index, dump->page, sizeof(dump->index));
	}
	out.write = dump->index.write;
	out.read = dump->index.read;
	emit_section(w, AXL_DUMP_QUEUE, &out, sizeof(out));
	return 0;
}

static void emit_fault(struct axl_dump *dump, struct writer *w,
		       const struct axl_fault_record *record)
{
	struct axl_dump_fault fault = { .record = *record };

	if (record->cause >= AXL_CAUSE_NOT_MAPPED && record->cause <= AXL_CAUSE_BUS &&
	    !(record->address >> AXL_VA_BITS))
		axl_mmu_walk(&dump->queue->ctx->vm->mmu, record->address, fault.walk);
	emit_section(w, AXL_DUMP_FAULT, &fault, sizeof(fault));
}

static int read_packet(struct axl_dump *dump, u64 index, union axl_packet *packet)
{
	const struct axl_queue *queue = dump->queue;
	u64 slot = index & (queue->desc.slots - 1), va;
	int err;

	if (queue->kernel) {
		*packet = dump->ring[slot];
		return 0;
	}
	va = queue->desc.ring + slot * AXL_PACKET_BYTES;
	err = axl_vm_read_page(queue->ctx->vm, va & ~(u64)(AXL_PAGE_BYTES - 1), dump->page);
	if (!err)
		memcpy(packet, dump->page + va % AXL_PAGE_BYTES, sizeof(*packet));
	return err;
}

/* Those around the one at which it stands. */
static int emit_packets(struct axl_dump *dump, struct writer *w)
{
	size_t begin = section_begin(w, AXL_DUMP_PACKETS, sizeof(struct axl_dump_packet));
	u32 count = min(MAX_PACKETS, dump->queue->desc.slots);
	u64 first = dump->status.retired - min_t(u64, dump->status.retired, count / 2);
	struct axl_dump_packet out;

	for (u32 i = 0; i < count; i++) {
		int err;

		out.index = first + i;
		err = read_packet(dump, out.index, &out.packet);
		if (err)
			return err;
		emit(w, &out, sizeof(out));
	}
	section_end(w, begin);
	return 0;
}

/* Bytes from @va on, as far as they are mapped and can be read. */
static void emit_memory(struct axl_dump *dump, struct writer *w, u64 va, u64 bytes)
{
	size_t begin = section_begin(w, AXL_DUMP_MEMORY, sizeof(struct axl_dump_memory));
	struct axl_dump_memory memory = { .va = va }, *place = (void *)(w->data + w->at);

	emit(w, &memory, sizeof(memory));
	while (memory.bytes < bytes) {
		u64 at = va + memory.bytes, skip = at % AXL_PAGE_BYTES;
		u64 part = min(bytes - memory.bytes, AXL_PAGE_BYTES - skip);

		if (axl_vm_read_page(dump->queue->ctx->vm, at - skip, dump->page))
			break;
		emit(w, dump->page + skip, part);
		memory.bytes += part;
		cond_resched();
	}
	*place = memory;
	if (memory.bytes)
		section_end(w, begin);
	else
		w->at = begin;
}

static void emit_code(struct axl_dump *dump, struct writer *w, const union axl_packet *packet)
{
	const struct axl_packet_execute *execute = &packet->execute;

	if (packet->header.opcode != AXL_PKT_EXECUTE)
		return;
	if (execute->size > MAX_CODE)
		w->header.flags |= AXL_DUMP_CUT_CODE;
	emit_memory(dump, w, execute->cmdbuf, min(execute->size, MAX_CODE));
	if (execute->args)
		emit_memory(dump, w, execute->args, AXL_NUM_BASES * sizeof(u64));
}

/*
 * Where the walk over a queue's ranges is; {}: before the first.
 * @own: which of the driver's own comes next
 */
struct place {
	struct drm_gpuva *va;
	unsigned int own;
};

/* The next mapping; false: no more. */
static bool next_mapping(struct axl_vm *vm, struct place *place)
{
	struct drm_gpuva *va = place->va;

	if (va)
		va = list_next_entry(va, rb.entry);
	else
		va = list_first_entry(&vm->base.rb.list, struct drm_gpuva, rb.entry);
	place->va = va;
	return !list_entry_is_head(va, &vm->base.rb.list, rb.entry);
}

/*
 * The next of the queue's ranges, ascending; false: no more. In the driver's range lie ring and
 * index page of its queue.
 */
static bool next_range(struct axl_dump *dump, struct place *place, struct axl_dump_range *range)
{
	const struct axl_queue *queue = dump->queue;
	struct axl_vm *vm = queue->ctx->vm;

	while (place->own || next_mapping(vm, place)) {
		if (place->va != &vm->base.kernel_alloc_node) {
			axl_vm_describe(place->va, range);
			return true;
		}
		if (queue->kernel && place->own < 2) {
			bool index = place->own++;

			*range = (struct axl_dump_range){
				.va = index ? queue->desc.index : queue->desc.ring,
				.size = AXL_PAGE_BYTES,
				.bits = AXL_PTE_READ | (index ? AXL_PTE_WRITE : 0),
			};
			return true;
		}
		place->own = 0;
	}
	return false;
}

/* Whether its contents go into the dump; *data: how much there is already. */
static bool is_held(const struct axl_dump_range *range, u64 *data)
{
	if (!(range->bits & AXL_PTE_READ) || range->size > MAX_RANGE_DATA ||
	    range->size > MAX_DATA - *data)
		return false;
	*data += range->size;
	return true;
}

static void emit_ranges(struct axl_dump *dump, struct writer *w)
{
	size_t begin = section_begin(w, AXL_DUMP_RANGES, sizeof(struct axl_dump_range));
	struct axl_dump_range range;
	struct place place = {};
	u64 data = 0;

	while (next_range(dump, &place, &range)) {
		range.flags = is_held(&range, &data) ? AXL_DUMP_RANGE_HELD : 0;
		emit(w, &range, sizeof(range));
	}
	section_end(w, begin);
}

/* The pages of a range that are not zero; -errno: one can not be read. */
static int emit_pages(struct axl_dump *dump, struct writer *w, const struct axl_dump_range *range)
{
	const struct axl_queue *queue = dump->queue;

	/* The driver's own ring and index page are in sections of their own. */
	if (queue->kernel && (range->va == queue->desc.ring || range->va == queue->desc.index))
		return 0;
	for (u64 at = range->va; at < range->va + range->size; at += AXL_PAGE_BYTES) {
		const struct axl_dump_memory memory = { .va = at, .bytes = AXL_PAGE_BYTES };
		int err = axl_vm_read_page(queue->ctx->vm, at, dump->page);
		size_t begin;

		if (err)
			return err;
		cond_resched();
		if (!memchr_inv(dump->page, 0, AXL_PAGE_BYTES))
			continue;
		begin = section_begin(w, AXL_DUMP_MEMORY, sizeof(memory));
		emit(w, &memory, sizeof(memory));
		emit(w, dump->page, AXL_PAGE_BYTES);
		section_end(w, begin);
	}
	return 0;
}

/* @first: where emit_ranges() put them. */
static void emit_data(struct axl_dump *dump, struct writer *w, size_t first, size_t end)
{
	for (; first < end; first += sizeof(struct axl_dump_range)) {
		struct axl_dump_range *range = (void *)(w->data + first);

		if (range->flags & AXL_DUMP_RANGE_HELD && emit_pages(dump, w, range))
			range->flags &= ~AXL_DUMP_RANGE_HELD;
		if (range->bits & AXL_PTE_READ && !(range->flags & AXL_DUMP_RANGE_HELD))
			w->header.flags |= AXL_DUMP_CUT_DATA;
	}
}

/* ---- one dump ---- */

/* Room for it; vm->lock is held. 0: too many mappings. */
static size_t dump_size(struct axl_dump *dump, const union axl_packet *packet)
{
	size_t size = sizeof(struct axl_dump_header) + 5 * sizeof(struct axl_dump_section) +
		      sizeof(struct axl_dump_device) + sizeof(struct axl_dump_queue) +
		      sizeof(struct axl_dump_fault) + MAX_PACKETS * sizeof(struct axl_dump_packet);
	struct axl_dump_range range;
	struct place place = {};
	u32 ranges = 0;
	u64 data = 0;

	while (next_range(dump, &place, &range)) {
		if (++ranges > MAX_RANGES)
			return 0;
		is_held(&range, &data);
	}
	if (packet->header.opcode == AXL_PKT_EXECUTE)
		size += min(packet->execute.size, MAX_CODE) + AXL_NUM_BASES * sizeof(u64) +
			2 * MEMORY_BYTES;
	return size + ranges * sizeof(range) + data + data / AXL_PAGE_BYTES * MEMORY_BYTES;
}

static int write_dump(struct axl_dump *dump, struct writer *w, const union axl_packet *packet,
		      const struct axl_fault_record *record)
{
	size_t first;
	int err;

	w->header.magic = AXL_DUMP_MAGIC;
	w->header.version = AXL_DUMP_VERSION;
	emit(w, &w->header, sizeof(w->header));
	emit_device(dump, w);
	err = emit_queue(dump, w);
	if (err)
		return err;
	emit_fault(dump, w, record);
	err = emit_packets(dump, w);
	if (err)
		return err;
	first = w->at + sizeof(struct axl_dump_section);
	emit_ranges(dump, w);
	emit_data(dump, w, first, w->at);
	emit_code(dump, w, packet);
	w->header.size = w->at;
	memcpy(w->data, &w->header, sizeof(w->header));
	return 0;
}

/* The record of the fault it stands in; false: there is none. */
static bool find_record(struct axl_dump *dump, struct axl_fault_record *record)
{
	struct axl_device *axl = dump->axl;
	unsigned int number = dump->queue->number;
	unsigned long flags;
	bool valid;

	axl_drain_faults(axl);
	spin_lock_irqsave(&axl->irq_lock, flags);
	valid = test_bit(number, axl->has_fault);
	*record = axl->faults[number];
	spin_unlock_irqrestore(&axl->irq_lock, flags);
	return valid && record->packet == dump->status.retired &&
	       record->cause == dump->status.error;
}

/* A queue of a program's stands until it is reset; then what is read is no longer what it was. */
static bool still_stands(const struct axl_dump *dump)
{
	const struct axl_queue *queue = dump->queue;

	return queue->kernel || (axl_state(queue->status) == AXL_QUEUE_FAULTED &&
				 READ_ONCE(queue->status->generation) == dump->status.generation);
}

/* vm->lock is held. */
static int take_locked(struct axl_dump *dump, struct writer *w,
		       const struct axl_fault_record *record)
{
	union axl_packet packet;
	int err = read_packet(dump, dump->status.retired, &packet);

	if (err)
		return err;
	w->size = dump_size(dump, &packet);
	if (!w->size)
		return -E2BIG;
	w->data = __vmalloc(w->size, GFP_KERNEL | __GFP_NOWARN);
	if (!w->data)
		return -ENOMEM;
	err = write_dump(dump, w, &packet, record);
	return err ? err : still_stands(dump) ? 0 : -ECANCELED;
}

/*
 * The device has a dump, or one that is about to go: a new one would be thrown away. The link is
 * the last of it; without it nothing is in the way.
 */
static bool has_dump(struct device *dev)
{
	struct kernfs_node *link = sysfs_get_dirent(dev->kobj.sd, "devcoredump");

	sysfs_put(link);
	return link;
}

static int take_recorded(struct axl_dump *dump, struct writer *w)
{
	struct axl_vm *vm = dump->queue->ctx->vm;
	struct axl_fault_record *record;
	int err = -ENOENT;

	if (has_dump(dump->axl->drm.dev))
		return -EEXIST;
	record = kmalloc(sizeof(*record), GFP_KERNEL);
	if (!record)
		return -ENOMEM;
	if (find_record(dump, record)) {
		mutex_lock(&vm->lock);
		err = take_locked(dump, w, record);
		mutex_unlock(&vm->lock);
	}
	kfree(record);
	return err;
}

static void take(struct axl_dump *dump)
{
	struct writer w = {};
	int err = take_recorded(dump, &w);

	if (err) {
		drm_dbg_driver(&dump->axl->drm, "queue %u: no dump: %d\n", dump->queue->number,
			       err);
		vfree(w.data);
		return;
	}
	/* It is the owner of the data from here on. */
	dev_coredumpv(dump->axl->drm.dev, w.data, w.at, GFP_KERNEL);
}

static void dump_work(struct work_struct *work)
{
	struct axl_dump *dump = container_of(work, struct axl_dump, work);
	unsigned long flags;
	int idx;

	if (!axl_enter(dump->axl, &idx)) {
		take(dump);
		axl_exit(dump->axl, idx);
	}
	spin_lock_irqsave(&dump->lock, flags);
	dump->queue = NULL;
	spin_unlock_irqrestore(&dump->lock, flags);
}

/* ---- the rest of the driver's side ---- */

/* It faulted, and its lock is held. From an interrupt too. */
void axl_dump_request(struct axl_queue *queue)
{
	struct axl_dump *dump = queue->ctx->axl->dump;

	if (!IS_ENABLED(CONFIG_DEV_COREDUMP))
		return;
	lockdep_assert_held(&queue->lock);
	spin_lock(&dump->lock);
	if (!dump->queue && !READ_ONCE(queue->dead) &&
	    (!queue->kernel || axl_submit_ring(queue, dump->ring, &dump->index))) {
		dump->status = *queue->status;
		dump->queue = queue;
		queue_work(dump->wq, &dump->work);
	}
	spin_unlock(&dump->lock);
}

/* When it returns, the dump that was asked for before is done. The objects lock may be held. */
void axl_dump_wait(struct axl_queue *queue)
{
	struct axl_dump *dump = queue->ctx->axl->dump;
	unsigned long flags;
	bool ours;

	spin_lock_irqsave(&dump->lock, flags);
	ours = dump->queue == queue;
	spin_unlock_irqrestore(&dump->lock, flags);
	/* Not cancelled: behind it may already be another queue's. */
	if (ours)
		flush_work(&dump->work);
}

/* The device goes; a dump would keep its struct. */
void axl_dump_drop(struct axl_device *axl)
{
	dev_coredump_put(axl->drm.dev);
}

static void dump_fini(struct drm_device *drm, void *data)
{
	struct axl_dump *dump = data;

	destroy_workqueue(dump->wq);
}

int axl_dump_init(struct axl_device *axl)
{
	struct axl_dump *dump = drmm_kzalloc(&axl->drm, sizeof(*dump), GFP_KERNEL);

	if (!dump)
		return -ENOMEM;
	axl->dump = dump;
	dump->axl = axl;
	spin_lock_init(&dump->lock);
	INIT_WORK(&dump->work, dump_work);
	/* Registers and local memory do not answer while the system sleeps. */
	dump->wq = alloc_workqueue("axl-dump", WQ_UNBOUND | WQ_FREEZABLE, 1);
	if (!dump->wq)
		return -ENOMEM;
	return drmm_add_action_or_reset(&axl->drm, dump_fini, dump);
}
