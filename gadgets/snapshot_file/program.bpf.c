// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Shows the files that processes have open.
 *
 * The kernel calls the program for each descriptor of each descriptor table.
 * A process has one table for all of its threads, unless a thread has its own
 * (cloned without CLONE_FILES, or unshare).
 */

#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include <gadget/common.h>
#include <gadget/constants.h>
#include <gadget/filesystem.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

/* From the kernel's headers, which BTF doesn't have. */
#define ANON_INODE_FS_MAGIC 0x09041934
#define PID_FS_MAGIC	    0x50494446

/* Bits of --type-mask: none may change its place. */
enum open_file_type {
	REGULAR,
	SOCKET,
	PIPE,
	BPF_MAP,
	DIRECTORY,
	CHAR_DEV,
	BLOCK_DEV,
	SYMLINK,
	BPF_LINK,
	BPF_PROG,
	EVENTFD,
	TIMERFD,
	SIGNALFD,
	EPOLL,
	PERF_EVENT,
	USERFAULTFD,
	PIDFD,
	IO_URING,
	FANOTIFY,
	INOTIFY,
	OTHER,
};

struct open_file {
	gadget_mntns_id mntns_id;
	gadget_comm comm[TASK_COMM_LEN];
	gadget_pid pid;
	gadget_tid tid;
	__u32 fd;
	enum open_file_type type_raw;
	gadget_file_flags flags_raw;
	gadget_file_mode mode_raw;
	__u64 inode;
	char path[GADGET_PATH_MAX];
};

const volatile bool paths = false;
GADGET_PARAM(paths);

const volatile __u32 file_type_mask = ~0U;
GADGET_PARAM(file_type_mask);

GADGET_ITER(files, open_file, snapshot_fd);

/* Where rows are put together: too large for the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct open_file);
} scratch SEC(".maps");

#define NAME_BEGINS(name, with) (__builtin_memcmp(name, with, 8) == 0)

/*
 * Files that are in no file system share one inode, or have one without a type.
 * The name that the kernel gives them, as in /proc/PID/fd, shows their type.
 */
static __always_inline enum open_file_type type_by_name(struct dentry *dentry)
{
	char name[8] = {}; /* enough to distinguish them */

	bpf_probe_read_kernel(name, sizeof(name), dentry->d_name.name);
	if (NAME_BEGINS(name, "[eventfd"))
		return EVENTFD;
	if (NAME_BEGINS(name, "[eventpo"))
		return EPOLL;
	if (NAME_BEGINS(name, "[timerfd"))
		return TIMERFD;
	if (NAME_BEGINS(name, "[signalf"))
		return SIGNALFD;
	if (NAME_BEGINS(name, "[perf_ev"))
		return PERF_EVENT;
	if (NAME_BEGINS(name, "[userfau"))
		return USERFAULTFD;
	if (NAME_BEGINS(name, "[io_urin"))
		return IO_URING;
	if (NAME_BEGINS(name, "[fanotif"))
		return FANOTIFY;
	if (NAME_BEGINS(name, "[pidfd]\0"))
		return PIDFD;
	if (NAME_BEGINS(name, "inotify\0"))
		return INOTIFY;
	if (NAME_BEGINS(name, "bpf-map\0"))
		return BPF_MAP;
	if (NAME_BEGINS(name, "bpf-prog"))
		return BPF_PROG;
	if (NAME_BEGINS(name, "bpf_link") || NAME_BEGINS(name, "bpf-link"))
		return BPF_LINK;
	return OTHER;
}

static __always_inline enum open_file_type type_by_mode(__u32 mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return REGULAR;
	case S_IFDIR:
		return DIRECTORY;
	case S_IFCHR:
		return CHAR_DEV;
	case S_IFBLK:
		return BLOCK_DEV;
	case S_IFIFO:
		return PIPE;
	case S_IFSOCK:
		return SOCKET;
	case S_IFLNK: /* opened with O_PATH and O_NOFOLLOW */
		return SYMLINK;
	}
	return OTHER;
}

/*
 * Fills type and mode.  In recent kernels anonymous inodes claim to be regular
 * files, and hide it from stat(); the same goes for pidfs (6.9), where pidfds are.
 */
static __always_inline void read_type(struct open_file *entry,
				      struct file *file)
{
	struct inode *inode = file->f_inode;

	entry->mode_raw = inode->i_mode;
	switch (inode->i_sb->s_magic) {
	case ANON_INODE_FS_MAGIC:
		entry->type_raw = type_by_name(file->f_path.dentry);
		entry->mode_raw &= ~S_IFMT;
		break;
	case PID_FS_MAGIC:
		entry->type_raw = PIDFD;
		entry->mode_raw &= ~S_IFMT;
		break;
	default:
		entry->type_raw = type_by_mode(entry->mode_raw);
	}
}

/*
 * As in /proc/PID/fdinfo: close-on-exec is a property of the descriptor, and the
 * file's flag for it is out of date.
 */
static __always_inline __u32 flags_of(struct task_struct *task,
				      struct file *file, __u32 fd)
{
	unsigned long *bits = task->files->fdt->close_on_exec;
	unsigned long word = 0;
	__u32 flags = file->f_flags & ~O_CLOEXEC;

	bpf_probe_read_kernel(&word, sizeof(word), &bits[fd / 64]);
	if (word >> (fd % 64) & 1)
		flags |= O_CLOEXEC;
	return flags;
}

/* In pidfs each file is a root: the kernel makes its name up. */
static __always_inline void read_path(struct open_file *entry,
				      struct file *file)
{
	const void *name = file->f_path.dentry->d_name.name;

	__builtin_memset(entry->path, 0, sizeof(entry->path));
	if (entry->type_raw == PIDFD) {
		__builtin_memcpy(entry->path, "[pidfd]", sizeof("[pidfd]"));
		return;
	}
	if (paths)
		name = get_path_str(&file->f_path);
	if (name)
		bpf_probe_read_kernel_str(entry->path, sizeof(entry->path),
					  name);
}

/*
 * A process' table is that of its first thread, or if that has ended, of the first
 * which has not.  The kernel comes by the table once for each thread if the first has
 * ended, and before 5.10 in any case.
 */
static __always_inline bool is_seen(struct task_struct *task)
{
	struct task_struct *first = task->group_leader;
	struct files_struct *files = task->files;

	if (!first->files) {
		first = __gadget_live_thread(task);
		return BPF_CORE_READ(first, pid) != task->pid &&
		       BPF_CORE_READ(first, files) == files;
	}
	return task->pid != task->tgid && files == first->files;
}

SEC("iter/task_file")
int snapshot_fd(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct gadget_process process;
	struct open_file *entry;
	__u32 zero = 0;

	if (!task || !file || is_seen(task))
		return 0;
	gadget_process_populate_from_task(task, &process);
	if (gadget_should_discard_process(&process))
		return 0;
	entry = bpf_map_lookup_elem(&scratch, &zero);
	if (!entry)
		return 0;

	read_type(entry, file);
	if (!(file_type_mask >> (entry->type_raw & 31) & 1))
		return 0;
	entry->mntns_id = process.mntns_id;
	__builtin_memcpy(entry->comm, process.comm, sizeof(entry->comm));
	entry->pid = process.pid;
	entry->tid = process.tid;
	entry->fd = ctx->fd;
	entry->flags_raw = flags_of(task, file, ctx->fd);
	entry->inode = file->f_inode->i_ino;
	read_path(entry, file);
	bpf_seq_write(ctx->meta->seq, entry, sizeof(*entry));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
