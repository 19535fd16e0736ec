// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Reports the programs that processes execute.
 *
 * Successes are reported at sched_process_exec, which the kernel passes exactly
 * once for each, when the new program is in place: the arguments are then in its
 * memory, one after the other, as the kernel copied them.  That has advantages
 * over the entry of the call: no thread can change them any more, they are not paged
 * out, because the kernel has just written them, and there is nothing to keep in
 * between, which would have to be found again when a thread becomes its process'
 * leader and cleaned up when it is killed.
 *
 * Failures are reported when the call returns: the caller's memory still exists
 * then, and the arguments are in the registers saved on entry.  As in
 * trace_open, programs are attached to the kernel's functions for the calls if
 * possible, and otherwise one program to the return of all calls.  The functions below,
 * which all variants of the call use, do not help: compilers change their arguments, or
 * they are called only after the name and the arguments have been read.  None of the
 * programs is attached if failures are ignored.
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
#include <gadget/syscalls.bpf.h>
#include <gadget/types.h>

#define FNAME_MAX 512
#define ARGS_MAX  4096 /* bytes; a multiple of 8 */
#define ARGS_READ 256  /* of a call that failed */

#define ID_UNSET (~0U) /* as the kernel's audit has it */

struct event {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;

	gadget_errno error_raw;
	__u32 args_count;
	__u32 args_size;
	__u32 loginuid;
	__u32 sessionid;
	bool args_truncated;
	bool fname_truncated;
	__u8 __padding[2];
	char fname[FNAME_MAX];
	/* A record ends with the arguments, unless the paths are wanted. */
	char args[ARGS_MAX];
	char cwd[GADGET_PATH_MAX];
	char exepath[GADGET_PATH_MAX];
};

const volatile bool ignore_failed = true;
GADGET_PARAM(ignore_failed);

const volatile bool paths = false;
GADGET_PARAM(paths);

GADGET_TRACER_MAP(events, 1024 * 1024);
GADGET_TRACER(exec, events, event);

/*
 * Memory for building events, which are too large for the stack.
 *
 * The length of the arguments is kept here, not in a register, and read again each
 * time, because of volatile.  The verifier tracks values in registers: it would
 * process the rest of the program again for every possible length.
 */
struct event_room {
	struct event event;
	/* An argument may go beyond the end of args, which shows its length. */
	char beyond[ARGS_MAX];
	/* Bytes in args, each argument with its zero. */
	volatile __u64 args_len;
};

/*
 * A program on a function can be preempted, and then another program may run on
 * the same CPU, but not the same one again.  So each program has its own room.
 */
enum room {
	ROOM_SUCCESS,
	ROOM_EXECVE,
	ROOM_EXECVEAT,
	ROOM_EXECVE32,
	ROOM_EXECVEAT32,
	ROOMS,
	ROOM_FAILURE = ROOM_EXECVE, /* never loaded together */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ROOMS);
	__type(key, __u32);
	__type(value, struct event_room);
} scratch SEC(".maps");

/* A call as the caller wrote it. */
struct exec_call {
	const char *fname; /* user memory */
	__u64 argv; /* the same: pointers, with a zero pointer after the last */
	__u32 pointer_size;
};

/* Returns the number of bytes in args. */
static __always_inline __u64 get_args_len(const struct event_room *room)
{
	__u64 len = room->args_len;

	return len > ARGS_MAX ? ARGS_MAX : len;
}

/*
 * Turns arguments, NUL-terminated one after the other, into one string with blanks
 * in between.  Eight bytes at a time: a byte's top bit in "ends" says that it was
 * zero.  A loop without other branches is verified in a fraction of the time.
 */
static __always_inline void join_args(struct event_room *room)
{
	const __u64 tops = 0x8080808080808080;
	__u64 *words = (__u64 *)room->event.args;
	__u64 word, ends, last;

	for (__u32 i = 0; i < ARGS_MAX / 8; i++) {
		if (i * 8 >= room->args_len)
			break;
		word = words[i];
		ends = ~(((word & ~tops) + ~tops) | word) & tops;
		words[i] = word | ends >> 2;
	}
	/* The zero after the last argument ends the string, and zeros fill its word. */
	last = get_args_len(room) - 1;
	barrier_var(last);
	last &= ARGS_MAX - 1;
	words[last / 8] &= (1ULL << last % 8 * 8) - 1;
}

/* If the record continues after the arguments, zeros fill the rest. */
static __always_inline void clear_behind_args(struct event_room *room)
{
	__u64 *words = (__u64 *)room->event.args;

	for (__u32 i = 0; i < ARGS_MAX / 8; i++) {
		if (i * 8 >= room->args_len)
			words[i] = 0;
	}
}

/* A string needs its end. */
static __always_inline void set_no_args(struct event_room *room)
{
	room->event.args[0] = '\0';
	room->args_len = 1;
}

static __always_inline void read_args_of_mm(struct event_room *room,
					    struct mm_struct *mm)
{
	struct event *event = &room->event;
	__u64 start = BPF_CORE_READ(mm, arg_start);
	__u64 size = BPF_CORE_READ(mm, arg_end) - start;

	event->args_size = size;
	event->args_truncated = size > ARGS_MAX;
	room->args_len = size > ARGS_MAX ? ARGS_MAX : size;
	if (!size) {
		set_no_args(room);
	} else if (bpf_probe_read_user(event->args, get_args_len(room),
				       (const void *)start)) {
		event->args_truncated = true;
		set_no_args(room);
	}
}

/* The same for a call that failed. */
static __always_inline void read_args_of_call(struct event_room *room,
					      const struct exec_call *call)
{
	__u32 width = call->pointer_size == 4 ? 4 : 8;
	struct event *event = &room->event;
	__u64 arg = 0, len;
	long n;

	event->args_truncated = false;
	event->args_count = 0;
	room->args_len = 0;
	for (int i = 0; i <= ARGS_READ; i++) {
		if (bpf_probe_read_user(&arg, width,
					(void *)(call->argv + i * width)) ||
		    !arg)
			break;
		len = room->args_len;
		if (i == ARGS_READ || len >= ARGS_MAX) {
			event->args_truncated = true;
			break;
		}
		n = bpf_probe_read_user_str(&event->args[len], ARGS_MAX + 1,
					    (const void *)arg);
		if (n < 1) { /* not in memory */
			event->args[len] = '\0';
			n = 1;
		}
		room->args_len = len + n;
		event->args_count++;
	}
	event->args_size = room->args_len;
	if (event->args_size > ARGS_MAX)
		event->args_truncated = true;
	if (event->args_size == 0)
		set_no_args(room);
}

static __always_inline void read_path(char *to, struct path *path)
{
	char *str = get_path_str(path);

	if (str)
		bpf_probe_read_kernel_str(to, GADGET_PATH_MAX, str);
}

/* The paths of the process: after a failure, those of the old program. */
static __always_inline void read_paths(struct event *event,
				       struct task_struct *task)
{
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	struct file *exe = BPF_CORE_READ(task, mm, exe_file);

	__builtin_memset(event->cwd, 0, sizeof(event->cwd));
	__builtin_memset(event->exepath, 0, sizeof(event->exepath));
	read_path(event->cwd, &fs->pwd);
	read_path(event->exepath, &exe->f_path);
}

/* Kernels without audit have neither. */
static __always_inline void read_login(struct event *event,
				       struct task_struct *task)
{
	event->loginuid = ID_UNSET;
	event->sessionid = ID_UNSET;
	if (bpf_core_field_exists(task->loginuid))
		event->loginuid = BPF_CORE_READ(task, loginuid.val);
	if (bpf_core_field_exists(task->sessionid))
		event->sessionid = BPF_CORE_READ(task, sessionid);
}

/* The common part of successes and failures, at the end of both. */
static __always_inline int report(void *ctx, struct event_room *room)
{
	struct event *event = &room->event;
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u64 size = offsetof(struct event, args);

	event->timestamp_raw = bpf_ktime_get_boot_ns();
	gadget_process_populate(&event->proc);
	read_login(event, task);
	join_args(room);
	if (paths) {
		clear_behind_args(room);
		read_paths(event, task);
		size = sizeof(*event);
	} else {
		size += get_args_len(room);
	}
	gadget_output_buf(ctx, &events, event, size);
	return 0;
}

static __always_inline struct event_room *get_room(enum room room)
{
	__u32 key = room;

	return bpf_map_lookup_elem(&scratch, &key);
}

SEC("raw_tp/sched_process_exec")
int trace_exec_success(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx->args[0];
	struct linux_binprm *bprm = (struct linux_binprm *)ctx->args[2];
	struct event_room *room;

	if (gadget_should_discard_data_current())
		return 0;
	room = get_room(ROOM_SUCCESS);
	if (!room)
		return 0;

	room->event.error_raw = 0;
	room->event.args_count = BPF_CORE_READ(bprm, argc);
	__builtin_memset(room->event.fname, 0, FNAME_MAX);
	gadget_read_kernel_text(room->event.fname, FNAME_MAX,
				BPF_CORE_READ(bprm, filename),
				&room->event.fname_truncated);
	read_args_of_mm(room, BPF_CORE_READ(task, mm));
	return report(ctx, room);
}

static __always_inline void set_call(struct exec_call *exec, __u64 fname,
				     __u64 argv, __u32 pointer_size)
{
	exec->fname = (const char *)fname;
	exec->argv = argv;
	exec->pointer_size = pointer_size;
}

/* Returns whether the gadget reports the call. */
static __always_inline bool decode(struct exec_call *exec,
				   const struct gadget_call *call)
{
	const __u64 *args = call->args;

	switch (call->nr) {
	case GADGET_NR_EXECVE:
		set_call(exec, args[0], args[1], call->pointer_size);
		return true;
	case GADGET_NR_EXECVEAT:
		set_call(exec, args[1], args[2], call->pointer_size);
		return true;
	}
	return false;
}

/*
 * Not inlined, so that nothing is left of the programs below when failures are
 * ignored: the compiler would save registers for this at their very beginning.
 */
static __noinline int report_failure(void *ctx, const struct exec_call *call,
				     long ret, enum room which)
{
	struct event_room *room;

	if (gadget_should_discard_data_current())
		return 0;
	room = get_room(which);
	if (!room)
		return 0;

	room->event.error_raw = gadget_error_of(ret);
	__builtin_memset(room->event.fname, 0, FNAME_MAX);
	gadget_read_user_text(room->event.fname, FNAME_MAX, call->fname,
			      &room->event.fname_truncated);
	read_args_of_call(room, call);
	return report(ctx, room);
}

static __noinline int report_exit(void *ctx, const struct pt_regs *regs,
				  long ret, enum room room)
{
	struct gadget_call call;
	struct exec_call exec;

	gadget_get_call(regs, &call);
	if (!decode(&exec, &call))
		return 0;
	return report_failure(ctx, &exec, ret, room);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(trace_exec_failure, struct pt_regs *regs, long ret)
{
	if (ignore_failed || ret >= 0)
		return 0;
	return report_exit(ctx, regs, ret, ROOM_FAILURE);
}

/* The functions for 64-bit programs and for others take the same argument. */
#define TRACE_FAILURE_OF(prog, function, room)                   \
	SEC("fexit/" function)                                   \
	int BPF_PROG(prog, const struct pt_regs *regs, long ret) \
	{                                                        \
		if (ignore_failed || ret >= 0)                   \
			return 0;                                \
		return report_exit(ctx, regs, ret, room);        \
	}                                                        \
	GADGET_PREFER(prog, trace_exec_failure)

TRACE_FAILURE_OF(trace_execve_failure, GADGET_SYSCALL_FUNCTION(execve),
		 ROOM_EXECVE)
TRACE_FAILURE_OF(trace_execveat_failure, GADGET_SYSCALL_FUNCTION(execveat),
		 ROOM_EXECVEAT)
#if defined(__TARGET_ARCH_x86)
/* Not those of the x32 ABI, which few kernels have, and fewer switched on. */
TRACE_FAILURE_OF(trace_execve32_failure, "__ia32_compat_sys_execve",
		 ROOM_EXECVE32)
TRACE_FAILURE_OF(trace_execveat32_failure, "__ia32_compat_sys_execveat",
		 ROOM_EXECVEAT32)
#endif

char LICENSE[] SEC("license") = "GPL";
