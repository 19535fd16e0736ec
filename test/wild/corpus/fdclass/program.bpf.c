// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <gadget/filesystem.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

/* Not every kernel has all of them. */
extern void socket_file_ops __ksym __weak;
extern void pipefifo_fops __ksym __weak;
extern void eventpoll_fops __ksym __weak;
extern void bpf_map_fops __ksym __weak;
extern void bpf_prog_fops __ksym __weak;
extern void no_such_fops_anywhere __ksym __weak;

enum fd_class {
	unknown,
	regular,
	directory,
	socket,
	pipe,
	epoll,
	bpfmap,
	bpfprog,
	device,
};

struct fd_entry {
	gadget_mntns_id mntns_id;
	gadget_comm comm[TASK_COMM_LEN];
	gadget_pid pid;
	__u32 fd;
	enum fd_class class_raw;
	gadget_file_mode mode_raw;
	gadget_file_flags flags_raw;
	__u64 inode;
	__s64 pos;
	char path[GADGET_PATH_MAX];
};

const volatile bool paths = false;
GADGET_PARAM(paths);

const volatile __u32 class_mask = 0xffffffff;
GADGET_PARAM(class_mask);

GADGET_ITER(fds, fd_entry, fdclass);

#define S_IFMT	0170000
#define S_IFREG 0100000
#define S_IFDIR 0040000
#define S_IFCHR 0020000
#define S_IFBLK 0060000

#define IS(sym, class)                        \
	if (&(sym) && ops == (const void *)&(sym)) \
		return class;

static __always_inline enum fd_class classify(struct file *file, __u32 mode)
{
	const void *ops = BPF_CORE_READ(file, f_op);

	IS(socket_file_ops, socket);
	IS(pipefifo_fops, pipe);
	IS(eventpoll_fops, epoll);
	IS(bpf_map_fops, bpfmap);
	IS(bpf_prog_fops, bpfprog);
	IS(no_such_fops_anywhere, unknown);

	switch (mode & S_IFMT) {
	case S_IFREG:
		return regular;
	case S_IFDIR:
		return directory;
	case S_IFCHR:
	case S_IFBLK:
		return device;
	default:
		return unknown;
	}
}

static struct fd_entry room;

SEC("iter/task_file")
int fdclass(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct fd_entry *e = &room;
	__u32 mode;

	if (!task || !file)
		return 0;
	if (gadget_should_discard_data(task->nsproxy->mnt_ns->ns.inum, task->tgid, task->pid,
				       task->comm, BPF_CORE_READ(task, cred, uid.val),
				       BPF_CORE_READ(task, cred, gid.val)))
		return 0;

	mode = BPF_CORE_READ(file, f_inode, i_mode);
	e->class_raw = classify(file, mode);
	if (!(class_mask & (1U << (e->class_raw & 31))))
		return 0;
	e->mntns_id = task->nsproxy->mnt_ns->ns.inum;
	__builtin_memcpy(e->comm, task->comm, TASK_COMM_LEN);
	e->pid = task->tgid;
	e->fd = ctx->fd;
	e->mode_raw = mode;
	e->flags_raw = BPF_CORE_READ(file, f_flags);
	e->inode = BPF_CORE_READ(file, f_inode, i_ino);
	e->pos = BPF_CORE_READ(file, f_pos);
	e->path[0] = '\0';
	if (paths) {
		char *path = get_path_str(&file->f_path);

		if (path)
			bpf_probe_read_kernel_str(e->path, sizeof(e->path), path);
	}
	bpf_seq_write(ctx->meta->seq, e, sizeof(*e));
	return 0;
}

char _license[] SEC("license") = "GPL";
