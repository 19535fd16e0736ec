// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "../base.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} more SEC(".maps");

MARKER(gadget_tracer_t___events___event);
MARKER(gadget_tracer_t___more___event);
