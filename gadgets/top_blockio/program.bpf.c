// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Adds up what processes read from block devices and write to them.
 *
 * The process is the one that makes the request.  Later steps may happen in threads of the
 * kernel: the request is handed to the device, which is the moment that its time begins and its size is
 * final, and the device completes it.
 *
 * Since 6.5, by 5a80bd075f3b ("block: introduce block_io_start/block_io_done tracepoints"), there are
 * tracepoints at both ends.  Before, the first is where a process gets a request for a bio, which is known by that bio
 * until it is handed to the device; and the device may complete the request in parts, of which the last counts.
 *
 * Since 5.11, by a54895fa057c ("block: remove the request_queue to argument request based
 * tracepoints"), the request or the bio is the first argument of each of these tracepoints.
 */

#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include <gadget/common.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/maps.bpf.h>
#include <gadget/types.h>

#define MAX_ENTRIES 10240
#define REQ_OP_MASK 0xff

enum op {
	read,
	write,
};

struct info_key {
	struct gadget_process proc;
	enum op rw_raw;
	__s32 major;
	__s32 minor;
	__u32 __padding;
};

struct info_value {
	__u64 bytes;
	__u64 us;
	__u32 io;
	__u32 __padding;
};

/* A request that has not ended. */
struct pending {
	struct gadget_process proc;
	__u64 issued; /* 0: not yet */
	__u64 bytes;
};

/* Keyed by the request. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ENTRIES);
	__type(key, __u64);
	__type(value, struct pending);
} requests SEC(".maps");

/* Keyed by the bio, until its request is handed to the device. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_ENTRIES);
	__type(key, __u64);
	__type(value, struct pending);
} bios SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ENTRIES);
	__type(key, struct info_key);
	__type(value, struct info_value);
} counts SEC(".maps");

GADGET_MAPITER(blockio, counts);

/* Requests for which there was no room in one of the maps. */
GADGET_LOST_COUNTER(counts);

/* How an entry begins. */
static const struct info_value nothing;

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

/*
 * A bio may have ended unseen, joined with a request, and its address belongs to another one
 * now.  The entry must not stay in the place of one that is to be left out.
 */
static __always_inline int begin(void *map, __u64 id)
{
	struct pending pending;

	if (gadget_should_discard_data_current()) {
		if (bpf_map_lookup_elem(map, &id))
			bpf_map_delete_elem(map, &id);
		return 0;
	}
	gadget_process_populate(&pending.proc);
	pending.issued = 0;
	pending.bytes = 0;
	if (bpf_map_update_elem(map, &id, &pending, BPF_ANY))
		gadget_count_lost(counts);
	return 0;
}

SEC("tp_btf/block_io_start")
int BPF_PROG(topio_start, struct request *rq)
{
	return begin(&requests, (__u64)rq);
}

SEC("tp_btf/block_getrq")
int BPF_PROG(topio_getrq, struct bio *bio)
{
	return begin(&bios, (__u64)bio);
}

static __always_inline void issue(struct pending *pending,
				  const struct request *rq)
{
	pending->issued = bpf_ktime_get_ns();
	pending->bytes = rq->__data_len;
}

/* A request that the kernel hands to the device once more keeps its first time. */
SEC("tp_btf/block_rq_issue")
int BPF_PROG(topio_issue, struct request *rq)
{
	struct pending *known;
	__u64 id = (__u64)rq;

	known = bpf_map_lookup_elem(&requests, &id);
	if (known && !known->issued)
		issue(known, rq);
	return 0;
}

SEC("tp_btf/block_rq_issue")
int BPF_PROG(topio_issue_bio, struct request *rq)
{
	__u64 id = (__u64)rq, bio = (__u64)rq->bio;
	struct pending pending;

	if (bpf_map_lookup_elem(&requests, &id) ||
	    !gadget_map_take(&bios, &bio, &pending))
		return 0;
	issue(&pending, rq);
	if (bpf_map_update_elem(&requests, &id, &pending, BPF_ANY))
		gadget_count_lost(counts);
	return 0;
}

/* The kernel joins a request with the one before, and frees it.  It does not end. */
SEC("tp_btf/block_rq_merge")
int BPF_PROG(topio_merge, struct request *rq)
{
	__u64 id = (__u64)rq;

	bpf_map_delete_elem(&requests, &id);
	return 0;
}

/* Requests that move no data, such as those that discard it, do not count. */
static __always_inline bool moves_data(__u32 op)
{
	if (bpf_core_enum_value_exists(enum req_op, REQ_OP_ZONE_APPEND) &&
	    op == bpf_core_enum_value(enum req_op, REQ_OP_ZONE_APPEND))
		return true;
	return op == REQ_OP_READ || op == REQ_OP_WRITE;
}

static __always_inline int end(const struct request *rq)
{
	__u32 op = rq->cmd_flags & REQ_OP_MASK;
	const struct gendisk *disk;
	struct pending pending;
	struct info_value *value;
	struct info_key key = {};
	__u64 id = (__u64)rq;

	if (!gadget_map_take(&requests, &id, &pending))
		return 0;
	if (!pending.issued || !moves_data(op))
		return 0;
	key.proc = pending.proc;
	key.rw_raw = op == REQ_OP_READ ? read : write;
	disk = disk_of(rq);
	key.major = disk->major;
	key.minor = disk->first_minor;
	value = bpf_map_lookup_or_try_init(&counts, &key, &nothing);
	if (!value) {
		gadget_count_lost(counts);
		return 0;
	}
	__sync_fetch_and_add(&value->bytes, pending.bytes);
	__sync_fetch_and_add(&value->us,
			     (bpf_ktime_get_ns() - pending.issued) / 1000);
	__sync_fetch_and_add(&value->io, 1);
	return 0;
}

SEC("tp_btf/block_io_done")
int BPF_PROG(topio_done, struct request *rq)
{
	return end(rq);
}

SEC("tp_btf/block_rq_complete")
int BPF_PROG(topio_complete, struct request *rq, int error, unsigned int bytes)
{
	return bytes < rq->__data_len ? 0 : end(rq);
}

GADGET_PREFER(topio_start, topio_getrq);
GADGET_PREFER(topio_start, topio_issue_bio);
GADGET_PREFER(topio_done, topio_complete);

char LICENSE[] SEC("license") = "GPL";
