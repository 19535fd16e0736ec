// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A bare perf array, declared without GADGET_TRACER_MAP and with no size, and trailing data. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/macros.h>
#include <gadget/types.h>

struct event {
	gadget_timestamp timestamp_raw;
	__u32 data_len;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} packets SEC(".maps");

GADGET_TRACER(packets, packets, event);

SEC("tracepoint/syscalls/sys_enter_getpgid")
int ig_bare(struct syscall_trace_enter *ctx)
{
	struct {
		struct event e;
		char data[8];
	} out = {};

	out.e.timestamp_raw = bpf_ktime_get_boot_ns();
	out.e.data_len = 5;
	__builtin_memcpy(out.data, "wild!", 5);
	bpf_perf_event_output(ctx, &packets, BPF_F_CURRENT_CPU, &out,
			      sizeof(out));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
