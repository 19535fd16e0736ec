/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <gadget/bits.bpf.h>
#include <gadget/macros.h>
#include <gadget/types.h>

#ifndef PROFILER_MAX_SLOTS
#define PROFILER_MAX_SLOTS 27
#endif

enum vec {
	hi,
	timer,
	net_tx,
	net_rx,
	block,
	irq_poll,
	tasklet,
	sched,
	hrtimer,
	rcu,
};

struct vec_key {
	enum vec vec_raw;
};

struct vec_value {
	gadget_histogram_slot__u64 latency[PROFILER_MAX_SLOTS];
	gadget_counter__u64 runs;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} start SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, struct vec_key);
	__type(value, struct vec_value);
} hists SEC(".maps");

GADGET_MAPITER(softirqs, hists);

static struct vec_value initial_hist;

SEC("tp_btf/softirq_entry")
int BPF_PROG(softirq_entry_btf, unsigned int vec_nr)
{
	u64 ts = bpf_ktime_get_ns();
	u32 key = 0;

	bpf_map_update_elem(&start, &key, &ts, 0);
	return 0;
}

SEC("tp_btf/softirq_exit")
int BPF_PROG(softirq_exit_btf, unsigned int vec_nr)
{
	struct vec_key key = { .vec_raw = vec_nr };
	struct vec_value *hist;
	u32 zero = 0;
	s64 delta;
	u64 *tsp, slot;

	tsp = bpf_map_lookup_elem(&start, &zero);
	if (!tsp || !*tsp)
		return 0;
	delta = bpf_ktime_get_ns() - *tsp;
	if (delta < 0)
		return 0;
	hist = bpf_map_lookup_elem(&hists, &key);
	if (!hist) {
		bpf_map_update_elem(&hists, &key, &initial_hist, BPF_NOEXIST);
		hist = bpf_map_lookup_elem(&hists, &key);
		if (!hist)
			return 0;
	}
	slot = log2l(delta);
	if (slot >= PROFILER_MAX_SLOTS)
		slot = PROFILER_MAX_SLOTS - 1;
	__sync_fetch_and_add(&hist->latency[slot], 1);
	__sync_fetch_and_add(&hist->runs, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
