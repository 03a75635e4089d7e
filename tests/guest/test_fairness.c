/* SPDX-License-Identifier: MIT */
/*
 * Whose the tiles are when everybody wants them: contexts of equal priority get equal shares of the device's cycles, whatever
 * the length of their command buffers, a higher priority goes first, and who breaks the rules takes nothing from the others. What is
 * compared is cycles of the model, as the device counts them for each queue (status.busy_cycles), never time of the host.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "check.h"

#define CONTEXTS 4
#define SLICE 16 /* of 1024 cycles */

/* What a context runs, again and again. */
struct load {
	struct guest guest;
	struct guest_program program;
	uint32_t rounds;
	uint64_t begin, now; /* its busy cycles */
};

static void load_create(struct load *load, uint32_t rounds, uint32_t priority)
{
	const struct guest_options options = {.slots = 1024, .timeslice = SLICE, .priority = priority};

	*load = (struct load){.rounds = rounds};
	assert_int_equal(guest_create(&load->guest, &options), 0);
	guest_program_work(&load->program, rounds);
	memcpy(load->guest.code_bo.data, load->program.bytes, load->program.size);
}

static void load_destroy(struct load *load)
{
	assert_int_equal(guest_status(&load->guest)->state, AXL_QUEUE_RUNNING);
	assert_int_equal(guest_destroy(&load->guest), 0);
}

/* The ring is full when this returns. */
static void keep_full(struct load *load)
{
	struct guest *guest = &load->guest;
	uint64_t retired = __atomic_load_n(&guest_status(guest)->retired, __ATOMIC_ACQUIRE);

	if (guest->head - retired == guest->slots)
		return;
	while (guest->head - retired < guest->slots)
		guest_execute(guest, GUEST_CODE, load->program.size);
	guest_submit(guest);
}

static uint64_t busy(const struct load *load)
{
	return __atomic_load_n(&guest_status(&load->guest)->busy_cycles, __ATOMIC_RELAXED);
}

/*
 * All of them at work, until together they had @cycles; how much each had of it. The device tells busy cycles when a packet
 * ends: it begins and ends when one of the longest packets does, so that none of those counts by half.
 */
static void run_all(struct load *loads, unsigned int count, uint64_t cycles, uint64_t *shares)
{
	int64_t deadline = guest_in(120 * SECOND);
	unsigned int longest = 0;
	bool measuring = false;
	uint64_t sum = 0, last;

	for (unsigned int c = 1; c < count; c++)
		longest = loads[c].rounds >= loads[longest].rounds ? c : longest;
	for (last = busy(&loads[longest]);; last = loads[longest].now) {
		bool ended, all = true;

		for (unsigned int c = 0; c < count; c++) {
			keep_full(&loads[c]);
			all = all && busy(&loads[c]);
		}
		loads[longest].now = busy(&loads[longest]);
		ended = loads[longest].now != last;
		sum = 0;
		for (unsigned int c = 0; c < count; c++) {
			loads[c].now = c == longest ? loads[c].now : busy(&loads[c]);
			if (ended && !measuring)
				loads[c].begin = loads[c].now;
			shares[c] = loads[c].now - loads[c].begin;
			sum += shares[c];
		}
		if (ended && measuring && sum >= cycles)
			return;
		measuring = measuring || (ended && all);
		if (guest_now() > deadline)
			fail_msg("after two minutes %llu of %llu cycles", (unsigned long long)sum,
				 (unsigned long long)cycles);
	}
}

static void shares_are_equal(const char *name, const uint32_t *rounds, unsigned int count)
{
	struct load loads[CONTEXTS];
	uint64_t shares[CONTEXTS], sum = 0;
	double worst = 0;

	for (unsigned int c = 0; c < count; c++)
		load_create(&loads[c], rounds[c], 0);
	/* Two hundred slices each: the end of the last one is half a percent. */
	run_all(loads, count, 200ull * SLICE * 1024 * count, shares);
	for (unsigned int c = 0; c < count; c++)
		sum += shares[c];
	for (unsigned int c = 0; c < count; c++) {
		double off = (double)shares[c] * count / (double)sum - 1;

		worst = off > worst ? off : -off > worst ? -off : worst;
	}
	printf("figure %s: %u contexts, at most %.2f %% from an equal share of %llu cycles\n", name, count, worst * 100,
	       (unsigned long long)sum);
	for (unsigned int c = 0; c < count; c++)
		load_destroy(&loads[c]);
	assert_true(worst < 0.05);
}

static void equal_contexts_get_equal_shares(void **state)
{
	const uint32_t rounds[CONTEXTS] = {64, 64, 64, 64};

	(void)state;
	shares_are_equal("equal work", rounds, 2);
	shares_are_equal("equal work", rounds, CONTEXTS);
}

/* Time slices, not packets, are shared out: a buffer of many slices gives way at its YIELDs, short ones fill a slice up. */
static void long_buffers_get_no_more_than_short_ones(void **state)
{
	const uint32_t rounds[CONTEXTS] = {4, 512, 16, 25};

	(void)state;
	shares_are_equal("long beside short", rounds, 2);
	shares_are_equal("long beside short", rounds, CONTEXTS);
}

/* Its buffer is done while the one that was before it is not. */
static void a_higher_priority_does_not_wait_for_a_lower(void **state)
{
	struct load low, high;

	(void)state;
	load_create(&low, 4096, 0);
	load_create(&high, 64, 3);
	for (int i = 0; i < 20; i++) {
		uint64_t retired;

		keep_full(&low);
		guest_sleep(i % 5 * MILLISECOND);
		guest_execute(&high.guest, GUEST_CODE, high.program.size);
		retired = guest_status(&low.guest)->retired;
		assert_int_equal(guest_wait(&high.guest, guest_submit(&high.guest), 20 * SECOND), 0);
		/* The packet that ran may have been at its end. */
		assert_true(guest_status(&low.guest)->retired <= retired + 1);
	}
	load_destroy(&high);
	load_destroy(&low);
}

static void a_higher_priority_takes_all_it_can_use(void **state)
{
	struct load loads[2];
	uint64_t shares[2];

	(void)state;
	load_create(&loads[0], 64, 0);
	load_create(&loads[1], 64, 1);
	/* The lower one has its first turn alone: beside the other it might wait for it for ever. */
	keep_full(&loads[0]);
	assert_int_equal(guest_wait(&loads[0].guest, 1, 20 * SECOND), 0);
	run_all(loads, 2, 400ull * SLICE * 1024, shares);
	printf("figure a higher priority: %.2f %% of the cycles\n",
	       100. * (double)shares[1] / (double)(shares[0] + shares[1]));
	/* Between two packets of a queue there is a moment in which it wants nothing. */
	assert_true(shares[1] > 19 * shares[0]);
	for (int c = 0; c < 2; c++)
		load_destroy(&loads[c]);
}

/* ---- a neighbour that behaves badly ---- */

#define STREAM_PACKETS 100

/* Faults of every kind that a ring can have, one after the other, and doorbells all the time; *strikes counts them. */
static int be_hostile(volatile unsigned long *strikes)
{
	struct guest guest;

	if (guest_create(&guest, NULL))
		return 1;
	for (;; ++*strikes) {
		uint64_t head = guest.head;

		switch (*strikes % 3) {
		case 0: /* an index that lies */
			__atomic_store_n(&guest.index->write, head + guest.slots + 1, __ATOMIC_RELEASE);
			break;
		case 1: /* a packet that is none */
			memset(guest_next(&guest), 0xff, sizeof(union axl_packet));
			guest_submit(&guest);
			break;
		default: /* one that changes after its doorbell, to an address that nobody has */
			guest_fill(&guest, GUEST_SCRATCH, 0, 64);
			guest_submit(&guest);
			guest.ring[(guest.head - 1) & (guest.slots - 1)].fill.dst = GUEST_NOWHERE;
			guest_fill(&guest, GUEST_NOWHERE, 0, 64);
			guest_submit(&guest);
		}
		for (int i = 0; i < 1000; i++)
			guest_ring(&guest);
		guest_poll(&guest, ~0ull, 20 * SECOND);
		guest.head = head;
		__atomic_store_n(&guest.index->write, head, __ATOMIC_RELEASE);
		if (guest_reset(&guest))
			return 2;
	}
}

/* Cycles of the device, from the end of one packet of @load to that of the STREAM_PACKETS-th after it. */
static uint64_t stream_cycles(struct load *load)
{
	struct guest *guest = &load->guest;
	const uint64_t *stamps = guest_at(guest, GUEST_SCRATCH);

	guest_execute(guest, GUEST_CODE, load->program.size);
	guest_timestamp(guest, GUEST_SCRATCH);
	for (int i = 0; i < STREAM_PACKETS; i++)
		guest_execute(guest, GUEST_CODE, load->program.size);
	guest_timestamp(guest, GUEST_SCRATCH + 8);
	assert_int_equal(guest_wait(guest, guest_submit(guest), 120 * SECOND), 0);
	return stamps[1] - stamps[0];
}

static void a_hostile_neighbour_costs_little(void **state)
{
	volatile unsigned long *strikes =
		mmap(NULL, sizeof(*strikes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t alone, beside = 0;
	unsigned long before;
	struct load load;
	int pid;

	(void)state;
	assert_true((void *)strikes != MAP_FAILED);
	load_create(&load, 64, 0);
	alone = stream_cycles(&load);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(be_hostile(strikes));
	}
	for (int64_t deadline = guest_in(20 * SECOND); *strikes < 3;)
		assert_true(guest_now() < deadline);
	before = *strikes;
	for (int i = 0; i < 5 || (*strikes < before + 3 && i < 200); i++) {
		uint64_t cycles = stream_cycles(&load);

		beside = cycles > beside ? cycles : beside;
	}
	printf("figure a hostile neighbour: %lu faults and resets of its queue, at most %.2f %% more cycles for the "
	       "same packets\n",
	       *strikes - before, 100. * ((double)beside / (double)alone - 1));
	assert_true(*strikes >= before + 3);
	kill(pid, SIGKILL);
	assert_int_equal(guest_reap(pid, 20 * SECOND), -EINTR);
	munmap((void *)strikes, sizeof(*strikes));
	load_destroy(&load);
	assert_true((double)beside <= 1.1 * (double)alone);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHECK(equal_contexts_get_equal_shares),
		CHECK(long_buffers_get_no_more_than_short_ones),
		CHECK(a_higher_priority_does_not_wait_for_a_lower),
		CHECK(a_higher_priority_takes_all_it_can_use),
		CHECK(a_hostile_neighbour_costs_little),
	};

	return check_run("fairness", tests, NULL, NULL);
}
