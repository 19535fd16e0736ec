/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef __GADGET_SYSCALLS_BPF_H
#define __GADGET_SYSCALLS_BPF_H

/*
 * System calls: which one a task has made, with which arguments, and its result.
 *
 * A kernel has several ABIs for calls, each with its own numbers and with
 * arguments in other registers: that of 64-bit programs, on x86 that of 32-bit
 * programs, and x32, whose numbers have a bit set.  struct gadget_call describes the calls
 * of all of them as calls of 64-bit programs, so a gadget names each call once.
 *
 * The arguments are in the saved registers of the task, which it will get back when the
 * call ends: programs at the end of a call find them there, too.
 *
 * For the program types whose pointers the verifier knows: tp_btf (sys_enter, sys_exit),
 * fentry, fexit, lsm.  Functions that read the current task's registers need Linux 5.15.
 */

#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <gadget/types.h>

/*
 * The calls that gadgets know.  To add one, add a line: its number for 64-bit
 * programs on x86, for 32-bit ones, for x32, and on arm64.
 */
#define __GADGET_CALLS(X)                                        \
	X(OPEN, 2, 5, 2, __GADGET_LACKS(0))                      \
	X(CLOSE, 3, 6, 3, 57)                                    \
	X(CONNECT, 42, 362, 42, 203)                             \
	X(ACCEPT, 43, __GADGET_LACKS(1), 43, 202)                \
	X(SENDTO, 44, 369, 44, 206)                              \
	X(SENDMSG, 46, 370, 518, 211)                            \
	X(SHUTDOWN, 48, 373, 48, 210)                            \
	X(BIND, 49, 361, 49, 200)                                \
	X(EXECVE, 59, 11, 520, 221)                              \
	X(KILL, 62, 37, 62, 129)                                 \
	X(CREAT, 85, 8, 85, __GADGET_LACKS(2))                   \
	X(RT_SIGQUEUEINFO, 129, 178, 524, 138)                   \
	X(TKILL, 200, 238, 200, 130)                             \
	X(TGKILL, 234, 270, 234, 131)                            \
	X(OPENAT, 257, 295, 257, 56)                             \
	X(ACCEPT4, 288, 364, 288, 242)                           \
	X(RT_TGSIGQUEUEINFO, 297, 335, 536, 240)                 \
	X(SENDMMSG, 307, 345, 538, 269)                          \
	X(EXECVEAT, 322, 358, 545, 281)                          \
	X(PIDFD_SEND_SIGNAL, 424, 424, 424, 424)                 \
	X(OPENAT2, 437, 437, 437, 437)                           \
	/* The one call that stands for all calls of sockets. */ \
	X(SOCKETCALL, __GADGET_LACKS(3), 102, __GADGET_LACKS(3), \
	  __GADGET_LACKS(3))

/* A number that no call has; a different one for each missing call. */
#define __GADGET_LACKS(n) (0x10000 + (n))

/* GADGET_NR_NONE: the number of calls that are not among those. */
#define GADGET_NR_NONE 0x1ffff

#if defined(__TARGET_ARCH_x86)

#define __GADGET_NR(name, x64, x86, x32, arm64)	   GADGET_NR_##name = x64,
#define __GADGET_NR32(name, x64, x86, x32, arm64)  __GADGET_NR32_##name = x86,
#define __GADGET_NRX32(name, x64, x86, x32, arm64) __GADGET_NRX32_##name = x32,
#define __GADGET_X32_BIT			   0x40000000
#define __GADGET_TS_COMPAT			   0x0002

/* GADGET_SYSCALL_FUNCTION: the kernel's function for a call of 64-bit programs. */
#define GADGET_SYSCALL_FUNCTION(name) "__x64_sys_" #name

#elif defined(__TARGET_ARCH_arm64)

/* 32-bit programs have other numbers here, too, which this header does not know. */
#define __GADGET_NR(name, x64, x86, x32, arm64)	  GADGET_NR_##name = arm64,
#define __GADGET_NR32(name, x64, x86, x32, arm64) __GADGET_NR32_##name = arm64,
#define __GADGET_NRX32(name, x64, x86, x32, arm64) \
	__GADGET_NRX32_##name = arm64,
#define __GADGET_TIF_32BIT (1UL << 22)

#define GADGET_SYSCALL_FUNCTION(name) "__arm64_sys_" #name

#else
#error "the system calls of this architecture are not known here"
#endif

/* GADGET_NR_name: the number of a call of 64-bit programs. */
enum __gadget_nr { __GADGET_CALLS(__GADGET_NR) };
enum __gadget_nr32 { __GADGET_CALLS(__GADGET_NR32) };
enum __gadget_nrx32 { __GADGET_CALLS(__GADGET_NRX32) };

/*
 * gadget_may_be_call: whether a number may be that of a call in any of the ABIs.  A
 * program that runs for all calls of the host should check this first.
 * @nr:   of gadget_raw_call_nr()
 * @name: as after GADGET_NR_
 */
#define gadget_may_be_call(nr, name)            \
	((nr) == (__u32)GADGET_NR_##name ||     \
	 (nr) == (__u32)__GADGET_NR32_##name || \
	 (nr) == (__u32)__GADGET_NRX32_##name)

/* A call as its caller made it, in the terms of 64-bit programs. */
struct gadget_call {
	__u32 nr;	    /* GADGET_NR_name, or another number */
	__u32 pointer_size; /* in the caller's memory: 4 or 8 */
	__u64 args[6];
};

/*
 * gadget_is_compat: whether the current task's call is one of a 32-bit program.  False
 * for x32.
 */
static __always_inline bool gadget_is_compat(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

#if defined(__TARGET_ARCH_x86)
	return task->thread_info.status >> 1 & 1; /* TS_COMPAT */
#else
	return task->thread_info.flags & __GADGET_TIF_32BIT;
#endif
}

/* gadget_raw_call_nr: the call's number in whatever ABI, without the bit of x32. */
static __always_inline __u32 gadget_raw_call_nr(const struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	return (__u32)regs->orig_ax & ~__GADGET_X32_BIT;
#else
	return regs->syscallno;
#endif
}

static __always_inline void __gadget_get_call64(const struct pt_regs *regs,
						struct gadget_call *call)
{
#if defined(__TARGET_ARCH_x86)
	call->nr = regs->orig_ax;
	call->args[0] = regs->di;
	call->args[1] = regs->si;
	call->args[2] = regs->dx;
	call->args[3] = regs->r10;
	call->args[4] = regs->r8;
	call->args[5] = regs->r9;
#else
	call->nr = regs->syscallno;
	call->args[0] = regs->orig_x0; /* x0 gets the result */
	call->args[1] = regs->regs[1];
	call->args[2] = regs->regs[2];
	call->args[3] = regs->regs[3];
	call->args[4] = regs->regs[4];
	call->args[5] = regs->regs[5];
#endif
}

#if defined(__TARGET_ARCH_x86)

#define __GADGET_FROM_NR32(name, x64, x86, x32, arm64) \
	case __GADGET_NR32_##name:                     \
		return GADGET_NR_##name;
#define __GADGET_FROM_NRX32(name, x64, x86, x32, arm64) \
	case __GADGET_NRX32_##name:                     \
		return GADGET_NR_##name;

static __always_inline __u32 __gadget_from_nr32(__u32 nr)
{
	switch (nr) {
		__GADGET_CALLS(__GADGET_FROM_NR32)
	}
	return GADGET_NR_NONE;
}

static __always_inline __u32 __gadget_from_nrx32(__u32 nr)
{
	switch (nr) {
		__GADGET_CALLS(__GADGET_FROM_NRX32)
	}
	return GADGET_NR_NONE;
}

static __always_inline void __gadget_get_call32(const struct pt_regs *regs,
						struct gadget_call *call)
{
	call->nr = __gadget_from_nr32(regs->orig_ax);
	call->args[0] = (__u32)regs->bx;
	call->args[1] = (__u32)regs->cx;
	call->args[2] = (__u32)regs->dx;
	call->args[3] = (__u32)regs->si;
	call->args[4] = (__u32)regs->di;
	call->args[5] = (__u32)regs->bp;
}

/*
 * No branch: the verifier of 6.1 may lose track of one of two constants that a branch has
 * stored, and then removes the code for that one.
 */
static __always_inline __u32 __gadget_pointer_size(__u32 nr, __u32 compat)
{
	__u32 narrow = compat | (nr >> 30 & 1);

	barrier_var(narrow);
	return 8 >> narrow;
}

/* The structs of both others are those of 32-bit programs. */
static __always_inline void __gadget_get_other_call(const struct pt_regs *regs,
						    struct gadget_call *call,
						    bool compat)
{
	__u32 size = __gadget_pointer_size(regs->orig_ax, compat);

	barrier_var(size);
	if (compat) {
		__gadget_get_call32(regs, call);
	} else {
		__gadget_get_call64(regs, call);
		if (call->nr & __GADGET_X32_BIT)
			call->nr = __gadget_from_nrx32(call->nr &
						       ~__GADGET_X32_BIT);
	}
	call->pointer_size = size;
}

#else

static __always_inline void __gadget_get_other_call(const struct pt_regs *regs,
						    struct gadget_call *call,
						    bool compat)
{
	__gadget_get_call64(regs, call);
	call->pointer_size = 8;
	if (compat)
		call->nr = GADGET_NR_NONE;
}

#endif

/*
 * gadget_get_call: the call that the current task is in.
 * @regs: the task's registers on entry: the argument of the tracepoints sys_enter and
 *        sys_exit and of the kernel's functions for calls, or gadget_current_regs()
 * @call: set, every member
 *
 * A call of an ABI other than the 64-bit one has the number GADGET_NR_NONE if it is not
 * among the calls above.  Costs a few loads: the compiler removes the code for members
 * that a gadget does not use.
 */
static __always_inline void gadget_get_call(const struct pt_regs *regs,
					    struct gadget_call *call)
{
	__gadget_get_other_call(regs, call, gadget_is_compat());
}

/* gadget_current_regs: the registers that the current task entered the kernel with. */
static __always_inline const struct pt_regs *gadget_current_regs(void)
{
	return (const struct pt_regs *)bpf_task_pt_regs(
		bpf_get_current_task_btf());
}

/* From the kernel's headers, which BTF doesn't have. */
#define __GADGET_PF_IO_WORKER 0x00000010
#define __GADGET_PF_KTHREAD   0x00200000

/* Kernel threads have no registers of a call, and older kernels don't give access. */
static __always_inline bool __gadget_has_current_regs(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return bpf_core_enum_value_exists(enum bpf_func_id,
					  BPF_FUNC_task_pt_regs) &&
	       !(task->flags & (__GADGET_PF_KTHREAD | __GADGET_PF_IO_WORKER));
}

/*
 * gadget_get_current_call: the call that the current task is in, for programs that do not
 * get its registers.  False if it is in none, or if the kernel does not give access to them
 * (before 5.15).  A task that is in the kernel for another reason, such as a page fault, may
 * appear to be in call -1.
 */
static __always_inline bool gadget_get_current_call(struct gadget_call *call)
{
	if (!__gadget_has_current_regs())
		return false;
	gadget_get_call(gadget_current_regs(), call);
	return true;
}

/*
 * gadget_get_current_syscall: the same as a value of the type gadget_syscall, whatever
 * call it is; or -1.
 */
static __always_inline __s64 gadget_get_current_syscall(void)
{
	__u32 nr;

	if (!__gadget_has_current_regs())
		return -1;
#if defined(__TARGET_ARCH_x86)
	nr = gadget_current_regs()->orig_ax;
#else
	nr = gadget_current_regs()->syscallno;
#endif
	if (nr == (__u32)-1)
		return -1;
	return gadget_is_compat() ? nr | GADGET_SYSCALL_COMPAT : nr;
}

/* The calls that 32-bit programs may make through socketcall, by its first argument. */
static __always_inline __u32 __gadget_from_socketcall(__u32 kind)
{
	switch (kind) {
	case 2:
		return GADGET_NR_BIND;
	case 3:
		return GADGET_NR_CONNECT;
	case 5:
		return GADGET_NR_ACCEPT;
	case 11:
		return GADGET_NR_SENDTO;
	case 13:
		return GADGET_NR_SHUTDOWN;
	case 16:
		return GADGET_NR_SENDMSG;
	case 18:
		return GADGET_NR_ACCEPT4;
	case 20:
		return GADGET_NR_SENDMMSG;
	}
	return GADGET_NR_NONE;
}

/*
 * gadget_resolve_socketcall: replaces a socketcall by the call that it makes, with its
 * first three arguments; does not change other calls.  For gadgets about calls of sockets.
 */
static __always_inline void gadget_resolve_socketcall(struct gadget_call *call)
{
	const __u32 *from = (const __u32 *)call->args[1];
	__u32 args[2] = {}, third = 0;

	if (call->nr != GADGET_NR_SOCKETCALL)
		return;
	bpf_probe_read_user(args, sizeof(args), from);
	/* Calls with two arguments have none: what is there may not be memory. */
	bpf_probe_read_user(&third, sizeof(third), from + 2);
	call->nr = __gadget_from_socketcall(call->args[0]);
	call->args[0] = args[0];
	call->args[1] = args[1];
	call->args[2] = third;
}

/* From the kernel's headers, which BTF doesn't have. */
#define __GADGET_EINTR		       4
#define __GADGET_ERESTARTSYS	       512
#define __GADGET_ERESTART_RESTARTBLOCK 516

/*
 * gadget_is_restart: whether a result says that a signal interrupted the call.  It has
 * not come to the caller then, but to the kernel's own code, which either repeats the
 * call (and then it returns once more) or makes that EINTR.
 */
static __always_inline bool gadget_is_restart(long ret)
{
	return ret <= -__GADGET_ERESTARTSYS &&
	       ret >= -__GADGET_ERESTART_RESTARTBLOCK;
}

/*
 * gadget_error_of: the error of a result, as the caller sees it; 0
 * for a success.
 */
static __always_inline __u32 gadget_error_of(long ret)
{
	if (ret >= 0)
		return 0;
	return gadget_is_restart(ret) ? __GADGET_EINTR : -ret;
}

/*
 * __gadget_read_text: reads a name from the memory of the caller or, if not
 * from_user, of the kernel.  from_user is a constant.
 */
static __always_inline __u32 __gadget_read_text(char *to, __u32 size,
						const char *from, bool *cut,
						bool from_user)
{
	long len = from_user ? bpf_probe_read_user_str(to, size, from) :
			       bpf_probe_read_kernel_str(to, size, from);
	char last = '\0';

	*cut = false;
	if (len < 1) {
		to[0] = '\0';
		return 1;
	}
	if (len < size)
		return len;
	/* A name that fills the buffer may be longer: the byte after it shows that. */
	from += size - 1;
	if (from_user)
		bpf_probe_read_user(&last, sizeof(last), from);
	else
		bpf_probe_read_kernel(&last, sizeof(last), from);
	*cut = last != '\0';
	return size;
}

/*
 * gadget_read_user_text: copies a name that a caller has passed.
 * @to, @size: where it goes; a constant size
 * @cut:       set if the name is longer than that
 *
 * Returns the length with the terminating zero, which is 1 if nothing can be
 * read.  The kernel may or may not zero the bytes after it.
 */
static __always_inline __u32 gadget_read_user_text(char *to, __u32 size,
						   const char *from, bool *cut)
{
	return __gadget_read_text(to, size, from, cut, true);
}

/* gadget_read_kernel_text: the same for a name in the kernel. */
static __always_inline __u32 gadget_read_kernel_text(char *to, __u32 size,
						     const char *from,
						     bool *cut)
{
	return __gadget_read_text(to, size, from, cut, false);
}

#endif /* __GADGET_SYSCALLS_BPF_H */
