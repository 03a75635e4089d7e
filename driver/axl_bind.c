// SPDX-License-Identifier: GPL-2.0-only
/*
 * VM_BIND, at once or behind fences.
 *
 * A call is done in two steps, so that all of it happens or nothing. First each operation is
 * prepared: memory is held, tables are made, drm_gpuvm has the space as it will be. All that can be
 * refused is refused here, in the ioctl, and taken back. Then the entries are written and the
 * device is told, which allocates nothing and takes no lock that anything is allocated under: of a
 * call with syncobjs that is a work of the space's, in the order of the calls, when its fences have
 * signalled, and part of the path to the signalling of its own fence. Memory that it unmapped is
 * given back by another work, behind that fence: it takes reservation locks.
 *
 * So drm_gpuvm runs ahead of the page tables. A call without syncobjs waits until they have caught
 * up. A space that goes, or a device, ends what still waits: axl_binds_cancel().
 */
#include <linux/dma-fence.h>
#include <linux/slab.h>

#include "axl_drv.h"
#include "axl_trace.h"

#define MAX_OPS 256

/**
 * struct axl_bind - one call
 * @link: axl_vm.binds, then axl_vm.ended
 * @mappings: what each operation maps or unmaps
 * @told: the device has no translation of what was unmapped any more
 * @in: fences that it waits for, @num_in; @passed of them have signalled
 * @cb: of the next one
 * @done: its own fence, NULL: it is done at once
 */
struct axl_bind {
	struct list_head link;
	u32 count;
	struct drm_axl_bind_op *ops;
	struct axl_mapping **mappings;
	bool told;
	struct dma_fence **in;
	u32 num_in;
	u32 passed;
	struct axl_vm *vm;
	struct dma_fence_cb cb;
	struct axl_done *done;
};

/* ---- prepare ---- */

static int prepare_map(struct axl_vm *vm, const struct drm_axl_bind_op *op, struct drm_file *file,
		       struct axl_mapping **result)
{
	struct axl_mapping *mapping = axl_mapping_create(vm, op, file);
	int err;

	if (IS_ERR(mapping))
		return PTR_ERR(mapping);
	err = axl_mmu_prepare(&vm->mmu, op->va, op->size,
			      axl_mapping_is_local(mapping) ? axl_mapping_local_address(mapping)
							    : AXL_MMU_SCATTERED);
	if (!err)
		err = drm_gpuva_insert(&vm->base, &mapping->base);
	if (err) {
		axl_mapping_free(vm->axl, mapping);
		return axl_refuse(vm->axl, err, "map of %#llx at %#llx: %d", op->size, op->va, err);
	}
	*result = mapping;
	return 0;
}

static int prepare_unmap(struct axl_vm *vm, const struct drm_axl_bind_op *op,
			 struct axl_mapping **result)
{
	struct drm_gpuva *va = drm_gpuva_find(&vm->base, op->va, op->size);

	if (!va || va == &vm->base.kernel_alloc_node)
		return axl_refuse(vm->axl, -ENOENT, "no mapping of %#llx at %#llx", op->size,
				  op->va);
	if (to_mapping(va)->pins)
		return axl_refuse(vm->axl, -EBUSY, "a queue's ring or index page lies at %#llx",
				  op->va);
	drm_gpuva_remove(va);
	*result = to_mapping(va);
	return 0;
}

static void undo(struct axl_vm *vm, const struct drm_axl_bind_op *op, struct axl_mapping *mapping)
{
	if (op->op == DRM_AXL_BIND_UNMAP) {
		/* It was there, and what came after it is gone again. */
		WARN_ON(drm_gpuva_insert(&vm->base, &mapping->base));
	} else {
		drm_gpuva_remove(&mapping->base);
		axl_mapping_free(vm->axl, mapping);
	}
}

static int prepare(struct axl_vm *vm, struct axl_bind *bind, struct drm_file *file)
{
	int err = 0;
	u32 done;

	lockdep_assert_held(&vm->lock);
	if (vm->ending)
		return vm->ending == -ENODEV ? -ENODEV : -ENOENT;
	for (done = 0; done < bind->count; done++) {
		const struct drm_axl_bind_op *op = &bind->ops[done];

		if (op->op == DRM_AXL_BIND_UNMAP)
			err = prepare_unmap(vm, op, &bind->mappings[done]);
		else
			err = prepare_map(vm, op, file, &bind->mappings[done]);
		if (err)
			goto err_undo;
	}
	return 0;

err_undo:
	axl_refuse(vm->axl, err, "operation %u of %u: %d", done, bind->count, err);
	while (done--)
		undo(vm, &bind->ops[done], bind->mappings[done]);
	return err;
}

/* ---- commit: nothing is allocated, and one at a time in a space ---- */

static void map_pages(struct axl_vm *vm, const struct axl_mapping *mapping)
{
	u64 va = mapping->base.va.addr, size = mapping->base.va.range, done = 0;
	u64 skip = mapping->user ? 0 : mapping->base.gem.offset;
	struct sg_dma_page_iter iter;

	for_each_sgtable_dma_page(mapping->sgt, &iter, skip >> PAGE_SHIFT) {
		if (done == size)
			break;
		axl_mmu_map(&vm->mmu, va + done, AXL_PAGE_BYTES, sg_page_iter_dma_address(&iter),
			    mapping->bits);
		done += AXL_PAGE_BYTES;
	}
}

static void commit_op(struct axl_vm *vm, const struct drm_axl_bind_op *op,
		      struct axl_mapping *mapping)
{
	trace_axl_bind(&vm->axl->drm, vm, op->op, op->va, op->size);
	if (op->op == DRM_AXL_BIND_UNMAP) {
		axl_mmu_clear(&vm->mmu, op->va, op->size);
		return;
	}
	if (axl_mapping_is_local(mapping))
		axl_mmu_map(&vm->mmu, op->va, op->size, axl_mapping_local_address(mapping),
			    mapping->bits | AXL_PTE_LOCAL);
	else
		map_pages(vm, mapping);
	/* Pairs with axl_vm_pin(): a queue whose ring is there finds its entries. */
	smp_store_release(&mapping->bound, true);
}

/* -EIO: the device did not say that it has forgotten what was unmapped. */
static int commit(struct axl_vm *vm, struct axl_bind *bind)
{
	u32 unmap = bind->count;
	int err;

	for (u32 i = 0; i < bind->count; i++) {
		commit_op(vm, &bind->ops[i], bind->mappings[i]);
		if (unmap == bind->count && bind->ops[i].op == DRM_AXL_BIND_UNMAP)
			unmap = i;
	}
	bind->told = true; /* a device that is wedged by it: see axl_mapping_release() */
	if (unmap == bind->count)
		return 0;
	/* Pairs with the device's next walk: the entries are gone before it is told. */
	dma_wmb();
	err = axl_tlb_invalidate(vm);
	if (err)
		drm_err(&vm->axl->drm,
			"operation %u, the unmap of %#llx at %#llx: the device does not forget it: %d\n",
			unmap, bind->ops[unmap].size, bind->ops[unmap].va, err);
	return err;
}

static void release_unmapped(struct axl_device *axl, struct axl_bind *bind)
{
	for (u32 i = 0; i < bind->count; i++)
		if (bind->ops[i].op == DRM_AXL_BIND_UNMAP)
			axl_mapping_release(axl, bind->mappings[i], bind->told);
}

/* ---- calls that wait ---- */

static void bind_free(struct axl_bind *bind)
{
	for (u32 i = 0; i < bind->num_in; i++)
		dma_fence_put(bind->in[i]);
	kfree(bind->in);
	kfree(bind->mappings);
	kfree(bind->ops);
	kfree(bind);
}

static void in_signalled(struct dma_fence *fence, struct dma_fence_cb *cb)
{
	struct axl_bind *bind = container_of(cb, struct axl_bind, cb);
	struct axl_vm *vm = bind->vm;

	queue_work(vm->axl->binds, &vm->bind_work);
}

/* When it returns, the callback is not there, and not being called. */
static void disarm(struct axl_bind *bind)
{
	if (bind->passed < bind->num_in)
		dma_fence_remove_callback(bind->in[bind->passed], &bind->cb);
}

/* All of its fences have signalled, with or without an error; else the next one calls the work. */
static bool is_due(struct axl_bind *bind)
{
	for (; bind->passed < bind->num_in; bind->passed++) {
		disarm(bind);
		if (!dma_fence_add_callback(bind->in[bind->passed], &bind->cb, in_signalled))
			return false;
	}
	return true;
}

static struct axl_bind *next_bind(struct axl_vm *vm)
{
	struct axl_bind *bind;

	spin_lock(&vm->bind_lock);
	bind = list_first_entry_or_null(&vm->binds, struct axl_bind, link);
	spin_unlock(&vm->bind_lock);
	return bind;
}

/* The space or the device goes; a context that could walk the tables is not there any more. */
static int give_up(struct axl_bind *bind, int ending)
{
	disarm(bind);
	bind->told = ending != -ENODEV;
	return ending;
}

static void end_bind(struct axl_vm *vm, struct axl_bind *bind)
{
	struct dma_fence *fence = &bind->done->base;
	int err = READ_ONCE(vm->ending), idx;

	if (err) {
		err = give_up(bind, err);
	} else if (drm_dev_enter(&vm->axl->drm, &idx)) {
		err = commit(vm, bind);
		drm_dev_exit(idx);
	} else {
		err = give_up(bind, -ENODEV);
	}
	if (err)
		dma_fence_set_error(fence, err);
	trace_axl_bound(&vm->axl->drm, vm, fence->seqno, bind->count, err);
	dma_fence_signal(fence);
	spin_lock(&vm->bind_lock);
	list_move_tail(&bind->link, &vm->ended);
	spin_unlock(&vm->bind_lock);
	queue_work(vm->axl->stores, &vm->ended_work);
	wake_up_all(&vm->bind_idle);
}

/* Asleep, the device need not be woken: it has forgotten all, and walks anew when it wakes. */
static void bind_work(struct work_struct *work)
{
	struct axl_vm *vm = container_of(work, struct axl_vm, bind_work);
	bool cookie = dma_fence_begin_signalling();
	struct axl_bind *bind;

	while ((bind = next_bind(vm)) && (READ_ONCE(vm->ending) || is_due(bind)))
		end_bind(vm, bind);
	dma_fence_end_signalling(cookie);
}

static void ended_work(struct work_struct *work)
{
	struct axl_vm *vm = container_of(work, struct axl_vm, ended_work);
	struct axl_bind *bind, *next;
	LIST_HEAD(ended);

	spin_lock(&vm->bind_lock);
	list_splice_init(&vm->ended, &ended);
	spin_unlock(&vm->bind_lock);
	list_for_each_entry_safe(bind, next, &ended, link) {
		release_unmapped(vm->axl, bind);
		dma_fence_put(&bind->done->base);
		bind_free(bind);
		atomic_dec(&vm->axl->pending_binds);
	}
}

void axl_binds_init(struct axl_vm *vm)
{
	INIT_LIST_HEAD(&vm->binds);
	INIT_LIST_HEAD(&vm->ended);
	spin_lock_init(&vm->bind_lock);
	INIT_WORK(&vm->bind_work, bind_work);
	INIT_WORK(&vm->ended_work, ended_work);
	init_waitqueue_head(&vm->bind_idle);
	vm->bind_context = dma_fence_context_alloc(1);
}

/*
 * What waits ends with @ending, and nothing comes behind it. No context of the space is left, or
 * the device has gone (-ENODEV). Not under vm->lock.
 */
void axl_binds_cancel(struct axl_vm *vm, int ending)
{
	mutex_lock(&vm->lock);
	if (!vm->ending)
		WRITE_ONCE(vm->ending, ending);
	mutex_unlock(&vm->lock);
	queue_work(vm->axl->binds, &vm->bind_work);
	flush_work(&vm->bind_work);
	flush_work(&vm->ended_work);
}

static bool is_waiting(struct axl_vm *vm)
{
	bool waiting;

	spin_lock(&vm->bind_lock);
	waiting = !list_empty(&vm->binds);
	spin_unlock(&vm->bind_lock);
	return waiting;
}

/* ---- the ioctl ---- */

static int check_op(struct axl_device *axl, const struct drm_axl_bind_op *op)
{
	bool unmap = op->op == DRM_AXL_BIND_UNMAP;

	if (op->op > DRM_AXL_BIND_MAP_USER || op->pad)
		return axl_refuse(axl, -EINVAL, "op %u, pad %u", op->op, op->pad);
	if ((op->va | op->offset | op->size) % AXL_PAGE_BYTES || !op->size)
		return axl_refuse(axl, -EINVAL, "alignment: va %#llx, offset %#llx, size %#llx",
				  op->va, op->offset, op->size);
	if (op->va >> AXL_VA_BITS || op->size > (1ull << AXL_VA_BITS) - op->va)
		return axl_refuse(axl, -EINVAL, "va %#llx, size %#llx", op->va, op->size);
	if (unmap && (op->flags || op->handle || op->offset))
		return axl_refuse(axl, -EINVAL, "an unmap with flags, handle or offset");
	if (!unmap && (!op->flags || op->flags & ~7u))
		return axl_refuse(axl, -EINVAL, "rights %#x", op->flags);
	if (op->op == DRM_AXL_BIND_MAP_USER && (op->handle || op->size > 1ull << 40))
		return axl_refuse(axl, -EINVAL, "a map of user memory with handle %u, size %#llx",
				  op->handle, op->size);
	return 0;
}

static int check_args(struct axl_device *axl, const struct drm_axl_vm_bind *args)
{
	if (args->flags || args->stride != sizeof(struct drm_axl_bind_op) || !args->num_ops ||
	    args->num_ops > MAX_OPS)
		return axl_refuse(axl, -EINVAL, "flags %#x, stride %u, num_ops %u", args->flags,
				  args->stride, args->num_ops);
	if (args->num_in > AXL_MAX_SYNCS || args->num_out > AXL_MAX_SYNCS)
		return axl_refuse(axl, -EINVAL, "%u and %u syncobjs", args->num_in, args->num_out);
	return 0;
}

static int copy_ops(struct axl_device *axl, struct axl_bind *bind,
		    const struct drm_axl_vm_bind *args)
{
	int err = 0;

	bind->ops =
		memdup_array_user(u64_to_user_ptr(args->ops), args->num_ops, sizeof(*bind->ops));
	if (IS_ERR(bind->ops)) {
		err = PTR_ERR(bind->ops);
		bind->ops = NULL;
		return err;
	}
	bind->count = args->num_ops;
	for (u32 i = 0; i < bind->count && !err; i++)
		err = check_op(axl, &bind->ops[i]);
	if (err)
		return err;
	bind->mappings = kcalloc(bind->count, sizeof(*bind->mappings), GFP_KERNEL);
	return bind->mappings ? 0 : -ENOMEM;
}

static int find_fences(struct axl_bind *bind, struct drm_file *file,
		       const struct drm_axl_vm_bind *args)
{
	struct drm_axl_sync *syncs = axl_syncs_copy(args->in, args->num_in);
	int err = 0;

	if (IS_ERR(syncs))
		return PTR_ERR(syncs);
	bind->in = kcalloc(args->num_in, sizeof(*bind->in), GFP_KERNEL);
	if (!bind->in)
		err = -ENOMEM;
	while (bind->num_in < args->num_in && !err) {
		err = axl_sync_fence(file, &syncs[bind->num_in], &bind->in[bind->num_in]);
		if (!err)
			bind->num_in++;
	}
	kfree(syncs);
	return err;
}

/* User memory is read here, before any lock is taken: it may take as long as it likes. */
static struct axl_bind *bind_create(struct axl_device *axl, struct drm_file *file,
				    const struct drm_axl_vm_bind *args)
{
	struct axl_bind *bind = kzalloc(sizeof(*bind), GFP_KERNEL);
	int err;

	if (!bind)
		return ERR_PTR(-ENOMEM);
	err = copy_ops(axl, bind, args);
	if (!err && args->num_in)
		err = find_fences(bind, file, args);
	if (!err)
		return bind;
	bind_free(bind);
	return ERR_PTR(err);
}

/* When it returns 0, it is done. */
static int bind_now(struct axl_vm *vm, struct axl_bind *bind, struct drm_file *file)
{
	struct axl_device *axl = vm->axl;
	bool again;
	int err, idx;

	do {
		/* Outside axl_enter(): a device that goes does not wait for fences of others. */
		err = wait_event_interruptible(vm->bind_idle, !is_waiting(vm));
		if (err)
			return err;
		err = axl_enter(axl, &idx);
		if (err)
			return err;
		mutex_lock(&vm->lock);
		again = is_waiting(vm);
		if (!again)
			err = prepare(vm, bind, file);
		if (!again && !err) {
			err = commit(vm, bind);
			release_unmapped(axl, bind);
		}
		mutex_unlock(&vm->lock);
		axl_exit(axl, idx);
	} while (again);
	return err;
}

/* Prepared, it is the work's, and its fence in the syncobjs. vm->lock is held. */
static void hand_over(struct axl_vm *vm, struct axl_bind *bind, struct axl_out *outs, u32 num_out)
{
	bind->vm = vm;
	INIT_LIST_HEAD(&bind->cb.node);
	axl_done_init(bind->done, vm->bind_context, ++vm->bind_seqno);
	axl_syncs_signal(outs, num_out, &bind->done->base);
	atomic_inc(&vm->axl->pending_binds);
	spin_lock(&vm->bind_lock);
	list_add_tail(&bind->link, &vm->binds);
	spin_unlock(&vm->bind_lock);
	queue_work(vm->axl->binds, &vm->bind_work);
}

/* When it returns 0, @bind is the work's. */
static int bind_later(struct axl_vm *vm, struct axl_bind *bind, struct drm_file *file,
		      const struct drm_axl_vm_bind *args)
{
	struct drm_axl_sync *syncs = axl_syncs_copy(args->out, args->num_out);
	struct axl_out *outs;
	int err, idx;

	if (IS_ERR(syncs))
		return PTR_ERR(syncs);
	outs = axl_syncs_prepare(file, syncs, args->num_out);
	kfree(syncs);
	if (IS_ERR(outs))
		return PTR_ERR(outs);
	bind->done = axl_done_alloc("bind");
	if (!bind->done) {
		err = -ENOMEM;
		goto out_syncs;
	}
	err = axl_enter(vm->axl, &idx);
	if (err)
		goto out_done;
	mutex_lock(&vm->lock);
	err = prepare(vm, bind, file);
	if (!err)
		hand_over(vm, bind, outs, args->num_out);
	mutex_unlock(&vm->lock);
	axl_exit(vm->axl, idx);
out_done:
	if (err)
		kfree(bind->done);
out_syncs:
	axl_syncs_free(outs, args->num_out);
	return err;
}

int axl_vm_bind_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct axl_device *axl = to_axl(drm);
	struct drm_axl_vm_bind *args = data;
	struct axl_bind *bind;
	struct axl_vm *vm;
	int err;

	err = check_args(axl, args);
	if (err)
		return err;
	bind = bind_create(axl, file, args);
	if (IS_ERR(bind))
		return PTR_ERR(bind);
	vm = axl_vm_get(file->driver_priv, args->vm);
	if (!vm) {
		err = axl_refuse(axl, -ENOENT, "vm %u", args->vm);
		goto out_bind;
	}
	/* What earlier calls unmapped has gone back: it may be what this one needs. */
	flush_work(&vm->ended_work);
	if (!args->num_in && !args->num_out) {
		err = bind_now(vm, bind, file);
	} else {
		err = bind_later(vm, bind, file, args);
		if (!err)
			bind = NULL; /* the work's */
	}
	axl_vm_put(vm);
out_bind:
	if (bind)
		bind_free(bind);
	return err;
}
