// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Answers the kernel's questions whether a process may do this and that. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <gadget/buffer.h>
#include <gadget/macros.h>

#define EPERM 1

enum program {
	GETPGID,
	FILE_OPEN,
};

struct event {
	__u32 program;
	__u32 flags;
};

/* The process that is watched. */
const volatile __u32 target = 0;
GADGET_PARAM(target);

/* It may not call getsid. */
const volatile bool refuse = false;
GADGET_PARAM(refuse);

GADGET_TRACER_MAP(events, 4096);
GADGET_TRACER(questions, events, event);

static __always_inline int report(void *ctx, __u32 program, __u32 flags)
{
	struct event *event;

	if (!target || bpf_get_current_pid_tgid() >> 32 != target)
		return 0;
	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return 0;
	event->program = program;
	event->flags = flags;
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
	return 0;
}

SEC("lsm/task_getpgid")
int BPF_PROG(on_getpgid, struct task_struct *task)
{
	return report(ctx, GETPGID, 0);
}

SEC("lsm.s/file_open")
int BPF_PROG(on_open, struct file *file)
{
	return report(ctx, FILE_OPEN, file->f_flags);
}

/* Neither calls nor stores, and yet does something. */
SEC("lsm/task_getsid")
int BPF_PROG(on_getsid, struct task_struct *task)
{
	return refuse && (__u32)task->tgid == target ? -EPERM : 0;
}

char LICENSE[] SEC("license") = "GPL";
