// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* raw_tracepoint by its long name, registers by core_fixes, a per-CPU array for scratch. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/core_fixes.bpf.h>
#include <gadget/buffer.h>
#include <gadget/types.h>
#include <gadget/common.h>

struct event {
	gadget_syscall syscall_raw;
	u64 arg0;
	gadget_comm comm[TASK_COMM_LEN];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct event);
} scratch SEC(".maps");

const volatile int only_nr = -1;
GADGET_PARAM(only_nr);

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(syscalls, events, event);

SEC("raw_tracepoint/sys_enter")
int ig_sys_enter(struct bpf_raw_tracepoint_args *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx->args[0];
	u64 nr = ctx->args[1];
	struct event *e;
	u32 zero = 0;

	if (only_nr >= 0 && nr != (u64)only_nr)
		return 0;
	e = bpf_map_lookup_elem(&scratch, &zero);
	if (!e)
		return 0;
	e->syscall_raw = gadget_get_syscall_nr(regs);
	e->arg0 = gadget_get_syscall_arg(regs, 1);
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	gadget_output_buf(ctx, &events, e, sizeof(*e));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
