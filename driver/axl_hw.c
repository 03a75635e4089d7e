// SPDX-License-Identifier: GPL-2.0-only
/* Registers, the command mailbox and the tables it reads, interrupts and fault records. */
#include <linux/bitops.h>
#include <linux/dma-mapping.h>
#include <linux/dmapool.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/iopoll.h>

#include <axl/axl_isa.h>

#include "axl_drv.h"
#include "axl_trace.h"

#define COMMAND_TIMEOUT (5 * HZ)

u32 axl_read(struct axl_device *axl, enum axl_reg reg)
{
	return readl(axl->regs + reg);
}

u64 axl_read64(struct axl_device *axl, enum axl_reg reg)
{
	return readq(axl->regs + reg);
}

/* ---- commands: the caller holds command_lock ---- */

static bool command_busy(struct axl_device *axl)
{
	return axl_read(axl, AXL_REG_STATUS) & AXL_STATUS_COMMAND_BUSY;
}

/*
 * What a command may answer but OK; nothing has changed then. A queue's state may forbid it, and a
 * table may be out of reach at this moment, but nothing can be wrong about an invalidation. Nor may
 * a context that goes stay: what it has is freed next.
 */
static int refusal(struct axl_device *axl, enum axl_command command, u64 arg, u32 result)
{
	bool of_queue = command == AXL_CMD_QUEUE_START || command == AXL_CMD_QUEUE_STOP ||
			command == AXL_CMD_QUEUE_RESET;
	bool takes_away = command == AXL_CMD_TLB_INVALIDATE ||
			  (command == AXL_CMD_CONTEXT_UPDATE && !axl->context_table[arg].valid);

	if (of_queue && (result == AXL_CMD_BAD_ARGUMENT || result == AXL_CMD_BAD_DESCRIPTOR))
		return -EINVAL;
	return result == AXL_CMD_NO_ACCESS && !takes_away ? -EIO : 0;
}

/* All ones is what a dead link reads. */
static bool is_there(struct axl_device *axl)
{
	if (axl_read(axl, AXL_REG_STATUS) != ~0u)
		return true;
	axl->gone = true;
	axl->wedged = true;
	return false;
}

static int command(struct axl_device *axl, enum axl_command command, u64 arg)
{
	unsigned long end = jiffies + COMMAND_TIMEOUT;
	u32 result;
	int err;

	lockdep_assert_held(&axl->command_lock);
	if (axl->wedged)
		return -EIO;
	/* It wakes up with what the tables say. */
	if (axl->asleep)
		return 0;
	writeq(arg, axl->regs + AXL_REG_COMMAND_ARG);
	writel(command, axl->regs + AXL_REG_COMMAND);
	while (!wait_event_timeout(axl->irq, !command_busy(axl), AXL_POLL)) {
		if (!is_there(axl))
			return -EIO;
		if (time_before(jiffies, end))
			continue;
		axl->wedged = true;
		drm_err(&axl->drm, "the mailbox does not answer to %d: the device is wedged\n",
			command);
		return -EIO;
	}
	/* A device that is gone reads all ones: that is no result. */
	result = axl_read(axl, AXL_REG_COMMAND_RESULT);
	if (result == ~0u && !is_there(axl))
		return -EIO;
	trace_axl_command(&axl->drm, command, arg, result);
	if (result == AXL_CMD_OK)
		return 0;
	err = refusal(axl, command, arg, result);
	if (err)
		return err;
	/* What it has done, nobody knows: it may still reach what it was to let go of. */
	axl->wedged = true;
	drm_err(&axl->drm, "the mailbox answers %#x to %d: the device is wedged\n", result,
		command);
	return -EIO;
}

/*
 * As the device has them: since its last reset. Cycles are read last: where they are not all ones, the
 * device was there for all the others.
 */
static void read_counters(struct axl_device *axl, struct axl_counters *counters)
{
	bool by_pipe = axl->info.features & AXL_FEATURE_PIPE_COUNTERS;

	*counters = (struct axl_counters){
		.device = {
			.busy = axl_read64(axl, AXL_REG_COUNT_BUSY),
			.packets = axl_read64(axl, AXL_REG_COUNT_PACKETS),
			.doorbells = axl_read64(axl, AXL_REG_COUNT_DOORBELLS),
			.faults = axl_read64(axl, AXL_REG_COUNT_FAULTS),
			.tlb_misses = axl_read64(axl, AXL_REG_COUNT_TLB_MISSES),
			.dram_bytes = axl_read64(axl, AXL_REG_COUNT_DRAM_BYTES),
			.host_bytes = axl_read64(axl, AXL_REG_COUNT_HOST_BYTES),
		},
	};
	for (unsigned int p = 0; p < AXL_NUM_PIPES && by_pipe; p++)
		counters->pipes.busy[p] = axl_read64(axl, AXL_REG_COUNT_PIPE_SEQ + 8 * p);
	counters->device.cycles = axl_read64(axl, AXL_REG_CYCLES);
	counters->pipes.cycles = counters->device.cycles;
}

/* A device that is gone adds nothing. */
static void add_counters(struct axl_counters *sum, const struct axl_counters *counters)
{
	if (counters->device.cycles == ~0ull)
		return;
	sum->device.cycles += counters->device.cycles;
	sum->device.busy += counters->device.busy;
	sum->device.packets += counters->device.packets;
	sum->device.doorbells += counters->device.doorbells;
	sum->device.faults += counters->device.faults;
	sum->device.tlb_misses += counters->device.tlb_misses;
	sum->device.dram_bytes += counters->device.dram_bytes;
	sum->device.host_bytes += counters->device.host_bytes;
	sum->pipes.cycles += counters->pipes.cycles;
	for (unsigned int p = 0; p < AXL_NUM_PIPES; p++)
		sum->pipes.busy[p] += counters->pipes.busy[p];
}

/* Since the driver took the device, whatever it was reset for. Does not wake it. */
void axl_read_counters(struct axl_device *axl, struct axl_counters *counters)
{
	struct axl_counters now = {};

	mutex_lock(&axl->command_lock);
	*counters = axl->before_reset;
	if (!axl->asleep)
		read_counters(axl, &now);
	mutex_unlock(&axl->command_lock);
	add_counters(counters, &now);
}

/* What the counters are at comes back to zero. */
static void keep_counters(struct axl_device *axl)
{
	struct axl_counters counters;

	read_counters(axl, &counters);
	add_counters(&axl->before_reset, &counters);
}

/* Nothing of the device is on its way to memory when it returns. */
static int reset(struct axl_device *axl)
{
	u32 status;

	keep_counters(axl);
	writel(AXL_CONTROL_RESET, axl->regs + AXL_REG_CONTROL);
	return readl_poll_timeout(axl->regs + AXL_REG_STATUS, status,
				  status != ~0u && status & AXL_STATUS_READY, 100, 1000000);
}

static void program(struct axl_device *axl)
{
	writeq(axl->context_dma, axl->regs + AXL_REG_CONTEXT_TABLE);
	writeq(axl->queue_dma, axl->regs + AXL_REG_QUEUE_TABLE);
	writeq(axl->fault_dma, axl->regs + AXL_REG_FAULT_RING);
	writel(AXL_FAULT_RECORDS, axl->regs + AXL_REG_FAULT_SIZE);
	WRITE_ONCE(axl->fault_read, 0);
	writel(AXL_CONTROL_ENABLE, axl->regs + AXL_REG_CONTROL);
}

/* The device has forgotten them: they stand all the same, and begin anew when they are resumed. */
static void keep_suspended(struct axl_device *axl)
{
	struct axl_queue *queue;
	unsigned long flags;

	spin_lock_irqsave(&axl->irq_lock, flags);
	axl_for_each_queue(axl, ~0ull, queue, at) {
		if (!test_bit(queue->number, axl->suspended))
			continue;
		set_bit(queue->number, axl->lost);
		if (axl_state(queue->status) != AXL_QUEUE_FAULTED)
			WRITE_ONCE(queue->status->state, AXL_QUEUE_SUSPENDED);
	}
	spin_unlock_irqrestore(&axl->irq_lock, flags);
}

/* Contexts as the table has them; queues too if @queues. */
static int reattach(struct axl_device *axl, bool queues)
{
	int err = 0;

	if (queues)
		keep_suspended(axl);
	for (unsigned int c = 0; c < axl->info.max_contexts && !err; c++)
		if (axl->context_table[c].valid)
			err = command(axl, AXL_CMD_CONTEXT_UPDATE, c);
	for (unsigned int q = 0; q < axl->info.max_queues && !err && queues; q++)
		if (axl->queue_table[q].valid && !test_bit(q, axl->lost))
			err = command(axl, AXL_CMD_QUEUE_START, q);
	return err;
}

/* Every queue stands, as if its packet had faulted: its owner resets it and goes on. */
static void fail_queues(struct axl_device *axl)
{
	struct axl_queue *queue;
	unsigned long flags;

	spin_lock_irqsave(&axl->irq_lock, flags);
	axl_for_each_queue(axl, ~0ull, queue, at) {
		set_bit(queue->number, axl->lost);
		clear_bit(queue->number, axl->suspended);
		WRITE_ONCE(queue->status->generation, queue->status->generation + 1);
		WRITE_ONCE(queue->status->error, AXL_CAUSE_RESET);
		/* Whoever sees the state sees the error. */
		smp_store_release(&queue->status->state, AXL_QUEUE_FAULTED);
	}
	spin_unlock_irqrestore(&axl->irq_lock, flags);
}

/* From reset to work, as the tables have it; it is wedged when that fails. */
static int bring_up(struct axl_device *axl, bool queues)
{
	int err = reset(axl);

	if (!err) {
		axl->wedged = false;
		axl->gone = false;
		program(axl);
		err = reattach(axl, queues);
	}
	if (err)
		axl->wedged = true;
	return err;
}

/* A command did not end: the last that can be done. */
static void reset_device(struct axl_device *axl)
{
	int err = bring_up(axl, false);

	fail_queues(axl);
	atomic64_inc(&axl->resets);
	trace_axl_reset(&axl->drm, ~0u, err);
	drm_err(&axl->drm, "the device was reset: %d\n", err);
}

static int command_or_reset(struct axl_device *axl, enum axl_command cmd, u64 arg)
{
	bool was_wedged = axl->wedged;
	int err = command(axl, cmd, arg);

	if (err == -EIO && axl->wedged && !was_wedged && !drm_dev_is_unplugged(&axl->drm))
		reset_device(axl);
	return err;
}

/* ---- faults ---- */

/* Records to the queues they are of; returns whether there were any. */
bool axl_drain_faults(struct axl_device *axl)
{
	unsigned long flags;
	bool any;
	u32 write;

	spin_lock_irqsave(&axl->irq_lock, flags);
	if (axl->asleep) {
		spin_unlock_irqrestore(&axl->irq_lock, flags);
		return false;
	}
	write = axl_read(axl, AXL_REG_FAULT_WRITE);
	/* Never more than the ring has, whatever the register says. */
	if (write - axl->fault_read > AXL_FAULT_RECORDS)
		axl->fault_read = write - AXL_FAULT_RECORDS;
	any = axl->fault_read != write;
	for (; axl->fault_read != write; axl->fault_read++) {
		struct axl_fault_record *record =
			&axl->fault_ring[axl->fault_read % AXL_FAULT_RECORDS];
		u32 queue = READ_ONCE(record->queue);

		if (queue < AXL_MAX_QUEUES) {
			axl->faults[queue] = *record;
			set_bit(queue, axl->has_fault);
		}
	}
	writel(write, axl->regs + AXL_REG_FAULT_READ);
	spin_unlock_irqrestore(&axl->irq_lock, flags);
	return any;
}

/* ---- commands by name ---- */

int axl_context_update(struct axl_device *axl, unsigned int number,
		       const struct axl_context_desc *desc)
{
	int err;

	mutex_lock(&axl->command_lock);
	axl->context_table[number] = *desc;
	dma_wmb();
	err = command_or_reset(axl, AXL_CMD_CONTEXT_UPDATE, number);
	if (err && desc->valid)
		axl->context_table[number].valid = 0;
	mutex_unlock(&axl->command_lock);
	return err;
}

int axl_queue_start(struct axl_queue *queue)
{
	struct axl_device *axl = queue->ctx->axl;
	unsigned int number = queue->number;
	int err;

	mutex_lock(&axl->command_lock);
	axl->queue_table[number] = queue->desc;
	/* What is still on its way is of the number's last owner. */
	axl_drain_faults(axl);
	clear_bit(number, axl->has_fault);
	clear_bit(number, axl->suspended);
	dma_wmb();
	err = command_or_reset(axl, AXL_CMD_QUEUE_START, number);
	queue->on = !err;
	if (err)
		axl->queue_table[number].valid = 0;
	mutex_unlock(&axl->command_lock);
	return err;
}

/* Kill what runs, go on behind it. -ENODEV: it is off, and its number perhaps another's. */
int axl_queue_restart(struct axl_queue *queue)
{
	struct axl_device *axl = queue->ctx->axl;
	unsigned int number = queue->number;
	int err = 0;

	mutex_lock(&axl->command_lock);
	if (!queue->on) {
		err = -ENODEV;
	} else {
		if (!test_and_clear_bit(number, axl->lost))
			err = command_or_reset(axl, AXL_CMD_QUEUE_RESET, number);
		if (!err)
			err = command_or_reset(axl, AXL_CMD_QUEUE_START, number);
		clear_bit(number, axl->suspended);
		atomic64_inc(&axl->resets);
		trace_axl_reset(&axl->drm, number, err);
	}
	mutex_unlock(&axl->command_lock);
	return err;
}

/* Ask it to stop, unless it was asked already. Its state says when it stands. */
int axl_queue_suspend(struct axl_queue *queue)
{
	struct axl_device *axl = queue->ctx->axl;
	unsigned int number = queue->number;
	int err = 0;

	mutex_lock(&axl->command_lock);
	if (!queue->on) {
		err = -ENODEV;
	} else if (!test_bit(number, axl->suspended)) {
		err = command_or_reset(axl, AXL_CMD_QUEUE_STOP, number);
		if (!err)
			set_bit(number, axl->suspended);
	}
	mutex_unlock(&axl->command_lock);
	return err;
}

/* -EINVAL: it was not asked to stop, or does not stand yet. */
int axl_queue_resume(struct axl_queue *queue)
{
	struct axl_device *axl = queue->ctx->axl;
	unsigned int number = queue->number;
	int err;

	mutex_lock(&axl->command_lock);
	if (!queue->on)
		err = -ENODEV;
	else if (!test_bit(number, axl->suspended) ||
		 axl_state(queue->status) != AXL_QUEUE_SUSPENDED)
		err = -EINVAL;
	else
		err = command_or_reset(axl, AXL_CMD_QUEUE_START, number);
	if (!err) {
		clear_bit(number, axl->lost);
		clear_bit(number, axl->suspended);
	}
	mutex_unlock(&axl->command_lock);
	return err;
}

void axl_queue_off(struct axl_queue *queue)
{
	struct axl_device *axl = queue->ctx->axl;

	mutex_lock(&axl->command_lock);
	if (!test_and_clear_bit(queue->number, axl->lost))
		command_or_reset(axl, AXL_CMD_QUEUE_RESET, queue->number);
	axl->queue_table[queue->number].valid = 0;
	queue->on = false;
	mutex_unlock(&axl->command_lock);
}

/*
 * When it returns 0, the device has no translation of the VM's contexts cached and no access under
 * an old one in flight.
 */
int axl_tlb_invalidate(struct axl_vm *vm)
{
	struct axl_device *axl = vm->axl;
	u64 contexts;
	int err = 0;

	mutex_lock(&axl->command_lock);
	/* One that is attached later walks the new tables: its command takes the lock after us. */
	contexts = READ_ONCE(vm->contexts);
	for (unsigned int c = 0; c < AXL_MAX_CONTEXTS && !err; c++)
		if (contexts >> c & 1)
			err = command_or_reset(axl, AXL_CMD_TLB_INVALIDATE, c);
	/* A reset has forgotten all of them as well. */
	if (err && !axl->wedged)
		err = 0;
	mutex_unlock(&axl->command_lock);
	return err;
}

/* ---- interrupts ---- */

static u64 contexts_of(unsigned int vector)
{
	u64 mask = 0;

	for (unsigned int c = vector - 1; c < AXL_MAX_CONTEXTS; c += AXL_NUM_VECTORS - 1)
		mask |= 1ull << c;
	return mask;
}

static irqreturn_t axl_irq(int irq, void *data)
{
	struct axl_vector *source = data;
	struct axl_device *axl = source->axl;
	unsigned int vector = source->number;
	u64 contexts = vector ? contexts_of(vector) : ~0ull;
	bool faults;

	/* Clear first, then look: what comes in between raises it again. */
	writel(1u << vector, axl->regs + AXL_REG_IRQ_PENDING);
	if (vector)
		writeq(contexts, axl->regs + AXL_REG_IRQ_CONTEXTS);
	else
		writel(AXL_IRQ_FAULT | AXL_IRQ_COMMAND, axl->regs + AXL_REG_IRQ_CAUSE);
	/* A queue that stands has its record, whichever of the two interrupts comes first. */
	faults = axl_drain_faults(axl);
	if (vector || faults)
		axl_progress_contexts(axl, contexts);
	wake_up_all(&axl->irq);
	return IRQ_HANDLED;
}

static int request_irqs(struct axl_device *axl)
{
	int vectors =
		pci_alloc_irq_vectors(axl->pdev, AXL_NUM_VECTORS, AXL_NUM_VECTORS, PCI_IRQ_MSIX);

	if (vectors < 0)
		return vectors;
	for (int v = 0; v < AXL_NUM_VECTORS; v++) {
		int err;

		axl->vectors[v] = (struct axl_vector){ axl, v };
		err = devm_request_irq(&axl->pdev->dev, pci_irq_vector(axl->pdev, v), axl_irq, 0,
				       "axl", &axl->vectors[v]);
		if (err)
			return err;
	}
	return 0;
}

/* ---- life ---- */

static void read_info(struct axl_device *axl)
{
	u32 version = axl_read(axl, AXL_REG_VERSION);

	axl->info = (struct drm_axl_dev_info){
		.interface_version = version & 0xffff,
		.isa_version = version >> 16,
		.tiles = axl_read(axl, AXL_REG_TILES),
		.spad_bytes = axl_read(axl, AXL_REG_SPAD_BYTES),
		.acc_bytes = axl_read(axl, AXL_REG_ACC_BYTES),
		.clock_khz = axl_read(axl, AXL_REG_CLOCK_KHZ),
		.mem_bytes = axl_read64(axl, AXL_REG_MEM_SIZE),
		.dram_rate = axl_read(axl, AXL_REG_DRAM_RATE),
		.host_rate = axl_read(axl, AXL_REG_HOST_RATE),
		.dram_latency = axl_read(axl, AXL_REG_DRAM_LATENCY),
		.host_latency = axl_read(axl, AXL_REG_HOST_LATENCY),
		.spad_banks = axl_read(axl, AXL_REG_SPAD_BANKS),
		.features = axl_read(axl, AXL_REG_FEATURES),
		.max_contexts = min_t(u32, axl_read(axl, AXL_REG_NUM_CONTEXTS), AXL_MAX_CONTEXTS),
		.max_queues = min_t(u32, axl_read(axl, AXL_REG_NUM_QUEUES), AXL_MAX_QUEUES),
		.doorbell_stride = AXL_DOORBELL_STRIDE,
	};
}

static int alloc_tables(struct axl_device *axl)
{
	struct device *dev = &axl->pdev->dev;

	axl->context_table =
		dmam_alloc_coherent(dev, AXL_MAX_CONTEXTS * sizeof(*axl->context_table),
				    &axl->context_dma, GFP_KERNEL);
	if (!axl->context_table)
		return -ENOMEM;
	axl->queue_table = dmam_alloc_coherent(dev, AXL_MAX_QUEUES * sizeof(*axl->queue_table),
					       &axl->queue_dma, GFP_KERNEL);
	if (!axl->queue_table)
		return -ENOMEM;
	axl->fault_ring = dmam_alloc_coherent(dev, AXL_FAULT_RECORDS * sizeof(*axl->fault_ring),
					      &axl->fault_dma, GFP_KERNEL);
	if (!axl->fault_ring)
		return -ENOMEM;
	axl->faults = devm_kcalloc(dev, AXL_MAX_QUEUES, sizeof(*axl->faults), GFP_KERNEL);
	if (!axl->faults)
		return -ENOMEM;
	axl->tables = dmam_pool_create("axl-tables", dev, AXL_PAGE_BYTES, AXL_PAGE_BYTES, 0);
	return axl->tables ? 0 : -ENOMEM;
}

static void free_vectors(void *pdev)
{
	pci_free_irq_vectors(pdev);
}

int axl_hw_init(struct axl_device *axl)
{
	struct device *dev = &axl->pdev->dev;
	int err;

	if (axl_read(axl, AXL_REG_ID) != AXL_ID_MAGIC)
		return dev_err_probe(dev, -ENODEV, "no AXL behind BAR0\n");
	read_info(axl);
	if (axl->info.interface_version != AXL_REG_INTERFACE_VERSION)
		return dev_err_probe(dev, -ENODEV, "register interface %u, this driver knows %u\n",
				     axl->info.interface_version, AXL_REG_INTERFACE_VERSION);
	err = reset(axl);
	if (err)
		return dev_err_probe(dev, err, "it does not come out of reset\n");
	err = alloc_tables(axl);
	if (err)
		return err;
	err = devm_add_action(dev, free_vectors, axl->pdev);
	if (err)
		return err;
	err = request_irqs(axl);
	if (err)
		return dev_err_probe(dev, err, "interrupts\n");
	axl->before_reset = (struct axl_counters){};
	program(axl);
	return 0;
}

void axl_hw_fini(struct axl_device *axl)
{
	mutex_lock(&axl->command_lock);
	axl->wedged = true; /* no command any more */
	reset(axl);
	mutex_unlock(&axl->command_lock);
}

static void set_asleep(struct axl_device *axl, bool asleep)
{
	unsigned long flags;

	spin_lock_irqsave(&axl->irq_lock, flags);
	axl->asleep = asleep;
	spin_unlock_irqrestore(&axl->irq_lock, flags);
}

/* A link that goes tells nobody. Who waits looks: then every queue stands. */
void axl_hw_check(struct axl_device *axl)
{
	/* Who holds it finds out by himself; a deadline does not wait for a mailbox. */
	if (!mutex_trylock(&axl->command_lock))
		return;
	if (!axl->asleep && !axl->wedged && !is_there(axl)) {
		drm_err(&axl->drm, "it does not answer any more\n");
		fail_queues(axl);
		wake_up_all(&axl->irq);
	}
	mutex_unlock(&axl->command_lock);
}

/* Every queue has retired what it had and asks for a doorbell. */
bool axl_hw_idle(struct axl_device *axl)
{
	bool idle = axl_read(axl, AXL_REG_STATUS) & AXL_STATUS_IDLE && !READ_ONCE(axl->wedged);
	struct axl_queue *queue;
	unsigned long flags;

	spin_lock_irqsave(&axl->irq_lock, flags);
	/* One that stands would begin its packet again. */
	axl_for_each_queue(axl, ~0ull, queue, at)
		idle &= axl_state(queue->status) == AXL_QUEUE_RUNNING;
	spin_unlock_irqrestore(&axl->irq_lock, flags);
	return idle;
}

/*
 * Stop at packet boundaries, then reset: what a queue has not begun it does after axl_hw_resume().
 * A packet that does not come to its end in time is begun again then. Commands only change the
 * tables from here on.
 */
void axl_hw_suspend(struct axl_device *axl)
{
	u32 status;

	mutex_lock(&axl->command_lock);
	writel(0, axl->regs + AXL_REG_CONTROL);
	if (readl_poll_timeout(axl->regs + AXL_REG_STATUS, status, status & AXL_STATUS_IDLE, 100,
			       1000000))
		drm_notice(&axl->drm,
			   "suspended in the middle of a packet, which will be begun again\n");
	axl_drain_faults(axl);
	reset(axl);
	set_asleep(axl, true);
	mutex_unlock(&axl->command_lock);
}

/* @queues: they go on; else they stand, with cause RESET. What does not come up is wedged. */
void axl_hw_resume(struct axl_device *axl, bool queues)
{
	int err;

	mutex_lock(&axl->command_lock);
	set_asleep(axl, false);
	err = bring_up(axl, queues);
	if (err)
		drm_err(&axl->drm, "it does not come up: %d\n", err);
	if (err || !queues)
		fail_queues(axl);
	mutex_unlock(&axl->command_lock);
}
