/* SPDX-License-Identifier: MIT */
/*
 * The maxima of windows of a float32 plane: first down the columns, then along the rows. For windows at steps: at every position of rows
 * the layout of conv_depthwise.h does more at once.
 */
#ifndef RUNTIME_CPU_MAX_PLANE_H
#define RUNTIME_CPU_MAX_PLANE_H

#include "runtime/cpu/window.h"

/*
 * @x: [in…], @y: [out…]; @line: working memory of w->in[2] floats. Taps in the padding do not count; a window of nothing else gives
 * -infinity. NaN is ignored unless it comes first, in its column or among the columns of its window.
 */
void max_plane(const struct window *w, const float *x, float *line, float *y);

#endif
