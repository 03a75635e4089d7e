// SPDX-License-Identifier: GPL-2.0-only
/*
 * Power and recovery of the whole function: system sleep, runtime suspend, resets and errors that
 * the PCI core tells of.
 *
 * Who works with the device is between axl_enter() and axl_exit(), or has a fence pending. User
 * programs are neither: the device may sleep when it has armed every queue's event, so that the
 * next packet needs a doorbell. The doorbell pages are taken away then, and the next store faults
 * and wakes it.
 */
#include <linux/interrupt.h>
#include <linux/pci.h>
#include <linux/pm_runtime.h>

#include "axl_drv.h"

#define AUTOSUSPEND_MS 500

/* 0: the device is there, and awake until axl_exit(). Not under a lock that axl_fault() takes. */
int axl_enter(struct axl_device *axl, int *idx)
{
	int err;

	if (!drm_dev_enter(&axl->drm, idx))
		return -ENODEV;
	err = pm_runtime_resume_and_get(axl->drm.dev);
	if (!err)
		return 0;
	drm_dev_exit(*idx);
	return err == -EACCES ? -ENODEV : err;
}

/* For those who hold it awake already: once more, until axl_awake_put(). In an interrupt too. */
void axl_awake_get(struct axl_device *axl)
{
	pm_runtime_get_noresume(axl->drm.dev);
}

void axl_awake_put(struct axl_device *axl)
{
	pm_runtime_mark_last_busy(axl->drm.dev);
	pm_runtime_put_autosuspend(axl->drm.dev);
}

void axl_exit(struct axl_device *axl, int idx)
{
	axl_awake_put(axl);
	drm_dev_exit(idx);
}

/* Nobody reaches the device any more without a fault; @stopped: nor with one. */
static void revoke(struct axl_device *axl, bool stopped)
{
	mutex_lock(&axl->map_lock);
	axl->stopped |= stopped;
	axl_mmap_revoke(axl);
	mutex_unlock(&axl->map_lock);
	axl_bos_revoke(axl);
}

static void sleep(struct axl_device *axl)
{
	axl_hw_suspend(axl);
	for (int v = 0; v < AXL_NUM_VECTORS; v++)
		synchronize_irq(pci_irq_vector(axl->pdev, v));
}

/* A device that does not come up is wedged: its queues stand, calls answer -EIO. */
static void wake(struct axl_device *axl, bool queues)
{
	axl_hw_resume(axl, queues);
	mutex_lock(&axl->map_lock);
	axl->stopped = false;
	mutex_unlock(&axl->map_lock);
	axl_progress_contexts(axl, ~0ull);
	wake_up_all(&axl->irq);
}

/* Whatever it does. */
static void stop(struct axl_device *axl)
{
	mutex_lock(&axl->objects);
	revoke(axl, true);
	sleep(axl);
	mutex_unlock(&axl->objects);
}

/* Everybody else is frozen, or waits in a fault. */
static int axl_suspend(struct device *dev)
{
	stop(dev_get_drvdata(dev));
	return 0;
}

/* From sleep of either kind. */
static int axl_resume(struct device *dev)
{
	wake(dev_get_drvdata(dev), true);
	return 0;
}

static int axl_runtime_suspend(struct device *dev)
{
	struct axl_device *axl = dev_get_drvdata(dev);

	if (!axl_hw_idle(axl))
		goto busy;
	revoke(axl, false);
	/* A doorbell may have come before its page went. */
	if (!axl_hw_idle(axl))
		goto busy;
	sleep(axl);
	return 0;

busy:
	pm_runtime_mark_last_busy(dev); /* or nobody would try again */
	return -EBUSY;
}

const struct dev_pm_ops axl_pm_ops = { SYSTEM_SLEEP_PM_OPS(axl_suspend, axl_resume)
					       RUNTIME_PM_OPS(axl_runtime_suspend, axl_resume,
							      NULL) };

/* Whether it sleeps is the administrator's decision (power/control), as for every PCI device. */
void axl_pm_init(struct axl_device *axl)
{
	struct device *dev = axl->drm.dev;

	pm_runtime_set_autosuspend_delay(dev, AUTOSUSPEND_MS);
	pm_runtime_use_autosuspend(dev);
	pm_runtime_mark_last_busy(dev);
	pm_runtime_put_autosuspend(dev);
}

void axl_pm_fini(struct axl_device *axl)
{
	pm_runtime_dont_use_autosuspend(axl->drm.dev);
	pm_runtime_get_noresume(axl->drm.dev);
}

/* ---- what the PCI core tells of ---- */

/* What ran is lost: every queue stands, with cause RESET, and goes on with QUEUE_RESET. */
static void restart(struct axl_device *axl)
{
	mutex_lock(&axl->objects);
	atomic64_inc(&axl->resets);
	wake(axl, false);
	mutex_unlock(&axl->objects);
}

/* Before and after a function-level reset that somebody asked for in sysfs. */
static void reset_prepare(struct pci_dev *pdev)
{
	stop(pci_get_drvdata(pdev));
}

static void reset_done(struct pci_dev *pdev)
{
	restart(pci_get_drvdata(pdev));
}

static pci_ers_result_t error_detected(struct pci_dev *pdev, pci_channel_state_t state)
{
	struct axl_device *axl = pci_get_drvdata(pdev);

	drm_err(&axl->drm, "PCIe error, channel state %d\n", state);
	if (state == pci_channel_io_normal)
		return PCI_ERS_RESULT_CAN_RECOVER;
	if (state == pci_channel_io_perm_failure)
		return PCI_ERS_RESULT_DISCONNECT;
	stop(axl);
	return PCI_ERS_RESULT_NEED_RESET;
}

static pci_ers_result_t mmio_enabled(struct pci_dev *pdev)
{
	struct axl_device *axl = pci_get_drvdata(pdev);

	return axl_read(axl, AXL_REG_ID) == AXL_ID_MAGIC ? PCI_ERS_RESULT_RECOVERED
							 : PCI_ERS_RESULT_NEED_RESET;
}

static pci_ers_result_t slot_reset(struct pci_dev *pdev)
{
	struct axl_device *axl = pci_get_drvdata(pdev);

	pci_restore_state(pdev);
	pci_save_state(pdev);
	pci_set_master(pdev);
	restart(axl);
	return READ_ONCE(axl->wedged) ? PCI_ERS_RESULT_DISCONNECT : PCI_ERS_RESULT_RECOVERED;
}

static void resume(struct pci_dev *pdev)
{
	struct axl_device *axl = pci_get_drvdata(pdev);

	drm_notice(&axl->drm, "recovered from a PCIe error\n");
}

const struct pci_error_handlers axl_error_handlers = {
	.error_detected = error_detected,
	.mmio_enabled = mmio_enabled,
	.slot_reset = slot_reset,
	.resume = resume,
	.reset_prepare = reset_prepare,
	.reset_done = reset_done,
};
