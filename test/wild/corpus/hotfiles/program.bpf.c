// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
// A running list of the names opened most, kept in an LRU map and read by an iterator.
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <gadget/fnv1a.h>
#include <gadget/macros.h>
#include <gadget/mntns.h>
#include <gadget/mntns_filter.h>
#include <gadget/types.h>

#define NAME_LEN 64

struct hot_key {
	__u64 hash;
};

struct hot_value {
	__u64 mntns;
	__u64 opens;
	__u64 last;
	char name[NAME_LEN];
};

struct hot_row {
	gadget_mntns_id mntns_id;
	__u64 opens;
	gadget_timestamp last_raw;
	__u64 hash;
	char name[NAME_LEN];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct hot_key);
	__type(value, struct hot_value);
} hot SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct hot_value);
} room SEC(".maps");

const volatile __u32 hot_max_entries = 1024;
GADGET_PARAM(hot_max_entries);

GADGET_ITER(hotfiles, hot_row, hotfiles_dump);
GADGET_ITER_TARGET_MAP(hotfiles_dump, hot);

SEC("tracepoint/syscalls/sys_enter_openat")
int hotfiles_open(struct syscall_trace_enter *ctx)
{
	__u64 mntns = gadget_get_current_mntns_id();
	struct hot_value *fresh, *v;
	struct hot_key key;
	__u32 zero = 0;

	if (gadget_should_discard_mntns_id(mntns))
		return 0;
	fresh = bpf_map_lookup_elem(&room, &zero);
	if (!fresh)
		return 0;
	__builtin_memset(fresh, 0, sizeof(*fresh));
	if (bpf_probe_read_user_str(fresh->name, sizeof(fresh->name), (void *)ctx->args[1]) <= 0)
		return 0;

	key.hash = fnv_64a_init();
	fnv_64a_update_u64(&key.hash, mntns);
	for (int i = 0; i < NAME_LEN; i++) {
		if (!fresh->name[i])
			break;
		fnv_64a_update_u8(&key.hash, fresh->name[i]);
	}

	v = bpf_map_lookup_elem(&hot, &key);
	if (v) {
		__sync_fetch_and_add(&v->opens, 1);
		v->last = bpf_ktime_get_boot_ns();
		return 0;
	}
	fresh->mntns = mntns;
	fresh->opens = 1;
	fresh->last = bpf_ktime_get_boot_ns();
	bpf_map_update_elem(&hot, &key, fresh, BPF_ANY);
	return 0;
}

SEC("iter/bpf_map_elem")
int hotfiles_dump(struct bpf_iter__bpf_map_elem *ctx)
{
	struct hot_key *key = ctx->key;
	struct hot_value *v = ctx->value;
	struct hot_row row = {};

	if (!key || !v)
		return 0;
	row.hash = key->hash;
	row.mntns_id = v->mntns;
	row.opens = v->opens;
	row.last_raw = v->last;
	__builtin_memcpy(row.name, v->name, sizeof(row.name));
	bpf_seq_write(ctx->meta->seq, &row, sizeof(row));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
