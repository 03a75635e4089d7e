/* SPDX-License-Identifier: MIT */
/* See server.h. */
#include "runtime/cli/serve/server.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "runtime/cli/serve/exchange.h"

/*
 * A connection on which a request may just be coming is told from an idle one by looking so often, so far apart: a second, which a
 * client has between its connection and its request. Without connections a few looks are enough, for one that is just being taken.
 */
#define QUIET_LOOKS 100
#define EMPTY_LOOKS 5
#define QUIET_NS 10000000

struct connection {
	int fd;
	struct connection *next;
};

/* ---- callbacks of libmicrohttpd ---- */

static void on_connection(void *closure, struct MHD_Connection *connection, void **context,
			  enum MHD_ConnectionNotificationCode what)
{
	struct server *server = closure;
	struct connection *entry = *context, **at;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		/* Without memory the connection works; only a stop does not wait for what it has not read yet. */
		entry = calloc(1, sizeof(*entry));
		*context = entry;
		if (!entry)
			return;
		entry->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
		pthread_mutex_lock(&server->lock);
		entry->next = server->connections;
		server->connections = entry;
		pthread_mutex_unlock(&server->lock);
	} else if (entry) {
		pthread_mutex_lock(&server->lock);
		for (at = &server->connections; *at != entry; at = &(*at)->next)
			;
		*at = entry->next;
		pthread_cond_broadcast(&server->change);
		pthread_mutex_unlock(&server->lock);
		free(entry);
	}
}

static void *on_request_line(void *closure, const char *uri, struct MHD_Connection *connection)
{
	struct server *server = closure;

	(void)uri;
	(void)connection;
	pthread_mutex_lock(&server->lock);
	server->active++;
	pthread_mutex_unlock(&server->lock);
	return exchange_create(server);
}

static void on_completed(void *closure, struct MHD_Connection *connection, void **context,
			 enum MHD_RequestTerminationCode how)
{
	struct server *server = closure;

	(void)connection;
	(void)how;
	exchange_destroy(*context);
	*context = NULL;
	pthread_mutex_lock(&server->lock);
	server->active--;
	pthread_cond_broadcast(&server->change);
	pthread_mutex_unlock(&server->lock);
}

/* ---- life ---- */

int server_start(struct server *server, const struct serve_models *models, int listener)
{
	int err = metrics_init(&server->metrics, models->count);

	if (err) {
		close(listener);
		return err;
	}
	for (size_t i = 0; i < models->count; i++)
		server->metrics.models[i].name = models->models[i].name;
	server->models = models;
	server->listener = listener;
	server->max_connections = 4 * server->max_requests;
	pthread_mutex_init(&server->lock, NULL);
	pthread_cond_init(&server->change, NULL);
	server->daemon = MHD_start_daemon(
		MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL | MHD_USE_ITC, 0, NULL,
		NULL, exchange_handle, server, MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_CONNECTION_LIMIT,
		server->max_connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)SERVER_MAX_HEADERS,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)SERVER_IDLE_SECONDS, MHD_OPTION_URI_LOG_CALLBACK,
		on_request_line, server, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_END);
	if (server->daemon)
		return 0;
	metrics_finish(&server->metrics);
	pthread_mutex_destroy(&server->lock);
	pthread_cond_destroy(&server->change);
	return -EIO;
}

/* Until something changes, at most QUIET_NS; with the lock held. */
static void wait_for_change(struct server *server)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += QUIET_NS;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_cond_timedwait(&server->change, &server->lock, &until);
}

/*
 * From now on the kernel takes no new connection on @listener, and forgets none that it has taken: it sees no SYN any more. Closing the
 * socket instead would reset what is between the kernel and accept(). Clients try again, and are refused once it is closed. Where
 * filters are not to be had, the socket just goes on taking connections until it is closed.
 */
static void take_no_more(int listener)
{
	/* The 14th byte of a TCP header has its flags. */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x02, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

	setsockopt(listener, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

/* What the kernel has taken, as far as there is room for it. True: there was something. */
static bool take_backlog(struct server *server, int listener)
{
	bool taken = false;
	int client;

	while (MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)->num_connections <
	       server->max_connections) {
		struct sockaddr_storage address = {0};
		socklen_t length = sizeof(address);

		client = accept4(listener, (struct sockaddr *)&address, &length, SOCK_CLOEXEC);
		if (client < 0)
			break;
		MHD_add_connection(server->daemon, client, (struct sockaddr *)&address, length);
		taken = true;
	}
	return taken;
}

/* Is a request under way, or are bytes of one waiting to be read? With the lock held. */
static bool busy(const struct server *server)
{
	if (server->active)
		return true;
	for (const struct connection *c = server->connections; c; c = c->next) {
		int bytes = 0;

		if (!ioctl(c->fd, FIONREAD, &bytes) && bytes > 0)
			return true;
	}
	return false;
}

void server_stop(struct server *server)
{
	int quiet = 0;

	take_no_more(server->listener);
	server->stopping = true;
	MHD_quiesce_daemon(server->daemon);
	fcntl(server->listener, F_SETFL, fcntl(server->listener, F_GETFL) | O_NONBLOCK);
	while (true) {
		bool taken = take_backlog(server, server->listener);

		pthread_mutex_lock(&server->lock);
		quiet = taken || busy(server) ? 0 : quiet + 1;
		if (quiet > (server->connections ? QUIET_LOOKS : EMPTY_LOOKS))
			break;
		wait_for_change(server);
		pthread_mutex_unlock(&server->lock);
	}
	pthread_mutex_unlock(&server->lock);
	close(server->listener);
	MHD_stop_daemon(server->daemon);
	metrics_finish(&server->metrics);
	pthread_mutex_destroy(&server->lock);
	pthread_cond_destroy(&server->change);
}
