// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/* A program with a static probe at two places. */

unsigned short fixture_many_semaphore
	__attribute__((section(".probes"))) = 0x5e3a;

#define PROBE(provider, name, semaphore, args, ...)                          \
	__asm__ volatile("990: nop\n"                                        \
			 ".pushsection .note.stapsdt,\"\",\"note\"\n"        \
			 ".balign 4\n"                                       \
			 ".4byte 992f-991f, 994f-993f, 3\n"                  \
			 "991: .asciz \"stapsdt\"\n"                         \
			 "992: .balign 4\n"                                  \
			 "993: .8byte 990b, _.stapsdt.base, " semaphore "\n" \
			 ".asciz \"" provider "\", \"" name "\", \"" args    \
			 "\"\n"                                              \
			 "994: .balign 4\n"                                  \
			 ".popsection\n"                                     \
			 ".ifndef _.stapsdt.base\n"                          \
			 ".pushsection .stapsdt.base,\"aG\",\"progbits\","   \
			 ".stapsdt.base,comdat\n"                            \
			 ".weak _.stapsdt.base\n"                            \
			 ".hidden _.stapsdt.base\n"                          \
			 "_.stapsdt.base: .space 1\n"                        \
			 ".size _.stapsdt.base, 1\n"                         \
			 ".popsection\n"                                     \
			 ".endif\n" ::__VA_ARGS__)

int main(int argc, char **argv)
{
	PROBE("fixture", "many", "fixture_many_semaphore", "-4@%0 8@%1 -4@%2",
	      "nor"(argc), "nor"(argv), "nor"(-77));
	if (argc > 1)
		PROBE("fixture", "many", "fixture_many_semaphore", "8@%0",
		      "nor"((long)argc));
	PROBE("fixture", "plain", "0", "");
	return 0;
}
