// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A sampler with settings in gadget.yaml, stacks in a key. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <gadget/common.h>
#include <gadget/kernel_stack_map.h>
#include <gadget/macros.h>
#include <gadget/maps.bpf.h>
#include <gadget/user_stack_map.h>

struct key_t {
	__u64 kernel_ip;
	__u32 user_stack_id;
	gadget_kernel_stack kern_stack_raw;
	struct gadget_process proc;
};

struct value_t {
	__u64 samples;
	struct gadget_user_stack user_stack_raw;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct key_t);
	__type(value, struct value_t);
	__uint(max_entries, 10240);
} counts SEC(".maps");

const volatile bool kernel_stacks_only = false;
const volatile bool include_idle = false;
GADGET_PARAM(kernel_stacks_only);
GADGET_PARAM(include_idle);

GADGET_MAPITER(samples, counts);

static struct value_t zero;

SEC("perf_event/profiler")
int profiler(struct bpf_perf_event_data *ctx)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct key_t key = {};
	struct value_t *valp;

	if (!include_idle && id == 0)
		return 0;
	gadget_process_populate(&key.proc);
	if (!kernel_stacks_only)
		key.user_stack_id = bpf_get_stackid(&ctx->regs, &ig_ustack,
						    BPF_F_USER_STACK);
	key.kern_stack_raw = gadget_get_kernel_stack(ctx);
	valp = bpf_map_lookup_or_try_init(&counts, &key, &zero);
	if (!valp)
		return 0;
	__sync_fetch_and_add(&valp->samples, 1);
	gadget_get_user_stack_from_perf_event(ctx, &valp->user_stack_raw);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
