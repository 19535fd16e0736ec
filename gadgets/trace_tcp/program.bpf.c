// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Reports how TCP connections begin and end: connect, accept, close.
 *
 * Everything except accept is found where sockets change their state, a tracepoint that
 * the kernel passes a few times in a connection's life.  It has the socket with its
 * addresses and, if a process makes the change, that process:
 *
 *   CLOSE -> SYN_SENT	a process connects.  The process is kept with the socket,
 *   SYN_SENT -> ...	because the answer comes later.
 *   ESTABLISHED -> ...	a process closes, if nothing will be sent or received any
 *   CLOSE_WAIT -> ...	more.  Otherwise the connection ended in another way:
 *			it was reset, or shut down in one direction.  Then the
 *			socket is marked, and its close is reported when the
 *			kernel frees it.
 *
 * Events without a change of state are found on the return of the calls: accept, because
 * the kernel makes connections before a process accepts them, and a connect that fails
 * before anything is sent.
 */

#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>

#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/constants.h>
#include <gadget/filesystem.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/syscalls.bpf.h>
#include <gadget/types.h>

#define SHUTDOWN_MASK 3 /* from the kernel's headers */

#define NO_FD (-1)

enum tcp_event_type {
	connect,
	accept,
	close,
};

struct event {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;

	gadget_netns_id netns_id;
	enum tcp_event_type type_raw;
	struct gadget_l4endpoint_t src;
	struct gadget_l4endpoint_t dst;
	gadget_errno error_raw;
	__s32 fd;
	__s32 accept_fd;
	__u32 __padding;
};

const volatile bool connect_only = false;
GADGET_PARAM(connect_only);

const volatile bool accept_only = false;
GADGET_PARAM(accept_only);

const volatile bool close_only = false;
GADGET_PARAM(close_only);

const volatile bool failure_only = false;
GADGET_PARAM(failure_only);

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(tracetcp, events, event);

/* An event of a socket that is still to be reported.  Most sockets have none. */
enum pending_kind {
	PENDING_CONNECT = 1,
	PENDING_CLOSE,
};

struct pending {
	struct gadget_process proc; /* connects, or shut down, or zero */
	enum pending_kind kind;
	__s32 fd;
	/* Of a connection that is to be closed: the socket may forget them before. */
	struct gadget_l4endpoint_t src;
	struct gadget_l4endpoint_t dst;
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct pending);
} pending SEC(".maps");

/*
 * The error with which the connect of a socket failed, by the socket's address: the
 * call that returns it, at once or later, is not a second failure.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, __u32);
} reported SEC(".maps");

/*
 * The kernel's own threads close the connections of TCP that a connection of MPTCP consists
 * of.  So the process that has connected or accepted is kept, by the address of the
 * socket of MPTCP.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, struct gadget_process);
} mptcp_users SEC(".maps");

/* Threads give up their namespaces before their sockets are closed. */
GADGET_EXITING_MAP(exiting);

static __always_inline bool is_wanted_type(enum tcp_event_type type)
{
	if (failure_only && type == close)
		return false;
	if (!connect_only && !accept_only && !close_only)
		return true;
	return type == connect ? connect_only :
	       type == accept  ? accept_only :
				 close_only;
}

static __always_inline void fill_process(struct gadget_process *proc)
{
	gadget_process_populate_exiting(proc, &exiting);
}

/* The address of the socket of MPTCP that a connection of TCP belongs to, or 0. */
static __always_inline __u64 mptcp_socket_of(const struct sock *sk)
{
	const struct inet_connection_sock *icsk = (const void *)sk;
	const struct mptcp_subflow_context *subflow;
	const struct sock *conn;

	if (!bpf_core_type_exists(struct mptcp_subflow_context))
		return 0;
	subflow = BPF_CORE_READ(icsk, icsk_ulp_data);
	if (!subflow) /* else another protocol may have something there */
		return 0;
	conn = BPF_CORE_READ(subflow, conn);
	if (BPF_CORE_READ(conn, sk_protocol) != IPPROTO_MPTCP)
		return 0;
	return (__u64)conn;
}

/* The process that closes a connection. */
static __always_inline void fill_closer(struct gadget_process *proc,
					const struct sock *sk)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct gadget_process *user;
	__u64 conn;

	fill_process(proc);
	if (!(task->flags & PF_KTHREAD))
		return;
	conn = mptcp_socket_of(sk);
	user = bpf_map_lookup_elem(&mptcp_users, &conn);
	if (user)
		*proc = *user;
}

enum call_kind {
	CALL_OTHER,
	CALL_CONNECT,
	CALL_ACCEPT,
	CALL_SEND, /* connects, too, with data in its first packet */
	CALL_END,  /* close and shutdown */
};

/* A call whose first argument is a socket's descriptor. */
struct socket_call {
	enum call_kind kind;
	__s32 fd;
	const void *addr; /* user memory: of connect, where to */
};

static __always_inline enum call_kind kind_of_call(__u32 nr)
{
	switch (nr) {
	case GADGET_NR_CONNECT:
		return CALL_CONNECT;
	case GADGET_NR_ACCEPT:
	case GADGET_NR_ACCEPT4:
		return CALL_ACCEPT;
	case GADGET_NR_SENDTO:
	case GADGET_NR_SENDMSG:
	case GADGET_NR_SENDMMSG:
		return CALL_SEND;
	case GADGET_NR_CLOSE:
	case GADGET_NR_SHUTDOWN:
		return CALL_END;
	}
	return CALL_OTHER;
}

static __always_inline void decode(struct socket_call *socket,
				   struct gadget_call *call)
{
	gadget_resolve_socketcall(call);
	socket->kind = kind_of_call(call->nr);
	socket->fd = call->args[0];
	socket->addr = (const void *)call->args[1];
}

/*
 * The socket that the current process' call is about: programs that see the
 * socket don't see the call.  Since 5.15.
 */
static __always_inline __s32 current_fd(void)
{
	struct socket_call socket;
	struct gadget_call call;

	if (!gadget_get_current_call(&call))
		return NO_FD;
	decode(&socket, &call);
	return socket.kind == CALL_OTHER ? NO_FD : socket.fd;
}

static __always_inline void fill_endpoints(struct gadget_l4endpoint_t *src,
					   struct gadget_l4endpoint_t *dst,
					   const struct sock *sk)
{
	const struct inet_sock *inet = (const struct inet_sock *)sk;

	__builtin_memset(src, 0, sizeof(*src));
	__builtin_memset(dst, 0, sizeof(*dst));
	src->proto = IPPROTO_TCP;
	dst->proto = IPPROTO_TCP;
	src->port = bpf_ntohs(BPF_CORE_READ(inet, inet_sport));
	dst->port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET) {
		src->version = 4;
		dst->version = 4;
		BPF_CORE_READ_INTO(&src->addr_raw.v4, sk,
				   __sk_common.skc_rcv_saddr);
		BPF_CORE_READ_INTO(&dst->addr_raw.v4, sk,
				   __sk_common.skc_daddr);
	} else {
		src->version = 6;
		dst->version = 6;
		BPF_CORE_READ_INTO(&src->addr_raw.v6, sk,
				   __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO(&dst->addr_raw.v6, sk,
				   __sk_common.skc_v6_daddr);
	}
}

/* The destination of a call of connect: after a failure the socket has forgotten it. */
static __always_inline void fill_dst_of_call(struct event *event,
					     const void *addr)
{
	struct sockaddr_in6 sin6 = {};
	struct sockaddr_in sin = {};

	__builtin_memset(&event->dst, 0, sizeof(event->dst));
	event->dst.proto = IPPROTO_TCP;
	event->dst.version = event->src.version;
	bpf_probe_read_user(&sin, sizeof(sin), addr);
	if (sin.sin_family == AF_INET) {
		event->dst.version = 4;
		event->dst.addr_raw.v4 = sin.sin_addr.s_addr;
		event->dst.port = bpf_ntohs(sin.sin_port);
	} else if (sin.sin_family == AF_INET6) {
		bpf_probe_read_user(&sin6, sizeof(sin6), addr);
		event->dst.version = 6;
		__builtin_memcpy(event->dst.addr_raw.v6, &sin6.sin6_addr,
				 sizeof(event->dst.addr_raw.v6));
		event->dst.port = bpf_ntohs(sin6.sin6_port);
	}
}

static __always_inline struct event *
begin_event(enum tcp_event_type type, const struct gadget_process *proc,
	    const struct sock *sk)
{
	struct event *event = gadget_reserve_buf(&events, sizeof(*event));

	if (!event)
		return NULL;
	event->timestamp_raw = bpf_ktime_get_boot_ns();
	event->proc = *proc;
	event->netns_id = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	event->type_raw = type;
	fill_endpoints(&event->src, &event->dst, sk);
	event->error_raw = 0;
	event->fd = NO_FD;
	event->accept_fd = NO_FD;
	event->__padding = 0;
	return event;
}

static __always_inline void end_event(void *ctx, struct event *event)
{
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
}

static __always_inline struct pending *get_pending(struct sock *sk, __u64 flags)
{
	return bpf_sk_storage_get(&pending, sk, NULL, flags);
}

/* A process connects; sk has an address to connect to, but no port yet. */
static __always_inline void start_connect(struct sock *sk)
{
	__u64 address = (__u64)sk;
	__u64 conn = mptcp_socket_of(sk);
	struct gadget_process proc;
	struct pending *p;

	bpf_map_delete_elem(&reported, &address);
	bpf_sk_storage_delete(&pending, sk);
	fill_process(&proc);
	if (conn)
		bpf_map_update_elem(&mptcp_users, &conn, &proc, BPF_ANY);
	if (gadget_should_discard_process(&proc))
		return;
	p = get_pending(sk, BPF_SK_STORAGE_GET_F_CREATE);
	if (!p) {
		gadget_count_lost(events);
		return;
	}
	p->proc = proc;
	p->kind = PENDING_CONNECT;
	p->fd = current_fd();
}

/*
 * Returns why a connection failed, or 0 if the call of connect is still running: then
 * the call returns the reason.  If there is no error from the network, the process gave
 * up: it closed the socket, or connected it to no address.
 */
static __always_inline __u32 connect_error(const struct sock *sk)
{
	__u32 error = BPF_CORE_READ(sk, sk_err);

	if (error)
		return error;
	if (BPF_CORE_READ(sk, sk_shutdown) == SHUTDOWN_MASK ||
	    BPF_CORE_READ(sk, sk_socket, state) != SS_UNCONNECTED)
		return ECONNABORTED;
	return 0;
}

static __always_inline void end_connect(void *ctx, struct sock *sk,
					const struct pending *p, int state)
{
	__u64 address = (__u64)sk;
	struct event *event;
	__u32 error = 0;

	if (state != TCP_ESTABLISHED) {
		error = connect_error(sk);
		if (!error)
			goto done;
		bpf_map_update_elem(&reported, &address, &error, BPF_ANY);
	} else if (failure_only) {
		goto done;
	}
	event = begin_event(connect, &p->proc, sk);
	if (!event)
		goto done;
	event->error_raw = error;
	event->fd = p->fd;
	end_event(ctx, event);
done:
	bpf_sk_storage_delete(&pending, sk);
}

/*
 * Reports a close.  If the connection had ended before, the pending event has the
 * endpoints; otherwise that is NULL, and the socket has them.
 */
static __always_inline void report_close(void *ctx, const struct sock *sk,
					 const struct pending *ended,
					 const struct gadget_process *proc,
					 __s32 fd)
{
	struct event *event;

	if (gadget_should_discard_process(proc))
		return;
	event = begin_event(close, proc, sk);
	if (!event)
		return;
	if (ended) {
		event->src = ended->src;
		event->dst = ended->dst;
	}
	event->fd = fd;
	end_event(ctx, event);
}

/*
 * Reports a pending close by the current process, which ends the rest of the
 * connection, or uses the socket for something else.
 */
static __always_inline void end_pending_close(void *ctx, struct sock *sk)
{
	struct pending *p = get_pending(sk, 0);
	struct gadget_process proc;

	if (!p || p->kind != PENDING_CLOSE)
		return;
	fill_closer(&proc, sk);
	report_close(ctx, sk, p, &proc, current_fd());
	bpf_sk_storage_delete(&pending, sk);
}

/*
 * Whether a process dissolves a connection and keeps the socket: it connects it to
 * no address (AF_UNSPEC).  Other ways into this state leave an error in the socket or
 * have shut down both directions.  The socket forgets its endpoints right after this.
 */
static __always_inline bool is_dissolved(const struct sock *sk, int state)
{
	return state == TCP_CLOSE && sk->sk_lock.owned && !sk->sk_err;
}

/*
 * A connection leaves the state ESTABLISHED or CLOSE_WAIT, or another state in which a process
 * has it.
 */
static __always_inline void leave_established(void *ctx, struct sock *sk,
					      int state)
{
	struct gadget_process proc;
	struct pending *p;

	if (sk->sk_shutdown == SHUTDOWN_MASK || is_dissolved(sk, state)) {
		fill_closer(&proc, sk);
		report_close(ctx, sk, NULL, &proc, current_fd());
		return;
	}
	p = get_pending(sk, BPF_SK_STORAGE_GET_F_CREATE);
	if (!p)
		return;
	if (state == TCP_FIN_WAIT1) {
		fill_closer(&p->proc, sk);
		p->fd = current_fd();
	} else {
		__builtin_memset(&p->proc, 0, sizeof(p->proc));
		p->fd = NO_FD;
	}
	fill_endpoints(&p->src, &p->dst, sk);
	p->kind = PENDING_CLOSE;
}

/*
 * Whether a connection began with data from the other side (TCP Fast Open).  A process may
 * have it before the other side has answered.  If that resets it, the socket only has the data
 * left to tell it by.
 */
static __always_inline bool is_fast_open(const struct sock *sk, int state)
{
	const struct tcp_sock *tcp = (const struct tcp_sock *)sk;

	return state == TCP_SYN_RECV &&
	       (BPF_CORE_READ(tcp, fastopen_rsk) ||
		BPF_CORE_READ_BITFIELD_PROBED(tcp, syn_data_acked));
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(trace_tcp_state, struct sock *sk, int oldstate, int newstate)
{
	struct pending *p;

	if (sk->sk_protocol != IPPROTO_TCP)
		return 0;
	switch (oldstate) {
	case TCP_CLOSE:
		if (is_wanted_type(close))
			end_pending_close(ctx, sk);
		if (newstate == TCP_SYN_SENT && is_wanted_type(connect))
			start_connect(sk);
		break;
	case TCP_SYN_SENT:
	case TCP_SYN_RECV:
		if (newstate == TCP_SYN_RECV) /* both sides connect */
			break;
		p = get_pending(sk, 0);
		if (p && p->kind == PENDING_CONNECT)
			end_connect(ctx, sk, p, newstate);
		else if (newstate != TCP_ESTABLISHED &&
			 is_fast_open(sk, oldstate) && is_wanted_type(close))
			leave_established(ctx, sk, newstate);
		break;
	case TCP_ESTABLISHED:
	case TCP_CLOSE_WAIT:
		if (newstate != TCP_CLOSE_WAIT && is_wanted_type(close))
			leave_established(ctx, sk, newstate);
		break;
	case TCP_FIN_WAIT1:
	case TCP_FIN_WAIT2:
		if (is_wanted_type(close) && is_dissolved(sk, newstate) &&
		    sk->sk_shutdown != SHUTDOWN_MASK)
			end_pending_close(ctx, sk);
		break;
	}
	return 0;
}

/*
 * The kernel frees a socket.  If a process closes it, that process still owns the
 * socket.  If it was closed before its last packets had come, it has no owner, and the
 * close is reported for the process that shut it down.
 */
SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(trace_tcp_destroy, struct sock *sk)
{
	struct gadget_process proc;
	struct pending *p;

	if (!is_wanted_type(close))
		return 0;
	p = get_pending(sk, 0);
	if (!p || p->kind != PENDING_CLOSE)
		return 0;
	if (sk->sk_lock.owned) {
		fill_closer(&proc, sk);
		report_close(ctx, sk, p, &proc, current_fd());
	} else if (p->proc.pid) {
		proc = p->proc;
		report_close(ctx, sk, p, &proc, p->fd);
	}
	return 0;
}

/* Returns the socket of TCP or MPTCP of a descriptor of the current process, or NULL. */
static __always_inline struct sock *tcp_socket_of(int fd, __u16 *protocol)
{
	struct file *file = get_struct_file_for_fd(fd);
	struct socket *socket;
	struct sock *sk;
	__u16 family;

	if (!file || gadget_get_file_type(file) != S_IFSOCK)
		return NULL;
	socket = BPF_CORE_READ(file, private_data);
	sk = BPF_CORE_READ(socket, sk);
	family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (family != AF_INET && family != AF_INET6)
		return NULL;
	*protocol = BPF_CORE_READ(sk, sk_protocol);
	return *protocol == IPPROTO_TCP || *protocol == IPPROTO_MPTCP ? sk :
									NULL;
}

/* Whether the caller learns of no failure of the network, or will call again. */
static __always_inline bool is_no_failure(long ret)
{
	switch (-ret) {
	case EINTR:
	case EAGAIN:
	case EISCONN:
	case EALREADY:
	case EINPROGRESS:
		return true;
	}
	return ret >= 0 || gadget_is_restart(ret);
}

static __always_inline void
report_failed_connect(void *ctx, const struct socket_call *call,
		      const struct gadget_process *proc, long ret)
{
	__u16 protocol;
	struct sock *sk = tcp_socket_of(call->fd, &protocol);
	__u64 address = (__u64)sk;
	struct event *event;
	__u32 *error;

	if (!sk || protocol != IPPROTO_TCP)
		return;
	error = bpf_map_lookup_elem(&reported, &address);
	if (error && *error == (__u32)-ret) {
		bpf_map_delete_elem(&reported, &address);
		return;
	}
	event = begin_event(connect, proc, sk);
	if (!event)
		return;
	fill_dst_of_call(event, call->addr);
	event->error_raw = -ret;
	event->fd = call->fd;
	end_event(ctx, event);
}

static __always_inline void report_accept(void *ctx,
					  const struct socket_call *call,
					  const struct gadget_process *proc,
					  long ret)
{
	__u16 protocol;
	struct sock *sk = tcp_socket_of(ret < 0 ? call->fd : ret, &protocol);
	__u64 address = (__u64)sk;
	struct event *event;

	if (!sk)
		return;
	if (protocol == IPPROTO_MPTCP)
		bpf_map_update_elem(&mptcp_users, &address, proc, BPF_ANY);
	event = begin_event(accept, proc, sk);
	if (!event)
		return;
	event->fd = call->fd;
	if (ret < 0)
		event->error_raw = -ret;
	else
		event->accept_fd = ret;
	end_event(ctx, event);
}

static __always_inline bool is_wanted_call(enum call_kind kind, long ret)
{
	if (kind == CALL_CONNECT)
		return is_wanted_type(connect) && !is_no_failure(ret);
	if (kind != CALL_ACCEPT || !is_wanted_type(accept))
		return false;
	return ret >= 0 ? !failure_only : !is_no_failure(ret);
}

/* Not inlined: all other calls of the host should go by as fast as can be. */
static __noinline int report_call(void *ctx, const struct pt_regs *regs,
				  long ret)
{
	struct gadget_process proc;
	struct socket_call socket;
	struct gadget_call call;

	gadget_get_call(regs, &call);
	decode(&socket, &call);
	if (!is_wanted_call(socket.kind, ret))
		return 0;
	fill_process(&proc);
	if (gadget_should_discard_process(&proc))
		return 0;
	if (socket.kind == CALL_CONNECT)
		report_failed_connect(ctx, &socket, &proc, ret);
	else
		report_accept(ctx, &socket, &proc, ret);
	return 0;
}

/* Whether a number may be that of connect or accept, in any ABI. */
static __always_inline bool may_be_wanted(__u32 nr)
{
	return gadget_may_be_call(nr, CONNECT) ||
	       gadget_may_be_call(nr, ACCEPT) ||
	       gadget_may_be_call(nr, ACCEPT4) ||
	       gadget_may_be_call(nr, SOCKETCALL);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(trace_tcp_call, struct pt_regs *regs, long ret)
{
	/* Few words, so that the loader sees that nothing is left. */
	if (close_only && !connect_only && !accept_only)
		return 0;
	if (!may_be_wanted(gadget_raw_call_nr(regs)))
		return 0;
	return report_call(ctx, regs, ret);
}

/* Reached before the namespaces are given up. */
SEC("tp_btf/sched_process_exit")
int trace_tcp_exiting(void *ctx)
{
	if (!is_wanted_type(close))
		return 0;
	gadget_keep_mntns_id(&exiting);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
