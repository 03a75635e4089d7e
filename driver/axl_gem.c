// SPDX-License-Identifier: GPL-2.0-only
/* Buffers: system memory through the shmem helper, local memory through a window of BAR4. */
#include <linux/capability.h>
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <drm/drm_gem.h>

#include "axl_drv.h"

#define CLEAR_BYTES (4u << 20)

static void list(struct axl_device *axl, struct drm_gem_object *gem)
{
	mutex_lock(&axl->bo_lock);
	list_add_tail(&to_axl_bo(gem)->link, &axl->bos);
	mutex_unlock(&axl->bo_lock);
}

static void unlist(struct axl_device *axl, struct drm_gem_object *gem)
{
	mutex_lock(&axl->bo_lock);
	list_del(&to_axl_bo(gem)->link);
	mutex_unlock(&axl->bo_lock);
}

/* Through a dma-buf too. */
static int system_mmap(struct drm_gem_object *gem, struct vm_area_struct *vma)
{
	return vma->vm_flags & VM_SHARED ? drm_gem_shmem_object_mmap(gem, vma) : -EINVAL;
}

static void system_free(struct drm_gem_object *gem)
{
	unlist(to_axl(gem->dev), gem);
	drm_gem_shmem_object_free(gem);
}

static const struct drm_gem_object_funcs system_funcs = {
	.free = system_free,
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
	INIT_LIST_HEAD(&bo->link);
	return &bo->base.base;
}

/* What another driver lent; some unmap only what is detached. */
static void give_back(struct drm_gem_shmem_object *shmem)
{
	struct drm_gem_object *gem = &shmem->base;

	drm_prime_gem_destroy(gem, shmem->sgt);
	shmem->sgt = NULL;
	gem->import_attach = NULL;
	gem->resv = &gem->_resv; /* the other's may be gone now */
}

static void unmap(struct axl_device *axl, struct drm_gem_shmem_object *shmem)
{
	struct sg_table *sgt;

	dma_resv_lock(shmem->base.resv, NULL);
	sgt = shmem->sgt;
	if (sgt) {
		shmem->sgt = NULL;
		dma_unmap_sgtable(axl->drm.dev, sgt, DMA_BIDIRECTIONAL, 0);
		sg_free_table(sgt);
		kfree(sgt);
		drm_gem_shmem_put_pages(shmem);
	}
	dma_resv_unlock(shmem->base.resv);
}

/*
 * The device goes: buffers stay, with what is in them, but not mapped for it. Nobody works with one
 * any more: calls are refused.
 */
void axl_bos_abandon(struct axl_device *axl)
{
	struct axl_bo *bo;

	mutex_lock(&axl->bo_lock);
	list_for_each_entry(bo, &axl->bos, link) {
		if (bo->base.base.import_attach)
			give_back(&bo->base);
		else if (!bo->local)
			unmap(axl, &bo->base);
	}
	mutex_unlock(&axl->bo_lock);
}

/* Maps of local memory go; their next use puts them back. */
void axl_bos_revoke(struct axl_device *axl)
{
	struct axl_bo *bo;

	mutex_lock(&axl->bo_lock);
	list_for_each_entry(bo, &axl->bos, link)
		if (bo->local)
			drm_vma_node_unmap(&bo->base.base.vma_node, axl->drm.anon_inode->i_mapping);
	mutex_unlock(&axl->bo_lock);
}

/* A part that is as large and as its file's share allows. */
static int take_local(struct axl_device *axl, struct axl_bo *bo, struct axl_file *priv, u64 size)
{
	u64 align = size >= AXL_LARGE_PAGE_BYTES ? AXL_LARGE_PAGE_BYTES : PAGE_SIZE;
	u64 share = axl->local_bytes / AXL_FILE_SHARE;
	int err;

	mutex_lock(&axl->local_lock);
	if ((size > share || priv->local_bytes > share - size) && !capable(CAP_SYS_RESOURCE))
		err = axl_refuse(axl, -EDQUOT, "the file has %llu bytes of local memory of %llu",
				 priv->local_bytes, share);
	else
		err = drm_mm_insert_node_generic(&axl->local_mm, &bo->node, size, align, 0,
						 DRM_MM_INSERT_LOW);
	if (!err) {
		bo->file = priv;
		priv->local_bytes += size;
	}
	mutex_unlock(&axl->local_lock);
	return err;
}

static void give_back_local(struct axl_device *axl, struct axl_bo *bo)
{
	mutex_lock(&axl->local_lock);
	if (bo->file)
		bo->file->local_bytes -= bo->node.size;
	drm_mm_remove_node(&bo->node);
	mutex_unlock(&axl->local_lock);
}

/* The file goes; buffers that it has shared, or a wedged device has kept, are nobody's. */
void axl_bos_release(struct axl_file *priv)
{
	struct axl_device *axl = priv->axl;
	struct axl_bo *bo;

	mutex_lock(&axl->bo_lock);
	mutex_lock(&axl->local_lock);
	list_for_each_entry(bo, &axl->bos, link)
		if (bo->file == priv)
			bo->file = NULL;
	mutex_unlock(&axl->local_lock);
	mutex_unlock(&axl->bo_lock);
}

static void local_free(struct drm_gem_object *gem)
{
	struct axl_device *axl = to_axl(gem->dev);
	struct axl_bo *bo = to_axl_bo(gem);

	unlist(axl, gem);
	give_back_local(axl, bo);
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
	ret = axl_fault_begin(axl, vmf, &idx);
	if (ret)
		return ret;
	ret = vmf_insert_pfn(vma, vmf->address, (axl->local + bo->node.start) / PAGE_SIZE + page);
	axl_fault_end(axl, idx);
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

/*
 * Another device would need memory that has pages, or peer-to-peer transfers under which this one
 * may neither sleep nor go: it is refused by name. Another file of this device takes the buffer
 * itself.
 */
static int local_attach(struct dma_buf *dma_buf, struct dma_buf_attachment *attachment)
{
	struct drm_gem_object *gem = dma_buf->priv;

	return axl_refuse(to_axl(gem->dev), -EOPNOTSUPP,
			  "local memory is not for another device (%s)", dev_name(attachment->dev));
}

static struct sg_table *local_map_dma_buf(struct dma_buf_attachment *attachment,
					  enum dma_data_direction direction)
{
	return ERR_PTR(-EOPNOTSUPP); /* nothing is attached */
}

static void local_unmap_dma_buf(struct dma_buf_attachment *attachment, struct sg_table *sgt,
				enum dma_data_direction direction)
{
}

/* No .mmap: its pages come and go with the device's sleep, by a file of the device. */
static const struct dma_buf_ops local_dma_buf_ops = {
	.attach = local_attach,
	.map_dma_buf = local_map_dma_buf,
	.unmap_dma_buf = local_unmap_dma_buf,
	.release = drm_gem_dmabuf_release,
};

static struct dma_buf *local_export(struct drm_gem_object *gem, int flags)
{
	struct dma_buf_export_info info = {
		.exp_name = "axl",
		.owner = THIS_MODULE,
		.ops = &local_dma_buf_ops,
		.size = gem->size,
		.flags = flags,
		.priv = gem,
		.resv = gem->resv,
	};

	return drm_gem_dmabuf_export(gem->dev, &info);
}

/* The buffer behind a dma-buf of this device's local memory, once more; else NULL. */
static struct drm_gem_object *own_local(struct drm_device *drm, struct dma_buf *dma_buf)
{
	struct drm_gem_object *gem = dma_buf->priv;

	if (dma_buf->ops != &local_dma_buf_ops || gem->dev != drm)
		return NULL;
	drm_gem_object_get(gem);
	return gem;
}

/* All of it or nothing, seen from axl_bos_abandon(). */
struct drm_gem_object *axl_gem_import(struct drm_device *drm, struct dma_buf *dma_buf)
{
	struct drm_gem_object *gem;
	int idx;

	if (!drm_dev_enter(drm, &idx))
		return ERR_PTR(-ENODEV);
	gem = own_local(drm, dma_buf);
	if (!gem)
		gem = drm_gem_prime_import(drm, dma_buf);
	/* One of our own is listed already. */
	if (!IS_ERR(gem) && gem->import_attach)
		list(to_axl(drm), gem);
	drm_dev_exit(idx);
	return gem;
}

static const struct drm_gem_object_funcs local_funcs = {
	.free = local_free,
	.export = local_export,
	.mmap = local_mmap,
	.vm_ops = &local_vm_ops,
};

/* What another owner left there is nobody's business. */
static int clear_local(struct axl_device *axl, u64 start, u64 size)
{
	for (u64 done = 0, part; done < size; done += part) {
		void __iomem *map;

		part = min_t(u64, size - done, CLEAR_BYTES);
		map = ioremap_wc(axl->local + start + done, part);
		if (!map)
			return -ENOMEM;
		memset_io(map, 0, part);
		iounmap(map);
	}
	return 0;
}

/* A part of a buffer in local memory, for the kernel; iounmap() it. NULL: no memory. */
void __iomem *axl_local_map(struct axl_bo *bo, u64 offset, u64 size)
{
	return ioremap_wc(to_axl(bo->base.base.dev)->local + bo->node.start + offset, size);
}

static struct drm_gem_object *create_local(struct axl_device *axl, struct axl_file *priv, u64 size)
{
	struct axl_bo *bo = kzalloc(sizeof(*bo), GFP_KERNEL);
	int err;

	if (!bo)
		return ERR_PTR(-ENOMEM);
	bo->local = true;
	bo->base.base.funcs = &local_funcs;
	err = take_local(axl, bo, priv, size);
	if (err)
		goto err_free;
	err = clear_local(axl, bo->node.start, size);
	if (err)
		goto err_local;
	drm_gem_private_object_init(&axl->drm, &bo->base.base, size);
	list(axl, &bo->base.base);
	return &bo->base.base;

err_local:
	give_back_local(axl, bo);
err_free:
	kfree(bo);
	return ERR_PTR(err);
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
	err = axl_enter(axl, &idx);
	if (err)
		return err;
	if (args->flags & DRM_AXL_BO_LOCAL) {
		gem = create_local(axl, file->driver_priv, size);
	} else {
		shmem = drm_gem_shmem_create(drm, size);
		gem = IS_ERR(shmem) ? ERR_CAST(shmem) : &shmem->base;
		if (!IS_ERR(gem))
			list(axl, gem);
	}
	axl_exit(axl, idx);
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
