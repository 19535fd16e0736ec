// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* fentry and fexit, the arguments by BPF_PROG. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <gadget/buffer.h>
#include <gadget/common.h>

struct event {
	struct gadget_process proc;
	u64 ino;
	int ret;
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(unlinks, events, event);

SEC("fentry/vfs_rmdir")
int BPF_PROG(ig_rmdir, void *idmap, struct inode *dir)
{
	struct event e = {};

	gadget_process_populate(&e.proc);
	e.ino = BPF_CORE_READ(dir, i_ino);
	gadget_output_buf(ctx, &events, &e, sizeof(e));
	return 0;
}

SEC("fexit/vfs_rmdir")
int BPF_PROG(ig_rmdir_x, void *idmap, struct inode *dir, struct dentry *dentry,
	     int ret)
{
	struct event e = {.ret = ret};

	gadget_process_populate(&e.proc);
	gadget_output_buf(ctx, &events, &e, sizeof(e));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
