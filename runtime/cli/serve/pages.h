/* SPDX-License-Identifier: MIT */
/* What the server says of itself and its models. Every page is the caller's to free, *size its bytes; NULL: no memory. */
#ifndef RUNTIME_CLI_SERVE_PAGES_H
#define RUNTIME_CLI_SERVE_PAGES_H

#include "runtime/cli/serve/metrics.h"
#include "runtime/cli/serve/models.h"

#define PAGE_JSON "application/json"
#define PAGE_BINARY "application/octet-stream"
#define PAGE_METRICS "text/plain; version=0.0.4; charset=utf-8"

char *page_server(size_t *size);
char *page_model(const struct serve_model *model, size_t *size);
char *page_flag(const char *name, bool value, size_t *size); /* {"name": value} */
char *page_error(const char *text, size_t *size);            /* {"error": text} */
char *page_metrics(struct metrics *metrics, size_t *size);

#endif
