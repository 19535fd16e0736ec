// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

// Calls that the compiler inlines into each other.
#include "inlined.h"

static inline __attribute__((always_inline)) int middle(int n)
{
	int m = innermost(n + 1);

	sink++;
	return m + innermost(m);
}

__attribute__((noinline)) int outermost(int n)
{
	for (int i = 0; i < n; i++)
		sink += middle(i);
	return sink;
}

int main(int argc, char **argv)
{
	(void)argv;
	return outermost(argc);
}
