// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A param of every type, with every key that gadget.yaml has for it. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>
#include <gadget/filter.h>
#include <gadget/macros.h>

enum mode { FAST, SLOW };

const volatile bool flag = false;
const volatile __u8 small = 1;
const volatile __s16 family = -1;
const volatile __u32 ifindex = 0;
const volatile __u64 min_lat_us = 10000;
const volatile int calls_max_entries = 512;
const volatile enum mode mode = FAST;
const volatile char name[16] = "any";
GADGET_PARAM(flag);
GADGET_PARAM(small);
GADGET_PARAM(family);
GADGET_PARAM(ifindex);
GADGET_PARAM(min_lat_us);
GADGET_PARAM(calls_max_entries);
GADGET_PARAM(mode);
GADGET_PARAM(name);

const volatile u64 gadget_var_shared = 0;
u64 gadget_var_count;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, u32);
	__type(value, u64);
} calls SEC(".maps");

struct event {
	bool flag;
	__s16 family;
	__u64 min;
	enum mode mode_raw;
	char name[16];
	u64 shared;
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(params, events, event);

SEC("tracepoint/syscalls/sys_enter_getpgid")
int ig_params(struct syscall_trace_enter *ctx)
{
	u32 tid = (u32)bpf_get_current_pid_tgid();
	struct event e = {};
	int i;

	if (gadget_should_discard_data_current())
		return 0;
	gadget_var_count++;
	bpf_map_update_elem(&calls, &tid, &gadget_var_count, BPF_ANY);
	e.flag = flag;
	e.family = family + small - 1;
	e.min = min_lat_us + ifindex;
	e.mode_raw = mode;
	e.shared = gadget_var_shared;
	for (i = 0; i < 16; i++)
		e.name[i] = name[i];
	gadget_output_buf(ctx, &events, &e, sizeof(e));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
