// SPDX-License-Identifier: GPL-2.0-only
/* What there is, for people (debugfs) and for tools (fdinfo). */
#include <linux/seq_file.h>
#include <drm/drm_debugfs.h>
#include <drm/drm_print.h>

#include "axl_drv.h"

/* Counts that go back to where they were when everybody has gone. */
static int objects_show(struct seq_file *m, void *data)
{
	struct drm_debugfs_entry *entry = m->private;
	struct axl_device *axl = to_axl(entry->dev);
	unsigned int vms, ctxs = 0, queues = 0;
	struct axl_queue *queue;
	struct drm_mm_node *node;
	u64 local = 0;

	mutex_lock(&axl->objects);
	for (unsigned int c = 0; c < AXL_MAX_CONTEXTS; c++)
		ctxs += !!axl->ctxs[c];
	axl_for_each_queue(axl, ~0ull, queue, at)
		queues++;
	mutex_unlock(&axl->objects);
	mutex_lock(&axl->vms_lock);
	vms = list_count_nodes(&axl->vms);
	mutex_unlock(&axl->vms_lock);
	mutex_lock(&axl->local_lock);
	drm_mm_for_each_node(node, &axl->local_mm)
		local += node->size;
	mutex_unlock(&axl->local_lock);
	seq_printf(m, "vms %u\ncontexts %u\nqueues %u\nlocal_bytes %llu\n", vms, ctxs, queues,
		   local);
	seq_printf(m, "pending_fences %d\npending_binds %d\n", atomic_read(&axl->pending_fences),
		   atomic_read(&axl->pending_binds));
	return 0;
}

static void show_queue(struct seq_file *m, const struct axl_queue *queue)
{
	const struct axl_queue_status *status = queue->status;

	seq_printf(m, "context %u queue %u%s: ", queue->ctx->number, queue->number,
		   queue->kernel ? " (kernel)" : "");
	seq_printf(m, "state %u error %u retired %llu busy %llu generation %llu\n", status->state,
		   status->error, status->retired, status->busy_cycles, status->generation);
}

static int queues_show(struct seq_file *m, void *data)
{
	struct drm_debugfs_entry *entry = m->private;
	struct axl_device *axl = to_axl(entry->dev);
	struct axl_queue *queue;

	mutex_lock(&axl->objects);
	axl_for_each_queue(axl, ~0ull, queue, at)
		show_queue(m, queue);
	mutex_unlock(&axl->objects);
	return 0;
}

static int counters_show(struct seq_file *m, void *data)
{
	struct drm_debugfs_entry *entry = m->private;
	struct axl_device *axl = to_axl(entry->dev);

	seq_printf(m, "resets %lld\nlost_interrupts %lld\nwedged %d\n",
		   (s64)atomic64_read(&axl->resets), (s64)atomic64_read(&axl->lost_interrupts),
		   axl->wedged);
	return 0;
}

static const struct drm_debugfs_info files[] = {
	{ "axl_objects", objects_show, 0 },
	{ "axl_queues", queues_show, 0 },
	{ "axl_counters", counters_show, 0 },
};

void axl_debugfs_init(struct axl_device *axl)
{
	drm_debugfs_add_files(&axl->drm, files, ARRAY_SIZE(files));
}

/*
 * Buffers that the file has handles of, local and system memory each as a region of its own. Local
 * memory is there from the beginning; of system memory is resident what has pages.
 */
static void show_memory(struct drm_printer *p, struct drm_file *file)
{
	struct drm_memory_stats regions[2] = {}; /* system, local */
	struct drm_gem_object *gem;
	int id;

	spin_lock(&file->table_lock);
	idr_for_each_entry(&file->object_idr, gem, id) {
		struct axl_bo *bo = to_axl_bo(gem);
		struct drm_memory_stats *region = &regions[bo->local];

		if (gem->handle_count > 1 || gem->dma_buf)
			region->shared += gem->size;
		else
			region->private += gem->size;
		if (bo->local || READ_ONCE(bo->base.pages) || gem->import_attach)
			region->resident += gem->size;
	}
	spin_unlock(&file->table_lock);
	drm_print_memory_stats(p, &regions[0], DRM_GEM_OBJECT_RESIDENT, "system");
	drm_print_memory_stats(p, &regions[1], DRM_GEM_OBJECT_RESIDENT, "local");
}

/* Cycles are counted by the device, for each queue: work that went past the kernel is in them. */
void axl_show_fdinfo(struct drm_printer *p, struct drm_file *file)
{
	struct axl_file *priv = file->driver_priv;
	struct axl_device *axl = priv->axl;
	struct axl_counters counters;
	struct axl_queue *queue;
	u64 busy;
	int idx;

	mutex_lock(&axl->objects);
	busy = priv->busy_cycles;
	axl_for_each_queue(axl, ~0ull, queue, at)
		if (queue->ctx->file == priv)
			busy += READ_ONCE(queue->status->busy_cycles);
	mutex_unlock(&axl->objects);
	drm_printf(p, "drm-cycles-npu:\t%llu\n", busy);
	if (drm_dev_enter(&axl->drm, &idx)) {
		axl_read_counters(axl, &counters);
		drm_printf(p, "drm-total-cycles-npu:\t%llu\n", counters.device.cycles);
		drm_dev_exit(idx);
	}
	if (axl->info.clock_khz)
		drm_printf(p, "drm-engine-npu:\t%llu ns\n",
			   mul_u64_u32_div(busy, 1000000, axl->info.clock_khz));
	drm_printf(p, "drm-maxfreq-npu:\t%u KHz\n", axl->info.clock_khz);
	show_memory(p, file);
}
