/* SPDX-License-Identifier: MIT */
/* write_models FOLDER: the bad models as files, and a line for each on standard output: name, rule, node ("-": none), refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compiler/onnx/check/check.h"
#include "tests/unit/check/bad_models.h"

static bool refuses(const char *id)
{
	const struct check_rule *rule;

	for (size_t i = 0; (rule = check_rule_at(i)); i++)
		if (!strcmp(rule->id, id))
			return rule->refuses;
	return false;
}

int main(int argc, char **argv)
{
	const struct bad_model *bad;

	if (argc != 2 || bad_model_files(argv[1]))
		return 2;
	for (size_t i = 0; (bad = bad_model_at(i)); i++) {
		struct model model;
		char path[512];
		uint8_t *bytes;
		size_t size;
		FILE *file;

		bad->build(&model);
		bytes = model_pack(&model, &size);
		snprintf(path, sizeof(path), "%s/%s.onnx", argv[1], bad->name);
		file = fopen(path, "wb");
		if (!file || fwrite(bytes, 1, size, file) != size || fclose(file))
			return 2;
		printf("%s %s %s %s\n", bad->name, bad->rule, *bad->node ? bad->node : "-",
		       refuses(bad->rule) ? "refused" : "said");
		free(bytes);
		model_finish(&model);
	}
	return 0;
}
