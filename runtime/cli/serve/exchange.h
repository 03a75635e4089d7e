/* SPDX-License-Identifier: MIT */
/* One request and its answer. */
#ifndef RUNTIME_CLI_SERVE_EXCHANGE_H
#define RUNTIME_CLI_SERVE_EXCHANGE_H

#include "runtime/cli/serve/server.h"

struct exchange;

/* NULL: no memory. */
struct exchange *exchange_create(struct server *server);
void exchange_destroy(struct exchange *exchange);

/* An MHD_AccessHandlerCallback, whose *@context is an exchange. */
enum MHD_Result exchange_handle(void *server, struct MHD_Connection *connection, const char *url, const char *method,
				const char *version, const char *data, size_t *size, void **context);

#endif
