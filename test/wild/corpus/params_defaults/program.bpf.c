// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Settings of operators, in letters of all sizes. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/macros.h>
#include <gadget/mntns.h>
#include <gadget/types.h>

struct key_t {
	gadget_mntns_id mntns_id_raw;
};

struct value_t {
	unsigned char syscalls[501];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct key_t);
	__type(value, struct value_t);
} syscalls_per_mntns SEC(".maps");

static struct value_t init_value;

GADGET_MAPITER(syscalls, syscalls_per_mntns);

SEC("raw_tracepoint/sys_enter")
int ig_seccomp_e(struct bpf_raw_tracepoint_args *ctx)
{
	struct key_t key = {.mntns_id_raw = gadget_get_current_mntns_id()};
	struct value_t *value;
	unsigned int id = ctx->args[1];

	if (id >= 500)
		return 0;
	value = bpf_map_lookup_elem(&syscalls_per_mntns, &key);
	if (!value) {
		bpf_map_update_elem(&syscalls_per_mntns, &key, &init_value,
				    BPF_NOEXIST);
		value = bpf_map_lookup_elem(&syscalls_per_mntns, &key);
		if (!value)
			return 0;
	}
	value->syscalls[id] = 1;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
