// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* sockets-map.h and packetfilter.h in programs that look at packets. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define GADGET_TYPE_NETWORKING
#include <gadget/sockets-map.h>
#include <gadget/packetfilter.h>

#define PATH_MAX_HERE 64

struct owner {
	__u64 seen;
	struct gadget_process process;
	char cwd[PATH_MAX_HERE];
	char exepath[PATH_MAX_HERE];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct owner);
} owner SEC(".maps");

static __always_inline unsigned int at_most(unsigned int n)
{
	return n < PATH_MAX_HERE ? n : PATH_MAX_HERE;
}

/* Returns whether it is known. */
static __always_inline int show(struct gadget_socket_value *value)
{
	__u32 zero = 0;
	struct owner *o = bpf_map_lookup_elem(&owner, &zero);

	if (!o)
		return -1;
	__builtin_memset(&o->process, 0xff, sizeof(o->process));
	gadget_process_populate_from_socket(value, &o->process);
	o->cwd[0] = o->exepath[0] = '\0';
	if (!value)
		return 0;
	o->seen++;
	if (bpf_core_field_exists(value->cwd))
		bpf_probe_read_kernel_str(
			o->cwd, at_most(bpf_core_field_size(value->cwd)),
			value->cwd);
	if (bpf_core_field_exists(value->exepath))
		bpf_probe_read_kernel_str(
			o->exepath,
			at_most(bpf_core_field_size(value->exepath)),
			value->exepath);
	return 1;
}

SEC("classifier/ingress/in")
int in(struct __sk_buff *skb)
{
	return show(gadget_socket_lookup_with_direction(skb, true));
}

SEC("classifier/egress/out")
int out(struct __sk_buff *skb)
{
	return show(gadget_socket_lookup_with_direction(skb, false));
}

/* Counts packets without and with an owner, by the direction. */
__u64 packets[2][2];

SEC("socket1")
int on_socket(struct __sk_buff *skb)
{
	bool is_out = skb->pkt_type == 4;
	bool known = gadget_socket_lookup(skb) != NULL;

	__sync_fetch_and_add(&packets[is_out][known], 1);
	return 0;
}

GADGET_PF();
GADGET_PF(other)

SEC("classifier/ingress/filtered")
int filtered(struct __sk_buff *skb)
{
	return gadget_pf_matches(skb, skb->data, skb->data_end);
}

SEC("classifier/ingress/filtered_other")
int filtered_other(struct __sk_buff *skb)
{
	if (!gadget_pf_matches(other, (void *)skb, (void *)(long)skb->data,
			       (void *)(long)skb->data_end))
		return 0;
	return skb->len;
}

char LICENSE[] SEC("license") = "GPL";
