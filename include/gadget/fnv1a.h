/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef __GADGET_FNV1A_H
#define __GADGET_FNV1A_H

/*
 * The hash FNV-1a, of 32 and of 64 bits.
 *
 *	__u32 hash = fnv_32a_init();
 *	fnv_32a_update_u64(&hash, inode);
 *	fnv_32a_update_u32(&hash, device);
 *
 * A number counts as its bytes, the lowest first, on every machine; so a program in
 * user space that hashes the same bytes gets the same value.  Costs a
 * multiplication for each byte.  Any program type.
 */

#include <gadget/base.h>
#include <bpf/bpf_helpers.h>

/* fnv_32a_init: the hash of nothing. */
static __always_inline __u32 fnv_32a_init(void)
{
	return 0x811c9dc5;
}

/* fnv_64a_init: the same of 64 bits. */
static __always_inline __u64 fnv_64a_init(void)
{
	return 0xcbf29ce484222325;
}

static __always_inline __u32 __gadget_fnv_32a(__u32 hash, __u64 v, int bytes)
{
#pragma unroll
	for (int i = 0; i < bytes; i++)
		hash = (hash ^ (__u8)(v >> (8 * i))) * 0x01000193;
	return hash;
}

static __always_inline __u64 __gadget_fnv_64a(__u64 hash, __u64 v, int bytes)
{
#pragma unroll
	for (int i = 0; i < bytes; i++)
		hash = (hash ^ (__u8)(v >> (8 * i))) * 0x100000001b3;
	return hash;
}

/* fnv_32a_update_{u8,u16,u32,u64}: adds the bytes of @v to @hash. */
static __always_inline void fnv_32a_update_u8(__u32 *hash, __u8 v)
{
	*hash = __gadget_fnv_32a(*hash, v, sizeof(v));
}

static __always_inline void fnv_32a_update_u16(__u32 *hash, __u16 v)
{
	*hash = __gadget_fnv_32a(*hash, v, sizeof(v));
}

static __always_inline void fnv_32a_update_u32(__u32 *hash, __u32 v)
{
	*hash = __gadget_fnv_32a(*hash, v, sizeof(v));
}

static __always_inline void fnv_32a_update_u64(__u32 *hash, __u64 v)
{
	*hash = __gadget_fnv_32a(*hash, v, sizeof(v));
}

/* fnv_64a_update_{u8,u16,u32,u64}: the same for a hash of 64 bits. */
static __always_inline void fnv_64a_update_u8(__u64 *hash, __u8 v)
{
	*hash = __gadget_fnv_64a(*hash, v, sizeof(v));
}

static __always_inline void fnv_64a_update_u16(__u64 *hash, __u16 v)
{
	*hash = __gadget_fnv_64a(*hash, v, sizeof(v));
}

static __always_inline void fnv_64a_update_u32(__u64 *hash, __u32 v)
{
	*hash = __gadget_fnv_64a(*hash, v, sizeof(v));
}

static __always_inline void fnv_64a_update_u64(__u64 *hash, __u64 v)
{
	*hash = __gadget_fnv_64a(*hash, v, sizeof(v));
}

#endif /* __GADGET_FNV1A_H */
