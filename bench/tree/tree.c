// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * tree SECONDS: calls a function 24 frames deep until it has used so much processor time.
 * It prints what it used and how often it got there, and stays until its standard input
 * ends: profilers may look for names late.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define DEPTH 24

__attribute__((noinline)) static unsigned long leaf(unsigned long x)
{
	for (int i = 0; i < 20000; i++)
		x = x * 6364136223846793005UL + 1;
	return x;
}

/* What it does with the result keeps the compiler from making a loop of it. */
__attribute__((noinline)) static unsigned long descend(int depth,
						       unsigned long x)
{
	if (depth == 0)
		return leaf(x) + 1;
	return descend(depth - 1, x) * 3 + depth;
}

static double used(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 1;
	unsigned long x = 0, work = 0;

	for (; used() < seconds; work++)
		x = descend(DEPTH, x);
	/* Who prints it needs the result, so that the compiler does not leave it out. */
	printf("%f %lu\n", used(), work + (x == 1));
	fflush(stdout);
	getchar();
	return 0;
}
