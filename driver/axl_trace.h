/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM axl

#if !defined(AXL_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define AXL_TRACE_H

#include <linux/tracepoint.h>
#include <drm/drm_device.h>

TRACE_EVENT(axl_command,
	TP_PROTO(struct drm_device *drm, unsigned int command, u64 arg, u32 result),
	TP_ARGS(drm, command, arg, result),
	TP_STRUCT__entry(
		__field(int, minor)
		__field(unsigned int, command)
		__field(u64, arg)
		__field(u32, result)
	),
	TP_fast_assign(
		__entry->minor = drm->accel ? drm->accel->index : -1;
		__entry->command = command;
		__entry->arg = arg;
		__entry->result = result;
	),
	TP_printk("accel%d command=%u arg=%llu result=%u",
		  __entry->minor, __entry->command, __entry->arg, __entry->result)
);

TRACE_EVENT(axl_submit,
	TP_PROTO(struct drm_device *drm, unsigned int queue, u64 first, u64 last),
	TP_ARGS(drm, queue, first, last),
	TP_STRUCT__entry(
		__field(int, minor)
		__field(unsigned int, queue)
		__field(u64, first)
		__field(u64, last)
	),
	TP_fast_assign(
		__entry->minor = drm->accel ? drm->accel->index : -1;
		__entry->queue = queue;
		__entry->first = first;
		__entry->last = last;
	),
	TP_printk("accel%d queue=%u packets=%llu..%llu",
		  __entry->minor, __entry->queue, __entry->first, __entry->last)
);

TRACE_EVENT(axl_complete,
	TP_PROTO(struct drm_device *drm, unsigned int queue, u64 index, int error),
	TP_ARGS(drm, queue, index, error),
	TP_STRUCT__entry(
		__field(int, minor)
		__field(unsigned int, queue)
		__field(u64, index)
		__field(int, error)
	),
	TP_fast_assign(
		__entry->minor = drm->accel ? drm->accel->index : -1;
		__entry->queue = queue;
		__entry->index = index;
		__entry->error = error;
	),
	TP_printk("accel%d queue=%u index=%llu error=%d",
		  __entry->minor, __entry->queue, __entry->index, __entry->error)
);

TRACE_EVENT(axl_fault,
	TP_PROTO(struct drm_device *drm, unsigned int queue, unsigned int cause, u64 packet,
		 u64 address, u64 cycle),
	TP_ARGS(drm, queue, cause, packet, address, cycle),
	TP_STRUCT__entry(
		__field(int, minor)
		__field(unsigned int, queue)
		__field(unsigned int, cause)
		__field(u64, packet)
		__field(u64, address)
		__field(u64, cycle)
	),
	TP_fast_assign(
		__entry->minor = drm->accel ? drm->accel->index : -1;
		__entry->queue = queue;
		__entry->cause = cause;
		__entry->packet = packet;
		__entry->address = address;
		__entry->cycle = cycle;
	),
	TP_printk("accel%d queue=%u cause=%u packet=%llu address=%#llx cycle=%llu",
		  __entry->minor, __entry->queue,
		  __entry->cause, __entry->packet, __entry->address, __entry->cycle)
);

TRACE_EVENT(axl_reset,
	TP_PROTO(struct drm_device *drm, unsigned int queue, int error),
	TP_ARGS(drm, queue, error),
	TP_STRUCT__entry(
		__field(int, minor)
		__field(unsigned int, queue)
		__field(int, error)
	),
	TP_fast_assign(
		__entry->minor = drm->accel ? drm->accel->index : -1;
		__entry->queue = queue;
		__entry->error = error;
	),
	TP_printk("accel%d queue=%d error=%d", __entry->minor, (int)__entry->queue, __entry->error)
);

TRACE_EVENT(axl_bind,
	TP_PROTO(struct drm_device *drm, const void *vm, unsigned int op, u64 va, u64 size),
	TP_ARGS(drm, vm, op, va, size),
	TP_STRUCT__entry(
		__field(int, minor)
		__field(const void *, vm)
		__field(unsigned int, op)
		__field(u64, va)
		__field(u64, size)
	),
	TP_fast_assign(
		__entry->minor = drm->accel ? drm->accel->index : -1;
		__entry->vm = vm;
		__entry->op = op;
		__entry->va = va;
		__entry->size = size;
	),
	TP_printk("accel%d vm=%p op=%u va=%#llx size=%#llx",
		  __entry->minor, __entry->vm, __entry->op, __entry->va,
		  __entry->size)
);

TRACE_EVENT(axl_bound,
	TP_PROTO(struct drm_device *drm, const void *vm, u64 seqno, unsigned int ops, int error),
	TP_ARGS(drm, vm, seqno, ops, error),
	TP_STRUCT__entry(
		__field(int, minor)
		__field(const void *, vm)
		__field(u64, seqno)
		__field(unsigned int, ops)
		__field(int, error)
	),
	TP_fast_assign(
		__entry->minor = drm->accel ? drm->accel->index : -1;
		__entry->vm = vm;
		__entry->seqno = seqno;
		__entry->ops = ops;
		__entry->error = error;
	),
	TP_printk("accel%d vm=%p seqno=%llu ops=%u error=%d",
		  __entry->minor, __entry->vm, __entry->seqno, __entry->ops,
		  __entry->error)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE axl_trace
#include <trace/define_trace.h>
