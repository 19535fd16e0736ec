// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Files that live shortly: made and unlinked while we look. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/core_fixes.bpf.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

#define NAME_LEN 48

struct event {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;
	gadget_duration age_raw;
	__u64 inode;
	char file[NAME_LEN];
};

struct renamed {
	struct gadget_process proc;
	char from[NAME_LEN];
	char to[NAME_LEN];
};

struct unlink_args {
	__u64 age;
	struct dentry *dentry;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, struct dentry *);
	__type(value, __u64);
} born SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, __u32);
	__type(value, struct unlink_args);
} unlinking SEC(".maps");

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(filelife, events, event);
GADGET_TRACER_MAP(renames, 1024 * 128);
GADGET_TRACER(renames, renames, renamed);

static __always_inline int made(struct dentry *dentry)
{
	__u64 ts;

	if (gadget_should_discard_data_current())
		return 0;
	ts = bpf_ktime_get_ns();
	bpf_map_update_elem(&born, &dentry, &ts, 0);
	return 0;
}

SEC("kprobe/security_inode_create")
int BPF_KPROBE(filelife_create, struct inode *dir, struct dentry *dentry)
{
	return made(dentry);
}

SEC("kprobe/vfs_open")
int BPF_KPROBE(filelife_open, struct path *path, struct file *file)
{
	struct dentry *dentry = BPF_CORE_READ(path, dentry);
	int fmode = BPF_CORE_READ(file, f_mode);

	if (!(fmode & 0x100000 /* FMODE_CREATED */))
		return 0;
	return made(dentry);
}

SEC("kprobe/vfs_unlink")
int BPF_KPROBE(filelife_unlink, void *arg0, void *arg1, void *arg2)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct unlink_args u = {};
	struct dentry *dentry;
	__u64 *tsp;

	/* 5.12 put the idmapping first */
	if (renamedata_has_old_mnt_userns_field())
		dentry = arg2;
	else
		dentry = arg2 ? arg2 : arg1;

	tsp = bpf_map_lookup_elem(&born, &dentry);
	if (!tsp)
		return 0;
	u.age = bpf_ktime_get_ns() - *tsp;
	u.dentry = dentry;
	bpf_map_delete_elem(&born, &dentry);
	bpf_map_update_elem(&unlinking, &tid, &u, BPF_ANY);
	return 0;
}

SEC("kretprobe/vfs_unlink")
int BPF_KRETPROBE(filelife_unlink_x, int ret)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct unlink_args *u;
	struct dentry *dentry;
	struct event *ev;
	const u8 *name;

	u = bpf_map_lookup_elem(&unlinking, &tid);
	if (!u)
		return 0;
	if (ret)
		goto out;
	ev = gadget_reserve_buf(&events, sizeof(*ev));
	if (!ev)
		goto out;
	ev->timestamp_raw = bpf_ktime_get_boot_ns();
	gadget_process_populate(&ev->proc);
	ev->age_raw = u->age;
	dentry = u->dentry;
	ev->inode = BPF_CORE_READ(dentry, d_inode, i_ino);
	name = BPF_CORE_READ(dentry, d_name.name);
	bpf_probe_read_kernel_str(ev->file, sizeof(ev->file), name);
	gadget_submit_buf(ctx, &events, ev, sizeof(*ev));
out:
	bpf_map_delete_elem(&unlinking, &tid);
	return 0;
}

SEC("kprobe/vfs_rename")
int BPF_KPROBE(filelife_rename, struct renamedata *rd)
{
	struct renamed *ev;

	if (gadget_should_discard_data_current())
		return 0;
	ev = gadget_reserve_buf(&renames, sizeof(*ev));
	if (!ev)
		return 0;
	gadget_process_populate(&ev->proc);
	bpf_probe_read_kernel_str(ev->from, sizeof(ev->from),
				  BPF_CORE_READ(rd, old_dentry, d_name.name));
	bpf_probe_read_kernel_str(ev->to, sizeof(ev->to),
				  BPF_CORE_READ(rd, new_dentry, d_name.name));
	gadget_submit_buf(ctx, &renames, ev, sizeof(*ev));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
