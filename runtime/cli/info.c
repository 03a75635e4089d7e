/* SPDX-License-Identifier: MIT */
/* accel info: devices and what is wrong with them, targets, and the operators that the CPU and the device have. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <accel/accel.h>

#include "compiler/target/lower.h"
#include "runtime/cli/command.h"
#include "runtime/cli/json_file.h"
#include "runtime/cli/operators.h"
#include "runtime/cpu/op.h"

#define MAX_ENTRIES 64

/*
 * What there is to show.
 * @bus: functions on the PCI bus, or a negative errno
 */
struct inventory {
	struct accel_device_entry *devices;
	size_t num_devices;
	struct accel_pci_function *functions;
	int bus;
};

/* ---- finding ---- */

/* How much local memory it has, from the device itself: the BAR may show less of it. */
static void ask_device(struct accel_pci_function *function)
{
	struct accel_device_info info;
	struct accel_device *device;
	char error[1024];

	if (function->node_state != ACCEL_PCI_NODE_GOOD || accel_open(function->node, &device, error, sizeof(error)))
		return;
	accel_device_info(device, &info);
	function->mem_bytes = info.mem_bytes;
	accel_close(device);
}

static int take_inventory(const char *root, struct inventory *inventory)
{
	*inventory = (struct inventory){
		.devices = calloc(MAX_ENTRIES, sizeof(*inventory->devices)),
		.functions = calloc(MAX_ENTRIES, sizeof(*inventory->functions)),
	};
	if (!inventory->devices || !inventory->functions)
		return complain(EXIT_USAGE, "out of memory");
	/* First: opening a device wakes it. */
	inventory->bus = accel_pci_list(root, inventory->functions, MAX_ENTRIES);
	if (inventory->bus > MAX_ENTRIES)
		inventory->bus = MAX_ENTRIES;
	inventory->num_devices = accel_device_list(inventory->devices, MAX_ENTRIES);
	if (inventory->num_devices > MAX_ENTRIES)
		inventory->num_devices = MAX_ENTRIES;
	/* Another root's nodes are not this machine's devices. */
	for (int i = 0; i < inventory->bus && !root; i++)
		ask_device(&inventory->functions[i]);
	return EXIT_GOOD;
}

static bool lowered(const char *domain, const char *op_type)
{
	const struct lower_op *op;

	for (size_t i = 0; (op = lower_at(i)); i++)
		if (!strcmp(op->domain, domain) && !strcmp(op->op_type, op_type))
			return true;
	return false;
}

/* ---- as text ---- */

static const char *bytes_text(uint64_t bytes, char *text, size_t size)
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
	size_t unit = 0;

	while (bytes && bytes % 1024 == 0 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		bytes /= 1024;
		unit++;
	}
	snprintf(text, size, "%" PRIu64 " %s", bytes, units[unit]);
	return text;
}

static const char *bar_text(int bar)
{
	static const char *const purposes[ACCEL_PCI_BARS] = {
		[0] = "registers", [1] = "interrupts", [2] = "doorbells", [4] = "local memory"};

	return purposes[bar] ? purposes[bar] : "unknown";
}

static void print_link(const char *what, uint32_t speed, uint32_t width)
{
	if (speed && width)
		printf("%s %u.%u GT/s x%u", what, speed / 1000, speed / 100 % 10, width);
	else
		printf("%s not known", what);
}

static void print_function(const struct accel_pci_function *function)
{
	struct accel_pci_finding finding;
	unsigned int count = 0;
	char size[32];

	printf("PCI function %s (%04x:%04x revision %u)\n", function->address, function->vendor, function->device,
	       function->revision);
	printf("  driver  %s\n", *function->driver ? function->driver : "none");
	printf("  node    %s\n", *function->node ? function->node : "none");
	printf("  power   %s%s\n", *function->power ? function->power : "not known",
	       function->suspended ? ", asleep until it is used" : "");
	print_link("  link   ", function->link.speed, function->link.width);
	print_link(", device", function->link.max_speed, function->link.max_width);
	print_link(", port", function->link.port_speed, function->link.port_width);
	printf("\n  memory decoding %s, bus master %s\n", function->decodes ? "on" : "off",
	       function->masters ? "on" : "off");
	for (int i = 0; i < ACCEL_PCI_BARS; i++)
		if (function->bars[i].size)
			printf("  BAR%d    %s at 0x%" PRIx64 "%s%s, %s\n", i,
			       bytes_text(function->bars[i].size, size, sizeof(size)), function->bars[i].address,
			       function->bars[i].wide ? ", 64 bits" : "",
			       function->bars[i].prefetchable ? ", prefetchable" : "", bar_text(i));
	for (; accel_pci_finding(function, count, &finding); count++)
		printf("  %s %s: %s\n          to do: %s\n", finding.blocks ? "PROBLEM" : "note   ", finding.name,
		       finding.problem, finding.action);
	if (!count)
		printf("  nothing is wrong with it: --device pci:%s\n", function->address);
}

static void print_bus(const struct inventory *inventory)
{
	if (inventory->bus == -ENODEV)
		printf("no PCI bus here; the devices sim: need none\n");
	else if (inventory->bus < 0)
		printf("the PCI bus can not be read: %s\n", strerror(-inventory->bus));
	else if (!inventory->bus)
		printf("no AXL function (%04x:%04x) on the PCI bus; the devices sim: need none\n", AXL_PCI_VENDOR,
		       AXL_PCI_DEVICE);
	for (int i = 0; i < inventory->bus; i++)
		print_function(&inventory->functions[i]);
}

static void print_all(const struct inventory *inventory, bool explain)
{
	const struct target *target;
	const struct op_kernel *kernel;
	const struct lower_op *op;
	size_t cpu = 0, npu = 0;

	printf("devices that --device opens:\n");
	for (size_t i = 0; i < inventory->num_devices; i++)
		printf("  %-20s %s\n", inventory->devices[i].name, inventory->devices[i].text);
	print_bus(inventory);
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
	for (size_t i = 0; explain && (op = lower_at(i)); i++)
		printf("NPU %s%s%s\n", op->domain, *op->domain ? "::" : "", op->op_type);
	for (size_t i = 0; explain && (kernel = op_at(i)); i++)
		printf("CPU %s%s%s from opset %d%s\n", kernel->domain, *kernel->domain ? "::" : "", kernel->op_type,
		       kernel->since, lowered(kernel->domain, kernel->op_type) ? " (also on the NPU)" : "");
}

/* ---- as JSON ---- */

static void json_function(struct json *json, const struct accel_pci_function *function)
{
	const struct accel_pci_link *link = &function->link;
	struct accel_pci_finding finding;

	json_object(json, NULL);
	json_text(json, "address", function->address);
	json_unsigned(json, "vendor", function->vendor);
	json_unsigned(json, "device", function->device);
	json_unsigned(json, "revision", function->revision);
	json_text(json, "driver", function->driver);
	json_text(json, "node", function->node);
	json_text(json, "power", function->power);
	json_bool(json, "suspended", function->suspended);
	json_bool(json, "answers", function->answers);
	json_bool(json, "memory_decoding", function->decodes);
	json_bool(json, "bus_master", function->masters);
	json_object(json, "link");
	json_unsigned(json, "mts", link->speed);
	json_unsigned(json, "lanes", link->width);
	json_unsigned(json, "device_mts", link->max_speed);
	json_unsigned(json, "device_lanes", link->max_width);
	json_unsigned(json, "port_mts", link->port_speed);
	json_unsigned(json, "port_lanes", link->port_width);
	json_close(json);
	json_array(json, "bars");
	for (unsigned int i = 0; i < ACCEL_PCI_BARS; i++) {
		json_object(json, NULL);
		json_unsigned(json, "address", function->bars[i].address);
		json_unsigned(json, "bytes", function->bars[i].size);
		json_bool(json, "memory", function->bars[i].memory);
		json_bool(json, "64_bits", function->bars[i].wide);
		json_bool(json, "prefetchable", function->bars[i].prefetchable);
		json_close(json);
	}
	json_close(json);
	json_array(json, "findings");
	for (unsigned int i = 0; accel_pci_finding(function, i, &finding); i++) {
		json_object(json, NULL);
		json_text(json, "name", finding.name);
		json_bool(json, "blocks", finding.blocks);
		json_text(json, "problem", finding.problem);
		json_text(json, "action", finding.action);
		json_close(json);
	}
	json_close(json);
	json_close(json);
}

static int write_json(const struct inventory *inventory, const char *path)
{
	const struct target *target;
	struct json json;

	if (json_open(&json, path))
		return EXIT_USAGE;
	json_array(&json, "devices");
	for (size_t i = 0; i < inventory->num_devices; i++) {
		json_object(&json, NULL);
		json_text(&json, "name", inventory->devices[i].name);
		json_text(&json, "text", inventory->devices[i].text);
		json_close(&json);
	}
	json_close(&json);
	json_bool(&json, "pci_bus", inventory->bus >= 0);
	json_array(&json, "pci");
	for (int i = 0; i < inventory->bus; i++)
		json_function(&json, &inventory->functions[i]);
	json_close(&json);
	json_array(&json, "targets");
	for (unsigned int i = 0; (target = target_at(i)); i++) {
		json_object(&json, NULL);
		json_text(&json, "name", target->name);
		json_unsigned(&json, "tiles", target->tiles);
		json_unsigned(&json, "scratchpad_bytes", target->spad_bytes);
		json_unsigned(&json, "accumulator_bytes", target->acc_bytes);
		json_unsigned(&json, "local_memory_bytes", target->mem_bytes);
		json_unsigned(&json, "dram_bytes_per_cycle", target->dram_rate);
		json_close(&json);
	}
	json_close(&json);
	return json_finish(&json, path) ? EXIT_USAGE : EXIT_GOOD;
}

int command_info(int argc, char **argv)
{
	struct inventory inventory;
	struct options options;
	int code;

	if (options_parse(
		    argc, argv, "info",
		    "Show devices, the PCI functions behind them and what is wrong with those, targets and operators.",
		    "ejqOw", &options))
		return EXIT_USAGE;
	if (options.help)
		return EXIT_GOOD;
	if (options.operators)
		return operators_list(options.json);
	code = take_inventory(options.root, &inventory);
	if (!code && !options.quiet)
		print_all(&inventory, options.explain);
	if (!code && options.json)
		code = write_json(&inventory, options.json);
	free(inventory.devices);
	free(inventory.functions);
	return code;
}
