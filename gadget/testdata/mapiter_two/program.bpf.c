// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Two maps in one program, each read at its own interval, and a buffer beside them. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <gadget/buffer.h>
#include <gadget/macros.h>
#include <gadget/maps.bpf.h>

struct id_key {
	__u32 id;
};

struct id_value {
	__u64 calls;
};

struct event {
	__u32 id;
};

const volatile __u32 magic = 0;
GADGET_PARAM(magic);

const volatile __u32 getpgid_nr = ~0U;
GADGET_PARAM(getpgid_nr);

GADGET_TRACER_MAP(events, 4096);
GADGET_TRACER(call, events, event);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, struct id_key);
	__type(value, struct id_value);
} by_id SEC(".maps");
GADGET_MAPITER(ids, by_id);

/* The kernel before 6.16 drops entries of a small LRU map long before it is full. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct id_key);
	__type(value, struct id_value);
} by_oddness SEC(".maps");
GADGET_MAPITER(oddness, by_oddness);

struct call {
	struct id_key key;
	bool odd;
};

static __always_inline void count(void *map, const struct id_key *key)
{
	struct id_value init = {}, *value;

	value = bpf_map_lookup_or_try_init(map, key, &init);
	if (value)
		__sync_fetch_and_add(&value->calls, 1);
}

/* Functions called by pointer have to know the maps, too. */
static long count_both(__u32 i, struct call *call)
{
	struct id_key odd = {.id = call->odd};

	count(&by_id, &call->key);
	count(&by_oddness, &odd);
	return 0;
}

SEC("raw_tp/sys_enter")
int gt_mapiter_two(struct bpf_raw_tracepoint_args *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx->args[0];
	struct event *event;
	struct call call = {};
	__u32 pid;

	if (!magic || ctx->args[1] != getpgid_nr)
		return 0;
	pid = PT_REGS_PARM1_CORE_SYSCALL(regs);
	if ((pid & 0xffff0000) != magic)
		return 0;
	call.key.id = (__u16)pid;
	call.odd = pid & 1;
	bpf_loop(1, count_both, &call, 0);

	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return 0;
	event->id = call.key.id;
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
