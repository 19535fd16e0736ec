// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Every marker, in its newer and its older spelling. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>
#include <gadget/macros.h>

struct event {
	__u32 value;
};

struct counts_key {
	__u32 pid;
	char comm[16];
};

struct counts_value {
	__u64 count;
};

struct entry {
	__u64 id;
	char name[8];
};

GADGET_TRACER_MAP(events, 4096);
GADGET_TRACER(single, events, event);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, struct counts_key);
	__type(value, struct counts_value);
} counts SEC(".maps");
GADGET_MAPITER(counted, counts);

GADGET_ITER(one, entry, walk_a);
GADGET_ITER(two, entry, walk_a, walk_b);
GADGET_ITER(three, entry, walk_a, walk_b, walk_c);
GADGET_SNAPSHOTTER(renamed, entry, walk_b);
const void *gadget_snapshotter_older___entry___walk_c __attribute__((unused));

GADGET_ITER_TARGET_MAP(walk_elem, counts);

struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} sockets SEC(".maps");
GADGET_SK_TARGET_MAP(verdict, sockets);

/* Not markers: names that only begin like one, or in another way. */
int gadget_iterations, my_gadget_param_x;

SEC("iter/task")
int walk_a(struct bpf_iter__task *ctx)
{
	return 0;
}

SEC("iter/tcp")
int walk_b(struct bpf_iter__tcp *ctx)
{
	return 0;
}

SEC("iter/udp")
int walk_c(struct bpf_iter__udp *ctx)
{
	return 0;
}

SEC("iter/bpf_map_elem")
int walk_elem(struct bpf_iter__bpf_map_elem *ctx)
{
	return 0;
}

SEC("sk_skb/stream_verdict")
int verdict(struct __sk_buff *skb)
{
	return SK_PASS;
}

SEC("kprobe/gadget_program_disabled")
int off_by_section(void *ctx)
{
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_getpgid")
int on(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
