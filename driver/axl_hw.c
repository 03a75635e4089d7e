// SPDX-License-Identifier: GPL-2.0-only
/* Registers, the command mailbox, interrupts and fault records. */
#include <linux/bitops.h>
#include <linux/dma-mapping.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/iopoll.h>

#include "axl_drv.h"

#define COMMAND_TIMEOUT (5 * HZ)

u64 axl_read(struct axl_device *axl, enum axl_reg reg)
{
	return readl(axl->regs + reg);
}

u64 axl_read64(struct axl_device *axl, enum axl_reg reg)
{
	return readq(axl->regs + reg);
}

static bool command_busy(struct axl_device *axl)
{
	return axl_read(axl, AXL_REG_STATUS) & AXL_STATUS_COMMAND_BUSY;
}

int axl_command(struct axl_device *axl, enum axl_command command, u64 arg)
{
	u32 result;

	mutex_lock(&axl->command_lock);
	if (axl->wedged) {
		mutex_unlock(&axl->command_lock);
		return -EIO;
	}
	writeq(arg, axl->regs + AXL_REG_COMMAND_ARG);
	writel(command, axl->regs + AXL_REG_COMMAND);
	if (!wait_event_timeout(axl->irq, !command_busy(axl), COMMAND_TIMEOUT)) {
		axl->wedged = true;
		mutex_unlock(&axl->command_lock);
		drm_err(&axl->drm, "command %d does not end: the device is wedged\n", command);
		return -EIO;
	}
	result = axl_read(axl, AXL_REG_COMMAND_RESULT);
	mutex_unlock(&axl->command_lock);
	if (result == AXL_CMD_OK)
		return 0;
	return result == AXL_CMD_NO_ACCESS ? -EIO : -EINVAL;
}

/* Records to the queues they are of. Hard interrupt context. */
static void drain_faults(struct axl_device *axl)
{
	u32 write = axl_read(axl, AXL_REG_FAULT_WRITE);

	spin_lock(&axl->fault_lock);
	/* Never more than the ring has, whatever the register says. */
	if (write - axl->fault_read > AXL_FAULT_RECORDS)
		axl->fault_read = write - AXL_FAULT_RECORDS;
	for (; axl->fault_read != write; axl->fault_read++) {
		struct axl_fault_record *record = &axl->fault_ring[axl->fault_read % AXL_FAULT_RECORDS];
		u32 queue = READ_ONCE(record->queue);

		if (queue < AXL_MAX_QUEUES) {
			axl->faults[queue] = *record;
			set_bit(queue, axl->has_fault);
		}
	}
	spin_unlock(&axl->fault_lock);
	writel(write, axl->regs + AXL_REG_FAULT_READ);
}

static irqreturn_t axl_irq(int irq, void *data)
{
	struct axl_device *axl = data;
	unsigned int vector = irq - pci_irq_vector(axl->pdev, 0);

	/* Clear first, then look: what comes in between raises it again. */
	writel(1u << vector, axl->regs + AXL_REG_IRQ_PENDING);
	if (!vector) {
		writel(AXL_IRQ_FAULT | AXL_IRQ_COMMAND, axl->regs + AXL_REG_IRQ_CAUSE);
		drain_faults(axl);
	}
	wake_up_all(&axl->irq);
	return IRQ_HANDLED;
}

static int request_irqs(struct axl_device *axl)
{
	int vectors = pci_alloc_irq_vectors(axl->pdev, AXL_NUM_VECTORS, AXL_NUM_VECTORS, PCI_IRQ_MSIX);

	if (vectors < 0)
		return vectors;
	for (int v = 0; v < AXL_NUM_VECTORS; v++) {
		int err = devm_request_irq(&axl->pdev->dev, pci_irq_vector(axl->pdev, v), axl_irq, 0, "axl", axl);

		if (err)
			return err;
	}
	return 0;
}

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

int axl_hw_init(struct axl_device *axl)
{
	struct device *dev = &axl->pdev->dev;
	u32 status;
	int err;

	if (axl_read(axl, AXL_REG_ID) != AXL_ID_MAGIC)
		return dev_err_probe(dev, -ENODEV, "no AXL behind BAR0\n");
	read_info(axl);
	if (axl->info.interface_version != AXL_REG_INTERFACE_VERSION)
		return dev_err_probe(dev, -ENODEV, "register interface %u, this driver knows %u\n",
				     axl->info.interface_version, AXL_REG_INTERFACE_VERSION);
	writel(AXL_CONTROL_RESET, axl->regs + AXL_REG_CONTROL);
	err = readl_poll_timeout(axl->regs + AXL_REG_STATUS, status, status & AXL_STATUS_READY, 100, 1000000);
	if (err)
		return dev_err_probe(dev, err, "it does not come out of reset\n");
	axl->context_table = dmam_alloc_coherent(dev, AXL_MAX_CONTEXTS * sizeof(*axl->context_table), &axl->context_dma,
						 GFP_KERNEL);
	axl->queue_table =
		dmam_alloc_coherent(dev, AXL_MAX_QUEUES * sizeof(*axl->queue_table), &axl->queue_dma, GFP_KERNEL);
	axl->fault_ring =
		dmam_alloc_coherent(dev, AXL_FAULT_RECORDS * sizeof(*axl->fault_ring), &axl->fault_dma, GFP_KERNEL);
	axl->faults = devm_kcalloc(dev, AXL_MAX_QUEUES, sizeof(*axl->faults), GFP_KERNEL);
	axl->tables = dmam_pool_create("axl-tables", dev, AXL_PAGE_BYTES, AXL_PAGE_BYTES, 0);
	if (!axl->context_table || !axl->queue_table || !axl->fault_ring || !axl->faults || !axl->tables)
		return -ENOMEM;
	writeq(axl->context_dma, axl->regs + AXL_REG_CONTEXT_TABLE);
	writeq(axl->queue_dma, axl->regs + AXL_REG_QUEUE_TABLE);
	writeq(axl->fault_dma, axl->regs + AXL_REG_FAULT_RING);
	writel(AXL_FAULT_RECORDS, axl->regs + AXL_REG_FAULT_SIZE);
	err = request_irqs(axl);
	if (err)
		return dev_err_probe(dev, err, "interrupts\n");
	writel(AXL_CONTROL_ENABLE, axl->regs + AXL_REG_CONTROL);
	return 0;
}

void axl_hw_fini(struct axl_device *axl)
{
	u32 status;

	/* After a reset nothing of the device is on its way to memory. */
	writel(AXL_CONTROL_RESET, axl->regs + AXL_REG_CONTROL);
	readl_poll_timeout(axl->regs + AXL_REG_STATUS, status, status & AXL_STATUS_READY, 100, 1000000);
}
