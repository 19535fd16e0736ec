// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
// First lines of HTTP/1 requests and responses, from the system calls that carry them
#include <vmlinux.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

// Room for the fallback on kernels without ring buffers
#define GADGET_MAX_EVENT_SIZE (20 * 1024)

#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/macros.h>
#include <gadget/filter.h>
#include <gadget/types.h>
#include <gadget/mntns.h>

#include "program.h"
#include "sock_of_fd.h"

GADGET_TRACER_MAP(events, 1024 * 1024);
GADGET_TRACER(http, events, httpevent);

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 8192);
    __type(key, __u64);
    __type(value, struct io_args);
} io SEC(".maps");

// Why something was not captured; read with bpftool
enum http_loss { LOSS_RESERVE, LOSS_READ, LOSS_COUNT };
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, LOSS_COUNT);
    __type(key, __u32);
    __type(value, __u64);
} losses SEC(".maps");

static void inline lost(__u32 why)
{
    __u64 *n = bpf_map_lookup_elem(&losses, &why);
    if (n)
        (*n)++;
}

static __always_inline int kind_of(const char *p)
{
    const char *verbs[] = {"GET ", "POST", "HEAD", "PUT ", "DELE", "OPTI", "PATC"};

    for (int i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (__builtin_memcmp(p, verbs[i], 4) == 0)
            return HTTP_REQUEST;
    if (__builtin_memcmp(p, "HTTP", 4) == 0)
        return HTTP_RESPONSE;
    return 0;
}

static __always_inline int enter(struct syscall_trace_enter *ctx)
{
    if (gadget_should_discard_data_current()) {
        return 0;
    }

    __u64 id = bpf_get_current_pid_tgid();
    struct io_args a = {};
    a.fd = (__u32)ctx->args[0];
    a.buf = (__u64)ctx->args[1];
    a.len = ctx->args[2];
    bpf_map_update_elem(&io, &id, &a, BPF_ANY);
    return 0;
}

static __noinline int fill_ends(struct httpevent *event, __u32 fd, bool rx)
{
    if (!event)
        return -1;

    struct sock *sk = sock_of_fd(fd, &event->socket_inode);
    if (!sk)
        return -1;

    __u16 lport = BPF_CORE_READ(sk, __sk_common.skc_num);
    __u16 rport = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
    __u32 laddr = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
    __u32 raddr = BPF_CORE_READ(sk, __sk_common.skc_daddr);

    event->src.version = event->dst.version = 4;
    event->src.proto_raw = event->dst.proto_raw = IPPROTO_TCP;
    event->src.port = rx ? rport : lport;
    event->dst.port = rx ? lport : rport;
    event->src.addr_raw.v4 = rx ? raddr : laddr;
    event->dst.addr_raw.v4 = rx ? laddr : raddr;
    return 0;
}

static __always_inline int leave(struct syscall_trace_exit *ctx, char *syscall, bool rx)
{
    __u64 id = bpf_get_current_pid_tgid();
    char head[PEEK] = {0};
    struct httpevent *event;
    int kind;

    struct io_args *a = bpf_map_lookup_elem(&io, &id);
    if (!a)
        return 0;
    if (ctx->ret < PEEK)
        goto out;
    if (bpf_probe_read_user(head, sizeof(head), (void *)a->buf)) {
        lost(LOSS_READ);
        goto out;
    }
    kind = kind_of(head);
    if (!kind)
        goto out;

    event = gadget_reserve_buf(&events, sizeof(*event));
    if (!event) {
        lost(LOSS_RESERVE);
        goto out;
    }
    __builtin_memset(event, 0, sizeof(*event));
    if (fill_ends(event, a->fd, rx)) {
        gadget_discard_buf(event);
        goto out;
    }
    gadget_process_populate(&event->proc);
    event->timestamp_raw = bpf_ktime_get_boot_ns();
    event->kind_raw = kind;
    event->sock_fd = a->fd;
    bpf_probe_read_kernel_str(event->syscall, sizeof(event->syscall), syscall);

    __u64 n = ctx->ret;
    if (n > sizeof(event->first_line) - 1)
        n = sizeof(event->first_line) - 1;
    bpf_probe_read_user(event->first_line, n, (void *)a->buf);
    for (int i = 0; i < LINE_MAX_LEN - 1; i++) {
        if (event->first_line[i] == '\r' || event->first_line[i] == '\n') {
            event->first_line[i] = 0;
            break;
        }
    }
    gadget_submit_buf(ctx, &events, event, sizeof(*event));
out:
    bpf_map_delete_elem(&io, &id);
    return 0;
}

#define BOTH(call, rx)                                                 \
    SEC("tracepoint/syscalls/sys_enter_" #call)                        \
    int httpcat_##call##_e(struct syscall_trace_enter *ctx)            \
    {                                                                  \
        return enter(ctx);                                             \
    }                                                                  \
    SEC("tracepoint/syscalls/sys_exit_" #call)                         \
    int httpcat_##call##_x(struct syscall_trace_exit *ctx)             \
    {                                                                  \
        return leave(ctx, #call, rx);                                  \
    }

BOTH(read, true)
BOTH(write, false)
BOTH(recvfrom, true)
BOTH(sendto, false)

char LICENSE[] SEC("license") = "GPL";
