/* SPDX-License-Identifier: MIT */
/*
 * A guest out of its mind: random accesses to every surface of the function at once, from values that are likely to
 * mean something. QEMU must live, and the device must work again after an ordinary bring-up.
 *
 * Every machine has its own seed, which is printed, and a device of its own kind. AXL_TEST_SEED is the first one's,
 * AXL_TEST_ROUNDS how many bring-ups there are, or AXL_TEST_SECONDS how long it goes on. Under sanitizers: fuzz.sh.
 */
#include <limits.h>
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <axl/axl_isa.h>
#include <cmocka.h>

#include "tests/fuzz/legal_headers.h"
#include "tests/qemu/axl_rig.h"

#define STEPS 300 /* between two bring-ups */
#define NUM_RINGS 3
#define ROUNDS 5         /* of a machine */
#define CODE (32u << 20) /* RAM that the rig does not hand out: command buffers, their arguments and results */
#define TEXT_BYTES 2048  /* of fault rules */

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

static void touch_local(void)
{
	uint64_t at = axl->local + below(4 << 20);
	unsigned int size = 1u << below(4);

	if (below(2))
		qtest_store(&qt, at, likely_value(), size);
	else
		qtest_load(&qt, at, size);
}

static void give_command(void)
{
	axl_write(axl, AXL_REG_COMMAND_ARG, below(4) ? below(6) : likely_value());
	axl_write(axl, AXL_REG_COMMAND, below(8));
}

static void ring_doorbell(void)
{
	uint64_t at = below(2) ? below(4) * AXL_DOORBELL_STRIDE + 8 * below(8) : below(4 << 20) & ~7ull;

	if (!below(8))
		qtest_load(&qt, axl->doorbells + at, 1u << below(4));
	qtest_store(&qt, axl->doorbells + at, likely_value(), below(4) ? 8 : 1u << below(4));
}

/* The packet that is next, or a write index that makes no sense, and the doorbell. */
static void push(struct producer *queue, const union axl_packet *packet)
{
	memcpy(&queue->ring[below(4) ? queue->index->write % RING_SLOTS : below(RING_SLOTS)], packet, sizeof(*packet));
	__atomic_store_n(&queue->index->write, below(16) ? queue->index->write + 1 + below(4) / 3 : likely_value(),
			 __ATOMIC_RELEASE);
	qtest_store(&qt, axl->doorbells + queue->context * AXL_DOORBELL_STRIDE + 8 * queue->number, 1, 8);
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
	push(queue, &packet);
}

/* An instruction whose header is good and whose operands are anything: the checks behind the opcode are meant. */
static uint32_t write_instruction(uint8_t *at)
{
	uint64_t kind = below(NUM_LEGAL_HEADERS);
	union axl_insn insn = {.bytes = {0}};
	uint32_t bytes = legal_headers[kind].slots * AXL_SLOT_BYTES;

	/* Small numbers, mostly: sizes that fit. Semaphores seldom: nobody may ever signal them. */
	for (uint32_t i = below(8) ? 16 : 4; i < bytes; i++)
		insn.bytes[i] = below(3) ? 0 : (uint8_t)(below(3) ? below(8) : below(256));
	insn.header.reserved = 0;
	insn.header.opcode = below(64) ? legal_headers[kind].opcode : (uint8_t)below(256);
	insn.header.pipe = legal_headers[kind].pipe;
	insn.header.slots = legal_headers[kind].slots;
	memcpy(at, &insn, bytes);
	return bytes;
}

/* A command buffer, mostly well formed, and the packet that runs it. */
static void write_code(void)
{
	uint32_t slot = (uint32_t)below(4), at = sizeof(struct axl_cmdbuf);
	uint64_t base = CODE + slot * 0x10000, data = CODE + 0x100000;
	uint8_t *memory = qtest_at(&qt, base);
	struct axl_cmdbuf header = {.magic = AXL_CMDBUF_MAGIC,
				    .version = AXL_ISA_VERSION,
				    .num_tiles = (uint16_t)(1 + below(2)),
				    .num_bases = 4};
	const uint64_t bases[] = {user_va(data), LOCAL_VA, PAGE_VA, likely_value()};
	union axl_packet packet = {0};

	for (unsigned int t = 0; t < header.num_tiles; t++) {
		header.streams[t].offset = at;
		for (uint64_t i = below(12); i; i--)
			at += write_instruction(memory + at);
		memset(memory + at, 0, AXL_SLOT_BYTES);
		memory[at] = AXL_OP_END;
		memory[at + 1] = 1;
		at += AXL_SLOT_BYTES;
		header.streams[t].size = at - header.streams[t].offset;
	}
	header.size = at;
	memcpy(memory, &header, sizeof(header));
	if (!below(8))
		((uint64_t *)(void *)memory)[below(at / 8)] = likely_value();
	memcpy(qtest_at(&qt, data + 0x80000), bases, sizeof(bases));
	packet.execute = (struct axl_packet_execute){
		.header.opcode = AXL_PKT_EXECUTE,
		.header.flags = (uint8_t)below(2),
		.cmdbuf = user_va(base),
		.args = user_va(data + 0x80000),
		.size = at,
		.stats = below(4) ? user_va(data + 0x90000) : likely_value() & ~7ull,
		.trace = user_va(data + 0xa0000),
		.trace_size = (uint32_t)below(64) * (uint32_t)sizeof(struct axl_trace_record),
	};
	push(&queues[below(NUM_RINGS)], &packet);
}

/* A descriptor that may well be taken, and the command that reads it. */
static void write_descriptor(void)
{
	uint32_t number = (uint32_t)below(RIG_CONTEXTS);

	if (below(2)) {
		axl->contexts[number] = (struct axl_context_desc){
			.valid = (uint32_t)below(2),
			.page_table = below(2) ? axl->contexts[below(2)].page_table : likely_value() & ~4095ull,
			.status = below(2) ? axl->contexts[below(2)].status : likely_value() & ~4095ull};
		axl_write(axl, AXL_REG_COMMAND_ARG, number);
		axl_write(axl, AXL_REG_COMMAND, AXL_CMD_CONTEXT_UPDATE);
		return;
	}
	axl->queues[number] = (struct axl_queue_desc){.valid = 1,
						      .context = (uint32_t)below(3),
						      .slot = (uint32_t)below(6),
						      .slots = 1u << below(20),
						      .ring = axl->queues[below(NUM_RINGS)].ring,
						      .index = below(4) ? axl->queues[below(NUM_RINGS)].index
									: likely_value() & ~4095ull,
						      .priority = (uint32_t)below(AXL_NUM_PRIORITIES + 1),
						      .timeslice = (uint32_t)below(3),
						      .flags = (uint32_t)below(3),
						      .watchdog = (uint32_t)below(100)};
	axl_write(axl, AXL_REG_COMMAND_ARG, number);
	axl_write(axl, AXL_REG_COMMAND, below(2) ? AXL_CMD_QUEUE_START : AXL_CMD_QUEUE_RESET);
}

/* An entry of any level that makes some sense. */
static void write_entry(void)
{
	uint64_t root = axl->contexts[below(2)].page_table & AXL_PTE_ADDR, *table, entry;

	entry = (likely_value() & AXL_PTE_ADDR) | (below(64) & ~(below(2) ? 0ull : AXL_PTE_LEAF)) | AXL_PTE_VALID;
	if (below(3) || root >= QTEST_RAM_BYTES) {
		axl->pages[below(2)][below(8)] = entry;
		return;
	}
	table = qtest_at(&qt, root);
	for (uint64_t level = below(3); level; level--) {
		uint64_t next = table[below(AXL_TABLE_ENTRIES)] & AXL_PTE_ADDR;

		if (next && next < QTEST_RAM_BYTES)
			table = qtest_at(&qt, next);
	}
	__atomic_store_n(&table[below(AXL_TABLE_ENTRIES)], entry, __ATOMIC_RELAXED);
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

	switch (below(8)) {
	case 0: /* anything, anywhere */
		cap = (uint16_t)below(4096);
		if (below(2))
			axl_config(axl, cap & ~3u, 4);
		else
			axl_set_config(axl, cap & ~3u, (uint32_t)likely_value(), 4);
		break;
	case 3: /* to D3hot and back, or not */
		cap = (uint16_t)(axl_capability(axl, PCI_CAP_ID_PM) + PCI_PM_CTRL);
		axl_set_config(axl, cap, 3, 2);
		if (below(4))
			axl_set_config(axl, cap, 0, 2);
		break;
	case 4:
		cap = axl_capability(axl, PCI_CAP_ID_EXP);
		axl_set_config(axl, (uint16_t)(cap + PCI_EXP_DEVCTL), PCI_EXP_DEVCTL_BCR_FLR, 2);
		break;
	case 5:
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
	uint64_t at = below(4) ? below(16 * AXL_NUM_VECTORS) : below(4096);

	if (below(4))
		qtest_store(&qt, axl->msix + (at & ~3ull), likely_value(), 4);
	else
		qtest_load(&qt, axl->msix + at, 1u << below(4));
}

/* Words of the language of fault rules, and others, in an order that may be right. */
static void speak(char *text)
{
	static const char *const words[] = {"site=",
					    "action=",
					    "queue=",
					    "vector=",
					    "address=",
					    "nth=",
					    "probability=",
					    "count=",
					    "delay=",
					    "value=",
					    "msix",
					    "fetch",
					    "aer",
					    "packet",
					    "pipe",
					    "retire",
					    "reset",
					    "invalidate",
					    "map",
					    "read",
					    "drop",
					    "delay",
					    "duplicate",
					    "corrupt",
					    "hang",
					    "wrong",
					    "slow",
					    "fail",
					    "refuse",
					    "ones",
					    "link-down",
					    "fatal",
					    "nonfatal",
					    "correctable",
					    "0",
					    "1",
					    "-1",
					    "0x10",
					    "99",
					    "18446744073709551615",
					    "18446744073709551616",
					    "1e9",
					    " ",
					    "=",
					    ",",
					    ";",
					    "%s%n",
					    "\\u00e9",
					    "\\\"",
					    "\\t"};
	size_t used = 0;
	uint64_t count = below(8) ? below(24) : 400;

	text[0] = 0;
	for (uint64_t i = 0; i < count && used < TEXT_BYTES - 32; i++) {
		/* Mostly key, word, comma or semicolon. */
		size_t from = below(6) ? (i % 3 == 0 ? 0 : i % 3 == 1 ? 10 : 44) : 0;
		size_t to = from == 44 ? 46 : from == 10 ? 40 : sizeof(words) / sizeof(words[0]);
		const char *word = words[from + below((from ? to : below(2) ? 10 : to) - from)];

		used += (size_t)snprintf(text + used, TEXT_BYTES - used, "%s", word);
	}
}

static void inject_text(void)
{
	char text[TEXT_BYTES];

	speak(text);
	/* Taken or refused: an answer comes in any case. */
	qtest_qmp(&qt,
		  "{\"execute\":\"qom-set\",\"arguments\":{\"path\":\"%s\",\"property\":\"fault-rules\",\"value\":\"%"
		  "s\"}}",
		  RIG_PATH, text);
	qtest_qmp_ok(&qt, "{'execute':'qom-get','arguments':{'path':'%s','property':'fault-rules'}}", RIG_PATH);
}

/* What somebody at the monitor may do to the machine. */
static void disturb(void)
{
	static const char *const errors[] = {"INTN", "POISON_TLP", "MALF_TLP", "COMP_TIME", "BAD_TLP", "RCVR"};
	char text[64];

	switch (below(4)) {
	case 0:
		qtest_qmp_ok(&qt, "{'execute':'%s'}", below(2) ? "stop" : "cont");
		break;
	case 1:
		qtest_qmp_ok(&qt, "{'execute':'system_reset'}");
		qtest_qmp_event(&qt, "RESET", "");
		break;
	case 2:
		snprintf(text, sizeof(text), "pcie_aer_inject_error npu %s", errors[below(6)]);
		qtest_hmp(&qt, text);
		break;
	default:
		snprintf(text, sizeof(text), "%u", (unsigned int)below(1u << 31));
		qtest_qom_set(&qt, RIG_PATH, "fault-seed", text);
	}
}

static void inject(void)
{
	static const char *const rules[] = {
		"site=msix,action=drop,probability=50",
		"site=msix,action=delay,probability=50,delay=10",
		"site=msix,action=duplicate,delay=10",
		"site=fetch,action=corrupt,probability=20",
		"site=packet,action=hang,probability=10",
		"site=pipe,action=hang,probability=50",
		"site=map,action=refuse,probability=20",
		"site=map,action=wrong,probability=10",
		"site=retire,action=wrong,count=1",
		"site=reset,action=slow,delay=2000",
		"site=reset,action=fail,count=1",
		"site=invalidate,action=drop,probability=50",
		"site=read,action=ones,probability=20",
		"site=read,action=link-down,nth=3",
		"site=aer,action=fatal,probability=10",
		"site=aer,action=nonfatal,probability=10",
		"site=aer,action=correctable",
		"",
	};

	axl_set_rules(&qt, rules[below(sizeof(rules) / sizeof(rules[0]))]);
}

static void step(void)
{
	/* How often of a hundred, about. */
	static const struct {
		unsigned int weight;
		void (*act)(void);
	} acts[] = {{3, inject},          {2, inject_text},  {2, disturb},          {6, configure},
		    {6, touch_msix},      {8, give_command}, {8, ring_doorbell},    {14, scribble},
		    {18, write_packet},   {10, write_code},  {4, write_descriptor}, {4, write_entry},
		    {12, touch_register}, {4, touch_local}};
	uint64_t number;

	if (!below(40))
		qtest_qom_set(&qt, RIG_PATH, "link", below(3) ? "true" : "false");
	if (!below(20))
		qtest_clock_step(&qt, below(1000000));
	number = below(101);
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		if (number < acts[i].weight) {
			acts[i].act();
			return;
		}
		number -= acts[i].weight;
	}
}

/* ---- and back to order ---- */

static void bring_up(void)
{
	uint16_t power;

	qtest_qmp_ok(&qt, "{'execute':'cont'}");
	axl_set_rules(&qt, "");
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

static const char *const kinds[] = {"", ",deterministic=on", ",target=axl-pro,tiles=2,race-check=on",
				    ",timing=off,spin-us=0"};

/* One machine; what happens to it follows from @seed alone, but for the device's threads. */
static unsigned long run_machine(uint64_t seed, unsigned long rounds, uint64_t deadline)
{
	const char *kind = kinds[seed % (sizeof(kinds) / sizeof(kinds[0]))];
	unsigned long round = 0;

	printf("AXL_TEST_SEED=%llu%s\n", (unsigned long long)seed, kind);
	fflush(stdout);
	random_state = seed * 0x9e3779b97f4a7c15ull | 1;
	axl_start(axl, &qt, kind);
	first_free = qt.next;
	bring_up();
	while (round < rounds && qtest_now_ms() < deadline) {
		for (int i = 0; i < STEPS; i++)
			step();
		bring_up();
		round++;
	}
	qtest_stop(&qt);
	*axl = (struct axl){0};
	return round;
}

static void it_survives_and_works_again(void **state)
{
	const char *first = getenv("AXL_TEST_SEED"), *rounds = getenv("AXL_TEST_ROUNDS"),
		   *seconds = getenv("AXL_TEST_SECONDS");
	unsigned long limit = rounds ? strtoul(rounds, NULL, 0) : seconds ? ULONG_MAX : 20, done = 0;
	uint64_t deadline = seconds ? qtest_now_ms() + strtoull(seconds, NULL, 0) * 1000 : UINT64_MAX;
	uint64_t seed = first ? strtoull(first, NULL, 0) : 0;

	(void)state;
	while (done < limit && qtest_now_ms() < deadline)
		done += run_machine(seed++, limit - done < ROUNDS ? limit - done : ROUNDS, deadline);
	printf("%lu rounds of %d steps\n", done, STEPS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(it_survives_and_works_again)};

	if (!qtest_binary())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
