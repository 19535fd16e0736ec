// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A program in each kind of section that gadgets have. */
#include "../errors/base.h"

GADGET_TRACER(t, events, event);

#define PROGRAM(name, section)           \
	SEC(section) int name(void *ctx) \
	{                                \
		return 0;                \
	}

PROGRAM(on_tracepoint, "tracepoint/syscalls/sys_enter_getpgid")
PROGRAM(on_tp, "tp/syscalls/sys_enter_getpgid")
PROGRAM(on_raw_tp, "raw_tp/sys_enter")
PROGRAM(on_raw_tracepoint, "raw_tracepoint/sys_enter")
PROGRAM(on_tp_btf, "tp_btf/sys_enter")
PROGRAM(on_kprobe, "kprobe/do_exit")
PROGRAM(on_kretprobe, "kretprobe/do_exit")
PROGRAM(on_fentry, "fentry/do_exit")
PROGRAM(on_fexit, "fexit/do_exit")
PROGRAM(on_lsm, "lsm/file_open")
PROGRAM(on_iter_task, "iter/task")
PROGRAM(on_iter_task_file, "iter/task_file")
PROGRAM(on_iter_tcp, "iter/tcp")
PROGRAM(on_iter_udp, "iter/udp")
PROGRAM(on_iter_ksym, "iter/ksym")
PROGRAM(on_iter_map, "iter/bpf_map_elem")
PROGRAM(on_perf_event, "perf_event/cycles")
PROGRAM(on_uprobe, "uprobe/libc:malloc")
PROGRAM(on_uretprobe, "uretprobe/libc:malloc")
PROGRAM(on_usdt, "usdt/libc:libc:setjmp")
PROGRAM(on_socket_filter, "socket1")
PROGRAM(on_ingress, "classifier/ingress/x")
PROGRAM(on_egress, "classifier/egress/x")
PROGRAM(on_sock_ops, "sockops")
PROGRAM(on_parser, "sk_skb/stream_parser")
PROGRAM(on_verdict, "sk_skb/stream_verdict")
PROGRAM(on_message, "sk_msg")
PROGRAM(on_no_category, "tracepoint/sys_enter_getpgid")
PROGRAM(on_no_name, "raw_tp")
PROGRAM(on_no_btf_name, "tp_btf/")
PROGRAM(on_unknown, "tracepiont/syscalls/sys_enter_getpgid")
PROGRAM(on_disabled, "fentry/gadget_program_disabled")
