// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <gadget/macros.h>
#include <gadget/mntns_filter.h>
#include <gadget/types.h>

struct who {
	gadget_mntns_id mntns_id;
	gadget_pid pid;
	gadget_comm comm[TASK_COMM_LEN];
};

struct faults {
	__u64 reads;
	__u64 writes;
	__u64 execs;
	__u64 last_address;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct who);
	__type(value, struct faults);
} by_process SEC(".maps");

GADGET_MAPITER(faults, by_process);

const volatile pid_t targ_pid = 0;
GADGET_PARAM(targ_pid);

static const struct faults none = { 0 };

#ifdef __TARGET_ARCH_x86
#define X86_PF_WRITE (1 << 1)
#define X86_PF_INSTR (1 << 4)

/* 6.16 dropped the x86_ from the name. */
struct trace_event_raw_x86_exceptions___o {
	unsigned long address;
	unsigned long error_code;
} __attribute__((preserve_access_index));

struct trace_event_raw_exceptions___n {
	unsigned long address;
	unsigned long error_code;
} __attribute__((preserve_access_index));

SEC("tracepoint/exceptions/page_fault_user")
int faulttop(void *ctx)
{
	struct trace_event_raw_x86_exceptions___o *o = ctx;
	struct trace_event_raw_exceptions___n *n = ctx;
	unsigned long address, error_code;
	struct who who = {};
	struct faults *f;

	who.pid = bpf_get_current_pid_tgid() >> 32;
	if (targ_pid && targ_pid != who.pid)
		return 0;
	who.mntns_id = gadget_get_mntns_id();
	if (gadget_should_discard_mntns_id(who.mntns_id))
		return 0;
	bpf_get_current_comm(&who.comm, sizeof(who.comm));

	f = bpf_map_lookup_elem(&by_process, &who);
	if (!f) {
		bpf_map_update_elem(&by_process, &who, &none, BPF_NOEXIST);
		f = bpf_map_lookup_elem(&by_process, &who);
		if (!f)
			return 0;
	}
	if (bpf_core_type_exists(struct trace_event_raw_exceptions___n)) {
		address = BPF_CORE_READ(n, address);
		error_code = BPF_CORE_READ(n, error_code);
	} else {
		address = BPF_CORE_READ(o, address);
		error_code = BPF_CORE_READ(o, error_code);
	}
	f->last_address = address;
	if (error_code & X86_PF_INSTR)
		__sync_fetch_and_add(&f->execs, 1);
	else if (error_code & X86_PF_WRITE)
		__sync_fetch_and_add(&f->writes, 1);
	else
		__sync_fetch_and_add(&f->reads, 1);
	return 0;
}
#endif

char LICENSE[] SEC("license") = "GPL";
