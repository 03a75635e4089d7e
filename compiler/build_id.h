/* SPDX-License-Identifier: MIT */
/* Which build of the compiler this is: 64 hexadecimal digits over its object code (build_id.sh). Other code, other packages. */
#ifndef COMPILER_BUILD_ID_H
#define COMPILER_BUILD_ID_H

extern const char compile_build_id[];

#endif
