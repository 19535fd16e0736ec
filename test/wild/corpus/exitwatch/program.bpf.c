// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

struct usage {
	gadget_duration user_raw;
	gadget_duration system_raw;
	__u64 min_faults;
	__u64 maj_faults;
};

union outcome {
	__u32 both;
	struct {
		__u16 signal;
		__u16 code;
	};
};

struct event {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;
	gadget_duration age_raw;
	gadget_signal sig_raw;
	__s32 code;
	bool core_dumped;
	bool group_dead;
	union outcome outcome;
	struct usage usage;
	__u8 __reserved[4];
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(exits, events, event);

const volatile bool failed_only = false;
const volatile bool by_thread = false;
GADGET_PARAM(failed_only);
GADGET_PARAM(by_thread);

SEC("tracepoint/sched/sched_process_exit")
int exitwatch(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u64 id = bpf_get_current_pid_tgid();
	struct event *e;
	int code;

	if (gadget_should_discard_data_current())
		return 0;
	if (!by_thread && (__u32)id != id >> 32)
		return 0;
	code = BPF_CORE_READ(task, exit_code);
	if (failed_only && code == 0)
		return 0;

	e = gadget_reserve_buf(&events, sizeof(*e));
	if (!e)
		return 0;
	__builtin_memset(e, 0, sizeof(*e));
	gadget_process_populate(&e->proc);
	e->timestamp_raw = bpf_ktime_get_boot_ns();
	e->age_raw = bpf_ktime_get_ns() - BPF_CORE_READ(task, start_time);
	e->sig_raw = code & 0x7f;
	e->code = code >> 8;
	e->core_dumped = code & 0x80;
	e->outcome.signal = code & 0x7f;
	e->outcome.code = code >> 8;
	e->group_dead = BPF_CORE_READ(task, signal, live.counter) == 0;
	e->usage.user_raw = BPF_CORE_READ(task, utime);
	e->usage.system_raw = BPF_CORE_READ(task, stime);
	e->usage.min_faults = BPF_CORE_READ(task, min_flt);
	e->usage.maj_faults = BPF_CORE_READ(task, maj_flt);
	gadget_submit_buf(ctx, &events, e, sizeof(*e));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
