// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Changes in the kernel, and a histogram. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include <gadget/bits.bpf.h>
#include <gadget/core_fixes.bpf.h>
#include <gadget/macros.h>
#include <gadget/types.h>

#define MAX_SLOTS 27

struct hist_key {
	__u32 major;
	__u32 state;
};

struct hist_value {
	gadget_histogram_slot__u64 latency[MAX_SLOTS];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct hist_key);
	__type(value, struct hist_value);
} hists SEC(".maps");

GADGET_MAPITER(blockio, hists);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10240);
	__type(key, struct request *);
	__type(value, __u64);
} start SEC(".maps");

static struct hist_value initial_hist;

static __always_inline int started(struct request *rq)
{
	__u64 ts = bpf_ktime_get_ns();

	bpf_map_update_elem(&start, &rq, &ts, BPF_ANY);
	return 0;
}

SEC("raw_tp/block_rq_issue")
int ig_blk_issue(u64 *ctx)
{
	return started((void *)ctx[0]);
}

SEC("raw_tp/block_rq_complete")
int BPF_PROG(ig_blk_done, struct request *rq, int error, unsigned int nr_bytes)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct gendisk *disk = get_disk(rq);
	struct hist_value *hist;
	struct hist_key key = {};
	__u64 *ts, slot;

	ts = bpf_map_lookup_elem(&start, &rq);
	if (!ts)
		return 0;
	slot = log2l((bpf_ktime_get_ns() - *ts) / 1000U);
	bpf_map_delete_elem(&start, &rq);
	if (!has_block_rq_completion() && !has_kfree() &&
	    !has_kmem_cache_free() && !renamedata_has_old_mnt_userns_field() &&
	    error)
		return 0;
	key.major = disk ? BPF_CORE_READ(disk, major) : 0;
	key.state = get_task_state(task);
	hist = bpf_map_lookup_elem(&hists, &key);
	if (!hist) {
		bpf_map_update_elem(&hists, &key, &initial_hist, BPF_NOEXIST);
		hist = bpf_map_lookup_elem(&hists, &key);
		if (!hist)
			return 0;
	}
	if (slot >= MAX_SLOTS)
		slot = MAX_SLOTS - 1;
	__sync_fetch_and_add(&hist->latency[slot], 1);
	return 0;
}

SEC("raw_tp/block_bio_queue")
int ig_blk_bio(u64 *ctx)
{
	return get_gendisk((void *)ctx[0]) != NULL;
}

char LICENSE[] SEC("license") = "GPL";
