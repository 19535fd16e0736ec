// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <gadget/macros.h>
#include <gadget/maps.bpf.h>
#include <gadget/mntns_filter.h>
#include <gadget/types.h>

struct labels_t {
	gadget_mntns_id mntns_id;
	gadget_syscall syscall_raw;
} __attribute__((__packed__));

struct values_t {
	gadget_counter__u64 calls;
	gadget_counter__u32 failed;
	gadget_gauge__u64 last_duration;
};

#define METRICS_MAX_ENTRIES 4096

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, METRICS_MAX_ENTRIES);
	__type(key, struct labels_t);
	__type(value, struct values_t);
} stats SEC(".maps");

GADGET_MAPITER(syscount, stats);

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 10240);
	__type(key, __u32);
	__type(value, __u64);
} start SEC(".maps");

static const struct values_t zero = {};

SEC("raw_tp/sys_enter")
int sys_enter(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 tid = bpf_get_current_pid_tgid();
	__u64 ts = bpf_ktime_get_ns();

	bpf_map_update_elem(&start, &tid, &ts, BPF_ANY);
	return 0;
}

SEC("raw_tp/sys_exit")
int sys_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx->args[0];
	__u32 tid = bpf_get_current_pid_tgid();
	struct labels_t key = {};
	struct values_t *val;
	__u64 *ts;

	key.mntns_id = gadget_get_mntns_id();
	if (gadget_should_discard_mntns_id(key.mntns_id))
		return 0;
#if defined(__TARGET_ARCH_x86)
	key.syscall_raw = BPF_CORE_READ(regs, orig_ax);
#else
	key.syscall_raw = BPF_CORE_READ((struct pt_regs *)regs, syscallno);
#endif
	val = bpf_map_lookup_or_try_init(&stats, &key, &zero);
	if (!val)
		return 0;
	__sync_fetch_and_add(&val->calls, 1);
	if ((long)ctx->args[1] < 0)
		__sync_fetch_and_add(&val->failed, 1);
	ts = bpf_map_lookup_elem(&start, &tid);
	if (ts)
		val->last_duration = bpf_ktime_get_ns() - *ts;
	return 0;
}

char _license[] SEC("license") = "GPL";
