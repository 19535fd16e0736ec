// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* nsmount: who mounts and unmounts what, and how long it took */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

#include "mount_flags.h"

#define PATH_LEN 256
#define FS_LEN	 16

enum mount_call {
	mount_call_mount,
	mount_call_move_mount,
};

struct mount_event {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;

	enum mount_call call_raw;
	enum mount_flags_set flags_raw;
	gadget_errno error_raw;
	gadget_duration took_raw;
	char fstype[FS_LEN];
	char source[PATH_LEN];
	char target[PATH_LEN];
};

struct umount_event {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;
	gadget_errno error_raw;
	__u32 flags;
	bool lazy;
	char target[PATH_LEN];
};

struct pending {
	__u64 since;
	__u64 flags;
	const char *source;
	const char *target;
	const char *fstype;
	enum mount_call call;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct pending);
} inflight SEC(".maps");

GADGET_TRACER_MAP(mount_events, 1024 * 256);
GADGET_TRACER(mount, mount_events, mount_event);

GADGET_TRACER_MAP(umount_events, 1024 * 128);
GADGET_TRACER(umount, umount_events, umount_event);

const volatile bool failed_only = false;
GADGET_PARAM(failed_only);

static __always_inline int enter(struct pending *p)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();

	if (gadget_should_discard_data_current())
		return 0;

	p->since = bpf_ktime_get_ns();
	// a second entry for the same thread means that the exit was lost
	if (bpf_map_update_elem(&inflight, &tid, p, BPF_NOEXIST))
		bpf_map_update_elem(&inflight, &tid, p, BPF_EXIST);
	return 0;
}

static __always_inline int leave_mount(struct syscall_trace_exit *ctx)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct mount_event *ev;
	struct pending *p;
	long ret = ctx->ret;

	p = bpf_map_lookup_elem(&inflight, &tid);
	if (!p)
		return 0;

	if (failed_only && ret >= 0)
		goto done;

	ev = gadget_reserve_buf(&mount_events, sizeof(*ev));
	if (!ev)
		goto done;

	ev->timestamp_raw = bpf_ktime_get_boot_ns();
	gadget_process_populate(&ev->proc);
	ev->call_raw = p->call;
	ev->flags_raw = (enum mount_flags_set)p->flags;
	ev->error_raw = ret < 0 ? -ret : 0;
	ev->took_raw = bpf_ktime_get_ns() - p->since;
	ev->fstype[0] = 0;
	ev->source[0] = 0;
	ev->target[0] = 0;
	if (p->fstype)
		bpf_probe_read_user_str(ev->fstype, sizeof(ev->fstype), p->fstype);
	if (p->source)
		bpf_probe_read_user_str(ev->source, sizeof(ev->source), p->source);
	if (p->target)
		bpf_probe_read_user_str(ev->target, sizeof(ev->target), p->target);
	gadget_submit_buf(ctx, &mount_events, ev, sizeof(*ev));
done:
	bpf_map_delete_elem(&inflight, &tid);
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_mount")
int nsmount_mount_e(struct syscall_trace_enter *ctx)
{
	struct pending p = {
		.source = (const char *)ctx->args[0],
		.target = (const char *)ctx->args[1],
		.fstype = (const char *)ctx->args[2],
		.flags = (__u64)ctx->args[3],
		.call = mount_call_mount,
	};
	return enter(&p);
}

SEC("tracepoint/syscalls/sys_exit_mount")
int nsmount_mount_x(struct syscall_trace_exit *ctx)
{
	return leave_mount(ctx);
}

SEC("tracepoint/syscalls/sys_enter_move_mount")
int nsmount_move_e(struct syscall_trace_enter *ctx)
{
	struct pending p = {
		.source = (const char *)ctx->args[1],
		.target = (const char *)ctx->args[3],
		.call = mount_call_move_mount,
	};
	return enter(&p);
}

SEC("tracepoint/syscalls/sys_exit_move_mount")
int nsmount_move_x(struct syscall_trace_exit *ctx)
{
	return leave_mount(ctx);
}

SEC("tracepoint/syscalls/sys_enter_umount")
int nsmount_umount_e(struct syscall_trace_enter *ctx)
{
	struct pending p = {
		.target = (const char *)ctx->args[0],
		.flags = (__u64)ctx->args[1],
	};
	return enter(&p);
}

SEC("tracepoint/syscalls/sys_exit_umount")
int nsmount_umount_x(struct syscall_trace_exit *ctx)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct umount_event *ev;
	struct pending *p;

	p = bpf_map_lookup_elem(&inflight, &tid);
	if (!p)
		return 0;
	if (failed_only && ctx->ret >= 0)
		goto done;
	ev = gadget_reserve_buf(&umount_events, sizeof(*ev));
	if (!ev)
		goto done;
	__builtin_memset(ev, 0, sizeof(*ev));
	ev->timestamp_raw = bpf_ktime_get_boot_ns();
	gadget_process_populate(&ev->proc);
	ev->error_raw = ctx->ret < 0 ? -ctx->ret : 0;
	ev->flags = p->flags;
	ev->lazy = !!(p->flags & 2 /* MNT_DETACH */);
	bpf_probe_read_user_str(ev->target, sizeof(ev->target), p->target);
	gadget_submit_buf(ctx, &umount_events, ev, sizeof(*ev));
done:
	bpf_map_delete_elem(&inflight, &tid);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
