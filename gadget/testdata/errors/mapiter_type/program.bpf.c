// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "../base.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, struct event);
} counts SEC(".maps");

MARKER(gadget_mapiter_m___counts);
