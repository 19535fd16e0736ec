// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "../base.h"

struct count_key {
	__u32 pid;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, struct count_key);
	__type(value, struct event);
} counts SEC(".maps");

MARKER(gadget_mapiter_m___counts);
MARKER(gadget_mapiter_n___counts);
