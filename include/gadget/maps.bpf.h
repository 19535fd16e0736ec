/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef __GADGET_MAPS_BPF_H
#define __GADGET_MAPS_BPF_H

#include <gadget/base.h>
#include <bpf/bpf_helpers.h>

/* From asm-generic/errno-base.h: macros aren't in vmlinux.h. */
#define __GADGET_EEXIST 17

/*
 * bpf_map_lookup_or_try_init: the value of @key, which is @init if the key is new.
 * @map:  a hash map, LRU or not, per CPU or not
 * @key:  the key
 * @init: the value of a key that isn't there yet
 *
 * Returns the value in the map, which others may change at the same time, or
 * NULL if the map is full (or, in an LRU map, the value was evicted at once).
 * Costs one look-up for an existing key, three calls for a new one.
 */
static __always_inline void *
bpf_map_lookup_or_try_init(void *map, const void *key, const void *init)
{
	void *value = bpf_map_lookup_elem(map, key);
	/*
	 * Not long: before 6.4 the kernel called the map's function, which
	 * returned an int, without extending its sign.
	 */
	int err;

	if (value)
		return value;
	err = bpf_map_update_elem(map, key, init, BPF_NOEXIST);
	if (err && err != -__GADGET_EEXIST) /* another CPU's is as good */
		return NULL;
	return bpf_map_lookup_elem(map, key);
}

/*
 * gadget_map_take: copies the value of @key and removes it from a hash map.  For values
 * that a program at a function's entry keeps for the program at its return.  False if
 * there is none.
 * @to: a variable of the value's type; its address
 */
#define gadget_map_take(map, key, to)                                   \
	({                                                              \
		__typeof__(to) __found = bpf_map_lookup_elem(map, key); \
		if (__found) {                                          \
			*(to) = *__found;                               \
			bpf_map_delete_elem(map, key);                  \
		}                                                       \
		__found != NULL;                                        \
	})

/*
 * GADGET_LOST_COUNTER: declares the counter of what gets lost because the map @name, which is
 * one of GADGET_MAPITER, is full.  gadget_count_lost(@name) adds 1, and gizmo reports the number.
 */
#define GADGET_LOST_COUNTER(name)                        \
	struct {                                         \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); \
		__uint(max_entries, 1);                  \
		__type(key, __u32);                      \
		__type(value, __u64);                    \
	} name##_lost_samples SEC(".maps")

#define gadget_count_lost(name) __gadget_count_lost(&name##_lost_samples)

/* Atomic, since another program may interrupt this one on its own CPU. */
static __always_inline void __gadget_count_lost(void *lost_samples)
{
	__u32 zero = 0;
	__u64 *lost = bpf_map_lookup_elem(lost_samples, &zero);

	if (lost)
		__sync_fetch_and_add(lost, 1);
}

#endif /* __GADGET_MAPS_BPF_H */
