// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_endian.h>
#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

enum bind_options_set : __u8 {
	FREEBIND = 0x01,
	TRANSPARENT = 0x02,
	BIND_ADDRESS_NO_PORT = 0x04,
	REUSEADDRESS = 0x08,
	REUSEPORT = 0x10,
};

struct bind_event {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;
	struct gadget_l4endpoint_t addr;
	gadget_errno error_raw;
	enum bind_options_set opts_raw;
	__u32 bound_dev_if;
};

union bind_options {
	__u8 data;
	struct {
		__u8 freebind : 1;
		__u8 transparent : 1;
		__u8 bind_address_no_port : 1;
		__u8 reuseaddress : 1;
		__u8 reuseport : 1;
	} fields;
};

/* before 6.6 the flags were bit fields of their own */
struct inet_sock___o {
	__u8 freebind : 1;
	__u8 transparent : 1;
	__u8 bind_address_no_port : 1;
} __attribute__((preserve_access_index));

enum {
	INET_FLAGS_FREEBIND___x = 11,
	INET_FLAGS_TRANSPARENT___x = 15,
	INET_FLAGS_BIND_ADDRESS_NO_PORT___x = 18,
};

struct inet_sock___x {
	unsigned long inet_flags;
} __attribute__((preserve_access_index));

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10240);
	__type(key, __u32);
	__type(value, struct socket *);
} sockets SEC(".maps");

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(bind, events, bind_event);

const volatile bool ignore_errors = true;
GADGET_PARAM(ignore_errors);

static int probe_entry(struct socket *socket)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();

	if (gadget_should_discard_data_current())
		return 0;
	bpf_map_update_elem(&sockets, &tid, &socket, BPF_ANY);
	return 0;
}

static __u8 options_of(struct sock *sk)
{
	union bind_options o = { .data = 0 };

	if (bpf_core_field_exists(struct inet_sock___o, freebind)) {
		struct inet_sock___o *i = (void *)sk;

		o.fields.freebind = BPF_CORE_READ_BITFIELD_PROBED(i, freebind);
		o.fields.transparent = BPF_CORE_READ_BITFIELD_PROBED(i, transparent);
		o.fields.bind_address_no_port =
			BPF_CORE_READ_BITFIELD_PROBED(i, bind_address_no_port);
	} else {
		unsigned long f = BPF_CORE_READ((struct inet_sock___x *)sk, inet_flags);

		o.fields.freebind = f >> INET_FLAGS_FREEBIND___x & 1;
		o.fields.transparent = f >> INET_FLAGS_TRANSPARENT___x & 1;
		o.fields.bind_address_no_port = f >> INET_FLAGS_BIND_ADDRESS_NO_PORT___x & 1;
	}
	o.fields.reuseaddress = BPF_CORE_READ_BITFIELD_PROBED(sk, __sk_common.skc_reuse);
	o.fields.reuseport = BPF_CORE_READ_BITFIELD_PROBED(sk, __sk_common.skc_reuseport);
	return o.data;
}

static int probe_exit(struct pt_regs *ctx, short ver)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct socket **socketp;
	struct bind_event *event;
	struct inet_sock *inet_sock;
	struct sock *sock;
	int ret = PT_REGS_RC(ctx);

	socketp = bpf_map_lookup_elem(&sockets, &tid);
	if (!socketp)
		return 0;
	if (ignore_errors && ret != 0)
		goto cleanup;

	sock = BPF_CORE_READ(*socketp, sk);
	inet_sock = (struct inet_sock *)sock;
	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		goto cleanup;
	__builtin_memset(event, 0, sizeof(*event));
	event->timestamp_raw = bpf_ktime_get_boot_ns();
	gadget_process_populate(&event->proc);
	event->addr.port = bpf_ntohs(BPF_CORE_READ(inet_sock, inet_sport));
	event->addr.proto_raw = BPF_CORE_READ_BITFIELD_PROBED(sock, sk_protocol);
	event->addr.version = ver;
	if (ver == 4)
		bpf_probe_read_kernel(&event->addr.addr_raw.v4, sizeof(event->addr.addr_raw.v4),
				      &inet_sock->inet_saddr);
	else
		bpf_probe_read_kernel(&event->addr.addr_raw.v6, sizeof(event->addr.addr_raw.v6),
				      sock->__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32);
	event->error_raw = -ret;
	event->opts_raw = options_of(sock);
	event->bound_dev_if = BPF_CORE_READ(sock, __sk_common.skc_bound_dev_if);
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
cleanup:
	bpf_map_delete_elem(&sockets, &tid);
	return 0;
}

SEC("kprobe/inet_bind")
int BPF_KPROBE(bindwatch_v4_e, struct socket *socket)
{
	return probe_entry(socket);
}

SEC("kretprobe/inet_bind")
int BPF_KRETPROBE(bindwatch_v4_x)
{
	return probe_exit(ctx, 4);
}

SEC("kprobe/inet6_bind")
int BPF_KPROBE(bindwatch_v6_e, struct socket *socket)
{
	return probe_entry(socket);
}

SEC("kretprobe/inet6_bind")
int BPF_KRETPROBE(bindwatch_v6_x)
{
	return probe_exit(ctx, 6);
}

char LICENSE[] SEC("license") = "GPL";
