// SPDX-License-Identifier: GPL-2.0-only
/* What is mapped in an address space: its memory, held from the call that maps it on. */
#include <linux/slab.h>

#include "axl_drv.h"

bool axl_mapping_is_local(const struct axl_mapping *mapping)
{
	return mapping->base.gem.obj && to_axl_bo(mapping->base.gem.obj)->local;
}

/* Where in local memory it lies; it is contiguous there. */
u64 axl_mapping_local_address(const struct axl_mapping *mapping)
{
	return to_axl_bo(mapping->base.gem.obj)->node.start + mapping->base.gem.offset;
}

void axl_mapping_free(struct axl_device *axl, struct axl_mapping *mapping)
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

/*
 * Its memory goes back, but for a device that may still reach it: that has it until it goes.
 * @told: whether the device has been told that it is unmapped
 */
void axl_mapping_release(struct axl_device *axl, struct axl_mapping *mapping, bool told)
{
	if (told && !axl_is_loose(axl)) {
		axl_mapping_free(axl, mapping);
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
		axl_mapping_free(axl, mapping);
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

static int hold_user(struct axl_vm *vm, struct axl_mapping *mapping,
		     const struct drm_axl_bind_op *op)
{
	mapping->user =
		axl_user_pages_get(vm->axl, op->offset, op->size, op->flags & DRM_AXL_BIND_WRITE);
	if (IS_ERR(mapping->user))
		return PTR_ERR(mapping->user);
	drm_gpuva_init(&mapping->base, op->va, op->size, NULL, op->offset);
	mapping->sgt = axl_user_pages_sgt(mapping->user);
	return 0;
}

static int hold_buffer(struct axl_vm *vm, struct axl_mapping *mapping,
		       const struct drm_axl_bind_op *op, struct drm_file *file)
{
	struct drm_gem_object *gem = drm_gem_object_lookup(file, op->handle);
	int err;

	if (!gem)
		return axl_refuse(vm->axl, -ENOENT, "handle %u", op->handle);
	if (op->offset > gem->size || op->size > gem->size - op->offset) {
		err = axl_refuse(vm->axl, -EINVAL, "beyond the buffer: offset %#llx, size %#llx",
				 op->offset, op->size);
		goto err_put;
	}
	if (!to_axl_bo(gem)->local) {
		mapping->sgt = drm_gem_shmem_get_pages_sgt(&to_axl_bo(gem)->base);
		if (IS_ERR(mapping->sgt)) {
			err = PTR_ERR(mapping->sgt);
			goto err_put;
		}
	}
	drm_gpuva_init(&mapping->base, op->va, op->size, gem, op->offset);
	err = link_mapping(vm, mapping, gem);
	if (err)
		goto err_put;
	return 0;

err_put:
	drm_gem_object_put(gem);
	return err;
}

/* Not yet in the space, and no entry written: all that needs memory or locks is done. */
struct axl_mapping *axl_mapping_create(struct axl_vm *vm, const struct drm_axl_bind_op *op,
				       struct drm_file *file)
{
	struct axl_mapping *mapping = kzalloc(sizeof(*mapping), GFP_KERNEL);
	int err;

	if (!mapping)
		return ERR_PTR(-ENOMEM);
	mapping->bits = bits_of(op->flags);
	err = op->op == DRM_AXL_BIND_MAP_USER ? hold_user(vm, mapping, op)
					      : hold_buffer(vm, mapping, op, file);
	if (err)
		goto err_free;
	return mapping;

err_free:
	kfree(mapping);
	return ERR_PTR(err);
}
