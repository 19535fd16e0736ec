// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* core_fixes.bpf.h: one program or more for each function. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <gadget/core_fixes.bpf.h>
#include <gadget/filesystem.h>

/* Whose doings count, set by the tests. */
const volatile __u32 only_pid = 0;
const volatile __u32 only_port = 0;
const volatile __u32 only_disk = 0; /* major << 20 | minor */

__u64 results[16];

/* The state of only_pid, in results[0]; results[1]: found it. */
SEC("iter/task")
int task_state(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;

	if (!task || (__u32)task->pid != only_pid)
		return 0;
	results[0] = get_task_state(task);
	results[1] = 1;
	return 0;
}

SEC("raw_tp/has")
int has(void *ctx)
{
	return has_block_rq_completion() | has_kfree() << 1 |
	       has_kmem_cache_free() << 2 |
	       renamedata_has_old_mnt_userns_field() << 3 |
	       renamedata_has_new_mnt_idmap_field() << 4;
}

/* The times of the file descriptor args[0]. */
SEC("raw_tp/times")
int times(struct bpf_raw_tracepoint_args *ctx)
{
	struct file *file = get_struct_file_for_fd(ctx->args[0]);
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	__u32 nsec = 0;
	__u64 sec = 0;

	results[0] = gadget_get_ctime_nanosec_from_inode(inode);
	gadget_inode_get_mtime(inode, &sec, &nsec);
	results[1] = sec * 1000000000 + nsec;
	return 0;
}

SEC("raw_tp/sys_enter")
int sys_enter(struct bpf_raw_tracepoint_args *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx->args[0];

	if ((__u32)bpf_get_current_pid_tgid() != only_pid ||
	    gadget_get_syscall_nr(regs) != (long)results[8])
		return 0;
	results[0]++;
	results[1] = gadget_get_syscall_arg(regs, 1);
	results[2] = gadget_get_syscall_arg(regs, 2);
	results[3] = gadget_get_syscall_arg(regs, 3);
	results[4] = gadget_get_syscall_arg(regs, 4);
	results[5] = gadget_get_syscall_arg(regs, 5);
	results[6] = gadget_get_syscall_arg(regs, 6);
	return 0;
}

static __always_inline __u32 number(struct gendisk *disk)
{
	return BPF_CORE_READ(disk, major) << 20 |
	       BPF_CORE_READ(disk, first_minor);
}

SEC("raw_tp/block_rq_issue")
int rq_issue(struct bpf_raw_tracepoint_args *ctx)
{
	/* The queue was the first argument before 5.11. */
	if (number(get_disk((void *)ctx->args[0])) == only_disk)
		__sync_fetch_and_add(&results[0], 1);
	return 0;
}

SEC("raw_tp/block_bio_queue")
int bio_queue(struct bpf_raw_tracepoint_args *ctx)
{
	if (number(get_gendisk((void *)ctx->args[0])) == only_disk)
		__sync_fetch_and_add(&results[1], 1);
	return 0;
}

SEC("tracepoint/tcp/tcp_retransmit_skb")
int retransmit(void *ctx)
{
	const struct sk_buff *skb = gadget_get_tcp_retransmit_skb_skbaddr(ctx);
	const struct sock *sk = gadget_get_tcp_retransmit_skb_skaddr(ctx);
	const struct tcp_skb_cb *cb = (const void *)skb->cb;

	if (BPF_CORE_READ(sk, __sk_common.skc_num) != only_port)
		return 0;
	results[0] = BPF_CORE_READ_BITFIELD_PROBED(cb, tcp_flags);
	__sync_fetch_and_add(&results[1], 1);
	return 0;
}

/* Refused by the verifier if the kernel gets there. */
const volatile bool come_here = false;

SEC("raw_tp/unreachable")
int unreachable(void *ctx)
{
	if (come_here)
		bpf_core_unreachable();
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
