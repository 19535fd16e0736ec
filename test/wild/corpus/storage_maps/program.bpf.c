// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Maps of every kind that gadgets in the wild keep state in. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>
#include <gadget/fnv1a.h>
#include <gadget/maps.bpf.h>
#include <gadget/types.h>

struct lpm_key {
	__u32 prefixlen;
	__u8 data[4];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 128);
	__type(key, u32);
	__type(value, u64);
} lru SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
	__uint(max_entries, 128);
	__type(key, u32);
	__type(value, u64);
} lru_percpu SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__uint(key_size, sizeof(u32));
	__uint(value_size, sizeof(u64));
} array SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 16);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct lpm_key);
	__type(value, u32);
} routes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 8);
	__type(value, u64);
} queue SEC(".maps");

struct inner {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, u32);
	__type(value, u64);
} inner SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 8);
	__type(key, u64);
	__array(values, struct inner);
} outer SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(u32));
	__uint(value_size, sizeof(u32));
} cgroup_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__uint(key_size, sizeof(u32));
	__uint(value_size, sizeof(u32));
} progs SEC(".maps");

const volatile bool filter_cg = false;

struct event {
	u64 seen;
	u32 hash;
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(kinds, events, event);

static const u64 nothing = 0;

SEC("tracepoint/syscalls/sys_enter_getpgid")
int ig_kinds(struct syscall_trace_enter *ctx)
{
	u64 *seen, *slot, id = bpf_get_current_pid_tgid();
	struct lpm_key key = {.prefixlen = 32};
	u32 one = 1, pid = id >> 32;
	struct event e = {};
	void *map;

	if (filter_cg && !bpf_current_task_under_cgroup(&cgroup_map, 0))
		return 0;
	seen = bpf_map_lookup_or_try_init(&lru, &pid, &nothing);
	if (seen)
		e.seen = ++*seen;
	bpf_map_update_elem(&lru_percpu, &pid, &id, BPF_ANY);
	slot = bpf_map_lookup_elem(&array, &one);
	if (slot)
		*slot = id;
	if (bpf_map_lookup_elem(&routes, &key))
		return 0;
	bpf_map_push_elem(&queue, &id, BPF_EXIST);
	map = bpf_map_lookup_elem(&outer, &id);
	if (map)
		bpf_map_update_elem(map, &pid, &id, BPF_ANY);
	e.hash = fnv_32a_init();
	fnv_32a_update_u32(&e.hash, 7);
	gadget_output_buf(ctx, &events, &e, sizeof(e));
	bpf_tail_call(ctx, &progs, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
