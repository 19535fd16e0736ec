// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Programs that params have loaded. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <gadget/macros.h>

struct event {
	__u32 value;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

GADGET_TRACER(t, events, event);

const volatile _Bool all = 0;
GADGET_PARAM(all);

const volatile _Bool first = 0;
GADGET_PARAM(first);

const volatile _Bool second = 1;
GADGET_PARAM(second);

const volatile _Bool hidden = 0; /* not a param: it is never set */

#define PROGRAM(name)                                \
	SEC("tracepoint/syscalls/sys_enter_getpgid") \
	int name(void *ctx)                          \
	{                                            \
		return 0;                            \
	}

PROGRAM(a)
GADGET_LOAD_IF(a, first)
GADGET_LOAD_IF(a, all)

PROGRAM(b)
GADGET_LOAD_IF(b, second)
GADGET_TRY_IF(b, all)

PROGRAM(c)
GADGET_LOAD_IF(c, hidden)

PROGRAM(d)
GADGET_TRY_IF(d, all)

char LICENSE[] SEC("license") = "GPL";
