// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "../base.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__uint(key_size, 4);
	__uint(value_size, 4);
} counts SEC(".maps");

MARKER(gadget_mapiter_m___counts);
