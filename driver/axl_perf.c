// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counters as a stream: a file whose records are taken at a fixed period, of one context or of the
 * device. Taking one neither wakes the device nor keeps it awake.
 */
#include <linux/anon_inodes.h>
#include <linux/capability.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/perf_event.h>
#include <linux/poll.h>
#include <linux/slab.h>

#include "axl_drv.h"

#define RECORDS 1024

/*
 * @status: of the context, or NULL: the device. It stays as it was when the context goes
 * @lock: protects what follows; @lost: records for which there was no room
 */
struct perf {
	struct axl_device *axl;
	struct page *status_page;
	const struct axl_status_page *status;
	ktime_t period;
	struct hrtimer timer;
	struct work_struct work;
	wait_queue_head_t filled;
	spinlock_t lock; /* see above */
	u64 write;
	u64 read;
	u64 lost;
	struct drm_axl_perf_record records[RECORDS];
};

static void sample_context(const struct perf *perf, struct drm_axl_counters *counters)
{
	for (unsigned int s = 0; s < AXL_QUEUES_PER_CONTEXT; s++) {
		counters->busy += READ_ONCE(perf->status->queue[s].busy_cycles);
		counters->packets += READ_ONCE(perf->status->queue[s].retired);
	}
}

static void sample(struct work_struct *work)
{
	struct perf *perf = container_of(work, struct perf, work);
	struct drm_axl_perf_record record = {};
	struct axl_counters counters;
	int idx;

	if (!drm_dev_enter(&perf->axl->drm, &idx)) {
		wake_up_all(&perf->filled); /* they see it too */
		return;
	}
	if (perf->status) {
		sample_context(perf, &record.counters);
	} else {
		axl_read_counters(perf->axl, &counters);
		record.counters = counters.device;
	}
	drm_dev_exit(idx);
	record.cpu_ns = ktime_get_ns();
	spin_lock(&perf->lock);
	record.lost = perf->lost;
	if (perf->write - perf->read < RECORDS)
		perf->records[perf->write++ % RECORDS] = record;
	else
		perf->lost++;
	spin_unlock(&perf->lock);
	wake_up_all(&perf->filled);
}

/* Reading counters may sleep. */
static enum hrtimer_restart tick(struct hrtimer *timer)
{
	struct perf *perf = container_of(timer, struct perf, timer);

	queue_work(system_unbound_wq, &perf->work);
	hrtimer_forward_now(timer, perf->period);
	return HRTIMER_RESTART;
}

/* ---- the file ---- */

static bool filled(struct perf *perf)
{
	return READ_ONCE(perf->write) != READ_ONCE(perf->read);
}

static bool take(struct perf *perf, struct drm_axl_perf_record *record)
{
	bool any;

	spin_lock(&perf->lock);
	any = filled(perf);
	if (any)
		*record = perf->records[perf->read++ % RECORDS];
	spin_unlock(&perf->lock);
	return any;
}

static ssize_t perf_read(struct file *file, char __user *buffer, size_t size, loff_t *offset)
{
	struct perf *perf = file->private_data;
	struct drm_axl_perf_record record;
	size_t done = 0;
	int err;

	if (size < sizeof(record))
		return -EINVAL;
	while (!filled(perf)) {
		if (drm_dev_is_unplugged(&perf->axl->drm))
			return -ENODEV;
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		err = wait_event_interruptible(perf->filled,
					       filled(perf) ||
						       drm_dev_is_unplugged(&perf->axl->drm));
		if (err)
			return err;
	}
	while (size - done >= sizeof(record) && take(perf, &record)) {
		if (copy_to_user(buffer + done, &record, sizeof(record)))
			return done ? done : -EFAULT;
		done += sizeof(record);
	}
	return done ? done : -EAGAIN;
}

static __poll_t perf_poll(struct file *file, poll_table *table)
{
	struct perf *perf = file->private_data;

	poll_wait(file, &perf->filled, table);
	if (drm_dev_is_unplugged(&perf->axl->drm))
		return EPOLLHUP | (filled(perf) ? EPOLLIN : 0);
	return filled(perf) ? EPOLLIN : 0;
}

static void perf_stop(struct perf *perf)
{
	hrtimer_cancel(&perf->timer);
	cancel_work_sync(&perf->work);
	if (perf->status_page)
		put_page(perf->status_page);
	drm_dev_put(&perf->axl->drm);
	kvfree(perf);
}

static int perf_release(struct inode *inode, struct file *file)
{
	perf_stop(file->private_data);
	return 0;
}

static const struct file_operations perf_fops = {
	.owner = THIS_MODULE,
	.read = perf_read,
	.poll = perf_poll,
	.release = perf_release,
	.llseek = noop_llseek,
};

/* ---- the ioctl ---- */

static int check(struct axl_device *axl, const struct drm_axl_perf_open *args)
{
	if (args->flags & ~DRM_AXL_PERF_DEVICE || args->fd || args->pad)
		return axl_refuse(axl, -EINVAL, "flags %#x, fd %d, pad %u", args->flags, args->fd,
				  args->pad);
	if (!(args->flags & DRM_AXL_PERF_DEVICE) == !args->ctx)
		return axl_refuse(axl, -EINVAL, "context %u with flags %#x", args->ctx,
				  args->flags);
	if (args->period_ns < DRM_AXL_PERF_MIN_PERIOD || args->period_ns > NSEC_PER_SEC)
		return axl_refuse(axl, -EINVAL, "period %llu", args->period_ns);
	/* Of the device: what others do. */
	if (args->flags & DRM_AXL_PERF_DEVICE && !perfmon_capable())
		return axl_refuse(axl, -EPERM, "the device's counters need CAP_PERFMON");
	return 0;
}

static struct perf *perf_create(struct axl_file *priv, const struct drm_axl_perf_open *args)
{
	struct axl_device *axl = priv->axl;
	struct perf *perf = kvzalloc(sizeof(*perf), GFP_KERNEL_ACCOUNT);
	struct axl_ctx *ctx;

	if (!perf)
		return ERR_PTR(-ENOMEM);
	drm_dev_get(&axl->drm);
	perf->axl = axl;
	perf->period = ns_to_ktime(args->period_ns);
	spin_lock_init(&perf->lock);
	init_waitqueue_head(&perf->filled);
	INIT_WORK(&perf->work, sample);
	hrtimer_init(&perf->timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
	perf->timer.function = tick;
	if (args->flags & DRM_AXL_PERF_DEVICE)
		return perf;
	mutex_lock(&axl->objects);
	ctx = xa_load(&priv->ctxs, args->ctx);
	if (ctx) {
		get_page(ctx->status_page);
		perf->status_page = ctx->status_page;
		perf->status = ctx->status;
	}
	mutex_unlock(&axl->objects);
	if (perf->status)
		return perf;
	perf_stop(perf);
	return ERR_PTR(axl_refuse(axl, -ENOENT, "context %u", args->ctx));
}

int axl_perf_open_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct axl_device *axl = to_axl(drm);
	struct drm_axl_perf_open *args = data;
	struct perf *perf;
	int err, fd;

	err = check(axl, args);
	if (err)
		return err;
	perf = perf_create(file->driver_priv, args);
	if (IS_ERR(perf))
		return PTR_ERR(perf);
	/* Before there is a file that another thread can close. */
	hrtimer_start(&perf->timer, perf->period, HRTIMER_MODE_REL);
	fd = anon_inode_getfd("[axl-perf]", &perf_fops, perf, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		perf_stop(perf);
		return fd;
	}
	args->fd = fd;
	return 0;
}
