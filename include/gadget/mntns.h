/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef __GADGET_MNTNS_H
#define __GADGET_MNTNS_H

/* The mount namespace, which identifies the container of a process. */

#include <gadget/base.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <gadget/types.h>

#ifndef __GADGET_USER_TYPES

/*
 * Since 5.11 programs get the current task as a typed pointer, whose members
 * they read with plain loads: a nanosecond or so each, where a call to probe-read
 * one takes twenty.  A load from a bad address gives 0, so no pointer on the path
 * has to be checked.  The result is known when the program is loaded, so the verifier
 * removes the other path.
 * Either path needs a license that is compatible with the GPL.
 */
static __always_inline bool __gadget_has_task_btf(void)
{
	return bpf_core_enum_value_exists(enum bpf_func_id,
					  BPF_FUNC_get_current_task_btf);
}

/*
 * The current task, if __gadget_has_task_btf().  It is cast to a pointer that the
 * verifier does not trust: for every pointer that is read through a trusted one, newer
 * kernels check whether it is trusted, too, which takes a search through the names of
 * all their types, ten milliseconds in all.
 */
static __always_inline struct task_struct *__gadget_current_task(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (bpf_ksym_exists(bpf_rdonly_cast))
		return bpf_core_cast(task, struct task_struct);
	return task;
}

/*
 * gadget_get_current_mntns_id: the inode of the current task's mount namespace,
 * as in /proc/PID/ns/mnt.
 *
 * Returns 0 for a task that has given up its namespaces (late in its exit).
 * Costs about 7 ns, on kernels before 5.11 about 70.
 *
 * For kprobe, fentry, tracepoint, raw_tp, tp_btf, perf_event and lsm programs.  A
 * socket filter runs in the context of any process: see sockets-map.h.
 */
static __always_inline gadget_mntns_id gadget_get_current_mntns_id(void)
{
	struct task_struct *task;

	if (__gadget_has_task_btf()) {
		task = __gadget_current_task();
		return task->nsproxy->mnt_ns->ns.inum;
	}
	task = (struct task_struct *)bpf_get_current_task();
	return BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
}

/* gadget_get_mntns_id: the older name of gadget_get_current_mntns_id(). */
static __always_inline gadget_mntns_id gadget_get_mntns_id(void)
{
	return gadget_get_current_mntns_id();
}

/*
 * The largest number of threads without namespaces that are skipped to find a thread of
 * the process that still has them.  There is rarely more than one: the first thread stays
 * until all have ended, others only as long as a debugger holds them.
 */
#define __GADGET_MAX_DEAD_THREADS 64

/*
 * A thread of @task's process that has not given up its namespaces, or NULL: the first
 * that the kernel lists.  It is read with BPF_CORE_READ().  For programs that the kernel
 * runs under RCU, which are all that do not sleep.
 */
static __always_inline struct task_struct *
__gadget_live_thread(struct task_struct *task)
{
	struct signal_struct *signal = BPF_CORE_READ(task, signal);
	void *end = (void *)signal +
		    bpf_core_field_offset(struct signal_struct, thread_head);
	struct list_head *node = end;

	for (int i = 0; i < __GADGET_MAX_DEAD_THREADS; i++) {
		node = BPF_CORE_READ(node, next);
		if (!node || node == end)
			return NULL;
		task = (void *)node -
		       bpf_core_field_offset(struct task_struct, thread_node);
		if (BPF_CORE_READ(task, nsproxy))
			return task;
	}
	return NULL;
}

/*
 * GADGET_EXITING_MAP: declares a map of the mount namespaces of exiting threads, for
 * gadgets with events that come after a thread has given up its namespaces: files are
 * closed, the parent gets a signal.  Few threads exit at a time; entries of threads that
 * have ended make room for others.
 */
#define GADGET_EXITING_MAP(name)                     \
	struct {                                     \
		__uint(type, BPF_MAP_TYPE_LRU_HASH); \
		__uint(max_entries, 8192);           \
		__type(key, gadget_tid);             \
		__type(value, gadget_mntns_id);      \
	} name SEC(".maps")

/*
 * gadget_keep_mntns_id: keeps the current task's mount namespace, before it is given
 * up.  For a program at the tracepoint sched_process_exit.
 * @exiting: a GADGET_EXITING_MAP
 */
static __always_inline void gadget_keep_mntns_id(void *exiting)
{
	gadget_mntns_id mntns_id = gadget_get_current_mntns_id();
	gadget_tid tid = (__u32)bpf_get_current_pid_tgid();

	bpf_map_update_elem(exiting, &tid, &mntns_id, BPF_ANY);
}

/*
 * gadget_get_kept_mntns_id: the mount namespace that was kept for the current task, for use
 * where gadget_get_current_mntns_id() is 0; 0 if none was kept.
 * @exiting: a GADGET_EXITING_MAP
 */
static __always_inline gadget_mntns_id gadget_get_kept_mntns_id(void *exiting)
{
	gadget_tid tid = (__u32)bpf_get_current_pid_tgid();
	gadget_mntns_id *mntns_id = bpf_map_lookup_elem(exiting, &tid);

	return mntns_id ? *mntns_id : 0;
}

#endif /* !__GADGET_USER_TYPES */

#endif /* __GADGET_MNTNS_H */
