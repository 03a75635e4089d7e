// SPDX-License-Identifier: GPL-2.0-only
/*
 * Address spaces. What is mapped where is kept in drm_gpuvm; the device reads it from the page
 * tables (axl_mmu.h).
 *
 * A VM_BIND is done in two steps, so that all of it happens or nothing: each operation is prepared
 * (the only step that can fail, and that can be taken back), then all are committed.
 */
#include <linux/dmapool.h>
#include <linux/highmem.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "axl_drv.h"
#include "axl_trace.h"

#define MAX_OPS 256

static struct axl_mapping *to_mapping(struct drm_gpuva *va)
{
	return container_of(va, struct axl_mapping, base);
}

/* ---- tables ---- */

static u64 *table_alloc(void *opaque, u64 *address)
{
	struct axl_device *axl = opaque;
	dma_addr_t dma;
	u64 *entries = dma_pool_zalloc(axl->tables, GFP_KERNEL, &dma);

	*address = dma;
	return entries;
}

static void table_free(void *opaque, u64 *entries, u64 address)
{
	struct axl_device *axl = opaque;

	dma_pool_free(axl->tables, entries, address);
}

static const struct axl_mmu_ops mmu_ops = {
	.alloc = table_alloc,
	.free = table_free,
};

/* ---- mappings ---- */

static struct sg_table *sgt_of(struct axl_mapping *mapping)
{
	if (mapping->user)
		return axl_user_pages_sgt(mapping->user);
	return drm_gem_shmem_get_pages_sgt(&to_axl_bo(mapping->base.gem.obj)->base);
}

static bool is_local(const struct axl_mapping *mapping)
{
	return mapping->base.gem.obj && to_axl_bo(mapping->base.gem.obj)->local;
}

/* Where in local memory it lies; it is contiguous there. */
static u64 local_address(const struct axl_mapping *mapping)
{
	return to_axl_bo(mapping->base.gem.obj)->node.start + mapping->base.gem.offset;
}

static void mapping_free(struct axl_device *axl, struct axl_mapping *mapping)
{
	struct drm_gem_object *gem = mapping->base.gem.obj;

	if (mapping->user)
		axl_user_pages_put(axl, mapping->user);
	if (gem) {
		dma_resv_lock(gem->resv, NULL);
		drm_gpuva_unlink(&mapping->base);
		dma_resv_unlock(gem->resv);
		drm_gem_object_put(gem);
	}
	kfree(mapping);
}

static int link_mapping(struct axl_vm *vm, struct axl_mapping *mapping, struct drm_gem_object *gem)
{
	struct drm_gpuvm_bo *vm_bo;

	dma_resv_lock(gem->resv, NULL);
	vm_bo = drm_gpuvm_bo_obtain(&vm->base, gem);
	if (!IS_ERR(vm_bo)) {
		drm_gpuva_link(&mapping->base, vm_bo);
		drm_gpuvm_bo_put(vm_bo);
	}
	dma_resv_unlock(gem->resv);
	return PTR_ERR_OR_ZERO(vm_bo);
}

static u64 bits_of(u32 flags)
{
	return (flags & DRM_AXL_BIND_READ ? AXL_PTE_READ : 0) |
	       (flags & DRM_AXL_BIND_WRITE ? AXL_PTE_WRITE : 0) |
	       (flags & DRM_AXL_BIND_EXEC ? AXL_PTE_EXEC : 0);
}

/* Its memory, held: a GEM object, or pages of the process. */
static struct axl_mapping *mapping_create(struct axl_vm *vm, const struct drm_axl_bind_op *op,
					  struct drm_file *file)
{
	struct axl_mapping *mapping = kzalloc(sizeof(*mapping), GFP_KERNEL);
	struct drm_gem_object *gem = NULL;
	int err;

	if (!mapping)
		return ERR_PTR(-ENOMEM);
	mapping->bits = bits_of(op->flags);
	if (op->op == DRM_AXL_BIND_MAP_USER) {
		mapping->user = axl_user_pages_get(vm->axl, op->offset, op->size,
						   op->flags & DRM_AXL_BIND_WRITE);
		if (IS_ERR(mapping->user)) {
			err = PTR_ERR(mapping->user);
			goto err_free;
		}
	} else {
		gem = drm_gem_object_lookup(file, op->handle);
		if (!gem) {
			err = axl_refuse(vm->axl, -ENOENT, "handle %u", op->handle);
			goto err_free;
		}
		if (op->offset > gem->size || op->size > gem->size - op->offset) {
			drm_gem_object_put(gem);
			err = axl_refuse(vm->axl, -EINVAL,
					 "beyond the buffer: offset %#llx, size %#llx", op->offset,
					 op->size);
			goto err_free;
		}
	}
	drm_gpuva_init(&mapping->base, op->va, op->size, gem, op->offset);
	return mapping;

err_free:
	kfree(mapping);
	return ERR_PTR(err);
}

static int prepare_tables(struct axl_vm *vm, struct axl_mapping *mapping)
{
	u64 address = AXL_MMU_SCATTERED;

	if (is_local(mapping)) {
		address = local_address(mapping);
	} else {
		struct sg_table *sgt = sgt_of(mapping);

		if (IS_ERR(sgt))
			return PTR_ERR(sgt);
	}
	return axl_mmu_prepare(&vm->mmu, mapping->base.va.addr, mapping->base.va.range, address);
}

static int prepare_map(struct axl_vm *vm, const struct drm_axl_bind_op *op, struct drm_file *file,
		       struct axl_mapping **result)
{
	struct axl_mapping *mapping = mapping_create(vm, op, file);
	int err;

	if (IS_ERR(mapping))
		return PTR_ERR(mapping);
	if (mapping->base.gem.obj) {
		err = link_mapping(vm, mapping, mapping->base.gem.obj);
		if (err) {
			drm_gem_object_put(mapping->base.gem.obj);
			kfree(mapping);
			return err;
		}
	}
	err = prepare_tables(vm, mapping);
	if (!err)
		err = drm_gpuva_insert(&vm->base, &mapping->base);
	if (err) {
		mapping_free(vm->axl, mapping);
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
		mapping_free(vm->axl, mapping);
	}
}

static void commit(struct axl_vm *vm, const struct drm_axl_bind_op *op, struct axl_mapping *mapping)
{
	u64 va = mapping->base.va.addr, size = mapping->base.va.range;

	trace_axl_bind(&vm->axl->drm, vm, op->op, va, size);
	if (op->op == DRM_AXL_BIND_UNMAP) {
		axl_mmu_clear(&vm->mmu, va, size);
	} else if (is_local(mapping)) {
		axl_mmu_map(&vm->mmu, va, size, local_address(mapping),
			    mapping->bits | AXL_PTE_LOCAL);
	} else {
		u64 skip = mapping->user ? 0 : mapping->base.gem.offset, done = 0;
		struct sg_dma_page_iter iter;

		for_each_sgtable_dma_page(sgt_of(mapping), &iter, skip >> PAGE_SHIFT) {
			if (done == size)
				break;
			axl_mmu_map(&vm->mmu, va + done, AXL_PAGE_BYTES,
				    sg_page_iter_dma_address(&iter), mapping->bits);
			done += AXL_PAGE_BYTES;
		}
	}
}

/* ---- pins, and the driver's own range ---- */

/* [va, va + size) is mapped with @bits without a gap: hold its mappings. vm->lock is not held. */
int axl_vm_pin(struct axl_vm *vm, u64 va, u64 size, u64 bits)
{
	struct drm_gpuva *at;
	u64 end = va + size, reached = va;

	if (end < va || end > 1ull << AXL_VA_BITS)
		return -EINVAL;
	mutex_lock(&vm->lock);
	drm_gpuvm_for_each_va_range(at, &vm->base, va, end) {
		if (at == &vm->base.kernel_alloc_node || at->va.addr > reached ||
		    (to_mapping(at)->bits & bits) != bits)
			break;
		reached = at->va.addr + at->va.range;
	}
	if (reached >= end)
		drm_gpuvm_for_each_va_range(at, &vm->base, va, end)
			to_mapping(at)->pins++;
	mutex_unlock(&vm->lock);
	return reached >= end ? 0 : -EFAULT;
}

void axl_vm_unpin(struct axl_vm *vm, u64 va, u64 size)
{
	struct drm_gpuva *at;

	mutex_lock(&vm->lock);
	drm_gpuvm_for_each_va_range(at, &vm->base, va, va + size)
		to_mapping(at)->pins--;
	mutex_unlock(&vm->lock);
}

int axl_vm_map_kernel(struct axl_vm *vm, u64 va, dma_addr_t address, u64 size, u64 bits)
{
	int err;

	mutex_lock(&vm->lock);
	err = axl_mmu_prepare(&vm->mmu, va, size, AXL_MMU_SCATTERED);
	if (!err)
		axl_mmu_map(&vm->mmu, va, size, address, bits);
	mutex_unlock(&vm->lock);
	return err;
}

void axl_vm_unmap_kernel(struct axl_vm *vm, u64 va, u64 size)
{
	mutex_lock(&vm->lock);
	axl_mmu_clear(&vm->mmu, va, size);
	axl_tlb_invalidate(vm->axl, vm->contexts);
	mutex_unlock(&vm->lock);
}

/* ---- for dumps: vm->lock is held ---- */

void axl_vm_describe(struct drm_gpuva *va, struct axl_dump_range *range)
{
	struct axl_mapping *mapping = to_mapping(va);
	bool local = is_local(mapping);

	*range = (struct axl_dump_range){
		.va = va->va.addr,
		.size = va->va.range,
		.address = local ? local_address(mapping) : 0,
		.bits = mapping->bits | (local ? AXL_PTE_LOCAL : 0),
	};
}

static int read_local_page(struct axl_mapping *mapping, u64 offset, void *to)
{
	struct axl_bo *bo = to_axl_bo(mapping->base.gem.obj);
	void __iomem *map = axl_local_map(bo, mapping->base.gem.offset + offset, AXL_PAGE_BYTES);

	if (!map)
		return -ENOMEM;
	memcpy_fromio(to, map, AXL_PAGE_BYTES);
	iounmap(map);
	return 0;
}

/* The page of the mapping's memory that holds @offset; NULL: another driver's, or not there. */
static struct page *system_page(struct axl_mapping *mapping, u64 offset)
{
	struct page **pages;

	if (mapping->user)
		return axl_user_pages_at(mapping->user, offset);
	pages = to_axl_bo(mapping->base.gem.obj)->base.pages;
	return pages ? pages[(mapping->base.gem.offset + offset) >> PAGE_SHIFT] : NULL;
}

/* What the page at @va holds, whatever the rights. */
int axl_vm_read_page(struct axl_vm *vm, u64 va, void *to)
{
	struct axl_mapping *mapping;
	struct drm_gpuva *found;
	struct page *page;
	u64 offset;

	lockdep_assert_held(&vm->lock);
	if (va >> AXL_VA_BITS)
		return -EFAULT;
	found = drm_gpuva_find_first(&vm->base, va, AXL_PAGE_BYTES);
	if (!found || found == &vm->base.kernel_alloc_node)
		return -EFAULT;
	mapping = to_mapping(found);
	offset = va - found->va.addr;
	if (is_local(mapping))
		return read_local_page(mapping, offset, to);
	page = system_page(mapping, offset);
	if (!page)
		return -EOPNOTSUPP;
	memcpy_from_page(to, page, offset_in_page(offset), AXL_PAGE_BYTES);
	return 0;
}

/* ---- life ---- */

static void vm_free(struct drm_gpuvm *gpuvm)
{
	kfree(container_of(gpuvm, struct axl_vm, base));
}

static const struct drm_gpuvm_ops vm_ops = {
	.vm_free = vm_free,
};

/* No context refers to it: the device walks nothing of it. */
static void clear(struct axl_vm *vm)
{
	struct drm_gpuva *va, *next;

	drm_gpuvm_for_each_va_safe(va, next, &vm->base) {
		if (va == &vm->base.kernel_alloc_node)
			continue;
		drm_gpuva_remove(va);
		mapping_free(vm->axl, to_mapping(va));
	}
	axl_mmu_fini(&vm->mmu);
}

static void vm_release(struct kref *ref)
{
	struct axl_vm *vm = container_of(ref, struct axl_vm, ref);

	mutex_lock(&vm->axl->vms_lock);
	list_del(&vm->link);
	mutex_unlock(&vm->axl->vms_lock);
	clear(vm);
	mutex_destroy(&vm->lock);
	drm_gpuvm_put(&vm->base);
}

/*
 * The device goes, and with it what is mapped for it; the VMs themselves go with their last user.
 */
void axl_vms_abandon(struct axl_device *axl)
{
	struct axl_vm *vm;

	mutex_lock(&axl->vms_lock);
	list_for_each_entry(vm, &axl->vms, link) {
		mutex_lock(&vm->lock);
		clear(vm);
		mutex_unlock(&vm->lock);
	}
	mutex_unlock(&axl->vms_lock);
}

void axl_vm_put(struct axl_vm *vm)
{
	kref_put(&vm->ref, vm_release);
}

struct axl_vm *axl_vm_get(struct axl_file *priv, u32 handle)
{
	struct axl_vm *vm;

	mutex_lock(&priv->axl->objects);
	vm = xa_load(&priv->vms, handle);
	if (vm)
		kref_get(&vm->ref);
	mutex_unlock(&priv->axl->objects);
	return vm;
}

static int check_create(struct axl_device *axl, const struct drm_axl_vm_create *args)
{
	u64 space = 1ull << AXL_VA_BITS;

	if (args->flags || args->vm)
		return axl_refuse(axl, -EINVAL, "flags %#x, vm %u", args->flags, args->vm);
	if ((args->kernel_va | args->kernel_size) % AXL_LARGE_PAGE_BYTES ||
	    (args->kernel_va && !args->kernel_size))
		return axl_refuse(axl, -EINVAL, "alignment: kernel range %#llx, %#llx",
				  args->kernel_va, args->kernel_size);
	if (args->kernel_va >= space || args->kernel_size > space - args->kernel_va)
		return axl_refuse(axl, -EINVAL, "kernel range %#llx, %#llx", args->kernel_va,
				  args->kernel_size);
	return 0;
}

static int vm_create(struct axl_file *priv, struct drm_axl_vm_create *args)
{
	struct axl_device *axl = priv->axl;
	struct drm_device *drm = &axl->drm;
	struct drm_gem_object *resv;
	struct axl_vm *vm;
	int err;

	vm = kzalloc(sizeof(*vm), GFP_KERNEL);
	if (!vm)
		return -ENOMEM;
	vm->axl = axl;
	kref_init(&vm->ref);
	err = axl_mmu_init(&vm->mmu, &mmu_ops, axl);
	if (err)
		goto err_free;
	resv = drm_gpuvm_resv_object_alloc(drm);
	if (!resv) {
		err = -ENOMEM;
		goto err_mmu;
	}
	mutex_init(&vm->lock);
	drm_gpuvm_init(&vm->base, "axl", 0, drm, resv, 0, 1ull << AXL_VA_BITS, args->kernel_va,
		       args->kernel_size, &vm_ops);
	drm_gem_object_put(resv);
	mutex_lock(&axl->vms_lock);
	list_add_tail(&vm->link, &axl->vms);
	mutex_unlock(&axl->vms_lock);
	mutex_lock(&axl->objects);
	err = xa_alloc(&priv->vms, &args->vm, vm, XA_LIMIT(1, AXL_MAX_HANDLES), GFP_KERNEL);
	mutex_unlock(&axl->objects);
	if (err)
		axl_vm_put(vm);
	return err;

err_mmu:
	axl_mmu_fini(&vm->mmu);
err_free:
	kfree(vm);
	return err;
}

int axl_vm_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	int err, idx;

	err = check_create(to_axl(drm), data);
	if (err)
		return err;
	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	err = vm_create(file->driver_priv, data);
	drm_dev_exit(idx);
	return err;
}

int axl_vm_destroy_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct axl_file *priv = file->driver_priv;
	struct axl_device *axl = to_axl(drm);
	struct drm_axl_vm_destroy *args = data;
	struct axl_vm *vm;

	if (args->flags)
		return axl_refuse(axl, -EINVAL, "flags %#x", args->flags);
	mutex_lock(&axl->objects);
	vm = xa_load(&priv->vms, args->vm);
	if (!vm || READ_ONCE(vm->contexts)) {
		mutex_unlock(&axl->objects);
		return vm ? axl_refuse(axl, -EBUSY, "contexts use vm %u", args->vm)
			  : axl_refuse(axl, -ENOENT, "vm %u", args->vm);
	}
	xa_erase(&priv->vms, args->vm);
	mutex_unlock(&axl->objects);
	axl_vm_put(vm);
	return 0;
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

/* Its memory goes back, but for a device that may still reach it: that has it until it goes. */
static void release_mapping(struct axl_vm *vm, struct axl_mapping *mapping)
{
	struct axl_device *axl = vm->axl;

	if (!axl_is_loose(axl)) {
		mapping_free(vm->axl, mapping);
		return;
	}
	mutex_lock(&axl->bo_lock);
	list_add(&mapping->lost, &axl->lost_mappings);
	mutex_unlock(&axl->bo_lock);
}

/* The device has gone, and reaches nothing any more. */
void axl_mappings_abandon(struct axl_device *axl)
{
	struct axl_mapping *mapping, *next;
	LIST_HEAD(lost);

	mutex_lock(&axl->bo_lock);
	list_splice_init(&axl->lost_mappings, &lost);
	mutex_unlock(&axl->bo_lock);
	list_for_each_entry_safe(mapping, next, &lost, lost)
		mapping_free(axl, mapping);
}

static int bind_locked(struct axl_vm *vm, const struct drm_axl_bind_op *ops, u32 count,
		       struct axl_mapping **mappings, struct drm_file *file)
{
	bool unmapped = false;
	int err = 0;
	u32 done;

	for (done = 0; done < count; done++) {
		if (ops[done].op == DRM_AXL_BIND_UNMAP)
			err = prepare_unmap(vm, &ops[done], &mappings[done]);
		else
			err = prepare_map(vm, &ops[done], file, &mappings[done]);
		if (err)
			goto err_undo;
	}
	for (u32 i = 0; i < count; i++) {
		commit(vm, &ops[i], mappings[i]);
		unmapped |= ops[i].op == DRM_AXL_BIND_UNMAP;
	}
	if (!unmapped)
		return 0;
	/* Pairs with the device's next walk: the entries are gone before it is told. */
	dma_wmb();
	err = axl_tlb_invalidate(vm->axl, vm->contexts);
	for (u32 i = 0; i < count; i++)
		if (ops[i].op == DRM_AXL_BIND_UNMAP)
			release_mapping(vm, mappings[i]);
	return err;

err_undo:
	while (done--)
		undo(vm, &ops[done], mappings[done]);
	return err;
}

int axl_vm_bind_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct axl_device *axl = to_axl(drm);
	struct drm_axl_vm_bind *args = data;
	struct drm_axl_bind_op *ops;
	struct axl_mapping **mappings;
	struct axl_vm *vm;
	int err = 0, idx;

	if (args->flags || args->stride != sizeof(*ops) || !args->num_ops ||
	    args->num_ops > MAX_OPS)
		return axl_refuse(axl, -EINVAL, "flags %#x, stride %u, num_ops %u", args->flags,
				  args->stride, args->num_ops);
	ops = memdup_array_user(u64_to_user_ptr(args->ops), args->num_ops, sizeof(*ops));
	if (IS_ERR(ops))
		return PTR_ERR(ops);
	for (u32 i = 0; i < args->num_ops && !err; i++)
		err = check_op(axl, &ops[i]);
	if (err)
		goto out_ops;
	mappings = kcalloc(args->num_ops, sizeof(*mappings), GFP_KERNEL);
	if (!mappings) {
		err = -ENOMEM;
		goto out_ops;
	}
	vm = axl_vm_get(file->driver_priv, args->vm);
	if (!vm) {
		err = axl_refuse(axl, -ENOENT, "vm %u", args->vm);
		goto out_mappings;
	}
	err = axl_enter(axl, &idx);
	if (err)
		goto out_vm;
	mutex_lock(&vm->lock);
	err = bind_locked(vm, ops, args->num_ops, mappings, file);
	mutex_unlock(&vm->lock);
	axl_exit(axl, idx);
out_vm:
	axl_vm_put(vm);
out_mappings:
	kfree(mappings);
out_ops:
	kfree(ops);
	return err;
}
