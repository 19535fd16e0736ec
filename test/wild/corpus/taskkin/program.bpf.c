// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Three generations of every new program, through kfuncs where there are some. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

extern struct task_struct *bpf_task_from_pid(s32 pid) __ksym __weak;
extern struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym __weak;
extern void bpf_task_release(struct task_struct *p) __ksym __weak;
extern int bpf_no_such_kfunc(int x) __ksym __weak;

struct kin {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;
	gadget_pid grand_pid;
	gadget_comm grand_comm[TASK_COMM_LEN];
	bool by_kfunc;
	char filename[128];
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(kin, events, kin);

SEC("tp_btf/sched_process_exec")
int BPF_PROG(taskkin, struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)
{
	struct task_struct *parent, *grand;
	struct kin *ev;
	pid_t grand_pid;

	if (gadget_should_discard_data_current())
		return 0;

	ev = gadget_reserve_buf(&events, sizeof(*ev));
	if (!ev)
		return 0;
	__builtin_memset(ev, 0, sizeof(*ev));
	ev->timestamp_raw = bpf_ktime_get_boot_ns();
	gadget_process_populate(&ev->proc);
	bpf_probe_read_kernel_str(ev->filename, sizeof(ev->filename), bprm->filename);

	parent = BPF_CORE_READ(p, real_parent);
	grand_pid = BPF_CORE_READ(parent, real_parent, tgid);
	ev->grand_pid = grand_pid;

	if (bpf_ksym_exists(bpf_no_such_kfunc))
		ev->grand_pid = bpf_no_such_kfunc(grand_pid);

	if (bpf_ksym_exists(bpf_task_from_pid)) {
		grand = bpf_task_from_pid(grand_pid);
		if (grand) {
			bpf_probe_read_kernel_str(ev->grand_comm, sizeof(ev->grand_comm),
						  grand->comm);
			ev->by_kfunc = true;
			bpf_task_release(grand);
		}
	} else {
		grand = BPF_CORE_READ(parent, real_parent);
		bpf_probe_read_kernel_str(ev->grand_comm, sizeof(ev->grand_comm), grand->comm);
	}
	gadget_submit_buf(ctx, &events, ev, sizeof(*ev));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
