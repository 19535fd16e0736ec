// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Calls into the VFS per second. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <gadget/macros.h>
#include <gadget/types.h>

struct nokey {
	__u8 unused;
};

struct stat {
	gadget_counter__u64 reads;
	gadget_counter__u64 writes;
	gadget_counter__u64 opens;
	gadget_counter__u64 creates;
	gadget_counter__u64 fsyncs;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct nokey);
	__type(value, struct stat);
} stats SEC(".maps");

GADGET_MAPITER(vfs, stats);

static __always_inline struct stat *stat_of(void)
{
	static const struct nokey key = {};
	static const struct stat zero = {};
	struct stat *s = bpf_map_lookup_elem(&stats, &key);

	if (s)
		return s;
	bpf_map_update_elem(&stats, &key, &zero, BPF_NOEXIST);
	return bpf_map_lookup_elem(&stats, &key);
}

#define COUNT(fn, member)                                     \
	SEC("fentry/" #fn)                                    \
	int BPF_PROG(vfscount_##fn)                           \
	{                                                     \
		struct stat *s = stat_of();                   \
		if (s)                                        \
			__sync_fetch_and_add(&s->member, 1);  \
		return 0;                                     \
	}

COUNT(vfs_read, reads)
COUNT(vfs_write, writes)
COUNT(vfs_open, opens)
COUNT(vfs_create, creates)
COUNT(vfs_fsync_range, fsyncs)

char LICENSE[] SEC("license") = "GPL";
