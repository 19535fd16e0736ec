// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Adds up what threads read from files and write to them.
 *
 * An entry belongs to one thread and one file, so no other thread writes to it at the
 * same time.  Everything except the counts is filled in when the entry is made, which
 * happens once in each interval: finding the path costs more than counting.
 */

#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include <gadget/common.h>
#include <gadget/constants.h>
#include <gadget/filesystem.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/maps.bpf.h>
#include <gadget/types.h>

#define MAX_ENTRIES 10240

enum file_op {
	FILE_READ,
	FILE_WRITE,
};

/* One letter each, for a narrow column. */
enum top_file_type {
	R, /* regular file */
	S, /* socket */
	O, /* other */
};

struct top_file_id {
	__u64 inode;
	__u64 __pid_tgid;
	__u32 dev;
	__u32 __generation; /* of an inode whose number is used again */
};

struct top_file_stat {
	struct gadget_process proc;
	__u64 reads;
	__u64 writes;
	gadget_bytes rbytes_raw;
	gadget_bytes wbytes_raw;
	enum top_file_type t_raw;
	__u8 __padding[4];
	char file[GADGET_PATH_MAX];
};

const volatile bool all_files = false;
GADGET_PARAM(all_files);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ENTRIES);
	__type(key, struct top_file_id);
	__type(value, struct top_file_stat);
} stats SEC(".maps");

GADGET_MAPITER(file, stats);

/* Calls for which there was no room. */
GADGET_LOST_COUNTER(stats);

/* How an entry begins: too large for the stack. */
static const struct top_file_stat nothing;

static __always_inline bool is_wanted(struct file *file)
{
	return (all_files || gadget_get_file_type(file) == S_IFREG) &&
	       !gadget_should_discard_data_current();
}

static __always_inline enum top_file_type type_of(struct file *file)
{
	switch (gadget_get_file_type(file)) {
	case S_IFREG:
		return R;
	case S_IFSOCK:
		return S;
	}
	return O;
}

/* A device as stat(2) gives it. */
static __always_inline __u32 dev_of(struct file *file)
{
	__u32 dev = BPF_CORE_READ(file, f_inode, i_sb, s_dev);
	__u32 major = dev >> 20, minor = dev & 0xfffff;

	return (minor & 0xff) | major << 8 | (minor & ~0xff) << 12;
}

static __always_inline void describe(struct top_file_stat *stat,
				     struct file *file)
{
	char *path;

	gadget_process_populate(&stat->proc);
	stat->t_raw = type_of(file);
	path = gadget_get_path_of_file(file);
	if (path)
		bpf_probe_read_kernel_str(stat->file, sizeof(stat->file), path);
}

/* Returns the thread's entry for the file, or NULL if there is no room for it. */
static __always_inline struct top_file_stat *stat_of(struct file *file)
{
	struct top_file_id id = {
		.inode = BPF_CORE_READ(file, f_inode, i_ino),
		.__pid_tgid = bpf_get_current_pid_tgid(),
		.dev = dev_of(file),
		.__generation = BPF_CORE_READ(file, f_inode, i_generation),
	};
	struct top_file_stat *stat;

	stat = bpf_map_lookup_elem(&stats, &id);
	if (stat)
		return stat;
	bpf_map_update_elem(&stats, &id, &nothing, BPF_NOEXIST);
	stat = bpf_map_lookup_elem(&stats, &id);
	if (stat)
		describe(stat, file);
	else
		gadget_count_lost(stats);
	return stat;
}

static __always_inline int count(struct file *file, enum file_op op, long ret)
{
	struct top_file_stat *stat;

	if (ret < 0)
		return 0;
	stat = stat_of(file);
	if (!stat)
		return 0;
	if (op == FILE_READ) {
		stat->reads++;
		stat->rbytes_raw += ret;
	} else {
		stat->writes++;
		stat->wbytes_raw += ret;
	}
	return 0;
}

SEC("fexit/vfs_read")
int BPF_PROG(gt_topfile_rd_f, struct file *file, char *buf, size_t size,
	     loff_t *pos, long ret)
{
	return is_wanted(file) ? count(file, FILE_READ, ret) : 0;
}

SEC("fexit/vfs_write")
int BPF_PROG(gt_topfile_wr_f, struct file *file, const char *buf, size_t size,
	     loff_t *pos, long ret)
{
	return is_wanted(file) ? count(file, FILE_WRITE, ret) : 0;
}

/*
 * The same where a program at the return of a function cannot read the arguments.
 * A call may lead to a call of the other kind, as with an image file that is mounted.
 */
struct call_id {
	__u32 tid;
	enum file_op op;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ENTRIES);
	__type(key, struct call_id);
	__type(value, struct file *);
} calls SEC(".maps");

static __always_inline int enter(struct file *file, enum file_op op)
{
	struct call_id id = {.tid = bpf_get_current_pid_tgid(), .op = op};

	if (is_wanted(file) && bpf_map_update_elem(&calls, &id, &file, BPF_ANY))
		gadget_count_lost(stats);
	return 0;
}

static __always_inline int leave(enum file_op op, long ret)
{
	struct call_id id = {.tid = bpf_get_current_pid_tgid(), .op = op};
	struct file **file = bpf_map_lookup_elem(&calls, &id);

	if (!file)
		return 0;
	count(*file, op, ret);
	bpf_map_delete_elem(&calls, &id);
	return 0;
}

SEC("kprobe/vfs_read")
int BPF_KPROBE(gt_topfile_rd_e, struct file *file)
{
	return enter(file, FILE_READ);
}

SEC("kretprobe/vfs_read")
int BPF_KRETPROBE(gt_topfile_rd_x, long ret)
{
	return leave(FILE_READ, ret);
}

SEC("kprobe/vfs_write")
int BPF_KPROBE(gt_topfile_wr_e, struct file *file)
{
	return enter(file, FILE_WRITE);
}

SEC("kretprobe/vfs_write")
int BPF_KRETPROBE(gt_topfile_wr_x, long ret)
{
	return leave(FILE_WRITE, ret);
}

GADGET_PREFER(gt_topfile_rd_f, gt_topfile_rd_e);
GADGET_PREFER(gt_topfile_rd_f, gt_topfile_rd_x);
GADGET_PREFER(gt_topfile_wr_f, gt_topfile_wr_e);
GADGET_PREFER(gt_topfile_wr_f, gt_topfile_wr_x);

char LICENSE[] SEC("license") = "Dual BSD/GPL";
