// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Every marker of macros.h and buffer.h, and every type of types.h. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/macros.h>
#include <gadget/types.h>
#include <gadget/buffer.h>

/* Only a local pointer refers to it: the marker has to keep it in BTF. */
struct event {
	struct gadget_l3endpoint_t l3;
	struct gadget_l4endpoint_t l4;
	struct gadget_user_stack user_stack;
	struct gadget_process process;
	gadget_netns_id netns_id;
	gadget_timestamp timestamp;
	gadget_signal signal;
	gadget_errno error;
	gadget_syscall syscall;
	gadget_file_mode file_mode;
	gadget_file_flags file_flags;
	gadget_bytes bytes;
	gadget_duration duration;
	gadget_kernel_stack kernel_stack;
	gadget_counter__u32 counter32;
	gadget_counter__u64 counter64;
	gadget_gauge__u32 gauge32;
	gadget_gauge__u64 gauge64;
	gadget_histogram_slot__u32 slots32[4];
	gadget_histogram_slot__u64 slots64[4];
};

struct entry {
	gadget_pid pid;
};

struct stats_key {
	__u32 id;
};

struct stats_value {
	gadget_counter__u64 n;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, struct stats_key);
	__type(value, struct stats_value);
} stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 4);
} socks SEC(".maps");

const volatile __u32 limit = 7;
const volatile bool verbose = true;

/* With a semicolon and, as some write it, without. */
GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER_MAP(more_events, 4096)
GADGET_TRACER(open, events, event);
GADGET_TRACER(close, more_events, event)
GADGET_MAPITER(per_id, stats);
GADGET_ITER(one, entry, p1);
GADGET_ITER(two, entry, p1, p2);
GADGET_ITER(three, entry, p1, p2, p3)
GADGET_SNAPSHOTTER(old, entry, p1, p2);
GADGET_PARAM(limit);
GADGET_PARAM(verbose)
GADGET_ITER_TARGET_MAP(p3, stats);
GADGET_SK_TARGET_MAP(verdict, socks);

SEC("raw_tp/use")
int use(void *ctx)
{
	struct event *event = gadget_reserve_buf(&events, sizeof(*event));

	if (!event)
		return 0;
	__builtin_memset(event, 0, sizeof(*event));
	if (verbose)
		event->l4.proto = limit;
	else
		event->l4.proto_raw = limit;
	event->l3.addr_raw.v6_raw = 0;
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
