// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* As mapiter, in a map with a value for each CPU. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <gadget/macros.h>
#include <gadget/maps.bpf.h>
#include <gadget/types.h>

struct id_key {
	__u32 id;
};

struct id_value {
	__u64 calls;
	gadget_pid pid;
	gadget_comm comm[TASK_COMM_LEN];
	__u8 cpus; /* one */
	bool seen;
} __attribute__((packed)); /* of a size that is no multiple of 8 */

const volatile __u32 magic = 0;
GADGET_PARAM(magic);

const volatile __u32 getpgid_nr = ~0U;
GADGET_PARAM(getpgid_nr);

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct id_key);
	__type(value, struct id_value);
} counts SEC(".maps");
GADGET_MAPITER(counted, counts);

SEC("raw_tp/sys_enter")
int gt_mapiter_percpu(struct bpf_raw_tracepoint_args *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx->args[0];
	struct id_value init = {}, *value;
	struct id_key key;
	__u32 pid;

	if (!magic || ctx->args[1] != getpgid_nr)
		return 0;
	pid = PT_REGS_PARM1_CORE_SYSCALL(regs);
	if ((pid & 0xffff0000) != magic)
		return 0;
	key.id = (__u16)pid;
	value = bpf_map_lookup_or_try_init(&counts, &key, &init);
	if (!value)
		return 0;
	value->calls++;
	value->pid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(value->comm, sizeof(value->comm));
	value->cpus = 1;
	value->seen = true;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
