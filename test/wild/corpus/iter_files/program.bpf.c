// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* iter/task_file with a type filter by an enum param and a path. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <gadget/filesystem.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

enum file_type {
	REGULAR,
	SOCKET,
	OTHER,
};

struct file_entry {
	gadget_mntns_id mntns_id;
	gadget_comm comm[16];
	gadget_pid pid;
	gadget_tid tid;
	__u32 fd;
	enum file_type type_raw;
	char path[256];
};

const volatile bool paths = true;
GADGET_PARAM(paths);

GADGET_SNAPSHOTTER(files, file_entry, ig_snap_file);

SEC("iter/task_file")
int ig_snap_file(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct file_entry e = {};
	__u16 mode;
	char *path;

	if (!task || !file || task->pid != task->tgid)
		return 0;
	if (gadget_should_discard_data(0, task->tgid, task->pid, task->comm, 0,
				       0))
		return 0;
	mode = BPF_CORE_READ(file, f_inode, i_mode) & 0170000;
	e.type_raw = mode == 0100000 ? REGULAR :
		     mode == 0140000 ? SOCKET :
				       OTHER;
	e.pid = task->tgid;
	e.tid = task->pid;
	e.fd = ctx->fd;
	e.mntns_id = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
	BPF_CORE_READ_STR_INTO(&e.comm, task, comm);
	if (paths) {
		path = get_path_str(&file->f_path);
		if (path)
			bpf_probe_read_kernel_str(e.path, sizeof(e.path), path);
	}
	bpf_seq_write(ctx->meta->seq, &e, sizeof(e));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
