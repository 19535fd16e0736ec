// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Threads that waited long for a CPU. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include <gadget/buffer.h>
#include <gadget/core_fixes.bpf.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

#define TASK_RUNNING 0

const volatile __u64 min_us = 10000;
GADGET_PARAM(min_us);

struct wait_event {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;
	gadget_comm prev_comm[TASK_COMM_LEN];
	gadget_pid prev_pid;
	__u32 cpu;
	__u64 delta_us;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, u64);
} queued SEC(".maps");

GADGET_TRACER_MAP(waits, 1024 * 256);
GADGET_TRACER(runqslow, waits, wait_event);

static __always_inline int enqueue(struct task_struct *t)
{
	u64 *since;

	if (!t->pid)
		return 0;
	since = bpf_task_storage_get(&queued, t, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (since)
		*since = bpf_ktime_get_ns();
	return 0;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(runqslow_wakeup, struct task_struct *p)
{
	return enqueue(p);
}

SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(runqslow_wakeup_new, struct task_struct *p)
{
	return enqueue(p);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(runqslow_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	struct wait_event *ev;
	u64 *since, delta;
	__u64 mntns;

	if (get_task_state(prev) == TASK_RUNNING)
		enqueue(prev);

	since = bpf_task_storage_get(&queued, next, 0, 0);
	if (!since || !*since)
		return 0;
	delta = (bpf_ktime_get_ns() - *since) / 1000;
	*since = 0;
	if (delta < min_us)
		return 0;

	mntns = BPF_CORE_READ(next, nsproxy, mnt_ns, ns.inum);
	if (gadget_should_discard_data(mntns, next->tgid, next->pid, next->comm,
				       BPF_CORE_READ(next, cred, uid.val),
				       BPF_CORE_READ(next, cred, gid.val)))
		return 0;

	ev = gadget_reserve_buf(&waits, sizeof(*ev));
	if (!ev)
		return 0;
	__builtin_memset(ev, 0, sizeof(*ev));
	ev->timestamp_raw = bpf_ktime_get_boot_ns();
	ev->proc.pid = next->tgid;
	ev->proc.tid = next->pid;
	ev->proc.mntns_id = mntns;
	ev->proc.creds.uid = BPF_CORE_READ(next, cred, uid.val);
	ev->proc.creds.gid = BPF_CORE_READ(next, cred, gid.val);
	bpf_probe_read_kernel_str(ev->proc.comm, sizeof(ev->proc.comm), next->comm);
	bpf_probe_read_kernel_str(ev->prev_comm, sizeof(ev->prev_comm), prev->comm);
	ev->prev_pid = prev->tgid;
	ev->cpu = bpf_get_smp_processor_id();
	ev->delta_us = delta;
	gadget_submit_buf(ctx, &waits, ev, sizeof(*ev));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
