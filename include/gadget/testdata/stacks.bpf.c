// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* kernel_stack_map.h and user_stack_map.h: the stacks of the process that runs a program. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/kernel_stack_map.h>
#include <gadget/user_stack_map.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct gadget_user_stack);
} stack SEC(".maps");

/* A byte that isn't written stays 0xff, which no test expects anywhere. */
static __always_inline struct gadget_user_stack *poisoned(void)
{
	__u32 zero = 0;
	struct gadget_user_stack *s = bpf_map_lookup_elem(&stack, &zero);

	if (s)
		__builtin_memset(s, 0xff, sizeof(*s));
	return s;
}

/* If the user asks for it. */
SEC("raw_tp/user")
int user(void *ctx)
{
	struct gadget_user_stack *s = poisoned();

	if (!s)
		return 1;
	gadget_get_user_stack(ctx, s);
	return 0;
}

/* If args[0] is not 0. */
SEC("raw_tp/user_if")
int user_if(struct bpf_raw_tracepoint_args *ctx)
{
	struct gadget_user_stack *s = poisoned();

	if (!s)
		return 1;
	gadget_get_user_stack(ctx, s, ctx->args[0] != 0);
	return 0;
}

const volatile __u64 only_nr = 0;
const volatile char only_comm[16] = {};

/* Of a process of that name, when it makes that system call. */
SEC("raw_tp/sys_enter")
int user_of(struct bpf_raw_tracepoint_args *ctx)
{
	struct gadget_user_stack *s;
	char comm[16];

	if (ctx->args[1] != only_nr)
		return 0;
	bpf_get_current_comm(comm, sizeof(comm));
	for (int i = 0; i < 16 && only_comm[i]; i++)
		if (comm[i] != only_comm[i])
			return 0;
	s = poisoned();
	if (s)
		gadget_get_user_stack(ctx, s, true);
	return 0;
}

SEC("raw_tp/kernel")
int kernel(void *ctx)
{
	return gadget_get_kernel_stack(ctx);
}

char LICENSE[] SEC("license") = "GPL";
