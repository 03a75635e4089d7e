/* SPDX-License-Identifier: MIT */
/* See progress.h. The line is painted by a thread, so that work which reports nothing has one, too. */
#include "runtime/cli/progress.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define PERIOD_NS 100000000
#define DELAY_NS 1000000000
#define BAR 30
#define LEAST_BAR 8
#define MAX_LINE 256

/* @lock: of @ended, which @end tells the thread; @shown is the thread's */
struct progress {
	int fd;
	char text[MAX_LINE];
	uint64_t begin, delay;
	_Atomic uint64_t done, total;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t end;
	bool ended, shown;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The line with a bar of @columns; what snprintf() returns. */
static int write_line(char *line, size_t size, int columns, const char *text, uint64_t done, uint64_t total,
		      uint64_t elapsed_ns)
{
	uint64_t seconds = elapsed_ns / 1000000000, whole = total == PROGRESS_SHARE ? PROGRESS_WHOLE : total;
	double share = (double)(done < whole ? done : whole) / (double)whole;
	char bar[BAR + 1], counted[64], left[32] = "";

	memset(bar, '-', (size_t)columns);
	memset(bar, '#', (size_t)(share * columns));
	bar[columns] = '\0';
	if (total == PROGRESS_SHARE)
		snprintf(counted, sizeof(counted), "%d %%", (int)(share * 100));
	else
		snprintf(counted, sizeof(counted), "%" PRIu64 " of %" PRIu64, done, total);
	if (done)
		snprintf(left, sizeof(left), ", %.0f s left", (double)elapsed_ns / 1e9 * (1 - share) / share);
	return snprintf(line, size, "%s  [%s] %s  %" PRIu64 " s%s", text, bar, counted, seconds, left);
}

size_t progress_line(char *line, size_t size, unsigned int width, const char *text, uint64_t done, uint64_t total,
		     uint64_t elapsed_ns)
{
	int length, columns = BAR;

	if (!total) {
		length = snprintf(line, size, "%s  %" PRIu64 " s", text, elapsed_ns / 1000000000);
	} else {
		length = write_line(line, size, columns, text, done, total, elapsed_ns);
		/* The bar gives way before the figures do. */
		if (length > (int)width) {
			columns -= length - (int)width;
			columns = columns < LEAST_BAR ? LEAST_BAR : columns;
			length = write_line(line, size, columns, text, done, total, elapsed_ns);
		}
	}
	if (length < 0)
		length = 0;
	if ((size_t)length >= size)
		length = (int)size - 1;
	if ((unsigned int)length > width)
		length = (int)width;
	line[length] = '\0';
	return (size_t)length;
}

/* What a terminal does not take is lost, as is a picture on one that is gone. */
static void put(int fd, const char *text, size_t size)
{
	while (size) {
		ssize_t written = write(fd, text, size);

		if (written <= 0)
			return;
		text += written;
		size -= (size_t)written;
	}
}

static void paint(struct progress *progress)
{
	static const char back[] = "\r\033[K";
	struct winsize window = {0};
	char line[MAX_LINE + 128] = "\r\033[K";
	unsigned int width = 79;
	size_t length;

	/* The last column is left free: some terminals go to the next line there. */
	if (!ioctl(progress->fd, TIOCGWINSZ, &window) && window.ws_col > 1)
		width = window.ws_col - 1u;
	length = progress_line(line + sizeof(back) - 1, sizeof(line) - sizeof(back) + 1, width, progress->text,
			       progress->done, progress->total, now_ns() - progress->begin);
	put(progress->fd, line, length + sizeof(back) - 1);
	progress->shown = true;
}

/* Sleeps until @at or the end, with the lock held. */
static void sleep_until(struct progress *progress, uint64_t at)
{
	struct timespec until = {(time_t)(at / 1000000000), (long)(at % 1000000000)};

	while (!progress->ended && now_ns() < at)
		pthread_cond_timedwait(&progress->end, &progress->lock, &until);
}

static void *painter(void *argument)
{
	struct progress *progress = argument;

	pthread_mutex_lock(&progress->lock);
	sleep_until(progress, progress->begin + progress->delay);
	while (!progress->ended) {
		paint(progress);
		sleep_until(progress, now_ns() + PERIOD_NS);
	}
	pthread_mutex_unlock(&progress->lock);
	return NULL;
}

struct progress *progress_start(int fd, uint64_t delay_ns, const char *text)
{
	struct progress *progress = isatty(fd) ? calloc(1, sizeof(*progress)) : NULL;
	pthread_condattr_t clock;

	if (!progress)
		return NULL;
	progress->fd = fd;
	progress->begin = now_ns();
	progress->delay = delay_ns;
	snprintf(progress->text, sizeof(progress->text), "%s", text);
	pthread_mutex_init(&progress->lock, NULL);
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&progress->end, &clock);
	pthread_condattr_destroy(&clock);
	if (!pthread_create(&progress->thread, NULL, painter, progress))
		return progress;
	pthread_cond_destroy(&progress->end);
	pthread_mutex_destroy(&progress->lock);
	free(progress);
	return NULL;
}

struct progress *progress_of(const struct options *options, const char *verb)
{
	const char *name =
		options->model && strrchr(options->model, '/') ? strrchr(options->model, '/') + 1 : options->model;
	char text[MAX_LINE];

	if (options->quiet)
		return NULL;
	snprintf(text, sizeof(text), "%s %.100s", verb, name ? name : "");
	return progress_start(STDERR_FILENO, DELAY_NS, text);
}

void progress_step(struct progress *progress, uint64_t done, uint64_t total)
{
	if (!progress)
		return;
	progress->total = total;
	progress->done = done;
}

void progress_share(void *progress, double done)
{
	progress_step(progress, (uint64_t)(done * PROGRESS_WHOLE), PROGRESS_SHARE);
}

void progress_stop(struct progress *progress)
{
	if (!progress)
		return;
	pthread_mutex_lock(&progress->lock);
	progress->ended = true;
	pthread_cond_signal(&progress->end);
	pthread_mutex_unlock(&progress->lock);
	pthread_join(progress->thread, NULL);
	if (progress->shown)
		put(progress->fd, "\r\033[K", 4);
	pthread_cond_destroy(&progress->end);
	pthread_mutex_destroy(&progress->lock);
	free(progress);
}
