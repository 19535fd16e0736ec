// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Programs that the yaml moves and switches off. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <gadget/buffer.h>

struct event {
	u32 n;
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(moved, events, event);

SEC("kprobe/dummy_file_read")
int BPF_KPROBE(ig_off, void *f)
{
	struct event e = {.n = 1};

	gadget_output_buf(ctx, &events, &e, sizeof(e));
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_none")
int ig_moved(void *ctx)
{
	struct event e = {.n = 2};

	gadget_output_buf(ctx, &events, &e, sizeof(e));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
