// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Adds up what threads send and receive through TCP connections.
 *
 * An entry belongs to one thread and one connection, so no other thread writes to it at
 * the same time.
 *
 * Since 6.3 the kernel has tracepoints at the end of calls that send and receive, whatever
 * the socket.  Before, the functions of TCP do.  The kernel calls tcp_cleanup_rbuf(), too, with the number
 * of bytes that a call has received; but it does so more than once in a call that waits for the rest,
 * and for data that is only looked at (MSG_PEEK).
 */

#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>

#include <gadget/constants.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/maps.bpf.h>
#include <gadget/mntns.h>
#include <gadget/types.h>

#define MAX_ENTRIES 10240

/* Flags of calls that receive nothing, from the kernel's headers. */
#define MSG_PEEK     0x2
#define MSG_ERRQUEUE 0x2000

struct ip_key {
	gadget_mntns_id mntns_id;
	gadget_pid pid;
	gadget_tid tid;
	struct gadget_l4endpoint_t src;
	struct gadget_l4endpoint_t dst;
	gadget_comm comm[TASK_COMM_LEN];
};

struct traffic {
	gadget_bytes sent_raw;
	gadget_bytes received_raw;
};

enum direction {
	SENT,
	RECEIVED,
};

const volatile int family = -1;
GADGET_PARAM(family);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ENTRIES);
	__type(key, struct ip_key);
	__type(value, struct traffic);
} ip_map SEC(".maps");

GADGET_MAPITER(tcp, ip_map);

/* Calls for which there was no room. */
GADGET_LOST_COUNTER(ip_map);

/* How an entry begins. */
static const struct traffic nothing;

/*
 * The kernel knows the type of the sockets that most programs get, which may read them by plain
 * loads.  A kprobe has a number.  @typed is a constant.
 */
#define READ(typed, sk, member) \
	((typed) ? (sk)->member : BPF_CORE_READ(sk, member))

/* 8 bits of an int before 5.6: bf9765145b85 ("sock: Make sk_protocol a 16-bit value"). */
static __always_inline __u16 protocol_of(const struct sock *sk, bool typed)
{
	return typed ? BPF_CORE_READ_BITFIELD(sk, sk_protocol) :
		       BPF_CORE_READ_BITFIELD_PROBED(sk, sk_protocol);
}

static __always_inline bool is_wanted(const struct sock *sk, bool typed)
{
	__u16 domain = READ(typed, sk, __sk_common.skc_family);

	if (domain == AF_INET ? family == 6 : family == 4)
		return false;
	if (domain != AF_INET && domain != AF_INET6)
		return false;
	return protocol_of(sk, typed) == IPPROTO_TCP &&
	       !gadget_should_discard_data_current();
}

static __always_inline void fill_endpoints(struct ip_key *key,
					   const struct sock *sk, bool typed)
{
	const struct inet_sock *inet = (const struct inet_sock *)sk;

	key->src.proto = IPPROTO_TCP;
	key->dst.proto = IPPROTO_TCP;
	key->src.port = bpf_ntohs(BPF_CORE_READ(inet, inet_sport));
	key->dst.port = bpf_ntohs(READ(typed, sk, __sk_common.skc_dport));
	if (READ(typed, sk, __sk_common.skc_family) == AF_INET) {
		key->src.version = 4;
		key->dst.version = 4;
		key->src.addr_raw.v4 =
			READ(typed, sk, __sk_common.skc_rcv_saddr);
		key->dst.addr_raw.v4 = READ(typed, sk, __sk_common.skc_daddr);
		return;
	}
	key->src.version = 6;
	key->dst.version = 6;
	BPF_CORE_READ_INTO(&key->src.addr_raw.v6, sk,
			   __sk_common.skc_v6_rcv_saddr);
	BPF_CORE_READ_INTO(&key->dst.addr_raw.v6, sk, __sk_common.skc_v6_daddr);
}

static __always_inline void count(const struct sock *sk, bool typed,
				  enum direction direction, __u64 bytes)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	struct traffic *traffic;
	struct ip_key key;

	__builtin_memset(&key, 0, sizeof(key));
	key.mntns_id = gadget_get_current_mntns_id();
	key.pid = pid_tgid >> 32;
	key.tid = (__u32)pid_tgid;
	fill_endpoints(&key, sk, typed);
	bpf_get_current_comm(key.comm, sizeof(key.comm));
	traffic = bpf_map_lookup_or_try_init(&ip_map, &key, &nothing);
	if (!traffic)
		gadget_count_lost(ip_map);
	else if (direction == SENT)
		traffic->sent_raw += bytes;
	else
		traffic->received_raw += bytes;
}

static __always_inline int done(const struct sock *sk, enum direction direction,
				int ret)
{
	if (ret > 0 && is_wanted(sk, true))
		count(sk, true, direction, ret);
	return 0;
}

static __always_inline int received(const struct sock *sk, int ret, int flags)
{
	if (flags & (MSG_PEEK | MSG_ERRQUEUE))
		return 0;
	return done(sk, RECEIVED, ret);
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(top_tcp_sent, struct sock *sk, int ret, int flags)
{
	return done(sk, SENT, ret);
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(top_tcp_received, struct sock *sk, int ret, int flags)
{
	return received(sk, ret, flags);
}

SEC("fexit/tcp_sendmsg")
int BPF_PROG(top_tcp_send_f, struct sock *sk, struct msghdr *msg, size_t size,
	     int ret)
{
	return done(sk, SENT, ret);
}

/* What sendfile() sends.  Gone in 6.5, by dc97391e6610 ("sock: Remove ->sendpage*()"). */
SEC("fexit/tcp_sendpage")
int BPF_PROG(top_tcp_page_f, struct sock *sk, struct page *page, int offset,
	     size_t size, int flags, int ret)
{
	return done(sk, SENT, ret);
}

/*
 * The flags are the last argument but one.  Until 5.19, by ec095263a965 ("net: remove noblock
 * parameter from recvmsg() entities"), the function had six arguments.
 */
SEC("fexit/tcp_recvmsg")
int top_tcp_recv_f(__u64 *ctx)
{
	const struct sock *sk = (const struct sock *)ctx[0];
	__u64 ret = 0, flags = 0;

	if (!bpf_core_enum_value_exists(enum bpf_func_id,
					BPF_FUNC_get_func_ret))
		return received(sk, ctx[6], ctx[4]);
	bpf_get_func_ret(ctx, &ret);
	bpf_get_func_arg(ctx, bpf_get_func_arg_cnt(ctx) - 2, &flags);
	return received(sk, ret, flags);
}

/*
 * The same where a program at the return of a function cannot read the arguments.  The
 * position of the flags of tcp_recvmsg() is not known here; so what was received is the
 * distance that the socket has advanced.
 */
struct call {
	const struct sock *sk;
	__u32 copied_seq;
	__u32 __padding;
};

struct call_id {
	gadget_tid tid;
	enum direction direction;
};

/* Calls that are running. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_ENTRIES);
	__type(key, struct call_id);
	__type(value, struct call);
} calls SEC(".maps");

static __always_inline __u32 copied_seq(const struct sock *sk)
{
	return BPF_CORE_READ((const struct tcp_sock *)sk, copied_seq);
}

static __always_inline int enter(const struct sock *sk,
				 enum direction direction)
{
	struct call_id id = {
		.tid = bpf_get_current_pid_tgid(),
		.direction = direction,
	};
	struct call call = {.sk = sk};

	if (!is_wanted(sk, false))
		return 0;
	call.copied_seq = copied_seq(sk);
	if (bpf_map_update_elem(&calls, &id, &call, BPF_ANY))
		gadget_count_lost(ip_map);
	return 0;
}

static __always_inline int leave(enum direction direction, int ret)
{
	struct call_id id = {
		.tid = bpf_get_current_pid_tgid(),
		.direction = direction,
	};
	struct call call;
	int advance;

	if (!gadget_map_take(&calls, &id, &call) || ret <= 0)
		return 0;
	if (direction == RECEIVED) {
		advance = copied_seq(call.sk) - call.copied_seq;
		if (advance < ret)
			ret = advance;
	}
	if (ret > 0)
		count(call.sk, false, direction, ret);
	return 0;
}

SEC("kprobe/tcp_sendmsg")
int BPF_KPROBE(top_tcp_send_e, struct sock *sk)
{
	return enter(sk, SENT);
}

SEC("kretprobe/tcp_sendmsg")
int BPF_KRETPROBE(top_tcp_send_x, int ret)
{
	return leave(SENT, ret);
}

SEC("kprobe/tcp_sendpage")
int BPF_KPROBE(top_tcp_page_e, struct sock *sk)
{
	return enter(sk, SENT);
}

SEC("kretprobe/tcp_sendpage")
int BPF_KRETPROBE(top_tcp_page_x, int ret)
{
	return leave(SENT, ret);
}

SEC("kprobe/tcp_recvmsg")
int BPF_KPROBE(top_tcp_recv_e, struct sock *sk)
{
	return enter(sk, RECEIVED);
}

SEC("kretprobe/tcp_recvmsg")
int BPF_KRETPROBE(top_tcp_recv_x, int ret)
{
	return leave(RECEIVED, ret);
}

GADGET_PREFER(top_tcp_sent, top_tcp_send_f);
GADGET_PREFER(top_tcp_sent, top_tcp_page_f);
GADGET_PREFER(top_tcp_received, top_tcp_recv_f);
GADGET_PREFER(top_tcp_send_f, top_tcp_send_e);
GADGET_PREFER(top_tcp_send_f, top_tcp_send_x);
GADGET_PREFER(top_tcp_page_f, top_tcp_page_e);
GADGET_PREFER(top_tcp_page_f, top_tcp_page_x);
GADGET_PREFER(top_tcp_recv_f, top_tcp_recv_e);
GADGET_PREFER(top_tcp_recv_f, top_tcp_recv_x);

char LICENSE[] SEC("license") = "GPL";
