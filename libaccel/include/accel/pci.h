/* SPDX-License-Identifier: MIT */
/*
 * libaccel: AXL functions on the PCI bus, and why one of them can not be used.
 *
 *	accel_pci_list(NULL, functions, max)		what the bus has: facts, nothing is opened or changed
 *	accel_pci_find(NULL, "01:00.0", &function, …)	one of them, by its address
 *	accel_pci_finding(&function, i, &finding)	what is wrong with it, the first cause first, and what to do
 *
 * accel_open() says the same when a device behind the kernel driver can not be opened. No rights are needed; what the
 * kernel keeps from plain users (configuration space beyond its header) is read from the attributes that it has for
 * everybody. All functions may be called by any thread at any time; nothing is kept between calls.
 */
#ifndef ACCEL_PCI_H
#define ACCEL_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ACCEL_PCI_BARS 6

/*
 * A base address register, as the kernel sees it.
 * @address: on the bus, 0: none
 * @size:    bytes, 0: there is no such BAR
 * @memory, @wide, @prefetchable: memory, not ports; of 64 bits; prefetchable
 * @claimed: the device has one, whether or not the kernel found room for it
 */
struct accel_pci_bar {
	uint64_t address, size;
	bool memory, wide, prefetchable, claimed;
};

/*
 * The link between the function and the port above it: speeds in MT/s a lane (2500 is "2.5 GT/s"), widths in lanes, 0:
 * not known.
 * @speed, @width:           now (LnkSta)
 * @max_speed, @max_width:   what the device can (LnkCap)
 * @port_speed, @port_width: what the port above can
 */
struct accel_pci_link {
	uint32_t speed, width, max_speed, max_width, port_speed, port_width;
};

enum accel_pci_node {
	ACCEL_PCI_NODE_NONE,    /* the driver has made none */
	ACCEL_PCI_NODE_MISSING, /* the driver has, the file is not there */
	ACCEL_PCI_NODE_OTHER,   /* the file is something else */
	ACCEL_PCI_NODE_DENIED,  /* this process may not open it for reading and writing */
	ACCEL_PCI_NODE_GOOD
};

/*
 * One AXL function.
 * @address:       "0000:01:00.0"; "pci:" before it makes a name for accel_open()
 * @vendor, @device, @revision: its identity
 * @answers:       its configuration space can be read and is not all ones
 * @decodes, @masters: bits of its command register: memory decoding, bus mastering
 * @bars:          0 registers, 2 doorbells, 4 window onto local memory (axl_regs.h)
 * @link:          see there
 * @power:         "D0", "D3hot", …; "": not known
 * @suspended:     it sleeps because its driver lets it (runtime PM), and wakes when it is used
 * @driver:        the driver that is bound to it, "": none
 * @driver_loaded: axl.ko is in the kernel
 * @accel_class:   the kernel has DRM accel
 * @node:          the device node, also when it is missing; "": the driver has made none
 * @node_state:    what became of it
 * @node_mode, @node_group: its permissions (07777) and group, when it is there
 * @mem_bytes:     0; a caller that opened the device may put accel_device_info.mem_bytes here, for accel_pci_finding()
 */
struct accel_pci_function {
	char address[24];
	uint16_t vendor, device;
	uint8_t revision;
	bool answers, decodes, masters;
	struct accel_pci_bar bars[ACCEL_PCI_BARS];
	struct accel_pci_link link;
	char power[12];
	bool suspended;
	char driver[32];
	bool driver_loaded, accel_class;
	char node[128];
	enum accel_pci_node node_state;
	uint32_t node_mode;
	char node_group[32];
	uint64_t mem_bytes;
};

/*
 * Something that is wrong with a function.
 * @name:    for programs: "no-driver", …; a stable word, static
 * @blocks:  it keeps every program from using the device; else it works, but less well than it could
 * @error:   what accel_open() returns because of it, if @blocks: a negative errno
 * @problem: what is the matter, one line
 * @action:  what to do, one line
 */
struct accel_pci_finding {
	const char *name;
	bool blocks;
	int error;
	char problem[224];
	char action[288];
};

/*
 * Fill @functions, room for @max (NULL when 0), in the order of their addresses. @root: the folder below which sys/
 * and dev/ lie, for a container that has its host's elsewhere, and for tests; NULL or "": the machine's own. Returns
 * how many functions there are, which may be more, or a negative errno: -ENODEV: there is no PCI bus below @root/sys;
 * -EIO: what lies there is not understood; -ENOMEM. The caller owns what is filled in; it is a snapshot.
 */
int accel_pci_list(const char *root, struct accel_pci_function *functions, size_t max);

/*
 * The function at @address: "DDDD:BB:DD.F", or "BB:DD.F" in domain 0, or "": the only one there is. @error gets a text
 * of at most @error_size bytes when it fails. -EINVAL: @address is none, or "" and there are several (the text names
 * them); -ENODEV: no AXL function is there (the text says which are elsewhere), or no PCI bus; -EIO, -ENOMEM as
 * accel_pci_list().
 */
int accel_pci_find(const char *root, const char *address, struct accel_pci_function *function, char *error,
		   size_t error_size);

/*
 * What is wrong with @function: the @index-th finding, from 0, the first cause first. False: there are no more,
 * *finding is not written. Looks at @function only.
 *
 *	no-answer	its configuration space reads as ones
 *	no-driver	no driver is bound
 *	other-driver	a driver that is not axl is bound
 *	bar-missing, bar-unassigned, bar-size	a BAR is not there, got no address, or is not as the register contract says
 *	asleep		it is not in D0 and its driver has not put it to sleep
 *	memory-off	a driver is bound, and memory decoding is off
 *	no-accel	the driver is bound and has made no accel device
 *	node-missing, node-other, node-denied	the device node
 *	local-window	BAR4 is smaller than local memory (needs @mem_bytes)
 *	link-slow, link-narrow	the link is slower or narrower than the device can
 */
bool accel_pci_finding(const struct accel_pci_function *function, unsigned int index,
		       struct accel_pci_finding *finding);

#ifdef __cplusplus
}
#endif

#endif
