// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/* A library with all kinds of symbols. */

int versioned_first(int x)
{
	return x + 1;
}
int versioned_second(int x)
{
	return x + 2;
}
__asm__(".symver versioned_first, versioned@V1");
__asm__(".symver versioned_second, versioned@@V2");

int retired_first(int x)
{
	return x + 1;
}
__asm__(".symver retired_first, retired@V1");

int plain(int x)
{
	return x * 3;
}

__attribute__((weak)) int weak(int x)
{
	return x * 5;
}

static int chosen(int x)
{
	return x * 7;
}
static int (*choose(void))(int)
{
	return chosen;
}
int indirect(int x) __attribute__((ifunc("choose")));

int variable = 4;

extern void *malloc(unsigned long);
void *imports(void)
{
	return malloc(1);
}

__attribute__((noinline)) static int hidden(int x)
{
	__asm__ volatile("");
	return x * 9;
}
int calls_hidden(int x)
{
	return hidden(x) + 1;
}

__asm__(".text\n"
	".globl label\n"
	"label: ret\n"
	".globl typed_label\n"
	".type typed_label, @function\n"
	"typed_label: ret\n");
