/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <gadget/maps.bpf.h>
#include <gadget/mntns_filter.h>
#include <gadget/filter.h>
#include <gadget/types.h>
#include <gadget/macros.h>
#include <gadget/common.h>
#include <gadget/kernel_stack_map.h>
#include <gadget/user_stack_map.h>

#define MAX_ENTRIES 10240

struct sample_key {
	__u64 ip;
	__u32 user_stack_id;
	gadget_kernel_stack kern_stack_raw;
	struct gadget_process proc;
};

struct sample_value {
	__u64 samples;
	struct gadget_user_stack user_stack_raw;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct sample_key);
	__type(value, struct sample_value);
	__uint(max_entries, MAX_ENTRIES);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, u32);
	__type(value, struct sample_key);
	__uint(max_entries, 1);
} key_room SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, u32);
	__type(value, struct sample_value);
	__uint(max_entries, 1);
} value_room SEC(".maps");

GADGET_MAPITER(samples, counts);

const volatile bool idle = false;
GADGET_PARAM(idle);

SEC("perf_event/cpusample")
int take_sample(struct bpf_perf_event_data *ctx)
{
	u32 zero = 0, tid = bpf_get_current_pid_tgid();
	struct sample_value *fresh, *v;
	struct sample_key *key;

	if (!idle && tid == 0)
		return 0;
	if (gadget_should_discard_data_current())
		return 0;

	key = bpf_map_lookup_elem(&key_room, &zero);
	fresh = bpf_map_lookup_elem(&value_room, &zero);
	if (!key || !fresh)
		return 0;
	__builtin_memset(key, 0, sizeof(*key));
	__builtin_memset(fresh, 0, sizeof(*fresh));

	gadget_process_populate(&key->proc);
	key->kern_stack_raw = bpf_get_stackid(&ctx->regs, &ig_kstack, 0);
	gadget_get_user_stack(ctx, &fresh->user_stack_raw);
	key->user_stack_id = fresh->user_stack_raw.stack_id;
	if (key->kern_stack_raw >= 0)
		key->ip = PT_REGS_IP(&ctx->regs);

	v = bpf_map_lookup_or_try_init(&counts, key, fresh);
	if (v)
		__sync_fetch_and_add(&v->samples, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
