/* SPDX-License-Identifier: MIT */
/* The kernel's fault injection for this process: the N-th allocation or copy from now on fails (/proc/self/fail-nth). */
#ifndef TESTS_GUEST_FAILING_H
#define TESTS_GUEST_FAILING_H

#include <stdbool.h>

#define FAILING_MOST 2000 /* allocations of one call: more is a loop that does not end */

/* Every kind of allocation can fail. Else the setting of debugfs that this kernel does not have; NULL: all well. */
const char *failing_begin(void);
/* @n: 0 is the end of it. 0 or a negative errno. */
int failing_set(int n);
/* Whether something was made to fail since failing_set(). */
bool failing_struck(void);
/* An error that a call may give because something was made to fail. */
bool failing_explains(int err);
/* What the kernel's function @name allocates does not fail. 0, or a negative errno: -ENOENT, there is no such function. */
int failing_spare(const char *name);
/* Only what is called from the @module fails; NULL: everything may. Of copies every one. 0 or a negative errno. */
int failing_below(const char *module);

#endif
