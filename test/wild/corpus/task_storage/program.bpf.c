// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Task storage, which needs BTF of the key, and a timer-less ring of its own besides. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <gadget/buffer.h>

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, u64);
} storage SEC(".maps");

struct event {
	u64 calls;
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(storage_of, events, event);

SEC("tp_btf/sys_enter")
int BPF_PROG(ig_storage, struct pt_regs *regs, long id)
{
	struct event e = {};
	u64 *calls;

	if (id != 121 && id != 155)
		return 0;
	calls = bpf_task_storage_get(&storage, bpf_get_current_task_btf(), 0,
				     BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!calls)
		return 0;
	e.calls = ++*calls;
	gadget_output_buf(ctx, &events, &e, sizeof(e));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
