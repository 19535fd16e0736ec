// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Does what probes are to see, and says so: "call A B C", "return VALUE",
 * "probe COUNT ARGS...".
 */
#include <stdio.h>
#include <stdlib.h>

long work(long a, int b, unsigned char c);
void fire(long n);
void fire_high(long n);
void fire_guarded(long n);
void fire_typed(int a, void *b);

int main(int argc, char **argv)
{
	long rounds = argc > 1 ? atol(argv[1]) : 1;

	srandom(42); /* once, for a probe in the C library */
	for (long i = 1; i <= rounds; i++) {
		printf("call %ld %d %d\n", i << 33, (int)i - 3, 200);
		fflush(stdout);
		printf("return %ld\n", work(i << 33, (int)i - 3, 200));
		fire(i);
		fire_high(i);
		fire_guarded(i);
		fire_typed((int)-i, (void *)(i << 40));
		fflush(stdout);
	}
	return 0;
}
