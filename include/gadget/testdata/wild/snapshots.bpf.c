// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Iterators, by both names of their macro, and one over a map. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_endian.h>

#include <gadget/filesystem.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

struct entry {
	gadget_mntns_id mntns_id;
	gadget_comm comm[TASK_COMM_LEN];
	gadget_pid pid;
	gadget_tid tid;
	gadget_ppid ppid;
	gadget_uid uid;
	gadget_gid gid;
	__u32 fd;
};

struct socket_entry {
	struct gadget_l4endpoint_t src;
	struct gadget_l4endpoint_t dst;
	gadget_netns_id netns_id;
	__u32 state;
};

struct stat_key {
	__u32 id;
};

struct row_count {
	gadget_counter__u64 n;
};

struct symbol {
	__u64 address;
	char name[64];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, struct stat_key);
	__type(value, struct row_count);
} stats SEC(".maps");

GADGET_SNAPSHOTTER(processes, entry, ig_snap_proc);
GADGET_ITER(files, entry, ig_snap_file);
GADGET_ITER(sockets, socket_entry, ig_snap_tcp, ig_snap_udp);
GADGET_ITER(symbols, symbol, ig_snap_ksym);
GADGET_ITER(stats, row_count, ig_snap_stats);
GADGET_ITER_TARGET_MAP(ig_snap_stats, stats);

static __always_inline bool fill(struct entry *entry, struct task_struct *task)
{
	entry->mntns_id = task->nsproxy->mnt_ns->ns.inum;
	entry->pid = task->tgid;
	entry->tid = task->pid;
	entry->ppid = task->real_parent->tgid;
	entry->uid = task->cred->uid.val;
	entry->gid = task->cred->gid.val;
	__builtin_memcpy(entry->comm, task->comm, TASK_COMM_LEN);
	return !gadget_should_discard_data(entry->mntns_id, entry->pid,
					   entry->tid, entry->comm, entry->uid,
					   entry->gid);
}

SEC("iter/task")
int ig_snap_proc(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct entry entry = {};

	if (!task || task->tgid != task->pid || !fill(&entry, task))
		return 0;
	bpf_seq_write(ctx->meta->seq, &entry, sizeof(entry));
	return 0;
}

SEC("iter/task_file")
int ig_snap_file(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct entry entry = {};

	if (!task || !file || !fill(&entry, task))
		return 0;
	entry.fd = ctx->fd;
	if (!get_path_str(&file->f_path))
		return 0;
	bpf_seq_write(ctx->meta->seq, &entry, sizeof(entry));
	return 0;
}

SEC("iter/tcp")
int ig_snap_tcp(struct bpf_iter__tcp *ctx)
{
	struct sock_common *sk = ctx->sk_common;
	struct socket_entry entry = {};

	if (!sk)
		return 0;
	entry.state = sk->skc_state;
	entry.src.port = sk->skc_num;
	entry.dst.port = bpf_ntohs(sk->skc_dport);
	entry.netns_id = sk->skc_net.net->ns.inum;
	bpf_seq_write(ctx->meta->seq, &entry, sizeof(entry));
	return 0;
}

SEC("iter/udp")
int ig_snap_udp(struct bpf_iter__udp *ctx)
{
	struct udp_sock *sk = ctx->udp_sk;
	struct socket_entry entry = {};

	if (!sk)
		return 0;
	entry.src.port = sk->inet.sk.__sk_common.skc_num;
	bpf_seq_write(ctx->meta->seq, &entry, sizeof(entry));
	return 0;
}

SEC("iter/ksym")
int ig_snap_ksym(struct bpf_iter__ksym *ctx)
{
	struct kallsym_iter *iter = ctx->ksym;
	struct symbol symbol = {};

	if (!iter)
		return 0;
	symbol.address = iter->value;
	bpf_probe_read_kernel_str(symbol.name, sizeof(symbol.name), iter->name);
	bpf_seq_write(ctx->meta->seq, &symbol, sizeof(symbol));
	return 0;
}

SEC("iter/bpf_map_elem")
int ig_snap_stats(struct bpf_iter__bpf_map_elem *ctx)
{
	struct row_count *row = ctx->value;
	struct row_count copy;

	if (!row)
		return 0;
	copy = *row;
	bpf_seq_write(ctx->meta->seq, &copy, sizeof(copy));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
