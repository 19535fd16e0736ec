// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Kernel enums, own enums and sets, 0 in each. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>
#include <gadget/macros.h>
#include <gadget/types.h>

enum mount_flags_set {
	MS_RDONLY = 1,
	MS_NOSUID = 2,
	MS_NODEV = 4,
};

enum kind : __u8 {
	ONE = 1,
	TWO,
};

struct event {
	enum mount_flags_set flags_raw;
	enum mount_flags_set none_raw;
	enum kind kind_raw;
	enum pid_type type_raw;
	enum bpf_map_type map_raw;
	gadget_duration d_raw;
	gadget_bytes b_raw;
	gadget_errno error_raw;
	gadget_signal sig_raw;
	gadget_uid user_raw;
	gadget_gid nobody_raw;
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(mixed, events, event);

SEC("tracepoint/syscalls/sys_enter_getpgid")
int ig_mixed(struct syscall_trace_enter *ctx)
{
	struct event e = {};

	e.flags_raw = MS_RDONLY | MS_NODEV;
	e.kind_raw = TWO;
	e.type_raw = PIDTYPE_TGID;
	e.map_raw = BPF_MAP_TYPE_HASH;
	e.d_raw = 2000;
	e.b_raw = 4200000;
	e.sig_raw = 9;
	e.nobody_raw = 4242424;
	gadget_output_buf(ctx, &events, &e, sizeof(e));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
