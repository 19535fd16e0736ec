/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef __GADGET_COMMON_H
#define __GADGET_COMMON_H

/* The process that caused an event, as most events report it. */

#include <vmlinux.h>
#include <gadget/base.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <gadget/types.h>
#include <gadget/mntns.h>

/* Reads and writes a name as two words, whatever it was declared as. */
typedef __u64 __gadget_word __attribute__((may_alias));

/*
 * Copies a task's name and zeroes the bytes after its end.  Kernels before 5.17
 * leave bytes of a longer, older name there, so that two records of one name would
 * differ.
 * @to, @from: 16 readable bytes, 8-aligned
 *
 * The lowest 0x80 in "ends" marks the first zero byte of a word; with one less,
 * exactly the bytes below it stay.  Without a zero byte the mask is all ones.
 */
static __always_inline void __gadget_copy_comm(void *to, const void *from)
{
	const __u64 ones = 0x0101010101010101, tops = 0x8080808080808080;
	__u64 low, high, low_ends, high_ends;

	/*
	 * The offset of comm is CO-RE's to set.  Folded into a load of 8 bytes it
	 * would be refused by kernels where comm isn't as long as in vmlinux.h.
	 */
	barrier_var(from);
	low = ((const __gadget_word *)from)[0];
	high = ((const __gadget_word *)from)[1];
	low_ends = (low - ones) & ~low & tops;
	high_ends = (high - ones) & ~high & tops;
	if (low_ends)
		high = 0;
	((__gadget_word *)to)[0] = low & ((low_ends & -low_ends) - 1);
	((__gadget_word *)to)[1] = high & ((high_ends & -high_ends) - 1);
}

/*
 * Plain loads: see __gadget_has_task_btf().  Even the helpers for the current pid,
 * uid and name cost more than this, which they fetch from the same places.
 */
static __always_inline void __gadget_process_from_task(struct task_struct *task,
						       struct gadget_process *p)
{
	struct task_struct *parent = task->real_parent;
	const struct cred *cred = task->cred;

	__gadget_copy_comm(p->comm, task->comm);
	p->pid = task->tgid;
	p->tid = task->pid;
	p->mntns_id = task->nsproxy->mnt_ns->ns.inum;
	p->creds.uid = cred->uid.val;
	p->creds.gid = cred->gid.val;
	__gadget_copy_comm(p->parent.comm, parent->comm);
	p->parent.pid = parent->tgid;
	p->parent.tid = parent->pid;
}

/*
 * gadget_process_populate_from_task: fills @p, every byte of it, with the process
 * of @task.
 * @task: a pointer whose type the kernel knows: of an iterator's context, of a
 *        tp_btf, fentry or lsm program's argument, or bpf_get_current_task_btf()
 *
 * The mount namespace of a thread that has ended before its process, as the first
 * thread of some servers does, is that of a thread that has not.  If all have ended
 * (a zombie), mntns_id is 0.
 */
static __always_inline void
gadget_process_populate_from_task(struct task_struct *task,
				  struct gadget_process *p)
{
	__gadget_process_from_task(task, p);
	if (!p->mntns_id)
		p->mntns_id = BPF_CORE_READ(__gadget_live_thread(task), nsproxy,
					    mnt_ns, ns.inum);
}

/* For kernels before 5.11. */
static __always_inline void
__gadget_process_from_helpers(struct gadget_process *p)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct task_struct *parent = BPF_CORE_READ(task, real_parent);
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	__u64 uid_gid = bpf_get_current_uid_gid();
	__u64 comm[2] = {};

	/* Padded by some kernels, by some not. */
	bpf_get_current_comm(comm, sizeof(comm));
	__gadget_copy_comm(p->comm, comm);
	p->pid = pid_tgid >> 32;
	p->tid = (__u32)pid_tgid;
	p->mntns_id = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
	p->creds.uid = (__u32)uid_gid;
	p->creds.gid = uid_gid >> 32;
	bpf_core_read(comm, sizeof(comm), &parent->comm);
	__gadget_copy_comm(p->parent.comm, comm);
	p->parent.pid = BPF_CORE_READ(parent, tgid);
	p->parent.tid = BPF_CORE_READ(parent, pid);
}

/*
 * gadget_process_populate: fills @p, every byte of it, with the current process.
 * @p: in a buffer, in a map or on the stack
 *
 * All numbers are those of the initial namespaces.  For the program types of
 * gadget_get_current_mntns_id().  Costs about 10 ns, on kernels before 5.11 about
 * 200.
 */
static __always_inline void gadget_process_populate(struct gadget_process *p)
{
	if (__gadget_has_task_btf())
		__gadget_process_from_task(__gadget_current_task(), p);
	else
		__gadget_process_from_helpers(p);
}

/*
 * gadget_process_populate_exiting: the same for gadgets with events of the time after a
 * thread has given up its namespaces.
 * @exiting: a GADGET_EXITING_MAP
 */
static __always_inline void
gadget_process_populate_exiting(struct gadget_process *p, void *exiting)
{
	gadget_process_populate(p);
	if (!p->mntns_id)
		p->mntns_id = gadget_get_kept_mntns_id(exiting);
}

#endif /* __GADGET_COMMON_H */
