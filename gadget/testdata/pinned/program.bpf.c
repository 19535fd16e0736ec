// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Counts the calls of getpgid by a process in a map that outlives the gadget. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>
#include <gadget/macros.h>

struct event {
	__u64 count;
};

/* The process. */
const volatile __u32 target = 0;
GADGET_PARAM(target);

const volatile __u32 kept_max_entries = 16;
GADGET_PARAM(kept_max_entries);

GADGET_TRACER_MAP(events, 4096);
GADGET_TRACER(counts, events, event);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} kept SEC(".maps");

/* Another one, whose name comes first. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} also_kept SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_getpgid")
int on_call(struct trace_event_raw_sys_enter *ctx)
{
	__u64 one = 1, *count;
	struct event *event;
	__u32 zero = 0;

	if (bpf_get_current_pid_tgid() >> 32 != target)
		return 0;
	bpf_map_update_elem(&kept, &zero, &one, BPF_NOEXIST);
	count = bpf_map_lookup_elem(&kept, &zero);
	if (!count)
		return 0;
	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return 0;
	event->count = __sync_fetch_and_add(count, 1);
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
