// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/* The verifier does not take a pointer that may be NULL. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>
#include <gadget/macros.h>

struct event {
	__u32 number;
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(bad, events, event);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} values SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_openat")
int e2e_verifier(void *ctx)
{
	struct event event = {};
	__u32 zero = 0;
	__u32 *value = bpf_map_lookup_elem(&values, &zero);

	event.number = *value;

	gadget_output_buf(ctx, &events, &event, sizeof(event));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
