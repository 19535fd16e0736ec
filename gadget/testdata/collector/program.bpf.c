// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Counts calls in a map and has no data source: another part of a program reads the map. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/macros.h>

const volatile __u32 magic = 0;
GADGET_PARAM(magic);

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} calls SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_getpgid")
int gt_collector(struct syscall_trace_enter *ctx)
{
	__u32 pid = ctx->args[0], key = 0;
	__u64 *count;

	if (!magic || (pid & 0xffff0000) != magic)
		return 0;
	count = bpf_map_lookup_elem(&calls, &key);
	if (count)
		__sync_fetch_and_add(count, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
