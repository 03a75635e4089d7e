/* SPDX-License-Identifier: MIT */
/*
 * AXL functions on the PCI bus: the facts. libpci walks the bus and reads identity, BARs, driver and the header of the
 * configuration space; sysfs says what the kernel made of it. What the facts mean is diagnosis.c's business.
 *
 * The link's registers come from sysfs, not from the configuration space: plain users may read only its first 64 bytes.
 */
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <fcntl.h>
#include <pci/pci.h>

#include "libaccel/internal.h"

#define IORESOURCE_UNSET 0x20000000u /* include/linux/ioport.h: the kernel found no room */

/* ---- sysfs ---- */

static bool join(char path[PATH_MAX], const char *folder, const char *file)
{
	return snprintf(path, PATH_MAX, "%s/%s", folder, file) < PATH_MAX;
}

/* The first line of a file, "" when it can not be read. @file may be a path of several folders. */
static bool read_line(const char *folder, const char *file, char *text, size_t size)
{
	char path[PATH_MAX];
	FILE *stream;
	bool read;

	*text = '\0';
	stream = join(path, folder, file) ? fopen(path, "re") : NULL;
	if (!stream)
		return false;
	read = fgets(text, (int)size, stream);
	fclose(stream);
	text[strcspn(text, "\n")] = '\0';
	return read;
}

static bool exists(const char *folder, const char *file)
{
	char path[PATH_MAX];

	return join(path, folder, file) && !access(path, F_OK);
}

/* "8.0 GT/s PCIe" in MT/s; 0: not known. */
static uint32_t read_speed(const char *folder, const char *file)
{
	char text[32];
	unsigned int whole, tenth = 0;

	if (!read_line(folder, file, text, sizeof(text)) || sscanf(text, "%u.%1u", &whole, &tenth) < 1)
		return 0;
	return whole * 1000 + tenth * 100;
}

/* 0: not known; so are the widths that a link which is down reads as. */
static uint32_t read_width(const char *folder, const char *file)
{
	char text[32];
	unsigned int lanes;

	return read_line(folder, file, text, sizeof(text)) && sscanf(text, "%u", &lanes) == 1 && lanes <= 32 ? lanes
													     : 0;
}

static void read_link(const char *folder, struct accel_pci_link *link)
{
	*link = (struct accel_pci_link){
		.speed = read_speed(folder, "current_link_speed"),
		.width = read_width(folder, "current_link_width"),
		.max_speed = read_speed(folder, "max_link_speed"),
		.max_width = read_width(folder, "max_link_width"),
		/* The folder is a link into the tree of bridges: what lies above it is the port. */
		.port_speed = read_speed(folder, "../max_link_speed"),
		.port_width = read_width(folder, "../max_link_width"),
	};
}

static void read_power(const char *folder, struct accel_pci_function *function)
{
	char text[32];

	read_line(folder, "power_state", function->power, sizeof(function->power));
	if (!strcmp(function->power, "unknown") || !strcmp(function->power, "error"))
		function->power[0] = '\0';
	/* The kernel calls what has no driver suspended as well; nothing wakes that. */
	function->suspended = function->driver[0] && read_line(folder, "power/runtime_status", text, sizeof(text)) &&
			      !strcmp(text, "suspended");
}

/* ---- the node ---- */

static void look_at_node(const char *folder, const char *name, struct accel_pci_function *function)
{
	char path[64], text[32];
	unsigned int major, minor;
	struct group group, *found = NULL;
	char members[4096];
	struct stat file;

	snprintf(path, sizeof(path), "accel/%.31s/dev", name);
	function->node_state = ACCEL_PCI_NODE_MISSING;
	if (stat(function->node, &file)) {
		if (errno == EACCES)
			function->node_state = ACCEL_PCI_NODE_DENIED;
		return;
	}
	function->node_mode = file.st_mode & 07777;
	snprintf(function->node_group, sizeof(function->node_group), "%u", (unsigned int)file.st_gid);
	if (!getgrgid_r(file.st_gid, &group, members, sizeof(members), &found) && found)
		snprintf(function->node_group, sizeof(function->node_group), "%s", group.gr_name);
	if (!S_ISCHR(file.st_mode) || !read_line(folder, path, text, sizeof(text)) ||
	    sscanf(text, "%u:%u", &major, &minor) != 2 || file.st_rdev != makedev(major, minor))
		function->node_state = ACCEL_PCI_NODE_OTHER;
	else if (faccessat(AT_FDCWD, function->node, R_OK | W_OK, AT_EACCESS))
		function->node_state = ACCEL_PCI_NODE_DENIED;
	else
		function->node_state = ACCEL_PCI_NODE_GOOD;
}

static void find_node(const char *root, const char *folder, struct accel_pci_function *function)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *accel = join(path, folder, "accel") ? opendir(path) : NULL;

	while (accel && (entry = readdir(accel))) {
		if (strncmp(entry->d_name, "accel", 5) ||
		    snprintf(function->node, sizeof(function->node), "%s/dev/accel/%s", root, entry->d_name) >=
			    (int)sizeof(function->node))
			continue;
		look_at_node(folder, entry->d_name, function);
		break;
	}
	if (accel)
		closedir(accel);
}

/* ---- libpci ---- */

static void read_bars(struct pci_dev *dev, struct accel_pci_function *function)
{
	for (int i = 0; i < ACCEL_PCI_BARS; i++) {
		struct accel_pci_bar *bar = &function->bars[i];
		uint32_t flags = (uint32_t)dev->flags[i];
		/* A kernel that gave up on a BAR may have forgotten it; its type bits are in the register still. */
		uint32_t reg = function->answers ? pci_read_long(dev, PCI_BASE_ADDRESS_0 + 4 * i) : 0;
		bool upper_half = i && function->bars[i - 1].wide;

		*bar = (struct accel_pci_bar){
			.size = dev->size[i],
			.memory = flags & PCI_IORESOURCE_MEM,
			.wide = flags & PCI_IORESOURCE_MEM_64,
			.prefetchable = flags & PCI_IORESOURCE_PREFETCH,
			.claimed = flags || (!upper_half && reg & PCI_ADDR_FLAG_MASK),
		};
		if (!flags && bar->claimed) {
			bar->memory = !(reg & PCI_BASE_ADDRESS_SPACE_IO);
			bar->wide = bar->memory && reg & PCI_BASE_ADDRESS_MEM_TYPE_64;
			bar->prefetchable = bar->memory && reg & PCI_BASE_ADDRESS_MEM_PREFETCH;
		}
		if (bar->size && !(flags & IORESOURCE_UNSET))
			bar->address = dev->base_addr[i] & (bar->memory ? PCI_ADDR_MEM_MASK : PCI_ADDR_IO_MASK);
	}
}

static void read_function(struct pci_dev *dev, const char *root, struct accel_pci_function *function)
{
	char folder[PATH_MAX];
	const char *driver;
	uint16_t command;

	*function = (struct accel_pci_function){.vendor = dev->vendor_id, .device = dev->device_id};
	snprintf(function->address, sizeof(function->address), "%04x:%02x:%02x.%d", (unsigned int)dev->domain, dev->bus,
		 dev->dev, dev->func);
	pci_fill_info(dev, PCI_FILL_BASES | PCI_FILL_SIZES | PCI_FILL_IO_FLAGS | PCI_FILL_DRIVER);
	/* The identity that libpci knows is the kernel's memory of it. */
	function->answers = pci_read_word(dev, PCI_VENDOR_ID) == dev->vendor_id;
	if (function->answers) {
		command = pci_read_word(dev, PCI_COMMAND);
		function->decodes = command & PCI_COMMAND_MEMORY;
		function->masters = command & PCI_COMMAND_MASTER;
		function->revision = pci_read_byte(dev, PCI_REVISION_ID);
	}
	read_bars(dev, function);
	driver = pci_get_string_property(dev, PCI_FILL_DRIVER);
	snprintf(function->driver, sizeof(function->driver), "%s", driver ? driver : "");

	snprintf(folder, sizeof(folder), "%s/sys", root);
	function->driver_loaded = exists(folder, "bus/pci/drivers/" PCI_DRIVER);
	function->accel_class = exists(folder, "class/accel");
	snprintf(folder, sizeof(folder), "%s/sys/bus/pci/devices/%s", root, function->address);
	read_link(folder, &function->link);
	read_power(folder, function);
	find_node(root, folder, function);
}

/* @found: what there is, @count of them, in no order */
struct scan {
	const char *root;
	struct pci_access *access;
	struct accel_pci_function *found;
	size_t count;
};

static int walk(struct scan *scan)
{
	struct accel_pci_function *grown;

	pci_init(scan->access);
	pci_scan_bus(scan->access);
	for (struct pci_dev *dev = scan->access->devices; dev; dev = dev->next) {
		pci_fill_info(dev, PCI_FILL_IDENT);
		if (dev->vendor_id != AXL_PCI_VENDOR || dev->device_id != AXL_PCI_DEVICE)
			continue;
		grown = realloc(scan->found, (scan->count + 1) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		scan->found = grown;
		read_function(dev, scan->root, &scan->found[scan->count]);
		scan->count++;
	}
	return 0;
}

/*
 * libpci ends the program when it is not pleased, unless this leaves by a jump; and it hands no pointer of ours through.
 */
static __thread jmp_buf *way_out;

static void __attribute__((noreturn)) leave(char *message, ...)
{
	(void)message;
	longjmp(*way_out, 1);
}

static void be_quiet(char *message, ...)
{
	(void)message;
}

/* Nothing that is needed after the jump is a variable of this function. */
static int walk_safely(struct scan *scan)
{
	jmp_buf here;

	way_out = &here;
	return setjmp(here) ? -EIO : walk(scan);
}

static int by_address(const void *a, const void *b)
{
	return strcmp(((const struct accel_pci_function *)a)->address, ((const struct accel_pci_function *)b)->address);
}

int accel_pci_list(const char *root, struct accel_pci_function *functions, size_t max)
{
	struct scan scan = {.root = root ? root : ""};
	char path[PATH_MAX];
	int err;

	if (snprintf(path, sizeof(path), "%s/sys/bus/pci", scan.root) > (int)sizeof(path) / 2)
		return -ENODEV;
	if (!exists(path, "devices"))
		return -ENODEV;
	scan.access = pci_alloc();
	scan.access->method = PCI_ACCESS_SYS_BUS_PCI;
	scan.access->error = leave;
	scan.access->warning = be_quiet;
	scan.access->debug = be_quiet;
	err = pci_set_param(scan.access, (char *)"sysfs.path", path) ? -EIO : walk_safely(&scan);
	if (!err && scan.count) {
		qsort(scan.found, scan.count, sizeof(*scan.found), by_address);
		if (max)
			memcpy(functions, scan.found, (max < scan.count ? max : scan.count) * sizeof(*functions));
	}
	pci_cleanup(scan.access);
	free(scan.found);
	return err ? err : (int)scan.count;
}
