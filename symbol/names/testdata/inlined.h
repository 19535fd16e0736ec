/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The gizmo Authors */

#ifndef INLINED_H
#define INLINED_H

static volatile int sink;

// A function of a header, which is inlined into those of another file.
static inline __attribute__((always_inline)) int innermost(int n)
{
	sink += n;
	return sink * 3;
}

#endif
