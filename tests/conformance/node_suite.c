// SPDX-License-Identifier: MIT
/*
 * The ONNX backend test suite.
 *
 *	node_suite [-v] [-d DEVICE] [-k TEXT] [-x LIST] [-t FILE] FOLDER…
 *
 * A FOLDER holds cases (NAME/model.onnx, NAME/test_data_set_K/{input,output}_N.pb); Debian's libonnx-testdata has them
 * below /usr/share/libonnx-testdata/data. Without -d each model is imported and its nodes run one after the other through op_find()
 * and op_run(), without the compiler's passes; with -d "cpu" or "sim:…" it is compiled and run in a session on that device, the
 * partitioner choosing. All outputs are compared: floats at rtol 1e-3 and atol 1e-7, everything else exactly; what the files can not
 * judge, as special.c says.
 *
 * LIST names the cases that are known not to pass, one a line, with the reason behind a "#"; "? NAME" may pass or not, as the edition of
 * the suite is. The exit code is 0 when exactly those do not pass, 1 when there is any difference in either direction, 77 when there is
 * no FOLDER. -k runs only the cases whose name contains TEXT, -v prints every case. -t writes where the nodes of each operator ran.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compiler/onnx/tensor_file.h"
#include "tests/conformance/compare.h"
#include "tests/conformance/lines.h"
#include "tests/conformance/runner.h"
#include "tests/conformance/special.h"

enum verdict { PASSED, WRONG, FAILED, NO_OPERATOR, NO_FORM, NOT_IMPORTED, NUM_VERDICTS };

static const char *const verdict_names[NUM_VERDICTS] = {
	"passed", "wrong result", "failed", "no operator", "form not implemented", "not imported",
};

struct suite {
	struct runner runner;
	const char *filter;
	bool verbose;
	struct lines known; /* names */
	size_t counts[NUM_VERDICTS];
	size_t surprises, judged;
	struct table operators; /* where nodes ran */
	struct table missing;   /* operators without a kernel */
};

static enum verdict verdict_of(int err, bool opening)
{
	if (err == -ENOENT && !opening)
		return NO_OPERATOR;
	return !err ? PASSED : err == -ENOTSUP ? NO_FORM : opening ? NOT_IMPORTED : FAILED;
}

/* ---- one data set ---- */

static int read_value(const char *folder, const char *what, size_t index, enum dtype type, struct tensor *t, char *why)
{
	char path[PATH_SIZE + 128], error[TEXT_SIZE];
	int err;

	snprintf(path, sizeof(path), "%s/%s_%zu.pb", folder, what, index);
	err = onnx_value_read(path, type, t, error, sizeof(error));
	if (err)
		snprintf(why, TEXT_SIZE, "%s %zu: %.400s", what, index, error);
	return err;
}

static enum verdict judge_outputs(struct suite *suite, const struct special *special, const struct tensor *inputs,
				  const struct tensor *outputs, const struct tensor *expected, char *why)
{
	struct runner *runner = &suite->runner;
	char name[32];

	if (special && !special_by_files(special))
		return special_judge(special, runner, inputs, outputs, expected, why) ? PASSED : WRONG;
	for (size_t i = 0; i < runner->num_outputs; i++) {
		snprintf(name, sizeof(name), "output %zu", i);
		if (!compare_values(&outputs[i], &expected[i], name, why))
			return WRONG;
	}
	return PASSED;
}

static void finish_all(struct tensor *tensors, size_t count)
{
	for (size_t i = 0; tensors && i < count; i++)
		tensor_finish(&tensors[i]);
	free(tensors);
}

/* Inputs and outputs of one data set against one run. */
static enum verdict run_data_set(struct suite *suite, const struct special *special, const char *folder, char *why)
{
	struct runner *runner = &suite->runner;
	struct tensor *inputs = calloc(runner->num_inputs + 1, sizeof(*inputs));
	struct tensor *outputs = calloc(runner->num_outputs + 1, sizeof(*outputs));
	struct tensor *expected = calloc(runner->num_outputs + 1, sizeof(*expected));
	enum verdict verdict = inputs && outputs && expected ? PASSED : FAILED;

	for (size_t i = 0; i < runner->num_inputs && verdict == PASSED; i++)
		if (read_value(folder, "input", i, runner->input_types[i], &inputs[i], why))
			verdict = NOT_IMPORTED;
	for (size_t i = 0; i < runner->num_outputs && verdict == PASSED; i++)
		if (read_value(folder, "output", i, runner->output_types[i], &expected[i], why))
			verdict = NOT_IMPORTED;
	if (verdict == PASSED)
		verdict = verdict_of(runner->run(runner, inputs, outputs, why), false);
	if (verdict == PASSED)
		verdict = judge_outputs(suite, special, inputs, outputs, expected, why);
	finish_all(inputs, runner->num_inputs);
	finish_all(outputs, runner->num_outputs);
	finish_all(expected, runner->num_outputs);
	return verdict;
}

/* ---- one case ---- */

static enum verdict run_sets(struct suite *suite, const struct special *special, const char *folder, char *why)
{
	enum verdict verdict = PASSED;
	char path[PATH_SIZE + 64];

	for (int set = 0; verdict == PASSED; set++) {
		snprintf(path, sizeof(path), "%s/test_data_set_%d", folder, set);
		if (access(path, R_OK)) {
			/* A case without data shows nothing. */
			if (set == 0)
				snprintf(why, TEXT_SIZE, "it has no data");
			return set > 0 ? PASSED : NOT_IMPORTED;
		}
		verdict = run_data_set(suite, special, path, why);
	}
	return verdict;
}

static enum verdict run_case(struct suite *suite, const char *name, const char *folder, char *why)
{
	const struct special *special = special_find(name);
	char path[PATH_SIZE + 64], copy[PATH_SIZE] = "";
	enum verdict verdict;

	*why = '\0';
	snprintf(path, sizeof(path), "%s/model.onnx", folder);
	if (special && special_model(special, path, copy)) {
		snprintf(why, TEXT_SIZE, "the corrected model can not be made");
		return FAILED;
	}
	verdict = verdict_of(suite->runner.open(&suite->runner, *copy ? copy : path, why), true);
	if (verdict == PASSED) {
		verdict = run_sets(suite, special, folder, why);
		suite->runner.close(&suite->runner);
	}
	if (*copy)
		unlink(copy);
	if (special) {
		suite->judged++;
		if (suite->verbose)
			printf("%-22s %s\n", "(judged apart)", special_reason(special));
	}
	return verdict;
}

/* ---- the totals ---- */

static void count_case(struct suite *suite, const char *name, enum verdict verdict, const char *why)
{
	const struct line *known = lines_find(&suite->known, name);
	bool surprise = known ? verdict == PASSED && !known->some_editions : verdict != PASSED;

	suite->counts[verdict]++;
	suite->surprises += surprise;
	if (verdict == NO_OPERATOR)
		table_add(&suite->missing, why, false, "");
	if (suite->verbose || surprise)
		printf("%-22s %s%s%s%s\n", verdict_names[verdict], name, *why ? ": " : "", why,
		       known && surprise ? " (is in the list of known failures: remove it there)" : "");
}

static int run_folder(struct suite *suite, const char *folder)
{
	struct dirent **entries;
	int count = scandir(folder, &entries, NULL, alphasort);
	char path[PATH_SIZE], why[TEXT_SIZE];

	if (count < 0)
		return -errno;
	for (int i = 0; i < count; i++) {
		const char *name = entries[i]->d_name;

		bool fits = (size_t)snprintf(path, sizeof(path), "%s/%s/model.onnx", folder, name) < sizeof(path);

		if (fits && *name != '.' && (!suite->filter || strstr(name, suite->filter)) && !access(path, R_OK)) {
			path[strlen(path) - strlen("/model.onnx")] = '\0';
			count_case(suite, name, run_case(suite, name, path, why), why);
		}
		free(entries[i]);
	}
	free(entries);
	return 0;
}

static void print_totals(const struct suite *suite)
{
	size_t total = 0;

	for (int v = 0; v < NUM_VERDICTS; v++) {
		printf("%6zu %s\n", suite->counts[v], verdict_names[v]);
		total += suite->counts[v];
	}
	printf("%6zu cases, %zu not as listed, %zu judged as special.c says\n", total, suite->surprises, suite->judged);
	if (suite->missing.count)
		printf("operators without a kernel:\n");
	for (size_t i = 0; i < suite->missing.count; i++)
		printf("%6zu %s\n", suite->missing.rows[i].cpu, suite->missing.rows[i].name);
}

static int write_table(struct suite *suite, const char *path)
{
	FILE *file = fopen(path, "w");
	int err = file ? 0 : -errno;

	if (file) {
		table_print(&suite->operators, file);
		if (fclose(file))
			err = -errno;
	}
	if (err)
		fprintf(stderr, "%s: %s\n", path, strerror(-err));
	return err;
}

static int usage(void)
{
	fprintf(stderr, "usage: node_suite [-v] [-r] [-d DEVICE] [-k TEXT] [-x LIST] [-t FILE] FOLDER...\n");
	return 2;
}

static int run_all(struct suite *suite, const char *table, int count, char **folders)
{
	size_t found = 0;
	int code = 0;

	for (int i = 0; i < count; i++)
		found += run_folder(suite, folders[i]) == 0;
	if (!found) {
		printf("no suite here: install libonnx-testdata\n");
		return 77;
	}
	print_totals(suite);
	if (table && write_table(suite, table))
		code = 2;
	return code ? code : suite->surprises ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct suite suite = {.runner = graph_case_runner};
	const char *device = NULL, *known = NULL, *table = NULL;
	int option, code = 2;

	while ((option = getopt(argc, argv, "vrd:k:x:t:")) != -1) {
		switch (option) {
		case 'v':
			suite.verbose = true;
			break;
		case 'r':
			suite.runner.export = true;
			break;
		case 'd':
			device = optarg;
			break;
		case 'k':
			suite.filter = optarg;
			break;
		case 'x':
			known = optarg;
			break;
		case 't':
			table = optarg;
			break;
		default:
			return usage();
		}
	}
	if (device)
		suite.runner = session_case_runner;
	suite.runner.device = device;
	suite.runner.table = &suite.operators;
	if ((!known || !lines_read(&suite.known, known)) && !cpu_pool_create(2, &suite.runner.pool))
		code = run_all(&suite, table, argc - optind, argv + optind);
	cpu_pool_destroy(suite.runner.pool);
	lines_finish(&suite.known);
	table_finish(&suite.operators);
	table_finish(&suite.missing);
	return code;
}
