// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory maps of the file: doorbell and status pages of contexts, below the offsets of buffers.
 *
 * Pages are put in by the fault handler only, under map_lock, and all are taken away under the same
 * lock when a context goes or the device does. Whoever touches one afterwards finds a page of his
 * own that means nothing: no signal, and nobody else's doorbell.
 */
#include <linux/mm.h>

#include "axl_drv.h"

/* A context handle in the middle, room for a host with 64 KiB pages. */
#define DOORBELLS BIT_ULL(30)
#define STATUS BIT_ULL(31)
#define HANDLE_SHIFT 16

#define STOPPED_TIMEOUT (10 * HZ)

u64 axl_doorbell_offset(u32 handle)
{
	return DOORBELLS | (u64)handle << HANDLE_SHIFT;
}

u64 axl_status_offset(u32 handle)
{
	return STATUS | (u64)handle << HANDLE_SHIFT;
}

static u32 handle_of(u64 offset)
{
	return (offset & (DOORBELLS - 1)) >> HANDLE_SHIFT;
}

/* map_lock is held; the context stays while it is. */
static struct axl_ctx *context_at(struct axl_file *priv, u64 offset)
{
	lockdep_assert_held(&priv->axl->map_lock);
	return xa_load(&priv->ctxs, handle_of(offset));
}

/* For mappings with VM_PFNMAP. */
static vm_fault_t dummy(struct vm_fault *vmf)
{
	struct drm_file *file = vmf->vma->vm_file->private_data;
	struct axl_file *priv = file->driver_priv;

	return vmf_insert_pfn(vmf->vma, vmf->address, page_to_pfn(priv->dummy));
}

/*
 * 0: memory of the device may be put in until axl_fault_end(); map_lock is held. Else it is what
 * the fault comes to: while the function is in reset its memory decodes nothing, and who touches
 * it waits.
 */
vm_fault_t axl_fault_begin(struct axl_device *axl, struct vm_fault *vmf, int *idx)
{
	if (axl_enter(axl, idx))
		return dummy(vmf);
	mutex_lock(&axl->map_lock);
	if (!axl->stopped)
		return 0;
	axl_fault_end(axl, *idx);
	/* Not for ever: of a reset that fails the PCI core does not tell. Who is killed, too. */
	if (!wait_event_killable_timeout(axl->irq,
					 !READ_ONCE(axl->stopped) ||
						 drm_dev_is_unplugged(&axl->drm),
					 STOPPED_TIMEOUT))
		return dummy(vmf);
	return VM_FAULT_NOPAGE;
}

void axl_fault_end(struct axl_device *axl, int idx)
{
	mutex_unlock(&axl->map_lock);
	axl_exit(axl, idx);
}

static vm_fault_t insert(struct vm_fault *vmf, struct axl_file *priv, u64 offset)
{
	struct axl_ctx *ctx = context_at(priv, offset);
	unsigned long pfn;

	/* The handle may be another context's by now. */
	if (!ctx || ctx->id != (unsigned long)vmf->vma->vm_private_data)
		return dummy(vmf);
	if (offset & STATUS)
		pfn = page_to_pfn(ctx->status_page);
	else
		pfn = PHYS_PFN(priv->axl->doorbells + (u64)ctx->number * AXL_DOORBELL_STRIDE);
	return vmf_insert_pfn(vmf->vma, vmf->address, pfn);
}

static vm_fault_t page_fault(struct vm_fault *vmf)
{
	struct drm_file *file = vmf->vma->vm_file->private_data;
	struct axl_file *priv = file->driver_priv;
	struct axl_device *axl = priv->axl;
	u64 offset = (u64)vmf->vma->vm_pgoff << PAGE_SHIFT;
	vm_fault_t ret;
	int idx;

	/* Who stores to a doorbell wakes the device; the status page is the kernel's memory. */
	if (!(offset & STATUS)) {
		ret = axl_fault_begin(axl, vmf, &idx);
		if (ret)
			return ret;
		ret = insert(vmf, priv, offset);
		axl_fault_end(axl, idx);
		return ret;
	}
	if (!drm_dev_enter(&axl->drm, &idx))
		return dummy(vmf);
	mutex_lock(&axl->map_lock);
	ret = insert(vmf, priv, offset);
	mutex_unlock(&axl->map_lock);
	drm_dev_exit(idx);
	return ret;
}

static const struct vm_operations_struct page_vm_ops = {
	.fault = page_fault,
};

/* Those of other contexts come back with their next fault. map_lock is held. */
void axl_mmap_revoke(struct axl_device *axl)
{
	lockdep_assert_held(&axl->map_lock);
	unmap_mapping_range(axl->drm.anon_inode->i_mapping, DOORBELLS, STATUS + DOORBELLS, 1);
}

int axl_mmap(struct file *filp, struct vm_area_struct *vma)
{
	struct drm_file *file = filp->private_data;
	struct axl_file *priv = file->driver_priv;
	u64 offset = (u64)vma->vm_pgoff << PAGE_SHIFT;
	bool status = offset & STATUS;
	struct axl_ctx *ctx;
	unsigned long id;

	if (drm_dev_is_unplugged(file->minor->dev))
		return -ENODEV;
	if (!(vma->vm_flags & VM_SHARED))
		return axl_refuse(priv->axl, -EINVAL, "a private mapping of offset %#llx", offset);
	if (offset >= 1ull << 32)
		return drm_gem_mmap(filp, vma);
	if (!(offset & STATUS) == !(offset & DOORBELLS) || offset & ((1u << HANDLE_SHIFT) - 1) ||
	    vma->vm_end - vma->vm_start != PAGE_SIZE)
		return axl_refuse(priv->axl, -EINVAL, "offset %#llx, %lu bytes", offset,
				  vma->vm_end - vma->vm_start);
	mutex_lock(&priv->axl->map_lock);
	ctx = context_at(priv, offset);
	id = ctx ? ctx->id : 0;
	mutex_unlock(&priv->axl->map_lock);
	if (!ctx)
		return axl_refuse(priv->axl, -EINVAL, "offset %#llx: no context %u", offset,
				  handle_of(offset));
	if (vma->vm_flags & (status ? VM_WRITE | VM_EXEC : VM_READ | VM_EXEC))
		return axl_refuse(priv->axl, -EACCES, "a %s page can't be mapped like that",
				  status ? "status" : "doorbell");
	vm_flags_mod(vma, VM_DONTCOPY | VM_DONTEXPAND | VM_DONTDUMP | VM_IO | VM_PFNMAP,
		     status ? VM_MAYWRITE | VM_MAYEXEC : VM_MAYREAD | VM_MAYEXEC);
	if (!status)
		vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
	vma->vm_private_data = (void *)id;
	vma->vm_ops = &page_vm_ops;
	return 0;
}
