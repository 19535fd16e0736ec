// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "../base.h"

MARKER(gadget_tracer_t___events___event);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u32);
} counts SEC(".maps");

const volatile char counts_max_entries[8] = "many";
MARKER(gadget_param_counts_max_entries);
