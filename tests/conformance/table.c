/* SPDX-License-Identifier: MIT */
/* See table.h. */
#include "tests/conformance/table.h"

#include <stdlib.h>
#include <string.h>

void table_add(struct table *table, const char *name, bool device, const char *reason)
{
	struct table_row *row = NULL, *grown;

	for (size_t i = 0; i < table->count && !row; i++)
		if (!strcmp(table->rows[i].name, name))
			row = &table->rows[i];
	if (!row) {
		grown = realloc(table->rows, (table->count + 1) * sizeof(*grown));
		if (!grown)
			return;
		table->rows = grown;
		row = &grown[table->count++];
		memset(row, 0, sizeof(*row));
		snprintf(row->name, sizeof(row->name), "%s", name);
	}
	row->device += device;
	row->cpu += !device;
	if (!device)
		snprintf(row->reason, sizeof(row->reason), "%s", reason);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct table_row *)a)->name, ((const struct table_row *)b)->name);
}

void table_print(struct table *table, FILE *out)
{
	if (table->count)
		qsort(table->rows, table->count, sizeof(*table->rows), by_name);
	fprintf(out, "%-36s %8s %8s  %s\n", "operator", "device", "CPU", "why on the CPU (of the last node)");
	for (size_t i = 0; i < table->count; i++)
		fprintf(out, "%-36s %8zu %8zu  %s\n", table->rows[i].name, table->rows[i].device, table->rows[i].cpu,
			table->rows[i].reason);
}

void table_finish(struct table *table)
{
	free(table->rows);
	*table = (struct table){0};
}
