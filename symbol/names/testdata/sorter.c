// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

// Functions that a program exports, and some that it does not.
#include <stdlib.h>

static volatile int sink;

static __attribute__((noinline)) int hidden_compare(const void *a, const void *b)
{
	sink++;
	return *(const int *)a - *(const int *)b;
}

static __attribute__((noinline)) int hidden_level(int n)
{
	sink += n;
	return n > 0 ? hidden_level(n - 1) + 1 : 0;
}

__attribute__((noinline)) int shown_sorter(int *list, int n)
{
	qsort(list, n, sizeof(*list), hidden_compare);
	return list[0] + hidden_level(n);
}

// A label without a size, as people write in assembly, and a function that contains another entry.
__asm__(".text\n"
	".globl by_hand\n"
	"by_hand:\n"
	".rept 24\nnop\n.endr\n"
	"ret\n"
	".globl outer\n.type outer,@function\n"
	"outer:\n"
	".rept 8\nnop\n.endr\n"
	"inner_label:\n"
	".rept 8\nnop\n.endr\n"
	"ret\n"
	".size outer, .-outer\n");

int main(void)
{
	int list[] = { 3, 1, 2 };
	return shown_sorter(list, 3);
}
