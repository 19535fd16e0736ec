// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The maps of a bridge, pinned by name. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#define GPU_BRIDGE_WANT_DEVICE
#define GPU_BRIDGE_WANT_META
#include <gadget/gpu_bridge_maps.h>
#include <gadget/macros.h>
#include <gadget/types.h>

struct gpu_row {
	__u32 device;
	__u32 sm_util_pct;
	gadget_bytes mem_used_raw;
};

GADGET_ITER(gpus, gpu_row, ig_gpu_top);
GADGET_ITER_TARGET_MAP(ig_gpu_top, gpu_device);

SEC("iter/bpf_map_elem")
int ig_gpu_top(struct bpf_iter__bpf_map_elem *ctx)
{
	struct gpu_device_metrics *m = ctx->value;
	struct gpu_row row = {};
	__u32 *device = ctx->key;

	if (!device || !m)
		return 0;
	row.device = *device;
	row.sm_util_pct = m->sm_util_pct;
	row.mem_used_raw = m->mem_used;
	bpf_seq_write(ctx->meta->seq, &row, sizeof(row));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
