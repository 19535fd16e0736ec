// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Decisions worth watching, taken at LSM hooks; never denies. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

enum hook {
	bpf,
	file_open,
	task_kill,
	bprm_check_security,
	socket_connect,
};

struct event {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;
	enum hook hook_raw;
	__s32 ret;
	__u64 detail;
	char name[64];
};

GADGET_TRACER_MAP(events, 1024 * 512);
GADGET_TRACER(lsm, events, event);

#define WATCH(h)                            \
	const volatile bool watch_##h = true; \
	GADGET_PARAM(watch_##h);

WATCH(bpf)
WATCH(file_open)
WATCH(task_kill)
WATCH(bprm_check_security)
WATCH(socket_connect)

static __always_inline struct event *start(enum hook hook, int ret)
{
	struct event *ev;

	if (gadget_should_discard_data_current())
		return NULL;
	ev = gadget_reserve_buf(&events, sizeof(*ev));
	if (!ev)
		return NULL;
	__builtin_memset(ev, 0, sizeof(*ev));
	ev->timestamp_raw = bpf_ktime_get_boot_ns();
	gadget_process_populate(&ev->proc);
	ev->hook_raw = hook;
	ev->ret = ret;
	return ev;
}

#define FINISH(ev) gadget_submit_buf(ctx, &events, ev, sizeof(*ev))

SEC("lsm/bpf")
int BPF_PROG(lsmwatch_bpf, int cmd, union bpf_attr *attr, unsigned int size, int ret)
{
	struct event *ev = watch_bpf ? start(bpf, 0) : NULL;

	if (ev) {
		ev->detail = cmd;
		FINISH(ev);
	}
	return 0;
}

SEC("lsm/file_open")
int BPF_PROG(lsmwatch_file_open, struct file *file, int ret)
{
	struct event *ev = watch_file_open ? start(file_open, ret) : NULL;

	if (ev) {
		bpf_probe_read_kernel_str(ev->name, sizeof(ev->name),
					  file->f_path.dentry->d_name.name);
		ev->detail = file->f_inode->i_ino;
		FINISH(ev);
	}
	return ret;
}

SEC("lsm/task_kill")
int BPF_PROG(lsmwatch_task_kill, struct task_struct *p, struct kernel_siginfo *info, int sig,
	     const struct cred *cred, int ret)
{
	struct event *ev = watch_task_kill ? start(task_kill, ret) : NULL;

	if (ev) {
		ev->detail = sig;
		__builtin_memcpy(ev->name, p->comm, TASK_COMM_LEN);
		FINISH(ev);
	}
	return ret;
}

SEC("lsm/bprm_check_security")
int BPF_PROG(lsmwatch_bprm, struct linux_binprm *bprm, int ret)
{
	struct event *ev = watch_bprm_check_security ? start(bprm_check_security, ret) : NULL;

	if (ev) {
		bpf_probe_read_kernel_str(ev->name, sizeof(ev->name), bprm->filename);
		FINISH(ev);
	}
	return ret;
}

SEC("lsm/socket_connect")
int BPF_PROG(lsmwatch_connect, struct socket *sock, struct sockaddr *address, int addrlen, int ret)
{
	struct event *ev = watch_socket_connect ? start(socket_connect, ret) : NULL;

	if (ev) {
		ev->detail = address->sa_family;
		FINISH(ev);
	}
	return ret;
}

char LICENSE[] SEC("license") = "GPL";
