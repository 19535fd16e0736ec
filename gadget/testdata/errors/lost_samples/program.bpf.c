// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "../base.h"

MARKER(gadget_tracer_t___events___event);

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} events_lost_samples SEC(".maps");
