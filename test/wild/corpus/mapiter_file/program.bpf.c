// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A key with a private member and a process in the value. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <gadget/common.h>
#include <gadget/macros.h>
#include <gadget/types.h>

enum op { READ, WRITE };

struct file_id {
	__u32 dev;
	gadget_pid pid;
	__u64 __pid_tgid;
};

struct file_stat {
	struct gadget_process proc;
	__u64 reads;
	gadget_bytes rbytes_raw;
	enum op op_raw;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10240);
	__type(key, struct file_id);
	__type(value, struct file_stat);
} stats SEC(".maps");

GADGET_MAPITER(file, stats);

static struct file_stat zero_value = {};

SEC("tracepoint/syscalls/sys_enter_read")
int ig_topfile_rd(struct syscall_trace_enter *ctx)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	struct file_id key = {.pid = pid_tgid >> 32, .__pid_tgid = pid_tgid};
	struct file_stat *valuep;

	valuep = bpf_map_lookup_elem(&stats, &key);
	if (!valuep) {
		bpf_map_update_elem(&stats, &key, &zero_value, BPF_ANY);
		valuep = bpf_map_lookup_elem(&stats, &key);
		if (!valuep)
			return 0;
		gadget_process_populate(&valuep->proc);
	}
	valuep->reads++;
	valuep->rbytes_raw += ctx->args[2];
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
