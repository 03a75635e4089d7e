/* SPDX-License-Identifier: MIT */
/*
 * compile_key() of compiler.h. Each part goes into the digest with its name and its length, so that no two lists of parts give the same bytes.
 */
#include "compiler/compiler.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>

#include <openssl/evp.h>

#include "compiler/build_id.h"
#include "compiler/onnx/external_data.h"
#include "compiler/onnx/external_files.h"
#include "compiler/partition/partition.h"
#include "compiler/pass.h"
#include "compiler/quant/quantize.h"
#include "compiler/quant/samples.h"
#include "compiler/target/target.h"
#include "runtime/fail.h"

struct key {
	EVP_MD_CTX *digest;
	char *error;
	size_t error_size;
};

static int add(struct key *key, const char *name, const void *bytes, size_t size)
{
	uint64_t length = size;

	if (EVP_DigestUpdate(key->digest, name, strlen(name) + 1) == 1 &&
	    EVP_DigestUpdate(key->digest, &length, sizeof(length)) == 1 &&
	    EVP_DigestUpdate(key->digest, bytes, size) == 1)
		return 0;
	return fail(key->error, key->error_size, -ENOMEM, "the digest of %s can not be made", name);
}

static int add_number(struct key *key, const char *name, uint64_t value)
{
	return add(key, name, &value, sizeof(value));
}

static int add_text(struct key *key, const char *name, const char *text)
{
	return add(key, name, text, strlen(text));
}

/* ---- options ---- */

/* Field by field: padding has no value. */
static int add_target(struct key *key, const char *name)
{
	const struct target *target = target_find(name);
	int err;

	_Static_assert(sizeof(*target) == 88,
		       "a field that is not in the list below"); /* blocks is none of a target's */
	if (!strcmp(name, "cpu"))
		return add_text(key, "target", name);
	if (!target)
		return fail(key->error, key->error_size, -EINVAL, "no target '%s'", name);
	err = add_text(key, "target", target->name);
	if (!err) {
		const uint64_t figures[] = {target->tiles,       target->spad_bytes,   target->acc_bytes,
					    target->spad_banks,  target->clock_khz,    target->mem_bytes,
					    target->dram_rate,   target->dram_latency, target->host_rate,
					    target->host_latency};

		err = add(key, "figures", figures, sizeof(figures));
	}
	return err;
}

static int add_passes(struct key *key, const char *names)
{
	const char *bad;
	uint32_t set;
	size_t length;

	if (compile_pass_set(names, &set, &bad, &length))
		return fail(key->error, key->error_size, -EINVAL, "no pass '%.*s' to disable", (int)length, bad);
	return add_number(key, "disabled", set);
}

/* ---- files ---- */

static int add_file(struct key *key, const char *name, const char *path)
{
	uint8_t *bytes;
	size_t size;
	int err = onnx_map(path, &bytes, &size, key->error, key->error_size);

	if (err)
		return err;
	err = add(key, name, bytes, size);
	onnx_unmap(bytes, size);
	return err;
}

/* The model, and what it says that lies beside it. */
static int add_model(struct key *key, const char *path)
{
	struct onnx_external_files files = {0};
	char folder[PATH_MAX], external[PATH_MAX];
	uint8_t *bytes;
	size_t size;
	int err = onnx_map(path, &bytes, &size, key->error, key->error_size);

	if (err)
		return err;
	err = add(key, "model", bytes, size);
	if (!err && onnx_external_files(bytes, size, &files))
		err = fail(key->error, key->error_size, -EINVAL, "%s: not an ONNX model", path);
	onnx_unmap(bytes, size);
	snprintf(folder, sizeof(folder), "%s", path);
	dirname(folder);
	for (size_t i = 0; i < files.count && !err; i++) {
		err = onnx_external_path(folder, files.locations[i], external, sizeof(external), key->error,
					 key->error_size);
		if (!err)
			err = add_file(key, files.locations[i], external);
	}
	onnx_external_files_finish(&files);
	return err;
}

static int add_sample(void *context, const char *name, const char *path)
{
	return add_file(context, name, path);
}

/* ---- all of it ---- */

/* Only with int8, and with fp16 for what it can not hold, do samples decide anything; made ones only with int8. */
static int add_calibration(struct key *key, const struct compile_options *options)
{
	bool int8 = options->precision == COMPILE_INT8;
	int method = options->method ? quant_method_find(options->method) : QUANT_MINMAX;
	int err = 0;

	if (!int8 && (options->precision != COMPILE_F16 || !options->calibration))
		return 0;
	if (method < 0)
		return fail(key->error, key->error_size, -EINVAL, "no calibration method '%s'", options->method);
	if (int8)
		err = add_number(key, "method", (uint64_t)method);
	if (err)
		return err;
	return options->calibration
		       ? quant_sample_files(options->calibration, add_sample, key, key->error, key->error_size)
		       : add_number(key, "seed", options->seed);
}

static int add_options(struct key *key, const struct compile_options *options)
{
	int err = add_target(key, options->target ? options->target : "axl-edge");

	if (!err)
		err = add_number(key, "precision", options->precision);
	if (!err)
		err = add_passes(key, options->disable);
	if (!err)
		err = add_number(key, "threads", options->threads ? options->threads : PARTITION_THREADS);
	for (size_t i = 0; i < options->num_dims && !err; i++) {
		err = add_text(key, "dim", options->dims[i].name);
		if (!err)
			err = add_number(key, "is", (uint64_t)options->dims[i].size);
	}
	return err;
}

int compile_key(const char *path, const struct compile_options *options, uint8_t key[COMPILE_KEY_BYTES], char *error,
		size_t error_size)
{
	struct key state = {EVP_MD_CTX_new(), error, error_size};
	int err = state.digest && EVP_DigestInit_ex(state.digest, EVP_sha256(), NULL) == 1
			  ? 0
			  : fail(error, error_size, -ENOMEM, "no digest can be made");

	if (!err)
		err = add_text(&state, "compiler", compile_build_id);
	if (!err)
		err = add_options(&state, options);
	if (!err)
		err = add_calibration(&state, options);
	if (!err)
		err = add_model(&state, path);
	if (!err && EVP_DigestFinal_ex(state.digest, key, NULL) != 1)
		err = fail(error, error_size, -ENOMEM, "no digest can be made");
	EVP_MD_CTX_free(state.digest);
	return err;
}
