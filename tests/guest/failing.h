/* SPDX-License-Identifier: MIT */
/* The kernel's fault injection for this process: the N-th allocation or copy from now on fails (/proc/self/fail-nth). */
#ifndef TESTS_GUEST_FAILING_H
#define TESTS_GUEST_FAILING_H

#include <stdbool.h>

#define FAILING_MOST 2000    /* allocations of one call: more is a loop that does not end */
#define FAILING_NONE 1000000 /* an N that no call comes to */

/*
 * What fails: one kind at a time, and nothing that this kernel's checks allocate for themselves (kmemleak, debug objects, DMA-API
 * debug, which ends for good when it fails). Such memory is allocated now and then, and so are the pages that slab caches grow by: it
 * would move all that comes behind it, and one of them, another each time, would never be struck. Copies fail with either kind.
 */
enum failing_kind {
	FAILING_OBJECTS, /* of slab caches */
	FAILING_PAGES,   /* but not those that slab caches grow by: that an object can not be had is the other kind */
};

/* Addresses of code. */
struct failing_range {
	unsigned long long begin, end;
};

/* Sets all of it up. Else the file of debugfs or sysfs that this kernel does not have; NULL: all well. */
const char *failing_begin(void);
/*
 * Only @kind fails; not objects that @spared allocates, whatever it calls included (NULL: those of DMA-API debug). 0 or a
 * negative errno.
 */
int failing_only(enum failing_kind kind, const struct failing_range *spared);
/* Only what is called from @code fails; NULL: everything may. Of copies every one. 0 or a negative errno. */
int failing_below(const struct failing_range *code);
/* @n: 0 is the end of it. 0 or a negative errno. */
int failing_set(int n);
/* Whether something was made to fail since failing_set(). */
bool failing_struck(void);
/* How many could have been made to fail since failing_set(FAILING_NONE). */
int failing_passed(void);
/* An error that a call may give because something was made to fail. */
bool failing_explains(int err);
/* The kernel's function @name, or one of a module's. 0, or a negative errno: -ENOENT, there is none. */
int failing_function(const char *name, struct failing_range *code);
/* All functions of the @module. 0, or a negative errno: -ENOENT, there is none. */
int failing_module(const char *module, struct failing_range *code);

#endif
