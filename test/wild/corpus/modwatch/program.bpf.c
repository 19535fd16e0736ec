// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

#define MOD_LEN 56

enum taint_set {
	PROPRIETARY = 1 << 0,
	OUT_OF_TREE = 1 << 12,
	UNSIGNED = 1 << 13,
};

struct module_event {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;
	enum taint_set taints_raw;
	bool loading;
	char module[MOD_LEN];
};

GADGET_TRACER_MAP(events, 1024 * 128);
GADGET_TRACER(modules, events, module_event);

static __always_inline int emit(void *ctx, const char *name, __u32 taints, bool loading)
{
	struct module_event *ev;

	if (gadget_should_discard_data_current())
		return 0;
	ev = gadget_reserve_buf(&events, sizeof(*ev));
	if (!ev)
		return 0;
	gadget_process_populate(&ev->proc);
	ev->timestamp_raw = bpf_ktime_get_boot_ns();
	ev->taints_raw = taints;
	ev->loading = loading;
	bpf_probe_read_kernel_str(ev->module, sizeof(ev->module), name);
	gadget_submit_buf(ctx, &events, ev, sizeof(*ev));
	return 0;
}

SEC("tracepoint/module/module_load")
int modwatch_load(struct trace_event_raw_module_load *ctx)
{
	return emit(ctx, (char *)ctx + (ctx->__data_loc_name & 0xffff), ctx->taints, true);
}

SEC("tracepoint/module/module_free")
int modwatch_free(struct trace_event_raw_module_free *ctx)
{
	return emit(ctx, (char *)ctx + (ctx->__data_loc_name & 0xffff), 0, false);
}

char LICENSE[] SEC("license") = "GPL";
