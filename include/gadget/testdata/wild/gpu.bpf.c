// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Gadgets about graphics processors: the bridge's devices in an iterator of a map, processes
 * that hold memory of them when they leave the CPU, and the maps of an external profiler.
 */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>

#define GPU_BRIDGE_WANT_META
#define GPU_BRIDGE_WANT_DEVICE
#define GPU_BRIDGE_WANT_PER_PID
#define GPU_BRIDGE_WANT_PER_PID_PER_DEVICE
#define GPU_BRIDGE_WANT_ALL
#include <gadget/gpu_bridge_maps.h>
#include <gadget/gpu_types.h>
#include <gadget/buffer.h>
#include <gadget/macros.h>
#include <gadget/types.h>
#include <gadget/user_stack_map.h>

struct gpu_row {
	u32 device;
	u32 sm_util_pct;
	gadget_bytes mem_used_raw;
	u64 throttle_reasons;
	u32 compute_mode;
};

struct off {
	gadget_timestamp timestamp_raw;
	gadget_pid pid;
	u32 sm_util_pct_max;
	gadget_bytes mem_raw;
	u8 primary;
	u8 count;
	struct gadget_user_stack ustack;
};

_Static_assert(sizeof(struct gpu_meta) == 32 &&
		       sizeof(struct gpu_device_metrics) == 128,
	       "the bridge's layouts");
_Static_assert(sizeof(struct gpu_pid_metrics) == 40 &&
		       sizeof(struct gpu_pid_metrics_aggregated) == 32,
	       "the bridge's");

const volatile u64 stale_threshold_ms = 300;
GADGET_PARAM(stale_threshold_ms);

GADGET_ITER(gpus, gpu_row, ig_gpu_top);
GADGET_ITER_TARGET_MAP(ig_gpu_top, gpu_device);

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(off, events, off);

SEC("iter/bpf_map_elem")
int ig_gpu_top(struct bpf_iter__bpf_map_elem *ctx)
{
	struct gpu_device_metrics *metrics = ctx->value;
	struct gpu_row out = {};
	u32 *key = ctx->key;

	if (!key || !metrics || *key >= GPU_MAX_DEVICES)
		return 0;
	out.device = *key;
	out.sm_util_pct = metrics->sm_util_pct;
	out.mem_used_raw = metrics->mem_used;
	out.throttle_reasons = metrics->throttle_reasons;
	out.compute_mode = metrics->compute_mode;
	bpf_seq_write(ctx->meta->seq, &out, sizeof(out));
	return 0;
}

SEC("tracepoint/sched/sched_switch")
int ig_gpu_off(struct trace_event_raw_sched_switch *ctx)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32, zero = 0;
	struct gpu_pid_metrics_aggregated *all;
	u64 key = (u64)tgid << 32, *seen;
	struct gpu_pid_metrics *one;
	struct gpu_meta *meta;
	struct off *off;

	meta = gpu_meta_fresh(bpf_ktime_get_boot_ns(), stale_threshold_ms);
	if (!meta || meta->schema_version != GPU_SCHEMA_VERSION)
		return 0;
	if (!bpf_map_lookup_elem(&gpu_per_pid, &tgid))
		return 0;
	all = gpu_pid_holder(tgid, 1);
	if (!all)
		return 0;
	off = gadget_reserve_buf(&events, sizeof(*off));
	if (!off)
		return 0;
	__builtin_memset(off, 0, sizeof(*off));
	off->timestamp_raw = bpf_ktime_get_boot_ns();
	off->pid = tgid;
	off->sm_util_pct_max = all->sm_util_pct_max;
	off->mem_raw = all->used_gpu_memory_total;
	off->primary = all->gpu_device_primary;
	off->count = all->device_count;
	one = bpf_map_lookup_elem(&gpu_per_pid_per_device, &key);
	if (off->primary == GPU_DEVICE_PRIMARY_MULTI && one)
		off->primary = one->gpu_device;
	gadget_get_user_stack_from_tracepoint(ctx, &off->ustack);
	gadget_submit_buf(ctx, &events, off, sizeof(*off));

	seen = bpf_map_lookup_elem(&otel_generic_params, &zero);
	if (collect_otel_stack && seen && ig_build_id_max_entries) {
		*seen = tgid;
		bpf_tail_call(ctx, &otel_tc_perf, 0);
		bpf_tail_call(ctx, &otel_tc_kprobe, 0);
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
