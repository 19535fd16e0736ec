// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Reports the operations of a file system that take long.
 *
 * Each operation is a function of the file system, with a program at its entry
 * and one at its return.  The functions of all file systems have the same
 * arguments: gadget.yaml says which file system it is, and so where the programs
 * are attached.
 */

#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/constants.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/syscalls.bpf.h>
#include <gadget/types.h>

#define LLONG_MAX 0x7fffffffffffffffLL /* from the kernel's headers */

enum fs_file_op {
	F_READ,
	F_WRITE,
	F_OPEN,
	F_FSYNC,
	F_STATFS,
};

struct event {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;

	gadget_errno error_raw;
	enum fs_file_op op_raw;
	__u64 delta_us;
	__s64 offset;
	__u64 size;
	char file[NAME_MAX + 1];
};

const volatile __u64 min_lat_us = 10000;
GADGET_PARAM(min_lat_us);

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(fsslower, events, event);

/* An operation calls others: a synchronous write ends with an fsync. */
struct op_id {
	__u32 tid;
	enum fs_file_op op;
};

struct start {
	__u64 ns;
	__s64 offset;
	__u64 size;
	struct dentry *dentry;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct op_id);
	__type(value, struct start);
} starts SEC(".maps");

static __always_inline int begin(enum fs_file_op op, struct dentry *dentry,
				 __s64 offset, __u64 size)
{
	struct op_id id = {.tid = bpf_get_current_pid_tgid(), .op = op};
	struct start start = {
		.offset = offset,
		.size = size,
		.dentry = dentry,
	};

	if (gadget_should_discard_data_current())
		return 0;
	start.ns = bpf_ktime_get_ns();
	if (bpf_map_update_elem(&starts, &id, &start, BPF_ANY))
		gadget_count_lost(events);
	return 0;
}

static __always_inline void report(void *ctx, enum fs_file_op op, long ret,
				   const struct start *start, __u64 ns)
{
	struct dentry *dentry = start->dentry;
	struct event *event;

	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return;
	event->timestamp_raw = bpf_ktime_get_boot_ns();
	gadget_process_populate(&event->proc);
	/* An operation that continues asynchronously has not failed. */
	event->error_raw = ret == -EIOCBQUEUED ? 0 : gadget_error_of(ret);
	event->op_raw = op;
	event->delta_us = ns / 1000;
	event->offset = start->offset;
	event->size = start->size;
	if (op == F_READ || op == F_WRITE)
		event->size = ret > 0 ? ret : 0;
	__builtin_memset(event->file, 0, sizeof(event->file));
	bpf_probe_read_kernel_str(event->file, sizeof(event->file),
				  BPF_CORE_READ(dentry, d_name.name));
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
}

static __always_inline int end(void *ctx, enum fs_file_op op, long ret)
{
	struct op_id id = {.tid = bpf_get_current_pid_tgid(), .op = op};
	struct start *start = bpf_map_lookup_elem(&starts, &id);
	__u64 ns;

	if (!start)
		return 0;
	ns = bpf_ktime_get_ns() - start->ns;
	if (ns >= min_lat_us * 1000)
		report(ctx, op, ret, start, ns);
	bpf_map_delete_elem(&starts, &id);
	return 0;
}

static __always_inline int begin_iter(enum fs_file_op op, struct kiocb *iocb)
{
	return begin(op, BPF_CORE_READ(iocb, ki_filp, f_path.dentry),
		     BPF_CORE_READ(iocb, ki_pos), 0);
}

static __always_inline int begin_open(struct file *file)
{
	return begin(F_OPEN, BPF_CORE_READ(file, f_path.dentry), 0, 0);
}

/* The range is from the first to the last byte; the whole file has no size. */
static __always_inline int begin_fsync(struct file *file, __s64 first,
				       __s64 last)
{
	__u64 size = last == LLONG_MAX ? 0 : last - first + 1;

	return begin(F_FSYNC, BPF_CORE_READ(file, f_path.dentry), first, size);
}

static __always_inline int begin_statfs(struct dentry *dentry)
{
	return begin(F_STATFS, dentry, 0, 0);
}

/*
 * Each operation has four programs, of which two run: those at the function's
 * entry and return as cheap trampolines, or, where the kernel does not have
 * these, as breakpoints.
 */
#define PREFER_TRAMPOLINES(name)                              \
	GADGET_PREFER(fs_##name##_fentry, fs_##name##_kprobe) \
	GADGET_PREFER(fs_##name##_fexit, fs_##name##_kretprobe)

PREFER_TRAMPOLINES(read)

SEC("fentry/ext4_file_read_iter")
int BPF_PROG(fs_read_fentry, struct kiocb *iocb)
{
	return begin_iter(F_READ, iocb);
}

SEC("fexit/ext4_file_read_iter")
int BPF_PROG(fs_read_fexit, struct kiocb *iocb, struct iov_iter *to, long ret)
{
	return end(ctx, F_READ, ret);
}

SEC("kprobe/ext4_file_read_iter")
int BPF_KPROBE(fs_read_kprobe, struct kiocb *iocb)
{
	return begin_iter(F_READ, iocb);
}

SEC("kretprobe/ext4_file_read_iter")
int BPF_KRETPROBE(fs_read_kretprobe, long ret)
{
	return end(ctx, F_READ, ret);
}

PREFER_TRAMPOLINES(write)

SEC("fentry/ext4_file_write_iter")
int BPF_PROG(fs_write_fentry, struct kiocb *iocb)
{
	return begin_iter(F_WRITE, iocb);
}

SEC("fexit/ext4_file_write_iter")
int BPF_PROG(fs_write_fexit, struct kiocb *iocb, struct iov_iter *from,
	     long ret)
{
	return end(ctx, F_WRITE, ret);
}

SEC("kprobe/ext4_file_write_iter")
int BPF_KPROBE(fs_write_kprobe, struct kiocb *iocb)
{
	return begin_iter(F_WRITE, iocb);
}

SEC("kretprobe/ext4_file_write_iter")
int BPF_KRETPROBE(fs_write_kretprobe, long ret)
{
	return end(ctx, F_WRITE, ret);
}

PREFER_TRAMPOLINES(open)

SEC("fentry/ext4_file_open")
int BPF_PROG(fs_open_fentry, struct inode *inode, struct file *file)
{
	return begin_open(file);
}

SEC("fexit/ext4_file_open")
int BPF_PROG(fs_open_fexit, struct inode *inode, struct file *file, int ret)
{
	return end(ctx, F_OPEN, ret);
}

SEC("kprobe/ext4_file_open")
int BPF_KPROBE(fs_open_kprobe, struct inode *inode, struct file *file)
{
	return begin_open(file);
}

SEC("kretprobe/ext4_file_open")
int BPF_KRETPROBE(fs_open_kretprobe, int ret)
{
	return end(ctx, F_OPEN, ret);
}

PREFER_TRAMPOLINES(fsync)

SEC("fentry/ext4_sync_file")
int BPF_PROG(fs_fsync_fentry, struct file *file, __s64 first, __s64 last)
{
	return begin_fsync(file, first, last);
}

SEC("fexit/ext4_sync_file")
int BPF_PROG(fs_fsync_fexit, struct file *file, __s64 first, __s64 last,
	     int datasync, int ret)
{
	return end(ctx, F_FSYNC, ret);
}

SEC("kprobe/ext4_sync_file")
int BPF_KPROBE(fs_fsync_kprobe, struct file *file, __s64 first, __s64 last)
{
	return begin_fsync(file, first, last);
}

SEC("kretprobe/ext4_sync_file")
int BPF_KRETPROBE(fs_fsync_kretprobe, int ret)
{
	return end(ctx, F_FSYNC, ret);
}

PREFER_TRAMPOLINES(statfs)

SEC("fentry/ext4_statfs")
int BPF_PROG(fs_statfs_fentry, struct dentry *dentry)
{
	return begin_statfs(dentry);
}

SEC("fexit/ext4_statfs")
int BPF_PROG(fs_statfs_fexit, struct dentry *dentry, struct kstatfs *buf,
	     int ret)
{
	return end(ctx, F_STATFS, ret);
}

SEC("kprobe/ext4_statfs")
int BPF_KPROBE(fs_statfs_kprobe, struct dentry *dentry)
{
	return begin_statfs(dentry);
}

SEC("kretprobe/ext4_statfs")
int BPF_KRETPROBE(fs_statfs_kretprobe, int ret)
{
	return end(ctx, F_STATFS, ret);
}

char LICENSE[] SEC("license") = "GPL";
