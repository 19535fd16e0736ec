// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
// Where threads are when they leave the CPU, and for how long they stay away.
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <gadget/common.h>
#include <gadget/filter.h>
#include <gadget/kernel_stack_map.h>
#include <gadget/macros.h>
#include <gadget/maps.bpf.h>
#include <gadget/types.h>
#include <gadget/user_stack_map.h>

#define MAX_ENTRIES 10240

struct offcpu_key {
	gadget_pid pid;
	gadget_tid tid;
	__u32 user_stack_id;
	gadget_kernel_stack kstack_raw;
};

struct offcpu_value {
	struct gadget_process proc;
	gadget_duration total_raw;
	__u64 times;
	struct gadget_user_stack ustack_raw;
};

struct left {
	__u64 at;
	struct offcpu_key key;
	struct offcpu_value value;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ENTRIES);
	__type(key, __u32);
	__type(value, struct left);
} away SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ENTRIES);
	__type(key, struct offcpu_key);
	__type(value, struct offcpu_value);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct left);
} scratch SEC(".maps");

GADGET_MAPITER(offcpu, counts);

const volatile __u64 min_ns = 1000000;
GADGET_PARAM(min_ns);

SEC("tp_btf/sched_switch")
int BPF_PROG(offcpu_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	__u32 zero = 0, pid = next->pid;
	struct offcpu_value *v;
	struct left *l;
	__u64 delta;

	// current is still prev here
	if (prev->pid && !gadget_should_discard_data_current()) {
		struct left *room = bpf_map_lookup_elem(&scratch, &zero);
		__u32 tid = prev->pid;

		if (!room)
			return 0;
		__builtin_memset(room, 0, sizeof(*room));
		room->at = bpf_ktime_get_ns();
		room->key.pid = prev->tgid;
		room->key.tid = prev->pid;
		room->key.kstack_raw = gadget_get_kernel_stack(ctx);
		gadget_get_user_stack(ctx, &room->value.ustack_raw, collect_ustack);
		room->key.user_stack_id = room->value.ustack_raw.stack_id;
		gadget_process_populate(&room->value.proc);
		bpf_map_update_elem(&away, &tid, room, BPF_ANY);
	}

	l = bpf_map_lookup_elem(&away, &pid);
	if (!l)
		return 0;
	delta = bpf_ktime_get_ns() - l->at;
	if (delta >= min_ns) {
		v = bpf_map_lookup_or_try_init(&counts, &l->key, &l->value);
		if (v) {
			__sync_fetch_and_add(&v->total_raw, delta);
			__sync_fetch_and_add(&v->times, 1);
		}
	}
	bpf_map_delete_elem(&away, &pid);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(offcpu_exit, struct task_struct *p)
{
	__u32 pid = p->pid;

	bpf_map_delete_elem(&away, &pid);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
