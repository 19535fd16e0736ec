// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* tp_btf with BPF_PROG and a read through a typed pointer. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <gadget/buffer.h>
#include <gadget/types.h>

struct event {
	gadget_pid pid;
	gadget_tid tid;
	gadget_comm comm[16];
	u64 old_pid;
};

GADGET_TRACER_MAP(events, 1024 * 256)
GADGET_TRACER(execs, events, event)

SEC("tp_btf/sched_process_exec")
int BPF_PROG(ig_exec, struct task_struct *task, pid_t old_pid,
	     struct linux_binprm *bprm)
{
	struct event *e = gadget_reserve_buf(&events, sizeof(struct event));

	if (!e)
		return 0;
	e->pid = task->tgid;
	e->tid = task->pid;
	e->old_pid = old_pid;
	bpf_probe_read_kernel_str(e->comm, sizeof(e->comm), task->comm);
	gadget_submit_buf(ctx, &events, e, sizeof(struct event));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
