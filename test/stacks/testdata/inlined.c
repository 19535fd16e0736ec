/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Keeps a CPU busy in functions that are inlined into each other, until it is killed. */

#include "inlined.h"

INLINE void middle(unsigned int n)
{
	innermost(n);
	innermost(n + 1);
}

__attribute__((noinline, noclone)) void outermost(unsigned int n)
{
	volatile unsigned int on_stack = n; /* else compilers make no frame */

	middle(on_stack);
	sink++;
	__asm__ volatile("");
}

int main(void)
{
	for (;;)
		outermost(sink);
}
