// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Uses the additions of compat/bpf to libbpf's headers. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

__u64 results[8];

const volatile __u32 only_pid = 0;

static __always_inline bool is_other(void)
{
	return bpf_get_current_pid_tgid() >> 32 != only_pid;
}

/* libc's syscall(number, ...): the arguments of a function. */
SEC("uprobe/libc:syscall")
int BPF_UPROBE(on_syscall, long nr, long a, long b, long c, long d, long e)
{
	if (nr != (long)results[7])
		return 0;
	results[0] = a;
	results[1] = b;
	results[2] = c;
	results[3] = d;
	results[4] = e;
	results[5]++;
	return 0;
}

/* Its result. */
SEC("uretprobe/libc:syscall")
int BPF_URETPROBE(after_syscall, long ret)
{
	results[6] = ret;
	return 0;
}

/* The arguments of a system call, in the registers that it began with. */
SEC("raw_tp/sys_enter")
int on_sys_enter(struct bpf_raw_tracepoint_args *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx->args[0];

	if (is_other() || ctx->args[1] != results[7])
		return 0;
	results[0] = PT_REGS_PARM1_CORE_SYSCALL(regs);
	results[1] = PT_REGS_PARM4_CORE_SYSCALL(regs);
	results[2] = PT_REGS_PARM5_CORE_SYSCALL(regs);
	results[3] = PT_REGS_PARM6_CORE_SYSCALL(regs);
	results[5]++;
	return 0;
}

/* The same for a typed pointer, whose members are loaded. */
SEC("tp_btf/sys_enter")
int BPF_PROG(on_btf_sys_enter, struct pt_regs *regs, long nr)
{
	if (is_other() || nr != (long)results[7])
		return 0;
	results[0] = PT_REGS_PARM1_SYSCALL(regs);
	results[1] = PT_REGS_PARM4_SYSCALL(regs);
	results[2] = PT_REGS_PARM5_SYSCALL(regs);
	results[3] = PT_REGS_PARM6_SYSCALL(regs);
	results[5]++;
	return 0;
}

/* A function of the kernel whose arguments are known, and a system call. */
SEC("ksyscall/mmap")
int BPF_KSYSCALL(on_mmap, unsigned long addr, unsigned long len, long prot,
		 long flags, long fd, long off)
{
	if (is_other() || len != results[7])
		return 0;
	results[0] = addr;
	results[1] = prot;
	results[2] = flags;
	results[3] = fd;
	results[4] = off;
	results[5]++;
	return 0;
}

SEC("kprobe/ksys_mmap_pgoff")
int BPF_KPROBE(on_ksys_mmap, unsigned long addr, unsigned long len, long prot,
	       long flags, long fd, long pgoff)
{
	if (is_other() || len != results[7])
		return 0;
	results[0] = addr;
	results[1] = prot;
	results[2] = flags;
	results[3] = fd;
	results[4] = pgoff;
	results[5]++;
	return 0;
}

/* Returns 7 if this kernel has no such loops. */
SEC("raw_tp/loops")
int loops(struct bpf_raw_tracepoint_args *ctx)
{
	int i, j, n = ctx->args[0], repeated = 0;
	__u64 sum = 0, pairs = 0;
	int *p;

	if (!bpf_ksym_exists(bpf_iter_num_new))
		return 7;
	bpf_for(i, 0, n)
	{
		if (i % 2)
			continue;
		if (i > 1000)
			break;
		sum += i;
		bpf_for(j, 0, 10) pairs++;
	}
	bpf_repeat(n) repeated++;
	results[0] = sum;
	results[1] = pairs;
	results[2] = repeated;
	sum = 0;
	bpf_for_each(num, p, 5, n) sum += *p;
	results[3] = sum;
	return 0;
}

/* An index that only the loop bounds. */
__u64 table[100];

SEC("raw_tp/bounds")
int bounds(void *ctx)
{
	int i;

	if (!bpf_ksym_exists(bpf_iter_num_new))
		return 7;
	bpf_for(i, 0, 100) table[i] = i;
	return 0;
}

/* Returns 7 if this kernel has no such casts. */
SEC("raw_tp/cast")
int cast(void *ctx)
{
	struct task_struct *task;

	if (!bpf_ksym_exists(bpf_rdonly_cast))
		return 7;
	task = bpf_core_cast((void *)bpf_get_current_task(),
			     struct task_struct);
	results[0] = task->pid;
	task = bpf_core_cast((void *)16, struct task_struct);
	results[1] = task->pid;
	return 0;
}

union header {
	struct tcphdr tcp;
	__u32 words[sizeof(struct tcphdr) / 4];
};

/* Returns whether our way and the compiler's give different headers. */
SEC("raw_tp/bitfield")
int bitfield(struct bpf_raw_tracepoint_args *ctx)
{
	union header ours, theirs;
	struct tcphdr *mine = &ours.tcp, *its = &theirs.tcp;
	__u32 differences = 0;

	__builtin_memset(&ours, 0xa5, sizeof(ours));
	theirs = ours;
	BPF_CORE_WRITE_BITFIELD(mine, doff, ctx->args[0]);
	BPF_CORE_WRITE_BITFIELD(mine, syn, ctx->args[1]);
	its->doff = ctx->args[0];
	its->syn = ctx->args[1];
	results[0] = BPF_CORE_READ_BITFIELD(mine, doff);
	results[1] = BPF_CORE_READ_BITFIELD(mine, syn);
#pragma unroll
	for (int i = 0; i < (int)(sizeof(ours) / 4); i++)
		differences |= ours.words[i] ^ theirs.words[i];
	return differences != 0;
}

char LICENSE[] SEC("license") = "GPL";
