// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* sockets-map.h in programs that trace: the socket of file descriptor args[0]. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define GADGET_TYPE_TRACING
#include <gadget/sockets-map.h>
#include <gadget/filesystem.h>

/* Returns the pid of its owner, or 0. */
SEC("raw_tp/owner")
int owner(struct bpf_raw_tracepoint_args *ctx)
{
	struct file *file = get_struct_file_for_fd(ctx->args[0]);
	struct socket *socket = BPF_CORE_READ(file, private_data);
	struct sock *sk = BPF_CORE_READ(socket, sk);
	struct gadget_socket_value *value;

	value = gadget_socket_lookup(sk, ctx->args[1]);
	return value ? value->pid_tgid >> 32 : 0;
}

char LICENSE[] SEC("license") = "GPL";
