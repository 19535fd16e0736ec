// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* filter.h: every program returns 1 for "discard". */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/filter.h>

/* The struct of sockets-map.h, with the members that filters use. */
struct gadget_socket_value {
	__u64 mntns;
	__u64 pid_tgid;
	__u64 uid_gid;
	char task[TASK_COMM_LEN];
};

/* Of the event at hand; the tests set them. */
struct gadget_socket_value owner = {.mntns = 1};
gadget_comm event_comm[TASK_COMM_LEN] = "x";
volatile bool owner_known = true;

SEC("raw_tp/pid")
int pid(struct bpf_raw_tracepoint_args *ctx)
{
	return gadget_should_discard_pid(ctx->args[0]);
}

SEC("raw_tp/tid")
int tid(struct bpf_raw_tracepoint_args *ctx)
{
	return gadget_should_discard_tid(ctx->args[0]);
}

SEC("raw_tp/uid")
int uid(struct bpf_raw_tracepoint_args *ctx)
{
	return gadget_should_discard_uid(ctx->args[0]);
}

SEC("raw_tp/gid")
int gid(struct bpf_raw_tracepoint_args *ctx)
{
	return gadget_should_discard_gid(ctx->args[0]);
}

SEC("raw_tp/comm")
int comm(void *ctx)
{
	return gadget_should_discard_comm(event_comm);
}

SEC("raw_tp/mntns")
int mntns(struct bpf_raw_tracepoint_args *ctx)
{
	return gadget_should_discard_mntns_id(ctx->args[0]);
}

SEC("raw_tp/data")
int data(struct bpf_raw_tracepoint_args *ctx)
{
	return gadget_should_discard_data(ctx->args[0], ctx->args[1],
					  ctx->args[2], event_comm,
					  ctx->args[3], ctx->args[4]);
}

SEC("raw_tp/process")
int process(struct bpf_raw_tracepoint_args *ctx)
{
	struct gadget_process proc = {
		.mntns_id = ctx->args[0],
		.pid = ctx->args[1],
		.tid = ctx->args[2],
		.creds = {ctx->args[3], ctx->args[4]},
		/* Members that filters must not use. */
		.parent = {.comm = "worker", .pid = 100, .tid = 101},
	};

	__builtin_memcpy(proc.comm, event_comm, sizeof(proc.comm));
	return gadget_should_discard_process(&proc);
}

SEC("raw_tp/data_current")
int data_current(void *ctx)
{
	return gadget_should_discard_data_current();
}

SEC("raw_tp/data_by_skb")
int data_by_skb(void *ctx)
{
	struct gadget_socket_value *skb_val = NULL;

	if (owner_known)
		skb_val = &owner;
	return gadget_should_discard_data_by_skb(skb_val);
}

char LICENSE[] SEC("license") = "GPL";
