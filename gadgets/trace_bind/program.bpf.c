// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Reports the addresses that sockets are bound to.
 *
 * inet_bind() and inet6_bind() do that, for all protocols.  On entry they get
 * the requested address, on return the socket has its final address; so the
 * arguments are kept in between.
 *
 * On kernels without kprobes the end of the system call stands in for that: its arguments are
 * still known then.
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
#include <gadget/maps.bpf.h>
#include <gadget/syscalls.bpf.h>
#include <gadget/types.h>

/* The longest address that the kernel copies for a socket. */
#define ADDR_LEN_MAX 128

enum bind_options_set : __u8 {
	FREEBIND = 0x01,
	TRANSPARENT = 0x02,
	BIND_ADDRESS_NO_PORT = 0x04,
	REUSEADDRESS = 0x08,
	REUSEPORT = 0x10,
};

struct event {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;

	gadget_netns_id netns_id;
	struct gadget_l4endpoint_t addr;
	gadget_errno error_raw;
	__u32 bound_dev_if;
	enum bind_options_set opts_raw;
	__u8 __padding[3];
};

const volatile bool ignore_errors = true;
GADGET_PARAM(ignore_errors);

/* Numbers with anything else in between. */
#define PORTS_MAX 64
const volatile char ports[PORTS_MAX] = {};
GADGET_PARAM(ports);

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(bind, events, event);

struct call {
	struct socket *socket;
	const struct sockaddr *addr; /* in the kernel, or the caller's */
	__u64 addr_len;
};

/* Calls that are running, by thread. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, gadget_tid);
	__type(value, struct call);
} calls SEC(".maps");

/*
 * The options of a socket, which were separate bit fields, became bits of one word in
 * 6.6, by c274af224269 ("inet: introduce inet->inet_flags").
 */
struct inet_sock___bits {
	__u8 freebind : 1;
	__u8 transparent : 1;
	__u8 bind_address_no_port : 1;
};

struct inet_sock___flags {
	unsigned long inet_flags;
};

#define INET_FLAGS_FREEBIND		11
#define INET_FLAGS_TRANSPARENT		15
#define INET_FLAGS_BIND_ADDRESS_NO_PORT 18

static __always_inline __u8 inet_options(const struct sock *sk)
{
	const struct inet_sock___flags *new = (const void *)sk;
	const struct inet_sock___bits *old = (const void *)sk;
	unsigned long flags;
	__u8 opts = 0;

	if (bpf_core_field_exists(new->inet_flags)) {
		flags = BPF_CORE_READ(new, inet_flags);
		if (flags & (1UL << INET_FLAGS_FREEBIND))
			opts |= FREEBIND;
		if (flags & (1UL << INET_FLAGS_TRANSPARENT))
			opts |= TRANSPARENT;
		if (flags & (1UL << INET_FLAGS_BIND_ADDRESS_NO_PORT))
			opts |= BIND_ADDRESS_NO_PORT;
		return opts;
	}
	if (BPF_CORE_READ_BITFIELD_PROBED(old, freebind))
		opts |= FREEBIND;
	if (BPF_CORE_READ_BITFIELD_PROBED(old, transparent))
		opts |= TRANSPARENT;
	if (BPF_CORE_READ_BITFIELD_PROBED(old, bind_address_no_port))
		opts |= BIND_ADDRESS_NO_PORT;
	return opts;
}

static __always_inline __u8 options(const struct sock *sk)
{
	__u8 opts = inet_options(sk);

	if (BPF_CORE_READ_BITFIELD_PROBED(sk, __sk_common.skc_reuse))
		opts |= REUSEADDRESS;
	if (BPF_CORE_READ_BITFIELD_PROBED(sk, __sk_common.skc_reuseport))
		opts |= REUSEPORT;
	return opts;
}

/* Whether the user selected this port, or none. */
static __always_inline bool is_wanted_port(__u16 port)
{
	__u32 number = 0;
	bool digits = false;

	if (ports[0] == '\0')
		return true;
	for (int i = 0; i < PORTS_MAX; i++) {
		char c = ports[i];

		if (c >= '0' && c <= '9') {
			number = number * 10 + (c - '0');
			digits = true;
		} else {
			if (digits && number == port)
				return true;
			number = 0;
			digits = false;
		}
		if (c == '\0')
			break;
	}
	return false;
}

static __always_inline int start(struct socket *socket,
				 const struct sockaddr *addr, int addr_len)
{
	gadget_tid tid = (__u32)bpf_get_current_pid_tgid();
	struct call call = {socket, addr, addr_len};

	if (!gadget_should_discard_data_current())
		bpf_map_update_elem(&calls, &tid, &call, BPF_ANY);
	return 0;
}

/* The address that the socket is bound to.  Raw sockets have a protocol in place of a port. */
static __always_inline void fill_bound(struct gadget_l4endpoint_t *to,
				       const struct sock *sk)
{
	const struct inet_sock *inet = (const struct inet_sock *)sk;

	if (BPF_CORE_READ(sk, sk_type) != SOCK_RAW)
		to->port = bpf_ntohs(BPF_CORE_READ(inet, inet_sport));
	if (to->version == 4)
		BPF_CORE_READ_INTO(&to->addr_raw.v4, sk,
				   __sk_common.skc_rcv_saddr);
	else
		BPF_CORE_READ_INTO(&to->addr_raw.v6, sk,
				   __sk_common.skc_v6_rcv_saddr);
}

static __always_inline void read_addr(void *to, __u32 size,
				      const struct call *call, bool from_user)
{
	if (from_user)
		bpf_probe_read_user(to, size, call->addr);
	else
		bpf_probe_read_kernel(to, size, call->addr);
}

/*
 * The address that a failed call asked for.  The memory after the end of an address that
 * is too short holds old data.
 */
static __always_inline void fill_wanted(struct gadget_l4endpoint_t *to,
					const struct call *call, bool from_user)
{
	struct sockaddr_in6 in6 = {};
	struct sockaddr_in in = {};
	__u16 family = 0;

	if (call->addr_len >= sizeof(family))
		read_addr(&family, sizeof(family), call, from_user);
	if (family == AF_INET6 && call->addr_len >= IN6_LEN_MIN) {
		read_addr(&in6, IN6_LEN_MIN, call, from_user);
		to->version = 6;
		to->port = bpf_ntohs(in6.sin6_port);
		__builtin_memcpy(to->addr_raw.v6, &in6.sin6_addr,
				 sizeof(to->addr_raw.v6));
	} else if (family == AF_INET && call->addr_len >= sizeof(in)) {
		read_addr(&in, sizeof(in), call, from_user);
		to->version = 4;
		to->port = bpf_ntohs(in.sin_port);
		to->addr_raw.v4 = in.sin_addr.s_addr;
	}
}

static __always_inline int report(void *ctx, const struct call *call, int ret,
				  bool from_user)
{
	const struct socket *socket = call->socket;
	const struct sock *sk = BPF_CORE_READ(socket, sk);
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
	struct gadget_l4endpoint_t addr;
	struct event *event;

	if (ignore_errors && ret != 0)
		return 0;
	__builtin_memset(&addr, 0, sizeof(addr));
	addr.version = family == AF_INET ? 4 : 6;
	addr.proto = BPF_CORE_READ_BITFIELD_PROBED(sk, sk_protocol);
	if (ret == 0)
		fill_bound(&addr, sk);
	else
		fill_wanted(&addr, call, from_user);
	if (!is_wanted_port(addr.port))
		return 0;

	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return 0;
	event->timestamp_raw = bpf_ktime_get_boot_ns();
	gadget_process_populate(&event->proc);
	event->netns_id = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	event->addr = addr;
	event->error_raw = -ret;
	event->bound_dev_if = BPF_CORE_READ(sk, __sk_common.skc_bound_dev_if);
	event->opts_raw = options(sk);
	__builtin_memset(event->__padding, 0, sizeof(event->__padding));
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
	return 0;
}

static __always_inline int end(void *ctx, int ret)
{
	gadget_tid tid = (__u32)bpf_get_current_pid_tgid();
	struct call call;

	if (!gadget_map_take(&calls, &tid, &call))
		return 0;
	return report(ctx, &call, ret, false);
}

SEC("kprobe/inet_bind")
int BPF_KPROBE(trace_bind_v4, struct socket *socket,
	       const struct sockaddr *addr, int addr_len)
{
	return start(socket, addr, addr_len);
}

SEC("kretprobe/inet_bind")
int BPF_KRETPROBE(trace_bind_v4_return, int ret)
{
	return end(ctx, ret);
}

SEC("kprobe/inet6_bind")
int BPF_KPROBE(trace_bind_v6, struct socket *socket,
	       const struct sockaddr *addr, int addr_len)
{
	return start(socket, addr, addr_len);
}

SEC("kretprobe/inet6_bind")
int BPF_KRETPROBE(trace_bind_v6_return, int ret)
{
	return end(ctx, ret);
}

/* Returns the socket of a descriptor of the current process, or NULL for other kinds of sockets. */
static __always_inline struct socket *socket_of(int fd)
{
	struct file *file = get_struct_file_for_fd(fd);
	struct socket *socket;
	__u16 family;

	if (!file || gadget_get_file_type(file) != S_IFSOCK)
		return NULL;
	socket = BPF_CORE_READ(file, private_data);
	family = BPF_CORE_READ(socket, sk, __sk_common.skc_family);
	return family == AF_INET || family == AF_INET6 ? socket : NULL;
}

/*
 * Whether the call got as far as the socket: before, the kernel copies the address.  The
 * socket's own code does not return EFAULT.
 */
static __always_inline bool has_reached_socket(int addr_len, long ret)
{
	return ret != -EFAULT && addr_len >= 0 && addr_len <= ADDR_LEN_MAX;
}

/* Not inlined: all other calls of the host should go by as fast as can be. */
static __noinline int report_call(void *ctx, const struct pt_regs *regs,
				  long ret)
{
	struct gadget_call syscall;
	struct call call;

	if (gadget_should_discard_data_current())
		return 0;
	gadget_get_call(regs, &syscall);
	gadget_resolve_socketcall(&syscall);
	if (syscall.nr != GADGET_NR_BIND ||
	    !has_reached_socket(syscall.args[2], ret))
		return 0;
	call.socket = socket_of(syscall.args[0]);
	call.addr = (const struct sockaddr *)syscall.args[1];
	call.addr_len = syscall.args[2];
	return call.socket ? report(ctx, &call, ret, true) : 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(trace_bind_call, struct pt_regs *regs, long ret)
{
	__u32 nr = gadget_raw_call_nr(regs);

	if (!gadget_may_be_call(nr, BIND) &&
	    !gadget_may_be_call(nr, SOCKETCALL))
		return 0;
	return report_call(ctx, regs, ret);
}

GADGET_PREFER(trace_bind_v4, trace_bind_call);
GADGET_PREFER(trace_bind_v4_return, trace_bind_call);
GADGET_PREFER(trace_bind_v6, trace_bind_call);
GADGET_PREFER(trace_bind_v6_return, trace_bind_call);

char LICENSE[] SEC("license") = "GPL";
