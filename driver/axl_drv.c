// SPDX-License-Identifier: GPL-2.0-only
/* Probe and removal, files, the table of ioctls. */
#include <linux/compat.h>
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
	priv->dummy = alloc_page(GFP_KERNEL | __GFP_ZERO);
	if (!priv->dummy) {
		kfree(priv);
		return -ENOMEM;
	}
	priv->axl = to_axl(drm);
	priv->drm = file;
	xa_init_flags(&priv->vms, XA_FLAGS_ALLOC1);
	xa_init_flags(&priv->ctxs, XA_FLAGS_ALLOC1);
	xa_init_flags(&priv->queues, XA_FLAGS_ALLOC1);
	INIT_LIST_HEAD(&priv->stores);
	spin_lock_init(&priv->event_lock);
	file->driver_priv = priv;
	mutex_lock(&priv->axl->objects);
	list_add_tail(&priv->link, &priv->axl->files);
	mutex_unlock(&priv->axl->objects);
	return 0;
}

/* No event after this: drm_release() frees those that are there before it asks us. */
static int axl_close(struct inode *inode, struct file *filp)
{
	struct drm_file *file = filp->private_data;
	struct axl_file *priv = file->driver_priv;

	axl_event_config(priv, 0, NULL);
	return drm_release(inode, filp);
}

static void axl_postclose(struct drm_device *drm, struct drm_file *file)
{
	struct axl_file *priv = file->driver_priv;
	int idx;
	bool there;

	axl_fence_release(priv);
	there = !axl_enter(priv->axl, &idx);
	mutex_lock(&priv->axl->objects);
	list_del(&priv->link);
	axl_file_release(priv);
	mutex_unlock(&priv->axl->objects);
	if (there)
		axl_exit(priv->axl, idx);
	axl_bos_release(priv);
	xa_destroy(&priv->ctxs);
	xa_destroy(&priv->queues);
	xa_destroy(&priv->vms);
	put_page(priv->dummy);
	kfree(priv);
}

static int axl_dev_query_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct axl_device *axl = to_axl(drm);
	struct drm_axl_dev_query *args = data;
	struct axl_counters counters;
	u32 size, given = args->size;
	const void *from;
	int idx;

	switch (args->type) {
	case DRM_AXL_QUERY_INFO:
		from = &axl->info;
		size = sizeof(axl->info);
		break;
	case DRM_AXL_QUERY_COUNTERS:
		from = &counters.device;
		size = sizeof(counters.device);
		break;
	case DRM_AXL_QUERY_PIPES:
		if (!(axl->info.features & AXL_FEATURE_PIPE_COUNTERS))
			return axl_refuse(axl, -EOPNOTSUPP, "no counters by pipe");
		from = &counters.pipes;
		size = sizeof(counters.pipes);
		break;
	default:
		return axl_refuse(axl, -EINVAL, "type %u", args->type);
	}
	if (args->type != DRM_AXL_QUERY_INFO) {
		if (!drm_dev_enter(drm, &idx))
			return -ENODEV;
		axl_read_counters(axl, &counters);
		drm_dev_exit(idx);
	}
	args->size = size;
	if (args->data && copy_to_user(u64_to_user_ptr(args->data), from, min(size, given)))
		return -EFAULT;
	return 0;
}

static int axl_get_time_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct axl_device *axl = to_axl(drm);
	struct drm_axl_get_time *args = data;
	int err, idx;

	err = axl_enter(axl, &idx);
	if (err)
		return err;
	args->cycles = axl_read64(axl, AXL_REG_CYCLES);
	args->cpu_ns = ktime_get_ns();
	axl_exit(axl, idx);
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
	DRM_IOCTL_DEF_DRV(AXL_SUBMIT, axl_submit_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AXL_FENCE_EXPORT, axl_fence_export_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AXL_FENCE_IMPORT, axl_fence_import_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AXL_EVENT_CONFIG, axl_event_config_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AXL_PERF_OPEN, axl_perf_open_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AXL_QUEUE_SUSPEND, axl_queue_suspend_ioctl, 0),
	DRM_IOCTL_DEF_DRV(AXL_QUEUE_RESUME, axl_queue_resume_ioctl, 0),
};

/*
 * drm_ioctl() passes over what a longer struct of a newer program says at its end: nobody shall be
 * taken to have said it.
 */
static long axl_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	unsigned int nr = _IOC_NR(cmd) - DRM_COMMAND_BASE, size = _IOC_SIZE(cmd), known;
	struct drm_file *file = filp->private_data;
	int zero = 1;

	if (_IOC_NR(cmd) >= DRM_COMMAND_BASE && nr < ARRAY_SIZE(axl_ioctls)) {
		known = _IOC_SIZE(axl_ioctls[nr].cmd);
		if (size > known)
			zero = check_zeroed_user((void __user *)arg + known, size - known);
	}
	if (zero < 0)
		return zero;
	if (!zero)
		return axl_refuse(to_axl(file->minor->dev), -E2BIG, "call %#x with %u bytes", nr,
				  size);
	return drm_ioctl(filp, cmd, arg);
}

#ifdef CONFIG_COMPAT
/* Our structs are the same for 32-bit programs; some of DRM's own are not. */
static long axl_compat_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	if (_IOC_NR(cmd) < DRM_COMMAND_BASE || _IOC_NR(cmd) >= DRM_COMMAND_END)
		return drm_compat_ioctl(filp, cmd, arg);
	return axl_ioctl(filp, cmd, (unsigned long)compat_ptr(arg));
}
#else
#define axl_compat_ioctl NULL
#endif

static const struct file_operations axl_fops = {
	.owner = THIS_MODULE,
	.open = accel_open,
	.release = axl_close,
	.unlocked_ioctl = axl_ioctl,
	.compat_ioctl = axl_compat_ioctl,
	.poll = drm_poll,
	.read = drm_read,
	.llseek = noop_llseek,
	.mmap = axl_mmap,
	.show_fdinfo = drm_show_fdinfo,
	.fop_flags = FOP_UNSIGNED_OFFSET,
};

static const struct drm_driver axl_driver = {
	.driver_features = DRIVER_GEM | DRIVER_COMPUTE_ACCEL | DRIVER_GEM_GPUVA | DRIVER_SYNCOBJ |
			   DRIVER_SYNCOBJ_TIMELINE,
	.open = axl_open,
	.postclose = axl_postclose,
	.gem_create_object = axl_gem_create_object,
	.gem_prime_import = axl_gem_import,
	.gem_prime_import_sg_table = drm_gem_shmem_prime_import_sg_table,
	.show_fdinfo = axl_show_fdinfo,
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

static void destroy_workqueues(struct drm_device *drm, void *data)
{
	struct axl_device *axl = to_axl(drm);

	if (axl->recovery)
		destroy_workqueue(axl->recovery);
	if (axl->binds)
		destroy_workqueue(axl->binds);
	if (axl->stores)
		destroy_workqueue(axl->stores);
}

static int init_software(struct axl_device *axl)
{
	int err;

	spin_lock_init(&axl->irq_lock);
	init_waitqueue_head(&axl->irq);
	INIT_LIST_HEAD(&axl->files);
	INIT_LIST_HEAD(&axl->vms);
	INIT_LIST_HEAD(&axl->bos);
	INIT_LIST_HEAD(&axl->lost_mappings);
	INIT_LIST_HEAD(&axl->lost_ctxs);
	INIT_DELAYED_WORK(&axl->poll, axl_fence_poll);
	err = drmm_mutex_init(&axl->drm, &axl->objects)		     ?:
		      drmm_mutex_init(&axl->drm, &axl->vms_lock)     ?:
		      drmm_mutex_init(&axl->drm, &axl->bo_lock)	     ?:
		      drmm_mutex_init(&axl->drm, &axl->map_lock)     ?:
		      drmm_mutex_init(&axl->drm, &axl->local_lock)   ?:
		      drmm_mutex_init(&axl->drm, &axl->command_lock) ?:
		      drmm_mutex_init(&axl->drm, &axl->store_lock);
	if (err)
		return err;
	err = drmm_add_action(&axl->drm, destroy_workqueues, NULL);
	if (err)
		return err;
	axl->recovery = alloc_ordered_workqueue("axl-recovery", WQ_MEM_RECLAIM);
	if (!axl->recovery)
		return -ENOMEM;
	axl->binds = alloc_workqueue("axl-binds", WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	if (!axl->binds)
		return -ENOMEM;
	axl->stores = alloc_workqueue("axl-stores", WQ_MEM_RECLAIM, 0);
	return axl->stores ? axl_dump_init(axl) : -ENOMEM;
}

static int map_bars(struct axl_device *axl)
{
	struct pci_dev *pdev = axl->pdev;
	int err = pcim_iomap_regions(pdev, BIT(0) | BIT(2), "axl");

	if (err)
		return dev_err_probe(&pdev->dev, err, "BARs\n");
	/*
	 * Local memory is mapped piece by piece, when it is needed: it may be larger than the
	 * kernel likes to map.
	 */
	if (!devm_request_mem_region(&pdev->dev, pci_resource_start(pdev, 4),
				     pci_resource_len(pdev, 4), "axl"))
		return dev_err_probe(&pdev->dev, -EBUSY, "BAR4\n");
	axl->regs = pcim_iomap_table(pdev)[0];
	axl->doorbells_map = pcim_iomap_table(pdev)[2];
	axl->doorbells = pci_resource_start(pdev, 2);
	axl->local = pci_resource_start(pdev, 4);
	if (pci_resource_len(pdev, 0) < AXL_BAR0_BYTES ||
	    pci_resource_len(pdev, 2) < (u64)AXL_MAX_CONTEXTS * AXL_DOORBELL_STRIDE)
		return dev_err_probe(&pdev->dev, -ENODEV, "BARs are too small\n");
	return 0;
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
	err = init_software(axl);
	if (err)
		return err;
	err = pcim_enable_device(pdev);
	if (err)
		return dev_err_probe(&pdev->dev, err, "enabling\n");
	err = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(52));
	if (err)
		return dev_err_probe(&pdev->dev, err, "DMA mask\n");
	dma_set_max_seg_size(&pdev->dev, UINT_MAX);
	err = map_bars(axl);
	if (err)
		return err;
	pci_set_master(pdev);
	err = axl_hw_init(axl);
	if (err)
		return err;
	axl->local_bytes = min_t(u64, axl->info.mem_bytes, pci_resource_len(pdev, 4));
	drm_mm_init(&axl->local_mm, 0, axl->local_bytes);
	err = drmm_add_action_or_reset(&axl->drm, local_mm_fini, NULL);
	if (err)
		goto err_hw;
	axl_debugfs_init(axl);
	err = drm_dev_register(&axl->drm, 0);
	if (err)
		goto err_hw;
	pci_save_state(pdev); /* for slot_reset() */
	axl_pm_init(axl);
	return 0;

err_hw:
	axl_hw_fini(axl);
	return err;
}

/*
 * Files stay open, with their buffers; their calls answer -ENODEV. Everything that the device knows
 * of or that is mapped for it goes now, while it can still be told: contexts, queues, what is
 * bound. Fences end, sleepers wake.
 */
static void axl_remove(struct pci_dev *pdev)
{
	struct axl_device *axl = pci_get_drvdata(pdev);
	struct axl_file *file;

	axl_pm_fini(axl);
	drm_dev_unplug(&axl->drm);
	axl_hw_fini(axl);
	pci_clear_master(pdev); /* whether it was reset or not, it reaches nothing any more */
	mutex_lock(&axl->objects);
	list_for_each_entry(file, &axl->files, link)
		axl_file_release(file);
	axl_ctxs_abandon(axl);
	mutex_unlock(&axl->objects);
	axl_vms_abandon(axl);
	axl_mappings_abandon(axl);
	axl_bos_abandon(axl);
	cancel_delayed_work_sync(&axl->poll);
	axl_dump_drop(axl);
	wake_up_all(&axl->irq);
}

static const struct pci_device_id axl_ids[] = { { PCI_DEVICE(AXL_PCI_VENDOR, AXL_PCI_DEVICE) },
						{} };
MODULE_DEVICE_TABLE(pci, axl_ids);

static struct pci_driver axl_pci_driver = {
	.name = "axl",
	.id_table = axl_ids,
	.probe = axl_probe,
	.remove = axl_remove,
	.shutdown = axl_remove,
	.err_handler = &axl_error_handlers,
	.driver.pm = pm_ptr(&axl_pm_ops),
};
module_pci_driver(axl_pci_driver);

unsigned int axl_job_timeout_ms = AXL_JOB_TIMEOUT_MS;
module_param_named(job_timeout_ms, axl_job_timeout_ms, uint, 0644);
MODULE_PARM_DESC(job_timeout_ms,
		 "Milliseconds after which the driver ends a job or fence that the device's watchdog has not (10000)");

MODULE_DESCRIPTION("AXL neural-network accelerator");
MODULE_LICENSE("GPL");
