// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Static probes, as libbpf has them. */
#include <vmlinux.h>
#include <bpf/usdt.bpf.h>

#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

struct event {
	struct gadget_process proc;
	__u64 size;
	__u64 sum;
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(probes, events, event);

SEC("usdt/libc:libc:memory_sbrk_more")
int BPF_USDT(ig_sbrk, void *top, __u64 size)
{
	struct event event;
	long first = 0;

	if (gadget_should_discard_data_current())
		return 0;
	bpf_usdt_arg(ctx, 0, &first);
	gadget_process_populate(&event.proc);
	event.size = size;
	event.sum = first + bpf_usdt_arg_cnt(ctx) + bpf_usdt_cookie(ctx) +
		    bpf_usdt_arg_size(ctx, 0);
	gadget_output_buf(ctx, &events, &event, sizeof(event));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
