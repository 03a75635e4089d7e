/* SPDX-License-Identifier: MIT */
/* What the command needs of a session beyond the public interface. */
#ifndef RUNTIME_SESSION_H
#define RUNTIME_SESSION_H

#include <accel/runtime.h>

#include "compiler/package/axm.h"

/* The package that @session started with: the session's memory, until its end. */
const struct axm *session_package(const struct accel_session *session);

#endif
