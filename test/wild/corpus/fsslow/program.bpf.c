// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Slow file operations on any file system, measured at the VFS. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/filesystem.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>
#include <gadget/user_stack_map.h>

enum fs_op {
	F_READ,
	F_WRITE,
	F_FSYNC,
};

struct event {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;
	struct gadget_user_stack ustack;
	enum fs_op op_raw;
	__u64 delta_us;
	__s64 offset;
	__s64 size;
	char fs[16];
	char path[GADGET_PATH_MAX];
};

struct data {
	__u64 ts;
	__s64 offset;
	struct file *fp;
	enum fs_op op;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, __u32);
	__type(value, struct data);
} starts SEC(".maps");

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(fsslow, events, event);

const volatile __u64 min_lat_us = 10000;
GADGET_PARAM(min_lat_us);

static int probe_entry(struct file *fp, loff_t offset, enum fs_op op)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct data data = {};

	if (!fp)
		return 0;
	if (gadget_should_discard_data_current())
		return 0;
	data.ts = bpf_ktime_get_ns();
	data.offset = offset;
	data.fp = fp;
	data.op = op;
	bpf_map_update_elem(&starts, &tid, &data, BPF_ANY);
	return 0;
}

static int probe_exit(void *ctx, enum fs_op op, ssize_t size)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct event *event;
	struct file *fp;
	struct data *d;
	__u64 delta;
	char *path;

	d = bpf_map_lookup_elem(&starts, &tid);
	if (!d)
		return 0;
	bpf_map_delete_elem(&starts, &tid);
	delta = (bpf_ktime_get_ns() - d->ts) / 1000;
	if (delta < min_lat_us)
		return 0;

	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return 0;
	event->timestamp_raw = bpf_ktime_get_boot_ns();
	gadget_process_populate(&event->proc);
	gadget_get_user_stack(ctx, &event->ustack);
	event->op_raw = op;
	event->delta_us = delta;
	event->offset = d->offset;
	event->size = size;
	fp = d->fp;
	bpf_probe_read_kernel_str(event->fs, sizeof(event->fs),
				  BPF_CORE_READ(fp, f_inode, i_sb, s_type, name));
	event->path[0] = 0;
	path = get_path_str(&d->fp->f_path);
	if (path)
		bpf_probe_read_kernel_str(event->path, sizeof(event->path), path);
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
	return 0;
}

SEC("kprobe/vfs_read")
int BPF_KPROBE(fsslow_read_e, struct file *file, char *buf, size_t count, loff_t *pos)
{
	loff_t at = 0;

	bpf_probe_read_kernel(&at, sizeof(at), pos);
	return probe_entry(file, at, F_READ);
}

SEC("kretprobe/vfs_read")
int BPF_KRETPROBE(fsslow_read_x, ssize_t ret)
{
	return probe_exit(ctx, F_READ, ret);
}

SEC("kprobe/vfs_write")
int BPF_KPROBE(fsslow_write_e, struct file *file, const char *buf, size_t count, loff_t *pos)
{
	return probe_entry(file, BPF_CORE_READ(file, f_pos), F_WRITE);
}

SEC("kretprobe/vfs_write")
int BPF_KRETPROBE(fsslow_write_x, ssize_t ret)
{
	return probe_exit(ctx, F_WRITE, ret);
}

SEC("kprobe/vfs_fsync_range")
int BPF_KPROBE(fsslow_fsync_e, struct file *file, loff_t start, loff_t end, int datasync)
{
	return probe_entry(file, start, F_FSYNC);
}

SEC("kretprobe/vfs_fsync_range")
int BPF_KRETPROBE(fsslow_fsync_x, int ret)
{
	return probe_exit(ctx, F_FSYNC, ret);
}

char LICENSE[] SEC("license") = "GPL";
