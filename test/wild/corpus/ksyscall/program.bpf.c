// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* BPF_KSYSCALL, and a kprobe on the entry of a call by the registers of registers. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/core_fixes.bpf.h>
#include <gadget/buffer.h>

struct event {
	u64 addr;
	u64 len;
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(maps, events, event);

SEC("ksyscall/munmap")
int BPF_KSYSCALL(ig_munmap, unsigned long addr, size_t len)
{
	struct event e = {.addr = addr, .len = len};

	gadget_output_buf(ctx, &events, &e, sizeof(e));
	return 0;
}

#ifdef __TARGET_ARCH_x86
SEC("kprobe/__x64_sys_mprotect")
#else
SEC("kprobe/__arm64_sys_mprotect")
#endif
int ig_mprotect(struct pt_regs *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)PT_REGS_PARM1(ctx);
	struct event e = {};

	e.addr = gadget_get_syscall_arg(regs, 1);
	e.len = PT_REGS_PARM2_CORE_SYSCALL(regs);
	gadget_output_buf(ctx, &events, &e, sizeof(e));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
