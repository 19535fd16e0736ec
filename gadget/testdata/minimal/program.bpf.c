// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * An object that was built without gizmo's headers: no constant that the loader
 * could set, no counter of lost events, and a marker of the older spelling.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct sys_enter {
	__u64 common;
	__s64 id;
	__u64 args[6];
};

struct event {
	__u32 value;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

const struct event *unused __attribute__((unused)); /* for BTF to have it */
const void *gadget_tracer_minimal___events___event __attribute__((unused));

const volatile __u32 magic = 0;
const void *gadget_param_magic __attribute__((unused));

SEC("tracepoint/syscalls/sys_enter_getpgid")
int gt_minimal(struct sys_enter *ctx)
{
	__u32 pid = ctx->args[0];
	struct event *e;

	if (!magic || (pid & 0xffff0000) != magic)
		return 0;
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e)
		return 0;
	e->value = (__u16)pid;
	if (e->value == 0xffff) /* not an event */
		bpf_ringbuf_discard(e, 0);
	else
		bpf_ringbuf_submit(e, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
