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
 *
 * The programs hang on the kernel's functions where they can, which costs other
 * system calls nothing.  Else one program hangs on the return of all calls and has
 * to pass over most of them.  That costs them a little more than the tracepoints of
 * single calls would, whose mere presence slows down every call, too; but these
 * take several times as long to run when a file is opened, and about 70 ms each to
 * detach, and they do not see the calls of 32-bit programs.
 */

#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

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

/*
 * Where events are put together: too large for the stack.  A program that hangs on
 * a function can be preempted, and then another may run on the same CPU, but not
 * the same once more.  So each has a room of its own.
 */
enum room {
	ROOM_OPEN,
	ROOM_OPENAT2,
	ROOM32_OPENAT2,
	ROOMS,
	ROOM_EXIT = ROOM_OPEN, /* never loaded together */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ROOMS);
	__type(key, __u32);
	__type(value, struct event);
} scratch SEC(".maps");

/* A call as the caller wrote it. */
struct open_call {
	const char *fname; /* user memory */
	__u32 flags;
	__u32 mode;
};

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

static __always_inline int report(void *ctx, long ret,
				  const struct open_call *call, enum room room)
{
	struct event *event;
	__u32 key = room, size;

	event = bpf_map_lookup_elem(&scratch, &key);
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

/* What the numbers of the calls are, and where their arguments lie. */
#if defined(__TARGET_ARCH_x86)
#define NR_OPEN	     2
#define NR_CREAT     85
#define NR_OPENAT    257
#define NR_OPENAT2   437
#define NR32_OPEN    5
#define NR32_CREAT   8
#define NR32_OPENAT  295
#define X32_CALL     0x40000000 /* set in numbers of that ABI, else the same */
#define TS_COMPAT    0x0002
#define CALL_NR(r)   ((__u32)(r)->orig_ax & ~X32_CALL)
#define ARG(r, n)    __ARG##n(r)
#define __ARG1(r)    (r)->di
#define __ARG2(r)    (r)->si
#define __ARG3(r)    (r)->dx
#define __ARG4(r)    (r)->r10
#define ARG32(r, n)  ((__u32)__ARG32_##n(r))
#define __ARG32_1(r) (r)->bx
#define __ARG32_2(r) (r)->cx
#define __ARG32_3(r) (r)->dx
#define __ARG32_4(r) (r)->si
#elif defined(__TARGET_ARCH_arm64)
/* It never had the older two.  The first argument is where the result goes. */
#define NR_OPENAT      56
#define NR_OPENAT2     437
#define TIF_32BIT_MASK (1UL << 22)
#define CALL_NR(r)     ((__u32)(r)->syscallno)
#define ARG(r, n)      (r)->regs[(n) - 1]
#else
#error "the system calls of this architecture are not known here"
#endif

/*
 * Whether a number may be that of one of our calls, in any of the ABIs that the
 * machine has.  All other calls of the host end here.
 */
static __always_inline bool may_be_open(__u32 nr)
{
	switch (nr) {
#ifdef __TARGET_ARCH_x86
	case NR_OPEN:
	case NR_CREAT:
	case NR32_OPEN:
	case NR32_CREAT:
	case NR32_OPENAT:
#endif
	case NR_OPENAT:
	case NR_OPENAT2:
		return true;
	}
	return false;
}

static __always_inline void decode_openat(struct open_call *call, __u64 fname,
					  __u64 flags, __u64 mode)
{
	call->fname = (const char *)fname;
	call->flags = flags;
	call->mode = mode;
}

static __always_inline void decode_openat2(struct open_call *call, __u64 fname,
					   __u64 user_how)
{
	struct open_how how = {};

	bpf_probe_read_user(&how, sizeof(how), (const void *)user_how);
	decode_openat(call, fname, how.flags, how.mode);
}

/* Returns whether the call is one of ours. */
static __always_inline bool decode(struct open_call *call,
				   const struct pt_regs *regs)
{
	switch (CALL_NR(regs)) {
#ifdef __TARGET_ARCH_x86
	case NR_OPEN:
		decode_openat(call, ARG(regs, 1), ARG(regs, 2), ARG(regs, 3));
		return true;
	case NR_CREAT:
		decode_openat(call, ARG(regs, 1), O_CREAT | O_WRONLY | O_TRUNC,
			      ARG(regs, 2));
		return true;
#endif
	case NR_OPENAT:
		decode_openat(call, ARG(regs, 2), ARG(regs, 3), ARG(regs, 4));
		return true;
	case NR_OPENAT2:
		decode_openat2(call, ARG(regs, 2), ARG(regs, 3));
		return true;
	}
	return false;
}

#ifdef __TARGET_ARCH_x86
/* The same for the calls of 32-bit programs. */
static __always_inline bool decode32(struct open_call *call,
				     const struct pt_regs *regs)
{
	switch (CALL_NR(regs)) {
	case NR32_OPEN:
		decode_openat(call, ARG32(regs, 1), ARG32(regs, 2),
			      ARG32(regs, 3));
		return true;
	case NR32_CREAT:
		decode_openat(call, ARG32(regs, 1),
			      O_CREAT | O_WRONLY | O_TRUNC, ARG32(regs, 2));
		return true;
	case NR32_OPENAT:
		decode_openat(call, ARG32(regs, 2), ARG32(regs, 3),
			      ARG32(regs, 4));
		return true;
	case NR_OPENAT2:
		decode_openat2(call, ARG32(regs, 2), ARG32(regs, 3));
		return true;
	}
	return false;
}

static __always_inline bool is_compat(void)
{
	return bpf_get_current_task_btf()->thread_info.status & TS_COMPAT;
}
#else
static __always_inline bool decode32(struct open_call *call,
				     const struct pt_regs *regs)
{
	(void)call;
	(void)regs;
	return false;
}

/* The numbers of 32-bit programs would be taken for others. */
static __always_inline bool is_compat(void)
{
	return bpf_get_current_task_btf()->thread_info.flags & TIF_32BIT_MASK;
}
#endif

static __always_inline int trace_exit(void *ctx, const struct pt_regs *regs,
				      long ret, enum room room)
{
	struct open_call call;

	if (!is_wanted(ret))
		return 0;
	if (!(is_compat() ? decode32(&call, regs) : decode(&call, regs)))
		return 0;
	return report(ctx, ret, &call, room);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(trace_open_exit, struct pt_regs *regs, long ret)
{
	if (!may_be_open(CALL_NR(regs)))
		return 0;
	return trace_exit(ctx, regs, ret, ROOM_EXIT);
}

/* The registers that the kernel saved when the call came in. */
static __always_inline const struct pt_regs *caller_regs(void)
{
	return (const struct pt_regs *)bpf_task_pt_regs(
		bpf_get_current_task_btf());
}

/* Where all calls come by, but openat2 only with arguments that make sense. */
SEC("fexit/do_sys_openat2")
int BPF_PROG(trace_open_fexit, int dfd, const char *fname, struct open_how *how,
	     long ret)
{
	const struct pt_regs *regs = caller_regs();

	(void)dfd;
	(void)fname;
	(void)how;
	if (CALL_NR(regs) == NR_OPENAT2)
		return 0;
	return trace_exit(ctx, regs, ret, ROOM_OPEN);
}

/* openat2 has the same number for 32-bit programs. */
#if defined(__TARGET_ARCH_x86)
#define SYS_OPENAT2   "fexit/__x64_sys_openat2"
#define SYS32_OPENAT2 "fexit/__ia32_sys_openat2"

SEC(SYS32_OPENAT2)
int BPF_PROG(trace_open_fexit32_openat2, const struct pt_regs *regs, long ret)
{
	return trace_exit(ctx, regs, ret, ROOM32_OPENAT2);
}
GADGET_PREFER(trace_open_fexit32_openat2, trace_open_exit)
#else
#define SYS_OPENAT2 "fexit/__arm64_sys_openat2"
#endif

SEC(SYS_OPENAT2)
int BPF_PROG(trace_open_fexit_openat2, const struct pt_regs *regs, long ret)
{
	return trace_exit(ctx, regs, ret, ROOM_OPENAT2);
}

GADGET_PREFER(trace_open_fexit, trace_open_exit)
GADGET_PREFER(trace_open_fexit_openat2, trace_open_exit)

char LICENSE[] SEC("license") = "GPL";
