/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef __GADGET_MNTNS_FILTER_H
#define __GADGET_MNTNS_FILTER_H

/* Only events of the containers that the user selected. */

#include <gadget/base.h>
#include <bpf/bpf_helpers.h>
#include <gadget/mntns.h> /* sources in the wild take gadget_get_mntns_id() from here */
#include <gadget/types.h>

/*
 * Set by the loader, which also shares one map among the gadgets of a run and
 * keeps the mount namespaces of the selected containers in it.
 */
const volatile bool gadget_filter_by_mntns = false;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, __u32);
} gadget_mntns_filter_map SEC(".maps");

/*
 * gadget_should_discard_mntns_id: true if @mntns_id belongs to no container that
 * the user selected.  Works in every program type.  Costs a look-up in a small
 * hash map; nothing if the user selected no containers.
 */
static __always_inline bool
gadget_should_discard_mntns_id(gadget_mntns_id mntns_id)
{
	return gadget_filter_by_mntns &&
	       !bpf_map_lookup_elem(&gadget_mntns_filter_map, &mntns_id);
}

#endif /* __GADGET_MNTNS_FILTER_H */
