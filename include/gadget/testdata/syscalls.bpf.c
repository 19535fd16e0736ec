// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The results of syscalls.bpf.h and constants.h for the calls of one thread. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <gadget/constants.h>
#include <gadget/syscalls.bpf.h>

const volatile __u32 only_tid = 0;
const volatile __u64 marker = 0; /* the fifth argument of calls that count */

struct {
	struct gadget_call given;   /* of the registers that a program gets */
	struct gadget_call current; /* of those that the task has saved */
	struct gadget_call resolved;
	__s64 syscall;
	__u32 raw;
	__u32 may_be; /* a bit for each call, in the order of the list */
	__u32 error;
	__u32 seen;
	bool is_current;
	bool is_compat;
} result;

#define MAY_BE(name, ...)                  \
	if (gadget_may_be_call(raw, name)) \
		may_be |= 1U << bit;       \
	bit++;

SEC("tp_btf/sys_exit")
int BPF_PROG(on_exit, struct pt_regs *regs, long ret)
{
	struct gadget_call call;
	__u32 raw = gadget_raw_call_nr(regs), may_be = 0, bit = 0;

	if ((__u32)bpf_get_current_pid_tgid() != only_tid)
		return 0;
	gadget_get_call(regs, &call);
	if (call.args[4] != marker)
		return 0;
	/* The return from a handler of signals brings the registers back, without a number. */
	if ((raw | 0x40000000) == ~0U)
		return 0;
	result.given = call;
	result.is_current = gadget_get_current_call(&result.current);
	result.syscall = gadget_get_current_syscall();
	gadget_resolve_socketcall(&call);
	result.resolved = call;
	result.is_compat = gadget_is_compat();
	__GADGET_CALLS(MAY_BE)
	result.raw = raw;
	result.may_be = may_be;
	result.error = gadget_error_of(ret);
	result.seen++;
	return 0;
}

SEC("raw_tp/error_of")
int error_of(struct bpf_raw_tracepoint_args *ctx)
{
	return gadget_error_of(ctx->args[0]);
}

SEC("raw_tp/is_restart")
int is_restart(struct bpf_raw_tracepoint_args *ctx)
{
	return gadget_is_restart(ctx->args[0]);
}

char text[9];
bool cut;

SEC("raw_tp/user_text")
int user_text(struct bpf_raw_tracepoint_args *ctx)
{
	return gadget_read_user_text(text, 8, (const char *)ctx->args[0], &cut);
}

char from[16];

SEC("raw_tp/kernel_text")
int kernel_text(struct bpf_raw_tracepoint_args *ctx)
{
	const char *at = ctx->args[0] ? (const char *)ctx->args[0] : from;

	return gadget_read_kernel_text(text, 8, at, &cut);
}

_Static_assert(ERESTARTSYS == __GADGET_ERESTARTSYS, "");
_Static_assert(ERESTART_RESTARTBLOCK == __GADGET_ERESTART_RESTARTBLOCK, "");
_Static_assert(EINTR == __GADGET_EINTR, "");
_Static_assert(PF_KTHREAD == __GADGET_PF_KTHREAD, "");
_Static_assert(PF_IO_WORKER == __GADGET_PF_IO_WORKER, "");

char LICENSE[] SEC("license") = "GPL";
