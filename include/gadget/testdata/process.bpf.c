// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* common.h and mntns.h: their results for the process that runs the program. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/common.h>
#include <gadget/mntns.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct gadget_process);
} process SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} mntns SEC(".maps");

/* A byte that isn't written stays 0xff, which no test expects anywhere. */
static __always_inline struct gadget_process *poisoned(void)
{
	__u32 zero = 0;
	struct gadget_process *p = bpf_map_lookup_elem(&process, &zero);

	if (p)
		__builtin_memset(p, 0xff, sizeof(*p));
	return p;
}

SEC("raw_tp/populate")
int populate(void *ctx)
{
	struct gadget_process *p = poisoned();

	if (!p)
		return 1;
	gadget_process_populate(p);
	return 0;
}

/* The path of populate on kernels before 5.11. */
SEC("raw_tp/populate_old")
int populate_old(void *ctx)
{
	struct gadget_process *p = poisoned();

	if (!p)
		return 1;
	__gadget_process_from_helpers(p);
	return 0;
}

SEC("raw_tp/populate_stack")
int populate_stack(void *ctx)
{
	struct gadget_process *to = poisoned(), p;

	if (!to)
		return 1;
	gadget_process_populate(&p);
	*to = p;
	return 0;
}

SEC("raw_tp/current_mntns")
int current_mntns(void *ctx)
{
	__u32 zero = 0;
	__u64 id = gadget_get_current_mntns_id();

	return bpf_map_update_elem(&mntns, &zero, &id, BPF_ANY);
}

SEC("raw_tp/older_mntns")
int older_mntns(void *ctx)
{
	__u32 zero = 0;
	__u64 id = gadget_get_mntns_id();

	return bpf_map_update_elem(&mntns, &zero, &id, BPF_ANY);
}

GADGET_EXITING_MAP(exiting);

SEC("raw_tp/keep_mntns")
int keep_mntns(void *ctx)
{
	gadget_keep_mntns_id(&exiting);
	return 0;
}

SEC("raw_tp/kept_mntns")
int kept_mntns(void *ctx)
{
	__u32 zero = 0;
	__u64 id = gadget_get_kept_mntns_id(&exiting);

	return bpf_map_update_elem(&mntns, &zero, &id, BPF_ANY);
}

SEC("raw_tp/populate_exiting")
int populate_exiting(void *ctx)
{
	struct gadget_process *p = poisoned();

	if (!p)
		return 1;
	gadget_process_populate_exiting(p, &exiting);
	return 0;
}

/* args[0], args[1]: a name with anything after its end, to be copied. */
SEC("raw_tp/copy_comm")
int copy_comm(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 from[2] = {ctx->args[0], ctx->args[1]};
	struct gadget_process *p = poisoned();

	if (!p)
		return 1;
	__gadget_copy_comm(p->comm, from);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
