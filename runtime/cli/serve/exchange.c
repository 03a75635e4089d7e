/* SPDX-License-Identifier: MIT */
/*
 * One request: which of the protocol's endpoints it is for, its body within the limits, its answer (see exchange.h).
 *
 *	GET  /v2, /v2/health/live, /v2/health/ready, /metrics
 *	GET  /v2/models/NAME[/versions/1], /v2/models/NAME[/versions/1]/ready
 *	POST /v2/models/NAME[/versions/1]/infer
 *
 * libmicrohttpd calls exchange_handle() once with the headers, then with each piece of the body, then for the answer. A body that
 * nobody wants is read and thrown away, because a client that is still sending does not read; only one that says that it is far
 * too long, or that asks first ("Expect"), is answered at once.
 */
#include "runtime/cli/serve/exchange.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/cli/serve/infer.h"
#include "runtime/cli/serve/pages.h"

/* JSON takes tens of times its bytes when it is parsed; longer tensors come as binary data. */
#define MAX_JSON ((size_t)16 * 1024 * 1024)

/* How many times the limit a body may be that is thrown away. */
#define MOST_DISCARDED 4

enum endpoint { SERVER_METADATA, LIVE, READY, METRICS, MODEL_METADATA, MODEL_READY, INFER, NOTHING };

/*
 * @status, @error: why the request is refused; 0: it is not
 * @body, @size, @capacity: what has come of the body; @seen: also what was thrown away
 */
struct exchange {
	struct server *server;
	enum endpoint endpoint;
	struct serve_model *model;
	struct metrics_model *metrics;
	unsigned int status;
	char error[512];
	char *body;
	size_t size, capacity;
	uint64_t seen;
	bool begun;
};

struct exchange *exchange_create(struct server *server)
{
	struct exchange *exchange = calloc(1, sizeof(*exchange));

	if (exchange)
		exchange->server = server;
	return exchange;
}

void exchange_destroy(struct exchange *exchange)
{
	if (!exchange)
		return;
	free(exchange->body);
	free(exchange);
}

static void __attribute__((format(printf, 3, 4)))
refuse(struct exchange *exchange, unsigned int status, const char *format, ...)
{
	va_list args;

	exchange->status = status;
	va_start(args, format);
	vsnprintf(exchange->error, sizeof(exchange->error), format, args);
	va_end(args);
}

/* ---- answers ---- */

/* @bytes, from malloc(), are given away. @json_size: of a body with binary tensors, else 0. */
static enum MHD_Result answer(struct exchange *exchange, struct MHD_Connection *connection, unsigned int status,
			      char *bytes, size_t size, const char *type, size_t json_size)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(size, bytes, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result result;
	char number[24];

	if (!response) {
		free(bytes);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	if (json_size) {
		snprintf(number, sizeof(number), "%zu", json_size);
		MHD_add_response_header(response, "Inference-Header-Content-Length", number);
	}
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW,
					exchange->endpoint == INFER ? "POST" : "GET, HEAD");
	if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
		MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
	if (exchange->server->stopping)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	metrics_count(&exchange->server->metrics, exchange->metrics, status);
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result answer_refused(struct exchange *exchange, struct MHD_Connection *connection)
{
	size_t size;
	char *bytes = page_error(exchange->error, &size);

	return bytes ? answer(exchange, connection, exchange->status, bytes, size, PAGE_JSON, 0) : MHD_NO;
}

/* ---- inference ---- */

static unsigned int status_of(int err)
{
	switch (err) {
	case -EINVAL:
	case -ENOTSUP:
		return MHD_HTTP_BAD_REQUEST;
	case -ENOMEM:
		return MHD_HTTP_SERVICE_UNAVAILABLE;
	default:
		return MHD_HTTP_INTERNAL_SERVER_ERROR;
	}
}

/* Of the body's bytes, how many are JSON: all, or what the header says. */
static int json_size_of(struct exchange *exchange, struct MHD_Connection *connection, size_t *size)
{
	const char *text = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Inference-Header-Content-Length");
	char *end;

	*size = exchange->size;
	if (!text)
		return 0;
	errno = 0;
	*size = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text < '0' || *text > '9' || *size > exchange->size) {
		refuse(exchange, MHD_HTTP_BAD_REQUEST,
		       "Inference-Header-Content-Length: '%.40s' of a body of %zu bytes", text, exchange->size);
		return -EINVAL;
	}
	return 0;
}

/* Read, run, write. 0, or -1 after refuse(). */
static int infer(struct exchange *exchange, size_t json_size, char **bytes, size_t *size, size_t *answer_json,
		 bool *binary)
{
	struct serve_model *model = exchange->model;
	struct infer_request request;
	struct tensor *outputs;
	uint64_t cycles = 0;
	char error[sizeof(exchange->error)] = "";
	int err = infer_read(&model->interface, exchange->body ? exchange->body : "", exchange->size, json_size,
			     &request, error, sizeof(error));

	if (err) {
		refuse(exchange, status_of(err), "%s", error);
		return -1;
	}
	outputs = calloc(request.num_outputs + 1, sizeof(*outputs));
	err = outputs ? serve_model_run(model, &request, outputs, &cycles, error, sizeof(error)) : -ENOMEM;
	if (!err) {
		exchange->metrics->cycles += cycles;
		err = infer_write(&model->interface, &request, outputs, bytes, size, answer_json, error, sizeof(error));
		for (size_t i = 0; i < request.num_outputs; i++) {
			*binary |= request.outputs[i].binary;
			tensor_finish(&outputs[i]);
		}
	}
	if (err)
		refuse(exchange, status_of(err), "%s", *error ? error : "out of memory");
	free(outputs);
	infer_finish(&request);
	return err ? -1 : 0;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static enum MHD_Result answer_inference(struct exchange *exchange, struct MHD_Connection *connection)
{
	struct server *server = exchange->server;
	uint64_t begin = now_ns();
	size_t json_size, size = 0, answer_json = 0;
	char *bytes = NULL;
	bool binary = false;
	int err = json_size_of(exchange, connection, &json_size);

	if (!err && json_size > MAX_JSON) {
		refuse(exchange, MHD_HTTP_CONTENT_TOO_LARGE,
		       "%zu bytes of JSON, at most %zu can be: send tensors as "
		       "binary data",
		       json_size, MAX_JSON);
		err = -1;
	}
	if (err)
		return answer_refused(exchange, connection);
	if (server->metrics.in_flight++ >= server->max_requests) {
		refuse(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, "%u inference requests are under way",
		       server->max_requests);
	} else {
		/* A long run is no idle connection. */
		MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, 0U);
		err = infer(exchange, json_size, &bytes, &size, &answer_json, &binary);
		MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, (unsigned int)SERVER_IDLE_SECONDS);
	}
	server->metrics.in_flight--;
	if (exchange->status)
		return answer_refused(exchange, connection);
	metrics_time(exchange->metrics, now_ns() - begin);
	return answer(exchange, connection, MHD_HTTP_OK, bytes, size, binary ? PAGE_BINARY : PAGE_JSON,
		      binary ? answer_json : 0);
}

static enum MHD_Result answer_page(struct exchange *exchange, struct MHD_Connection *connection)
{
	bool ready = !exchange->server->stopping;
	unsigned int status = MHD_HTTP_OK;
	const char *type = PAGE_JSON;
	size_t size;
	char *bytes;

	switch (exchange->endpoint) {
	case SERVER_METADATA:
		bytes = page_server(&size);
		break;
	case LIVE:
		bytes = page_flag("live", true, &size);
		break;
	case METRICS:
		bytes = page_metrics(&exchange->server->metrics, &size);
		type = PAGE_METRICS;
		break;
	case MODEL_METADATA:
		bytes = page_model(exchange->model, &size);
		break;
	default: /* READY, MODEL_READY */
		bytes = page_flag("ready", ready, &size);
		status = ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
		break;
	}
	return bytes ? answer(exchange, connection, status, bytes, size, type, 0) : MHD_NO;
}

/* ---- routes ---- */

/* Is the next part of *path, up to a '/' or the end, @part? Then *path goes behind it. */
static bool take_part(const char **path, const char *part)
{
	size_t length = strlen(part);

	if (strncmp(*path, part, length) || ((*path)[length] && (*path)[length] != '/'))
		return false;
	*path += length;
	return true;
}

static void route_model(struct exchange *exchange, const char *path)
{
	size_t length = strcspn(path, "/");
	struct serve_model *model = serve_models_find(exchange->server->models, path, length);
	const char *rest = path + length;

	if (!model) {
		refuse(exchange, MHD_HTTP_NOT_FOUND, "there is no model '%.*s'", (int)(length < 200 ? length : 200),
		       path);
		return;
	}
	exchange->model = model;
	if (take_part(&rest, "/versions") && !take_part(&rest, "/1")) {
		refuse(exchange, MHD_HTTP_NOT_FOUND, "model '%s' has version '1' only", model->name);
		return;
	}
	if (!strcmp(rest, "/infer"))
		exchange->endpoint = INFER;
	else if (!strcmp(rest, "/ready"))
		exchange->endpoint = MODEL_READY;
	else if (!*rest)
		exchange->endpoint = MODEL_METADATA;
	if (exchange->endpoint == INFER)
		exchange->metrics = &exchange->server->metrics.models[model - exchange->server->models->models];
}

static void route(struct exchange *exchange, const char *url)
{
	static const struct {
		const char *path;
		enum endpoint endpoint;
	} fixed[] = {{"/v2", SERVER_METADATA},
		     {"/v2/", SERVER_METADATA},
		     {"/v2/health/live", LIVE},
		     {"/v2/health/ready", READY},
		     {"/metrics", METRICS}};

	exchange->endpoint = NOTHING;
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (!strcmp(url, fixed[i].path))
			exchange->endpoint = fixed[i].endpoint;
	if (!strncmp(url, "/v2/models/", strlen("/v2/models/")))
		route_model(exchange, url + strlen("/v2/models/"));
	if (exchange->endpoint == NOTHING && !exchange->status)
		refuse(exchange, MHD_HTTP_NOT_FOUND, "there is nothing at '%.200s'", url);
}

/* ---- the three calls ---- */

static enum MHD_Result begin(struct exchange *exchange, struct MHD_Connection *connection, const char *url,
			     const char *method)
{
	const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
	const char *coding = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_ENCODING);
	bool asks = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_EXPECT);
	uint64_t size = length ? strtoull(length, NULL, 10) : 0; /* saturates */
	bool get = !strcmp(method, "GET") || !strcmp(method, "HEAD");

	exchange->begun = true;
	route(exchange, url);
	if (!exchange->status && (exchange->endpoint == INFER ? strcmp(method, "POST") : !get))
		refuse(exchange, MHD_HTTP_METHOD_NOT_ALLOWED, "%.20s is no method of '%.200s'", method, url);
	if (!exchange->status && coding && strcmp(coding, "identity"))
		refuse(exchange, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "Content-Encoding: '%.40s' is not supported", coding);
	if (!exchange->status && size > exchange->server->max_body)
		refuse(exchange, MHD_HTTP_CONTENT_TOO_LARGE, "a body of %" PRIu64 " bytes, at most %zu can be", size,
		       exchange->server->max_body);
	if (exchange->status && (asks || size / MOST_DISCARDED > exchange->server->max_body))
		return answer_refused(exchange, connection);
	return MHD_YES;
}

/* A piece of the body. MHD_NO closes the connection. */
static enum MHD_Result take(struct exchange *exchange, const char *data, size_t size)
{
	size_t limit = exchange->server->max_body, capacity = exchange->capacity;
	char *grown;

	exchange->seen += size;
	if (exchange->seen / MOST_DISCARDED > limit)
		return MHD_NO;
	if (!exchange->status && exchange->seen > limit)
		refuse(exchange, MHD_HTTP_CONTENT_TOO_LARGE, "the body has more than %zu bytes", limit);
	if (exchange->status || exchange->endpoint != INFER)
		return MHD_YES;
	while (capacity - exchange->size < size)
		capacity = capacity ? 2 * capacity : 4096;
	if (capacity != exchange->capacity) {
		grown = realloc(exchange->body, capacity);
		if (!grown) {
			refuse(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, "no memory for the body");
			return MHD_YES;
		}
		exchange->body = grown;
		exchange->capacity = capacity;
	}
	memcpy(exchange->body + exchange->size, data, size);
	exchange->size += size;
	return MHD_YES;
}

enum MHD_Result exchange_handle(void *server, struct MHD_Connection *connection, const char *url, const char *method,
				const char *version, const char *data, size_t *size, void **context)
{
	struct exchange *exchange = *context;
	enum MHD_Result result;

	(void)server;
	(void)version;
	if (!exchange)
		return MHD_NO; /* there was no memory for it */
	if (!exchange->begun)
		return begin(exchange, connection, url, method);
	if (*size) {
		result = take(exchange, data, *size);
		*size = 0;
		return result;
	}
	if (exchange->status)
		return answer_refused(exchange, connection);
	return exchange->endpoint == INFER ? answer_inference(exchange, connection) : answer_page(exchange, connection);
}
