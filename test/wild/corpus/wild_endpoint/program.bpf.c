// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* An endpoint of its own, as the headers of others declare it: 16-aligned, with proto_raw. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>

typedef __u64 gadget_timestamp_of_mine;

union wild_addr {
	__u8 v6[16];
	__u32 v4;
	unsigned __int128 v6_raw __attribute__((aligned(16)));
};

struct gadget_l4endpoint_t___mine {
	int unused;
};

struct event {
	__u16 port;
	union wild_addr addr_raw;
	gadget_timestamp_of_mine at;
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(own, events, event);

SEC("tracepoint/syscalls/sys_enter_getpgid")
int ig_own(struct syscall_trace_enter *ctx)
{
	struct event e;

	__builtin_memset(&e, 0, sizeof(e));
	e.port = 7;
	e.at = 9;
	gadget_output_buf(ctx, &events, &e, sizeof(e));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
