/* SPDX-License-Identifier: MIT */
/*
 * A guest out of its mind: random accesses to every surface of the function at once, from values that are likely to
 * mean something. QEMU must live, and the device must work again after an ordinary bring-up.
 *
 * AXL_TEST_SEED and AXL_TEST_ROUNDS choose another course and a longer one; the seed is printed.
 */
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <axl/axl_isa.h>
#include <cmocka.h>

#include "tests/qemu/axl_rig.h"

#define STEPS 300 /* between two bring-ups */
#define NUM_RINGS 3

static struct qtest qt;
static struct axl the_axl;
static struct axl *axl = &the_axl;
static struct producer queues[NUM_RINGS];
static uint64_t random_state, first_free;

static uint64_t next_random(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * 0x2545f4914f6cdd1dull;
}

static uint64_t below(uint64_t limit)
{
	return (next_random() >> 16) % limit;
}

/* Something that may be an address, a size, a number or nothing. */
static uint64_t likely_value(void)
{
	const uint64_t bases[] = {0,          first_free, QTEST_RAM_BYTES,      axl->regs, axl->msix, axl->doorbells,
				  axl->local, USER_VA,    USER_VA + first_free, LOCAL_VA,  PAGE_VA,   0xfee00000};

	switch (below(6)) {
	case 0:
		return below(20);
	case 1:
		return 1ull << below(64);
	case 2:
		return ~0ull << below(64);
	case 3:
		return next_random();
	default:
		return bases[below(sizeof(bases) / sizeof(bases[0]))] + (below(2) ? below(1 << 20) & ~63ull : 0);
	}
}

/* ---- one step each ---- */

static void touch_register(void)
{
	static const uint16_t offsets[] = {
#define OFFSET(name, offset, bits, access, text) offset,
		AXL_REGS(OFFSET)
#undef OFFSET
	};
	uint64_t at = below(4) ? offsets[below(sizeof(offsets) / sizeof(offsets[0]))] : below(AXL_BAR0_BYTES);
	unsigned int size = 1u << (below(4) ? 2 + below(2) : below(4));

	if (below(3))
		qtest_store(&qt, axl->regs + at, likely_value(), size);
	else
		qtest_load(&qt, axl->regs + at, size);
}

static void give_command(void)
{
	axl_write(axl, AXL_REG_COMMAND_ARG, below(4) ? below(6) : likely_value());
	axl_write(axl, AXL_REG_COMMAND, below(8));
}

static void ring_doorbell(void)
{
	uint64_t at = below(2) ? below(4) * AXL_DOORBELL_STRIDE + 8 * below(8) : below(4 << 20) & ~7ull;

	qtest_store(&qt, axl->doorbells + at, likely_value(), below(4) ? 8 : 1u << below(4));
}

static void write_packet(void)
{
	struct producer *queue = &queues[below(NUM_RINGS)];
	union axl_packet packet = {0};
	uint64_t words[8];

	for (int i = 0; i < 8; i++)
		words[i] = below(3) ? likely_value() : 0;
	memcpy(&packet, words, sizeof(packet));
	packet.header =
		(struct axl_packet_header){.opcode = (uint8_t)below(AXL_NUM_PACKETS + 1), .flags = (uint8_t)below(2)};
	/* Mostly such that it gets past the checks. */
	if (packet.header.opcode == AXL_PKT_FILL || packet.header.opcode == AXL_PKT_COPY) {
		memset(&packet.bytes[32], 0, 32);
		packet.copy.size &= 0xffffc;
	}
	if (packet.header.opcode == AXL_PKT_WAIT || packet.header.opcode == AXL_PKT_SIGNAL)
		memset(&packet.bytes[24], 0, 40);
	memcpy(&queue->ring[below(RING_SLOTS)], &packet, sizeof(packet));
	__atomic_store_n(&queue->index->write, below(8) ? queue->index->write + below(RING_SLOTS) : likely_value(),
			 __ATOMIC_RELEASE);
	qtest_store(&qt, axl->doorbells + queue->context * AXL_DOORBELL_STRIDE + 8 * queue->number, 1, 8);
}

static void scribble(void)
{
	uint64_t *targets[] = {(uint64_t *)axl->contexts + below(16),
			       (uint64_t *)axl->queues + below(32),
			       axl->pages[below(2)] + below(8),
			       (uint64_t *)axl->status[below(2)] + below(24),
			       (uint64_t *)(void *)queues[below(NUM_RINGS)].ring + below(8 * RING_SLOTS),
			       qtest_at(&qt, first_free + (below((4 << 20) - 8) & ~7ull))};

	__atomic_store_n(targets[below(6)], likely_value(), __ATOMIC_RELAXED);
}

static void configure(void)
{
	static const uint16_t capabilities[] = {PCI_CAP_ID_MSIX, PCI_CAP_ID_EXP, PCI_CAP_ID_PM};
	uint16_t cap;

	switch (below(5)) {
	case 0:
		axl_set_config(axl, PCI_COMMAND, (uint32_t)below(8), 2);
		break;
	case 1: /* somewhere else, or nowhere */
		axl_set_config(axl, (uint16_t)(PCI_BASE_ADDRESS_0 + 4 * below(6)),
			       (uint32_t)(below(2) ? 0xc0000000 + (below(32) << 20) : ~0u), 4);
		break;
	case 2:
		axl_set_config(axl, (uint16_t)(0x100 + below(0x48)), (uint32_t)likely_value(), 1u << below(3));
		break;
	default:
		cap = axl_capability(axl, (uint8_t)capabilities[below(3)]);
		if (cap && cap < 0xf0)
			axl_set_config(axl, (uint16_t)(cap + (below(12) & ~1ull)), (uint32_t)likely_value(), 2);
	}
}

static void touch_msix(void)
{
	qtest_store(&qt, axl->msix + (below(4096) & ~3ull), likely_value(), 4);
}

static void inject(void)
{
	static const char *const rules[] = {
		"site=msix,action=drop,probability=50",       "site=msix,action=delay,probability=50,delay=10",
		"site=msix,action=duplicate,delay=10",        "site=fetch,action=corrupt,probability=20",
		"site=packet,action=hang,probability=10",     "site=pipe,action=hang,probability=50",
		"site=map,action=refuse,probability=20",      "site=retire,action=wrong,count=1",
		"site=reset,action=slow,delay=2000",          "site=reset,action=fail,count=1",
		"site=invalidate,action=drop,probability=50", "site=read,action=ones,probability=20",
		"site=read,action=link-down,nth=3",           "",
	};
	char json[96];

	snprintf(json, sizeof(json), "'%s'", rules[below(sizeof(rules) / sizeof(rules[0]))]);
	qtest_qom_set(&qt, RIG_PATH, "fault-rules", json);
}

static void step(void)
{
	switch (below(40)) {
	case 0:
		qtest_qom_set(&qt, RIG_PATH, "link", below(3) ? "true" : "false");
		break;
	case 1:
	case 2:
		inject();
		break;
	case 3:
	case 4:
		qtest_clock_step(&qt, below(1000000));
		break;
	case 5 ... 7:
		configure();
		break;
	case 8 ... 10:
		touch_msix();
		break;
	case 11 ... 15:
		give_command();
		break;
	case 16 ... 19:
		ring_doorbell();
		break;
	case 20 ... 25:
		scribble();
		break;
	case 26 ... 32:
		write_packet();
		break;
	default:
		touch_register();
	}
}

/* ---- and back to order ---- */

static void bring_up(void)
{
	uint16_t power;

	qtest_qom_set(&qt, RIG_PATH, "fault-rules", "''");
	qtest_qom_set(&qt, RIG_PATH, "link", "true");
	power = (uint16_t)(axl_capability(axl, PCI_CAP_ID_PM) + PCI_PM_CTRL);
	axl_set_config(axl, power, 0, 2);
	axl_set_config(axl, (uint16_t)(axl_capability(axl, PCI_CAP_ID_EXP) + PCI_EXP_DEVCTL), PCI_EXP_DEVCTL_BCR_FLR,
		       2);
	/* All that the device could reach is anew. */
	qt.next = first_free;
	axl_attach(axl, &qt, 0, 0, 4 << 3);
	axl_bring_up(axl);
	axl_context(axl, 0);
	axl_context(axl, 1);
	for (unsigned int i = 0; i < NUM_RINGS; i++) {
		queues[i] = axl_queue(axl, i, i & 1, 0, 100);
		axl_assert_works(&queues[i]);
	}
}

static void it_survives_and_works_again(void **state)
{
	const char *seed = getenv("AXL_TEST_SEED"), *rounds = getenv("AXL_TEST_ROUNDS");
	unsigned long count = rounds ? strtoul(rounds, NULL, 0) : 20;

	(void)state;
	random_state = seed ? strtoull(seed, NULL, 0) : 1;
	printf("AXL_TEST_SEED=%llu\n", (unsigned long long)random_state);
	random_state = random_state * 0x9e3779b97f4a7c15ull | 1;
	axl_start(axl, &qt, "");
	first_free = qt.next;
	bring_up();
	for (unsigned long round = 0; round < count; round++) {
		for (int i = 0; i < STEPS; i++)
			step();
		bring_up();
	}
	qtest_stop(&qt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(it_survives_and_works_again)};

	if (!qtest_binary())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
