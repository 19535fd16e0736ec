/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef __GADGET_BUFFER_H
#define __GADGET_BUFFER_H

/*
 * Buffers that carry events to user space: the BPF ring buffer, or, on kernels
 * before 5.8, which have none, the perf buffer.
 *
 *	GADGET_TRACER_MAP(events, 1024 * 256);
 *	GADGET_TRACER(open, events, event);
 *	...
 *	event = gadget_reserve_buf(&events, sizeof(*event));
 *	if (!event)
 *		return 0;
 *	// fill all of *event
 *	gadget_submit_buf(ctx, &events, event, sizeof(*event));
 *
 * Events that do not fit are counted, and gizmo reports them.  GADGET_TRACER_MAP
 * declares the map, its counter of lost events, its shards, and the functions for
 * pointers of the map's own type, which use these.  For any other pointer, such as a
 * void * that an author's function passes on, the compiler picks functions that do not
 * need them.
 *
 * Define GADGET_NO_BUF_RESERVE before including this if only gadget_output_buf()
 * is used: then there is no gadget_heap.
 */

#include <gadget/base.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <gadget/macros.h>
#include <gadget/maps.bpf.h>

#ifndef ENOSPC
#define ENOSPC 28
#endif

/* The longest record that the perf buffer takes from gadget_reserve_buf(). */
#ifndef GADGET_MAX_EVENT_SIZE
#define GADGET_MAX_EVENT_SIZE 10240
#endif

/*
 * Set by the loader when it turns the buffers into perf event arrays although
 * the kernel knows ring buffers.
 */
const volatile bool gadget_force_perf_buffer = false;

/*
 * How often the reader of a ring buffer is woken, set by the loader, besides for
 * the first record after it has caught up: 0: not at all; else a power of two:
 * once for about so many unread bytes.  The reader looks by itself for those that
 * are fewer and not the first.
 */
const volatile __u64 gadget_wakeup_bytes = 0;

/*
 * The number of rings that each buffer is split into, minus one; set by the loader.
 * 0: the buffer is one ring; else each CPU writes to its own ring or shares one with
 * others.  A power of two minus one, so that it masks the number of a CPU.
 */
const volatile __u32 gadget_shard_mask = 0;

/*
 * GADGET_TRACER_MAP: declares a buffer of events.
 * @name: the map's name
 * @size: bytes; a power of two and a multiple of the page size
 *
 * The loader gives it the type PERF_EVENT_ARRAY where there are no ring buffers.
 */
#define GADGET_TRACER_MAP(name, size)                                   \
	struct __gadget_buffer_##name {                                 \
		__uint(type, BPF_MAP_TYPE_RINGBUF);                     \
		__uint(max_entries, size);                              \
	} name SEC(".maps");                                            \
	struct {                                                        \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);               \
		__uint(max_entries, 1);                                 \
		__type(key, __u32);                                     \
		__array(                                                \
			values, struct {                                \
				__uint(type, BPF_MAP_TYPE_RINGBUF);     \
				__uint(max_entries, size);              \
			});                                             \
	} name##_shards SEC(".maps");                                   \
	GADGET_LOST_COUNTER(name);                                      \
	__gadget_output_function(name) __gadget_reserve_functions(name) \
		__gadget_marker(gadget_map_tracer_##name);

/* clang chooses among functions of one name by the types of their arguments. */
#define __gadget_overload \
	static __always_inline __attribute__((overloadable, unused))

/*
 * Counts events that did not fit into buffers that a program knows only by their address,
 * by the map's id (0 on kernels that do not report it).  The loader splits no buffer of a
 * gadget with a program that uses this map, because such a program does not know the shards.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} gadget_lost_by_map SEC(".maps");

/*
 * Both conditions are known when the program is loaded, so the verifier removes the
 * other path.  The kernel's comes first: a verifier without ring buffers may be too
 * old to evaluate the second.
 */
static __always_inline bool __gadget_has_ringbuf(void)
{
	return bpf_core_enum_value_exists(enum bpf_func_id,
					  BPF_FUNC_ringbuf_reserve) &&
	       !gadget_force_perf_buffer;
}

struct bpf_map___gadget {
	__u32 id;
} __attribute__((preserve_access_index));

/*
 * Since 5.9, by 41c48f3a9823 ("bpf: Support access to bpf map fields"), programs can
 * read the id of a map.  The helper named here came with the same version.
 */
static __always_inline __u32 __gadget_map_id(void *map)
{
	if (!bpf_core_enum_value_exists(enum bpf_func_id,
					BPF_FUNC_get_task_stack))
		return 0;
	return ((struct bpf_map___gadget *)map)->id;
}

/*
 * Set by the loader if events that do not fit are also to be counted for the mount
 * namespace of the process that runs.  All programs of the gadget must be of types that
 * run in the process that causes the event.
 */
const volatile bool gadget_count_lost_by_mntns = false;

struct gadget_lost_key {
	__u64 mntns_id; /* 0: the process has given up its namespaces */
	__u32 map;	/* the id of the buffer */
	__u32 zero;
};

/* The loader makes this map as small as possible if it does not set gadget_count_lost_by_mntns. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct gadget_lost_key);
	__type(value, __u64);
} gadget_lost_by_mntns SEC(".maps");

/* The members that lead to the mount namespace; the kernel's types give their places. */
struct ns_common___gadget {
	unsigned int inum;
} __attribute__((preserve_access_index));

struct mnt_namespace___gadget {
	struct ns_common___gadget ns;
} __attribute__((preserve_access_index));

struct nsproxy___gadget {
	struct mnt_namespace___gadget *mnt_ns;
} __attribute__((preserve_access_index));

struct task_struct___gadget {
	struct nsproxy___gadget *nsproxy;
} __attribute__((preserve_access_index));

static __always_inline void __gadget_count_lost_by_mntns(void *map)
{
	struct gadget_lost_key key = {};
	struct task_struct___gadget *task;
	__u64 none = 0, *lost;

	task = (struct task_struct___gadget *)bpf_get_current_task();
	key.mntns_id = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
	key.map = __gadget_map_id(map);
	bpf_map_update_elem(&gadget_lost_by_mntns, &key, &none, BPF_NOEXIST);
	lost = bpf_map_lookup_elem(&gadget_lost_by_mntns, &key);
	if (lost)
		__sync_fetch_and_add(lost, 1);
}

static __always_inline void __gadget_count_lost_of(void *map)
{
	__u32 id = __gadget_map_id(map);
	__u64 none = 0, *lost;

	bpf_map_update_elem(&gadget_lost_by_map, &id, &none, BPF_NOEXIST);
	lost = bpf_map_lookup_elem(&gadget_lost_by_map, &id);
	if (lost)
		__sync_fetch_and_add(lost, 1);
}

/*
 * Counts an event that did not fit into a buffer.
 * @lost_samples: the buffer's counter; NULL if it is not known
 */
static __always_inline void __gadget_lose(void *map, void *lost_samples)
{
	if (lost_samples)
		__gadget_count_lost(lost_samples);
	else
		__gadget_count_lost_of(map);
	if (gadget_count_lost_by_mntns)
		__gadget_count_lost_by_mntns(map);
}

/*
 * The ring that this CPU writes to.  A program stays on its CPU, so all calls for one
 * record use the same ring.
 * @shards: NULL if they are not known
 */
static __always_inline void *__gadget_ring(void *map, void *shards)
{
	__u32 shard;

	if (!shards || !gadget_shard_mask)
		return map;
	shard = bpf_get_smp_processor_id() & gadget_shard_mask;
	return bpf_map_lookup_elem(shards, &shard);
}

/* The space of a record in the ring: with a header of 8 bytes, rounded up to 8. */
static __always_inline __u64 __gadget_ringbuf_space(__u64 size)
{
	return (size + 8 + 7) & ~7ULL;
}

/*
 * The flags with which to commit a record.
 * @space:   the record's space in the ring
 * @pending: the part of @space that isn't in the ring yet
 *
 * The record wakes the reader if with it the unread bytes reach a multiple of
 * gadget_wakeup_bytes.  Otherwise the kernel wakes the reader if it has read all
 * records before this one.
 */
static __always_inline __u64 __gadget_wakeup_flags(void *map, __u64 space,
						   __u64 pending)
{
	__u64 step = gadget_wakeup_bytes;
	__u64 unread;

	if (!step)
		return 0;
	unread = bpf_ringbuf_query(map, BPF_RB_AVAIL_DATA) + pending;
	return (unread & (step - 1)) < space ? BPF_RB_FORCE_WAKEUP : 0;
}

static __always_inline long __gadget_perf_output(void *ctx, void *map,
						 void *lost_samples, void *buf,
						 __u64 size)
{
	long err =
		bpf_perf_event_output(ctx, map, BPF_F_CURRENT_CPU, buf, size);

	if (err)
		__gadget_lose(map, lost_samples);
	return err;
}

/*
 * A sample of a perf buffer, with its size in the 4 bytes before it, fills whole words.
 * The kernel skips the missing bytes, so that a reader gets up to 7 bytes of older
 * samples after the record, and does not know how many.  So programs send zeros instead.
 * Returns their number, which is constant if @size is.
 */
static __always_inline __u64 __gadget_perf_padding(__u64 size)
{
	__u64 padding = (4 - size) & 7;

	/* Added to the size, the compiler would make something of it for which the
	 * verifier finds no bounds. */
	if (!__builtin_constant_p(padding))
		barrier_var(padding);
	return padding;
}

/*
 * Copies of records that were not reserved, with their padding.  One for each CPU, with
 * room for the two words that can hold padding.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, GADGET_MAX_EVENT_SIZE + 16);
} gadget_perf_buf SEC(".maps");

/* A record larger than GADGET_MAX_EVENT_SIZE is sent without padding. */
static __always_inline long __gadget_perf_output_padded(void *ctx, void *map,
							void *lost_samples,
							void *buf, __u64 size)
{
	__u32 zero = 0;
	__u64 *copy;

	if (__builtin_constant_p(size) && !__gadget_perf_padding(size))
		return __gadget_perf_output(ctx, map, lost_samples, buf, size);

	copy = bpf_map_lookup_elem(&gadget_perf_buf, &zero);
	barrier_var(size); /* the checked register is the one used below */
	if (!copy || size > GADGET_MAX_EVENT_SIZE)
		return __gadget_perf_output(ctx, map, lost_samples, buf, size);
	copy[size / 8] = 0;
	copy[size / 8 + 1] = 0;
	bpf_probe_read_kernel(copy, size, buf);
	return __gadget_perf_output(ctx, map, lost_samples, copy,
				    size + __gadget_perf_padding(size));
}

/*
 * Whether this is a gadget that looks at packets, as far as is known where a macro
 * with this in it is used.  Before 5.8 programs for packets have no
 * bpf_probe_read_kernel(): their records have to do without the padding.
 */
#ifdef __GADGET_USER_TYPES
#define __gadget_is_networking() 1
#else
#define __gadget_is_networking() \
	__gadget_networking_expanded(GADGET_TYPE_NETWORKING)
#define __gadget_networking_expanded(type)	   __gadget_networking_named(type)
#define __gadget_networking_named(type)		   __gadget_networking_##type
#define __gadget_networking_GADGET_TYPE_NETWORKING 0 /* not defined */
#define __gadget_networking_			   1
#define __gadget_networking_1			   1
#endif

static __always_inline long __gadget_output_buf(void *ctx, void *map,
						void *shards,
						void *lost_samples, void *buf,
						__u64 size, bool is_networking)
{
	long err = -ENOSPC;
	__u64 space, flags;
	void *ring;

	if (!__gadget_has_ringbuf() && is_networking)
		return __gadget_perf_output(ctx, map, lost_samples, buf, size);
	if (!__gadget_has_ringbuf())
		return __gadget_perf_output_padded(ctx, map, lost_samples, buf,
						   size);

	ring = __gadget_ring(map, shards);
	if (ring) {
		space = __gadget_ringbuf_space(size);
		flags = __gadget_wakeup_flags(ring, space, space);
		err = bpf_ringbuf_output(ring, buf, size, flags);
	}
	if (err)
		__gadget_lose(map, lost_samples);
	return err;
}

/*
 * gadget_output_buf: sends a record from other memory: the stack or a map.
 * @ctx:  the program's context
 * @map:  a GADGET_TRACER_MAP, or any other ring buffer or perf event array
 * @buf:  the record
 * @size: its bytes; need not be constant
 *
 * Returns 0, or a negative errno; then the event is counted as lost.
 * Costs a copy more than reserving and submitting.
 */
__gadget_overload long gadget_output_buf(void *ctx, void *map, void *buf,
					 __u64 size)
{
	/* Those that have ring buffers have the padding's helper in all programs. */
	bool is_old = !bpf_core_enum_value_exists(enum bpf_func_id,
						  BPF_FUNC_ringbuf_reserve);

	return __gadget_output_buf(ctx, map, NULL, NULL, buf, size, is_old);
}

#define __gadget_output_function(name)                                      \
	__gadget_overload long gadget_output_buf(                           \
		void *ctx, struct __gadget_buffer_##name *map, void *buf,   \
		__u64 size)                                                 \
	{                                                                   \
		return __gadget_output_buf(ctx, map, &name##_shards,        \
					   &name##_lost_samples, buf, size, \
					   __gadget_is_networking());       \
	}

#ifndef GADGET_NO_BUF_RESERVE

/*
 * Memory for reserved events of the perf buffer.  One slot for each CPU: an
 * event must be submitted before the next is reserved.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, GADGET_MAX_EVENT_SIZE);
} gadget_heap SEC(".maps");

static __always_inline void *__gadget_reserve_ringbuf(void *map, void *shards,
						      __u64 size)
{
	void *ring = __gadget_ring(map, shards);

	return ring ? bpf_ringbuf_reserve(ring, size, 0) : NULL;
}

static __always_inline void *
__gadget_reserve_buf(void *map, void *shards, void *lost_samples, __u64 size)
{
	__u32 zero = 0;
	void *buf = NULL;

	if (__gadget_has_ringbuf())
		buf = __gadget_reserve_ringbuf(map, shards, size);
	else if (size <= GADGET_MAX_EVENT_SIZE)
		buf = bpf_map_lookup_elem(&gadget_heap, &zero);
	if (!buf)
		__gadget_lose(map, lost_samples);
	return buf;
}

/*
 * The padding goes into the slot, after the record; if the slot has too little room,
 * the record is sent without padding.
 */
static __always_inline long __gadget_perf_submit(void *ctx, void *map,
						 void *lost_samples, void *buf,
						 __u64 size)
{
	__u64 padding = __gadget_perf_padding(size);
	char *end;

	if (size > GADGET_MAX_EVENT_SIZE - 7)
		return __gadget_perf_output(ctx, map, lost_samples, buf, size);
	end = (char *)buf + size;
#pragma unroll
	for (__u64 i = 0; i < 7; i++)
		if (i < padding)
			end[i] = 0;
	return __gadget_perf_output(ctx, map, lost_samples, buf,
				    size + padding);
}

static __always_inline long __gadget_submit_buf(void *ctx, void *map,
						void *shards,
						void *lost_samples, void *buf,
						__u64 size)
{
	__u64 flags = 0;
	void *ring;

	if (!__gadget_has_ringbuf())
		return __gadget_perf_submit(ctx, map, lost_samples, buf, size);

	ring = __gadget_ring(map, shards);
	if (ring)
		flags = __gadget_wakeup_flags(ring,
					      __gadget_ringbuf_space(size), 0);
	bpf_ringbuf_submit(buf, flags);
	return 0;
}

/*
 * gadget_reserve_buf: reserves room for a record in the buffer.
 * @map:  a GADGET_TRACER_MAP, or another ring buffer
 * @size: bytes; constant, at most GADGET_MAX_EVENT_SIZE
 *
 * Returns the room, which holds old data: fill all of it, padding too, and then
 * submit or discard it on every path.  Returns NULL if there is no room; then the
 * event is counted as lost.
 */
#define __gadget_event_fits                                             \
	__attribute__((diagnose_if(size > GADGET_MAX_EVENT_SIZE,        \
				   "larger than GADGET_MAX_EVENT_SIZE", \
				   "error")))

__gadget_overload void *gadget_reserve_buf(void *map,
					   __u64 size) __gadget_event_fits;
__gadget_overload void *gadget_reserve_buf(void *map, __u64 size)
{
	return __gadget_reserve_buf(map, NULL, NULL, size);
}

/*
 * gadget_submit_buf: sends a record that was reserved.
 * @ctx:  the program's context
 * @map:  the map that it was reserved in, as a pointer of the same type
 * @buf:  the record; it's gone afterwards
 * @size: the size that was reserved
 *
 * Returns 0, or a negative errno; then the event is counted as lost.
 */
__gadget_overload long gadget_submit_buf(void *ctx, void *map, void *buf,
					 __u64 size)
{
	return __gadget_submit_buf(ctx, map, NULL, NULL, buf, size);
}

#define __gadget_reserve_functions(name)                                     \
	__gadget_overload void *gadget_reserve_buf(                          \
		struct __gadget_buffer_##name *map, __u64 size)              \
		__gadget_event_fits;                                         \
	__gadget_overload void *gadget_reserve_buf(                          \
		struct __gadget_buffer_##name *map, __u64 size)              \
	{                                                                    \
		return __gadget_reserve_buf(map, &name##_shards,             \
					    &name##_lost_samples, size);     \
	}                                                                    \
	__gadget_overload long gadget_submit_buf(                            \
		void *ctx, struct __gadget_buffer_##name *map, void *buf,    \
		__u64 size)                                                  \
	{                                                                    \
		return __gadget_submit_buf(ctx, map, &name##_shards,         \
					   &name##_lost_samples, buf, size); \
	}

/*
 * gadget_discard_buf: gives back a record that was reserved.  It counts neither
 * as an event nor as lost.
 * @buf: the record; it's gone afterwards
 */
static __always_inline void gadget_discard_buf(void *buf)
{
	if (__gadget_has_ringbuf())
		bpf_ringbuf_discard(buf, 0);
}

#else

#define __gadget_reserve_functions(name)

#endif /* !GADGET_NO_BUF_RESERVE */

#endif /* __GADGET_BUFFER_H */
