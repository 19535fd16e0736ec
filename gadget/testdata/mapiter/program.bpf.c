// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Counts the calls getpgid(magic | id) by id, in a map that is read and emptied
 * meanwhile, and all of them in one that is never read.
 */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <gadget/macros.h>
#include <gadget/maps.bpf.h>
#include <gadget/types.h>

struct id_key {
	__u32 id;
	__u8 tag[3]; /* "id", so that the value begins at an odd offset */
} __attribute__((packed));

struct id_value {
	__u64 calls;
	gadget_comm comm[TASK_COMM_LEN];
	__u32 negative; /* minus calls, as 32 bits */
};

const volatile __u32 magic = 0;
GADGET_PARAM(magic);

const volatile __u32 getpgid_nr = ~0U;
GADGET_PARAM(getpgid_nr);

/* How long a program holds an entry before it writes to it. */
const volatile __u32 dawdle = 0;
GADGET_PARAM(dawdle);

const volatile __u32 counts_max_entries = 1024;
GADGET_PARAM(counts_max_entries);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct id_key);
	__type(value, struct id_value);
} counts SEC(".maps");
GADGET_MAPITER(counted, counts);

/* Calls for which there was no room. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} counts_lost_samples SEC(".maps");

/* All calls. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} produced SEC(".maps");

static long wait_a_little(__u32 i, void *unused)
{
	return bpf_ktime_get_ns() == i;
}

static __always_inline void bump(void *map)
{
	__u32 zero = 0;
	__u64 *n = bpf_map_lookup_elem(map, &zero);

	if (n)
		__sync_fetch_and_add(n, 1);
}

/* One more function that has to know which map it is about. */
static __noinline int add(__u32 id)
{
	struct id_key key = {.id = id, .tag = "id"};
	struct id_value init = {}, *value;

	value = bpf_map_lookup_or_try_init(&counts, &key, &init);
	if (!value)
		return 0;
	if (dawdle)
		bpf_loop(dawdle, wait_a_little, NULL, 0);
	if (!value->comm[0])
		bpf_get_current_comm(value->comm, sizeof(value->comm));
	__sync_fetch_and_add(&value->calls, 1);
	__sync_fetch_and_add(&value->negative, -1);
	return 1;
}

SEC("raw_tp/sys_enter")
int gt_mapiter(struct bpf_raw_tracepoint_args *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx->args[0];
	__u32 pid;

	if (!magic || ctx->args[1] != getpgid_nr)
		return 0;
	pid = PT_REGS_PARM1_CORE_SYSCALL(regs);
	if ((pid & 0xffff0000) != magic)
		return 0;
	bump(&produced);
	if (!add((__u16)pid))
		bump(&counts_lost_samples);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
