// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* BPF_KPROBE and BPF_KRETPROBE with no header of libbpf but the helpers. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/mntns_filter.h>
#include <gadget/mntns.h>
#include <gadget/buffer.h>
#include <gadget/types.h>

struct event {
	gadget_mntns_id mntns_id;
	gadget_pid pid;
	u64 count;
	gadget_errno error_raw;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1024);
	__type(key, u64);
	__type(value, u64);
} sizes SEC(".maps");

GADGET_TRACER_MAP(events, 4096 * 64);
GADGET_TRACER(reads, events, event);

SEC("kprobe/vfs_read")
int BPF_KPROBE(ig_vfs_read_e, struct file *file, char *buf, size_t count)
{
	u64 id = bpf_get_current_pid_tgid(), n = count;

	if (gadget_should_discard_mntns_id(gadget_get_mntns_id()))
		return 0;
	if (!BPF_CORE_READ(file, f_inode))
		return 0;
	bpf_map_update_elem(&sizes, &id, &n, BPF_ANY);
	return 0;
}

SEC("kretprobe/vfs_read")
int BPF_KRETPROBE(ig_vfs_read_x, ssize_t ret)
{
	u64 id = bpf_get_current_pid_tgid(), *n;
	struct event *e;

	n = bpf_map_lookup_elem(&sizes, &id);
	if (!n)
		return 0;
	e = gadget_reserve_buf(&events, sizeof(*e));
	if (e) {
		e->mntns_id = gadget_get_mntns_id();
		e->pid = id >> 32;
		e->count = *n;
		e->error_raw = ret < 0 ? -ret : 0;
		gadget_submit_buf(ctx, &events, e, sizeof(*e));
	}
	bpf_map_delete_elem(&sizes, &id);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
