// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "../base.h"

MARKER(gadget_tracer_t___kept___event);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} kept SEC(".maps");
