/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef __GADGET_USER_STACK_MAP_H
#define __GADGET_USER_STACK_MAP_H

/* The stacks of processes, and the data to find names for them later. */

#include <vmlinux.h>
#include <gadget/base.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <gadget/core_fixes.bpf.h>
#include <gadget/fnv1a.h>
#include <gadget/macros.h>
#include <gadget/types.h>

#define GADGET_USER_MAX_STACK_DEPTH	  127
#define GADGET_USER_STACK_MAP_MAX_ENTRIES 10000

/*
 * The user requests stacks with --collect-ustack, and the file and offset of each
 * address with --collect-build-id.  Declared without values, so that gadgets
 * which define these themselves compile, too.
 */
const volatile bool collect_ustack;
const volatile bool collect_build_id;
GADGET_PARAM(collect_ustack);
GADGET_PARAM(collect_build_id);

/*
 * A profiler outside may put programs into these maps, which a stack of its own kind
 * takes.  Nothing here calls them; they are there for sources that do.
 */
const volatile bool collect_otel_stack;
GADGET_PARAM(collect_otel_stack);

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} otel_generic_params SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} otel_tc_kprobe SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} otel_tc_perf SEC(".maps");

/* Each stack once.  gizmo puts its own table in the place of this one, too. */
struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, GADGET_USER_MAX_STACK_DEPTH * sizeof(__u64));
	__uint(max_entries, GADGET_USER_STACK_MAP_MAX_ENTRIES);
} ig_ustack SEC(".maps");

/* The addresses of a stack with the files that they belong to, under its id. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(key_size, sizeof(__u32));
	__uint(value_size,
	       GADGET_USER_MAX_STACK_DEPTH * sizeof(struct bpf_stack_build_id));
	__uint(max_entries, 1024);
} ig_build_id SEC(".maps");

/* How many stacks that has room for, for the user to say. */
const volatile int ig_build_id_max_entries = 1024;
GADGET_PARAM(ig_build_id_max_entries);

static const struct bpf_stack_build_id
	__gadget_no_build_ids[GADGET_USER_MAX_STACK_DEPTH] = {};

/*
 * Notes the build ids of a stack that has none yet.  If there is no room, or the
 * kernel does not offer them, the stack has to do without.
 */
static __always_inline void __gadget_collect_build_ids(void *ctx, __u32 stack)
{
	void *ids;

	if (bpf_map_update_elem(&ig_build_id, &stack, __gadget_no_build_ids,
				BPF_NOEXIST))
		return;
	ids = bpf_map_lookup_elem(&ig_build_id, &stack);
	if (ids)
		bpf_get_stack(ctx, ids, sizeof(__gadget_no_build_ids),
			      BPF_F_USER_STACK | BPF_F_USER_BUILD_ID);
}

/* The file that a process executes. */
static __always_inline void __gadget_identify_exe(struct gadget_user_stack *s,
						  struct task_struct *task)
{
	struct inode *inode = BPF_CORE_READ(task, mm, exe_file, f_inode);
	__u32 dev = BPF_CORE_READ(inode, i_sb, s_dev);

	s->major = dev >> 20;
	s->minor = dev & ((1 << 20) - 1);
	s->inode = BPF_CORE_READ(inode, i_ino);
	gadget_inode_get_mtime(inode, &s->mtime_sec, &s->mtime_nsec);
}

/* Where it was put: another each time, for all that is compiled to allow it. */
static __always_inline __u32 __gadget_base_addr_hash(struct task_struct *task)
{
	__u32 hash = fnv_32a_init();

	fnv_32a_update_u64(&hash, BPF_CORE_READ(task, mm, start_code));
	fnv_32a_update_u64(&hash, BPF_CORE_READ(task, mm, start_stack));
	return hash;
}

/*
 * The ids of the thread in the two outermost pid namespaces that it is in.
 *
 * The array ends the struct, with one element or none in its declaration: since 6.5,
 * by b69f0aeb0689 ("pid: Replace struct pid 1-element array with flex-array"), none.
 */
static __always_inline void
__gadget_identify_thread(struct gadget_user_stack *s, struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	struct upid *upid =
		(void *)pid + bpf_core_field_offset(struct pid, numbers);

	s->tgid_level0 = BPF_CORE_READ(task, tgid);
	s->pid_level0 = BPF_CORE_READ(upid, nr);
	s->pidns_level0 = BPF_CORE_READ(upid, ns, ns.inum);
	s->pid_level1 = 0;
	s->pidns_level1 = 0;
	if (BPF_CORE_READ(pid, level) == 0)
		return;
	upid = (void *)upid + bpf_core_type_size(struct upid);
	s->pid_level1 = BPF_CORE_READ(upid, nr);
	s->pidns_level1 = BPF_CORE_READ(upid, ns, ns.inum);
}

static __always_inline void
__gadget_get_user_stack(void *ctx, struct gadget_user_stack *s, bool collect)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	__builtin_memset(s, 0, sizeof(*s));
	if (!collect)
		return;
	s->stack_id = bpf_get_stackid(ctx, &ig_ustack,
				      BPF_F_FAST_STACK_CMP | BPF_F_USER_STACK);
	s->boot_timestamp = bpf_ktime_get_boot_ns();
	__gadget_identify_exe(s, task);
	__gadget_identify_thread(s, task);
	s->base_addr_hash = __gadget_base_addr_hash(task);
	if (collect_build_id && (__s32)s->stack_id >= 0)
		__gadget_collect_build_ids(ctx, s->stack_id);
}

/*
 * gadget_get_user_stack: puts the current task's stack into ig_ustack.
 *	gadget_get_user_stack(ctx, &event->ustack)
 *	gadget_get_user_stack(ctx, &event->ustack, collect)
 * @ustack:  filled, every byte of it; stack_id is the stack's id or a negative errno:
 *           EFAULT if the task has none, ENOSPC if gizmo had no room for it
 * @collect: if false, @ustack is all zero, which means that there is none;
 *           collect_ustack if not given
 *
 * For kprobe, uprobe, tracepoint, raw_tp, tp_btf, fentry and perf_event programs.
 */
#define gadget_get_user_stack(ctx, ustack, ...)                             \
	__gadget_pick_collect(, ##__VA_ARGS__, __gadget_get_user_stack_if,  \
			      __gadget_get_user_stack_asked)(ctx, (ustack), \
							     ##__VA_ARGS__)

#define __gadget_pick_collect(_, _1, pick, ...) pick

#define __gadget_get_user_stack_if(ctx, ustack, collect) \
	__gadget_get_user_stack(ctx, ustack, collect)

#define __gadget_get_user_stack_asked(ctx, ustack) \
	__gadget_get_user_stack(ctx, ustack, collect_ustack)

/*
 * gadget_get_user_stack_from_{kprobe,perf_event,tracepoint}: the same as
 * gadget_get_user_stack.  In other systems they differ by the type of program.
 */
#define gadget_get_user_stack_from_kprobe     gadget_get_user_stack
#define gadget_get_user_stack_from_perf_event gadget_get_user_stack
#define gadget_get_user_stack_from_tracepoint gadget_get_user_stack

#endif /* __GADGET_USER_STACK_MAP_H */
