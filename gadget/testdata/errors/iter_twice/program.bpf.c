// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#define NO_PROGRAM
#include "../base.h"

MARKER(gadget_iter_i___event___program___program);

SEC("iter/task")
int program(void *ctx)
{
	return 0;
}
