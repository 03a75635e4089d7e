// SPDX-License-Identifier: GPL-2.0-only
/*
 * Address spaces. What is mapped where is kept in drm_gpuvm; the device reads it from the page
 * tables (axl_mmu.h).
 */
#include <linux/dmapool.h>
#include <linux/highmem.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "axl_drv.h"

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

/* ---- pins, and the driver's own range ---- */

/* A map that waits for a fence is not there yet. */
static bool is_bound(const struct axl_mapping *mapping)
{
	return smp_load_acquire(&mapping->bound); /* pairs with its commit in axl_bind.c */
}

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
		    (to_mapping(at)->bits & bits) != bits || !is_bound(to_mapping(at)))
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
	axl_tlb_invalidate(vm);
	mutex_unlock(&vm->lock);
}

/* ---- for dumps: vm->lock is held ---- */

void axl_vm_describe(struct drm_gpuva *va, struct axl_dump_range *range)
{
	struct axl_mapping *mapping = to_mapping(va);
	bool local = axl_mapping_is_local(mapping);

	*range = (struct axl_dump_range){
		.va = va->va.addr,
		.size = va->va.range,
		.address = local ? axl_mapping_local_address(mapping) : 0,
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
	if (axl_mapping_is_local(mapping))
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
		axl_mapping_free(vm->axl, to_mapping(va));
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
		axl_binds_cancel(vm, -ENODEV);
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
	axl_binds_init(vm);
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
	axl_binds_cancel(vm, -ECANCELED);
	axl_vm_put(vm);
	return 0;
}
