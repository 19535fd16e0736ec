// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define GADGET_MAX_EVENT_SIZE (16 * 1024)
#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

#define CHUNK 4096

enum dir {
	read,
	write,
};

struct ssl_event {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;
	enum dir dir_raw;
	__s32 ret;
	__u32 len;
	gadget_duration took_raw;
	char data[CHUNK];
};

struct call {
	__u64 since;
	__u64 buf;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10240);
	__type(key, __u32);
	__type(value, struct call);
} calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ssl_event);
} heap SEC(".maps");

GADGET_TRACER_MAP(events, 4096 * 1024);
GADGET_TRACER(tls, events, ssl_event);

const volatile bool with_data = true;
GADGET_PARAM(with_data);

static int __always_inline begin(const void *buf)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct call c = { .since = bpf_ktime_get_ns(), .buf = (__u64)buf };

	if (gadget_should_discard_data_current())
		return 0;
	bpf_map_update_elem(&calls, &tid, &c, BPF_ANY);
	return 0;
}

static int __always_inline finish(struct pt_regs *ctx, enum dir dir)
{
	__u32 tid = bpf_get_current_pid_tgid(), zero = 0;
	int ret = PT_REGS_RC(ctx);
	struct ssl_event *ev;
	struct call *c;
	__u32 len = 0;

	c = bpf_map_lookup_elem(&calls, &tid);
	if (!c)
		return 0;
	ev = bpf_map_lookup_elem(&heap, &zero);
	if (!ev)
		goto out;

	ev->timestamp_raw = bpf_ktime_get_boot_ns();
	gadget_process_populate(&ev->proc);
	ev->dir_raw = dir;
	ev->ret = ret;
	ev->took_raw = bpf_ktime_get_ns() - c->since;
	if (with_data && ret > 0) {
		len = ret;
		if (len > CHUNK - 1)
			len = CHUNK - 1;
		if (bpf_probe_read_user(ev->data, len & (CHUNK - 1), (void *)c->buf))
			len = 0;
	}
	ev->len = len;
	/* only what is filled */
	gadget_output_buf(ctx, &events, ev, offsetof(struct ssl_event, data) + (len & (CHUNK - 1)));
out:
	bpf_map_delete_elem(&calls, &tid);
	return 0;
}

SEC("uprobe/libssl:SSL_write")
int BPF_UPROBE(sslpeek_write_e, void *ssl, const void *buf, int num)
{
	return begin(buf);
}

SEC("uretprobe/libssl:SSL_write")
int BPF_URETPROBE(sslpeek_write_x)
{
	return finish(ctx, write);
}

SEC("uprobe/libssl:SSL_read")
int BPF_UPROBE(sslpeek_read_e, void *ssl, void *buf, int num)
{
	return begin(buf);
}

SEC("uretprobe/libssl:SSL_read")
int sslpeek_read_x(struct pt_regs *ctx)
{
	return finish(ctx, read);
}

char LICENSE[] SEC("license") = "GPL";
