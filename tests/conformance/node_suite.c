// SPDX-License-Identifier: MIT
/*
 * The ONNX backend test suite on the CPU operators.
 *
 *	node_suite [-v] [-k TEXT] [-x LIST] FOLDER…
 *
 * A FOLDER holds cases (NAME/model.onnx, NAME/test_data_set_K/{input,output}_N.pb); Debian's libonnx-testdata has them
 * below /usr/share/libonnx-testdata/data. Each model is imported, its nodes run one after the other through op_find()
 * and op_run(), without the compiler's passes, and all outputs compared: floats at rtol 1e-3 and atol 1e-7, everything
 * else exactly.
 *
 * LIST names the cases that are known not to pass, one a line, with the reason after a blank; "#" begins a comment. The
 * exit code is 0 when exactly those do not pass, 1 when there is any difference in either direction, 77 when there is no
 * FOLDER. -k runs only the cases whose name contains TEXT, -v prints every case.
 */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compiler/graph/execute.h"
#include "compiler/onnx/import.h"
#include "compiler/onnx/tensor_file.h"
#include "runtime/cpu/op.h"
#include "runtime/cpu/pool.h"

#define RTOL 1e-3
#define ATOL 1e-7
#define TEXT_SIZE 512
#define PATH_SIZE 4096

enum verdict { PASSED, WRONG, FAILED, NO_OPERATOR, NO_FORM, NOT_IMPORTED, NUM_VERDICTS };

static const char *const verdict_names[NUM_VERDICTS] = {
	"passed", "wrong result", "failed", "no operator", "form not implemented", "not imported",
};

struct suite {
	struct cpu_pool *pool;
	const char *filter;
	bool verbose;
	char **known; /* names */
	size_t num_known;
	size_t counts[NUM_VERDICTS];
	size_t surprises;
	struct {
		char name[64];
		size_t count;
	} operators[256];
	size_t num_operators;
};

/* ---- comparing ---- */

static bool near(double got, double want)
{
	if (isnan(want) || isnan(got))
		return isnan(want) && isnan(got);
	if (isinf(want) || isinf(got))
		return want == got;
	return fabs(got - want) <= ATOL + RTOL * fabs(want);
}

static bool same_element(const struct tensor *got, const struct tensor *want, int64_t i)
{
	if (got->dtype == DTYPE_STRING) {
		const struct tensor_string *a = (const struct tensor_string *)got->data + i;
		const struct tensor_string *b = (const struct tensor_string *)want->data + i;

		return a->size == b->size && (a->size == 0 || !memcmp(a->data, b->data, a->size));
	}
	if (dtype_is_float(got->dtype))
		return near(tensor_get_f64(got, i), tensor_get_f64(want, i));
	return tensor_get_s64(got, i) == tensor_get_s64(want, i);
}

static void print_shape(const struct tensor *t, char *text, size_t size)
{
	size_t used = snprintf(text, size, "%s[", dtype_name(t->dtype));

	for (int i = 0; i < t->rank && used < size; i++)
		used += snprintf(text + used, size - used, "%s%lld", i ? "," : "", (long long)t->dims[i]);
	if (used < size)
		snprintf(text + used, size - used, "]");
}

static enum verdict compare(const struct tensor *got, const struct tensor *want, const char *name, char *why)
{
	char a[128], b[128];
	enum verdict verdict = PASSED;

	if (got->dtype != want->dtype || !tensor_same_shape(got, want)) {
		print_shape(got, a, sizeof(a));
		print_shape(want, b, sizeof(b));
		snprintf(why, TEXT_SIZE, "%.200s is %s, expected %s", name, a, b);
		return WRONG;
	}
	for (int64_t i = 0; i < tensor_count(want) && verdict == PASSED; i++) {
		if (dtype_is_nested(want->dtype)) {
			char element[256];

			snprintf(element, sizeof(element), "%.200s[%lld]", name, (long long)i);
			verdict = compare(&tensor_elements(got)[i], &tensor_elements(want)[i], element, why);
			continue;
		}
		if (same_element(got, want, i))
			continue;
		if (got->dtype == DTYPE_STRING)
			snprintf(why, TEXT_SIZE, "%.200s[%lld] is \"%.40s\", expected \"%.40s\"", name, (long long)i,
				 ((const struct tensor_string *)got->data)[i].data,
				 ((const struct tensor_string *)want->data)[i].data);
		else
			snprintf(why, TEXT_SIZE, "%.200s[%lld] is %.9g, expected %.9g", name, (long long)i,
				 tensor_get_f64(got, i), tensor_get_f64(want, i));
		verdict = WRONG;
	}
	return verdict;
}

/* ---- running one graph ---- */

static enum verdict run_node(struct suite *suite, const struct graph_node *node, struct tensor *values, char *why)
{
	int err = graph_run_node(node, values, suite->pool, why, TEXT_SIZE);

	if (err == -ENOENT)
		snprintf(why, TEXT_SIZE, "%s", node->op_type);
	return !err ? PASSED : err == -ENOENT ? NO_OPERATOR : err == -ENOTSUP ? NO_FORM : FAILED;
}

static enum verdict run_graph(struct suite *suite, const struct graph *graph, struct tensor *values, char *why)
{
	enum verdict verdict = PASSED;

	for (size_t i = 0; i < graph->num_values; i++) {
		const struct graph_value *value = graph->values[i];

		if (value && value->constant && tensor_copy(&values[value->id], value->constant)) {
			snprintf(why, TEXT_SIZE, "no memory for constant %s", value->name);
			return FAILED;
		}
	}
	for (size_t i = 0; verdict == PASSED && i < graph->num_nodes; i++)
		verdict = run_node(suite, graph->nodes[i], values, why);
	return verdict;
}

/* The suite's makers had no bfloat16: those tensors lie in the files as uint16 with the same bits. */
static int read_tensor(const char *path, const struct graph_value *value, struct tensor *t, char *error)
{
	int err = onnx_value_read(path, value->dtype, t, error, TEXT_SIZE);

	if (!err && t->dtype == DTYPE_U16 && value->dtype == DTYPE_BF16)
		t->dtype = DTYPE_BF16;
	return err;
}

/* Inputs and outputs of one data set against one run. */
static enum verdict run_data_set(struct suite *suite, const struct graph *graph, const char *folder, char *why)
{
	struct tensor *values = calloc(graph->num_values + 1, sizeof(*values));
	enum verdict verdict = PASSED;
	char path[PATH_SIZE + 128], error[TEXT_SIZE];

	for (size_t i = 0; values && verdict == PASSED && i < graph->num_inputs; i++) {
		snprintf(path, sizeof(path), "%s/input_%zu.pb", folder, i);
		if (read_tensor(path, graph->inputs[i], &values[graph->inputs[i]->id], error)) {
			snprintf(why, TEXT_SIZE, "input %zu: %.400s", i, error);
			verdict = NOT_IMPORTED;
		}
	}
	if (values && verdict == PASSED)
		verdict = run_graph(suite, graph, values, why);
	for (size_t i = 0; values && verdict == PASSED && i < graph->num_outputs; i++) {
		struct tensor want = {0};

		snprintf(path, sizeof(path), "%s/output_%zu.pb", folder, i);
		if (read_tensor(path, graph->outputs[i], &want, error)) {
			snprintf(why, TEXT_SIZE, "output %zu: %.400s", i, error);
			verdict = NOT_IMPORTED;
		} else {
			verdict = compare(&values[graph->outputs[i]->id], &want, graph->outputs[i]->name, why);
		}
		tensor_finish(&want);
	}
	for (size_t i = 0; values && i < graph->num_values; i++)
		tensor_finish(&values[i]);
	free(values);
	return values ? verdict : FAILED;
}

static enum verdict run_case(struct suite *suite, const char *folder, char *why)
{
	enum verdict verdict = PASSED;
	struct graph *graph;
	char path[PATH_SIZE + 64];

	*why = '\0';
	snprintf(path, sizeof(path), "%s/model.onnx", folder);
	if (onnx_import_file(path, &graph, why, TEXT_SIZE))
		return NOT_IMPORTED;
	for (int set = 0; verdict == PASSED; set++) {
		snprintf(path, sizeof(path), "%s/test_data_set_%d", folder, set);
		if (access(path, R_OK)) {
			/* A case without data shows nothing. */
			verdict = set > 0 ? PASSED : NOT_IMPORTED;
			break;
		}
		verdict = run_data_set(suite, graph, path, why);
	}
	graph_destroy(graph);
	return verdict;
}

/* ---- the table ---- */

static void count_operator(struct suite *suite, const char *name)
{
	size_t i = 0;

	while (i < suite->num_operators && strcmp(suite->operators[i].name, name))
		i++;
	if (i == sizeof(suite->operators) / sizeof(suite->operators[0]))
		return;
	if (i == suite->num_operators) {
		snprintf(suite->operators[i].name, sizeof(suite->operators[i].name), "%s", name);
		suite->num_operators++;
	}
	suite->operators[i].count++;
}

static bool is_known(const struct suite *suite, const char *name)
{
	for (size_t i = 0; i < suite->num_known; i++)
		if (!strcmp(suite->known[i], name))
			return true;
	return false;
}

static void judge(struct suite *suite, const char *name, enum verdict verdict, const char *why)
{
	bool known = is_known(suite, name);
	bool surprise = known == (verdict == PASSED);

	suite->counts[verdict]++;
	suite->surprises += surprise;
	if (verdict == NO_OPERATOR)
		count_operator(suite, why);
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
			judge(suite, name, run_case(suite, path, why), why);
		}
		free(entries[i]);
	}
	free(entries);
	return 0;
}

static int read_known(struct suite *suite, const char *path)
{
	FILE *file = fopen(path, "r");
	char line[1024];

	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file)) {
		char **grown;

		line[strcspn(line, " \t\n#")] = '\0';
		if (!*line)
			continue;
		grown = realloc(suite->known, (suite->num_known + 1) * sizeof(*grown));
		if (!grown)
			break;
		suite->known = grown;
		suite->known[suite->num_known++] = strdup(line);
	}
	fclose(file);
	return 0;
}

static void print_table(const struct suite *suite)
{
	size_t total = 0;

	for (int v = 0; v < NUM_VERDICTS; v++) {
		printf("%6zu %s\n", suite->counts[v], verdict_names[v]);
		total += suite->counts[v];
	}
	printf("%6zu cases, %zu not as listed\n", total, suite->surprises);
	if (suite->num_operators)
		printf("operators without a kernel:\n");
	for (size_t i = 0; i < suite->num_operators; i++)
		printf("%6zu %s\n", suite->operators[i].count, suite->operators[i].name);
}

int main(int argc, char **argv)
{
	struct suite suite = {0};
	size_t folders = 0;
	int option, err = 0;

	while ((option = getopt(argc, argv, "vk:x:")) != -1) {
		switch (option) {
		case 'v':
			suite.verbose = true;
			break;
		case 'k':
			suite.filter = optarg;
			break;
		case 'x':
			err = read_known(&suite, optarg);
			if (err) {
				fprintf(stderr, "%s: %s\n", optarg, strerror(-err));
				return 2;
			}
			break;
		default:
			fprintf(stderr, "usage: node_suite [-v] [-k TEXT] [-x LIST] FOLDER...\n");
			return 2;
		}
	}
	if (cpu_pool_create(2, &suite.pool))
		return 2;
	for (int i = optind; i < argc; i++)
		folders += run_folder(&suite, argv[i]) == 0;
	cpu_pool_destroy(suite.pool);
	for (size_t i = 0; i < suite.num_known; i++)
		free(suite.known[i]);
	free(suite.known);
	if (!folders) {
		printf("no suite here: install libonnx-testdata\n");
		return 77;
	}
	print_table(&suite);
	return suite.surprises ? 1 : 0;
}
