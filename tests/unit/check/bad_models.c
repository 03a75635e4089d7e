/* SPDX-License-Identifier: MIT */
/* See bad_models.h. */
#include "tests/unit/check/bad_models.h"

#include <stdio.h>
#include <unistd.h>

#include "tests/unit/check/bad_build.h"

/* x -> act (Relu) -> y */
void good_model(struct model *m)
{
	model_init(m);
	model_input(m, "x", FLOAT, 2, two_by_three);
	add(m, "act", "Relu", NAMES("x"), NAMES("y"));
	add_output(m, "y", FLOAT);
}

const struct bad_model *bad_model_at(size_t index)
{
	static const struct bad_model *const tables[] = {
		bad_graph_models,
		bad_node_models,
		bad_tensor_models,
		bad_body_models,
	};

	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
		for (const struct bad_model *bad = tables[t]; bad->name; bad++)
			if (!index--)
				return bad;
	return NULL;
}

int bad_model_files(const char *folder)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/inside.bin", folder);
	file = fopen(path, "wb");
	if (!file || fwrite(six_floats, sizeof(six_floats), 1, file) != 1 || fclose(file))
		return -1;
	snprintf(path, sizeof(path), "%s/leads_out.bin", folder);
	return symlink("/proc/version", path);
}
