// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A record sent shorter than its struct, without the reserve half of the buffer API. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#define GADGET_NO_BUF_RESERVE
#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/macros.h>
#include <gadget/types.h>

#define ARGSIZE		  256
#define TOTAL_MAX_ARGS	  4
#define FULL_MAX_ARGS_ARR (TOTAL_MAX_ARGS * ARGSIZE)
#define BASE_EVENT_SIZE	  ((size_t)(&((struct event *)0)->args))
#define EVENT_SIZE(e)	  (BASE_EVENT_SIZE + e->args_size)
#define LAST_ARG	  (FULL_MAX_ARGS_ARR - ARGSIZE)

struct event {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;
	int args_count;
	unsigned int args_size;
	char args[FULL_MAX_ARGS_ARR];
};

static const struct event empty_event = {};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, pid_t);
	__type(value, struct event);
} execs SEC(".maps");

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(exec, events, event);

SEC("tracepoint/syscalls/sys_enter_execve")
int ig_execve_e(struct syscall_trace_enter *ctx)
{
	pid_t pid = (pid_t)bpf_get_current_pid_tgid();
	const char **args = (const char **)(ctx->args[1]);
	const char *argp;
	struct event *event;
	u64 ret;
	int i;

	if (bpf_map_update_elem(&execs, &pid, &empty_event, BPF_NOEXIST))
		return 0;
	event = bpf_map_lookup_elem(&execs, &pid);
	if (!event)
		return 0;
	event->timestamp_raw = bpf_ktime_get_boot_ns();
	event->args_count = 0;
	event->args_size = 0;
#pragma unroll
	for (i = 0; i < TOTAL_MAX_ARGS; i++) {
		ret = bpf_probe_read_user(&argp, sizeof(argp), &args[i]);
		if (ret || !argp)
			break;
		if (event->args_size > LAST_ARG)
			break;
		ret = bpf_probe_read_user_str(&event->args[event->args_size],
					      ARGSIZE, argp);
		if (ret > ARGSIZE)
			break;
		event->args_count++;
		event->args_size += ret;
	}
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_execve")
int ig_execve_x(struct syscall_trace_exit *ctx)
{
	pid_t pid = (pid_t)bpf_get_current_pid_tgid();
	struct event *event;
	size_t len;

	event = bpf_map_lookup_elem(&execs, &pid);
	if (!event)
		return 0;
	if (ctx->ret < 0)
		goto cleanup;
	gadget_process_populate(&event->proc);
	len = EVENT_SIZE(event);
	if (len <= sizeof(*event))
		gadget_output_buf(ctx, &events, event, len);
cleanup:
	bpf_map_delete_elem(&execs, &pid);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
