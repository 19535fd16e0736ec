// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Time that getaddrinfo and friends take, from the caller's point of view. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

#define HOST_LEN 80

enum resolver { getaddrinfo, gethostbyname, gethostbyname2 };

struct event {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;
	enum resolver call_raw;
	__s32 ret;
	float ms;
	double seconds;
	gadget_duration took_raw;
	char host[HOST_LEN];
};

struct ask {
	__u64 since;
	char host[HOST_LEN];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct ask);
} asks SEC(".maps");

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(resolve, events, event);

static int begin(const char *name)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct ask ask = {};

	if (!name || gadget_should_discard_data_current())
		return 0;
	ask.since = bpf_ktime_get_ns();
	bpf_probe_read_user_str(&ask.host, sizeof(ask.host), name);
	bpf_map_update_elem(&asks, &tid, &ask, BPF_ANY);
	return 0;
}

static int end(struct pt_regs *ctx, enum resolver call)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct event *ev;
	struct ask *ask;

	ask = bpf_map_lookup_elem(&asks, &tid);
	if (!ask)
		return 0;
	ev = gadget_reserve_buf(&events, sizeof(*ev));
	if (!ev)
		goto out;
	__builtin_memset(ev, 0, sizeof(*ev));
	ev->timestamp_raw = bpf_ktime_get_boot_ns();
	gadget_process_populate(&ev->proc);
	ev->call_raw = call;
	ev->ret = PT_REGS_RC(ctx);
	ev->took_raw = bpf_ktime_get_ns() - ask->since;
	__builtin_memcpy(ev->host, ask->host, sizeof(ev->host));
	gadget_submit_buf(ctx, &events, ev, sizeof(*ev));
out:
	bpf_map_delete_elem(&asks, &tid);
	return 0;
}

#define RESOLVER(fn)                                     \
	SEC("uprobe/libc:" #fn)                          \
	int BPF_KPROBE(fn##_enter, const char *name)     \
	{                                                \
		return begin(name);                      \
	}                                                \
	SEC("uretprobe/libc:" #fn)                       \
	int BPF_KRETPROBE(fn##_exit)                     \
	{                                                \
		return end(ctx, fn);                     \
	}

RESOLVER(getaddrinfo)
RESOLVER(gethostbyname)
RESOLVER(gethostbyname2)

char LICENSE[] SEC("license") = "Dual BSD/GPL";
