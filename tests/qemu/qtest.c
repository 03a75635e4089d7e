/* SPDX-License-Identifier: MIT */
/* See qtest.h. The protocol is QEMU's docs/devel/testing/qtest.rst: a line each way, numbers in hexadecimal. */
#include "tests/qemu/qtest.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define FIRST_FREE (2u << 20) /* below 1 MiB is what a PC keeps for itself; page tables of the tests map 2 MiB */
#define BIOS_BYTES 65536
#define MAX_ARGS 64

uint64_t qtest_now_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

/* The machine whose clock goes by while a test waits, and how far at each look. */
static struct qtest *walker;
static uint64_t walk_ns;

void qtest_walk_clock(struct qtest *qt, uint64_t ns)
{
	walker = ns ? qt : NULL;
	walk_ns = ns;
}

void qtest_pause(void)
{
	if (walker)
		qtest_clock_step(walker, walk_ns);
	nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
}

const char *qtest_binary(void)
{
	const char *binary = getenv("AXL_QEMU");

	if (!binary || access(binary, X_OK)) {
		printf("AXL_QEMU names no QEMU with the device in it (tests/vm/build-qemu.sh builds one)\n");
		return NULL;
	}
	return binary;
}

/* ---- the process ---- */

static void print_log(const struct qtest *qt)
{
	char path[96], line[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/log", qt->folder);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		fprintf(stderr, "qemu: %s", line);
	if (file)
		fclose(file);
}

static void died(const struct qtest *qt)
{
	int status = 0;

	print_log(qt);
	waitpid(qt->pid, &status, 0);
	fail_msg("QEMU ended: status 0x%x", (unsigned int)status);
}

static int listen_at(const struct qtest *qt, const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", qt->folder, name);
	assert_true(fd >= 0 && !bind(fd, (struct sockaddr *)&address, sizeof(address)) && !listen(fd, 1));
	return fd;
}

static int accept_from(const struct qtest *qt, int listener)
{
	struct pollfd wait = {.fd = listener, .events = POLLIN};
	int fd = -1;

	for (int tries = 0; tries < QTEST_WAIT_MS / 50; tries++) {
		if (poll(&wait, 1, 50) == 1) {
			fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
			break;
		}
		if (waitpid(qt->pid, NULL, WNOHANG)) {
			print_log(qt);
			fail_msg("QEMU does not start");
		}
	}
	assert_true(fd >= 0);
	close(listener);
	return fd;
}

static void make_file(const struct qtest *qt, const char *name, off_t size)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", qt->folder, name);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && !ftruncate(fd, size));
	close(fd);
}

static void make_folder(struct qtest *qt)
{
	memset(qt, 0, sizeof(*qt));
	snprintf(qt->folder, sizeof(qt->folder), "/tmp/axl-qtest-XXXXXX");
	assert_non_null(mkdtemp(qt->folder));
	make_file(qt, "ram", QTEST_RAM_BYTES);
	make_file(qt, "bios", BIOS_BYTES); /* no processor will run it, but a PC without firmware does not start */
}

static void remove_folder(const struct qtest *qt)
{
	static const char *const names[] = {"ram", "bios", "log", "qtest", "qmp"};
	char path[96];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", qt->folder, names[i]);
		unlink(path);
	}
	rmdir(qt->folder);
}

/* Replace this process by QEMU; words of @options are separated by blanks. */
static void become_qemu(const struct qtest *qt, const char *options)
{
	char *argv[MAX_ARGS], *words = strdup(options), *rest = NULL, path[96];
	int count = 0, log;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(path, sizeof(path), "%s/log", qt->folder);
	log = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	dup2(log, 1);
	dup2(log, 2);
	argv[count++] = getenv("AXL_QEMU");
	for (char *word = strtok_r(words, " ", &rest); word && count < MAX_ARGS - 1; word = strtok_r(NULL, " ", &rest))
		argv[count++] = word;
	argv[count] = NULL;
	execv(argv[0], argv);
	_exit(127);
}

static void spawn(struct qtest *qt, const char *args)
{
	const char *f = qt->folder;
	char options[2048];

	snprintf(options, sizeof(options),
		 "-machine q35,memory-backend=ram -accel qtest -nodefaults -display none -vga none -m %uM "
		 "-object memory-backend-file,id=ram,size=%uM,mem-path=%s/ram,share=on -bios %s/bios "
		 "-qtest unix:%s/qtest -qtest-log none -chardev socket,id=qmp,path=%s/qmp -mon "
		 "chardev=qmp,mode=control %s",
		 QTEST_RAM_BYTES >> 20, QTEST_RAM_BYTES >> 20, f, f, f, f, args);
	fflush(NULL);
	qt->pid = fork();
	assert_true(qt->pid >= 0);
	if (!qt->pid)
		become_qemu(qt, options);
}

static void map_ram(struct qtest *qt)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/ram", qt->folder);
	fd = open(path, O_RDWR | O_CLOEXEC);
	qt->ram = mmap(NULL, QTEST_RAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(qt->ram != MAP_FAILED);
	close(fd);
	qt->next = FIRST_FREE;
}

static const char *next_message(struct qtest *qt);

void qtest_start(struct qtest *qt, const char *args)
{
	int serial, monitor;

	make_folder(qt);
	serial = listen_at(qt, "qtest");
	monitor = listen_at(qt, "qmp");
	spawn(qt, args);
	/* In either order: both wait in the backlog. */
	qt->serial = accept_from(qt, serial);
	qt->monitor = accept_from(qt, monitor);
	map_ram(qt);
	assert_non_null(strstr(next_message(qt), "QMP"));
	qtest_qmp_ok(qt, "{'execute':'qmp_capabilities'}");
}

void qtest_stop(struct qtest *qt)
{
	uint64_t deadline = qtest_now_ms() + QTEST_WAIT_MS;
	int status = -1;
	pid_t ended;
	char *log;

	qtest_walk_clock(qt, 0);
	qtest_qmp_ok(qt, "{'execute':'quit'}");
	while (!(ended = waitpid(qt->pid, &status, WNOHANG)) && qtest_now_ms() < deadline)
		qtest_pause();
	if (!ended) {
		kill(qt->pid, SIGKILL);
		waitpid(qt->pid, NULL, 0);
		fail_msg("QEMU does not end");
	}
	log = qtest_log(qt);
	/* What UBSan says does not end the process. */
	if (status || strstr(log, "runtime error"))
		print_log(qt);
	assert_int_equal(status, 0);
	assert_null(strstr(log, "runtime error"));
	free(log);
	close(qt->serial);
	close(qt->monitor);
	munmap(qt->ram, QTEST_RAM_BYTES);
	remove_folder(qt);
}

char *qtest_refusal(const char *args)
{
	struct qtest *qt = malloc(sizeof(*qt));
	char *text = calloc(1, 4096), path[96];
	int serial, monitor, status = 0;
	FILE *file;

	assert_true(qt && text);
	make_folder(qt);
	serial = listen_at(qt, "qtest");
	monitor = listen_at(qt, "qmp");
	spawn(qt, args);
	for (uint64_t deadline = qtest_now_ms() + QTEST_WAIT_MS; waitpid(qt->pid, &status, WNOHANG) == 0;) {
		if (qtest_now_ms() > deadline) {
			kill(qt->pid, SIGKILL);
			waitpid(qt->pid, &status, 0);
			fail_msg("QEMU starts with: %s", args);
		}
		qtest_pause();
	}
	close(serial);
	close(monitor);
	/* Said so and left: not a crash. */
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
	snprintf(path, sizeof(path), "%s/log", qt->folder);
	file = fopen(path, "r");
	assert_non_null(file);
	text[fread(text, 1, 4095, file)] = 0;
	fclose(file);
	remove_folder(qt);
	free(qt);
	return text;
}

char *qtest_log(const struct qtest *qt)
{
	char path[96], *text = NULL;
	size_t size = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/log", qt->folder);
	file = fopen(path, "r");
	assert_non_null(file);
	if (getdelim(&text, &size, 0, file) < 0) {
		free(text);
		text = strdup("");
	}
	fclose(file);
	return text;
}

static unsigned int count_entries(const struct qtest *qt, const char *folder)
{
	unsigned int count = 0;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)qt->pid, folder);
	dir = opendir(path);
	assert_non_null(dir);
	for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

unsigned int qtest_threads(const struct qtest *qt)
{
	return count_entries(qt, "task");
}

unsigned int qtest_descriptors(const struct qtest *qt)
{
	return count_entries(qt, "fd");
}

uint64_t qtest_cpu_ms(const struct qtest *qt)
{
	unsigned long user, system;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)qt->pid);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system),
			 2);
	fclose(file);
	return (user + system) * 1000 / (unsigned long)sysconf(_SC_CLK_TCK);
}

/* ---- lines ---- */

static void send_text(struct qtest *qt, int fd, const char *text, size_t size)
{
	while (size) {
		ssize_t sent = send(fd, text, size, MSG_NOSIGNAL);

		if (sent <= 0)
			died(qt);
		text += sent;
		size -= (size_t)sent;
	}
}

/* The next line of @fd into qt->reply, without its end. */
static char *receive_line(struct qtest *qt, int fd)
{
	size_t used = 0;
	char c = 0;

	while (c != '\n') {
		struct pollfd wait = {.fd = fd, .events = POLLIN};

		if (poll(&wait, 1, QTEST_WAIT_MS) != 1) {
			print_log(qt);
			fail_msg("QEMU does not answer");
		}
		/* What has come is looked at before it is taken: nothing of the next line may be. */
		if (recv(fd, &c, 1, 0) != 1)
			died(qt);
		assert_true(used < sizeof(qt->reply) - 1);
		qt->reply[used++] = c;
	}
	while (used && (qt->reply[used - 1] == '\n' || qt->reply[used - 1] == '\r'))
		used--;
	qt->reply[used] = 0;
	return qt->reply;
}

__attribute__((format(printf, 2, 3))) static const char *command(struct qtest *qt, const char *format, ...)
{
	char line[256], *reply;
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	assert_true(length > 0 && (size_t)length < sizeof(line) - 1);
	line[length] = '\n';
	send_text(qt, qt->serial, line, (size_t)length + 1);
	reply = receive_line(qt, qt->serial);
	if (strncmp(reply, "OK", 2))
		fail_msg("qtest: %.*s: %s", length, line, reply);
	return reply[2] ? reply + 3 : "";
}

static char letter(unsigned int size)
{
	return size == 1 ? 'b' : size == 2 ? 'w' : size == 4 ? 'l' : 'q';
}

void qtest_out(struct qtest *qt, uint16_t port, uint32_t value, unsigned int size)
{
	command(qt, "out%c 0x%x 0x%x", letter(size), port, value);
}

uint32_t qtest_in(struct qtest *qt, uint16_t port, unsigned int size)
{
	return (uint32_t)strtoul(command(qt, "in%c 0x%x", letter(size), port), NULL, 16);
}

uint64_t qtest_load(struct qtest *qt, uint64_t address, unsigned int size)
{
	return strtoull(command(qt, "read%c 0x%" PRIx64, letter(size), address), NULL, 16);
}

void qtest_store(struct qtest *qt, uint64_t address, uint64_t value, unsigned int size)
{
	command(qt, "write%c 0x%" PRIx64 " 0x%" PRIx64, letter(size), address, value);
}

void qtest_read(struct qtest *qt, uint64_t address, void *data, size_t size)
{
	const char *text = command(qt, "read 0x%" PRIx64 " 0x%zx", address, size) + 2;

	for (size_t i = 0; i < size; i++) {
		unsigned int byte;

		assert_int_equal(sscanf(text + 2 * i, "%2x", &byte), 1);
		((uint8_t *)data)[i] = (uint8_t)byte;
	}
}

void qtest_write(struct qtest *qt, uint64_t address, const void *data, size_t size)
{
	char text[2 * 64 + 1];

	assert_true(size <= 64);
	for (size_t i = 0; i < size; i++)
		snprintf(text + 2 * i, 3, "%02x", ((const uint8_t *)data)[i]);
	command(qt, "write 0x%" PRIx64 " 0x%zx 0x%s", address, size, text);
}

void qtest_clock_step(struct qtest *qt, uint64_t ns)
{
	command(qt, "clock_step %" PRIu64, ns);
}

/* ---- RAM ---- */

uint64_t qtest_alloc(struct qtest *qt, uint64_t size)
{
	uint64_t address = qt->next;

	qt->next += (size + 4095) & ~4095ull;
	assert_true(qt->next <= QTEST_RAM_BYTES);
	memset(qt->ram + address, 0, size);
	return address;
}

void *qtest_at(struct qtest *qt, uint64_t address)
{
	assert_true(address < QTEST_RAM_BYTES);
	return qt->ram + address;
}

/* ---- QMP ---- */

/* The next message; an event is remembered as well. */
static const char *next_message(struct qtest *qt)
{
	const char *line = receive_line(qt, qt->monitor);

	if (strstr(line, "\"event\"")) {
		size_t used = strlen(qt->events), length = strlen(line);

		if (used + length + 2 > sizeof(qt->events))
			used = 0; /* old ones that nobody waited for */
		snprintf(qt->events + used, sizeof(qt->events) - used, "%s\n", line);
	}
	return line;
}

static const char *qmp(struct qtest *qt, const char *format, va_list args)
{
	char text[4096];
	int length = vsnprintf(text, sizeof(text) - 1, format, args);
	const char *answer;

	assert_true(length > 0 && (size_t)length < sizeof(text) - 1);
	send_text(qt, qt->monitor, text, (size_t)length);
	do
		answer = next_message(qt);
	while (strstr(answer, "\"event\""));
	return answer;
}

const char *qtest_qmp(struct qtest *qt, const char *format, ...)
{
	const char *answer;
	va_list args;

	va_start(args, format);
	answer = qmp(qt, format, args);
	va_end(args);
	return answer;
}

const char *qtest_qmp_ok(struct qtest *qt, const char *format, ...)
{
	const char *answer;
	va_list args;

	va_start(args, format);
	answer = qmp(qt, format, args);
	va_end(args);
	if (!strstr(answer, "\"return\""))
		fail_msg("QMP: %s: %s", format, answer);
	return answer;
}

static bool forget_event(struct qtest *qt, const char *name, const char *detail)
{
	for (char *line = qt->events, *end; (end = strchr(line, '\n')); line = end + 1) {
		*end = 0;
		if (strstr(line, name) && strstr(line, detail)) {
			memmove(line, end + 1, strlen(end + 1) + 1);
			return true;
		}
		*end = '\n';
	}
	return false;
}

void qtest_qmp_event(struct qtest *qt, const char *name, const char *detail)
{
	while (!forget_event(qt, name, detail))
		next_message(qt);
}

const char *qtest_hmp(struct qtest *qt, const char *line)
{
	return qtest_qmp_ok(qt, "{'execute':'human-monitor-command','arguments':{'command-line':'%s'}}", line);
}

uint64_t qtest_qom_get(struct qtest *qt, const char *path, const char *property)
{
	const char *answer =
		qtest_qmp_ok(qt, "{'execute':'qom-get','arguments':{'path':'%s','property':'%s'}}", path, property);

	answer = strstr(answer, "\"return\"") + strlen("\"return\": ");
	return *answer == 't' ? 1 : *answer == 'f' ? 0 : strtoull(answer, NULL, 10);
}

void qtest_qom_set(struct qtest *qt, const char *path, const char *property, const char *json)
{
	qtest_qmp_ok(qt, "{'execute':'qom-set','arguments':{'path':'%s','property':'%s','value':%s}}", path, property,
		     json);
}
