// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Reports the server names that TLS clients ask for.
 *
 * The name is an extension of the client's first message, the ClientHello.  It may be
 * anywhere among the extensions, and a hello is often longer than a segment: a key share for
 * post-quantum cryptography has 1,200 bytes, a session ticket more.  So the program reads a
 * hello as a stream, whose parts may end anywhere: it keeps what it knows in a struct hello, which
 * waits in a map for the flow's next segment.  TLS records may cut the hello as well.
 *
 * The program sees each packet of the host.  Data that is not TLS costs it, after the
 * headers, one byte and one look into a small table.
 */

#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

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

#define NAME_LEN 128

struct event {
	gadget_timestamp timestamp_raw;
	gadget_netns_id netns_id;
	enum pkt_type pkt_type_raw;
	struct gadget_process proc;
	struct gadget_l4endpoint_t src;
	struct gadget_l4endpoint_t dst;
	char name[NAME_LEN];
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(sni, events, event);

/* What is read next of a hello; each but STEP_NAME is a number of so many bytes. */
enum step {
	STEP_HELLO,  /* 1: the kind of the message */
	STEP_LENGTH, /* 3: of the message */
	STEP_SESSION, /* 1: length of the session's id, after a version and random bytes */
	STEP_CIPHERS,	       /* 2: length of the list of ciphers */
	STEP_COMPRESSION,      /* 1: length of the list of compressions */
	STEP_EXTENSIONS,       /* 2: length of all extensions */
	STEP_EXTENSION,	       /* 2: type of an extension */
	STEP_EXTENSION_LENGTH, /* 2 */
	STEP_NAMES,	       /* 2: length of the list of names */
	STEP_NAME_TYPE,	       /* 1 */
	STEP_NAME_LENGTH,      /* 2 */
	STEP_NAME,
};

#define RECORD_HEADER 5 /* kind, version (2), length (2) */
#define HANDSHAKE     22
#define CLIENT_HELLO  1
#define SERVER_NAME   0 /* the extension */
#define HOST_NAME     0 /* the type of a name */

struct hello {
	__u32 next_seq; /* of the segment that is awaited */
	__u32 skip;	/* bytes of the message to skip before the next step */
	__u32 left; /* bytes of the message that are left, from STEP_SESSION on */
	__u32 number;	   /* its bytes so far */
	__u32 record_left; /* bytes of the record that are left */
	__u8 header_left;  /* bytes of the record's header that are left */
	__u8 number_left;  /* bytes of the number that are left */
	__u8 step;
	__u8 extension_is_name;
	__u32 name_left; /* bytes of the name that are left */
	__u32 name_len;
	/* The verifier does not see that no more than half of it is used. */
	char name[2 * NAME_LEN];
	__u32 at; /* the place in the packet */
	__u32 end;
};

/* Hellos of which segments are awaited; those that never come make room for others. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 2048);
	__type(key, struct gadget_packet_flow);
	__type(value, struct hello);
} hellos SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct hello);
} scratch SEC(".maps");

/*
 * The packet of a run.  The verifier does not follow what is in a map: else it would check
 * the program for each combination of headers.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct gadget_packet);
} packets SEC(".maps");

/*
 * The next sequence numbers of flows that wait in the map, by a hash of what is known without
 * reading addresses.  So only the segments that are awaited cost a look into the map.  Of
 * two flows that wait in the same place the first loses its hello.
 */
#define AWAITED 16384
__u32 awaited[AWAITED];

/* A hello takes some 150 steps; more are for records of a few bytes each. */
#define STEPS_MAX 1024

enum progress {
	HELLO_CONTINUES, /* in this segment */
	HELLO_CUT,	 /* the next segment goes on */
	HELLO_NAMED,	 /* there is a name */
	HELLO_ENDED,	 /* no hello, or one without a name */
};

static __always_inline void expect(struct hello *hello, enum step step,
				   __u8 bytes)
{
	hello->step = step;
	hello->number_left = bytes;
	hello->number = 0;
}

static __always_inline void begin(struct hello *hello)
{
	__builtin_memset(hello, 0, sizeof(*hello));
	hello->header_left = RECORD_HEADER;
	hello->left = ~0U; /* not known before STEP_LENGTH */
	expect(hello, STEP_HELLO, 1);
}

/* A byte of a record's header. */
static __always_inline enum progress read_header(struct hello *hello, __u8 byte)
{
	switch (hello->header_left--) {
	case 5:
		return byte == HANDSHAKE ? HELLO_CONTINUES : HELLO_ENDED;
	case 4:
		return byte == 3 ? HELLO_CONTINUES : HELLO_ENDED;
	case 2:
		hello->record_left = byte << 8;
		break;
	case 1:
		hello->record_left |= byte;
		if (!hello->record_left)
			return HELLO_ENDED;
		break;
	}
	return HELLO_CONTINUES;
}

/* After a number of the extensions. */
static __always_inline enum progress extension_step(struct hello *hello)
{
	__u32 number = hello->number;

	switch (hello->step) {
	case STEP_EXTENSION:
		hello->extension_is_name = number == SERVER_NAME;
		expect(hello, STEP_EXTENSION_LENGTH, 2);
		return HELLO_CONTINUES;
	case STEP_EXTENSION_LENGTH:
		if (hello->extension_is_name) {
			expect(hello, STEP_NAMES, 2);
			return HELLO_CONTINUES;
		}
		hello->skip = number;
		expect(hello, STEP_EXTENSION, 2);
		return HELLO_CONTINUES;
	case STEP_NAMES:
		expect(hello, STEP_NAME_TYPE, 1);
		return HELLO_CONTINUES;
	case STEP_NAME_TYPE:
		expect(hello, STEP_NAME_LENGTH, 2);
		return number == HOST_NAME ? HELLO_CONTINUES : HELLO_ENDED;
	case STEP_NAME_LENGTH:
		hello->name_left = number;
		expect(hello, STEP_NAME, 0);
		return number ? HELLO_CONTINUES : HELLO_ENDED;
	}
	return HELLO_ENDED;
}

/* After a number. */
static __always_inline enum progress next_step(struct hello *hello)
{
	__u32 number = hello->number;

	switch (hello->step) {
	case STEP_HELLO:
		expect(hello, STEP_LENGTH, 3);
		return number == CLIENT_HELLO ? HELLO_CONTINUES : HELLO_ENDED;
	case STEP_LENGTH:
		hello->left = number;
		hello->skip = 2 + 32; /* the version, random bytes */
		expect(hello, STEP_SESSION, 1);
		return HELLO_CONTINUES;
	case STEP_SESSION:
		hello->skip = number;
		expect(hello, STEP_CIPHERS, 2);
		return HELLO_CONTINUES;
	case STEP_CIPHERS:
		hello->skip = number;
		expect(hello, STEP_COMPRESSION, 1);
		return HELLO_CONTINUES;
	case STEP_COMPRESSION:
		hello->skip = number;
		expect(hello, STEP_EXTENSIONS, 2);
		return HELLO_CONTINUES;
	case STEP_EXTENSIONS:
		expect(hello, STEP_EXTENSION, 2);
		return HELLO_CONTINUES;
	}
	return extension_step(hello);
}

static __always_inline __u32 at_most(__u32 n, __u32 most)
{
	return n < most ? n : most;
}

/* Reads bytes of the name, as many as there is room for; returns how many it used. */
static __always_inline __u32 read_name(const struct __sk_buff *skb,
				       struct hello *hello, __u32 at, __u32 n)
{
	__u64 len = hello->name_len, room;

	if (len >= NAME_LEN - 1)
		return n;
	room = at_most(n, NAME_LEN - 1 - len);
	if (room == 0)
		return 0;
	/* Limits that the verifier sees; that of 6.1 does not learn from the condition that
	 * there is at least one byte. */
	barrier_var(len);
	barrier_var(room);
	len &= NAME_LEN - 1;
	room = ((room - 1) & (NAME_LEN - 1)) + 1;
	if (bpf_skb_load_bytes(skb, at, hello->name + len, room))
		return 0;
	hello->name_len = len + room;
	return room;
}

/* Uses bytes of which only the number matters, or of the name. */
static __always_inline __u32 read_many(const struct __sk_buff *skb,
				       struct hello *hello, __u32 at, __u32 n,
				       enum progress *progress)
{
	if (hello->skip) {
		n = at_most(n, hello->skip);
		hello->skip -= n;
		return n;
	}
	n = read_name(skb, hello, at, at_most(n, hello->name_left));
	hello->name_left -= n;
	if (n == 0)
		*progress = HELLO_ENDED;
	else if (hello->name_left == 0)
		*progress = HELLO_NAMED;
	return n;
}

/* Uses bytes of the message, of which n are there; returns how many. */
static __always_inline __u32 read_message(const struct __sk_buff *skb,
					  struct hello *hello, __u32 at,
					  __u32 n, enum progress *progress)
{
	__u8 byte = 0;

	if (hello->skip || hello->step == STEP_NAME)
		return read_many(skb, hello, at, n, progress);
	if (bpf_skb_load_bytes(skb, at, &byte, sizeof(byte))) {
		*progress = HELLO_ENDED;
		return 0;
	}
	hello->number = hello->number << 8 | byte;
	hello->number_left--;
	return 1;
}

/* Uses some of the n bytes at that place; returns how many. */
static __always_inline __u32 use(const struct __sk_buff *skb,
				 struct hello *hello, __u32 at, __u32 n,
				 enum progress *progress)
{
	__u8 byte = 0;

	if (hello->header_left) {
		*progress = HELLO_ENDED;
		if (!bpf_skb_load_bytes(skb, at, &byte, sizeof(byte)))
			*progress = read_header(hello, byte);
		return 1;
	}
	n = at_most(n, at_most(hello->record_left, hello->left));
	if (n == 0) { /* the message has ended */
		*progress = HELLO_ENDED;
		return 0;
	}
	n = read_message(skb, hello, at, n, progress);
	hello->record_left -= n;
	hello->left -= n;
	if (hello->record_left == 0)
		hello->header_left = RECORD_HEADER;
	if (hello->number_left == 0 && hello->step != STEP_NAME &&
	    !hello->skip && *progress == HELLO_CONTINUES)
		*progress = next_step(hello);
	return n;
}

/*
 * One step of reading what a segment has of the hello in scratch; returns its enum progress.
 * The verifier checks a function that is not static by itself, once, and not each time it is
 * called.  Between two steps everything is in scratch, because such a function takes no
 * pointers before 5.12: e5069b9c23b3 ("bpf: Support pointers in global func args").
 */
__noinline int read_step(struct __sk_buff *skb)
{
	enum progress progress = HELLO_CONTINUES;
	struct hello *hello;
	__u32 zero = 0;

	hello = bpf_map_lookup_elem(&scratch, &zero);
	if (!hello)
		return HELLO_ENDED;
	if (hello->at >= hello->end)
		return HELLO_CUT;
	hello->at +=
		use(skb, hello, hello->at, hello->end - hello->at, &progress);
	return progress;
}

/* Reads what a segment has of a hello. */
static __always_inline int read_hello(struct __sk_buff *skb,
				      struct hello *hello,
				      const struct gadget_packet *p)
{
	int progress;

	hello->at = p->payload;
	hello->end = p->end;
	for (int i = 0; i < STEPS_MAX; i++) {
		progress = read_step(skb);
		if (progress != HELLO_CONTINUES)
			return progress;
	}
	return HELLO_ENDED;
}

/* Whether a segment begins like a hello: its record, and the kind of its message. */
static __always_inline bool begins_hello(const struct __sk_buff *skb,
					 const struct gadget_packet *p)
{
	__u8 head[RECORD_HEADER + 1];

	if (bpf_skb_load_bytes(skb, p->payload, head, 1) ||
	    head[0] != HANDSHAKE)
		return false;
	if (p->payload_len < sizeof(head)) /* the rest comes later */
		return true;
	return !bpf_skb_load_bytes(skb, p->payload, head, sizeof(head)) &&
	       head[1] == 3 && head[RECORD_HEADER] == CLIENT_HELLO;
}

static __always_inline __u32 *place(const struct __sk_buff *skb,
				    const struct gadget_packet *p)
{
	__u32 at = p->sport * 31 + p->dport * 17 + skb->ifindex * 2 +
		   (skb->pkt_type == OUTGOING);

	return &awaited[at & (AWAITED - 1)];
}

/* Takes the hello out of the map that goes on with this segment; false if there is none. */
static __always_inline bool resume(const struct __sk_buff *skb,
				   const struct gadget_packet *p,
				   struct hello *hello)
{
	const struct hello *kept;
	struct gadget_packet_flow flow;

	gadget_packet_flow(skb, p, &flow);
	kept = bpf_map_lookup_elem(&hellos, &flow);
	if (!kept)
		return false;
	*hello = *kept;
	bpf_map_delete_elem(&hellos, &flow);
	return hello->next_seq == p->seq;
}

static __always_inline void keep(const struct __sk_buff *skb,
				 const struct gadget_packet *p,
				 struct hello *hello)
{
	struct gadget_packet_flow flow;

	gadget_packet_flow(skb, p, &flow);
	hello->next_seq = p->seq + p->payload_len;
	if (!bpf_map_update_elem(&hellos, &flow, hello, BPF_ANY))
		*place(skb, p) = hello->next_seq;
}

static __always_inline int report(struct __sk_buff *skb,
				  const struct gadget_packet *p,
				  const struct hello *hello)
{
	struct gadget_socket_value *owner = gadget_socket_lookup(skb);
	struct event *event;

	if (gadget_should_discard_data_by_skb(owner))
		return 0;
	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return 0;
	event->timestamp_raw = bpf_ktime_get_boot_ns();
	event->netns_id = skb->cb[0];
	event->pkt_type_raw = skb->pkt_type;
	gadget_process_populate_from_socket(owner, &event->proc);
	gadget_packet_endpoints(skb, p, &event->src, &event->dst);
	__builtin_memcpy(event->name, hello->name, NAME_LEN);
	gadget_submit_buf(skb, &events, event, sizeof(*event));
	return 0;
}

SEC("socket1")
int trace_sni(struct __sk_buff *skb)
{
	struct gadget_packet *packet;
	struct hello *hello;
	__u32 zero = 0;

	/* Packets for other machines, which an interface in promiscuous mode sees. */
	if (skb->pkt_type == OTHERHOST)
		return 0;
	hello = bpf_map_lookup_elem(&scratch, &zero);
	packet = bpf_map_lookup_elem(&packets, &zero);
	if (!hello || !packet || !gadget_packet_parse(skb, packet) ||
	    packet->proto != IPPROTO_TCP || !gadget_packet_payload(skb, packet))
		return 0;
	if (*place(skb, packet) != packet->seq || !resume(skb, packet, hello)) {
		if (!begins_hello(skb, packet))
			return 0;
		begin(hello);
	}
	switch (read_hello(skb, hello, packet)) {
	case HELLO_CUT:
		keep(skb, packet, hello);
		return 0;
	case HELLO_NAMED:
		return report(skb, packet, hello);
	default:
		return 0;
	}
}

char LICENSE[] SEC("license") = "GPL";
