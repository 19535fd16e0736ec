// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A static probe of libc. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/usdt.bpf.h>
#include <gadget/buffer.h>

struct event {
	u64 arg;
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(probes, events, event);

SEC("usdt/libc:libc:setjmp")
int BPF_USDT(ig_setjmp, void *env)
{
	struct event e = {.arg = (u64)env};

	gadget_output_buf(ctx, &events, &e, sizeof(e));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
