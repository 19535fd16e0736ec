// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
// One bit a system call and container: the raw material of a profile.
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <gadget/macros.h>
#include <gadget/mntns.h>
#include <gadget/types.h>

#define NR_MAX 512
#define RUNC_INIT "runc:[2:INIT]"

struct key_t {
	gadget_mntns_id mntns_id_raw;
};

struct val_t {
	unsigned char seen[NR_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct key_t);
	__type(value, struct val_t);
} profiles SEC(".maps");

GADGET_MAPITER(profiles, profiles);

const struct val_t blank = {};

static __always_inline bool is_runtime(void)
{
	char comm[TASK_COMM_LEN];
	char want[] = RUNC_INIT;

	bpf_get_current_comm(comm, sizeof(comm));
	for (int i = 0; i < sizeof(want); i++)
		if (comm[i] != want[i])
			return false;
	return true;
}

SEC("raw_tracepoint/sys_enter")
int seccompadvise(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct key_t key = {};
	struct val_t *val;
	unsigned long nr = ctx->args[1];

	if (nr >= NR_MAX || is_runtime())
		return 0;
	if (BPF_CORE_READ(task, flags) & 0x00200000)
		return 0;

	key.mntns_id_raw = gadget_get_mntns_id();
	val = bpf_map_lookup_elem(&profiles, &key);
	if (!val) {
		bpf_map_update_elem(&profiles, &key, &blank, BPF_NOEXIST);
		val = bpf_map_lookup_elem(&profiles, &key);
		if (!val)
			return 0;
	}
	val->seen[nr & (NR_MAX - 1)] = 1;
	return 0;
}

char _license[] SEC("license") = "GPL";
