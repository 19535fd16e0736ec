// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* What people type into bash. */

#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

#define LINE 256

struct line {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;
	char text[LINE];
};

GADGET_TRACER_MAP(lines, 1024 * 256);
GADGET_TRACER(lines, lines, line);

SEC("uretprobe//bin/bash:readline")
int BPF_KRETPROBE(shellline, const void *ret)
{
	struct line *l;

	if (!ret || gadget_should_discard_data_current())
		return 0;
	l = gadget_reserve_buf(&lines, sizeof(*l));
	if (!l)
		return 0;
	gadget_process_populate(&l->proc);
	l->timestamp_raw = bpf_ktime_get_boot_ns();
	bpf_probe_read_user_str(l->text, sizeof(l->text), ret);
	gadget_submit_buf(ctx, &lines, l, sizeof(*l));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
