// SPDX-License-Identifier: GPL-2.0-only
/*
 * Submission through the kernel: drm_sched puts jobs, in order, into a ring of the driver's own in
 * the context. For work that has to wait for fences of others, or that others wait for; a user-mode
 * queue is the fast way.
 */
#include <linux/dma-mapping.h>
#include <linux/slab.h>
#include <drm/drm_syncobj.h>
#include <drm/gpu_scheduler.h>

#include "axl_drv.h"
#include "axl_trace.h"

#define MAX_PACKETS 16
#define RING_BYTES (AXL_SUBMIT_SLOTS * AXL_PACKET_BYTES)
/* Ring and index page, in the VM's kernel range, by context number. */
#define SPACE_BYTES (2 * AXL_PAGE_BYTES)

/*
 * What others see of a job ends as the scheduler's own fence does. Not that one: it looks into the
 * scheduler when it is asked for its name, and lives longer.
 */
static void done_cb(struct dma_fence *finished, struct dma_fence_cb *cb)
{
	struct axl_done *done = container_of(cb, struct axl_done, cb);

	if (finished->error)
		dma_fence_set_error(&done->base, finished->error);
	dma_fence_signal(&done->base);
	dma_fence_put(&done->base);
}

/*
 * @ref: the context, and each job
 * @queue: a reference of its own, until the scheduler is gone
 * @told: the scheduler was woken because of a fault, not by its clock
 */
struct axl_submit_queue {
	struct kref ref;
	struct axl_device *axl;
	struct axl_queue *queue;
	atomic_t told;
	struct drm_gpu_scheduler sched;
	struct drm_sched_entity entity;
	union axl_packet *ring;
	struct axl_queue_index *index;
	dma_addr_t dma;
	u64 va;
	u64 write;
	u64 fence_context;
	u64 fence_seqno;  /* under axl_device.objects */
	atomic_t running; /* jobs that the scheduler has begun and not freed */
	wait_queue_head_t idle;
};

/* @kq: once the scheduler knows it; @first: index of its first packet, once it runs */
struct job {
	struct drm_sched_job base;
	struct axl_submit_queue *kq;
	struct axl_fence *fence;
	struct axl_done *done; /* until it is armed */
	bool begun;
	bool emitted;
	u64 first;
	u32 num_packets;
	union axl_packet packets[];
};

static struct job *to_job(struct drm_sched_job *base)
{
	return container_of(base, struct job, base);
}

static void submit_queue_release(struct kref *ref)
{
	kfree(container_of(ref, struct axl_submit_queue, ref));
}

static void job_free(struct job *job)
{
	if (job->emitted)
		dma_fence_put(&job->fence->base);
	else
		kfree(job->fence);
	kfree(job->done);
	if (job->begun && atomic_dec_and_test(&job->kq->running))
		wake_up_all(&job->kq->idle);
	if (job->kq)
		kref_put(&job->kq->ref, submit_queue_release);
	kfree(job);
	/* A job whose fences do not come outlives its file. */
	module_put(THIS_MODULE);
}

/* ---- the scheduler's side ---- */

static void ring_doorbell(struct axl_submit_queue *kq)
{
	struct axl_queue *queue = kq->queue;
	u64 offset = (u64)queue->ctx->number * AXL_DOORBELL_STRIDE + 8 * queue->slot;

	writel(1, kq->axl->doorbells_map + offset);
}

static struct dma_fence *run_job(struct drm_sched_job *base)
{
	struct job *job = to_job(base);
	struct axl_submit_queue *kq = job->kq;
	struct axl_queue *queue = kq->queue;
	struct dma_fence *fence = &job->fence->base;
	int err, idx;

	if (!job->begun)
		atomic_inc(&kq->running);
	job->begun = true;
	/* After a reset the scheduler may ask again: it runs once. */
	if (job->emitted)
		return dma_fence_get(fence);
	if (base->s_fence->finished.error)
		return NULL;
	err = axl_enter(kq->axl, &idx);
	if (err)
		return ERR_PTR(err);
	job->first = kq->write;
	for (u32 i = 0; i < job->num_packets; i++)
		kq->ring[kq->write++ % AXL_SUBMIT_SLOTS] = job->packets[i];
	/* The packets, then how many there are. */
	smp_store_release(&kq->index->write, kq->write);
	job->emitted = true;
	trace_axl_submit(&kq->axl->drm, queue->number, job->first, kq->write - 1);
	axl_fence_emit(queue, job->fence, job->first, kq->write, 0);
	ring_doorbell(kq);
	axl_exit(kq->axl, idx);
	return dma_fence_get(fence);
}

/* The packets of the job from @at on shall not run. */
static void skip_rest(struct axl_submit_queue *kq, struct job *job, u64 at)
{
	for (; at < job->first + job->num_packets; at++)
		kq->ring[at % AXL_SUBMIT_SLOTS] =
			(union axl_packet){ .header.opcode = AXL_PKT_NOP };
	/* Before the device is told to go on. */
	wmb();
}

/* The scheduler is stopped. The job that the queue stands in fails; those behind it run. */
static void drop_job(struct axl_submit_queue *kq, int error)
{
	struct axl_queue *queue = kq->queue;
	struct drm_sched_job *base;
	unsigned long flags;
	u64 at;

	/* Under it fences end. */
	spin_lock_irqsave(&queue->lock, flags);
	at = axl_retired(queue->status);
	list_for_each_entry(base, &kq->sched.pending_list, list) {
		struct job *job = to_job(base);

		if (job->emitted && at >= job->first && at - job->first < job->num_packets &&
		    !dma_fence_is_signaled(&job->fence->base)) {
			dma_fence_set_error(&job->fence->base, error);
			/* A reset queue goes on behind its packet, one that was lost with it. */
			skip_rest(kq, job, test_bit(queue->number, kq->axl->lost) ? at : at + 1);
		}
	}
	spin_unlock_irqrestore(&queue->lock, flags);
	/* A device that is gone, or wedged, retires nothing any more. */
	if (axl_queue_recover(queue))
		axl_queue_expire(queue, true);
}

/*
 * A fault, or no end in time. @base is the oldest job that the scheduler has not freed: it may have
 * ended, and need not be the one that the queue stands in.
 */
static enum drm_gpu_sched_stat timedout_job(struct drm_sched_job *base)
{
	struct axl_submit_queue *kq = to_job(base)->kq;
	bool told = atomic_xchg(&kq->told, 0), faulted;
	int idx;

	drm_sched_stop(&kq->sched, base);
	faulted = axl_state(kq->queue->status) == AXL_QUEUE_FAULTED;
	/* Told, but not faulted: it was dealt with when the last one was. */
	if ((faulted || !told) && drm_dev_enter(&kq->axl->drm, &idx)) {
		if (!faulted)
			drm_err(&kq->axl->drm, "a job of queue %u does not end: it is dropped\n",
				kq->queue->number);
		drop_job(kq, faulted ? -EIO : -ETIME);
		drm_dev_exit(idx);
	}
	/*
	 * Nothing is sent again: run_job() gives the fences back that drm_sched_stop() has taken
	 * off the jobs.
	 */
	drm_sched_resubmit_jobs(&kq->sched);
	axl_sched_start(&kq->sched);
	return AXL_SCHED_STAT_RESET;
}

static void free_job(struct drm_sched_job *base)
{
	drm_sched_job_cleanup(base);
	job_free(to_job(base));
}

static const struct drm_sched_backend_ops sched_ops = {
	.run_job = run_job,
	.timedout_job = timedout_job,
	.free_job = free_job,
};

void axl_submit_fault(struct axl_queue *queue)
{
	struct axl_submit_queue *kq = queue->ctx->submit;

	if (!kq)
		return;
	atomic_set(&kq->told, 1);
	drm_sched_fault(&kq->sched);
}

/* Its ring and index page as they are, from an interrupt too. False: it is about to go. */
bool axl_submit_ring(struct axl_queue *queue, union axl_packet *ring, struct axl_queue_index *index)
{
	struct axl_submit_queue *kq = queue->ctx->submit;

	if (!kq)
		return false;
	memcpy(ring, kq->ring, RING_BYTES);
	*index = *kq->index;
	return true;
}

/* ---- life ---- */

static int init_sched(struct axl_submit_queue *kq)
{
	struct axl_device *axl = kq->axl;
	struct drm_gpu_scheduler *list[] = { &kq->sched };
	int err;

#ifdef AXL_HAVE_SCHED_INIT_ARGS
	const struct drm_sched_init_args args = {
		.ops = &sched_ops,
		.num_rqs = DRM_SCHED_PRIORITY_COUNT,
		.credit_limit = AXL_SUBMIT_SLOTS,
		.timeout = axl_job_timeout(),
		.timeout_wq = axl->recovery,
		.name = "axl",
		.dev = axl->drm.dev,
	};

	err = drm_sched_init(&kq->sched, &args);
#else
	err = drm_sched_init(&kq->sched, &sched_ops, NULL, DRM_SCHED_PRIORITY_COUNT,
			     AXL_SUBMIT_SLOTS, 0, axl_job_timeout(), axl->recovery, NULL, "axl",
			     axl->drm.dev);
#endif
	if (err)
		return err;
	err = drm_sched_entity_init(&kq->entity, DRM_SCHED_PRIORITY_NORMAL, list, 1, NULL);
	if (err)
		drm_sched_fini(&kq->sched);
	return err;
}

static int add_queue(struct axl_ctx *ctx, struct axl_submit_queue *kq)
{
	struct axl_queue_desc desc = {
		.slots = AXL_SUBMIT_SLOTS,
		.ring = kq->va,
		.index = kq->va + AXL_PAGE_BYTES,
		.flags = AXL_QUEUE_BOUNDED,
		.priority = 1,
		.watchdog = AXL_SUBMIT_WATCHDOG,
	};
	struct axl_queue *queue = axl_queue_add(ctx, &desc);

	if (IS_ERR(queue))
		return PTR_ERR(queue);
	queue->kernel = true;
	kref_get(&queue->ref);
	kq->queue = queue;
	return 0;
}

/* The objects lock is held. */
int axl_submit_queue_create(struct axl_ctx *ctx)
{
	const struct drm_gpuva *range = &ctx->vm->base.kernel_alloc_node;
	struct axl_device *axl = ctx->axl;
	struct axl_submit_queue *kq;
	int err;

	BUILD_BUG_ON(RING_BYTES > AXL_PAGE_BYTES);
	BUILD_BUG_ON(AXL_MAX_CONTEXTS * SPACE_BYTES > AXL_LARGE_PAGE_BYTES);
	if (!range->va.range)
		return axl_refuse(axl, -EINVAL, "the VM has no kernel range");
	kq = kzalloc(sizeof(*kq), GFP_KERNEL);
	if (!kq)
		return -ENOMEM;
	kref_init(&kq->ref);
	init_waitqueue_head(&kq->idle);
	kq->fence_context = dma_fence_context_alloc(1);
	kq->axl = axl;
	kq->va = range->va.addr + (u64)ctx->number * SPACE_BYTES;
	kq->ring = dma_alloc_coherent(&axl->pdev->dev, SPACE_BYTES, &kq->dma, GFP_KERNEL);
	if (!kq->ring) {
		err = -ENOMEM;
		goto err_free;
	}
	kq->index = (void *)kq->ring + AXL_PAGE_BYTES;
	err = axl_vm_map_kernel(ctx->vm, kq->va, kq->dma, AXL_PAGE_BYTES, AXL_PTE_READ);
	if (err)
		goto err_ring;
	err = axl_vm_map_kernel(ctx->vm, kq->va + AXL_PAGE_BYTES, kq->dma + AXL_PAGE_BYTES,
				AXL_PAGE_BYTES, AXL_PTE_READ | AXL_PTE_WRITE);
	if (err)
		goto err_map;
	err = init_sched(kq);
	if (err)
		goto err_map;
	err = add_queue(ctx, kq);
	if (err)
		goto err_sched;
	ctx->submit = kq;
	return 0;

err_sched:
	drm_sched_entity_fini(&kq->entity);
	drm_sched_fini(&kq->sched);
err_map:
	axl_vm_unmap_kernel(ctx->vm, kq->va, SPACE_BYTES);
err_ring:
	dma_free_coherent(&axl->pdev->dev, SPACE_BYTES, kq->ring, kq->dma);
err_free:
	kref_put(&kq->ref, submit_queue_release);
	return err;
}

/* The objects lock is held. Jobs that have not ended end with -ECANCELED or -ENODEV. */
void axl_submit_queue_destroy(struct axl_ctx *ctx)
{
	struct axl_submit_queue *kq = ctx->submit;
	struct axl_device *axl = ctx->axl;
	unsigned long flags;

	/* No job is started any more; those that wait are freed. */
	drm_sched_entity_fini(&kq->entity);
	spin_lock_irqsave(&axl->irq_lock, flags);
	ctx->submit = NULL;
	spin_unlock_irqrestore(&axl->irq_lock, flags);
	axl_queue_kill(kq->queue); /* ends the fences of those that ran */
	/* drm_sched_fini() would lose what it has not freed. */
	if (!wait_event_timeout(kq->idle, !atomic_read(&kq->running), 10 * HZ))
		drm_err(&axl->drm, "%d jobs are lost\n", atomic_read(&kq->running));
	/* It would start again what drm_sched_fini() stops. */
	cancel_delayed_work_sync(&kq->sched.work_tdr);
	drm_sched_fini(&kq->sched);
	axl_queue_put(kq->queue);
	axl_vm_unmap_kernel(ctx->vm, kq->va, SPACE_BYTES);
	dma_free_coherent(&axl->pdev->dev, SPACE_BYTES, kq->ring, kq->dma);
	kref_put(&kq->ref, submit_queue_release);
}

/* ---- the ioctl ---- */

static int check_packets(struct axl_device *axl, const struct job *job)
{
	for (u32 i = 0; i < job->num_packets; i++)
		if (job->packets[i].header.opcode == AXL_PKT_WAIT)
			return axl_refuse(axl, -EINVAL, "packet %u is a WAIT: wait for a syncobj",
					  i);
	return 0;
}

/* With its packets and fence, not yet known to the scheduler. */
static struct job *job_create(struct axl_device *axl, const struct drm_axl_submit *args)
{
	struct job *job = kzalloc(struct_size(job, packets, args->num_packets), GFP_KERNEL);
	int err = -ENOMEM;

	if (!job)
		return ERR_PTR(-ENOMEM);
	__module_get(THIS_MODULE);
	job->num_packets = args->num_packets;
	job->fence = axl_fence_alloc();
	job->done = axl_done_alloc("submit");
	if (!job->fence || !job->done)
		goto err_free;
	err = -EFAULT;
	if (copy_from_user(job->packets, u64_to_user_ptr(args->packets),
			   args->num_packets * sizeof(job->packets[0])))
		goto err_free;
	err = check_packets(axl, job);
	if (err)
		goto err_free;
	return job;

err_free:
	job_free(job);
	return ERR_PTR(err);
}

static int add_dependencies(struct job *job, struct drm_file *file, const struct drm_axl_sync *in,
			    u32 count)
{
	for (u32 i = 0; i < count; i++) {
		struct dma_fence *fence;
		int err = axl_sync_fence(file, &in[i], &fence);

		if (!err)
			err = drm_sched_job_add_dependency(&job->base, fence);
		if (err)
			return err;
	}
	return 0;
}

/*
 * Everything that can fail, then the job and its fence are there for good. The objects lock is
 * held; the job is consumed when it returns 0.
 */
static int submit(struct axl_ctx *ctx, struct job *job, struct drm_file *file,
		  const struct drm_axl_submit *args, const struct drm_axl_sync *in,
		  struct axl_out *outs)
{
	struct axl_submit_queue *kq = ctx->submit;
	struct axl_done *done;
	bool cookie;
	int err;

	if (!kq)
		return axl_refuse(ctx->axl, -EINVAL,
				  "context %u was created without DRM_AXL_CTX_SUBMIT", args->ctx);
	kref_get(&kq->ref);
	job->kq = kq;
	err = axl_sched_job_init(&job->base, &kq->entity, args->num_packets, file);
	if (err)
		return err;
	err = add_dependencies(job, file, in, args->num_in);
	if (err) {
		drm_sched_job_cleanup(&job->base);
		return err;
	}
	cookie = dma_fence_begin_signalling();
	drm_sched_job_arm(&job->base);
	done = job->done;
	job->done = NULL;
	axl_done_init(done, kq->fence_context, ++kq->fence_seqno);
	axl_syncs_signal(outs, args->num_out, &done->base);
	/* It takes the reference: armed a moment ago, it has not ended. */
	WARN_ON(dma_fence_add_callback(&job->base.s_fence->finished, &done->cb, done_cb));
	drm_sched_entity_push_job(&job->base);
	dma_fence_end_signalling(cookie);
	return 0;
}

/* User memory is read before any lock is taken: it may take as long as it likes. */
static int submit_copied(struct axl_device *axl, struct drm_file *file,
			 const struct drm_axl_submit *args, const struct drm_axl_sync *in,
			 const struct drm_axl_sync *out)
{
	struct axl_file *priv = file->driver_priv;
	struct axl_ctx *ctx;
	struct axl_out *outs;
	struct job *job;
	int err;

	job = job_create(axl, args);
	if (IS_ERR(job))
		return PTR_ERR(job);
	outs = axl_syncs_prepare(file, out, args->num_out);
	if (IS_ERR(outs)) {
		job_free(job);
		return PTR_ERR(outs);
	}
	mutex_lock(&axl->objects);
	ctx = xa_load(&priv->ctxs, args->ctx);
	err = ctx ? submit(ctx, job, file, args, in, outs)
		  : axl_refuse(axl, -ENOENT, "context %u", args->ctx);
	mutex_unlock(&axl->objects);
	axl_syncs_free(outs, args->num_out);
	if (err)
		job_free(job);
	return err;
}

int axl_submit_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct axl_device *axl = to_axl(drm);
	struct drm_axl_submit *args = data;
	struct drm_axl_sync *in, *out;
	int err, idx;

	if (args->flags || args->pad || !args->num_packets || args->num_packets > MAX_PACKETS ||
	    args->num_in > AXL_MAX_SYNCS || args->num_out > AXL_MAX_SYNCS)
		return axl_refuse(axl, -EINVAL, "flags %#x, pad %u, %u packets, %u and %u syncobjs",
				  args->flags, args->pad, args->num_packets, args->num_in,
				  args->num_out);
	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	in = axl_syncs_copy(args->in, args->num_in);
	if (IS_ERR(in)) {
		err = PTR_ERR(in);
		goto out_exit;
	}
	out = axl_syncs_copy(args->out, args->num_out);
	if (IS_ERR(out)) {
		err = PTR_ERR(out);
		goto out_in;
	}
	err = submit_copied(axl, file, args, in, out);
	kfree(out);
out_in:
	kfree(in);
out_exit:
	drm_dev_exit(idx);
	return err;
}
