// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Shows the processes that exist.
 *
 * The kernel calls the program for each of its tasks, which are threads: the
 * process is the one whose id is that of the group.
 */

#include <vmlinux.h>
#include <bpf/bpf_helpers.h>

#include <gadget/common.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

const volatile bool show_threads = false;
GADGET_PARAM(show_threads);

GADGET_ITER(processes, gadget_process, snapshot_task);

SEC("iter/task")
int snapshot_task(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct gadget_process process;

	if (!task) /* the end */
		return 0;
	if (!show_threads && task->pid != task->tgid)
		return 0;

	gadget_process_populate_from_task(task, &process);
	if (gadget_should_discard_process(&process))
		return 0;
	bpf_seq_write(ctx->meta->seq, &process, sizeof(process));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
