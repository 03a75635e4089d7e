/* SPDX-License-Identifier: MIT */
/*
 * Loops over float32 that are written for processors by hand come in the same forms, in this order: AVX-512F, AVX2 with FMA (both on
 * x86-64 only), and one that runs everywhere.
 */
#ifndef RUNTIME_CPU_FLOAT_FORMS_H
#define RUNTIME_CPU_FLOAT_FORMS_H

#include <stdbool.h>
#include <stddef.h>

/* Whether this processor runs the form at @index of a table of them all. */
static inline bool float_form_runs(size_t index)
{
#if defined(__x86_64__)
	__builtin_cpu_init();
	if (index == 0)
		return __builtin_cpu_supports("avx512f");
	if (index == 1)
		return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
	(void)index;
#endif
	return true;
}

#endif
