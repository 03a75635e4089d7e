/* SPDX-License-Identifier: MIT */
/*
 * AXL functions on a PCI bus that the test has built: a folder with the sys/ and dev/ of a machine. Each test breaks
 * one thing of a machine in which nothing is wrong, and expects the finding that names it, alone and with what to do.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "libaccel/internal.h"
#include "rig.h"

#define FIRST "0000:01:00.0"
#define SECOND_ONE "0000:02:00.0"
#define PORT "0000:00:01.0"

/* @terminal, @slave: a character device that belongs to the test, whoever runs it; the nodes are links to it */
struct machine {
	char root[64];
	int terminal;
	char slave[64];
};

/* ---- building ---- */

static const char *in_root(const struct machine *machine, const char *path)
{
	static char full[2][512];
	static int turn;

	turn = !turn;
	assert_true(snprintf(full[turn], sizeof(full[0]), "%s/%s", machine->root, path) < (int)sizeof(full[0]));
	return full[turn];
}

static void make_folders(const struct machine *machine, const char *path)
{
	char part[256];

	for (const char *slash = path; (slash = strchr(slash, '/')); slash++) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		if (mkdir(in_root(machine, part), 0755))
			assert_int_equal(errno, EEXIST);
	}
}

static void put_bytes(const struct machine *machine, const char *path, const void *bytes, size_t size)
{
	int file;

	make_folders(machine, path);
	file = open(in_root(machine, path), O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(file >= 0);
	assert_int_equal(write(file, bytes, size), size);
	close(file);
}

static void put(const struct machine *machine, const char *path, const char *text)
{
	put_bytes(machine, path, text, strlen(text));
}

static void put_link(const struct machine *machine, const char *path, const char *target)
{
	make_folders(machine, path);
	unlink(in_root(machine, path));
	assert_int_equal(symlink(target, in_root(machine, path)), 0);
}

static void take_away(const struct machine *machine, const char *path)
{
	if (unlink(in_root(machine, path)))
		assert_int_equal(rmdir(in_root(machine, path)), 0);
}

/* A file of the function's own folder. */
static const char *of(const char *address, const char *file)
{
	static char path[2][128];
	static int turn;

	turn = !turn;
	snprintf(path[turn], sizeof(path[0]), "sys/bus/pci/devices/%s/%s", address, file);
	return path[turn];
}

static void put_config(const struct machine *machine, const char *address, uint16_t command)
{
	uint8_t config[64] = {AXL_PCI_VENDOR & 0xff, AXL_PCI_VENDOR >> 8, AXL_PCI_DEVICE & 0xff,
			      AXL_PCI_DEVICE >> 8,   (uint8_t)command,    (uint8_t)(command >> 8)};

	config[PCI_REVISION_ID] = 3;
	config[PCI_BASE_ADDRESS_2] = PCI_BASE_ADDRESS_MEM_TYPE_64;
	config[PCI_BASE_ADDRESS_4] = PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH;
	put_bytes(machine, of(address, "config"), config, sizeof(config));
}

/* One line a BAR: start, end, flags of include/linux/ioport.h. */
static void put_bars(const struct machine *machine, const char *address, const char *bar0, const char *bar2,
		     const char *bar4)
{
	char text[1024] = "";
	const char *const lines[7] = {bar0, NULL, bar2, NULL, bar4};

	for (int i = 0; i < 7; i++) {
		strcat(text, lines[i] ? lines[i] : "0x0000000000000000 0x0000000000000000 0x0000000000000000");
		strcat(text, "\n");
	}
	put(machine, of(address, "resource"), text);
}

#define BAR0 "0x00000000fe000000 0x00000000fe00ffff 0x0000000000040200"
#define BAR2 "0x0000000380000000 0x00000003803fffff 0x0000000000140204"
#define BAR4 "0x0000000340000000 0x000000037fffffff 0x000000000014220c"

static void put_identity(const struct machine *machine, const char *folder, const char *vendor, const char *device,
			 const char *class)
{
	char path[160];
	const char *const files[][2] = {{"vendor", vendor}, {"device", device}, {"class", class}, {"irq", "0\n"}};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, files[i][0]);
		put(machine, path, files[i][1]);
	}
}

static void put_node(const struct machine *machine, const char *address, const char *name)
{
	char path[64], text[32];
	struct stat file;

	assert_int_equal(stat(machine->slave, &file), 0);
	snprintf(path, sizeof(path), "accel/%s/dev", name);
	snprintf(text, sizeof(text), "%u:%u\n", major(file.st_rdev), minor(file.st_rdev));
	put(machine, of(address, path), text);
	snprintf(path, sizeof(path), "dev/accel/%s", name);
	put_link(machine, path, machine->slave);
}

/* A function in good order, below @port. */
static void put_function(const struct machine *machine, const char *port, const char *address, const char *node)
{
	char folder[128], target[160], path[128];

	snprintf(folder, sizeof(folder), "sys/devices/pci0000:00/%s", port);
	put_identity(machine, folder, "0x8086\n", "0x3420\n", "0x060400\n");
	snprintf(target, sizeof(target), "../../../devices/pci0000:00/%s", port);
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s", port);
	put_link(machine, path, target);
	snprintf(folder, sizeof(folder), "sys/devices/pci0000:00/%s/%s", port, address);
	put_identity(machine, folder, "0x1b36\n", "0x00a1\n", "0x120000\n");
	snprintf(target, sizeof(target), "../../../devices/pci0000:00/%s/%s", port, address);
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s", address);
	put_link(machine, path, target);

	put_config(machine, address, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	put_bars(machine, address, BAR0, BAR2, BAR4);
	put(machine, of(address, "current_link_speed"), "8.0 GT/s PCIe\n");
	put(machine, of(address, "current_link_width"), "16\n");
	put(machine, of(address, "max_link_speed"), "8.0 GT/s PCIe\n");
	put(machine, of(address, "max_link_width"), "16\n");
	put(machine, of(port, "max_link_speed"), "16.0 GT/s PCIe\n");
	put(machine, of(port, "max_link_width"), "16\n");
	put(machine, of(address, "power_state"), "D0\n");
	put(machine, of(address, "power/runtime_status"), "active\n");
	put_link(machine, of(address, "driver"), "../../../../bus/pci/drivers/axl");
	put_node(machine, address, node);
}

static int setup(void **state)
{
	struct machine *machine = calloc(1, sizeof(*machine));
	const char *slave;

	strcpy(machine->root, "/tmp/axl-pci-XXXXXX");
	assert_non_null(mkdtemp(machine->root));
	assert_int_equal(chmod(machine->root, 0755), 0);
	machine->terminal = posix_openpt(O_RDWR | O_NOCTTY);
	assert_true(machine->terminal >= 0);
	assert_int_equal(grantpt(machine->terminal), 0);
	assert_int_equal(unlockpt(machine->terminal), 0);
	slave = ptsname(machine->terminal);
	assert_non_null(slave);
	snprintf(machine->slave, sizeof(machine->slave), "%s", slave);
	assert_int_equal(chmod(machine->slave, 0666), 0);
	put(machine, "sys/bus/pci/drivers/axl/bind", "");
	put(machine, "sys/class/accel/.keep", "");
	put_function(machine, PORT, FIRST, "accel0");
	*state = machine;
	return 0;
}

static int remove_one(const char *path, const struct stat *file, int type, struct FTW *walk)
{
	(void)file, (void)type, (void)walk;
	return remove(path);
}

static int teardown(void **state)
{
	struct machine *machine = *state;

	assert_int_equal(seteuid(getuid()), 0); /* a test may have failed as somebody else */
	assert_int_equal(nftw(machine->root, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	close(machine->terminal);
	free(machine);
	return 0;
}

/* ---- expecting ---- */

static struct accel_pci_function look(const struct machine *machine)
{
	struct accel_pci_function function;

	assert_int_equal(accel_pci_list(machine->root, &function, 1), 1);
	return function;
}

/* The one thing that is wrong, with these words in problem and action. */
static void expect(const struct accel_pci_function *function, const char *name, const char *problem, const char *action)
{
	struct accel_pci_finding finding, other;

	if (!accel_pci_finding(function, 0, &finding))
		fail_msg("nothing is found, not %s", name);
	if (strcmp(finding.name, name) || !strstr(finding.problem, problem) || !strstr(finding.action, action))
		fail_msg("%s: %s: %s", finding.name, finding.problem, finding.action);
	if (accel_pci_finding(function, 1, &other))
		fail_msg("%s, and also %s: %s", name, other.name, other.problem);
	assert_true(finding.blocks == (finding.error != 0));
}

/* It is wrong, and opening says so with this errno; what only slows down is not in the way. */
static void expect_wrong(const struct machine *machine, const char *name, int err, const char *problem,
			 const char *action)
{
	const struct accel_pci_function function = look(machine);
	char node[128] = "", error[1024] = "";

	expect(&function, name, problem, action);
	assert_int_equal(accel_pci_resolve(machine->root, "pci:" FIRST, node, sizeof(node), error, sizeof(error)), err);
	if (err && (!strstr(error, "pci:" FIRST) || !strstr(error, problem) || !strstr(error, action)))
		fail_msg("opening says: %s", error);
	if (!err)
		assert_string_equal(node, in_root(machine, "dev/accel/accel0"));
}

/* ---- what is there ---- */

static void a_good_function_has_its_facts_and_no_finding(void **state)
{
	const struct machine *machine = *state;
	const struct accel_pci_function function = look(machine);
	struct accel_pci_finding finding;
	char node[128], error[512] = "";

	if (accel_pci_finding(&function, 0, &finding))
		fail_msg("%s: %s", finding.name, finding.problem);
	assert_string_equal(function.address, FIRST);
	assert_true(function.vendor == AXL_PCI_VENDOR && function.device == AXL_PCI_DEVICE && function.revision == 3);
	assert_string_equal(function.driver, "axl");
	assert_string_equal(function.node, in_root(machine, "dev/accel/accel0"));
	assert_int_equal(function.node_state, ACCEL_PCI_NODE_GOOD);
	assert_true(function.answers && function.decodes && function.masters && !function.suspended);
	assert_string_equal(function.power, "D0");
	assert_true(function.bars[0].address == 0xfe000000 && function.bars[0].size == 65536 &&
		    function.bars[0].memory && !function.bars[0].wide && !function.bars[0].prefetchable);
	assert_true(function.bars[2].address == 0x380000000 && function.bars[2].size == 4 << 20 &&
		    function.bars[2].wide);
	assert_true(function.bars[4].address == 0x340000000 && function.bars[4].size == 1 << 30 &&
		    function.bars[4].prefetchable);
	assert_true(!function.bars[1].claimed && !function.bars[3].claimed && !function.bars[5].claimed);
	assert_true(function.link.speed == 8000 && function.link.width == 16 && function.link.max_speed == 8000 &&
		    function.link.max_width == 16 && function.link.port_speed == 16000 &&
		    function.link.port_width == 16);
	assert_int_equal(accel_pci_resolve(machine->root, "pci:01:00.0", node, sizeof(node), error, sizeof(error)), 0);
	assert_string_equal(node, function.node);
}

static void a_bus_without_one_and_no_bus(void **state)
{
	const struct machine *machine = *state;
	struct accel_pci_function function;
	char error[256];

	put(machine, of(FIRST, "device"), "0x00a2\n");
	assert_int_equal(accel_pci_list(machine->root, &function, 1), 0);
	assert_int_equal(accel_pci_find(machine->root, "", &function, error, sizeof(error)), -ENODEV);
	assert_string_equal(error, "no AXL function is on the PCI bus");
	accel_pci_explain(machine->root, "/dev/accel/accel0", error, sizeof(error));
	assert_string_equal(error, "no AXL function is on the PCI bus");
	assert_int_equal(accel_pci_list(in_root(machine, "dev"), &function, 1), -ENODEV);
	assert_int_equal(accel_pci_find(in_root(machine, "dev"), FIRST, &function, error, sizeof(error)), -ENODEV);
	assert_string_equal(error, "there is no PCI bus here");
}

/* libpci would end the program. */
static void a_bus_that_is_not_understood_is_an_error(void **state)
{
	const struct machine *machine = *state;
	struct accel_pci_function function;
	char error[256];

	put(machine, of(FIRST, "resource"), "no numbers\n");
	assert_int_equal(accel_pci_list(machine->root, &function, 1), -EIO);
	assert_int_equal(accel_pci_find(machine->root, "", &function, error, sizeof(error)), -EIO);
	assert_non_null(strstr(error, "can not be read"));
	put_bars(machine, FIRST, BAR0, BAR2, BAR4);
	assert_int_equal(accel_pci_list(machine->root, &function, 1), 1);
}

static void several_are_told_apart(void **state)
{
	const struct machine *machine = *state;
	struct accel_pci_function all[3], one;
	char node[128], error[512];

	put_function(machine, "0000:00:02.0", SECOND_ONE, "accel1");
	take_away(machine, of(SECOND_ONE, "driver"));
	assert_int_equal(accel_pci_list(machine->root, all, 3), 2);
	assert_int_equal(accel_pci_list(machine->root, NULL, 0), 2);
	assert_string_equal(all[0].address, FIRST);
	assert_string_equal(all[1].address, SECOND_ONE);
	assert_true(strstr(all[0].node, "accel0") && strstr(all[1].node, "accel1"));
	assert_int_equal(accel_pci_list(machine->root, &one, 1), 2);
	assert_string_equal(one.address, FIRST);

	assert_int_equal(accel_pci_resolve(machine->root, "pci:", node, sizeof(node), error, sizeof(error)), -EINVAL);
	assert_non_null(strstr(error, FIRST ", " SECOND_ONE));
	assert_int_equal(accel_pci_resolve(machine->root, "pci:03:00.0", node, sizeof(node), error, sizeof(error)),
			 -ENODEV);
	assert_non_null(strstr(error, FIRST ", " SECOND_ONE));
	/* What is wrong with one is not said of the other. */
	assert_int_equal(accel_pci_resolve(machine->root, "pci:" FIRST, node, sizeof(node), error, sizeof(error)), 0);
	assert_int_equal(accel_pci_resolve(machine->root, "pci:" SECOND_ONE, node, sizeof(node), error, sizeof(error)),
			 -ENODEV);
	accel_pci_explain(machine->root, all[1].node, error, sizeof(error));
	assert_int_equal(strncmp(error, SECOND_ONE ": no driver", strlen(SECOND_ONE ": no driver")), 0);
	accel_pci_explain(machine->root, all[0].node, error, sizeof(error));
	assert_string_equal(error, "");
	accel_pci_explain(machine->root, "/dev/accel/accel7", error, sizeof(error));
	assert_non_null(strstr(error, FIRST));
}

static void addresses_are_checked(void **state)
{
	static const char *const bad[] = {"1",          "01:00",          "01:00.8",
					  "01:20.0",    "0000:01:00.0 ",  "x1:00.0",
					  "0000:01:00", "0000:0001:00.0", "123456789:01:00.0"};
	const struct machine *machine = *state;
	struct accel_pci_function function;
	char error[256];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(accel_pci_find(machine->root, bad[i], &function, error, sizeof(error)), -EINVAL);
		assert_non_null(strstr(error, bad[i]));
	}
	assert_int_equal(accel_pci_find(machine->root, "", &function, NULL, 0), 0);
	assert_int_equal(accel_pci_find(machine->root, "0:1:0.0", &function, NULL, 0), 0);
	assert_string_equal(function.address, FIRST);
}

/* ---- what can be wrong ---- */

static void a_function_off_the_bus(void **state)
{
	const struct machine *machine = *state;
	uint8_t ones[64];

	memset(ones, 0xff, sizeof(ones));
	put_bytes(machine, of(FIRST, "config"), ones, sizeof(ones));
	expect_wrong(machine, "no-answer", -ENODEV, "reads as ones", "/sys/bus/pci/devices/" FIRST "/remove");
}

static void no_driver_is_bound(void **state)
{
	const struct machine *machine = *state;
	char text[1024];

	take_away(machine, of(FIRST, "driver"));
	take_away(machine, of(FIRST, "accel/accel0/dev"));
	take_away(machine, of(FIRST, "accel/accel0"));
	expect_wrong(machine, "no-driver", -ENODEV, "no driver is bound",
		     "echo " FIRST " > /sys/bus/pci/drivers/axl/bind");
	take_away(machine, "sys/bus/pci/drivers/axl/bind");
	take_away(machine, "sys/bus/pci/drivers/axl");
	expect_wrong(machine, "no-driver", -ENODEV, "no driver is bound", "modprobe axl");
	/* The kernel calls it suspended then; there is no driver that could wake it. */
	put(machine, of(FIRST, "power/runtime_status"), "suspended\n");
	assert_false(look(machine).suspended);
	/* A node that is gone with the driver is explained by that. */
	accel_pci_explain(machine->root, "/dev/accel/accel0", text, sizeof(text));
	assert_non_null(strstr(text, FIRST ": no driver is bound to it; load the driver: modprobe axl"));
}

static void another_driver_has_it(void **state)
{
	const struct machine *machine = *state;

	put(machine, "sys/bus/pci/drivers/vfio-pci/bind", "");
	put_link(machine, of(FIRST, "driver"), "../../../../bus/pci/drivers/vfio-pci");
	expect_wrong(machine, "other-driver", -ENODEV, "vfio-pci has it",
		     "echo " FIRST " > /sys/bus/pci/drivers/vfio-pci/unbind");
}

static void a_bar_is_missing(void **state)
{
	const struct machine *machine = *state;

	put_bars(machine, FIRST, NULL, BAR2, BAR4);
	expect_wrong(machine, "bar-missing", -ENODEV, "BAR0 (registers) is missing", "firmware");
	/* What the register says of its kind is gone as well. */
	put_bytes(machine, of(FIRST, "config"), (uint8_t[64]){0x36, 0x1b, 0xa1, 0x00, 6}, 64);
	put_bars(machine, FIRST, BAR0, NULL, BAR4);
	expect_wrong(machine, "bar-missing", -ENODEV, "BAR2 (doorbells) is missing", "firmware");
	put_bars(machine, FIRST, BAR0, BAR2, NULL);
	expect_wrong(machine, "bar-missing", -ENODEV, "BAR4 (the window onto local memory) is missing", "firmware");
}

static void a_bar_got_no_address(void **state)
{
	const struct machine *machine = *state;

	/* As the kernel keeps one that it found no room for, and as one that it has forgotten. */
	put_bars(machine, FIRST, BAR0, BAR2, "0x0000000000000000 0x000000003fffffff 0x000000002014220c");
	expect_wrong(machine, "bar-unassigned", -ENODEV, "BAR4 (the window onto local memory, 1073741824 bytes)",
		     "Above 4G decoding");
	put_bars(machine, FIRST, "0x0000000000000000 0x000000000000ffff 0x0000000020040200", BAR2, BAR4);
	expect_wrong(machine, "bar-unassigned", -ENODEV, "BAR0 (registers, 65536 bytes)", "Above 4G decoding");
	put_bars(machine, FIRST, BAR0, NULL, BAR4);
	expect_wrong(machine, "bar-unassigned", -ENODEV, "BAR2 (doorbells", "pci=realloc");
}

static void a_bar_has_the_wrong_size_or_kind(void **state)
{
	const struct machine *machine = *state;

	put_bars(machine, FIRST, "0x00000000fe000000 0x00000000fe000fff 0x0000000000040200", BAR2, BAR4);
	expect_wrong(machine, "bar-size", -ENODEV, "BAR0 (registers) has 4096 bytes, the register contract says 65536",
		     "update");
	put_bars(machine, FIRST, BAR0, "0x0000000380000000 0x00000003801fffff 0x0000000000140204", BAR4);
	expect_wrong(machine, "bar-size", -ENODEV,
		     "BAR2 (doorbells) has 2097152 bytes, the register contract says 4194304", "update");
	put_bars(machine, FIRST, "0x000000000000c000 0x000000000001bfff 0x0000000000040101", BAR2, BAR4);
	expect_wrong(machine, "bar-size", -ENODEV, "BAR0 (registers) is ports", "update");
	put_bars(machine, FIRST, BAR0, BAR2, "0x000000000000c000 0x000000000000cfff 0x0000000000040101");
	expect_wrong(machine, "bar-size", -ENODEV, "BAR4 (the window onto local memory) is ports", "update");
}

static void a_window_smaller_than_the_memory(void **state)
{
	const struct machine *machine = *state;
	struct accel_pci_function function = look(machine);

	function.mem_bytes = 1ull << 30;
	assert_false(accel_pci_finding(&function, 0, &(struct accel_pci_finding){0}));
	function.mem_bytes = 4ull << 30;
	expect(&function, "local-window", "1073741824 bytes of local memory's 4294967296", "Resizable BAR");
}

static void a_link_slower_than_the_device(void **state)
{
	const struct machine *machine = *state;
	struct accel_pci_function down;
	struct accel_pci_finding finding;

	put(machine, of(FIRST, "current_link_speed"), "2.5 GT/s PCIe\n");
	expect_wrong(machine, "link-slow", 0, "runs at 2.5 GT/s, the device can do 8.0", "reseat the card");
	put(machine, of(PORT, "max_link_speed"), "2.5 GT/s PCIe\n");
	expect_wrong(machine, "link-slow", 0, "runs at 2.5 GT/s", "faster slot");
	/* A link that is down has no speed to complain of. */
	put(machine, of(FIRST, "current_link_speed"), "Unknown\n");
	down = look(machine);
	assert_true(down.link.speed == 0 && !accel_pci_finding(&down, 0, &finding));
}

static void a_link_narrower_than_the_device(void **state)
{
	const struct machine *machine = *state;

	put(machine, of(FIRST, "current_link_width"), "4\n");
	expect_wrong(machine, "link-narrow", 0, "4 lanes wide, the device has 16", "reseat the card");
	put(machine, of(PORT, "max_link_width"), "4\n");
	expect_wrong(machine, "link-narrow", 0, "4 lanes wide", "wider slot");
}

static void memory_decoding_is_off(void **state)
{
	const struct machine *machine = *state;

	put_config(machine, FIRST, PCI_COMMAND_MASTER);
	expect_wrong(machine, "memory-off", -ENODEV, "memory decoding is off",
		     "echo " FIRST " > /sys/bus/pci/drivers/axl/unbind");
}

static void it_sleeps_and_nobody_sent_it_to(void **state)
{
	const struct machine *machine = *state;

	put(machine, of(FIRST, "power_state"), "D3hot\n");
	expect_wrong(machine, "asleep", -ENODEV, "it is in D3hot", "/sys/bus/pci/drivers/axl/unbind");
	/* What its driver has let sleep wakes when it is used. */
	put(machine, of(FIRST, "power/runtime_status"), "suspended\n");
	assert_true(look(machine).suspended);
	assert_int_equal(accel_pci_resolve(machine->root, "pci:", (char[128]){0}, 128, NULL, 0), 0);
}

static void the_driver_made_no_device(void **state)
{
	const struct machine *machine = *state;

	take_away(machine, of(FIRST, "accel/accel0/dev"));
	take_away(machine, of(FIRST, "accel/accel0"));
	expect_wrong(machine, "no-accel", -ENODEV, "has made no accel device", "see dmesg");
	take_away(machine, "sys/class/accel/.keep");
	take_away(machine, "sys/class/accel");
	expect_wrong(machine, "no-accel", -ENODEV, "has made no accel device", "CONFIG_DRM_ACCEL");
}

static void the_node_is_missing(void **state)
{
	const struct machine *machine = *state;

	take_away(machine, "dev/accel/accel0");
	expect_wrong(machine, "node-missing", -ENOENT, in_root(machine, "dev/accel/accel0"), "udevadm trigger");
}

static void the_node_is_something_else(void **state)
{
	const struct machine *machine = *state;

	put_link(machine, "dev/accel/accel0", "/dev/null");
	expect_wrong(machine, "node-other", -ENODEV, "is something else", "remove it");
	take_away(machine, "dev/accel/accel0");
	put(machine, "dev/accel/accel0", "");
	expect_wrong(machine, "node-other", -ENODEV, "is something else", "remove it");
}

/* Whoever runs the test: root becomes somebody else for it, others close the node to themselves. */
static void the_node_may_not_be_opened(void **state)
{
	const struct machine *machine = *state;
	const bool root = !geteuid();
	struct stat file;

	assert_int_equal(stat(machine->slave, &file), 0);
	assert_int_equal(chown(machine->slave, (uid_t)-1, root ? 1 : file.st_gid), 0);
	assert_int_equal(chmod(machine->slave, 0060), 0);
	assert_int_equal(seteuid(root ? 65534 : geteuid()), 0);
	expect_wrong(machine, "node-denied", -EACCES, "mode 0060, group", "usermod -aG");
	assert_int_equal(seteuid(root ? 0 : geteuid()), 0);
	assert_int_equal(chmod(machine->slave, 0000), 0);
	assert_int_equal(seteuid(root ? 65534 : geteuid()), 0);
	expect_wrong(machine, "node-denied", -EACCES, "mode 0000, group", "driver/60-axl.rules");
	assert_int_equal(seteuid(root ? 0 : geteuid()), 0);
}

#define MACHINE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(a_good_function_has_its_facts_and_no_finding),
		MACHINE_TEST(a_bus_without_one_and_no_bus),
		MACHINE_TEST(a_bus_that_is_not_understood_is_an_error),
		MACHINE_TEST(several_are_told_apart),
		MACHINE_TEST(addresses_are_checked),
		MACHINE_TEST(a_function_off_the_bus),
		MACHINE_TEST(no_driver_is_bound),
		MACHINE_TEST(another_driver_has_it),
		MACHINE_TEST(a_bar_is_missing),
		MACHINE_TEST(a_bar_got_no_address),
		MACHINE_TEST(a_bar_has_the_wrong_size_or_kind),
		MACHINE_TEST(a_window_smaller_than_the_memory),
		MACHINE_TEST(a_link_slower_than_the_device),
		MACHINE_TEST(a_link_narrower_than_the_device),
		MACHINE_TEST(memory_decoding_is_off),
		MACHINE_TEST(it_sleeps_and_nobody_sent_it_to),
		MACHINE_TEST(the_driver_made_no_device),
		MACHINE_TEST(the_node_is_missing),
		MACHINE_TEST(the_node_is_something_else),
		MACHINE_TEST(the_node_may_not_be_opened),
	};

	return cmocka_run_group_tests_name("pci", tests, NULL, NULL);
}
