/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef __GADGET_BITS_BPF_H
#define __GADGET_BITS_BPF_H

/* Powers of two: the slots of histograms. */

#include <gadget/base.h>
#include <bpf/bpf_helpers.h>

/*
 * BPF has no instruction that counts zeros.  This halves the number as often as it
 * can, by 32 bits, by 16 and so on.  It has no branches: the verifier would follow
 * both ways at each, and process the rest of the program 64 times.
 *
 * The top bit of -part is set unless part is 0; the first barrier keeps the compiler
 * from recognizing that this is a comparison.  The second keeps it from replacing the
 * additions by bitwise OR, because before 6.10 the verifier does not know the bounds of
 * its result.
 */
static __always_inline __u64 __gadget_log2(__u64 v)
{
	__u64 log = 0, part, shift;

#pragma unroll
	for (int bits = 32; bits > 0; bits /= 2) {
		part = v >> bits;
		barrier_var(part);
		shift = (-part >> 63) * bits;
		barrier_var(shift);
		v >>= shift;
		log += shift;
	}
	/* So a caller checks the same register that it uses as an index. */
	barrier_var(log);
	return log;
}

/* The compiler has a function log2(double) of its own. */
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wincompatible-library-redeclaration"

/*
 * log2: the number of the highest bit that is set in @v, so that
 * 1 << log2(v) <= v < 1 << (log2(v) + 1); 0 for 0.  Any program type.
 */
static __always_inline __u64 log2(__u32 v)
{
	return __gadget_log2(v);
}

#pragma clang diagnostic pop

/* log2l: the same for 64 bits. */
static __always_inline __u64 log2l(__u64 v)
{
	return __gadget_log2(v);
}

/*
 * get_slot_idx: the slot of a histogram that @v belongs to: 0 for 0, else
 * log2l(v) + 1, so that slot i counts values from 1 << (i - 1) up to (1 << i) - 1.  At
 * most 64.  Any program type.
 */
static __always_inline __u64 get_slot_idx(__u64 v)
{
	__u64 slot, any = v | -v; /* the top bit is set unless v is 0 */

	barrier_var(any);
	any >>= 63;
	barrier_var(any);
	slot = __gadget_log2(v) + any;
	barrier_var(slot); /* a caller checks the same register that it uses */
	return slot;
}

#endif /* __GADGET_BITS_BPF_H */
