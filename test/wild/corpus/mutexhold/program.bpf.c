// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/macros.h>
#include <gadget/maps.bpf.h>
#include <gadget/mntns_filter.h>
#include <gadget/types.h>

#define MAX_HELD 8

struct held {
	__u64 mutex;
	__u64 since;
};

struct holder {
	struct held held[MAX_HELD];
};

struct lock_key {
	__u64 mutex;
	gadget_pid pid;
};

struct lock_value {
	gadget_mntns_id mntns_id;
	gadget_comm comm[TASK_COMM_LEN];
	gadget_counter__u64 taken;
	__u64 held_ns;
	__u64 max_ns;
	__u32 order[2];
};

struct gone {
	gadget_pid pid;
	gadget_tid tid;
	__u8 still_held;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, gadget_tid);
	__type(value, struct holder);
} holders SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct lock_key);
	__type(value, struct lock_value);
} locks SEC(".maps");

GADGET_MAPITER(locks, locks);

GADGET_TRACER_MAP(dead, 1024 * 64);
GADGET_TRACER(dead_holders, dead, gone);

static struct holder no_locks = {};

SEC("uprobe/libc:pthread_mutex_lock")
int BPF_UPROBE(mutexhold_lock, void *mutex)
{
	gadget_mntns_id mntns = gadget_get_mntns_id();
	__u64 id = bpf_get_current_pid_tgid();
	__u32 tid = (__u32)id;
	struct holder *h;

	if (gadget_should_discard_mntns_id(mntns))
		return 0;
	h = bpf_map_lookup_or_try_init(&holders, &tid, &no_locks);
	if (!h) {
		bpf_printk("no room for thread %d\n", tid);
		return 1;
	}
#pragma unroll
	for (int i = 0; i < MAX_HELD; i++) {
		if (h->held[i].mutex == 0) {
			h->held[i].mutex = (__u64)mutex;
			h->held[i].since = bpf_ktime_get_ns();
			break;
		}
	}
	return 0;
}

SEC("uprobe/libc:pthread_mutex_unlock")
int BPF_UPROBE(mutexhold_unlock, void *mutex)
{
	__u64 id = bpf_get_current_pid_tgid(), took = 0;
	struct lock_key key = { .mutex = (__u64)mutex, .pid = id >> 32 };
	struct lock_value *v, fresh = {};
	__u32 tid = (__u32)id;
	struct holder *h;
	__u32 order = 0;

	h = bpf_map_lookup_elem(&holders, &tid);
	if (!h)
		return 0;
#pragma unroll
	for (int i = 0; i < MAX_HELD; i++) {
		if (h->held[i].mutex == (__u64)mutex) {
			took = bpf_ktime_get_ns() - h->held[i].since;
			h->held[i].mutex = 0;
			order = i;
			break;
		}
	}
	if (!took)
		return 0;

	fresh.mntns_id = gadget_get_mntns_id();
	bpf_get_current_comm(&fresh.comm, sizeof(fresh.comm));
	v = bpf_map_lookup_or_try_init(&locks, &key, &fresh);
	if (!v)
		return 0;
	__sync_fetch_and_add(&v->taken, 1);
	__sync_fetch_and_add(&v->held_ns, took);
	if (took > v->max_ns)
		v->max_ns = took;
	v->order[order ? 1 : 0]++;
	return 0;
}

SEC("tracepoint/sched/sched_process_exit")
int mutexhold_exit(void *ctx)
{
	__u64 id = bpf_get_current_pid_tgid();
	__u32 tid = (__u32)id;
	struct holder *h;
	struct gone *g;
	__u8 n = 0;

	h = bpf_map_lookup_elem(&holders, &tid);
	if (!h)
		return 0;
	for (int i = 0; i < MAX_HELD; i++)
		n += h->held[i].mutex != 0;
	bpf_map_delete_elem(&holders, &tid);

	g = gadget_reserve_buf(&dead, sizeof(*g));
	if (!g)
		return 0;
	g->pid = id >> 32;
	g->tid = tid;
	g->still_held = n;
	gadget_submit_buf(ctx, &dead, g, sizeof(*g));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
