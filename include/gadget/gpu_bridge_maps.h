/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef __GADGET_GPU_BRIDGE_MAPS_H
#define __GADGET_GPU_BRIDGE_MAPS_H

/*
 * The maps in which a bridge, a separate program, keeps data about graphics
 * processors.  It pins them; the loader uses the pinned maps, or makes empty ones if there
 * is no bridge.
 *
 * Say which maps the gadget reads, before including this: define GPU_BRIDGE_WANT_META,
 * GPU_BRIDGE_WANT_DEVICE, GPU_BRIDGE_WANT_PER_PID, GPU_BRIDGE_WANT_PER_PID_PER_DEVICE or,
 * for all of them, GPU_BRIDGE_WANT_ALL.
 */

#include <gadget/base.h>
#include <gadget/gpu_types.h>

#ifdef GPU_BRIDGE_WANT_ALL
#undef GPU_BRIDGE_WANT_META
#undef GPU_BRIDGE_WANT_DEVICE
#undef GPU_BRIDGE_WANT_PER_PID
#undef GPU_BRIDGE_WANT_PER_PID_PER_DEVICE
#define GPU_BRIDGE_WANT_META
#define GPU_BRIDGE_WANT_DEVICE
#define GPU_BRIDGE_WANT_PER_PID
#define GPU_BRIDGE_WANT_PER_PID_PER_DEVICE
#endif

#ifdef GPU_BRIDGE_WANT_META

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct gpu_meta);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} gpu_meta SEC(".maps");

/*
 * gpu_meta_fresh: the bridge's data about itself; NULL if its last update is older than
 * @stale_threshold_ms, or there is none.
 * @now_boot_ns: bpf_ktime_get_boot_ns()
 */
static __always_inline struct gpu_meta *gpu_meta_fresh(__u64 now_boot_ns,
						       __u64 stale_threshold_ms)
{
	__u32 zero = 0;
	struct gpu_meta *meta = bpf_map_lookup_elem(&gpu_meta, &zero);

	if (!meta || !meta->last_update_boottime_ns)
		return NULL;
	/* It may have come while this program was on its way here. */
	if (now_boot_ns > meta->last_update_boottime_ns &&
	    now_boot_ns - meta->last_update_boottime_ns >
		    stale_threshold_ms * 1000000)
		return NULL;
	return meta;
}

#endif /* GPU_BRIDGE_WANT_META */

#ifdef GPU_BRIDGE_WANT_DEVICE

/* By the number of the device. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, GPU_MAX_DEVICES);
	__type(key, __u32);
	__type(value, struct gpu_device_metrics);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} gpu_device SEC(".maps");

#endif /* GPU_BRIDGE_WANT_DEVICE */

#ifdef GPU_BRIDGE_WANT_PER_PID

/* By the process id, as the initial pid namespace has it. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct gpu_pid_metrics_aggregated);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} gpu_per_pid SEC(".maps");

/*
 * gpu_pid_holder: the process @tgid, if it holds at least @min_gpu_mem_bytes of the devices'
 * memory, or NULL.
 */
static __always_inline struct gpu_pid_metrics_aggregated *
gpu_pid_holder(__u32 tgid, __u64 min_gpu_mem_bytes)
{
	struct gpu_pid_metrics_aggregated *pid =
		bpf_map_lookup_elem(&gpu_per_pid, &tgid);

	if (!pid || pid->used_gpu_memory_total < min_gpu_mem_bytes)
		return NULL;
	return pid;
}

#endif /* GPU_BRIDGE_WANT_PER_PID */

#ifdef GPU_BRIDGE_WANT_PER_PID_PER_DEVICE

/* By the process id << 32 | the number of the device. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct gpu_pid_metrics);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} gpu_per_pid_per_device SEC(".maps");

#endif /* GPU_BRIDGE_WANT_PER_PID_PER_DEVICE */

#endif /* __GADGET_GPU_BRIDGE_MAPS_H */
