// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Finds the owners of the sockets of TCP and UDP: the process that used a socket last.
 *
 * A socket gets an owner, and claims the endpoints of its packets, where it gets a local port
 * or uses one in the context of its process:
 *
 *   UDP	when it is bound, and when it sends: programs on the root of the control groups,
 *		or on functions of the kernel
 *   TCP	when it listens or connects, which are changes of its state
 *
 * Connections that come in belong to the owner of the listener that answered, until a
 * process accepts them or reads or writes.  A socket that is closed gives its claim back, and
 * is remembered for a while in case that packets of its still come.
 *
 * The programs on control groups decide over the host's network: each returns 1 on every path,
 * which lets the call go on.
 */

#include "../owners.h"

#include <bpf/bpf_tracing.h>

#include <gadget/common.h>
#include <gadget/macros.h>

#define PROCEED 1

/* Programs that are left out where the kernel lacks their hooks. */
const volatile bool where_possible = true;
GADGET_PARAM(where_possible);

/* Programs on control groups, or else on functions of the kernel. */
const volatile bool use_groups = false;
GADGET_PARAM(use_groups);

const volatile bool use_functions = false;
GADGET_PARAM(use_functions);

/* How long paths may be; 0: they are not kept. */
const volatile __u32 cwd_size = 0;
const volatile __u32 exepath_size = 0;

/*
 * Whether gadget_sockets is filled, too: gizmo sets it for the first gadget that needs it.  An array, which
 * gizmo can write to while the programs run.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} keep_ports SEC(".maps");

/* What did not fit, for each CPU and map. */
enum full_map {
	FULL_OWNERS,
	FULL_SETS,
	FULL_MAPS,
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FULL_MAPS);
	__type(key, __u32);
	__type(value, __u64);
} full SEC(".maps");

/* An owner in which nothing is set, with the paths. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct owner);
} blank SEC(".maps");

/* For programs that look up a port: the owner of one of its sockets, best one that listens. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct port_key);
	__type(value, struct owner);
} gadget_sockets SEC(".maps");

static __always_inline void count_full(__u32 map)
{
	__u64 *n = bpf_map_lookup_elem(&full, &map);

	if (n)
		*n += 1;
}

/* ---- Who: owners ---- */

/* Copies a path and leaves no rest of an older one that is shown. */
static __always_inline void keep_path(char *to, __u32 size, const char *path)
{
	to[0] = '\0';
	if (path)
		bpf_probe_read_kernel_str(to, size, path);
}

/*
 * Functions that are not static: the verifier checks each once for each program, and not again at each call with what is
 * known there.  A walk along a path takes it long, and two after each other took it too long (6.18).  It
 * gives such functions numbers only.
 * @task: the address of a struct task_struct
 */
__noinline int keep_cwd(__u64 cookie, __u64 task)
{
	struct owner *o = owner_of(cookie);

	if (o && cwd_size && cwd_size <= GADGET_PATH_MAX)
		keep_path(paths_of(o), cwd_size, gadget_get_cwd((void *)task));
	return 0;
}

__noinline int keep_exepath(__u64 cookie, __u64 task)
{
	struct owner *o = owner_of(cookie);

	if (o && exepath_size && exepath_size <= GADGET_PATH_MAX &&
	    cwd_size <= GADGET_PATH_MAX)
		keep_path(paths_of(o) + cwd_size, exepath_size,
			  gadget_get_exepath((void *)task));
	return 0;
}

/*
 * The verifier lets no program calculate with a typed pointer.  As a number, read
 * back from the stack, it can be given to bpf_probe_read_kernel().
 */
static __always_inline void *as_number(void *typed)
{
	void *volatile spilled = typed;
	void *number = NULL;

	bpf_probe_read_kernel(&number, sizeof(number), (void *)&spilled);
	return number;
}

static __always_inline void keep_paths(__u64 cookie, struct task_struct *task)
{
	__u64 number = (__u64)as_number(task);

	if (cwd_size)
		keep_cwd(cookie, number);
	if (exepath_size)
		keep_exepath(cookie, number);
}

/*
 * Fills @o with the process of a task, all but the paths.
 *
 * No pointer in the task is read by its type: for each, the verifier searches the types of the whole kernel
 * several times, some 2 ms (6.18).
 */
static __always_inline void describe_task(struct owner *o,
					  struct task_struct *task)
{
	struct task_struct *parent = BPF_CORE_READ(task, real_parent);
	const struct cred *cred = BPF_CORE_READ(task, cred);
	__u64 name[2] = {};

	BPF_CORE_READ_INTO(&name, parent, comm);
	__gadget_copy_comm(o->task, task->comm);
	__gadget_copy_comm(o->ptask, name);
	o->mntns = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
	o->pid_tgid = (__u64)task->tgid << 32 | (__u32)task->pid;
	o->uid_gid = (__u64)BPF_CORE_READ(cred, gid.val) << 32 |
		     BPF_CORE_READ(cred, uid.val);
	o->ppid = BPF_CORE_READ(parent, tgid);
	o->ptid = BPF_CORE_READ(parent, pid);
	o->exec_id = (__u32)task->self_exec_id;
}

static __always_inline bool keeps_paths(void)
{
	return cwd_size || exepath_size;
}

/*
 * Makes the current process the owner.  The owner of a socket that changes hands is
 * overwritten in its place, so a packet at that very moment may show a mixture: a new
 * entry would cost more than all the rest.
 */
static __always_inline void give_to_current(struct owner *o, __u64 cookie)
{
	struct task_struct *task = bpf_get_current_task_btf();

	describe_task(o, task);
	if (keeps_paths())
		keep_paths(cookie, task);
}

/* Whether the current process, in the program that it runs, is the owner already. */
static __always_inline bool is_current(const struct owner *o)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return o->pid_tgid >> 32 == (__u32)task->tgid &&
	       o->exec_id == (__u32)task->self_exec_id;
}

/* Enters a socket with all that is known about it.  False if it has an entry, or if there is no room. */
static __always_inline bool enter(__u64 cookie, const struct owner *fresh,
				  struct task_struct *task)
{
	struct owner *o;
	__u32 zero = 0;

	if (!keeps_paths())
		return !bpf_map_update_elem(&gadget_socket_owners, &cookie,
					    fresh, BPF_NOEXIST);
	o = bpf_map_lookup_elem(&blank, &zero);
	if (!o ||
	    bpf_map_update_elem(&gadget_socket_owners, &cookie, o, BPF_NOEXIST))
		return false;
	o = owner_of(cookie);
	if (!o)
		return false;
	*o = *fresh;
	keep_paths(cookie, task);
	return true;
}

/* ---- Which: claims ---- */

static __always_inline bool keeps_ports(void)
{
	__u32 zero = 0, *keep = bpf_map_lookup_elem(&keep_ports, &zero);

	return keep && *keep;
}

static __always_inline void port_of(struct port_key *port,
				    const struct owner *o)
{
	port->netns = o->at.netns;
	port->family = o->family;
	port->proto = o->at.proto;
	port->__padding = 0;
	port->port = o->at.lport;
	port->__padding2 = 0;
}

/* Shows the owner under its port, unless another socket is shown that listens. */
static __always_inline void show_port(struct owner *o)
{
	struct owner *shown;
	struct port_key port;

	if (!o || !o->at.lport || !keeps_ports())
		return;
	port_of(&port, o);
	shown = bpf_map_lookup_elem(&gadget_sockets, &port);
	if (shown && shown->sock != o->sock && !shown->at.rport && o->at.rport)
		return;
	if (bpf_map_update_elem(&gadget_sockets, &port, o, BPF_ANY))
		count_full(FULL_OWNERS);
}

/* Puts the socket into the set of those with these endpoints. */
static __always_inline void join_set(const struct endpoints *at, __u64 cookie)
{
	struct set alone = {.cookies = {cookie}};
	struct set *set;

	if (!bpf_map_update_elem(&gadget_socket_sets, at, &alone, BPF_NOEXIST))
		return;
	set = bpf_map_lookup_elem(&gadget_socket_sets, at);
	if (!set) {
		count_full(FULL_SETS);
		return;
	}
	if (at->proto == IPPROTO_TCP &&
	    at->rport) { /* there is one connection only */
		set->cookies[0] = cookie;
		set->cookies[1] = set->cookies[2] = set->cookies[3] = 0;
		return;
	}
#pragma unroll
	for (int i = 0; i < SET_SIZE; i++)
		if (set->cookies[i] == cookie)
			return;
#pragma unroll
	for (int i = 0; i < SET_SIZE; i++) {
		if (!set->cookies[i]) {
			set->cookies[i] = cookie;
			return;
		}
	}
	/* A packet of so many sockets is anybody's.  Those that send are found by their owners. */
	count_full(FULL_SETS);
}

/* Takes the socket out of its set and returns another member, or 0 if it was the last one. */
static __always_inline __u64 leave_set(const struct endpoints *at, __u64 cookie)
{
	struct set *set = bpf_map_lookup_elem(&gadget_socket_sets, at);
	__u64 other = 0;

	if (!set)
		return 0;
#pragma unroll
	for (int i = 0; i < SET_SIZE; i++) {
		if (set->cookies[i] == cookie)
			set->cookies[i] = 0;
		else if (set->cookies[i])
			other = set->cookies[i];
	}
	if (!other)
		bpf_map_delete_elem(&gadget_socket_sets, at);
	return other;
}

static __always_inline void claim(struct owner *o, const struct endpoints *at,
				  __u64 cookie)
{
	join_set(at, cookie);
	o->at = *at;
	show_port(o);
}

/* Remembers a socket that is closed.  Without a local port no look-up finds the entry while this writes it. */
static __always_inline void remember(struct owner *o)
{
	struct past *past = past_of(&o->at);

	if (!past)
		return;
	past->at.lport = 0;
	barrier();
	past->owner = *o;
	if (keeps_paths())
		bpf_probe_read_kernel(paths_of(&past->owner),
				      cwd_size + exepath_size, paths_of(o));
	barrier();
	past->at = o->at;
}

/* Takes the claim back.  The last socket with these endpoints is remembered. */
static __always_inline void unclaim(struct owner *o, __u64 cookie)
{
	struct owner *other, *shown;
	struct port_key port;
	__u64 left;

	if (!o->at.lport)
		return;
	o->deletion_timestamp = bpf_ktime_get_ns();
	left = leave_set(&o->at, cookie);
	if (!left)
		remember(o);
	if (keeps_ports()) {
		port_of(&port, o);
		shown = bpf_map_lookup_elem(&gadget_sockets, &port);
		if (shown && shown->sock == o->sock) {
			other = left ? owner_of(left) : NULL;
			if (other)
				bpf_map_update_elem(&gadget_sockets, &port,
						    other, BPF_ANY);
			else
				bpf_map_delete_elem(&gadget_sockets, &port);
		}
	}
	o->deletion_timestamp = 0;
	o->at.lport = 0;
}

static __always_inline void forget(__u64 cookie)
{
	struct owner *o = owner_of(cookie);

	if (!o)
		return;
	unclaim(o, cookie);
	bpf_map_delete_elem(&gadget_socket_owners, &cookie);
}

/* What else gadgets are told about the socket. */
static __always_inline void describe(struct owner *o, const struct sock *sk,
				     __u16 family)
{
	o->sock = (__u64)sk;
	o->family = family;
	o->ipv6only =
		family == AF_INET6 &&
		BPF_CORE_READ_BITFIELD_PROBED(sk, __sk_common.skc_ipv6only);
}

/*
 * The socket belongs to the process of a task, and has the endpoints of @fresh, if these have a local port.  An
 * older claim is taken back.
 */
static __always_inline void take(struct owner *fresh, __u64 cookie,
				 struct task_struct *task)
{
	struct owner *o;

	describe_task(fresh, task);
	if (!enter(cookie, fresh, task)) {
		o = owner_of(cookie);
		if (!o) {
			count_full(FULL_OWNERS);
			return;
		}
		unclaim(o, cookie);
		*o = *fresh;
		if (keeps_paths())
			keep_paths(cookie, task);
	}
	if (!fresh->at.lport)
		return;
	join_set(&fresh->at, cookie);
	if (keeps_ports())
		show_port(owner_of(cookie));
}

/* A socket of TCP that had no local port when its owner was noted has one now. */
static __always_inline void claim_late(struct owner *o, const struct sock *sk,
				       __u64 cookie)
{
	struct endpoints at;

	if (o && !o->at.lport &&
	    endpoints_of(&at, sk, family_of(sk), IPPROTO_TCP))
		claim(o, &at, cookie);
}

/* The current process uses a socket that has an owner. */
static __always_inline void pass_on(struct owner *o, __u64 cookie)
{
	if (is_current(o))
		return;
	give_to_current(o, cookie);
	show_port(o);
}

/* As take(), for a socket as the kernel has it. */
static __always_inline void take_for(struct task_struct *task,
				     const struct sock *sk, __u8 proto,
				     __u64 cookie)
{
	__u16 family = family_of(sk);
	struct owner fresh = {};

	describe(&fresh, sk, family);
	endpoints_of(&fresh.at, sk, family, proto);
	take(&fresh, cookie, task);
}

static __always_inline void take_current(const struct sock *sk, __u8 proto,
					 __u64 cookie)
{
	take_for(bpf_get_current_task_btf(), sk, proto, cookie);
}

/* Sockets of the kernel, for tunnels say, send for whoever is running. */
static __always_inline bool is_kernels(const struct sock *sk)
{
	return BPF_CORE_READ_BITFIELD_PROBED(sk, sk_kern_sock);
}

/* ---- UDP ---- */

static __always_inline int bound(struct bpf_sock *ctx)
{
	if (ctx->protocol == IPPROTO_UDP)
		take_current((struct sock *)ctx, IPPROTO_UDP,
			     bpf_get_socket_cookie(ctx));
	return PROCEED;
}

SEC("cgroup/post_bind4")
int on_bind4(struct bpf_sock *ctx)
{
	return bound(ctx);
}

SEC("cgroup/post_bind6")
int on_bind6(struct bpf_sock *ctx)
{
	return bound(ctx);
}

GADGET_LOAD_IF(on_bind4, use_groups);
GADGET_LOAD_IF(on_bind6, use_groups);

/* Whether the socket has got other endpoints since it claimed some: it was connected, say. */
static __always_inline bool has_moved(const struct bpf_sock *sk,
				      const struct owner *o)
{
	if (o->at.lport != sk->src_port ||
	    o->at.rport != bpf_ntohs(sk->dst_port))
		return true;
	if (!o->at.rport)
		return false;
	if (sk->family == AF_INET)
		return o->at.raddr[3] != sk->dst_ip4;
	return o->at.raddr[3] != sk->dst_ip6[3] ||
	       o->at.raddr[2] != sk->dst_ip6[2] ||
	       o->at.raddr[1] != sk->dst_ip6[1] ||
	       o->at.raddr[0] != sk->dst_ip6[0];
}

/* A process sends a datagram, so it is the owner. */
static __always_inline void sent(struct bpf_sock *typed, __u64 cookie)
{
	struct owner *o = owner_of(cookie);
	bool stays = o && !has_moved(typed, o);
	struct sock *sk;

	if (stays && is_current(o))
		return;
	sk = as_number(typed);
	if (is_kernels(sk))
		return;
	if (stays)
		pass_on(o, cookie);
	else
		take_current(sk, IPPROTO_UDP, cookie);
}

/* ---- TCP ---- */

/* A connecting socket sends its first packet, and so has a local port. */
static __always_inline void began(struct bpf_sock *typed, __u64 cookie)
{
	claim_late(owner_of(cookie), as_number(typed), cookie);
}

/* The source and destination ports of a packet that begins with its IP header. */
static __always_inline bool load_ports(struct __sk_buff *skb, __u32 at,
				       struct endpoints *to)
{
	__u16 ports[2];

	if (bpf_skb_load_bytes(skb, at, ports, sizeof(ports)))
		return false;
	to->lport = bpf_ntohs(ports[0]);
	to->rport = bpf_ntohs(ports[1]);
	return true;
}

/* The endpoints of a packet of TCP that is sent. */
static __always_inline bool endpoints_sent(struct __sk_buff *skb,
					   struct endpoints *at)
{
	__u32 addrs[2];
	__u8 first;

	at->proto = IPPROTO_TCP;
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return !bpf_skb_load_bytes(skb, 8, at->laddr, 16) &&
		       !bpf_skb_load_bytes(skb, 24, at->raddr, 16) &&
		       load_ports(skb, 40, at);
	if (bpf_skb_load_bytes(skb, 0, &first, sizeof(first)) ||
	    bpf_skb_load_bytes(skb, 12, addrs, sizeof(addrs)))
		return false;
	map_ipv4(at->laddr, addrs[0]);
	map_ipv4(at->raddr, addrs[1]);
	return load_ports(skb, (first & 0xf) * 4, at);
}

/*
 * A listener answers: which of several on its port it is, is known now.  One that was not bound got its port only
 * after its state had changed.
 */
static __always_inline void answered(struct __sk_buff *skb,
				     struct bpf_sock *typed, __u64 cookie)
{
	struct sock *listener = as_number(typed);
	struct endpoints at = {};
	struct begun *begun;

	claim_late(owner_of(cookie), listener, cookie);
	at.netns = BPF_CORE_READ(listener, __sk_common.skc_net.net, ns.inum);
	if (!endpoints_sent(skb, &at))
		return;
	begun = begun_of(&at);
	if (!begun)
		return;
	begun->at.lport = 0; /* so that no look-up finds it half written */
	barrier();
	begun->listener = cookie;
	barrier();
	begun->at = at;
}

SEC("cgroup_skb/egress")
int on_egress(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	if (!sk)
		return PROCEED;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return PROCEED;
	if (sk->protocol == IPPROTO_UDP)
		sent(sk, bpf_get_socket_cookie(skb));
	else if (sk->protocol != IPPROTO_TCP)
		return PROCEED;
	else if (sk->state == TCP_SYN_SENT)
		began(sk, bpf_get_socket_cookie(skb));
	else if (sk->state == TCP_LISTEN)
		answered(skb, sk, bpf_get_socket_cookie(skb));
	return PROCEED;
}

GADGET_LOAD_IF(on_egress, use_groups);

/* The listener that a connection came in by. */
static __always_inline __u64 listener_of(const struct endpoints *connection)
{
	struct begun *answered = begun_of(connection);
	struct endpoints at = *connection;
	struct set *set;

	if (answered && same_endpoints(&answered->at, connection)) {
		answered->at.lport = 0;
		return answered->listener;
	}
	at.rport = 0;
	clear_addr(at.raddr);
	set = bpf_map_lookup_elem(&gadget_socket_sets, &at);
	if (!set) {
		at.laddr[0] = at.laddr[1] = at.laddr[3] = 0;
		if (at.laddr[2] != bpf_htonl(0xffff))
			at.laddr[2] = 0;
		set = bpf_map_lookup_elem(&gadget_socket_sets, &at);
	}
	if (!set && at.laddr[2]) {
		at.laddr[2] = 0;
		set = bpf_map_lookup_elem(&gadget_socket_sets, &at);
	}
	return set ? set->cookies[0] : 0;
}

/* A connection has come in: it belongs to the owner of the listener. */
static __always_inline void came_in(struct sock *sk, __u64 cookie)
{
	struct owner *listening, *o;
	__u16 family = sk->__sk_common.skc_family;
	struct endpoints at;

	if (!endpoints_of(&at, sk, family, IPPROTO_TCP))
		return;
	listening = owner_of(listener_of(&at));
	if (!listening)
		return;
	if (bpf_map_update_elem(&gadget_socket_owners, &cookie, listening,
				BPF_ANY)) {
		count_full(FULL_OWNERS);
		return;
	}
	o = owner_of(cookie);
	if (!o)
		return;
	describe(o, sk, family);
	claim(o, &at, cookie);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_state, struct sock *sk, int was, int state)
{
	__u64 cookie;

	if (state != TCP_SYN_SENT && state != TCP_LISTEN &&
	    state != TCP_CLOSE &&
	    !(state == TCP_ESTABLISHED && was == TCP_SYN_RECV))
		return 0;
	if (sk->sk_protocol != IPPROTO_TCP)
		return 0;
	cookie = bpf_get_socket_cookie(sk);
	if (state == TCP_CLOSE)
		forget(cookie);
	else if (state == TCP_ESTABLISHED)
		came_in(sk, cookie);
	else
		take_current(sk, IPPROTO_TCP, cookie);
	return 0;
}

/* Sockets that never were connected do not change their state when they are closed. */
SEC("cgroup/sock_release")
int on_release(struct bpf_sock *ctx)
{
	if (ctx->protocol == IPPROTO_UDP ||
	    (ctx->protocol == IPPROTO_TCP && ctx->state == TCP_CLOSE))
		forget(bpf_get_socket_cookie(ctx));
	return PROCEED;
}

GADGET_LOAD_IF(on_release, use_groups);

/* ---- Sockets that change hands ---- */

/* The current process uses the socket. */
static __always_inline void used(struct sock *sk)
{
	__u64 cookie = sk->__sk_common.skc_cookie.counter;
	struct owner *o;

	if (!cookie)
		return;
	o = owner_of(cookie);
	if (!o)
		return;
	/* Without programs on groups or functions none has seen the first packet. */
	if (!use_groups && !use_functions)
		claim_late(o, sk, cookie);
	pass_on(o, cookie);
}

SEC("fexit/inet_accept")
int BPF_PROG(on_accepted, struct socket *listener, struct socket *connection)
{
	struct sock *sk = connection->sk;

	if (sk)
		used(sk);
	return 0;
}

/* accept() asks for the peer's address, if its caller wants to know it. */
static __always_inline int asked_for_peer(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct owner *o;
	__u64 cookie;

	if (!sk)
		return PROCEED;
	cookie = bpf_get_socket_cookie(ctx);
	o = owner_of(cookie);
	if (o)
		pass_on(o, cookie);
	return PROCEED;
}

SEC("cgroup/getpeername4")
int on_peer4(struct bpf_sock_addr *ctx)
{
	return asked_for_peer(ctx);
}

SEC("cgroup/getpeername6")
int on_peer6(struct bpf_sock_addr *ctx)
{
	return asked_for_peer(ctx);
}

GADGET_PREFER(on_accepted, on_peer4);
GADGET_PREFER(on_accepted, on_peer6);
GADGET_LOAD_IF(on_peer4, use_groups);
GADGET_LOAD_IF(on_peer6, use_groups);
GADGET_TRY_IF(on_accepted, where_possible);

SEC("tp_btf/sock_recv_length")
int BPF_PROG(on_received, struct sock *sk, int length, int flags)
{
	used(sk);
	return 0;
}

GADGET_TRY_IF(on_received, where_possible);

/* Before the first byte goes out. */
SEC("tp_btf/tcp_sendmsg_locked")
int BPF_PROG(on_sending, struct sock *sk)
{
	used(sk);
	return 0;
}

SEC("fentry/tcp_sendmsg")
int BPF_PROG(on_sending_too, struct sock *sk)
{
	used(sk);
	return 0;
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(on_sent, struct sock *sk, int length, int flags)
{
	used(sk);
	return 0;
}

GADGET_PREFER(on_sending, on_sending_too);
GADGET_PREFER(on_sending_too, on_sent);
GADGET_TRY_IF(on_sending, where_possible);
GADGET_TRY_IF(on_sending_too, where_possible);
GADGET_TRY_IF(on_sent, where_possible);

/* ---- Functions of the kernel, where programs on control groups cannot be attached ---- */

/* A socket has got its port: it was bound, or connects or sends without that. */
SEC("fexit/udp_lib_get_port")
int BPF_PROG(on_port, struct sock *sk, unsigned short port, unsigned int hash,
	     int err)
{
	if (!err && !is_kernels(sk))
		take_current(sk, IPPROTO_UDP, bpf_get_socket_cookie(sk));
	return 0;
}

/* As sent(), for a socket as the kernel has it. */
static __always_inline int sends(struct sock *sk)
{
	__u64 cookie = bpf_get_socket_cookie(sk);
	struct owner *o = owner_of(cookie);
	struct endpoints at;

	if (is_kernels(sk) ||
	    !endpoints_of(&at, sk, family_of(sk), IPPROTO_UDP))
		return 0;
	if (o && o->at.lport == at.lport && o->at.rport == at.rport &&
	    same_addr(o->at.raddr, at.raddr))
		pass_on(o, cookie);
	else
		take_current(sk, IPPROTO_UDP, cookie);
	return 0;
}

SEC("fentry/udp_sendmsg")
int BPF_PROG(on_udp4, struct sock *sk)
{
	return sends(sk);
}

SEC("fentry/udpv6_sendmsg")
int BPF_PROG(on_udp6, struct sock *sk)
{
	return sends(sk);
}

/* A connecting socket has a local port, and sends its first packet next. */
SEC("fentry/tcp_connect")
int BPF_PROG(on_connect, struct sock *sk)
{
	__u64 cookie = bpf_get_socket_cookie(sk);

	claim_late(owner_of(cookie), sk, cookie);
	return 0;
}

SEC("fentry/inet_release")
int BPF_PROG(on_closed, struct socket *socket)
{
	struct sock *sk = socket->sk;

	if (!sk)
		return 0;
	if (sk->sk_protocol == IPPROTO_UDP ||
	    (sk->sk_protocol == IPPROTO_TCP &&
	     sk->__sk_common.skc_state == TCP_CLOSE))
		forget(bpf_get_socket_cookie(sk));
	return 0;
}

GADGET_LOAD_IF(on_port, use_functions);
GADGET_LOAD_IF(on_udp4, use_functions);
GADGET_LOAD_IF(on_udp6, use_functions);
GADGET_LOAD_IF(on_connect, use_functions);
GADGET_LOAD_IF(on_closed, use_functions);

/* ---- Sockets that were there before ---- */

/* Gives an open socket that has no owner to a process that has it. */
static __always_inline void found(struct sock *sk, __u8 proto,
				  struct task_struct *task)
{
	__u64 cookie = bpf_get_socket_cookie(sk);
	struct owner *o = owner_of(cookie);

	if (o)
		show_port(o);
	else
		take_for(task, sk, proto, cookie);
}

/* The type of the context is left out: with it the kernel would be told all types that a task leads to. */
SEC("iter/task_file")
int find_sockets(void *context)
{
	struct bpf_iter__task_file *ctx = context;
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket *socket;
	struct sock *sk;
	__u16 family;

	if (!file || !task)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk)
		return 0;
	family = sk->__sk_common.skc_family;
	if (family != AF_INET && family != AF_INET6)
		return 0;
	/* Without either, no program sees when a socket of UDP is closed. */
	if (sk->sk_protocol == IPPROTO_UDP && (use_groups || use_functions))
		found(sk, IPPROTO_UDP, task);
	else if (sk->sk_protocol == IPPROTO_TCP &&
		 sk->__sk_common.skc_state != TCP_CLOSE)
		found(sk, IPPROTO_TCP, task);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
