// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Fires a static probe for each form in which the place of an argument can be
 * written, and says what a program has to read: "probe COUNT ARGS...".  A "?" is
 * an argument that cannot be had.
 *
 * usage: forms [indexed] [symbols]
 * The words say what else can be had: elements of arrays, variables.
 */
#include <stdio.h>
#include <string.h>

#include "probes.h"

volatile long counter = 0x1122334455667788;
volatile int array[8] = {10, 11, 12, 13, -14, 15, 16, 17};
static volatile signed char small __attribute__((used)) = -5;

static int indexed, symbols;

static void say(const char *line)
{
	puts(line);
	fflush(stdout);
}

/* FORM says what is to be read, and fires a probe with known registers. */
#define FORM(line, name, args)                                         \
	do {                                                           \
		say(line);                                             \
		register long bits __asm__("r8") = 0xfedcba9876543210; \
		register volatile int *base __asm__("r9") = array;     \
		register long index __asm__("r10") = 4;                \
		register long bytes __asm__("rax") = 0x1122;           \
		PROBE("forms", name, "0", args, "r"(bits), "r"(base),  \
		      "r"(index), "r"(bytes));                         \
	} while (0)

static void readable(void)
{
	FORM("probe 5 -5 -1 255 -1 16", "constants",
	     "-8@$-5 8@$18446744073709551615 1@$255 -1@$-1 4@$0x10");
	FORM("probe 6 -81985529216486896 1985229328 12816 16 1985229328 12816",
	     "registers", "8@%%r8 4@%%r8d 2@%%r8w 1@%%r8b -4@%%r8d -2@%%r8w");
	FORM("probe 2 10 -14", "memory", "4@(%%r9) -4@16(%%r9)");
	FORM("probe 2 8 12", "octal", "8@$010 4@8(%%r9)");
	FORM("probe 0", "none", "");
}

static void depends(void)
{
	FORM(indexed ? "probe 4 13 -14 12 12" : "probe 4 13 ? ? ?", "indexed",
	     "4@12(%%r9) -4@(%%r9,%%r10,4) 4@-8(%%r9,%%r10,4) "
	     "-4@0x4(%%r9,%%r10)");
	FORM(symbols ? "probe 3 1234605616436508552 -14 -5" : "probe 3 ? ? ?",
	     "variables",
	     "8@counter(%%rip) -4@array+16(%%rip) -1@small(%%rip)");
}

static void unreadable(void)
{
	FORM("probe 2 ? 1985229328", "float", "8f@%%xmm0 4@%%r8d");
	FORM("probe 3 17 34 ?", "high", "1@%%ah 1@%%al 2@%%zh");
	FORM("probe 2 ? 1985229328", "segment", "8@%%fs:0 4@%%r8d");
	FORM("probe 4 -81985529216486896 -81985529216486896 ? 4", "sizes",
	     "%%r8 @%%r8 3@%%r8 8@%%r10");
	FORM("probe 3 ? ? -14", "relocated",
	     "8@counter@GOTPCREL(%%rip) 8@array(,%%r8,4) -4@16(%%r9)");
	FORM("probe 4 ? ? ? ?", "malformed", "no arguments @ (at all");
	FORM("probe 14 0 1 2 3 4 5", "many",
	     "4@$0 4@$1 4@$2 4@$3 4@$4 4@$5 4@$6 4@$7 4@$8 4@$9 4@$10 4@$11 "
	     "4@$12 4@$13");
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		indexed |= strcmp(argv[i], "indexed") == 0;
		symbols |= strcmp(argv[i], "symbols") == 0;
	}
	readable();
	depends();
	unreadable();
	return 0;
}
