// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Reads a struct, and asks for sockets, that no kernel has types for. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <gadget/buffer.h>
#include <gadget/macros.h>
#define GADGET_TYPE_TRACING
#include <gadget/sockets-map.h>

struct event {
	__u64 value;
	__u64 owner;
	__u64 has_cwd;
};

struct no_such_thing___of_tomorrow {
	__u64 before;
	__u64 wanted;
} __attribute__((preserve_access_index));

const volatile bool strange = false;
GADGET_PARAM(strange);

GADGET_TRACER_MAP(events, 4096);
GADGET_TRACER(absent, events, event);

SEC("tracepoint/syscalls/sys_enter_getpgid")
int gt_absent(struct trace_event_raw_sys_enter *ctx)
{
	struct no_such_thing___of_tomorrow *thing = (void *)ctx->args[1];
	struct gadget_socket_value *value;
	struct event event = {};

	if (strange)
		event.value = BPF_CORE_READ(thing, wanted);
	value = gadget_socket_lookup((struct sock *)ctx->args[2], 1);
	if (value) {
		event.owner = value->pid_tgid;
		event.has_cwd = bpf_core_field_exists(value->cwd);
	}
	gadget_output_buf(ctx, &events, &event, sizeof(event));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
