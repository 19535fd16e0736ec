// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Reports the signals that processes and the kernel send.
 *
 * The kernel passes signal_generate once for each receiver, whatever sends the signal:
 * the tracepoint has the receiver and the result.  It does not see calls that fail,
 * because these send nothing.  Another program finds them on the return of the call: by
 * a result below zero, which few calls return, and then by the number of the call.
 * That program is not attached if failures are ignored.
 */

#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/constants.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/syscalls.bpf.h>
#include <gadget/types.h>
#include <gadget/user_stack_map.h>

/* Special values of a pointer to a siginfo. */
#define SEND_SIG_NOINFO ((struct kernel_siginfo *)0)
#define SEND_SIG_PRIV	((struct kernel_siginfo *)1)

/* Why a signal is sent.  Positive codes other than SI_KERNEL depend on the signal. */
enum signal_code {
	SI_USER = 0,
	SI_QUEUE = -1,
	SI_TIMER = -2,
	SI_MESGQ = -3,
	SI_ASYNCIO = -4,
	SI_SIGIO = -5,
	SI_TKILL = -6,
	SI_DETHREAD = -7,
	SI_ASYNCNL = -60,
	SI_KERNEL = 0x80,
};

/* The result of a signal: the kernel's numbers, and one for a failed call. */
enum signal_result {
	delivered = 0,
	ignored = 1,
	already_pending = 2,
	overflow_fail = 3,
	lose_info = 4,
	not_sent = 5,
};

/* For a flag that takes names as well as numbers. */
enum signal {
	any,
	SIGHUP,
	SIGINT,
	SIGQUIT,
	SIGILL,
	SIGTRAP,
	SIGABRT,
	SIGBUS,
	SIGFPE,
	SIGKILL,
	SIGUSR1,
	SIGSEGV,
	SIGUSR2,
	SIGPIPE,
	SIGALRM,
	SIGTERM,
	SIGSTKFLT,
	SIGCHLD,
	SIGCONT,
	SIGSTOP,
	SIGTSTP,
	SIGTTIN,
	SIGTTOU,
	SIGURG,
	SIGXCPU,
	SIGXFSZ,
	SIGVTALRM,
	SIGPROF,
	SIGWINCH,
	SIGIO,
	SIGPWR,
	SIGSYS,
};

struct event {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;

	gadget_comm tcomm[TASK_COMM_LEN];
	__s32 tpid;
	__s32 ttid;
	gadget_signal sig_raw;
	gadget_errno error_raw;
	enum signal_code code_raw;
	enum signal_result result_raw;
	bool group;
	__u8 __padding[7];
	/* Only records with a stack are as long as this. */
	struct gadget_user_stack ustack;
};

const volatile bool failed = false;
GADGET_PARAM(failed);

const volatile bool ignore_failed = false;
GADGET_PARAM(ignore_failed);

const volatile bool kill_only = false;
GADGET_PARAM(kill_only);

const volatile enum signal target_signal = any;
GADGET_PARAM(target_signal);

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(signal, events, event);

/* Known when the program is loaded, as a reservation needs. */
static __always_inline __u32 record_size(void)
{
	return collect_ustack ? sizeof(struct event) :
				offsetof(struct event, ustack);
}

/* Threads give up their namespaces before their last signal, SIGCHLD. */
GADGET_EXITING_MAP(exiting);

/* A call of the kill family as the caller wrote it. */
struct kill_call {
	__s32 tpid;
	__s32 ttid;
	__u32 sig;
	enum signal_code code;
};

static __always_inline bool is_wanted_signal(__u32 sig)
{
	return target_signal == any || sig == (__u32)target_signal;
}

static __always_inline enum signal_code code_of(struct kernel_siginfo *info)
{
	if (info == SEND_SIG_NOINFO)
		return SI_USER;
	if (info == SEND_SIG_PRIV)
		return SI_KERNEL;
	return (enum signal_code)info->si_code;
}

/* Codes below zero that are not the kernel's own are the caller's choice. */
static __always_inline bool is_kill(struct kernel_siginfo *info,
				    enum signal_code code)
{
	switch (code) {
	case SI_TIMER:
	case SI_MESGQ:
	case SI_ASYNCIO:
	case SI_SIGIO:
	case SI_DETHREAD:
	case SI_ASYNCNL:
		return false;
	default:
		return info != SEND_SIG_NOINFO && code <= 0;
	}
}

SEC("tp_btf/signal_generate")
int BPF_PROG(trace_signal_sent, int sig, struct kernel_siginfo *info,
	     struct task_struct *task, int group, int result)
{
	struct gadget_process proc;
	enum signal_code code;
	struct event *event;
	bool overflow;

	if (!is_wanted_signal(sig))
		return 0;
	code = code_of(info);
	if (kill_only && !is_kill(info, code))
		return 0;
	/* That of a call is reported when it fails; a call doesn't go on. */
	overflow = result == overflow_fail;
	if (overflow ? is_kill(info, code) || ignore_failed : failed)
		return 0;
	gadget_process_populate_exiting(&proc, &exiting);
	if (gadget_should_discard_process(&proc))
		return 0;

	event = gadget_reserve_buf(&events, record_size());
	if (!event)
		return 0;
	event->timestamp_raw = bpf_ktime_get_boot_ns();
	event->proc = proc;
	__gadget_copy_comm(event->tcomm, task->comm);
	event->tpid = task->tgid;
	event->ttid = task->pid;
	event->sig_raw = sig;
	event->error_raw = overflow ? EAGAIN : 0;
	event->code_raw = code;
	event->result_raw = result;
	event->group = group;
	__builtin_memset(event->__padding, 0, sizeof(event->__padding));
	if (collect_ustack)
		gadget_get_user_stack(ctx, &event->ustack);
	gadget_submit_buf(ctx, &events, event, record_size());
	return 0;
}

static __always_inline bool set_call(struct kill_call *kill, __s32 tpid,
				     __s32 ttid, __u32 sig,
				     enum signal_code code)
{
	kill->tpid = tpid;
	kill->ttid = ttid;
	kill->sig = sig;
	kill->code = code;
	return true;
}

/* Returns whether the gadget reports the call. */
static __always_inline bool decode(struct kill_call *kill,
				   const struct gadget_call *call)
{
	const __u64 *args = call->args;

	switch (call->nr) {
	case GADGET_NR_KILL:
		return set_call(kill, args[0], 0, args[1], SI_USER);
	case GADGET_NR_TKILL:
		return set_call(kill, args[0], args[0], args[1], SI_TKILL);
	case GADGET_NR_TGKILL:
		return set_call(kill, args[0], args[1], args[2], SI_TKILL);
	case GADGET_NR_RT_SIGQUEUEINFO:
		return set_call(kill, args[0], 0, args[1], SI_QUEUE);
	case GADGET_NR_RT_TGSIGQUEUEINFO:
		return set_call(kill, args[0], args[1], args[2], SI_QUEUE);
	case GADGET_NR_PIDFD_SEND_SIGNAL: /* a descriptor says to whom */
		return set_call(kill, 0, 0, args[1], SI_USER);
	}
	return false;
}

/*
 * Not inlined, so that nothing is left of the program below when failures are
 * ignored: the compiler would save registers for this at its very beginning.
 */
static __noinline int report_failure(void *ctx, const struct pt_regs *regs,
				     long ret)
{
	struct gadget_process proc;
	struct kill_call kill = {};
	struct gadget_call call;
	struct event *event;

	gadget_get_call(regs, &call);
	if (!decode(&kill, &call))
		return 0;
	if (!is_wanted_signal(kill.sig))
		return 0;
	gadget_process_populate(&proc);
	if (gadget_should_discard_process(&proc))
		return 0;

	event = gadget_reserve_buf(&events, record_size());
	if (!event)
		return 0;
	event->timestamp_raw = bpf_ktime_get_boot_ns();
	event->proc = proc;
	__builtin_memset(event->tcomm, 0, sizeof(event->tcomm));
	event->tpid = kill.tpid;
	event->ttid = kill.ttid;
	event->sig_raw = kill.sig;
	event->error_raw = -ret;
	event->code_raw = kill.code;
	event->result_raw = not_sent;
	event->group = kill.ttid == 0;
	__builtin_memset(event->__padding, 0, sizeof(event->__padding));
	if (collect_ustack)
		gadget_get_user_stack(ctx, &event->ustack);
	gadget_submit_buf(ctx, &events, event, record_size());
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(trace_signal_failed, struct pt_regs *regs, long ret)
{
	if (ignore_failed || ret >= 0)
		return 0;
	return report_failure(ctx, regs, ret);
}

/* Reached before the namespaces are given up. */
SEC("tp_btf/sched_process_exit")
int trace_signal_exiting(void *ctx)
{
	if (failed || kill_only)
		return 0;
	gadget_keep_mntns_id(&exiting);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
