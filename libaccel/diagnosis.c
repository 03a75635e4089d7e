/* SPDX-License-Identifier: MIT */
/*
 * What the facts of pci.c mean: a table of rules, the first cause first, each with what to do; and functions by their
 * address. A rule looks at the facts of one function only.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libaccel/internal.h"

#define MAX_FUNCTIONS 32 /* of those that texts name */

/* ---- the rules: whether it holds, and then both texts ---- */

typedef bool rule_fn(const struct accel_pci_function *function, int bar, struct accel_pci_finding *finding);

static void __attribute__((format(printf, 2, 3))) problem(struct accel_pci_finding *finding, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(finding->problem, sizeof(finding->problem), format, args);
	va_end(args);
}

static void __attribute__((format(printf, 2, 3))) action(struct accel_pci_finding *finding, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(finding->action, sizeof(finding->action), format, args);
	va_end(args);
}

static bool has_our_driver(const struct accel_pci_function *function)
{
	return !strcmp(function->driver, PCI_DRIVER);
}

static bool no_answer(const struct accel_pci_function *function, int bar, struct accel_pci_finding *finding)
{
	(void)bar;
	if (function->answers)
		return false;
	problem(finding, "its configuration space reads as ones: it is off the bus");
	action(finding,
	       "the link is down, the card has no power or was taken out: see dmesg; to look again: echo 1 > "
	       "/sys/bus/pci/devices/%s/remove, then echo 1 > /sys/bus/pci/rescan",
	       function->address);
	return true;
}

static bool no_driver(const struct accel_pci_function *function, int bar, struct accel_pci_finding *finding)
{
	(void)bar;
	if (function->driver[0])
		return false;
	problem(finding, "no driver is bound to it");
	if (function->driver_loaded)
		action(finding,
		       "the driver " PCI_DRIVER
		       " is loaded and does not have it, dmesg may say why; to bind it: echo %s > "
		       "/sys/bus/pci/drivers/" PCI_DRIVER "/bind",
		       function->address);
	else
		action(finding, "load the driver: modprobe " PCI_DRIVER " (driver/README.md builds it)");
	return true;
}

static bool other_driver(const struct accel_pci_function *function, int bar, struct accel_pci_finding *finding)
{
	(void)bar;
	if (!function->driver[0] || has_our_driver(function))
		return false;
	problem(finding, "the driver %s has it, not " PCI_DRIVER, function->driver);
	action(finding,
	       "%secho %s > /sys/bus/pci/drivers/%s/unbind, then echo %s > /sys/bus/pci/drivers/" PCI_DRIVER "/bind",
	       function->driver_loaded ? "" : "modprobe " PCI_DRIVER ", ", function->address, function->driver,
	       function->address);
	return true;
}

static const char *bar_purpose(int bar)
{
	return bar == 0 ? "registers" : bar == 2 ? "doorbells" : "the window onto local memory";
}

static bool bar_missing(const struct accel_pci_function *function, int bar, struct accel_pci_finding *finding)
{
	if (function->bars[bar].claimed || !function->answers)
		return false;
	problem(finding, "BAR%d (%s) is missing", bar, bar_purpose(bar));
	action(finding, "what answers is no AXL of this contract, or its firmware has not started: power it off and "
			"on; dmesg may "
			"say what the kernel read there");
	return true;
}

static bool bar_unassigned(const struct accel_pci_function *function, int bar, struct accel_pci_finding *finding)
{
	const struct accel_pci_bar *at = &function->bars[bar];

	if (!at->claimed || at->address)
		return false;
	problem(finding, "BAR%d (%s, %" PRIu64 " bytes) has no address", bar, bar_purpose(bar), at->size);
	action(finding, "the machine has no room for it: switch on 'Above 4G decoding' in the firmware, or boot with "
			"pci=realloc");
	return true;
}

/* The driver's own demands: the registers and a doorbell page for each context; local memory has whatever size it has. */
static bool bar_size(const struct accel_pci_function *function, int bar, struct accel_pci_finding *finding)
{
	static const uint64_t least[ACCEL_PCI_BARS] = {
		[0] = AXL_BAR0_BYTES,
		[2] = (uint64_t)AXL_MAX_CONTEXTS * AXL_DOORBELL_STRIDE,
		[4] = AXL_PAGE_BYTES,
	};
	const struct accel_pci_bar *at = &function->bars[bar];

	if (!at->claimed || !at->address || (at->memory && at->size >= least[bar]))
		return false;
	if (!at->memory)
		problem(finding, "BAR%d (%s) is ports, the register contract says memory", bar, bar_purpose(bar));
	else
		problem(finding, "BAR%d (%s) has %" PRIu64 " bytes, the register contract says %" PRIu64, bar,
			bar_purpose(bar), at->size, least[bar]);
	action(finding,
	       "the device is older or newer than this software, or its firmware is damaged: update one of them");
	return true;
}

static bool asleep(const struct accel_pci_function *function, int bar, struct accel_pci_finding *finding)
{
	(void)bar;
	if (!has_our_driver(function) || function->suspended || !function->power[0] || !strcmp(function->power, "D0"))
		return false;
	problem(finding, "it is in %s, and its driver has not put it to sleep", function->power);
	action(finding,
	       "a resume has failed, see dmesg; to start it anew: echo %s > /sys/bus/pci/drivers/%s/unbind, then the "
	       "same into "
	       "…/bind",
	       function->address, function->driver);
	return true;
}

static bool memory_off(const struct accel_pci_function *function, int bar, struct accel_pci_finding *finding)
{
	(void)bar;
	if (!has_our_driver(function) || function->suspended || !function->answers || function->decodes)
		return false;
	problem(finding, "memory decoding is off: its registers do not answer");
	action(finding,
	       "something else than its driver has written its command register; to start it anew: echo %s > "
	       "/sys/bus/pci/drivers/%s/unbind, then the same into …/bind",
	       function->address, function->driver);
	return true;
}

static bool no_accel(const struct accel_pci_function *function, int bar, struct accel_pci_finding *finding)
{
	(void)bar;
	if (!has_our_driver(function) || function->node_state != ACCEL_PCI_NODE_NONE)
		return false;
	problem(finding, "the driver is bound and has made no accel device");
	if (function->accel_class)
		action(finding, "the driver did not come to the end of its probe: see dmesg");
	else
		action(finding, "the kernel has no DRM accel: take one with CONFIG_DRM_ACCEL, 6.12 or later");
	return true;
}

static bool node_missing(const struct accel_pci_function *function, int bar, struct accel_pci_finding *finding)
{
	(void)bar;
	if (function->node_state != ACCEL_PCI_NODE_MISSING)
		return false;
	problem(finding, "the driver has made a device, and %s is not there", function->node);
	action(finding,
	       "udev or devtmpfs makes it: udevadm trigger; into a container it has to be passed (--device %s)",
	       function->node);
	return true;
}

static bool node_other(const struct accel_pci_function *function, int bar, struct accel_pci_finding *finding)
{
	(void)bar;
	if (function->node_state != ACCEL_PCI_NODE_OTHER)
		return false;
	problem(finding, "%s is something else than this device", function->node);
	action(finding, "a leftover: remove it, then udevadm trigger");
	return true;
}

static bool node_denied(const struct accel_pci_function *function, int bar, struct accel_pci_finding *finding)
{
	(void)bar;
	if (function->node_state != ACCEL_PCI_NODE_DENIED)
		return false;
	if (!function->node_group[0]) {
		problem(finding, "no permission to look at %s", function->node);
		action(finding, "its folder is closed: chmod o+x the folders above it");
		return true;
	}
	problem(finding, "no permission to open %s (mode %04o, group %s)", function->node, function->node_mode,
		function->node_group);
	if (strcmp(function->node_group, "root") && function->node_mode & 0060)
		action(finding, "join the group: usermod -aG %s USER, then log in again", function->node_group);
	else
		action(finding,
		       "give it to the group render: driver/60-axl.rules into /etc/udev/rules.d, udevadm trigger; then "
		       "usermod -aG render USER and log in again");
	return true;
}

static bool local_window(const struct accel_pci_function *function, int bar, struct accel_pci_finding *finding)
{
	if (function->mem_bytes <= function->bars[bar].size)
		return false;
	problem(finding, "BAR%d (%s) has %" PRIu64 " bytes of local memory's %" PRIu64 ": the rest can not be used",
		bar, bar_purpose(bar), function->bars[bar].size, function->mem_bytes);
	action(finding, "switch on 'Above 4G decoding' and 'Resizable BAR' in the firmware");
	return true;
}

/* Who is to blame when a link does less than the device can: the port above, when it can do no more either. */
static void blame(struct accel_pci_finding *finding, bool port, const char *what)
{
	if (port)
		action(finding, "the port above it can do no more: move the card to a %s slot", what);
	else
		action(finding, "both ends can do more: reseat the card, look at riser or cable, at the firmware's "
				"limit for this "
				"slot, and at AER messages in dmesg");
}

static bool link_slow(const struct accel_pci_function *function, int bar, struct accel_pci_finding *finding)
{
	const struct accel_pci_link *link = &function->link;

	(void)bar;
	if (!link->speed || link->speed >= link->max_speed)
		return false;
	problem(finding, "the link runs at %u.%u GT/s, the device can do %u.%u: it is slower than it could be",
		link->speed / 1000, link->speed / 100 % 10, link->max_speed / 1000, link->max_speed / 100 % 10);
	blame(finding, link->port_speed && link->port_speed <= link->speed, "faster");
	return true;
}

static bool link_narrow(const struct accel_pci_function *function, int bar, struct accel_pci_finding *finding)
{
	const struct accel_pci_link *link = &function->link;

	(void)bar;
	if (!link->width || link->width >= link->max_width)
		return false;
	problem(finding, "the link is %u lanes wide, the device has %u: it is narrower than it could be", link->width,
		link->max_width);
	blame(finding, link->port_width && link->port_width <= link->width, "wider");
	return true;
}

/* @error: 0: the device works all the same */
static const struct rule {
	const char *name;
	rule_fn *holds;
	int bar, error;
} rules[] = {
	{"no-answer", no_answer, 0, -ENODEV},
	{"no-driver", no_driver, 0, -ENODEV},
	{"other-driver", other_driver, 0, -ENODEV},
	{"bar-missing", bar_missing, 0, -ENODEV},
	{"bar-missing", bar_missing, 2, -ENODEV},
	{"bar-missing", bar_missing, 4, -ENODEV},
	{"bar-unassigned", bar_unassigned, 0, -ENODEV},
	{"bar-unassigned", bar_unassigned, 2, -ENODEV},
	{"bar-unassigned", bar_unassigned, 4, -ENODEV},
	{"bar-size", bar_size, 0, -ENODEV},
	{"bar-size", bar_size, 2, -ENODEV},
	{"bar-size", bar_size, 4, -ENODEV},
	{"asleep", asleep, 0, -ENODEV},
	{"memory-off", memory_off, 0, -ENODEV},
	{"no-accel", no_accel, 0, -ENODEV},
	{"node-missing", node_missing, 0, -ENOENT},
	{"node-other", node_other, 0, -ENODEV},
	{"node-denied", node_denied, 0, -EACCES},
	{"local-window", local_window, 4, 0},
	{"link-slow", link_slow, 0, 0},
	{"link-narrow", link_narrow, 0, 0},
};

bool accel_pci_finding(const struct accel_pci_function *function, unsigned int index, struct accel_pci_finding *finding)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		struct accel_pci_finding made = {
			.name = rules[i].name, .blocks = rules[i].error, .error = rules[i].error};

		if (!rules[i].holds(function, rules[i].bar, &made) || index--)
			continue;
		*finding = made;
		return true;
	}
	return false;
}

/* ---- functions by address ---- */

/* The functions of a list: "0000:01:00.0, 0000:02:00.0". */
static char *name_all(const struct accel_pci_function *functions, int count, char *text, size_t size)
{
	size_t used = 0;

	*text = '\0';
	for (int i = 0; i < count && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "", functions[i].address);
	return text;
}

/* "DDDD:BB:DD.F" or "BB:DD.F" as sysfs writes it. */
static bool parse_address(const char *text, char *address, size_t size)
{
	unsigned int domain = 0, bus, device, function;
	int end = 0;

	if ((sscanf(text, "%8x:%2x:%2x.%1x%n", &domain, &bus, &device, &function, &end) != 4 || text[end]) &&
	    (domain = 0, end = 0, sscanf(text, "%2x:%2x.%1x%n", &bus, &device, &function, &end) != 3 || text[end]))
		return false;
	if (device > 31 || function > 7)
		return false;
	snprintf(address, size, "%04x:%02x:%02x.%u", domain, bus, device, function);
	return true;
}

static const struct accel_pci_function *choose(const struct accel_pci_function *all, int count, const char *address)
{
	for (int i = 0; i < count; i++)
		if (!strcmp(all[i].address, address))
			return &all[i];
	return NULL;
}

int accel_pci_find(const char *root, const char *address, struct accel_pci_function *function, char *error,
		   size_t error_size)
{
	struct accel_pci_function *all;
	const struct accel_pci_function *one;
	char wanted[sizeof(all->address)] = "", names[MAX_FUNCTIONS * sizeof(all->address)];
	int count, err = 0;

	if (*address && !parse_address(address, wanted, sizeof(wanted))) {
		snprintf(error, error_size, "'%s' is no PCI address: DDDD:BB:DD.F", address);
		return -EINVAL;
	}
	all = malloc(MAX_FUNCTIONS * sizeof(*all));
	if (!all) {
		snprintf(error, error_size, "out of memory");
		return -ENOMEM;
	}
	count = accel_pci_list(root, all, MAX_FUNCTIONS);
	if (count > MAX_FUNCTIONS)
		count = MAX_FUNCTIONS;
	one = *wanted ? choose(all, count, wanted) : count == 1 ? all : NULL;
	if (one) {
		*function = *one;
	} else if (count < 0) {
		err = count;
		snprintf(error, error_size,
			 err == -ENODEV ? "there is no PCI bus here" : "the PCI bus can not be read: %s",
			 strerror(-err));
	} else if (!count) {
		err = -ENODEV;
		snprintf(error, error_size, "no AXL function is on the PCI bus");
	} else if (*wanted) {
		err = -ENODEV;
		snprintf(error, error_size, "no AXL function is at %s, but at %s", wanted,
			 name_all(all, count, names, sizeof(names)));
	} else {
		err = -EINVAL;
		snprintf(error, error_size, "there are several, say which: %s",
			 name_all(all, count, names, sizeof(names)));
	}
	free(all);
	return err;
}

/* ---- why a device can not be opened ---- */

static bool first_blocking(const struct accel_pci_function *function, struct accel_pci_finding *finding)
{
	for (unsigned int i = 0; accel_pci_finding(function, i, finding); i++)
		if (finding->blocks)
			return true;
	return false;
}

int accel_pci_resolve(const char *root, const char *name, char *node, size_t size, char *error, size_t error_size)
{
	struct accel_pci_function function;
	struct accel_pci_finding finding;
	char reason[640];
	int err = accel_pci_find(root, name + strlen(PCI_PREFIX), &function, reason, sizeof(reason));

	if (!err && first_blocking(&function, &finding)) {
		err = finding.error;
		snprintf(reason, sizeof(reason), "%s; %s", finding.problem, finding.action);
	}
	if (err)
		snprintf(error, error_size, "device '%s': %s", name, reason);
	else
		snprintf(node, size, "%s", function.node);
	return err;
}

/* By the function whose node it is; if it is nobody's, by those that have none: one of them may have been meant. */
static void explain(const struct accel_pci_function *all, int count, const char *name, char *text, size_t size)
{
	const struct accel_pci_function *one = NULL;
	struct accel_pci_finding finding;

	for (int i = 0; i < count; i++)
		if (!strcmp(all[i].node, name) || (!one && !all[i].node[0]))
			one = &all[i];
	if (one && first_blocking(one, &finding))
		snprintf(text, size, "%s: %s; %s", one->address, finding.problem, finding.action);
	else if (!one && count)
		snprintf(text, size, "the AXL function on the PCI bus, %s, has %s", all[0].address, all[0].node);
	else if (!count)
		snprintf(text, size, "no AXL function is on the PCI bus");
}

void accel_pci_explain(const char *root, const char *name, char *text, size_t size)
{
	struct accel_pci_function *all = malloc(MAX_FUNCTIONS * sizeof(*all));
	int count = all ? accel_pci_list(root, all, MAX_FUNCTIONS) : -ENOMEM;

	*text = '\0';
	if (count >= 0)
		explain(all, count < MAX_FUNCTIONS ? count : MAX_FUNCTIONS, name, text, size);
	else if (count == -ENODEV)
		snprintf(text, size, "there is no PCI bus here");
	free(all);
}
