// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The rarer kinds of maps: arrays of maps, storage of sockets and inodes, a stack, a bloom filter, the author's own stack traces. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <gadget/buffer.h>
#include <gadget/macros.h>

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
};

struct inner first SEC(".maps"), second SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, u32);
	__array(values, struct inner);
} outer SEC(".maps") = {
	.values = {&first, &second},
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, u64);
} of_socket SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_INODE_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, u64);
} of_inode SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 8);
	__type(value, u64);
} stack SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__uint(max_entries, 64);
	__type(value, u32);
} bloom SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 256);
	__uint(key_size, sizeof(u32));
	__uint(value_size, 50 * sizeof(u64));
} stackmap SEC(".maps");

/* A ring that is declared without GADGET_TRACER_MAP. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} events SEC(".maps");

struct event {
	u64 array;
	u64 top;
	s32 stack_id;
	bool seen;
};

GADGET_TRACER(kinds, events, event);

SEC("tracepoint/syscalls/sys_enter_getpgid")
int ig_kinds(struct syscall_trace_enter *ctx)
{
	u32 one = 1, zero = 0, pid = ctx->args[0];
	u64 n = 7, *value;
	struct event e = {};
	void *map;

	if (pid != 4242)
		return 0;
	map = bpf_map_lookup_elem(&outer, &one);
	if (!map)
		return 0;
	bpf_map_update_elem(map, &zero, &n, BPF_ANY);
	value = bpf_map_lookup_elem(&second, &zero);
	if (value)
		e.array = *value;
	n = 9;
	bpf_map_push_elem(&stack, &n, BPF_EXIST);
	bpf_map_pop_elem(&stack, &e.top);
	bpf_map_push_elem(&bloom, &pid, BPF_ANY);
	e.seen = bpf_map_peek_elem(&bloom, &pid) == 0;
	e.stack_id = bpf_get_stackid(ctx, &stackmap, 0) < 0;
	bpf_ringbuf_output(&events, &e, sizeof(e), 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
