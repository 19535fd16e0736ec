// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The enriched types of the guide, with the values that it shows. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>
#include <gadget/mntns.h>
#include <gadget/types.h>

enum my_enum {
	FOO = 1,
	BAR = 2,
};

struct event {
	gadget_mntns_id mntns_id;
	gadget_timestamp timestamp_raw;
	gadget_signal sig_raw;
	gadget_errno error_raw;
	gadget_syscall syscall_raw;
	gadget_file_mode mode_raw;
	gadget_file_flags flags_raw;
	gadget_uid user_raw;
	enum my_enum myfield_raw;
	int __private;
};

GADGET_TRACER_MAP(events, 1024 * 256);

GADGET_TRACER(types, events, event);

SEC("tracepoint/syscalls/sys_enter_getpgid")
int ig_types(struct syscall_trace_enter *ctx)
{
	struct event *event;
	u64 mntns_id;

	mntns_id = gadget_get_current_mntns_id();
	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return 0;
	event->mntns_id = mntns_id;
	event->timestamp_raw = bpf_ktime_get_boot_ns();
	event->sig_raw = 23;
	event->error_raw = 2;
	event->syscall_raw = 41;
	event->mode_raw = 33188;
	event->flags_raw = 577;
	event->user_raw = 0;
	event->myfield_raw = BAR;
	event->__private = 1;
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
