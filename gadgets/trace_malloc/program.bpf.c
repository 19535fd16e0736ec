// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Reports the calls of the memory functions of the C library, or, with --leaks, what they
 * have allocated and not released.
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
#include <gadget/maps.bpf.h>
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

/* No events, but what is not released.  Programs for events do nothing then. */
const volatile bool leaks = false;
GADGET_PARAM(leaks);

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

/* Keeps a call until it returns.  False if it serves another one. */
static __always_inline bool keep_call(struct pt_regs *ctx, enum memop op,
				      __u64 size, __u64 addr)
{
	struct call *call;

	call = call_of_thread(op, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!call) {
		gadget_count_lost(events);
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

static __always_inline bool begin_call(struct pt_regs *ctx, enum memop op,
				       __u64 size, __u64 addr)
{
	return !gadget_should_discard_data_current() &&
	       keep_call(ctx, op, size, addr);
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

	if (leaks || !end_call(op, &asked))
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
	if (!leaks && begin_call(ctx, realloc, size, 0) && old)
		report(ctx, realloc_free, old, 0);
	return 0;
}
ON_RETURN(realloc)

ON_ENTRY(free)
int BPF_UPROBE(trace_free_e, __u64 addr)
{
	struct call *call;

	if (leaks || gadget_should_discard_data_current())
		return 0;
	call = call_of_thread(free, 0);
	if (call && serves(call, free, PT_REGS_SP(ctx)))
		return 0;
	return report(ctx, free, addr, 0);
}

ON_ENTRY(mmap)
int BPF_UPROBE(trace_mmap_e, __u64 hint, __u64 size)
{
	return leaks ? 0 : ask(ctx, mmap, size);
}
ON_RETURN(mmap)

ON_ENTRY(munmap)
int BPF_UPROBE(trace_munmap_e, __u64 addr, __u64 size)
{
	if (!leaks && begin_call(ctx, munmap, size, addr))
		report(ctx, munmap, addr, size);
	return 0;
}

SEC("uretprobe/libc:munmap")
int BPF_URETPROBE(trace_munmap_x, int error)
{
	struct call asked;

	if (leaks || !end_call(munmap, &asked) || !error)
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
	if (!leaks && begin_call(ctx, mremap, size, 0) && old_size &&
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

/* What posix_memalign() has stored; 0 if it failed. */
static __always_inline __u64 stored(const struct call *asked, int error)
{
	__u64 addr = 0;

	if (!error)
		bpf_probe_read_user(&addr, sizeof(addr), (void *)asked->addr);
	return addr;
}

SEC("uretprobe/libc:posix_memalign")
int BPF_URETPROBE(trace_posix_memalign_x, int error)
{
	struct call asked;

	if (leaks || !end_call(posix_memalign, &asked))
		return 0;
	return report(ctx, posix_memalign, stored(&asked, error), asked.size);
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

/*
 * What was not released.  Programs only keep a table of the blocks; iterators add them up,
 * by process and stack, when the table of leaks is made.
 *
 * A block is removed when its release begins, and added when its allocation has ended.
 * In between no other thread can get its address, so an entry is always that of the
 * block that is there.
 */

/* Leave out what has been there for less time than this. */
const volatile __u64 min_age_ms = 0;
GADGET_PARAM(min_age_ms);

const volatile __u32 blocks_max_entries = 1000000;
GADGET_PARAM(blocks_max_entries);

/*
 * The memory of a process, from its fork or exec on.  Another process may get the same
 * mm_struct later; and a process has another one after exec.
 */
struct memory {
	__u64 mm;
	__u64 since;
};

/* When the first allocation of the present user of an mm_struct was seen. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 32768);
	__type(key, __u64);
	__type(value, __u64);
} present SEC(".maps");

struct owner {
	struct gadget_process proc;
	struct gadget_user_stack ustack; /* for what identifies the program */
};

/* Also of processes that have ended. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 32768);
	__type(key, struct memory);
	__type(value, struct owner);
} owners SEC(".maps");

struct block_id {
	struct memory memory;
	__u64 addr;
};

struct block {
	__u64 size;
	__u64 since;
	__u32 stack_id;
	__u32 __padding;
};

/* Takes memory for the blocks that there are. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1000000);
	__type(key, struct block_id);
	__type(value, struct block);
} blocks SEC(".maps");

/* Blocks for which there was no room. */
GADGET_LOST_COUNTER(blocks);

/* Whose memory the current thread uses; false if there is no block of it. */
static __always_inline bool find_memory(struct memory *memory)
{
	__u64 *since;

	memory->mm = (__u64)bpf_get_current_task_btf()->mm;
	since = bpf_map_lookup_elem(&present, &memory->mm);
	if (!since)
		return false;
	memory->since = *since;
	return true;
}

/* The same, but notes the owner if there is no block yet. */
static __always_inline bool
find_or_note_memory(struct memory *memory,
		    const struct gadget_user_stack *ustack)
{
	struct owner owner;

	if (find_memory(memory))
		return true;
	memory->since = bpf_ktime_get_boot_ns();
	gadget_process_populate_from_task(
		bpf_get_current_task_btf()->group_leader, &owner.proc);
	owner.ustack = *ustack;
	if (bpf_map_update_elem(&owners, memory, &owner, BPF_ANY))
		return false;
	if (!bpf_map_update_elem(&present, &memory->mm, &memory->since,
				 BPF_NOEXIST))
		return true;
	bpf_map_delete_elem(&owners, memory); /* another thread was faster */
	return find_memory(memory);
}

static __always_inline int add(void *ctx, __u64 addr, __u64 size)
{
	struct gadget_user_stack ustack;
	struct block_id id;
	struct block block;

	if (!addr)
		return 0;
	gadget_get_user_stack(ctx, &ustack, true);
	block.size = size;
	block.since = ustack.boot_timestamp;
	block.stack_id = ustack.stack_id;
	block.__padding = 0;
	id.addr = addr;
	if (!find_or_note_memory(&id.memory, &ustack) ||
	    bpf_map_update_elem(&blocks, &id, &block, BPF_ANY))
		gadget_count_lost(blocks);
	return 0;
}

#define ON_RETURN_ADD(func)                                   \
	SEC("uretprobe/libc:" #func)                          \
	int leaks_##func##_x(struct pt_regs *ctx)             \
	{                                                     \
		struct call asked;                            \
                                                              \
		if (!end_call(func, &asked))                  \
			return 0;                             \
		return add(ctx, PT_REGS_RC(ctx), asked.size); \
	}                                                     \
	GADGET_LOAD_IF(leaks_##func##_x, leaks)

ON_RETURN_ADD(malloc)
ON_RETURN_ADD(calloc)
ON_RETURN_ADD(aligned_alloc)
ON_RETURN_ADD(memalign)
ON_RETURN_ADD(valloc)
ON_RETURN_ADD(pvalloc)

SEC("uretprobe/libc:posix_memalign")
int BPF_URETPROBE(leaks_posix_memalign_x, int error)
{
	struct call asked;

	if (!end_call(posix_memalign, &asked))
		return 0;
	return add(ctx, stored(&asked, error), asked.size);
}
GADGET_LOAD_IF(leaks_posix_memalign_x, leaks)

/* Any thread may release a block, whether the filters select the thread or not. */
ON_ENTRY(free)
int BPF_UPROBE(leaks_free_e, __u64 addr)
{
	struct block_id id;

	id.addr = addr;
	if (find_memory(&id.memory))
		bpf_map_delete_elem(&blocks, &id);
	return 0;
}
GADGET_LOAD_IF(leaks_free_e, leaks)

/* What realloc() was given, to put it back if realloc() fails. */
struct resized {
	struct block_id id;
	struct block block;
	bool found;    /* there is such a block */
	bool selected; /* by the filters: the new block counts */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct resized);
} resizing SEC(".maps");

ON_ENTRY(realloc)
int BPF_UPROBE(leaks_realloc_e, __u64 old, __u64 size)
{
	bool selected = !gadget_should_discard_data_current();
	struct resized *resized;
	struct block_id id;
	bool known;

	id.addr = old;
	known = find_memory(&id.memory);
	if (!selected && !known)
		return 0;
	if (!keep_call(ctx, realloc, size, old))
		return 0;
	resized = bpf_task_storage_get(&resizing, bpf_get_current_task_btf(),
				       NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!resized) {
		gadget_count_lost(blocks);
		return 0;
	}
	resized->selected = selected;
	resized->found = known &&
			 gadget_map_take(&blocks, &id, &resized->block);
	if (known)
		resized->id = id;
	return 0;
}
GADGET_LOAD_IF(leaks_realloc_e, leaks)

SEC("uretprobe/libc:realloc")
int BPF_URETPROBE(leaks_realloc_x, __u64 addr)
{
	struct resized *resized;
	struct call asked;

	if (!end_call(realloc, &asked))
		return 0;
	resized = bpf_task_storage_get(&resizing, bpf_get_current_task_btf(),
				       NULL, 0);
	if (!resized)
		return 0;
	if (resized->selected)
		add(ctx, addr, asked.size);
	if (!addr && asked.size && resized->found &&
	    bpf_map_update_elem(&blocks, &resized->id, &resized->block,
				BPF_ANY))
		gadget_count_lost(blocks);
	return 0;
}
GADGET_LOAD_IF(leaks_realloc_x, leaks)

/* These get an mm_struct, which another process may have had. */

SEC("tp_btf/sched_process_exec")
int BPF_PROG(leaks_exec, struct task_struct *task)
{
	__u64 mm = (__u64)task->mm;

	bpf_map_delete_elem(&present, &mm);
	return 0;
}
GADGET_LOAD_IF(leaks_exec, leaks)

/* A copy of the parent's memory is none that the child has allocated. */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(leaks_fork, struct task_struct *parent, struct task_struct *child)
{
	__u64 mm = (__u64)child->mm;

	if (child->mm != parent->mm)
		bpf_map_delete_elem(&present, &mm);
	return 0;
}
GADGET_LOAD_IF(leaks_fork, leaks)

struct leak {
	struct gadget_process proc;
	gadget_bytes bytes;
	__u64 blocks;
	gadget_duration age_raw; /* of the oldest block */
	struct gadget_user_stack ustack;
};

struct sum_id {
	struct memory memory;
	__u32 stack_id;
	__u32 __padding;
};

struct sum {
	__u64 turn; /* the table that it belongs to */
	__u64 bytes;
	__u64 blocks;
	__u64 oldest;
};

/* Of the blocks of a process with one stack. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 262144);
	__type(key, struct sum_id);
	__type(value, struct sum);
} sums SEC(".maps");

GADGET_ITER(leaks, leak, leaks_sweep, leaks_add_up, leaks_show);
GADGET_ITER_TARGET_MAP(leaks_sweep, sums);
GADGET_ITER_TARGET_MAP(leaks_add_up, blocks);
GADGET_ITER_TARGET_MAP(leaks_show, sums);

/* Of the table that is being made. */
__u64 turn = 0;

/* Removes the sums that the last table did not have, and begins another. */
SEC("iter/bpf_map_elem")
int leaks_sweep(struct bpf_iter__bpf_map_elem *ctx)
{
	struct sum_id *key = ctx->key;
	struct sum *sum = ctx->value;
	struct sum_id id;

	if (!key || !sum) {
		turn++;
		return 0;
	}
	if (sum->turn != turn) {
		id = *key;
		bpf_map_delete_elem(&sums, &id);
	}
	return 0;
}
GADGET_LOAD_IF(leaks_sweep, leaks)

SEC("iter/bpf_map_elem")
int leaks_add_up(struct bpf_iter__bpf_map_elem *ctx)
{
	struct block_id *key = ctx->key;
	struct block *block = ctx->value;
	struct sum_id id = {};
	struct sum *sum, none = {};

	if (!key || !block)
		return 0;
	if (bpf_ktime_get_boot_ns() - block->since < min_age_ms * 1000000)
		return 0;
	id.memory = key->memory;
	id.stack_id = block->stack_id;
	sum = bpf_map_lookup_or_try_init(&sums, &id, &none);
	if (!sum) {
		gadget_count_lost(blocks);
		return 0;
	}
	if (sum->turn != turn) {
		sum->turn = turn;
		sum->bytes = 0;
		sum->blocks = 0;
		sum->oldest = block->since;
	}
	sum->bytes += block->size;
	sum->blocks++;
	if (block->since < sum->oldest)
		sum->oldest = block->since;
	return 0;
}
GADGET_LOAD_IF(leaks_add_up, leaks)

SEC("iter/bpf_map_elem")
int leaks_show(struct bpf_iter__bpf_map_elem *ctx)
{
	struct sum_id *key = ctx->key;
	struct sum *sum = ctx->value;
	struct memory memory;
	struct owner *owner;
	struct leak leak;

	if (!key || !sum || sum->turn != turn)
		return 0;
	memory = key->memory;
	owner = bpf_map_lookup_elem(&owners, &memory);
	if (!owner)
		return 0;
	leak.proc = owner->proc;
	leak.bytes = sum->bytes;
	leak.blocks = sum->blocks;
	leak.age_raw = bpf_ktime_get_boot_ns() - sum->oldest;
	leak.ustack = owner->ustack;
	leak.ustack.stack_id = key->stack_id;
	leak.ustack.boot_timestamp = sum->oldest;
	bpf_seq_write(ctx->meta->seq, &leak, sizeof(leak));
	return 0;
}
GADGET_LOAD_IF(leaks_show, leaks)

char LICENSE[] SEC("license") = "GPL";
