// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Arguments with commas in them, which only functions take. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>

struct event {
	u32 a, b;
};

GADGET_TRACER_MAP(first, 1024 * 256);
GADGET_TRACER_MAP(second, 1024 * 256);
GADGET_TRACER(one, first, event);
GADGET_TRACER(two, second, event);

static __noinline int emit(void *ctx, void *map, u32 a)
{
	return gadget_output_buf(ctx, map, &(struct event){.a = a, .b = 2},
				 sizeof(struct event));
}

SEC("tracepoint/syscalls/sys_enter_getpgid")
int ig_compound(struct syscall_trace_enter *ctx)
{
	void *map = &second;

	gadget_output_buf(ctx, &first, &(struct event){.a = 1, .b = 2},
			  sizeof(struct event));
	emit(ctx, map, 3);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
