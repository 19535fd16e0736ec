// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* No gadget.yaml, one header, everything anonymous and nested. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>

struct event {
	union {
		u32 word;
		u8 octets[4];
	};
	struct {
		u16 a;
		struct {
			u8 b[3];
		} deep;
	} nested;
	u32 bit : 3;
	u32 rest : 29;
	float f;
	double d;
	_Bool yes;
	u8 __private;
	void *pointer;
	unsigned __int128 wide;
};

GADGET_TRACER_MAP(events, 1024 * 256)
GADGET_TRACER(shapes, events, event)

SEC("tracepoint/syscalls/sys_enter_getpgid")
int ig_shapes(void *ctx)
{
	struct event *e = gadget_reserve_buf(&events, sizeof(*e));

	if (!e)
		return 0;
	__builtin_memset(e, 0, sizeof(*e));
	e->word = 0x01020304;
	e->nested.a = 5;
	e->bit = 5;
	e->yes = 1;
	e->__private = 9;
	gadget_submit_buf(ctx, &events, e, sizeof(*e));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
