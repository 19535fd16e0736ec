// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Files, through every kind of hook that functions of the kernel have. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/core_fixes.bpf.h>
#include <gadget/filesystem.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

struct event {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;
	__u64 ctime;
	__u32 fd;
	__u32 lower;
	char path[GADGET_PATH_MAX];
	char cwd[GADGET_PATH_MAX];
};

GADGET_TRACER_MAP(events, 1024 * 1024);
GADGET_TRACER(files, events, event);

static __always_inline int report(void *ctx, struct file *file)
{
	struct event *event;
	char *c_path;

	if (gadget_should_discard_data_current())
		return 0;
	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return 0;
	event->timestamp_raw = bpf_ktime_get_boot_ns();
	event->fd = event->lower = 0;
	event->path[0] = event->cwd[0] = '\0';
	gadget_process_populate(&event->proc);
	event->ctime = gadget_get_ctime_nanosec_from_inode(
		BPF_CORE_READ(file, f_inode));
	c_path = get_path_str(&file->f_path);
	if (c_path)
		bpf_probe_read_kernel_str(event->path, sizeof(event->path),
					  c_path);
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
	return 0;
}

SEC("kprobe/vfs_read")
int BPF_KPROBE(ig_read_e, struct file *file, char *buf, size_t count,
	       loff_t *pos)
{
	return report(ctx, file);
}

SEC("kretprobe/vfs_read")
int BPF_KRETPROBE(ig_read_x, ssize_t ret)
{
	return ret < 0;
}

SEC("fentry/vfs_write")
int BPF_PROG(ig_write_e, struct file *file)
{
	return report(ctx, file);
}

SEC("fexit/vfs_write")
int BPF_PROG(ig_write_x, struct file *file, const char *buf, size_t count,
	     loff_t *pos, ssize_t ret)
{
	return ret < 0 ? 0 : report(ctx, file);
}

SEC("lsm/file_open")
int BPF_PROG(ig_open, struct file *file)
{
	report(ctx, file);
	return 0;
}

SEC("ksyscall/openat2")
int BPF_KSYSCALL(ig_openat2, int dfd, const char *name, struct open_how *how,
		 size_t size)
{
	struct file *f = get_struct_file_for_fd(dfd);

	return f ? report(ctx, f) : 0;
}

SEC("raw_tp/sys_exit")
int BPF_PROG(ig_exit, struct pt_regs *regs, long ret)
{
	struct event *event;
	long r;

	if (gadget_get_syscall_nr(regs) != 2 || ret < 0 ||
	    !gadget_get_syscall_arg(regs, 1))
		return 0;
	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return 0;
	gadget_process_populate(&event->proc);
	event->timestamp_raw = bpf_ktime_get_boot_ns();
	event->fd = ret;
	event->ctime = event->lower = 0;
	event->cwd[0] = '\0';
	r = read_full_path_of_open_file_fd(ret, (char *)event->path,
					   sizeof(event->path));
	if (r <= 0)
		event->path[0] = '\0';
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
	return 0;
}

SEC("tracepoint/sched/sched_process_exec")
int gadget_disabled_one(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
