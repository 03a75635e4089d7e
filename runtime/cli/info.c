/* SPDX-License-Identifier: MIT */
/* accel info: targets, and the operators that the CPU and the device have. */
#include <string.h>

#include "compiler/target/lower.h"
#include "runtime/cli/command.h"
#include "runtime/cpu/op.h"

static bool lowered(const char *domain, const char *op_type)
{
	const struct lower_op *op;

	for (size_t i = 0; (op = lower_at(i)); i++)
		if (!strcmp(op->domain, domain) && !strcmp(op->op_type, op_type))
			return true;
	return false;
}

int command_info(int argc, char **argv)
{
	const struct target *target;
	const struct op_kernel *kernel;
	const struct lower_op *op;
	struct options options;
	size_t cpu = 0, npu = 0;

	if (options_parse(argc, argv, "info", "Show targets and operators.", "e", &options))
		return EXIT_USAGE;
	if (options.help)
		return EXIT_GOOD;
	printf("%-10s %5s %12s %12s %12s %10s\n", "target", "tiles", "scratchpad", "accumulator", "local memory",
	       "DRAM B/c");
	for (unsigned int i = 0; (target = target_at(i)); i++)
		printf("%-10s %5u %12u %12u %12llu %10u\n", target->name, target->tiles, target->spad_bytes,
		       target->acc_bytes, (unsigned long long)target->mem_bytes, target->dram_rate);
	while (lower_at(npu))
		npu++;
	while (op_at(cpu))
		cpu++;
	printf("%zu operators on the device, %zu kernels on the CPU; --explain lists them\n", npu, cpu);
	for (size_t i = 0; options.explain && (op = lower_at(i)); i++)
		printf("NPU %s%s%s\n", op->domain, *op->domain ? "::" : "", op->op_type);
	for (size_t i = 0; options.explain && (kernel = op_at(i)); i++)
		printf("CPU %s%s%s from opset %d%s\n", kernel->domain, *kernel->domain ? "::" : "", kernel->op_type,
		       kernel->since, lowered(kernel->domain, kernel->op_type) ? " (also on the NPU)" : "");
	return EXIT_GOOD;
}
