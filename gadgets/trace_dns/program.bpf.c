// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Reports DNS messages: queries and answers, over UDP and TCP.
 *
 * The program sees each packet of the host.  All but those of DNS servers' ports end
 * after their ports have been read.  Of a message the program reads what it needs to decide
 * and what filters compare most often: the header, and the type that is asked for.  It
 * passes the message on as it is; user space reads names and addresses when it
 * writes them, and it can do so exactly, in any number of steps.
 */

#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

/* Records of a length that isn't constant can't be reserved. */
#define GADGET_NO_BUF_RESERVE
#define GADGET_TYPE_NETWORKING
#include <gadget/buffer.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/packet.h>
#include <gadget/sockets-map.h>
#include <gadget/types.h>

/* As linux/if_packet.h numbers them. */
enum pkt_type {
	HOST,
	BROADCAST,
	MULTICAST,
	OTHERHOST,
	OUTGOING,
};

struct event {
	gadget_timestamp timestamp_raw;
	struct gadget_l4endpoint_t src;
	struct gadget_l4endpoint_t dst;
	struct gadget_l3endpoint_t nameserver;
	gadget_netns_id netns_id;
	struct gadget_process proc;
	enum pkt_type pkt_type_raw;
	__u16 id;
	bool qr_raw;
	__u8 __padding;
	__u16 qtype_raw;
	__u16 rcode_raw;
	__s32 num_answers;
	gadget_duration latency_ns_raw;
	bool tc;
	bool ra;
	bool rd;
	__u8 __padding2;
	__u32 data_len;
	/* The message follows, and then, with paths, cwd and exepath. */
};

/* More than EDNS allows to send by default anywhere. */
#define MESSAGE_MAX 4096
#define PATH_LEN    512

struct record {
	struct event event;
	__u8 rest[MESSAGE_MAX + 2 * PATH_LEN];
};

/*
 * Memory of a run.  Programs of sockets do not interrupt each other on a CPU.  Records are
 * too large for the stack.  The packet is here because the verifier does not follow what
 * is in a map: else it would check the program for each combination of headers.
 */
struct scratch {
	struct record record;
	struct gadget_packet packet;
	__u32 len; /* of what is in record.rest */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratch SEC(".maps");

#define PORTS_MAX 8

const volatile __u16 ports[PORTS_MAX] = {53, 5353};
GADGET_PARAM(ports);

const volatile bool paths = false;
GADGET_PARAM(paths);

GADGET_TRACER_MAP(events, 4 * 1024 * 1024);
GADGET_TRACER(dns, events, event);

/* A query as its sender knows it, whose answer has not come yet. */
struct query {
	union gadget_ip_addr_t client;
	union gadget_ip_addr_t server;
	__u32 netns_id;
	__u16 client_port;
	__u16 server_port;
	__u16 id;
	__u8 proto;
	__u8 version;
	__u32 zero;
};

/* Queries without an answer stay until others need their place. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct query);
	__type(value, __u64);
} queries SEC(".maps");

struct header {
	__be16 id;
	__u8 flags[2];
	__be16 counts
		[4]; /* questions, answers, and two kinds of more records */
};

#define FLAG_RESPONSE 0x80 /* in the first byte of the flags */
#define FLAG_TC	      0x02
#define FLAG_RD	      0x01
#define FLAG_RA	      0x80 /* in the second */
#define FLAG_ZERO     0x40
#define RCODE	      0x0f
#define OPCODE_MAX    6

static __always_inline bool is_dns(const struct gadget_packet *packet)
{
#pragma unroll
	for (int i = 0; i < PORTS_MAX; i++) {
		__u16 port = ports[i];

		if (port && (packet->sport == port || packet->dport == port))
			return true;
	}
	return false;
}

/*
 * What is known of the messages over TCP in one direction: where the next one begins, and
 * whether its length has passed already, as some clients send it by itself.
 */
struct stream {
	__u32 next_seq;
	__u32 has_length;
	__u32 len;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 2048);
	__type(key, struct gadget_packet_flow);
	__type(value, struct stream);
} streams SEC(".maps");

/*
 * Finds where a message begins in a segment.  False if it has only the middle of one.  If
 * segments were missed, or the connection is older than the gadget, a message is taken to
 * begin where the segment does; see is_plausible().
 */
static __always_inline bool find_start(const struct stream *stream,
				       struct gadget_packet *packet)
{
	__u32 off;

	if (!stream)
		return true;
	off = stream->next_seq - packet->seq;
	if (off > 0xffff + sizeof(__u16)) /* it was before this segment */
		return true;
	if (off >= packet->payload_len)
		return false;
	packet->seq += off;
	packet->payload += off;
	packet->payload_len -= off;
	return true;
}

/*
 * A message over TCP comes after its length.  Finds the first that begins in a segment, with
 * its header.
 */
static __always_inline bool find_in_segment(const struct __sk_buff *skb,
					    struct gadget_packet *packet)
{
	struct gadget_packet_flow flow;
	struct stream *known, stream = {};
	__u16 len = 0;

	gadget_packet_flow(skb, packet, &flow);
	known = bpf_map_lookup_elem(&streams, &flow);
	if (!find_start(known, packet))
		return false;
	if (known && known->has_length && known->next_seq == packet->seq) {
		stream.len = known->len;
	} else {
		if (packet->payload_len < sizeof(len) ||
		    bpf_skb_load_bytes(skb, packet->payload, &len, sizeof(len)))
			return false;
		stream.len = bpf_ntohs(len);
		packet->seq += sizeof(len);
		packet->payload += sizeof(len);
		packet->payload_len -= sizeof(len);
	}
	stream.has_length = packet->payload_len == 0;
	stream.next_seq = packet->seq + (stream.has_length ? 0 : stream.len);
	bpf_map_update_elem(&streams, &flow, &stream, BPF_ANY);
	if (packet->payload_len > stream.len)
		packet->payload_len = stream.len;
	return true;
}

static __always_inline bool find_message(const struct __sk_buff *skb,
					 struct gadget_packet *packet)
{
	if (!gadget_packet_payload(skb, packet))
		return false;
	if (packet->proto == IPPROTO_TCP && !find_in_segment(skb, packet))
		return false;
	return packet->payload_len >= sizeof(struct header);
}

/* Where a name that begins after the header ends at the latest: it has 255 bytes. */
#define NAME_END (sizeof(struct header) + 255)

/*
 * A byte of the beginning of the message.  The verifier does not see from the conditions of a
 * loop that an index is small.
 */
static __always_inline __u8 byte_at(const struct record *record, __u64 at)
{
	barrier_var(at);
	return record->rest[at & 511];
}

/*
 * The type that is asked for by the message in scratch, which follows its first name; 0 if the
 * message has neither a question nor a record, or is cut before it.  A name has at most 127 labels.
 * The verifier checks a function that is not static by itself, once.
 */
__noinline int type_of_message(__u32 len)
{
	__u64 at = sizeof(struct header), end = len;
	const struct scratch *s;
	__u32 zero = 0;
	__u8 label = 0;

	s = bpf_map_lookup_elem(&scratch, &zero);
	if (!s)
		return 0;
	for (int i = 0; i < 128; i++) {
		if (at >= end || at > NAME_END)
			return 0;
		label = byte_at(&s->record, at);
		if (!label || label > 63)
			break;
		at += 1 + label;
	}
	if (label && label < 0xc0)
		return 0;
	at += label ? 2 : 1; /* a pointer, or the root */
	if (at + 2 > end)
		return 0;
	return byte_at(&s->record, at) << 8 | byte_at(&s->record, at + 1);
}

static __always_inline void decode(struct record *record, __u64 len)
{
	const struct header *header = (const struct header *)record->rest;
	struct event *event = &record->event;
	bool is_empty = !(header->counts[0] | header->counts[1] |
			  header->counts[2] | header->counts[3]);

	event->data_len = len;
	event->id = bpf_ntohs(header->id);
	event->qr_raw = header->flags[0] & FLAG_RESPONSE;
	event->tc = header->flags[0] & FLAG_TC;
	event->rd = header->flags[0] & FLAG_RD;
	event->ra = header->flags[1] & FLAG_RA;
	event->rcode_raw = header->flags[1] & RCODE;
	event->num_answers = bpf_ntohs(header->counts[1]);
	event->qtype_raw = is_empty ? 0 : type_of_message(len);
}

/*
 * The time since the query, for an answer that has come to the process that asked.  The
 * server's own view of both, and that of machines on the way, is left out.
 */
static __always_inline __u64 latency(const struct event *event)
{
	bool is_query = !event->qr_raw;
	const struct gadget_l4endpoint_t *client = is_query ? &event->src :
							      &event->dst;
	const struct gadget_l4endpoint_t *server = is_query ? &event->dst :
							      &event->src;
	struct query query = {
		.client = client->addr_raw,
		.server = server->addr_raw,
		.netns_id = event->netns_id,
		.client_port = client->port,
		.server_port = server->port,
		.id = event->id,
		.proto = client->proto,
		.version = client->version,
	};
	__u64 *sent, since;

	if (is_query != (event->pkt_type_raw == OUTGOING))
		return 0;
	if (is_query) {
		bpf_map_update_elem(&queries, &query, &event->timestamp_raw,
				    BPF_ANY);
		return 0;
	}
	sent = bpf_map_lookup_elem(&queries, &query);
	if (!sent)
		return 0;
	since = event->timestamp_raw - *sent;
	bpf_map_delete_elem(&queries, &query);
	return since;
}

static __always_inline void name_server(struct event *event)
{
	const struct gadget_l4endpoint_t *server = event->qr_raw ? &event->src :
								   &event->dst;

	__builtin_memset(&event->nameserver, 0, sizeof(event->nameserver));
	event->nameserver.addr_raw = server->addr_raw;
	event->nameserver.version = server->version;
}

static __always_inline __u64 at_most(__u64 n, __u64 most)
{
	return n < most ? n : most;
}

/* Appends a text and its NUL byte. */
static __always_inline void append(struct scratch *s, const char *text,
				   __u64 size)
{
	__u64 len = s->len;
	long n = 0;

	barrier_var(len); /* the checked register is the one used below */
	if (len >= MESSAGE_MAX + PATH_LEN)
		return;
	if (text)
		n = bpf_probe_read_kernel_str(s->record.rest + len,
					      at_most(size, PATH_LEN), text);
	if (n <= 0) {
		s->record.rest[len] = 0;
		n = 1;
	}
	s->len = len + n;
}

static __always_inline void append_cwd(struct scratch *s,
				       const struct gadget_socket_value *owner)
{
	if (owner && bpf_core_field_exists(owner->cwd))
		append(s, owner->cwd, bpf_core_field_size(owner->cwd));
	else
		append(s, NULL, 0);
}

static __always_inline void
append_exepath(struct scratch *s, const struct gadget_socket_value *owner)
{
	if (owner && bpf_core_field_exists(owner->exepath))
		append(s, owner->exepath, bpf_core_field_size(owner->exepath));
	else
		append(s, NULL, 0);
}

/*
 * A segment of which nothing is known may begin in the middle of a message.  Random bytes
 * pass this once in 150,000 times: no more than one question, and no unknown kind of message.
 */
static __always_inline bool is_plausible(const struct record *record)
{
	const struct header *header = (const struct header *)record->rest;

	return bpf_ntohs(header->counts[0]) <= 1 &&
	       (header->flags[0] >> 3 & 0xf) <= OPCODE_MAX &&
	       !(header->flags[1] & FLAG_ZERO);
}

static __always_inline int report(struct __sk_buff *skb, struct scratch *s,
				  const struct gadget_socket_value *owner)
{
	const struct gadget_packet *packet = &s->packet;
	__u64 len = at_most(packet->payload_len, MESSAGE_MAX);
	struct record *record = &s->record;
	struct event *event = &record->event;

	barrier_var(len); /* or the compiler merges both comparisons into one */
	if (len < sizeof(struct header) ||
	    bpf_skb_load_bytes(skb, packet->payload, record->rest, len))
		return 0;
	if (packet->proto == IPPROTO_TCP && !is_plausible(record))
		return 0;

	event->timestamp_raw = bpf_ktime_get_boot_ns();
	gadget_packet_endpoints(skb, packet, &event->src, &event->dst);
	event->netns_id = skb->cb[0];
	event->pkt_type_raw = skb->pkt_type;
	gadget_process_populate_from_socket(owner, &event->proc);
	decode(record, len);
	name_server(event);
	event->latency_ns_raw = latency(event);
	event->__padding = event->__padding2 = 0;

	s->len = len;
	if (paths) {
		append_cwd(s, owner);
		append_exepath(s, owner);
	}
	len = s->len;
	barrier_var(len);
	if (len > sizeof(record->rest))
		return 0;
	gadget_output_buf(skb, &events, record, sizeof(*event) + len);
	return 0;
}

SEC("socket1")
int trace_dns(struct __sk_buff *skb)
{
	struct gadget_socket_value *owner;
	struct scratch *s;
	__u32 zero = 0;

	/* Packets for other machines, which an interface in promiscuous mode sees. */
	if (skb->pkt_type == OTHERHOST)
		return 0;
	s = bpf_map_lookup_elem(&scratch, &zero);
	if (!s || !gadget_packet_parse(skb, &s->packet) ||
	    !is_dns(&s->packet) || !find_message(skb, &s->packet))
		return 0;
	owner = gadget_socket_lookup(skb);
	if (gadget_should_discard_data_by_skb(owner))
		return 0;
	return report(skb, s, owner);
}

char LICENSE[] SEC("license") = "GPL";
