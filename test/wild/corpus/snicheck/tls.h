// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#ifndef SNICHECK_TLS_H
#define SNICHECK_TLS_H

#define TLS_HANDSHAKE	 22
#define TLS_CLIENT_HELLO 1
#define TLS_EXT_SNI	 0
#define SNI_MAX		 96
#define MAX_EXTENSIONS	 20

/* Big-endian numbers straight from the packet. */
static __always_inline __u32 get8(struct __sk_buff *skb, __u32 off)
{
	__u8 v = 0;
	bpf_skb_load_bytes(skb, off, &v, sizeof(v));
	return v;
}

static __always_inline __u32 get16(struct __sk_buff *skb, __u32 off)
{
	__u16 v = 0;
	bpf_skb_load_bytes(skb, off, &v, sizeof(v));
	return bpf_ntohs(v);
}

/* Offset of the host name's bytes, or 0. *len is its length. */
static __always_inline __u32 find_sni(struct __sk_buff *skb, __u32 off, __u32 *len)
{
	__u32 ext, end;
	int i;

	if (get8(skb, off) != TLS_HANDSHAKE || get8(skb, off + 5) != TLS_CLIENT_HELLO)
		return 0;
	off += 5 + 4 + 2 + 32;			/* record, handshake, version, random */
	off += 1 + get8(skb, off);		/* session id */
	off += 2 + get16(skb, off);		/* cipher suites */
	off += 1 + get8(skb, off);		/* compression methods */
	end = off + 2 + get16(skb, off);
	ext = off + 2;

	for (i = 0; i < MAX_EXTENSIONS; i++) {
		if (ext + 4 > end || ext + 4 > skb->len)
			return 0;
		if (get16(skb, ext) == TLS_EXT_SNI) {
			*len = get16(skb, ext + 7);
			return ext + 9;
		}
		ext += 4 + get16(skb, ext + 2);
	}
	return 0;
}

#endif
