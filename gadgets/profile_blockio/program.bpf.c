// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Counts how long block devices take for requests, as a histogram.
 *
 * A request is one struct from its start to its end, so its address tells which start
 * belongs to which end.  A device may complete a request in parts; the last one ends it.
 *
 * Since 5.11, by a54895fa057c ("block: remove the request_queue to argument request based
 * tracepoints"), the request is the first argument of each of these tracepoints.
 */

#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include <gadget/bits.bpf.h>
#include <gadget/macros.h>
#include <gadget/maps.bpf.h>
#include <gadget/types.h>

#define MAX_ENTRIES   10240
#define MAX_SLOTS     27
#define DISK_NAME_LEN 32
#define REQ_OP_MASK   0xff

/* What a request is for, and how the kernel handles it. */
enum blockio_operation_set {
	read = 1 << 0,
	write = 1 << 1,
	flush = 1 << 2,
	discard = 1 << 3,
	secure_erase = 1 << 4,
	write_zeroes = 1 << 5,
	zone = 1 << 6,
	driver = 1 << 7,
	sync = 1 << 8,
	meta = 1 << 9,
	prio = 1 << 10,
	fua = 1 << 11,
	preflush = 1 << 12,
	readahead = 1 << 13,
	background = 1 << 14,
	idle = 1 << 15,
	nowait = 1 << 16,
};

struct hist_key {
	__u32 cmd_flags; /* 0 without targ_per_flag */
	__u32 dev;	 /* 0 without targ_per_disk */
	enum blockio_operation_set operation_raw;
	char disk[DISK_NAME_LEN];
};

struct hist {
	gadget_histogram_slot__u32 latency[MAX_SLOTS];
};

const volatile bool targ_ms = false;
GADGET_PARAM(targ_ms);

const volatile bool targ_queued = false;
GADGET_PARAM(targ_queued);

const volatile bool targ_per_disk = false;
GADGET_PARAM(targ_per_disk);

const volatile bool targ_per_flag = false;
GADGET_PARAM(targ_per_flag);

const volatile char targ_dev[DISK_NAME_LEN] = "";
GADGET_PARAM(targ_dev);

/* Requests that the device has not completed, and when they began. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ENTRIES);
	__type(key, __u64);
	__type(value, __u64);
} start SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ENTRIES);
	__type(key, struct hist_key);
	__type(value, struct hist);
} hists SEC(".maps");

GADGET_MAPITER(blockio, hists);

/* Requests for which there was no room in either map. */
GADGET_LOST_COUNTER(hists);

/* How an entry begins. */
static const struct hist nothing;

/* Before 5.17, by f3fa33acca9f ("block: remove the ->rq_disk field in struct request"). */
struct request___rq_disk {
	struct gendisk *rq_disk;
} __attribute__((preserve_access_index));

static __always_inline const struct gendisk *disk_of(const struct request *rq)
{
	if (bpf_core_field_exists(((struct request___rq_disk *)0)->rq_disk))
		return ((const struct request___rq_disk *)rq)->rq_disk;
	return rq->q->disk;
}

static __always_inline bool is_other_disk(const struct request *rq)
{
	char name[DISK_NAME_LEN];

	if (targ_dev[0] == '\0')
		return false;
	if (bpf_probe_read_kernel_str(name, sizeof(name),
				      disk_of(rq)->disk_name) < 0)
		return true;
#pragma unroll
	for (int i = 0; i < DISK_NAME_LEN; i++) {
		char want = targ_dev[i];

		if (name[i] != want)
			return true;
		if (want == '\0')
			break;
	}
	return false;
}

#define FLAG(from, to)                                                       \
	((flags & (1ULL << bpf_core_enum_value(enum req_flag_bits, from))) ? \
		 (to) :                                                      \
		 0)

static __always_inline __u32 operation_of(__u32 flags)
{
	__u32 kind = flags & REQ_OP_MASK, all;

	switch (kind) {
	case REQ_OP_READ:
		all = read;
		break;
	case REQ_OP_WRITE:
		all = write;
		break;
	case REQ_OP_FLUSH:
		all = flush;
		break;
	case REQ_OP_DISCARD:
		all = discard;
		break;
	case REQ_OP_SECURE_ERASE:
		all = secure_erase;
		break;
	case REQ_OP_WRITE_ZEROES:
		all = write_zeroes;
		break;
	case REQ_OP_DRV_IN:
	case REQ_OP_DRV_OUT:
		all = driver;
		break;
	default: /* the numbers of the others differ between kernels */
		all = zone;
	}
	return all | FLAG(__REQ_SYNC, sync) | FLAG(__REQ_META, meta) |
	       FLAG(__REQ_PRIO, prio) | FLAG(__REQ_FUA, fua) |
	       FLAG(__REQ_PREFLUSH, preflush) | FLAG(__REQ_RAHEAD, readahead) |
	       FLAG(__REQ_BACKGROUND, background) | FLAG(__REQ_IDLE, idle) |
	       FLAG(__REQ_NOWAIT, nowait);
}

/* A request that the kernel hands to the device once more has begun before. */
static __always_inline int begin(struct request *rq)
{
	__u64 id = (__u64)rq, now;

	if (is_other_disk(rq))
		return 0;
	now = bpf_ktime_get_ns();
	if (bpf_map_update_elem(&start, &id, &now, BPF_NOEXIST) &&
	    !bpf_map_lookup_elem(&start, &id))
		gadget_count_lost(hists);
	return 0;
}

SEC("tp_btf/block_rq_insert")
int BPF_PROG(blockio_insert, struct request *rq)
{
	return targ_queued ? begin(rq) : 0;
}

SEC("tp_btf/block_rq_issue")
int BPF_PROG(blockio_issue, struct request *rq)
{
	return begin(rq);
}

/* The kernel joins a request with the one before, and frees it.  It does not end. */
SEC("tp_btf/block_rq_merge")
int BPF_PROG(blockio_merge, struct request *rq)
{
	__u64 id = (__u64)rq;

	bpf_map_delete_elem(&start, &id);
	return 0;
}

static __always_inline void count(const struct request *rq, __u64 took)
{
	struct hist_key key = {};
	struct hist *hist;
	__u64 slot;

	if (targ_per_flag) {
		key.cmd_flags = rq->cmd_flags;
		key.operation_raw = operation_of(key.cmd_flags);
	}
	if (targ_per_disk) {
		const struct gendisk *disk = disk_of(rq);

		key.dev = disk->major << 20 | disk->first_minor;
		bpf_probe_read_kernel_str(key.disk, sizeof(key.disk),
					  disk->disk_name);
	}
	hist = bpf_map_lookup_or_try_init(&hists, &key, &nothing);
	if (!hist) {
		gadget_count_lost(hists);
		return;
	}
	slot = get_slot_idx(took / (targ_ms ? 1000000 : 1000));
	if (slot >= MAX_SLOTS)
		slot = MAX_SLOTS - 1;
	__sync_fetch_and_add(&hist->latency[slot], 1);
}

SEC("tp_btf/block_rq_complete")
int BPF_PROG(blockio_done, struct request *rq, int error, unsigned int bytes)
{
	__u64 id = (__u64)rq, began;

	if (bytes < rq->__data_len)
		return 0;
	if (gadget_map_take(&start, &id, &began))
		count(rq, bpf_ktime_get_ns() - began);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
