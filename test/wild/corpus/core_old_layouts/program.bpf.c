// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Members that the kernel has renamed, by flavours and by core_fixes. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <gadget/buffer.h>
#include <gadget/core_fixes.bpf.h>
#include <gadget/types.h>

struct task_struct___old {
	volatile long state;
} __attribute__((preserve_access_index));

struct inode___6_5 {
	struct timespec64 i_ctime;
} __attribute__((preserve_access_index));

struct event {
	gadget_comm comm[16];
	long state;
	u32 ctime_nsec;
	gadget_uid loginuid_raw;
	u64 start;
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(old, events, event);

SEC("tracepoint/syscalls/sys_enter_getpgid")
int ig_old(struct syscall_trace_enter *ctx)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct inode *inode = BPF_CORE_READ(task, mm, exe_file, f_inode);
	struct event *e = gadget_reserve_buf(&events, sizeof(*e));

	if (!e)
		return 0;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	if (bpf_core_field_exists(((struct task_struct___old *)task)->state))
		e->state =
			BPF_CORE_READ((struct task_struct___old *)task, state);
	else
		e->state = get_task_state(task);
	if (bpf_core_field_exists(((struct inode___6_5 *)inode)->i_ctime))
		e->ctime_nsec = BPF_CORE_READ((struct inode___6_5 *)inode,
					      i_ctime.tv_nsec);
	else
		e->ctime_nsec = gadget_get_ctime_nanosec_from_inode(inode);
	e->loginuid_raw = bpf_core_field_exists(task->loginuid) ?
				  BPF_CORE_READ(task, loginuid.val) :
				  0;
	e->start = bpf_core_field_exists(task->start_boottime) ?
			   BPF_CORE_READ(task, start_boottime) :
			   BPF_CORE_READ(task, start_time);
	gadget_submit_buf(ctx, &events, e, sizeof(*e));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
