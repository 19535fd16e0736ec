// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/filter.h>
#include <gadget/kernel_stack_map.h>
#include <gadget/macros.h>
#include <gadget/types.h>

extern int LINUX_KERNEL_VERSION __kconfig;

#define CAP_OPT_NOAUDIT 2

enum cap {
	CAP_CHOWN = 0,
	CAP_DAC_OVERRIDE,
	CAP_DAC_READ_SEARCH,
	CAP_FOWNER,
	CAP_FSETID,
	CAP_KILL,
	CAP_SETGID,
	CAP_SETUID,
	CAP_SETPCAP,
	CAP_NET_ADMIN = 12,
	CAP_NET_RAW,
	CAP_SYS_MODULE = 16,
	CAP_SYS_CHROOT = 18,
	CAP_SYS_PTRACE = 19,
	CAP_SYS_ADMIN = 21,
	CAP_BPF = 39,
};

struct check {
	int cap;
	int opts;
	__u64 effective;
	__u64 target_userns;
};

struct once {
	gadget_mntns_id mntns;
	__u32 pid;
	int cap;
};

struct cap_event {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;
	enum cap cap_raw;
	bool capable;
	int audit;
	__u64 effective;
	gadget_netns_id __unused_netns;
	__u64 target_userns;
	gadget_kernel_stack kstack_raw;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10240);
	__type(key, __u64);
	__type(value, struct check);
} checks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 10240);
	__type(key, struct once);
	__type(value, __u8);
} reported SEC(".maps");

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(capabilities, events, cap_event);

const volatile bool unique = false;
const volatile bool audit_only = false;
const volatile bool with_kstack = true;
GADGET_PARAM(unique);
GADGET_PARAM(audit_only);
GADGET_PARAM(with_kstack);

SEC("kprobe/cap_capable")
int BPF_KPROBE(capwatch_e, const struct cred *cred, struct user_namespace *targ_ns, int cap,
	       int cap_opt)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u64 id = bpf_get_current_pid_tgid();
	struct check c = {};

	if (gadget_should_discard_data_current())
		return 0;
	if (audit_only && LINUX_KERNEL_VERSION >= KERNEL_VERSION(5, 1, 0) &&
	    (cap_opt & CAP_OPT_NOAUDIT))
		return 0;
	if (unique) {
		struct once once = {};
		__u8 one = 1;

		once.mntns = gadget_get_current_mntns_id();
		once.pid = id >> 32;
		once.cap = cap;
		if (bpf_map_update_elem(&reported, &once, &one, BPF_NOEXIST))
			return 0;
	}
	c.cap = cap;
	c.opts = cap_opt;
	c.target_userns = BPF_CORE_READ(targ_ns, ns.inum);
	BPF_CORE_READ_INTO(&c.effective, task, real_cred, cap_effective);
	bpf_map_update_elem(&checks, &id, &c, 0);
	return 0;
}

SEC("kretprobe/cap_capable")
int BPF_KRETPROBE(capwatch_x)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct cap_event *ev;
	struct check *c;

	c = bpf_map_lookup_elem(&checks, &id);
	if (!c)
		return 0;
	ev = gadget_reserve_buf(&events, sizeof(struct cap_event));
	if (!ev)
		goto out;
	gadget_process_populate(&ev->proc);
	ev->timestamp_raw = bpf_ktime_get_boot_ns();
	ev->cap_raw = c->cap;
	ev->capable = PT_REGS_RC(ctx) == 0;
	ev->audit = (c->opts & CAP_OPT_NOAUDIT) == 0;
	ev->effective = c->effective;
	ev->target_userns = c->target_userns;
	ev->kstack_raw = with_kstack ? gadget_get_kernel_stack(ctx) : -1;
	gadget_submit_buf(ctx, &events, ev, sizeof(*ev));
out:
	bpf_map_delete_elem(&checks, &id);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
