/* SPDX-License-Identifier: MIT */
/*
 * A QEMU process without a guest: its ports, memory and clock over the qtest socket, its monitor over QMP.
 *
 * The guest's RAM is a file that both sides map, so that a test sees what the device writes, and writes under the
 * device's feet, without a message. Every function fails the running cmocka test when QEMU does not answer as it
 * should; a QEMU that died is reported with the end of what it said.
 */
#ifndef TESTS_QEMU_QTEST_H
#define TESTS_QEMU_QTEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define QTEST_RAM_BYTES (64u << 20)
#define QTEST_WAIT_MS 30000 /* for what should happen at once; the machine may be busy */

struct qtest {
	pid_t pid;
	int serial, monitor; /* qtest and QMP sockets */
	char folder[64];     /* sockets, RAM, firmware, log; removed by qtest_stop() */
	uint8_t *ram;
	uint64_t next; /* RAM handed out by qtest_alloc() */
	char reply[1 << 16];
	char events[1 << 14]; /* QMP events that came while an answer was awaited */
};

/* The binary that is tested, of AXL_QEMU; NULL with a line that says so when there is none (exit with 77 then). */
const char *qtest_binary(void);
/* Start q35 with @args after the options that every test has. */
void qtest_start(struct qtest *qt, const char *args);
/* Through the monitor's quit; the exit status must be 0. */
void qtest_stop(struct qtest *qt);
/* What a QEMU that does not start says; fails when it does start. Free it. */
char *qtest_refusal(const char *args);

/* What it has printed so far, traces included; free it. */
char *qtest_log(const struct qtest *qt);
/* Of the process: what a leak would make more of. */
unsigned int qtest_threads(const struct qtest *qt);
unsigned int qtest_descriptors(const struct qtest *qt);
uint64_t qtest_cpu_ms(const struct qtest *qt); /* processor time that it has taken */

void qtest_out(struct qtest *qt, uint16_t port, uint32_t value, unsigned int size);
uint32_t qtest_in(struct qtest *qt, uint16_t port, unsigned int size);
/* One access of @size 1, 2, 4 or 8 to the machine's address space. */
uint64_t qtest_load(struct qtest *qt, uint64_t address, unsigned int size);
void qtest_store(struct qtest *qt, uint64_t address, uint64_t value, unsigned int size);
/* As above, but in whatever pieces the memory core makes of @size bytes. */
void qtest_read(struct qtest *qt, uint64_t address, void *data, size_t size);
void qtest_write(struct qtest *qt, uint64_t address, const void *data, size_t size);
/* Advance the virtual clock; timers that are due run. */
void qtest_clock_step(struct qtest *qt, uint64_t ns);

/* From here on time goes by while a test waits, @ns of the virtual clock at each look; 0: it stands. */
void qtest_walk_clock(struct qtest *qt, uint64_t ns);

/* Zeroed RAM, page aligned. */
uint64_t qtest_alloc(struct qtest *qt, uint64_t size);
void *qtest_at(struct qtest *qt, uint64_t address);

/* A QMP command (JSON); the answer's text, valid until the next one. qtest_qmp_ok() fails on an error answer. */
const char *qtest_qmp(struct qtest *qt, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *qtest_qmp_ok(struct qtest *qt, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Until event @name has come whose text holds @detail. */
void qtest_qmp_event(struct qtest *qt, const char *name, const char *detail);
/* What a human monitor's command prints, JSON-quoted as it came. */
const char *qtest_hmp(struct qtest *qt, const char *command);
/* Properties of objects. */
uint64_t qtest_qom_get(struct qtest *qt, const char *path, const char *property);
void qtest_qom_set(struct qtest *qt, const char *path, const char *property, const char *json);

/* Looks at @condition until it is true or the time is over; asserts it then. */
#define QTEST_WAIT(condition)                                        \
	do {                                                         \
		uint64_t deadline_ = qtest_now_ms() + QTEST_WAIT_MS; \
		while (!(condition) && qtest_now_ms() < deadline_)   \
			qtest_pause();                               \
		assert_true(condition);                              \
	} while (0)
uint64_t qtest_now_ms(void);
void qtest_pause(void);

#endif
