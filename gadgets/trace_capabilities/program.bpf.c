// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Reports when the kernel checks whether a process has a capability.
 *
 * cap_capable() makes all these checks.  fexit sees its arguments and its result
 * in one program; a kprobe and a kretprobe stand in for it, which cost more; and
 * where the kernel has none of these, its tracepoint does (since 6.15).  The
 * tracepoint does not have the kind of the check.
 *
 * The system call comes from the registers that the task saved when it entered
 * the kernel, so no program is attached to the entry of calls.
 */

#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/constants.h>
#include <gadget/filter.h>
#include <gadget/kernel_stack_map.h>
#include <gadget/macros.h>
#include <gadget/maps.bpf.h>
#include <gadget/syscalls.bpf.h>
#include <gadget/types.h>
#include <gadget/user_stack_map.h>

/* From the kernel's headers, which BTF doesn't have. */
#define CAP_OPT_NOAUDIT (1 << 1)
#define CAP_OPT_INSETID (1 << 2)

#define UNKNOWN (-1)

#define ALL_CAPABILITIES(X)     \
	X(CHOWN, 0)             \
	X(DAC_OVERRIDE, 1)      \
	X(DAC_READ_SEARCH, 2)   \
	X(FOWNER, 3)            \
	X(FSETID, 4)            \
	X(KILL, 5)              \
	X(SETGID, 6)            \
	X(SETUID, 7)            \
	X(SETPCAP, 8)           \
	X(LINUX_IMMUTABLE, 9)   \
	X(NET_BIND_SERVICE, 10) \
	X(NET_BROADCAST, 11)    \
	X(NET_ADMIN, 12)        \
	X(NET_RAW, 13)          \
	X(IPC_LOCK, 14)         \
	X(IPC_OWNER, 15)        \
	X(SYS_MODULE, 16)       \
	X(SYS_RAWIO, 17)        \
	X(SYS_CHROOT, 18)       \
	X(SYS_PTRACE, 19)       \
	X(SYS_PACCT, 20)        \
	X(SYS_ADMIN, 21)        \
	X(SYS_BOOT, 22)         \
	X(SYS_NICE, 23)         \
	X(SYS_RESOURCE, 24)     \
	X(SYS_TIME, 25)         \
	X(SYS_TTY_CONFIG, 26)   \
	X(MKNOD, 27)            \
	X(LEASE, 28)            \
	X(AUDIT_WRITE, 29)      \
	X(AUDIT_CONTROL, 30)    \
	X(SETFCAP, 31)          \
	X(MAC_OVERRIDE, 32)     \
	X(MAC_ADMIN, 33)        \
	X(SYSLOG, 34)           \
	X(WAKE_ALARM, 35)       \
	X(BLOCK_SUSPEND, 36)    \
	X(AUDIT_READ, 37)       \
	X(PERFMON, 38)          \
	X(BPF, 39)              \
	X(CHECKPOINT_RESTORE, 40)

#define AS_NUMBER(name, n) CAP_##name = n,
#define AS_FLAG(name, n)   FLAG_CAP_##name = 1ULL << n,

enum capability { ALL_CAPABILITIES(AS_NUMBER) };

/* 64 bits wide without a declared type: with one, clang loses the names of the upper bits. */
enum cap_effective_flags_set { ALL_CAPABILITIES(AS_FLAG) };

struct event {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;

	__u64 current_userns;
	__u64 target_userns;
	enum cap_effective_flags_set cap_effective_raw;
	gadget_syscall syscall_raw;
	enum capability cap_raw;
	__s32 audit;
	__s32 insetid;
	gadget_kernel_stack kstack_raw;
	bool capable;
	__u8 __padding[7];
	/* Only records with a stack are as long as this. */
	struct gadget_user_stack ustack;
};

const volatile bool audit_only = false;
GADGET_PARAM(audit_only);

const volatile bool unique = false;
GADGET_PARAM(unique);

const volatile bool collect_kstack = true;
GADGET_PARAM(collect_kstack);

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(capabilities, events, event);

/* Known when the program is loaded, as a reservation needs. */
static __always_inline __u32 record_size(void)
{
	return collect_ustack ? sizeof(struct event) :
				offsetof(struct event, ustack);
}

struct seen_key {
	gadget_mntns_id mntns_id;
	__u64 cap;
};

/* What has been reported already, with --unique. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10240);
	__type(key, struct seen_key);
	__type(value, __u8);
} seen SEC(".maps");

/* A check, as far as its caller knows. */
struct check {
	const struct cred *cred;
	struct user_namespace *target;
	__s32 cap;
	__s32 opts; /* or UNKNOWN */
};

/* Checks that are running, by thread, for kprobe and kretprobe. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, gadget_tid);
	__type(value, struct check);
} running SEC(".maps");

/* Returns whether it has been seen before. */
static __always_inline bool is_seen(__s32 cap)
{
	struct seen_key key = {
		.mntns_id = gadget_get_current_mntns_id(),
		.cap = cap,
	};
	__u8 one = 1;

	if (bpf_map_lookup_elem(&seen, &key))
		return true;
	bpf_map_update_elem(&seen, &key, &one, BPF_ANY);
	return false;
}

/*
 * Checks of other credentials than the process' own say nothing about the process: the
 * kernel uses those of the process that opened a file, or mounted a file system.
 */
static __always_inline bool is_wanted(const struct check *check)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (audit_only && check->opts != UNKNOWN &&
	    (check->opts & CAP_OPT_NOAUDIT))
		return false;
	if (gadget_should_discard_data_current())
		return false;
	if (check->cred != task->real_cred)
		return false;
	return !unique || !is_seen(check->cap);
}

static __always_inline int report(void *ctx, const struct check *check, int ret)
{
	const struct user_namespace *target = check->target;
	const struct cred *cred = check->cred;
	struct event *event;

	event = gadget_reserve_buf(&events, record_size());
	if (!event)
		return 0;
	event->timestamp_raw = bpf_ktime_get_boot_ns();
	gadget_process_populate(&event->proc);
	event->current_userns = BPF_CORE_READ(cred, user_ns, ns.inum);
	event->target_userns = BPF_CORE_READ(target, ns.inum);
	/* Its type changed in 6.3, its 64 bits did not. */
	bpf_core_read(&event->cap_effective_raw, sizeof(__u64),
		      &cred->cap_effective);
	event->syscall_raw = gadget_get_current_syscall();
	event->cap_raw = check->cap;
	event->audit = UNKNOWN;
	event->insetid = UNKNOWN;
	if (check->opts != UNKNOWN) {
		event->audit = !(check->opts & CAP_OPT_NOAUDIT);
		event->insetid = !!(check->opts & CAP_OPT_INSETID);
	}
	event->capable = ret == 0;
	__builtin_memset(event->__padding, 0, sizeof(event->__padding));
	event->kstack_raw = collect_kstack ? gadget_get_kernel_stack(ctx) :
					     -EFAULT;
	if (collect_ustack)
		gadget_get_user_stack(ctx, &event->ustack);
	gadget_submit_buf(ctx, &events, event, record_size());
	return 0;
}

GADGET_PREFER(trace_cap_exit, trace_cap_probe);
GADGET_PREFER(trace_cap_exit, trace_cap_return);
GADGET_PREFER(trace_cap_probe, trace_cap_tracepoint);
GADGET_PREFER(trace_cap_return, trace_cap_tracepoint);

SEC("fexit/cap_capable")
int BPF_PROG(trace_cap_exit, const struct cred *cred,
	     struct user_namespace *target, int cap, unsigned int opts, int ret)
{
	struct check check = {cred, target, cap, opts};

	if (!is_wanted(&check))
		return 0;
	return report(ctx, &check, ret);
}

SEC("kprobe/cap_capable")
int BPF_KPROBE(trace_cap_probe, const struct cred *cred,
	       struct user_namespace *target, int cap, unsigned int opts)
{
	struct check check = {cred, target, cap, opts};
	gadget_tid tid = (__u32)bpf_get_current_pid_tgid();

	if (is_wanted(&check))
		bpf_map_update_elem(&running, &tid, &check, BPF_ANY);
	return 0;
}

SEC("kretprobe/cap_capable")
int BPF_KRETPROBE(trace_cap_return, int ret)
{
	gadget_tid tid = (__u32)bpf_get_current_pid_tgid();
	struct check check;

	if (!gadget_map_take(&running, &tid, &check))
		return 0;
	return report(ctx, &check, ret);
}

SEC("tp_btf/cap_capable")
int BPF_PROG(trace_cap_tracepoint, const struct cred *cred,
	     struct user_namespace *target,
	     const struct user_namespace *capable_ns, int cap, int ret)
{
	struct check check = {cred, target, cap, UNKNOWN};

	(void)capable_ns;
	if (!is_wanted(&check))
		return 0;
	return report(ctx, &check, ret);
}

char LICENSE[] SEC("license") = "GPL";
