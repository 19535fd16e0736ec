// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Block I/O latency per disk and direction, as power-of-two histograms. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <gadget/bits.bpf.h>
#include <gadget/core_fixes.bpf.h>
#include <gadget/macros.h>
#include <gadget/maps.bpf.h>
#include <gadget/types.h>

#define SLOTS	    27
#define MAX_ENTRIES 10240
#define REQ_OP_MASK 0xff

extern int LINUX_KERNEL_VERSION __kconfig;

const volatile bool targ_ms = false;
const volatile __u32 targ_major = 0;
GADGET_PARAM(targ_ms);
GADGET_PARAM(targ_major);

enum disk_op {
	op_read = 0,
	op_write = 1,
	op_flush = 2,
	op_discard = 3,
};

struct disk_key {
	__u32 major;
	__u32 minor;
	enum disk_op op_raw;
};

struct disk_hist {
	gadget_histogram_slot__u32 latency[SLOTS];
	gadget_counter__u64 requests;
	gadget_counter__u64 bytes;
};

static struct disk_hist no_hist;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ENTRIES);
	__type(key, struct request *);
	__type(value, u64);
} issued SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct disk_key);
	__type(value, struct disk_hist);
} hists SEC(".maps");

GADGET_MAPITER(disklat, hists);

SEC("raw_tp/block_rq_issue")
int disklat_issue(struct bpf_raw_tracepoint_args *ctx)
{
	struct request *rq;
	u64 ts = bpf_ktime_get_ns();

	/* 5.11 took the queue out of the arguments */
	if (LINUX_KERNEL_VERSION < KERNEL_VERSION(5, 11, 0))
		rq = (void *)ctx->args[1];
	else
		rq = (void *)ctx->args[0];
	bpf_map_update_elem(&issued, &rq, &ts, BPF_ANY);
	return 0;
}

SEC("raw_tp/block_rq_complete")
int BPF_PROG(disklat_complete, struct request *rq, int error, unsigned int nr_bytes)
{
	struct disk_key key = {};
	struct disk_hist *hist;
	struct gendisk *disk;
	u64 *tsp, delta, slot;

	tsp = bpf_map_lookup_elem(&issued, &rq);
	if (!tsp)
		return 0;
	delta = bpf_ktime_get_ns() - *tsp;
	bpf_map_delete_elem(&issued, &rq);
	if ((s64)delta < 0)
		return 0;

	disk = get_disk(rq);
	if (disk) {
		key.major = BPF_CORE_READ(disk, major);
		key.minor = BPF_CORE_READ(disk, first_minor);
	}
	if (targ_major && key.major != targ_major)
		return 0;
	key.op_raw = BPF_CORE_READ(rq, cmd_flags) & REQ_OP_MASK;

	hist = bpf_map_lookup_or_try_init(&hists, &key, &no_hist);
	if (!hist)
		return 0;

	delta /= targ_ms ? 1000000U : 1000U;
	slot = get_slot_idx(delta);
	if (slot >= SLOTS)
		slot = SLOTS - 1;
	__sync_fetch_and_add(&hist->latency[slot], 1);
	__sync_fetch_and_add(&hist->requests, 1);
	__sync_fetch_and_add(&hist->bytes, nr_bytes);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
