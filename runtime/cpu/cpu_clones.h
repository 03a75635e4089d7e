/* SPDX-License-Identifier: MIT */
/*
 * CPU_CLONES before a function compiles it for several x86-64 levels and lets the dynamic loader choose.
 *
 * Baseline x86-64 has 4 float lanes, level 3 (AVX2) 8 and level 4 (AVX-512) 16: a hot loop that the compiler vectorises
 * gains that much. Put it on leaf loops only; what the function calls must be inlined into it, or it stays at the
 * baseline.
 *
 * The choice is an ifunc, resolved before a sanitizer's run-time library is up, which crashes under ThreadSanitizer:
 * sanitized builds, and hosts that are not x86-64, get the plain function.
 */
#ifndef RUNTIME_CPU_CPU_CLONES_H
#define RUNTIME_CPU_CPU_CLONES_H

#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define CPU_CLONES_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define CPU_CLONES_SANITIZED 1
#endif

/* Up to 17, clang names the chosen function NAME.ifunc, which no other file finds, and exports the resolvers of static
 * ones. */
#if defined(__clang__) && __clang_major__ < 18
#define CPU_CLONES_BROKEN 1
#endif

#if defined(__x86_64__) && defined(__ELF__) && !defined(CPU_CLONES_SANITIZED) && !defined(CPU_CLONES_BROKEN)
#define CPU_CLONES __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define CPU_CLONES
#endif

#endif
