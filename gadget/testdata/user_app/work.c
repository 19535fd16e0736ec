// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

#include <stdio.h>

#include "probes.h"

/* Not static, so that they are called where they are defined. */
volatile short fixture_global = -1234;

__attribute__((section(".probes"))) volatile unsigned short guarded_semaphore;

__attribute__((noinline)) long work(long a, int b, unsigned char c)
{
	__asm__ volatile("");
	return a * b - c;
}

/* What the arguments are is printed as the C code sees it, before the probe. */
__attribute__((noinline)) void fire(long n)
{
	long array[4] = {n, n + 1, n + 2, n + 3};
	signed char small = -5;
	volatile int on_stack = (int)-n;

	printf("probe 6 %ld %d %d %ld %d %d\n", n, (int)small, -77, array[2],
	       (int)on_stack, fixture_global);
	fflush(stdout);
	PROBE("fixture", "many", "0", "8@%0 -1@%1 -4@%2 8@%3 -4@%4 -2@%5",
	      "r"(n), "q"(small), "i"(-77), "m"(array[2]), "m"(on_stack),
	      "m"(fixture_global));
	if (n % 2) { /* another site, with its arguments elsewhere */
		printf("probe 2 %ld 99\n", n * 3);
		fflush(stdout);
		PROBE("fixture", "many", "0", "8@%0 4@%1", "r"(n * 3), "i"(99));
	}
}

/* The second byte of a register has a name of its own on x86. */
__attribute__((noinline)) void fire_high(long n)
{
#ifdef __x86_64__
	long bits = (n & 0xff) << 8 | 0x11;

	printf("probe 2 %ld %ld\n", n & 0xff, bits & 0xff);
	fflush(stdout);
	PROBE("fixture", "high", "0", "1@%h0 1@%b0", "Q"(bits));
#endif
}

__attribute__((noinline)) void fire_guarded(long n)
{
	printf("guarded %d\n", guarded_semaphore > 0);
	fflush(stdout);
	if (guarded_semaphore)
		PROBE("fixture", "guarded", "guarded_semaphore", "8@%0",
		      "r"(n));
}

__attribute__((noinline)) void fire_typed(int a, void *b)
{
	printf("probe -1 %d %ld\n", a, (long)b);
	fflush(stdout);
	PROBE("fixture", "typed", "0", "-4@%0 8@%1", "r"(a), "r"(b));
}
