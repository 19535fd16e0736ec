// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* What older headers made of their macros: markers of other names, and a perf array with an entry for each processor. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>

struct call {
	__u32 pid;
	__u32 argument;
};

struct process {
	__u32 pid;
	char comm[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
	__uint(max_entries, 1024);
} events SEC(".maps");

/* Without these the object would not have the types. */
const struct call *unused_call __attribute__((unused));
const struct process *unused_process __attribute__((unused));

const void *gadget_tracer_calls___events___call __attribute__((unused));
const void *gadget_snapshotter_processes___process___ig_walk
	__attribute__((unused));

const volatile __u32 argument = 4242;
const void *gadget_param_argument __attribute__((unused));

/* A marker that no version has had. */
const void *gadget_something_else___events __attribute__((unused));

SEC("tracepoint/syscalls/sys_enter_getpgid")
int ig_call(struct syscall_trace_enter *ctx)
{
	struct call call = {.argument = ctx->args[0]};

	if (call.argument != argument)
		return 0;
	call.pid = bpf_get_current_pid_tgid() >> 32;
	bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &call,
			      sizeof(call));
	return 0;
}

SEC("iter/task")
int ig_walk(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct process process = {};

	if (!task || task->pid != task->tgid)
		return 0;
	process.pid = task->pid;
	__builtin_memcpy(process.comm, task->comm, sizeof(process.comm));
	bpf_seq_write(ctx->meta->seq, &process, sizeof(process));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
