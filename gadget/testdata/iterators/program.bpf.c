// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Iterators of all kinds: over tasks, files, symbols and sockets. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include <gadget/common.h>
#include <gadget/macros.h>

/* Of the process with this id only; 0: all. */
const volatile __u32 only_pid = 0;
GADGET_PARAM(only_pid);

/* Without it on_off does nothing. */
const volatile bool enabled = true;
GADGET_PARAM(enabled);

struct entry {
	__u64 key;
	__u64 value;
};

GADGET_ITER(processes, gadget_process, on_task);
GADGET_ITER(files, entry, on_file);
GADGET_ITER(symbols, entry, on_symbol);
GADGET_ITER(listening, entry, on_tcp, on_udp);
GADGET_ITER(several, entry, on_file, on_sleepable);
GADGET_ITER(switched, entry, on_off);

static __always_inline int write(struct bpf_iter_meta *meta, __u64 key,
				 __u64 value)
{
	struct entry entry = {key, value};

	bpf_seq_write(meta->seq, &entry, sizeof(entry));
	return 0;
}

SEC("iter/task")
int on_task(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct gadget_process process;

	if (!task || (only_pid && task->tgid != only_pid))
		return 0;
	gadget_process_populate_from_task(task, &process);
	bpf_seq_write(ctx->meta->seq, &process, sizeof(process));
	return 0;
}

SEC("iter/task_file")
int on_file(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;

	if (!task || !file || task->tgid != only_pid)
		return 0;
	return write(ctx->meta, ctx->fd, file->f_inode->i_ino);
}

SEC("iter/ksym")
int on_symbol(struct bpf_iter__ksym *ctx)
{
	struct kallsym_iter *symbol = ctx->ksym;

	if (!symbol)
		return 0;
	return write(ctx->meta, symbol->type, symbol->value);
}

SEC("iter/tcp")
int on_tcp(struct bpf_iter__tcp *ctx)
{
	struct sock_common *sk = ctx->sk_common;

	if (!sk || sk->skc_state != BPF_TCP_LISTEN)
		return 0;
	return write(ctx->meta, sk->skc_num, sk->skc_net.net->ns.inum);
}

SEC("iter/udp")
int on_udp(struct bpf_iter__udp *ctx)
{
	struct udp_sock *udp = ctx->udp_sk;

	if (!udp)
		return 0;
	return write(ctx->meta, udp->inet.sk.__sk_common.skc_num,
		     udp->inet.sk.__sk_common.skc_net.net->ns.inum);
}

SEC("iter.s/task")
int on_sleepable(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;

	if (!task || task->pid != only_pid)
		return 0;
	return write(ctx->meta, task->pid, task->tgid);
}

SEC("iter/task")
int on_off(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;

	if (!enabled || !task)
		return 0;
	return write(ctx->meta, task->pid, task->tgid);
}

char LICENSE[] SEC("license") = "GPL";
