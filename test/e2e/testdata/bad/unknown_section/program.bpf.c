// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/* A section with an unknown name. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>
#include <gadget/macros.h>

struct event {
	__u32 number;
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(bad, events, event);

SEC("tracepiont/syscalls/sys_enter_openat")
int e2e_section(void *ctx)
{
	struct event event = {.number = 1};

	gadget_output_buf(ctx, &events, &event, sizeof(event));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
