// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* So many programs with loops that compilers leave their labels in the object. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <gadget/buffer.h>

struct event {
	u32 which;
	u64 sum;
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(many, events, event);

static __noinline u64 work(u64 n)
{
	u64 sum = 0;
	int i;

	for (i = 0; i < 4; i++) {
		if ((u64)i > n)
			break;
		sum += i * n;
		if (sum & 1)
			sum ^= n << 3;
	}
	return sum;
}

#define ONE(n)                                                  \
	SEC("raw_tp/sys_enter")                                 \
	int ig_many_##n(struct bpf_raw_tracepoint_args *ctx)    \
	{                                                       \
		struct event e = {.which = __COUNTER__};        \
		int i;                                          \
                                                                \
		if (ctx->args[1] != 121)                        \
			return 0;                               \
		for (i = 0; i < 20; i++) {                      \
			if (i == e.which % 7)                   \
				continue;                       \
			e.sum += work(i + ctx->args[1]);        \
			if (e.sum == 1)                         \
				break;                          \
		}                                               \
		gadget_output_buf(ctx, &events, &e, sizeof(e)); \
		return 0;                                       \
	}

/* clang-format off */
#define TEN(n)                                            \
	ONE(n##0) ONE(n##1) ONE(n##2) ONE(n##3) ONE(n##4) \
	ONE(n##5) ONE(n##6) ONE(n##7) ONE(n##8) ONE(n##9)

TEN(0) TEN(1) TEN(2) TEN(3) TEN(4) TEN(5) TEN(6) TEN(7)
TEN(8) TEN(9) TEN(10) TEN(11) TEN(12) TEN(13) TEN(14)
	/* clang-format on */

	char LICENSE[] SEC("license") = "GPL";
