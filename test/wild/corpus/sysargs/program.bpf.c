// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/core_fixes.bpf.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

struct event {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;
	gadget_syscall syscall_raw;
	__s64 ret;
	gadget_errno error_raw;
	gadget_duration took_raw;
	__u64 args[6];
};

struct entry {
	__u64 since;
	__u64 nr;
	__u64 args[6];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 10240);
	__type(key, __u64);
	__type(value, struct entry);
} entries SEC(".maps");

GADGET_TRACER_MAP(events, 1024 * 1024);
GADGET_TRACER(syscalls, events, event);

/* -1: all of them */
const volatile __s64 only_nr = -1;
const volatile __u64 slower_than_ns = 0;
GADGET_PARAM(only_nr);
GADGET_PARAM(slower_than_ns);

SEC("raw_tracepoint/sys_enter")
int sysargs_e(struct bpf_raw_tracepoint_args *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx->args[0];
	__u64 id = bpf_get_current_pid_tgid();
	struct entry e = {};

	e.nr = ctx->args[1];
	if (only_nr >= 0 && e.nr != only_nr)
		return 0;
	if (gadget_should_discard_data_current())
		return 0;
	e.args[0] = gadget_get_syscall_arg(regs, 0);
	e.args[1] = gadget_get_syscall_arg(regs, 1);
	e.args[2] = gadget_get_syscall_arg(regs, 2);
	e.args[3] = PT_REGS_PARM4_CORE_SYSCALL(regs);
	e.args[4] = PT_REGS_PARM5_CORE(regs);
	e.since = bpf_ktime_get_ns();
	bpf_map_update_elem(&entries, &id, &e, BPF_ANY);
	return 0;
}

SEC("raw_tracepoint/sys_exit")
int sysargs_x(struct bpf_raw_tracepoint_args *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx->args[0];
	__u64 id = bpf_get_current_pid_tgid();
	long ret = ctx->args[1];
	struct entry *e;
	struct event *ev;

	e = bpf_map_lookup_elem(&entries, &id);
	if (!e)
		return 0;
	if (gadget_get_syscall_nr(regs) != e->nr)
		goto out;
	if (bpf_ktime_get_ns() - e->since < slower_than_ns)
		goto out;

	ev = gadget_reserve_buf(&events, sizeof(*ev));
	if (!ev)
		goto out;
	ev->timestamp_raw = bpf_ktime_get_boot_ns();
	gadget_process_populate(&ev->proc);
	ev->syscall_raw = e->nr;
	ev->ret = ret;
	ev->error_raw = (ret < 0 && ret > -4096) ? -ret : 0;
	ev->took_raw = bpf_ktime_get_ns() - e->since;
	__builtin_memcpy(ev->args, e->args, sizeof(ev->args));
	gadget_submit_buf(ctx, &events, ev, sizeof(*ev));
out:
	bpf_map_delete_elem(&entries, &id);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
