/* SPDX-License-Identifier: MIT */
/* The model: its versions, its graph, its functions, what it says about training. */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "compiler/onnx/check/checker.h"
#include "compiler/onnx/model_file.h"
#include "runtime/cpu/tensor.h"

/* ---- versions ---- */

/* onnx.proto, enum Version, says what came with which. */
void check_feature(struct checker *checker, const struct check_scope *scope, const char *subject, int64_t since,
		   const char *what)
{
	const Onnx__ModelProto *model = checker->model;

	if (model->has_ir_version && model->ir_version > 0 && model->ir_version < since)
		check_found(checker, scope, RULE_IR_FEATURE, subject,
			    "%s%s%s needs IR version %lld, the model states %lld", what, *subject ? " of " : "",
			    subject, (long long)since, (long long)model->ir_version);
}

void check_element_feature(struct checker *checker, const struct check_scope *scope, const char *subject, int type)
{
	static const struct {
		enum dtype first, last;
		int64_t since;
	} ranges[] = {
		{DTYPE_F8E4M3FN, DTYPE_F8E5M2FNUZ, 9}, {DTYPE_U4, DTYPE_S4, 10}, {DTYPE_F4E2M1, DTYPE_F4E2M1, 11},
		{DTYPE_F8E8M0, DTYPE_F8E8M0, 12},      {DTYPE_U2, DTYPE_S2, 13}, {DTYPE_F6E2M3, DTYPE_F6E3M2, 14},
	};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if (type >= (int)ranges[i].first && type <= (int)ranges[i].last)
			check_feature(checker, scope, subject, ranges[i].since, "the element type");
}

void check_opsets(struct checker *checker, const struct check_scope *scope, size_t count,
		  Onnx__OperatorSetIdProto *const *opsets)
{
	if (!count)
		check_found(checker, scope, RULE_OPSET_MISSING, "", "the %s imports no operator set",
			    scope ? "function" : "model");
	for (size_t i = 0; i < count; i++) {
		const char *domain = check_domain(opsets[i]->domain), *shown = *domain ? domain : "ai.onnx";
		long long version = opsets[i]->version;
		int newest = schema_newest(domain);

		check_utf8(checker, scope, "the domain", opsets[i]->domain);
		if (version < 1)
			check_found(checker, scope, RULE_OPSET_VERSION, shown, "opset_import %zu: version %lld of %s",
				    i, version, shown);
		else if (newest && version > newest)
			check_found(checker, scope, RULE_OPSET_UNKNOWN, shown,
				    "version %lld of %s is imported, %d is the newest that is known", version, shown,
				    newest);
		for (size_t k = 0; k < i; k++)
			if (!strcmp(check_domain(opsets[k]->domain), domain))
				check_found(checker, scope, RULE_OPSET_DUPLICATE, shown, "domain %s is imported twice",
					    shown);
	}
}

/* ---- training (IR: Training) ---- */

static bool hands_out(const Onnx__GraphProto *graph, const char *name)
{
	for (size_t i = 0; graph && i < graph->n_output; i++)
		if (!strcmp(check_text(graph->output[i]->name), name))
			return true;
	return false;
}

static bool initializes(const Onnx__GraphProto *graph, const char *name)
{
	for (size_t i = 0; graph && i < graph->n_initializer; i++)
		if (!strcmp(check_text(graph->initializer[i]->name), name))
			return true;
	return false;
}

static void check_bindings(struct checker *checker, const char *what, const Onnx__TrainingInfoProto *info,
			   const Onnx__GraphProto *source, size_t count, Onnx__StringStringEntryProto *const *bindings)
{
	for (size_t i = 0; i < count; i++) {
		const char *key = check_text(bindings[i]->key), *value = check_text(bindings[i]->value);

		if (!initializes(checker->model->graph, key) && !initializes(info->algorithm, key))
			check_found(checker, NULL, RULE_TRAINING_BINDING, key, "%s binds '%s', which is no initializer",
				    what, key);
		if (!hands_out(source, value))
			check_found(checker, NULL, RULE_TRAINING_BINDING, value,
				    "%s takes '%s', which is no output of its graph", what, value);
	}
}

/* What a training graph may read: all names of the model's graph. */
static void check_training(struct checker *checker, const Onnx__TrainingInfoProto *info)
{
	const Onnx__GraphProto *main_graph = checker->model->graph;
	struct check_scope scope;

	check_scope_init(checker, &scope, NULL, "main");
	for (size_t i = 0; i < main_graph->n_input; i++)
		check_define(&scope, check_text(main_graph->input[i]->name), -1);
	for (size_t i = 0; i < main_graph->n_initializer; i++)
		check_define(&scope, check_text(main_graph->initializer[i]->name), -1);
	for (size_t n = 0; n < main_graph->n_node; n++)
		for (size_t i = 0; i < main_graph->node[n]->n_output; i++)
			check_define(&scope, check_text(main_graph->node[n]->output[i]), -1);
	check_feature(checker, NULL, "", 7, "training information");
	if (info->initialization)
		check_graph(checker, &scope, "training initialization", info->initialization);
	if (info->algorithm)
		check_graph(checker, &scope, "training algorithm", info->algorithm);
	check_scope_finish(&scope);
	check_bindings(checker, "initialization_binding", info, info->initialization, info->n_initialization_binding,
		       info->initialization_binding);
	check_bindings(checker, "update_binding", info, info->algorithm, info->n_update_binding, info->update_binding);
}

/* ---- the whole ---- */

static void check_model(struct checker *checker)
{
	const Onnx__ModelProto *model = checker->model;

	if (!model->has_ir_version || model->ir_version < 1)
		check_found(checker, NULL, RULE_IR_VERSION, "", "IR version %lld",
			    model->has_ir_version ? (long long)model->ir_version : 0LL);
	check_opsets(checker, NULL, model->n_opset_import, model->opset_import);
	if (model->n_functions)
		check_feature(checker, NULL, "", 8, "a function");
	check_functions(checker);
	if (!model->graph) {
		check_found(checker, NULL, RULE_GRAPH_MISSING, "", "the model has no graph");
		return;
	}
	check_graph(checker, NULL, "main", model->graph);
	for (size_t i = 0; i < model->n_training_info && !checker->err; i++)
		check_training(checker, model->training_info[i]);
}

static int run(struct checker *checker)
{
	check_model(checker);
	if (checker->err)
		check_report_finish(checker->report);
	return checker->err;
}

int check_message(const struct Onnx__ModelProto *model, const char *folder, struct check_report *report)
{
	struct checker checker = {.model = model, .folder = folder, .report = report};

	*report = (struct check_report){0};
	return run(&checker);
}

int check_file(const char *path, struct check_report *report, char *error, size_t error_size)
{
	struct checker checker = {.report = report};
	Onnx__ModelProto *model;
	char folder[PATH_MAX];
	int err = onnx_model_read(path, &model, error, error_size);

	*report = (struct check_report){0};
	if (err == -EBADMSG) {
		check_found(&checker, NULL, RULE_IMPORT, "", ONNX_NO_MODEL);
		return checker.err;
	}
	if (err)
		return err;
	snprintf(folder, sizeof(folder), "%s", path);
	checker.model = model;
	checker.folder = dirname(folder);
	err = run(&checker);
	if (!err && !check_report_refusal(report)) {
		check_shapes(&checker, model);
		err = checker.err;
	}
	onnx__model_proto__free_unpacked(model, NULL);
	if (err) {
		snprintf(error, error_size, "%s: %s", path, strerror(-err));
		check_report_finish(report);
	}
	return err;
}
