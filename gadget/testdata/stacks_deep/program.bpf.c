// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A stack of the kernel, taken by a program that uses almost all of the stack that programs have. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>
#include <gadget/kernel_stack_map.h>
#include <gadget/macros.h>

struct event {
	gadget_kernel_stack kernel_raw;
	__u32 sum;
};

GADGET_TRACER_MAP(events, 4096);
GADGET_TRACER(stacks, events, event);

SEC("raw_tp/sys_enter")
int deep(struct bpf_raw_tracepoint_args *ctx)
{
	struct {
		struct event event;
		char memory[496];
	} all;

	if (ctx->args[1] != ~0ULL)
		return 0;
	all.event.kernel_raw = gadget_get_kernel_stack(ctx);
	bpf_probe_read_kernel(all.memory, sizeof(all.memory), (void *)1);
	all.event.sum = all.memory[0] + all.memory[495];
	bpf_ringbuf_output(&events, &all.event, sizeof(all.event), 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
