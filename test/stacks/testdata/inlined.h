/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A function of a header, which is inlined into functions of another file. */

#ifndef INLINED_H
#define INLINED_H

#define INLINE static inline __attribute__((always_inline))

static volatile unsigned int sink;

INLINE void innermost(unsigned int n)
{
	for (int i = 0; i < 100; i++)
		sink += n * 7;
}

#endif
