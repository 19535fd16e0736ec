/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Keeps a CPU busy in functions with known names, until it is killed. */

#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

volatile uint64_t sink;

#ifndef INNERMOST
#define INNERMOST level3
#endif

#define KEEP __attribute__((noinline, noclone))

/* A variable on the stack: else compilers make no frame for a function that calls nothing. */
KEEP void INNERMOST(void)
{
	for (volatile int i = 0; i < 500000; i = i + 1)
		sink += i;
	__asm__ volatile("");
}

KEEP void level2(void)
{
	INNERMOST();
	__asm__ volatile("");
}

KEEP void level1(void)
{
	level2();
	__asm__ volatile("");
}

KEEP int cmp(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	for (int i = 0; i < 100; i++)
		sink += i;
	return x < y ? -1 : x > y;
}

KEEP void sorter(void)
{
	static uint64_t v[4096];

	for (int i = 0; i < 4096; i++)
		v[i] = (uint64_t)i * 2654435761u % 100003;
	qsort(v, 4096, sizeof(v[0]), cmp);
	__asm__ volatile("");
}

int main(int argc, char **argv)
{
	void (*in_library)(void) = NULL;

	if (argc > 1) {
		void *lib = dlopen(argv[1], RTLD_NOW);

		if (lib)
			in_library = (void (*)(void))dlsym(lib, "in_library");
		if (!in_library)
			return 1;
	}
	for (;;) {
		if (in_library)
			in_library();
		level1();
		sorter();
	}
}
