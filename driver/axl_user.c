// SPDX-License-Identifier: GPL-2.0-only
/* Memory of a process, pinned for the device. */
#include <linux/dma-mapping.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "axl_drv.h"

/* @mm: whose RLIMIT_MEMLOCK the pages count for */
struct axl_user_pages {
	struct mm_struct *mm;
	struct page **pages;
	unsigned long count;
	bool write;
	struct sg_table sgt;
};

/* A page may be bound more than once, and is used by both sides while it is. */
#define MAP_ATTRS DMA_ATTR_SKIP_CPU_SYNC

static enum dma_data_direction direction(const struct axl_user_pages *user)
{
	return user->write ? DMA_BIDIRECTIONAL : DMA_TO_DEVICE;
}

static int pin(struct axl_user_pages *user, u64 address)
{
	unsigned int flags = FOLL_LONGTERM | (user->write ? FOLL_WRITE : 0);
	unsigned long done = 0;

	while (done < user->count) {
		int got = pin_user_pages_fast(address + (done << PAGE_SHIFT),
					      min(user->count - done, 1024ul), flags,
					      user->pages + done);

		if (got <= 0) {
			unpin_user_pages(user->pages, done);
			return got ? got : -EFAULT;
		}
		done += got;
	}
	return 0;
}

struct axl_user_pages *axl_user_pages_get(struct axl_device *axl, u64 address, u64 size, bool write)
{
	struct axl_user_pages *user = kzalloc(sizeof(*user), GFP_KERNEL);
	int err;

	if (!user)
		return ERR_PTR(-ENOMEM);
	user->count = size >> PAGE_SHIFT;
	user->write = write;
	user->mm = current->mm;
	user->pages = kvmalloc_array(user->count, sizeof(*user->pages), GFP_KERNEL);
	if (!user->pages) {
		err = -ENOMEM;
		goto err_free;
	}
	err = account_locked_vm(user->mm, user->count, true);
	if (err)
		goto err_pages;
	mmgrab(user->mm);
	err = pin(user, address);
	if (err)
		goto err_account;
	err = sg_alloc_table_from_pages(&user->sgt, user->pages, user->count, 0, size, GFP_KERNEL);
	if (err)
		goto err_pin;
	err = dma_map_sgtable(&axl->pdev->dev, &user->sgt, direction(user), MAP_ATTRS);
	if (err)
		goto err_sgt;
	return user;

err_sgt:
	sg_free_table(&user->sgt);
err_pin:
	unpin_user_pages(user->pages, user->count);
err_account:
	account_locked_vm(user->mm, user->count, false);
	mmdrop(user->mm);
err_pages:
	kvfree(user->pages);
err_free:
	kfree(user);
	return ERR_PTR(err);
}

void axl_user_pages_put(struct axl_device *axl, struct axl_user_pages *user)
{
	dma_unmap_sgtable(&axl->pdev->dev, &user->sgt, direction(user), MAP_ATTRS);
	sg_free_table(&user->sgt);
	unpin_user_pages_dirty_lock(user->pages, user->count, user->write);
	account_locked_vm(user->mm, user->count, false);
	mmdrop(user->mm);
	kvfree(user->pages);
	kfree(user);
}

struct sg_table *axl_user_pages_sgt(struct axl_user_pages *user)
{
	return &user->sgt;
}

struct page *axl_user_pages_at(struct axl_user_pages *user, u64 offset)
{
	return user->pages[offset >> PAGE_SHIFT];
}
