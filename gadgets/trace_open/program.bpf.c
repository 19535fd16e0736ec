// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Reports the files that processes open.
 *
 * The programs run when the call returns: the arguments are still in the registers
 * that the kernel saved on entry and will restore.  So there is no program at
 * the call's entry and no map to carry arguments from there, which would double
 * the cost; the gadget sees calls that were in progress at the start; and the name's
 * page is in memory, because the kernel has just read it.
 *
 * The programs are attached to the kernel's functions if possible, which costs other
 * system calls nothing.  Otherwise one program is attached to the return of all calls
 * and skips most of them.  That costs these calls a little more than the tracepoints of
 * single calls would, whose presence slows down every call, too; but tracepoints
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
#include <gadget/constants.h>
#include <gadget/filesystem.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/syscalls.bpf.h>
#include <gadget/types.h>
#include <gadget/user_stack_map.h>

/* Most names are much shorter, and none costs more than its own length. */
#define FNAME_MAX 512

struct event {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;

	gadget_errno error_raw;
	__u32 fd;
	gadget_file_flags flags_raw;
	gadget_file_mode mode_raw;
	bool fname_truncated;
	bool fpath_truncated;
	__u8 __padding[6];
	/* A record ends with the name, unless a stack or fpath is wanted. */
	char fname[FNAME_MAX];
	struct gadget_user_stack ustack;
	char fpath[GADGET_PATH_MAX];
};

const volatile bool failed = false;
GADGET_PARAM(failed);

const volatile bool paths = false;
GADGET_PARAM(paths);

GADGET_TRACER_MAP(events, 1024 * 1024);
GADGET_TRACER(open, events, event);

/*
 * Memory for building events, which are too large for the stack.  A program on
 * a function can be preempted, and then another program may run on the same CPU, but
 * not the same one again.  So each program has its own room.
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

/* The mode is an argument only if a file may be created: else it's by chance. */
static __always_inline __u32 mode_of(const struct open_call *call)
{
	return call->flags & (O_CREAT | __O_TMPFILE) ? call->mode & S_IALLUGO :
						       0;
}

static __always_inline void read_fpath(struct event *event, long ret)
{
	__builtin_memset(event->fpath, 0, sizeof(event->fpath));
	if (ret >= 0)
		read_full_path_of_open_file_fd(ret, event->fpath,
					       sizeof(event->fpath));
	/* A whole path begins with a slash, and one that lacks its beginning with dots. */
	event->fpath_truncated = event->fpath[0] == '.';
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
	event->error_raw = gadget_error_of(ret);
	event->fd = ret < 0 ? 0 : ret;
	event->flags_raw = call->flags;
	event->mode_raw = mode_of(call);
	event->fpath_truncated = false;

	if (collect_ustack || paths) /* the record continues after the name */
		__builtin_memset(event->fname, 0, sizeof(event->fname));
	size = offsetof(struct event, fname) +
	       gadget_read_user_text(event->fname, FNAME_MAX, call->fname,
				     &event->fname_truncated);
	if (collect_ustack || paths) {
		gadget_get_user_stack(ctx, &event->ustack);
		size = offsetof(struct event, fpath);
	}
	if (paths) {
		read_fpath(event, ret);
		size = sizeof(*event);
	}
	gadget_output_buf(ctx, &events, event, size);
	return 0;
}

/*
 * Whether a number may be that of one of the gadget's calls, in any of the ABIs of the
 * machine.  All other calls of the host end here.
 */
static __always_inline bool may_be_open(__u32 nr)
{
	return gadget_may_be_call(nr, OPENAT) || gadget_may_be_call(nr, OPEN) ||
	       gadget_may_be_call(nr, CREAT) || gadget_may_be_call(nr, OPENAT2);
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

/* Returns whether the gadget reports the call. */
static __always_inline bool decode(struct open_call *open,
				   const struct gadget_call *call)
{
	const __u64 *args = call->args;

	switch (call->nr) {
	case GADGET_NR_OPEN:
		decode_openat(open, args[0], args[1], args[2]);
		return true;
	case GADGET_NR_CREAT:
		decode_openat(open, args[0], O_CREAT | O_WRONLY | O_TRUNC,
			      args[1]);
		return true;
	case GADGET_NR_OPENAT:
		decode_openat(open, args[1], args[2], args[3]);
		return true;
	case GADGET_NR_OPENAT2:
		decode_openat2(open, args[1], args[2]);
		return true;
	}
	return false;
}

static __always_inline int trace_exit(void *ctx, const struct pt_regs *regs,
				      long ret, enum room room)
{
	struct gadget_call call;
	struct open_call open;

	if (!is_wanted(ret))
		return 0;
	gadget_get_call(regs, &call);
	if (!decode(&open, &call))
		return 0;
	return report(ctx, ret, &open, room);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(trace_open_exit, struct pt_regs *regs, long ret)
{
	if (!may_be_open(gadget_raw_call_nr(regs)))
		return 0;
	return trace_exit(ctx, regs, ret, ROOM_EXIT);
}

/* Where all calls come by, but openat2 only with arguments that make sense. */
SEC("fexit/do_sys_openat2")
int BPF_PROG(trace_open_fexit, int dfd, const char *fname, struct open_how *how,
	     long ret)
{
	const struct pt_regs *regs = gadget_current_regs();

	(void)dfd;
	(void)fname;
	(void)how;
	if (gadget_raw_call_nr(regs) == GADGET_NR_OPENAT2)
		return 0;
	return trace_exit(ctx, regs, ret, ROOM_OPEN);
}

/* openat2 has the same number for 32-bit programs. */
#if defined(__TARGET_ARCH_x86)
SEC("fexit/__ia32_sys_openat2")
int BPF_PROG(trace_open_fexit32_openat2, const struct pt_regs *regs, long ret)
{
	return trace_exit(ctx, regs, ret, ROOM32_OPENAT2);
}
GADGET_PREFER(trace_open_fexit32_openat2, trace_open_exit)
#endif

SEC("fexit/" GADGET_SYSCALL_FUNCTION(openat2))
int BPF_PROG(trace_open_fexit_openat2, const struct pt_regs *regs, long ret)
{
	return trace_exit(ctx, regs, ret, ROOM_OPENAT2);
}

GADGET_PREFER(trace_open_fexit, trace_open_exit)
GADGET_PREFER(trace_open_fexit_openat2, trace_open_exit)

char LICENSE[] SEC("license") = "GPL";
