/* SPDX-License-Identifier: MIT */
/*
 * The HTTP server: connections, each with a thread of libmicrohttpd's, and their end. What is answered is exchange.c's.
 *
 * Stopping: no connection is taken any more but those that the kernel had already taken; every request that has come, or whose first
 * bytes have, is answered, with "Connection: close"; connections on which nothing
 * comes for a second are closed.
 */
#ifndef RUNTIME_CLI_SERVE_SERVER_H
#define RUNTIME_CLI_SERVE_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <microhttpd.h>

#include "runtime/cli/serve/metrics.h"
#include "runtime/cli/serve/models.h"

/* Bytes of the request line and the headers together; more is answered with 431 (by libmicrohttpd). */
#define SERVER_MAX_HEADERS (32 * 1024)
/* Seconds without a byte after which a connection is closed. */
#define SERVER_IDLE_SECONDS 30

/*
 * @max_body:	  bytes of a request's body; more is answered with 413
 * @max_requests: inference requests at a time; more are answered with 503. Connections: four times as many, others wait outside
 * @lock:	  of @active and @connections; @change: one of them has become less
 * @active:	  requests from their first line to the last byte of their answer
 */
struct server {
	struct MHD_Daemon *daemon;
	const struct serve_models *models;
	struct metrics metrics;
	size_t max_body;
	unsigned int max_requests, max_connections;
	int listener;
	atomic_bool stopping;
	pthread_mutex_t lock;
	pthread_cond_t change;
	size_t active;
	struct connection *connections;
};

/*
 * Serve @models, which must outlive the server, on @listener, a listening socket that the server closes (on errors too). The limits of
 * @server are set by the caller, the rest is zero. 0, -ENOMEM, -EIO: libmicrohttpd did not start.
 */
int server_start(struct server *server, const struct serve_models *models, int listener);

/* End as described above; blocks until all is answered. */
void server_stop(struct server *server);

#endif
