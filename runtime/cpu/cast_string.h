/* SPDX-License-Identifier: MIT */
/* Numbers as text and back, as Cast wants them. */
#ifndef RUNTIME_CPU_CAST_STRING_H
#define RUNTIME_CPU_CAST_STRING_H

#include "runtime/cpu/cast.h"

/*
 * Print element @i of @t (numbers and bool): the shortest decimal that reads back as the same number, as numpy prints it;
 * NaN, INF, -INF; True, False. @size: at least 64. Returns the length.
 */
size_t print_number(const struct tensor *t, int64_t i, char *text, size_t size);

/* Every element of @in (numbers or strings) as a string of @out, which has its shape. -ENOMEM with the call's error set. */
int cast_to_strings(struct op_call *call, const struct tensor *in, struct tensor *out);

/* Every string of @in read as a number of @out's type. -EINVAL with the call's error set names the one that is none. */
int cast_from_strings(struct op_call *call, const struct tensor *in, const struct cast_rule *rule, struct tensor *out);

#endif
