// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#define NO_PROGRAM
#include "../base.h"

MARKER(gadget_tracer_t___events___event);

SEC("fmod_ret/security_file_open")
int program(void *ctx)
{
	return 0;
}
