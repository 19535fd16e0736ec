/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef __GADGET_PACKETFILTER_H
#define __GADGET_PACKETFILTER_H

/*
 * Filters of packets in the language of pcap: the user's "tcp port 80".
 *
 *	GADGET_PF();
 *	...
 *	if (!gadget_pf_matches(skb, data, data_end))
 *		return 0;
 *
 * The loader makes a parameter "pf" of that, and of GADGET_PF(name) a parameter
 * "pf-name", and puts the compiled expression in the place of the function below.
 * For programs that have packets: socket filters, tc and, with its ctx as skb, xdp.
 */

#include <gadget/base.h>
#include <bpf/bpf_helpers.h>

/*
 * GADGET_PF: declares a packet filter, at file scope.
 * @name: distinguishes several filters; may be left out
 *
 * This function lets everything pass.  It is a placeholder for code that is not
 * known yet, so the compiler must not optimize it away: it is not inlined, its
 * arguments count as used and its result as unknown.  The three equal arguments
 * keep registers free for the code that replaces it.
 */
#define GADGET_PF(name)                                                       \
	static __noinline bool gadget_pf_##name(void *_skb, void *__skb,      \
						void *___skb, void *data,     \
						void *data_end)               \
	{                                                                     \
		__u64 __matches = 1;                                          \
                                                                              \
		asm volatile(""                                               \
			     : "+r"(__matches)                                \
			     : "r"(_skb), "r"(__skb), "r"(___skb), "r"(data), \
			       "r"(data_end));                                \
		return __matches;                                             \
	}

/*
 * gadget_pf_matches: true if the filter lets the packet pass.
 *	gadget_pf_matches(skb, data, data_end)
 *	gadget_pf_matches(name, skb, data, data_end)
 * @name:     of the GADGET_PF; left out if that has none
 * @skb:      the program's context
 * @data:     where the packet begins, as the context's member of this name has it
 * @data_end: where it ends
 */
#define gadget_pf_matches(...)                                             \
	__gadget_pf_pick(__VA_ARGS__, __gadget_pf_named, __gadget_pf_only, \
			 __gadget_pf_wrong, __gadget_pf_wrong)(__VA_ARGS__)

#define __gadget_pf_pick(_1, _2, _3, _4, pick, ...) pick

#define __gadget_pf_wrong(...)                               \
	({                                                   \
		_Static_assert(0, "gadget_pf_matches takes " \
				  "[name,] skb, data, "      \
				  "data_end");               \
		false;                                       \
	})

#define __gadget_pf_only(skb, data, data_end) \
	__gadget_pf_named(, skb, data, data_end)

#define __gadget_pf_named(name, skb, data, data_end)                  \
	gadget_pf_##name((void *)(skb), (void *)(skb), (void *)(skb), \
			 (void *)(long)(data), (void *)(long)(data_end))

#endif /* __GADGET_PACKETFILTER_H */
