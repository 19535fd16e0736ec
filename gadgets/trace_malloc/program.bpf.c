// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Reports the calls of the memory functions of the C library.
 *
 * An allocation is known when its function returns; its arguments are kept
 * with the thread until then.  A release is reported at the function's entry:
 * once the memory is released another thread may get the same address, and the
 * order of the two events would be lost.  If a mapping is not released after
 * all, that is reported, too, so that the events show at any time what is mapped.
 */

#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>
#include <gadget/user_stack_map.h>

enum memop {
	malloc,
	free,
	calloc,
	realloc,
	realloc_free,
	mmap,
	munmap,
	posix_memalign,
	aligned_alloc,
	valloc,
	memalign,
	pvalloc,
	mremap,
	mremap_unmap,
	munmap_failed,
};

struct event {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;

	enum memop operation_raw;
	__u32 __padding;
	__u64 addr;
	gadget_bytes size;
	/* Only records with a stack are as long as this. */
	struct gadget_user_stack ustack;
};

GADGET_TRACER_MAP(events, 1024 * 1024);
GADGET_TRACER(malloc, events, event);

/* Known when the program is loaded, as a reservation needs. */
static __always_inline __u32 record_size(void)
{
	return collect_ustack ? sizeof(struct event) :
				offsetof(struct event, ustack);
}

/* The C library's, as mmap() returns it. */
#define MAP_FAILED (~0ULL)

/* The old memory stays mapped. */
#define MREMAP_DONTUNMAP 4

/* A call that has not returned yet. */
struct call {
	__u64 sp; /* of the function's frame; 0: there is no call */
	__u64 started;
	__u64 size;
	/* Where posix_memalign() stores the address; the memory that munmap() releases. */
	__u64 addr;
	enum memop op;
	__u32 __padding;
};

/*
 * Programs map memory, but allocations do, too: then the mapping's call is inside of the
 * allocation's call.
 */
struct thread {
	struct call heap;
	struct call mapping;
	struct call remapping;
	struct call unmapping;
};

/* It ends with the thread, even if that is killed in a call. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct thread);
} threads SEC(".maps");

static __always_inline struct call *call_of_thread(enum memop op, __u64 flags)
{
	struct thread *thread = bpf_task_storage_get(
		&threads, bpf_get_current_task_btf(), NULL, flags);

	if (!thread)
		return NULL;
	switch (op) {
	case mmap:
		return &thread->mapping;
	case mremap:
		return &thread->remapping;
	case munmap:
		return &thread->unmapping;
	default:
		return &thread->heap;
	}
}

/* No allocation takes as long: the return of such a call has been missed. */
#define CALL_MAX_NS 1000000000ULL

/*
 * Whether a function that is being entered serves another one, as malloc() does
 * when realloc() has nothing to resize.  Then it is deeper in the stack, or at the
 * same place as the other, which has jumped to it.
 *
 * In glibc before 2.38 memalign() and aligned_alloc() are one function, with both
 * programs at its entry.  It is reported by its standard name, aligned_alloc.
 */
static __always_inline bool serves(const struct call *outer, enum memop op,
				   __u64 sp)
{
	if (outer->sp < sp || bpf_ktime_get_ns() - outer->started > CALL_MAX_NS)
		return false;
	if (op == aligned_alloc && outer->op == memalign)
		return outer->sp != sp;
	return outer->sp > sp || outer->op != op;
}

static __always_inline int report(void *ctx, enum memop op, __u64 addr,
				  __u64 size)
{
	struct event *event = gadget_reserve_buf(&events, record_size());

	if (!event)
		return 0;
	event->timestamp_raw = bpf_ktime_get_boot_ns();
	gadget_process_populate(&event->proc);
	event->operation_raw = op;
	event->__padding = 0;
	event->addr = addr;
	event->size = size;
	if (collect_ustack)
		gadget_get_user_stack(ctx, &event->ustack);
	gadget_submit_buf(ctx, &events, event, record_size());
	return 0;
}

/* Keeps a call until it returns.  False if it is of no interest. */
static __always_inline bool begin_call(struct pt_regs *ctx, enum memop op,
				       __u64 size, __u64 addr)
{
	struct call *call;

	if (gadget_should_discard_data_current())
		return false;
	call = call_of_thread(op, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!call) {
		__gadget_count_lost(&events_lost_samples);
		return false;
	}
	if (serves(call, op, PT_REGS_SP(ctx)))
		return false;
	call->sp = PT_REGS_SP(ctx);
	call->started = bpf_ktime_get_ns();
	call->size = size;
	call->addr = addr;
	call->op = op;
	return true;
}

static __always_inline int ask(struct pt_regs *ctx, enum memop op, __u64 size)
{
	begin_call(ctx, op, size, 0);
	return 0;
}

/*
 * Ends a call if it is the function's own.  It does not end a call that the function
 * served, or one that began before the program was attached.
 * @asked: gets the call
 */
static __always_inline bool end_call(enum memop op, struct call *asked)
{
	struct call *call = call_of_thread(op, 0);

	if (!call || !call->sp || call->op != op)
		return false;
	*asked = *call;
	call->sp = 0;
	return true;
}

static __always_inline int got(struct pt_regs *ctx, enum memop op)
{
	__u64 addr = PT_REGS_RC(ctx);
	struct call asked;

	if (!end_call(op, &asked))
		return 0;
	return report(ctx, op, addr == MAP_FAILED ? 0 : addr, asked.size);
}

#define ON_ENTRY(func) SEC("uprobe/libc:" #func)

#define ON_RETURN(func)                           \
	SEC("uretprobe/libc:" #func)              \
	int trace_##func##_x(struct pt_regs *ctx) \
	{                                         \
		return got(ctx, func);            \
	}

ON_ENTRY(malloc)
int BPF_UPROBE(trace_malloc_e, __u64 size)
{
	return ask(ctx, malloc, size);
}
ON_RETURN(malloc)

/* All ones if the product has more than 64 bits: calloc() fails then. */
static __always_inline __u64 product(__u64 a, __u64 b)
{
	__u64 most = a ? ~0ULL / a : ~0ULL;

	/* Otherwise clang would recognize the operation, for which it has no code for BPF. */
	barrier_var(most);
	return b > most ? ~0ULL : a * b;
}

ON_ENTRY(calloc)
int BPF_UPROBE(trace_calloc_e, __u64 count, __u64 size)
{
	return ask(ctx, calloc, product(count, size));
}
ON_RETURN(calloc)

ON_ENTRY(realloc)
int BPF_UPROBE(trace_realloc_e, __u64 old, __u64 size)
{
	if (begin_call(ctx, realloc, size, 0) && old)
		report(ctx, realloc_free, old, 0);
	return 0;
}
ON_RETURN(realloc)

ON_ENTRY(free)
int BPF_UPROBE(trace_free_e, __u64 addr)
{
	struct call *call;

	if (gadget_should_discard_data_current())
		return 0;
	call = call_of_thread(free, 0);
	if (call && serves(call, free, PT_REGS_SP(ctx)))
		return 0;
	return report(ctx, free, addr, 0);
}

ON_ENTRY(mmap)
int BPF_UPROBE(trace_mmap_e, __u64 hint, __u64 size)
{
	return ask(ctx, mmap, size);
}
ON_RETURN(mmap)

ON_ENTRY(munmap)
int BPF_UPROBE(trace_munmap_e, __u64 addr, __u64 size)
{
	if (begin_call(ctx, munmap, size, addr))
		report(ctx, munmap, addr, size);
	return 0;
}

SEC("uretprobe/libc:munmap")
int BPF_URETPROBE(trace_munmap_x, int error)
{
	struct call asked;

	if (!end_call(munmap, &asked) || !error)
		return 0;
	return report(ctx, munmap_failed, asked.addr, asked.size);
}

/*
 * The whole old range is released, and the whole new one allocated, even if they have
 * pages in common.  With an old size of 0, a second mapping is made.
 */
ON_ENTRY(mremap)
int BPF_UPROBE(trace_mremap_e, __u64 old, __u64 old_size, __u64 size, int flags)
{
	if (begin_call(ctx, mremap, size, 0) && old_size &&
	    !(flags & MREMAP_DONTUNMAP))
		report(ctx, mremap_unmap, old, old_size);
	return 0;
}
ON_RETURN(mremap)

ON_ENTRY(posix_memalign)
int BPF_UPROBE(trace_posix_memalign_e, __u64 memptr, __u64 alignment,
	       __u64 size)
{
	begin_call(ctx, posix_memalign, size, memptr);
	return 0;
}

SEC("uretprobe/libc:posix_memalign")
int BPF_URETPROBE(trace_posix_memalign_x, int error)
{
	struct call asked;
	__u64 addr = 0;

	if (!end_call(posix_memalign, &asked))
		return 0;
	if (!error)
		bpf_probe_read_user(&addr, sizeof(addr), (void *)asked.addr);
	return report(ctx, posix_memalign, addr, asked.size);
}

ON_ENTRY(aligned_alloc)
int BPF_UPROBE(trace_aligned_alloc_e, __u64 alignment, __u64 size)
{
	return ask(ctx, aligned_alloc, size);
}
ON_RETURN(aligned_alloc)

ON_ENTRY(memalign)
int BPF_UPROBE(trace_memalign_e, __u64 alignment, __u64 size)
{
	return ask(ctx, memalign, size);
}
ON_RETURN(memalign)

ON_ENTRY(valloc)
int BPF_UPROBE(trace_valloc_e, __u64 size)
{
	return ask(ctx, valloc, size);
}
ON_RETURN(valloc)

ON_ENTRY(pvalloc)
int BPF_UPROBE(trace_pvalloc_e, __u64 size)
{
	return ask(ctx, pvalloc, size);
}
ON_RETURN(pvalloc)

char LICENSE[] SEC("license") = "GPL";
