// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Functions that this build of the library lacks, and a library that is not there. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <gadget/buffer.h>
#include <gadget/types.h>

enum op { op_malloc, op_free, op_none };

struct event {
	enum op operation_raw;
	u64 addr;
	gadget_comm comm[16];
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(malloc, events, event);

static __always_inline int gen(void *ctx, enum op op, u64 addr)
{
	struct event *event;
	char comm[16];

	bpf_get_current_comm(comm, sizeof(comm));
	if (comm[0] != 'l' || comm[1] != 's')
		return 0;
	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return 0;
	event->operation_raw = op;
	event->addr = addr;
	__builtin_memcpy(event->comm, comm, sizeof(comm));
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
	return 0;
}

SEC("uprobe/libc:malloc")
int BPF_KPROBE(trace_malloc, size_t size)
{
	return gen(ctx, op_malloc, size);
}

SEC("uretprobe/libc:malloc")
int trace_malloc_ret(struct pt_regs *ctx)
{
	return gen(ctx, op_malloc, PT_REGS_RC(ctx));
}

SEC("uprobe/libc:free")
int BPF_KPROBE(trace_free, void *address)
{
	return gen(ctx, op_free, (u64)address);
}

SEC("uprobe/libc:malloc_of_another_year")
int BPF_KPROBE(trace_none)
{
	return gen(ctx, op_none, 0);
}

SEC("uprobe/libwildnothing:f")
int BPF_KPROBE(trace_nothing)
{
	return gen(ctx, op_none, 0);
}

char LICENSE[] SEC("license") = "GPL";
