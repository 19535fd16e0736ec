// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * A program for each kind of hook in user space.  The tests say what each hangs
 * on.  They report what the processes whose parent is the param parent do.
 */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include <bpf/usdt.bpf.h>
#include <gadget/buffer.h>
#include <gadget/macros.h>

enum kind {
	USER_CALL,
	USER_RETURN,
	USER_PROBE,
};

struct event {
	__u64 kind;
	__s64 count; /* of arguments, of a probe */
	__s64 args[6];
	__s64 errors[6]; /* of asking for each argument of a probe */
	__s64 result;	 /* of asking for one argument more than there are */
};

const volatile __u32 parent = 0;
GADGET_PARAM(parent);

GADGET_TRACER_MAP(events, 65536);
GADGET_TRACER(user, events, event);

static __always_inline struct event *new_event(enum kind kind)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct event *e;

	if (BPF_CORE_READ(task, real_parent, tgid) != parent)
		return NULL;
	e = gadget_reserve_buf(&events, sizeof(*e));
	if (!e)
		return NULL;
	__builtin_memset(e, 0, sizeof(*e));
	e->kind = kind;
	return e;
}

SEC("uprobe")
int on_call(struct pt_regs *ctx)
{
	struct event *e = new_event(USER_CALL);

	if (!e)
		return 0;
	e->args[0] = PT_REGS_PARM1(ctx);
	e->args[1] = PT_REGS_PARM2(ctx);
	e->args[2] = PT_REGS_PARM3(ctx);
	gadget_submit_buf(ctx, &events, e, sizeof(*e));
	return 0;
}

SEC("uretprobe")
int on_return(struct pt_regs *ctx)
{
	struct event *e = new_event(USER_RETURN);

	if (!e)
		return 0;
	e->args[0] = PT_REGS_RC(ctx);
	gadget_submit_buf(ctx, &events, e, sizeof(*e));
	return 0;
}

SEC("usdt")
int on_probe(struct pt_regs *ctx)
{
	struct event *e = new_event(USER_PROBE);
	long v;

	if (!e)
		return 0;
	e->count = bpf_usdt_arg_cnt(ctx);
#define ARG(i)                                   \
	e->errors[i] = bpf_usdt_arg(ctx, i, &v); \
	e->args[i] = v;
	ARG(0)
	ARG(1)
	ARG(2)
	ARG(3)
	ARG(4)
	ARG(5)
	e->result = bpf_usdt_arg(ctx, e->count, &v);
	gadget_submit_buf(ctx, &events, e, sizeof(*e));
	return 0;
}

/* As authors write it, in the same object. */
SEC("usdt")
int BPF_USDT(on_typed, int a, void *b)
{
	struct event *e = new_event(USER_PROBE);

	if (!e)
		return 0;
	e->count = -1;
	e->args[0] = a;
	e->args[1] = (long)b;
	gadget_submit_buf(ctx, &events, e, sizeof(*e));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
