/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The correct part of the wrong gadgets beside this file. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <gadget/macros.h>

struct event {
	__u32 value;
};

const struct event *event_in_btf __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

#ifndef NO_PROGRAM
SEC("tracepoint/syscalls/sys_enter_getpgid")
int program(void *ctx)
{
	return 0;
}
#endif

#ifndef NO_LICENSE
char LICENSE[] SEC("license") = "GPL";
#endif

/* A marker as it is, to be wrong in ways that the macros would not allow. */
#define MARKER(name) const void *name __attribute__((unused))
