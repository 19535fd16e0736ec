// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#define NO_PROGRAM
#include "../base.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

MARKER(gadget_iter_i___event___program);
MARKER(gadget_mapelem_iter_target_program___counts);

SEC("iter/task")
int program(void *ctx)
{
	return 0;
}
