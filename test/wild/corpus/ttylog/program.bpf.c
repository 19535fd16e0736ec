// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0

/* What is written to terminals. Needs a kernel with tty_write(kiocb, iov_iter). */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>
#include <gadget/filesystem.h>

#define BUF_SIZE 4096

struct event {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;
	__u64 ino;
	__u32 len;
	char buf[BUF_SIZE];
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(ttylog, events, event);

SEC("kprobe/tty_write")
int BPF_KPROBE(ttylog_write, struct kiocb *iocb, struct iov_iter *from)
{
	struct event *event;
	const void *user = NULL;
	size_t n;

	if (gadget_should_discard_data_current())
		return 0;

	n = BPF_CORE_READ(from, count);
	if (bpf_core_field_exists(from->ubuf) && BPF_CORE_READ(from, iter_type) == ITER_UBUF) {
		user = BPF_CORE_READ(from, ubuf);
	} else {
		const struct iovec *vec = NULL;

		if (bpf_core_field_exists(from->__iov))
			vec = BPF_CORE_READ(from, __iov);
		user = BPF_CORE_READ(vec, iov_base);
	}
	if (!user)
		return 0;

	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return 0;
	event->timestamp_raw = bpf_ktime_get_boot_ns();
	gadget_process_populate(&event->proc);
	event->ino = BPF_CORE_READ(iocb, ki_filp, f_inode, i_ino);
	if (n > BUF_SIZE)
		n = BUF_SIZE;
	event->len = n;
	event->buf[0] = 0;
	bpf_probe_read_user(event->buf, n, user);
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
	return 0;
}

char _license[] SEC("license") = "GPL";
