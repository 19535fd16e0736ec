// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Functions of processes, and libbpf's additions for them since version 1.1. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

struct event {
	struct gadget_process proc;
	__u64 value;
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(functions, events, event);

struct cookie {
	struct task_struct __kptr_untrusted *task;
	int padding;
};

static __hidden __noinline int describe(struct pt_regs *regs __arg_ctx)
{
	return PT_REGS_PARM6(regs) != 0;
}

static __always_inline int report(void *ctx, __u64 value)
{
	struct event event;

	if (unlikely(gadget_should_discard_data_current()))
		return 0;
	gadget_process_populate(&event.proc);
	event.value = value;
	gadget_output_buf(ctx, &events, &event, sizeof(event));
	return 0;
}

SEC("uprobe/libc:mmap")
int BPF_UPROBE(ig_mmap_e, void *addr, size_t len, int prot, int flags, int fd,
	       long off)
{
	return report(ctx, off + describe(ctx));
}

SEC("uretprobe/libc:mmap")
int BPF_URETPROBE(ig_mmap_x, void *ret)
{
	return report(ctx, (__u64)ret);
}

SEC("ksyscall/mmap")
int BPF_KSYSCALL(ig_ksys_mmap, unsigned long addr, unsigned long len,
		 unsigned long prot, unsigned long flags, unsigned long fd,
		 unsigned long off)
{
	return report(ctx, off);
}

SEC("raw_tp/sys_enter")
int BPF_PROG(ig_sys_enter, struct pt_regs *regs, long id)
{
	__u64 sum = 0;
	int i;

	if (likely(id != 9))
		return 0;
	sum += PT_REGS_PARM1_CORE_SYSCALL(regs);
	sum += PT_REGS_PARM2_CORE_SYSCALL(regs);
	sum += PT_REGS_PARM3_CORE_SYSCALL(regs);
	sum += PT_REGS_PARM4_CORE_SYSCALL(regs);
	sum += PT_REGS_PARM5_CORE_SYSCALL(regs);
	sum += PT_REGS_PARM6_CORE_SYSCALL(regs);
	if (bpf_ksym_exists(bpf_iter_num_new)) {
		bpf_for(i, 0, 6) sum += i;
	}
	if (bpf_ksym_exists(bpf_rdonly_cast)) {
		struct task_struct *task = bpf_core_cast(
			(void *)bpf_get_current_task(), struct task_struct);

		sum += task->flags;
	}
	return report(ctx, sum);
}

char LICENSE[] SEC("license") = "GPL";
