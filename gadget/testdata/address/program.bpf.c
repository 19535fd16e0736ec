// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A param that is an IP address, which each event contains. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>
#include <gadget/macros.h>
#include <gadget/types.h>

struct event {
	struct gadget_l3endpoint_t addr;
};

const volatile __u32 magic = 0;
GADGET_PARAM(magic);
const volatile struct gadget_l3endpoint_t only = {0};
GADGET_PARAM(only);

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(address, events, event);

SEC("tracepoint/syscalls/sys_enter_getpgid")
int gt_address(struct syscall_trace_enter *ctx)
{
	__u32 pid = ctx->args[0];
	struct event *e;

	if (!magic || (pid & 0xffff0000) != magic)
		return 0;
	e = gadget_reserve_buf(&events, sizeof(*e));
	if (!e)
		return 0;
	__builtin_memset(e, 0, sizeof(*e));
	e->addr.version = only.version;
	for (int i = 0; i < sizeof(only.addr_raw.v6); i++)
		e->addr.addr_raw.v6[i] = only.addr_raw.v6[i];
	gadget_submit_buf(ctx, &events, e, sizeof(*e));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
