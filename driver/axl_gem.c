// SPDX-License-Identifier: GPL-2.0-only
/* Buffers: system memory through the shmem helper, local memory through a window of BAR4. */
#include <linux/io.h>
#include <linux/mm.h>
#include <drm/drm_gem.h>

#include "axl_drv.h"

/* Through a dma-buf too. */
static int system_mmap(struct drm_gem_object *gem, struct vm_area_struct *vma)
{
	return vma->vm_flags & VM_SHARED ? drm_gem_shmem_object_mmap(gem, vma) : -EINVAL;
}

static const struct drm_gem_object_funcs system_funcs = {
	.free = drm_gem_shmem_object_free,
	.print_info = drm_gem_shmem_object_print_info,
	.pin = drm_gem_shmem_object_pin,
	.unpin = drm_gem_shmem_object_unpin,
	.get_sg_table = drm_gem_shmem_object_get_sg_table,
	.vmap = drm_gem_shmem_object_vmap,
	.vunmap = drm_gem_shmem_object_vunmap,
	.mmap = system_mmap,
	.vm_ops = &drm_gem_shmem_vm_ops,
};

struct drm_gem_object *axl_gem_create_object(struct drm_device *drm, size_t size)
{
	struct axl_bo *bo = kzalloc(sizeof(*bo), GFP_KERNEL);

	if (!bo)
		return ERR_PTR(-ENOMEM);
	bo->base.base.funcs = &system_funcs;
	return &bo->base.base;
}

static void local_free(struct drm_gem_object *gem)
{
	struct axl_device *axl = to_axl(gem->dev);
	struct axl_bo *bo = to_axl_bo(gem);

	mutex_lock(&axl->local_lock);
	drm_mm_remove_node(&bo->node);
	mutex_unlock(&axl->local_lock);
	drm_gem_object_release(gem);
	kfree(bo);
}

static vm_fault_t local_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct drm_gem_object *gem = vma->vm_private_data;
	struct axl_device *axl = to_axl(gem->dev);
	struct axl_bo *bo = to_axl_bo(gem);
	pgoff_t page = vmf->pgoff - drm_vma_node_start(&gem->vma_node);
	vm_fault_t ret;
	int idx;

	if (page >= gem->size >> PAGE_SHIFT)
		return VM_FAULT_SIGBUS;
	if (!drm_dev_enter(gem->dev, &idx))
		return axl_mmap_dummy(vmf);
	ret = vmf_insert_pfn(vma, vmf->address, (axl->local + bo->node.start) / PAGE_SIZE + page);
	drm_dev_exit(idx);
	return ret;
}

static const struct vm_operations_struct local_vm_ops = {
	.fault = local_fault,
	.open = drm_gem_vm_open,
	.close = drm_gem_vm_close,
};

static int local_mmap(struct drm_gem_object *gem, struct vm_area_struct *vma)
{
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP | VM_DONTCOPY);
	vma->vm_page_prot = pgprot_writecombine(vm_get_page_prot(vma->vm_flags));
	vma->vm_ops = &local_vm_ops;
	return 0;
}

/* There are no pages behind it that another device could be given. */
static struct dma_buf *local_export(struct drm_gem_object *gem, int flags)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static const struct drm_gem_object_funcs local_funcs = {
	.free = local_free,
	.export = local_export,
	.mmap = local_mmap,
	.vm_ops = &local_vm_ops,
};

static struct drm_gem_object *create_local(struct axl_device *axl, u64 size)
{
	u64 align = size >= AXL_LARGE_PAGE_BYTES ? AXL_LARGE_PAGE_BYTES : PAGE_SIZE;
	struct axl_bo *bo = kzalloc(sizeof(*bo), GFP_KERNEL);
	int err;

	if (!bo)
		return ERR_PTR(-ENOMEM);
	bo->local = true;
	bo->base.base.funcs = &local_funcs;
	mutex_lock(&axl->local_lock);
	err = drm_mm_insert_node_generic(&axl->local_mm, &bo->node, size, align, 0, DRM_MM_INSERT_LOW);
	mutex_unlock(&axl->local_lock);
	if (err) {
		kfree(bo);
		return ERR_PTR(err);
	}
	/* What another owner left there is nobody's business. */
	memset_io(axl->local_map + bo->node.start, 0, size);
	drm_gem_private_object_init(&axl->drm, &bo->base.base, size);
	return &bo->base.base;
}

int axl_bo_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct axl_device *axl = to_axl(drm);
	struct drm_axl_bo_create *args = data;
	struct drm_gem_shmem_object *shmem;
	struct drm_gem_object *gem;
	u64 size = PAGE_ALIGN(args->size);
	int idx, err;

	if (!args->size || size < args->size || size > 1ull << 40)
		return axl_refuse(axl, -EINVAL, "size %llu", args->size);
	if (args->flags & ~DRM_AXL_BO_LOCAL || args->handle)
		return axl_refuse(axl, -EINVAL, "flags %#x, handle %u", args->flags, args->handle);
	/* Its pages would be pinned all at once. */
	if (!(args->flags & DRM_AXL_BO_LOCAL) && size >> PAGE_SHIFT > totalram_pages())
		return axl_refuse(axl, -ENOMEM, "size %llu: more than the machine has", args->size);
	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	if (args->flags & DRM_AXL_BO_LOCAL) {
		gem = create_local(axl, size);
	} else {
		shmem = drm_gem_shmem_create(drm, size);
		gem = IS_ERR(shmem) ? ERR_CAST(shmem) : &shmem->base;
	}
	drm_dev_exit(idx);
	if (IS_ERR(gem))
		return PTR_ERR(gem);
	args->size = size;
	err = drm_gem_handle_create(file, gem, &args->handle);
	drm_gem_object_put(gem);
	return err;
}

int axl_bo_info_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_axl_bo_info *args = data;
	struct drm_gem_object *gem;
	int err;

	if (args->flags || args->size || args->mmap_offset)
		return axl_refuse(to_axl(drm), -EINVAL, "an output that is not zero");
	gem = drm_gem_object_lookup(file, args->handle);
	if (!gem)
		return axl_refuse(to_axl(drm), -ENOENT, "handle %u", args->handle);
	err = drm_gem_create_mmap_offset(gem);
	if (!err) {
		args->flags = to_axl_bo(gem)->local ? DRM_AXL_BO_LOCAL : 0;
		args->size = gem->size;
		args->mmap_offset = drm_vma_node_offset_addr(&gem->vma_node);
	}
	drm_gem_object_put(gem);
	return err;
}
