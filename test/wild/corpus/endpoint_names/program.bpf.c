// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Both spellings of the protocol. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include <gadget/buffer.h>
#include <gadget/types.h>

struct event {
	struct gadget_l4endpoint_t src, dst;
	struct gadget_l3endpoint_t nameserver;
	gadget_netns_id netns_id;
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(conns, events, event);

SEC("tracepoint/syscalls/sys_enter_getpgid")
int ig_conn(struct syscall_trace_enter *ctx)
{
	struct event *e = gadget_reserve_buf(&events, sizeof(*e));

	if (!e)
		return 0;
	__builtin_memset(e, 0, sizeof(*e));
	e->src.version = 4;
	e->src.addr_raw.v4 = bpf_htonl(0x7f000001);
	e->src.port = 8080;
	e->src.proto = IPPROTO_TCP;
	e->dst.version = 6;
	e->dst.addr_raw.v6_raw = (unsigned __int128)1 << 120;
	e->dst.port = 53;
	e->dst.proto_raw = IPPROTO_UDP;
	e->nameserver.version = 4;
	e->nameserver.addr_raw.v4 = bpf_htonl(0x08080808);
	gadget_submit_buf(ctx, &events, e, sizeof(*e));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
