/* SPDX-License-Identifier: MIT */
/* See overflow.h. */
#include "runtime/cli/overflow.h"

#include <math.h>
#include <string.h>

#include "compiler/quant/wide.h"

bool overflow_found(const struct tensor *tensor)
{
	if (!dtype_is_float(tensor->dtype))
		return false;
	for (int64_t i = 0; i < tensor_count(tensor); i++)
		if (!isfinite(tensor_get_f64(tensor, i)))
			return true;
	return false;
}

void overflow_explain(const struct options *options, const char *name, const struct tensor *const *inputs,
		      size_t num_inputs)
{
	bool narrow = !strcmp(options->precision, "fp16") || !strcmp(options->precision, "int8");
	size_t length = strlen(options->model);
	struct quant_wide wide = {0};
	char text[256], error[512] = "";

	if (!strcmp(options->device, "cpu") || !narrow) {
		complain(0, "output %s is not finite", name);
	} else if (length > 4 && !strcmp(options->model + length - 4, ".axm")) {
		complain(0,
			 "output %s is not finite; a run of the ONNX file tells which layer has numbers that fp16 "
			 "can not hold",
			 name);
	} else if (quant_find_wide_file(options->model, inputs, num_inputs, &wide, error, sizeof(error))) {
		complain(0, "output %s is not finite; the layer was not found: %s", name, error);
	} else if (!wide.count) {
		complain(0, "output %s is not finite, though all numbers of the float network fit fp16", name);
	} else {
		quant_wide_text(&wide, text, sizeof(text));
		complain(0, "output %s is not finite: %s; %suse --precision bf16", name, text,
			 strcmp(options->precision, "int8") || options->calibration ? "" : "give --calibration, or ");
	}
}
