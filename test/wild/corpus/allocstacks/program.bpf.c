// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <gadget/common.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/maps.bpf.h>
#include <gadget/types.h>
#include <gadget/user_stack_map.h>

#define MAX_ENTRIES 10240

enum alloc_fn {
	malloc,
	calloc,
	realloc,
};

struct site {
	enum alloc_fn fn_raw;
	__u32 stack;
	gadget_pid pid;
};

struct tally {
	struct gadget_process proc;
	struct gadget_user_stack ustack_raw;
	__u64 calls;
	gadget_bytes size_raw;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ENTRIES);
	__type(key, struct site);
	__type(value, struct tally);
} sites SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct tally);
} tmp SEC(".maps");

GADGET_MAPITER(sites, sites);

const volatile u64 min_size = 0;
GADGET_PARAM(min_size);

static __noinline int count(struct pt_regs *ctx, enum alloc_fn fn, u64 size)
{
	struct site site = { .fn_raw = fn };
	struct tally *t, *fresh;
	u32 zero = 0;

	if (size < min_size)
		return 0;
	if (gadget_should_discard_data_current())
		return 0;

	fresh = bpf_map_lookup_elem(&tmp, &zero);
	if (!fresh)
		return 0;
	__builtin_memset(fresh, 0, sizeof(*fresh));
	gadget_get_user_stack(ctx, &fresh->ustack_raw);
	site.stack = fresh->ustack_raw.stack_id;
	site.pid = bpf_get_current_pid_tgid() >> 32;
	t = bpf_map_lookup_elem(&sites, &site);
	if (!t) {
		gadget_process_populate(&fresh->proc);
		bpf_map_update_elem(&sites, &site, fresh, BPF_NOEXIST);
		t = bpf_map_lookup_elem(&sites, &site);
		if (!t)
			return 0;
	}
	__sync_fetch_and_add(&t->calls, 1);
	__sync_fetch_and_add(&t->size_raw, size);
	return 0;
}

SEC("uprobe/libc:malloc")
int BPF_KPROBE(allocstacks_malloc, size_t size)
{
	return count(ctx, malloc, size);
}

SEC("uprobe/libc:calloc")
int BPF_KPROBE(allocstacks_calloc, size_t n, size_t size)
{
	return count(ctx, calloc, n * size);
}

SEC("uprobe/libc:realloc")
int allocstacks_realloc(struct pt_regs *ctx)
{
	return count(ctx, realloc, PT_REGS_PARM2(ctx));
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
