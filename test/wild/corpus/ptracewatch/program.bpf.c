// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>
enum request {
  TRACEME = 0,
  PEEKTEXT = 1,
  POKEDATA = 5,
  CONT = 7,
  ATTACH = 16,
  DETACH = 17,
  SEIZE = 0x4206,
};

struct event {
  gadget_timestamp timestamp_raw;
  struct gadget_process process;
  enum request request_raw;
  gadget_pid target;
  char exe[32];
};

GADGET_TRACER_MAP(events, 1024 * 256)
GADGET_TRACER(ptrace, events, event)

SEC("tracepoint/syscalls/sys_enter_ptrace")
int ptracewatch(struct trace_event_raw_sys_enter *ctx) {
  if (gadget_should_discard_data_current()) {
    return 0;
  }
  struct event *event;
  event = gadget_reserve_buf(&events, sizeof(*event));
  if (!event) {
    return 0;
  }
  gadget_process_populate(&event->process);
  event->timestamp_raw = bpf_ktime_get_boot_ns();
  event->request_raw = (enum request)ctx->args[0];
  event->target = (__u32)ctx->args[1];
  BPF_SNPRINTF(event->exe, sizeof(event->exe), "%d -> %d", event->process.pid, event->target);
  gadget_submit_buf(ctx, &events, event, sizeof(*event));
  return 0;
}

char LICENSE[] SEC("license") = "GPL";