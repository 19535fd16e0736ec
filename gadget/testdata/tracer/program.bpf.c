// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A whole gadget: fields and params of every kind; each event tells the params. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

enum colour {
	RED,
	GREEN = 5,
	BLUE,
};

enum turn {
	LEFT = -1,
	AHEAD,
	RIGHT,
};

enum big : __u64 {
	SMALL = 1,
	LARGE = 0x80000000,
};

/* The process that made the test's system call, and what the params are. */
struct event {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;
	enum colour colour_raw;
	enum turn turn;
	enum big big;
	__u64 u64;
	__s64 s64;
	double d;
	__u32 u32;
	__s32 s32;
	float f;
	__u16 u16;
	__s16 s16;
	__u8 u8;
	__s8 s8;
	bool flag;
	char text[9];
	__u8 __padding[2];
	__u16 rest_len;
	__u16 words[3];
};

const volatile __u32 magic = 0;
GADGET_PARAM(magic);
const volatile bool param_flag = true;
GADGET_PARAM(param_flag);
const volatile __u8 param_u8 = 200;
GADGET_PARAM(param_u8);
const volatile __s8 param_s8 = -100;
GADGET_PARAM(param_s8);
const volatile __u16 param_u16 = 60000;
GADGET_PARAM(param_u16);
const volatile __s16 param_s16 = -30000;
GADGET_PARAM(param_s16);
const volatile __u32 param_u32 = 4000000000;
GADGET_PARAM(param_u32);
const volatile __s32 param_s32 = -2000000000;
GADGET_PARAM(param_s32);
const volatile __u64 param_u64 = 18000000000000000000ULL;
GADGET_PARAM(param_u64);
const volatile __s64 param_s64 = -9000000000000000000LL;
GADGET_PARAM(param_s64);
const volatile float param_f = 1.5f;
GADGET_PARAM(param_f);
const volatile double param_d = -0.1;
GADGET_PARAM(param_d);
const volatile char param_text[9] = "initial";
GADGET_PARAM(param_text);
const volatile enum colour param_colour = GREEN;
GADGET_PARAM(param_colour);
const volatile enum turn param_turn = LEFT;
GADGET_PARAM(param_turn);
const volatile enum big param_big = LARGE;
GADGET_PARAM(param_big);

/* Sized by a param. */
const volatile __u32 seen_max_entries = 10;
GADGET_PARAM(seen_max_entries);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} seen SEC(".maps");

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(params, events, event);

static __always_inline void copy_params(struct event *e)
{
	e->colour_raw = param_colour;
	e->turn = param_turn;
	e->big = param_big;
	e->u64 = param_u64;
	e->s64 = param_s64;
	/* The bytes: there are no floats in BPF. */
	*(__u64 *)&e->d = *(const volatile __u64 *)&param_d;
	e->u32 = param_u32;
	e->s32 = param_s32;
	*(__u32 *)&e->f = *(const volatile __u32 *)&param_f;
	e->u16 = param_u16;
	e->s16 = param_s16;
	e->u8 = param_u8;
	e->s8 = param_s8;
	e->flag = param_flag;
	for (int i = 0; i < sizeof(param_text); i++)
		e->text[i] = param_text[i];
}

SEC("tracepoint/syscalls/sys_enter_getpgid")
int gt_tracer(struct trace_event_raw_sys_enter *ctx)
{
	struct event *e;
	__u32 key = 0;

	if ((__u32)ctx->args[0] != magic)
		return 0;
	if (gadget_should_discard_data_current())
		return 0;
	bpf_map_update_elem(&seen, &key, &key, BPF_ANY);

	e = gadget_reserve_buf(&events, sizeof(*e));
	if (!e)
		return 0;
	__builtin_memset(e, 0, sizeof(*e));
	e->timestamp_raw = bpf_ktime_get_boot_ns();
	gadget_process_populate(&e->proc);
	copy_params(e);
	gadget_submit_buf(ctx, &events, e, sizeof(*e));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
