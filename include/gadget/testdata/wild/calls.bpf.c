// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * A gadget as the guide for authors has them: tracepoints at a call's entry and
 * exit, a map between the two, every filter and every enriched type, both stacks.
 */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/filter.h>
#include <gadget/kernel_stack_map.h>
#include <gadget/macros.h>
#include <gadget/maps.bpf.h>
#include <gadget/mntns.h>
#include <gadget/mntns_filter.h>
#include <gadget/types.h>
#include <gadget/user_stack_map.h>

#define TASK_COMM_LEN 16
#define NAME_MAX      255

enum kind {
	KIND_READ = 1,
	KIND_WRITE = 2,
};

enum flags_set {
	FLAG_SLOW = 0x01,
	FLAG_LARGE = 0x02,
};

struct event {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;
	gadget_mntns_id mntns_id;
	gadget_netns_id netns_id;
	gadget_errno error_raw;
	gadget_signal sig_raw;
	gadget_syscall syscall_raw;
	gadget_file_mode mode_raw;
	gadget_file_flags flags_raw;
	gadget_uid user_raw;
	gadget_gid group_raw;
	gadget_pid pid;
	gadget_tid tid;
	gadget_ppid ppid;
	gadget_comm comm[TASK_COMM_LEN];
	gadget_pcomm pcomm[TASK_COMM_LEN];
	gadget_bytes size;
	gadget_duration latency_raw;
	struct gadget_l3endpoint_t near;
	struct gadget_l4endpoint_t far;
	enum kind kind_raw;
	enum flags_set set_raw;
	gadget_kernel_stack kstack_raw;
	struct gadget_user_stack ustack;
	char name[NAME_MAX];
};

struct pending {
	const char *name;
	__u64 started;
};

/* The author's own, as the guide shows it. */
const volatile bool collect_ustack = false;
GADGET_PARAM(collect_ustack);

const volatile bool failed_only = false;
GADGET_PARAM(failed_only);

const volatile __s32 pending_max_entries = 1024;
GADGET_PARAM(pending_max_entries);

const struct pending no_call = {};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct pending);
} pending SEC(".maps");

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(calls, events, event);

SEC("tracepoint/syscalls/sys_enter_unlinkat")
int ig_unlinkat_e(struct syscall_trace_enter *ctx)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct pending *call;
	u64 mntns_id;

	mntns_id = gadget_get_current_mntns_id();
	if (gadget_should_discard_mntns_id(mntns_id))
		return 0;
	if (gadget_should_discard_data_current())
		return 0;
	call = bpf_map_lookup_or_try_init(&pending, &tid, &no_call);
	if (!call)
		return 0;
	call->name = (const char *)ctx->args[1];
	call->started = bpf_ktime_get_boot_ns();
	return 0;
}

static __always_inline bool is_unwanted(const struct event *event)
{
	return gadget_should_discard_data(event->mntns_id, event->pid,
					  event->tid, event->proc.comm,
					  event->user_raw, event->group_raw) ||
	       gadget_should_discard_pid(event->pid) ||
	       gadget_should_discard_tid(event->tid) ||
	       gadget_should_discard_uid(event->user_raw) ||
	       gadget_should_discard_gid(event->group_raw) ||
	       gadget_should_discard_comm(event->proc.comm);
}

SEC("tracepoint/syscalls/sys_exit_unlinkat")
int ig_unlinkat_x(struct syscall_trace_exit *ctx)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct pending *call = bpf_map_lookup_elem(&pending, &tid);
	long kernel_stack_id;
	struct event *event;

	if (!call)
		return 0;
	if (failed_only && ctx->ret >= 0)
		goto cleanup;
	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		goto cleanup;

	__builtin_memset(event, 0, sizeof(*event));
	gadget_process_populate(&event->proc);
	event->timestamp_raw = bpf_ktime_get_boot_ns();
	event->latency_raw = event->timestamp_raw - call->started;
	event->mntns_id = gadget_get_mntns_id();
	event->pid = event->proc.pid;
	event->tid = event->proc.tid;
	event->user_raw = event->proc.creds.uid;
	event->group_raw = event->proc.creds.gid;
	if (is_unwanted(event)) {
		gadget_discard_buf(event);
		goto cleanup;
	}
	event->error_raw = ctx->ret < 0 ? -ctx->ret : 0;
	event->syscall_raw = ctx->nr;
	event->kind_raw = KIND_WRITE;
	event->set_raw = FLAG_SLOW | FLAG_LARGE;
	event->near.addr_raw.v4 = 0x0100007f;
	event->near.version = 4;
	event->far.addr_raw.v6[15] = 1;
	event->far.port = 443;
	event->far.proto_raw = IPPROTO_TCP;
	event->far.version = 6;
	kernel_stack_id = gadget_get_kernel_stack(ctx);
	if (kernel_stack_id >= 0)
		event->kstack_raw = kernel_stack_id;
	gadget_get_user_stack(ctx, &event->ustack, collect_ustack);
	bpf_probe_read_user_str(&event->name, sizeof(event->name), call->name);
	gadget_submit_buf(ctx, &events, event, sizeof(*event));

cleanup:
	bpf_map_delete_elem(&pending, &tid);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
