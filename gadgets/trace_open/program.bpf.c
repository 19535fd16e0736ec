// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Reports the files that processes open.
 *
 * All is done when the call returns: the arguments are still among the registers
 * that the kernel saved on entry and will restore.  So there is no program at
 * the call's entry and no map to carry arguments from there, which would double
 * the cost; calls that were in progress at the start are seen; and the name's
 * page is in memory, since the kernel has just read it.
 */

#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

/* Records of a length that isn't constant can't be reserved. */
#define GADGET_NO_BUF_RESERVE
#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/filesystem.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

/* Most names are much shorter, and none costs more than its own length. */
#define FNAME_MAX 512

/* From the kernel's headers, which BTF doesn't have. */
#define O_WRONLY	      00000001
#define O_CREAT		      00000100
#define O_TRUNC		      00001000
#define __O_TMPFILE	      020000000
#define S_IALLUGO	      07777
#define EINTR		      4
#define ERESTARTSYS	      512
#define ERESTART_RESTARTBLOCK 516

struct event {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;

	gadget_errno error_raw;
	__u32 fd;
	gadget_file_flags flags_raw;
	gadget_file_mode mode_raw;
	bool fname_truncated;
	__u8 __padding[7];
	/* A record ends with the name, unless fpath is wanted. */
	char fname[FNAME_MAX];
	char fpath[GADGET_PATH_MAX];
};

const volatile bool failed = false;
GADGET_PARAM(failed);

const volatile bool paths = false;
GADGET_PARAM(paths);

GADGET_TRACER_MAP(events, 1024 * 1024);
GADGET_TRACER(open, events, event);

/* Where events are put together: too large for the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct event);
} scratch SEC(".maps");

/* A call as the caller wrote it. */
struct open_call {
	const char *fname; /* user memory */
	__u32 flags;
	__u32 mode;
};

/* Since 5.15. */
static __always_inline bool has_task_pt_regs(void)
{
	return bpf_core_enum_value_exists(enum bpf_func_id,
					  BPF_FUNC_task_pt_regs);
}

/*
 * The registers that the current task had when it entered the kernel.  Kernels
 * without the helper all have them at the top of a stack of 16 KiB.
 */
static __always_inline struct pt_regs *entry_regs(void)
{
	struct task_struct *task;

	if (has_task_pt_regs())
		return (struct pt_regs *)bpf_task_pt_regs(
			bpf_get_current_task_btf());
	task = (struct task_struct *)bpf_get_current_task();
	return BPF_CORE_READ(task, stack) + 16 * 1024 -
	       bpf_core_type_size(struct pt_regs);
}

/* A register of entry_regs(): a plain load where they are a typed pointer. */
#define ENTRY_REG(regs, reg) \
	(has_task_pt_regs() ? (regs)->reg : BPF_CORE_READ(regs, reg))

/* The arguments of a call.  The first, on arm64, is where the result goes. */
#if defined(__TARGET_ARCH_x86)
#define ARG1(regs) ENTRY_REG(regs, di)
#define ARG2(regs) ENTRY_REG(regs, si)
#define ARG3(regs) ENTRY_REG(regs, dx)
#define ARG4(regs) ENTRY_REG(regs, r10)
#elif defined(__TARGET_ARCH_arm64)
#define ARG2(regs) ENTRY_REG(regs, regs[1])
#define ARG3(regs) ENTRY_REG(regs, regs[2])
#define ARG4(regs) ENTRY_REG(regs, regs[3])
#else
#error "the registers of this architecture are not known here"
#endif

static __always_inline bool is_wanted(long ret)
{
	if (failed && ret >= 0)
		return false;
	return !gadget_should_discard_data_current();
}

/*
 * What the caller gets to see.  A call that a signal interrupted returns to the
 * kernel's own code first, which either repeats it (and then it returns here once
 * more) or makes that EINTR.
 */
static __always_inline __u32 error_of(long ret)
{
	__u32 error = ret < 0 ? -ret : 0;

	return error >= ERESTARTSYS && error <= ERESTART_RESTARTBLOCK ? EINTR :
									error;
}

/* The mode is an argument only if a file may be created: else it's by chance. */
static __always_inline __u32 mode_of(const struct open_call *call)
{
	return call->flags & (O_CREAT | __O_TMPFILE) ? call->mode & S_IALLUGO :
						       0;
}

/* Returns the length of the name with its terminating zero. */
static __always_inline __u32 read_fname(struct event *event, const char *fname)
{
	long len = bpf_probe_read_user_str(event->fname, FNAME_MAX, fname);
	char last = '\0';

	event->fname_truncated = false;
	if (len < 1) {
		event->fname[0] = '\0';
		return 1;
	}
	if (len < FNAME_MAX)
		return len;
	bpf_probe_read_user(&last, sizeof(last), fname + FNAME_MAX - 1);
	event->fname_truncated = last != '\0';
	return FNAME_MAX;
}

static __always_inline void read_fpath(struct event *event, long ret)
{
	__builtin_memset(event->fpath, 0, sizeof(event->fpath));
	if (ret >= 0)
		read_full_path_of_open_file_fd(ret, event->fpath,
					       sizeof(event->fpath));
}

static __always_inline int report(struct syscall_trace_exit *ctx,
				  const struct open_call *call)
{
	struct event *event;
	__u32 zero = 0, size;
	long ret = ctx->ret;

	event = bpf_map_lookup_elem(&scratch, &zero);
	if (!event)
		return 0;

	event->timestamp_raw = bpf_ktime_get_boot_ns();
	gadget_process_populate(&event->proc);
	event->error_raw = error_of(ret);
	event->fd = ret < 0 ? 0 : ret;
	event->flags_raw = call->flags;
	event->mode_raw = mode_of(call);

	if (paths) /* the record goes on behind the name */
		__builtin_memset(event->fname, 0, sizeof(event->fname));
	size = offsetof(struct event, fname) + read_fname(event, call->fname);
	if (paths) {
		read_fpath(event, ret);
		size = sizeof(*event);
	}
	gadget_output_buf(ctx, &events, event, size);
	return 0;
}

#ifdef __TARGET_ARCH_x86 /* younger architectures have neither of the two */
SEC("tracepoint/syscalls/sys_exit_open")
int trace_open_exit(struct syscall_trace_exit *ctx)
{
	struct pt_regs *regs;
	struct open_call call;

	if (!is_wanted(ctx->ret))
		return 0;
	regs = entry_regs();
	call.fname = (const char *)ARG1(regs);
	call.flags = ARG2(regs);
	call.mode = ARG3(regs);
	return report(ctx, &call);
}

SEC("tracepoint/syscalls/sys_exit_creat")
int trace_creat_exit(struct syscall_trace_exit *ctx)
{
	struct pt_regs *regs;
	struct open_call call;

	if (!is_wanted(ctx->ret))
		return 0;
	regs = entry_regs();
	call.fname = (const char *)ARG1(regs);
	call.flags = O_CREAT | O_WRONLY | O_TRUNC;
	call.mode = ARG2(regs);
	return report(ctx, &call);
}
#endif

SEC("tracepoint/syscalls/sys_exit_openat")
int trace_openat_exit(struct syscall_trace_exit *ctx)
{
	struct pt_regs *regs;
	struct open_call call;

	if (!is_wanted(ctx->ret))
		return 0;
	regs = entry_regs();
	call.fname = (const char *)ARG2(regs);
	call.flags = ARG3(regs);
	call.mode = ARG4(regs);
	return report(ctx, &call);
}

SEC("tracepoint/syscalls/sys_exit_openat2")
int trace_openat2_exit(struct syscall_trace_exit *ctx)
{
	struct open_how how = {};
	struct pt_regs *regs;
	struct open_call call;

	if (!is_wanted(ctx->ret))
		return 0;
	regs = entry_regs();
	bpf_probe_read_user(&how, sizeof(how), (const void *)ARG3(regs));
	call.fname = (const char *)ARG2(regs);
	call.flags = how.flags;
	call.mode = how.mode;
	return report(ctx, &call);
}

char LICENSE[] SEC("license") = "GPL";
