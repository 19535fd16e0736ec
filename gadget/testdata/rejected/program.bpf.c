// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The verifier does not let a program use what may be NULL. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#define GADGET_NO_BUF_RESERVE
#include <gadget/buffer.h>
#include <gadget/macros.h>

struct event {
	__u64 value;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} table SEC(".maps");

GADGET_TRACER_MAP(events, 4096);
GADGET_TRACER(rejected, events, event);

SEC("tracepoint/syscalls/sys_enter_getpgid")
int gt_rejected(void *ctx)
{
	struct event event = {};
	__u32 zero = 0;

	event.value = bpf_ktime_get_ns();
	gadget_output_buf(ctx, &events, &event, sizeof(event));
	event.value = *(__u64 *)bpf_map_lookup_elem(&table, &zero);
	gadget_output_buf(ctx, &events, &event, sizeof(event));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
