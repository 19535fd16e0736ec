// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Each program has a param that switches it on, and one param does so for all, as authors of other gadgets write it. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>
#include <gadget/macros.h>

struct event {
	__u32 program;
};

GADGET_TRACER_MAP(events, 4096);
GADGET_TRACER(calls, events, event);

const volatile bool watch_all = false;
GADGET_PARAM(watch_all);

static __noinline int report(void *ctx, __u32 program)
{
	struct event event = {.program = program};

	gadget_output_buf(ctx, &events, &event, sizeof(event));
	return 0;
}

#define PROGRAM(name, section, number)             \
	const volatile bool watch_##name = false;  \
	GADGET_PARAM(watch_##name);                \
	SEC(section)                               \
	int on_##name(void *ctx)                   \
	{                                          \
		if (watch_all || watch_##name)     \
			return report(ctx, number); \
		return 0;                          \
	}

PROGRAM(tp, "tracepoint/syscalls/sys_enter_getpgid", 1)
PROGRAM(raw, "raw_tp/sched_process_exec", 2)
PROGRAM(btf, "tp_btf/sched_process_exec", 3)

char LICENSE[] SEC("license") = "GPL";
