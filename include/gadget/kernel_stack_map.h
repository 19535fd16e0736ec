/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef __GADGET_KERNEL_STACK_MAP_H
#define __GADGET_KERNEL_STACK_MAP_H

/* The kernel's stacks: what was called on the way to the program. */

#include <vmlinux.h>
#include <gadget/base.h>
#include <bpf/bpf_helpers.h>
#include <gadget/types.h>

#define GADGET_KERNEL_MAX_STACK_DEPTH	    127
#define GADGET_KERNEL_STACK_MAP_MAX_ENTRIES 10000

/* The older names of these constants. */
#ifndef PERF_MAX_STACK_DEPTH
#define PERF_MAX_STACK_DEPTH GADGET_KERNEL_MAX_STACK_DEPTH
#endif
#define KERNEL_STACK_MAP_MAX_ENTRIES GADGET_KERNEL_STACK_MAP_MAX_ENTRIES

/*
 * Each stack once.  gizmo puts a table of its own in the place of this one, in which no
 * stack takes the place of another, unless a program reads this map itself.
 */
struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, GADGET_KERNEL_MAX_STACK_DEPTH * sizeof(__u64));
	__uint(max_entries, GADGET_KERNEL_STACK_MAP_MAX_ENTRIES);
} ig_kstack SEC(".maps");

/*
 * gadget_get_kernel_stack: puts the kernel's current stack into ig_kstack.
 *
 * Returns its id, for a field of the type gadget_kernel_stack; or a negative errno:
 * EFAULT if there is none, ENOSPC if gizmo had no room for a new stack.
 * For kprobe, tracepoint, raw_tp, tp_btf, fentry and perf_event programs.
 */
static __always_inline long gadget_get_kernel_stack(void *ctx)
{
	return bpf_get_stackid(ctx, &ig_kstack, BPF_F_FAST_STACK_CMP);
}

#endif /* __GADGET_KERNEL_STACK_MAP_H */
