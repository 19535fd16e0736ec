// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Notes where a member lies in a struct that no kernel has. */
#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <gadget/macros.h>

struct gizmo_no_such_struct {
	unsigned long first;
	unsigned long second;
} __attribute__((preserve_access_index));

const volatile __u32 magic = 0;
GADGET_PARAM(magic);

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} offset SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_getpgid")
int gt_extra_types(struct syscall_trace_enter *ctx)
{
	__u32 pid = ctx->args[0], key = 0;
	__u64 off = bpf_core_field_offset(struct gizmo_no_such_struct, second);

	if (magic && (pid & 0xffff0000) == magic)
		bpf_map_update_elem(&offset, &key, &off, BPF_ANY);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
