// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Reports the signals that processes and the kernel send.
 *
 * signal_generate is passed once for each receiver, whoever sends: it knows the
 * receiver, and what became of the signal.  What it never sees are calls that
 * fail, since there nothing is sent.  They are found on the return of the call: a
 * number below zero, which few calls return, and then the number of the call.
 * That program is not attached if failures are ignored.
 */

#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

#define EAGAIN 11

/* Special values of a pointer to a siginfo. */
#define SEND_SIG_NOINFO ((struct kernel_siginfo *)0)
#define SEND_SIG_PRIV	((struct kernel_siginfo *)1)

/* Why a signal is sent.  Positive ones but SI_KERNEL depend on the signal. */
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

/* What became of a signal: the kernel's numbers, and one for none. */
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

static __always_inline void fill_sender(struct gadget_process *proc)
{
	gadget_process_populate(proc);
	if (!proc->mntns_id)
		proc->mntns_id = gadget_get_kept_mntns_id(&exiting);
}

static __always_inline bool is_wanted_sender(const struct gadget_process *proc)
{
	return !gadget_should_discard_data(proc->mntns_id, proc->pid, proc->tid,
					   proc->comm, proc->creds.uid,
					   proc->creds.gid);
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
	fill_sender(&proc);
	if (!is_wanted_sender(&proc))
		return 0;

	event = gadget_reserve_buf(&events, sizeof(*event));
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
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
	return 0;
}

/* What the numbers of the calls are, and where their arguments lie. */
#if defined(__TARGET_ARCH_x86)
#define NR_KILL		       62
#define NR_TKILL	       200
#define NR_TGKILL	       234
#define NR_RT_SIGQUEUEINFO     129
#define NR_RT_TGSIGQUEUEINFO   297
#define NR_PIDFD_SEND_SIGNAL   424
#define NR_X32_SIGQUEUEINFO    524 /* the others are the same */
#define NR_X32_TGSIGQUEUEINFO  536
#define X32_CALL	       0x40000000
#define NR32_KILL	       37
#define NR32_TKILL	       238
#define NR32_TGKILL	       270
#define NR32_RT_SIGQUEUEINFO   178
#define NR32_RT_TGSIGQUEUEINFO 335
#define TS_COMPAT	       0x0002
#define CALL_NR(regs)	       ((__u32)(regs)->orig_ax & ~X32_CALL)
#define ARG1(regs)	       (regs)->di
#define ARG2(regs)	       (regs)->si
#define ARG3(regs)	       (regs)->dx
#define ARG32_1(regs)	       (regs)->bx
#define ARG32_2(regs)	       (regs)->cx
#define ARG32_3(regs)	       (regs)->dx
#define IS_COMPAT(task)	       ((task)->thread_info.status & TS_COMPAT)
#elif defined(__TARGET_ARCH_arm64)
#define NR_KILL		     129
#define NR_TKILL	     130
#define NR_TGKILL	     131
#define NR_RT_SIGQUEUEINFO   138
#define NR_RT_TGSIGQUEUEINFO 240
#define NR_PIDFD_SEND_SIGNAL 424
#define TIF_32BIT_MASK	     (1UL << 22)
#define CALL_NR(regs)	     ((__u32)(regs)->syscallno)
#define ARG1(regs)	     (regs)->orig_x0 /* x0 has the result */
#define ARG2(regs)	     (regs)->regs[1]
#define ARG3(regs)	     (regs)->regs[2]
#define IS_COMPAT(task)	     ((task)->thread_info.flags & TIF_32BIT_MASK)
#else
#error "the system calls of this architecture are not known here"
#endif

static __always_inline bool set_call(struct kill_call *call, __s32 tpid,
				     __s32 ttid, __u32 sig,
				     enum signal_code code)
{
	call->tpid = tpid;
	call->ttid = ttid;
	call->sig = sig;
	call->code = code;
	return true;
}

/* Returns whether the call is one of ours. */
static __always_inline bool decode(struct kill_call *call,
				   const struct pt_regs *regs)
{
	switch (CALL_NR(regs)) {
	case NR_KILL:
		return set_call(call, ARG1(regs), 0, ARG2(regs), SI_USER);
	case NR_TKILL:
		return set_call(call, ARG1(regs), ARG1(regs), ARG2(regs),
				SI_TKILL);
	case NR_TGKILL:
		return set_call(call, ARG1(regs), ARG2(regs), ARG3(regs),
				SI_TKILL);
#ifdef NR_X32_SIGQUEUEINFO
	case NR_X32_SIGQUEUEINFO:
#endif
	case NR_RT_SIGQUEUEINFO:
		return set_call(call, ARG1(regs), 0, ARG2(regs), SI_QUEUE);
#ifdef NR_X32_TGSIGQUEUEINFO
	case NR_X32_TGSIGQUEUEINFO:
#endif
	case NR_RT_TGSIGQUEUEINFO:
		return set_call(call, ARG1(regs), ARG2(regs), ARG3(regs),
				SI_QUEUE);
	case NR_PIDFD_SEND_SIGNAL: /* a descriptor says to whom */
		return set_call(call, 0, 0, ARG2(regs), SI_USER);
	}
	return false;
}

/* The same for the calls of 32-bit programs, whose numbers are others. */
static __always_inline bool decode32(struct kill_call *call,
				     const struct pt_regs *regs)
{
#ifndef NR32_KILL
	(void)call;
	(void)regs;
#else
	switch (CALL_NR(regs)) {
	case NR32_KILL:
		return set_call(call, ARG32_1(regs), 0, ARG32_2(regs), SI_USER);
	case NR32_TKILL:
		return set_call(call, ARG32_1(regs), ARG32_1(regs),
				ARG32_2(regs), SI_TKILL);
	case NR32_TGKILL:
		return set_call(call, ARG32_1(regs), ARG32_2(regs),
				ARG32_3(regs), SI_TKILL);
	case NR32_RT_SIGQUEUEINFO:
		return set_call(call, ARG32_1(regs), 0, ARG32_2(regs),
				SI_QUEUE);
	case NR32_RT_TGSIGQUEUEINFO:
		return set_call(call, ARG32_1(regs), ARG32_2(regs),
				ARG32_3(regs), SI_QUEUE);
	case NR_PIDFD_SEND_SIGNAL:
		return set_call(call, 0, 0, ARG32_2(regs), SI_USER);
	}
#endif
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
	struct kill_call call = {};
	struct event *event;

	if (!(IS_COMPAT(bpf_get_current_task_btf()) ? decode32(&call, regs) :
						      decode(&call, regs)))
		return 0;
	if (!is_wanted_signal(call.sig))
		return 0;
	gadget_process_populate(&proc);
	if (!is_wanted_sender(&proc))
		return 0;

	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return 0;
	event->timestamp_raw = bpf_ktime_get_boot_ns();
	event->proc = proc;
	__builtin_memset(event->tcomm, 0, sizeof(event->tcomm));
	event->tpid = call.tpid;
	event->ttid = call.ttid;
	event->sig_raw = call.sig;
	event->error_raw = -ret;
	event->code_raw = call.code;
	event->result_raw = not_sent;
	event->group = call.ttid == 0;
	__builtin_memset(event->__padding, 0, sizeof(event->__padding));
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
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
