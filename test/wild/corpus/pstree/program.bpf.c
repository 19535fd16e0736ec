// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

#define PAGE_SIZE 4096
#define CGROUP_LEN 64

/* up to 5.13 */
struct task_struct___o {
	volatile long int state;
} __attribute__((preserve_access_index));

/* since 5.14 */
struct task_struct___x {
	unsigned int __state;
} __attribute__((preserve_access_index));

enum run_state : __u8 {
	running = 'R',
	sleeping = 'S',
	blocked = 'D',
	stopped = 'T',
	other = '?',
};

struct origin {
	gadget_comm comm[TASK_COMM_LEN];
	__u32 pid;
	__s32 exit_signal;
};

struct process_entry {
	struct gadget_process proc;
	struct origin leader;
	enum run_state state_raw;
	bool kthread;
	bool has_memcg;
	__s32 nice;
	__u32 threads;
	gadget_bytes vsize_raw;
	gadget_timestamp started_raw;
	char cgroup[CGROUP_LEN];
};

const volatile bool threads = false;
const volatile bool kernel_threads = false;
GADGET_PARAM(threads);
GADGET_PARAM(kernel_threads);

GADGET_ITER(processes, process_entry, pstree_task);

static __always_inline enum run_state state_of(void *task)
{
	struct task_struct___x *x = task;
	long s;

	if (bpf_core_field_exists(x->__state))
		s = BPF_CORE_READ(x, __state);
	else
		s = BPF_CORE_READ((struct task_struct___o *)task, state);
	switch (s & 0xff) {
	case 0:
		return running;
	case 1:
		return sleeping;
	case 2:
		return blocked;
	case 4:
	case 8:
		return stopped;
	}
	return other;
}

SEC("iter/task")
int pstree_task(struct bpf_iter__task *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct task_struct *task = ctx->task, *up;
	struct process_entry e;
	__u32 uid, gid;
	__u64 mntns;

	if (!task)
		return 0;
	if (!threads && task->tgid != task->pid)
		return 0;

	__builtin_memset(&e, 0, sizeof(e));
	e.kthread = !!(task->flags & 0x00200000 /* PF_KTHREAD */);
	if (e.kthread && !kernel_threads)
		return 0;

	uid = BPF_CORE_READ(task, cred, uid.val);
	gid = BPF_CORE_READ(task, cred, gid.val);
	mntns = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
	if (gadget_should_discard_data(mntns, task->tgid, task->pid, task->comm, uid, gid))
		return 0;

	e.proc.mntns_id = mntns;
	e.proc.pid = task->tgid;
	e.proc.tid = task->pid;
	e.proc.creds.uid = uid;
	e.proc.creds.gid = gid;
	__builtin_memcpy(e.proc.comm, task->comm, TASK_COMM_LEN);

	up = task->real_parent;
	if (up) {
		e.proc.parent.pid = BPF_CORE_READ(up, tgid);
		e.proc.parent.tid = BPF_CORE_READ(up, pid);
		bpf_probe_read_kernel(&e.proc.parent.comm, sizeof(e.proc.parent.comm), up->comm);
	}
	up = task->group_leader;
	if (up) {
		e.leader.pid = up->pid;
		e.leader.exit_signal = up->exit_signal;
		__builtin_memcpy(e.leader.comm, up->comm, sizeof(e.leader.comm));
	}

	e.state_raw = state_of(task);
	e.nice = task->static_prio - 120;
	e.threads = BPF_CORE_READ(task, signal, nr_threads);
	e.vsize_raw = (__u64)BPF_CORE_READ(task, mm, total_vm) * PAGE_SIZE;
	e.started_raw = task->start_boottime;
	if (bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
		e.has_memcg = true;
	bpf_probe_read_kernel_str(e.cgroup, sizeof(e.cgroup),
				  BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, name));

	bpf_seq_write(seq, &e, sizeof(e));
	return 0;
}

char _license[] SEC("license") = "GPL";
