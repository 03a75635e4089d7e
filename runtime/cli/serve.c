/* SPDX-License-Identifier: MIT */
/* accel serve: models over HTTP, by the Open Inference Protocol (KServe v2). The server is in serve/. */
#include <errno.h>
#include <netdb.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/cli/command.h"
#include "runtime/cli/serve/server.h"
#include "runtime/cli/progress.h"
#include "runtime/cli/session_options.h"

#define DEFAULT_LISTEN "127.0.0.1:8000"

/* ---- the end ---- */

/*
 * Handlers, not a thread that waits for the signals: libraries start threads before main(), which nobody can tell to leave signals
 * alone. @serving: signals end it in order; before, and from the second one on, at once. @asked: the first one has come.
 */
static struct {
	atomic_bool serving;
	sem_t asked;
} end;

static void on_signal(int number)
{
	if (!atomic_exchange(&end.serving, false))
		_exit(128 + number);
	sem_post(&end.asked);
}

static void end_watch(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	sem_init(&end.asked, 0, 0);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
}

/* ---- the socket ---- */

/* HOST:PORT or [HOST]:PORT in two strings. */
static bool split_address(const char *text, char *host, size_t size, const char **port)
{
	const char *colon = strrchr(text, ':');
	size_t length = colon ? (size_t)(colon - text) : 0;

	if (length >= 2 && text[0] == '[' && text[length - 1] == ']') {
		text++;
		length -= 2;
	}
	if (!length || length >= size || !colon[1])
		return false;
	memcpy(host, text, length);
	host[length] = '\0';
	*port = colon + 1;
	return true;
}

static int listen_at(const struct addrinfo *address)
{
	int one = 1, fd = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, address->ai_protocol);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (!bind(fd, address->ai_addr, address->ai_addrlen) && !listen(fd, SOMAXCONN))
		return fd;
	one = errno;
	close(fd);
	return -one;
}

/* A listening socket, or a negative errno after a complaint. */
static int listen_on(const char *text)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list;
	const char *port;
	char host[256];
	int err, fd = -EADDRNOTAVAIL;

	if (!split_address(text, host, sizeof(host), &port))
		return complain(-EINVAL, "--listen: '%s' is not HOST:PORT", text);
	err = getaddrinfo(host, port, &hints, &list);
	if (err)
		return complain(-EINVAL, "--listen: '%s': %s", text, gai_strerror(err));
	for (const struct addrinfo *at = list; at && fd < 0; at = at->ai_next)
		fd = listen_at(at);
	freeaddrinfo(list);
	return fd < 0 ? complain(fd, "--listen: '%s': %s", text, strerror(-fd)) : fd;
}

/* "accel: serving NAME… on http://HOST:PORT": what a script waits for, and where port 0 has led. */
static void announce(const struct serve_models *models, int listener)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);
	char host[256] = "", port[32] = "";

	getsockname(listener, (struct sockaddr *)&address, &length);
	getnameinfo((struct sockaddr *)&address, length, host, sizeof(host), port, sizeof(port),
		    NI_NUMERICHOST | NI_NUMERICSERV);
	printf("accel: serving");
	for (size_t i = 0; i < models->count; i++)
		printf(" %s", models->models[i].name);
	printf(strchr(host, ':') ? " on http://[%s]:%s\n" : " on http://%s:%s\n", host, port);
	fflush(stdout);
}

static int serve(const struct serve_models *models, int listener, const struct options *options)
{
	struct server server = {.max_body = (size_t)options->max_body << 20, .max_requests = options->max_requests};
	int copy = dup(listener); /* the address, once the server has the socket */
	int err = server_start(&server, models, listener);

	if (err) {
		close(copy);
		return complain(EXIT_USAGE, "the HTTP server did not start: %s", strerror(-err));
	}
	end.serving = true;
	announce(models, copy);
	close(copy);
	while (sem_wait(&end.asked) && errno == EINTR)
		;
	if (!options->quiet)
		complain(0, "stopping: no new connections; a second signal ends at once");
	server_stop(&server);
	return EXIT_GOOD;
}

int command_serve(int argc, char **argv)
{
	struct session_setup setup;
	struct serve_models models;
	struct progress *progress;
	struct options options;
	int code, err, listener;

	if (options_parse(argc, argv, "serve",
			  "Serve models over HTTP by the Open Inference Protocol (KServe v2). NAME=MODEL gives a name.",
			  "dpLXYbFnsmcMzKNq+", &options))
		return EXIT_USAGE;
	if (options.help)
		return EXIT_GOOD;
	if (session_setup(&options, &setup))
		return EXIT_USAGE;
	end_watch();
	/* Before the models, which may take long: an address that is taken is said at once. */
	listener = listen_on(options.listen ? options.listen : DEFAULT_LISTEN);
	if (listener < 0)
		return EXIT_USAGE;
	progress = progress_of(&options, "loading");
	err = serve_models_load(&models, options.operands, options.num_operands, &setup.options);
	progress_stop(progress);
	if (err) {
		close(listener);
		return exit_code(err);
	}
	code = serve(&models, listener, &options);
	serve_models_finish(&models);
	return code;
}
