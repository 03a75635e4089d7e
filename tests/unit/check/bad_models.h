/* SPDX-License-Identifier: MIT */
/*
 * Models that break the rules of the standard, one rule each, made by hand. Two tests read the table: test_check.c in this
 * process, accel.sh with the files that write_models.c makes of it.
 */
#ifndef TESTS_UNIT_CHECK_BAD_MODELS_H
#define TESTS_UNIT_CHECK_BAD_MODELS_H

#include <stdbool.h>
#include <stddef.h>

#include "tests/unit/graph/model.h"

/*
 * struct bad_model
 * @rule: id of the rule that it breaks
 * @node: name of the node that the finding names; "" when it is about no node
 * @file: only seen when the file is checked: by shape inference
 */
struct bad_model {
	const char *name, *rule, *node;
	void (*build)(struct model *model);
	bool file;
};

/* NULL past the last. */
const struct bad_model *bad_model_at(size_t index);
/* A model that breaks none. */
void good_model(struct model *model);
/* The files beside the models: inside.bin (24 bytes) and leads_out.bin, a link to a file elsewhere. 0, or -1. */
int bad_model_files(const char *folder);

#endif
