// SPDX-License-Identifier: GPL-2.0-only
#include <drm/drm_file.h>

#define CREATE_TRACE_POINTS
#include "axl_trace.h"
