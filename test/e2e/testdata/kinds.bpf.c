// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/* The opened files, as events through a perf buffer and as counts in a map. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/macros.h>
#include <gadget/maps.bpf.h>
#include <gadget/types.h>

const volatile __u32 opener = 0;
GADGET_PARAM(opener);

struct event {
	__u32 number;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
} events SEC(".maps");
GADGET_TRACER(opens, events, event);

struct opener_key {
	gadget_pid pid;
};

struct opener_count {
	__u64 calls;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, struct opener_key);
	__type(value, struct opener_count);
} counts SEC(".maps");
GADGET_MAPITER(calls, counts);

SEC("tracepoint/syscalls/sys_enter_openat")
int e2e_kinds(void *ctx)
{
	struct event event = {.number = 1};
	struct opener_key key = {.pid = bpf_get_current_pid_tgid() >> 32};
	struct opener_count one = {.calls = 1}, *count;

	if (opener && key.pid != opener)
		return 0;
	bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &event,
			      sizeof(event));
	count = bpf_map_lookup_elem(&counts, &key);
	if (count)
		__sync_fetch_and_add(&count->calls, 1);
	else
		bpf_map_update_elem(&counts, &key, &one, BPF_NOEXIST);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
