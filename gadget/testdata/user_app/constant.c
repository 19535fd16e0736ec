// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/* A probe whose argument is a constant, which is a part of the argument's description. */
#include <stdio.h>

#include "probes.h"

int main(void)
{
	printf("probe 1 %d\n", CONSTANT);
	fflush(stdout);
	PROBE("fixture", "constant", "0", "-4@%0", "i"(CONSTANT));
	return 0;
}
