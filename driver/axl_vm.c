// SPDX-License-Identifier: GPL-2.0-only
/* Address spaces: what is mapped where, and the page tables that say so to the device. */
#include <linux/dmapool.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "axl_drv.h"

#define MAX_OPS 256

/* ---- tables ---- */

static struct axl_table *table_create(struct axl_device *axl, int level)
{
	struct axl_table *table = kzalloc(sizeof(*table), GFP_KERNEL);

	if (!table)
		return NULL;
	table->entries = dma_pool_zalloc(axl->tables, GFP_KERNEL, &table->address);
	if (level)
		table->child = kcalloc(AXL_TABLE_ENTRIES, sizeof(*table->child), GFP_KERNEL);
	if (!table->entries || (level && !table->child)) {
		if (table->entries)
			dma_pool_free(axl->tables, table->entries, table->address);
		kfree(table->child);
		kfree(table);
		return NULL;
	}
	return table;
}

static void table_destroy(struct axl_device *axl, struct axl_table *table, int level)
{
	if (!table)
		return;
	for (int i = 0; level && i < AXL_TABLE_ENTRIES; i++)
		table_destroy(axl, table->child[i], level - 1);
	dma_pool_free(axl->tables, table->entries, table->address);
	kfree(table->child);
	kfree(table);
}

/* The table of @level that @va is in, made where it is missing if @make. */
static struct axl_table *table_of(struct axl_vm *vm, u64 va, int level, bool make)
{
	struct axl_table *table = vm->root;

	for (int l = AXL_TABLE_LEVELS - 1; l > level; l--) {
		unsigned int i = va >> (12 + 9 * l) & (AXL_TABLE_ENTRIES - 1);

		if (!table->child[i]) {
			if (!make || table->entries[i])
				return NULL;
			table->child[i] = table_create(vm->axl, l - 1);
			if (!table->child[i])
				return NULL;
			/* Pairs with the device's walk: it finds an empty table, never an old one. */
			dma_wmb();
			WRITE_ONCE(table->entries[i], table->child[i]->address | AXL_PTE_VALID);
		}
		table = table->child[i];
	}
	return table;
}

static int set_entry(struct axl_vm *vm, u64 va, u64 entry, int level)
{
	struct axl_table *table = table_of(vm, va, level, true);
	unsigned int i = va >> (12 + 9 * level) & (AXL_TABLE_ENTRIES - 1);

	if (!table)
		return -ENOMEM;
	/* A lowest table that earlier mappings left empty makes room for a large page; the TLB does not hold it. */
	if (level && table->child[i]) {
		table_destroy(vm->axl, table->child[i], level - 1);
		table->child[i] = NULL;
	}
	WRITE_ONCE(table->entries[i], entry);
	return 0;
}

static void clear_range(struct axl_vm *vm, u64 va, u64 size)
{
	for (u64 at = va; at < va + size;) {
		struct axl_table *large = table_of(vm, at, 1, false);
		unsigned int i = at >> 21 & (AXL_TABLE_ENTRIES - 1);
		u64 next = ALIGN(at + 1, AXL_LARGE_PAGE_BYTES);

		if (large && large->child[i]) {
			for (; at < next && at < va + size; at += AXL_PAGE_BYTES)
				WRITE_ONCE(large->child[i]->entries[at >> 12 & (AXL_TABLE_ENTRIES - 1)], 0);
			continue;
		}
		if (large)
			WRITE_ONCE(large->entries[i], 0);
		at = next;
	}
}

static int map_local(struct axl_vm *vm, u64 va, u64 address, u64 size, u64 rights)
{
	for (u64 done = 0; done < size;) {
		bool large = !((va + done) & (AXL_LARGE_PAGE_BYTES - 1)) &&
			     !((address + done) & (AXL_LARGE_PAGE_BYTES - 1)) && size - done >= AXL_LARGE_PAGE_BYTES;
		u64 entry = (address + done) | rights | AXL_PTE_LOCAL | AXL_PTE_VALID | (large ? AXL_PTE_LEAF : 0);
		int err = set_entry(vm, va + done, entry, large ? 1 : 0);

		if (err)
			return err;
		done += large ? AXL_LARGE_PAGE_BYTES : AXL_PAGE_BYTES;
	}
	return 0;
}

static int map_system(struct axl_vm *vm, u64 va, struct sg_table *sgt, u64 offset, u64 size, u64 rights)
{
	struct sg_dma_page_iter iter;
	u64 done = 0;

	for_each_sgtable_dma_page(sgt, &iter, offset >> PAGE_SHIFT) {
		int err;

		if (done == size)
			break;
		err = set_entry(vm, va + done, sg_page_iter_dma_address(&iter) | rights | AXL_PTE_VALID, 0);
		if (err)
			return err;
		done += AXL_PAGE_BYTES;
	}
	return done == size ? 0 : -EFAULT;
}

/* When it returns, the device has no translation of the space cached and no access under an old one in flight. */
static int invalidate(struct axl_vm *vm)
{
	int err = 0;

	for (unsigned int c = 0; c < AXL_MAX_CONTEXTS && !err; c++)
		if (READ_ONCE(vm->contexts) >> c & 1)
			err = axl_command(vm->axl, AXL_CMD_TLB_INVALIDATE, c);
	return err;
}

/* ---- life ---- */

static void mapping_free(struct axl_mapping *mapping)
{
	drm_mm_remove_node(&mapping->node);
	drm_gem_object_put(mapping->gem);
	kfree(mapping);
}

static void vm_release(struct kref *ref)
{
	struct axl_vm *vm = container_of(ref, struct axl_vm, ref);
	struct drm_mm_node *node, *next;

	/* No context refers to it: the device walks nothing of it. */
	drm_mm_for_each_node_safe(node, next, &vm->space)
		mapping_free(container_of(node, struct axl_mapping, node));
	drm_mm_takedown(&vm->space);
	table_destroy(vm->axl, vm->root, AXL_TABLE_LEVELS - 1);
	mutex_destroy(&vm->lock);
	kfree(vm);
}

void axl_vm_put(struct axl_vm *vm)
{
	kref_put(&vm->ref, vm_release);
}

int axl_vm_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct axl_file *priv = file->driver_priv;
	struct axl_device *axl = to_axl(drm);
	struct drm_axl_vm *args = data;
	struct axl_vm *vm;
	int err;

	if (args->flags || args->vm)
		return axl_refuse(axl, -EINVAL, "flags %#x, vm %u", args->flags, args->vm);
	vm = kzalloc(sizeof(*vm), GFP_KERNEL);
	if (!vm)
		return -ENOMEM;
	vm->axl = axl;
	kref_init(&vm->ref);
	vm->root = table_create(axl, AXL_TABLE_LEVELS - 1);
	if (!vm->root) {
		kfree(vm);
		return -ENOMEM;
	}
	mutex_init(&vm->lock);
	drm_mm_init(&vm->space, 0, 1ull << AXL_VA_BITS);
	err = xa_alloc(&priv->vms, &args->vm, vm, XA_LIMIT(1, 1024), GFP_KERNEL);
	if (err)
		axl_vm_put(vm);
	return err;
}

int axl_vm_destroy_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct axl_file *priv = file->driver_priv;
	struct axl_device *axl = to_axl(drm);
	struct drm_axl_vm *args = data;
	struct axl_vm *vm;

	if (args->flags)
		return axl_refuse(axl, -EINVAL, "flags %#x", args->flags);
	mutex_lock(&axl->objects);
	vm = xa_load(&priv->vms, args->vm);
	if (!vm || vm->contexts) {
		mutex_unlock(&axl->objects);
		return vm ? axl_refuse(axl, -EBUSY, "contexts use vm %u", args->vm)
			  : axl_refuse(axl, -ENOENT, "vm %u", args->vm);
	}
	xa_erase(&priv->vms, args->vm);
	mutex_unlock(&axl->objects);
	axl_vm_put(vm);
	return 0;
}

/* ---- binding ---- */

static int check_op(struct axl_device *axl, const struct drm_axl_bind_op *op)
{
	if (op->op > DRM_AXL_BIND_UNMAP || op->pad)
		return axl_refuse(axl, -EINVAL, "op %u, pad %u", op->op, op->pad);
	if (op->va % AXL_PAGE_BYTES || op->offset % AXL_PAGE_BYTES || op->size % AXL_PAGE_BYTES || !op->size)
		return axl_refuse(axl, -EINVAL, "alignment: va %#llx, offset %#llx, size %#llx", op->va, op->offset, op->size);
	if (op->va >> AXL_VA_BITS || op->size > (1ull << AXL_VA_BITS) - op->va)
		return axl_refuse(axl, -EINVAL, "va %#llx, size %#llx", op->va, op->size);
	if (op->op == DRM_AXL_BIND_UNMAP && (op->flags || op->handle || op->offset))
		return axl_refuse(axl, -EINVAL, "an unmap with flags, handle or offset");
	if (op->op == DRM_AXL_BIND_MAP && (!op->flags || op->flags & ~7u))
		return axl_refuse(axl, -EINVAL, "rights %#x", op->flags);
	return 0;
}

static int map_locked(struct axl_vm *vm, const struct drm_axl_bind_op *op, struct drm_gem_object *gem)
{
	u64 rights = (op->flags & DRM_AXL_BIND_READ ? AXL_PTE_READ : 0) |
		     (op->flags & DRM_AXL_BIND_WRITE ? AXL_PTE_WRITE : 0) |
		     (op->flags & DRM_AXL_BIND_EXEC ? AXL_PTE_EXEC : 0);
	struct axl_bo *bo = to_axl_bo(gem);
	struct axl_mapping *mapping;
	int err;

	if (op->offset > gem->size || op->size > gem->size - op->offset)
		return axl_refuse(vm->axl, -EINVAL, "beyond the buffer: offset %#llx, size %#llx", op->offset, op->size);
	mapping = kzalloc(sizeof(*mapping), GFP_KERNEL);
	if (!mapping)
		return -ENOMEM;
	mapping->node.start = op->va;
	mapping->node.size = op->size;
	err = drm_mm_reserve_node(&vm->space, &mapping->node);
	if (err) {
		kfree(mapping);
		return axl_refuse(vm->axl, err == -ENOSPC ? -EEXIST : err, "something is mapped at %#llx", op->va);
	}
	drm_gem_object_get(gem);
	mapping->gem = gem;
	if (bo->local) {
		err = map_local(vm, op->va, bo->node.start + op->offset, op->size, rights);
	} else {
		struct sg_table *sgt = drm_gem_shmem_get_pages_sgt(&bo->base);

		err = IS_ERR(sgt) ? PTR_ERR(sgt) : map_system(vm, op->va, sgt, op->offset, op->size, rights);
	}
	if (err) {
		clear_range(vm, op->va, op->size);
		invalidate(vm);
		mapping_free(mapping);
	}
	return err;
}

static int unmap_locked(struct axl_vm *vm, const struct drm_axl_bind_op *op)
{
	struct drm_mm_node *node;
	int err;

	drm_mm_for_each_node_in_range(node, &vm->space, op->va, op->va + op->size) {
		if (node->start != op->va || node->size != op->size)
			break;
		clear_range(vm, op->va, op->size);
		/* Pairs with the device's next walk: the entries are gone before it is told. */
		dma_wmb();
		err = invalidate(vm);
		if (err) /* it may still be reached: better lost than somebody else's */
			return err;
		mapping_free(container_of(node, struct axl_mapping, node));
		return 0;
	}
	return axl_refuse(vm->axl, -ENOENT, "no mapping of %#llx at %#llx", op->size, op->va);
}

static int apply(struct axl_vm *vm, const struct drm_axl_bind_op *op, struct drm_file *file)
{
	struct drm_gem_object *gem;
	int err;

	if (op->op == DRM_AXL_BIND_UNMAP)
		return unmap_locked(vm, op);
	gem = drm_gem_object_lookup(file, op->handle);
	if (!gem)
		return axl_refuse(vm->axl, -ENOENT, "handle %u", op->handle);
	err = map_locked(vm, op, gem);
	drm_gem_object_put(gem);
	return err;
}

static struct axl_vm *vm_get(struct axl_file *priv, u32 handle)
{
	struct axl_vm *vm;

	mutex_lock(&priv->axl->objects);
	vm = xa_load(&priv->vms, handle);
	if (vm)
		kref_get(&vm->ref);
	mutex_unlock(&priv->axl->objects);
	return vm;
}

int axl_vm_bind_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct axl_device *axl = to_axl(drm);
	struct drm_axl_vm_bind *args = data;
	struct drm_axl_bind_op *ops;
	struct axl_vm *vm;
	int err = 0, idx;
	u32 done = 0;

	if (args->flags || args->stride != sizeof(*ops) || !args->num_ops || args->num_ops > MAX_OPS)
		return axl_refuse(axl, -EINVAL, "flags %#x, stride %u, num_ops %u", args->flags, args->stride, args->num_ops);
	ops = memdup_array_user(u64_to_user_ptr(args->ops), args->num_ops, sizeof(*ops));
	if (IS_ERR(ops))
		return PTR_ERR(ops);
	for (u32 i = 0; i < args->num_ops && !err; i++)
		err = check_op(axl, &ops[i]);
	vm = err ? NULL : vm_get(file->driver_priv, args->vm);
	if (!err && !vm)
		err = axl_refuse(axl, -ENOENT, "vm %u", args->vm);
	if (err)
		goto out_free;
	if (!drm_dev_enter(drm, &idx)) {
		err = -ENODEV;
		goto out_vm;
	}
	mutex_lock(&vm->lock);
	for (; done < args->num_ops && !err; done++)
		err = apply(vm, &ops[done], file);
	/* All or none: maps that were made are taken back; an unmap can not be, so it is only taken alone. */
	for (u32 i = done - 1; err && i-- > 0;)
		if (ops[i].op == DRM_AXL_BIND_MAP)
			unmap_locked(vm, &ops[i]);
	mutex_unlock(&vm->lock);
	drm_dev_exit(idx);
out_vm:
	axl_vm_put(vm);
out_free:
	kfree(ops);
	return err;
}
