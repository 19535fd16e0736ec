// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0

#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define GADGET_NO_BUF_RESERVE
#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

#define ARG_LEN	  128
#define MAX_ARGS  32
#define ARGS_ROOM (ARG_LEN * MAX_ARGS)
#define LAST_ARG  (ARGS_ROOM - ARG_LEN)

struct exec_event {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;
	gadget_errno error_raw;
	gadget_uid loginuid_raw;
	__u32 sessionid;
	__u32 args_count;
	__u32 args_size;
	bool truncated;
	char file[128];
	char args[ARGS_ROOM];
};

#define BASE_SIZE  (size_t)(&((struct exec_event *)0)->args)
#define SIZE_OF(e) (BASE_SIZE + (e)->args_size)

static const struct exec_event empty = {};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, pid_t);
	__type(value, struct exec_event);
} execs SEC(".maps");

GADGET_TRACER_MAP(events, 1024 * 512);
GADGET_TRACER(exec, events, exec_event);

const volatile bool ignore_failed = true;
GADGET_PARAM(ignore_failed);

struct walk {
	struct exec_event *event;
	const char **argv;
};

/* One of the strings; non-zero when the list has come to its end. */
__hidden int copy_arg(struct exec_event *event, const char *p)
{
	long n;

	if (!event || event->args_size > LAST_ARG) {
		if (event)
			event->truncated = true;
		return 1;
	}
	n = bpf_probe_read_user_str(&event->args[event->args_size], ARG_LEN, p);
	if (n < 0 || n > ARG_LEN)
		return 1;
	event->args_count++;
	event->args_size += n;
	return 0;
}

static long next_arg(__u32 i, void *arg)
{
	struct walk *w = arg;
	const char *p = NULL;

	if (bpf_probe_read_user(&p, sizeof(p), &w->argv[i]) || !p)
		return 1;
	return copy_arg(w->event, p);
}

static __always_inline int enter(const char *file, const char **argv)
{
	pid_t tid = (pid_t)bpf_get_current_pid_tgid();
	struct task_struct *task;
	struct exec_event *event;
	struct walk w;

	if (gadget_should_discard_data_current())
		return 0;
	if (bpf_map_update_elem(&execs, &tid, &empty, BPF_NOEXIST))
		return 0;
	event = bpf_map_lookup_elem(&execs, &tid);
	if (!event)
		return 0;

	task = (struct task_struct *)bpf_get_current_task();
	event->timestamp_raw = bpf_ktime_get_boot_ns();
	gadget_process_populate(&event->proc);
	if (bpf_core_field_exists(task->loginuid))
		event->loginuid_raw = BPF_CORE_READ(task, loginuid.val);
	else
		event->loginuid_raw = (__u32)-1;
	if (bpf_core_field_exists(task->sessionid))
		event->sessionid = BPF_CORE_READ(task, sessionid);
	bpf_probe_read_user_str(event->file, sizeof(event->file), file);

	w.event = event;
	w.argv = argv;
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_loop)) {
		bpf_loop(MAX_ARGS, next_arg, &w, 0);
	} else {
		for (int i = 0; i < 16; i++) {
			const char *p = NULL;

			if (bpf_probe_read_user(&p, sizeof(p), &argv[i]) || !p)
				break;
			if (copy_arg(event, p))
				break;
		}
	}
	return 0;
}

static __always_inline int leave(void *ctx, pid_t tid, long ret)
{
	struct exec_event *event = bpf_map_lookup_elem(&execs, &tid);
	size_t len;

	if (!event)
		return 0;
	if (ret < 0 && ignore_failed)
		goto out;
	event->error_raw = ret < 0 ? -ret : 0;
	bpf_get_current_comm(&event->proc.comm, sizeof(event->proc.comm));
	len = SIZE_OF(event);
	if (len <= sizeof(*event))
		gadget_output_buf(ctx, &events, event, len);
out:
	bpf_map_delete_elem(&execs, &tid);
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_execve")
int execargs_execve_e(struct syscall_trace_enter *ctx)
{
	return enter((const char *)ctx->args[0], (const char **)ctx->args[1]);
}

SEC("tracepoint/syscalls/sys_enter_execveat")
int execargs_execveat_e(struct syscall_trace_enter *ctx)
{
	return enter((const char *)ctx->args[1], (const char **)ctx->args[2]);
}

SEC("tracepoint/sched/sched_process_exec")
int execargs_done(struct trace_event_raw_sched_process_exec *ctx)
{
	return leave(ctx, ctx->old_pid, 0);
}

SEC("tracepoint/syscalls/sys_exit_execve")
int execargs_execve_x(struct syscall_trace_exit *ctx)
{
	return leave(ctx, (pid_t)bpf_get_current_pid_tgid(), ctx->ret);
}

SEC("tracepoint/syscalls/sys_exit_execveat")
int execargs_execveat_x(struct syscall_trace_exit *ctx)
{
	return leave(ctx, (pid_t)bpf_get_current_pid_tgid(), ctx->ret);
}

char _license[] SEC("license") = "GPL";
