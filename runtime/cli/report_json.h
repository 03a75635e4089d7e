/* SPDX-License-Identifier: MIT */
/* The report as JSON. */
#ifndef RUNTIME_CLI_REPORT_JSON_H
#define RUNTIME_CLI_REPORT_JSON_H

#include <stdio.h>

#include "runtime/cli/compile_report.h"

/* 0, -ENOMEM, -EIO: the stream. */
int report_write_json(const struct report *report, FILE *out);

#endif
