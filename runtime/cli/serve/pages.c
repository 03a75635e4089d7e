/* SPDX-License-Identifier: MIT */
/* See pages.h. */
#include "runtime/cli/serve/pages.h"

#include <stdio.h>
#include <stdlib.h>

#include "runtime/cli/json.h"
#include "runtime/cli/serve/datatype.h"

/* A page being written; @out may be NULL, then nothing is. */
struct page {
	FILE *out;
	char *bytes;
	struct json json;
};

static bool begin(struct page *page, size_t *size)
{
	page->bytes = NULL;
	page->out = open_memstream(&page->bytes, size);
	return page->out;
}

static bool begin_json(struct page *page, size_t *size)
{
	if (!begin(page, size))
		return false;
	json_begin(&page->json, page->out);
	page->json.compact = true;
	return true;
}

static char *end(struct page *page)
{
	bool failed = ferror(page->out);

	if (!fclose(page->out) && !failed)
		return page->bytes;
	free(page->bytes);
	return NULL;
}

static char *end_json(struct page *page)
{
	json_end(&page->json);
	return end(page);
}

char *page_server(size_t *size)
{
	struct page page;

	if (!begin_json(&page, size))
		return NULL;
	json_text(&page.json, "name", "accel");
	json_text(&page.json, "version", "0.1.0");
	json_array(&page.json, "extensions");
	json_text(&page.json, NULL, "binary_tensor_data");
	json_close(&page.json);
	return end_json(&page);
}

static void put_values(struct json *json, const char *key, const struct accel_value_info *values, size_t count)
{
	json_array(json, key);
	for (size_t i = 0; i < count; i++) {
		json_object(json, NULL);
		json_text(json, "name", values[i].name);
		json_text(json, "datatype", datatype_name((enum dtype)values[i].dtype));
		json_array(json, "shape");
		for (int k = 0; k < values[i].rank; k++)
			json_signed(json, NULL, values[i].dims[k]);
		json_close(json);
		json_close(json);
	}
	json_close(json);
}

char *page_model(const struct serve_model *model, size_t *size)
{
	struct page page;

	if (!begin_json(&page, size))
		return NULL;
	json_text(&page.json, "name", model->name);
	json_array(&page.json, "versions");
	json_text(&page.json, NULL, "1");
	json_close(&page.json);
	json_text(&page.json, "platform", model->is_package ? "axl_axm" : "onnx_onnxv1");
	put_values(&page.json, "inputs", model->inputs, model->interface.num_inputs);
	put_values(&page.json, "outputs", model->outputs, model->interface.num_outputs);
	return end_json(&page);
}

char *page_flag(const char *name, bool value, size_t *size)
{
	struct page page;

	if (!begin_json(&page, size))
		return NULL;
	json_bool(&page.json, name, value);
	return end_json(&page);
}

char *page_error(const char *text, size_t *size)
{
	struct page page;

	if (!begin_json(&page, size))
		return NULL;
	json_text(&page.json, "error", text);
	return end_json(&page);
}

char *page_metrics(struct metrics *metrics, size_t *size)
{
	struct page page;

	if (!begin(&page, size))
		return NULL;
	metrics_write(metrics, page.out);
	return end(&page);
}
