/* SPDX-License-Identifier: MIT */
/* Counts by operator: where its nodes ran. */
#ifndef TESTS_CONFORMANCE_TABLE_H
#define TESTS_CONFORMANCE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct table_row {
	char name[96];
	size_t device, cpu;
	char reason[256]; /* why on the CPU: of the last node */
};

struct table {
	struct table_row *rows;
	size_t count;
};

/* Out of memory loses the count, not the test. */
void table_add(struct table *table, const char *name, bool device, const char *reason);
/* By name: nodes on the device, nodes on the CPU, the last reason. */
void table_print(struct table *table, FILE *out);
void table_finish(struct table *table);

#endif
