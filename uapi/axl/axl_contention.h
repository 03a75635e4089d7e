/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * What instructions take from each other: scratchpad ports, memory channels, the requests of a transfer pipe, the TLB. The device
 * model and the compiler's estimate run the same arithmetic; how long an instruction takes alone is in axl_timing.h. User space
 * only.
 *
 * All of it goes by time: calls come in the order in which instructions start (@now), and what has passed is forgotten. Zeroed
 * structs are the state at the start.
 */
#ifndef UAPI_AXL_AXL_CONTENTION_H
#define UAPI_AXL_AXL_CONTENTION_H

#include <stdint.h>

#include <axl/axl_timing.h>

/* When the data of a transfer move. */
struct axl_flow {
	uint64_t data, end;
	int read;
};

/* A memory's channel: whose data it moves from the present on, in the order of time. */
#define AXL_CHANNEL_FLOWS 128
struct axl_channel {
	struct axl_flow flows[AXL_CHANNEL_FLOWS];
	unsigned int count;
};

/* Transfers of a pipe that may not have ended yet, oldest first. */
#define AXL_PIPE_FLOWS 64
struct axl_pipe_flows {
	struct axl_flow flows[AXL_PIPE_FLOWS];
	unsigned int count;
};

/* Bytes a cycle of a scratchpad that are taken, from the present on: each step lasts until the next. @rate: of all banks. */
#define AXL_PORT_STEPS 64
struct axl_ports {
	struct {
		uint64_t time;
		uint32_t used;
	} step[AXL_PORT_STEPS];
	unsigned int count;
	uint32_t rate;
};

static inline uint64_t axl_later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* ---- scratchpad ports: width ---- */

/* The step that is in force at @time; steps before @now, the start of the newest instruction, are forgotten. */
static inline unsigned int axl_ports_step(struct axl_ports *ports, uint64_t time, uint64_t now)
{
	unsigned int drop = 0, i;

	while (drop + 1 < ports->count && ports->step[drop + 1].time <= now)
		drop++;
	if (drop) {
		ports->count -= drop;
		for (i = 0; i < ports->count; i++)
			ports->step[i] = ports->step[i + drop];
	}
	if (!ports->count) {
		ports->step[0].time = 0;
		ports->step[0].used = 0;
		ports->count = 1;
	}
	for (i = 0; i + 1 < ports->count && ports->step[i + 1].time <= time; i++)
		;
	return i;
}

/* Make a step begin at @time, which lies in step @i; returns its index. Full: the boundary is given up. */
static inline unsigned int axl_ports_cut(struct axl_ports *ports, unsigned int i, uint64_t time)
{
	if (ports->step[i].time >= time)
		return i;
	if (ports->count == AXL_PORT_STEPS)
		return i;
	for (unsigned int k = ports->count; k > i + 1; k--)
		ports->step[k] = ports->step[k - 1];
	ports->step[i + 1].time = time;
	ports->step[i + 1].used = ports->step[i].used;
	ports->count++;
	return i + 1;
}

/*
 * Move bytes through the scratchpad's ports from @start: @cycles of work at @demand bytes a cycle. Returns the end,
 * later than start + cycles where others, which started before, leave less than @demand. @take: it is so decided.
 */
static inline uint64_t axl_ports_pass(struct axl_ports *ports, uint64_t now, uint64_t start, uint64_t cycles,
				      uint32_t demand, int take)
{
	uint32_t capacity = ports->rate;
	uint64_t left, at = start;
	unsigned int i = axl_ports_step(ports, start, now);

	demand = demand > capacity ? capacity : demand;
	if (!demand || !cycles)
		return start + cycles;
	left = cycles * demand;
	if (take)
		i = axl_ports_cut(ports, i, start);
	for (;; i++) {
		uint32_t room = capacity - ports->step[i].used, grant = room < demand ? room : demand;
		uint64_t until = i + 1 < ports->count ? ports->step[i + 1].time : ~0ull;
		uint64_t need = grant ? axl_div_up(left, grant) : ~0ull - at;

		if (need <= until - at) {
			/* No room for a step at its end: the use would last for ever, and is forgotten instead. */
			if (take && axl_ports_cut(ports, i, at + need) != i)
				ports->step[i].used += grant;
			return at + need;
		}
		if (take)
			ports->step[i].used += grant;
		left -= grant * (until - at);
		at = until;
	}
}

/* ---- memory channels ---- */

/*
 * Where a channel has a gap for data that are ready at @ready: *data, and the end. What was given to others stands;
 * what has passed at @now is forgotten.
 */
static inline uint64_t axl_channel_place(struct axl_channel *channel, struct axl_ports *ports, uint64_t now,
					 uint64_t ready, uint64_t cycles, uint32_t rate, int read, uint64_t turn,
					 uint64_t *data)
{
	unsigned int drop = 0, i = 0;
	uint64_t at = ready, end;

	/* One that has passed stays: its direction decides about the turnaround. */
	while (drop + 1 < channel->count && channel->flows[drop].end <= now && channel->flows[drop + 1].end <= now)
		drop++;
	channel->count -= drop;
	for (unsigned int k = 0; drop && k < channel->count; k++)
		channel->flows[k] = channel->flows[k + drop];
	for (;;) {
		while (i < channel->count && channel->flows[i].data < at)
			i++;
		if (i && channel->flows[i - 1].end + (channel->flows[i - 1].read != read ? turn : 0) > at)
			at = channel->flows[i - 1].end + (channel->flows[i - 1].read != read ? turn : 0);
		end = axl_ports_pass(ports, now, at, cycles, rate, 0);
		if (i == channel->count || end + (channel->flows[i].read != read ? turn : 0) <= channel->flows[i].data)
			break;
		at = channel->flows[i++].end;
	}
	*data = at;
	if (channel->count ==
	    AXL_CHANNEL_FLOWS) { /* the oldest gives its place: at worst a gap looks free that is not */
		for (unsigned int k = 1; k < channel->count; k++)
			channel->flows[k - 1] = channel->flows[k];
		channel->count--;
		i -= i > 0;
	}
	for (unsigned int k = channel->count++; k > i; k--)
		channel->flows[k] = channel->flows[k - 1];
	channel->flows[i] = (struct axl_flow){at, end, read};
	axl_ports_pass(ports, now, at, cycles, rate, 1);
	return end;
}

/* A pipe's requests run ahead of its data by no more than the memory's latency: when the next transfer may start. */
static inline uint64_t axl_pipe_next(struct axl_pipe_flows *pipe, uint64_t start, uint64_t latency,
				     struct axl_flow flow)
{
	uint64_t outstanding = 0, issue = start + AXL_T_DMA_ISSUE;
	unsigned int drop = 0;

	while (drop < pipe->count && (pipe->flows[drop].end <= start || pipe->count - drop == AXL_PIPE_FLOWS))
		drop++;
	pipe->count -= drop;
	for (unsigned int k = 0; drop && k < pipe->count; k++)
		pipe->flows[k] = pipe->flows[k + drop];
	pipe->flows[pipe->count++] = flow;
	for (unsigned int k = 0; k < pipe->count; k++) {
		uint64_t from = axl_later(pipe->flows[k].data, issue);

		outstanding += from < pipe->flows[k].end ? pipe->flows[k].end - from : 0;
	}
	for (unsigned int k = 0; k < pipe->count && outstanding > latency; k++) {
		uint64_t from = axl_later(pipe->flows[k].data, issue), excess = outstanding - latency;

		if (from >= pipe->flows[k].end)
			continue;
		if (pipe->flows[k].end - from >= excess)
			return from + excess;
		outstanding -= pipe->flows[k].end - from;
		issue = pipe->flows[k].end;
	}
	return issue;
}

/* A compute instruction's or transfer's time: the data in [@data, @end), the pipe's next instruction from @issue. */
struct axl_transfer_time {
	uint64_t data, end, issue;
};

/*
 * A transfer of @cycles data cycles at @rate that starts at @now, in a pipe whose last one ended at @pipe_end: @latency and @walks
 * page table entries, then the data through the memory's channel and into or out of the scratchpad. @turn: cycles between reading
 * and writing.
 */
static inline struct axl_transfer_time axl_transfer(struct axl_channel *channel, struct axl_ports *ports,
						    struct axl_pipe_flows *pipe, uint64_t now, uint64_t pipe_end,
						    uint64_t latency, uint64_t walks, uint64_t cycles, uint32_t rate,
						    int read, uint64_t turn)
{
	struct axl_transfer_time time;
	struct axl_flow flow;

	time.end = axl_channel_place(channel, ports, now, axl_later(now + latency + walks * AXL_T_WALK, pipe_end),
				     cycles, rate, read, turn, &time.data);
	flow.data = time.data;
	flow.end = time.end;
	flow.read = read;
	time.issue = axl_pipe_next(pipe, now, latency, flow);
	return time;
}

/* ---- page tables ---- */

/*
 * The modelled TLB and page walk caches: how many table entries the hardware would read for an access. Each command buffer starts
 * with it empty, so that a buffer costs the same cycles whatever ran before.
 */
enum { AXL_TLB_WAYS = 4, AXL_TLB_SMALL_SETS = 128, AXL_TLB_LARGE_SETS = 16, AXL_TLB_WALK_SETS = 8 };

/* @tag: page number + 1, 0: empty; @used: for least-recently-used replacement. */
struct axl_tlb_entry {
	uint64_t tag, used;
};

struct axl_tlb {
	struct axl_tlb_entry small[AXL_TLB_SMALL_SETS][AXL_TLB_WAYS];  /* 4 KiB pages */
	struct axl_tlb_entry large[AXL_TLB_LARGE_SETS][AXL_TLB_WAYS];  /* 2 MiB pages */
	struct axl_tlb_entry walk[3][AXL_TLB_WALK_SETS][AXL_TLB_WAYS]; /* tables of level 0, 1, 2 by what they map */
	uint64_t clock;
};

/* True when @page is there; it is the most recently used of its set afterwards in any case. */
static inline int axl_tlb_look_up(struct axl_tlb *tlb, struct axl_tlb_entry (*sets)[AXL_TLB_WAYS],
				  unsigned int num_sets, uint64_t page)
{
	struct axl_tlb_entry *set = sets[page % num_sets], *victim = set;

	tlb->clock++;
	for (int way = 0; way < AXL_TLB_WAYS; way++) {
		if (set[way].tag == page + 1) {
			set[way].used = tlb->clock;
			return 1;
		}
		if (set[way].used < victim->used)
			victim = &set[way];
	}
	*victim = (struct axl_tlb_entry){page + 1, tlb->clock};
	return 0;
}

/* Table entries read for an access to @va in a page of 2 MiB (@large) or 4 KiB: 0 when the TLB has it, up to 4. */
static inline unsigned int axl_tlb_access(struct axl_tlb *tlb, uint64_t va, int large)
{
	unsigned int reads = 1;
	int level = large ? 1 : 0;

	if (large ? axl_tlb_look_up(tlb, tlb->large, AXL_TLB_LARGE_SETS, va >> 21)
		  : axl_tlb_look_up(tlb, tlb->small, AXL_TLB_SMALL_SETS, va >> 12))
		return 0;
	/* A table of level n maps 2^(21 + 9n) bytes; the lowest one that is cached saves the reads above it. */
	for (; level < 3 && !axl_tlb_look_up(tlb, tlb->walk[level], AXL_TLB_WALK_SETS, va >> (21 + 9 * level)); level++)
		reads++;
	return reads;
}

#endif
