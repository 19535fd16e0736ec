// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Loops, atomics, printing: code that authors copy from one gadget to the next. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <gadget/buffer.h>
#include <gadget/common.h>

#ifndef likely
#define likely(x) __builtin_expect(!!(x), 1)
#endif
#define min(a, b) ((a) < (b) ? (a) : (b))
#define NANO	  1000000000ULL

u64 total = 0;
#define LIMIT 8U

struct event {
	u64 total;
	char text[16];
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(copies, events, event);

static __always_inline int fill(char *text)
{
	int i;

	if (!text)
		return 0;
#pragma clang loop unroll(full)
	for (i = 0; i < 4; i++)
		text[i] = 'a' + i;
	text[4] = 0;
	return 4;
}

SEC("tracepoint/syscalls/sys_enter_getpgid")
int ig_copies(struct syscall_trace_enter *ctx)
{
	struct event *e;
	char text[16] = {};
	u32 i;

	__atomic_add_fetch(&total, 1, __ATOMIC_RELAXED);
	bpf_printk("wild %d", fill(text));
	e = gadget_reserve_buf(&events, sizeof(*e));
	if (likely(e)) {
		e->total = 0;
		for (i = 0; i < min(LIMIT, 64U); i++)
			e->total += i;
		__builtin_memcpy(e->text, text, sizeof(text));
		gadget_submit_buf(ctx, &events, e, sizeof(*e));
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
