// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/macros.h>
#include <gadget/mntns.h>
#include <gadget/mntns_filter.h>
#include <gadget/types.h>

/*
 * Since 6.9 the event has the victim's figures; before, only its pid. Both
 * flavours are declared here so that it does not matter which kernel vmlinux.h
 * was made on.
 */
struct trace_event_raw_mark_victim___v69 {
	struct trace_entry ent;
	int pid;
	u32 __data_loc_comm;
	unsigned long total_vm;
	unsigned long anon_rss;
	unsigned long file_rss;
	unsigned long shmem_rss;
	uid_t uid;
	unsigned long pgtables;
	short oom_score_adj;
} __attribute__((preserve_access_index));

struct oom {
	gadget_timestamp timestamp_raw;
	gadget_mntns_id mntns_id;
	struct gadget_process killer;
	gadget_pid victim_pid;
	gadget_uid victim_user_raw;
	gadget_bytes anon_raw;
	gadget_bytes file_raw;
	gadget_bytes shmem_raw;
	__s16 adj;
	gadget_comm victim_comm[TASK_COMM_LEN];
};

GADGET_TRACER_MAP(ooms, 64 * 1024);
GADGET_TRACER(oom, ooms, oom);

#define KB(x) ((__u64)(x) * 1024)

SEC("tracepoint/oom/mark_victim")
int oomwatch(void *ctx)
{
	struct trace_event_raw_mark_victim___v69 *now = ctx;
	gadget_mntns_id mntns = gadget_get_mntns_id();
	struct oom *ev;

	if (gadget_should_discard_mntns_id(mntns))
		return 0;

	ev = gadget_reserve_buf(&ooms, sizeof(*ev));
	if (!ev)
		return 0;
	__builtin_memset(ev, 0, sizeof(*ev));
	ev->timestamp_raw = bpf_ktime_get_boot_ns();
	ev->mntns_id = mntns;
	gadget_process_populate(&ev->killer);
	ev->victim_pid = now->pid;

	if (bpf_core_field_exists(now->anon_rss)) {
		ev->anon_raw = KB(now->anon_rss);
		ev->file_raw = KB(now->file_rss);
		ev->shmem_raw = KB(now->shmem_rss);
		ev->victim_user_raw = now->uid;
		ev->adj = now->oom_score_adj;
		bpf_probe_read_kernel_str(ev->victim_comm, sizeof(ev->victim_comm),
					  (char *)ctx + (now->__data_loc_comm & 0xffff));
	}

	gadget_submit_buf(ctx, &ooms, ev, sizeof(*ev));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
