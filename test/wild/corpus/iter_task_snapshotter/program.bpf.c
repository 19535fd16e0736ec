// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The older GADGET_SNAPSHOTTER. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <gadget/macros.h>
#include <gadget/mntns_filter.h>
#include <gadget/types.h>

#define TASK_COMM_LEN 16

struct process_entry {
	gadget_comm comm[TASK_COMM_LEN];
	gadget_pid pid;
	gadget_tid tid;
	gadget_uid uid;
	gadget_mntns_id mntns_id;
};

GADGET_SNAPSHOTTER(processes, process_entry, ig_snap_proc);

SEC("iter/task")
int ig_snap_proc(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct seq_file *seq = ctx->meta->seq;
	struct process_entry process = {};
	__u64 mntns_id;

	if (!task)
		return 0;
	mntns_id = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
	if (gadget_should_discard_mntns_id(mntns_id))
		return 0;
	process.mntns_id = mntns_id;
	process.pid = task->tgid;
	process.tid = task->pid;
	process.uid = BPF_CORE_READ(task, cred, uid.val);
	__builtin_memcpy(process.comm, task->comm, TASK_COMM_LEN);
	bpf_seq_write(seq, &process, sizeof(process));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
