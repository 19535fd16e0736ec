// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Records of any length and number.  The call getpgid(magic | n << 8 | length)
 * makes n records with the first length bytes of struct record.
 */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#define GADGET_NO_BUF_RESERVE
#include <gadget/buffer.h>
#include <gadget/macros.h>

/* What a record is said to be; most are longer or shorter. */
struct event {
	__u64 seq;
	__u8 data[24];
};

struct record {
	__u64 seq;	/* counts the records of this CPU */
	__u8 data[248]; /* no byte is 0 */
};

const volatile __u32 magic = 0;
GADGET_PARAM(magic);

GADGET_TRACER_MAP(events, 4096);
GADGET_TRACER(records, events, event);

/* All records that were made, whether there was room for them or not. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} produced SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct record);
} scratch SEC(".maps");

struct run {
	void *ctx;
	struct record *record;
	__u64 *count;
	__u32 length;
};

static long make(__u32 i, struct run *run)
{
	__u32 length = run->length & 0xff;

	run->record->seq = ++*run->count;
	gadget_output_buf(run->ctx, &events, run->record, length);
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_getpgid")
int gt_records(struct trace_event_raw_sys_enter *ctx)
{
	__u32 pid = ctx->args[0], zero = 0;
	struct run run = {.ctx = ctx, .length = (__u8)pid};

	if (!magic || (pid & 0xffff0000) != magic)
		return 0;
	run.count = bpf_map_lookup_elem(&produced, &zero);
	run.record = bpf_map_lookup_elem(&scratch, &zero);
	if (!run.count || !run.record)
		return 0;
	if (!run.record->data[0])
		__builtin_memset(run.record->data, 0xa5,
				 sizeof(run.record->data));
	bpf_loop((__u8)(pid >> 8), make, &run, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
