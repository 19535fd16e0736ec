/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef __GADGET_CORE_FIXES_BPF_H
#define __GADGET_CORE_FIXES_BPF_H

/*
 * Changes in the kernel, with one function for each.  When the program is loaded, it is
 * known which branch applies to the kernel, so the verifier removes the other.  All
 * functions are for programs that have bpf_probe_read_kernel().
 *
 * The structs are CO-RE flavours: the loader ignores "___" and everything after it in the
 * name.  They have the members that matter here and that a kernel may have.
 */

#include <vmlinux.h>
#include <gadget/base.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define __gadget_flavour __attribute__((preserve_access_index))

/*
 * bpf_core_unreachable: for a place that no kernel should reach.  If the verifier can
 * reach it, it refuses the program as it does for a field that the kernel lacks.
 */
static void (*bpf_core_unreachable)(void) = (void *)0xbad2310;

/*
 * Since 5.14, by 2f064a59a11f ("sched: Change task_struct::state"), the member is
 * called __state and is an unsigned int.
 */
struct task_struct___gadget_state {
	volatile long state;
	unsigned int __state;
} __gadget_flavour;

/*
 * get_task_state: a task's state, as TASK_RUNNING and its like number it, with the
 * flags that newer kernels keep above them.
 */
static __always_inline __s64 get_task_state(void *task)
{
	struct task_struct___gadget_state *t = task;

	if (bpf_core_field_exists(t->__state))
		return BPF_CORE_READ(t, __state);
	return BPF_CORE_READ(t, state);
}

/*
 * Since 5.12, by 309dca309fc3 ("block: store a block_device pointer in struct
 * bio"), there is a struct in between.
 */
struct block_device___gadget {
	struct gendisk *bd_disk;
} __gadget_flavour;

struct bio___gadget {
	struct gendisk *bi_disk;
	struct block_device___gadget *bi_bdev;
} __gadget_flavour;

/* get_gendisk: the disk that a struct bio is for. */
static __always_inline struct gendisk *get_gendisk(void *bio)
{
	struct bio___gadget *b = bio;

	if (bpf_core_field_exists(b->bi_bdev))
		return BPF_CORE_READ(b, bi_bdev, bd_disk);
	return BPF_CORE_READ(b, bi_disk);
}

/*
 * Since 5.15, by d152c682f03c ("block: add an explicit ->disk backpointer to the
 * request_queue"), the queue knows the disk; since 5.17, by f3fa33acca9f ("block:
 * remove the ->rq_disk field in struct request"), the request does not.
 */
struct request_queue___gadget {
	struct gendisk *disk;
} __gadget_flavour;

struct request___gadget {
	struct request_queue___gadget *q;
	struct gendisk *rq_disk;
} __gadget_flavour;

/* get_disk: the disk that a struct request is for. */
static __always_inline struct gendisk *get_disk(void *request)
{
	struct request___gadget *r = request;

	if (bpf_core_field_exists(r->rq_disk))
		return BPF_CORE_READ(r, rq_disk);
	return BPF_CORE_READ(r, q, disk);
}

/*
 * Since 5.18, by d5869fdc189f ("block: introduce block_rq_error tracepoint"), the
 * context of tracepoint/block/block_rq_complete has the type
 * trace_event_raw_block_rq_completion, and no longer trace_event_raw_block_rq_complete.
 */
struct trace_event_raw_block_rq_completion___gadget {
	int error;
} __gadget_flavour;

static __always_inline bool has_block_rq_completion(void)
{
	return bpf_core_type_exists(
		struct trace_event_raw_block_rq_completion___gadget);
}

/*
 * Since 5.12, by 3544de8ee6e4 ("mm, tracing: record slab name for
 * kmem_cache_free()"), the tracepoints kfree and kmem_cache_free have a type of
 * context each, and no longer trace_event_raw_kmem_free both.
 */
struct trace_event_raw_kfree___gadget {
	const void *ptr;
} __gadget_flavour;

struct trace_event_raw_kmem_cache_free___gadget {
	const void *ptr;
} __gadget_flavour;

static __always_inline bool has_kfree(void)
{
	return bpf_core_type_exists(struct trace_event_raw_kfree___gadget);
}

static __always_inline bool has_kmem_cache_free(void)
{
	return bpf_core_type_exists(
		struct trace_event_raw_kmem_cache_free___gadget);
}

/*
 * vfs_create(), vfs_unlink() and similar functions have one more first argument: since 5.12, by
 * 6521f8917082 ("namei: prepare for idmapped mounts"), a user namespace; since 6.3,
 * by abf08576afe3 ("fs: port vfs_*() helpers to struct mnt_idmap"), a mnt_idmap.  The
 * members of struct renamedata show which one the kernel has.
 */
struct renamedata___gadget {
	struct user_namespace *old_mnt_userns;
	struct mnt_idmap *new_mnt_idmap;
	struct mnt_idmap *mnt_idmap;
} __gadget_flavour;

static __always_inline bool renamedata_has_old_mnt_userns_field(void)
{
	return bpf_core_field_exists(struct renamedata___gadget,
				     old_mnt_userns);
}

static __always_inline bool renamedata_has_new_mnt_idmap_field(void)
{
	return bpf_core_field_exists(struct renamedata___gadget,
				     new_mnt_idmap) ||
	       bpf_core_field_exists(struct renamedata___gadget, mnt_idmap);
}

/*
 * Since 6.17, by ad892e912b84 ("tcp: trace retransmit failures in
 * tcp_retransmit_skb"), the context of tracepoint/tcp/tcp_retransmit_skb has a type
 * of its own.
 */
struct trace_event_raw_tcp_retransmit_skb___gadget {
	const void *skbaddr;
	const void *skaddr;
} __gadget_flavour;

struct trace_event_raw_tcp_event_sk_skb___gadget {
	const void *skbaddr;
	const void *skaddr;
} __gadget_flavour;

static __always_inline bool __gadget_has_tcp_retransmit_skb(void)
{
	return bpf_core_type_exists(
		struct trace_event_raw_tcp_retransmit_skb___gadget);
}

/*
 * gadget_get_tcp_retransmit_skb_skbaddr: the struct sk_buff, in the kernel.
 * @ctx: of a program on tracepoint/tcp/tcp_retransmit_skb
 */
static __always_inline const void *
gadget_get_tcp_retransmit_skb_skbaddr(void *ctx)
{
	struct trace_event_raw_tcp_retransmit_skb___gadget *now = ctx;
	struct trace_event_raw_tcp_event_sk_skb___gadget *before = ctx;

	if (__gadget_has_tcp_retransmit_skb())
		return BPF_CORE_READ(now, skbaddr);
	return BPF_CORE_READ(before, skbaddr);
}

/* gadget_get_tcp_retransmit_skb_skaddr: the same for the struct sock. */
static __always_inline const void *
gadget_get_tcp_retransmit_skb_skaddr(void *ctx)
{
	struct trace_event_raw_tcp_retransmit_skb___gadget *now = ctx;
	struct trace_event_raw_tcp_event_sk_skb___gadget *before = ctx;

	if (__gadget_has_tcp_retransmit_skb())
		return BPF_CORE_READ(now, skaddr);
	return BPF_CORE_READ(before, skaddr);
}

/*
 * The times of an inode were renamed, in 6.6 by 13bc24457850 ("fs: rename i_ctime
 * field to __i_ctime") and in 6.7 by 12cd44023651 ("fs: rename inode i_atime and
 * i_mtime fields"), and became two numbers each in 6.11 by 3aa63a569c64 ("fs: switch
 * timespec64 fields in inode to discrete integers").
 */
struct inode___gadget_times {
	struct timespec64 i_ctime;
	struct timespec64 __i_ctime;
	__s64 i_ctime_sec;
	__u32 i_ctime_nsec;
	struct timespec64 i_mtime;
	struct timespec64 __i_mtime;
	__s64 i_mtime_sec;
	__u32 i_mtime_nsec;
} __gadget_flavour;

/*
 * Set in i_ctime_nsec since 6.13, by 4e40eff0b573 ("fs: add infrastructure for
 * multigrain timestamps"), when the time has been queried.
 */
#define __GADGET_CTIME_QUERIED (1U << 31)

/* gadget_inode_get_ctime: when an inode was changed last, since 1970. */
static __always_inline void gadget_inode_get_ctime(struct inode *inode,
						   __u64 *sec, __u32 *nsec)
{
	struct inode___gadget_times *i = (void *)inode;

	if (bpf_core_field_exists(i->i_ctime_sec)) {
		*sec = BPF_CORE_READ(i, i_ctime_sec);
		*nsec = BPF_CORE_READ(i, i_ctime_nsec) &
			~__GADGET_CTIME_QUERIED;
	} else if (bpf_core_field_exists(i->__i_ctime)) {
		*sec = BPF_CORE_READ(i, __i_ctime.tv_sec);
		*nsec = BPF_CORE_READ(i, __i_ctime.tv_nsec);
	} else {
		*sec = BPF_CORE_READ(i, i_ctime.tv_sec);
		*nsec = BPF_CORE_READ(i, i_ctime.tv_nsec);
	}
}

/* gadget_inode_get_mtime: when a file was written to last, since 1970. */
static __always_inline void gadget_inode_get_mtime(struct inode *inode,
						   __u64 *sec, __u32 *nsec)
{
	struct inode___gadget_times *i = (void *)inode;

	if (bpf_core_field_exists(i->i_mtime_sec)) {
		*sec = BPF_CORE_READ(i, i_mtime_sec);
		*nsec = BPF_CORE_READ(i, i_mtime_nsec);
	} else if (bpf_core_field_exists(i->__i_mtime)) {
		*sec = BPF_CORE_READ(i, __i_mtime.tv_sec);
		*nsec = BPF_CORE_READ(i, __i_mtime.tv_nsec);
	} else {
		*sec = BPF_CORE_READ(i, i_mtime.tv_sec);
		*nsec = BPF_CORE_READ(i, i_mtime.tv_nsec);
	}
}

/* gadget_get_ctime_nanosec_from_inode: the time of the function above as one number. */
static __always_inline __u64
gadget_get_ctime_nanosec_from_inode(struct inode *inode)
{
	__u64 sec = 0;
	__u32 nsec = 0;

	gadget_inode_get_ctime(inode, &sec, &nsec);
	return sec * 1000000000 + nsec;
}

/*
 * The registers of a 64-bit program that calls the kernel, by architecture: a program
 * that is compiled for one architecture finds them on the other, too.
 */
struct pt_regs___gadget_x86 {
	unsigned long r10;
	unsigned long r9;
	unsigned long r8;
	unsigned long dx;
	unsigned long si;
	unsigned long di;
	unsigned long orig_ax;
} __gadget_flavour;

struct pt_regs___gadget_arm64 {
	__u64 regs[31];
	__u64 orig_x0;
	__s32 syscallno;
} __gadget_flavour;

static __always_inline bool __gadget_has_x86_regs(void)
{
	return bpf_core_field_exists(struct pt_regs___gadget_x86, orig_ax);
}

/*
 * gadget_get_syscall_nr: the number of the system call that a task is in.
 * @regs: the task's registers on entry: the argument of the tracepoints
 *        sys_enter and sys_exit
 *
 * 32-bit programs use other numbers, which cannot be distinguished here.
 */
static __always_inline long gadget_get_syscall_nr(struct pt_regs *regs)
{
	struct pt_regs___gadget_arm64 *arm64 = (void *)regs;
	struct pt_regs___gadget_x86 *x86 = (void *)regs;

	if (__gadget_has_x86_regs())
		return BPF_CORE_READ(x86, orig_ax);
	return BPF_CORE_READ(arm64, syscallno);
}

static __always_inline __u64
__gadget_get_syscall_arg_x86(struct pt_regs___gadget_x86 *regs, int n)
{
	switch (n) {
	case 1:
		return BPF_CORE_READ(regs, di);
	case 2:
		return BPF_CORE_READ(regs, si);
	case 3:
		return BPF_CORE_READ(regs, dx);
	case 4:
		return BPF_CORE_READ(regs, r10);
	case 5:
		return BPF_CORE_READ(regs, r8);
	case 6:
		return BPF_CORE_READ(regs, r9);
	}
	return 0;
}

/* The register of the first argument is also that of the result. */
static __always_inline __u64
__gadget_get_syscall_arg_arm64(struct pt_regs___gadget_arm64 *regs, int n)
{
	switch (n) {
	case 1:
		return BPF_CORE_READ(regs, orig_x0);
	case 2:
		return BPF_CORE_READ(regs, regs[1]);
	case 3:
		return BPF_CORE_READ(regs, regs[2]);
	case 4:
		return BPF_CORE_READ(regs, regs[3]);
	case 5:
		return BPF_CORE_READ(regs, regs[4]);
	case 6:
		return BPF_CORE_READ(regs, regs[5]);
	}
	return 0;
}

/*
 * gadget_get_syscall_arg: an argument of the system call that a task is in.
 * @n: which one: 1 to 6
 */
static __always_inline __u64 gadget_get_syscall_arg(struct pt_regs *regs, int n)
{
	if (__gadget_has_x86_regs())
		return __gadget_get_syscall_arg_x86((void *)regs, n);
	return __gadget_get_syscall_arg_arm64((void *)regs, n);
}

#endif /* __GADGET_CORE_FIXES_BPF_H */
