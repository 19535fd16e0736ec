/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A library that a program loads while it runs. */

#include <stdint.h>

static volatile uint64_t sink;

__attribute__((noinline, noclone)) static void hidden(void)
{
	for (volatile int i = 0; i < 500000; i = i + 1)
		sink += i;
	__asm__ volatile("");
}

void in_library(void)
{
	hidden();
	__asm__ volatile("");
}
