// SPDX-License-Identifier: GPL-2.0-only
/* Probe and removal, files, the table of ioctls. */
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <drm/drm_accel.h>
#include <drm/drm_gem.h>
#include <drm/drm_ioctl.h>
#include <drm/drm_managed.h>

#include "axl_drv.h"

static int axl_open(struct drm_device *drm, struct drm_file *file)
{
	struct axl_file *priv = kzalloc(sizeof(*priv), GFP_KERNEL);

	if (!priv)
		return -ENOMEM;
	priv->axl = to_axl(drm);
	xa_init_flags(&priv->vms, XA_FLAGS_ALLOC1);
	xa_init_flags(&priv->contexts, XA_FLAGS_ALLOC1);
	xa_init_flags(&priv->queues, XA_FLAGS_ALLOC1);
	file->driver_priv = priv;
	return 0;
}

static void axl_postclose(struct drm_device *drm, struct drm_file *file)
{
	axl_file_release(file->driver_priv);
	kfree(file->driver_priv);
}

static void read_counters(struct axl_device *axl, struct drm_axl_counters *counters)
{
	*counters = (struct drm_axl_counters){
		.cycles = axl_read64(axl, AXL_REG_CYCLES),
		.busy = axl_read64(axl, AXL_REG_COUNT_BUSY),
		.packets = axl_read64(axl, AXL_REG_COUNT_PACKETS),
		.doorbells = axl_read64(axl, AXL_REG_COUNT_DOORBELLS),
		.faults = axl_read64(axl, AXL_REG_COUNT_FAULTS),
		.tlb_misses = axl_read64(axl, AXL_REG_COUNT_TLB_MISSES),
		.dram_bytes = axl_read64(axl, AXL_REG_COUNT_DRAM_BYTES),
		.host_bytes = axl_read64(axl, AXL_REG_COUNT_HOST_BYTES),
	};
}

static int axl_dev_query_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct axl_device *axl = to_axl(drm);
	struct drm_axl_dev_query *args = data;
	struct drm_axl_counters counters;
	const void *from = &axl->info;
	u32 size = sizeof(axl->info), given = args->size;
	int idx;

	if (args->type == DRM_AXL_QUERY_COUNTERS) {
		if (!drm_dev_enter(drm, &idx))
			return -ENODEV;
		read_counters(axl, &counters);
		drm_dev_exit(idx);
		from = &counters;
		size = sizeof(counters);
	} else if (args->type != DRM_AXL_QUERY_INFO) {
		return axl_refuse(axl, -EINVAL, "type %u", args->type);
	}
	args->size = size;
	if (args->data && copy_to_user(u64_to_user_ptr(args->data), from, min(size, given)))
		return -EFAULT;
	return 0;
}

static int axl_get_time_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_axl_get_time *args = data;
	int idx;

	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	args->cycles = axl_read64(to_axl(drm), AXL_REG_CYCLES);
	args->cpu_ns = ktime_get_ns();
	drm_dev_exit(idx);
	return 0;
}

static const struct drm_ioctl_desc axl_ioctls[] = {
	DRM_IOCTL_DEF_DRV(AXL_DEV_QUERY, axl_dev_query_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AXL_GET_TIME, axl_get_time_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AXL_BO_CREATE, axl_bo_create_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AXL_BO_INFO, axl_bo_info_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AXL_VM_CREATE, axl_vm_create_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AXL_VM_DESTROY, axl_vm_destroy_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AXL_VM_BIND, axl_vm_bind_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AXL_CTX_CREATE, axl_ctx_create_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AXL_CTX_DESTROY, axl_ctx_destroy_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AXL_QUEUE_CREATE, axl_queue_create_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AXL_QUEUE_DESTROY, axl_queue_destroy_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AXL_QUEUE_QUERY, axl_queue_query_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AXL_QUEUE_RESET, axl_queue_reset_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AXL_WAIT, axl_wait_ioctl, 0),
};

static const struct file_operations axl_fops = {
	.owner = THIS_MODULE,
	DRM_ACCEL_FOPS,
	.mmap = axl_mmap,
};

static const struct drm_driver axl_driver = {
	.driver_features = DRIVER_GEM | DRIVER_COMPUTE_ACCEL,
	.open = axl_open,
	.postclose = axl_postclose,
	.gem_create_object = axl_gem_create_object,
	.ioctls = axl_ioctls,
	.num_ioctls = ARRAY_SIZE(axl_ioctls),
	.fops = &axl_fops,
	.name = "axl",
	.desc = "AXL neural-network accelerator",
	.major = 0,
	.minor = 1,
};

static void local_mm_fini(struct drm_device *drm, void *data)
{
	drm_mm_takedown(&to_axl(drm)->local_mm);
}

static int axl_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct axl_device *axl;
	int err;

	axl = devm_drm_dev_alloc(&pdev->dev, &axl_driver, struct axl_device, drm);
	if (IS_ERR(axl))
		return PTR_ERR(axl);
	axl->pdev = pdev;
	pci_set_drvdata(pdev, axl);
	err = pcim_enable_device(pdev);
	if (err)
		return dev_err_probe(&pdev->dev, err, "enabling\n");
	err = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(52));
	if (err)
		return dev_err_probe(&pdev->dev, err, "DMA mask\n");
	err = pcim_iomap_regions(pdev, BIT(0) | BIT(4), "axl");
	if (err)
		return dev_err_probe(&pdev->dev, err, "BARs\n");
	pci_set_master(pdev);
	axl->regs = pcim_iomap_table(pdev)[0];
	axl->local_map = pcim_iomap_table(pdev)[4];
	axl->doorbells = pci_resource_start(pdev, 2);
	axl->local = pci_resource_start(pdev, 4);
	mutex_init(&axl->command_lock);
	mutex_init(&axl->local_lock);
	mutex_init(&axl->objects);
	spin_lock_init(&axl->fault_lock);
	init_waitqueue_head(&axl->irq);
	err = axl_hw_init(axl);
	if (err)
		return err;
	drm_mm_init(&axl->local_mm, 0, min_t(u64, axl->info.mem_bytes, pci_resource_len(pdev, 4)));
	err = drmm_add_action_or_reset(&axl->drm, local_mm_fini, NULL);
	if (err)
		return err;
	err = drm_dev_register(&axl->drm, 0);
	if (err)
		axl_hw_fini(axl);
	return err;
}

static void axl_remove(struct pci_dev *pdev)
{
	struct axl_device *axl = pci_get_drvdata(pdev);

	drm_dev_unplug(&axl->drm);
	axl_hw_fini(axl);
	wake_up_all(&axl->irq);
}

static const struct pci_device_id axl_ids[] = {
	{ PCI_DEVICE(AXL_PCI_VENDOR, AXL_PCI_DEVICE) },
	{}
};
MODULE_DEVICE_TABLE(pci, axl_ids);

static struct pci_driver axl_pci_driver = {
	.name = "axl",
	.id_table = axl_ids,
	.probe = axl_probe,
	.remove = axl_remove,
};
module_pci_driver(axl_pci_driver);

MODULE_DESCRIPTION("AXL neural-network accelerator");
MODULE_LICENSE("GPL");
