/* SPDX-License-Identifier: MIT */
/*
 * How much a network's cycles depend on each parameter of the timing: every one in turn is made twice as bad, a rate halved, a cost
 * doubled, and the same code takes so many per cent longer.
 *	sensitivity MODEL...	a Markdown table, a column a network, target and precision (TARGETS, PRECISIONS choose)
 * It times the finished code with the compiler's estimate, built here with the parameters as variables; the estimate agrees with
 * the device to the cycle (tests/bench/estimate.sh), so the device would say the same. Nothing is compiled again for the worse
 * parameters: a compiler that knew of them might hide a part.
 */
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <axl/axl_timing.h>

#include "compiler/compiler.h"
#include "compiler/report/region_estimate.h"

#define VARIABLE(name, value, kind, text) uint32_t AXL_T_##name = value;
AXL_TIMINGS(VARIABLE)

enum kind { RATE, COST };

static struct target target;

static const struct parameter {
	const char *name;
	uint32_t *value;
	enum kind kind;
	const char *text;
} parameters[] = {
#define ROW(name, value, kind, text) {"AXL_T_" #name, &AXL_T_##name, kind, text},
	AXL_TIMINGS(ROW){"MEM_RATE", &target.dram_rate, RATE, "bytes a cycle of local memory"},
	{"MEM_LATENCY", &target.dram_latency, COST, "cycles to local memory"},
	{"SPAD_BANKS", &target.spad_banks, RATE, "banks of a scratchpad"},
};

#define NUM_PARAMETERS (sizeof(parameters) / sizeof(parameters[0]))
#define MAX_COLUMNS 32

struct column {
	char name[64];
	uint64_t cycles;
	double change[NUM_PARAMETERS]; /* per cent */
};

static uint64_t network_cycles(const struct axm *axm)
{
	uint64_t cycles = 0;

	for (uint32_t r = 0; r < axm->num_regions; r++) {
		struct estimate estimate;

		if (!axm->regions[r].device)
			continue;
		if (region_estimate(axm, r, &target, &estimate)) {
			fprintf(stderr, "sensitivity: out of memory\n");
			exit(1);
		}
		cycles += estimate.cycles;
		estimate_finish(&estimate);
	}
	return cycles;
}

static int measure(const char *path, const char *target_name, int precision, struct column *column)
{
	struct compile_options options = {
		.target = target_name, .precision = (enum compile_precision)precision, .seed = 1};
	struct compile_result result;
	struct axm axm;
	char error[512], copy[512];
	uint64_t compiled = 0;
	int err = compile_file(path, &options, &result, error, sizeof(error));

	if (!err)
		err = axm_open_bytes(result.bytes, result.size, &axm, error, sizeof(error));
	if (err) {
		fprintf(stderr, "sensitivity: %s\n", error);
		return err;
	}
	target = *target_find(target_name);
	for (uint32_t r = 0; r < axm.num_regions; r++)
		compiled += axm.regions[r].cycles;
	column->cycles = network_cycles(&axm);
	if (column->cycles != compiled) {
		fprintf(stderr, "sensitivity: %s takes %llu cycles here, %llu for the compiler\n", path,
			(unsigned long long)column->cycles, (unsigned long long)compiled);
		err = -1;
	}
	for (size_t p = 0; p < NUM_PARAMETERS && !err; p++) {
		uint32_t value = *parameters[p].value;

		*parameters[p].value = parameters[p].kind == RATE ? value / 2 : value * 2;
		column->change[p] = 100.0 * ((double)network_cycles(&axm) / (double)column->cycles - 1);
		*parameters[p].value = value;
	}
	snprintf(copy, sizeof(copy), "%s", path);
	snprintf(column->name, sizeof(column->name), "%.30s %s %s", strtok(basename(copy), "."), target_name + 4,
		 precision == COMPILE_INT8 ? "int8" : "fp16");
	axm_close(&axm);
	compile_result_finish(&result);
	return err;
}

static int chosen(const char *variable, const char *name)
{
	const char *list = getenv(variable);

	return !list || strstr(list, name) != NULL;
}

static void print_table(const struct column *columns, int count)
{
	printf("| parameter |");
	for (int c = 0; c < count; c++)
		printf(" %s |", columns[c].name);
	printf("\n|---|");
	for (int c = 0; c < count; c++)
		printf("---|");
	printf("\n| cycles |");
	for (int c = 0; c < count; c++)
		printf(" %llu |", (unsigned long long)columns[c].cycles);
	for (size_t p = 0; p < NUM_PARAMETERS; p++) {
		printf("\n| `%s` %s |", parameters[p].name, parameters[p].kind == RATE ? "halved" : "doubled");
		for (int c = 0; c < count; c++)
			printf(" %+.1f |", columns[c].change[p]);
	}
	printf("\n");
}

int main(int argc, char **argv)
{
	static const char *const targets[] = {"axl-edge", "axl-pro"};
	static const struct {
		const char *name;
		int value;
	} precisions[] = {{"int8", COMPILE_INT8}, {"fp16", COMPILE_F16}};
	struct column columns[MAX_COLUMNS];
	int count = 0;

	if (argc < 2) {
		fprintf(stderr, "usage: sensitivity MODEL...\n");
		return 2;
	}
	for (int m = 1; m < argc; m++)
		for (int t = 0; t < 2; t++)
			for (int p = 0; p < 2; p++) {
				if (!chosen("TARGETS", targets[t]) || !chosen("PRECISIONS", precisions[p].name) ||
				    count == MAX_COLUMNS)
					continue;
				if (measure(argv[m], targets[t], precisions[p].value, &columns[count++]))
					return 1;
			}
	print_table(columns, count);
	return 0;
}
