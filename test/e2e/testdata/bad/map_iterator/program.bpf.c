// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/* A map of which no array can be made. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/macros.h>

struct count_value {
	__u64 count;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct count_value);
} counts SEC(".maps");

GADGET_MAPITER(bad, counts);

SEC("tracepoint/syscalls/sys_enter_openat")
int e2e_mapiter(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
