// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * A program for trace_open's fields with libbpf alone, as an author would write it by
 * hand: the same hook, the same fields, one fixed record. The kernel decides about
 * wake-ups, or there are none.
 */

#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "open.h"

#define NR_OPEN	   2
#define NR_CREAT   85
#define NR_OPENAT  257
#define NR_OPENAT2 437

#define O_CREAT_WRONLY_TRUNC 01101

const volatile struct settings settings = {};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 << 20);
} events SEC(".maps");

__u64 lost = 0;

static __always_inline bool
arguments(struct open_event *e, const struct pt_regs *regs, const char **name)
{
	struct open_how how = {};
	__u64 flags, mode;

	switch (regs->orig_ax) {
	case NR_OPEN:
		*name = (const char *)regs->di;
		e->flags = regs->si;
		e->mode = regs->dx;
		return true;
	case NR_CREAT:
		*name = (const char *)regs->di;
		e->flags = O_CREAT_WRONLY_TRUNC;
		e->mode = regs->si;
		return true;
	case NR_OPENAT:
		*name = (const char *)regs->si;
		e->flags = regs->dx;
		e->mode = regs->r10;
		return true;
	case NR_OPENAT2:
		*name = (const char *)regs->si;
		bpf_probe_read_user(&how, sizeof(how), (void *)regs->dx);
		flags = how.flags;
		barrier_var(
			flags); /* else clang merges this load with that above */
		e->flags = flags;
		mode = how.mode;
		barrier_var(mode);
		e->mode = mode;
		return true;
	}
	return false;
}

static __always_inline void process(struct open_event *e)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	__u64 uid_gid = bpf_get_current_uid_gid();
	struct task_struct *parent = task->real_parent;

	e->pid = pid_tgid >> 32;
	e->tid = pid_tgid;
	e->uid = uid_gid;
	e->gid = uid_gid >> 32;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	e->mntns_id = task->nsproxy->mnt_ns->ns.inum;
	e->ppid = parent->tgid;
	e->ptid = parent->pid;
	bpf_probe_read_kernel_str(e->pcomm, sizeof(e->pcomm), parent->comm);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(open_exit, struct pt_regs *regs, long ret)
{
	struct open_event *e;
	const char *name = NULL;

	switch (regs->orig_ax) {
	case NR_OPEN:
	case NR_CREAT:
	case NR_OPENAT:
	case NR_OPENAT2:
		break;
	default:
		return 0;
	}
	if (settings.pid && bpf_get_current_pid_tgid() >> 32 != settings.pid)
		return 0;
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e) {
		__sync_fetch_and_add(&lost, 1);
		return 0;
	}
	if (!arguments(e, regs, &name)) {
		bpf_ringbuf_discard(e, 0);
		return 0;
	}
	e->timestamp = bpf_ktime_get_boot_ns();
	process(e);
	e->error = ret < 0 ? -ret : 0;
	e->fd = ret < 0 ? 0 : ret;
	bpf_probe_read_user_str(e->name, sizeof(e->name), name);
	bpf_ringbuf_submit(e, settings.flags);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
