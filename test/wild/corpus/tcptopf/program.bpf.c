// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Bytes by connection; with fentry and fexit instead of probes. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>
#include <gadget/macros.h>
#include <gadget/filter.h>
#include <gadget/types.h>

#define AF_INET	 2
#define AF_INET6 10

struct conn {
	gadget_mntns_id mntns_id;
	gadget_pid pid;
	gadget_tid tid;
	gadget_comm comm[TASK_COMM_LEN];
	struct gadget_l4endpoint_t src;
	struct gadget_l4endpoint_t dst;
};

struct sums {
	gadget_bytes sent_raw;
	gadget_bytes received_raw;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10240);
	__type(key, struct conn);
	__type(value, struct sums);
} conns SEC(".maps");

GADGET_MAPITER(tcp, conns);

const volatile int family = -1;
GADGET_PARAM(family);

static int add(struct sock *sk, bool sent, size_t size)
{
	__u16 fam = sk->__sk_common.skc_family;
	struct sums fresh = {}, *sums;
	struct conn conn = {};
	__u64 id;

	if (family != -1 && (family == 4 ? AF_INET : AF_INET6) != fam)
		return 0;
	if (fam != AF_INET && fam != AF_INET6)
		return 0;
	if (gadget_should_discard_data_current())
		return 0;

	id = bpf_get_current_pid_tgid();
	conn.pid = id >> 32;
	conn.tid = (__u32)id;
	conn.mntns_id = gadget_get_current_mntns_id();
	bpf_get_current_comm(&conn.comm, sizeof(conn.comm));
	conn.src.port = sk->__sk_common.skc_num;
	conn.dst.port = bpf_ntohs(sk->__sk_common.skc_dport);
	conn.src.proto_raw = conn.dst.proto_raw = IPPROTO_TCP;
	if (fam == AF_INET) {
		conn.src.version = conn.dst.version = 4;
		conn.src.addr_raw.v4 = sk->__sk_common.skc_rcv_saddr;
		conn.dst.addr_raw.v4 = sk->__sk_common.skc_daddr;
	} else {
		conn.src.version = conn.dst.version = 6;
		BPF_CORE_READ_INTO(&conn.src.addr_raw.v6, sk,
				   __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32);
		BPF_CORE_READ_INTO(&conn.dst.addr_raw.v6, sk,
				   __sk_common.skc_v6_daddr.in6_u.u6_addr32);
	}

	sums = bpf_map_lookup_elem(&conns, &conn);
	if (!sums) {
		if (sent)
			fresh.sent_raw = size;
		else
			fresh.received_raw = size;
		bpf_map_update_elem(&conns, &conn, &fresh, BPF_NOEXIST);
		return 0;
	}
	if (sent)
		__sync_fetch_and_add(&sums->sent_raw, size);
	else
		__sync_fetch_and_add(&sums->received_raw, size);
	return 0;
}

SEC("fexit/tcp_sendmsg")
int BPF_PROG(tcptopf_send, struct sock *sk, struct msghdr *msg, size_t size, int ret)
{
	if (ret <= 0)
		return 0;
	return add(sk, true, ret);
}

SEC("fentry/tcp_cleanup_rbuf")
int BPF_PROG(tcptopf_recv, struct sock *sk, int copied)
{
	if (copied <= 0)
		return 0;
	return add(sk, false, copied);
}

char LICENSE[] SEC("license") = "GPL";
